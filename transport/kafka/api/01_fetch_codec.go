package api

import (
	"github.com/troupe-broker/troupe/actors/protocol"
	"github.com/troupe-broker/troupe/transport/kafka/wire"
)

// The Fetch request and response, by hand because of the records: they are spliced into the response from their segment file.
// Differentially tested against kmsg for every version.

const (
	fetchFlexible = 12 // first version with compact lengths and tags
	fetchByID     = 13 // first version that names topics by id
)

// fetchRequest is a decoded request. It owns all it holds.
type fetchRequest struct {
	replica      int32 // -1: a consumer
	maxWaitMs    int32
	minBytes     int32
	maxBytes     int32
	committed    bool // isolation level read_committed
	sessionID    int32
	sessionEpoch int32
	parts        []fetchPart // in request order
	forgotten    []fetchTopicPartition
	rack         string
}

// fetchTopicPartition names a partition as a request does: by name below v13, by id from there on.
type fetchTopicPartition struct {
	name      string
	id        protocol.TopicID
	partition int32
}

func (a fetchTopicPartition) sameTopic(b fetchTopicPartition) bool {
	return a.id == b.id && a.name == b.name
}

// fetchPart is what a request wants of one partition.
type fetchPart struct {
	fetchTopicPartition
	leaderEpoch      protocol.LeaderEpoch
	offset           int64
	lastFetchedEpoch protocol.LeaderEpoch
	maxBytes         int32
}

// The memory a decoded request may take, against frames full of tiny topics: see decodeBudget.
const (
	fetchPartCost  = 80
	fetchTopicCost = 40
)

// decode reads a request body of the version.
func (f *fetchRequest) decode(version int16, body []byte) error {
	r := wire.NewReader(body, version >= fetchFlexible)
	f.replica, f.sessionEpoch = -1, -1
	budget := decodeBudget(len(body))
	if version <= 14 {
		f.replica = r.Int32()
	}
	f.maxWaitMs = r.Int32()
	f.minBytes = r.Int32()
	f.maxBytes = r.Int32()
	f.committed = r.Int8() == 1
	if version >= 7 {
		f.sessionID = r.Int32()
		f.sessionEpoch = r.Int32()
	}
	for n := r.Array(3); n > 0 && r.Err() == nil; n-- {
		f.decodeTopic(&r, version, &budget)
	}
	if version >= 7 {
		for n := r.Array(3); n > 0 && r.Err() == nil; n-- {
			f.decodeForgotten(&r, version, &budget)
		}
	}
	if version >= 11 {
		f.rack = string(r.String())
	}
	r.Tags(func(key uint32, field *wire.Reader) {
		switch key {
		case 0: // the cluster id, for followers of the metadata quorum
			field.NullableString()
		case 1: // ReplicaState
			replica := field.Int32()
			field.Int64() // the replica's epoch
			field.Tags(nil)
			if version >= 15 {
				f.replica = replica
			}
		}
	})
	return r.Err()
}

// decodeTopicName reads how a topic is named and charges for it.
func decodeTopicName(r *wire.Reader, version int16, budget *int) (tp fetchTopicPartition) {
	if version >= fetchByID {
		tp.id = r.UUID()
	} else {
		tp.name = string(r.String())
	}
	charge(r, budget, fetchTopicCost+len(tp.name))
	return tp
}

// charge takes cost from the budget; beyond it the request counts as malformed.
func charge(r *wire.Reader, budget *int, cost int) {
	if *budget -= cost; *budget < 0 {
		r.Fail()
	}
}

func (f *fetchRequest) decodeTopic(r *wire.Reader, version int16, budget *int) {
	topic := decodeTopicName(r, version, budget)
	n := max(0, r.Array(16))
	charge(r, budget, n*fetchPartCost)
	for ; n > 0 && r.Err() == nil; n-- {
		p := fetchPart{fetchTopicPartition: topic, leaderEpoch: protocol.NoLeaderEpoch, lastFetchedEpoch: protocol.NoLeaderEpoch}
		p.partition = r.Int32()
		if version >= 9 {
			p.leaderEpoch = protocol.LeaderEpoch(r.Int32())
		}
		p.offset = r.Int64()
		if version >= 12 {
			p.lastFetchedEpoch = protocol.LeaderEpoch(r.Int32())
		}
		if version >= 5 {
			r.Int64() // a follower's log start offset
		}
		p.maxBytes = r.Int32()
		r.Tags(followerTags)
		f.parts = append(f.parts, p)
	}
	r.Tags(nil)
}

