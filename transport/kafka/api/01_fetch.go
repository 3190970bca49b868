package api

import (
	"cmp"
	"slices"
	"time"

	"github.com/troupe-broker/troupe/actors/env"
	"github.com/troupe-broker/troupe/actors/protocol"
	"github.com/troupe-broker/troupe/cluster/image"
	"github.com/troupe-broker/troupe/partition"
	"github.com/troupe-broker/troupe/transport/kafka/wire"
)

// Fetch: v4-18.
//
// Behaviour:
//   - Reads do not pass through the partition's actor: its view says where the bytes are, and they leave by sendfile.
//   - A request with too little to answer with is parked: every partition without news is asked to say when it has some.
//   - Batches are whole. The first one is sent whatever its size (KIP-74), then none that would pass a limit.
//   - An answer with batches has a record where there is one below the bound: batches that compaction emptied are stepped over at its
//     beginning. Where nothing but such batches is left, the last of them is answered, with whatever else there is to answer or when
//     max.wait has passed, and counts for nothing: a client that reads the offsets of batches goes on behind it, and one that only knows
//     records waits as at the end of the log. (Kafka answers emptied batches at once; kafkajs and others then ask again without rest.)
//   - read_committed: nothing beyond the last stable offset, and with the records the aborted transactions that have some among them,
//     ordered by first offset, as some clients expect. For read_uncommitted the list is null.
//   - Fetch sessions (KIP-227): a session walks only the partitions that something happened to, and answers only those that the
//     client has something to learn about.
//   - A forged follower (replica id of 0 or more) is refused: replicas here speak another protocol (CVE-2018-1288).
//
// Version history:
//   - v5: log start offset
//   - v7: fetch sessions (KIP-227)
//   - v9: leader epochs (KIP-320)
//   - v11: rack and preferred read replica (KIP-392)
//   - v12: flexible; last fetched epoch, diverging epoch (KIP-595)
//   - v13: topic ids (KIP-516)
//   - v15: replica state as a tag (KIP-903)
//   - v16: addresses of new leaders (KIP-951)
//   - v18: high watermark of the follower as a tag (KIP-1166), which only followers send
//
// Skipped: reading from followers (the rack is ignored, the preferred replica always -1).
//
// Source: KafkaApis.handleFetchRequest, ReplicaManager.fetchMessages, DelayedFetch, FetchSession.

// topicAuthorizationFailed is what a client gets that may not do this to a topic.
const topicAuthorizationFailed protocol.Code = 29

// fetchGrace is how long after its deadline a parked request is found by the sweep if its timer was lost.
const fetchGrace = 5 * time.Second

// fetch is one Fetch request under way.
type fetch struct {
	call      *Call
	set       *fetchSet
	sessionID int32 // to answer with
	full      bool  // answers every partition
	opens     bool  // opens a session with its answer
	answered  bool
	minBytes  int
	maxBytes  int
	deadline  time.Duration
	timer     env.Timer
	polling   bool // a look at items that are not armed is due

	bytes   int // of records in rows
	urgent  bool
	rows    []fetchedPart
	of      []fetched // what the rows are about
	brokers []brokerAddress
}

// fetched is what reading an item gave.
type fetched struct {
	item    *fetchItem
	handle  *partition.Handle // nil: not here
	bound   int64             // where more would begin
	records int64             // offsets from where the reader is to the end of what it is given
	outcome outcome
}

type outcome uint8

const (
	fetchedNothing outcome = iota // at the end; wait for more
	fetchedData
	fetchedFailed  // an error or a diverging epoch: the client must know at once
	fetchedSkipped // there is something, but no room for it
)

