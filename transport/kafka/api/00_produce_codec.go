package api

import (
	"github.com/troupe-broker/troupe/actors/protocol"
	"github.com/troupe-broker/troupe/transport/kafka/wire"
)

// The Produce request and response, by hand because every byte a producer sends passes here: no allocation once the slices have
// grown. Differentially tested against kmsg for every version.

const (
	produceFlexible = 9  // first version with compact lengths and tags
	produceByID     = 13 // first version that names topics by id
	produceMin      = 3  // first version that carries v2 batches, the only ones we store
)

// produceRequest is a decoded request and, in its parts, what became of it. Reused; everything but names is valid only while the
// frame is.
type produceRequest struct {
	version   int16
	txnID     []byte // nil: none
	acks      int16
	timeoutMs int32
	topics    []produceTopic
	parts     []producePart // of all topics, in request order
	names     []byte        // topic names, copied: the response outlives the frame
}

// produceTopic is one topic of a request: parts[first:past].
type produceTopic struct {
	id                 protocol.TopicID
	nameStart, nameEnd int // in names
	first, past        int
}

// producePart is one partition of a request, then of its response.
type producePart struct {
	partition int32
	records   []byte // view of the frame; nil: null
	count     int32  // of records, once checked

	answered       bool
	code           protocol.Code
	baseOffset     int64
	logAppendTime  int64
	logStartOffset int64
	reason         string
	faults         []protocol.RecordFault
	leader         leaderHint
}

// leaderHint tells a client where the leader went, sparing it a Metadata request (KIP-951). The zero value is "no hint".
type leaderHint struct {
	known bool
	node  protocol.NodeID
	epoch protocol.LeaderEpoch
}

func (p *produceRequest) name(t *produceTopic) []byte { return p.names[t.nameStart:t.nameEnd] }

// reset keeps the slices and forgets what they hold.
func (p *produceRequest) reset() {
	clear(p.parts)
	p.txnID, p.topics, p.parts, p.names = nil, p.topics[:0], p.parts[:0], p.names[:0]
}

// What a decoded request takes in memory: see decodeBudget.
const (
	produceTopicCost = 48
	producePartCost  = 128
)

// decode reads a request body of the version. Nothing is kept on an error.
func (p *produceRequest) decode(version int16, body []byte) error {
	r := wire.NewReader(body, version >= produceFlexible)
	p.version = version
	if version >= produceMin {
		p.txnID, _ = r.NullableString()
	}
	p.acks = r.Int16()
	p.timeoutMs = r.Int32()
	budget := decodeBudget(len(body))
	for n := r.Array(3); n > 0 && r.Err() == nil; n-- {
		p.decodeTopic(&r, &budget)
	}
	r.Tags(nil)
	return r.Err()
}

func (p *produceRequest) decodeTopic(r *wire.Reader, budget *int) {
	t := produceTopic{nameStart: len(p.names), first: len(p.parts)}
	if p.version >= produceByID {
		t.id = r.UUID()
	} else {
		p.names = append(p.names, r.String()...)
	}
	t.nameEnd = len(p.names)
	n := max(0, r.Array(5))
	charge(r, budget, produceTopicCost+n*producePartCost)
	for ; n > 0 && r.Err() == nil; n-- {
		part := producePart{partition: r.Int32(), records: r.NullableBytes(), baseOffset: -1, logAppendTime: -1, logStartOffset: -1}
		r.Tags(nil)
		p.parts = append(p.parts, part)
	}
	r.Tags(nil)
	t.past = len(p.parts)
	p.topics = append(p.topics, t)
}

// appendTo appends the response body. brokers are the nodes the hints name.
func (p *produceRequest) appendTo(w *wire.Writer, brokers []brokerAddress) {
	w.Flexible = p.version >= produceFlexible
	w.Array(len(p.topics))
	for i := range p.topics {
		t := &p.topics[i]
		if p.version >= produceByID {
			w.UUID(t.id)
		} else {
			w.String(string(p.name(t)))
		}
		w.Array(t.past - t.first)
		for j := t.first; j < t.past; j++ {
			p.parts[j].appendTo(w, p.version)
		}
		w.NoTags()
	}
	if p.version >= 1 {
		w.Int32(0) // throttle time
	}
	appendBrokers(w, brokers)
	w.Flexible = false
}

func (part *producePart) appendTo(w *wire.Writer, version int16) {
	w.Int32(part.partition)
	w.Int16(int16(part.code))
	w.Int64(part.baseOffset)
	if version >= 2 {
		w.Int64(part.logAppendTime)
	}
	if version >= 5 {
		w.Int64(part.logStartOffset)
	}
	if version >= 8 {
		w.Array(len(part.faults))
		for _, f := range part.faults {
			w.Int32(f.Index)
			w.StringOrNull(f.Reason)
			w.NoTags()
		}
		w.StringOrNull(part.reason)
	}
	if version < 10 {
		w.NoTags()
		return
	}
	part.leader.appendTag(w, 0)
}

// appendTag appends the tagged fields of a partition: the hint under its key, if there is one.
func (h leaderHint) appendTag(w *wire.Writer, key uint32) {
	if !h.known {
		w.Uvarint(0)
		return
	}
	w.Uvarint(1)
	w.Uvarint(key)
	w.Uvarint(9)
	w.Int32(int32(h.node))
	w.Int32(int32(h.epoch))
	w.Uvarint(0)
}

// brokerAddress is where a client finds a broker.
type brokerAddress struct {
	node protocol.NodeID
	host string
	port int32
	rack string // empty: none
}

// appendBrokers appends the tagged fields of a response: the node endpoints under key 0, if there are any (KIP-951).
func appendBrokers(w *wire.Writer, brokers []brokerAddress) {
	if !w.Flexible || len(brokers) == 0 {
		w.NoTags()
		return
	}
	w.Uvarint(1)
	w.Tag(0, func(w *wire.Writer) {
		w.Array(len(brokers))
		for _, b := range brokers {
			w.Int32(int32(b.node))
			w.String(b.host)
			w.Int32(b.port)
			w.StringOrNull(b.rack)
			w.NoTags()
		}
	})
}
