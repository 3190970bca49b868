package record

import (
	"fmt"
	"testing"
)

var allCodecs = []Codec{None, Gzip, Snappy, LZ4, Zstd}

func TestRoundTripThroughEveryCodec(t *testing.T) {
	for _, c := range allCodecs {
		t.Run(c.String(), func(t *testing.T) {
			b := NewBuilder(Options{Codec: c, ProducerID: 7, Epoch: 2, BaseSequence: 11})
			for i := range 1000 {
				b.Append(1000+int64(i), []byte(fmt.Sprint("k", i)), make([]byte, i), []Header{{"h", []byte("v")}, {"n", nil}})
			}
			batch, err := b.Build()
			if err != nil {
				t.Fatal(err)
			}
			got, err := Validate(batch, Limits{Deep: true})
			if err != nil {
				t.Fatal(err)
			}
			n := 0
			err = got.Each(nil, func(r Record) error {
				if r.Offset != int64(n) || r.Timestamp != int64(1000+n) || string(r.Key) != fmt.Sprint("k", n) || len(r.Value) != n || len(r.Headers) != 2 {
					return fmt.Errorf("record %d: %+v", n, r)
				}
				n++
				return nil
			})
			if err != nil || n != 1000 {
				t.Fatal(n, err)
			}
		})
	}
}
