package storage

import (
	"errors"
	"fmt"
	"time"
)

// Expired is the log start that retention wants: behind the oldest segments that are older than retention.ms by their largest timestamp
// (by the file's age if no record has one), or that exceed retention.bytes, as long as they lie wholly below bound, the high watermark
// (KAFKA-5634). StartOffset or less if there are none. An expired active segment is rolled, but nothing is dropped: the caller makes the
// start durable and calls AdvanceStart. ErrRefused if there is no room for the new active segment. Reads a few bytes of old segments the
// first time. Source: UnifiedLog.deleteOldSegments.
func (l *Log) Expired(now time.Time, bound int64) (start int64, err error) {
	if l.failure != nil {
		return 0, l.failure
	}
	if !l.config.Delete || l.active == nil {
		return l.start, nil
	}
	n, err := l.expired(now, bound)
	if err != nil || n == 0 {
		return l.start, err
	}
	if n > len(l.rolled) {
		if err := l.roll(nil); err != nil {
			if Passing(err) {
				return l.start, fmt.Errorf("%w: %w", ErrRefused, err)
			}
			return l.start, l.goOffline(err)
		}
	}
	return l.nextBase(n - 1), nil
}

// expired counts the leading segments that retention may drop; the active one may be among them.
func (l *Log) expired(now time.Time, bound int64) (n int, err error) {
	excess := int64(-1)
	if l.config.RetentionBytes >= 0 {
		excess = l.bytes - l.config.RetentionBytes
	}
	for ; n <= len(l.rolled); n++ {
		s, next := l.active, l.end
		if n < len(l.rolled) {
			s, next = l.rolled[n], l.nextBase(n)
		}
		if s.size == 0 || next > bound {
			return n, nil
		}
		excess -= s.size
		if excess >= 0 {
			continue
		}
		old, err := l.isOld(s, now)
		if err != nil || !old {
			return n, err
		}
	}
	return n, nil
}

func (l *Log) isOld(s *segment, now time.Time) (bool, error) {
	if l.config.RetentionTime < 0 {
		return false, nil
	}
	newest, err := l.newest(s)
	return now.Sub(newest) > l.config.RetentionTime, err
}

// newest is the time of the youngest record in s.
func (l *Log) newest(s *segment) (time.Time, error) {
	timestamp := s.maxTimestamp
	if s != l.active {
		x := s.index.Load()
		if x == nil {
			f, err := s.file.pin()
			if err != nil {
				return time.Time{}, err
			}
			v := l.View()
			x, err = v.indexOf(v.piece(v.segmentOf(s.base)), f)
			s.file.unpin()
			if err != nil {
				return time.Time{}, err
			}
		}
		timestamp = x.lastTime.timestamp
	}
	if timestamp >= 0 {
		return time.UnixMilli(timestamp), nil
	}
	entry, err := l.files.fs.Stat(s.path(logSuffix))
	if err != nil && !errors.Is(err, errGone) {
		return time.Time{}, fmt.Errorf("segment age: %w", err)
	}
	return entry.ModTime, nil
}

// Roll begins a new segment, so that the present one can be compacted or dropped. Nothing happens if it is empty. ErrRefused if the
// disk is full.
func (l *Log) Roll() error {
	if l.failure != nil {
		return l.failure
	}
	if l.active == nil || l.active.size == 0 {
		return nil
	}
	err := l.roll(nil)
	if Passing(err) {
		return fmt.Errorf("%w: %w", ErrRefused, err)
	}
	if err != nil {
		return l.goOffline(err)
	}
	return nil
}
