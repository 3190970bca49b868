package partition

import (
	"maps"
	"slices"
	"time"

	"github.com/troupe-broker/troupe/actors"
	"github.com/troupe-broker/troupe/actors/mutation"
	"github.com/troupe-broker/troupe/actors/protocol"
	"github.com/troupe-broker/troupe/actors/record"
	"github.com/troupe-broker/troupe/partition/producer"
)

// The first batch of a transaction is appended only if its coordinator says that the transaction is going on with this partition in it
// (KIP-890): else a batch that was delayed until after the end of its transaction would begin one that nobody ends, and readers of
// committed records would stop at it for ever. While the coordinator is asked the batch is held, and with it, in order, whatever else its
// producer sends to this partition. The answer may be outdated when it comes:
//
//	partition asks about producer 7; coordinator says yes; producer 7's transaction is aborted, and its marker arrives here
//	before the answer; the answer arrives
//
// so it counts only if no marker of the producer came since the question (producer.State.Guard), under the same leader epoch, and the
// batch then takes the same way as any other. Else the coordinator is asked again. Source: ReplicaManager.maybeSendPartitionsToTransactionCoordinator,
// AddPartitionsToTxnManager.

const (
	// heldMax and heldBytesMax bound the batches that wait for answers in one partition, in number and in bytes: further ones are refused
	// with THROTTLING_QUOTA_EXCEEDED, and come again.
	heldMax      = 10_000
	heldBytesMax = 32 << 20
	// questionMax is how long an answer may take, questionMin how long it is waited for even if the producer does not any more.
	questionMax = 30 * time.Second
	questionMin = time.Second
)

// verifier is how the partitions of a node ask transaction coordinators; see HostConfig.
type verifier struct {
	coordinator         func(transactionalID string) (actors.PID, protocol.Code)
	enabled             func() bool
	backoff, backoffMax time.Duration
}

// asks reports whether the coordinators of transactions of the version are asked.
func (v *verifier) asks(version int16) bool {
	if mutation.Is(mutation.BeginUnverified) && version < 2 {
		return false
	}
	return v.coordinator != nil && (version >= 2 || v.enabled == nil || v.enabled())
}

// question is what a partition asks about one producer. There is one at a time.
type question struct {
	id              uint64 // of the request; 0 while there is none
	producer        protocol.ProducerID
	epoch           protocol.ProducerEpoch
	transactionalID string
	version         int16
	guard           uint64
	since           time.Duration // monotonic, of the first try
	granted         bool
	held            []*protocol.Produce // in order of arrival; the question is about the first
}

// questions are those of one partition.
type questions struct {
	of      map[protocol.ProducerID]*question
	asked   map[uint64]*question // by the request under way
	batches int                  // held
	bytes   int
}

// askAgain is the end of a question's backoff.
type askAgain struct{ *question }

// hold keeps a batch that begins a transaction until its coordinator has answered, and batches behind one that is kept. It reports
// whether the batch was taken care of. A duplicate is not held: it is in the log already.
func (a *replicaActor) hold(ctx *actors.Context, m *protocol.Produce, h producer.Header) bool {
	if m.Internal || h.ProducerID < 0 {
		return false
	}
	q := a.questions.of[h.ProducerID]
	if q == nil && !(a.producers.Begins(h) && a.verifier.asks(m.TransactionVersion)) {
		return false
	}
	if a.producers.Check(h).Duplicate {
		return false
	}
	if a.questions.batches >= heldMax || a.questions.bytes+len(m.Batch) > heldBytesMax {
		a.refuse(ctx, m, protocol.Fault{Code: protocol.ThrottlingQuotaExceeded, Reason: "too many batches wait for transaction coordinators"})
		return true
	}
	a.questions.batches++
	a.questions.bytes += len(m.Batch)
	if q != nil {
		q.held = append(q.held, m)
		return true
	}
	q = &question{producer: h.ProducerID, held: []*protocol.Produce{m}}
	if a.questions.of == nil {
		a.questions.of, a.questions.asked = map[protocol.ProducerID]*question{}, map[uint64]*question{}
	}
	a.questions.of[h.ProducerID] = q
	a.proceed(ctx, q)
	return true
}

// proceed takes held batches in their order, up to the first that must be asked about.
func (a *replicaActor) proceed(ctx *actors.Context, q *question) {
	for len(q.held) > 0 {
		m := q.held[0]
		batch := record.Batch(m.Batch)
		h := producer.HeaderOf(batch)
		if fault := a.admit(m, batch); fault.Failed() {
			a.refuse(ctx, a.letGo(q), fault)
			continue
		}
		if !a.producers.Begins(h) || !a.verifier.asks(m.TransactionVersion) || q.covers(m, h) && a.producers.Guard(q.producer) == q.guard {
			a.take(ctx, a.letGo(q), batch, h, a.producers.Check(h))
			continue
		}
		if v := a.producers.CheckFirst(h, m.TransactionVersion >= 2); !v.Append() {
			a.take(ctx, a.letGo(q), batch, h, v)
			continue
		}
		if fault := a.ask(ctx, q, m, h); fault.Failed() {
			a.deny(ctx, q, fault)
			continue
		}
		return
	}
	delete(a.questions.of, q.producer)
}

// covers reports whether the question was answered with yes for the transaction of the batch.
func (q *question) covers(m *protocol.Produce, h producer.Header) bool {
	return q.granted && h.Epoch == q.epoch && m.TransactionalID == q.transactionalID && m.TransactionVersion == q.version
}

