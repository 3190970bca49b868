package actors

import (
	"sync/atomic"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/troupe-broker/troupe/actors/invariant"
)

// Stats counts what happened in a System since it was made.
type Stats struct {
	Actors      int    // alive now
	Processed   uint64 // messages handled by actors
	DeadLetters uint64 // messages nobody handled and nobody was told about
	Refusals    uint64 // messages answered by the runtime in the actor's place
	LateReplies uint64 // replies to nothing asked, or asked too long ago
	Failures    uint64 // panics of actors, edges and offloaded work
}

type counters struct {
	processed, deadLetters, refusals, lateReplies, failures atomic.Uint64
}

// Stats reads the counters.
func (s *System) Stats() Stats {
	s.mu.Lock()
	alive := s.alive
	s.mu.Unlock()
	return Stats{
		Actors:      alive,
		Processed:   s.stats.processed.Load(),
		DeadLetters: s.stats.deadLetters.Load(),
		Refusals:    s.stats.refusals.Load(),
		LateReplies: s.stats.lateReplies.Load(),
		Failures:    s.stats.failures.Load(),
	}
}

// refuse ends a message that to cannot take: a Refusable is answered on the spot, on the sender's thread; the runtime's own messages
// have served their purpose; all others are dead letters.
func (s *System) refuse(to PID, msg any, why Refusal) {
	switch m := msg.(type) {
	case *pending, alarm, requestDue, Terminated:
		return
	case *offloaded:
		s.refuseResult(to, m)
		return
	case Refusable:
		back, answer := m.Refused(why)
		if !back.IsZero() && answer != nil {
			_, again := answer.(Refusable)
			invariant.Check(!again, "%T refuses with %T, which could be refused for ever", msg, answer)
			s.stats.refusals.Add(1)
			s.Send(back, answer)
			return
		}
	}
	s.stats.deadLetters.Add(1)
	if s.config.OnDeadLetter != nil {
		s.config.OnDeadLetter(to, msg)
	}
}

func (s *System) refuseResult(to PID, m *offloaded) {
	if m.panicked != nil {
		s.report(*m.panicked)
		return
	}
	s.refuse(to, m.result, RefusedStopped)
}

// undeliverable gets from protoactor what was sent to no process.
func (s *System) undeliverable(event any) {
	e, ok := event.(*actor.DeadLetterEvent)
	if !ok {
		return
	}
	if _, system := e.Message.(actor.SystemMessage); !system {
		s.refuse(PID{e.PID}, e.Message, RefusedUnknown)
	}
}
