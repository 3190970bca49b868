package txn

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/troupe-broker/troupe/actors/protocol"
	"github.com/troupe-broker/troupe/cluster/image"
	"github.com/troupe-broker/troupe/group/step"
)

var seeds = flag.Int("seeds", 300, "worlds of TestModel")

// TestModel drives one transactional id with commands of competing producers that know current, old and wrong epochs, ask twice, and
// die; appends fail, the coordinator crashes with and without its last append, markers are refused, topics vanish, time jumps. After
// every step the world holds what the machine did against its log; see world.check*. Then faults end and everything must finish.
func TestModel(t *testing.T) {
	reached := map[string]int{}
	for seed := range *seeds {
		w := newWorld(uint64(seed), reached)
		if err := w.run(120); err != nil {
			t.Fatalf("seed %d: %v\n%s", seed, err, w.history())
		}
	}
	for _, what := range []string{
		"init", "init repeated", "add", "end tv1", "end tv2", "end repeated", "empty abort", "rotated", "timed out", "crash", "append failed", "marker refused",
		"partition vanished", "parked expired", "two records", "expired", "fenced by init", "producer id refused",
	} {
		if reached[what] == 0 {
			t.Errorf("never reached: %s", what)
		}
	}
}

type world struct {
	r       *rand.Rand
	reached map[string]int
	m       *Transaction
	now     step.Now
	cfg     Config
	out     step.Out
	images  []*image.Image

	log     []step.Record
	states  []hard // of the log, one for each record
	pending map[uint64]step.Command
	nextID  uint64
	known   []client // producers that somebody believes in
	fresh   protocol.ProducerID
	asked   int // producer ids asked for and not given
	sent    []Marker
	// marked are the partitions that took a marker of the last decision.
	marked   map[protocol.NamedPartition]bool
	unique   map[client]bool // given to a producer that named none before
	underWay bool
	fault    error
	idleTick bool // a Tick that left its deadline as it was
	story    []string
}

type client struct {
	id    protocol.ProducerID
	epoch protocol.ProducerEpoch
}

func newWorld(seed uint64, reached map[string]int) *world {
	w := &world{
		r: rand.New(rand.NewPCG(seed, 1)), reached: reached, pending: map[uint64]step.Command{}, fresh: 100, unique: map[client]bool{},
		marked: map[protocol.NamedPartition]bool{},
		now:    step.Now{Wall: time.UnixMilli(1_700_000_000_000)},
		cfg:    Config{CoordinatorEpoch: 1, MaxTimeout: time.Minute, ExpireAfter: time.Hour},
	}
	version := int16(seed % 2 * 2)
	w.images = []*image.Image{cluster(version, "a", "b"), cluster(version, "a", "b"), cluster(version, "a")}
	w.now.Image = w.images[0]
	if seed%3 == 0 {
		h := hard{known: true, producer: 50, previous: 50, next: -1, epoch: maxEpoch - 4, timeout: 10_000, start: noTime, updated: w.now.Wall.UnixMilli()}
		w.log = append(w.log, step.Record{Key: encodeKey("tx"), Value: encode(&h)})
		w.states = append(w.states, h)
		w.known = append(w.known, client{50, h.epoch})
	}
	w.load()
	return w
}

func (w *world) note(format string, args ...any) {
	w.story = append(w.story, fmt.Sprintf(format, args...))
}

func (w *world) history() (text string) {
	for _, s := range w.story[max(0, len(w.story)-60):] {
		text += s + "\n"
	}
	return text
}

func (w *world) hard() hard {
	if n := len(w.states); n > 0 {
		return w.states[n-1]
	}
	return hard{}
}

// load is a coordinator that begins: with the log alone.
func (w *world) load() {
	w.m = New("tx", w.cfg)
	for _, r := range w.log {
		if err := w.m.Replay(r.Key, r.Value); err != nil {
			panic(err)
		}
	}
	w.underWay, w.asked, w.sent = false, 0, nil
	w.out.Reset()
	clear(w.pending) // nobody hears of them again
	w.m.Loaded(w.now, &w.out)
}

func (w *world) run(steps int) error {
	for range steps {
		w.act(true)
		if err := w.settle(); err != nil {
			return err
		}
	}
	return w.heal()
}

