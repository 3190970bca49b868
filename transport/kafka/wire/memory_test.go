package wire

import (
	"encoding/binary"
	"errors"
	"testing"
	"time"
)

// hold takes buffers until there is no headroom, and returns how much m holds then.
func hold(m *Memory) int64 {
	for !m.Full() {
		m.Buffer(BufferSizeMin)
	}
	return m.InUse()
}

// However many use as much as they can, there is some left for who comes next.
func TestWhoUsesMuchLeavesSomeForOthers(t *testing.T) {
	const limit = 64 << 20
	node := NewMemory(limit)
	first, second := node.Share(), node.Share()
	if got := hold(first.Share()); got < limit/4 || got > limit/2 {
		t.Errorf("one address alone takes %d of %d", got, limit)
	}
	for i := range 50 {
		if got := hold(first.Share()); got < limit/littlePart {
			t.Errorf("address %d of a busy listener gets %d of %d", i, got, limit)
		}
	}
	if got := hold(second.Share()); got < limit/littlePart {
		t.Errorf("an address of another listener gets %d of %d", got, limit)
	}
	if node.InUse() >= limit {
		t.Errorf("%d of %d are in use", node.InUse(), limit)
	}
}

func TestWhatIsGivenBackCountsNowhere(t *testing.T) {
	node := NewMemory(1 << 20)
	address := node.Share().Share()
	b := address.Buffer(100 << 10)
	if node.InUse() == 0 || address.InUse() != node.InUse() {
		t.Errorf("%d at the address, %d at the node", address.InUse(), node.InUse())
	}
	b.Release()
	if node.InUse() != 0 || address.InUse() != 0 {
		t.Errorf("%d at the address, %d at the node", address.InUse(), node.InUse())
	}
}

// Readers that each hold half a frame cannot wait for each other for ever: one passes the bound, the next when its frame is whole.
func TestReadersOverTheBoundPassOneByOne(t *testing.T) {
	m := NewMemory(BufferSizeMin).Share()
	a, b := NewCutter(m, 1<<20), NewCutter(m, 1<<20)
	a.Space()
	if passed, err := m.Admit(a, time.Minute, nil); !passed || err != nil {
		t.Fatalf("nobody may pass: %v", err)
	}
	if passed, err := m.Admit(a, 0, nil); passed || err != nil {
		t.Fatalf("who passed does not pass on: %v", err)
	}
	if _, err := m.Admit(b, 2*overdrawAfter, nil); !errors.Is(err, ErrCrowded) {
		t.Fatalf("two passed the bound: %v", err)
	}
	a.Filled(copy(a.Space(), binary.BigEndian.AppendUint32(nil, 0)))
	if f, ok, err := a.Next(); !ok || err != nil {
		t.Fatal(err)
	} else {
		f.Buf.Release()
	}
	if passed, err := m.Admit(b, time.Minute, nil); !passed || err != nil {
		t.Fatalf("the next may not pass: %v", err)
	}
	a.Close()
	b.Close()
}

func TestWaitForMemoryEndsWithTheConnection(t *testing.T) {
	m := NewMemory(0)
	other := NewCutter(m, 1)
	m.overdraw.Store(other)
	stop := make(chan struct{})
	done := make(chan error)
	for range 2 { // the first in turn, and one behind it
		go func() {
			_, err := m.Admit(NewCutter(m, 1), time.Hour, stop)
			done <- err
		}()
	}
	close(stop)
	for range 2 {
		if err := <-done; !errors.Is(err, ErrStopped) {
			t.Error(err)
		}
	}
}

// Of a client of which nothing is known, and before its first frame is whole, buffers are little more than what arrived.
func TestModestCuttersHoldWhatArrived(t *testing.T) {
	for _, arrived := range []int{1, 5, 4000, 5000, 70_000, 260_000} {
		m := NewMemory(1 << 30)
		c := NewCutter(m, 1<<20)
		c.Bound(m, 1<<20, true)
		in := append(binary.BigEndian.AppendUint32(nil, 520_000), make([]byte, arrived)...)
		if err := pump(c, in, func() int { return 1 << 20 }, func(Frame) { t.Fatal("no frame is whole") }); err != nil {
			t.Fatal(err)
		}
		c.Rest()
		if got := m.InUse(); got > int64(max(BufferSizeMin, 3*len(in))) {
			t.Errorf("%d bytes hold %d", arrived, got)
		}
		c.Close()
	}
}

// Once much is in use a connection that waits in the middle of a small frame holds little.
func TestSilentPartialFramesHoldLittleUnderPressure(t *testing.T) {
	m := NewMemory(1 << 30)
	c := NewCutter(m, 1<<20)
	if err := pump(c, stream(make([]byte, 100)), func() int { return 1 << 10 }, func(f Frame) { f.Buf.Release() }); err != nil {
		t.Fatal(err)
	}
	filled := m.Buffer(1<<30/crowdedPart + 1)
	before := m.InUse()
	c.Filled(copy(c.Space(), []byte{0, 0, 1, 0, 9}))
	c.Rest()
	if got := m.InUse() - before; got > BufferSizeMin {
		t.Errorf("5 bytes hold %d", got)
	}
	if f := c.Space(); len(f) == 0 || !c.Partial() || c.Declared() != 260 {
		t.Errorf("what had arrived is lost: %d declared", c.Declared())
	}
	c.Close()
	filled.Release()
}
