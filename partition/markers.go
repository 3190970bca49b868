package partition

import (
	"github.com/troupe-broker/troupe/actors"
	"github.com/troupe-broker/troupe/actors/protocol"
	"github.com/troupe-broker/troupe/actors/record"
	"github.com/troupe-broker/troupe/partition/producer"
	"github.com/troupe-broker/troupe/partition/storage"
)

// produceMarker collects the control batch that ends a transaction here. It takes an offset like any other batch and is written and
// acknowledged with the turn. Only our own coordinators get here. One that comes again, as after a crash of its coordinator, is appended
// again and ends nothing. Source: UnifiedLog.append with AppendOrigin.COORDINATOR.
func (a *replicaActor) produceMarker(ctx *actors.Context, m *protocol.Produce, b record.Batch) {
	marker, ok := markerOf(b)
	if !ok {
		a.refuse(ctx, m, protocol.Fault{Code: protocol.InvalidRecord, Reason: "not a transaction marker"})
		return
	}
	if fault := a.producers.CheckMarker(marker, m.TransactionVersion); fault.Failed() {
		a.refuse(ctx, m, fault)
		return
	}
	s := a.stage(ctx, m, b)
	if ended, ok := a.producers.ApplyMarker(marker, s.base, b.MaxTimestamp()); ok && ended.Aborted {
		s.aborted = ended
	}
}

func markerOf(b record.Batch) (producer.Marker, bool) {
	commit, coordinatorEpoch, ok := b.Marker()
	return producer.Marker{
		ProducerID: protocol.ProducerID(b.ProducerID()), Epoch: protocol.ProducerEpoch(b.ProducerEpoch()),
		Commit: commit, CoordinatorEpoch: coordinatorEpoch,
	}, ok
}

// indexAborted notes the aborted transactions of a written turn. A failure, even for want of space, ends the log: its readers would
// see aborted records.
func (a *replicaActor) indexAborted(t *turn) error {
	for i := range t.staged {
		if ended := &t.staged[i].aborted; ended.Aborted {
			if err := a.log.AppendAborted(abortedTxn(*ended)); err != nil {
				return err
			}
		}
	}
	return nil
}

func abortedTxn(c producer.Completed) storage.AbortedTxn {
	return storage.AbortedTxn{
		ProducerID: int64(c.ProducerID), FirstOffset: c.First, LastOffset: c.Last, LastStableOffset: c.LastStableOffset,
	}
}
