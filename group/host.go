package group

import (
	"slices"
	"strconv"
	"time"

	"github.com/troupe-broker/troupe/actors"
	"github.com/troupe-broker/troupe/actors/protocol"
	"github.com/troupe-broker/troupe/cluster/image"
	"github.com/troupe-broker/troupe/group/offsets"
	"github.com/troupe-broker/troupe/group/step"
)

const (
	// loadsMax bounds the shards that load beside each other: as many as keep a small machine busy.
	loadsMax = 4
	// ensuresMax bounds those who wait for a coordinator; beyond it CoordinatorNotAvailable.
	ensuresMax = 10_000
	// createWait is how long the controller may take to make an internal topic.
	createWait = 10 * time.Second
	// respawnWait is how long a shard that failed stays away, the first time; five times longer at each further one, up to respawnWaitMax.
	respawnWait    = 500 * time.Millisecond
	respawnWaitMax = time.Minute
)

// Host spawns a shard for every partition of an internal topic that this node leads, and keeps the Directory.
type Host struct {
	place   *place
	topics  [kinds]topicShards
	spawned int // ever, for names

	topology int64 // offset of the topics that the groups know of

	loading int          // shards
	wanting []actors.PID // in the order they asked
	ensures []*ensure
}

// topicShards are the shards of one internal topic.
type topicShards struct {
	topic    *image.Topic // as last seen
	shards   []hostedShard
	missing  bool // a shard that failed is to be brought back
	creating bool
}

// hostedShard is one partition of an internal topic.
type hostedShard struct {
	pid    actors.PID // zero: none
	loaded bool
	loads  bool // takes one of loadsMax
	fails  int  // in a row
}

// respawn brings a failed shard back.
type respawn struct{ kind kind }

// NewHost describes the supervisor of a node's coordinators.
func NewHost(c Config) actors.Spec {
	return actors.Spec{Name: "coordinators", New: func() actors.Actor { return &Host{place: &place{Config: c}} }}
}

// ImageChanged is the message that tells the host of a new image: to be sent from cluster.Images.OnChange.
func ImageChanged(delta image.Delta) any { return &imageChanged{delta: delta} }

// Receive implements actors.Actor.
func (h *Host) Receive(ctx *actors.Context, msg any) {
	switch m := msg.(type) {
	case actors.Started:
		h.place.host = ctx.Self()
		self := ctx.Self()
		h.place.Directory.host.Store(&self)
	case *imageChanged:
		h.follow(ctx)
		h.deleted(ctx, m.delta)
		if len(m.delta.GroupConfigs) > 0 {
			h.tellGroups(ctx, &settingsChanged{groups: m.delta.GroupConfigs})
		}
	case *ensure:
		h.ensure(ctx, m)
	case *protocol.TopicsCreated:
		h.created(ctx, m)
	case actors.RequestTimedOut:
		h.notCreated(ctx)
	case *loadWanted:
		h.wanting = append(h.wanting, m.from)
		h.permit(ctx)
	case *shardReady:
		h.ready(ctx, m)
	case respawn:
		h.topics[m.kind].missing = true
		h.follow(ctx)
	case step.Command:
		h.forward(ctx, m)
	case actors.Terminated:
		h.terminated(ctx, m)
	case actors.Stopping:
		for _, e := range h.ensures {
			ctx.Send(e.Refused(actors.RefusedStopped))
		}
	}
}

// follow makes the shards those of the image in force.
func (h *Host) follow(ctx *actors.Context) {
	img := h.place.Images.Load()
	for k := range kinds {
		t, _ := img.Topic(k.topic())
		h.followTopic(ctx, k, t)
	}
	h.answer(ctx)
	if img.TopologyOffset != h.topology {
		h.topology = img.TopologyOffset
		h.tellGroups(ctx, &topicsChanged{})
	}
}

