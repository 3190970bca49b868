package partition

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/tidwall/btree"

	"github.com/troupe-broker/troupe/actors"
	"github.com/troupe-broker/troupe/actors/env"
	"github.com/troupe-broker/troupe/actors/protocol"
	"github.com/troupe-broker/troupe/partition/storage"
)

// HostConfig is what a partition host is made of.
type HostConfig struct {
	Node protocol.NodeID
	// Dirs are the log directories: opened, locked and known to be ours.
	Dirs  []Dir
	Table *Table
	Clock env.Clock

	// RecoveryThreads per log directory open and delete logs beside each other (num.recovery.threads.per.data.dir); 0 means 2.
	RecoveryThreads int
	// RetentionCheck is log.retention.check.interval.ms; 0 means 5 minutes.
	RetentionCheck time.Duration
	// JournalSize is the size in bytes of one of the two files of the flush journal of a log directory; 0 means
	// storage.DefaultJournalSize.
	JournalSize int64
	// CheckpointEvery is the time between checkpoints of what changed; 0 means one minute. A start scans what came after the last.
	CheckpointEvery time.Duration
	// OpenFiles bounds the open segment files of one log directory; 0 means storage.DefaultOpenFiles.
	OpenFiles int
	// ProducerExpiry is producer.id.expiration.ms as of now, asked on any goroutine; nil means a day.
	ProducerExpiry func() time.Duration

	// Coordinator finds the shard that coordinates a transactional id, on any goroutine and without blocking, or says why there is none
	// now. Nil: the first batch of a transaction is taken without asking.
	Coordinator func(transactionalID string) (actors.PID, protocol.Code)
	// VerifyTransactions is transaction.partition.verification.enable as of now, asked on any goroutine; nil means true. Partitions of
	// transactions of version 2 are added by their leaders whatever it says.
	VerifyTransactions func() bool
	// AddPartitionsBackoff is add.partitions.to.txn.retry.backoff.ms, AddPartitionsBackoffMax add.partitions.to.txn.retry.backoff.max.ms:
	// how often, and for how long, a partition asks again while the transaction before is still ending. Backoff 0 means 20 ms.
	AddPartitionsBackoff, AddPartitionsBackoffMax time.Duration

	// Cleaner tells the settings of compaction in force, whenever the cleaner looks for work; nil means the defaults. Any goroutine.
	Cleaner func() CleanerConfig

	// AdjustLog changes the configuration of every log; nil in a broker. The simulator makes segments smaller than a topic may.
	AdjustLog func(*protocol.LogConfig)

	// OnFlush, OnOffline, OnRecovered and OnCleaned observe; each may be nil, is called in an actor's turn and must not block.
	OnFlush     func(Flush)
	OnOffline   func(protocol.TopicPartition, protocol.Fault)
	OnRecovered func(protocol.TopicPartition, storage.Recovered)
	OnCleaned   func(Cleaned)
}

// Dir is one log directory. Name is for people, ID its directory.id.
type Dir struct {
	Name, ID string
	FS       env.FS
}

const (
	// openChunk is how many logs one offloaded job opens, createChunk how many it creates, with one sync for all of them.
	openChunk   = 128
	createChunk = 2048
)

// hostState is where a partition stands.
type hostState uint8

const (
	opens    hostState = iota // its log is being opened, or waits for that
	serves                    // its actor runs
	offline                   // no actor, until the node restarts
	dropping                  // deleted; its actor or its files still exist
	leaves                    // clean stop: its actor is closing
	gone                      // clean stop: it has closed
)

// hosted is one partition of this node.
type hosted struct {
	tp     protocol.TopicPartition
	dir    *logDir
	lead   *protocol.LeadPartition // as last decided; nil for a directory that is only to be deleted
	config *protocol.LogConfig     // shared
	handle *Handle                 // nil until the log was opened for the first time
	log    *storage.Log            // the actor's while it runs; ours afterwards, for Delete

	state   hostState
	create  bool                   // it has no directory yet
	touched bool                   // a housekeep is due
	unclean bool                   // at a clean stop its log was not closed clean
	waiting []*request             // to be answered when the actor has seen all of lead, or is gone
	leads   int                    // sent to the actor and not acknowledged
	known   *storage.Position      // for the checkpoint; nil while unknown
	start   int64                  // for the checkpoint
	journal []storage.JournalEntry // that the log has not taken yet

	incarnation int
	reopens     int
	failedAt    time.Duration // monotonic
}

// request is a HostPartitions that is not answered yet.
type request struct {
	replyTo actors.PID
	id      uint64
	left    int // partitions that are not ready
	failed  []protocol.PartitionFault
}

