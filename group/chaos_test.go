package group_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/troupe-broker/troupe/actors/protocol"
	"github.com/troupe-broker/troupe/simulations/sim"
)

// position is one offset that one client moves forward, what it tried and what it was told.
type position struct {
	group        string
	tried, acked int64
	read         int64 // the highest anybody saw
	busy         bool
}

// chaos moves offsets while the node is killed, loses power, or has a full disk.
type chaos struct {
	*world
	rand      *sim.Stream
	positions []*position
	life      int
	acked     int // of all lives
}

// TestOffsetsNeverGoBackWhateverHappens: each position is moved by one client at a time and upwards. What was acknowledged is never
// below what is read later, and nothing is read that was not tried. That is all a group promises of its offsets.
func TestOffsetsNeverGoBackWhateverHappens(t *testing.T) {
	total := 0
	for seed := range uint64(5) {
		c := &chaos{world: newSeededWorld(t, 1000+seed, set("offsets.topic.num.partitions", "2"))}
		c.rand = c.sim.Stream("chaos")
		for i := range 12 {
			c.positions = append(c.positions, &position{group: fmt.Sprintf("g%d", i), tried: -1, acked: -1, read: -1})
		}
		for range 12 {
			c.coordinator("g0")
			for range 60 {
				c.act()
				c.sim.RunFor(time.Duration(c.rand.IntN(4000)) * time.Microsecond)
			}
			c.disaster()
		}
		c.host.Disk.Heal()
		c.kill()
		for _, p := range c.positions {
			c.coordinator(p.group)
			p.saw(c, c.committed(p.group, "t", 0))
		}
		total += c.acked
	}
	if total < 400 {
		t.Errorf("only %d commits were acknowledged", total)
	}
}

// act lets one client commit or read.
func (c *chaos) act() {
	p := c.positions[c.rand.IntN(len(c.positions))]
	pid, code := c.node.Groups().Group(p.group)
	if code != protocol.None {
		return
	}
	if c.rand.Chance(0.3) {
		floor := max(p.read, p.acked)
		m := &protocol.FetchOffsets{Member: protocol.Member{GroupID: p.group}, Generation: -1, Wanted: []protocol.WantedOffset{{Topic: "t"}}}
		c.node.System().Ask(pid, m, time.Minute, func(reply any, err error) {
			if r, ok := reply.(*protocol.OffsetsFetched); ok && !r.Failed() {
				if r.Offsets[0].Offset < floor {
					c.t.Errorf("seed %d, %s: %d is read after %d", c.sim.Seed, p.group, r.Offsets[0].Offset, floor)
				}
				p.read = max(p.read, r.Offsets[0].Offset)
			}
		})
		return
	}
	if p.busy {
		return
	}
	p.busy = true
	p.tried++
	offset, life := p.tried, c.life
	c.node.System().Ask(pid, committing(p.group, at("t", 0, offset)), time.Minute, func(reply any, err error) {
		if life != c.life {
			return
		}
		p.busy = false
		if r, ok := reply.(*protocol.OffsetsCommitted); ok && r.Codes[0] == protocol.None {
			p.acked = offset
			c.acked++
		}
	})
}

func (p *position) saw(c *chaos, offset int64) {
	if offset < p.acked || offset < p.read || offset > p.tried {
		c.t.Errorf("seed %d, %s: offset %d; acknowledged %d, read %d, tried %d", c.sim.Seed, p.group, offset, p.acked, p.read, p.tried)
	}
}

// disaster befalls the node.
func (c *chaos) disaster() {
	switch c.rand.IntN(4) {
	case 0:
		c.restart(c.kill)
	case 1:
		c.restart(func() {
			c.process.PowerLoss(sim.DrawCrash(c.rand))
			c.boot()
		})
	case 2:
		c.host.Disk.Capacity = c.host.Disk.Used() + int64(c.rand.IntN(2000))
		for range 30 {
			c.act()
			c.sim.RunFor(time.Millisecond)
		}
		c.host.Disk.Capacity = 0
	case 3:
		c.host.Disk.Inject(&sim.Rule{Op: sim.OpSync, Pattern: "*.log", Times: 1, Effect: sim.EIO})
		for range 30 {
			c.act()
			c.sim.RunFor(time.Millisecond)
		}
		c.host.Disk.Heal()
		c.restart(c.kill)
	}
}

func (c *chaos) restart(how func()) {
	c.life++
	for _, p := range c.positions {
		p.busy = false
	}
	how()
}
