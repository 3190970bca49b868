package main

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/troupe-broker/troupe/actors/record"
)

// aLog writes a segment of three batches with their index into a directory: offsets 0-1 (zstd, a producer), 2 (a commit marker), 3.
func aLog(t *testing.T) (dir string, positions []int) {
	t.Helper()
	dir = t.TempDir()
	first := record.NewBuilder(record.Options{Codec: record.Zstd, ProducerID: 7, Epoch: 1, Transactional: true})
	first.Append(1_700_000_000_000, []byte("k"), []byte("v"), []record.Header{{Key: "h", Value: []byte("x")}})
	first.Append(1_700_000_000_001, nil, []byte{0xff}, nil)
	last := record.NewBuilder(record.Options{})
	last.Append(1_700_000_000_003, []byte("k"), nil, nil)
	var log, index []byte
	offset := int64(0)
	for _, build := range []func() (record.Batch, error){
		first.Build,
		func() (record.Batch, error) { return record.EndTxnMarker(7, 1, true, 0, 1_700_000_000_002), nil },
		last.Build,
	} {
		b, err := build()
		if err != nil {
			t.Fatal(err)
		}
		b.SetBaseOffset(offset)
		b.SetLeaderEpoch(4)
		offset = b.NextOffset()
		positions = append(positions, len(log))
		index = binary.BigEndian.AppendUint32(index, uint32(b.LastOffset()))
		index = binary.BigEndian.AppendUint32(index, uint32(len(log)))
		log = append(log, b...)
	}
	positions = append(positions, len(log))
	write(t, dir, "00000000000000000000.log", log)
	write(t, dir, "00000000000000000000.index", index[8:]) // the position of the first batch is 0, which Kafka never indexes
	write(t, dir, "leader-epoch-checkpoint", []byte("0\n1\n4 0\n"))
	return dir, positions
}

func write(t *testing.T, dir, name string, b []byte) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), b, 0o644); err != nil {
		t.Fatal(err)
	}
}

// dumpAll dumps a directory and returns the problems, each behind the kind of its file.
func dumpAll(t *testing.T, dir string, o dumpOptions) (dumps, []string) {
	t.Helper()
	files, err := filesUnder(dir)
	if err != nil {
		t.Fatal(err)
	}
	var all dumps
	var problems []string
	for _, f := range files {
		d, err := dumpFile(f, o)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range d.Problems {
			problems = append(problems, d.Kind+": "+p)
		}
		all = append(all, d)
	}
	return all, problems
}

func TestDumpShowsEveryFile(t *testing.T) {
	dir, positions := aLog(t)
	all, problems := dumpAll(t, dir, dumpOptions{records: true})
	if len(problems) > 0 {
		t.Error(problems)
	}
	log := all[slices.IndexFunc(all, func(d dumped) bool { return d.Kind == "log" })]
	if log.Summary != "4 records in 3 batches, offsets 0 to 3" {
		t.Error(log.Summary)
	}
	var got []string
	for _, b := range log.Batches {
		got = append(got, fmt.Sprintf("%d %d-%d %s txn=%v control=%q epoch=%d producer=%d", b.Position, b.BaseOffset, b.LastOffset, b.Codec, b.Txn, b.Control, b.LeaderEpoch, b.ProducerID))
	}
	want := []string{
		`0 0-1 zstd txn=true control="" epoch=4 producer=7`,
		fmt.Sprintf(`%d 2-2 none txn=true control="commit" epoch=4 producer=7`, positions[1]),
		fmt.Sprintf(`%d 3-3 none txn=false control="" epoch=4 producer=-1`, positions[2]),
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	content, _ := marshal(log.Batches[0].Content)
	if string(content) != `[{"offset":0,"timestamp":1700000000000,"key":"k","value":"v","headers":[{"key":"h","value":"x"}]},{"offset":1,"timestamp":1700000000001,"key":null,"value_base64":"/w=="}]` {
		t.Errorf("%s", content)
	}
}

func TestDumpFindsDamage(t *testing.T) {
	cases := []struct {
		name   string
		damage func(t *testing.T, dir string, positions []int)
		want   []string
	}{
		{"a flipped bit", func(t *testing.T, dir string, p []int) {
			edit(t, dir, "00000000000000000000.log", func(b []byte) []byte { b[p[1]+60] ^= 1; return b })
		}, []string{"log: batch at byte"}},
		{"a torn tail", func(t *testing.T, dir string, p []int) {
			edit(t, dir, "00000000000000000000.log", func(b []byte) []byte { return b[:len(b)-3] })
		}, []string{"index: offset 3 points at", "log: at byte"}},
		{"garbage behind", func(t *testing.T, dir string, p []int) {
			edit(t, dir, "00000000000000000000.log", func(b []byte) []byte { return append(b, make([]byte, 100)...) })
		}, []string{"log: at byte"}},
		{"offsets that go back", func(t *testing.T, dir string, p []int) {
			edit(t, dir, "00000000000000000000.log", func(b []byte) []byte { return append(b, b[:p[1]]...) })
		}, []string{"log: batch at byte"}},
		{"an index of another log", func(t *testing.T, dir string, p []int) {
			edit(t, dir, "00000000000000000000.index", func(b []byte) []byte { binary.BigEndian.PutUint32(b[4:], uint32(p[1]+1)); return b })
		}, []string{"index: offset 2 points at"}},
		{"an index that goes back", func(t *testing.T, dir string, p []int) {
			edit(t, dir, "00000000000000000000.index", func(b []byte) []byte { return append(b, b[:8]...) })
		}, []string{"index: entry 2 does not follow"}},
		{"a preallocated index", func(t *testing.T, dir string, p []int) {
			edit(t, dir, "00000000000000000000.index", func(b []byte) []byte { return append(b, make([]byte, 80)...) })
		}, nil},
		{"a snapshot with a wrong CRC", func(t *testing.T, dir string, p []int) {
			write(t, dir, "00000000000000000003.snapshot", []byte{0, 1, 0, 0, 0, 0, 0, 0, 0, 0})
		}, []string{"snapshot: CRC is"}},
		{"half an aborted transaction", func(t *testing.T, dir string, p []int) {
			write(t, dir, "00000000000000000000.txnindex", make([]byte, 40))
		}, []string{"txnindex: 6 bytes"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			dir, positions := aLog(t)
			c.damage(t, dir, positions)
			_, got := dumpAll(t, dir, dumpOptions{brief: true})
			if len(got) != len(c.want) {
				t.Fatalf("got %q, want %q", got, c.want)
			}
			for i := range got {
				if !strings.HasPrefix(got[i], c.want[i]) {
					t.Errorf("got %q, want %q", got[i], c.want[i])
				}
			}
		})
	}
}

func edit(t *testing.T, dir, name string, change func([]byte) []byte) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	write(t, dir, name, change(b))
}