// Host owns the partitions of a node: it opens their logs, spawns and buries their actors, keeps the Table and the checkpoint files
// of the log directories. It never blocks: whatever touches a disk is offloaded, with a bound on what runs beside each other.
type Host struct {
	config     HostConfig
	dirs       []*logDir
	partitions *btree.BTreeG[*hosted]
	configs    map[protocol.LogConfig]*protocol.LogConfig // one copy of each
	offset     int64                                      // metadata offset seen
	queued     []*protocol.HostPartitions                 // until the directories are scanned
	begun      bool                                       // the scan has begun: before there is metadata nothing in the directories is touched
	scanning   int                                        // directories
	drops      int                                        // actors of deleted topics that have not ended
	strays     bool                                       // were reported
	fresh      []*Handle                                  // to be put into the Table when the turn ends

	touchedFrom, retainedFrom protocol.TopicPartition // where the two walks go on
	leaving                   *leaving                // a clean stop is going on
	cleaner                   actors.PID              // zero when it has ended
}

// NewHost is the Spec of the partition host. It has one child for every partition it hosts and one flusher for every log directory.
func NewHost(config HostConfig) actors.Spec {
	orDefault(&config.RecoveryThreads, 2)
	orDefault(&config.RetentionCheck, 5*time.Minute)
	orDefault(&config.CheckpointEvery, time.Minute)
	orDefault(&config.AddPartitionsBackoff, 20*time.Millisecond)
	if config.ProducerExpiry == nil {
		config.ProducerExpiry = func() time.Duration { return 24 * time.Hour }
	}
	return actors.Spec{Name: "partitions", New: func() actors.Actor { return newHost(config) }}
}

func orDefault[T int | time.Duration](v *T, value T) {
	if *v <= 0 {
		*v = value
	}
}

func newHost(config HostConfig) *Host {
	h := &Host{
		config: config, configs: map[protocol.LogConfig]*protocol.LogConfig{}, offset: -1,
		partitions: btree.NewBTreeGOptions(func(a, b *hosted) bool { return a.tp.Less(b.tp) }, btree.Options{NoLocks: true}),
	}
	for _, d := range config.Dirs {
		h.dirs = append(h.dirs, &logDir{name: d.Name, id: d.ID, fs: d.FS})
	}
	return h
}

// Receive handles one message.
func (h *Host) Receive(ctx *actors.Context, msg any) {
	switch m := msg.(type) {
	case *protocol.HostPartitions:
		h.hostPartitions(ctx, m)
	case rescan:
		h.scan(ctx, m.dir)
	case *scanned:
		h.scanned(ctx, m)
	case *openedLogs:
		h.opened(ctx, m)
	case *led:
		h.led(ctx, m)
	case *touched:
		if p := h.find(m.tp, m.from); p != nil {
			p.touched = true
		}
	case *positioned:
		h.positioned(ctx, m)
	case *saveStart:
		h.saveStart(m)
	case *checkpointed:
		h.checkpointed(ctx, m)
	case *logClosed:
		h.logClosed(ctx, m)
	case *condemnedLogs:
		h.condemned(m)
	case *deletedLogs:
		h.deleted(ctx, m)
	case *reopen:
		h.reopen(ctx, m)
	case *quiesced:
		h.quiesced(ctx, m)
	case *flusherLost:
		h.flusherLost(ctx, m)
	case walkStep:
		h.walk(ctx, m)
	case checkpointTick:
		h.checkpointAll()
	case *CloseLogs:
		h.closeLogs(ctx, m)
	case *dirClosed:
		h.dirClosed(ctx, m)
	case cleanerClosed:
		h.cleaner = actors.PID{}
	case actors.Terminated:
		h.terminated(ctx, m)
	case actors.Started:
		h.start(ctx)
	case actors.Stopping:
		h.stop(ctx)
	}
}

// EndTurn publishes what became ready and starts the work the turn collected.
func (h *Host) EndTurn(ctx *actors.Context) {
	if len(h.fresh) > 0 {
		h.config.Table.Put(h.fresh...)
		clear(h.fresh)
		h.fresh = h.fresh[:0]
	}
	for _, d := range h.dirs {
		h.startOpening(ctx, d)
		h.startDeleting(ctx, d)
		h.startCheckpoint(ctx, d)
		h.startJournal(ctx, d)
	}
	h.leave(ctx)
}

func (h *Host) start(ctx *actors.Context) {
	for i, d := range h.dirs {
		config := &flusher{dir: d.name, fs: d.fs, clock: h.config.Clock, host: ctx.Self(), observe: h.config.OnFlush}
		pid := ctx.Spawn(actors.Spec{Name: "flusher-" + strconv.Itoa(i), New: func() actors.Actor { return config }})
		d.place = &place{
			dir: d.name, fs: d.fs, files: storage.NewFiles(d.fs, h.config.OpenFiles), host: ctx.Self(), flusher: pid, node: h.config.Node,
			producerExpiry: h.config.ProducerExpiry,
			verifier:       verifier{h.config.Coordinator, h.config.VerifyTransactions, h.config.AddPartitionsBackoff, h.config.AddPartitionsBackoffMax},
		}
	}
	h.startWalks(ctx)
	h.startCleaner(ctx)
}

