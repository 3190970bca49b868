package partition

import (
	"errors"
	"fmt"
	"log/slog"

	"github.com/troupe-broker/troupe/actors"
	"github.com/troupe-broker/troupe/actors/mutation"
	"github.com/troupe-broker/troupe/actors/protocol"
	"github.com/troupe-broker/troupe/partition/storage"
)

// purgesMax bounds the DeleteRecords in flight in one partition; further ones are refused with THROTTLING_QUOTA_EXCEEDED.
const purgesMax = 1000

// purge is one move of the log start that is on its way: a DeleteRecords, or retention, which nobody waits for.
type purge struct {
	replyTo actors.PID // zero: retention
	id      uint64
	before  int64 // exclusive
	saving  bool  // the host was asked to make it durable
}

func (p purge) answer(ctx *actors.Context, fault protocol.Fault, lowWatermark int64) {
	if !p.replyTo.IsZero() {
		ctx.Send(p.replyTo, &protocol.RecordsDeleted{Answer: protocol.Answer{ID: p.id}, Fault: fault, LowWatermark: lowWatermark})
	}
}

// deleteRecords moves the log start (KIP-107). The host writes it to the checkpoint first: a log start that was answered must not
// come back after a crash, and a crash in between loses only records that were asked to go. Source: ReplicaManager.deleteRecords,
// Partition.deleteRecordsOnLeader.
func (a *replicaActor) deleteRecords(ctx *actors.Context, m *protocol.DeleteRecords) {
	p := purge{replyTo: m.ReplyTo, id: m.ID, before: m.Before}
	if p.before == -1 {
		p.before = a.leader.HighWatermark()
	}
	switch hw := a.leader.HighWatermark(); {
	case a.ending != serving:
		p.answer(ctx, a.fault(), -1)
	case m.Partition != a.handle.Partition:
		p.answer(ctx, protocol.Fault{Code: protocol.UnknownTopicOrPartition, Reason: "the request is for another partition"}, -1)
	case a.config.OnlyCompacts():
		p.answer(ctx, protocol.Fault{Code: protocol.PolicyViolation, Reason: "cleanup.policy is compact alone"}, -1)
	case p.before < 0 || p.before > hw:
		p.answer(ctx, protocol.Fault{
			Code: protocol.OffsetOutOfRange, Reason: fmt.Sprintf("offset %d is not between 0 and the high watermark %d", m.Before, hw),
		}, -1)
	case p.before <= a.log.StartOffset():
		p.answer(ctx, protocol.Fault{}, a.log.StartOffset())
	case len(a.purges) >= purgesMax:
		p.answer(ctx, protocol.Fault{Code: protocol.ThrottlingQuotaExceeded, Reason: "too many deletions in flight"}, -1)
	default:
		a.purges = append(a.purges, p)
	}
}

// retain begins the move of the log start that retention wants, if any: the same way as DeleteRecords, so that a log start that was
// shown does not come back either.
func (a *replicaActor) retain(ctx *actors.Context) error {
	for _, p := range a.purges {
		if p.replyTo.IsZero() {
			return nil // one at a time
		}
	}
	start, err := a.log.Expired(ctx.Now(), a.leader.HighWatermark())
	switch {
	case err == nil && start > a.log.StartOffset():
		a.purges = append(a.purges, purge{before: start})
	case err == nil, isRefusal(err): // with a full disk the active segment is rolled another time
	case errors.Is(err, storage.ErrOffline):
		return err
	default:
		ctx.Logger().Error("retention failed", slog.String("partition", a.handle.Partition.String()), slog.Any("error", err))
	}
	return nil
}

// savePurges has the host make new log starts durable. Producers whose records go must be in a snapshot before: a start could not
// find them in the log any more, and would take their retries for new batches. Kafka has one from every roll; here it is taken when
// it is needed.
func (a *replicaActor) savePurges(ctx *actors.Context) {
	if a.ending != serving {
		return
	}
	for i := range a.purges {
		p := &a.purges[i]
		switch {
		case p.saving:
		case mutation.Is(mutation.ForgetLogStart):
			p.saving = true
			ctx.Send(ctx.Self(), &startSaved{start: p.before})
		case a.producers.Len() == 0 || a.snapshotAt >= p.before || mutation.Is(mutation.ForgetProducers):
			p.saving = true
			ctx.Send(a.host, &saveStart{tp: a.handle.Partition, from: ctx.Self(), start: p.before})
		case a.snapshot == nil:
			a.takeSnapshot()
		}
	}
}

// startSaved moves the log start that is durable now, and answers all deletions it covers.
func (a *replicaActor) startSaved(ctx *actors.Context, m *startSaved) {
	a.write(ctx)
	if a.ending == serving {
		a.purged(ctx, m.start, m.err)
	}
}

// purged ends the purges up to start. One that failed leaves the log start where it was, except that retention frees a full disk
// although it cannot be written down: after a crash the log start may then come back.
func (a *replicaActor) purged(ctx *actors.Context, start int64, failure error) {
	fault, full := protocol.Fault{}, isRefusal(failure)
	if failure != nil {
		fault = protocol.Fault{Code: protocol.KafkaStorageError, Reason: failure.Error()}
	}
	var ended, left []purge
	for _, p := range a.purges {
		if p.before > start {
			left = append(left, p)
			continue
		}
		ended = append(ended, p)
		if failure != nil && !(full && p.replyTo.IsZero()) {
			continue
		}
		if err := a.log.AdvanceStart(p.before); err != nil {
			a.fail(ctx, err)
			return
		}
	}
	a.purges = left
	a.moved = true
	a.settle(ctx) // whoever is answered must find the new start in the View
	for _, p := range ended {
		low := a.log.StartOffset()
		if fault.Failed() {
			low = -1
		}
		p.answer(ctx, fault, low)
	}
	a.goOnRemoving(ctx) // not with the next flush: on a full disk there may be none
	a.touch(ctx)
}

// describeProducers lists the producers (KIP-664).
func (a *replicaActor) describeProducers(ctx *actors.Context, m *protocol.DescribeProducers) {
	a.write(ctx)
	out := &protocol.ProducersDescribed{Answer: protocol.Answer{ID: m.ID}}
	switch {
	case a.ending != serving:
		out.Fault = a.fault()
	case m.Partition != a.handle.Partition:
		out.Fault = protocol.Fault{Code: protocol.UnknownTopicOrPartition, Reason: "the request is for another partition"}
	default:
		out.Producers = a.producers.Describe()
	}
	ctx.Send(m.ReplyTo, out)
}
