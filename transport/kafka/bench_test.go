package kafka

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/troupe-broker/troupe/actors/protocol"
	"github.com/troupe-broker/troupe/cluster/image"
	"github.com/troupe-broker/troupe/partition"
	"github.com/troupe-broker/troupe/transport/kafka/wire"
)

// sink makes a topic whose partitions take batches and answer at once, on the sender's thread, without a log.
func (w *world) sink(name string, partitions int32) {
	records := []image.Record{&image.TopicCreated{Name: name, ID: topicID(name)}}
	for i := range partitions {
		records = append(records, &image.PartitionAdded{Topic: topicID(name), Partition: i, Leader: self, LeaderEpoch: 3, Replicas: []protocol.NodeID{self}, ISR: []protocol.NodeID{self}})
		pid := w.system.Edge("sink", func(msg any) {
			if m, ok := msg.(*protocol.Produce); ok {
				if m.Release != nil {
					m.Release.Release()
				}
				w.system.Send(m.ReplyTo, &protocol.Produced{Answer: protocol.Answer{ID: m.ID}, LogAppendTime: -1})
			}
		})
		tp := protocol.TopicPartition{Topic: topicID(name), Partition: i}
		w.table.Put(partition.NewHandle(tp, name, pid, &partition.View{Config: logConfig(), Leader: true, LeaderEpoch: 3}))
	}
	w.apply(records...)
}

// BenchmarkProduce is a request's way through the session: header, decoding, checking the batches, one message a partition, joining
// their answers, encoding the reply. Without socket, actor and log.
func BenchmarkProduce(b *testing.B) {
	for _, bench := range []struct{ partitions, records, size int }{{1, 4, 1000}, {1, 40, 90}, {1, 1, 256 << 10}, {10, 4, 1000}, {1, 1, 10}} {
		b.Run(fmt.Sprintf("partitions=%d/records=%dx%d", bench.partitions, bench.records, bench.size), func(b *testing.B) {
			w := newWorld(b)
			w.sink("events", int32(bench.partitions))
			values := make([]string, bench.records)
			for i := range values {
				values[i] = strings.Repeat("v", bench.size)
			}
			var batches [][]byte
			for range bench.partitions {
				batches = append(batches, batch(bench.records, values...))
			}
			req := produceRequest(-1, "events", batches...)
			req.SetVersion(11)
			frame := kmsg.NewRequestFormatter(kmsg.FormatterClientID("bench")).AppendRequest(nil, req, 1)[4:]
			c := w.connect()
			var o wire.Out
			buf := w.memory.Buffer(len(frame))
			data := buf.Bytes()[:copy(buf.Bytes(), frame)]
			b.SetBytes(int64(len(frame)))
			b.ReportAllocs()
			for b.Loop() {
				buf.Retain()
				if err := c.session.Handle(wire.Frame{Data: data, Buf: buf}); err != nil {
					b.Fatal(err)
				}
				if err := c.session.Drain(&o); err != nil || o.Len() == 0 {
					b.Fatal(err)
				}
				o.Reset(1 << 20)
			}
		})
	}
}

// BenchmarkFetch is a fetch of records that are there, encoded, with the ranges of files left as they are.
func BenchmarkFetch(b *testing.B) {
	for _, bench := range []struct{ partitions, size int }{{1, 1000}, {1, 256 << 10}, {50, 1000}} {
		b.Run(fmt.Sprintf("partitions=%d/bytes=%d", bench.partitions, bench.size), func(b *testing.B) {
			w := newWorld(b)
			w.topic("events", int32(bench.partitions))
			offsets := make([]int64, bench.partitions)
			for i := range bench.partitions {
				req := produceRequest(1, "events", batch(1, strings.Repeat("v", bench.size)))
				req.Topics[0].Partitions[0].Partition = int32(i)
				ask[*kmsg.ProduceResponse](w.connect(), 9, req)
			}
			req := fetchRequest("events", offsets...)
			req.MaxBytes = 50 << 20
			req.SetVersion(12)
			frame := kmsg.NewRequestFormatter(kmsg.FormatterClientID("bench")).AppendRequest(nil, req, 1)[4:]
			c := w.connect()
			var o wire.Out
			buf := w.memory.Buffer(len(frame))
			data := buf.Bytes()[:copy(buf.Bytes(), frame)]
			b.ReportAllocs()
			for b.Loop() {
				buf.Retain()
				if err := c.session.Handle(wire.Frame{Data: data, Buf: buf}); err != nil {
					b.Fatal(err)
				}
				if err := c.session.Drain(&o); err != nil || o.Len() < bench.partitions*bench.size {
					b.Fatal(err)
				}
				o.Reset(1 << 20)
			}
		})
	}
}

// BenchmarkIdleSession is an incremental fetch of a session with many partitions of which one has news.
func BenchmarkIdleSession(b *testing.B) {
	w := newWorld(b)
	const n = 1000
	w.topic("events", n)
	w.produce("events", 7, 1)
	c := w.connect()
	open := fetchRequest("events", make([]int64, n)...)
	open.SessionEpoch = 0
	id := ask[*kmsg.FetchResponse](c, 12, open).SessionID
	b.ReportAllocs()
	epoch := int32(1)
	for b.Loop() {
		req := fetchRequest("events")
		req.Topics, req.SessionID, req.SessionEpoch = nil, id, epoch
		c.push(12, req)
		c.drain()
		if len(c.stream) < 70 {
			b.Fatal("no records")
		}
		c.stream, c.asked = c.stream[:0], nil
		epoch++
	}
}

// BenchmarkSocketProduce is 4 KiB batches, one a request, over two pipelined connections of the loopback to partitions without a log:
// what the edge itself can take, with the load generator on the same processors.
func BenchmarkSocketProduce(b *testing.B) {
	w := newLiveWorld(b, quiet())
	w.sink("events", 2)
	l := listen(b, w, ListenerConfig{})
	req := produceRequest(-1, "events", batch(4, strings.Repeat("v", 1000), strings.Repeat("w", 1000), strings.Repeat("x", 1000), strings.Repeat("y", 1000)))
	req.SetVersion(11)
	frame := kmsg.NewRequestFormatter(kmsg.FormatterClientID("bench")).AppendRequest(nil, req, 1)
	burst := bytes.Repeat(frame, 16)
	const connections, window = 2, 8 // bursts in flight
	var done sync.WaitGroup
	left := int64(b.N)
	b.SetBytes(int64(len(frame)))
	b.ReportAllocs()
	for range connections {
		nc := dial(b, l)
		_ = nc.SetDeadline(time.Time{})
		credit := make(chan struct{}, window)
		done.Go(func() {
			for atomic.AddInt64(&left, -16) > -16 {
				credit <- struct{}{}
				if _, err := nc.Write(burst); err != nil {
					b.Error(err)
					return
				}
			}
			close(credit)
			_ = nc.(*net.TCPConn).CloseWrite()
		})
		done.Go(func() {
			buf, got := make([]byte, 256<<10), 0
			size := 0
			for {
				n, err := nc.Read(buf)
				if n > 0 && size == 0 {
					size = 4 + int(binary.BigEndian.Uint32(buf))
				}
				for got += n; size > 0 && got >= 16*size; got -= 16 * size {
					if _, ok := <-credit; !ok {
						return
					}
				}
				if err != nil {
					return
				}
			}
		})
	}
	done.Wait()
}
