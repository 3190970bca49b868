package main

import (
	"context"
	"crypto/md5"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// shape is a topic that makes a broker give answers of some kind; its last record is "the end".
type shape struct {
	name string
	lay  func(l *layer) error
}

var shapes = []shape{
	{"every-codec", (*layer).everyCodec},
	{"aborted-alone", (*layer).abortedAlone},
	{"markers-alone", (*layer).markersAlone},
	{"first-batch-larger-than-asked", (*layer).largeBatches},
	{"start-within-a-batch", (*layer).startWithin},
	{"compacted-segments", (*layer).compactedSegments},
	{"emptied-batches", (*layer).emptiedBatches},
}

// layer lays the topics and knows what readers are to find, as lines of the programs.
type layer struct {
	ctx      context.Context
	addr     string
	cl       *kgo.Client
	adm      *kadm.Client
	expected map[string]map[string][]string // by topic and isolation level
}

func newLayer(ctx context.Context, addr string) (*layer, error) {
	l := &layer{ctx: ctx, addr: addr, expected: map[string]map[string][]string{}}
	cl, err := l.client()
	if err == nil {
		l.cl, l.adm = cl, kadm.NewClient(cl)
	}
	return l, err
}

func (l *layer) close() { l.cl.Close() }

func (l *layer) client(options ...kgo.Opt) (*kgo.Client, error) {
	return kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(l.addr), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerBatchMaxBytes(1 << 20)}, options...)...)
}

func (l *layer) topic(name string, settings ...string) error {
	configs := map[string]*string{}
	for i := 0; i < len(settings); i += 2 {
		configs[settings[i]] = &settings[i+1]
	}
	l.expected[name] = map[string][]string{}
	_, err := l.adm.CreateTopic(l.ctx, 1, 1, configs, name)
	return err
}

// batch appends records as one batch; what committed readers shall find of it, too, if committed is set.
func (l *layer) batch(cl *kgo.Client, topic string, committed bool, rs ...*kgo.Record) error {
	for _, r := range rs {
		r.Topic = topic
	}
	if err := cl.ProduceSync(l.ctx, rs...).FirstErr(); err != nil {
		return err
	}
	for _, r := range rs {
		l.expect(topic, committed, r)
	}
	return nil
}

func (l *layer) expect(topic string, committed bool, r *kgo.Record) {
	line := fmt.Sprintf("%s %d null", topic, r.Offset)
	if r.Value != nil {
		line = fmt.Sprintf("%s %d %x", topic, r.Offset, md5.Sum(r.Value))
	}
	l.expected[topic]["read_uncommitted"] = append(l.expected[topic]["read_uncommitted"], line)
	if committed {
		l.expected[topic]["read_committed"] = append(l.expected[topic]["read_committed"], line)
	}
}

// end appends the last record.
func (l *layer) end(topic string) error {
	return l.batch(l.cl, topic, true, &kgo.Record{Key: []byte("end"), Value: []byte("the end")})
}

func records(n, size int) (out []*kgo.Record) {
	for i := range n {
		out = append(out, &kgo.Record{Key: fmt.Appendf(nil, "key %d", i), Value: noise(size)})
	}
	return out
}

// noise is text that compresses to a half.
func noise(size int) []byte {
	out := make([]byte, size)
	for i := range out {
		out[i] = 'a' + byte(rand.IntN(16))
	}
	return out
}

func (l *layer) everyCodec() error {
	const topic = "every-codec"
	if err := l.topic(topic); err != nil {
		return err
	}
	for _, c := range []kgo.CompressionCodec{kgo.NoCompression(), kgo.GzipCompression(), kgo.SnappyCompression(), kgo.Lz4Compression(), kgo.ZstdCompression()} {
		cl, err := l.client(kgo.ProducerBatchCompression(c))
		if err == nil {
			err = errors.Join(l.batch(cl, topic, true, records(10, 100)...), l.batch(cl, topic, true, records(2, 100_000)...))
			cl.Close()
		}
		if err != nil {
			return err
		}
	}
	return l.end(topic)
}

// transactions lays n transactions of size records, that end so.
func (l *layer) transactions(topic string, n, size int, commit kgo.TransactionEndTry) error {
	if err := l.topic(topic); err != nil {
		return err
	}
	cl, err := l.client(kgo.TransactionalID(topic))
	if err != nil {
		return err
	}
	defer cl.Close()
	for range n {
		err := cl.BeginTransaction()
		if err == nil && size > 0 {
			err = l.batch(cl, topic, bool(commit), records(size, 50)...)
		}
		if err == nil {
			err = cl.EndTransaction(l.ctx, commit)
		}
		if err != nil {
			return err
		}
	}
	return l.end(topic)
}

