package partition

import (
	"testing"

	"github.com/troupe-broker/troupe/actors/protocol"
	"github.com/troupe-broker/troupe/actors/record"
)

// mark writes a marker as a coordinator does.
func (w *world) mark(h *Handle, pid int64, epoch int16, commit bool, coordinator int32, version int16) *protocol.Produced {
	m := w.message(h, record.EndTxnMarker(pid, epoch, commit, coordinator, 2000))
	m.Internal, m.TransactionVersion = true, version
	return ask[*protocol.Produced](w, h.PID, m)
}

// A coordinator that crashed sends its markers again. They end nothing more, before and after a crash of the partition, and a late one
// does not end the next transaction.
func TestMarkersMayComeAgain(t *testing.T) {
	w := newWorld(t)
	h := w.led(tp0, diskConfig())
	w.appended(h, producing{pid: 7, epoch: 4, txn: true}, 0)
	w.appended(h, producing{pid: 8, txn: true}, 1)
	check := func(lso int64, aborted ...int64) {
		t.Helper()
		v := h.View()
		got, code := v.Aborted(0, v.LogEndOffset)
		if v.LastStableOffset != lso || code != protocol.None || len(got) != len(aborted) {
			t.Fatalf("last stable offset %d, want %d; aborted %+v", v.LastStableOffset, lso, got)
		}
		for i, first := range aborted {
			if got[i].FirstOffset != first {
				t.Errorf("aborted %+v", got)
			}
		}
	}
	if out := w.mark(h, 7, 4, false, 1, 2); out.Code != protocol.InvalidProducerEpoch {
		t.Errorf("of version 2, with the epoch of the records: %+v", out)
	}
	for offset := int64(2); offset < 4; offset++ {
		if out := w.mark(h, 7, 5, false, 1, 2); out.Code != protocol.None || out.BaseOffset != offset {
			t.Errorf("marker: %+v", out)
		}
		check(1, 0)
	}
	w.crash()
	w.start()
	h = w.led(tp0, diskConfig())
	until(t, "recovery", func() bool { return h.View().HighWatermark == 4 })
	check(1, 0)
	if out := w.mark(h, 7, 5, false, 2, 2); out.Code != protocol.None {
		t.Errorf("the marker again, by the next coordinator: %+v", out)
	}
	check(1, 0)
	w.appended(h, producing{pid: 7, epoch: 5, txn: true}, 5)
	if out := w.mark(h, 7, 5, false, 2, 2); out.Code != protocol.InvalidProducerEpoch {
		t.Errorf("late, in the next transaction: %+v", out)
	}
	if out := w.mark(h, 7, 6, true, 1, 2); out.Code != protocol.TxnCoordinatorFenced {
		t.Errorf("by a former coordinator: %+v", out)
	}
	for _, end := range []struct {
		pid   int64
		epoch int16
	}{{7, 6}, {8, 0}} {
		if out := w.mark(h, end.pid, end.epoch, end.pid == 7, 2, 1); out.Code != protocol.None {
			t.Errorf("%+v", out)
		}
	}
	check(8, 0, 1)
	if v := h.View(); v.LastStableOffset != v.LogEndOffset {
		t.Errorf("nothing is open, and the last stable offset is %d of %d", v.LastStableOffset, v.LogEndOffset)
	}
}
