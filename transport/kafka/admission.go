package kafka

import (
	"fmt"
	"math"
	"net/netip"
	"sync"
	"time"
)

const (
	connectionsMaxDefault = 15_000 // Kafka has no limit; file descriptors do
	// addressShare is how many connections one address may have for each that is left for others: one alone takes nine tenths of
	// all, and there are always some for who comes next.
	addressShare = 9
)

// Limits bound the connections of a node, over all its listeners.
type Limits struct {
	// Connections is how many there may be: max.connections, or what the descriptors of the process allow if that is less.
	Connections int
	PerAddress  int                // max.connections.per.ip
	Overrides   map[netip.Addr]int // max.connections.per.ip.overrides; not to be changed
	// CreationRate is max.connection.creation.rate, a second. Those that come faster wait to be accepted.
	CreationRate int
}

// Admission counts the connections of a node and says which may be added. Safe on any goroutine.
type Admission struct {
	limits func() Limits // those in force

	mu    sync.Mutex
	all   int                // guarded by mu
	peers map[netip.Addr]int // guarded by mu
	next  time.Time          // guarded by mu: when the next connection is due at the creation rate
}

// NewAdmission is that of a node; limits are asked for at every connection, nil for those by default.
func NewAdmission(limits func() Limits) *Admission {
	if limits == nil {
		limits = func() Limits {
			return Limits{Connections: connectionsMaxDefault, PerAddress: connectionsMaxDefault, CreationRate: math.MaxInt32}
		}
	}
	return &Admission{limits: limits, peers: map[netip.Addr]int{}}
}

// refusal says why a connection was not admitted.
type refusal struct {
	setting string
	detail  string
}

// enter admits a connection from peer, or says why not.
func (a *Admission) enter(peer netip.Addr) *refusal {
	a.mu.Lock()
	defer a.mu.Unlock()
	limits, has := a.limits(), a.peers[peer]
	if n, ok := limits.Overrides[peer]; ok {
		limits.PerAddress = n
	}
	left := limits.Connections - a.all
	switch {
	case left <= 0:
		return &refusal{"max.connections", fmt.Sprintf("%d connections", a.all)}
	case has >= limits.PerAddress:
		return &refusal{"max.connections.per.ip", fmt.Sprintf("%d connections of this address", has)}
	case has >= addressShare*left:
		return &refusal{"max.connections", fmt.Sprintf("%d connections of this address, and the %d that are left are for others", has, left)}
	}
	a.all++
	a.peers[peer]++
	return nil
}

func (a *Admission) leave(peer netip.Addr) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.all--
	if a.peers[peer]--; a.peers[peer] == 0 {
		delete(a.peers, peer)
	}
}

// pause is how long to wait before the next connection is accepted. As many as come in one second may come at once.
func (a *Admission) pause(now time.Time) time.Duration {
	a.mu.Lock()
	defer a.mu.Unlock()
	rate := max(a.limits().CreationRate, 1) // 0 would be none at all, also for who could change it
	if earliest := now.Add(-time.Second); a.next.Before(earliest) {
		a.next = earliest
	}
	a.next = a.next.Add(time.Second / time.Duration(rate))
	return max(0, a.next.Sub(now))
}
