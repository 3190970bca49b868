package kafka

import (
	"encoding/binary"
	"testing"

	"pgregory.net/rapid"

	"github.com/troupe-broker/troupe/transport/kafka/api"
	"github.com/troupe-broker/troupe/transport/kafka/wire"
)

// number is a response that says which request it answers.
type number struct {
	n         uint64
	encoded   *[]uint64
	discarded *int
}

func (r number) Encode(o *wire.Out) {
	o.Int64(int64(r.n))
	*r.encoded = append(*r.encoded, r.n)
}

func (r number) Discard() { *r.discarded++ }

// Replies leave in the order of their requests whatever the order of their answers, and each exactly once or not at all.
func TestRepliesLeaveInRequestOrder(t *testing.T) {
	row := api.NewServer(api.Config{}).Row(3)
	rapid.Check(t, func(t *rapid.T) {
		p := pipeline{backlog: &Backlog{}}
		var o wire.Out
		var encoded []uint64
		var open []*api.Call
		silent := map[uint64]bool{}
		discarded, asked := 0, uint64(0)
		drain := func() {
			for x := p.next(); x != nil; x = p.next() {
				x.encode(&o)
				p.free(x)
			}
		}
		for range rapid.IntRange(1, 200).Draw(t, "steps") {
			switch rapid.IntRange(0, 3).Draw(t, "what") {
			case 0, 1:
				if !p.ready() {
					continue
				}
				c := p.reserve(100, int32(asked), rapid.Bool().Draw(t, "other"))
				c.Row = row
				asked++
				p.begun(c)
				open = append(open, c)
			case 2:
				if len(open) == 0 {
					continue
				}
				i := rapid.IntRange(0, len(open)-1).Draw(t, "which")
				c := open[i]
				open = append(open[:i], open[i+1:]...)
				if rapid.Bool().Draw(t, "silent") {
					silent[c.Number] = true
					p.answer(c, nil)
				} else {
					p.answer(c, number{c.Number, &encoded, &discarded})
				}
			case 3:
				drain()
			}
		}
		for _, c := range open {
			p.answer(c, number{c.Number, &encoded, &discarded})
		}
		drain()
		if !p.empty() || p.bytes != 0 || p.mine != (shareOf{}) || p.backlog.requests.Load() != 0 || p.backlog.bytes.Load() != 0 {
			t.Fatalf("%d requests and %d bytes are left, and a backlog of %+v", p.past-p.first, p.bytes, p.mine)
		}
		want := uint64(0)
		for b := o.Buf; len(b) > 0; b = b[16:] {
			for silent[want] {
				want++
			}
			if id := uint64(binary.BigEndian.Uint32(b[4:])); id != want || binary.BigEndian.Uint64(b[8:]) != want {
				t.Fatalf("reply %d came where %d should", id, want)
			}
			want++
		}
		for silent[want] {
			want++
		}
		if want != asked {
			t.Fatalf("%d replies for %d requests", want, asked)
		}
	})
}

func TestPipelineIsBounded(t *testing.T) {
	var p pipeline
	for range pipelineRequestsMax {
		if !p.ready() {
			t.Fatal("full too early")
		}
		p.begun(p.reserve(1, 0, false))
	}
	if p.ready() {
		t.Error("more requests than the bound")
	}
	p = pipeline{}
	if p.reserve(pipelineBytesMax+1, 0, false); p.ready() {
		t.Error("more bytes than the bound")
	}
}

// One connection runs far ahead, many together do not, and each of them can go on; what ends gives back what it had.
func TestBacklogIsShared(t *testing.T) {
	var b Backlog
	ahead := func() (p pipeline, n int) {
		for p.backlog = &b; p.ready(); n++ {
			p.begun(p.reserve(100, 0, true))
		}
		return p, n
	}
	var all []pipeline
	for range backlogRequests / pipelineRequestsMax {
		p, n := ahead()
		if all = append(all, p); n != pipelineRequestsMax {
			t.Fatalf("%d requests are taken", n)
		}
	}
	late, n := ahead()
	if n != shareRequests {
		t.Errorf("%d requests are taken when there are many", n)
	}
	late.answer(&late.at(3).Call, nil) // behind others that are not answered
	if !late.ready() {
		t.Error("an answer makes no room")
	}
	late.begun(late.reserve(1, 0, false))
	if !late.ready() {
		t.Error("a request for records counts")
	}
	for i := range all {
		all[i].discard()
	}
	if late.discard(); b.requests.Load() != 0 || b.bytes.Load() != 0 {
		t.Errorf("%d requests and %d bytes are left", b.requests.Load(), b.bytes.Load())
	}
	large := pipeline{backlog: &b}
	large.begun(large.reserve(backlogBytes, 0, true))
	if large.ready() {
		t.Error("more bytes than the backlog")
	}
	if p := (pipeline{backlog: &b}); !p.ready() {
		t.Error("another one cannot even begin")
	}
}

func TestDiscardedAnswersAreNotEncoded(t *testing.T) {
	var p pipeline
	var encoded []uint64
	discarded := 0
	for i := range 3 {
		c := p.reserve(1, 0, false)
		if i != 1 {
			p.begun(c)
		}
		if i == 2 {
			p.answer(c, number{2, &encoded, &discarded})
		}
	}
	p.discard()
	if discarded != 1 || len(encoded) != 0 || p.next() != nil || !p.empty() {
		t.Errorf("%d discarded, %v encoded", discarded, encoded)
	}
}
