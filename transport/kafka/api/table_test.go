package api

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"reflect"
	"runtime"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
)

func TestEveryKeyIsServedOrSkipped(t *testing.T) {
	table := newTable()
	for key := int16(0); key < keyMax; key++ {
		removed := key >= 4 && key <= 7
		_, isSkipped := skipped[key]
		if served := table[key] != nil; served == isSkipped && !removed || removed && (served || isSkipped) {
			t.Errorf("key %d (%s): served %v, skipped %v", key, NameOf(key), served, isSkipped)
		}
	}
}

// The ranges of Kafka 4.4.0, as far as they are served, but for Produce, which Kafka advertises from 0.
func TestAdvertisedVersionsAreKafkas(t *testing.T) {
	want := map[int16][2]int16{
		0: {0, 13}, 1: {4, 18}, 2: {1, 11}, 3: {0, 13}, 8: {2, 10}, 9: {1, 10}, 10: {0, 6}, 11: {0, 9}, 12: {0, 4}, 13: {0, 5}, 14: {0, 5}, 15: {0, 6},
		16: {0, 5}, 18: {0, 4}, 19: {2, 7}, 20: {1, 6}, 21: {0, 2}, 22: {0, 5}, 23: {2, 4}, 32: {1, 4}, 33: {0, 2},
		35: {1, 5}, 37: {0, 3}, 42: {0, 2}, 44: {0, 1}, 47: {0, 0}, 60: {0, 2}, 61: {0, 0}, 68: {0, 1}, 69: {0, 1}, 75: {0, 0},
		24: {0, 5}, 25: {0, 4}, 26: {0, 5}, 27: {1, 2}, 28: {0, 5}, 65: {0, 0}, 66: {0, 2},
		17: {0, 1}, 29: {1, 3}, 30: {1, 3}, 31: {1, 3}, 36: {0, 2}, 50: {0, 0}, 51: {0, 0}, 43: {0, 2}, 46: {0, 0}, 48: {0, 1}, 49: {0, 1}, 55: {0, 2}, 74: {0, 1},
	}
	for _, r := range newTable() {
		if r == nil {
			continue
		}
		if got := [2]int16{r.Min, r.Max}; got != want[r.Key] {
			t.Errorf("%s: %v, want %v", r.Name, got, want[r.Key])
		}
		if r.Name != NameOf(r.Key) && !strings.EqualFold(r.Name, NameOf(r.Key)) {
			t.Errorf("key %d is called %s, not %s", r.Key, NameOf(r.Key), r.Name)
		}
		if r.Max > kmsg.RequestForKey(r.Key).MaxVersion() {
			t.Errorf("%s: kmsg speaks only up to %d", r.Name, kmsg.RequestForKey(r.Key).MaxVersion())
		}
		delete(want, r.Key)
	}
	if len(want) > 0 {
		t.Errorf("not served: %v", want)
	}
}

// A layout is right if it walks over exactly what kmsg wrote, whatever the values, in every version.
func TestLayoutsWalkWhatKmsgEncodes(t *testing.T) {
	rng := rand.New(rand.NewPCG(9, 10))
	for _, r := range newTable() {
		if r == nil || r.layout == nil {
			continue
		}
		for version := r.Min; version <= r.Max; version++ {
			for range 100 {
				req := randomRequest(rng, r.Key, version)
				body := req.AppendTo(nil)
				if err := r.layout.scan(version, req.IsFlexible(), body); err != nil {
					t.Fatalf("%s v%d: %v: %x", r.Name, version, err, body)
				}
				if len(body) > 0 && r.layout.scan(version, req.IsFlexible(), body[:len(body)-1]) == nil {
					t.Fatalf("%s v%d: accepted a body without its last byte: %x", r.Name, version, body)
				}
			}
			if got := r.flexible <= version; got != flexibleAt(r.Key, version) {
				t.Errorf("%s v%d: flexible %v", r.Name, version, got)
			}
		}
	}
}

func flexibleAt(key, version int16) bool {
	req := kmsg.RequestForKey(key)
	req.SetVersion(version)
	return req.IsFlexible()
}

func TestStructCostCoversEveryElement(t *testing.T) {
	for _, r := range newTable() {
		if r != nil && r.layout != nil {
			elements(t, r.Name, reflect.TypeOf(kmsg.RequestForKey(r.Key)).Elem())
		}
	}
}

func elements(t *testing.T, name string, typ reflect.Type) {
	for i := range typ.NumField() {
		f := typ.Field(i).Type
		if f.Kind() != reflect.Slice {
			continue
		}
		if f = f.Elem(); f.Kind() == reflect.Struct {
			if f.Size() > structCost {
				t.Errorf("%s: %v takes %d bytes, more than structCost", name, f, f.Size())
			}
			elements(t, name, f)
		} else if f.Size() > scalarCost {
			t.Errorf("%s: %v takes %d bytes, more than scalarCost", name, f, f.Size())
		}
	}
}

