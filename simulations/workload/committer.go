package workload

import (
	"fmt"
	"slices"
	"time"

	"github.com/troupe-broker/troupe/actors/protocol"
	"github.com/troupe-broker/troupe/simulations/check"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// committedGroups is how many groups the committers of a run share.
const committedGroups = 4

// Committer commits and asks for offsets of groups that have no members, several requests in flight, and now and then deletes an offset
// or a group. Whatever is answered goes into the history; nothing is tried again.
type Committer struct {
	coordinated
	inFlight int
	ready    bool
	found    int
}

// StartCommitter begins a committer.
func StartCommitter(s *Stage, name string) *Committer {
	c := &Committer{coordinated: newCoordinated(s, name)}
	c.dial()
	c.findAll(0)
	c.tick()
	return c
}

func committedGroup(i int) string { return fmt.Sprint("offsets-", i) }

func (c *Committer) findAll(i int) {
	if i == committedGroups {
		c.ready = true
		return
	}
	c.seekCoordinator(committedGroup(i), 0, func() { c.findAll(i + 1) })
}

func (c *Committer) tick() {
	if c.stage.stopped {
		return
	}
	c.stage.env.After(c.pause(c.stage.Pace), c.tick)
	if c.ready && c.up && c.inFlight < inFlightMax {
		c.operate()
	}
}

// Idle reports whether nothing is in flight.
func (c *Committer) Idle() bool { return c.inFlight == 0 }

// Behind implements what a run waits for in the end: committers are never behind.
func (c *Committer) Behind() string { return "" }

func (c *Committer) operate() {
	name := committedGroup(c.rng.IntN(committedGroups))
	spots := c.some()
	if len(spots) == 0 {
		return
	}
	c.stage.groupOf(name, spots)
	c.inFlight++
	switch n := c.rng.IntN(40); {
	case n < 20 && c.stage.mayCommit(c.rng.IntN):
		offsets := make([]int64, len(spots))
		for i := range offsets {
			offsets[i] = c.rng.Int64N(1 << 40)
		}
		c.commit(name, spots, offsets, nobody, func(codes []protocol.Code) { c.inFlight-- })
	case n < 38 || c.stage.OffsetRetention > 0:
		c.fetchOffsets(name, spots, nobody, func([]int64) { c.inFlight-- })
	case n < 39 && !c.stage.Deletes: // by name it might be another topic's
		c.deleteOffsets(name, spots)
	default:
		c.deleteGroup(name)
	}
}

// some draws up to three partitions.
func (c *Committer) some() (out []spot) {
	all := c.stage.allSpots()
	if len(all) == 0 {
		return nil
	}
	first := c.rng.IntN(len(all))
	for i := range min(1+c.rng.IntN(3), len(all)) {
		out = append(out, all[(first+i)%len(all)])
	}
	return out
}

func (c *Committer) newDelete(name string, at spot) *check.GroupOp {
	return c.stage.Rec.InvokeGroup(check.GroupOp{Client: c.name, Func: check.DeleteOffset, Group: name, Key: at.key, Generation: -1})
}

func (c *Committer) finishDelete(api string, op *check.GroupOp, code protocol.Code) {
	c.stage.saw(api, int16(code))
	outcome := check.Info
	switch code {
	case protocol.None:
		outcome = check.OK
	case protocol.GroupIDNotFound, protocol.NonEmptyGroup, protocol.GroupSubscribedToTopic:
		outcome = check.Fail
	}
	c.stage.Rec.CompleteGroup(op, outcome)
}

func (c *Committer) deleteOffsets(name string, spots []spot) {
	req := kmsg.NewPtrOffsetDeleteRequest()
	req.Group = name
	var ops []*check.GroupOp
	for _, at := range spots {
		ops = append(ops, c.newDelete(name, at))
		part := kmsg.NewOffsetDeleteRequestTopicPartition()
		part.Partition = at.key.Partition
		row := kmsg.NewOffsetDeleteRequestTopic()
		row.Topic, row.Partitions = at.topic.Name, append(row.Partitions, part)
		req.Topics = append(req.Topics, row)
	}
	c.call(req, func(r kmsg.Response, err error) {
		c.inFlight--
		for i, op := range ops {
			switch resp, _ := r.(*kmsg.OffsetDeleteResponse); {
			case err != nil:
				c.stage.Rec.CompleteGroup(op, check.Info)
			case resp.ErrorCode != 0:
				c.finishDelete("OffsetDelete", op, protocol.Code(resp.ErrorCode))
			case len(resp.Topics) != len(ops):
				c.stage.violate("%s: OffsetDelete answers for %d of %d topics", c.name, len(resp.Topics), len(ops))
			default:
				c.finishDelete("OffsetDelete", op, protocol.Code(resp.Topics[i].Partitions[0].ErrorCode))
			}
		}
	})
}

// deleteGroup deletes a group with all offsets in it.
func (c *Committer) deleteGroup(name string) {
	req := kmsg.NewPtrDeleteGroupsRequest()
	req.Version, req.Groups = c.at(req, 0), []string{name}
	var ops []*check.GroupOp
	all := c.stage.allSpots()
	for _, at := range all {
		ops = append(ops, c.newDelete(name, at))
	}
	began := c.stage.Rec.Now()
	c.call(req, func(r kmsg.Response, err error) {
		c.inFlight--
		for _, at := range c.stage.allSpots() {
			if !slices.Contains(all, at) { // made meanwhile
				ops = append(ops, c.newDelete(name, at))
				ops[len(ops)-1].Invoked = began
			}
		}
		for _, op := range ops {
			if err != nil {
				c.stage.Rec.CompleteGroup(op, check.Info)
				continue
			}
			resp := r.(*kmsg.DeleteGroupsResponse)
			c.finishDelete("DeleteGroups", op, protocol.Code(resp.Groups[0].ErrorCode))
		}
	})
}

// LastLook asks for every offset of every group of the run, until each was answered.
type LastLook struct {
	coordinated
	left []*group
	// Offsets are those of each group, in the order of its partitions.
	offsets map[string][]int64
}

// StartLastLook begins a last look.
func StartLastLook(s *Stage, name string) *LastLook {
	l := &LastLook{coordinated: newCoordinated(s, name), offsets: map[string][]int64{}}
	l.last = true
	l.left = append(l.left, s.groups...)
	l.dial()
	l.step()
	return l
}

// Done reports whether everything was answered.
func (l *LastLook) Done() bool { return len(l.left) == 0 }

// Left describes what is missing.
func (l *LastLook) Left() string {
	return fmt.Sprintf("%d groups, first %s", len(l.left), l.left[0].name)
}

func (l *LastLook) step() {
	if l.Done() {
		return
	}
	again := func() { l.stage.env.After(l.pause(50*time.Millisecond), l.step) }
	if !l.up {
		again()
		return
	}
	g := l.left[0]
	living := slices.DeleteFunc(slices.Clone(g.spots), func(at spot) bool { return at.topic.gone })
	found := func(offsets []int64) {
		if offsets == nil {
			again()
			return
		}
		l.offsets[g.name] = offsets
		l.lookForGhosts(g, again)
	}
	if len(living) == 0 {
		found([]int64{})
		return
	}
	l.fetchOffsets(g.name, living, nobody, found)
}

// lookForGhosts asks for all offsets of a group: none is of a topic that is gone. One may stay if the node began another life between
// the deletion and the removal, or a commit met the deletion, as with Kafka; nobody who asks for a topic is told of it.
func (l *LastLook) lookForGhosts(g *group, again func()) {
	req := kmsg.NewPtrOffsetFetchRequest()
	req.Version = 8
	asked := kmsg.NewOffsetFetchRequestGroup()
	asked.Group = g.name
	req.Groups = append(req.Groups, asked)
	l.call(req, func(r kmsg.Response, err error) {
		if err != nil || r.(*kmsg.OffsetFetchResponse).Groups[0].ErrorCode != 0 {
			again()
			return
		}
		for _, row := range r.(*kmsg.OffsetFetchResponse).Groups[0].Topics {
			l.stage.ghost(g.name, row.Topic, l.conn.Life())
		}
		l.left = l.left[1:]
		l.step()
	})
}

// ghost judges an offset of a topic: whether that is alive, or the offset may have outlived it.
func (s *Stage) ghost(group, topic string, life int) {
	met, known := false, false
	for _, t := range s.all {
		if t.Name != topic {
			continue
		}
		if !t.gone {
			return
		}
		known = true
		met = met || t.goneLife != life || slices.ContainsFunc(s.Rec.History().GroupOps, func(op *check.GroupOp) bool {
			return op.Func == check.CommitOffset && op.Group == group && op.Key.Topic == t.ID && op.Complete > t.goneAt
		})
	}
	s.sometimes("offset that outlived its topic", true)
	if known && !met {
		s.violate("%s has an offset of %s, which was deleted in life %d", group, topic, life)
	}
}

// NoteCopied tells the history where the group of copiers is.
func (l *LastLook) NoteCopied() {
	for _, g := range l.stage.groups {
		if g.name != copierGroup || l.offsets[g.name] == nil {
			continue
		}
		copied := l.stage.Rec.History()
		copied.Copied = map[protocol.TopicPartition]int64{}
		for i, at := range g.spots {
			copied.Copied[at.key] = l.offsets[g.name][i]
		}
	}
}
