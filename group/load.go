package group

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/troupe-broker/troupe/actors"
	"github.com/troupe-broker/troupe/actors/protocol"
	"github.com/troupe-broker/troupe/actors/record"
	"github.com/troupe-broker/troupe/partition"
)

const (
	// loadChunk bounds the bytes one offloaded job reads before it lets others have their turn.
	loadChunk = 16 << 20
	// loadBuffer is what is read from the disk at once. offsets.load.buffer.size names another size for another reader.
	loadBuffer = 1 << 20
	// faultsShown bounds the damaged records of one load that are logged one by one.
	faultsShown = 20
)

// coordinator is the state of one child: built by a loader, or empty; then the actor's.
type coordinator interface {
	name() string
	// replay applies one record; producer is NoProducerID outside of transactions. Neither key nor value is kept.
	replay(key, value []byte, producer protocol.ProducerID, offset int64) error
	// ended applies the marker of a transaction.
	ended(producer protocol.ProducerID, commit bool)
	// gone reports that there is nothing of it in the log.
	gone() bool
	// actor is the actor that goes on with the state.
	actor(p *place, shard actors.PID, self *child) actors.Actor
}

// newState is a coordinator of which nothing is known.
func (s *shard) newState(id string) coordinator { return newState(s.kind, id, s.place, s.handle) }

func newState(k kind, id string, p *place, h *partition.Handle) coordinator {
	if k == groups {
		return newGroupState(id, p)
	}
	return newTransactionState(id, p, h)
}

// loader reads a log. It belongs to the job that runs, or else to the shard; it is made anew for each load.
type loader struct {
	life   int
	only   *child // loads this one alone; nil: everything
	place  *place
	kind   kind
	of     string // the shard, for messages
	handle *partition.Handle
	log    *partition.View

	from, to int64 // what is left
	buf      []byte
	decoder  record.Decoder
	states   map[string]coordinator
	open     map[protocol.ProducerID]*loadedTransaction

	records, unknown, damaged int
	faults                    []string
	err                       error // of the device
}

// loadedTransaction is a transaction that the log, as far as it was read, shows no end of.
type loadedTransaction struct {
	epoch  protocol.ProducerEpoch
	states []coordinator // each once, in the order of the log
}

// loaded is one job's end.
type loaded struct {
	control
	*loader
}

// begin looks whether the partition can be loaded, and asks for a turn. An empty log is loaded on the spot.
func (s *shard) begin(ctx *actors.Context) {
	h := s.place.Table.Get(s.tp)
	if h == nil || h.View().Check(protocol.NoLeaderEpoch) != protocol.None {
		for _, m := range s.waiting {
			fail(ctx, m, protocol.CoordinatorNotAvailable)
		}
		s.waiting = nil
		s.retryLater(ctx)
		return
	}
	if v := h.View(); v.LogStartOffset == v.LogEndOffset {
		s.handle = h
		s.activate(ctx, &loader{to: v.LogEndOffset})
		return
	}
	ctx.Send(s.place.host, &loadWanted{from: ctx.Self()})
}

// load starts reading. What is in the log above the high watermark may yet be committed: it is waited for.
func (s *shard) load(ctx *actors.Context) {
	if s.phase != waiting {
		return
	}
	h := s.place.Table.Get(s.tp)
	if h == nil || h.View().Check(protocol.NoLeaderEpoch) != protocol.None || h.View().HighWatermark < h.View().LogEndOffset {
		s.retryLater(ctx)
		return
	}
	s.phase, s.handle = loading, h
	s.read(ctx, s.loader(h, nil, h.View().LogEndOffset))
}

func (s *shard) loader(h *partition.Handle, only *child, to int64) *loader {
	v := h.View()
	return &loader{
		life: s.life, only: only, place: s.place, kind: s.kind, of: s.String(), handle: h, log: v, from: v.LogStartOffset, to: to,
		states: map[string]coordinator{}, open: map[protocol.ProducerID]*loadedTransaction{},
	}
}

func (s *shard) read(ctx *actors.Context, l *loader) {
	ctx.Offload(func() any {
		l.chunk()
		return &loaded{loader: l}
	})
}

// chunkLoaded goes on with the next chunk, or with what was loaded.
func (s *shard) chunkLoaded(ctx *actors.Context, m *loaded) {
	l := m.loader
	switch {
	case l.life != s.life:
	case l.only != nil && s.children[l.only.id] != l.only:
	case l.err != nil && l.only == nil:
		ctx.Logger().Error("a coordinator's log cannot be read", "shard", s.String(), "offset", l.from, "err", l.err)
		s.retryLater(ctx)
	case l.err != nil:
		s.unload(ctx, "the log cannot be read: "+l.err.Error())
	case l.from < l.to:
		s.read(ctx, l)
	case l.only != nil:
		s.returned(ctx, l)
	default:
		s.activate(ctx, l)
	}
}

