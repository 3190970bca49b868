package api

import (
	"testing"
	"time"
)

func TestRarelySaysHowOften(t *testing.T) {
	var r rarely
	for _, c := range []struct {
		at    time.Duration
		times int64
		ok    bool
	}{
		{0, 1, true}, {time.Second, 0, false}, {59 * time.Second, 0, false}, {60 * time.Second, 3, true}, {61 * time.Second, 0, false}, {10 * time.Minute, 2, true},
	} {
		if times, ok := r.due(c.at); times != c.times || ok != c.ok {
			t.Errorf("at %v: %d, %v; want %d, %v", c.at, times, ok, c.times, c.ok)
		}
	}
}