// followerTags passes over what only followers say of a partition.
func followerTags(key uint32, field *wire.Reader) {
	switch key {
	case 0: // the replica's directory
		field.UUID()
	case 1: // the high watermark it knows
		field.Int64()
	}
}

func (f *fetchRequest) decodeForgotten(r *wire.Reader, version int16, budget *int) {
	topic := decodeTopicName(r, version, budget)
	n := max(0, r.Array(4))
	charge(r, budget, n*fetchTopicCost)
	for ; n > 0 && r.Err() == nil; n-- {
		topic.partition = r.Int32()
		f.forgotten = append(f.forgotten, topic)
	}
	r.Tags(nil)
}

// fetchResponse is a response ready to be encoded. Its records still pin their files.
type fetchResponse struct {
	version   int16
	code      protocol.Code
	sessionID int32
	parts     []fetchedPart
	brokers   []brokerAddress
}

// fetchedPart is one partition of a response. Consecutive parts of one topic share its entry.
type fetchedPart struct {
	fetchTopicPartition
	code                             protocol.Code
	highWatermark, lastStable, start int64
	aborted                          []abortedTxn // nil: null, as for read_uncommitted
	leader                           leaderHint
	diverging                        divergingEpoch
	records                          wire.Range
}

// abortedTxn is a transaction whose records a read_committed consumer skips, from first on.
type abortedTxn struct {
	producer protocol.ProducerID
	first    int64
}

// divergingEpoch tells where a reader's log and ours part (KIP-595). The zero value is "nowhere".
type divergingEpoch struct {
	known bool
	epoch protocol.LeaderEpoch
	end   int64
}

// appendTo appends the response body and hands its records over to o.
func (f *fetchResponse) appendTo(o *wire.Out) {
	o.Flexible = f.version >= fetchFlexible
	o.Int32(0) // throttle time
	if f.version >= 7 {
		o.Int16(int16(f.code))
		o.Int32(f.sessionID)
	}
	topics := 0
	for i := range f.parts {
		if i == 0 || !f.parts[i].sameTopic(f.parts[i-1].fetchTopicPartition) {
			topics++
		}
	}
	o.Array(topics)
	for first := 0; first < len(f.parts); {
		past := first + 1
		for past < len(f.parts) && f.parts[past].sameTopic(f.parts[first].fetchTopicPartition) {
			past++
		}
		if f.version >= fetchByID {
			o.UUID(f.parts[first].id)
		} else {
			o.String(f.parts[first].name)
		}
		o.Array(past - first)
		for ; first < past; first++ {
			f.parts[first].appendTo(o, f.version)
		}
		o.NoTags()
	}
	appendBrokers(&o.Writer, f.brokers)
	o.Flexible = false
}

func (p *fetchedPart) appendTo(o *wire.Out, version int16) {
	o.Int32(p.partition)
	o.Int16(int16(p.code))
	o.Int64(p.highWatermark)
	o.Int64(p.lastStable)
	if version >= 5 {
		o.Int64(p.start)
	}
	if p.aborted == nil {
		o.Array(-1)
	} else {
		o.Array(len(p.aborted))
		for _, a := range p.aborted {
			o.Int64(int64(a.producer))
			o.Int64(a.first)
			o.NoTags()
		}
	}
	if version >= 11 {
		o.Int32(-1) // preferred read replica: consumers read from the leader
	}
	o.BytesLen(p.records.Len)
	if p.records.Len > 0 {
		o.Range(p.records)
		p.records = wire.Range{}
	}
	if o.Flexible {
		p.appendTags(&o.Writer)
	}
}

func (p *fetchedPart) appendTags(w *wire.Writer) {
	if !p.diverging.known {
		p.leader.appendTag(w, 1)
		return
	}
	n := uint32(1)
	if p.leader.known {
		n = 2
	}
	w.Uvarint(n)
	w.Tag(0, func(w *wire.Writer) {
		w.Int32(int32(p.diverging.epoch))
		w.Int64(p.diverging.end)
		w.NoTags()
	})
	if p.leader.known {
		w.Tag(1, func(w *wire.Writer) {
			w.Int32(int32(p.leader.node))
			w.Int32(int32(p.leader.epoch))
			w.NoTags()
		})
	}
}

// discard gives the records' files back when nobody will read the response.
func (f *fetchResponse) discard() {
	for i := range f.parts {
		f.parts[i].records.Release()
		f.parts[i].records = wire.Range{}
	}
}
