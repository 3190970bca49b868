package actors

import (
	"runtime"
	"sync"
)

// Dispatcher decides when and where actors run.
type Dispatcher interface {
	// Schedule arranges that run is called once, later, from outside any actor: never before Schedule has returned.
	Schedule(run func())
	// Turn bounds the messages of one run. 1 means single steps: every run does exactly one thing (a system message, one message, the
	// end of a turn), which gives a simulator its finest interleaving.
	Turn() int
}

// pool is the production dispatcher: a few workers, parked when there is nothing to do, and one list of ready cells. The list is
// linked through the cells, so scheduling allocates nothing.
//
// Rejected: a goroutine per wake (protoactor's default), whose fresh stack is grown on every activation: 7 us a round trip, where
// this takes well under 1.
type pool struct {
	mu         sync.Mutex
	wake       sync.Cond
	head, tail *cell
	idle       int // parked workers
	woken      int // of these, signalled and not yet running
	closed     bool
	workers    sync.WaitGroup
}

func newPool(workers int) *pool {
	p := &pool{}
	p.wake.L = &p.mu
	for range workers {
		p.workers.Go(p.work)
	}
	return p
}

// schedule appends c to the ready list. A worker is woken only if none is on its way already: one that wakes takes what it finds, and
// wakes the next if more is left.
func (p *pool) schedule(c *cell) {
	p.mu.Lock()
	if p.tail == nil {
		p.head = c
	} else {
		p.tail.next = c
	}
	p.tail = c
	p.rouse()
	p.mu.Unlock()
}

// rouse wakes one parked worker. Called with mu held.
func (p *pool) rouse() {
	if p.idle > p.woken && p.woken == 0 {
		p.woken++
		p.wake.Signal()
	}
}

// work runs cells. After each it lets other goroutines run: what an actor offloaded, and connections with input, would else wait until
// nothing is ready any more. With 16 producers of transactions on two cores that is worth 8 % of throughput.
func (p *pool) work() {
	for c := p.next(); c != nil; c = p.next() {
		c.run()
		runtime.Gosched()
	}
}

// next waits for a ready cell; nil when the pool is closed and nothing is ready.
func (p *pool) next() *cell {
	p.mu.Lock()
	defer p.mu.Unlock()
	for p.head == nil && !p.closed {
		p.idle++
		p.wake.Wait()
		p.idle--
		if p.woken > 0 {
			p.woken--
		}
	}
	c := p.head
	if c == nil {
		return nil
	}
	p.head, c.next = c.next, nil
	if p.head == nil {
		p.tail = nil
	} else {
		p.rouse()
	}
	return c
}

// close lets the workers finish what is ready and end.
func (p *pool) close() {
	p.mu.Lock()
	p.closed = true
	p.wake.Broadcast()
	p.mu.Unlock()
	p.workers.Wait()
}
