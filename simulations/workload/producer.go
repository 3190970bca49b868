package workload

import (
	"math"
	"slices"
	"time"

	"github.com/troupe-broker/troupe/actors/protocol"
	"github.com/troupe-broker/troupe/simulations/check"
	"github.com/twmb/franz-go/pkg/kmsg"
)

const (
	inFlightMax     = 5 // requests of an idempotent producer on one connection, Kafka's own bound
	deliveryTimeout = 60 * time.Second
)

// Producer sends batches for ever. One with idempotence repeats a batch, with its sequence, until it knows what became of it; one
// without never repeats, and retires after an outcome it does not know.
type Producer struct {
	client
	process    int
	idempotent bool
	acks       int16
	id         producerState
	identified bool
	inFlight   int
	lanes      []*lane
	byKey      map[protocol.TopicPartition]*lane
}

// lane is one partition as one producer sees it: its batches in order of sequence, the first not yet decided.
type lane struct {
	topic    *Topic
	key      protocol.TopicPartition
	next     int32 // sequence
	batches  []*sending
	inFlight int
	// draining: something went wrong, so nothing is sent until all answers are in, and then everything again in order.
	draining, waiting bool
}

// sending is one batch on its way.
type sending struct {
	op       *check.Op
	sequence int32
	began    time.Duration
	sent     bool
	unsure   bool // an attempt ended without a definite answer
	life     int  // of the node, when it was first sent
	behind   int  // batches of the lane composed since
}

// StartProducer begins a producer of its own process.
func StartProducer(s *Stage, name string) *Producer {
	p := &Producer{client: newClient(s, name)}
	p.ready, p.broken = p.identify, func() { p.identified = false }
	p.idempotent = p.rng.Float64() >= s.Plain
	p.acks = -1
	if !p.idempotent {
		p.acks = []int16{-1, 1, 0}[p.rng.IntN(3)]
	}
	if p.rng.Float64() < s.OldVersions {
		p.pinned[0] = int16(3 + p.rng.IntN(10))
		p.pinned[22] = int16(p.rng.IntN(5))
	}
	p.renew()
	p.dial()
	p.tick()
	return p
}

// renew makes it a new process with a new identity.
func (p *Producer) renew() {
	p.process, p.id, p.identified = p.stage.newProcess(), noProducer, false
	p.lanes, p.byKey = nil, map[protocol.TopicPartition]*lane{}
}

// identify gets a producer id, or goes on with the one it has.
func (p *Producer) identify() {
	switch {
	case !p.up || p.identified:
	case !p.idempotent || p.id != noProducer:
		p.resume()
	default:
		p.askIdentity()
	}
}

func (p *Producer) askIdentity() {
	req := kmsg.NewPtrInitProducerIDRequest()
	req.Version = p.version(req, 0)
	process := p.process
	p.call(req, func(r kmsg.Response, err error) {
		if err != nil || process != p.process {
			return
		}
		resp := r.(*kmsg.InitProducerIDResponse)
		p.stage.saw("InitProducerId", resp.ErrorCode)
		if resp.ErrorCode != 0 {
			p.stage.env.After(p.pause(200*time.Millisecond), p.identify)
			return
		}
		p.id = producerState{resp.ProducerID, resp.ProducerEpoch}
		if resp.ProducerID < 0 || resp.ProducerEpoch != 0 {
			p.stage.violate("%s: producer id %d epoch %d", p.name, resp.ProducerID, resp.ProducerEpoch)
		}
		p.stage.identity(p.name, resp.ProducerID)
		p.resume()
	})
}

func (p *Producer) resume() {
	p.identified = true
	for _, l := range p.lanes {
		p.settle(l)
	}
}

// Idle reports whether nothing is undecided.
func (p *Producer) Idle() bool {
	for _, l := range p.lanes {
		if len(l.batches) > 0 {
			return false
		}
	}
	return true
}

func (p *Producer) tick() {
	if p.stage.stopped {
		return
	}
	p.stage.env.After(p.pause(p.stage.Pace), p.tick)
	if p.identified && p.inFlight < inFlightMax {
		p.produce()
	}
}

