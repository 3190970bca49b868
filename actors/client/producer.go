package client

import (
	"cmp"
	"slices"
	"time"

	"github.com/troupe-broker/troupe/actors"
	"github.com/troupe-broker/troupe/actors/protocol"
	"github.com/troupe-broker/troupe/actors/record"
)

// Production says how to produce. Zero fields have the defaults named.
type Production struct {
	Routes          Routes
	BatchBytes      int           // of one batch; 512 KiB. A larger record goes alone.
	BufferBytes     int           // of records not yet acknowledged, one ProduceRecords at least; 32 MiB. Beyond it they are refused: THROTTLING_QUOTA_EXCEEDED.
	RequestTimeout  time.Duration // of one attempt; 30 s
	DeliveryTimeout time.Duration // of all attempts together, from ProduceRecords on; 2 min
}

// Produce is a producer to spawn.
func Produce(s Production) actors.Spec {
	s.BatchBytes, s.BufferBytes = cmp.Or(s.BatchBytes, 512<<10), cmp.Or(s.BufferBytes, 32<<20)
	s.RequestTimeout, s.DeliveryTimeout = cmp.Or(s.RequestTimeout, 30*time.Second), cmp.Or(s.DeliveryTimeout, 2*time.Minute)
	return actors.Spec{Bytes: s.BufferBytes, New: func() actors.Actor { return newProducer(s) }}
}

func newProducer(s Production) *producer {
	return &producer{Production: s, id: protocol.NoProducerID, queues: map[protocol.TopicPartition]*queue{}, requests: map[uint64]*queue{}}
}

// producer collects the records of a turn by partition and appends them at its end.
type producer struct {
	Production
	id       protocol.ProducerID // NoProducerID: to be asked for
	asking   uint64
	waits    bool // to ask again
	queues   map[protocol.TopicPartition]*queue
	ready    []*queue // with something to send at the end of the turn
	requests map[uint64]*queue
	buffered int    // bytes
	spread   uint32 // of records without key
}

// queue is one partition.
type queue struct {
	sequence
	tp      protocol.TopicPartition
	records []pending // the first sent of them are under way
	sent    int
	request uint64
	ready   bool
	waits   bool // for a timer, to try again
}

// pending is a record whose fate is not known.
type pending struct {
	protocol.Record
	of       *order
	row      int
	deadline time.Duration
}

// order is one ProduceRecords.
type order struct {
	*protocol.ProduceRecords
	answer *protocol.RecordsProduced
	left   int
}

type (
	againDue struct{ q *queue }
	askDue   struct{}
)

// Receive implements actors.Actor.
func (p *producer) Receive(ctx *actors.Context, msg any) {
	switch m := msg.(type) {
	case *protocol.ProduceRecords:
		p.take(ctx, m)
	case *protocol.Produced:
		if q := p.requests[m.ID]; q != nil {
			delete(p.requests, m.ID)
			q.request = 0
			p.produced(ctx, q, m)
		}
	case *protocol.ProducerIDTaken:
		p.asking = 0
		if m.Failed() {
			p.askLater(ctx)
		} else {
			p.id = m.ProducerID
		}
	case actors.RequestTimedOut:
		if m.ID == p.asking {
			p.asking = 0
			p.askLater(ctx)
		} else if q := p.requests[m.ID]; q != nil {
			delete(p.requests, m.ID)
			q.request = 0
			p.failed(ctx, q, protocol.Fault{Code: protocol.RequestTimedOut, Reason: "the partition did not answer in time"})
		}
	case againDue:
		m.q.waits = false
		p.wake(m.q)
	case askDue:
		p.waits = false
	case actors.Stopping:
		p.refuseAll(ctx, protocol.Fault{Code: protocol.UnknownServerError, Reason: "the producer was stopped"})
	}
}

// Failed implements actors.FailureHandler.
func (p *producer) Failed(ctx *actors.Context, cause error) {
	p.refuseAll(ctx, protocol.Fault{Code: protocol.UnknownServerError, Reason: cause.Error()})
}

// EndTurn implements actors.TurnEnder: what came in this turn leaves in one batch per partition.
func (p *producer) EndTurn(ctx *actors.Context) {
	if p.id == protocol.NoProducerID && len(p.ready) > 0 {
		p.ask(ctx)
		return
	}
	ready := p.ready
	p.ready = nil
	for _, q := range ready {
		q.ready = false
		p.send(ctx, q)
	}
}

func (p *producer) ask(ctx *actors.Context) {
	if p.asking == 0 && !p.waits {
		p.asking = ctx.Request(p.Routes.ProducerIDs(), &protocol.TakeProducerID{}, p.RequestTimeout)
	}
}

// askLater asks again after a while. Those whose time is over meanwhile are given up.
func (p *producer) askLater(ctx *actors.Context) {
	p.waits = true
	ctx.After(retryWait, askDue{})
	for _, q := range p.ready {
		for q.request == 0 && len(q.records) > 0 && q.records[0].deadline <= ctx.Mono() {
			q.sent = 1
			p.settle(ctx, q, protocol.Fault{Code: protocol.RequestTimedOut, Reason: "no producer id"}, -1)
		}
	}
}

