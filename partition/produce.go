package partition

import (
	"fmt"
	"sync"

	"github.com/troupe-broker/troupe/actors"
	"github.com/troupe-broker/troupe/actors/invariant"
	"github.com/troupe-broker/troupe/actors/mutation"
	"github.com/troupe-broker/troupe/actors/protocol"
	"github.com/troupe-broker/troupe/actors/record"
	"github.com/troupe-broker/troupe/partition/producer"
	"github.com/troupe-broker/troupe/partition/replica"
)

// turnBytesMax ends the collecting of a turn early: a longer write would hold up acknowledgements without saving system calls.
const turnBytesMax = 8 << 20

// turn is what one turn of the mailbox collected to append: offsets are assigned, headers patched, and the producer state has it
// applied but not committed. The log and the replica machine know nothing of it, so a refused write is undone by
// producer.State.Rollback alone.
type turn struct {
	batches    []record.Batch
	staged     []staged
	done       int // of staged: their buffers are released, and their answers sent or parked
	bytes      int
	begin, end int64 // offsets the turn fills; end is what the next batch gets
	now        int64 // wall clock, milliseconds
}

// staged is one produce of a turn. A duplicate has no batch of its own: it shares the fate of its original, which may be in the same
// turn.
type staged struct {
	msg        *protocol.Produce
	base, next int64
	appendTime int64 // milliseconds, or -1 under create time
	duplicate  bool
	aborted    producer.Completed // by a marker: an aborted transaction, for the transaction index
}

// turns keeps the scratch of busy partitions, so that ten thousand idle ones hold none.
var turns = sync.Pool{New: func() any { return new(turn) }}

// turnKept bounds the batches for which a turn's memory is kept.
const turnKept = 1024

func (t *turn) recycle() {
	if cap(t.staged) > turnKept {
		return
	}
	clear(t.batches)
	clear(t.staged)
	*t = turn{batches: t.batches[:0], staged: t.staged[:0]}
	turns.Put(t)
}

// collecting is the turn that goes on, or a new one.
func (a *replicaActor) collecting(ctx *actors.Context) *turn {
	if a.turn == nil {
		a.turn = turns.Get().(*turn)
		a.turn.begin, a.turn.end, a.turn.now = a.log.EndOffset(), a.log.EndOffset(), ctx.Now().UnixMilli()
	}
	return a.turn
}

// produce checks one batch, assigns its offsets and collects it for the write at the end of the turn. What is wrong with it is
// answered now. Source: ReplicaManager.appendRecords, UnifiedLog.append.
func (a *replicaActor) produce(ctx *actors.Context, m *protocol.Produce) {
	batch := record.Batch(m.Batch)
	if fault := a.admit(m, batch); fault.Failed() {
		a.refuse(ctx, m, fault)
		return
	}
	if batch.IsControl() {
		a.produceMarker(ctx, m, batch)
		return
	}
	if header := producer.HeaderOf(batch); !a.hold(ctx, m, header) {
		a.take(ctx, m, batch, header, a.producers.Check(header))
	}
}

// take collects a batch of data that was admitted, as the verdict on it says.
func (a *replicaActor) take(ctx *actors.Context, m *protocol.Produce, batch record.Batch, header producer.Header, v producer.Verdict) {
	switch {
	case v.Failed():
		a.refuse(ctx, m, v.Fault)
	case v.Duplicate:
		a.stageDuplicate(ctx, m, batch, v)
	default:
		s := a.stage(ctx, m, batch)
		a.producers.Apply(header, s.base, s.next-1, batch.MaxTimestamp())
	}
	if a.turn != nil && a.turn.bytes >= turnBytesMax {
		a.write(ctx)
	}
}

