package txn

import (
	"slices"
	"time"

	"github.com/troupe-broker/troupe/actors/protocol"
	"github.com/troupe-broker/troupe/cluster/image"
	"github.com/troupe-broker/troupe/group/step"
)

// Marker ends a transaction in one partition.
type Marker struct {
	Partition        protocol.NamedPartition
	ProducerID       protocol.ProducerID
	ProducerEpoch    protocol.ProducerEpoch
	CoordinatorEpoch int32
	Commit           bool
	// TransactionVersion of the end: from 2 on ProducerEpoch is newer than that of the records (KIP-1228).
	TransactionVersion int16
}

// await is a marker that is not in.
type await struct {
	partition protocol.NamedPartition
	sent      bool          // and not answered
	at        time.Duration // of the next attempt, if not sent
	attempts  int
}

// Markers appends the markers that are to be sent now to dst. Each is answered by one call of Marked.
func (t *Transaction) Markers(dst []Marker) []Marker {
	dst = append(dst, t.markers...)
	t.markers = t.markers[:0]
	return dst
}

// beginMarkers sends one to every partition of the decided transaction that there still is.
func (t *Transaction) beginMarkers(now step.Now) {
	t.completing, t.awaited = true, make([]await, 0, len(t.hard.partitions))
	for _, p := range t.hard.partitions {
		if exists(now.Image, p) {
			t.awaited = append(t.awaited, await{partition: p})
		}
	}
	t.repeatMarkers(now)
}

// repeatMarkers sends what is due.
func (t *Transaction) repeatMarkers(now step.Now) {
	for i := range t.awaited {
		a := &t.awaited[i]
		if a.sent || a.at > now.Mono {
			continue
		}
		a.sent = true
		a.attempts++
		t.markers = append(t.markers, Marker{
			Partition: a.partition, ProducerID: t.hard.producer, ProducerEpoch: t.hard.epoch,
			CoordinatorEpoch: t.cfg.CoordinatorEpoch, Commit: t.hard.status == PrepareCommit, TransactionVersion: t.hard.version,
		})
	}
}

// Marked is how the partition took its marker. It may come while records are under way. Source:
// TransactionMarkerRequestCompletionHandler.
func (t *Transaction) Marked(now step.Now, p protocol.NamedPartition, code protocol.Code, out *step.Out) {
	i := slices.IndexFunc(t.awaited, func(a await) bool { return a.partition == p && a.sent })
	if i < 0 {
		return
	}
	switch a := &t.awaited[i]; {
	case code == protocol.None || code == protocol.InvalidProducerEpoch || code == protocol.UnsupportedForMessage || !exists(now.Image, p):
		t.awaited = slices.Delete(t.awaited, i, i+1)
	case code == protocol.TxnCoordinatorFenced:
		t.fenced = true
		t.Close(protocol.NotCoordinator, out)
	default:
		// Whatever it is, nothing may be taken for ended that is not.
		a.sent, a.at = false, now.Mono+min(RetryMin<<min(a.attempts-1, 10), RetryMax)
	}
	t.settle(now, out)
}

// exists reports whether the cluster has the partition. One that was deleted has nothing to end.
func exists(m *image.Image, p protocol.NamedPartition) bool {
	topic, ok := m.Topic(p.Topic)
	if !ok {
		return false
	}
	_, ok = topic.Partition(p.Partition)
	return ok
}

// Fenced reports that a partition knows a newer coordinator: this one has been replaced, and every command is answered NOT_COORDINATOR.
func (t *Transaction) Fenced() bool { return t.fenced }