// produce sends a new batch, sometimes one to each of two partitions.
func (p *Producer) produce() {
	var batch []pair
	for range 1 + p.rng.IntN(2) {
		t, key, ok := p.stage.pick(p.rng.IntN)
		if !ok {
			return
		}
		l := p.lane(t, key)
		if l.draining || len(l.batches) >= inFlightMax || contains(batch, l) {
			continue
		}
		batch = append(batch, pair{l, p.compose(l)})
	}
	p.send(batch)
}

type pair struct {
	l *lane
	b *sending
}

func contains(batch []pair, l *lane) bool {
	for _, x := range batch {
		if x.l == l {
			return true
		}
	}
	return false
}

func (p *Producer) lane(t *Topic, key protocol.TopicPartition) *lane {
	l := p.byKey[key]
	if l == nil {
		l = &lane{topic: t, key: key}
		if p.stage.NearWrap {
			l.next = math.MaxInt32 - int32(p.rng.IntN(30))
		}
		p.byKey[key] = l
		p.lanes = append(p.lanes, l)
	}
	return l
}

func (p *Producer) compose(l *lane) *sending {
	op := check.Op{
		Process: p.process, Func: check.Send, Key: l.key, Acks: p.acks, Idempotent: p.idempotent, Offset: -1, LogStart: -1, Keyed: l.topic.Compacted,
		Values: p.stage.nextValues(1 + p.rng.IntN(p.stage.BatchMax)), ByName: p.byName(),
	}
	at := p.stage.env.Wall().UnixMilli()
	for range op.Values {
		op.Timestamps = append(op.Timestamps, at)
		at += int64(p.rng.IntN(3))
	}
	b := &sending{op: p.stage.Rec.Invoke(op), sequence: l.next, began: p.stage.env.Now()}
	next := advance(l.next, len(op.Values))
	p.stage.sometimes("sequence wrapped", next < l.next)
	l.next = next
	for _, o := range l.batches {
		o.behind++
	}
	l.batches = append(l.batches, b)
	return b
}

// advance is the sequence n records on; it wraps to 0 behind the largest int32.
func advance(sequence int32, n int) int32 {
	return int32((int64(sequence) + int64(n)) % (math.MaxInt32 + 1))
}

// byName reports whether Produce names topics by name rather than by id.
func (p *Producer) byName() bool { return p.version(kmsg.NewPtrProduceRequest(), 3) < 13 }

// send puts batches of different partitions into one request.
func (p *Producer) send(batch []pair) {
	if len(batch) == 0 {
		return
	}
	req := kmsg.NewPtrProduceRequest()
	req.Version, req.Acks, req.TimeoutMillis = p.version(req, 3), p.acks, 5000
	for _, x := range batch {
		p.addTo(req, x)
		x.l.inFlight++
		x.b.sent = true
		if x.b.life == 0 && p.conn != nil {
			x.b.life = p.conn.Life()
		}
	}
	p.inFlight++
	p.call(req, func(r kmsg.Response, err error) {
		p.inFlight--
		for _, x := range batch {
			x.l.inFlight--
			x.b.unsure = x.b.unsure || err != nil && err != errRefused
		}
		resp, answered := r.(*kmsg.ProduceResponse)
		for _, x := range batch {
			switch {
			case !x.l.holds(x.b): // decided meanwhile
			case answered:
				p.answered(x, resp)
			default:
				p.unknown(x, err)
			}
		}
		for _, x := range batch {
			p.settle(x.l)
		}
	})
}

func (p *Producer) addTo(req *kmsg.ProduceRequest, x pair) {
	t := kmsg.NewProduceRequestTopic()
	t.Topic, t.TopicID = x.l.topic.Name, x.l.topic.ID
	part := kmsg.NewProduceRequestTopicPartition()
	part.Partition = x.l.key.Partition
	sequence := x.b.sequence
	if !p.idempotent {
		sequence = -1
	}
	part.Records = encodeBatch(x.b.op, p.id, sequence, p.stage.PadMax)
	for i := range req.Topics {
		if req.Topics[i].TopicID == t.TopicID {
			req.Topics[i].Partitions = append(req.Topics[i].Partitions, part)
			return
		}
	}
	t.Partitions = append(t.Partitions, part)
	req.Topics = append(req.Topics, t)
}

