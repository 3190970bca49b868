package workload

import (
	"fmt"
	"slices"

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
	// Contents is a digest of all records by partition, to compare two final reads with.
	Contents map[protocol.TopicPartition]string
	record   bool
}

// StartReader begins a final read. With record it goes into the history; without, only into Contents.
func StartReader(s *Stage, name string, record bool) *Reader {
	r := &Reader{client: newClient(s, name), process: s.newProcess(), record: record, Contents: map[protocol.TopicPartition]string{}}
	for _, t := range s.topics {
		for i := range t.Partitions {
			r.left = append(r.left, &place{topic: t, key: protocol.TopicPartition{Topic: t.ID, Partition: i}, offset: -1})
		}
	}
	r.ready, r.broken = func() { r.step() }, func() { r.busy = false }
	r.dial()
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

// next puts the first place behind the others, so that one that cannot be read does not keep the rest waiting.
func (r *Reader) rotate() { r.left = append(r.left[1:], r.left[0]) }

func (r *Reader) find(p *place) {
	r.list(p.topic, p.key, check.AtEarliest, r.process, func(offset int64, code protocol.Code, err error) {
		if err != nil {
			return
		}
		if code != protocol.None {
			r.rotate()
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
	if len(resp.Topics) == 1 && len(resp.Topics[0].Partitions) == 1 {
		r.stage.saw("Fetch", resp.Topics[0].Partitions[0].ErrorCode)
		if protocol.Code(resp.Topics[0].Partitions[0].ErrorCode) == protocol.OffsetOutOfRange {
			p.offset = -1 // records were deleted meanwhile
		}
	}
	r.rotate()
	r.again(true)
}

func (r *Reader) took(p *place, part *kmsg.FetchResponseTopicPartition, began check.Instant) {
	from := p.offset
	p.offset = r.stage.record(&r.client, p, part, began, check.Op{Process: r.process, Final: r.record})
	r.Reads += p.offset - from
	r.Contents[p.key] += fmt.Sprintf("%x;", digest(part.RecordBatches))
	enough := p.offset >= part.HighWatermark && (p.offset >= r.stage.highest[p.key] || r.stage.Excused(p.topic))
	if !enough {
		r.again(p.offset == from)
		return
	}
	if r.record {
		r.stage.Rec.Finish(p.key)
	}
	r.left = slices.DeleteFunc(r.left, func(o *place) bool { return o == p })
	r.again(false)
}