// act does one thing at random.
func (w *world) act(faults bool) {
	n := w.r.IntN(100)
	switch {
	case w.underWay && n < 70:
		w.appended()
	case w.underWay && n < 85 && faults:
		w.failed()
	case faults && n < 4:
		w.crash()
	case w.underWay:
		if n%2 == 0 {
			w.give(faults)
		} else {
			w.mark(faults)
		}
	case n < 55:
		for range 1 + w.r.IntN(3) {
			w.command()
		}
	case n < 75:
		w.mark(faults)
	case n < 82:
		w.give(faults)
	case n < 97:
		w.pass([]time.Duration{time.Millisecond, 100 * time.Millisecond, time.Second, 11 * time.Second}[w.r.IntN(4)])
	case n < 98:
		w.pass(2 * time.Hour)
	default:
		w.now.Image = w.images[w.r.IntN(len(w.images))]
	}
}

func (w *world) pass(d time.Duration) {
	w.now.Mono += d
	w.now.Wall = w.now.Wall.Add(d)
	w.note("%v pass", d)
	if w.m.Deadline() > w.now.Mono {
		return
	}
	before := w.hard()
	w.m.Tick(w.now, &w.out)
	if len(w.out.Records) == 0 {
		w.idleTick = w.m.Deadline() <= w.now.Mono
		return
	}
	if w.out.Records[0].Value == nil {
		w.reached["expired"]++
	} else if before.status == Ongoing {
		w.reached["timed out"]++
	}
}

// command sends one of a client that is current, was, or never was.
func (w *world) command() {
	w.nextID++
	head := protocol.Head{ID: w.nextID}
	c := client{-1, -1}
	if len(w.known) > 0 && w.r.IntN(5) > 0 {
		c = w.known[len(w.known)-1-min(w.r.IntN(3)*w.r.IntN(3), len(w.known)-1)]
		if w.r.IntN(15) == 0 {
			c.epoch += protocol.ProducerEpoch(w.r.IntN(3) - 1)
		}
	}
	var in step.Command
	switch w.r.IntN(8) {
	case 0, 1:
		if w.r.IntN(2) == 0 {
			c = client{-1, -1}
		}
		in = &protocol.InitTransactions{Head: head, ProducerID: c.id, ProducerEpoch: c.epoch, Timeout: 10 * time.Second}
	case 2, 3, 4:
		m := &protocol.AddPartitions{Head: head, ProducerID: c.id, ProducerEpoch: c.epoch, ByLeader: w.r.IntN(2) == 0, VerifyOnly: w.r.IntN(5) == 0}
		for range w.r.IntN(3) {
			m.Partitions = append(m.Partitions, protocol.NamedPartition{Topic: []string{"a", "b"}[w.r.IntN(2)], Partition: int32(w.r.IntN(3))})
		}
		in = m
	default:
		in = &protocol.EndTransaction{Head: head, ProducerID: c.id, ProducerEpoch: c.epoch, Commit: w.r.IntN(2) == 0, Bump: w.r.IntN(3) > 0}
	}
	w.pending[w.nextID] = in
	w.note("%d: %T %+v", w.nextID, in, in)
	h, first := w.hard(), len(w.out.Records) == 0
	w.m.Step(w.now, in, &w.out)
	if h.known && c.id >= 0 && (c.id < h.producer || c.id == h.producer && c.epoch < h.epoch) && first && len(w.out.Records) > 0 {
		// I-FENCE-P; but who repeats its InitTransactions may say another timeout.
		if next, _ := decode(w.out.Records[0].Value); next.status != Empty || next.producer != h.producer || next.epoch != h.epoch {
			w.fault = fmt.Errorf("%v, which is fenced by %s, made it %s", c, show(&h), show(&next))
		}
	}
}

func (w *world) give(faults bool) {
	if w.asked == 0 {
		return
	}
	w.asked--
	if faults && w.r.IntN(4) == 0 {
		w.reached["producer id refused"]++
		w.note("no producer id")
		w.m.ProducerID(w.now, protocol.NoProducerID, protocol.CoordinatorLoadInProgress, &w.out)
		return
	}
	w.fresh++
	w.note("producer id %d", w.fresh)
	w.m.ProducerID(w.now, w.fresh, protocol.None, &w.out)
}