func (l *layer) abortedAlone() error { return l.transactions("aborted-alone", 20, 5, kgo.TryAbort) }
func (l *layer) markersAlone() error { return l.transactions("markers-alone", 20, 1, kgo.TryCommit) }

func (l *layer) largeBatches() error {
	const topic = "first-batch-larger-than-asked"
	if err := l.topic(topic); err != nil {
		return err
	}
	for range 5 {
		if err := l.batch(l.cl, topic, true, records(1, 300_000)...); err != nil {
			return err
		}
	}
	return l.end(topic)
}

// startWithin: the log begins within a compressed batch.
func (l *layer) startWithin() error {
	const topic = "start-within-a-batch"
	err := l.topic(topic)
	if err == nil {
		err = l.batch(l.cl, topic, true, records(10, 50)...)
	}
	if err != nil {
		return err
	}
	before := kadm.Offsets{}
	before.AddOffset(topic, 0, 4, -1)
	deleted, err := l.adm.DeleteRecords(l.ctx, before)
	if err == nil {
		err = deleted.Error()
	}
	if err != nil {
		return err
	}
	for isolation, lines := range l.expected[topic] {
		l.expected[topic][isolation] = lines[4:]
	}
	return l.end(topic)
}

// compactedSegments: segments of which nothing is left but, perhaps, a batch without records.
func (l *layer) compactedSegments() error {
	const topic = "compacted-segments"
	if err := l.compacted(topic); err != nil {
		return err
	}
	for i := range 138 {
		r := &kgo.Record{Key: fmt.Appendf(nil, "key %d", i%3), Value: noise(100_000)}
		if i >= 120 && i < 123 {
			r.Value = nil
		}
		if err := l.batch(l.cl, topic, true, r); err != nil {
			return err
		}
	}
	return l.cleaned(topic, 40)
}

// emptiedBatches: the batches of many producers, of which only the last sequence is left to know.
func (l *layer) emptiedBatches() error {
	const topic = "emptied-batches"
	if err := l.compacted(topic); err != nil {
		return err
	}
	for range 40 {
		cl, err := l.client()
		if err == nil {
			err = l.batch(cl, topic, true, &kgo.Record{Key: []byte("key"), Value: noise(60_000)})
			cl.Close()
		}
		if err != nil {
			return err
		}
	}
	return l.cleaned(topic, 35)
}

func (l *layer) compacted(topic string) error {
	return l.topic(topic, "cleanup.policy", "compact", "segment.bytes", "1048576", "min.cleanable.dirty.ratio", "0.001")
}

// cleanedRest is how long nothing may change until a topic counts as cleaned: many rounds of the cleaner.
const cleanedRest = 5 * time.Second

// cleaned waits until at most so many records of the topic are left, and no fewer for a while: they are what is expected, as franz-go reads
// them at once. Which records a cleaner leaves above its point is its own affair.
func (l *layer) cleaned(topic string, most int) error {
	if err := l.end(topic); err != nil {
		return err
	}
	var left []*kgo.Record
	for since := time.Now(); len(left) == 0 || len(left) > most || time.Since(since) < cleanedRest; {
		now, err := l.all(topic)
		if err != nil {
			return err
		}
		if len(now) != len(left) {
			left, since = now, time.Now()
		}
		select {
		case <-time.After(cleanedRest / 10):
		case <-l.ctx.Done():
			return l.ctx.Err()
		}
		if time.Since(since) > 12*cleanedRest {
			return fmt.Errorf("after %v it has %d records, not at most %d", 12*cleanedRest, len(left), most)
		}
	}
	l.expected[topic] = map[string][]string{}
	for _, r := range left {
		l.expect(topic, true, r)
	}
	return nil
}

func (l *layer) all(topic string) (out []*kgo.Record, err error) {
	ctx, cancel := context.WithTimeout(l.ctx, 30*time.Second)
	defer cancel()
	cl, err := l.client(kgo.ConsumeTopics(topic))
	if err != nil {
		return nil, err
	}
	defer cl.Close()
	for {
		fetches := cl.PollFetches(ctx)
		if err := fetches.Err0(); err != nil {
			return nil, err
		}
		out = append(out, fetches.Records()...)
		if n := len(out); n > 0 && string(out[n-1].Value) == "the end" {
			return out, nil
		}
	}
}
