package partition

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/troupe-broker/troupe/actors/protocol"
	"github.com/troupe-broker/troupe/actors/record"
	"github.com/troupe-broker/troupe/partition/storage"
)

var durabilities = map[string]func() protocol.LogConfig{"disk": diskConfig, "os": osConfig}

func TestAcknowledgedRecordsAreReadable(t *testing.T) {
	for name, config := range durabilities {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			h := w.led(tp0, config())
			for i := range 20 {
				w.appended(h, producing{records: 2, value: fmt.Sprint(i)}, int64(2*i))
			}
			v := h.View()
			if v.HighWatermark != 40 || v.LogEndOffset != 40 || v.LastStableOffset != 40 || v.LeaderEpoch != 3 || !v.Leader {
				t.Fatalf("view %+v", v)
			}
			if name == "disk" && v.FlushedOffset != 40 {
				t.Errorf("acknowledged up to 40, flushed up to %d", v.FlushedOffset)
			}
			if got := read(t, v, 0, false); len(got) != 40 || got[0] != "v0" || got[39] != "v19" {
				t.Errorf("read %v", got)
			}
			if got := read(t, v, 31, false); len(got) != 9 {
				t.Errorf("from the middle of a batch %d records are read, want 9", len(got))
			}
			for _, offset := range []int64{-1, 41} {
				if _, code := v.Fetch(offset, 100, false); code != protocol.OffsetOutOfRange {
					t.Errorf("fetch at %d: %s", offset, code.Name())
				}
			}
		})
	}
}

func TestViewFencesEpochs(t *testing.T) {
	w := newWorld(t)
	h := w.led(tp0, diskConfig())
	w.appended(h, producing{}, 0)
	v := h.View()
	for epoch, want := range map[protocol.LeaderEpoch]protocol.Code{
		-1: protocol.None, 3: protocol.None, 2: protocol.FencedLeaderEpoch, 4: protocol.UnknownLeaderEpoch,
	} {
		if got := v.Check(epoch); got != want {
			t.Errorf("epoch %d: %s, want %s", epoch, got.Name(), want.Name())
		}
	}
	if e, end := v.EpochEnd(3); e != 3 || end != 1 {
		t.Errorf("epoch 3 ends as (%d, %d)", e, end)
	}
	if e, end := v.EpochEnd(9); e != -1 || end != -1 {
		t.Errorf("an unknown epoch ends as (%d, %d)", e, end)
	}
	if p, code := v.Latest(false); code != protocol.None || p.Offset != 1 || p.LeaderEpoch != 3 {
		t.Errorf("latest is %+v, %s", p, code.Name())
	}
	if p, code := v.OffsetForTimestamp(record.Unpacking{}, 1000, false); code != protocol.None || p != (Position{0, 1000, 3}) {
		t.Errorf("at 1000 there is %+v, %s", p, code.Name())
	}
	if p, code := v.OffsetForTimestamp(record.Unpacking{}, 1001, false); code != protocol.None || p.Offset != -1 {
		t.Errorf("at 1001 there is %+v, %s", p, code.Name())
	}
	m := w.message(h, batchOf(producing{}))
	m.LeaderEpoch = 2
	if out := ask[*protocol.Produced](w, h.PID, m); out.Code != protocol.FencedLeaderEpoch || out.BaseOffset != -1 {
		t.Errorf("an old epoch produces %+v", out)
	}
}

func TestAcknowledgedRecordsSurviveACrash(t *testing.T) {
	for name, config := range durabilities {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			h := w.led(tp0, config())
			for i := range 10 {
				w.appended(h, producing{pid: 5, sequence: int32(i), value: fmt.Sprint(i)}, int64(i))
			}
			w.crash()
			w.start()
			h = w.led(tp0, config())
			// The high watermark is found again by the flush of what recovery read.
			until(t, "the high watermark after a crash", func() bool { return h.View().HighWatermark == 10 })
			if got := read(t, h.View(), 0, false); len(got) != 10 || got[9] != "v9" {
				t.Errorf("read %v", got)
			}
			if out := w.produce(h, producing{pid: 5, sequence: 7, value: "7"}); out.Code != protocol.None || out.BaseOffset != 7 {
				t.Errorf("a duplicate after the crash is answered %+v", out)
			}
			if out := w.produce(h, producing{pid: 5, sequence: 12}); out.Code != protocol.OutOfOrderSequence {
				t.Errorf("a gap after the crash is answered %+v", out)
			}
			w.appended(h, producing{pid: 5, sequence: 10}, 10)
		})
	}
}