// scanAll reads the directories, once there is metadata to hold them against: a node whose metadata cannot be read leaves its directories as
// they are.
func (h *Host) scanAll(ctx *actors.Context) {
	h.begun = true
	for _, d := range h.dirs {
		h.scanning++
		h.scan(ctx, d)
	}
}

func (h *Host) scan(ctx *actors.Context, d *logDir) {
	logger := ctx.Logger()
	ctx.Offload(func() any { return scan(d, logger) })
}

// startCleaner spawns the actor that compacts logs.
func (h *Host) startCleaner(ctx *actors.Context) {
	c := &cleaner{
		table: h.config.Table, clock: h.config.Clock, settings: h.config.Cleaner, observe: h.config.OnCleaned, host: ctx.Self(),
		skipped: map[protocol.TopicPartition]bool{}, bad: map[protocol.TopicPartition]*Handle{},
	}
	for _, d := range h.dirs {
		c.dirs = append(c.dirs, &cleanerDir{name: d.name, fs: d.fs})
	}
	h.cleaner = ctx.Spawn(actors.Spec{Name: "cleaner", New: func() actors.Actor { return c }})
}

// stop answers whoever still waits.
func (h *Host) stop(ctx *actors.Context) {
	h.partitions.Scan(func(p *hosted) bool {
		h.allReady(ctx, p, stopping)
		return true
	})
	if l := h.leaving; l != nil && !l.answered {
		ctx.Send(l.by.ReplyTo, &LogsClosed{Answer: protocol.Answer{ID: l.by.ID}, Err: errors.New("stopped before the logs were closed")})
	}
}

var stopping = protocol.Fault{Code: protocol.NotLeaderOrFollower, Reason: "the node is stopping"}

// hostPartitions takes a change of metadata. A change that is older than one already taken says nothing new.
func (h *Host) hostPartitions(ctx *actors.Context, m *protocol.HostPartitions) {
	if !h.begun && h.leaving == nil {
		h.scanAll(ctx)
	}
	if h.scanning > 0 {
		h.queued = append(h.queued, m)
		return
	}
	r := &request{replyTo: m.ReplyTo, id: m.ID, left: 1}
	if m.MetadataOffset >= h.offset && h.leaving == nil {
		h.offset = m.MetadataOffset
		for i := range m.Lead {
			h.lead(ctx, &m.Lead[i], r)
		}
		for _, tp := range m.Drop {
			h.drop(ctx, tp, r)
		}
		h.reportStrays(ctx)
	}
	h.ready(ctx, r)
}

// ready counts one partition of a request as done, and answers the request with the last one.
func (h *Host) ready(ctx *actors.Context, r *request) {
	if r.left--; r.left == 0 {
		// Before the answer leaves, what it promises must be in the Table.
		if len(h.fresh) > 0 {
			h.config.Table.Put(h.fresh...)
			h.fresh = h.fresh[:0]
		}
		ctx.Send(r.replyTo, &protocol.PartitionsHosted{Answer: protocol.Answer{ID: r.id}, Failed: r.failed})
	}
}

// allReady ends the waiting for one partition; a fault is reported to everybody who waited.
func (h *Host) allReady(ctx *actors.Context, p *hosted, fault protocol.Fault) {
	waiting := p.waiting
	p.waiting = nil
	for _, r := range waiting {
		if fault.Failed() {
			r.failed = append(r.failed, protocol.PartitionFault{Partition: p.tp, Fault: fault})
		}
		h.ready(ctx, r)
	}
}

func (p *hosted) wait(r *request) {
	r.left++
	p.waiting = append(p.waiting, r)
}

// lead makes this node the leader of a partition, or passes a change on to the actor that is.
func (h *Host) lead(ctx *actors.Context, l *protocol.LeadPartition, r *request) {
	if !slices.Contains(l.ISR, h.config.Node) {
		fault := protocol.Fault{Code: protocol.NotLeaderOrFollower, Reason: fmt.Sprintf("node %d is not in the in-sync set %v", h.config.Node, l.ISR)}
		r.failed = append(r.failed, protocol.PartitionFault{Partition: l.Partition, Fault: fault})
		return
	}
	p, ok := h.partitions.Get(&hosted{tp: l.Partition})
	if !ok {
		p = &hosted{tp: l.Partition}
		h.partitions.Set(p)
		p.lead, p.config = l, h.shared(l.Config)
		p.wait(r)
		h.place(ctx, p)
		return
	}
	p.lead, p.config = l, h.shared(l.Config)
	switch p.state {
	case opens:
		p.wait(r)
	case serves:
		p.wait(r)
		h.sendLead(ctx, p)
	case offline:
		v := p.handle.View()
		r.failed = append(r.failed, protocol.PartitionFault{Partition: p.tp, Fault: protocol.Fault{Code: v.Err, Reason: v.Reason}})
	}
}

