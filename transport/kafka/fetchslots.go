package kafka

import (
	"container/list"
	"sync"
	"time"
)

// fetchSessionIdle is how long a session must have been silent before another may take its slot. Source: KIP-227,
// min.incremental.fetch.session.eviction.ms.
const fetchSessionIdle = 2 * time.Minute

// FetchSlots bounds the incremental fetch sessions of a node: max.incremental.fetch.session.cache.slots. When all are taken, the one
// that was silent longest loses its slot, if that was long enough; else there is no new session, and the client goes on without one.
type FetchSlots struct {
	max int

	mu    sync.Mutex
	byID  map[int32]*list.Element // guarded by mu
	order list.List               // guarded by mu: *fetchSlot, the one used last at the back
}

type fetchSlot struct {
	id      int32
	used    time.Duration
	evicted func()
}

// NewFetchSlots makes max slots.
func NewFetchSlots(max int) *FetchSlots {
	return &FetchSlots{max: max, byID: map[int32]*list.Element{}}
}

// Take implements api.FetchSlots.
func (s *FetchSlots) Take(now time.Duration, random uint64, evicted func()) (id int32, ok bool) {
	s.mu.Lock()
	var lost *fetchSlot
	if s.max > 0 && s.order.Len() >= s.max {
		if oldest := s.order.Front().Value.(*fetchSlot); now-oldest.used >= fetchSessionIdle {
			lost = oldest
			s.remove(oldest.id)
		}
	}
	if ok = s.order.Len() < s.max; ok {
		id = s.free(random)
		s.byID[id] = s.order.PushBack(&fetchSlot{id, now, evicted})
	}
	s.mu.Unlock()
	if lost != nil {
		lost.evicted()
	}
	return id, ok
}

// free is an id above zero that no session has. Random, so that a client that comes back to a restarted broker meets no session of
// somebody else's under its old id.
func (s *FetchSlots) free(random uint64) int32 {
	for {
		id := int32(random & 0x7fffffff)
		if _, taken := s.byID[id]; id > 0 && !taken {
			return id
		}
		random++
	}
}

// Use implements api.FetchSlots.
func (s *FetchSlots) Use(id int32, now time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e := s.byID[id]; e != nil {
		e.Value.(*fetchSlot).used = now
		s.order.MoveToBack(e)
	}
}

// Give implements api.FetchSlots.
func (s *FetchSlots) Give(id int32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.remove(id)
}

func (s *FetchSlots) remove(id int32) {
	if e := s.byID[id]; e != nil {
		s.order.Remove(e)
		delete(s.byID, id)
	}
}