// admit tells whether the batch may be appended at all, apart from what its producer's state says.
func (a *replicaActor) admit(m *protocol.Produce, b record.Batch) protocol.Fault {
	code, reason := protocol.None, ""
	switch {
	case a.ending != serving:
		return a.fault()
	case m.Partition != a.handle.Partition:
		code, reason = protocol.UnknownTopicOrPartition, "the request is for another partition"
	case m.LeaderEpoch != protocol.NoLeaderEpoch && m.LeaderEpoch != a.leader.Epoch():
		code = a.handle.View().Check(m.LeaderEpoch)
		reason = fmt.Sprintf("leader epoch %d, current is %d", m.LeaderEpoch, a.leader.Epoch())
	case m.Acks < -1 || m.Acks > 1:
		code, reason = protocol.InvalidRequiredAcks, "acks must be -1, 0 or 1"
	case len(b) < record.HeaderSize || b.Length() != len(b) || b.LastOffsetDelta() < 0:
		code, reason = protocol.CorruptMessage, "not one whole batch"
	case m.Internal:
	case b.IsControl():
		code, reason = protocol.InvalidRecord, "clients may not write control batches"
	case len(b) > int(a.config.MaxMessageBytes):
		code, reason = protocol.MessageTooLarge, fmt.Sprintf("the batch has %d bytes, max.message.bytes is %d", len(b), a.config.MaxMessageBytes)
	}
	if code == protocol.None {
		if code = a.leader.Admit(m.Acks); code != protocol.None {
			reason = "fewer replicas are in sync than min.insync.replicas asks for"
		}
	}
	return protocol.Fault{Code: code, Reason: reason}
}

// stage assigns the offsets of a batch: the only place that does. They are assigned in the order of arrival, and final when the
// turn is written. I-OFFSETS: the batch begins where the one before it ended.
func (a *replicaActor) stage(ctx *actors.Context, m *protocol.Produce, b record.Batch) *staged {
	t := a.collecting(ctx)
	if mutation.Is(mutation.ReleaseEarly) && m.Release != nil {
		m.Release.Release()
		m.Release = nil
	}
	base := t.end
	b.SetBaseOffset(base)
	b.SetLeaderEpoch(int32(a.leader.Epoch()))
	appendTime := int64(-1)
	if a.config.LogAppendTime && !b.IsControl() {
		appendTime = t.now
		b.SetLogAppendTime(appendTime)
	}
	t.batches = append(t.batches, b)
	t.bytes += len(b)
	t.end = b.NextOffset()
	t.staged = append(t.staged, staged{msg: m, base: base, next: t.end, appendTime: appendTime})
	return &t.staged[len(t.staged)-1]
}

// stageDuplicate lets the answer of a duplicate wait until the first copy is as safe as the answer says, be it in the log or in this
// very turn.
func (a *replicaActor) stageDuplicate(ctx *actors.Context, m *protocol.Produce, b record.Batch, v producer.Verdict) {
	s := staged{msg: m, base: v.BaseOffset, next: v.BaseOffset + int64(b.LastOffsetDelta()) + 1, appendTime: -1, duplicate: true}
	if a.config.LogAppendTime {
		s.appendTime = v.Timestamp
	}
	t := a.collecting(ctx)
	t.staged = append(t.staged, s)
}

// write appends what the turn collected by one system call and lets everybody know who must. Nothing is left collected.
func (a *replicaActor) write(ctx *actors.Context) {
	t := a.turn
	if t == nil {
		return
	}
	if len(t.batches) > 0 {
		if err := a.append(t); err != nil {
			a.unwritten(ctx, t, err)
			return
		}
		a.unflushed += int64(t.bytes)
		a.snapshotBytes += int64(t.bytes)
		a.behind += t.end - t.begin
		in := a.handle.Traffic()
		in.RecordsIn.Add(t.end - t.begin)
		in.BatchesIn.Add(int64(len(t.batches)))
		in.BytesIn.Add(int64(t.bytes))
		a.touch(ctx)
	}
	a.acknowledge(ctx, t)
	a.turn = nil
	t.recycle()
}