func (w *world) mark(faults bool) {
	if len(w.sent) == 0 {
		return
	}
	i := w.r.IntN(len(w.sent))
	m := w.sent[i]
	w.sent = slices.Delete(w.sent, i, i+1)
	code := protocol.None
	if faults && w.r.IntN(3) == 0 {
		code = []protocol.Code{protocol.NotLeaderOrFollower, protocol.UnknownTopicOrPartition, protocol.RequestTimedOut, protocol.InvalidProducerEpoch, protocol.InvalidRecord}[w.r.IntN(5)]
		w.reached["marker refused"]++
	}
	switch {
	case code == protocol.None || code == protocol.InvalidProducerEpoch:
		w.marked[m.Partition] = true
	case !exists(w.now.Image, m.Partition):
		w.reached["partition vanished"]++
		w.marked[m.Partition] = true
	}
	w.note("marked %v %s", m.Partition, code.Name())
	w.m.Marked(w.now, m.Partition, code, &w.out)
}

func (w *world) crash() {
	w.reached["crash"]++
	kept := w.r.IntN(2) == 0
	w.note("crash, last append kept: %v", kept)
	if kept && w.underWay {
		w.commit()
	}
	w.load()
}

func (w *world) appended() {
	w.note("appended")
	replies := slices.Clone(w.out.Replies)
	records := slices.Clone(w.out.Records)
	w.commit()
	for _, r := range records {
		if err := w.m.Replay(r.Key, r.Value); err != nil {
			panic(err)
		}
	}
	w.underWay = false
	w.out.Reset()
	w.out.Replies = append(w.out.Replies, replies...)
	w.m.Appended(w.now, &w.out)
}

// commit puts what is under way into the log.
func (w *world) commit() {
	if len(w.out.Records) > 1 {
		w.reached["two records"]++
	}
	for _, r := range w.out.Records {
		h := hard{}
		if r.Value != nil {
			h, _ = decode(r.Value)
		}
		w.log, w.states = append(w.log, r), append(w.states, h)
		w.note("  log %s", show(&h))
	}
}

func (w *world) failed() {
	w.reached["append failed"]++
	w.note("append failed")
	for _, r := range w.out.Replies {
		delete(w.pending, r.Command.Failed(0).(interface{ CorrelationID() uint64 }).CorrelationID())
	}
	w.out.Reset()
	w.underWay = false
	w.m.NotAppended(w.now, protocol.NotEnoughReplicas, &w.out)
}

// settle checks what the last act made the machine want.
func (w *world) settle() error {
	if w.fault != nil {
		return w.fault
	}
	if err := w.checkRecords(); err != nil {
		return err
	}
	if err := w.checkMarkers(); err != nil {
		return err
	}
	if w.m.WantsProducerID() {
		w.asked++
	}
	if w.underWay = len(w.out.Records) > 0; w.underWay {
		return w.checkReplay()
	}
	for _, r := range w.out.Replies {
		if err := w.checkReply(r); err != nil {
			return err
		}
	}
	w.out.Replies = w.out.Replies[:0]
	if w.idleTick {
		return fmt.Errorf("Tick at %v did nothing, and is wanted again", w.now.Mono)
	}
	return w.checkReplay()
}

var arrows = map[Status][]Status{
	Empty: {Empty, CompleteCommit, CompleteAbort}, Ongoing: {Ongoing, Empty, CompleteCommit, CompleteAbort}, PrepareCommit: {Ongoing},
	PrepareAbort: {Ongoing, Empty, CompleteCommit, CompleteAbort}, CompleteCommit: {PrepareCommit}, CompleteAbort: {PrepareAbort},
}

