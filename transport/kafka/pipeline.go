package kafka

import (
	"github.com/troupe-broker/troupe/actors/invariant"
	"github.com/troupe-broker/troupe/transport/kafka/api"
)

// The bounds of what one connection may have under way. At either the session is not Ready.
const (
	pipelineRequestsMax = 512
	pipelineBytesMax    = 64 << 20 // bytes of requests; one request alone may be larger

	sparesMax = 128 // slots kept for reuse
)

// pipeline keeps the requests of one connection in the order in which they came, because that is the order in which they must be
// answered, whenever their answers come. A ring of slots; the number of a request says where its slot is.
type pipeline struct {
	slots []*slot // length a power of two
	first uint64  // number of the oldest request
	past  uint64  // number of the next one
	bytes int
	spare []*slot

	backlog *Backlog // of the node; nil: nobody shares one
	mine    shareOf  // of it
}

type slot struct {
	api.Call
	correlation int32
	size        int
	other       bool // no request for records
	begun       bool // Handle has run: nobody else uses the call
	done        bool
	response    api.Response // nil: nothing is sent
}

func (p *pipeline) ready() bool {
	return p.past-p.first < pipelineRequestsMax && (p.bytes < pipelineBytesMax || p.empty()) && p.backlog.room(p.mine)
}

func (p *pipeline) empty() bool { return p.past == p.first }

// reserve takes the next place in the order for a request for records, or another one.
func (p *pipeline) reserve(size int, correlation int32, other bool) *api.Call {
	if int(p.past-p.first) == len(p.slots) {
		p.grow()
	}
	var x *slot
	if n := len(p.spare); n > 0 {
		x, p.spare = p.spare[n-1], p.spare[:n-1]
	} else {
		x = new(slot)
	}
	x.Number, x.correlation, x.size, x.other = p.past, correlation, size, other
	if other {
		p.backlog.add(&p.mine, 1, size)
	}
	p.slots[p.past%uint64(len(p.slots))] = x
	p.past++
	p.bytes += size
	return &x.Call
}

func (p *pipeline) grow() {
	slots := make([]*slot, max(8, 2*len(p.slots)))
	for n := p.first; n < p.past; n++ {
		slots[n%uint64(len(slots))] = p.at(n)
	}
	p.slots = slots
}

func (p *pipeline) at(number uint64) *slot { return p.slots[number%uint64(len(p.slots))] }

// find is the call with this number if it is not answered.
func (p *pipeline) find(number uint64) *api.Call {
	if number < p.first || number >= p.past {
		return nil
	}
	if x := p.at(number); !x.done {
		return &x.Call
	}
	return nil
}

// begun says that Handle is through with the call; its body is no longer valid.
func (p *pipeline) begun(c *api.Call) {
	x := p.at(c.Number)
	x.begun = true
	x.Body, x.Frame = nil, nil
}

// answer completes a call. Nothing may happen to it any more.
func (p *pipeline) answer(c *api.Call, r api.Response) {
	x := p.at(c.Number)
	if x.done || &x.Call != c {
		invariant.Check(false, "request %d of key %d was answered twice", c.Number, c.Row.Key)
	}
	x.done, x.response = true, r
	if x.other {
		p.backlog.add(&p.mine, -1, -x.size)
	}
}

// answered reports whether next has something.
func (p *pipeline) answered() bool {
	if p.empty() {
		return false
	}
	x := p.at(p.first)
	return x.done
}

// next takes the oldest request out if it is answered; nil if it is not. The caller frees the slot.
func (p *pipeline) next() *slot {
	if !p.answered() {
		return nil
	}
	x := p.at(p.first)
	p.slots[p.first%uint64(len(p.slots))] = nil
	p.first++
	p.bytes -= x.size
	return x
}

// free takes a slot that next returned back for reuse.
func (p *pipeline) free(x *slot) {
	if len(p.spare) < sparesMax {
		*x = slot{}
		p.spare = append(p.spare, x)
	}
}

// each calls f for every request that is begun and not answered, oldest first.
func (p *pipeline) each(f func(*api.Call)) {
	for n := p.first; n < p.past; n++ {
		if x := p.at(n); x.begun && !x.done {
			f(&x.Call)
		}
	}
}

// discard ends every request.
func (p *pipeline) discard() {
	for n := p.first; n < p.past; n++ {
		x := p.at(n)
		switch {
		case x.done && x.response != nil:
			x.response.Discard()
		case x.begun && !x.done:
			x.Abandon()
		}
	}
	p.backlog.add(&p.mine, -p.mine.requests, -p.mine.bytes)
	p.slots, p.first, p.bytes = nil, p.past, 0
}
