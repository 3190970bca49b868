package producer

import "github.com/troupe-broker/troupe/actors/protocol"

// Last is where the state of a producer stands in the log.
type Last struct {
	ProducerID protocol.ProducerID
	Epoch      protocol.ProducerEpoch
	// Offset is the last one of its newest batch of data, -1 if nothing but markers is known of this epoch.
	Offset int64
}

// Lasts lists where every producer stands, by id: compaction keeps these batches, without their records if need be, as they hold the
// sequences and the epochs that come next. Source: ProducerStateManager.activeProducers, UnifiedLog.lastRecordsOfActiveProducers.
func (s *State) Lasts() []Last {
	out := make([]Last, 0, len(s.entries))
	for _, e := range s.sorted() {
		last := Last{ProducerID: e.id, Epoch: e.epoch, Offset: noOffset}
		if b, ok := e.newest(); ok {
			last.Offset = b.lastOffset
		}
		out = append(out, last)
	}
	return out
}
