package workload

import (
	"math/rand/v2"
	"time"

	"github.com/troupe-broker/troupe/simulations/sim"
)

// Simulated is the Env of a simulated world with one node.
type Simulated struct {
	World   *sim.World
	Network *sim.Network
	Host    *sim.Host
	// Accept makes the node's end of a connection.
	Accept func(*sim.Conn) sim.Server
	// EraOf is the number of power losses before a life of the node.
	EraOf func(*sim.Process) int
	// Skew is what the clients' wall clock is ahead of the world's.
	Skew time.Duration
}

// Now implements Env.
func (e *Simulated) Now() time.Duration { return e.World.Now() }

// Wall implements Env: clients have a good clock.
func (e *Simulated) Wall() time.Time { return sim.Epoch.Add(e.World.Now() + e.Skew) }

// After implements Env.
func (e *Simulated) After(d time.Duration, f func()) { e.World.After(d, f) }

// Rand implements Env.
func (e *Simulated) Rand(name string) *rand.Rand { return e.World.Stream("client/" + name).Rand }

// Dial implements Env.
func (e *Simulated) Dial(r Receiver) Conn {
	c := e.Network.Dial(e.Host, r, e.Accept)
	if c == nil {
		return nil
	}
	return simulatedConn{c, e.EraOf(c.Process())}
}

type simulatedConn struct {
	*sim.Conn
	era int
}

func (c simulatedConn) Era() int { return c.era }

func (c simulatedConn) Life() int { return c.Process().Life }