func TestCleanStopLeavesNothingToScan(t *testing.T) {
	w := newWorld(t)
	h := w.led(tp0, osConfig())
	for i := range 10 {
		w.appended(h, producing{pid: 5, sequence: int32(i)}, int64(i))
	}
	if err := w.stop(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(w.path, ".kafka_cleanshutdown")); err != nil {
		t.Fatal(err)
	}
	// Nothing is scanned, so bytes behind the end of the log are what tells: they would be cut off.
	w.start()
	h = w.led(tp0, osConfig())
	if v := h.View(); v.HighWatermark != 10 || v.FlushedOffset != 10 {
		t.Errorf("after a clean stop %+v", v)
	}
	if _, err := os.Stat(filepath.Join(w.path, ".kafka_cleanshutdown")); err == nil {
		t.Error("the marker is still there while the node runs")
	}
	if out := w.produce(h, producing{pid: 5, sequence: 9}); out.Code != protocol.None || out.BaseOffset != 9 {
		t.Errorf("a duplicate across a clean stop is answered %+v", out)
	}
	w.appended(h, producing{pid: 5, sequence: 10}, 10)
}

// A duplicate must not be acknowledged before its original is: here the original waits for a disk that takes its time.
func TestDuplicateWaitsForItsOriginal(t *testing.T) {
	w := newWorld(t)
	h := w.led(tp0, diskConfig())
	w.appended(h, producing{pid: 1}, 0)
	hold := make(chan struct{})
	w.faults.hold.Store(&hold)
	e := w.edge("producer")
	send := func(id uint64) *releases {
		m := w.message(h, batchOf(producing{pid: 1, sequence: 1}))
		m.Head, m.Release = protocol.Head{ReplyTo: e.pid, ID: id}, &releases{}
		w.system.Send(h.PID, m)
		return m.Release.(*releases)
	}
	first := send(1)
	until(t, "the flush of the original", func() bool { return w.faults.syncs.Load() > 0 && first.n.Load() == 1 })
	second := send(2)
	until(t, "the duplicate to be judged", func() bool { return second.n.Load() == 1 })
	if n := e.len(); n != 0 {
		t.Fatalf("%d answers while nothing is on the disk: %+v", n, e.all()[0])
	}
	if v := h.View(); v.HighWatermark != 1 || v.LogEndOffset != 2 {
		t.Errorf("while the flush runs: %+v", v)
	}
	w.faults.hold.Store(nil)
	close(hold)
	until(t, "both answers", func() bool { return e.len() == 2 })
	for i, m := range e.all() {
		if p := m.(*protocol.Produced); p.ID != uint64(i+1) || p.Code != protocol.None || p.BaseOffset != 1 {
			t.Errorf("answer %d is %+v", i, p)
		}
	}
	if got := h.View().LogEndOffset; got != 2 {
		t.Errorf("the log ends at %d: the duplicate was appended", got)
	}
}

func TestAckPastItsDeadline(t *testing.T) {
	w := newWorld(t)
	h := w.led(tp0, diskConfig())
	w.appended(h, producing{}, 0)
	hold := make(chan struct{})
	w.faults.hold.Store(&hold)
	m := w.message(h, batchOf(producing{}))
	m.Deadline = w.env.Clock.Mono() + 30*time.Millisecond
	out := ask[*protocol.Produced](w, h.PID, m)
	if out.Code != protocol.RequestTimedOut || out.BaseOffset != -1 {
		t.Errorf("answered %+v", out)
	}
	w.faults.hold.Store(nil)
	close(hold)
	// The records may still commit, and do.
	until(t, "the late commit", func() bool { return h.View().HighWatermark == 2 })
}

