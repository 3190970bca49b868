package main

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/troupe-broker/troupe/simulations/process"
)

// produceLoad is a closed loop of pre-encoded batches.
type produceLoad struct {
	Topic      string
	Partitions int32
	BatchBytes int // of one encoded batch, about
	Conns      int
	Depth      int // requests in flight on each connection
	Warm, For  time.Duration
}

// throughput is what moved in one run of a load after its warm-up: encoded batches, or bytes of the limits.
type throughput struct {
	MBps     float64 // 10^6 bytes per second
	CPUPerGB float64 // the broker's or helper's CPU-seconds per 10^9 bytes
}

func moved(bytes float64, span, cpu time.Duration) throughput {
	return throughput{MBps: bytes / span.Seconds() / 1e6, CPUPerGB: cpu.Seconds() / (bytes / 1e9)}
}

func (t throughput) sample() sample { return sample{"MB/s": t.MBps, "CPU s/GB": t.CPUPerGB} }

// produceResult is what one run of a load reached after its warm-up, counting what was acknowledged.
type produceResult struct {
	throughput
	RecordsPS float64
	P50, P99  float64 // ms from the send of a request to its acknowledgement
	P999      float64
	RSSBytes  int64
}

// run drives the load against b.
func (l produceLoad) run(b *process.Broker) (produceResult, error) {
	batch, records := encodeBatch(l.BatchBytes)
	frames := make([][]byte, l.Partitions)
	for p := range frames {
		frames[p] = produceFrame(l.Topic, int32(p), batch)
	}
	var stop atomic.Bool
	conns := make([]*produceConn, l.Conns)
	for i := range conns {
		c, err := net.Dial("tcp", b.Addr)
		if err != nil {
			return produceResult{}, err
		}
		defer c.Close()
		conns[i] = &produceConn{conn: c, frames: frames, next: i * int(l.Partitions) / l.Conns, depth: l.Depth, topicLen: len(l.Topic),
			hist: hdrhistogram.New(1, 60_000_000, 3), credit: make(chan struct{}, l.Depth), issued: make(chan struct{}, l.Depth), sent: make([]time.Time, l.Depth)}
	}
	errs := make(chan error, 2*l.Conns)
	var wg sync.WaitGroup
	for _, c := range conns {
		wg.Add(2)
		go func() { defer wg.Done(); errs <- c.send(&stop) }()
		go func() { defer wg.Done(); errs <- c.receive(&stop) }()
	}
	time.Sleep(l.Warm)
	acked0, cpu0, t0 := total(conns), b.CPU(), time.Now()
	for _, c := range conns {
		c.measuring.Store(true)
	}
	time.Sleep(l.For)
	acked, cpu, elapsed := total(conns)-acked0, b.CPU()-cpu0, time.Since(t0)
	rss := b.RSS()
	stop.Store(true)
	wg.Wait()
	close(errs)
	for err := range errs {
		if err != nil && !errors.Is(err, net.ErrClosed) { // a closed connection is the consequence of what its receiver found
			return produceResult{}, fmt.Errorf("producing to %s: %w", b.Name, err)
		}
	}
	bytes := float64(acked) * float64(len(batch))
	hist := hdrhistogram.New(1, 60_000_000, 3)
	for _, c := range conns {
		hist.Merge(c.hist)
	}
	ms := func(q float64) float64 { return float64(hist.ValueAtQuantile(q)) / 1000 }
	return produceResult{throughput: moved(bytes, elapsed, cpu), RecordsPS: float64(acked) * float64(records) / elapsed.Seconds(),
		P50: ms(50), P99: ms(99), P999: ms(99.9), RSSBytes: rss}, nil
}

func total(conns []*produceConn) (n int64) {
	for _, c := range conns {
		n += c.acked.Load()
	}
	return n
}

// produceConn keeps depth requests in flight on one connection: send fills, receive frees.
type produceConn struct {
	conn      net.Conn
	frames    [][]byte
	next      int // partition of the next request
	depth     int
	topicLen  int
	credit    chan struct{} // a token is held by every request in flight
	issued    chan struct{} // a token for every request written, for receive to wait for
	sent      []time.Time   // by correlation id modulo depth; written before the request is issued
	acked     atomic.Int64
	measuring atomic.Bool
	hist      *hdrhistogram.Histogram // microseconds; owned by receive
}

// send writes requests while there is credit, many per system call when they are small. Only the head of a frame (with its
// correlation id) is copied; the frames are shared between connections.
func (c *produceConn) send(stop *atomic.Bool) error {
	defer close(c.issued)
	w := bufio.NewWriterSize(c.conn, 256<<10)
	for corr := uint32(0); !stop.Load(); corr++ {
		select {
		case c.credit <- struct{}{}:
		default:
			if err := w.Flush(); err != nil {
				return err
			}
			c.credit <- struct{}{}
		}
		frame := c.frames[c.next]
		c.next = (c.next + 1) % len(c.frames)
		c.sent[corr%uint32(c.depth)] = time.Now()
		var head [12]byte
		copy(head[:], frame)
		binary.BigEndian.PutUint32(head[8:], corr)
		w.Write(head[:])
		if _, err := w.Write(frame[12:]); err != nil {
			return err
		}
		c.issued <- struct{}{}
	}
	return w.Flush()
}

// receive checks every answer and frees its credit until all that was sent is answered.
func (c *produceConn) receive(stop *atomic.Bool) (err error) {
	defer func() {
		if err != nil { // let send end
			stop.Store(true)
			c.conn.Close()
			for range c.issued {
				<-c.credit
			}
		}
	}()
	r := bufio.NewReaderSize(c.conn, 64<<10)
	var buf []byte
	corr := uint32(0)
	for range c.issued {
		c.conn.SetReadDeadline(time.Now().Add(60 * time.Second))
		if buf, err = readFrame(r, buf); err != nil {
			return err
		}
		if got := binary.BigEndian.Uint32(buf); got != corr {
			return fmt.Errorf("answer %d arrived where %d was due", got, corr)
		}
		if code := produceError(buf, c.topicLen); code != 0 {
			return kerr.ErrorForCode(code)
		}
		if c.measuring.Load() {
			c.hist.RecordValue(time.Since(c.sent[corr%uint32(c.depth)]).Microseconds())
		}
		c.acked.Add(1)
		<-c.credit
		corr++
	}
	return nil
}
