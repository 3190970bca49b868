package workload

import (
	"fmt"
	"slices"
	"time"

	"github.com/troupe-broker/troupe/actors/protocol"
	"github.com/troupe-broker/troupe/simulations/check"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// copierGroup is the group of all copiers of a run.
const copierGroup = "copiers"

// Copier copies the first topic of a run to the second exactly once: it is a member of a group, reads its partitions with isolation level
// read_committed, and in one transaction produces the copies and commits the group's offset. Its member lives as members do, so it goes on
// with partitions it does not own any more; and now and then a twin with its transactional id appears while it is in the middle of a
// transaction, and it finds out by being fenced.
type Copier struct {
	coordinated
	stray           client // what was sent long ago arrives by it
	process         int
	member          *Member
	transactionalID string
	tv2             bool
	id              producerState
	identified      bool
	sequences       map[protocol.TopicPartition]int32
	who             identityOf
	owned           []spot
	positions       map[protocol.TopicPartition]int64 // nil: to be asked for
	next            int
	txn             *copying
	twins           int
	doomed, dead    bool // a twin took over: nothing new is begun; and then nothing at all
}

// copying is the transaction that goes on.
type copying struct {
	number   int
	commit   bool
	from     spot
	to       spot
	reads    []fetched
	position int64
	who      identityOf
	send     *check.Op
	unsure   bool // the send has an attempt with an unknown end
	offset   *check.GroupOp
	lost     bool // the offset commit has one
	end      *check.Op
	endLost  bool
}

// StartCopier begins a copier.
func StartCopier(s *Stage, name string) *Copier {
	return startCopier(s, name, name, 0)
}

func startCopier(s *Stage, name, transactionalID string, twins int) *Copier {
	c := &Copier{
		coordinated: newCoordinated(s, name), process: s.newProcess(), transactionalID: transactionalID, id: noProducer, who: nobody, twins: twins,
	}
	c.tv2 = c.rng.IntN(2) == 0
	if !c.tv2 {
		c.pinned[0], c.pinned[26], c.pinned[28] = int16(3+c.rng.IntN(9)), int16(c.rng.IntN(5)), int16(3+c.rng.IntN(2))
	}
	c.pinned[24] = 3
	c.stray = newClient(s, name+"-stray")
	c.stray.dial()
	c.member = newMember(s, name+"-member", copierGroup)
	c.member.topics, c.member.gentle = c.inputs, true
	c.member.Given, c.member.Taken = c.given, func() { c.owned, c.positions = nil, nil }
	s.copiers = append(s.copiers, c)
	c.member.start()
	c.member.live()
	c.dial()
	c.seekCoordinator(transactionalID, 1, c.identify)
	return c
}

// inputs are the partitions of the first topic.
func (c *Copier) inputs() (out []spot) {
	for _, at := range c.stage.allSpots() {
		if at.topic == c.stage.topics[0] {
			out = append(out, at)
		}
	}
	return out
}

func (c *Copier) given(who identityOf, owned []spot) { c.who, c.owned, c.positions = who, owned, nil }

// Idle reports whether no transaction goes on.
func (c *Copier) Idle() bool { return c.txn == nil || c.dead }

// Behind describes what is not copied.
func (c *Copier) Behind() string {
	if c.dead {
		return ""
	}
	for _, at := range c.inputs() {
		if c.stage.copied[at.key] < c.stage.highest[at.key] {
			return fmt.Sprintf("%v is copied to %d, %d is acknowledged", at, c.stage.copied[at.key], c.stage.highest[at.key])
		}
	}
	return ""
}

// step does the next thing.
func (c *Copier) step() {
	switch {
	case c.dead || c.stage.halted:
	case c.doomed:
		c.die()
	case !c.up || !c.identified || len(c.owned) == 0:
		c.later()
	case c.positions == nil:
		c.find()
	default:
		c.next++
		c.read(c.owned[c.next%len(c.owned)])
	}
}

// later does the next thing after a pause.
func (c *Copier) later() {
	wait := c.stage.Pace
	if c.stage.stopped {
		wait = min(wait, 5*time.Millisecond)
	}
	c.stage.env.After(c.pause(wait), c.step)
}

func (c *Copier) die() {
	c.dead = true
	c.turn++
	c.member.vanish()
}

// find asks where to go on.
func (c *Copier) find() {
	owned := c.owned
	c.fetchOffsets(copierGroup, owned, c.who, func(offsets []int64) {
		if offsets != nil && c.positions == nil && slices.Equal(owned, c.owned) {
			c.positions = map[protocol.TopicPartition]int64{}
			for i, at := range owned {
				c.positions[at.key] = max(0, offsets[i])
				c.stage.reached(at.key, offsets[i])
			}
		}
		c.later()
	})
}

// reached notes how far an input partition is copied.
func (s *Stage) reached(key protocol.TopicPartition, offset int64) {
	s.copied[key] = max(s.copied[key], offset)
}

// read fetches some records of one partition.
func (c *Copier) read(at spot) {
	from := c.positions[at.key]
	req := kmsg.NewPtrFetchRequest()
	req.Version = c.at(req, 4)
	req.MaxWaitMillis, req.MinBytes, req.MaxBytes, req.SessionEpoch, req.IsolationLevel = 50, 1, c.stage.FetchBytes, -1, 1
	part := kmsg.NewFetchRequestTopicPartition()
	part.Partition, part.FetchOffset, part.PartitionMaxBytes, part.CurrentLeaderEpoch = at.key.Partition, from, c.stage.FetchBytes, -1
	row := kmsg.NewFetchRequestTopic()
	row.Topic, row.TopicID, row.Partitions = at.topic.Name, at.key.Topic, append(row.Partitions, part)
	req.Topics = append(req.Topics, row)
	c.call(req, func(r kmsg.Response, err error) {
		if err != nil {
			c.later()
			return
		}
		resp := r.(*kmsg.FetchResponse)
		if resp.ErrorCode != 0 || len(resp.Topics) != 1 || resp.Topics[0].Partitions[0].ErrorCode != 0 {
			c.later()
			return
		}
		c.took(at, from, &resp.Topics[0].Partitions[0])
	})
}

func (c *Copier) took(at spot, from int64, part *kmsg.FetchResponseTopicPartition) {
	records, _, err := decodeBatches(part.RecordBatches, at.topic, c.stage.PadMax)
	if err != nil {
		c.stage.violate("%s: records of %v from %d: %v", c.name, at, from, err)
	}
	if c.positions == nil || c.positions[at.key] != from || !slices.Contains(c.owned, at) {
		c.later() // it is another assignment
		return
	}
	next, visible := from, newFilter(part, true)
	var reads []fetched
	most := 4 * c.stage.BatchMax
	if c.stage.stopped {
		most = 1000 // what is left is copied quickly
	}
	for _, r := range records {
		shown := visible.shows(r)
		if r.Offset < from || len(reads) == most {
			continue
		}
		next = r.Offset + 1
		if shown {
			reads = append(reads, r)
		}
	}
	if len(reads) == 0 {
		c.positions[at.key] = next
		if next > from || next >= part.HighWatermark {
			c.stage.reached(at.key, next)
		}
		c.later()
		return
	}
	c.begin(at, reads, next)
}

// begin begins the transaction.
func (c *Copier) begin(at spot, reads []fetched, next int64) {
	output := c.stage.topics[1]
	to := spot{output, protocol.TopicPartition{Topic: output.ID, Partition: at.key.Partition % output.Partitions}}
	c.txn = &copying{number: c.stage.newTxn(), commit: c.rng.IntN(10) > 0 || c.stage.stopped, from: at, to: to, reads: reads, position: next, who: c.who}
	if c.rng.IntN(15) == 0 && !c.stage.stopped && c.twins < 3 {
		c.stage.sometimes("twin of a copier", true)
		c.doomed = true
		twin := func() {
			startCopier(c.stage, fmt.Sprintf("%s.%d", c.transactionalID, c.twins+1), c.transactionalID, c.twins+1)
		}
		c.stage.env.After(c.pause(20*time.Millisecond), twin)
	}
	if c.tv2 {
		c.produce()
	} else {
		c.addPartition()
	}
}

// giveUp ends the transaction by taking a new epoch; one with a twin is dead.
func (c *Copier) giveUp() {
	c.turn++
	if x := c.txn; x != nil {
		c.settle(x)
	}
	c.txn = nil
	if c.doomed {
		c.die()
		return
	}
	c.positions = nil
	c.seekCoordinator(c.transactionalID, 1, c.identify)
}

// settle ends what of the transaction was left open.
func (c *Copier) settle(x *copying) {
	if x.send != nil && x.send.Complete == check.Never {
		c.stage.Rec.Complete(x.send, outcomeOf(x.unsure))
	}
	if x.offset != nil && x.offset.Complete == check.Never {
		c.stage.Rec.CompleteGroup(x.offset, outcomeOf(x.lost))
	}
	if x.end != nil && x.end.Complete == check.Never {
		c.stage.Rec.Complete(x.end, outcomeOf(x.endLost))
	}
}

// outcomeOf is the end of what was refused in the last attempt: unknown if an earlier one may have done it.
func outcomeOf(unsure bool) check.Outcome {
	if unsure {
		return check.Info
	}
	return check.Fail
}

// identify takes a new epoch. It is tried for ever.
func (c *Copier) identify() {
	c.identified = false
	c.try(stepTimeout, func() kmsg.Request {
		req := identityRequest(c.transactionalID)
		req.Version = c.at(req, 0)
		return req
	}, func(r kmsg.Response) bool {
		resp := r.(*kmsg.InitProducerIDResponse)
		c.stage.saw("InitProducerId", resp.ErrorCode)
		if resp.ErrorCode != 0 {
			return false
		}
		id := producerState{resp.ProducerID, resp.ProducerEpoch}
		c.stage.issued(c.name, c.transactionalID, id)
		c.id, c.sequences, c.identified = id, map[protocol.TopicPartition]int32{}, true
		c.step()
		return true
	}, func() {}, c.identify)
}

// issued holds the identities of a transactional id: none is given twice by InitProducerId, to whomever.
func (s *Stage) issued(name, transactionalID string, id producerState) {
	if s.identitiesOf == nil {
		s.identitiesOf = map[producerState]string{}
	}
	if other, given := s.identitiesOf[id]; given || id.id < 0 || id.epoch < 0 {
		s.violate("%s: InitProducerId gave %v of %s again, to %s before", name, id, transactionalID, other)
	}
	s.identitiesOf[id] = name
}