func TestFullDiskIsAnAnswer(t *testing.T) {
	for name, config := range durabilities {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			h := w.led(tp0, config())
			w.appended(h, producing{pid: 1}, 0)
			w.faults.fail(&w.faults.write, errDiskFull)
			for range 3 {
				if out := w.produce(h, producing{pid: 1, sequence: 1}); out.Code != protocol.KafkaStorageError || out.BaseOffset != -1 {
					t.Fatalf("with a full disk: %+v", out)
				}
			}
			if v := h.View(); v.Err != protocol.None || v.LogEndOffset != 1 {
				t.Errorf("after a full disk: %+v", v)
			}
			w.faults.fail(&w.faults.write, nil)
			// The refused batch left no trace: neither as a duplicate nor as a gap.
			w.appended(h, producing{pid: 1, sequence: 1, value: "x"}, 1)
			if got := read(t, h.View(), 0, false); !slices.Equal(got, []string{"v", "vx"}) {
				t.Errorf("read %v", got)
			}
			w.crash()
			w.start()
			h = w.led(tp0, config())
			until(t, "recovery", func() bool { return h.View().HighWatermark == 2 })
		})
	}
}

func TestBrokenDiskTakesTheLogOffline(t *testing.T) {
	for name, breakIt := range map[string]func(*faults){
		"write": func(f *faults) { f.fail(&f.write, errDiskBroken) },
		"sync":  func(f *faults) { f.fail(&f.sync, errDiskBroken) },
	} {
		t.Run(name, func(t *testing.T) {
			offline := make(chan protocol.Fault, 1)
			w := newWorld(t)
			w.crash()
			w.config.OnOffline = func(_ protocol.TopicPartition, f protocol.Fault) { offline <- f }
			w.start()
			h := w.led(tp0, diskConfig())
			w.appended(h, producing{}, 0)
			e := w.edge("reader")
			w.system.Send(h.PID, &protocol.AwaitRecords{Head: protocol.Head{ReplyTo: e.pid, ID: 1}, Partition: tp0, Offset: 1, Deadline: w.env.Clock.Mono() + time.Hour})
			breakIt(w.faults)
			if out := w.produce(h, producing{}); out.Code != protocol.KafkaStorageError || out.BaseOffset != -1 {
				t.Errorf("with a broken disk: %+v", out)
			}
			until(t, "the reader to be told", func() bool { return e.len() == 1 })
			fault := <-offline
			if fault.Code != protocol.KafkaStorageError || !strings.Contains(fault.Reason, "input/output error") {
				t.Errorf("reported as %+v", fault)
			}
			if v := h.View(); v.Err != protocol.KafkaStorageError {
				t.Errorf("old view %+v", v)
			}
			until(t, "the table to show it", func() bool { return w.table.Get(tp0) != h })
			if v := w.table.Get(tp0).View(); v.Err != protocol.KafkaStorageError {
				t.Errorf("new view %+v", v)
			}
			w.faults.fail(&w.faults.write, nil)
			w.faults.fail(&w.faults.sync, nil)
			// It stays offline, even when led again, until the node restarts.
			if failed := w.hosts(leadOf(tp0, diskConfig())); len(failed) != 1 || failed[0].Fault.Code != protocol.KafkaStorageError {
				t.Errorf("led again: %v", failed)
			}
			if err := w.stop(); err == nil {
				t.Error("a stop with a broken log calls itself clean")
			}
			w.start()
			h = w.led(tp0, diskConfig())
			until(t, "recovery", func() bool { return h.View().HighWatermark > 0 })
			if got := read(t, h.View(), 0, false); got[0] != "v" {
				t.Errorf("after the restart %v is read", got)
			}
		})
	}
}

