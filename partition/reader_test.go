package partition

import (
	"testing"
	"time"

	"github.com/troupe-broker/troupe/actors/protocol"
	"github.com/troupe-broker/troupe/actors/record"
)

// TestAReaderAnswersWhenThereIsSomethingToSay walks one partition: nothing yet, news, beyond the end, somewhere else.
func TestAReaderAnswersWhenThereIsSomethingToSay(t *testing.T) {
	w := newWorld(t)
	tp := protocol.TopicPartition{Topic: topicNumber(1)}
	h := w.led(tp, diskConfig())
	reader, err := w.system.Spawn(NewReader(w.table))
	if err != nil {
		t.Fatal(err)
	}
	fetch := func(at int64, wait time.Duration) *protocol.RecordsFetched {
		t.Helper()
		return ask[*protocol.RecordsFetched](w, reader, &protocol.FetchRecords{Partition: tp, Offset: at, MaxBytes: 1 << 20, Deadline: w.env.Clock.Mono() + wait})
	}
	for _, at := range []int64{protocol.OffsetEarliest, protocol.OffsetLatest} {
		if m := fetch(at, time.Hour); m.Failed() || m.Offset != 0 || m.Next != 0 {
			t.Errorf("%d of an empty log: %+v", at, m)
		}
	}
	if m := fetch(0, 0); m.Failed() || m.Next != 0 || len(m.Batches) != 0 {
		t.Errorf("nothing to read, and no time: %+v", m)
	}
	parked := w.edge("parked")
	waits := &protocol.FetchRecords{Partition: tp, MaxBytes: 1 << 20, Deadline: w.env.Clock.Mono() + time.Hour}
	waits.SetHead(parked.pid, 7)
	w.system.Send(reader, waits)
	if m := fetch(0, 0); m.Failed() { // behind the one that is parked
		t.Error(m.Code)
	}
	if parked.len() != 0 {
		t.Error("answered with nothing")
	}
	w.appended(h, producing{records: 2}, 0)
	until(t, "the parked fetch is answered", func() bool { return parked.len() == 1 })
	m := parked.all()[0].(*protocol.RecordsFetched)
	if m.ID != 7 || m.Failed() || m.Next != 2 || record.Batch(m.Batches).NumRecords() != 2 {
		t.Errorf("%+v", m)
	}
	if m := fetch(protocol.OffsetLatest, 0); m.Offset != 2 || m.Next != 2 {
		t.Errorf("the end: %+v", m)
	}
	if m := fetch(3, time.Hour); m.Code != protocol.OffsetOutOfRange {
		t.Errorf("beyond the end: %v", m.Code)
	}
	tp.Partition = 1
	if m := fetch(0, time.Hour); m.Code != protocol.NotLeaderOrFollower {
		t.Errorf("elsewhere: %v", m.Code)
	}
}

// TestAReaderPassesEmptiedBatches: it answers with what has records, and where there is nothing else, with how far there is nothing.
func TestAReaderPassesEmptiedBatches(t *testing.T) {
	s, m := stagedRound(t)
	s.turn(m)
	s.RunOffload()
	s.EndTurn()
	v := *s.actor.handle.View()
	out, _ := readView(&v, &protocol.FetchRecords{MaxBytes: 1})
	if out.Failed() || out.Offset != 0 || record.Batch(out.Batches).BaseOffset() != m.end {
		t.Errorf("%+v, want the batch at %d", out, m.end)
	}
	v.HighWatermark = m.end
	out, _ = readView(&v, &protocol.FetchRecords{MaxBytes: 1})
	if out.Failed() || len(out.Batches) != 0 || out.Next != m.end {
		t.Errorf("%+v, want nothing up to %d", out, m.end)
	}
}