// take puts the records of an order into the queues of their partitions.
func (p *producer) take(ctx *actors.Context, m *protocol.ProduceRecords) {
	t, ok := p.Routes.Topic(m.Topic)
	fault := protocol.Fault{}
	switch {
	case !ok || t.Partitions == 0 || m.Partition >= t.Partitions || m.Partition < protocol.AnyPartition:
		fault = protocol.Fault{Code: protocol.UnknownTopicOrPartition}
	case p.buffered > 0 && p.buffered+m.Size() > p.BufferBytes:
		fault = protocol.Fault{Code: protocol.ThrottlingQuotaExceeded, Reason: "too much is waiting to be acknowledged"}
	}
	if fault.Failed() || len(m.Records) == 0 {
		ctx.Send(m.ReplyTo, m.Failed(fault))
		return
	}
	o := &order{m, m.Failed(protocol.Fault{}), len(m.Records)}
	now, deadline := ctx.Now().UnixMilli(), ctx.Mono()+p.DeliveryTimeout
	p.spread++
	for i, r := range m.Records {
		n := m.Partition
		switch {
		case n != protocol.AnyPartition:
		case r.Key != nil:
			n = partitionOf(r.Key, t.Partitions)
		default: // all of an order together, orders by turns
			n = int32(p.spread % uint32(t.Partitions))
		}
		r.Timestamp = cmp.Or(r.Timestamp, now)
		o.answer.Records[i].Partition = n
		q := p.queue(protocol.TopicPartition{Topic: t.ID, Partition: n})
		q.records = append(q.records, pending{r, o, i, deadline})
		p.buffered += r.Size()
		p.wake(q)
	}
}

func (p *producer) queue(tp protocol.TopicPartition) *queue {
	q := p.queues[tp]
	if q == nil {
		q = &queue{tp: tp, sequence: sequence{id: protocol.NoProducerID}}
		p.queues[tp] = q
	}
	return q
}

// wake has a queue looked at when the turn ends.
func (p *producer) wake(q *queue) {
	if !q.ready && len(q.records) > 0 {
		q.ready = true
		p.ready = append(p.ready, q)
	}
}

// send sends the next batch of a partition, or the one under way again: the same records under the same sequence.
func (p *producer) send(ctx *actors.Context, q *queue) {
	if q.request != 0 || q.waits || len(q.records) == 0 {
		return
	}
	if q.sent == 0 {
		q.use(p.id)
		q.sent = fill(q.records, p.BatchBytes)
	}
	b := record.NewBuilder(record.Options{Idempotent: true, ProducerID: int64(q.id), BaseSequence: q.next})
	var headers []record.Header
	for _, r := range q.records[:q.sent] {
		headers = headers[:0]
		for _, h := range r.Headers {
			headers = append(headers, record.Header{Key: h.Key, Value: h.Value})
		}
		b.Append(r.Timestamp, r.Key, r.Value, headers)
	}
	batch, err := b.Build()
	if err != nil {
		p.failed(ctx, q, protocol.Fault{Code: protocol.InvalidRecord, Reason: err.Error()})
		return
	}
	leader, code := p.Routes.Leader(q.tp)
	fault := protocol.Fault{Code: code}
	var admitted []byte
	if !fault.Failed() {
		admitted, fault = p.Routes.Admit(q.tp, batch, ctx.Now())
	}
	if fault.Failed() {
		p.failed(ctx, q, fault)
		return
	}
	m := &protocol.Produce{Partition: q.tp, LeaderEpoch: protocol.NoLeaderEpoch, Acks: -1, Deadline: ctx.Mono() + p.RequestTimeout, Batch: admitted}
	q.request = ctx.Request(leader, m, p.RequestTimeout+answerGrace)
	p.requests[q.request] = q
}

// fill is how many records make the next batch: at least one.
func fill(records []pending, bytesMax int) int {
	n, bytes := 1, records[0].Size()
	for n < len(records) && bytes+records[n].Size() <= bytesMax {
		bytes += records[n].Size()
		n++
	}
	return n
}

func (p *producer) produced(ctx *actors.Context, q *queue, m *protocol.Produced) {
	if m.Failed() {
		p.failed(ctx, q, m.Fault)
		return
	}
	q.appended(q.sent)
	p.settle(ctx, q, protocol.Fault{}, m.BaseOffset)
}

// failed tries the batch again or gives it up.
func (p *producer) failed(ctx *actors.Context, q *queue, f protocol.Fault) {
	switch q.sequence.failed(f.Code, ctx.Mono() >= q.records[0].deadline) {
	case again:
		q.waits = true
		ctx.After(retryWait, againDue{q})
	case lost:
		if q.id == p.id {
			p.id = protocol.NoProducerID
		}
		p.settle(ctx, q, f, -1)
	case refused:
		p.settle(ctx, q, f, -1)
	}
}

// settle ends the batch under way.
func (p *producer) settle(ctx *actors.Context, q *queue, f protocol.Fault, base int64) {
	for i, r := range q.records[:q.sent] {
		offset := int64(-1)
		if !f.Failed() {
			offset = base + int64(i)
		}
		p.answer(ctx, r, f, offset)
	}
	q.records = q.records[q.sent:]
	if q.sent = 0; len(q.records) == 0 {
		q.records = nil
	}
	p.wake(q)
}

func (p *producer) answer(ctx *actors.Context, r pending, f protocol.Fault, offset int64) {
	p.buffered -= r.Size()
	a := r.of.answer
	a.Records[r.row].Offset, a.Records[r.row].Code = offset, f.Code
	if !a.Failed() {
		a.Fault = f
	}
	if r.of.left--; r.of.left == 0 {
		ctx.Send(r.of.ReplyTo, a)
	}
}

// refuseAll ends everything. What is under way may yet be appended.
func (p *producer) refuseAll(ctx *actors.Context, f protocol.Fault) {
	all := make([]*queue, 0, len(p.queues))
	for _, q := range p.queues {
		all = append(all, q)
	}
	slices.SortFunc(all, func(a, b *queue) int { return compare(a.tp, b.tp) })
	for _, q := range all {
		q.sent = len(q.records)
		for _, r := range q.records {
			p.answer(ctx, r, f, -1)
		}
		q.records, q.sent = nil, 0
	}
}
