package txn

import (
	"slices"
	"time"

	"github.com/troupe-broker/troupe/actors/mutation"
	"github.com/troupe-broker/troupe/actors/protocol"
	"github.com/troupe-broker/troupe/group/step"
)

const (
	// MaxParked commands of one id wait at a time; a further one is answered CONCURRENT_TRANSACTIONS.
	MaxParked = 64
	// ParkFor is how long one waits before it is answered CONCURRENT_TRANSACTIONS. Well below any client's request timeout.
	ParkFor = time.Second
	// MaxRecordBytes bounds the value of a record, so the partitions of a transaction (at least 15,000 of distinct topics with the longest
	// names, else some 1,000,000): every partition that a leader adds writes all of them again. What does not fit is refused with
	// TRANSACTION_ABORTABLE; Kafka, whose bound is max.message.bytes, says UNKNOWN_SERVER_ERROR.
	MaxRecordBytes = 4_000_000

	// RetryMin doubles with every refusal of a marker up to RetryMax.
	RetryMin = 20 * time.Millisecond
	RetryMax = time.Second
)

// Config of a Transaction.
type Config struct {
	// CoordinatorEpoch is the leader epoch of the partition of __transaction_state: markers carry it.
	CoordinatorEpoch int32
	// MaxTimeout is transaction.max.timeout.ms.
	MaxTimeout time.Duration
	// ExpireAfter is transactional.id.expiration.ms: an id without a transaction that nobody used for so long is removed. 0 is never.
	ExpireAfter time.Duration
}

// Transaction is one transactional id. It is a step.Machine with two needs more, both read after every call: Markers and WantsProducerID.
type Transaction struct {
	id  string
	cfg Config
	key []byte

	hard hard
	// lastEpoch is the epoch before the last InitTransactions or TV2 end, of a producer that may repeat that; noEpoch if there is none.
	lastEpoch protocol.ProducerEpoch

	// drafted: records are decided and not committed. draft is hard, and draftLast lastEpoch, as they will be.
	drafted   bool
	draft     hard
	draftLast protocol.ProducerEpoch

	parked []parked // in order of arrival

	completing bool     // markers of the hard decision were begun
	awaited    []await  // those that are not in, in order of partition
	markers    []Marker // to be handed out
	fenced     bool     // a partition knows a newer coordinator

	want, asked bool // a producer id: to be asked for, asked for
	spare       protocol.ProducerID
	idCode      protocol.Code // why there is none, during one resume

	endAt    time.Duration // the transaction outlives its timeout
	expireAt time.Duration
	backoff  time.Duration // nothing is decided by ourselves before
}

var _ step.Machine = (*Transaction)(nil)

// parked is a command that waits.
type parked struct {
	command step.Command
	until   time.Duration
}

// New knows nothing of the transactional id.
func New(id string, cfg Config) *Transaction {
	t := &Transaction{id: id, cfg: cfg, key: encodeKey(id), lastEpoch: noEpoch, spare: protocol.NoProducerID, endAt: step.Never, expireAt: step.Never}
	return t
}

// Configure takes new settings; deadlines that run stay.
func (t *Transaction) Configure(cfg Config) { t.cfg = cfg }

// Known reports whether the log has anything of the id. If not, and nothing is parked, the Transaction may be forgotten.
func (t *Transaction) Known() bool { return t.hard.known || t.drafted }

// Idle reports whether nothing waits for anything, so that the Transaction may be forgotten if it is not Known.
func (t *Transaction) Idle() bool { return !t.drafted && len(t.parked) == 0 && !t.asked }

func (t *Transaction) current() *hard {
	if t.drafted {
		return &t.draft
	}
	return &t.hard
}

func (t *Transaction) last() protocol.ProducerEpoch {
	if t.drafted {
		return t.draftLast
	}
	return t.lastEpoch
}

// Step decides one command, on what was decided before it into the same out. See step.Machine.
func (t *Transaction) Step(now step.Now, in step.Command, out *step.Out) {
	if t.decide(now, in, out) {
		return
	}
	if len(t.parked) >= MaxParked {
		answer(in, in.Failed(protocol.ConcurrentTransactions), out)
		return
	}
	t.parked = append(t.parked, parked{in, now.Mono + ParkFor})
}

