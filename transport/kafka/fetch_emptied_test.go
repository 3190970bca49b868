package kafka

import (
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/troupe-broker/troupe/actors/protocol"
	"github.com/troupe-broker/troupe/actors/record"
)

// empty makes the first n segments, which are rolled for it, one of emptied batches, as compaction does.
func (p *fakePartition) empty(n int) {
	t := p.w.t
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	check(p.log.Roll())
	flush := func() {
		if task := p.log.FlushTask(); task != nil {
			check(p.log.Flushed(task, task.Run()))
		}
	}
	flush()
	v := p.log.View()
	segments, err := v.Segments(false)
	check(err)
	w, err := v.Rewrite(segments[0].Base, segments[n-1].Next)
	check(err)
	check(v.EachBatch(0, segments[n-1].Next, nil, func(b record.Batch) error { return w.Append(b.Emptied()) }))
	r, err := w.Finish(nil)
	check(err)
	check(p.log.Replace(r))
	flush()
	p.publish()
}

// TestFetchStepsOverEmptiedBatches: the first segments of a compacted log are emptied, up to its end or up to a record.
func TestFetchStepsOverEmptiedBatches(t *testing.T) {
	w := newWorld(t)
	p := w.topic("events", 2, func(c *protocol.LogConfig) { c.SegmentBytes = 1 })[0] // a segment for every batch
	for range 3 {
		w.produce("events", 0, 2)
	}
	p.empty(2)
	if got := only(t, ask[*kmsg.FetchResponse](w.connect(), 11, fetchRequest("events", 0))); record.Batch(got.RecordBatches).BaseOffset() != 4 {
		t.Errorf("the answer begins at %d, the first record is at 4", record.Batch(got.RecordBatches).BaseOffset())
	}
	p.empty(3)
	for _, c := range []*client{w.connect(), w.connect()} { // the second one finds nothing else either
		req := fetchRequest("events", 1)
		req.SessionEpoch = 0
		c.send(11, req)
		w.advance(499 * time.Millisecond)
		if resp := c.reply(); resp != nil {
			t.Fatalf("answered for the sake of emptied batches: %+v", resp)
		}
		w.advance(time.Millisecond)
		resp, _ := c.reply().(*kmsg.FetchResponse)
		if resp == nil {
			t.Fatal("not answered")
		}
		if b := record.Batch(only(t, resp).RecordBatches); len(b) != record.HeaderSize || b.NextOffset() != 6 {
			t.Errorf("%d bytes; want the last emptied batch, that ends at 6", len(b))
		}
		w.advance(time.Second)
	}
	w.produce("events", 1, 1)
	resp := ask[*kmsg.FetchResponse](w.connect(), 11, fetchRequest("events", 1, 0))
	if rows := resp.Topics[0].Partitions; len(rows[0].RecordBatches) != record.HeaderSize || len(rows[1].RecordBatches) <= record.HeaderSize {
		t.Errorf("with records of another partition: %d and %d bytes", len(rows[0].RecordBatches), len(rows[1].RecordBatches))
	}
}

// A session tells of emptied batches when its time is up, as a request without one does, and of records behind them at once.
func TestFetchSessionStepsOverEmptiedBatches(t *testing.T) {
	w := newWorld(t)
	p := w.topic("events", 1, func(c *protocol.LogConfig) { c.SegmentBytes = 1 })[0]
	w.produce("events", 0, 2)
	w.produce("events", 0, 2)
	p.empty(2)
	c := w.connect()
	req := fetchRequest("events", 0)
	req.SessionEpoch = 0
	c.send(11, req)
	w.advance(500 * time.Millisecond)
	resp, _ := c.reply().(*kmsg.FetchResponse)
	if resp == nil || len(only(t, resp).RecordBatches) != record.HeaderSize {
		t.Fatalf("%+v", resp)
	}
	for epoch := range int32(2) { // a client that knows only records asks again from where it was
		next := fetchRequest("events")
		next.Topics, next.SessionID, next.SessionEpoch = nil, resp.SessionID, epoch+1
		c.send(11, next)
		if epoch == 0 {
			w.advance(499 * time.Millisecond)
			if early := c.reply(); early != nil {
				t.Fatalf("early: %+v", early)
			}
			w.advance(time.Millisecond)
		} else {
			w.produce("events", 0, 1)
		}
		again, _ := c.reply().(*kmsg.FetchResponse)
		if again == nil {
			t.Fatal("not answered")
		}
		if b := record.Batch(only(t, again).RecordBatches); epoch == 0 && b.NextOffset() != 4 || epoch == 1 && b.BaseOffset() != 4 {
			t.Errorf("%d: [%d, %d)", epoch, b.BaseOffset(), b.NextOffset())
		}
	}
}
