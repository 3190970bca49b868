package record

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"
	"time"
)

// patched returns a copy of b with f applied and the CRC sealed, so that what is refused is not the CRC.
func patched(b Batch, f func(Batch)) Batch {
	b = Batch(clone(b))
	f(b)
	b.SealCRC()
	return b
}

func put(at, size int, v int64) func(Batch) {
	return func(b Batch) {
		var x [8]byte
		binary.BigEndian.PutUint64(x[:], uint64(v))
		copy(b[at:at+size], x[8-size:])
	}
}

func TestValidateRefuses(t *testing.T) {
	good := build(t, Options{ProducerID: 1, BaseSequence: 0}, sample())
	n := int64(good.NumRecords())
	for _, c := range []struct {
		name  string
		b     []byte
		lim   Limits
		kind  Kind
		about string
	}{
		{"nothing", nil, Limits{}, InvalidRecord, "no batches"},
		{"a few bytes", good[:10], Limits{}, InvalidRecord, "cut off"},
		{"half a batch", good[:len(good)/2], Limits{}, InvalidRecord, "cut off"},
		{"two batches", append(clone(good), good...), Limits{}, InvalidRecord, "More than one"},
		{"garbage behind", append(clone(good), 0), Limits{}, InvalidRecord, "More than one"},
		{"message format 0", patched(good, put(MagicAt, 1, 0)), Limits{}, UnsupportedMagic, "format 0"},
		{"message format 1", patched(good, put(MagicAt, 1, 1)), Limits{}, UnsupportedMagic, "format 1"},
		{"message format 3", patched(good, put(MagicAt, 1, 3)), Limits{}, Corrupt, "magic 3"},
		{"length less than a header", patched(good, put(BatchLengthAt, 4, 48)), Limits{}, Corrupt, "less than a header"},
		{"negative length", patched(good, put(BatchLengthAt, 4, -1)), Limits{}, Corrupt, "less than a header"},
		{"too large", good, Limits{MaxBytes: len(good) - 1}, TooLarge, "exceeds"},
		{"CRC", patch(good, put(CRCAt, 4, 1)), Limits{}, Corrupt, "stored crc = 1"},
		{"CRC of an old payload", patch(good, put(len(good)-1, 1, 1)), Limits{}, Corrupt, "crc"},
		{"base offset", patched(good, put(BaseOffsetAt, 8, 5)), Limits{}, InvalidRecord, "baseOffset"},
		{"reserved bit 7", patched(good, put(AttributesAt, 2, 1<<7)), Limits{}, InvalidRecord, "Reserved"},
		{"reserved bit 15", patched(good, put(AttributesAt, 2, 1<<15)), Limits{Internal: true}, InvalidRecord, "Reserved"},
		{"delete horizon", patched(good, put(AttributesAt, 2, deleteHorizonBit)), Limits{}, InvalidRecord, "Reserved"},
		{"codec 5", patched(good, put(AttributesAt, 2, 5)), Limits{}, UnsupportedCodec, "codec 5"},
		{"control", patched(good, put(AttributesAt, 2, controlBit)), Limits{}, InvalidRecord, "control"},
		{"log append time", patched(good, put(AttributesAt, 2, logAppendTimeBit)), Limits{}, InvalidTimestamp, "LogAppendTime"},
		{"no records", patched(good, put(NumRecordsAt, 4, 0)), Limits{}, InvalidRecord, "count"},
		{"negative count", patched(good, put(NumRecordsAt, 4, -1)), Limits{}, InvalidRecord, "count"},
		{"count beyond the deltas", patched(good, put(NumRecordsAt, 4, n+1)), Limits{}, InvalidRecord, "Inconsistent"},
		{"delta beyond the count", patched(good, put(LastOffsetDeltaAt, 4, n)), Limits{}, InvalidRecord, "Inconsistent"},
		{"negative delta", patched(good, put(LastOffsetDeltaAt, 4, -1)), Limits{}, InvalidRecord, "Inconsistent"},
		{"producer id", patched(good, put(ProducerIDAt, 8, -2)), Limits{}, InvalidRecord, "producerId"},
		{"producer epoch", patched(good, put(ProducerEpochAt, 2, -1)), Limits{}, InvalidRecord, "epoch"},
		{"sequence", patched(good, put(BaseSequenceAt, 4, -1)), Limits{}, InvalidRecord, "sequence"},
		{"transaction of nobody", build(t, Options{Transactional: true}, sample()), Limits{}, InvalidRecord, "without producerId"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := Validate(c.b, c.lim)
			if got != nil || !isKind(err, c.kind) || !strings.Contains(err.Error(), c.about) {
				t.Errorf("%v, want kind %d about %q", err, c.kind, c.about)
			}
		})
	}
	if _, err := Validate(good, Limits{MaxBytes: len(good), Deep: true}); err != nil {
		t.Error(err)
	}
}

