package partition

import (
	"sync"
	"testing"
	"time"

	"github.com/troupe-broker/troupe/actors"
	"github.com/troupe-broker/troupe/actors/protocol"
)

func topicNumber(n int) protocol.TopicID {
	return protocol.TopicID{0: byte(n >> 8), 1: byte(n), 15: 1}
}

func emptyHandle(topic, partition int) *Handle {
	tp := protocol.TopicPartition{Topic: topicNumber(topic), Partition: int32(partition)}
	return NewHandle(tp, "t", actors.PID{}, &View{})
}

func TestTableFindsWhatWasPut(t *testing.T) {
	table := NewTable()
	if table.Get(protocol.TopicPartition{}) != nil || table.Len() != 0 {
		t.Fatal("an empty table finds something")
	}
	a, b, c := emptyHandle(1, 0), emptyHandle(1, 7), emptyHandle(2, 3)
	table.Put(a, b, c)
	for _, h := range []*Handle{a, b, c} {
		if table.Get(h.Partition) != h {
			t.Fatalf("%v not found", h.Partition)
		}
	}
	for _, absent := range []*Handle{emptyHandle(1, 1), emptyHandle(1, 8), emptyHandle(1, -1), emptyHandle(3, 0)} {
		if table.Get(absent.Partition) != nil {
			t.Fatalf("%v found", absent.Partition)
		}
	}
	again := emptyHandle(1, 7)
	table.Put(again)
	if table.Get(b.Partition) != again || table.Len() != 3 {
		t.Fatal("a second Put must replace, not add")
	}
	table.Remove(a.Partition, b.Partition, a.Partition)
	if table.Get(a.Partition) != nil || table.Get(c.Partition) != c || table.Len() != 1 {
		t.Fatal("Remove took the wrong ones")
	}
	table.Remove(c.Partition)
	if table.Len() != 0 {
		t.Fatal("not empty after removing everything")
	}
}

func TestTableWalksInOrder(t *testing.T) {
	table := NewTable()
	table.Put(emptyHandle(9, 1), emptyHandle(2, 5), emptyHandle(2, 0), emptyHandle(300, 0))
	var last *Handle
	n := 0
	table.Each(func(h *Handle) bool {
		if last != nil && !last.Partition.Less(h.Partition) {
			t.Fatalf("%v before %v", last.Partition, h.Partition)
		}
		last = h
		n++
		return true
	})
	if n != 4 {
		t.Fatalf("walked %d of 4", n)
	}
	table.Each(func(*Handle) bool { n++; return false })
	if n != 5 {
		t.Fatal("Each goes on after false")
	}
}

// Readers run beside the writer; the race detector is the judge, and a partition that is never removed must always be found.
func TestTableReadersNeedNoLock(t *testing.T) {
	table := NewTable()
	stays := emptyHandle(5, 2)
	table.Put(stays)
	stop := make(chan struct{})
	var readers sync.WaitGroup
	for range 4 {
		readers.Add(1)
		go func() {
			defer readers.Done()
			for {
				select {
				case <-stop:
					return
				default:
				}
				if table.Get(stays.Partition) == nil {
					t.Error("a hosted partition was not found")
					return
				}
				table.Each(func(*Handle) bool { return true })
			}
		}()
	}
	for i := range 500 {
		h := emptyHandle(i%20, 3+i%11)
		table.Put(h)
		table.Remove(h.Partition)
	}
	close(stop)
	readers.Wait()
}

func TestTablePutsTenThousandAtOnce(t *testing.T) {
	for name, topics := range map[string]int{"one topic": 1, "ten thousand topics": 10000} {
		handles := make([]*Handle, 10000)
		for i := range handles {
			handles[i] = emptyHandle(i%topics, i/topics)
		}
		table := NewTable()
		began := time.Now()
		table.Put(handles...)
		if took := time.Since(began); took > time.Second {
			t.Errorf("%s: %v", name, took)
		}
		if table.Len() != len(handles) {
			t.Errorf("%s: %d put", name, table.Len())
		}
	}
}

func BenchmarkTableGet(b *testing.B) {
	handles := make([]*Handle, 10000)
	for i := range handles {
		handles[i] = emptyHandle(i/10, i%10)
	}
	table := NewTable()
	table.Put(handles...)
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		if table.Get(handles[i%len(handles)].Partition) == nil {
			b.Fatal("lost")
		}
		i += 7
	}
}
