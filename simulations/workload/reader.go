package workload

import (
	"fmt"
	"slices"

	"github.com/cespare/xxhash/v2"
	"github.com/troupe-broker/troupe/actors/protocol"
	"github.com/troupe-broker/troupe/simulations/check"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Reader is the final read: every partition of every topic that is still there, from its log start to its end and at least to the
// highest acknowledged offset.
type Reader struct {
	client
	process int
	left    []*place
	busy    bool
	// Reads counts the records.
	Reads int64
	// Order lists the partitions that were read to the end.
	Order  []protocol.TopicPartition
	sums   map[protocol.TopicPartition]*xxhash.Digest
	record bool
	// committed reads with isolation level read_committed; the end is then where nothing is undecided any more.
	committed bool
	// Skip says which partitions may be unreadable: one that answers with an error is then given up.
	Skip func(protocol.TopicPartition) bool
}

// StartReader begins a final read. With record it counts as the final read of the history.
func StartReader(s *Stage, name string, record bool) *Reader {
	r := &Reader{client: newClient(s, name), process: s.newProcess(), record: record, sums: map[protocol.TopicPartition]*xxhash.Digest{}}
	r.Skip = func(protocol.TopicPartition) bool { return false }
	for _, t := range s.topics {
		for i := range t.Partitions {
			r.left = append(r.left, &place{topic: t, key: protocol.TopicPartition{Topic: t.ID, Partition: i}, offset: -1})
		}
	}
	r.ready, r.broken = func() { r.step() }, func() { r.busy = false }
	r.dial()
	return r
}

// StartCommittedReader begins a final read with isolation level read_committed.
func StartCommittedReader(s *Stage, name string) *Reader {
	r := StartReader(s, name, true)
	r.committed = true
	return r
}

// Done reports whether everything was read.
func (r *Reader) Done() bool { return len(r.left) == 0 }

// Left describes what is not yet read, for a report.
func (r *Reader) Left() string {
	out := ""
	for _, p := range r.left {
		out += fmt.Sprintf(" %s/%d from %d (acknowledged to %d)", p.topic.Name, p.key.Partition, p.offset, r.stage.highest[p.key])
	}
	return out
}

func (r *Reader) step() {
	if !r.up || r.busy || r.Done() {
		return
	}
	r.busy = true
	if p := r.left[0]; p.offset < 0 {
		r.find(p)
	} else {
		r.fetch(p)
	}
}

func (r *Reader) again(failed bool) {
	wait := errorWait / 20
	if failed {
		wait = errorWait
	}
	r.stage.env.After(r.pause(wait), func() {
		r.busy = false
		r.step()
	})
}

// rotate puts the first place behind the others, so that one that cannot be read does not keep the rest waiting; or gives it up.
func (r *Reader) rotate(code protocol.Code) {
	p := r.left[0]
	r.left = r.left[1:]
	if !r.Skip(p.key) || code != protocol.KafkaStorageError && code != protocol.CorruptMessage {
		r.left = append(r.left, p)
	}
}

func (r *Reader) find(p *place) {
	r.list(p.topic, p.key, check.AtEarliest, r.process, func(offset int64, code protocol.Code, err error) {
		if err != nil {
			return
		}
		if code != protocol.None {
			r.rotate(code)
			r.again(true)
			return
		}
		op := r.stage.Rec.Invoke(check.Op{Process: r.process, Func: check.Assign, Key: p.key, Offset: offset})
		r.stage.Rec.Complete(op, check.OK)
		p.offset = offset
		r.again(false)
	})
}

func (r *Reader) fetch(p *place) {
	req := kmsg.NewPtrFetchRequest()
	req.Version = r.version(req, 4)
	req.MaxWaitMillis, req.MinBytes, req.MaxBytes = 100, 1, 1<<20
	req.SessionEpoch = -1
	if r.committed {
		req.IsolationLevel = 1
	}
	part := kmsg.NewFetchRequestTopicPartition()
	part.Partition, part.FetchOffset, part.PartitionMaxBytes, part.CurrentLeaderEpoch = p.key.Partition, p.offset, 1<<20, -1
	t := kmsg.NewFetchRequestTopic()
	t.Topic, t.TopicID, t.Partitions = p.topic.Name, p.topic.ID, append(t.Partitions, part)
	req.Topics = append(req.Topics, t)
	began := r.stage.Rec.Now()
	r.call(req, func(k kmsg.Response, err error) {
		if err != nil {
			return
		}
		resp := k.(*kmsg.FetchResponse)
		if resp.ErrorCode != 0 || len(resp.Topics) != 1 || len(resp.Topics[0].Partitions) != 1 || resp.Topics[0].Partitions[0].ErrorCode != 0 {
			r.failed(p, resp)
			return
		}
		r.took(p, &resp.Topics[0].Partitions[0], began)
	})
}

func (r *Reader) failed(p *place, resp *kmsg.FetchResponse) {
	code := protocol.Code(resp.ErrorCode)
	if len(resp.Topics) == 1 && len(resp.Topics[0].Partitions) == 1 {
		code = protocol.Code(resp.Topics[0].Partitions[0].ErrorCode)
	}
	r.stage.saw("Fetch", int16(code))
	if code == protocol.OffsetOutOfRange {
		p.offset = -1 // records were deleted meanwhile
	}
	r.rotate(code)
	r.again(true)
}

func (r *Reader) took(p *place, part *kmsg.FetchResponseTopicPartition, began check.Instant) {
	from := p.offset
	p.offset = r.stage.record(&r.client, p, part, began, check.Op{Process: r.process, Final: r.record, Committed: r.committed})
	r.Reads += p.offset - from
	if r.sums[p.key] == nil {
		r.sums[p.key] = xxhash.New()
	}
	r.sums[p.key].Write(part.RecordBatches)
	if r.committed && r.stage.Excused(p.topic) && p.offset >= part.LastStableOffset {
		r.remove(p) // what ended a transaction may be gone
		r.again(false)
		return
	}
	enough := p.offset >= part.HighWatermark && (p.offset >= r.stage.highest[p.key] || r.stage.Excused(p.topic))
	if !enough {
		r.again(p.offset == from)
		return
	}
	if r.record && r.committed {
		r.stage.Rec.FinishCommitted(p.key)
	} else if r.record {
		r.stage.Rec.Finish(p.key)
	}
	r.Order = append(r.Order, p.key)
	r.remove(p)
	r.again(false)
}

func (r *Reader) remove(p *place) {
	r.left = slices.DeleteFunc(r.left, func(o *place) bool { return o == p })
}

// Sum is a digest of everything read from a partition; 0 if it was not read to the end.
func (r *Reader) Sum(key protocol.TopicPartition) uint64 {
	if !slices.Contains(r.Order, key) {
		return 0
	}
	return r.sums[key].Sum64()
}
