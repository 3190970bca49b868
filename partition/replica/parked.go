package replica

import (
	"time"

	"github.com/troupe-broker/troupe/actors"
	"github.com/troupe-broker/troupe/actors/mutation"
	"github.com/troupe-broker/troupe/actors/protocol"
)

// AcksMax bounds the acknowledgements parked in one partition. At the bound Park refuses: the records stay in the log and the producer is
// told that their fate is unknown, as after any time-out.
const AcksMax = 1 << 16

// Ack is an acknowledgement that waits until the records below End are as safe as was asked for.
type Ack struct {
	End      int64 // exclusive
	Acks     int16 // 1 or -1
	Deadline time.Duration
	ReplyTo  actors.PID
	Answer   *protocol.Produced // sent as it is when all is well
}

// parked are acknowledgements in the order of their End: one line for acks=all, which waits for the high watermark, one for acks=1,
// which waits for the leader alone.
type parked struct {
	all, leader line
}

// line is a first-in-first-out queue of acks, its head moving through the slice. Their End rises, but for duplicates: one whose
// original still waits stands behind all that was parked since, and leaves after them, a little later than it could.
type line struct {
	acks     []Ack
	head     int
	earliest time.Duration // a lower bound of the deadlines in it
}

func (q *line) len() int { return len(q.acks) - q.head }

func (q *line) push(a Ack) {
	if q.len() == 0 {
		q.acks, q.head, q.earliest = q.acks[:0], 0, a.Deadline
	} else if q.head > len(q.acks)/2 && len(q.acks) == cap(q.acks) {
		n := copy(q.acks, q.acks[q.head:])
		clear(q.acks[n:])
		q.acks, q.head = q.acks[:n], 0
	}
	q.earliest = min(q.earliest, a.Deadline)
	q.acks = append(q.acks, a)
}

// release hands over, in order, what ends at or before end, up to the first that does not.
func (q *line) release(end int64, yield func(*Ack, protocol.Code)) {
	for q.head < len(q.acks) && q.acks[q.head].End <= end {
		yield(&q.acks[q.head], protocol.None)
		q.acks[q.head] = Ack{}
		q.head++
	}
	if q.len() == 0 && cap(q.acks) > lineKept {
		q.acks, q.head = nil, 0
	}
}

const lineKept = 1024 // acks of capacity that an empty line keeps

// expire hands over what is overdue, with REQUEST_TIMED_OUT: the records may still commit. It reports whether there was any.
func (q *line) expire(now time.Duration, yield func(*Ack, protocol.Code)) bool {
	if q.len() == 0 || now < q.earliest {
		return false
	}
	kept := q.acks[:q.head]
	q.earliest = 1<<63 - 1
	for i := q.head; i < len(q.acks); i++ {
		if a := &q.acks[i]; a.Deadline <= now {
			yield(a, protocol.RequestTimedOut)
		} else {
			q.earliest = min(q.earliest, a.Deadline)
			kept = append(kept, *a)
		}
	}
	expired := len(kept) < len(q.acks)
	clear(q.acks[len(kept):])
	q.acks = kept
	return expired
}

// Park keeps an acknowledgement until Release hands it over. False at AcksMax: the caller answers REQUEST_TIMED_OUT.
func (l *Leader) Park(a Ack) bool {
	if l.parked.all.len()+l.parked.leader.len() >= AcksMax {
		return false
	}
	if a.Acks == 1 {
		l.parked.leader.push(a)
	} else {
		l.parked.all.push(a)
	}
	return true
}

// Release hands over every acknowledgement whose time has come, oldest first within its kind: satisfied (None), or past its deadline.
// The Ack is valid during the call only. yield must not call back.
//
// An acks=all whose in-sync set has meanwhile shrunk below min.insync.replicas simply waits: the high watermark stands still.
func (l *Leader) Release(now time.Duration, yield func(*Ack, protocol.Code)) {
	mine, committed := l.position(&l.members[l.self]), l.hw
	if mutation.Is(mutation.AckBeforeFlush) {
		mine, committed = l.members[l.self].end, l.members[l.self].end
	}
	l.parked.leader.settle(mine, now, yield)
	l.parked.all.settle(committed, now, yield)
}

// settle releases and expires, and releases what only stood behind something that expired.
func (q *line) settle(end int64, now time.Duration, yield func(*Ack, protocol.Code)) {
	q.release(end, yield)
	if q.expire(now, yield) {
		q.release(end, yield)
	}
}

// Resign hands over everything parked with code and ends the term. Nothing that waits may be answered with success any more.
func (l *Leader) Resign(code protocol.Code, yield func(*Ack, protocol.Code)) {
	for _, q := range []*line{&l.parked.leader, &l.parked.all} {
		for i := q.head; i < len(q.acks); i++ {
			yield(&q.acks[i], code)
		}
		*q = line{}
	}
}

// NextDeadline is a lower bound of the deadlines of what is parked; ok is false if nothing is.
func (l *Leader) NextDeadline() (at time.Duration, ok bool) {
	for _, q := range []*line{&l.parked.leader, &l.parked.all} {
		if q.len() > 0 && (!ok || q.earliest < at) {
			at, ok = q.earliest, true
		}
	}
	return at, ok
}