func patch(b Batch, f func(Batch)) Batch {
	b = Batch(clone(b))
	f(b)
	return b
}

// What several clients send without idempotence: producer id -1, and epoch and sequence left at 0.
func TestValidateIgnoresEpochAndSequenceOfNobody(t *testing.T) {
	b := patched(build(t, Options{}, sample()), func(b Batch) {
		put(ProducerEpochAt, 2, 0)(b)
		put(BaseSequenceAt, 4, 0)(b)
	})
	if _, err := Validate(b, Limits{Deep: true}); err != nil {
		t.Error(err)
	}
}

func TestInternalBatchesNeedNoSequence(t *testing.T) {
	b := build(t, Options{ProducerID: 8, BaseSequence: NoSequence, Transactional: true}, sample())
	if _, err := Validate(b, Limits{Deep: true, Internal: true}); err != nil {
		t.Error(err)
	}
}

// raw builds a batch around record bytes that need not be right.
func raw(t testing.TB, codec Codec, count int32, records []byte) Batch {
	t.Helper()
	b := build(t, Options{}, []entry{{ts: 5}})[:HeaderSize:HeaderSize]
	put(AttributesAt, 2, int64(codec))(b)
	put(NumRecordsAt, 4, int64(count))(b)
	put(LastOffsetDeltaAt, 4, int64(count-1))(b)
	put(MaxTimestampAt, 8, 5)(b)
	out, err := b.finish(codec, 0, records)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestValidateRefusesBadRecords(t *testing.T) {
	ok := appendRecord(nil, 0, 0, []byte("k"), []byte("v"), nil)
	long := appendRecord(nil, 0, 0, []byte("k"), bytes.Repeat([]byte("x"), 3*windowSize), nil)
	manyHeaders := appendRecord(nil, 0, 0, nil, bytes.Repeat([]byte("x"), 2*windowSize), []Header{{"a", []byte("b")}, {"c", nil}})
	body := func(b ...byte) []byte { return append([]byte{byte(2 * len(b))}, b...) }
	relength := func(record []byte, by int) []byte { // a long record with a lying length
		size, i := varint(record, 0)
		return append(appendVarint(nil, int64(int(size)+by)), record[i:]...)
	}
	for _, c := range []struct {
		name    string
		count   int32
		records []byte
		about   string
	}{
		{"good", 1, ok, ""},
		{"good and long", 1, long, ""},
		{"good, long and with headers", 1, manyHeaders, ""},
		{"one less than counted", 2, ok, "structure in record 1"},
		{"one more than counted", 1, append(clone(ok), appendRecord(nil, 0, 1, nil, nil, nil)...), "still remaining"},
		{"garbage behind", 1, append(clone(ok), 9), "still remaining"},
		{"delta repeats", 2, append(clone(ok), ok...), "offset delta"},
		{"delta begins at one", 1, appendRecord(nil, 0, 1, nil, nil, nil), "offset delta"},
		{"negative delta", 1, appendRecord(nil, 0, -1, nil, nil, nil), "offset delta"},
		{"delta jumps", 2, append(clone(ok), appendRecord(nil, 0, 2, nil, nil, nil)...), "offset delta"},
		{"length is cut off", 1, []byte{0x80}, badLength},
		{"length of six bytes", 1, []byte{0x80, 0x80, 0x80, 0x80, 0x80, 0}, badLength},
		{"negative length", 1, append(appendVarint(nil, -5), make([]byte, 20)...), badSize},
		{"length beyond the batch", 1, append(appendVarint(nil, 1<<30), make([]byte, 20)...), ""},
		{"length too small for a record", 1, body(0, 0, 0, 1, 1), badSize},
		{"key length -2", 1, body(0, 0, 0, 3, 1, 0), badKey},
		{"key beyond the record", 1, body(0, 0, 0, 20, 1, 0), badKey},
		{"value length -2", 1, body(0, 0, 0, 1, 3, 0), badValue},
		{"value beyond the record", 1, body(0, 0, 0, 1, 4, 0), badValue},
		{"negative headers", 1, body(0, 0, 0, 1, 1, 1), badHeaders},
		{"more headers than bytes", 1, body(0, 0, 0, 1, 1, 20), badHeaders},
		{"two billion headers", 1, body(0, 0, 0, 1, 1, 0xfe, 0xff, 0xff, 0xff, 0xf), badHeaders},
		{"null header key", 1, body(0, 0, 0, 1, 1, 2, 1, 0), badHeaders},
		{"header value beyond the record", 1, body(0, 0, 0, 1, 1, 2, 0, 10), badHeaders},
		{"bytes after the headers", 1, body(0, 0, 0, 1, 1, 0, 7), badEnd},
		{"long record claims more", 1, relength(long, 1), ""}, // refused as cut off or by what it disagrees with
		{"long record claims less", 1, relength(long, -1), ""},
	} {
		for _, codec := range allCodecs {
			t.Run(c.name+"/"+codec.String(), func(t *testing.T) {
				_, err := Validate(raw(t, codec, c.count, c.records), Limits{Deep: true})
				if strings.HasPrefix(c.name, "good") {
					if err != nil {
						t.Error(err)
					}
					return
				}
				if !isKind(err, InvalidRecord) || !strings.Contains(err.Error(), c.about) {
					t.Errorf("%v, want %q", err, c.about)
				}
				if _, err := Validate(raw(t, codec, c.count, c.records), Limits{}); err != nil {
					t.Errorf("without Deep the records are not looked at: %v", err)
				}
			})
		}
	}
}

func TestValidateListsFaults(t *testing.T) {
	now := time.UnixMilli(1_700_000_000_000)
	ms := now.UnixMilli()
	window := WindowAt(now, 10*time.Millisecond, 5*time.Millisecond)
	entries := []entry{{ts: ms, key: []byte("k")}, {ts: ms - 10}, {ts: ms - 11, key: []byte("k")}, {ts: ms + 5}, {ts: ms + 6, key: []byte("k")}, {ts: NoTimestamp, key: []byte("k")}}
	for _, codec := range allCodecs {
		b := build(t, Options{Codec: codec}, entries)
		for _, c := range []struct {
			lim  Limits
			kind Kind
			at   []int32
		}{
			{Limits{Deep: true}, 0, nil},
			{Limits{KeyRequired: true}, InvalidRecord, []int32{1, 3}},
			{Limits{Window: window}, InvalidTimestamp, []int32{2, 4}},
			{Limits{Window: window, KeyRequired: true}, InvalidTimestamp, []int32{1, 2, 3, 4}},
			{Limits{Window: WindowAt(now, math.MaxInt64, math.MaxInt64)}, 0, nil},
		} {
			_, err := Validate(b, c.lim)
			var e *Invalid
			if errors.As(err, &e) != (c.kind != 0) {
				t.Errorf("%s %+v: %v", codec, c.lim, err)
				continue
			}
			if c.kind == 0 {
				continue
			}
			var at []int32
			for _, f := range e.Records {
				at = append(at, f.Index)
			}
			if e.Kind != c.kind || !slices.Equal(at, c.at) {
				t.Errorf("%s %+v: kind %d at %v", codec, c.lim, e.Kind, at)
			}
		}
	}
}

func TestFaultsAreBounded(t *testing.T) {
	_, err := Validate(build(t, Options{}, make([]entry, 10*FaultsMax)), Limits{KeyRequired: true})
	var e *Invalid
	if !errors.As(err, &e) || len(e.Records) != FaultsMax || !strings.Contains(e.Reason, "1000") {
		t.Errorf("%v", err)
	}
}

func TestValidateCorrectsMaxTimestamp(t *testing.T) {
	for _, codec := range allCodecs {
		for _, claim := range []int64{0, NoTimestamp, 1 << 50, math.MaxInt64} {
			b := patched(build(t, Options{Codec: codec}, sample()), put(MaxTimestampAt, 8, claim))
			shallow, err := Validate(Batch(clone(b)), Limits{})
			if err != nil || shallow.MaxTimestamp() != claim {
				t.Errorf("%s: without Deep there is nothing to correct it by: %v", codec, err)
			}
			got, err := Validate(b, Limits{Deep: true})
			if err != nil || got.MaxTimestamp() != 1<<40 || got.Verify() != nil {
				t.Errorf("%s: %d becomes %d, %v, %v", codec, claim, got.MaxTimestamp(), err, got.Verify())
			}
		}
	}
}

func TestErrorsAreMarked(t *testing.T) {
	good := build(t, Options{}, sample())
	for _, c := range []struct {
		b    Batch
		want error
	}{
		{patch(good, put(CRCAt, 4, 1)), ErrCorrupt},
		{patched(good, put(MagicAt, 1, 0)), ErrOldMagic},
		{patched(good, put(AttributesAt, 2, 7)), ErrUnsupportedCodec},
	} {
		if _, err := Validate(c.b, Limits{}); !errors.Is(err, c.want) {
			t.Errorf("%v is not %v", err, c.want)
		}
	}
	if _, err := Validate(good, Limits{MaxBytes: 10}); !errors.Is(err, ErrTooLarge) || errors.Is(err, ErrCorrupt) {
		t.Error(err)
	}
}

func TestValidateAllocatesNothing(t *testing.T) {
	for _, size := range []int{4 << 10, 256 << 10} {
		for _, codec := range []Codec{None, Snappy, LZ4} {
			if codec != None && raced {
				continue
			}
			b := batchOf(t, codec, size)
			lim := Limits{Deep: true, MaxBytes: 1 << 20, KeyRequired: true, Window: Window{1, math.MaxInt64}}
			if n := testing.AllocsPerRun(20, func() {
				if _, err := Validate(b, lim); err != nil {
					t.Fatal(err)
				}
			}); n >= 1 {
				t.Errorf("%s, %d bytes: %v allocations", codec, size, n)
			}
		}
	}
}

// The hot path gives up on what is unusual; it must agree with the general way on everything else.
func TestUsualWalkAgreesWithTheGeneralOne(t *testing.T) {
	entries := sample()
	for i := range 9000 { // deltas of one, two and three bytes
		entries = append(entries, entry{ts: 1000 + int64(i), key: []byte("k"), value: make([]byte, i%200)})
	}
	b := build(t, Options{}, entries)
	general := walker{base: b.BaseTimestamp(), window: Window{minTimestamp, maxTimestamp}, max: NoTimestamp}
	p := []byte(b.Payload())
	usual := 0
	for general.index < b.NumRecords() {
		quick := general
		rest := quick.usual(p, general.index+1)
		body, next, reason := nextRecord(p)
		var f fields
		if reason == "" {
			reason = f.read(body)
		}
		if reason == "" {
			reason = general.record(&f)
		}
		if reason != "" {
			t.Fatal(reason)
		}
		general.index++
		if quick.index == general.index {
			usual++
			if len(rest) != len(next) || quick.max != general.max {
				t.Fatalf("record %d: %d bytes left, not %d", quick.index, len(rest), len(next))
			}
		}
		p = next
	}
	if usual < 8000 {
		t.Errorf("only %d of %d records took the hot path", usual, len(entries))
	}
}
