package partition

import (
	"fmt"
	"runtime"
	"sort"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/troupe-broker/troupe/actors/protocol"
	"github.com/troupe-broker/troupe/actors/record"
)

// BenchmarkProduce is the path of a batch from an edge through the actor into the file and back, with a window of batches in flight.
// Bytes are those of batches; allocations are of everything behind the message itself.
func BenchmarkProduce(b *testing.B) {
	for _, size := range []int{4 << 10, 256 << 10} {
		for name, config := range map[string]protocol.LogConfig{"os": osConfig(), "disk": diskConfig()} {
			for _, window := range []int{1, 64} {
				b.Run(fmt.Sprintf("%dKiB/%s/window=%d", size>>10, name, window), func(b *testing.B) {
					w := newWorld(b)
					config.SegmentBytes, config.RetentionBytes, config.FlushTime = 64<<20, 128<<20, 0
					benchmarkProduce(b, w, w.led(tp0, config), size, window)
				})
			}
		}
	}
}

func benchmarkProduce(b *testing.B, w *world, h *Handle, size, window int) {
	value := make([]byte, size-record.HeaderSize-10)
	done := make(chan struct{}, window)
	var failed atomic.Int64
	edge := w.system.Edge("bench", func(msg any) {
		if msg.(*protocol.Produced).Code != protocol.None {
			failed.Add(1)
		}
		done <- struct{}{}
	})
	slots := make([]protocol.Produce, window)
	builder := record.NewBuilder(record.Options{ProducerID: -1, Epoch: -1, BaseSequence: -1, BaseTimestamp: 1000})
	builder.Append(1000, nil, value, nil)
	for i := range slots {
		batch, err := builder.Build()
		if err != nil {
			b.Fatal(err)
		}
		slots[i].Batch = batch
	}
	deadline := w.env.Clock.Mono() + time.Hour
	send := func(i int) {
		m := &protocol.Produce{Partition: h.Partition, LeaderEpoch: -1, Acks: -1, Deadline: deadline, Batch: slots[i%window].Batch}
		m.ReplyTo, m.ID = edge, uint64(i)
		w.system.Send(h.PID, m)
	}
	b.SetBytes(int64(len(slots[0].Batch)))
	b.ReportAllocs()
	b.ResetTimer()
	flight := 0
	for i := range b.N {
		if flight == window {
			<-done
			flight--
		}
		send(i)
		flight++
		if i%1024 == 1023 {
			w.system.Send(h.PID, housekeep{retain: true})
		}
	}
	for ; flight > 0; flight-- {
		<-done
	}
	b.StopTimer()
	if failed.Load() > 0 {
		b.Fatalf("%d batches were refused", failed.Load())
	}
}

// BenchmarkPacedLatency is 1 KiB at 1,000 a second, one partition, durability=disk: what an acknowledgement takes.
func BenchmarkPacedLatency(b *testing.B) {
	w := newWorld(b)
	h := w.led(tp0, diskConfig())
	batch := batchOf(producing{value: string(make([]byte, 900))})
	var mu sync.Mutex
	sent := map[uint64]time.Time{}
	var took []time.Duration
	done := make(chan struct{}, b.N)
	edge := w.system.Edge("bench", func(msg any) {
		mu.Lock()
		took = append(took, time.Since(sent[msg.(*protocol.Produced).ID]))
		mu.Unlock()
		done <- struct{}{}
	})
	b.ResetTimer()
	next := time.Now()
	for i := range b.N {
		time.Sleep(time.Until(next))
		next = next.Add(time.Millisecond)
		m := w.message(h, append(record.Batch(nil), batch...))
		m.ReplyTo, m.ID = edge, uint64(i)
		mu.Lock()
		sent[m.ID] = time.Now()
		mu.Unlock()
		w.system.Send(h.PID, m)
	}
	for range b.N {
		<-done
	}
	b.StopTimer()
	sort.Slice(took, func(i, j int) bool { return took[i] < took[j] })
	b.ReportMetric(float64(took[len(took)/2].Microseconds()), "p50-us")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-us")
}

// BenchmarkManyPartitions is the life of a node with 10,000 partitions: creation, one record in each, a crash, the start after it, a clean
// stop and the start after that. Run it with -benchtime=1x.
func BenchmarkManyPartitions(b *testing.B) {
	const partitions = 10_000
	leads := make([]protocol.LeadPartition, partitions)
	for i := range leads {
		leads[i] = leadOf(protocol.TopicPartition{Topic: topicNumber(i / 100), Partition: int32(i % 100)}, diskConfig())
	}
	for range b.N {
		w := newWorld(b)
		measure := func(name string, f func()) {
			began := time.Now()
			f()
			b.ReportMetric(time.Since(began).Seconds(), name+"-s")
		}
		before := heap()
		measure("create", func() { w.hosts(leads...) })
		b.ReportMetric(float64(heap()-before)/partitions, "B/partition")
		for i := range leads {
			leads[i].New = false
		}
		measure("produce", func() { w.everywhere(leads) })
		b.ReportMetric(float64(heap()-before)/partitions, "B/used-partition")
		w.crash()
		w.start()
		measure("crash-start", func() { w.hosts(leads...) })
		measure("again", func() { w.everywhere(leads) })
		measure("stop", func() {
			if err := w.stop(); err != nil {
				b.Fatal(err)
			}
		})
		w.start()
		measure("clean-start", func() { w.hosts(leads...) })
		w.crash()
	}
}

func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc + m.StackInuse
}

// everywhere appends one record to every partition and waits for the last acknowledgement.
func (w *world) everywhere(leads []protocol.LeadPartition) {
	var left atomic.Int64
	left.Store(int64(len(leads)))
	done := make(chan struct{})
	edge := w.system.Edge("all", func(msg any) {
		if code := msg.(*protocol.Produced).Code; code != protocol.None {
			w.t.Errorf("refused: %s", code.Name())
		}
		if left.Add(-1) == 0 {
			close(done)
		}
	})
	for i := range leads {
		m := w.message(w.table.Get(leads[i].Partition), batchOf(producing{}))
		m.ReplyTo, m.ID, m.Deadline = edge, uint64(i+1), w.env.Clock.Mono()+time.Minute
		w.system.Send(w.table.Get(leads[i].Partition).PID, m)
	}
	<-done
	w.system.RemoveEdge(edge)
}