// hostile are bodies that announce more than they hold.
func hostile(version int16, flexible bool) map[string][]byte {
	huge := []byte{0x7f, 0xff, 0xff, 0xff}
	if flexible {
		huge = []byte{0xff, 0xff, 0xff, 0xff, 0x0f}
	}
	out := map[string][]byte{"huge": huge, "minus two": {0xff, 0xff, 0xff, 0xfe}, "empty": nil}
	for n := range 24 {
		out["huge after "+string(rune('a'+n))] = append(make([]byte, n), huge...)
	}
	many := append([]byte{}, 0, 16, 0, 0) // an array as long as the body
	if flexible {
		many = []byte{0x80, 0x80, 0x40}
	}
	out["many"] = append(many, make([]byte, 1<<20)...)
	return out
}

func TestAnnouncedCountsAllocateNothing(t *testing.T) {
	for _, r := range newTable() {
		if r == nil {
			continue
		}
		for version := r.Min; version <= r.Max; version++ {
			flexible := flexibleAt(r.Key, version)
			for name, body := range hostile(version, flexible) {
				before := allocated()
				decodeAny(r, version, flexible, body)
				if grown := allocated() - before; grown > uint64(budgetFactor*len(body)+4*budgetFloor) {
					t.Errorf("%s v%d, %s: %d bytes allocated for %d", r.Name, version, name, grown, len(body))
				}
			}
		}
	}
}

// What is all there can still be too much: a name of nothing takes two bytes on the wire and fifty in memory.
func TestElementsAreChargedForWhatTheyTake(t *testing.T) {
	metadata := newTable()[3]
	body := binary.AppendUvarint(nil, 1<<19+1)
	for range 1 << 19 {
		body = append(body, 1, 0)
	}
	body = append(body, 0, 0, 0, 0)
	if err := metadata.layout.scan(9, true, body); err == nil {
		t.Error("half a million empty names are let through")
	}
	var req kmsg.MetadataRequest
	for i := range 20_000 {
		req.Topics = append(req.Topics, kmsg.MetadataRequestTopic{Topic: kmsg.StringPtr(fmt.Sprint("topic ", i))})
	}
	for version := int16(0); version <= 13; version++ {
		req.Version = version
		if err := metadata.layout.scan(version, flexibleAt(3, version), req.AppendTo(nil)); err != nil {
			t.Errorf("v%d: a request for 20,000 topics: %v", version, err)
		}
	}
}

// allocated is all that was ever allocated, in bytes.
func allocated() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.TotalAlloc
}

// decodeAny decodes a body the way a handler does.
func decodeAny(r *Row, version int16, flexible bool, body []byte) {
	switch r.Key {
	case keyProduce:
		_ = new(produceRequest).decode(version, body)
	case keyFetch:
		_ = new(fetchRequest).decode(version, body)
	default:
		if r.layout.scan(version, flexible, body) == nil {
			req := kmsg.RequestForKey(r.Key)
			req.SetVersion(version)
			_ = req.ReadFrom(body)
		}
	}
}

// FuzzDecode: what the layout lets through, kmsg decodes, within the budget.
func FuzzDecode(f *testing.F) {
	rng := rand.New(rand.NewPCG(11, 12))
	table := newTable()
	for _, r := range table {
		if r != nil {
			f.Add(r.Key, r.Max, randomRequest(rng, r.Key, r.Max).AppendTo(nil))
			f.Add(r.Key, r.Min, randomRequest(rng, r.Key, r.Min).AppendTo(nil))
		}
	}
	f.Fuzz(func(t *testing.T, key, version int16, body []byte) {
		if key < 0 || key >= keyMax || table[key] == nil || table[key].layout == nil {
			return
		}
		r := table[key]
		version = r.Min + (version%(r.Max-r.Min+1)+r.Max-r.Min+1)%(r.Max-r.Min+1)
		flexible := flexibleAt(key, version)
		if r.layout.scan(version, flexible, body) != nil {
			return
		}
		req := kmsg.RequestForKey(key)
		req.SetVersion(version)
		if err := req.ReadFrom(body); err != nil {
			return // null where there must be none: kmsg knows, the layout does not
		}
		again := req.AppendTo(nil)
		twice := kmsg.RequestForKey(key)
		twice.SetVersion(version)
		if err := twice.ReadFrom(again); err != nil {
			t.Fatalf("%s v%d: what was decoded and encoded does not decode: %v", r.Name, version, err)
		}
	})
}
