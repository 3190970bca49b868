package actors

import (
	"runtime/debug"
	"slices"
	"strconv"
	"sync"

	"github.com/asynkron/protoactor-go/actor"
)

// edge is a PID without an actor behind it: a connection, a test, anything that takes messages on the sender's thread.
type edge struct {
	sys      *System
	self     PID
	deliver  func(msg any)
	mu       sync.Mutex
	removed  bool
	watchers []PID
}

// Edge registers an endpoint. Its id is name and a number, never used twice. deliver is called on the sender's thread, by several
// senders beside each other, and must not block: it hands the message on to a goroutine or a buffer of its own. A panic in deliver
// is counted and reported, and is none of the sender's business.
func (s *System) Edge(name string, deliver func(msg any)) PID {
	e := &edge{sys: s, deliver: deliver}
	pid, absent := s.proto.ProcessRegistry.Add(e, name+"#"+strconv.FormatUint(s.edges.Add(1), 10))
	if !absent {
		panic("actors: an actor has the name of an edge: " + pid.Id)
	}
	e.mu.Lock()
	e.self = PID{pid}
	e.mu.Unlock()
	return PID{pid}
}

// RemoveEdge ends an endpoint: later messages to it are dead letters, its watchers get Terminated. A deliver that is running is not
// waited for.
func (s *System) RemoveEdge(pid PID) {
	p, ok := s.proto.ProcessRegistry.Get(pid.pid)
	if e, isEdge := p.(*edge); ok && isEdge {
		s.proto.ProcessRegistry.Remove(pid.pid)
		e.remove()
	}
}

func (e *edge) remove() {
	e.mu.Lock()
	watchers := e.watchers
	e.removed, e.watchers = true, nil
	e.mu.Unlock()
	for _, w := range watchers {
		e.sys.Send(w, Terminated{Who: e.self})
	}
}

// SendUserMessage implements actor.Process.
func (e *edge) SendUserMessage(pid *actor.PID, msg any) {
	e.mu.Lock()
	removed := e.removed
	e.mu.Unlock()
	if removed { // senders' PIDs remember the process
		e.sys.refuse(PID{pid}, msg, RefusedUnknown)
		return
	}
	defer func() {
		if p := recover(); p != nil {
			e.sys.report(Failure{Actor: PID{pid}, Panic: p, Stack: debug.Stack()})
		}
	}()
	e.deliver(msg)
}

// SendSystemMessage implements actor.Process.
func (e *edge) SendSystemMessage(_ *actor.PID, msg any) {
	e.mu.Lock()
	defer e.mu.Unlock()
	switch m := msg.(type) {
	case *watch:
		if e.removed {
			e.sys.Send(m.watcher, Terminated{Who: e.self, Cause: ErrUnknownActor})
		} else if !slices.ContainsFunc(e.watchers, m.watcher.Equal) {
			e.watchers = append(e.watchers, m.watcher)
		}
	case *unwatch:
		e.watchers = slices.DeleteFunc(e.watchers, m.watcher.Equal)
	}
}

// Stop implements actor.Process.
func (e *edge) Stop(pid *actor.PID) { e.sys.RemoveEdge(PID{pid}) }
