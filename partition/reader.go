package partition

import (
	"time"

	"github.com/troupe-broker/troupe/actors"
	"github.com/troupe-broker/troupe/actors/protocol"
	"github.com/troupe-broker/troupe/partition/storage"
)

const (
	// readsMax bounds the fetches that a reader has under way, parked ones included; beyond it they are refused.
	readsMax = 20_000
	// readBytesMax bounds the bytes of one answer, but for its first batch.
	readBytesMax = 8 << 20
	// vainWait is how long a fetch rests that was woken and found nothing.
	vainWait = 20 * time.Millisecond
	// awaitGrace is how much later than its deadline a partition may answer AwaitRecords.
	awaitGrace = 5 * time.Second
)

// NewReader is the actor that answers FetchRecords for the partitions of a table: it reads their views beside the actors, and parks
// in the partition's actor what finds nothing.
func NewReader(table *Table) actors.Spec {
	return actors.Spec{Name: "reader", New: func() actors.Actor { return &reader{table: table, parked: map[uint64]*fetching{}} }}
}

type reader struct {
	table  *Table
	reads  int
	parked map[uint64]*fetching // by the request to the partition
}

// fetching is one FetchRecords under way.
type fetching struct {
	*protocol.FetchRecords
	woken  bool // by the partition, since it last found something
	answer *protocol.RecordsFetched
	bound  int64 // up to where there was nothing to read
	pid    actors.PID
}

// lookAgain ends a rest.
type lookAgain struct{ r *fetching }

// Receive implements actors.Actor.
func (a *reader) Receive(ctx *actors.Context, msg any) {
	switch m := msg.(type) {
	case *protocol.FetchRecords:
		if a.reads >= readsMax {
			ctx.Send(m.Refused(actors.RefusedOverload))
			return
		}
		a.reads++
		a.look(ctx, &fetching{FetchRecords: m})
	case *fetching:
		a.found(ctx, m)
	case *protocol.RecordsReady:
		a.wake(ctx, m.ID)
	case actors.RequestTimedOut:
		a.wake(ctx, m.ID)
	case lookAgain:
		a.look(ctx, m.r)
	}
}

// look reads the partition's view outside the actor pool.
func (a *reader) look(ctx *actors.Context, r *fetching) {
	h := a.table.Get(r.Partition)
	if h == nil {
		r.answer = r.Failed(protocol.NotLeaderOrFollower)
		a.found(ctx, r)
		return
	}
	r.pid = h.PID
	ctx.Offload(func() any {
		r.answer, r.bound = readView(h.View(), r.FetchRecords)
		if n := len(r.answer.Batches); n > 0 {
			h.Traffic().Fetched(r.answer.Next-r.answer.Offset, int64(n))
		}
		return r
	})
}

// found answers, or parks what found nothing.
func (a *reader) found(ctx *actors.Context, r *fetching) {
	m, now := r.answer, ctx.Mono()
	switch {
	case m.Failed() || m.Next > m.Offset || r.Offset < 0 || r.Deadline <= now || r.pid.IsZero():
		a.reads--
		m.ID = r.ID
		ctx.Send(r.ReplyTo, m)
	case r.woken:
		r.woken = false
		ctx.After(vainWait, lookAgain{r})
	default:
		await := &protocol.AwaitRecords{Partition: r.Partition, Offset: r.bound, Committed: r.Committed, Deadline: r.Deadline}
		a.parked[ctx.Request(r.pid, await, r.Deadline-now+awaitGrace)] = r
	}
}

func (a *reader) wake(ctx *actors.Context, id uint64) {
	if r := a.parked[id]; r != nil {
		delete(a.parked, id)
		r.woken = true
		a.look(ctx, r)
	}
}

// readView answers a fetch from a view, as far as that can be; bound is where more would begin.
func readView(v *View, m *protocol.FetchRecords) (out *protocol.RecordsFetched, bound int64) {
	fail := func(code protocol.Code) (*protocol.RecordsFetched, int64) {
		out := m.Failed(code)
		out.Reason = v.Reason
		return out, 0
	}
	if code := v.Check(protocol.NoLeaderEpoch); code != protocol.None {
		return fail(code)
	}
	offset := m.Offset
	switch {
	case offset == protocol.OffsetEarliest:
		offset = v.LogStartOffset
	case offset == protocol.OffsetLatest:
		at, code := v.Latest(m.Committed)
		if code != protocol.None {
			return fail(code)
		}
		offset = at.Offset
	case offset < 0:
		return fail(protocol.OffsetOutOfRange)
	}
	span, code := v.Fetch(offset, int(min(max(m.MaxBytes, 0), readBytesMax)), m.Committed)
	if code != protocol.None {
		return fail(code)
	}
	defer span.Release()
	out = &protocol.RecordsFetched{Offset: offset, Next: offset}
	if span.Len == 0 {
		return out, max(offset, v.Bound(m.Committed))
	}
	if span.Bare { // a gap
		out.Next = span.NextOffset
		return out, 0
	}
	out.Batches = make([]byte, span.Len)
	n, err := v.Log.Read(span, out.Batches)
	if err != nil {
		return fail(codeOf(err))
	}
	out.Batches, out.Next = out.Batches[:n], span.NextOffset
	if m.Committed {
		aborted, code := v.Aborted(offset, span.NextOffset)
		if code != protocol.None {
			return fail(code)
		}
		out.Aborted = abortedOf(aborted)
	}
	return out, 0
}

func abortedOf(found []storage.AbortedTxn) (out []protocol.AbortedTransaction) {
	for _, t := range found {
		out = append(out, protocol.AbortedTransaction{ProducerID: protocol.ProducerID(t.ProducerID), FirstOffset: t.FirstOffset})
	}
	return out
}
