package partition

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/troupe-broker/troupe/actors"
	"github.com/troupe-broker/troupe/actors/actortest"
	"github.com/troupe-broker/troupe/actors/env"
	"github.com/troupe-broker/troupe/actors/env/osenv"
	"github.com/troupe-broker/troupe/actors/protocol"
	"github.com/troupe-broker/troupe/partition/storage"
)

// house is a host without a system: its children are only recorded.
type house struct {
	*actortest.Harness
	t      *testing.T
	host   *Host
	table  *Table
	faults *faults
}

func newHouse(t *testing.T) *house {
	fsys, err := osenv.New().OpenFS(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return newHouseOver(t, fsys)
}

func newHouseOver(t *testing.T, fsys env.FS) *house {
	h := &house{t: t, table: NewTable(), faults: &faults{}}
	h.host = NewHost(HostConfig{
		Node: 1, Table: h.table, Clock: osenv.New().Clock, Dirs: []Dir{{Name: "data", FS: faultFS{fsys, h.faults}}},
	}).New().(*Host)
	h.Harness = actortest.New(t, h.host)
	h.turn(actors.Started{})
	h.run()
	return h
}

func (h *house) turn(msgs ...any) (effects []actortest.Effect) {
	for _, m := range msgs {
		effects = append(effects, h.Deliver(m)...)
	}
	return append(effects, h.EndTurn()...)
}

// run carries out all offloaded work.
func (h *house) run() (effects []actortest.Effect) {
	for h.Offloads() > 0 {
		effects = append(effects, h.RunOffload()...)
		effects = append(effects, h.EndTurn()...)
	}
	return effects
}

func (h *house) lead(id uint64, leads ...protocol.LeadPartition) []actortest.Effect {
	m := &protocol.HostPartitions{Head: protocol.Head{ReplyTo: clientPID, ID: id}, MetadataOffset: int64(id), Lead: leads}
	return append(h.turn(m), h.run()...)
}

func TestFullDiskAtCreationIsTriedAgain(t *testing.T) {
	h := newHouse(t)
	h.faults.fail(&h.faults.mkdir, errDiskFull)
	answer := actortest.Take[*protocol.PartitionsHosted](t, h.lead(1, leadOf(tp0, diskConfig())))
	if len(answer.Failed) != 1 || answer.Failed[0].Fault.Code != protocol.KafkaStorageError {
		t.Fatalf("answered %+v", answer)
	}
	if v := h.table.Get(tp0).View(); v.Err != protocol.KafkaStorageError {
		t.Errorf("view %+v", v)
	}
	h.faults.fail(&h.faults.mkdir, nil)
	q := actortest.Take[*quiesce](t, h.Advance(openRetry))
	h.turn(&quiesced{p: q.p})
	h.run()
	if v := h.table.Get(tp0).View(); v.Err != protocol.None || !v.Leader {
		t.Errorf("when there is space again: %+v", v)
	}
}

func TestHostAnswersWhenEveryDecisionHasArrived(t *testing.T) {
	h := newHouse(t)
	actortest.Take[*protocol.PartitionsHosted](t, h.lead(1, leadOf(tp0, diskConfig())))
	pid := h.table.Get(tp0).PID
	again := leadOf(tp0, osConfig())
	for id := uint64(2); id <= 3; id++ {
		effects := h.lead(id, again)
		if m := actortest.Take[*lead](t, effects); m.config.Durability != protocol.DurabilityOS {
			t.Errorf("passed on %+v", m)
		}
	}
	receipt := &led{tp: tp0, from: pid}
	if effects := h.turn(receipt); len(effects) != 0 {
		t.Errorf("answered before the second decision arrived: %#v", effects)
	}
	got := actortest.Messages(h.turn(receipt))
	if len(got) != 2 || got[0].(*protocol.PartitionsHosted).ID != 2 || got[1].(*protocol.PartitionsHosted).ID != 3 {
		t.Errorf("answered %#v", got)
	}
	// Hosting never goes back.
	old := leadOf(protocol.TopicPartition{Topic: tp0.Topic, Partition: 5}, diskConfig())
	actortest.Take[*protocol.PartitionsHosted](t, h.turn(&protocol.HostPartitions{MetadataOffset: 1, Lead: []protocol.LeadPartition{old}}))
	if h.table.Len() != 1 {
		t.Error("an old change was carried out")
	}
}

func TestReopeningIsBounded(t *testing.T) {
	h := newHouse(t)
	h.lead(1, leadOf(tp0, diskConfig()))
	seen := map[string]bool{}
	wait := reopenWait
	for range reopensMax {
		handle := h.table.Get(tp0)
		if seen[handle.PID.String()] {
			t.Fatal("an incarnation has the name of an earlier one")
		}
		seen[handle.PID.String()] = true
		h.turn(actors.Terminated{Who: handle.PID, Cause: errAny})
		if sent := actortest.Messages(h.Advance(wait - time.Millisecond)); len(sent) > 0 {
			t.Fatalf("too early: %#v", sent)
		}
		q := actortest.Take[*quiesce](t, h.Advance(time.Millisecond))
		h.turn(&quiesced{p: q.p})
		h.run()
		wait *= 5
	}
	h.turn(actors.Terminated{Who: h.table.Get(tp0).PID, Cause: errAny})
	if v := h.table.Get(tp0).View(); v.Err != protocol.KafkaStorageError || !strings.Contains(v.Reason, "failed 5 times") {
		t.Errorf("after too many failures: %+v", v)
	}
}

// An incarnation that is gone must not speak for the present one.
func TestMessagesOfAFormerActorAreIgnored(t *testing.T) {
	h := newHouse(t)
	h.lead(1, leadOf(tp0, diskConfig()))
	stranger := actors.NewPID("test", "self/"+tp0.String()+".7")
	h.turn(&positioned{tp: tp0, from: stranger, position: storage.Position{Offset: 99}}, &saveStart{tp: tp0, from: stranger, start: 99},
		&logClosed{positioned: positioned{tp: tp0, from: stranger}}, actors.Terminated{Who: stranger, Cause: errAny})
	p, _ := h.host.partitions.Get(&hosted{tp: tp0})
	if p.known.Offset != 0 || p.start != 0 || p.state != serves {
		t.Errorf("partition %+v", p)
	}
}

func TestFailedFlusherTakesItsDirectoryOffline(t *testing.T) {
	h := newHouse(t)
	h.lead(1, leadOf(tp0, diskConfig()))
	effects := h.turn(actors.Terminated{Who: h.host.dirs[0].place.flusher, Cause: errAny})
	actortest.Take[failLog](t, effects)
	other := leadOf(protocol.TopicPartition{Topic: tp0.Topic, Partition: 1}, diskConfig())
	if answer := actortest.Take[*protocol.PartitionsHosted](t, h.lead(2, other)); len(answer.Failed) != 1 {
		t.Errorf("a partition is created on it: %+v", answer)
	}
}

func TestLeaderMustBeInSync(t *testing.T) {
	h := newHouse(t)
	l := leadOf(tp0, diskConfig())
	l.ISR = []protocol.NodeID{2}
	if answer := actortest.Take[*protocol.PartitionsHosted](t, h.lead(1, l)); len(answer.Failed) != 1 {
		t.Errorf("answered %+v", answer)
	}
}

// A start reads what came after the last checkpoint and no more.
func TestCheckpointBoundsTheScan(t *testing.T) {
	w := newWorld(t)
	w.crash()
	var scanned atomic.Int64
	w.config = HostConfig{CheckpointEvery: 10 * time.Millisecond, OnRecovered: func(_ protocol.TopicPartition, r storage.Recovered) { scanned.Store(int64(r.Batches)) }}
	w.start()
	h := w.led(tp0, osConfig())
	for i := range 50 {
		w.appended(h, producing{pid: 3, sequence: int32(i)}, int64(i))
	}
	fsys, err := w.env.OpenFS(w.path)
	if err != nil {
		t.Fatal(err)
	}
	defer fsys.Close()
	until(t, "the checkpoint", func() bool {
		positions, err := storage.ReadPositions(fsys)
		return err == nil && len(positions) == 1 && positions[0].Position.Offset == 50
	})
	w.crash()
	w.start()
	h = w.led(tp0, osConfig())
	if n := scanned.Load(); n != 0 {
		t.Errorf("%d batches scanned behind a checkpoint of everything", n)
	}
	w.appended(h, producing{pid: 3, sequence: 50}, 50)
	if _, err := os.Stat(w.path + "/" + tp0.String() + "/" + metadataName); err != nil {
		t.Error(err)
	}
}

func TestRetentionMovesTheLogStart(t *testing.T) {
	w := newWorld(t)
	w.crash()
	w.config = HostConfig{RetentionCheck: 10 * time.Millisecond}
	w.start()
	config := diskConfig()
	config.SegmentBytes, config.RetentionBytes = 1000, 2000
	h := w.led(tp0, config)
	for i := range 100 {
		w.appended(h, producing{value: "some bytes"}, int64(i))
	}
	until(t, "the log to shrink", func() bool { return h.View().Size() <= 3000 })
	v := h.View()
	if v.LogStartOffset == 0 || v.HighWatermark != 100 {
		t.Errorf("view %+v", v)
	}
	if _, code := v.Fetch(0, 100, false); code != protocol.OffsetOutOfRange {
		t.Errorf("fetch of what retention took: %s", code.Name())
	}
	if got := read(t, v, v.LogStartOffset, false); int64(len(got)) != 100-v.LogStartOffset {
		t.Errorf("%d records from %d on", len(got), v.LogStartOffset)
	}
}

// What the checkpoints of a directory hold is not known if they cannot be read, so they are not replaced: deleted records would be
// readable again. Found by the simulator (swarm seed 2731).
func TestUnreadableDirectoryKeepsItsCheckpoints(t *testing.T) {
	path := t.TempDir()
	fsys, err := osenv.New().OpenFS(path)
	if err != nil {
		t.Fatal(err)
	}
	starts := []storage.PartitionOffset{{Partition: tp0, Offset: 7}}
	if err := storage.WriteOffsets(fsys, storage.LogStartsName, starts); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(path, storage.PositionsName), 0o755); err != nil { // reading it fails
		t.Fatal(err)
	}
	h := newHouseOver(t, fsys)
	answer := actortest.Take[*protocol.PartitionsHosted](t, h.lead(1, leadOf(tp0, diskConfig())))
	if len(answer.Failed) != 1 {
		t.Fatalf("answered %+v", answer)
	}
	h.host.dirs[0].changed = true
	h.turn(checkpointTick{})
	h.run()
	h.turn(&CloseLogs{Head: protocol.Head{ReplyTo: clientPID, ID: 2}})
	h.turn(cleanerClosed{})
	if closed := actortest.Take[*LogsClosed](t, h.run()); closed.Err == nil {
		t.Error("a clean stop of a directory that could not be read")
	}
	if got, err := storage.ReadOffsets(fsys, storage.LogStartsName); err != nil || len(got) != 1 || got[0] != starts[0] {
		t.Errorf("log starts %v, %v", got, err)
	}
}

// What a journal holds was acknowledged: without it none of the logs is opened.
func TestUnreadableJournalIsTheFailureOfItsDirectory(t *testing.T) {
	fsys, err := osenv.New().OpenFS(t.TempDir())
	if err == nil {
		err = fsys.Mkdir(storage.DirName(tp0))
	}
	if err == nil {
		err = fsys.Mkdir("flush-journal-0")
	}
	if err != nil {
		t.Fatal(err)
	}
	if s := scan(&logDir{name: "data", fs: fsys}, slog.New(slog.DiscardHandler)); s.err == nil || len(s.found) > 0 {
		t.Errorf("error %v, %d logs are to be opened", s.err, len(s.found))
	}
}
