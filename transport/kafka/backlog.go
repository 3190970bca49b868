package kafka

import "sync/atomic"

const (
	// backlogRequests and backlogBytes are how many requests other than those for records may be under way on a node, and their bytes, while
	// connections run ahead as far as their pipelines let them: about half a second's work.
	backlogRequests = 4096
	backlogBytes    = 4 << 20
	// shareRequests and shareBytes are what each connection may still have under way when there is more; one request alone may be larger.
	shareRequests = 8
	shareBytes    = 16 << 10
)

// Backlog is what clients have asked of the actors that they share, and was not answered: each of them does one thing after the other, so
// whoever comes waits behind it. A connection alone may run far ahead, which is fast; many together may not, else those who ask in a
// hundred pipelines and go leave minutes of work to those who stay. Records have bounds of their own. Safe on any goroutine; the zero value
// is ready. A nil Backlog bounds nothing.
type Backlog struct {
	requests, bytes atomic.Int64
}

// shareOf is the part of a Backlog that is one connection's.
type shareOf struct{ requests, bytes int }

// room reports whether a connection that has mine may add to it.
func (b *Backlog) room(mine shareOf) bool {
	if b == nil || mine.requests < shareRequests && mine.bytes < shareBytes {
		return true
	}
	return b.requests.Load() < backlogRequests && b.bytes.Load() < backlogBytes
}

// add changes a share and the whole.
func (b *Backlog) add(mine *shareOf, requests, bytes int) {
	mine.requests += requests
	mine.bytes += bytes
	if b != nil {
		b.requests.Add(int64(requests))
		b.bytes.Add(int64(bytes))
	}
}
