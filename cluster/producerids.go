package cluster

import (
	"time"

	"github.com/troupe-broker/troupe/actors"
	"github.com/troupe-broker/troupe/actors/protocol"
)

const (
	// blockWait is how long the controller may take to give a block of producer ids.
	blockWait = 5 * time.Second
	// takesMax bounds the requests that wait for a block; beyond it they are refused and the client comes back.
	takesMax = 10_000
)

// NewProducerIDs is the actor that gives the producer ids of a node: from a block that belongs to the node, the next of which it
// fetches from the controller when the first is empty. Requests wait in order meanwhile. Source: RPCProducerIdManager.
func NewProducerIDs(controller func() actors.PID) actors.Spec {
	return actors.Spec{Name: "producer-ids", New: func() actors.Actor { return &producerIDs{controller: controller} }}
}

// TakeProducerID and ProducerIDTaken are what the actor is asked and answers.
type (
	TakeProducerID  = protocol.TakeProducerID
	ProducerIDTaken = protocol.ProducerIDTaken
)

type producerIDs struct {
	controller func() actors.PID
	next, past protocol.ProducerID // ids that are left
	waiting    []*TakeProducerID   // at most takesMax
	fetching   bool
}

// Receive implements actors.Actor.
func (p *producerIDs) Receive(ctx *actors.Context, msg any) {
	switch m := msg.(type) {
	case *TakeProducerID:
		if p.next < p.past {
			p.give(ctx, m)
			return
		}
		if len(p.waiting) >= takesMax {
			ctx.Send(m.Refused(actors.RefusedOverload))
			return
		}
		p.waiting = append(p.waiting, m)
		p.fetch(ctx)
	case *protocol.ProducerIDsAllocated:
		if p.fetching = false; !m.Failed() {
			p.next, p.past = m.First, m.First+protocol.ProducerID(m.Count)
		}
		p.serve(ctx)
	case actors.RequestTimedOut:
		p.fetching = false
		p.serve(ctx)
	}
}

func (p *producerIDs) give(ctx *actors.Context, m *TakeProducerID) {
	ctx.Send(m.ReplyTo, &ProducerIDTaken{Answer: protocol.Answer{ID: m.ID}, ProducerID: p.next})
	p.next++
}

// serve answers those who wait: with ids or, if there is still none, with a refusal, so that the client comes back.
func (p *producerIDs) serve(ctx *actors.Context) {
	waiting := p.waiting
	got := p.next < p.past
	for i, m := range waiting {
		if got && p.next == p.past {
			p.waiting = waiting[i:]
			p.fetch(ctx)
			return
		}
		if got {
			p.give(ctx, m)
		} else {
			ctx.Send(m.Refused(actors.RefusedStopped))
		}
	}
	p.waiting = nil
}

func (p *producerIDs) fetch(ctx *actors.Context) {
	if p.fetching {
		return
	}
	to := p.controller()
	if to.IsZero() {
		p.serve(ctx)
		return
	}
	p.fetching = true
	ctx.Request(to, &protocol.AllocateProducerIDs{}, blockWait)
}
