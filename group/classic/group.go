package classic

import (
	"time"

	"github.com/troupe-broker/troupe/actors/protocol"
	"github.com/troupe-broker/troupe/group/step"
)

// Config is what settings say about one group.
type Config struct {
	MinSession, MaxSession time.Duration // group.min.session.timeout.ms, group.max.session.timeout.ms
	InitialDelay           time.Duration // group.initial.rebalance.delay.ms
	MaxSize                int           // group.max.size; 0 is no limit
}

// Group is the machine of one classic group.
type Group struct {
	id  string
	cfg Config
}

var _ step.Machine = (*Group)(nil)

// New is a group that nobody has joined.
func New(groupID string, cfg Config) *Group { return &Group{id: groupID, cfg: cfg} }

// Reconfigure takes new settings; they hold from the next join on.
func (g *Group) Reconfigure(cfg Config) { g.cfg = cfg }

// Step decides one command: JoinGroup, SyncGroup, HeartbeatGroup, LeaveGroup, DescribeGroup, DeleteGroup.
func (g *Group) Step(now step.Now, in step.Command, out *step.Out) {}

// Tick does what time asks for.
func (g *Group) Tick(now step.Now, out *step.Out) {}

// Deadline is when Tick is wanted.
func (g *Group) Deadline() time.Duration { return step.Never }

// Replay applies one record of the log.
func (g *Group) Replay(key, value []byte) error { return nil }

// Loaded begins the sessions of the members found in the log.
func (g *Group) Loaded(now step.Now, out *step.Out) {}

// Appended goes on after the records of the last step are in the log.
func (g *Group) Appended(now step.Now, out *step.Out) {}

// NotAppended goes on after they are not.
func (g *Group) NotAppended(now step.Now, code protocol.Code, out *step.Out) {}

// CheckCommit says whether the sender may commit offsets; it changes nothing.
func (g *Group) CheckCommit(m *protocol.CommitOffsets) protocol.Code { return protocol.None }

// Heard re-arms the session of a member whose offset commit was accepted: it counts as a heartbeat.
func (g *Group) Heard(now step.Now, memberID string) {}

// CheckFetch says whether the sender may fetch offsets: anybody may.
func (g *Group) CheckFetch(m *protocol.FetchOffsets) protocol.Code { return protocol.None }

// Subscribed reports whether a member is, or may be, subscribed to the topic.
func (g *Group) Subscribed(topic string) bool { return false }

// State is Kafka's name of the state.
func (g *Group) State() string { return "Empty" }

// ProtocolType is what kind of group it is; empty if nobody has joined it yet.
func (g *Group) ProtocolType() string { return "" }

// Empty reports that the group has no member.
func (g *Group) Empty() bool { return true }

// EmptySince is when the group entered its current state, in wall time; zero if that is not known.
func (g *Group) EmptySince() time.Time { return time.Time{} }

// Listed is the group as ListGroups shows it.
func (g *Group) Listed() protocol.ListedGroup {
	return protocol.ListedGroup{GroupID: g.id, ProtocolType: g.ProtocolType(), State: g.State(), Type: "Classic"}
}

// Tombstone removes the group from the log.
func (g *Group) Tombstone() []step.Record { return nil }

// GroupOfKey tells which group a record of the log belongs to; ok is false for records of other kinds.
func GroupOfKey(key []byte) (groupID string, ok bool, err error) { return "", false, nil }