// answered finds a batch's part of an answer.
func (p *Producer) answered(x pair, resp *kmsg.ProduceResponse) {
	part := findProduced(resp, x.l)
	if part == nil {
		p.stage.violate("%s: Produce v%d has no answer for %v", p.name, resp.Version, x.l.key)
		p.unknown(x, errClosed)
		return
	}
	p.stage.saw("Produce", part.ErrorCode)
	p.judge(x, part)
}

func findProduced(resp *kmsg.ProduceResponse, l *lane) *kmsg.ProduceResponseTopicPartition {
	for i := range resp.Topics {
		t := &resp.Topics[i]
		if t.Topic != l.topic.Name && t.TopicID != l.topic.ID {
			continue
		}
		for j := range t.Partitions {
			if t.Partitions[j].Partition == l.key.Partition {
				return &t.Partitions[j]
			}
		}
	}
	return nil
}

// judge decides what an answer says about a batch. Source: the error table of Jepsen's Kafka workload.
func (p *Producer) judge(x pair, part *kmsg.ProduceResponseTopicPartition) {
	code := protocol.Code(part.ErrorCode)
	if code != protocol.None && part.BaseOffset != -1 {
		p.stage.violate("%s: %s with base offset %d", p.name, code.Name(), part.BaseOffset)
	}
	switch code {
	case protocol.None:
		p.acknowledge(x, part)
	case protocol.OutOfOrderSequence:
		p.outOfOrder(x, code)
	case protocol.UnknownProducerID, protocol.InvalidProducerEpoch, protocol.ProducerFenced, protocol.DuplicateSequence, protocol.InvalidTxnState:
		p.fenced(x, code)
	case protocol.NotLeaderOrFollower, protocol.RequestTimedOut, protocol.UnknownServerError, protocol.NotEnoughReplicasAfter, protocol.KafkaStorageError,
		protocol.NetworkException, protocol.CorruptMessage:
		p.unknown(x, code)
	case protocol.UnknownTopicOrPartition, protocol.UnknownTopicID, protocol.InconsistentTopicID:
		p.topicGone(x, code)
	default:
		p.refused(x, code)
	}
}

func (p *Producer) acknowledge(x pair, part *kmsg.ProduceResponseTopicPartition) {
	op := x.b.op
	op.Offset, op.LogStart = part.BaseOffset, part.LogStartOffset
	p.answeredBy(op)
	if part.BaseOffset < 0 {
		p.stage.violate("%s: acknowledged at offset %d", p.name, part.BaseOffset)
	}
	if !x.l.topic.gone && x.l.topic.LogAppendTime != (part.LogAppendTime >= 0) {
		p.stage.violate("%s: log append time %d for %v", p.name, part.LogAppendTime, x.l.key)
	}
	p.stage.Acked++
	end := part.BaseOffset + int64(len(op.Values))
	repeated := x.b.unsure && end <= p.stage.highest[op.Key]
	p.stage.sometimes("repeated batch recognised", repeated)
	p.stage.sometimes("repeated batch recognised by a later life", repeated && op.Life != x.b.life)
	p.stage.sometimes("repeated batch recognised with four behind it", repeated && x.b.behind >= 4)
	p.stage.sometimes("batch decided by a later life", op.Life != x.b.life)
	if !x.l.topic.gone {
		p.stage.Acknowledged(x.l.topic, op)
	}
	p.stage.highest[op.Key] = max(p.stage.highest[op.Key], end)
	p.finish(x, check.OK, nil)
}

// finish ends a batch.
func (p *Producer) finish(x pair, outcome check.Outcome, err error) {
	op := x.b.op
	if err != nil {
		op.Err = err.Error()
	}
	if x.b.unsure && outcome == check.Fail {
		outcome = check.Info // an earlier attempt may have done it
	}
	p.stage.Rec.Complete(op, outcome)
	x.l.batches = slices.DeleteFunc(x.l.batches, func(b *sending) bool { return b == x.b })
}

