package consumer

import (
	"time"

	"github.com/troupe-broker/troupe/actors/protocol"
	"github.com/troupe-broker/troupe/group/step"
)

// Config is what settings say about one group.
type Config struct {
	SessionTimeout    time.Duration
	HeartbeatInterval time.Duration // when nothing changes
	MaxSize           int           // members; 0 is no limit
	Assignors         []string      // offered, the first is the default
	RegexRefresh      time.Duration // how old the topics of a regular expression may get
}

// Group is the machine of one consumer group.
type Group struct {
	id  string
	cfg Config
}

var _ step.Machine = (*Group)(nil)

// New is a group that nobody has joined.
func New(groupID string, cfg Config) *Group { return &Group{id: groupID, cfg: cfg} }

// Reconfigure takes new settings; they hold from the next heartbeat of each member on.
func (g *Group) Reconfigure(cfg Config) { g.cfg = cfg }

// Step decides one command.
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

// MetadataChanged looks whether the topics of the group changed. The actor may call it when the image's topics change, so that members
// learn of it sooner; every heartbeat looks too.
func (g *Group) MetadataChanged(now step.Now, out *step.Out) {}

// CheckCommit says whether the sender may commit offsets.
func (g *Group) CheckCommit(m *protocol.CommitOffsets) protocol.Code { return protocol.None }

// CheckFetch says whether the sender may fetch offsets.
func (g *Group) CheckFetch(m *protocol.FetchOffsets) protocol.Code { return protocol.None }

// Subscribed reports whether a member is subscribed to the topic.
func (g *Group) Subscribed(topic string) bool { return false }

// State is Kafka's name of the state.
func (g *Group) State() string { return "Empty" }

// Empty reports that the group has no member.
func (g *Group) Empty() bool { return true }

// Listed is the group as ListGroups shows it.
func (g *Group) Listed() protocol.ListedGroup {
	return protocol.ListedGroup{GroupID: g.id, ProtocolType: "consumer", State: g.State(), Type: "Consumer"}
}

// Tombstone removes the group from the log.
func (g *Group) Tombstone() []step.Record { return nil }

// GroupOfKey tells which group a record of the log belongs to; ok is false for records of other kinds.
func GroupOfKey(key []byte) (groupID string, ok bool, err error) { return "", false, nil }
