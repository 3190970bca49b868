package storage

import "time"

// Retain drops what is Expired, for a log whose start nobody keeps elsewhere. Returns the number of segments dropped.
func (l *Log) Retain(now time.Time, bound int64) (dropped int, err error) {
	start, err := l.Expired(now, bound)
	if err != nil || start <= l.start {
		return 0, err
	}
	before := len(l.rolled)
	err = l.AdvanceStart(start)
	return before - len(l.rolled), err
}
