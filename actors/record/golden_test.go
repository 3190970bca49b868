package record

import (
	"bytes"
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"
)

// The files testdata/kafka-*.batch were written by kafka-clients 4.3.1 (MemoryRecords.withTransactionalRecords and
// withEndTransactionMarker) from these records.
func kafkaSample() (out []entry) {
	for i := range 40 {
		e := entry{ts: 1_700_000_000_000 + int64(i*37%101)}
		if i%7 != 3 {
			e.key = fmt.Append(nil, "key-", i)
		}
		if i%5 != 4 {
			e.value = fmt.Append(nil, "value of record number ", i, " ", strings.Repeat("abc", i))
		}
		if i%3 == 0 {
			e.headers = []Header{{fmt.Sprint("h", i), []byte{byte(i)}}, {"null", nil}}
		}
		out = append(out, e)
	}
	return out
}

func golden(t *testing.T, name string) Batch {
	t.Helper()
	b, err := os.ReadFile("testdata/kafka-" + name + ".batch")
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestReadsWhatKafkaWrites(t *testing.T) {
	for _, c := range allCodecs {
		b, err := Validate(golden(t, c.String()), Limits{Deep: true})
		if err != nil {
			t.Fatalf("%s: %v", c, err)
		}
		if b.Codec() != c || b.ProducerID() != 4000 || b.ProducerEpoch() != 5 || b.BaseSequence() != 17 || b.LastSequence() != 56 || !b.IsTransactional() {
			t.Errorf("%s: header is misread", c)
		}
		if !bytes.Equal(b, golden(t, c.String())) {
			t.Errorf("%s: validation changed a batch that is right", c)
		}
		if !reflect.DeepEqual(read(t, b), kafkaSample()) {
			t.Errorf("%s: records differ", c)
		}
	}
}

func TestWritesWhatKafkaWrites(t *testing.T) {
	got := build(t, Options{ProducerID: 4000, Epoch: 5, BaseSequence: 17, Transactional: true}, kafkaSample())
	if want := golden(t, "none"); !bytes.Equal(got, want) {
		t.Errorf("\n got %x\nwant %x", got, want)
	}
	abort := EndTxnMarker(4000, 5, false, 9, 1_700_000_000_123)
	abort.SetBaseOffset(77)
	abort.SetLeaderEpoch(3)
	if want := golden(t, "abort"); !bytes.Equal(abort, want) {
		t.Errorf("abort\n got %x\nwant %x", abort, want)
	}
	commit := EndTxnMarker(4000, 5, true, 9, 1_700_000_000_123)
	commit.SetLeaderEpoch(3)
	if want := golden(t, "commit"); !bytes.Equal(commit, want) {
		t.Errorf("commit\n got %x\nwant %x", commit, want)
	}
	if dir := os.Getenv("RECORD_EXPORT"); dir != "" { // for a reader of another project
		for _, c := range allCodecs {
			b := build(t, Options{Codec: c, ProducerID: 4000, Epoch: 5, BaseSequence: 17, Transactional: true}, kafkaSample())
			if err := os.WriteFile(dir+"/"+c.String()+".batch", b, 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
}
