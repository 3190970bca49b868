package client

import (
	"testing"
	"time"

	"github.com/troupe-broker/troupe/actors"
	"github.com/troupe-broker/troupe/actors/actortest"
	"github.com/troupe-broker/troupe/actors/protocol"
	"github.com/troupe-broker/troupe/actors/record"
)

// writer is a producer that has producer id 5.
type writer struct {
	*actortest.Harness
	t *testing.T
	p *producer
}

func newWriter(t *testing.T, s Production) *writer {
	s.Routes = &paths{}
	w := &writer{t: t}
	w.p = Produce(s).New().(*producer)
	w.Harness = actortest.New(t, w.p)
	w.Start()
	w.p.id = 5
	return w
}

// order produces values to partition 0; the answer carries id.
func (w *writer) order(id uint64, values ...string) {
	w.t.Helper()
	m := &protocol.ProduceRecords{Topic: "t"}
	m.SetHead(alice, id)
	for _, v := range values {
		m.Records = append(m.Records, protocol.Record{Value: []byte(v)})
	}
	w.Deliver(m)
}

// sent is the one batch that the end of the turn sends, with its values.
func (w *writer) sent() (m *protocol.Produce, b record.Batch, values string) {
	w.t.Helper()
	m = actortest.Take[*protocol.Produce](w.t, w.EndTurn())
	b = record.Batch(m.Batch)
	if err := b.Verify(); err != nil {
		w.t.Fatal(err)
	}
	_ = b.Each(nil, func(r record.Record) error { values += string(r.Value); return nil })
	return m, b, values
}

func (w *writer) answer(m *protocol.Produce, code protocol.Code, base int64) []actortest.Effect {
	w.t.Helper()
	return w.Deliver(&protocol.Produced{Answer: protocol.Answer{ID: m.ID}, Fault: protocol.Fault{Code: code}, BaseOffset: base})
}

func TestATurnIsOneBatchAndTheNextWaitsForIt(t *testing.T) {
	w := newWriter(t, Production{})
	w.order(1, "a", "b")
	w.order(2, "c")
	m, b, values := w.sent()
	if values != "abc" || b.ProducerID() != 5 || b.BaseSequence() != 0 || m.Acks != -1 {
		t.Fatalf("%s, %d, %d", values, b.ProducerID(), b.BaseSequence())
	}
	w.order(3, "d")
	actortest.Expect(t, w.EndTurn())
	got := actortest.Messages(w.answer(m, protocol.None, 40))
	if len(got) != 2 || got[0].(*protocol.RecordsProduced).ID != 1 || got[1].(*protocol.RecordsProduced).Records[0].Offset != 42 {
		t.Fatalf("%+v", got)
	}
	if _, b, values = w.sent(); values != "d" || b.BaseSequence() != 3 {
		t.Errorf("%s, %d", values, b.BaseSequence())
	}
}

func TestARetryIsTheSameBatch(t *testing.T) {
	w := newWriter(t, Production{})
	w.order(1, "a")
	m, first, _ := w.sent()
	crc := first.CRC()
	w.order(2, "b")
	w.answer(m, protocol.NotLeaderOrFollower, -1)
	actortest.Expect(t, w.EndTurn())
	w.Advance(retryWait)
	m, b, values := w.sent()
	if values != "a" || b.BaseSequence() != 0 || b.CRC() != crc {
		t.Fatalf("%s at %d", values, b.BaseSequence())
	}
	w.answer(m, protocol.None, 7)
	if _, b, values = w.sent(); values != "b" || b.BaseSequence() != 1 {
		t.Errorf("%s at %d", values, b.BaseSequence())
	}
}

func TestARefusedBatchLeavesItsSequenceToTheNext(t *testing.T) {
	w := newWriter(t, Production{})
	w.order(1, "a")
	m, _, _ := w.sent()
	w.order(2, "b")
	r := actortest.Take[*protocol.RecordsProduced](t, w.answer(m, protocol.MessageTooLarge, -1))
	if r.Code != protocol.MessageTooLarge || r.Records[0].Offset != -1 {
		t.Errorf("%+v", r)
	}
	if _, b, values := w.sent(); values != "b" || b.BaseSequence() != 0 || b.ProducerID() != 5 {
		t.Errorf("%s at %d", values, b.BaseSequence())
	}
}

func TestAfterAnUnknownFateAnotherIDGoesOn(t *testing.T) {
	w := newWriter(t, Production{DeliveryTimeout: time.Second, RequestTimeout: 2 * time.Second})
	w.order(1, "a")
	w.sent()
	w.order(2, "b")
	r := actortest.Take[*protocol.RecordsProduced](t, w.Advance(2*time.Second+answerGrace))
	if r.ID != 1 || r.Code != protocol.RequestTimedOut {
		t.Errorf("%+v", r)
	}
	ask := actortest.Take[*protocol.TakeProducerID](t, w.EndTurn())
	w.Deliver(&protocol.ProducerIDTaken{Answer: protocol.Answer{ID: ask.ID}, ProducerID: 6})
	if _, b, values := w.sent(); values != "b" || b.BaseSequence() != 0 || b.ProducerID() != 6 {
		t.Errorf("%s at %d of %d", values, b.BaseSequence(), b.ProducerID())
	}
}

func TestBoundsOfAProducer(t *testing.T) {
	w := newWriter(t, Production{BatchBytes: 200, BufferBytes: 400})
	w.order(1, "a", "b", "c", "d")
	m, _, values := w.sent()
	if values != "abc" {
		t.Errorf("%s in a batch of 200 bytes", values)
	}
	full := &protocol.ProduceRecords{Topic: "t", Records: []protocol.Record{{Value: make([]byte, 200)}}}
	full.SetHead(alice, 2)
	if r := actortest.Take[*protocol.RecordsProduced](t, w.Deliver(full)); r.Code != protocol.ThrottlingQuotaExceeded || len(r.Records) != 1 {
		t.Errorf("%+v", r)
	}
	w.answer(m, protocol.None, 0)
	m, _, _ = w.sent()
	w.answer(m, protocol.None, 3)
	if w.p.buffered != 0 {
		t.Errorf("%d bytes of nothing", w.p.buffered)
	}
	unknown := &protocol.ProduceRecords{Topic: "u", Records: make([]protocol.Record, 2)}
	unknown.SetHead(alice, 3)
	if r := actortest.Take[*protocol.RecordsProduced](t, w.Deliver(unknown)); r.Code != protocol.UnknownTopicOrPartition || len(r.Records) != 2 {
		t.Errorf("%+v", r)
	}
}

func TestAProducerThatStopsAnswersEverybody(t *testing.T) {
	w := newWriter(t, Production{})
	w.order(1, "a")
	w.sent()
	w.order(2, "b")
	if got := actortest.Messages(w.Deliver(actors.Stopping{})); len(got) != 2 {
		t.Errorf("%+v", got)
	}
}
