package cluster

import (
	"fmt"
	"time"

	"github.com/troupe-broker/troupe/actors"
	"github.com/troupe-broker/troupe/actors/env"
	"github.com/troupe-broker/troupe/actors/invariant"
	"github.com/troupe-broker/troupe/actors/protocol"
	"github.com/troupe-broker/troupe/cluster/config"
	"github.com/troupe-broker/troupe/cluster/controller"
	"github.com/troupe-broker/troupe/cluster/image"
	"github.com/troupe-broker/troupe/cluster/raft"
	"github.com/troupe-broker/troupe/partition/storage"
)

const (
	// commandsMax bounds the commands that wait to be decided; one more is refused.
	commandsMax = 10_000
	// batchMax bounds the commands decided into one entry.
	batchMax = 1_000
	// recordsMax closes an entry; it may exceed the bound by what one command makes (controller.PartitionsPerRequestMax).
	recordsMax = 20_000
	// hostingMax bounds how long the local host may take for one change, the recovery of all logs at a start being the longest; after
	// it the node is taken to be broken.
	hostingMax = 6 * time.Hour
	// metadataDir is the directory of the metadata log in its log directory. Kafka's name.
	metadataDir = "__cluster_metadata-0"
)

// Config of a node's controller.
type Config struct {
	Node protocol.NodeID
	// ClusterID names the cluster if it is founded here; else it must be that of the log.
	ClusterID string
	// Incarnation of this process, chosen at random at its start.
	Incarnation [16]byte
	Listeners   []image.Listener // what other brokers and clients are told
	Rack        string
	Static      []protocol.ConfigEntry // settings of this broker, sorted (config.Sort) and checked (config.NewBroker)
	// Clean says that every log directory had its marker of a clean shutdown: what the logs held they still hold.
	Clean bool

	FS     env.FS // the log directory that holds the metadata log
	Files  *storage.Files
	Host   actors.PID // the partition host of this node
	Images *Images
	// Ready is called once, on the controller's turn, when the first image is published and everything in it is hosted.
	Ready func()
	// Failed is called once if the controller cannot go on: its storage failed, or belongs to another cluster. The node must end. It
	// must not block.
	Failed func(error)
}

// NewController describes the controller actor of a node.
func NewController(cfg Config) actors.Spec {
	return actors.Spec{Name: "controller", New: func() actors.Actor { return newController(cfg) }}
}

func newController(cfg Config) *Controller {
	settings, err := config.NewBroker(config.Values{Static: cfg.Static})
	invariant.Check(err == nil, "unchecked settings: %v", err)
	return &Controller{cfg: cfg, settings: settings, tick: settings.ElectionTimeout / raft.ElectionTicks, image: image.Empty()}
}

// phase is how far a controller is on the way to deciding commands.
type phase uint8

const (
	opening    phase = iota // the log is being recovered
	following               // this node does not lead the group
	catchingUp              // it does, and waits for its first entry: then the image is complete
	joining                 // it registers itself
	serving                 // it decides commands
)

// Controller is the actor. One voter for now: this node is the whole group.
type Controller struct {
	cfg      Config
	settings *config.Broker  // static ones
	tick     time.Duration   // of raft's clock
	ctx      *actors.Context // of the turn at hand
	member   *raft.Member
	phase    phase
	leader   uint64 // of the group, as raft says; 0 is nobody
	failure  error

	image *image.Image // everything committed

	// A command is in waiting, then in entry, then in committed, then (while the host works) in releasing.
	waiting   []actors.Command
	entry     *entry // proposed and not yet committed; nil is none
	number    uint64 // of the proposal made last
	committed []answer
	releasing []answer

	published *image.Image // nil before the first
	next      *image.Image // in the host's hands; nil is none
	delta     image.Delta  // from next, or published, to image
	changed   image.Delta  // from published to next
}

// entry is a proposal under way.
type entry struct {
	number  uint64
	answers []answer
}

// answer is a reply that waits until what it says is in force.
type answer struct {
	command actors.Command
	to      actors.PID
	msg     any
	events  []controller.Event // for the log
}

// opened is the result of recovering the metadata log.
type opened struct {
	member *raft.Member
	found  raft.Recovered
	err    error
}

// ticked is raft's clock.
type ticked struct{}

