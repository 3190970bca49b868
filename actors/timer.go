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

// pending is a timer that runs. It is also the message that says its time has come: the clock only posts it, and the actor's own turn
// decides whether it still counts. So a timer that was cancelled is silent even if its time came first.
type pending struct {
	id    uint64
	msg   any // delivered when the time has come
	timer env.Timer
}

// request is one that waits for its answer until due (env.Clock.Mono). Nearly all are answered, so they have no timers of their own: one
// alarm of the actor rings when the first one may be due, and is not taken back when that one is answered.
type request struct {
	to  PID
	due time.Duration
}

// Messages of the runtime to the actor itself: its alarm rings, and a request is due. As with timers, what was answered before is silent.
type (
	alarm      struct{}
	requestDue struct{ id uint64 }
)

const (
	// waitsKept is the size up to which an empty table of pendings or requests is kept: one that once was large stays large.
	waitsKept = 8
	// alarmGrain is how soon an alarm may ring again after it rang: what is due in between comes so much later.
	alarmGrain = 5 * time.Millisecond
)

// waits are the timers and requests of an actor.
type waits struct {
	timers       map[uint64]*pending
	requests     map[uint64]request
	peakTimers   int // of the table, since it was last made
	peakRequests int
	alarm        env.Timer     // nil: none is set
	alarmAt      time.Duration // when it rings
}

// After starts a timer of the actor.
func (c *cell) After(d time.Duration, msg any) TimerID {
	p, w := &pending{id: c.sys.nextID(), msg: msg}, c.extras()
	if w.timers == nil {
		w.timers = make(map[uint64]*pending)
	}
	w.timers[p.id] = p
	w.peakTimers = max(w.peakTimers, len(w.timers))
	p.timer = c.sys.clock.AfterFunc(d, func() { c.post(p, true) })
	return TimerID(p.id)
}

// Cancel ends a timer.
func (c *cell) Cancel(id TimerID) {
	if c.more == nil {
		return
	}
	if p, ok := c.more.timers[uint64(id)]; ok {
		p.timer.Stop()
		c.forgetTimer(p.id)
	}
}

// expire reports whether the time of p still matters, and forgets p.
func (c *cell) expire(p *pending) bool {
	if c.more == nil || c.more.timers[p.id] != p {
		return false
	}
	c.forgetTimer(p.id)
	return true
}

func (c *cell) forgetTimer(id uint64) {
	w := c.more
	if delete(w.timers, id); len(w.timers) == 0 && w.peakTimers > waitsKept {
		w.timers, w.peakTimers = nil, 0
	}
}

// Request sends a command that is to be answered.
func (c *cell) Request(to PID, msg Command, timeout time.Duration) uint64 {
	id, w := c.sys.nextID(), c.extras()
	msg.SetHead(c.self, id)
	if w.requests == nil {
		w.requests = make(map[uint64]request)
	}
	due := c.sys.clock.Mono() + timeout
	w.requests[id] = request{to, due}
	w.peakRequests = max(w.peakRequests, len(w.requests))
	if w.alarm == nil || due < w.alarmAt {
		c.setAlarm(due, timeout)
	}
	c.Send(to, msg)
	return id
}

func (c *cell) setAlarm(at, after time.Duration) {
	if c.more.alarm != nil {
		c.more.alarm.Stop()
	}
	c.more.alarmAt, c.more.alarm = at, c.sys.clock.AfterFunc(after, func() { c.post(alarm{}, true) })
}

// ring posts the requests that are due, in the order in which they were sent, and sets the alarm for the others. It may be called too early.
func (c *cell) ring() {
	if c.more == nil {
		return
	}
	w, now := c.more, c.sys.clock.Mono()
	var due []uint64
	var next time.Duration
	for id, r := range w.requests {
		if r.due <= now {
			due = append(due, id)
		} else if next == 0 || r.due < next {
			next = r.due
		}
	}
	slices.Sort(due)
	for _, id := range due {
		c.post(requestDue{id}, true)
	}
	switch {
	case next > 0:
		next = max(next, now+alarmGrain)
		c.setAlarm(next, next-now)
	case w.alarm != nil:
		w.alarm.Stop()
		w.alarm = nil
	}
}

// answered ends the wait of a request; false if it has ended before.
func (c *cell) answered(id uint64) (to PID, ok bool) {
	if c.more == nil {
		return to, false
	}
	w := c.more
	r, ok := w.requests[id]
	if !ok {
		return to, false
	}
	if delete(w.requests, id); len(w.requests) == 0 && w.peakRequests > waitsKept {
		w.requests, w.peakRequests = nil, 0
	}
	return r.to, true
}

// cancelAll stops every timer, in the order they were started.
func (c *cell) cancelAll() {
	if c.more == nil {
		return
	}
	for _, id := range slices.Sorted(maps.Keys(c.more.timers)) {
		c.more.timers[id].timer.Stop()
	}
	if c.more.alarm != nil {
		c.more.alarm.Stop()
	}
	c.more.waits = waits{}
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
