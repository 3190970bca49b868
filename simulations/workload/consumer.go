package workload

import (
	"fmt"
	"time"

	"github.com/troupe-broker/troupe/actors/protocol"
	"github.com/troupe-broker/troupe/simulations/check"
	"github.com/twmb/franz-go/pkg/kmsg"
)

const errorWait = 100 * time.Millisecond // mean pause after an error

// Consumer reads a few assigned partitions in order, now and then seeks, and uses a fetch session where the version has one.
type Consumer struct {
	client
	process   int
	committed bool // read_committed
	session   bool
	sessionID int32
	epoch     int32
	places    []*place // assigned, in the order of the assignment
	forget    []*place // of the session, not assigned any more
	busy      bool
	fetches   int
}

// place is where a consumer is in one partition.
type place struct {
	topic  *Topic
	key    protocol.TopicPartition
	offset int64 // -1: must be looked up
	known  bool  // the session has it at this offset
	assign *check.Op
}

// StartConsumer begins a consumer.
func StartConsumer(s *Stage, name string) *Consumer {
	c := &Consumer{client: newClient(s, name), process: s.newProcess()}
	c.committed = c.rng.IntN(2) == 0
	c.session = c.rng.IntN(3) > 0
	if c.rng.Float64() < s.OldVersions {
		c.pinned[1] = int16(4 + c.rng.IntN(14))
		c.pinned[2] = int16(1 + c.rng.IntN(10))
	}
	c.ready, c.broken = func() { c.step() }, func() { c.busy = false; c.newSession() }
	c.dial()
	return c
}

func (c *Consumer) newSession() {
	c.sessionID, c.epoch, c.forget = 0, 0, nil
	for _, p := range c.places {
		p.known = false
	}
}

// step does the next thing: reassign, look an offset up, or fetch.
func (c *Consumer) step() {
	if !c.up || c.busy || c.stage.halted {
		return
	}
	c.busy = true
	c.dropGone()
	if !c.stage.stopped && (len(c.places) == 0 || c.rng.IntN(40) == 0) {
		c.reassign()
	}
	for _, p := range c.places {
		if p.offset < 0 {
			c.lookUp(p)
			return
		}
	}
	if len(c.places) == 0 {
		c.later(errorWait)
		return
	}
	c.fetch()
}

// Behind describes a partition that the consumer has not read to the highest acknowledged offset; empty if there is none.
func (c *Consumer) Behind() string {
	for _, p := range c.places {
		if p.offset < c.stage.highest[p.key] && !p.topic.gone && !c.stage.Excused(p.topic) {
			return fmt.Sprintf("%s is at %d of %v, %d is acknowledged (session %d)", c.name, p.offset, p.key, c.stage.highest[p.key], c.sessionID)
		}
	}
	return ""
}

// later goes on after a pause.
func (c *Consumer) later(d time.Duration) {
	c.stage.env.After(c.pause(d), func() {
		c.busy = false
		c.step()
	})
}

func (c *Consumer) again() {
	c.busy = false
	c.stage.env.After(c.pause(5*time.Millisecond), c.step)
}

func (c *Consumer) dropGone() {
	kept := c.places[:0:0]
	for _, p := range c.places {
		if p.topic.gone && c.rng.IntN(4) == 0 { // goes on for a while, to see what a deleted topic answers
			c.leave(p)
			continue
		}
		kept = append(kept, p)
	}
	c.places = kept
}

func (c *Consumer) leave(p *place) {
	if p.known && c.sessionID != 0 {
		c.forget = append(c.forget, p)
	}
}

// reassign takes up to three partitions, at their beginning, their end or anywhere between.
func (c *Consumer) reassign() {
	for _, p := range c.places {
		c.leave(p)
	}
	c.places = nil
	for range 1 + c.rng.IntN(3) {
		t, key, ok := c.stage.pick(c.rng.IntN)
		if ok && !c.hasName(t.Name, key.Partition) {
			c.places = append(c.places, &place{topic: t, key: key, offset: -1})
		}
	}
}

