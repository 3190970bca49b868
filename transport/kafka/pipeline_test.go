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
		var p pipeline
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
				c := p.reserve(100, int32(asked))
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
		if !p.empty() || p.bytes != 0 {
			t.Fatalf("%d requests and %d bytes are left", p.past-p.first, p.bytes)
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
		p.begun(p.reserve(1, 0))
	}
	if p.ready() {
		t.Error("more requests than the bound")
	}
	p = pipeline{}
	if p.reserve(pipelineBytesMax+1, 0); p.ready() {
		t.Error("more bytes than the bound")
	}
}

func TestDiscardedAnswersAreNotEncoded(t *testing.T) {
	var p pipeline
	var encoded []uint64
	discarded := 0
	for i := range 3 {
		c := p.reserve(1, 0)
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