// decide answers the command, or reports false: it has to wait.
func (t *Transaction) decide(now step.Now, in step.Command, out *step.Out) bool {
	if c, ok := in.(*protocol.DescribeTransaction); ok {
		answer(in, t.describe(c), out)
		return true
	}
	if t.fenced {
		answer(in, in.Failed(protocol.NotCoordinator), out)
		return true
	}
	code := protocol.InvalidRequest
	decided := true
	if t.id != "" {
		switch c := in.(type) {
		case *protocol.InitTransactions:
			code, decided = t.initialize(now, c, out)
		case *protocol.AddPartitions:
			code, decided = t.addPartitions(now, c, out)
		case *protocol.EndTransaction:
			code, decided = t.end(now, c, out)
		}
	}
	if decided && code != protocol.None {
		answer(in, in.Failed(code), out)
	}
	return decided
}

// answer replies to the command.
func answer(c step.Command, msg any, out *step.Out) {
	r := step.Reply{Command: c, Msg: msg}
	switch c := c.(type) {
	case *protocol.InitTransactions:
		r.To = c.ReplyTo
	case *protocol.AddPartitions:
		r.To = c.ReplyTo
	case *protocol.EndTransaction:
		r.To = c.ReplyTo
	case *protocol.DescribeTransaction:
		r.To = c.ReplyTo
	}
	out.Replies = append(out.Replies, r)
}

// write decides that next is what comes after the current state. Source: TransactionMetadata.prepareTransitionTo.
func (t *Transaction) write(now step.Now, next hard, last protocol.ProducerEpoch, out *step.Out) {
	cur := t.current()
	if next.previous = next.producer; cur.known {
		next.previous = cur.producer
	}
	next.known = true
	next.updated = max(now.Wall.UnixMilli(), cur.updated)
	if n := len(out.Records); t.drafted && n > 0 && cur.status == Ongoing && next.status == Ongoing {
		out.Records = out.Records[:n-1] // nobody misses what partitions were in it for a moment
	}
	out.Records = append(out.Records, step.Record{Key: t.key, Value: encode(&next)})
	t.draft, t.draftLast, t.drafted = next, last, true
}

// Replay applies a record. See step.Machine.
func (t *Transaction) Replay(_, value []byte) error {
	h := hard{}
	if value != nil {
		var err error
		if h, err = decode(value); err != nil {
			return err
		}
	}
	if !h.preparing() {
		t.completing, t.awaited, t.markers = false, nil, nil
	}
	if h.start != t.hard.start || h.status != Ongoing {
		t.endAt = step.Never
	}
	t.hard, t.lastEpoch, t.expireAt = h, noEpoch, step.Never
	return nil
}

// Loaded begins deadlines, and goes on with a completion that the log does not show the end of. See step.Machine.
func (t *Transaction) Loaded(now step.Now, out *step.Out) {
	t.schedule(now)
	if mutation.Is(mutation.MarkersNotResumed) && t.hard.preparing() {
		return
	}
	t.settle(now, out)
}

// Appended is told that what was decided is in the log and replayed. See step.Machine.
func (t *Transaction) Appended(now step.Now, out *step.Out) {
	t.drafted, t.lastEpoch, t.backoff = false, t.draftLast, 0
	t.draft = hard{}
	t.schedule(now)
	t.settle(now, out)
}

// NotAppended is told that what was decided is not in the log. A completion is tried again; who waited for an end that did not come to
// be is answered. See step.Machine.
func (t *Transaction) NotAppended(now step.Now, code protocol.Code, out *step.Out) {
	t.drafted = false
	t.draft = hard{}
	t.backoff = now.Mono + RetryMax/10
	if !t.hard.preparing() {
		t.Close(code, out)
	}
}

// Close answers every command that waits: this coordinator stops.
func (t *Transaction) Close(code protocol.Code, out *step.Out) {
	for _, p := range t.parked {
		answer(p.command, p.command.Failed(code), out)
	}
	t.parked = nil
}

// schedule sets the deadlines of the hard state, unless they run.
func (t *Transaction) schedule(now step.Now) {
	after := func(millis int64, d time.Duration) time.Duration {
		return now.Mono + max(0, time.UnixMilli(millis).Add(d).Sub(now.Wall))
	}
	switch {
	case !t.hard.known:
	case t.hard.status == Ongoing && t.endAt == step.Never:
		t.endAt = after(t.hard.start, time.Duration(t.hard.timeout)*time.Millisecond)
	case t.hard.idle() && t.cfg.ExpireAfter > 0 && t.expireAt == step.Never:
		t.expireAt = after(t.hard.updated, t.cfg.ExpireAfter)
	}
}