// append puts a turn into the log, and then into everything that follows the log.
func (a *replicaActor) append(t *turn) error {
	if t.begin != a.log.EndOffset() { // I-OFFSETS
		invariant.Check(false, "%v: the turn begins at %d, the log ends at %d", a.handle.Partition, t.begin, a.log.EndOffset())
	}
	if err := a.log.Append(t.batches); err != nil {
		return err
	}
	if t.end != a.log.EndOffset() {
		invariant.Check(false, "%v: the log ends at %d after a turn up to %d", a.handle.Partition, a.log.EndOffset(), t.end)
	}
	a.producers.Commit()
	a.leader.Appended(t.end)
	return a.indexAborted(t)
}

// unwritten answers a turn that could not be appended. A full disk is a refusal after which everything is as before; anything else
// is the end of the log.
func (a *replicaActor) unwritten(ctx *actors.Context, t *turn, err error) {
	clean := isRefusal(err) && a.log.EndOffset() == t.begin
	if clean && !mutation.Is(mutation.KeepRefused) {
		a.producers.Rollback()
		for i := range t.staged {
			if b := record.Batch(t.staged[i].msg.Batch); !b.IsControl() {
				a.producers.Expect(producer.HeaderOf(b), t.now)
			}
		}
	}
	a.refuseTurn(ctx, protocol.Fault{Code: protocol.KafkaStorageError, Reason: err.Error()})
	if !clean {
		a.fail(ctx, err)
	}
}

// refuseTurn answers what is left of the turn, and forgets it.
func (a *replicaActor) refuseTurn(ctx *actors.Context, fault protocol.Fault) {
	t := a.turn
	if t == nil {
		return
	}
	for t.done < len(t.staged) {
		m := t.staged[t.done].msg
		t.done++
		a.refuse(ctx, m, fault)
	}
	a.turn = nil
	t.recycle()
}

// acknowledge gives the buffers back and parks the answers of a written turn; settle releases those whose time has come.
func (a *replicaActor) acknowledge(ctx *actors.Context, t *turn) {
	answers := make([]protocol.Produced, len(t.staged)) // one allocation for the turn
	start, epoch := a.log.StartOffset(), a.leader.Epoch()
	for t.done < len(t.staged) {
		s, answer := &t.staged[t.done], &answers[t.done]
		t.done++
		if s.msg.Release != nil {
			s.msg.Release.Release()
		}
		if s.msg.Acks == 0 {
			continue
		}
		*answer = protocol.Produced{
			Answer: protocol.Answer{ID: s.msg.ID}, BaseOffset: s.base, LogAppendTime: s.appendTime, LogStartOffset: start, LeaderEpoch: epoch,
		}
		ack := replica.Ack{End: s.next, Acks: s.msg.Acks, Deadline: deadline(s.msg.Deadline), ReplyTo: s.msg.ReplyTo, Answer: answer}
		switch {
		case s.duplicate && s.next <= a.leader.HighWatermark():
			ctx.Send(ack.ReplyTo, ack.Answer)
		case !a.leader.Park(ack):
			answerAck(ctx, &ack, protocol.RequestTimedOut)
		default:
			a.arm(ctx, ack.Deadline)
		}
	}
	a.moved = true
}

// refuse answers a produce that is not in the log, and gives its buffer back.
func (a *replicaActor) refuse(ctx *actors.Context, m *protocol.Produce, fault protocol.Fault) {
	if m.Release != nil {
		m.Release.Release()
	}
	if m.Acks == 0 {
		return // nobody listens
	}
	ctx.Send(m.ReplyTo, &protocol.Produced{
		Answer: protocol.Answer{ID: m.ID}, Fault: fault, BaseOffset: -1, LogAppendTime: -1, LogStartOffset: -1,
	})
}

// answerAck sends a parked answer, as it is or with what became of it.
func answerAck(ctx *actors.Context, ack *replica.Ack, code protocol.Code) {
	if code != protocol.None {
		ack.Answer.Code, ack.Answer.BaseOffset, ack.Answer.LogAppendTime = code, -1, -1
	}
	ctx.Send(ack.ReplyTo, ack.Answer)
}