// A panic is a bug; it costs the partition a moment and the node nothing.
func TestPanickedPartitionComesBackThroughRecovery(t *testing.T) {
	w := newWorld(t)
	w.panik = true
	h := w.led(tp0, diskConfig())
	w.appended(h, producing{pid: 1}, 0)
	e := w.edge("reader")
	w.system.Send(h.PID, &protocol.AwaitRecords{Head: protocol.Head{ReplyTo: e.pid, ID: 1}, Partition: tp0, Offset: 1, Deadline: w.env.Clock.Mono() + time.Hour})
	w.system.Send(h.PID, (*lead)(nil)) // a bug
	until(t, "the reader to be told", func() bool { return e.len() == 1 })
	if v := h.View(); v.Err != protocol.KafkaStorageError || !strings.Contains(v.Reason, "failed") {
		t.Errorf("old view %+v", v)
	}
	until(t, "a new actor", func() bool { return w.table.Get(tp0) != h })
	h = w.table.Get(tp0)
	until(t, "its high watermark", func() bool { return h.View().HighWatermark == 1 })
	if out := w.produce(h, producing{pid: 1}); out.Code != protocol.None || out.BaseOffset != 0 {
		t.Errorf("a duplicate across the panic: %+v", out)
	}
	w.appended(h, producing{pid: 1, sequence: 1}, 1)
	if w.panics.Load() != 1 {
		t.Errorf("%d panics", w.panics.Load())
	}
}

func TestDeletedTopicIsGone(t *testing.T) {
	w := newWorld(t)
	h := w.led(tp0, diskConfig())
	other := protocol.TopicPartition{Topic: tp0.Topic, Partition: 1}
	w.hosts(leadOf(other, diskConfig()))
	w.appended(h, producing{}, 0)
	e := w.edge("reader")
	w.system.Send(h.PID, &protocol.AwaitRecords{Head: protocol.Head{ReplyTo: e.pid, ID: 1}, Partition: tp0, Offset: 1, Deadline: w.env.Clock.Mono() + time.Hour})
	span, code := h.View().Fetch(0, 100, false)
	if code != protocol.None {
		t.Fatal(code)
	}
	ask[*protocol.PartitionsHosted](w, w.host, &protocol.HostPartitions{MetadataOffset: 9, Drop: []protocol.TopicPartition{tp0}})
	if w.table.Get(tp0) != nil || w.table.Get(other) == nil {
		t.Error("the table does not show the deletion")
	}
	if e.len() != 1 {
		t.Error("the parked reader was forgotten")
	}
	if v := h.View(); v.Err != protocol.UnknownTopicOrPartition {
		t.Errorf("view %+v", v)
	}
	if got := w.names(); len(got) != 1 || got[0] != other.String() {
		t.Errorf("left on the disk: %v", got)
	}
	b := make([]byte, span.Len)
	if n, err := span.File().ReadAt(b, span.Pos); err != nil || record.Batch(b[:n]).Verify() != nil {
		t.Errorf("who was reading cannot finish: %v", err)
	}
	span.Release()
}

// A topic may be deleted while the node is down, and its directory then has no actor.
func TestDeletedWhileDown(t *testing.T) {
	w := newWorld(t)
	w.led(tp0, diskConfig())
	w.crash()
	w.start()
	ask[*protocol.PartitionsHosted](w, w.host, &protocol.HostPartitions{MetadataOffset: 9, Drop: []protocol.TopicPartition{tp0}})
	if got := w.names(); len(got) != 0 {
		t.Errorf("left on the disk: %v", got)
	}
}

// A crash in the middle of a deletion that takes long leaves nothing behind.
func TestCrashWhileManyAreDeleted(t *testing.T) {
	w := newWorld(t)
	var leads []protocol.LeadPartition
	drop := &protocol.HostPartitions{MetadataOffset: 9}
	for n := range int32(3 * deleteChunk) {
		tp := protocol.TopicPartition{Topic: tp0.Topic, Partition: n}
		leads, drop.Drop = append(leads, leadOf(tp, diskConfig())), append(drop.Drop, tp)
	}
	if failed := w.hosts(leads...); len(failed) > 0 {
		t.Fatal(failed)
	}
	held, gone := make(chan struct{}), errors.New("the process is gone")
	release := sync.OnceFunc(func() { close(held) })
	defer release()
	w.faults.holdRemoval.Store(&held)
	w.system.Ask(w.host, drop, time.Hour, func(any, error) {})
	until(t, "all are on their way out", func() bool {
		return !slices.ContainsFunc(w.names(), func(name string) bool { return !storage.IsDeletedDir(name) })
	})
	w.faults.fail(&w.faults.removeAll, gone)
	release()
	w.crash()
	w.faults.holdRemoval.Store(nil)
	w.faults.fail(&w.faults.removeAll, nil)
	if len(w.names()) != len(leads) {
		t.Fatalf("%d are left before the start", len(w.names()))
	}
	w.start()
	w.hosts()
	if got := w.names(); len(got) != 0 {
		t.Errorf("left on the disk: %v", got)
	}
}

