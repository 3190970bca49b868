package main

import (
	"context"
	"errors"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// probeBytes is asked for by one probe for the end of a partition; a broker always answers with at least one batch.
const probeBytes = 1 << 16

// tracker knows how far each partition has been read and which are done.
type tracker struct {
	open     map[topicPartition]*progress
	bounded  bool               // some partition has an end
	finished map[string][]int32 // done since they were last taken out of the client
}

type topicPartition struct {
	topic     string
	partition int32
}

// progress is one partition being read: next is the first offset not yet seen, to its exclusive end or negative.
type progress struct{ next, to int64 }

func newTracker(parts []assignment) *tracker {
	t := &tracker{open: map[topicPartition]*progress{}, finished: map[string][]int32{}}
	for _, p := range parts {
		if p.to >= 0 {
			t.bounded = true
			if p.from >= p.to {
				continue
			}
		}
		t.open[topicPartition{p.topic, p.partition}] = &progress{next: p.from, to: p.to}
	}
	return t
}

// offsets is where the client has to begin.
func (t *tracker) offsets() map[string]map[int32]kgo.Offset {
	out := map[string]map[int32]kgo.Offset{}
	for tp, p := range t.open {
		if out[tp.topic] == nil {
			out[tp.topic] = map[int32]kgo.Offset{}
		}
		out[tp.topic][tp.partition] = kgo.NewOffset().At(p.next)
	}
	return out
}

// take notes that r was read and reports whether it is within the bounds.
func (t *tracker) take(r *kgo.Record) bool {
	tp := topicPartition{r.Topic, r.Partition}
	p := t.open[tp]
	if p == nil {
		return false
	}
	wanted := p.to < 0 || r.Offset < p.to
	p.next = r.Offset + 1
	if p.to >= 0 && p.next >= p.to {
		t.finish(tp)
	}
	return wanted
}

func (t *tracker) finish(tp topicPartition) {
	delete(t.open, tp)
	t.finished[tp.topic] = append(t.finished[tp.topic], tp.partition)
}

// probeEnds finishes partitions in which no record is left before the bound although its offset was never seen: compaction and
// aborted transactions leave such gaps, and the client passes over them without a word. Asked when nothing arrived for a while. The
// position is fetched from by hand; batches without records for us move it on, a record stops the probe, for the client will bring it.
func (t *tracker) probeEnds(ctx context.Context, c *client, committed bool) error {
	for tp, p := range t.open {
		for p.to >= 0 {
			records, next, end, err := fetchOnce(ctx, c, tp, p.next, committed)
			if err != nil {
				return err
			}
			if records > 0 {
				break
			}
			gone := next == p.next && end >= p.to // the log reaches to the bound and has nothing from here on
			if gone || next >= p.to {
				t.finish(tp)
				break
			}
			if next == p.next {
				break // the log has not grown to the bound yet
			}
			p.next = next
		}
	}
	return nil
}

// fetchOnce fetches from offset and tells how many records came (control records not counted), the offset to go on at, and where
// what may be read ends.
func fetchOnce(ctx context.Context, c *client, tp topicPartition, offset int64, committed bool) (records int, next, end int64, err error) {
	rp, err := fetchPartition(ctx, c, tp, offset, committed)
	if err != nil {
		return 0, offset, 0, err
	}
	opts := kgo.ProcessFetchPartitionOpts{Offset: offset, Topic: tp.topic, Partition: tp.partition}
	end = rp.HighWatermark
	if committed {
		opts.IsolationLevel, end = kgo.ReadCommitted(), rp.LastStableOffset
	}
	got, next := kgo.ProcessFetchPartition(opts, rp, kgo.DefaultDecompressor(), nil)
	return len(got.Records), next, end, got.Err
}

func fetchPartition(ctx context.Context, c *client, tp topicPartition, offset int64, committed bool) (*kmsg.FetchResponseTopicPartition, error) {
	topics, err := c.admin.ListTopicsWithInternal(ctx, tp.topic)
	if err != nil {
		return nil, err
	}
	return fetchFrom(ctx, c, topics[tp.topic], tp.partition, offset, committed)
}

// fetchFrom asks the leader that about names for the batches from offset on, without waiting for any.
func fetchFrom(ctx context.Context, c *client, about kadm.TopicDetail, partition int32, offset int64, committed bool) (*kmsg.FetchResponseTopicPartition, error) {
	leader, known := about.Partitions[partition]
	switch {
	case about.Err != nil:
		return nil, about.Err
	case !known:
		return nil, kerr.UnknownTopicOrPartition
	case leader.Err != nil:
		return nil, leader.Err
	}
	req := kmsg.NewPtrFetchRequest()
	req.MaxBytes, req.MinBytes, req.SessionEpoch = probeBytes, 0, -1
	if committed {
		req.IsolationLevel = 1
	}
	part := kmsg.NewFetchRequestTopicPartition()
	part.Partition, part.CurrentLeaderEpoch, part.FetchOffset, part.PartitionMaxBytes = partition, leader.LeaderEpoch, offset, probeBytes
	topic := kmsg.NewFetchRequestTopic()
	topic.Topic, topic.TopicID, topic.Partitions = about.Topic, about.ID, []kmsg.FetchRequestTopicPartition{part}
	req.Topics = append(req.Topics, topic)
	resp, err := c.Broker(int(leader.Leader)).RetriableRequest(ctx, req)
	if err != nil {
		return nil, err
	}
	got := resp.(*kmsg.FetchResponse)
	if len(got.Topics) != 1 || len(got.Topics[0].Partitions) != 1 {
		return nil, errors.Join(errNotKafka, kerr.ErrorForCode(got.ErrorCode))
	}
	rp := &got.Topics[0].Partitions[0]
	return rp, kerr.ErrorForCode(rp.ErrorCode)
}

// readSome reads up to want records from offset on, without waiting for any. Control records are passed over.
func readSome(ctx context.Context, c *client, about kadm.TopicDetail, partition int32, offset int64, want int, committed bool) (out []*kgo.Record, err error) {
	opts := kgo.ProcessFetchPartitionOpts{Offset: offset, Topic: about.Topic, Partition: partition}
	if committed {
		opts.IsolationLevel = kgo.ReadCommitted()
	}
	for len(out) < want {
		rp, err := fetchFrom(ctx, c, about, partition, opts.Offset, committed)
		if err != nil {
			return out, err
		}
		got, next := kgo.ProcessFetchPartition(opts, rp, kgo.DefaultDecompressor(), nil)
		if got.Err != nil {
			return out, got.Err
		}
		out = append(out, got.Records[:min(len(got.Records), want-len(out))]...)
		if next <= opts.Offset {
			break // nothing more is there
		}
		opts.Offset = next
	}
	return out, nil
}
