package consumer

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/troupe-broker/troupe/actors/protocol"
	"github.com/troupe-broker/troupe/cluster/image"
	"github.com/troupe-broker/troupe/group/step"
)

func topicID(n int) (id protocol.TopicID) {
	id[0], id[14], id[15] = 1, byte(n>>8), byte(n)
	return id
}

var testConfig = Config{
	SessionTimeout: 45 * time.Second, HeartbeatInterval: 5 * time.Second, Assignors: []string{"uniform", "range"}, RegexRefresh: 10 * time.Minute,
}

// world is a group with its log, and time.
type world struct {
	cfg   Config
	g     *Group
	log   []step.Record
	mono  time.Duration
	img   *image.Image
	rand  *rand.Rand
	ids   int
	fails func() bool // whether the next append fails
	// steps counts what the machine was given, appends what it wrote.
	steps, appends int
}

func newWorld(seed uint64) *world {
	w := &world{cfg: testConfig, img: image.Empty(), rand: rand.New(rand.NewPCG(seed, 1)), mono: time.Second}
	w.restart(nil)
	return w
}

func (w *world) now() step.Now {
	return step.Now{Wall: time.UnixMilli(1_700_000_000_000).Add(w.mono), Mono: w.mono, Rand: w.rand.Uint64, Image: w.img}
}

// restart reads the log into a new machine.
func (w *world) restart(log []step.Record) {
	w.g = New("g", w.cfg)
	w.g.img = w.img
	for _, r := range log {
		w.replay(r)
	}
	var out step.Out
	w.g.Loaded(w.now(), &out)
	w.finish(&out)
}

func (w *world) replay(r step.Record) {
	if err := w.g.Replay(r.Key, r.Value); err != nil {
		panic(err)
	}
}

// topic creates a topic, or lets it grow.
func (w *world) topic(n, partitions int) {
	var records []image.Record
	t, ok := w.img.Topic(topicName(n))
	if !ok {
		w.ids++
		t = &image.Topic{ID: topicID(w.ids)}
		records = append(records, &image.TopicCreated{Name: topicName(n), ID: t.ID})
	}
	for p := t.NumPartitions(); p < int32(partitions); p++ {
		records = append(records, &image.PartitionAdded{Topic: t.ID, Partition: p, Leader: 1, Replicas: []protocol.NodeID{1}})
	}
	w.img, _ = w.img.Apply(w.img.MetadataOffset+1, records)
}

func (w *world) deleteTopic(n int) {
	if t, ok := w.img.Topic(topicName(n)); ok {
		w.img, _ = w.img.Apply(w.img.MetadataOffset+1, []image.Record{&image.TopicDeleted{ID: t.ID}})
	}
}

func topicName(n int) string { return fmt.Sprintf("topic%d", n) }

// step gives a command and tells the answers that left.
func (w *world) step(c step.Command) []any {
	var out step.Out
	w.g.Step(w.now(), c, &out)
	return w.finish(&out)
}

// finish does what the actor does with Out.
func (w *world) finish(out *step.Out) (answers []any) {
	w.steps++
	failed := false
	if len(out.Records) > 0 {
		w.appends++
		if failed = w.fails != nil && w.fails(); failed {
			for _, r := range out.Replies {
				answers = append(answers, r.Command.Failed(protocol.CoordinatorNotAvailable))
			}
			w.g.NotAppended(w.now(), protocol.CoordinatorNotAvailable, &step.Out{})
		} else {
			for _, r := range out.Records {
				w.log = append(w.log, r)
				w.replay(r)
			}
			w.g.Appended(w.now(), &step.Out{})
		}
	}
	if !failed {
		for _, r := range out.Replies {
			answers = append(answers, r.Msg)
		}
	}
	return answers
}

// tick lets time pass to at, with all that is due.
func (w *world) tick(at time.Duration) {
	for w.g.Deadline() <= at {
		w.mono = max(w.mono, w.g.Deadline())
		var out step.Out
		w.g.Tick(w.now(), &out)
		w.finish(&out)
	}
	w.mono = max(w.mono, at)
}

func (w *world) beat(c *protocol.HeartbeatConsumer) *protocol.ConsumerHeartbeat {
	c.GroupID = "g"
	return w.step(c)[0].(*protocol.ConsumerHeartbeat)
}

// dump is all hard state, and what follows from it, as text.
func dump(g *Group) string {
	var b strings.Builder
	fmt.Fprintf(&b, "exists %v old %v epoch %d target %d hash %x\n", g.exists, g.oldMetadata, g.epoch, g.targetEpoch, uint64(g.hash))
	for _, m := range g.order {
		fmt.Fprintf(&b, "%s instance %q rack %q client %q %q topics %v regex %q assignor %q timeout %d classic %v epoch %d previous %d state %d assigned %v revoking %v target %v\n",
			m.id, m.instanceID, m.rack, m.clientID, m.clientHost, m.topics, m.regex, m.assignor, m.rebalanceTimeout, m.classic, m.epoch, m.previousEpoch, m.state, m.assigned, m.revoking, m.target)
	}
	var lines []string
	for tp, m := range g.owner {
		lines = append(lines, fmt.Sprintf("%v is of %s", tp, m.id))
	}
	for name, n := range g.topics {
		lines = append(lines, fmt.Sprintf("topic %s of %d", name, n))
	}
	for name, n := range g.assignors {
		lines = append(lines, fmt.Sprintf("assignor %s of %d", name, n))
	}
	for id, m := range g.static {
		lines = append(lines, fmt.Sprintf("instance %s is %s", id, m.id))
	}
	for e, r := range g.regexes {
		lines = append(lines, fmt.Sprintf("regex %s of %d: %v %v %d %d", e, r.members, r.resolved, r.topics, r.version, r.timestamp))
	}
	slices.Sort(lines)
	return b.String() + strings.Join(lines, "\n")
}

// compact is what a cleaner makes of the first n records of a log: of each key only the last, and perhaps no tombstones.
func compact(log []step.Record, n int, tombstones bool) (out []step.Record) {
	last := map[string]int{}
	for i, r := range log[:n] {
		last[string(r.Key)] = i
	}
	for i, r := range log {
		if i >= n || last[string(r.Key)] == i && (tombstones || r.Value != nil) {
			out = append(out, r)
		}
	}
	return out
}
