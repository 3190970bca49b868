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

// What compaction left of a batch has a horizon where the time of its first record was, and may begin later than before.
func TestTheTimeOfTheNextRecordInACompactedBatch(t *testing.T) {
	for _, codec := range []record.Codec{record.None, record.Zstd} {
		b := record.NewBuilder(record.Options{Codec: codec})
		for i := range 4 {
			b.Append(1000+100*int64(i), []byte{byte(i)}, nil, nil)
		}
		whole, err := b.Build()
		if err != nil {
			t.Fatal(err)
		}
		var d record.Decoder
		kept, err := whole.Filter(&d, func(offset int64, _ []byte, _ bool) bool { return offset > 0 })
		if err != nil {
			t.Fatal(err)
		}
		for _, horizon := range []int64{record.NoTimestamp, 77_000} {
			left, err := whole.Rebuild(&d, kept, horizon)
			if err != nil {
				t.Fatal(err)
			}
			for offset, want := range map[int64]int64{0: 1100, 1: 1100, 2: 1200, 3: 1300} {
				if ts, ok := group.TimeIn(left, offset); !ok || ts != want {
					t.Errorf("%s, horizon %d, from %d: %d %v, want %d", codec, horizon, offset, ts, ok, want)
				}
			}
			if ts, ok := group.TimeIn(left[:record.HeaderSize+1], 0); !ok || ts == horizon {
				t.Errorf("%s, horizon %d: of the beginning of a batch %d %v", codec, horizon, ts, ok)
			}
		}
	}
}