func TestStrayDirectoryIsLeftAlone(t *testing.T) {
	w := newWorld(t)
	w.led(tp0, diskConfig())
	w.crash()
	if err := os.Mkdir(filepath.Join(w.path, "half-gone-delete"), 0o755); err != nil {
		t.Fatal(err)
	}
	w.start()
	other := protocol.TopicPartition{Topic: tp0.Topic, Partition: 1}
	w.hosts(leadOf(other, diskConfig()))
	if got := w.names(); len(got) != 2 {
		t.Errorf("on the disk: %v", got)
	}
}

// An empty log in the place of one that held records would be silent loss.
func TestMissingDirectoryIsNoEmptyLog(t *testing.T) {
	w := newWorld(t)
	h := w.led(tp0, diskConfig())
	w.appended(h, producing{}, 0)
	if err := w.stop(); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(filepath.Join(w.path, tp0.String())); err != nil {
		t.Fatal(err)
	}
	w.start()
	lead := leadOf(tp0, diskConfig())
	lead.New = false
	failed := w.hosts(lead)
	if len(failed) != 1 || failed[0].Fault.Code != protocol.KafkaStorageError || !strings.Contains(failed[0].Fault.Reason, "missing") {
		t.Fatalf("failed: %v", failed)
	}
	if v := w.table.Get(tp0).View(); v.Err != protocol.KafkaStorageError {
		t.Errorf("view %+v", v)
	}
	if got := w.names(); len(got) != 0 {
		t.Errorf("on the disk: %v", got)
	}
}

func TestDeleteRecordsIsDurableBeforeItIsAnswered(t *testing.T) {
	w := newWorld(t)
	h := w.led(tp0, diskConfig())
	for i := range 10 {
		w.appended(h, producing{value: fmt.Sprint(i)}, int64(i))
	}
	purge := func(before int64) *protocol.RecordsDeleted {
		return ask[*protocol.RecordsDeleted](w, h.PID, &protocol.DeleteRecords{Partition: tp0, Before: before})
	}
	for before, want := range map[int64]protocol.Code{11: protocol.OffsetOutOfRange, -2: protocol.OffsetOutOfRange} {
		if out := purge(before); out.Code != want || out.LowWatermark != -1 {
			t.Errorf("before %d: %+v", before, out)
		}
	}
	if out := purge(4); out.Code != protocol.None || out.LowWatermark != 4 {
		t.Fatalf("before 4: %+v", out)
	}
	if v := h.View(); v.LogStartOffset != 4 {
		t.Errorf("the view starts at %d after the answer", v.LogStartOffset)
	}
	if out := purge(2); out.Code != protocol.None || out.LowWatermark != 4 {
		t.Errorf("before 2, which is gone: %+v", out)
	}
	w.crash()
	w.start()
	h = w.led(tp0, diskConfig())
	v := h.View()
	if v.LogStartOffset != 4 {
		t.Errorf("after a crash the log starts at %d", v.LogStartOffset)
	}
	if _, code := v.Fetch(3, 100, false); code != protocol.OffsetOutOfRange {
		t.Errorf("fetch below the start: %s", code.Name())
	}
	until(t, "recovery", func() bool { return h.View().HighWatermark == 10 })
	if got := read(t, h.View(), 4, false); len(got) != 6 || got[0] != "v4" {
		t.Errorf("read %v", got)
	}
	if out := purge(-1); out.Code != protocol.None || out.LowWatermark != 10 {
		t.Errorf("before the high watermark: %+v", out)
	}
}

