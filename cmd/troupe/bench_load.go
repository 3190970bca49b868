package main

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	benchBufferedMax = 10_000 // records that wait for acknowledgements; with more of them a latency is that of the queue
	benchValues      = 1024   // different values in a run
	benchStampSize   = 16     // bytes: the run's id and the due time of a record
)

// benchLoad is one run that writes records.
type benchLoad struct {
	flags *benchFlags
	c     *client
	topic string
	meter *meter
	value func(due time.Duration) []byte
	done  func(due, at time.Duration, size int, err error) // called once for every record

	failed atomic.Int64
	cause  atomic.Pointer[error] // of the first record that failed
}

// connectLoad connects a producer as the flags say.
func (a *app) connectLoad(ctx context.Context, b *benchFlags) (*client, error) {
	p := &produceFlags{codec: b.codec, acks: b.acks, batchBytes: b.batchBytes}
	opts, err := p.options()
	if err != nil {
		return nil, err
	}
	opts = append(opts, kgo.MaxBufferedRecords(benchBufferedMax), kgo.ProducerLinger(b.linger))
	return a.connect(ctx, append(opts, a.options...)...) // what -X says about it is stronger
}

func (a *app) measureProduce(ctx context.Context, b *benchFlags, topic string) (benchResult, error) {
	c, err := a.connectLoad(ctx, b)
	if err != nil {
		return benchResult{}, err
	}
	defer c.Close()
	m := newMeter(b.warm, b.duration)
	values := randomValues(b.size)
	n := 0
	load := &benchLoad{flags: b, c: c, topic: topic, meter: m}
	load.value = func(time.Duration) []byte { n++; return values[n%len(values)] }
	load.done = func(due, at time.Duration, size int, err error) {
		if err == nil {
			m.note(due, at, size)
		}
	}
	stop := a.showProgress(m)
	err = load.run(ctx)
	stop()
	return m.result("produce", topic, b, load.failed.Load()), err
}

// run writes until the time is over, enough records are written, one failed, or ctx ends, and waits for what was written.
func (l *benchLoad) run(ctx context.Context) error {
	end := l.flags.warm + l.flags.duration
	for i := int64(0); l.flags.num == 0 || i < l.flags.num; i++ {
		due := l.meter.since()
		if l.flags.rate > 0 {
			due = time.Duration(i) * time.Second / time.Duration(l.flags.rate)
			pause(ctx, due-l.meter.since())
		}
		if due >= end || ctx.Err() != nil || l.cause.Load() != nil {
			break
		}
		l.write(ctx, due)
	}
	waiting, cancel := l.c.within(context.WithoutCancel(ctx))
	defer cancel()
	flushed := l.c.Flush(waiting)
	if cause := l.cause.Load(); cause != nil {
		return l.c.explain(*cause)
	}
	return errors.Join(ctx.Err(), l.c.explain(flushed))
}

func (l *benchLoad) write(ctx context.Context, due time.Duration) {
	r := &kgo.Record{Topic: l.topic, Value: l.value(due), Partition: -1}
	l.c.Produce(ctx, r, func(r *kgo.Record, err error) {
		if err != nil && ctx.Err() == nil {
			l.failed.Add(1)
			err := fmt.Errorf("a record for %s: %w", l.topic, err)
			l.cause.CompareAndSwap(nil, &err)
		}
		l.done(due, l.meter.since(), len(r.Value), err)
	})
}

