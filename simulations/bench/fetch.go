package main

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/troupe-broker/troupe/simulations/process"
)

// fetchLoad reads partitions that hold only whole batches of one known size, over and over from their beginning.
type fetchLoad struct {
	Topic          string
	Partitions     int32
	BatchBytes     int // encoded bytes of one batch
	BatchRecords   int
	PartitionBatch int // batches in each partition
	MaxBytes       int32
	Conns          int
	Warm, For      time.Duration
}

func (l fetchLoad) run(b *process.Broker) (throughput, error) {
	var stop, measuring atomic.Bool
	var read atomic.Int64
	errs := make(chan error, l.Conns)
	var wg sync.WaitGroup
	for i := range l.Conns {
		c, err := net.Dial("tcp", b.Addr)
		if err != nil {
			return throughput{}, err
		}
		defer c.Close()
		wg.Add(1)
		go func() { defer wg.Done(); errs <- l.drain(c, i, &stop, &measuring, &read) }()
	}
	time.Sleep(l.Warm)
	cpu0, t0 := b.CPU(), time.Now()
	measuring.Store(true)
	time.Sleep(l.For)
	bytes, cpu, elapsed := read.Load(), b.CPU()-cpu0, time.Since(t0)
	stop.Store(true)
	wg.Wait()
	close(errs)
	for err := range errs {
		if err != nil {
			return throughput{}, fmt.Errorf("fetching from %s: %w", b.Name, err)
		}
	}
	return moved(float64(bytes), elapsed, cpu), nil
}

// drain keeps two requests in flight on one connection, each for its own partition of those that fall to this connection.
func (l fetchLoad) drain(c net.Conn, conn int, stop, measuring *atomic.Bool, read *atomic.Int64) error {
	var mine []int32
	for p := int32(conn); p < l.Partitions; p += int32(l.Conns) {
		mine = append(mine, p)
	}
	next := make([]int64, len(mine))
	r := bufio.NewReaderSize(c, 256<<10)
	ask := func(i int) error {
		_, err := c.Write(fetchFrame(l.Topic, mine[i], next[i], l.MaxBytes))
		return err
	}
	const inFlight = 2
	for i := range inFlight {
		if err := ask(i % len(mine)); err != nil {
			return err
		}
	}
	for turn := 0; !stop.Load(); turn++ {
		i := turn % len(mine)
		c.SetReadDeadline(time.Now().Add(60 * time.Second))
		got, err := l.readAnswer(r)
		if err != nil {
			return err
		}
		if got < l.BatchBytes {
			return fmt.Errorf("partition %d at offset %d: %d bytes, less than one batch of %d", mine[i], next[i], got, l.BatchBytes)
		}
		if measuring.Load() {
			read.Add(int64(got))
		}
		next[i] += int64(got / l.BatchBytes * l.BatchRecords)
		if next[i] >= int64(l.PartitionBatch*l.BatchRecords) {
			next[i] = 0
		}
		if err := ask((turn + inFlight) % len(mine)); err != nil {
			return err
		}
	}
	return nil
}

// readAnswer checks one Fetch v11 answer for one partition and returns how many bytes of records it carries, discarding them.
func (l fetchLoad) readAnswer(r *bufio.Reader) (int, error) {
	head, err := r.Peek(4 + 4 + 4 + 2 + 4 + 4 + 2 + len(l.Topic) + 4 + 4 + 2 + 8 + 8 + 8 + 4)
	if err != nil {
		return 0, err
	}
	size := int(binary.BigEndian.Uint32(head)) + 4
	at := 4 + 4 + 4
	if code := int16(binary.BigEndian.Uint16(head[at:])); code != 0 {
		return 0, kerr.ErrorForCode(code)
	}
	at += 2 + 4 + 4 + 2 + len(l.Topic) + 4 + 4
	if code := int16(binary.BigEndian.Uint16(head[at:])); code != 0 {
		return 0, kerr.ErrorForCode(code)
	}
	// the aborted list is null or empty, so the records are all that follows the fixed fields
	fixed := len(head) + 4 + 4
	if _, err := r.Discard(size); err != nil {
		return 0, err
	}
	return size - fixed, nil
}
