package codec

import (
	"bytes"
	"encoding/hex"
	"errors"
	"math"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/troupe-broker/troupe/actors"
)

type Head struct {
	ReplyTo actors.PID
	ID      uint64
}

type inner struct {
	A int8
	B []byte
}

type everything struct {
	Head
	Flag     bool
	Small    int16
	Wide     int64
	Count    uint32
	Share    float64
	Wait     time.Duration
	Text     string
	Bytes    []byte
	ID16     [16]byte
	Names    []string
	Matrix   [][]int32
	Inner    inner
	List     []inner
	Maybe    *inner
	Local    interface{ Close() }
	Watchers []actors.PID
}

// newer is everything as a later release might have it; older as an earlier one did.
type newer struct {
	Head
	Flag bool
	More []inner
	Last *inner
}

type older struct {
	Head
	Flag bool
}

type numbers struct {
	I8  int8
	I16 int16
	I32 int32
	I64 int64
	U8  uint8
	U16 uint16
	U32 uint32
	U64 uint64
}

type deep struct{ Next *deep }

const limit = 1 << 20

var table = NewTable(
	Entry{1, &everything{}}, Entry{2, &newer{}}, Entry{3, &older{}}, Entry{4, numbers{}}, Entry{5, &deep{}},
)

func full() *everything {
	return &everything{
		Head: Head{actors.NewPID("n1", "a/b"), 7}, Flag: true, Small: -300, Wide: math.MinInt64, Count: math.MaxUint32, Share: 0.5,
		Wait: time.Minute, Text: "héllo", Bytes: []byte{0, 255}, ID16: [16]byte{1, 2, 15: 16}, Names: []string{"", "x"},
		Matrix: [][]int32{{1, -2}, nil, {}}, Inner: inner{-8, []byte{}}, List: []inner{{1, nil}, {}}, Maybe: &inner{A: 3},
		Watchers: []actors.PID{{}, actors.NewPID("", "x")},
	}
}

