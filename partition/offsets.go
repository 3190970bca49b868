package partition

import (
	"fmt"

	"github.com/troupe-broker/troupe/actors"
	"github.com/troupe-broker/troupe/actors/protocol"
)

// purgesMax bounds the DeleteRecords in flight in one partition; further ones are refused with THROTTLING_QUOTA_EXCEEDED.
const purgesMax = 1000

// purge is one DeleteRecords that waits until its log start is in the checkpoint.
type purge struct {
	replyTo actors.PID
	id      uint64
	before  int64 // exclusive
}

func (p purge) answer(ctx *actors.Context, fault protocol.Fault, lowWatermark int64) {
	ctx.Send(p.replyTo, &protocol.RecordsDeleted{Answer: protocol.Answer{ID: p.id}, Fault: fault, LowWatermark: lowWatermark})
}

// deleteRecords moves the log start (KIP-107). The host writes it to the checkpoint first: a log start that was answered must not
// come back after a crash, and a crash in between loses only records that were asked to go. Source: ReplicaManager.deleteRecords,
// Partition.deleteRecordsOnLeader.
func (a *replicaActor) deleteRecords(ctx *actors.Context, m *protocol.DeleteRecords) {
	p := purge{m.ReplyTo, m.ID, m.Before}
	if p.before == -1 {
		p.before = a.leader.HighWatermark()
	}
	switch hw := a.leader.HighWatermark(); {
	case a.ending != serving:
		p.answer(ctx, a.fault(), -1)
	case m.Partition != a.handle.Partition:
		p.answer(ctx, protocol.Fault{Code: protocol.UnknownTopicOrPartition, Reason: "the request is for another partition"}, -1)
	case !a.config.Delete:
		p.answer(ctx, protocol.Fault{Code: protocol.PolicyViolation, Reason: "cleanup.policy does not include delete"}, -1)
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
		ctx.Send(a.host, &saveStart{tp: a.handle.Partition, from: ctx.Self(), start: p.before})
	}
}

// startSaved moves the log start that is durable now, and answers all deletions it covers.
func (a *replicaActor) startSaved(ctx *actors.Context, m *startSaved) {
	a.write(ctx)
	if a.ending != serving {
		return
	}
	fault := protocol.Fault{}
	if m.err != nil {
		fault = protocol.Fault{Code: protocol.KafkaStorageError, Reason: m.err.Error()}
	} else if err := a.log.AdvanceStart(m.start); err != nil {
		a.fail(ctx, err)
		return
	}
	a.moved = true
	a.settle(ctx) // whoever is answered must find the new start in the View
	left := a.purges[:0]
	for _, p := range a.purges {
		if p.before <= m.start {
			low := a.log.StartOffset()
			if fault.Failed() {
				low = -1
			}
			p.answer(ctx, fault, low)
		} else {
			left = append(left, p)
		}
	}
	if a.purges = left; len(left) == 0 {
		a.purges = nil
	}
	a.touch(ctx) // the files of dropped segments go with the next flush
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