// checkRecords holds what is about to be appended against the log: the arrows, so a decision never changes; producers and epochs that
// only move forward; a completion only after every partition took its marker.
func (w *world) checkRecords() error {
	prev := w.hard()
	for _, r := range w.out.Records {
		if r.Value == nil {
			if prev.known && !prev.idle() {
				return fmt.Errorf("%s is removed", show(&prev))
			}
			prev = hard{}
			continue
		}
		h, err := decode(r.Value)
		if err != nil {
			return err
		}
		if prev.known {
			if !slices.Contains(arrows[h.status], prev.status) {
				return fmt.Errorf("%s follows %s", show(&h), show(&prev))
			}
			if h.producer < prev.producer || h.producer == prev.producer && h.epoch < prev.epoch || h.updated < prev.updated {
				return fmt.Errorf("%s is behind %s", show(&h), show(&prev))
			}
			if prev.preparing() {
				for _, p := range prev.partitions {
					if last := w.hard(); !w.marked[p] && last.preparing() && last.equal(&prev) && w.everExisted(p) {
						return fmt.Errorf("%s without a marker in %v", show(&h), p)
					}
				}
			}
		} else if h.status != Empty {
			return fmt.Errorf("%s begins the log", show(&h))
		}
		if h.epoch == maxEpoch && !h.preparing() && !(h.status == CompleteAbort) {
			return fmt.Errorf("%s gives the last epoch to a client", show(&h))
		}
		prev = h
	}
	return nil
}

// everExisted reports whether no image is without the partition; one that was not there needs no marker.
func (w *world) everExisted(p protocol.NamedPartition) bool { return p.Topic == "a" }

// checkMarkers: markers leave only for a decision that is in the log, with its outcome.
func (w *world) checkMarkers() error {
	for _, m := range w.m.Markers(nil) {
		h := w.hard()
		if !h.preparing() || m.Commit != (h.status == PrepareCommit) || m.ProducerID != h.producer || m.ProducerEpoch != h.epoch || !contains(h.partitions, m.Partition) {
			return fmt.Errorf("marker %+v after %s", m, show(&h))
		}
		w.sent = append(w.sent, m)
	}
	if h := w.hard(); !h.preparing() {
		clear(w.marked)
	}
	return nil
}

// checkReplay: the log alone gives the state.
func (w *world) checkReplay() error {
	m := New("tx", w.cfg)
	for _, r := range w.log {
		if err := m.Replay(r.Key, r.Value); err != nil {
			return err
		}
	}
	if !m.hard.equal(&w.m.hard) {
		return fmt.Errorf("the log says %s, the machine %s", show(&m.hard), show(&w.m.hard))
	}
	return nil
}

// checkReply: one answer for each command, and a success is in the log.
func (w *world) checkReply(r step.Reply) error {
	id := r.Msg.(interface{ CorrelationID() uint64 }).CorrelationID()
	in, ok := w.pending[id]
	if !ok || in != r.Command {
		return fmt.Errorf("%d is answered twice, or never asked: %s", id, spoken(r.Msg))
	}
	delete(w.pending, id)
	w.note("  %s", spoken(r.Msg))
	tail := w.states[max(0, len(w.states)-4*MaxParked):]
	some := func(f func(h *hard) bool) bool {
		return slices.ContainsFunc(tail, func(h hard) bool { return h.known && f(&h) })
	}
	switch m := r.Msg.(type) {
	case *protocol.TransactionsInitialized:
		return w.checkInitialized(in.(*protocol.InitTransactions), m, some)
	case *protocol.PartitionsAdded:
		c := in.(*protocol.AddPartitions)
		if m.Failed() {
			break
		}
		for i, p := range c.Partitions {
			if c.VerifyOnly && m.Codes[i] != protocol.None {
				continue
			}
			w.reached["add"]++
			if !some(func(h *hard) bool {
				return h.status == Ongoing && h.producer == c.ProducerID && h.epoch == c.ProducerEpoch && contains(h.partitions, p)
			}) {
				return fmt.Errorf("%v was added for %+v, says the answer; the log does not", p, c)
			}
		}
	case *protocol.TransactionEnded:
		return w.checkEnded(in.(*protocol.EndTransaction), m, some)
	}
	if f, ok := r.Msg.(interface{ Failed() bool }); ok && f.Failed() && r.Msg.(*protocol.PartitionsAdded).Code == protocol.ConcurrentTransactions {
		w.reached["parked expired"]++
	}
	return nil
}