// A flush removes a few of the segments that were dropped. The next one follows by itself.
func TestEveryDroppedSegmentLeavesTheDisk(t *testing.T) {
	for _, durability := range []protocol.Durability{protocol.DurabilityDisk, protocol.DurabilityOS} {
		w := newWorld(t)
		w.crash()
		w.config = HostConfig{RetentionCheck: 10 * time.Millisecond}
		w.start()
		config := diskConfig()
		config.SegmentBytes, config.Durability = 500, durability
		h := w.led(tp0, config)
		for i := range 100 {
			w.appended(h, producing{value: "some bytes"}, int64(i))
		}
		out := ask[*protocol.RecordsDeleted](w, h.PID, &protocol.DeleteRecords{Partition: tp0, Before: 100})
		if out.Fault.Failed() {
			t.Fatal(out.Fault)
		}
		w.appended(h, producing{value: "the last flush that anybody asks for"}, 100)
		until(t, "the files to go", func() bool {
			files, err := filepath.Glob(w.path + "/" + tp0.String() + "/*.log*")
			return err == nil && len(files) <= 2
		})
	}
}

func TestDeleteRecordsFollowsThePolicy(t *testing.T) {
	for _, c := range []struct {
		compact, delete bool
		want            protocol.Code
	}{{false, false, protocol.None}, {false, true, protocol.None}, {true, true, protocol.None}, {true, false, protocol.PolicyViolation}} {
		w := newWorld(t)
		config := diskConfig()
		config.Compact, config.Delete = c.compact, c.delete
		h := w.led(tp0, config)
		w.appended(h, producing{value: "a"}, 0)
		out := ask[*protocol.RecordsDeleted](w, h.PID, &protocol.DeleteRecords{Partition: tp0, Before: 1})
		if out.Code != c.want || c.want == protocol.None && h.View().LogStartOffset != 1 {
			t.Errorf("compact %v, delete %v: %+v, the log starts at %d", c.compact, c.delete, out, h.View().LogStartOffset)
		}
	}
}

func TestReaderIsWokenByTheCommit(t *testing.T) {
	w := newWorld(t)
	h := w.led(tp0, diskConfig())
	e := w.edge("reader")
	await := func(id uint64, offset int64, in time.Duration) {
		w.system.Send(h.PID, &protocol.AwaitRecords{
			Head: protocol.Head{ReplyTo: e.pid, ID: id}, Partition: tp0, Offset: offset, Deadline: w.env.Clock.Mono() + in,
		})
	}
	await(1, 0, time.Hour)
	await(2, 0, time.Hour)
	w.system.Send(h.PID, &protocol.ForgetAwait{ReplyTo: e.pid, ID: 2})
	w.appended(h, producing{}, 0)
	until(t, "the reader to be woken", func() bool { return e.len() == 1 })
	await(3, 0, time.Hour) // there is something
	until(t, "the answer at once", func() bool { return e.len() == 2 })
	await(4, 1, 20*time.Millisecond)
	until(t, "the deadline", func() bool { return e.len() == 3 })
	for i, id := range []uint64{1, 3, 4} {
		if got := e.all()[i].(*protocol.RecordsReady).ID; got != id {
			t.Errorf("answer %d is for %d, want %d", i, got, id)
		}
	}
}

func TestNewConfigurationReachesTheActor(t *testing.T) {
	w := newWorld(t)
	h := w.led(tp0, diskConfig())
	lead := leadOf(tp0, diskConfig())
	lead.Config.MaxMessageBytes = 10
	lead.LeaderEpoch = 4
	if failed := w.hosts(lead); len(failed) > 0 {
		t.Fatal(failed)
	}
	if out := w.produce(h, producing{}); out.Code != protocol.MessageTooLarge {
		t.Errorf("a batch above max.message.bytes: %+v", out)
	}
	if v := h.View(); v.LeaderEpoch != 4 || v.Config.MaxMessageBytes != 10 {
		t.Errorf("view %+v", v)
	}
	lead.Config, lead.LeaderEpoch = diskConfig(), 5
	lead.Config.LogAppendTime = true
	w.hosts(lead)
	out := w.produce(h, producing{})
	if out.Code != protocol.None || out.LogAppendTime < time.Now().Add(-time.Minute).UnixMilli() {
		t.Errorf("under log append time: %+v", out)
	}
	span, _ := h.View().Fetch(0, 1000, false)
	b := make(record.Batch, span.Len)
	if _, err := h.View().Log.Read(span, b); err != nil {
		t.Fatal(err)
	}
	span.Release()
	if b.LeaderEpoch() != 5 || b.MaxTimestamp() != out.LogAppendTime || b.Verify() != nil {
		t.Errorf("stored with epoch %d, timestamp %d, %v", b.LeaderEpoch(), b.MaxTimestamp(), b.Verify())
	}
	// A decision that is older than one already taken changes nothing.
	lead.LeaderEpoch, lead.Config = 4, diskConfig()
	w.hosts(lead)
	if v := h.View(); v.LeaderEpoch != 5 || !v.Config.LogAppendTime {
		t.Errorf("view %+v", v)
	}
}

