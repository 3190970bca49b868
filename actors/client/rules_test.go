package client

import (
	"math/rand/v2"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/troupe-broker/troupe/actors"
	"github.com/troupe-broker/troupe/actors/protocol"
	"github.com/troupe-broker/troupe/actors/record"
)

func recordsAt(offsets ...int64) (out []protocol.Record) {
	for _, o := range offsets {
		out = append(out, protocol.Record{Offset: o, Value: []byte("v")})
	}
	return out
}

// TestALaneKeepsOrderAndCredit walks random lanes: what is delivered is what was read, in order, once; what is out and what is left of
// the credit make the whole credit; nothing is acknowledged that was not delivered.
func TestALaneKeepsOrderAndCredit(t *testing.T) {
	for seed := range uint64(300) {
		rng := rand.New(rand.NewPCG(seed, 1))
		whole := credit{1 + rng.IntN(8), 1 + rng.IntN(600)}
		left := whole
		var l lane
		l.begin(int64(rng.IntN(5)))
		log, expect := l.position, l.position // offsets up to log exist; expect is the next one to be delivered
		gaps := map[int64]bool{}
		for range 200 {
			switch rng.IntN(4) {
			case 0:
				if len(l.buffer) > 0 {
					break
				}
				var read []protocol.Record
				at := l.position
				for range rng.IntN(6) {
					if gap := rng.IntN(4) == 0; gap {
						gaps[at] = true
					} else if !gaps[at] {
						read = append(read, recordsAt(at)...)
					}
					at++
				}
				l.fetched(read, at)
				log = max(log, at)
			case 1, 2:
				records, next := l.deliver(&left, 1+rng.IntN(3))
				for _, r := range records {
					for gaps[expect] {
						expect++
					}
					if r.Offset != expect {
						t.Fatalf("seed %d: %d delivered, %d was next", seed, r.Offset, expect)
					}
					expect++
				}
				if next > log {
					t.Fatalf("seed %d: %d is to be acknowledged of %d", seed, next, log)
				}
			case 3:
				if rng.IntN(8) == 0 {
					l.drop(&left)
					expect = l.acked
					break
				}
				l.acknowledge(l.acked+int64(rng.IntN(9))-2, &left)
			}
			used := credit{}
			for _, u := range l.out {
				used.records++
				used.bytes += u.bytes
			}
			if left.records+used.records != whole.records || left.bytes+used.bytes != whole.bytes || left.records < 0 {
				t.Fatalf("seed %d: %+v out, %+v left of %+v", seed, used, left, whole)
			}
			if l.acked > l.delivered || l.delivered > l.position || len(l.out) > 0 && l.out[0].offset < l.acked {
				t.Fatalf("seed %d: %+v", seed, l)
			}
		}
	}
}

func TestAcknowledgedMarkersAreCommittedToo(t *testing.T) {
	c := credit{10, 1000}
	var l lane
	l.begin(5)
	if l.dirty() {
		t.Error("where it began is not worth a commit")
	}
	l.fetched(recordsAt(5, 6), 9) // 7 and 8 are markers
	records, next := l.deliver(&c, 10)
	if len(records) != 2 || next != 9 {
		t.Fatal(records, next)
	}
	l.acknowledge(7, &c)
	if l.acked != 9 || !l.dirty() || c != (credit{10, 1000}) {
		t.Errorf("%+v, %+v", l, c)
	}
	l.kept(9)
	if l.dirty() {
		t.Error("committed and still dirty")
	}
}

func TestNobodyGetsMoreThanWasDelivered(t *testing.T) {
	c := credit{1, 1000}
	var l lane
	l.begin(0)
	l.fetched(recordsAt(0, 1, 2), 3)
	l.deliver(&c, 10)
	l.acknowledge(3, &c)
	if l.acked != 1 {
		t.Errorf("%d acknowledged of 1 delivered", l.acked)
	}
	if records, _ := l.deliver(&c, 10); len(records) != 1 || records[0].Offset != 1 {
		t.Error(records)
	}
}

func TestPartitionsGoToWhoHasLeast(t *testing.T) {
	c := crew{{lanes: 2}, {lanes: 1}, {lanes: 1}, {gone: true}}
	if c.next() != 1 {
		t.Error(c.next())
	}
	c[1].lanes, c[2].gone = 2, true
	if c.next() != 0 {
		t.Error(c.next())
	}
	if (crew{{gone: true}}).next() != -1 {
		t.Error("a partition for nobody")
	}
	x := actors.NewPID("n", "x")
	if (crew{{pid: x, gone: true}, {pid: x}}).find(x) != 1 {
		t.Error("found who is gone")
	}
}

