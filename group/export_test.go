package group

import "github.com/troupe-broker/troupe/partition"

// Unread is what Lags keeps, for one round after the other.
type Unread struct{ u unread }

// Round asks for the times of the next records, and says how many batches that read.
func (u *Unread) Round(h *partition.Handle, offsets ...int64) (times []int64, reads int) {
	before := u.u.reads
	u.u.begin()
	for _, o := range offsets {
		times = append(times, u.u.since(h, o))
	}
	return times, u.u.reads - before
}

// Kept is how many times are remembered.
func (u *Unread) Kept() int { return len(u.u.now) }

// Worst are the records of the positions that are kept of many, and how many are not.
func Worst(limit int, records ...int64) (kept []int64, leftOut int) {
	w := worst{limit: limit}
	for _, n := range records {
		w.add(behind{Lag: Lag{Records: n}})
	}
	w.cut()
	for _, b := range w.rows {
		kept = append(kept, b.Records)
	}
	return kept, w.leftOut
}

// TimeIn is the time of the first record of a batch, or of the beginning of one, from offset on.
var TimeIn = timeIn