// hasName is has for requests by name, in which two incarnations of one topic look alike.
func (c *Consumer) hasName(name string, partition int32) bool {
	for _, p := range c.places {
		if p.topic.Name == name && p.key.Partition == partition {
			return true
		}
	}
	return false
}

func (c *Consumer) has(key protocol.TopicPartition) bool {
	for _, p := range c.places {
		if p.key == key {
			return true
		}
	}
	return false
}

// lookUp asks for the place to start at. The question is an operation of the history too.
func (c *Consumer) lookUp(p *place) {
	at := check.AtEarliest
	if c.rng.IntN(3) == 0 {
		at = check.AtLatest
	}
	c.list(p.topic, p.key, at, c.process, func(offset int64, code protocol.Code, err error) {
		if err != nil {
			return
		}
		if code != protocol.None || offset < 0 {
			c.later(errorWait)
			return
		}
		if at == check.AtLatest && c.rng.IntN(2) == 0 {
			offset = c.rng.Int64N(offset + 1) // may be below the log start: then the broker must say so
		}
		c.seek(p, offset)
		c.again()
	})
}

func (c *Consumer) seek(p *place, offset int64) {
	op := c.stage.Rec.Invoke(check.Op{Process: c.process, Func: check.Assign, Key: p.key, Offset: offset})
	c.stage.Rec.Complete(op, check.OK)
	p.offset, p.known = offset, false
}

// fetch asks for records of all places: all of them in the first request of a session, the changed ones later.
func (c *Consumer) fetch() {
	req := kmsg.NewPtrFetchRequest()
	req.Version = c.version(req, 4)
	req.MaxWaitMillis = int32(c.rng.IntN(500))
	req.MinBytes = int32(c.rng.IntN(3))
	req.MaxBytes = 1 + c.rng.Int32N(c.stage.FetchBytes*2)
	if c.committed {
		req.IsolationLevel = 1
	}
	session := c.session && req.Version >= 7
	req.SessionID, req.SessionEpoch = 0, -1
	if session {
		req.SessionID, req.SessionEpoch = c.sessionID, c.epoch
	}
	asked := map[protocol.TopicPartition]int64{}
	for _, p := range c.places {
		asked[p.key] = p.offset
		if !session || c.epoch == 0 || !p.known {
			c.addFetch(req, p)
			p.known = true
		}
	}
	if session && c.epoch > 0 {
		c.addForgotten(req)
	}
	c.forget = nil
	began := c.stage.Rec.Now()
	c.fetches++
	c.call(req, func(r kmsg.Response, err error) {
		if err == nil {
			c.fetched(r.(*kmsg.FetchResponse), began, asked, session)
		}
	})
}

func (c *Consumer) addFetch(req *kmsg.FetchRequest, p *place) {
	part := kmsg.NewFetchRequestTopicPartition()
	part.Partition, part.FetchOffset, part.CurrentLeaderEpoch = p.key.Partition, p.offset, -1
	part.PartitionMaxBytes = 1 + c.rng.Int32N(c.stage.FetchBytes)
	for i := range req.Topics {
		if req.Topics[i].TopicID == p.topic.ID {
			req.Topics[i].Partitions = append(req.Topics[i].Partitions, part)
			return
		}
	}
	t := kmsg.NewFetchRequestTopic()
	t.Topic, t.TopicID, t.Partitions = p.topic.Name, p.topic.ID, append(t.Partitions, part)
	req.Topics = append(req.Topics, t)
}

func (c *Consumer) addForgotten(req *kmsg.FetchRequest) {
	for _, p := range c.forget {
		if c.has(p.key) || req.Version < 13 && c.hasName(p.topic.Name, p.key.Partition) {
			continue
		}
		t := kmsg.NewFetchRequestForgottenTopic()
		t.Topic, t.TopicID, t.Partitions = p.topic.Name, p.topic.ID, []int32{p.key.Partition}
		req.ForgottenTopics = append(req.ForgottenTopics, t)
	}
}