func handleFetch(c *Call) {
	var r fetchRequest
	if r.decode(c.Version, c.Body) != nil {
		c.Conn.Host.Hangup("malformed Fetch request")
		return
	}
	f := &fetch{call: c, deadline: c.Arrived + time.Duration(max(0, r.maxWaitMs))*time.Millisecond}
	f.maxBytes = int(max(0, min(r.maxBytes, c.Conn.Settings().FetchMaxBytes)))
	f.minBytes = min(int(r.minBytes), f.maxBytes)
	byID := c.Version >= fetchByID
	if r.replica >= 0 {
		f.refuse(&r)
		return
	}
	fetches := &c.Conn.fetches
	if r.sessionEpoch == 0 || r.sessionEpoch == -1 { // full: 0 to open a session, -1 without one
		if set := fetches.sessions[r.sessionID]; set != nil {
			fetches.end(c.Conn, set)
		}
		f.full, f.opens = true, r.sessionEpoch == 0 && c.Version >= 7
		f.set = newFetchSet(&r, byID)
	} else {
		set, code := fetches.resume(c.Conn, &r, byID)
		if code != protocol.None {
			c.Conn.Host.Answer(c, &fetchResponse{version: c.Version, code: protocol.Code(c.failed(code))})
			return
		}
		f.set, f.sessionID = set, set.id
		if len(set.items) == 0 {
			fetches.end(c.Conn, set)
			f.sessionID = 0
		}
	}
	c.task = f
	f.attempt(len(f.set.items) == 0 || r.maxWaitMs <= 0)
}

// refuse answers a client that claims to be a replica.
func (f *fetch) refuse(r *fetchRequest) {
	c := f.call
	if times, ok := c.Conn.Metrics.forgedReplicas.due(c.Arrived); ok {
		c.Conn.Log.Warn("refused a Fetch in the name of a replica", "client", quoted(c.Client), "replica", r.replica, "remote", c.Conn.Peer.Remote, "times", times)
	}
	out := &fetchResponse{version: c.Version}
	for i := range r.parts {
		out.parts = append(out.parts, failedPart(r.parts[i].fetchTopicPartition, protocol.Code(c.failed(topicAuthorizationFailed))))
	}
	c.Conn.Host.Answer(c, out)
}

func failedPart(tp fetchTopicPartition, code protocol.Code) fetchedPart {
	return fetchedPart{fetchTopicPartition: tp, code: code, highWatermark: -1, lastStable: -1, start: -1, aborted: []abortedTxn{}}
}

// attempt reads what there is, and answers if that is enough or final is set; else it parks.
func (f *fetch) attempt(final bool) {
	if f.answered {
		return
	}
	f.bytes, f.urgent, f.rows, f.of, f.brokers = 0, false, f.rows[:0], f.of[:0], nil
	img := f.call.Conn.Images.Load()
	if f.full {
		for _, it := range f.set.order {
			f.look(it, img)
		}
	} else {
		f.walkDue(img)
	}
	if final || f.urgent || f.bytes >= f.minBytes {
		f.respond()
		return
	}
	f.park()
}

// walkDue looks at the items of a session that are due. Those there was no room for stay at the front; those with a row are left out
// of the list until the answer or the parking puts them back.
func (f *fetch) walkDue(img *image.Image) {
	set := f.set
	due := set.due
	set.due = set.spare[:0]
	for i, it := range due {
		if it.gone {
			continue
		}
		if f.bytes > 0 && f.bytes >= f.maxBytes {
			set.due = append(set.due, due[i:]...)
			break
		}
		switch f.look(it, img) {
		case fetchedSkipped:
			f.unlook()
			set.due = append(set.due, it)
		case fetchedNothing:
			got, row := f.of[len(f.of)-1], f.rows[len(f.rows)-1]
			f.call.Conn.arm(it, got.handle, got.bound, f.call.Arrived+sessionWait)
			if row.highWatermark == it.sentHigh && row.start == it.sentStart && !it.armed.IsZero() {
				f.unlook()
				it.due = false
			}
		}
	}
	clear(due)
	set.spare = due[:0]
}

// unlook takes the last row back.
func (f *fetch) unlook() { f.rows, f.of = f.rows[:len(f.rows)-1], f.of[:len(f.of)-1] }

// look reads one item into a row.
func (f *fetch) look(it *fetchItem, img *image.Image) outcome {
	if it.gone {
		return fetchedSkipped
	}
	got := fetched{item: it}
	row := f.read(it, img, &got)
	row.fetchTopicPartition = it.fetchTopicPartition
	f.rows, f.of = append(f.rows, row), append(f.of, got)
	f.urgent = f.urgent || got.outcome == fetchedFailed
	return got.outcome
}