func (w *world) checkInitialized(c *protocol.InitTransactions, m *protocol.TransactionsInitialized, some func(func(*hard) bool) bool) error {
	if m.Failed() {
		return nil
	}
	w.reached["init"]++
	got := client{m.ProducerID, m.ProducerEpoch}
	if !some(func(h *hard) bool { return h.status == Empty && h.producer == got.id && h.epoch == got.epoch }) {
		return fmt.Errorf("%v was given out, and is not in the log", got)
	}
	if m.ProducerEpoch >= maxEpoch {
		return fmt.Errorf("%v is not for clients", got)
	}
	if w.unique[got] {
		if c.ProducerID == protocol.NoProducerID {
			return fmt.Errorf("%v was given out before", got)
		}
		w.reached["init repeated"]++
	}
	w.unique[got] = true
	if slices.ContainsFunc(w.states, func(h hard) bool { return h.known && h.preparing() && h.status == PrepareAbort }) && c.ProducerID == protocol.NoProducerID {
		w.reached["fenced by init"]++
	}
	w.known = append(w.known, got)
	return nil
}

func (w *world) checkEnded(c *protocol.EndTransaction, m *protocol.TransactionEnded, some func(func(*hard) bool) bool) error {
	if m.Failed() {
		return nil
	}
	// The decision is of this very transaction: in TV2 the epoch after it.
	epoch := c.ProducerEpoch
	if c.Bump {
		epoch++
	}
	if !some(func(h *hard) bool {
		if !c.Bump && h.idle() && h.status != Empty && h.committed() == c.Commit && h.producer == c.ProducerID && h.epoch == epoch {
			return true // repeated, or the first end in TV1 of a producer that worked in TV2
		}
		return (h.status == PrepareCommit && c.Commit || h.status == PrepareAbort && !c.Commit) && h.producer == c.ProducerID && h.epoch == epoch && (!c.Bump || h.version >= tv2)
	}) {
		return fmt.Errorf("%+v succeeded; the log has no such decision", c)
	}
	if some(func(h *hard) bool {
		return c.Bump && h.version >= tv2 && (h.status == PrepareCommit && !c.Commit || h.status == PrepareAbort && c.Commit) && h.producer == c.ProducerID && h.epoch == epoch
	}) {
		return fmt.Errorf("%+v succeeded; the log has the opposite decision", c)
	}
	if !c.Bump {
		w.reached["end tv1"]++
		return nil
	}
	w.reached["end tv2"]++
	if m.ProducerEpoch < 0 || m.ProducerEpoch >= maxEpoch {
		return fmt.Errorf("%+v gives %d/%d", c, m.ProducerID, m.ProducerEpoch)
	}
	if m.ProducerID != c.ProducerID {
		w.reached["rotated"]++
	}
	got := client{m.ProducerID, m.ProducerEpoch}
	if slices.Contains(w.known, got) {
		w.reached["end repeated"]++
	}
	if slices.ContainsFunc(w.states, func(h hard) bool { return h.status == CompleteAbort && len(h.partitions) == 0 && h.producer == got.id }) {
		w.reached["empty abort"]++
	}
	w.known = append(w.known, got)
	return nil
}

// heal ends the faults: what is open must end, everybody must be answered, and a new producer gets the id.
func (w *world) heal() error {
	w.now.Image = w.images[0]
	for range 400 {
		if w.underWay {
			w.appended()
		} else if len(w.sent) > 0 {
			w.mark(false)
		} else if w.asked > 0 {
			w.give(false)
		} else if h := w.hard(); len(w.pending) == 0 && !h.preparing() && (!h.known || h.status != Ongoing) {
			break
		} else {
			w.pass(time.Second)
		}
		if err := w.settle(); err != nil {
			return err
		}
	}
	h := w.hard()
	if len(w.pending) > 0 || h.preparing() || h.known && h.status == Ongoing {
		return fmt.Errorf("hangs: %d not answered, %s, deadline in %v", len(w.pending), show(&h), w.m.Deadline()-w.now.Mono)
	}
	before := len(w.known)
	w.nextID++
	in := &protocol.InitTransactions{Head: protocol.Head{ID: w.nextID}, ProducerID: -1, ProducerEpoch: -1, Timeout: time.Second}
	w.pending[w.nextID] = in
	w.m.Step(w.now, in, &w.out)
	for range 4 {
		if err := w.settle(); err != nil {
			return err
		}
		if w.underWay {
			w.appended()
		} else {
			w.give(false)
		}
	}
	if err := w.settle(); err != nil {
		return err
	}
	if len(w.known) == before {
		return fmt.Errorf("a new producer does not get the id from %s", show(&h))
	}
	return nil
}