// letGo ends the holding of the first batch.
func (a *replicaActor) letGo(q *question) *protocol.Produce {
	m := q.held[0]
	q.held[0] = nil
	q.held = q.held[1:]
	a.questions.batches--
	a.questions.bytes -= len(m.Batch)
	return m
}

// ask asks the coordinator about the first held batch, or says why it cannot.
func (a *replicaActor) ask(ctx *actors.Context, q *question, m *protocol.Produce, h producer.Header) protocol.Fault {
	if m.TransactionalID == "" {
		return protocol.Fault{Code: protocol.InvalidTxnState, Reason: "a transactional batch without a transactional id"}
	}
	q.epoch, q.transactionalID, q.version, q.granted = h.Epoch, m.TransactionalID, m.TransactionVersion, false
	q.guard, q.since = a.producers.Guard(q.producer), ctx.Mono()
	return a.request(ctx, q)
}

// request sends the question.
func (a *replicaActor) request(ctx *actors.Context, q *question) protocol.Fault {
	to, code := a.verifier.coordinator(q.transactionalID)
	if code != protocol.None {
		return protocol.Fault{Code: code, Reason: "the transaction coordinator cannot be asked whether the partition is in the transaction"}
	}
	patience := max(questionMin, min(questionMax, deadline(q.held[0].Deadline)-ctx.Mono()))
	q.id = ctx.Request(to, &protocol.AddPartitions{
		TransactionalID: q.transactionalID, ProducerID: q.producer, ProducerEpoch: q.epoch, VerifyOnly: q.version < 2, ByLeader: q.version >= 2,
		Partitions: a.askedAbout(q),
	}, patience)
	a.questions.asked[q.id] = q
	return protocol.Fault{}
}

// askedAbout is this partition and, if it is to be added, those that the same request writes to: their own questions then find them added.
func (a *replicaActor) askedAbout(q *question) []protocol.NamedPartition {
	self := protocol.NamedPartition{Topic: a.handle.TopicName, Partition: a.handle.Partition.Partition}
	all := []protocol.NamedPartition{self}
	if q.version >= 2 {
		for _, p := range q.held[0].Beside {
			if p != self {
				all = append(all, p)
			}
		}
	}
	return all
}

// answered is the question with this id, if it is still of interest.
func (a *replicaActor) answered(id uint64) *question {
	q := a.questions.asked[id]
	if q != nil {
		delete(a.questions.asked, id)
		q.id = 0
	}
	return q
}

// verified takes the coordinator's answer. While the transaction before is still ending, one that the leader is to add is asked about
// again for a short time, which is quicker than if the client came again.
func (a *replicaActor) verified(ctx *actors.Context, m *protocol.PartitionsAdded) {
	q := a.answered(m.ID)
	if q == nil {
		return
	}
	fault := m.Fault
	if !fault.Failed() && len(m.Codes) > 0 {
		fault.Code = m.Codes[0]
	}
	switch {
	case fault.Code == protocol.ConcurrentTransactions && q.version >= 2 && ctx.Mono()-q.since+a.verifier.backoff <= a.verifier.backoffMax:
		ctx.After(a.verifier.backoff, &askAgain{q})
		return
	case fault.Failed():
		a.deny(ctx, q, fault)
	case a.producers.Guard(q.producer) != q.guard:
		// Outdated: proceed asks again. The marker may as well be that of the transaction before, which its coordinator waited for
		// before it let this one begin.
		if v := a.producers.Check(producer.HeaderOf(q.held[0].Batch)); v.Failed() {
			a.deny(ctx, q, v.Fault)
		}
	default:
		q.granted = true
	}
	a.proceed(ctx, q)
}

// unverified gives up a question.
func (a *replicaActor) unverified(ctx *actors.Context, m actors.RequestTimedOut) {
	if q := a.answered(m.ID); q != nil {
		a.deny(ctx, q, protocol.Fault{Code: protocol.NetworkException, Reason: "the transaction coordinator did not answer in time"})
		a.proceed(ctx, q)
	}
}

// askAgain repeats a question.
func (a *replicaActor) askAgain(ctx *actors.Context, m *askAgain) {
	q := m.question
	if a.questions.of[q.producer] != q || q.id != 0 {
		return
	}
	if fault := a.request(ctx, q); fault.Failed() {
		a.deny(ctx, q, fault)
		a.proceed(ctx, q)
	}
}

// deny refuses the batch that was asked about. If it will come again, those of its transaction behind it must, too: asking for each in
// turn would only take longer, and one that got through would have to be refused for its sequence.
func (a *replicaActor) deny(ctx *actors.Context, q *question, fault protocol.Fault) {
	first := producer.HeaderOf(q.held[0].Batch)
	a.refuse(ctx, a.letGo(q), fault)
	if !passing(fault.Code) {
		return
	}
	a.producers.Expect(first, ctx.Now().UnixMilli())
	for len(q.held) > 0 && producer.HeaderOf(q.held[0].Batch).Epoch == first.Epoch {
		a.refuse(ctx, a.letGo(q), fault)
	}
}

// passing reports a refusal after which producers send the same batch again.
func passing(code protocol.Code) bool {
	switch code {
	case protocol.ConcurrentTransactions, protocol.CoordinatorLoadInProgress, protocol.CoordinatorNotAvailable, protocol.NotCoordinator,
		protocol.NetworkException:
		return true
	}
	return false
}

// refuseHeld ends every question.
func (a *replicaActor) refuseHeld(ctx *actors.Context, fault protocol.Fault) {
	for _, id := range slices.Sorted(maps.Keys(a.questions.of)) {
		for q := a.questions.of[id]; len(q.held) > 0; {
			a.refuse(ctx, a.letGo(q), fault)
		}
	}
	a.questions = questions{}
}