// unknown is an attempt that may or may not have appended the batch.
func (p *Producer) unknown(x pair, err error) {
	if p.acks == 0 && err == nil {
		p.stage.Acked++ // as much as there will ever be
		p.finish(x, check.Info, nil)
		return
	}
	if err == errRefused && !p.idempotent {
		p.finish(x, check.Fail, err) // never left
		return
	}
	x.b.unsure = x.b.unsure || err != errRefused
	if p.idempotent && p.stage.env.Now()-x.b.began < deliveryTimeout {
		x.l.draining = true
		return
	}
	p.retire(err)
}

// refused is a definite no to this attempt.
func (p *Producer) refused(x pair, code protocol.Code) {
	if p.idempotent && code.Retriable() && p.stage.env.Now()-x.b.began < deliveryTimeout {
		x.l.draining = true
		return
	}
	if p.idempotent {
		p.retireAfter(x, code) // the sequence has a hole now
		return
	}
	p.finish(x, check.Fail, code)
}

// outOfOrder is right for a batch behind one that failed, and wrong for the first.
func (p *Producer) outOfOrder(x pair, code protocol.Code) {
	if len(x.l.batches) > 0 && x.l.batches[0] != x.b || x.l.draining {
		x.l.draining = true
		return
	}
	p.fenced(x, code)
}

// fenced is an answer that ends the producer. With all its acknowledged batches in place the broker has no reason to give it.
func (p *Producer) fenced(x pair, code protocol.Code) {
	astray := x.b.op.ByName && x.l.topic.again // batches meant for the incarnation before have their sequences here
	if !x.l.topic.gone && !astray && !p.stage.Excused(x.l.topic) {
		p.stage.violate("%s: %s for %v at sequence %d, the first undecided batch", p.name, code.Name(), x.l.key, x.b.sequence)
	}
	p.retireAfter(x, code)
}

// topicGone is the end of a lane whose topic somebody deleted; for any other the broker may not be ready yet.
func (p *Producer) topicGone(x pair, code protocol.Code) {
	if !x.l.topic.gone {
		p.refused(x, code)
		return
	}
	p.finish(x, check.Fail, code)
	p.giveUp(x.l, code)
}

func (p *Producer) giveUp(l *lane, err error) {
	for len(l.batches) > 0 {
		p.finish(pair{l, l.batches[0]}, check.Info, err)
	}
}

func (p *Producer) retireAfter(x pair, code protocol.Code) {
	p.finish(x, check.Fail, code)
	p.retire(code)
}

// retire ends the process: what is undecided stays unknown, and a new process takes over.
func (p *Producer) retire(err error) {
	lanes := p.lanes
	p.renew()
	for _, l := range lanes {
		for len(l.batches) > 0 {
			b := l.batches[0]
			outcome := check.Info
			if !b.sent {
				outcome = check.Fail
			}
			p.finish(pair{l, b}, outcome, err)
		}
	}
	p.identify()
}

// settle sends everything again once a lane that drains has drained.
func (p *Producer) settle(l *lane) {
	if !l.draining || l.waiting || l.inFlight > 0 || !p.identified || p.byKey[l.key] != l {
		return
	}
	if l.topic.gone {
		p.giveUp(l, protocol.UnknownTopicOrPartition)
		return
	}
	l.waiting = true
	p.stage.env.After(p.pause(50*time.Millisecond), func() {
		l.waiting = false
		p.resend(l)
	})
}

func (p *Producer) resend(l *lane) {
	if p.byKey[l.key] != l || !p.identified || l.inFlight > 0 {
		return
	}
	l.draining = false
	for _, b := range slices.Clone(l.batches) {
		if p.identified && l.holds(b) {
			p.send([]pair{{l, b}})
		}
	}
}

func (l *lane) holds(b *sending) bool { return slices.Contains(l.batches, b) }