func encoded(t testing.TB, msg any) []byte {
	t.Helper()
	b, err := table.Encode(nil, msg)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestMessagesComeBackAsTheyWere(t *testing.T) {
	for _, msg := range []any{
		full(), &everything{}, &newer{}, numbers{}, &deep{&deep{}},
		numbers{math.MinInt8, math.MinInt16, math.MinInt32, math.MinInt64, math.MaxUint8, math.MaxUint16, math.MaxUint32, math.MaxUint64},
		numbers{math.MaxInt8, math.MaxInt16, math.MaxInt32, math.MaxInt64, 128, 256, 1 << 16, 1 << 63},
		numbers{-32, -33, -129, -32769, 127, 255, 65535, math.MaxUint32},
	} {
		frame := encoded(t, msg)
		got, err := table.Decode(frame, limit)
		if err != nil {
			t.Errorf("%T: %v", msg, err)
		} else if !reflect.DeepEqual(got, msg) {
			t.Errorf("%T:\n got %+v\nwant %+v", msg, got, msg)
		}
	}
}

func TestEncodeAppends(t *testing.T) {
	one := encoded(t, &older{Flag: true})
	two, err := table.Encode([]byte("prefix"), &older{Flag: true})
	if err != nil || !bytes.Equal(two, append([]byte("prefix"), one...)) {
		t.Errorf("%x, %v", two, err)
	}
	if want := "00039292c000c3"; hex.EncodeToString(one) != want {
		t.Errorf("frame %x, want %s", one, want)
	}
}

func TestReleasesUnderstandEachOther(t *testing.T) {
	n := &newer{Head: Head{actors.NewPID("a", "b"), 9}, Flag: true, More: []inner{{1, []byte("x")}}, Last: &inner{}}
	o := &older{n.Head, true}
	frame := encoded(t, n)
	frame[1] = 3
	if got, err := table.Decode(frame, limit); err != nil || !reflect.DeepEqual(got, o) {
		t.Errorf("old reads new: %+v, %v", got, err)
	}
	frame = encoded(t, o)
	frame[1] = 2
	if got, err := table.Decode(frame, limit); err != nil || !reflect.DeepEqual(got, &newer{Head: n.Head, Flag: true}) {
		t.Errorf("new reads old: %+v, %v", got, err)
	}
}

func TestDecodedBytesAreNotTheFrame(t *testing.T) {
	frame := encoded(t, full())
	got, err := table.Decode(frame, limit)
	if err != nil {
		t.Fatal(err)
	}
	clear(frame)
	if !reflect.DeepEqual(got, full()) {
		t.Error("the message changed with its frame")
	}
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// everything up to Names is 12 elements of nil.
const upTo = "0001 dc0010 c0 c0c0c0c0c0c0c0c0c0"

func TestHostileFramesAreRefusedBeforeAnythingIsAllocated(t *testing.T) {
	for _, c := range []struct {
		name, frame string
		want        error
	}{
		{"empty", "", ErrMalformed},
		{"half an id", "00", ErrMalformed},
		{"unknown id", "ffff 90", ErrUnknownType},
		{"no body", "0001", ErrMalformed},
		{"bytes after the end", "0003 90 c0", ErrMalformed},
		{"a map", "0003 80", ErrMalformed},
		{"a map as unknown field", "0003 93 c0 c3 80", ErrMalformed},
		{"an extension as unknown field", "0003 93 c0 c3 d40102", ErrMalformed},
		{"array of 4 G elements", "0001 ddffffffff", ErrMalformed},
		{"array of 64 K elements", "0001 dcffff", ErrMalformed},
		{"slice of 4 G strings", upTo + "ddffffffff", ErrMalformed},
		{"bytes of 4 G", "0001 dc0010 c0 c0c0c0c0c0c0c0 c6ffffffff", ErrMalformed},
		{"string of 4 G", "0001 dc0010 c0 c0c0c0c0c0c0 dbffffffff", ErrMalformed},
		{"unknown string of 4 G", "0003 93 c0 c3 dbffffffff", ErrMalformed},
		{"unknown array of 4 G", "0003 93 c0 c3 ddffffffff", ErrMalformed},
		{"short byte array", "0001 dc0010 c0 c0c0c0c0c0c0c0c0 c40101 c0c0c0c0c0c0c0", ErrMalformed},
		{"int8 of 128", "0004 91 cc80", ErrMalformed},
		{"int8 of -129", "0004 91 d1ff7f", ErrMalformed},
		{"int64 of 2^63", "0004 94 000000 cf8000000000000000", ErrMalformed},
		{"uint8 of -1", "0004 95 00000000 ff", ErrMalformed},
		{"uint8 of 256", "0004 95 00000000 cd0100", ErrMalformed},
		{"number cut short", "0004 91 d1ff", ErrMalformed},
		{"string for a bool", "0003 92 c0 a178", ErrMalformed},
		{"PID of one part", "0003 92 92 91a178 00 c3", ErrMalformed},
		{"PID of numbers", "0003 92 92 920102 00 c3", ErrMalformed},
		{"deep nesting", "0005" + strings.Repeat("91", 40) + "c0", ErrTooLarge},
		{"deep nesting of unknown fields", "0003 93 c0 c3" + strings.Repeat("91", 40) + "c0", ErrTooLarge},
		{"list of nils, each a struct in memory", upTo + "c0c0c0" + "dc8000" + strings.Repeat("c0", 0x8000) + "c0c0", ErrTooLarge},
	} {
		t.Run(c.name, func(t *testing.T) {
			frame := unhex(t, c.frame)
			var err error
			grew := allocated(func() { _, err = table.Decode(frame, limit) })
			if !errors.Is(err, c.want) {
				t.Errorf("error %v, want %v", err, c.want)
			}
			if grew > 4096 {
				t.Errorf("%d bytes allocated", grew)
			}
		})
	}
}

// allocated is the least number of bytes that f was seen to allocate.
func allocated(f func()) uint64 {
	least := uint64(math.MaxUint64)
	for range 5 {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		f()
		runtime.ReadMemStats(&after)
		least = min(least, after.TotalAlloc-before.TotalAlloc)
	}
	return least
}

func TestFramesOverTheLimitAreRefused(t *testing.T) {
	frame := encoded(t, full())
	if _, err := table.Decode(frame, len(frame)); err != nil {
		t.Error(err)
	}
	if _, err := table.Decode(frame, len(frame)-1); !errors.Is(err, ErrTooLarge) {
		t.Errorf("error %v", err)
	}
}

func TestUnlistedTypesAreNotEncoded(t *testing.T) {
	for _, msg := range []any{inner{}, numbers{}.I8, &numbers{}, nil} {
		if _, err := table.Encode(nil, msg); !errors.Is(err, ErrUnknownType) {
			t.Errorf("%T: %v", msg, err)
		}
	}
	if _, err := table.Encode(nil, (*older)(nil)); !errors.Is(err, ErrMalformed) {
		t.Errorf("nil pointer: %v", err)
	}
}

func TestTablesRefuseWhatHasNoEncoding(t *testing.T) {
	for name, entries := range map[string][]Entry{
		"a map":               {{1, struct{ M map[string]int }{}}},
		"a channel in a list": {{1, struct{ L []struct{ C chan int } }{}}},
		"a function":          {{1, struct{ F func() }{}}},
		"an unexported field": {{1, struct{ x int }{}}},
		"a time":              {{1, struct{ T time.Time }{}}},
		"no struct":           {{1, 5}},
		"an id twice":         {{1, older{}}, {1, newer{}}},
		"a type twice":        {{1, older{}}, {2, older{}}},
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s was accepted", name)
				}
			}()
			NewTable(entries...)
		}()
	}
}