// read reads one item.
func (f *fetch) read(it *fetchItem, img *image.Image, got *fetched) fetchedPart {
	s := f.call.Conn.Server
	topic, code := it.lookup(img)
	var at leaderHint
	if code == protocol.None {
		got.handle, at, code = s.leaderOf(topic, it.partition)
	}
	if code != protocol.None {
		return f.failed(it, got, code, at)
	}
	view := got.handle.View()
	if code = view.Check(it.leaderEpoch); code != protocol.None {
		return f.failed(it, got, code, at)
	}
	row := fetchedPart{highWatermark: view.HighWatermark, lastStable: view.LastStableOffset, start: view.LogStartOffset}
	if it.set.committed {
		row.aborted = []abortedTxn{}
	}
	if it.lastFetchedEpoch > view.LeaderEpoch { // it read what was never here, or is gone
		return f.failed(it, got, protocol.OffsetOutOfRange, at)
	}
	if diverged := divergence(it, view); diverged.known {
		row.diverging, got.outcome = diverged, fetchedFailed
		return row
	}
	limit := min(int(it.maxBytes), f.maxBytes-f.bytes)
	if f.bytes > 0 && limit <= 0 {
		got.outcome = fetchedSkipped
		return row
	}
	span, code := view.Fetch(it.offset, max(0, limit), it.set.committed)
	if it.set.committed && span.Len > 0 && (f.bytes == 0 || span.Len <= limit) {
		if row.aborted, code = abortedIn(view, it.offset, span.NextOffset); code != protocol.None {
			span.Release()
		}
	}
	switch {
	case code != protocol.None:
		return f.failed(it, got, code, at)
	case span.Len == 0:
		got.outcome, got.bound = fetchedNothing, it.offset
	case f.bytes > 0 && span.Len > limit:
		span.Release()
		got.outcome = fetchedSkipped
	default:
		got.outcome, got.bound, got.records = fetchedData, view.Bound(it.set.committed), span.NextOffset-it.offset
		row.records = wire.Range{File: span.File(), Pos: span.Pos, Len: span.Len, Pin: span}
		if !span.Bare {
			f.bytes += span.Len
		}
	}
	return row
}

// abortedIn are the aborted transactions with records in [from, upTo), by first offset. Clients begin to skip a producer's records at
// that offset and end at its next marker, so one that is missing would show what was never committed. Source:
// UnifiedLog.addAbortedTransactions.
func abortedIn(view *partition.View, from, upTo int64) ([]abortedTxn, protocol.Code) {
	out := []abortedTxn{}
	found, code := view.Aborted(from, upTo)
	for _, t := range found {
		out = append(out, abortedTxn{protocol.ProducerID(t.ProducerID), t.FirstOffset})
	}
	slices.SortFunc(out, func(a, b abortedTxn) int { return cmp.Compare(a.first, b.first) })
	return out, code
}

// failed is the row of an item that cannot be read.
func (f *fetch) failed(it *fetchItem, got *fetched, code protocol.Code, at leaderHint) fetchedPart {
	got.outcome = fetchedFailed
	row := failedPart(it.fetchTopicPartition, code)
	if code != protocol.UnknownTopicOrPartition && code != protocol.UnknownTopicID { // null where there is a log, as in Kafka
		row.aborted = nil
	}
	moved := code == protocol.NotLeaderOrFollower || code == protocol.FencedLeaderEpoch
	if moved && at.known && f.call.Version >= fetchFlexible {
		row.leader = at
		if f.call.Version >= 16 {
			f.brokers = f.call.Conn.addBroker(f.call.Conn.Peer, f.brokers, at.node)
		}
	}
	return row
}

// divergence compares where the reader's last epoch ends here with where the reader is. Source: Partition.readRecords.
func divergence(it *fetchItem, view *partition.View) divergingEpoch {
	if it.lastFetchedEpoch < 0 {
		return divergingEpoch{}
	}
	epoch, end := view.EpochEnd(it.lastFetchedEpoch)
	if end < 0 || epoch >= it.lastFetchedEpoch && end >= it.offset {
		return divergingEpoch{}
	}
	return divergingEpoch{true, epoch, end}
}