// TestKeysGoWhereKafkasClientsSendThem compares with another implementation of Kafka's partitioner.
func TestKeysGoWhereKafkasClientsSendThem(t *testing.T) {
	theirs := kgo.StickyKeyPartitioner(nil).ForTopic("t")
	rng := rand.New(rand.NewPCG(1, 1))
	for range 5000 {
		key := make([]byte, rng.IntN(20))
		for i := range key {
			key[i] = byte(rng.Uint32())
		}
		n := 1 + rng.IntN(50)
		if got, want := partitionOf(key, int32(n)), theirs.Partition(&kgo.Record{Key: key}, n); int(got) != want {
			t.Fatalf("%x among %d: %d, not %d", key, n, got, want)
		}
	}
}

func batch(t *testing.T, base int64, o record.Options, values ...string) []byte {
	t.Helper()
	b := record.NewBuilder(o)
	for _, v := range values {
		b.Append(1, []byte("k"), []byte(v), []record.Header{{Key: "h", Value: []byte(v)}})
	}
	out, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	out.SetBaseOffset(base)
	return out
}

func marker(base, producer int64, commit bool) []byte {
	m := record.EndTxnMarker(producer, 0, commit, 0, 1)
	m.SetBaseOffset(base)
	return m
}

func TestAbortedRecordsAreLeftOut(t *testing.T) {
	txn := func(id int64) record.Options {
		return record.Options{Idempotent: true, ProducerID: id, Transactional: true}
	}
	var log []byte
	for _, b := range [][]byte{
		batch(t, 0, txn(1), "a", "b"), batch(t, 2, txn(2), "c"), marker(3, 1, false), batch(t, 4, txn(1), "d"), marker(5, 2, true),
		batch(t, 6, record.Options{Codec: record.Gzip}, "e", "f"), marker(8, 1, true),
	} {
		log = append(log, b...)
	}
	for _, c := range []struct {
		aborted []protocol.AbortedTransaction
		from    int64
		want    string
	}{
		{nil, 0, "abcdef"}, {nil, 1, "bcdef"}, {nil, 7, "f"},
		{[]protocol.AbortedTransaction{{ProducerID: 1, FirstOffset: 0}}, 0, "cdef"},
		{[]protocol.AbortedTransaction{{ProducerID: 1, FirstOffset: 0}, {ProducerID: 2, FirstOffset: 2}}, 0, "def"},
	} {
		got := ""
		records, err := decode(log, c.from, c.aborted)
		for _, r := range records {
			if got += string(r.Value); len(r.Headers) != 1 || string(r.Headers[0].Value) != string(r.Value) {
				t.Errorf("headers of %s: %v", r.Value, r.Headers)
			}
		}
		if got != c.want || err != nil {
			t.Errorf("%v from %d: %q, %v", c.aborted, c.from, got, err)
		}
	}
	if _, err := decode(log[:len(log)-1], 0, nil); err == nil {
		t.Error("half a batch was read")
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(record.EndTxnMarker(1, 0, false, 0, 1)), int64(0))
	f.Add(make([]byte, 100), int64(3))
	f.Fuzz(func(t *testing.T, b []byte, from int64) {
		records, _ := decode(b, from, []protocol.AbortedTransaction{{ProducerID: 1}})
		for _, r := range records {
			if r.Offset < from {
				t.Fatal(r.Offset)
			}
		}
	})
}

func TestSequencesAreNeverReusedForWhatMayBeInTheLog(t *testing.T) {
	for _, c := range []struct {
		codes []protocol.Code // in a row, for one batch
		late  bool            // at the last of them
		want  verdict
	}{
		{[]protocol.Code{protocol.RequestTimedOut}, false, again},
		{[]protocol.Code{protocol.RequestTimedOut}, true, lost},
		{[]protocol.Code{protocol.NotEnoughReplicas}, true, refused},
		{[]protocol.Code{protocol.RequestTimedOut, protocol.MessageTooLarge}, false, lost},
		{[]protocol.Code{protocol.MessageTooLarge}, false, refused},
		{[]protocol.Code{protocol.KafkaStorageError}, true, lost},
		{[]protocol.Code{protocol.NotLeaderOrFollower}, false, again},
		{[]protocol.Code{protocol.OutOfOrderSequence}, false, lost},
		{[]protocol.Code{protocol.CorruptMessage}, false, refused},
	} {
		s, got := sequence{id: 1, next: 7}, again
		for i, code := range c.codes {
			got = s.failed(code, c.late && i == len(c.codes)-1)
		}
		if got != c.want || s.next != 7 {
			t.Errorf("%v: %v", c.codes, got)
		}
		s.appended(3)
		if s.next != 10 || s.uncertain {
			t.Errorf("%+v", s)
		}
		if s.use(2); s.next != 0 || s.id != 2 {
			t.Errorf("%+v", s)
		}
	}
}
