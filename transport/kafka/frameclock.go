package kafka

import (
	"time"

	"github.com/troupe-broker/troupe/transport/kafka/wire"
)

// frameClock measures the time of the frame that is arriving: it has one deadline, from its first byte. Time in which the broker did not
// read does not count.
type frameClock struct {
	began time.Time // zero: no frame is arriving
	last  time.Time // zero, or the latest deadline of this frame
}

// look notes whether a frame has begun to arrive.
func (f *frameClock) look(c *wire.Cutter) {
	if c.Partial() && f.began.IsZero() {
		f.began = time.Now()
	}
}

// end says that a frame is whole.
func (f *frameClock) end() { *f = frameClock{} }

// waited says that the broker did not read since then.
func (f *frameClock) waited(since time.Time) {
	if !f.began.IsZero() {
		f.began = f.began.Add(time.Since(since))
	}
}

// hurry says that others wait for the frame.
func (f *frameClock) hurry() { f.last = time.Now().Add(wire.OverdrawTime) }

// deadline is when a frame of size bytes must be whole.
func (f *frameClock) deadline(base time.Duration, size int) time.Time {
	until := f.began.Add(base + time.Duration(size)*time.Second/frameRate)
	if !f.last.IsZero() && f.last.Before(until) {
		return f.last
	}
	return until
}