// pause waits for d, or until ctx ends.
func pause(ctx context.Context, d time.Duration) {
	if d <= 0 {
		return
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// randomValues are letters, which compress to about three quarters, as base64 does.
func randomValues(size int) [][]byte {
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	out := make([][]byte, max(1, min(benchValues, produceBufferedBytesMax/size)))
	for i := range out {
		out[i] = make([]byte, size)
		_, _ = rand.Read(out[i]) // never fails
		for j, b := range out[i] {
			out[i][j] = letters[b%64]
		}
	}
	return out
}

// measureEndToEnd reads from the ends of the partitions what it writes. Records of others are passed over by the run's id.
func (a *app) measureEndToEnd(ctx context.Context, b *benchFlags, topic string) (benchResult, error) {
	reader, err := a.connect(ctx, kgo.FetchMaxWait(500*time.Millisecond))
	if err != nil {
		return benchResult{}, err
	}
	defer reader.Close()
	setup, cancel := reader.within(ctx)
	defer cancel()
	parts, err := resolve(setup, reader, []string{topic}, nil, offsetRange{from: bound{kind: boundEnd}}, false)
	if err != nil {
		return benchResult{}, reader.explain(err)
	}
	reader.AddConsumePartitions(newTracker(parts).offsets())
	c, err := a.connectLoad(ctx, b)
	if err != nil {
		return benchResult{}, err
	}
	defer c.Close()

	m := newMeter(b.warm, b.duration)
	run := binary.BigEndian.Uint64([]byte(rand.Text()))
	filler := randomValues(b.size)[0]
	var acked atomic.Int64
	load := &benchLoad{flags: b, c: c, topic: topic, meter: m}
	load.value = func(due time.Duration) []byte {
		v := append([]byte(nil), filler...)
		binary.BigEndian.PutUint64(v, run)
		binary.BigEndian.PutUint64(v[8:], uint64(due))
		return v
	}
	load.done = func(_, _ time.Duration, _ int, err error) {
		if err == nil {
			acked.Add(1)
		}
	}
	reading, stopReading := context.WithCancel(ctx)
	defer stopReading()
	back := &benchReader{run: run, meter: m, more: make(chan struct{}, 1)}
	finished := make(chan struct{})
	go func() { defer close(finished); back.read(reading, reader) }()
	stop := a.showProgress(m)
	err = load.run(ctx)
	if err == nil {
		err = back.await(ctx, acked.Load(), a.timeout)
	}
	stop()
	stopReading()
	<-finished
	return m.result("e2e", topic, b, load.failed.Load()), err
}

// benchReader reads back what a bench writes.
type benchReader struct {
	run   uint64
	meter *meter
	came  atomic.Int64
	more  chan struct{} // something came since it was last looked at
}

func (b *benchReader) read(ctx context.Context, c *client) {
	for ctx.Err() == nil {
		fetches := c.PollFetches(ctx)
		at := b.meter.since()
		fetches.EachRecord(func(r *kgo.Record) {
			if len(r.Value) < benchStampSize || binary.BigEndian.Uint64(r.Value) != b.run {
				return
			}
			b.meter.note(time.Duration(binary.BigEndian.Uint64(r.Value[8:])), at, len(r.Value))
			b.came.Add(1)
		})
		select {
		case b.more <- struct{}{}:
		default:
		}
	}
}

// await waits until want records came; an error if nothing comes for too long.
func (b *benchReader) await(ctx context.Context, want int64, patience time.Duration) error {
	for b.came.Load() < want {
		before := b.came.Load()
		t := time.NewTimer(patience)
		select {
		case <-b.more:
		case <-ctx.Done():
		case <-t.C:
		}
		late := !t.Stop() && b.came.Load() == before
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if late {
			return &problem{what: fmt.Sprintf("%d of %d records did not come back", want-before, want), why: "nothing came for " + patience.String(), next: "'troupe doctor' shows whether all brokers answer", exit: exitTimeout}
		}
	}
	return nil
}

// measureConsume reads a topic until its end or until the time is over.
func (a *app) measureConsume(ctx context.Context, b *benchFlags, topic string, committed bool) (benchResult, error) {
	f := &consumeFlags{committed: committed}
	c, err := a.connect(ctx, f.isolation(), kgo.KeepControlRecords(), kgo.FetchMaxWait(500*time.Millisecond))
	if err != nil {
		return benchResult{}, err
	}
	defer c.Close()
	setup, cancel := c.within(ctx)
	defer cancel()
	topics, err := selectTopics(setup, c, []string{topic}, false)
	if err != nil {
		return benchResult{}, c.explain(err)
	}
	parts, err := resolve(setup, c, topics, nil, offsetRange{to: bound{kind: boundEnd}}, committed)
	if err != nil {
		return benchResult{}, c.explain(err)
	}
	t := newTracker(parts)
	m := newMeter(0, b.duration)
	out := &sink{print: meterPrinter{m}, keep: func(*kgo.Record) bool { return true }, left: b.num}
	c.AddConsumePartitions(t.offsets())
	stop := a.showProgress(m)
	for len(t.open) > 0 && !out.full && m.since() < b.duration && err == nil {
		err = a.poll(ctx, c, f, t, out)
	}
	stop()
	r := m.result("consume", topic, b, 0)
	r.Latency, r.Histogram = nil, nil
	return r, c.explain(err)
}

// meterPrinter counts records in place of printing them.
type meterPrinter struct{ *meter }

func (p meterPrinter) print(r *kgo.Record) error {
	at := p.since()
	p.note(at, at, int(recordSize(r)))
	return nil
}
func (p meterPrinter) flush() error { return nil }
func (p meterPrinter) end() error   { return nil }