func (h *Host) followTopic(ctx *actors.Context, k kind, t *image.Topic) {
	s := &h.topics[k]
	if s.topic == t && !s.missing {
		return
	}
	s.missing = false
	if s.topic != nil && (t == nil || t.ID != s.topic.ID) {
		for i := range s.shards {
			h.stop(ctx, &s.shards[i])
		}
		s.shards = nil
	}
	if s.topic = t; t == nil {
		h.publish(k)
		return
	}
	for len(s.shards) < int(t.NumPartitions()) {
		s.shards = append(s.shards, hostedShard{})
	}
	for number, p := range t.EachPartition {
		at := &s.shards[number]
		switch {
		case p.Leader != h.place.Node:
			h.stop(ctx, at)
		case at.pid.IsZero():
			h.spawn(ctx, k, protocol.TopicPartition{Topic: t.ID, Partition: number}, t.NumPartitions(), at)
		}
	}
	h.publish(k)
}

func (h *Host) spawn(ctx *actors.Context, k kind, tp protocol.TopicPartition, of int32, at *hostedShard) {
	h.spawned++
	s := newShard(h.place, k, tp, of)
	name := k.topic() + "-" + strconv.Itoa(int(tp.Partition)) + "." + strconv.Itoa(h.spawned)
	at.pid, at.loaded = ctx.Spawn(actors.Spec{Name: name, New: func() actors.Actor { return s }}), false
}

func (h *Host) stop(ctx *actors.Context, at *hostedShard) {
	if at.pid.IsZero() {
		return
	}
	ctx.Stop(at.pid)
	h.release(ctx, at)
	at.pid, at.loaded = actors.PID{}, false
}

// publish shows readers of the Directory where the shards are.
func (h *Host) publish(k kind) {
	shards := h.topics[k].shards
	pids := make([]actors.PID, len(shards))
	for i := range shards {
		pids[i] = shards[i].pid
	}
	h.place.Directory.shards[k].Store(&pids)
}

// find is the shard with the pid.
func (h *Host) find(pid actors.PID) (kind, *hostedShard) {
	for k := range kinds {
		for i := range h.topics[k].shards {
			if at := &h.topics[k].shards[i]; !at.pid.IsZero() && at.pid.Equal(pid) {
				return k, at
			}
		}
	}
	return kinds, nil
}

// permit lets waiting shards load.
func (h *Host) permit(ctx *actors.Context) {
	for h.loading < loadsMax && len(h.wanting) > 0 {
		pid := h.wanting[0]
		h.wanting = slices.Delete(h.wanting, 0, 1)
		if _, at := h.find(pid); at != nil && !at.loads {
			at.loads = true
			h.loading++
			ctx.Send(pid, &loadNow{})
		}
	}
}

// release takes back the turn to load.
func (h *Host) release(ctx *actors.Context, at *hostedShard) {
	if at.loads {
		at.loads = false
		h.loading--
		h.permit(ctx)
	}
}

func (h *Host) ready(ctx *actors.Context, m *shardReady) {
	if _, at := h.find(m.from); at != nil {
		if at.loaded = m.loaded; m.loaded {
			at.fails = 0
		}
		h.release(ctx, at)
		h.answer(ctx)
	}
}

// terminated buries a shard, and brings it back if this node still leads its partition.
func (h *Host) terminated(ctx *actors.Context, m actors.Terminated) {
	k, at := h.find(m.Who)
	if at == nil {
		return
	}
	h.release(ctx, at)
	at.pid, at.loaded = actors.PID{}, false
	h.publish(k)
	wait := respawnWait
	for range at.fails {
		wait = min(5*wait, respawnWaitMax)
	}
	at.fails++
	ctx.Logger().Error("coordinator shard failed and is loaded again", "topic", k.topic(), "in", wait, "cause", m.Cause)
	ctx.After(wait, respawn{k})
}

// forward passes on a command that came before the Directory showed its shard.
func (h *Host) forward(ctx *actors.Context, m step.Command) {
	id, k, ok := idOf(m)
	if !ok { // for a shard as a whole
		fail(ctx, m, protocol.CoordinatorLoadInProgress)
		return
	}
	shards := h.topics[k].shards
	if len(shards) == 0 {
		fail(ctx, m, protocol.CoordinatorNotAvailable)
		return
	}
	at := &shards[PartitionOf(id, int32(len(shards)))]
	if at.pid.IsZero() {
		fail(ctx, m, protocol.NotCoordinator)
		return
	}
	ctx.Send(at.pid, m)
}

