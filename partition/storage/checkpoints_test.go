package storage

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/troupe-broker/troupe/actors/protocol"
)

func TestDirNames(t *testing.T) {
	for i := range 200 {
		r := rand.New(rand.NewPCG(uint64(i), 1))
		tp := protocol.TopicPartition{Partition: r.Int32()}
		for j := range tp.Topic {
			tp.Topic[j] = byte(r.Uint32())
		}
		if got, ok := ParseDirName(DirName(tp)); !ok || got != tp {
			t.Fatalf("%v became %v", tp, got)
		}
	}
	for _, bad := range []string{
		"", "-", "topic-0", testDir + "x", testDir + deletedDirSuffix, "AAAAAAAAAAAAAAAAAAAAAQ--1", "AAAAAAAAAAAAAAAAAAAAAQ-00",
		"AAAAAAAAAAAAAAAAAAAAAQ-+1", "AAAAAAAAAAAAAAAAAAAAAQ-2147483648", "AAAAAAAAAAAAAAAAAAAAA/-0", "AAAAAAAAAAAAAAAAAAAAAR-0", "..",
	} {
		if tp, ok := ParseDirName(bad); ok {
			t.Errorf("%q parsed as %v", bad, tp)
		}
	}
	if !IsDeletedDir(testDir+deletedDirSuffix) || IsDeletedDir(testDir) {
		t.Error("deleted directories are not told apart")
	}
}

func TestFileNames(t *testing.T) {
	if got := offsetName(1234567890123456789, logSuffix); got != "01234567890123456789.log" {
		t.Error(got)
	}
	type parts struct {
		offset int64
		suffix string
		ok     bool
	}
	for name, want := range map[string]parts{
		"00000000000000000042.log": {42, ".log", true}, "00000000000000000042.index.swap": {42, ".index.swap", true},
		"42.log": {}, "0000000000000000004x.log": {}, "+0000000000000000042.log": {}, "-0000000000000000042.log": {},
		"99999999999999999999.log": {}, "00000000000000000042": {}, "000000000000000000042.log": {},
	} {
		if offset, suffix, ok := parseOffsetName(name); (parts{offset, suffix, ok}) != want {
			t.Errorf("%s: %d, %q, %v, want %+v", name, offset, suffix, ok, want)
		}
	}
}

func randomPositions(n int) []PartitionPosition {
	r := rand.New(rand.NewPCG(3, 3))
	entries := make([]PartitionPosition, n)
	for i := range entries {
		e := &entries[i]
		for j := range e.Partition.Topic {
			e.Partition.Topic[j] = byte(r.Uint32())
		}
		e.Partition.Partition = r.Int32()
		e.Position = Position{r.Int64(), r.Int64(), r.Int64(), r.Int64(), r.Int64() - 1<<62, r.Int64(), r.Int32() - 1, r.Int32(), r.Int32(), r.Int32(), r.Uint32()}
	}
	return entries
}

func TestPositionsCheckpoint(t *testing.T) {
	files := newMemFS()
	if got, err := ReadPositions(files); got != nil || err != nil {
		t.Fatalf("absent: %v, %v", got, err)
	}
	for _, n := range []int{0, 1, 10000} {
		want := randomPositions(n)
		if err := WritePositions(files, want); err != nil {
			t.Fatal(err)
		}
		if got, err := ReadPositions(files); err != nil || !slices.Equal(got, want) {
			t.Fatalf("%d entries came back as %d, %v", n, len(got), err)
		}
	}
	if err := WritePositions(files, randomPositions(3)); err != nil {
		t.Fatal(err)
	}
	whole := files.node(PositionsName).data
	for at := range whole {
		bad := slices.Clone(whole)
		bad[at] ^= 4
		files.node(PositionsName).data = bad
		if _, err := ReadPositions(files); !errors.Is(err, ErrCorrupt) {
			t.Fatalf("a flipped bit in byte %d went unnoticed: %v", at, err)
		}
		files.node(PositionsName).data = whole[:at]
		if _, err := ReadPositions(files); !errors.Is(err, ErrCorrupt) {
			t.Fatalf("%d bytes were accepted: %v", at, err)
		}
	}
}

func TestOffsetCheckpoint(t *testing.T) {
	files := newMemFS()
	if got, err := ReadOffsets(files, LogStartsName); got != nil || err != nil {
		t.Fatalf("absent: %v, %v", got, err)
	}
	tp := protocol.TopicPartition{Topic: protocol.TopicID{15: 1}, Partition: 7}
	want := []PartitionOffset{{tp, 42}, {protocol.TopicPartition{Topic: protocol.TopicID{0: 0xfb, 15: 2}}, 1 << 60}}
	if err := WriteOffsets(files, LogStartsName, want); err != nil {
		t.Fatal(err)
	}
	text := string(files.node(LogStartsName).data)
	if text != "0\n2\nAAAAAAAAAAAAAAAAAAAAAQ 7 42\n-wAAAAAAAAAAAAAAAAAAAg 0 1152921504606846976\n" {
		t.Fatalf("%q", text)
	}
	if got, err := ReadOffsets(files, LogStartsName); err != nil || !slices.Equal(got, want) {
		t.Fatalf("%v, %v", got, err)
	}
	for _, bad := range []string{
		"", "0", "1\n0\n", "0\n1\n", "0\n0\nAAAAAAAAAAAAAAAAAAAAAQ 7 42\n", "0\n1\nAAAAAAAAAAAAAAAAAAAAAQ 7\n", "0\n1\nAAAAAAAAAAAAAAAAAAAAAQ 7 -1\n",
		"0\n1\nAAAAAAAAAAAAAAAAAAAAAQ 7 4x\n", "0\n1\n../../etc/passwd 7 4\n", "0\n-1\n", text[:len(text)-30],
	} {
		files.node(LogStartsName).data = []byte(bad)
		if got, err := ReadOffsets(files, LogStartsName); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%q: %v, %v", bad, got, err)
		}
	}
}

