package partition

import (
	"errors"

	"github.com/troupe-broker/troupe/actors"
	"github.com/troupe-broker/troupe/actors/protocol"
	"github.com/troupe-broker/troupe/partition/compaction"
	"github.com/troupe-broker/troupe/partition/producer"
	"github.com/troupe-broker/troupe/partition/storage"
)

// beginRound asks a partition what a round of compaction up to about the offset upTo may do; answered by roundBegun.
type beginRound struct {
	protocol.Head
	partition protocol.TopicPartition
	upTo      int64
}

// Refused answers for a partition that is gone.
func (m *beginRound) Refused(actors.Refusal) (actors.PID, any) {
	return m.ReplyTo, &roundBegun{Answer: protocol.Answer{ID: m.ID}, Fault: protocol.Fault{Code: protocol.NotLeaderOrFollower}}
}

type roundBegun struct {
	protocol.Answer
	protocol.Fault
	view      *storage.View
	config    *protocol.LogConfig
	bounds    compaction.Bounds
	producers []producer.Last
}

// replaceSegments hands a rewritten segment to the partition; answered by segmentsReplaced when it is in place on the disk.
type replaceSegments struct {
	protocol.Head
	partition   protocol.TopicPartition
	replacement *storage.Replacement
	// end is the offset below which the round changes anything: the producers are known from a snapshot at or above it first.
	end   int64
	taken bool // it is in the log
}

// Refused answers for a partition that is gone.
func (m *replaceSegments) Refused(actors.Refusal) (actors.PID, any) {
	return m.ReplyTo, m.answer(protocol.Fault{Code: protocol.NotLeaderOrFollower})
}

func (m *replaceSegments) answer(f protocol.Fault) *segmentsReplaced {
	return &segmentsReplaced{Answer: protocol.Answer{ID: m.ID}, Fault: f, replacement: m.replacement, taken: m.taken}
}

// segmentsReplaced gives the replacement back with a fault, unless it was taken before.
type segmentsReplaced struct {
	protocol.Answer
	protocol.Fault
	replacement *storage.Replacement
	taken       bool
}

// beginRound answers at once if the log is durable that far, else after a flush.
func (a *replicaActor) beginRound(ctx *actors.Context, m *beginRound) {
	a.write(ctx)
	if a.rounding != nil {
		ctx.Send(m.ReplyTo, &roundBegun{Answer: protocol.Answer{ID: m.ID}, Fault: protocol.Fault{Code: protocol.InvalidRequest, Reason: "a round is being begun"}})
		return
	}
	a.rounding = m
	if a.ending == serving && a.log.Replaceable() < m.upTo {
		a.flush(ctx)
	}
	if !a.flushing || a.log.Replaceable() >= m.upTo {
		a.answerRound(ctx)
	}
}

// answerRound tells the bounds of a round as of now.
func (a *replicaActor) answerRound(ctx *actors.Context) {
	m := a.rounding
	if m == nil {
		return
	}
	a.rounding = nil
	out := &roundBegun{Answer: protocol.Answer{ID: m.ID}}
	switch {
	case a.ending != serving:
		out.Fault = a.fault()
	case a.replacing != nil || a.log.Replacing():
		// Its files have the provisional names that another segment of the same base would get.
		out.Fault = protocol.Fault{Code: protocol.KafkaStorageError, Reason: "what was compacted before is not in place yet"}
	case m.partition != a.handle.Partition || !a.config.Compact:
		out.Fault = protocol.Fault{Code: protocol.PolicyViolation, Reason: "cleanup.policy does not include compact"}
	default:
		hw := a.leader.HighWatermark()
		out.view, out.config, out.producers = a.log.View(), a.config, a.producers.Lasts()
		out.bounds = compaction.Bounds{
			Start: a.log.StartOffset(), End: a.log.EndOffset(), LastStable: a.producers.LSO(hw), HighWatermark: hw, Replaceable: a.log.Replaceable(),
		}
	}
	ctx.Send(m.ReplyTo, out)
}

// replaceSegments waits for EndTurn.
func (a *replicaActor) replaceSegments(ctx *actors.Context, m *replaceSegments) {
	a.write(ctx)
	if a.replacing != nil || a.ending != serving || m.partition != a.handle.Partition || !a.config.Compact {
		ctx.Send(m.ReplyTo, m.answer(protocol.Fault{Code: protocol.NotLeaderOrFollower, Reason: "the partition is not compacted here"}))
		return
	}
	a.replacing = m
}

// replaceWhenSafe lets a rewritten segment into the log, and answers when its files are in place. A start replays the producers from the
// newest snapshot: before records go that hold their state, there is a durable one that needs none of them. The flush that puts the files
// in place is one like any other.
func (a *replicaActor) replaceWhenSafe(ctx *actors.Context) {
	m := a.replacing
	if m == nil || a.ending != serving {
		return
	}
	if !m.taken && a.snapshotIsSafe(m.end) && a.log.Settled() {
		err := a.log.Replace(m.replacement)
		switch {
		case errors.Is(err, storage.ErrStale):
			a.refuseReplacing(ctx, protocol.Fault{Code: protocol.NotLeaderOrFollower, Reason: "the segments have changed"})
			return
		case err != nil:
			a.fail(ctx, err)
			return
		}
		m.taken, a.moved = true, true
		a.touch(ctx)
	} else if !m.taken && a.snapshotAt < m.end && a.snapshot == nil {
		a.takeSnapshot()
	}
	if m.taken && !a.log.Replacing() {
		a.replacing = nil
		ctx.Send(m.ReplyTo, m.answer(protocol.Fault{}))
		return
	}
	if a.flushAt == 0 { // else the disk is full, or the flush comes by itself
		a.flush(ctx)
	}
}

// snapshotIsSafe reports whether a start finds the producers without what lies below end.
func (a *replicaActor) snapshotIsSafe(end int64) bool {
	return a.producers.Len() == 0 || a.snapshotAt >= end && a.snapshotAt <= a.log.FlushedOffset()
}

// refuseReplacing gives a rewritten segment back; one that is in the log already is in place when the log is closed or opened again.
func (a *replicaActor) refuseReplacing(ctx *actors.Context, f protocol.Fault) {
	if m := a.replacing; m != nil {
		a.replacing = nil
		ctx.Send(m.ReplyTo, m.answer(f))
	}
}