// Receive handles one message.
func (c *Controller) Receive(ctx *actors.Context, msg any) {
	c.ctx = ctx
	switch m := msg.(type) {
	case actors.Started:
		c.open()
	case *opened:
		c.begin(m)
	case ticked:
		c.member.Tick()
		ctx.After(c.tick, ticked{})
	case *protocol.PartitionsHosted:
		c.hosted(m)
	case actors.RequestTimedOut:
		c.Fail(fmt.Errorf("the partition host did not carry out a metadata change within %v", hostingMax))
	case *protocol.DescribeQuorum:
		c.describeQuorum(m)
	case actors.Command:
		c.take(m)
	case actors.Stopping:
		c.stop()
	default:
		if c.member != nil {
			c.member.Done(msg)
		}
	}
}

// EndTurn decides what came in during the turn.
func (c *Controller) EndTurn(ctx *actors.Context) {
	c.ctx = ctx
	c.propose()
	c.publish()
}

func (c *Controller) open() {
	cfg := raft.Config{
		ID: memberID(c.cfg.Node), Voters: []uint64{memberID(c.cfg.Node)}, FS: c.cfg.FS, Files: c.cfg.Files, Dir: metadataDir,
		SnapshotBytes: c.settings.MetadataSnapshotBytes, Logger: c.ctx.Logger().With("actor", "controller"),
	}
	c.ctx.Offload(func() any {
		member, found, err := raft.Open(cfg, c)
		return &opened{member, found, err}
	})
}

// memberID is a node's id in raft, where 0 is nobody.
func memberID(n protocol.NodeID) uint64 { return uint64(n) + 1 }

func (c *Controller) begin(o *opened) {
	if o.err != nil {
		c.Fail(o.err)
		return
	}
	c.member, c.phase = o.member, following
	if len(o.found.Snapshot) > 0 {
		c.Restore(o.found.Index, o.found.Snapshot)
	}
	if o.found.Log.TruncatedBytes > 0 {
		c.ctx.Logger().Warn("cut a torn tail off the metadata log", "bytes", o.found.Log.TruncatedBytes, "reason", o.found.Log.Reason)
	}
	c.member.Begin()
	c.ctx.After(c.tick, ticked{})
}

// take queues a command.
func (c *Controller) take(m actors.Command) {
	switch {
	case c.failure != nil || c.phase == following && c.leader != 0:
		c.refuse(m, actors.RefusedStopped)
	case len(c.waiting) >= commandsMax:
		c.refuse(m, actors.RefusedOverload)
	default:
		c.waiting = append(c.waiting, m)
	}
}

func (c *Controller) refuse(m actors.Command, why actors.Refusal) {
	if r, ok := m.(actors.Refusable); ok {
		to, reply := r.Refused(why)
		c.ctx.Send(to, reply)
	}
}

// refuseAll answers everything that waits, wherever it is on its way. It only sends.
func (c *Controller) refuseAll() {
	pending := c.releasing
	pending = append(pending, c.committed...)
	if c.entry != nil {
		pending = append(pending, c.entry.answers...)
	}
	for _, a := range pending {
		if a.command != nil {
			c.refuse(a.command, actors.RefusedStopped)
		}
	}
	for _, m := range c.waiting {
		c.refuse(m, actors.RefusedStopped)
	}
	c.releasing, c.committed, c.entry, c.waiting = nil, nil, nil, nil
}

// Fail implements raft.Effects: the node cannot go on without its metadata log.
func (c *Controller) Fail(err error) {
	if c.failure != nil {
		return
	}
	c.failure = err
	c.ctx.Logger().Error("the controller cannot go on", "error", err)
	if c.cfg.Failed != nil {
		c.cfg.Failed(err)
	}
	c.ctx.StopSelf()
}

// stop answers everything that waits and closes the log.
func (c *Controller) stop() {
	c.refuseAll()
	if c.member == nil {
		return
	}
	if err := c.member.Close(c.failure == nil); err != nil {
		c.ctx.Logger().Error("closing the metadata log", "error", err)
	}
}

// Failed implements actors.FailureHandler: a panic ends the node like a failed disk does.
func (c *Controller) Failed(ctx *actors.Context, cause error) {
	c.ctx = ctx
	c.refuseAll()
	if c.failure == nil && c.cfg.Failed != nil {
		c.failure = cause
		c.cfg.Failed(cause)
	}
}
