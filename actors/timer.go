package actors

import (
	"maps"
	"runtime/debug"
	"slices"
	"time"

	"github.com/troupe-broker/troupe/actors/env"
)

// TimerID names a pending timer of one actor; zero names none.
type TimerID uint64

// pending is a timer or a request that waits. It is also the message that says its time has come: the clock only posts it, and the
// actor's own turn decides whether it still counts. So a timer that was cancelled, or a request that was answered, is silent even
// if its time came first.
type pending struct {
	id    uint64
	msg   any // delivered when the time has come
	timer env.Timer
}

// pendingKept is the size up to which an empty table of pendings is kept: one that once was large stays large.
const pendingKept = 8

// wait starts a pending of the actor.
func (c *cell) wait(id uint64, d time.Duration, msg any) {
	p := &pending{id: id, msg: msg}
	x := c.extras()
	if x.pending == nil {
		x.pending = make(map[uint64]*pending)
	}
	x.pending[id] = p
	x.peak = max(x.peak, len(x.pending))
	p.timer = c.sys.clock.AfterFunc(d, func() { c.post(p, true) })
}

// expire reports whether the time of p still matters, and forgets p.
func (c *cell) expire(p *pending) bool {
	if c.more == nil || c.more.pending[p.id] != p {
		return false
	}
	c.forget(p.id)
	return true
}

// settle ends the wait for id, if there is one.
func (c *cell) settle(id uint64) bool {
	if c.more == nil {
		return false
	}
	p, ok := c.more.pending[id]
	if ok {
		p.timer.Stop()
		c.forget(id)
	}
	return ok
}

func (c *cell) forget(id uint64) {
	delete(c.more.pending, id)
	if len(c.more.pending) == 0 && c.more.peak > pendingKept {
		c.more.pending, c.more.peak = nil, 0
	}
}

// cancelAll stops every timer, in the order they were started.
func (c *cell) cancelAll() {
	if c.more == nil {
		return
	}
	for _, id := range slices.Sorted(maps.Keys(c.more.pending)) {
		c.more.pending[id].timer.Stop()
	}
	c.more.pending = nil
}

// offloaded is the end of work that ran outside the pool.
type offloaded struct {
	result   any
	panicked *Failure
}

func (c *cell) offload(work func() any) {
	done := &offloaded{}
	c.sys.config.Env.Offload.Run(func() {
		defer func() {
			if p := recover(); p != nil {
				done.panicked = &Failure{Actor: c.self, Panic: p, Stack: debug.Stack()}
			}
			if done.result != nil || done.panicked != nil {
				c.post(done, true)
			}
		}()
		done.result = work()
	})
}