// park lets go of what was read, and waits for any of the items to have news.
func (f *fetch) park() {
	c := f.call.Conn
	until := f.deadline
	if f.opens || !f.full {
		until = f.call.Arrived + sessionWait
	}
	poll := false
	for i := range f.of {
		f.rows[i].records.Release()
		f.rows[i].records = wire.Range{}
		got := &f.of[i]
		if got.outcome == fetchedData {
			got.item.vain = 0
		}
		if got.outcome == fetchedNothing || got.outcome == fetchedData {
			c.arm(got.item, got.handle, got.bound, until)
			poll = poll || got.item.armed.IsZero()
		}
		if !f.full {
			f.set.due = append(f.set.due, got.item)
		}
	}
	if f.set.parked == nil {
		f.set.parked = f
		c.Metrics.FetchesParked.Add(1)
		f.timer = c.Host.After(f.deadline-c.Clock.Mono(), func() { f.attempt(true) })
	}
	if poll && !f.polling {
		f.polling = true
		c.Host.After(pollInterval, func() {
			f.polling = false
			for i := range f.of { // once more
				f.of[i].item.vain = min(f.of[i].item.vain, vainMax-1)
			}
			f.attempt(false)
		})
	}
}

// unpark ends waiting.
func (f *fetch) unpark() {
	if f.set.parked == f {
		f.set.parked = nil
		f.timer.Stop()
		f.call.Conn.Metrics.FetchesParked.Add(-1)
	}
}

// respond answers with the rows.
func (f *fetch) respond() {
	c, set := f.call.Conn, f.set
	f.unpark()
	f.answered = true
	if f.opens && len(set.items) > 0 {
		c.fetches.open(c, set)
		f.sessionID = set.id
	}
	if set.id != 0 {
		f.settle()
	} else {
		c.release(set)
	}
	for i := range f.rows {
		c.Metrics.failed(keyFetch, int16(f.rows[i].code))
		if got := &f.of[i]; got.outcome == fetchedData {
			got.handle.Traffic().Fetched(got.records, int64(f.rows[i].records.Len))
		}
	}
	c.Metrics.FetchedBytes.Add(int64(f.bytes))
	c.Host.Answer(f.call, &fetchResponse{version: f.call.Version, sessionID: f.sessionID, parts: f.rows, brokers: f.brokers})
}

// settle notes what the client of a session knows with this answer, and what there is still to tell it: due is what there was no room
// for, then what was answered, so that every partition gets its turn.
func (f *fetch) settle() {
	set := f.set
	if f.full {
		set.due = set.due[:0]
		for i := range f.of {
			if f.of[i].outcome == fetchedSkipped {
				set.due = append(set.due, f.of[i].item)
			}
		}
	}
	for i := range f.of {
		got, row := &f.of[i], &f.rows[i]
		it := got.item
		it.sentHigh, it.sentStart = row.highWatermark, row.start
		if got.outcome == fetchedNothing {
			f.call.Conn.arm(it, got.handle, got.bound, f.call.Arrived+sessionWait)
			it.due = it.armed.IsZero()
		}
		if it.due && got.outcome != fetchedSkipped {
			set.due = append(set.due, it)
		}
	}
}

// deliver implements task: what a fetch waits for goes through Conn.Woken.
func (f *fetch) deliver(int, any) {}

// expire answers a request whose timer was lost.
func (f *fetch) expire(now time.Duration) {
	if now >= f.deadline+fetchGrace {
		f.attempt(true)
	}
}

func (f *fetch) abandon() {
	f.answered = true
	f.unpark()
	if f.set.id == 0 {
		f.call.Conn.release(f.set)
	}
}

// Encode implements Response.
func (f *fetchResponse) Encode(o *wire.Out) { f.appendTo(o) }

// Discard implements Response.
func (f *fetchResponse) Discard() { f.discard() }
