package producer

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"math"
	"os"
	"testing"

	"github.com/troupe-broker/troupe/actors/protocol"
)

// testdata/kafka.snapshot was written by ProducerStateManager.writeSnapshot of kafka-storage 4.3.1.
func TestReadsKafkasSnapshot(t *testing.T) {
	b, err := os.ReadFile("testdata/kafka.snapshot")
	if err != nil {
		t.Fatal(err)
	}
	s, err := Restore(Config{}, b)
	if err != nil {
		t.Fatal(err)
	}
	want := []protocol.ProducerInfo{
		{ProducerID: 1000, ProducerEpoch: 2, LastSequence: 41, LastTimestamp: 1_700_000_000_000, CoordinatorEpoch: -1, TxnStartOffset: -1},
		{ProducerID: 2000, LastSequence: -1, LastTimestamp: 1_700_000_000_500, CoordinatorEpoch: 7, TxnStartOffset: -1},
		{ProducerID: 3000, ProducerEpoch: 1, LastSequence: math.MaxInt32, LastTimestamp: 1_700_000_000_900, CoordinatorEpoch: 4, TxnStartOffset: 910},
	}
	for i, got := range s.Describe() {
		if got != want[i] {
			t.Errorf("%+v, want %+v", got, want[i])
		}
	}
	if v := s.Check(Header{1000, 2, 32, 41, false}); !v.Duplicate || v.BaseOffset != 891 {
		t.Errorf("%+v", v)
	}
	if v := s.Check(Header{3000, 1, 0, 0, true}); !v.Append() || s.LSO(950) != 910 {
		t.Errorf("%+v, LSO %d", v, s.LSO(950))
	}
	ours := s.Snapshot() // Kafka's part is the same, byte for byte, but for the CRC, which covers our section too
	if !bytes.Equal(ours[6:len(b)], b[6:]) {
		t.Errorf("\n got %x\nwant %x", ours[6:len(b)], b[6:])
	}
	if name := os.Getenv("SNAPSHOT_EXPORT"); name != "" { // for a reader of another project
		if err := os.WriteFile(name, ours, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func sampleLog() *log {
	l := newLog()
	for i := range int32(9) {
		l.send(1, 0, i*2, 2, false)
	}
	l.send(2, 0, 0, 3, true)
	l.send(3, 0, 0, 3, true)
	l.finish(Marker{3, 0, false, 2})
	l.send(4, 0, math.MaxInt32, 3, false)
	return l
}

func TestSnapshotKeepsEverything(t *testing.T) {
	l := sampleLog()
	s, err := Restore(Config{}, l.Snapshot())
	if err != nil {
		t.Fatal(err)
	}
	if !s.Equal(l.State) || !bytes.Equal(s.Snapshot(), l.Snapshot()) {
		t.Error("something was lost")
	}
	if v := s.Check(Header{1, 0, 8, 9, false}); !v.Duplicate || v.BaseOffset != 8 || v.Timestamp != 1008 {
		t.Errorf("the window is narrower after a restart: %+v", v)
	}
	if s.LSO(20) != 18 || s.LSO(30) != 18 {
		t.Error("transactions were lost")
	}
	empty, err := Restore(Config{}, NewState(Config{}).Snapshot())
	if err != nil || empty.Len() != 0 {
		t.Error(err)
	}
}

func TestDamagedSnapshotsAreRefused(t *testing.T) {
	good := sampleLog().Snapshot()
	for i := range good {
		bad := bytes.Clone(good)
		bad[i] ^= 4
		if _, err := Restore(Config{}, bad); !errors.Is(err, ErrCorrupt) {
			t.Errorf("a flipped bit in byte %d: %v", i, err)
		}
		if _, err := Restore(Config{}, good[:i]); !errors.Is(err, ErrCorrupt) {
			t.Errorf("cut off at %d: %v", i, err)
		}
	}
}

func seal(b []byte) {
	if len(b) >= snapshotHead {
		binary.BigEndian.PutUint32(b[2:], crc32.Checksum(b[6:], castagnoli))
	}
}

// FuzzSnapshot: no bytes make Restore panic; what it accepts is a State that survives being written and read again.
func FuzzSnapshot(f *testing.F) {
	f.Add(sampleLog().Snapshot(), true)
	kafkas, err := os.ReadFile("testdata/kafka.snapshot")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(kafkas, false)
	f.Fuzz(func(t *testing.T, b []byte, sealed bool) {
		if sealed {
			seal(b)
		}
		s, err := Restore(Config{}, b)
		if err != nil {
			if !errors.Is(err, ErrCorrupt) {
				t.Fatal(err)
			}
			return
		}
		again, err := Restore(Config{}, s.Snapshot())
		if err != nil || !again.Equal(s) {
			t.Fatalf("%v", err)
		}
		for _, p := range s.Describe() {
			h := Header{p.ProducerID, p.ProducerEpoch, 0, 0, true}
			if s.Check(h).Append() {
				s.Apply(h, math.MaxInt64-10, math.MaxInt64-10, 5)
			}
			s.ApplyMarker(Marker{p.ProducerID, p.ProducerEpoch, true, 0}, math.MaxInt64-5, 5)
			s.Rollback()
		}
		if !again.Equal(s) {
			t.Fatal("rollback left something behind")
		}
	})
}