// A checkpoint is replaced whole or not at all, wherever the power fails.
func TestCheckpointReplacementIsAtomic(t *testing.T) {
	older, newer := randomPositions(20), randomPositions(30)
	for stop := 1; ; stop++ {
		files := newMemFS()
		if err := WritePositions(files, older); err != nil {
			t.Fatal(err)
		}
		files.ops, files.stopAt = 0, stop
		err := WritePositions(files, newer)
		for seed := range uint64(20) {
			after := files.powerLoss(keepSome(seed), 64)
			got, readErr := ReadPositions(after)
			if readErr != nil || err == nil && !slices.Equal(got, newer) || !slices.Equal(got, newer) && !slices.Equal(got, older) {
				t.Fatalf("stopped at %d: %d entries, %v", stop, len(got), readErr)
			}
			if err := WritePositions(after, newer); err != nil {
				t.Fatalf("over what the crash left: %v", err)
			}
		}
		if err == nil {
			return
		}
	}
}

func TestMetaProperties(t *testing.T) {
	files := newMemFS()
	if _, err := ReadMetaProperties(files); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("absent: %v", err)
	}
	want := MetaProperties{"4L6g3nShT-eMCtK--X86sw", 3, "AAAAAAAAAAAAAAAAAAAAAQ", DirectoryFormat}
	if err := WriteMetaProperties(files, want); err != nil {
		t.Fatal(err)
	}
	if got, err := ReadMetaProperties(files); err != nil || got != want {
		t.Fatalf("%+v, %v", got, err)
	}
	// As Kafka writes it.
	files.node(metaName).data = []byte("#\n#Sat Jan 04 12:00:00 UTC 2025\nnode.id=3\nversion=1\ncluster.id=4L6g3nShT-eMCtK--X86sw\ndirectory.id=AAAAAAAAAAAAAAAAAAAAAQ\n")
	want.Format = 0
	if got, err := ReadMetaProperties(files); err != nil || got != want {
		t.Fatalf("%+v, %v", got, err)
	}
	for _, bad := range []string{"", "node.id=3\nversion=1\n", "node.id=x\nversion=1\ncluster.id=a\n", "node.id=3\nversion=2\ncluster.id=a\n"} {
		files.node(metaName).data = []byte(bad)
		if _, err := ReadMetaProperties(files); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestCleanShutdownMarkerIsTakenOnce(t *testing.T) {
	files := newMemFS()
	if _, ok, err := TakeCleanShutdown(files); ok || err != nil {
		t.Fatalf("absent: %v", err)
	}
	want := CleanShutdown{BrokerEpoch: 17, DirectoryID: "AAAAAAAAAAAAAAAAAAAAAQ"}
	if err := WriteCleanShutdown(files, want); err != nil {
		t.Fatal(err)
	}
	files = files.powerLoss(keepNone, 64)
	if got, ok, err := TakeCleanShutdown(files); !ok || err != nil || got != want {
		t.Fatalf("%+v, %v, %v", got, ok, err)
	}
	files = files.powerLoss(keepNone, 64)
	if _, ok, err := TakeCleanShutdown(files); ok || err != nil {
		t.Fatalf("again: %v", err)
	}
	for _, text := range []string{"", "{}", `{"version":1,"brokerEpoch":1,"directoryId":"x"}`, `{"version":0,"brokerEpoch":`} {
		files.root.names[cleanShutdownName] = &node{data: []byte(text)}
		if _, ok, err := TakeCleanShutdown(files); ok || err != nil {
			t.Errorf("%q was taken for clean: %v", text, err)
		}
		if files.root.names[cleanShutdownName] != nil {
			t.Errorf("%q is still there", text)
		}
	}
}

func TestPartitionMetadata(t *testing.T) {
	files := newMemFS()
	_ = files.Mkdir(testDir)
	if err := WritePartitionMetadata(files, testDir, PartitionMetadata{protocol.TopicID{15: 1}, "a\nb"}); err != nil {
		t.Fatal(err)
	}
	if m, err := ReadPartitionMetadata(files, testDir); err != nil || m != (PartitionMetadata{protocol.TopicID{15: 1}, "a\nb"}) {
		t.Error(m, err)
	}
	if got := string(files.node(testDir + "/" + partitionMetadataName).data); got != "version: 0\ntopic_id: AAAAAAAAAAAAAAAAAAAAAQ\ntopic_name: \"a\\nb\"\n" {
		t.Fatalf("%q", got)
	}
}

func TestSnapshots(t *testing.T) {
	x := newFixture(t)
	x.mustAppend(100, 100)
	for _, offset := range []int64{4, 2} {
		if err := x.l.WriteSnapshot(offset, fmt.Append(nil, "state at ", offset)); err != nil {
			t.Fatal(err)
		}
	}
	x.flush()
	x.fs = x.fs.powerLoss(keepNone, 64)
	x.reopen(x.options())
	if offsets, err := x.l.Snapshots(); err != nil || !slices.Equal(offsets, []int64{2, 4}) {
		t.Fatalf("%v, %v", offsets, err)
	}
	if data, err := x.l.ReadSnapshot(4); err != nil || string(data) != "state at 4" {
		t.Fatalf("%q, %v", data, err)
	}
	if err := x.l.RemoveSnapshot(4); err != nil {
		t.Fatal(err)
	}
	if _, err := x.l.ReadSnapshot(4); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("%v", err)
	}
}
