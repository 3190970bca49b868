package config

import (
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/troupe-broker/troupe/actors/protocol"
)

// Resolve is the configuration of one partition's log: the topic's own settings (sorted by key) over the broker's. The error is an
// *Invalid; it cannot happen with settings that were checked when they were made.
func Resolve(v Values, overrides []protocol.ConfigEntry) (protocol.LogConfig, error) {
	r := resolver{values: v, overrides: overrides}
	policy := r.list("cleanup.policy")
	c := protocol.LogConfig{
		Compact:               slices.Contains(policy, "compact"),
		Delete:                slices.Contains(policy, "delete"),
		RetentionTime:         r.duration("retention.ms"),
		RetentionBytes:        r.number("retention.bytes"),
		SegmentBytes:          r.number("segment.bytes"),
		SegmentTime:           r.duration("segment.ms"),
		SegmentJitter:         r.duration("segment.jitter.ms"),
		IndexIntervalBytes:    int32(r.number("index.interval.bytes")),
		MaxMessageBytes:       int32(r.number("max.message.bytes")),
		MinInsyncReplicas:     int32(r.number("min.insync.replicas")),
		CompressionType:       r.text("compression.type"),
		LogAppendTime:         r.text("message.timestamp.type") == "LogAppendTime",
		TimestampBeforeMax:    r.duration("message.timestamp.before.max.ms"),
		TimestampAfterMax:     r.duration("message.timestamp.after.max.ms"),
		DeleteRetention:       r.duration("delete.retention.ms"),
		MinCompactionLag:      r.duration("min.compaction.lag.ms"),
		MaxCompactionLag:      r.duration("max.compaction.lag.ms"),
		MinCleanableRatio:     r.get("min.cleanable.dirty.ratio").decimal,
		FileDeleteDelay:       r.duration("file.delete.delay.ms"),
		FlushMessages:         r.number("flush.messages"),
		FlushTime:             r.duration("flush.ms"),
		UncleanLeaderElection: r.get("unclean.leader.election.enable").truth,
	}
	if r.text("durability") == "os" {
		c.Durability = protocol.DurabilityOS
	}
	if r.err == nil && c.MinCompactionLag > c.MaxCompactionLag {
		r.err = &Invalid{Key: "min.compaction.lag.ms", Conflict: true, Reason: fmt.Sprintf("conflict topic config setting min.compaction.lag.ms (%d) > max.compaction.lag.ms (%d)",
			c.MinCompactionLag.Milliseconds(), c.MaxCompactionLag.Milliseconds())}
	}
	return c, r.err
}

// resolver keeps the first error.
type resolver struct {
	values    Values
	overrides []protocol.ConfigEntry
	err       error
}

func (r *resolver) get(name string) value {
	k, _ := TopicKey(name)
	f := found{key: k, text: k.Default}
	if text, ok := Find(r.overrides, name); ok {
		f.text = text
	} else if k.Synonyms != nil {
		f, _ = r.values.lookup(k.Synonyms...)
	}
	v, err := f.key.parse(f.text)
	if err != nil && r.err == nil {
		r.err = err
	}
	if v.number > 0 {
		v.number = multiply(v.number, scale(f.key.Name))
	}
	return v
}

func (r *resolver) number(name string) int64 { return r.get(name).number }
func (r *resolver) text(name string) string  { return r.get(name).text }
func (r *resolver) list(name string) []string {
	return r.get(name).list
}

func (r *resolver) duration(name string) time.Duration { return milliseconds(r.number(name)) }

// milliseconds keeps -1 as "unlimited" and ends at the longest Duration, 292 years.
func milliseconds(n int64) time.Duration {
	if n < 0 {
		return -1
	}
	return time.Duration(multiply(n, int64(time.Millisecond)))
}

// multiply is a times b for a >= 0 and b > 0, ending at the largest number.
func multiply(a, b int64) int64 {
	if a > math.MaxInt64/b {
		return math.MaxInt64
	}
	return a * b
}
