package consumer

import (
	"math"
	"regexp"
	"slices"
	"time"

	"github.com/troupe-broker/troupe/actors/protocol"
	"github.com/troupe-broker/troupe/cluster/image"
	"github.com/troupe-broker/troupe/group/assignor"
	"github.com/troupe-broker/troupe/group/step"
)

// Config is what settings say about one group.
type Config struct {
	SessionTimeout    time.Duration // group.consumer.session.timeout.ms
	HeartbeatInterval time.Duration // group.consumer.heartbeat.interval.ms: what members are told when nothing changes
	MaxSize           int           // group.consumer.max.size, members; 0 is no limit
	Assignors         []string      // group.consumer.assignors, the first is the default
	RegexRefresh      time.Duration // group.consumer.regex.refresh.interval.ms; 0 is never
	NoClassic         bool          // group.consumer.migration.policy is disabled: members of the classic protocol may not join
}

// Group is the machine of one consumer group.
type Group struct {
	id  string
	cfg Config

	// Hard state: changed by Replay only.
	exists      bool  // the log holds something of this group
	oldMetadata bool  // the log holds a record of the kind that 4.1 replaced
	epoch       int32 // of the group: grows with every change of members, subscriptions or topics
	hash        int64 // of the topics subscribed to, as they were at epoch
	targetEpoch int32 // of the target. Invariant: not above epoch
	members     map[string]*member
	order       []*member // by id

	// What follows from the hard state.
	static    map[string]*member // by instance id
	owner     map[protocol.TopicPartition]*member
	topics    map[string]int // names subscribed to, by how many members
	assignors map[string]int // asked for, by how many members
	regexes   map[string]*regex
	weight    int // of all members' subscriptions

	// Soft state.
	img        *image.Image // the newest seen; nil before the first step
	loaded     bool
	touched    []*member     // by the records of the step under way
	assigned   bool          // a new target is among them
	progressed bool          // a member came nearer to its target, or further from it
	lastTarget time.Duration // when the target was computed last
	lastChange time.Duration // when a member or the target changed last
	assignAt   time.Duration // when to compute the target; step.Never if it is not due
	retryAt    time.Duration // not before: the log did not take a step of ours
	sweepAt    time.Duration // no session or revocation ends before this
	topology   looked
	left       bool // the step's records removed a member of the consumer protocol
	downgrade  bool // the last step's did
}

// regex is one regular expression that members subscribe to.
type regex struct {
	members   int
	resolved  bool
	topics    []string // in order
	version   int64    // of the image it was resolved with
	timestamp int64    // when, ms
	compiled  *regexp.Regexp
}

var _ step.Machine = (*Group)(nil)

const longAgo = time.Duration(math.MinInt64 / 2)

// New is a group that nobody has joined.
func New(groupID string, cfg Config) *Group {
	g := &Group{
		id:      groupID,
		members: map[string]*member{}, static: map[string]*member{}, owner: map[protocol.TopicPartition]*member{},
		topics: map[string]int{}, assignors: map[string]int{}, regexes: map[string]*regex{},
		lastTarget: longAgo, lastChange: longAgo, assignAt: step.Never, retryAt: longAgo, sweepAt: step.Never,
		topology: neverLooked,
	}
	g.Reconfigure(cfg)
	return g
}

// Reconfigure takes new settings; they hold from the next heartbeat of each member on.
func (g *Group) Reconfigure(cfg Config) {
	g.cfg = cfg
	g.cfg.Assignors = slices.Clone(cfg.Assignors)
	for i, name := range cfg.Assignors {
		g.cfg.Assignors[i] = assignor.Canonical(name)
	}
}

// Step decides one command.
func (g *Group) Step(now step.Now, in step.Command, out *step.Out) {
	g.img = now.Image
	switch c := in.(type) {
	case *protocol.HeartbeatConsumer:
		g.heartbeat(now, c, out)
	case *protocol.LeaveGroup:
		g.leaveGroup(now, c, out)
	case *protocol.DescribeGroup:
		reply(out, c, c.ReplyTo, g.describe(c))
	case *protocol.JoinGroup:
		g.joinClassic(now, c, out)
	case *protocol.SyncGroup:
		g.syncClassic(now, c, out)
	case *protocol.HeartbeatGroup:
		g.heartbeatClassic(now, c, out)
	default:
		to, _ := in.Refused(0)
		reply(out, in, to, in.Failed(protocol.UnsupportedVersion))
	}
}

// State is Kafka's name of the state. Source: ConsumerGroup.maybeUpdateGroupState.
func (g *Group) State() string {
	switch {
	case !g.exists:
		return "Dead"
	case len(g.order) == 0:
		return "Empty"
	case g.epoch > g.targetEpoch:
		return "Assigning"
	case slices.ContainsFunc(g.order, func(m *member) bool { return !m.settled(g.targetEpoch) }):
		return "Reconciling"
	}
	return "Stable"
}

// Empty reports that the group has no member.
func (g *Group) Empty() bool { return len(g.order) == 0 }

// Exists reports that the log holds something of the group.
func (g *Group) Exists() bool { return g.exists }

// Subscribed reports whether a member is subscribed to the topic.
func (g *Group) Subscribed(topic string) bool {
	if g.topics[topic] > 0 {
		return true
	}
	for _, r := range g.regexes {
		if _, ok := slices.BinarySearch(r.topics, topic); ok && r.members > 0 {
			return true
		}
	}
	return false
}
