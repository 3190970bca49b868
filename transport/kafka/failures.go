package kafka

import (
	"net/netip"
	"sync"
	"time"
)

const (
	// failureBurst failed logins of one network are answered after connection.failed.authentication.delay.ms alone; further ones wait until
	// failureInterval has passed for each of them.
	failureBurst    = 20
	failureInterval = 100 * time.Millisecond
	// failureBacklog is how long the queue of a network's failures may be before it may not try any more.
	failureBacklog = 10 * time.Second
	// failureNetworks bounds how many networks are remembered, failures of which are less than a few seconds ago; at the bound all are
	// forgotten.
	failureNetworks = 10_000
)

// LoginFailures makes guessing slow, whatever the number of connections that guess: those of one network share its pace, also the one that knows
// its password, for as long as the guessing goes on. Kafka only delays each answer. Safe on any goroutine; the zero value is ready.
type LoginFailures struct {
	mu       sync.Mutex
	networks map[netip.Prefix]time.Duration // guarded by mu: when the next failure may be answered, on the monotonic clock
}

// networkOf is what counts as one address where a stranger could have many: of IPv6 a host has a whole network of them.
func networkOf(peer netip.Addr) netip.Prefix {
	peer = peer.Unmap()
	bits := peer.BitLen()
	if peer.Is6() {
		bits = 64
	}
	network, _ := peer.Prefix(bits)
	return network
}

// Add implements api.LoginFailures.
func (f *LoginFailures) Add(peer netip.Addr, now time.Duration) time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	network := networkOf(peer)
	due, idle := f.networks[network], now-failureBurst*failureInterval
	if _, ok := f.networks[network]; !ok || due < idle {
		due = idle
	}
	due += failureInterval
	if f.networks == nil || len(f.networks) >= failureNetworks {
		f.forget(now)
	}
	f.networks[network] = due
	return max(0, due-now)
}

// forget drops the networks that have nothing in their queue, or all if all have.
func (f *LoginFailures) forget(now time.Duration) {
	kept := map[netip.Prefix]time.Duration{}
	for network, due := range f.networks { // in no order: all are looked at
		if due > now {
			kept[network] = due
		}
	}
	if len(kept) >= failureNetworks {
		clear(kept)
	}
	f.networks = kept
}

// TooMany implements api.LoginFailures.
func (f *LoginFailures) TooMany(peer netip.Addr, now time.Duration) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.networks[networkOf(peer)]-now > failureBacklog
}
