package check

import (
	"math"
	"slices"

	"github.com/troupe-broker/troupe/actors/protocol"
)

// This file is the allowed-loss rule: the only place where a missing record is forgiven, and only by what the fault log proves.
//
//	durability  acks   kill -9   power loss                          destroyed media
//	disk        all/1  never     never                               only that partition
//	os          all/1  never     the tail that was not yet synced    only that partition
//	any         0      always    always                              always
//
// On one node acks=1 and acks=all promise the same. "The tail" means: if a record is gone, so is every later one of its era
// (Partition.chain and lostWrites hold that). Besides faults, a record may be gone because somebody was asked to remove it: its
// topic, the records below an offset (DeleteRecords), or old segments (retention).

// lossExcused reports whether the records of send at offset (-1 unknown) may be missing at the end.
func (x *Index) lossExcused(p *Partition, send *Op, offset int64) bool {
	switch {
	case send.Acks == 0:
		return true
	case x.Deleted[p.Key.Topic] != nil:
		return true
	case send.ByName && x.nameWasAmbiguous(send):
		return true
	case offset >= 0 && offset < p.removed:
		return true
	case offset < 0 && p.removed > 0:
		return true
	case x.mediaDestroyed(p.Key):
		return true
	}
	return p.Topic.Durability == protocol.DurabilityOS && x.powerLossAfter(send.Era)
}

// powerLossAfter reports whether power was lost after the given era.
func (x *Index) powerLossAfter(era int) bool {
	losses := 0
	for _, f := range x.H.Faults {
		if f.Kind == PowerLoss {
			losses++
		}
	}
	return losses > era
}

func (x *Index) diskWasFull() bool {
	return slices.ContainsFunc(x.H.Faults, func(f Fault) bool { return f.Kind == DiskFull })
}

func (x *Index) mediaDestroyed(key protocol.TopicPartition) bool {
	for _, f := range x.H.Faults {
		if f.Kind == MediaDestroyed && (f.Key == key || f.Key.Topic.IsZero()) {
			return true
		}
	}
	return false
}

// headMayBeGone reports whether a power loss before op may have taken the beginning of the log: with durability=os the name of the first
// segment may be lost while a later one survives. What is left then begins later, and says so by its log start.
func (p *Partition) headMayBeGone(op *Op) bool {
	return p.Topic.Durability == protocol.DurabilityOS && op.Era > 0
}

// removedBefore is the offset below which records of p were removed because somebody asked: the largest DeleteRecords that may have
// happened; or, where retention is on or the head may be gone, the largest log start any answer showed.
func removedBefore(p *Partition) (offset int64) {
	for _, op := range p.Ops {
		if op.Func == DeleteRecords && op.Outcome != Fail {
			offset = max(offset, deletedBefore(op))
		}
		if start, ok := shownStart(op); ok && (p.Topic.Retains || p.headMayBeGone(op)) {
			offset = max(offset, start)
		}
	}
	return offset
}

// nameWasAmbiguous reports whether another incarnation of the topic may have taken an operation by name: one that was deleted before
// op ended, so that op's client may have believed in the one and met the other.
func (x *Index) nameWasAmbiguous(op *Op) bool {
	t := x.topics[op.Key.Topic]
	for _, other := range x.H.Topics {
		if d := x.Deleted[other.ID]; t != nil && d != nil && other.Name == t.Name && d.Invoked < op.Complete {
			return true
		}
	}
	return false
}

// deletedBefore is the offset below which a DeleteRecords may have removed. -1 asks for the high watermark, known from the answer only.
func deletedBefore(op *Op) int64 {
	if op.Before < 0 && op.Outcome != OK {
		return math.MaxInt64
	}
	return max(op.Before, op.Offset)
}
