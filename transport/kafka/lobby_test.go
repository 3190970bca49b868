package kafka

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/troupe-broker/troupe/actors/protocol"
	"github.com/troupe-broker/troupe/transport/kafka/api"
	"github.com/troupe-broker/troupe/transport/kafka/wire"
)

func scramOnly() *api.Authentication {
	return &api.Authentication{Mechanisms: []api.Mechanism{{Scram: protocol.ScramSHA256}}}
}

// declare sends the beginning of a frame: its size, and n bytes of it.
func declare(t testing.TB, nc net.Conn, size, n int) {
	t.Helper()
	// Some of them are closed to make room for others.
	_, _ = nc.Write(append(binary.BigEndian.AppendUint32(nil, uint32(size)), make([]byte, n)...))
}

// asks reports whether a client of the listener is served.
func asks(t testing.TB, l *Listener) {
	t.Helper()
	nc := dial(t, l)
	_ = nc.SetDeadline(time.Now().Add(10 * time.Second))
	exchange(t, nc, 0, kmsg.NewPtrApiVersionsRequest())
	_ = nc.Close()
}

// Strangers that hold halves of frames stop neither who logs in beside them nor other listeners, and hold no more than the lobby gives.
func TestStrangersCannotUseUpMemory(t *testing.T) {
	w := newLiveWorld(t, quiet())
	lobby := wire.NewMemory(1 << 20)
	guarded, open := listen(t, w, ListenerConfig{Authentication: scramOnly(), Lobby: lobby}), listen(t, w, ListenerConfig{})
	for range 40 {
		declare(t, dial(t, guarded), 500_000, 100_000)
	}
	for range 20 {
		asks(t, guarded)
		asks(t, open)
	}
	if got := lobby.InUse(); got > 1<<20+400_000 {
		t.Errorf("strangers hold %d bytes", got)
	}
	if got := w.memory.InUse(); got > 4<<20 {
		t.Errorf("the memory of known clients has %d bytes out", got)
	}
	if w.server.Metrics.ConnectionsCrowdedOut.Load() == 0 {
		t.Error("nobody had to go")
	}
}

// A listener is full of strangers that send a byte each, or nothing: the next client is served.
func TestStrangersCannotUseUpConnections(t *testing.T) {
	w := newLiveWorld(t, quiet())
	for name, config := range map[string]ListenerConfig{"guarded": {Authentication: scramOnly()}, "open": {}} {
		l := listen(t, w, config)
		known := dial(t, l)
		exchange(t, known, 0, kmsg.NewPtrApiVersionsRequest())
		for range lobbyMax + 50 {
			declare(t, dial(t, l), 100, 1)
		}
		asks(t, l)
		if config.Authentication == nil {
			exchange(t, known, 0, kmsg.NewPtrApiVersionsRequest())
		}
		if l.lobby.mu.Lock(); len(l.lobby.waiting) > lobbyMax {
			t.Errorf("%s: %d are in the lobby", name, len(l.lobby.waiting))
		}
		l.lobby.mu.Unlock()
	}
}

func TestLoginHasADeadline(t *testing.T) {
	w := newLiveWorld(t, quiet())
	l := listen(t, w, ListenerConfig{Authentication: scramOnly(), LoginTime: 200 * time.Millisecond})
	nc := dial(t, l)
	exchange(t, nc, 0, kmsg.NewPtrApiVersionsRequest())
	gone(t, nc)
	gone(t, dial(t, l)) // one that says nothing at all
}

// A byte now and then does not give a frame more time.
func TestAFrameHasOneDeadline(t *testing.T) {
	w := newLiveWorld(t, quiet())
	l := listen(t, w, ListenerConfig{FrameTime: 300 * time.Millisecond})
	nc := dial(t, l)
	exchange(t, nc, 0, kmsg.NewPtrApiVersionsRequest())
	began := time.Now()
	declare(t, nc, 1000, 1)
	for time.Since(began) < 20*time.Second {
		if _, err := nc.Write([]byte{0}); err != nil {
			break
		}
		_ = nc.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
		if _, err := nc.Read(make([]byte, 1)); err != nil && !isTimeout(err) {
			return
		}
	}
	t.Errorf("after %v the frame is still awaited", time.Since(began))
}

func isTimeout(err error) bool {
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout() && !errors.Is(err, io.EOF)
}

// One address leaves a tenth of the connections to others.
func TestOneAddressLeavesConnectionsToOthers(t *testing.T) {
	a := NewAdmission(func() Limits { return Limits{Connections: 1000, PerAddress: 1 << 30, CreationRate: 1 << 30} })
	greedy := netip.MustParseAddr("192.0.2.1")
	n := 0
	for a.enter(greedy) == nil {
		n++
	}
	if n < 850 || n > 950 {
		t.Errorf("one address has %d of 1000", n)
	}
	for i := range 20 {
		if no := a.enter(netip.AddrFrom4([4]byte{198, 51, 100, byte(i)})); no != nil {
			t.Errorf("address %d finds none: %s", i, no.detail)
		}
	}
	for range n {
		a.leave(greedy)
	}
	if a.enter(greedy) != nil || len(a.peers) != 21 {
		t.Errorf("%d addresses are counted", len(a.peers))
	}
}

func TestConnectionsComeAtTheirRate(t *testing.T) {
	a := NewAdmission(func() Limits { return Limits{Connections: 1000, PerAddress: 1000, CreationRate: 10} })
	now := time.Unix(1000, 0)
	var pause time.Duration
	for range 10 {
		if pause = a.pause(now); pause > 0 {
			t.Fatalf("one of the first second's waits %v", pause)
		}
	}
	if pause = a.pause(now); pause != 100*time.Millisecond {
		t.Errorf("the eleventh waits %v", pause)
	}
	if pause = a.pause(now.Add(time.Hour)); pause != 0 {
		t.Errorf("after an hour one waits %v", pause)
	}
}
