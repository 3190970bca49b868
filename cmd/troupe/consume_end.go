package main

import (
	"context"
	"errors"

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
	about := topics[tp.topic].Partitions[tp.partition]
	if about.Err != nil {
		return nil, about.Err
	}
	req := kmsg.NewPtrFetchRequest()
	req.MaxBytes, req.MinBytes, req.SessionEpoch = probeBytes, 0, -1
	if committed {
		req.IsolationLevel = 1
	}
	part := kmsg.NewFetchRequestTopicPartition()
	part.Partition, part.CurrentLeaderEpoch, part.FetchOffset, part.PartitionMaxBytes = tp.partition, about.LeaderEpoch, offset, probeBytes
	topic := kmsg.NewFetchRequestTopic()
	topic.Topic, topic.TopicID, topic.Partitions = tp.topic, topics[tp.topic].ID, []kmsg.FetchRequestTopicPartition{part}
	req.Topics = append(req.Topics, topic)
	resp, err := c.Broker(int(about.Leader)).RetriableRequest(ctx, req)
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
