package kafka

import (
	"crypto/tls"
	"errors"
	"net/netip"
	"sync"
	"time"

	"github.com/troupe-broker/troupe/actors/record"
)

const (
	// unpackingRate is what the batches of all clients of a node may unpack to beyond the usual, in bytes/s: about half of a core's work.
	unpackingRate = 1 << 30
	// unpackingShare is the part of it for one network, so that another one finds some.
	unpackingShare = unpackingRate / 2
	// unpackingBurst is what may be unpacked at once after a pause, in bytes.
	unpackingBurst = 128 << 20
	// unpackingNetworks bounds how many networks are remembered; at the bound those are forgotten that owe nothing.
	unpackingNetworks = 10_000
	// unpackingLook is after how many bytes the meter looks whether the client is still there.
	unpackingLook = 8 << 20
	// unpackingTick is how often it does so while it waits.
	unpackingTick = 250 * time.Millisecond
)

var errHungUp = errors.New("the client hung up while its batches were unpacked")

// Unpacking paces what a node unpacks for its clients: a batch of 2 KB may unpack to 64 MiB, and a request may name hundreds of them.
// What batches unpack to usually is not counted (record.Meter). Safe on any goroutine; the zero value is ready.
type Unpacking struct {
	mu       sync.Mutex
	node     pace                   // guarded by mu
	networks map[netip.Prefix]*pace // guarded by mu
}

// pace is a virtual queue (GCRA): when all that was taken so far is paid off, on the monotonic clock.
type pace struct{ paid time.Duration }

// take adds n bytes at a rate (bytes/s) and returns how long to wait until they are within the burst.
func (p *pace) take(n, rate int, now time.Duration) time.Duration {
	p.paid = max(p.paid, now) + time.Duration(float64(n)/float64(rate)*float64(time.Second))
	return max(0, p.paid-now-time.Duration(float64(unpackingBurst)/float64(rate)*float64(time.Second)))
}

// own books n bytes for a client of the network and returns how long it has to wait until they are within the network's share.
func (u *Unpacking) own(network netip.Prefix, n int, now time.Duration) time.Duration {
	u.mu.Lock()
	defer u.mu.Unlock()
	p := u.networks[network]
	if p == nil {
		if u.networks == nil || len(u.networks) >= unpackingNetworks {
			u.forget(now)
		}
		p = &pace{}
		u.networks[network] = p
	}
	return p.take(n, unpackingShare, now)
}

// all books n bytes of those that are within their network's share, and returns how long they have to wait for the others'.
func (u *Unpacking) all(n int, now time.Duration) time.Duration {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.node.take(n, unpackingRate, now)
}

// forget drops the networks that owe nothing, or all if all do.
func (u *Unpacking) forget(now time.Duration) {
	kept := map[netip.Prefix]*pace{}
	for network, p := range u.networks { // in no order: all are looked at
		if p.paid > now {
			kept[network] = p
		}
	}
	if len(kept) >= unpackingNetworks {
		clear(kept)
	}
	u.networks = kept
}

// meter is Unpacking for one connection; its receiver's. It implements record.Meter.
type meter struct {
	conn    *conn
	network netip.Prefix
	socket  kernelConn // also of a TLS connection
	unseen  int        // bytes since the client was looked for
}

func newMeter(c *conn) *meter {
	m := &meter{conn: c, network: networkOf(c.peer)}
	if t, ok := c.nc.(*tls.Conn); ok {
		m.socket.init(t.NetConn())
	} else {
		m.socket = c.kernel
	}
	return m
}

// Take waits for the pace; it ends when the connection does, and when the client hangs up, which nobody else notices while the receiver is
// busy.
func (m *meter) Take(n int) error {
	u, clock := m.conn.listener.config.Unpacking, m.conn.listener.server.Clock
	if err := m.wait(u.own(m.network, n, clock.Mono())); err != nil {
		return err
	}
	if err := m.wait(u.all(n, clock.Mono())); err != nil {
		return err
	}
	if m.unseen += n; m.unseen >= unpackingLook {
		m.unseen = 0
		return m.look()
	}
	return nil
}

func (m *meter) wait(d time.Duration) error {
	if m.conn.stopped() {
		return record.ErrStopped
	}
	if d <= 0 {
		return nil
	}
	m.conn.listener.server.Metrics.UnpackingWaited.Add(int64(d))
	late := time.NewTimer(d)
	defer late.Stop()
	tick := time.NewTicker(unpackingTick)
	defer tick.Stop()
	for {
		select {
		case <-late.C:
			return nil
		case <-tick.C:
			if err := m.look(); err != nil {
				return err
			}
		case <-m.conn.stop:
			return record.ErrStopped
		}
	}
}

// look ends the connection if its client has hung up.
func (m *meter) look() error {
	if !m.socket.hungUp() {
		return nil
	}
	m.conn.end(errHungUp)
	return record.ErrStopped
}
