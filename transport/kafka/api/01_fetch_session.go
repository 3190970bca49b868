package api

import (
	"maps"
	"slices"
	"time"

	"github.com/troupe-broker/troupe/actors"
	"github.com/troupe-broker/troupe/actors/mutation"
	"github.com/troupe-broker/troupe/actors/protocol"
	"github.com/troupe-broker/troupe/cluster/image"
	"github.com/troupe-broker/troupe/partition"
)

// fetchSet is the partitions a consumer fetches: a fetch session (KIP-227), or those of one request without session. The point of it
// is that a partition where nothing happens is not looked at: it is armed, which means that its actor will say when to look again,
// and an incremental request walks only those that are due.
//
// Invariant: an item is due, or armed, or both. An item that is gone is neither, and is in no map.
// An item that was woken vainMax times for nothing (a partition with too many readers does that) is not armed for a while but polled.
type fetchSet struct {
	id        int32 // 0: of one request
	epoch     int32 // the session epoch the next request must have
	byID      bool  // named by topic id
	committed bool
	items     map[fetchTopicPartition]*fetchItem
	order     []*fetchItem // as the client listed them; may hold items that are gone
	gone      int          // of order
	due       []*fetchItem // to look at, fairest first; may hold items that are gone
	spare     []*fetchItem // what due was before, for reuse
	parked    *fetch       // the request that waits for one of them
}

// fetchItem is one partition of a set.
type fetchItem struct {
	fetchPart
	set       *fetchSet
	due, gone bool
	sentHigh  int64 // high watermark the client knows; -1 none
	sentStart int64 // log start the client knows; -1 none

	wake  uint64        // id of the AwaitRecords, if armed
	armed actors.PID    // the actor that will answer it; zero if not armed
	since time.Duration // when it was armed last
	vain  int           // how often in a row it was woken at once, and for nothing

	seen  *image.Image // in which topic was looked up
	topic *image.Topic // nil: there is none
}

func newFetchSet(f *fetchRequest, byID bool) *fetchSet {
	set := &fetchSet{byID: byID, committed: f.committed, items: make(map[fetchTopicPartition]*fetchItem, len(f.parts))}
	for i := range f.parts {
		set.put(&f.parts[i])
	}
	return set
}

// put adds a partition or takes over what a request now wants of it; either way it is due.
func (set *fetchSet) put(p *fetchPart) *fetchItem {
	it := set.items[p.fetchTopicPartition]
	if it == nil {
		it = &fetchItem{set: set, sentHigh: -1, sentStart: -1}
		set.items[p.fetchTopicPartition] = it
		set.order = append(set.order, it)
	}
	it.fetchPart, it.vain = *p, 0
	it.makeDue()
	return it
}

func (it *fetchItem) makeDue() {
	if !it.due {
		it.due = true
		it.set.due = append(it.set.due, it)
	}
}

// drop takes an item out of its set.
func (c *Conn) drop(it *fetchItem) {
	set := it.set
	c.disarm(it)
	delete(set.items, it.fetchTopicPartition)
	it.gone, it.due = true, false
	if set.gone++; set.gone > len(set.order)/2 {
		set.order = slices.DeleteFunc(set.order, func(it *fetchItem) bool { return it.gone })
		set.gone = 0
	}
}

// lookup finds the item's topic in the image.
func (it *fetchItem) lookup(img *image.Image) (*image.Topic, protocol.Code) {
	if it.seen != img {
		it.seen, it.topic = img, nil
		if it.set.byID {
			it.topic, _ = img.TopicByID(it.id)
		} else {
			it.topic, _ = img.Topic(it.name)
		}
	}
	switch {
	case it.topic != nil:
		return it.topic, protocol.None
	case it.set.byID:
		return nil, protocol.UnknownTopicID
	}
	return nil, protocol.UnknownTopicOrPartition
}

// fetchConn is what one connection knows of fetches. Sessions belong to the connection that opened them: a client that comes back
// on another one is told FETCH_SESSION_ID_NOT_FOUND and begins anew, as it must after an eviction anyway.
type fetchConn struct {
	sessions map[int32]*fetchSet
	waits    map[uint64]*fetchItem // armed items by wake
	next     uint64
}

const (
	vainMax  = 3
	vainTime = time.Second // a wake that comes later is none in vain
	// pollInterval is how often a parked request looks at items that are not armed.
	pollInterval = 20 * time.Millisecond
)

// sessionWait is how long a partition of a session is watched before it is looked at again, changed or not.
const sessionWait = time.Hour

