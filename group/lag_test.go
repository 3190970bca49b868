package group_test

import (
	"slices"
	"testing"
	"time"

	"github.com/troupe-broker/troupe/actors/protocol"
	"github.com/troupe-broker/troupe/actors/record"
	"github.com/troupe-broker/troupe/group"
	"github.com/troupe-broker/troupe/group/step"
)

func TestTheTimeOfTheNextRecordIsReadOnceForEachPosition(t *testing.T) {
	w := newWorld(t)
	h := w.topic("t", 1)[0]
	now := func() int64 { return w.process.Env().Clock.Now().UnixMilli() }
	produce := func(codec record.Codec, times ...int64) {
		b := record.NewBuilder(record.Options{Codec: codec})
		for _, ts := range times {
			b.Append(ts, nil, []byte("v"), nil)
		}
		batch, err := b.Build()
		if err != nil {
			t.Fatal(err)
		}
		m := &protocol.Produce{Partition: h.Partition, LeaderEpoch: -1, Acks: -1, Deadline: 1 << 62, Batch: batch}
		if got := ask[*protocol.Produced](w, h.PID, m); got.Failed() {
			t.Fatalf("%+v", got)
		}
	}
	base := now()
	produce(record.None, base, base+5, base+9) // 0-2
	produce(record.Zstd, base+20, base+30)     // 3-4
	p := w.producer("id")
	p.add(protocol.NamedPartition{Topic: "t"})
	w.sim.RunFor(time.Second)
	inTxn := now()
	p.write(h.Partition) // 5
	p.end(true, false)
	p.completes("CompleteCommit") // 6 is the marker
	w.sim.RunFor(time.Second)
	last := now()
	w.append(h, record.Options{}, step.Record{Value: []byte("v")}) // 7
	var u group.Unread
	offsets := []int64{0, 1, 2, 3, 4, 5, 6, 7, 8}
	want := []int64{base, base + 5, base + 9, base + 20, base + 30, inTxn, last, last, -1}
	for round := range 2 {
		got, reads := u.Round(h, offsets...)
		if !slices.Equal(got, want) {
			t.Errorf("round %d: %d, want %d", round, got, want)
		}
		if round == 1 && reads > 0 {
			t.Errorf("%d batches were read again", reads)
		}
	}
	if _, reads := u.Round(h, 7); reads > 0 || u.Kept() != 1 {
		t.Errorf("%d batches read, %d times kept", reads, u.Kept())
	}
}

// A node shows the positions furthest behind, the earlier of equal ones, and how many it does not show.
func TestLagsAreThoseFurthestBehind(t *testing.T) {
	got, leftOut := group.Worst(3, 4, 0, 9, 6, 1, 0, 2, 9, 6, 5)
	if want := []int64{9, 9, 6}; !slices.Equal(got, want) || leftOut != 7 {
		t.Errorf("%d and %d more, want %d and 7", got, leftOut, want)
	}
	if got, leftOut := group.Worst(3, 0, 2); !slices.Equal(got, []int64{0, 2}) || leftOut != 0 {
		t.Errorf("%d and %d more", got, leftOut)
	}
}
