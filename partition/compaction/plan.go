package compaction

import (
	"math"

	"github.com/troupe-broker/troupe/actors/protocol"
	"github.com/troupe-broker/troupe/partition/storage"
)

// Bounds are the offsets of a log that limit compaction; all exclusive ends, or a beginning.
type Bounds struct {
	Start, End int64 // of the log
	// Checkpoint is where the last round ended, -1 if unknown. One outside the log counts as none.
	Checkpoint int64
	// LastStable and HighWatermark: what lies above may still change its meaning. Replaceable: see storage.Log.Replaceable.
	LastStable, HighWatermark, Replaceable int64
}

// Plan is what a round would do to a log.
type Plan struct {
	// The dirty part is [FirstDirty, Upper); Upper is the beginning of a segment.
	FirstDirty, Upper int64
	// CleanBytes and DirtyBytes are of whole segments; where the two parts meet in one, it is in both.
	CleanBytes, DirtyBytes int64
	// Due says that max.compaction.lag.ms has passed for a record of the dirty part.
	Due bool
}

// Ratio is the share of the log that is dirty: what min.cleanable.dirty.ratio is about.
func (p Plan) Ratio() float64 {
	if total := p.CleanBytes + p.DirtyBytes; total > 0 {
		return float64(p.DirtyBytes) / float64(total)
	}
	return 0
}

// Wanted reports whether the round is worth while.
func (p Plan) Wanted(c *protocol.LogConfig) bool {
	return p.DirtyBytes > 0 && (p.Due || p.Ratio() > c.MinCleanableRatio)
}

// NeedsTimes reports whether PlanOf looks at the timestamps of the segments.
func NeedsTimes(c *protocol.LogConfig) bool {
	return c.MinCompactionLag > 0 || c.MaxCompactionLag.Milliseconds() < noLag
}

// noLag is the max.compaction.lag.ms from which it means never, in milliseconds: a hundred years.
const noLag = 100 * 365 * 24 * 3600 * 1000

// PlanOf is the round for the log with these segments, oldest first and the active one last, at now (milliseconds).
// Source: LogCleanerManager.cleanableOffsets, maxCompactionDelay, LogToClean.
func PlanOf(segments []storage.Segment, b Bounds, c *protocol.LogConfig, now int64) Plan {
	p := Plan{FirstDirty: b.Checkpoint}
	if p.FirstDirty < b.Start || p.FirstDirty > b.End {
		p.FirstDirty = b.Start
	}
	limit := min(b.LastStable, b.HighWatermark, b.Replaceable)
	oldest := int64(math.MaxInt64) // of the first batches of dirty segments
	p.Upper = p.FirstDirty
	for _, s := range segments {
		dirty := s.Next > p.FirstDirty
		if s.Active || dirty && s.Next > limit || dirty && c.MinCompactionLag > 0 && s.Largest > now-c.MinCompactionLag.Milliseconds() {
			break
		}
		if s.Base < p.FirstDirty {
			p.CleanBytes += s.Size
		}
		if !dirty {
			continue
		}
		p.Upper = s.Next
		p.DirtyBytes += s.Size
		if s.First > 0 {
			oldest = min(oldest, s.First)
		}
	}
	if lag := c.MaxCompactionLag.Milliseconds(); lag > 0 && lag < noLag && oldest < now-lag {
		p.Due = true
	}
	return p
}

// groupSegments bounds the segments that become one, for the sake of the files that are open and removed at a time.
const groupSegments = 256

// Group is a run of segments that become one: those that begin in [Base, Next).
type Group struct{ Base, Next int64 }

// GroupsOf divides the closed segments that begin below end, and reach above start, so that none becomes larger than segmentBytes or
// spans more offsets than an index can name. Source: Cleaner.groupSegmentsBySize.
func GroupsOf(segments []storage.Segment, start, end, segmentBytes int64) []Group {
	var out []Group
	var size int64
	n := 0
	for _, s := range segments {
		if s.Active || s.Base >= end {
			break
		}
		if s.Next <= start {
			continue
		}
		if k := len(out) - 1; k >= 0 && n < groupSegments && size+s.Size <= segmentBytes && out[k].Next == s.Base && s.Next-1-out[k].Base <= math.MaxInt32 {
			out[k].Next = s.Next
			size += s.Size
			n++
			continue
		}
		out = append(out, Group{s.Base, s.Next})
		size, n = s.Size, 1
	}
	return out
}