// activate begins to serve what was loaded.
func (s *shard) activate(ctx *actors.Context, l *loader) {
	for _, why := range l.faults {
		ctx.Logger().Error("a record of a coordinator's log is passed over", "shard", s.String(), "reason", why)
	}
	s.phase, s.retries, s.next = active, 0, l.to
	s.place.Metrics.loaded(s.kind, l)
	for _, id := range slices.Sorted(maps.Keys(l.states)) {
		if state := l.states[id]; !state.gone() {
			s.adopt(ctx, state)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(l.open)) {
		t := s.open.enter(id, l.open[id].epoch)
		for _, state := range l.open[id].states {
			if c := s.children[state.name()]; c != nil {
				t.children = append(t.children, c)
			}
		}
	}
	ctx.Send(s.place.host, &shardReady{from: ctx.Self(), loaded: true})
	waiting := s.waiting
	s.waiting = nil
	for _, m := range waiting {
		s.command(ctx, m)
	}
}

// errChunk ends a chunk.
var errChunk = errors.New("enough for one chunk")

// chunk reads the next part of the log. It runs beside the actors.
func (l *loader) chunk() {
	if l.buf == nil {
		l.buf = make([]byte, loadBuffer)
	}
	bytes := 0
	err := l.log.Log.EachBatch(l.from, l.to, l.buf, func(b record.Batch) error {
		if bytes >= loadChunk {
			return errChunk
		}
		bytes += len(b)
		l.batch(b)
		l.from = b.NextOffset()
		return nil
	})
	switch {
	case err == nil:
		l.from = l.to // compaction may have taken the last ones
		l.buf = nil
	case !errors.Is(err, errChunk):
		l.err = err
	}
}

// batch applies one batch.
func (l *loader) batch(b record.Batch) {
	producer, epoch := protocol.NoProducerID, protocol.ProducerEpoch(-1)
	if b.IsTransactional() {
		producer, epoch = protocol.ProducerID(b.ProducerID()), protocol.ProducerEpoch(b.ProducerEpoch())
	}
	if b.IsControl() {
		if commit, _, ok := b.Marker(); ok {
			l.end(producer, commit)
		}
		return
	}
	err := b.Each(&l.decoder, func(r record.Record) error {
		l.record(&r, producer, epoch)
		return nil
	})
	if err != nil {
		l.fault(b.BaseOffset(), err)
	}
}

func (l *loader) end(producer protocol.ProducerID, commit bool) {
	t := l.open[producer]
	if t == nil {
		return
	}
	delete(l.open, producer)
	for _, state := range t.states {
		state.ended(producer, commit)
	}
}

// record applies one record. One that cannot be understood is passed over: it must not keep the others from being served.
func (l *loader) record(r *record.Record, producer protocol.ProducerID, epoch protocol.ProducerEpoch) {
	l.records++
	id, ok, err := ownerOf(l.kind, r.Key)
	if err != nil {
		l.fault(r.Offset, err)
		return
	}
	if !ok {
		l.unknown++
		return
	}
	if l.only != nil && l.only.id != id {
		return
	}
	state := l.states[id]
	if state == nil {
		state = newState(l.kind, id, l.place, l.handle)
		l.states[id] = state
	}
	if err := l.replay(state, r, producer); err != nil {
		l.fault(r.Offset, err)
		return
	}
	if producer >= 0 {
		l.enter(state, producer, epoch)
	}
}

// replay is state.replay; a panic in it is the fault of that record.
func (l *loader) replay(state coordinator, r *record.Record, producer protocol.ProducerID) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	return state.replay(r.Key, r.Value, producer, r.Offset)
}

func (l *loader) enter(state coordinator, producer protocol.ProducerID, epoch protocol.ProducerEpoch) {
	t := l.open[producer]
	if t == nil {
		t = &loadedTransaction{}
		l.open[producer] = t
	}
	t.epoch = epoch
	if !slices.Contains(t.states, state) {
		t.states = append(t.states, state)
	}
}

func (l *loader) fault(offset int64, err error) {
	if l.damaged++; l.damaged <= faultsShown {
		l.faults = append(l.faults, fmt.Sprintf("%s, offset %d: %v", l.of, offset, err))
	}
}
