package sim

import (
	"math"
	"math/rand/v2"
	"time"

	"github.com/cespare/xxhash/v2"
)

// Stream is one named source of chance.
type Stream struct{ *rand.Rand }

// NewStream derives the stream of a name from a seed.
func NewStream(seed uint64, name string) *Stream {
	return &Stream{rand.New(rand.NewPCG(seed, xxhash.Sum64String(name)))}
}

// Chance is true with probability p.
func (s *Stream) Chance(p float64) bool { return p > 0 && s.Float64() < p }

// Between is uniform in [low, high].
func (s *Stream) Between(low, high int64) int64 {
	if high <= low {
		return low
	}
	return low + s.Int64N(high-low+1)
}

// Duration is uniform in [low, high].
func (s *Stream) Duration(low, high time.Duration) time.Duration {
	return time.Duration(s.Between(int64(low), int64(high)))
}

// Exp is exponential with the mean given, cut at twenty times the mean.
func (s *Stream) Exp(mean time.Duration) time.Duration {
	return time.Duration(math.Min(s.ExpFloat64(), 20) * float64(mean))
}

// Read fills b; a Stream is an io.Reader that never fails.
func (s *Stream) Read(b []byte) (int, error) {
	for i := 0; i < len(b); i += 8 {
		v := s.Uint64()
		for j := i; j < min(i+8, len(b)); j++ {
			b[j] = byte(v)
			v >>= 8
		}
	}
	return len(b), nil
}
