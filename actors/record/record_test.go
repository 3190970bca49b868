package record

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

var allCodecs = []Codec{None, Gzip, Snappy, LZ4, Zstd}

type entry struct {
	ts         int64
	key, value []byte
	headers    []Header
}

// sample is a batch's worth of records with every optional part present, absent, empty and long.
func sample() (out []entry) {
	out = []entry{
		{1000, []byte("key"), []byte("value"), nil},
		{1000, nil, []byte("no key"), nil},
		{999, []byte("tombstone"), nil, nil},
		{1001, []byte{}, []byte{}, []Header{{"h", []byte("v")}, {"", nil}, {"h", []byte{}}}},
		{1 << 40, bytes.Repeat([]byte("k"), 300), bytes.Repeat([]byte("long "), 20_000), nil},
	}
	for i := range 200 {
		out = append(out, entry{1000 + int64(i), fmt.Append(nil, "key", i), bytes.Repeat([]byte{byte(i)}, i), nil})
	}
	return out
}

func build(t testing.TB, o Options, entries []entry) Batch {
	t.Helper()
	b := NewBuilder(o)
	for _, e := range entries {
		b.Append(e.ts, e.key, e.value, e.headers)
	}
	batch, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	return batch
}

// read collects what Each hands out, copied.
func read(t testing.TB, b Batch) (out []entry) {
	t.Helper()
	var d Decoder
	err := b.Each(&d, func(r Record) error {
		if want := b.BaseOffset() + int64(len(out)); r.Offset != want {
			return fmt.Errorf("offset %d, want %d", r.Offset, want)
		}
		e := entry{ts: r.Timestamp, key: clone(r.Key), value: clone(r.Value)}
		for _, h := range r.Headers {
			e.headers = append(e.headers, Header{h.Key, clone(h.Value)})
		}
		out = append(out, e)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// clone is bytes.Clone that keeps empty and nil apart.
func clone(b []byte) []byte {
	if b == nil {
		return nil
	}
	return append([]byte{}, b...)
}

func TestRoundTripThroughEveryCodec(t *testing.T) {
	for _, c := range allCodecs {
		t.Run(c.String(), func(t *testing.T) {
			batch := build(t, Options{Codec: c, ProducerID: 7, Epoch: 2, BaseSequence: 11}, sample())
			got, err := Validate(batch, Limits{Deep: true, MaxBytes: len(batch)})
			if err != nil {
				t.Fatal(err)
			}
			got.SetBaseOffset(5000)
			got.SetLeaderEpoch(3)
			if err := got.Verify(); err != nil {
				t.Fatalf("patching offset and epoch must leave the CRC alone: %v", err)
			}
			if !reflect.DeepEqual(read(t, got), sample()) {
				t.Fatal("records changed on the way")
			}
			if got.LastOffset() != 5204 || got.NextOffset() != 5205 || got.LastSequence() != 215 || got.MaxTimestamp() != 1<<40 || got.LeaderEpoch() != 3 {
				t.Errorf("header: %d %d %d %d %d", got.LastOffset(), got.NextOffset(), got.LastSequence(), got.MaxTimestamp(), got.LeaderEpoch())
			}
		})
	}
}

// The bytes are put together by hand from the description of the format; the CRC is left to TestAgainstKmsg and Verify.
func TestGoldenBytes(t *testing.T) {
	const want = "" +
		"0000000000000000" + // base offset
		"00000052" + // length 82: 49 of header and the records
		"ffffffff" + "02" + "????????" + // epoch, magic, crc
		"0010" + // attributes: transactional
		"00000001" + // last offset delta
		"0000018bcfe56800" + "0000018bcfe56805" + // base and max timestamp
		"0000000000000fa0" + "0003" + "00000009" + // producer 4000, epoch 3, sequence 9
		"00000002" + // records
		"18" + "00" + "00" + "00" + "02" + "6b" + "02" + "76" + "02" + "02" + "68" + "02" + "78" + // k=v, header h=x
		"26" + "00" + "0a" + "02" + "01" + "1a" + "68656c6c6f2c20776f726c6421" + "00" // null key, 5 ms later
	b := build(t, Options{ProducerID: 4000, Epoch: 3, BaseSequence: 9, Transactional: true}, []entry{
		{1_700_000_000_000, []byte("k"), []byte("v"), []Header{{"h", []byte("x")}}},
		{1_700_000_000_005, nil, []byte("hello, world!"), nil},
	})
	got := hex.EncodeToString(b)
	got = got[:34] + "????????" + got[42:]
	if got != want {
		t.Errorf("\n got %s\nwant %s", got, want)
	}
	if err := b.Verify(); err != nil {
		t.Error(err)
	}
}

func TestMarker(t *testing.T) {
	b := EndTxnMarker(4000, 7, true, 12, 1_700_000_000_000)
	commit, epoch, ok := b.Marker()
	if !commit || epoch != 12 || !ok || !b.IsControl() || !b.IsTransactional() || b.BaseSequence() != NoSequence || b.ProducerID() != 4000 || b.ProducerEpoch() != 7 {
		t.Error(commit, epoch, ok)
	}
	if len(b) != 78 { // EndTransactionMarker's 6 byte value; Kafka's COMMIT markers take 78 bytes on disk
		t.Errorf("marker is %d bytes", len(b))
	}
	if commit, _, ok := EndTxnMarker(0, 0, false, 1, 5).Marker(); commit || !ok {
		t.Error("abort marker of producer 0 is not read back")
	}
	if _, _, ok := build(t, Options{}, sample()).Marker(); ok {
		t.Error("data is no marker")
	}
	if _, err := Validate(b, Limits{Deep: true}); !isKind(err, InvalidRecord) {
		t.Errorf("a client must not send a marker: %v", err)
	}
	if _, err := Validate(b, Limits{Deep: true, Internal: true}); err != nil {
		t.Error(err)
	}
}

func isKind(err error, k Kind) bool {
	var e *Invalid
	return errors.As(err, &e) && e.Kind == k
}

func TestLogAppendTime(t *testing.T) {
	b := build(t, Options{Codec: LZ4}, sample())
	b.SetBaseOffset(100)
	b.SetLogAppendTime(77)
	if err := b.Verify(); err != nil {
		t.Fatal(err)
	}
	for _, e := range read(t, b) {
		if e.ts != 77 {
			t.Fatalf("timestamp %d", e.ts)
		}
	}
}

func TestPeekAndVerify(t *testing.T) {
	b := build(t, Options{}, sample())
	long := append(append([]byte{}, b...), 1, 2, 3)
	if size, err := Peek(long); size != len(b) || err != nil {
		t.Error(size, err)
	}
	for n := range len(b) {
		size, err := Peek(b[:n])
		if err != ErrShort || size != 0 && size != len(b) || n >= PeekSize && size == 0 {
			t.Fatalf("%d bytes: %d %v", n, size, err)
		}
	}
	for _, c := range []struct {
		at   int
		to   byte
		want error
	}{{MagicAt, 0, ErrOldMagic}, {MagicAt, 1, ErrOldMagic}, {MagicAt, 3, ErrCorrupt}, {MagicAt, 0xff, ErrCorrupt}, {BatchLengthAt, 0x80, ErrCorrupt}} {
		bad := clone(b)
		bad[c.at] = c.to
		if _, err := Peek(bad); !errors.Is(err, c.want) {
			t.Errorf("byte %d = %d: %v, want %v", c.at, c.to, err, c.want)
		}
	}
	for at := AttributesAt; at < len(b); at += 97 {
		bad := Batch(clone(b))
		bad[at] ^= 0x10
		if err := bad.Verify(); !errors.Is(err, ErrCorrupt) {
			t.Errorf("a flipped bit in byte %d is not seen: %v", at, err)
		}
	}
	if err := Batch(long).Verify(); !errors.Is(err, ErrCorrupt) {
		t.Error(err)
	}
}

func TestSequencesWrap(t *testing.T) {
	const last = 1<<31 - 1
	for _, c := range [][3]int32{{0, 0, 0}, {last, 1, 0}, {last - 1, 1, last}, {last - 1, 3, 1}, {5, last, 4}} {
		if got := AddSequence(c[0], c[1]); got != c[2] {
			t.Errorf("%d + %d = %d, want %d", c[0], c[1], got, c[2])
		}
	}
}

// kmsg is the other implementation: what it reads from our bytes and we from its bytes must be the same.
func TestAgainstKmsg(t *testing.T) {
	entries := sample()
	ours := build(t, Options{ProducerID: 9, Epoch: 1, BaseSequence: 4, Transactional: true}, entries)
	var theirs kmsg.RecordBatch
	if err := theirs.ReadFrom(ours); err != nil {
		t.Fatal(err)
	}
	if theirs.FirstOffset != 0 || theirs.PartitionLeaderEpoch != -1 || theirs.Magic != 2 || uint32(theirs.CRC) != ours.CRC() || theirs.Attributes != transactionalBit ||
		theirs.LastOffsetDelta != ours.LastOffsetDelta() || theirs.FirstTimestamp != 1000 || theirs.MaxTimestamp != 1<<40 || theirs.ProducerID != 9 ||
		theirs.ProducerEpoch != 1 || theirs.FirstSequence != 4 || theirs.NumRecords != int32(len(entries)) {
		t.Fatalf("%+v", theirs)
	}
	if again := theirs.AppendTo(nil); !bytes.Equal(again, ours) {
		t.Error("kmsg writes the header differently")
	}
	var records []byte
	for i, e := range entries {
		r := kmsg.Record{TimestampDelta64: e.ts - 1000, OffsetDelta: int32(i), Key: e.key, Value: e.value}
		for _, h := range e.headers {
			r.Headers = append(r.Headers, kmsg.Header{Key: h.Key, Value: h.Value})
		}
		r.Length = int32(len(r.AppendTo(nil)) - 1)
		records = r.AppendTo(records)
	}
	if !bytes.Equal(records, ours.Payload()) {
		t.Error("kmsg writes the records differently")
	}
}

func TestCompressionAgainstKgo(t *testing.T) {
	codecs := map[Codec]kgo.CompressionCodec{Gzip: kgo.GzipCompression(), Snappy: kgo.SnappyCompression(), LZ4: kgo.Lz4Compression(), Zstd: kgo.ZstdCompression()}
	plain := build(t, Options{}, sample()).Payload()
	for codec, theirs := range codecs {
		c, err := kgo.DefaultCompressor(theirs)
		if err != nil {
			t.Fatal(err)
		}
		compressed, used := c.Compress(new(bytes.Buffer), plain)
		if Codec(used) != codec {
			t.Fatalf("kgo chose %d", used)
		}
		got, err := Decompress(codec, []byte("before"), compressed, len(plain))
		if err != nil || string(got) != "before"+string(plain) {
			t.Errorf("%s: cannot read what kgo wrote: %v", codec, err)
		}
		ours, err := Compress(codec, 0, []byte("before"), plain)
		if err != nil || !strings.HasPrefix(string(ours), "before") {
			t.Fatal(err)
		}
		back, err := kgo.DefaultDecompressor().Decompress(ours[6:], used)
		if err != nil || !bytes.Equal(back, plain) {
			t.Errorf("%s: kgo cannot read what we wrote: %v", codec, err)
		}
	}
}

func TestRecompress(t *testing.T) {
	for _, from := range allCodecs {
		for _, to := range allCodecs {
			b := build(t, Options{Codec: from, ProducerID: 3, BaseSequence: 8, Transactional: true}, sample())
			got, err := Recompress(b, to, 1<<20, Unpacking{})
			if err != nil {
				t.Fatal(err)
			}
			if got.Codec() != to || got.BaseSequence() != 8 || !got.IsTransactional() || got.MaxTimestamp() != b.MaxTimestamp() || !reflect.DeepEqual(read(t, got), sample()) {
				t.Errorf("%s to %s: something was lost", from, to)
			}
			if _, err := Validate(got, Limits{Deep: true}); err != nil {
				t.Errorf("%s to %s: %v", from, to, err)
			}
			if _, err := Recompress(b, (to+1)%5, 1000, Unpacking{}); from != None && from != (to+1)%5 && !errors.Is(err, ErrTooLarge) {
				t.Errorf("%s to %s beyond the limit: %v", from, (to+1)%5, err)
			}
		}
	}
}

func TestBuilder(t *testing.T) {
	b := NewBuilder(Options{ProducerID: 5, BaseSequence: 1})
	if _, err := b.Build(); err != ErrEmpty {
		t.Error(err)
	}
	b.Append(50, nil, []byte("x"), nil)
	first, _ := b.Build()
	b.Reset(2)
	b.Append(60, nil, []byte("y"), nil)
	second, _ := b.Build()
	if first.BaseTimestamp() != 50 || second.BaseTimestamp() != 60 || second.BaseSequence() != 2 || first.NumRecords() != 1 || b.Len() != 1 || b.Size() != len(second) {
		t.Error("Reset leaks into the next batch")
	}
	if plain := build(t, Options{ProducerID: -1}, sample()); plain.ProducerID() != -1 || plain.ProducerEpoch() != -1 || plain.BaseSequence() != -1 {
		t.Error("a producer that is not idempotent must write -1")
	}
	if _, err := NewBuilder(Options{Codec: 6}).Build(); err == nil {
		t.Error("codec 6 does not exist")
	}
}
