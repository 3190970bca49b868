package workload

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/troupe-broker/troupe/actors/protocol"
	"github.com/troupe-broker/troupe/simulations/check"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// coordinated is a client that talks to a coordinator, one request at a time, and tries again what has an unknown end.
type coordinated struct {
	client
	last bool // what it fetches it fetches last
	turn int  // numbers what goes on, so that answers to what does not any more are recognised
}

func newCoordinated(s *Stage, name string) coordinated {
	return coordinated{client: newClient(s, name)}
}

// try sends a request until answered says that its answer is final; lost is called instead after limit. build makes it again for every
// attempt, since the connection may be another one by then.
func (c *coordinated) try(limit time.Duration, build func() kmsg.Request, answered func(kmsg.Response) bool, unknown, lost func()) {
	c.turn++
	turn, began := c.turn, c.stage.env.Now()
	var attempt func()
	again := func() {
		if c.stage.env.Now()-began > limit {
			lost()
			return
		}
		c.stage.env.After(c.pause(50*time.Millisecond), attempt)
	}
	attempt = func() {
		if turn != c.turn {
			return
		}
		if !c.up {
			again()
			return
		}
		c.call(build(), func(r kmsg.Response, err error) {
			switch {
			case turn != c.turn:
			case err != nil:
				if err != errRefused {
					unknown()
				}
				again()
			case !answered(r):
				again()
			}
		})
	}
	attempt()
}

// at draws a version of an API between low and the highest both speak: usually the highest.
func (c *coordinated) at(req kmsg.Request, low int16) int16 {
	high := c.version(req, low)
	if high > low && c.rng.IntN(3) == 0 {
		return low + int16(c.rng.IntN(int(high-low)))
	}
	return high
}

// seek finds the coordinator of a group (kind 0) or transactional id (kind 1), which makes it exist. It is tried for ever.
func (c *coordinated) seekCoordinator(key string, kind int8, done func()) {
	c.try(stepTimeout, func() kmsg.Request {
		req := kmsg.NewPtrFindCoordinatorRequest()
		req.Version = min(3, c.at(req, 1))
		req.CoordinatorType, req.CoordinatorKey = kind, key
		return req
	}, func(r kmsg.Response) bool {
		resp := r.(*kmsg.FindCoordinatorResponse)
		c.stage.saw("FindCoordinator", resp.ErrorCode)
		if resp.ErrorCode != 0 {
			return false
		}
		done()
		return true
	}, func() {}, func() { c.seekCoordinator(key, kind, done) })
}

// coming reports codes after which a coordinator may answer otherwise soon.
func coming(code protocol.Code) bool {
	switch code {
	case protocol.CoordinatorLoadInProgress, protocol.CoordinatorNotAvailable, protocol.NotCoordinator, protocol.UnstableOffsetCommit:
		return true
	}
	return again(code)
}

// identityOf is who a client says it is when it commits.
type identityOf struct {
	member, instance string
	generation       int32
}

var nobody = identityOf{generation: -1}

// owner is by what name it owns partitions: a static member goes on with those of the process before.
func (who identityOf) owner() string {
	if who.instance != "" {
		return "instance " + who.instance
	}
	return who.member
}

// spot is one partition in one group.
type spot struct {
	topic *Topic
	key   protocol.TopicPartition
}

// metadataOf names a commit in the metadata of its offset.
func metadataOf(number int64) *string {
	return kmsg.StringPtr("commit " + strconv.FormatInt(number, 10))
}

func numberOf(metadata *string) int64 {
	if metadata == nil {
		return -1
	}
	text, ok := strings.CutPrefix(*metadata, "commit ")
	n, err := strconv.ParseInt(text, 10, 64)
	if !ok || err != nil {
		return -1
	}
	return n
}

// newCommit begins a commit as an operation of the history.
func (c *coordinated) newCommit(group string, at spot, offset int64, who identityOf, txn int) *check.GroupOp {
	s := c.stage
	s.commits++
	return s.Rec.InvokeGroup(check.GroupOp{
		Client: c.name, Func: check.CommitOffset, Group: group, Key: at.key, Number: s.commits, Offset: offset,
		Member: who.member, Instance: who.instance, Generation: who.generation, Txn: txn,
	})
}

// commit commits offsets once. done hears of each what became of it; nil is an unknown end.
func (c *coordinated) commit(group string, spots []spot, offsets []int64, who identityOf, done func(codes []protocol.Code)) {
	req := kmsg.NewPtrOffsetCommitRequest()
	low := int16(2)
	if who.instance != "" {
		low = 7
	}
	if who.incremental() {
		low = 9
	}
	req.Version = c.at(req, low)
	req.Group, req.MemberID, req.Generation = group, who.member, who.generation
	if who.instance != "" {
		req.InstanceID = kmsg.StringPtr(who.instance)
	}
	var ops []*check.GroupOp
	for i, at := range spots {
		op := c.newCommit(group, at, offsets[i], who, 0)
		op.ByName = req.Version < 10
		ops = append(ops, op)
		part := kmsg.NewOffsetCommitRequestTopicPartition()
		part.Partition, part.Offset, part.Metadata = at.key.Partition, offsets[i], metadataOf(op.Number)
		row := kmsg.NewOffsetCommitRequestTopic()
		row.Topic, row.TopicID, row.Partitions = at.topic.Name, at.key.Topic, append(row.Partitions, part)
		req.Topics = append(req.Topics, row)
	}
	c.call(req, func(r kmsg.Response, err error) {
		codes := c.committed(r, err, ops)
		if done != nil {
			done(codes)
		}
	})
}

// incremental tells members of KIP-848 by their ids, which they make themselves.
func (who identityOf) incremental() bool { return strings.HasPrefix(who.member, modernPrefix) }

