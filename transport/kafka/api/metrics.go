package api

import (
	"math/bits"
	"sync/atomic"
	"time"
)

const (
	keyMax         = 93  // no key we know of is above
	codesMax       = 140 // error codes -1..138
	latencyBuckets = 28  // bucket i counts requests that took less than 2^i microseconds; the last one all that took longer
)

// Metrics counts what the Kafka edge does. Atomic counters only, indexed by numbers that do not come from the wire, so that counting
// costs nanoseconds and no client can make more of them. Read with Load from anywhere; the zero value is ready.
type Metrics struct {
	Connections           atomic.Int64 // open now
	ConnectionsAccepted   atomic.Int64
	ConnectionsRefused    atomic.Int64 // over max.connections
	ConnectionsCrowdedOut atomic.Int64 // ended to make room while nothing was known of the client
	ConnectionsBroken     atomic.Int64 // closed by us: malformed or unsupported requests, failed logins
	Panics                atomic.Int64 // each closed one connection and is a bug
	BytesIn               atomic.Int64
	BytesOut              atomic.Int64
	BytesSent             atomic.Int64 // of BytesOut, by sendfile

	Authentications       atomic.Int64 // also repeated ones
	AuthenticationsFailed atomic.Int64

	ProducedBatches atomic.Int64 // accepted by a partition
	ProducedRecords atomic.Int64
	ProducedBytes   atomic.Int64
	FetchedBytes    atomic.Int64
	UnpackingWaited atomic.Int64 // nanoseconds that batches waited to be unpacked
	FetchesParked   atomic.Int64 // waiting now
	FetchSessions   atomic.Int64 // open now

	oldFormats, forgedReplicas rarely // what is worth a warning
	failedLogins               few

	requests [keyMax]requestMetrics
	errors   [keyMax][codesMax]atomic.Int64
}

type requestMetrics struct {
	count   atomic.Int64
	micros  atomic.Int64
	latency [latencyBuckets]atomic.Int64
}

// RequestStats is what Metrics holds for one API key.
type RequestStats struct {
	Count   int64
	Total   time.Duration
	Latency [latencyBuckets]int64 // see latencyBuckets
}

// Request reports the requests of an API key that were answered.
func (m *Metrics) Request(key int16) (out RequestStats) {
	if key < 0 || key >= keyMax {
		return out
	}
	r := &m.requests[key]
	out.Count = r.count.Load()
	out.Total = time.Duration(r.micros.Load()) * time.Microsecond
	for i := range r.latency {
		out.Latency[i] = r.latency[i].Load()
	}
	return out
}

// EachError calls f with every error code that was answered to requests of an API key, and how often, in order.
func (m *Metrics) EachError(f func(key, code int16, times int64)) {
	for key := range m.errors {
		for i := range m.errors[key] {
			if n := m.errors[key][i].Load(); n > 0 {
				f(int16(key), int16(i-1), n)
			}
		}
	}
}

// Answered counts a request of the key that took d from its last byte to its answer.
func (m *Metrics) Answered(key int16, d time.Duration) {
	if key < 0 || key >= keyMax {
		return
	}
	r := &m.requests[key]
	micros := max(0, d.Microseconds())
	r.count.Add(1)
	r.micros.Add(micros)
	r.latency[min(bits.Len64(uint64(micros)), latencyBuckets-1)].Add(1)
}

// failed counts an error code that was answered to a request of the key.
func (m *Metrics) failed(key, code int16) {
	if i := int(code) + 1; code != 0 && i >= 0 && i < codesMax && key >= 0 && key < keyMax {
		m.errors[key][i].Add(1)
	}
}