// shared returns the one copy of a configuration that all partitions with it hold. Bounded by the configurations topics have had.
func (h *Host) shared(c protocol.LogConfig) *protocol.LogConfig {
	if h.config.AdjustLog != nil {
		h.config.AdjustLog(&c)
	}
	one := h.configs[c]
	if one == nil {
		one = &c
		h.configs[c] = one
	}
	return one
}

func (h *Host) sendLead(ctx *actors.Context, p *hosted) {
	p.leads++
	ctx.Send(p.handle.PID, &lead{LeadPartition: *p.lead, config: p.config})
}

// place finds the log directory of a partition that is hosted for the first time, and queues it for opening.
func (h *Host) place(ctx *actors.Context, p *hosted) {
	best := h.dirs[0]
	for _, d := range h.dirs {
		if f := d.found[p.tp]; f != nil && f.dir {
			d.adopt(p, f)
			return
		}
		if d.count < best.count {
			best = d
		}
	}
	for _, d := range h.dirs {
		switch {
		case d.err != nil && !p.lead.New:
			d.take(p)
			h.giveUp(ctx, p, protocol.Fault{Code: protocol.KafkaStorageError, Reason: fmt.Sprintf("log directory %q: %v", d.name, d.err)})
			return
		case d.found[p.tp] != nil:
			d.take(p)
			h.giveUp(ctx, p, protocol.Fault{
				Code:   protocol.KafkaStorageError,
				Reason: fmt.Sprintf("its directory is missing from %q, where the checkpoint says it was", d.name),
			})
			return
		}
	}
	if best.err != nil {
		best.take(p)
		h.giveUp(ctx, p, protocol.Fault{Code: protocol.KafkaStorageError, Reason: fmt.Sprintf("log directory %q: %v", best.name, best.err)})
		return
	}
	p.create = true
	best.adopt(p, nil)
}

// opened takes logs that are ready. The partition may have been deleted meanwhile, or have got a newer decision.
func (h *Host) opened(ctx *actors.Context, m *openedLogs) {
	m.dir.opening--
	for i := range m.logs {
		o := &m.logs[i]
		p, ok := h.partitions.Get(&hosted{tp: o.tp})
		if !ok {
			continue
		}
		if o.actor != nil {
			p.log, p.create = o.actor.log, false
			m.dir.tookJournal(p)
		}
		switch {
		case p.state == dropping:
			m.dir.tookJournal(p)
			m.dir.doomed = append(m.dir.doomed, p)
		case o.err != nil:
			fault := protocol.Fault{Code: protocol.KafkaStorageError, Reason: o.err.Error()}
			if !storage.Passing(o.err) {
				h.giveUp(ctx, p, fault)
				continue
			}
			h.takeOffline(ctx, p, fault)
			p.state = opens
			ctx.After(openRetry, &reopen{p})
		default:
			h.spawn(ctx, p, o)
		}
	}
}

func (h *Host) spawn(ctx *actors.Context, p *hosted, o *opened) {
	a := o.actor
	name := p.tp.String()
	if p.incarnation++; p.incarnation > 1 {
		name += "." + strconv.Itoa(p.incarnation)
	}
	p.handle, p.state, p.leads = a.handle, serves, 0
	p.moveTo(&positioned{position: a.log.Position(), start: a.log.StartOffset()})
	h.change(ctx, p.dir)
	if h.config.OnRecovered != nil {
		h.config.OnRecovered(p.tp, o.recovered)
	}
	// The PID is in the handle before anybody but the actor, which does not look at it, can see the handle.
	a.handle.PID = ctx.Spawn(actors.Spec{Name: name, New: func() actors.Actor { return a }})
	h.fresh = append(h.fresh, p.handle)
	if a.config != p.config || a.leader.Epoch() != p.lead.LeaderEpoch {
		h.sendLead(ctx, p)
		return
	}
	h.allReady(ctx, p, protocol.Fault{})
}

// led is a partition's receipt for lead.
func (h *Host) led(ctx *actors.Context, m *led) {
	if p := h.find(m.tp, m.from); p != nil {
		if p.leads--; p.leads == 0 {
			h.allReady(ctx, p, protocol.Fault{})
		}
	}
}

// find is the partition whose present actor is from, or nil.
func (h *Host) find(tp protocol.TopicPartition, from actors.PID) *hosted {
	p, ok := h.partitions.Get(&hosted{tp: tp})
	if !ok || p.handle == nil || !p.handle.PID.Equal(from) {
		return nil
	}
	return p
}