// arm asks the partition to say when there is something at or after offset.
func (c *Conn) arm(it *fetchItem, h *partition.Handle, offset int64, until time.Duration) {
	if !it.armed.IsZero() || h.PID.IsZero() || it.vain >= vainMax {
		return
	}
	f := &c.fetches
	if f.waits == nil {
		f.waits = map[uint64]*fetchItem{}
	}
	f.next++
	it.wake, it.armed, it.since = f.next|WakeBit, h.PID, c.Clock.Mono()
	f.waits[it.wake] = it
	m := &protocol.AwaitRecords{Partition: h.Partition, Offset: offset, Committed: it.set.committed, Deadline: until}
	m.SetHead(c.Edge, it.wake)
	c.System.Send(h.PID, m)
}

// disarm withdraws arm.
func (c *Conn) disarm(it *fetchItem) {
	if it.armed.IsZero() {
		return
	}
	delete(c.fetches.waits, it.wake)
	c.System.Send(it.armed, &protocol.ForgetAwait{ReplyTo: c.Edge, ID: it.wake})
	it.armed = actors.PID{}
}

// woken makes the item that an answer belongs to due, and lets the request that waits for it look again.
func (f *fetchConn) woken(c *Conn, id uint64) {
	it := f.waits[id]
	if it == nil {
		return // withdrawn meanwhile
	}
	delete(f.waits, id)
	it.armed = actors.PID{}
	if it.vain++; c.Clock.Mono()-it.since >= vainTime {
		it.vain = 0
	}
	if mutation.Is(mutation.SessionSkipsChange) && it.set.id != 0 {
		return
	}
	it.makeDue()
	if p := it.set.parked; p != nil {
		p.attempt(false)
	}
}

// release disarms all items of a set that is over.
func (c *Conn) release(set *fetchSet) {
	for _, it := range set.order {
		if !it.gone {
			c.disarm(it)
		}
	}
}

// open makes a set a session, if there is room for one more.
func (f *fetchConn) open(c *Conn, set *fetchSet) {
	evicted := func() { c.Host.Post(func() { f.evict(c, set) }) }
	id, ok := c.FetchSlots.Take(c.Clock.Mono(), c.Rand.Uint64(), evicted)
	if !ok {
		return
	}
	if f.sessions == nil {
		f.sessions = map[int32]*fetchSet{}
	}
	set.id, set.epoch = id, 1
	f.sessions[id] = set
	c.Metrics.FetchSessions.Add(1)
}

// evict ends a session whose slot was taken away.
func (f *fetchConn) evict(c *Conn, set *fetchSet) {
	if f.sessions[set.id] == set {
		f.forget(c, set)
	}
}

// end ends a session and gives its slot back.
func (f *fetchConn) end(c *Conn, set *fetchSet) {
	c.FetchSlots.Give(set.id)
	f.forget(c, set)
}

func (f *fetchConn) forget(c *Conn, set *fetchSet) {
	delete(f.sessions, set.id)
	c.Metrics.FetchSessions.Add(-1)
	set.id = 0
	if set.parked != nil {
		set.parked.attempt(true)
	}
	c.release(set)
}

// close ends every session of a connection that ended, in the order of their ids.
func (f *fetchConn) close(c *Conn) {
	for _, id := range slices.Sorted(maps.Keys(f.sessions)) {
		set := f.sessions[id]
		set.parked = nil // nobody is there to be answered
		f.end(c, set)
	}
}

// nextEpoch is the session epoch after e. Source: FetchMetadata.nextEpoch.
func nextEpoch(e int32) int32 {
	if e == 1<<31-1 {
		return 1
	}
	return e + 1
}

// resume finds the session of an incremental request and takes in what the request changes. Source: FetchManager.newContext,
// FetchSession.update.
func (f *fetchConn) resume(c *Conn, r *fetchRequest, byID bool) (*fetchSet, protocol.Code) {
	set := f.sessions[r.sessionID]
	switch {
	case set == nil:
		return nil, protocol.FetchSessionIDNotFound
	case set.epoch != r.sessionEpoch:
		return nil, protocol.InvalidFetchSessionEpoch
	case set.byID != byID:
		return nil, protocol.FetchSessionTopicIDError
	}
	set.epoch = nextEpoch(set.epoch)
	c.FetchSlots.Use(set.id, c.Clock.Mono())
	if set.parked != nil { // a client that does not wait for its answers
		set.parked.attempt(true)
	}
	if set.committed != r.committed { // what is armed waits for the wrong bound
		set.committed = r.committed
		for _, it := range set.order {
			if !it.gone {
				c.disarm(it)
				it.makeDue()
			}
		}
	}
	for i := range r.parts {
		c.disarm(set.put(&r.parts[i]))
	}
	for _, tp := range r.forgotten {
		if it := set.items[tp]; it != nil {
			c.drop(it)
		}
	}
	return set, protocol.None
}