func (c *coordinated) committed(r kmsg.Response, err error, ops []*check.GroupOp) (codes []protocol.Code) {
	for i, op := range ops {
		if err != nil {
			op.Err = err.Error()
			outcome := check.Info
			if err == errRefused {
				outcome = check.Fail
			}
			c.stage.Rec.CompleteGroup(op, outcome)
			continue
		}
		resp := r.(*kmsg.OffsetCommitResponse)
		if len(resp.Topics) != len(ops) || len(resp.Topics[i].Partitions) != 1 {
			c.stage.violate("%s: OffsetCommit v%d of %d partitions answers for %d topics", c.name, resp.Version, len(ops), len(resp.Topics))
			return nil
		}
		code := protocol.Code(resp.Topics[i].Partitions[0].ErrorCode)
		codes = append(codes, code)
		c.finishCommit("OffsetCommit", op, code)
	}
	return codes
}

// finishCommit ends a commit: what a coordinator refuses did not happen, what it cannot tell may have.
func (c *coordinated) finishCommit(api string, op *check.GroupOp, code protocol.Code) {
	c.stage.saw(api, int16(code))
	if code == protocol.None {
		c.stage.Commits++
		c.stage.Rec.CompleteGroup(op, check.OK)
		return
	}
	op.Err = code.Error()
	outcome := check.Fail
	if coming(code) {
		outcome = check.Info
	}
	c.stage.Rec.CompleteGroup(op, outcome)
}

// fetchOffsets asks for the committed offsets of spots. found hears of them, -1 where there is none; nil if there was no good answer.
func (c *coordinated) fetchOffsets(group string, spots []spot, who identityOf, found func(offsets []int64)) {
	req := kmsg.NewPtrOffsetFetchRequest()
	low := int16(2)
	if c.stage.Copiers > 0 {
		low = 7
	}
	req.Version = c.at(req, low)
	req.RequireStable = req.Version >= 7
	if req.Version < 8 {
		req.Group = group
		for _, at := range spots {
			row := kmsg.NewOffsetFetchRequestTopic()
			row.Topic, row.Partitions = at.topic.Name, []int32{at.key.Partition}
			req.Topics = append(req.Topics, row)
		}
	} else {
		g := kmsg.NewOffsetFetchRequestGroup()
		g.Group, g.MemberEpoch = group, -1
		if who.incremental() && req.Version >= 9 {
			g.MemberID, g.MemberEpoch = kmsg.StringPtr(who.member), who.generation
		}
		for _, at := range spots {
			row := kmsg.NewOffsetFetchRequestGroupTopic()
			row.Topic, row.TopicID, row.Partitions = at.topic.Name, at.key.Topic, []int32{at.key.Partition}
			g.Topics = append(g.Topics, row)
		}
		req.Groups = append(req.Groups, g)
	}
	began := c.stage.Rec.Now()
	c.call(req, func(r kmsg.Response, err error) {
		if err != nil {
			found(nil)
			return
		}
		found(c.offsetsIn(r.(*kmsg.OffsetFetchResponse), group, spots, began))
	})
}

// offsetsIn reads an answer of OffsetFetch, in either form.
func (c *coordinated) offsetsIn(resp *kmsg.OffsetFetchResponse, group string, spots []spot, began check.Instant) (offsets []int64) {
	g := kmsg.OffsetFetchResponseGroup{ErrorCode: resp.ErrorCode}
	for _, t := range resp.Topics {
		row := kmsg.OffsetFetchResponseGroupTopic{Topic: t.Topic}
		for _, p := range t.Partitions {
			row.Partitions = append(row.Partitions, kmsg.OffsetFetchResponseGroupTopicPartition(p))
		}
		g.Topics = append(g.Topics, row)
	}
	if resp.Version >= 8 {
		if len(resp.Groups) != 1 || resp.Groups[0].Group != group {
			c.stage.violate("%s: OffsetFetch v%d answers for %d groups", c.name, resp.Version, len(resp.Groups))
			return nil
		}
		g = resp.Groups[0]
	}
	c.stage.saw("OffsetFetch", g.ErrorCode)
	if g.ErrorCode != 0 {
		return nil
	}
	if len(g.Topics) != len(spots) {
		c.stage.violate("%s: OffsetFetch v%d of %d partitions answers for %d topics", c.name, resp.Version, len(spots), len(g.Topics))
		return nil
	}
	for i, at := range spots {
		part := g.Topics[i].Partitions[0]
		c.stage.saw("OffsetFetch", part.ErrorCode)
		if part.ErrorCode != 0 {
			if part.Offset != -1 {
				c.stage.violate("%s: OffsetFetch %s with offset %d", c.name, protocol.Code(part.ErrorCode).Name(), part.Offset)
			}
			return nil
		}
		offsets = append(offsets, part.Offset)
		if at.topic.ambiguous() {
			continue // there may be no such topic any more, or another one
		}
		op := check.GroupOp{Client: c.name, Func: check.FetchOffset, Group: group, Key: at.key, Offset: part.Offset, Generation: -1, Last: c.last}
		if part.Offset >= 0 {
			op.Number = numberOf(part.Metadata)
		}
		c.stage.Rec.CompleteGroup(c.stage.Rec.InvokeGroupAt(began, op), check.OK)
	}
	return offsets
}

// allSpots are the partitions of all topics.
func (s *Stage) allSpots() (out []spot) {
	for _, t := range s.topics {
		for i := range t.Partitions {
			out = append(out, spot{t, protocol.TopicPartition{Topic: t.ID, Partition: i}})
		}
	}
	return out
}

func (at spot) String() string { return fmt.Sprintf("%s/%d", at.topic.Name, at.key.Partition) }