// idle reports whether there is no transaction.
func (h *hard) idle() bool { return h.known && h.status != Ongoing && !h.preparing() }

// settle goes on with whatever the hard state wants: markers, the completion after them, what was parked.
func (t *Transaction) settle(now step.Now, out *step.Out) {
	if t.drafted || t.fenced {
		return
	}
	if t.hard.preparing() && !t.completing {
		t.beginMarkers(now)
	}
	if t.completing && (len(t.awaited) == 0 || mutation.Is(mutation.CompleteBeforeMarkers)) && now.Mono >= t.backoff {
		t.complete(now, out)
	}
	t.resume(now, out)
}

// resume decides what was parked, in order. What still has to wait does.
func (t *Transaction) resume(now step.Now, out *step.Out) {
	waiting := t.parked
	t.parked = nil
	waiting = slices.DeleteFunc(waiting, func(p parked) bool { return t.decide(now, p.command, out) })
	t.parked = waiting
}

// Tick does what is due. See step.Machine.
func (t *Transaction) Tick(now step.Now, out *step.Out) {
	if t.drafted {
		return
	}
	t.parked = slices.DeleteFunc(t.parked, func(p parked) bool {
		if p.until <= now.Mono {
			answer(p.command, p.command.Failed(protocol.ConcurrentTransactions), out)
			return true
		}
		return false
	})
	if t.fenced {
		return
	}
	t.repeatMarkers(now)
	if now.Mono >= t.backoff {
		switch {
		case t.hard.status == Ongoing && t.endAt <= now.Mono && !t.asked:
			t.fence(now, out)
		case t.hard.idle() && t.expireAt <= now.Mono && len(t.parked) == 0:
			out.Records = append(out.Records, step.Record{Key: t.key})
			t.draft, t.draftLast, t.drafted = hard{}, noEpoch, true
		}
	}
	t.settle(now, out)
}

// Deadline is when Tick is wanted. See step.Machine.
func (t *Transaction) Deadline() time.Duration {
	if t.drafted {
		return step.Never
	}
	at := step.Never
	for _, p := range t.parked {
		at = min(at, p.until)
	}
	if t.fenced {
		return at
	}
	switch {
	case t.hard.status == Ongoing && !t.asked:
		at = min(at, max(t.endAt, t.backoff))
	case t.hard.idle() && len(t.parked) == 0:
		at = min(at, max(t.expireAt, t.backoff))
	case t.completing && len(t.awaited) == 0:
		at = min(at, t.backoff)
	}
	for _, a := range t.awaited {
		if !a.sent {
			at = min(at, a.at)
		}
	}
	return at
}

// WantsProducerID reports, once for each, that a producer id is to be fetched and given to ProducerID.
func (t *Transaction) WantsProducerID() bool {
	want := t.want
	t.want = false
	return want
}

// ProducerID is the answer to WantsProducerID: an id never given out before, or why there is none. It may come while records are
// under way.
func (t *Transaction) ProducerID(now step.Now, id protocol.ProducerID, code protocol.Code, out *step.Out) {
	t.asked = false
	if code != protocol.None {
		t.idCode, t.backoff = code, now.Mono+RetryMax
	} else {
		t.spare = id
	}
	if !t.drafted {
		if t.hard.status == Ongoing && t.endAt <= now.Mono && now.Mono >= t.backoff {
			t.fence(now, out)
		}
		t.settle(now, out)
	}
	t.idCode = protocol.None
}

// freshID is a producer id nobody had. If there is none, decided tells whether that is final, with code, or the caller waits for one.
func (t *Transaction) freshID() (id protocol.ProducerID, code protocol.Code, decided bool) {
	if t.spare != protocol.NoProducerID {
		id, t.spare = t.spare, protocol.NoProducerID
		return id, protocol.None, true
	}
	if t.idCode != protocol.None {
		return protocol.NoProducerID, t.idCode, true
	}
	if !t.asked {
		t.asked, t.want = true, true
	}
	return protocol.NoProducerID, protocol.None, false
}