// ensure keeps who asks until there is an answer.
func (h *Host) ensure(ctx *actors.Context, m *ensure) {
	if code, node := h.standing(m); code == protocol.None {
		ctx.Send(m.ReplyTo, &ensured{protocol.Answer{ID: m.ID}, node, code})
		return
	}
	now := ctx.Mono()
	h.ensures = slices.DeleteFunc(h.ensures, func(m *ensure) bool { return m.until <= now }) // nobody listens any more
	if len(h.ensures) >= ensuresMax {
		ctx.Send(m.Refused(actors.RefusedOverload))
		return
	}
	m.until = now + m.wait
	h.ensures = append(h.ensures, m)
	if _, exists := h.place.Images.Load().Topic(m.kind.topic()); !exists {
		h.create(ctx, m.kind)
	}
}

// standing is how it is with the coordinator of an id: None and who it is, CoordinatorLoadInProgress, or CoordinatorNotAvailable.
func (h *Host) standing(m *ensure) (protocol.Code, protocol.NodeID) {
	number, leader, code := h.place.Directory.leader(h.place.Images.Load(), m.kind, m.id)
	if code != protocol.None || leader != h.place.Node {
		return code, leader
	}
	shards := h.topics[m.kind].shards
	if int(number) >= len(shards) || !shards[number].loaded {
		return protocol.CoordinatorLoadInProgress, leader
	}
	return protocol.None, leader
}

// answer ends the waiting of those for whom there is an answer by now.
func (h *Host) answer(ctx *actors.Context) {
	h.ensures = slices.DeleteFunc(h.ensures, func(m *ensure) bool {
		code, node := h.standing(m)
		if code == protocol.None {
			ctx.Send(m.ReplyTo, &ensured{protocol.Answer{ID: m.ID}, node, code})
		}
		return code == protocol.None
	})
}

// create makes an internal topic.
func (h *Host) create(ctx *actors.Context, k kind) {
	if h.topics[k].creating {
		return
	}
	to := h.place.Controller()
	if to.IsZero() {
		h.refuse(ctx, k)
		return
	}
	h.topics[k].creating = true
	topic := newTopic(k, h.place.settings(), len(h.place.Images.Load().LiveNodes()))
	ctx.Request(to, &protocol.CreateTopics{Topics: []protocol.NewTopic{topic}, Timeout: createWait}, createWait+time.Second)
}

// created takes the controller's answer. That there is the topic, imageChanged has said before.
func (h *Host) created(ctx *actors.Context, m *protocol.TopicsCreated) {
	for _, row := range m.Topics {
		for k := range kinds {
			if row.Name != k.topic() {
				continue
			}
			h.topics[k].creating = false
			if row.Failed() && row.Code != protocol.TopicAlreadyExists {
				ctx.Logger().Error("an internal topic cannot be created", "topic", row.Name, "code", row.Code.Name(), "reason", row.Reason)
				h.refuse(ctx, k)
			}
		}
	}
	h.follow(ctx)
}

func (h *Host) notCreated(ctx *actors.Context) {
	for k := range kinds {
		if h.topics[k].creating {
			h.topics[k].creating = false
			h.refuse(ctx, k)
		}
	}
}

// refuse answers those who wait for a topic that cannot be made.
func (h *Host) refuse(ctx *actors.Context, k kind) {
	h.ensures = slices.DeleteFunc(h.ensures, func(m *ensure) bool {
		if m.kind == k {
			ctx.Send(m.Refused(actors.RefusedStopped))
		}
		return m.kind == k
	})
}

// deleted tells the groups that topics are gone.
func (h *Host) deleted(ctx *actors.Context, d image.Delta) {
	if len(d.TopicsDeleted) == 0 {
		return
	}
	m := &topicsDeleted{}
	for _, t := range d.TopicsDeleted {
		m.topics = append(m.topics, offsets.Topic{Name: t.Name, ID: t.ID})
	}
	h.tellGroups(ctx, m)
}

// tellGroups sends a message to the shards of groups.
func (h *Host) tellGroups(ctx *actors.Context, m any) {
	for _, at := range h.topics[groups].shards {
		if !at.pid.IsZero() {
			ctx.Send(at.pid, m)
		}
	}
}