func (c *Consumer) fetched(resp *kmsg.FetchResponse, began check.Instant, asked map[protocol.TopicPartition]int64, session bool) {
	c.stage.saw("Fetch", resp.ErrorCode)
	if resp.ErrorCode != 0 {
		c.newSession()
		c.later(errorWait)
		return
	}
	if session {
		c.sessionID = resp.SessionID
		c.epoch++
		if c.sessionID == 0 {
			c.newSession()
		}
	}
	wait := false
	for i := range resp.Topics {
		for j := range resp.Topics[i].Partitions {
			part := &resp.Topics[i].Partitions[j]
			p := c.find(resp, i, part.Partition)
			if p == nil {
				continue // of a former assignment
			}
			if !c.take(p, part, began, asked[p.key], resp.Version) {
				wait = true
			}
		}
	}
	if wait {
		c.later(errorWait)
		return
	}
	c.again()
}

func (c *Consumer) find(resp *kmsg.FetchResponse, topic int, partition int32) *place {
	t := &resp.Topics[topic]
	for _, p := range c.places {
		byName := resp.Version < 13 && t.Topic == p.topic.Name
		byID := resp.Version >= 13 && t.TopicID == p.topic.ID
		if p.key.Partition == partition && (byName || byID) {
			return p
		}
	}
	return nil
}

// take handles one partition of an answer; false after an error.
func (c *Consumer) take(p *place, part *kmsg.FetchResponseTopicPartition, began check.Instant, asked int64, version int16) bool {
	code := protocol.Code(part.ErrorCode)
	c.stage.saw("Fetch", part.ErrorCode)
	if asked != p.offset {
		return true // the session answered for an offset it no longer has
	}
	switch code {
	case protocol.None:
	case protocol.OffsetOutOfRange:
		p.offset = -1
		return true
	default:
		if len(part.RecordBatches) > 0 {
			c.stage.violate("%s: %s with records of %v", c.name, code.Name(), p.key)
		}
		c.newSession()
		return false
	}
	if version < 13 && p.topic.ambiguous() {
		p.offset = -1 // by name it may be the next incarnation that answered
		return true
	}
	p.offset = c.stage.record(&c.client, p, part, began, check.Op{Process: c.process, Committed: c.committed})
	p.known = p.known && p.offset == asked
	return true
}

// record puts one partition's answer into the history and returns the next offset.
func (s *Stage) record(c *client, p *place, part *kmsg.FetchResponseTopicPartition, began check.Instant, op check.Op) int64 {
	op.Func, op.Key, op.Position = check.Poll, p.key, p.offset
	op.HighWatermark, op.LastStable, op.LogStart = part.HighWatermark, part.LastStableOffset, part.LogStartOffset
	records, end, err := decodeBatches(part.RecordBatches, p.topic, s.PadMax)
	if err != nil {
		s.violate("%s: records of %v from %d: %v", c.name, p.key, p.offset, err)
	}
	if op.Committed != (part.AbortedTransactions != nil) {
		s.violate("%s: aborted transactions of %v: %v (read_committed %v)", c.name, p.key, part.AbortedTransactions, op.Committed)
	}
	next := p.offset
	visible := newFilter(part, op.Committed)
	for _, r := range records {
		shown := visible.shows(r)
		if r.Offset < p.offset {
			continue // the batch began before the offset asked for
		}
		next = r.Offset + 1
		switch {
		case r.marker:
			op.Markers = append(op.Markers, r.Offset)
		case shown:
			op.Reads = append(op.Reads, r.Read)
		default:
			op.Hidden = append(op.Hidden, r.Read)
		}
	}
	if p.topic.Compacted {
		s.sometimes("records compacted away", end > next)
		next = max(next, end)
	}
	s.sometimes("aborted records left out", visible.hidden > 0)
	if len(records) > 0 && next == p.offset {
		s.violate("%s: records of %v from %d all lie before it", c.name, p.key, p.offset)
	}
	done := s.Rec.InvokeAt(began, op)
	c.answeredBy(done)
	s.Rec.Complete(done, check.OK)
	return next
}