func TestDescribe(t *testing.T) {
	want := "2 newer {Head:{ReplyTo:pid ID:uint64} Flag:bool More:[]{A:int8 B:bytes} Last:*inner}"
	if got := table.Describe(2); got != want {
		t.Errorf("%s", got)
	}
}

// FuzzDecode: no frame makes Decode panic or take memory out of proportion, and what is accepted survives another round.
func FuzzDecode(f *testing.F) {
	f.Add(encoded(f, full()))
	f.Add(encoded(f, &newer{More: []inner{{}}}))
	f.Add(encoded(f, numbers{I8: -1}))
	f.Add(encoded(f, &deep{&deep{}}))
	f.Add(unhex(f, "0001ddffffffff"))
	f.Fuzz(func(t *testing.T, frame []byte) {
		msg, err := table.Decode(frame, limit)
		if err != nil {
			return
		}
		again, err := table.Decode(encoded(t, msg), limit)
		if err != nil || !equal(msg, again) {
			t.Errorf("%x:\n%+v\n%+v, %v", frame, msg, again, err)
		}
	})
}

// equal compares encodings: reflect.DeepEqual calls NaN different from itself.
func equal(a, b any) bool {
	x, errX := table.Encode(nil, a)
	y, errY := table.Encode(nil, b)
	return errX == nil && errY == nil && bytes.Equal(x, y)
}

func BenchmarkEncode(b *testing.B) {
	msg := full()
	buf, err := table.Encode(nil, msg)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	b.ReportMetric(float64(len(buf)), "B/frame")
	for b.Loop() {
		buf, _ = table.Encode(buf[:0], msg)
	}
}

func BenchmarkDecode(b *testing.B) {
	frame := encoded(b, full())
	b.ReportAllocs()
	for b.Loop() {
		if _, err := table.Decode(frame, limit); err != nil {
			b.Fatal(err)
		}
	}
}