func TestMinInsyncReplicas(t *testing.T) {
	w := newWorld(t)
	lead := leadOf(tp0, diskConfig())
	lead.Replicas, lead.Config.MinInsyncReplicas = []protocol.NodeID{1, 2, 3}, 2
	w.hosts(lead)
	h := w.table.Get(tp0)
	if out := w.produce(h, producing{}); out.Code != protocol.NotEnoughReplicas {
		t.Errorf("acks=all with one of two: %+v", out)
	}
	m := w.message(h, batchOf(producing{}))
	m.Acks = 1
	if out := ask[*protocol.Produced](w, h.PID, m); out.Code != protocol.None || out.BaseOffset != 0 {
		t.Errorf("acks=1: %+v", out)
	}
	if v := h.View(); v.HighWatermark != 0 || v.LogEndOffset != 1 {
		t.Errorf("view %+v", v)
	}
	m = w.message(h, batchOf(producing{}))
	m.Acks = 2
	if out := ask[*protocol.Produced](w, h.PID, m); out.Code != protocol.InvalidRequiredAcks {
		t.Errorf("acks=2: %+v", out)
	}
}

func TestAbortedTransactionIsIndexedAndHoldsTheStableOffset(t *testing.T) {
	w := newWorld(t)
	h := w.led(tp0, diskConfig())
	w.appended(h, producing{value: "a"}, 0)
	w.appended(h, producing{pid: 7, txn: true, value: "b"}, 1)
	w.appended(h, producing{value: "c"}, 2)
	check := func(lso int64, aborted int) {
		t.Helper()
		v := h.View()
		if v.LastStableOffset != lso {
			t.Errorf("last stable offset %d, want %d", v.LastStableOffset, lso)
		}
		if got, err := v.Log.Aborted(0, v.LogEndOffset); err != nil || len(got) != aborted {
			t.Errorf("aborted transactions: %v, %v", got, err)
		}
	}
	check(1, 0)
	marker := record.EndTxnMarker(7, 0, false, 1, 2000)
	m := w.message(h, marker)
	if out := ask[*protocol.Produced](w, h.PID, m); out.Code != protocol.InvalidRecord {
		t.Errorf("a client writes a marker: %+v", out)
	}
	m = w.message(h, marker)
	m.Internal = true
	if out := ask[*protocol.Produced](w, h.PID, m); out.Code != protocol.None || out.BaseOffset != 3 {
		t.Fatalf("marker: %+v", out)
	}
	check(4, 1)
	w.appended(h, producing{pid: 7, txn: true, sequence: 1, value: "d"}, 4)
	check(4, 1)
	w.crash()
	w.start()
	h = w.led(tp0, diskConfig())
	until(t, "recovery", func() bool { return h.View().HighWatermark == 5 })
	check(4, 1)
	m = w.message(h, record.EndTxnMarker(7, 0, true, 0, 2000))
	m.Internal = true
	if out := ask[*protocol.Produced](w, h.PID, m); out.Code != protocol.TxnCoordinatorFenced {
		t.Errorf("marker of an older coordinator: %+v", out)
	}
	described := ask[*protocol.ProducersDescribed](w, h.PID, &protocol.DescribeProducers{Partition: tp0})
	if len(described.Producers) != 1 || described.Producers[0].TxnStartOffset != 4 || described.Producers[0].LastSequence != 1 {
		t.Errorf("described %+v", described)
	}
}
