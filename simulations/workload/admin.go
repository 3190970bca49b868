package workload

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/troupe-broker/troupe/actors/protocol"
	"github.com/troupe-broker/troupe/simulations/check"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Admin creates, grows, reconfigures, trims and deletes topics, and asks for offsets. One operation at a time.
type Admin struct {
	client
	process int
	names   int
	free    []string // names of topics that are certainly deleted
	// limbo are names whose topic may or may not exist, since an operation on it ended unknown; they are not used again.
	limbo []string
	busy  bool
	// Pace is the mean time between operations.
	Pace time.Duration
}

// StartAdmin begins the administrator; it first creates the topics of the settings.
func StartAdmin(s *Stage, pace time.Duration) *Admin {
	a := &Admin{client: newClient(s, "admin"), process: s.newProcess(), Pace: pace}
	a.ready, a.broken = func() {}, func() {}
	if a.rng.Float64() < s.OldVersions {
		a.pinned[19] = int16(a.rng.IntN(8))
		a.pinned[20] = int16(a.rng.IntN(7))
		a.pinned[2] = int16(1 + a.rng.IntN(10))
		a.pinned[21] = int16(a.rng.IntN(3))
	}
	a.dial()
	a.tick()
	return a
}

func (a *Admin) tick() {
	if a.stage.stopped {
		return
	}
	pace := a.Pace
	if len(a.stage.topics) < a.stage.Settings.Topics {
		pace = 10 * time.Millisecond
	}
	a.stage.env.After(a.pause(pace), a.tick)
	if a.up && !a.busy {
		a.operate()
	}
}

// operate draws the next operation.
func (a *Admin) operate() {
	s := a.stage
	t, key, ok := s.pick(a.rng.IntN)
	switch n := a.rng.IntN(20); {
	case len(s.topics) < s.Settings.Topics:
		a.create()
	case !ok:
	case n < 8:
		a.offsets(t, key)
	case n < 11 && s.Trims:
		a.trim(t, key)
	case n < 14 && s.Reconfigures:
		a.reconfigure(t)
	case n < 16:
		a.describe()
	case n < 17 && s.Deletes && t.Partitions < int32(s.Partitions)+2:
		a.grow(t)
	case n < 19 && s.Deletes:
		a.delete(t)
	}
}

// name is a fresh one or that of a deleted topic.
func (a *Admin) name() string {
	if len(a.free) > 0 && a.rng.IntN(3) > 0 {
		i := a.rng.IntN(len(a.free))
		name := a.free[i]
		a.free = slices.Delete(a.free, i, i+1)
		return name
	}
	a.names++
	return fmt.Sprintf("topic-%d", a.names)
}

func (a *Admin) create() {
	s := a.stage
	t := &Topic{Partitions: int32(1 + a.rng.IntN(s.Settings.Partitions))}
	t.Name = a.name()
	t.LogAppendTime = a.rng.Float64() < s.LogAppendTime
	t.Retains = a.rng.Float64() < s.Retention
	if s.Compacted > 0 {
		t.Compacted = a.rng.Float64() < s.Compacted
	}
	if a.rng.Float64() < s.OS {
		t.Durability = protocol.DurabilityOS
	}
	req := kmsg.NewPtrCreateTopicsRequest()
	req.Version, req.TimeoutMillis = a.version(req, 0), 5000
	rt := kmsg.NewCreateTopicsRequestTopic()
	rt.Topic, rt.NumPartitions, rt.ReplicationFactor = t.Name, t.Partitions, 1
	for _, kv := range a.configs(t) {
		c := kmsg.NewCreateTopicsRequestTopicConfig()
		c.Name, c.Value = kv[0], kmsg.StringPtr(kv[1])
		rt.Configs = append(rt.Configs, c)
	}
	req.Topics = append(req.Topics, rt)
	a.busy = true
	began := s.Rec.Now()
	a.call(req, func(r kmsg.Response, err error) {
		a.busy = false
		if err != nil || len(r.(*kmsg.CreateTopicsResponse).Topics) != 1 {
			a.limbo = append(a.limbo, t.Name)
			return
		}
		a.created(t, began, &r.(*kmsg.CreateTopicsResponse).Topics[0], req.Version)
	})
}

func (a *Admin) configs(t *Topic) [][2]string {
	s := a.stage
	out := [][2]string{{"retention.ms", "-1"}}
	if t.Durability == protocol.DurabilityOS {
		out = append(out, [2]string{"durability", "os"})
	}
	if t.LogAppendTime {
		out = append(out, [2]string{"message.timestamp.type", "LogAppendTime"})
	}
	if s.SegmentBytes > 0 {
		out = append(out, [2]string{"segment.bytes", strconv.Itoa(int(s.SegmentBytes))})
	}
	if t.Compacted {
		out = append(out, [2]string{"cleanup.policy", "compact"}, [2]string{"min.cleanable.dirty.ratio", []string{"0.01", "0.5"}[a.rng.IntN(2)]},
			[2]string{"delete.retention.ms", []string{"0", "500", "3000"}[a.rng.IntN(3)]})
	}
	if t.Retains {
		out = append(out, [2]string{"retention.bytes", strconv.Itoa(4 * int(max(s.SegmentBytes, 4096)))})
	}
	return out
}

func (a *Admin) created(t *Topic, began check.Instant, rt *kmsg.CreateTopicsResponseTopic, version int16) {
	s := a.stage
	s.saw("CreateTopics", rt.ErrorCode)
	switch code := protocol.Code(rt.ErrorCode); code {
	case protocol.None:
	case protocol.TopicAlreadyExists:
		s.violate("admin: %s exists, though its deletion was acknowledged", t.Name)
		return
	case protocol.RequestTimedOut, protocol.NotController, protocol.UnknownServerError, protocol.KafkaStorageError:
		a.limbo = append(a.limbo, t.Name)
		return
	default:
		s.violate("admin: creating %s: %s", t.Name, code.Name())
		return
	}
	if version < 7 {
		a.adopt(t, began)
		return
	}
	t.ID = rt.TopicID
	a.open(t, began)
}

func (a *Admin) open(t *Topic, began check.Instant) {
	s := a.stage
	if t.ID.IsZero() || s.byID(t.ID) != nil {
		s.violate("admin: %s was created with id %v", t.Name, t.ID)
		return
	}
	t.created = s.Rec.InvokeAt(began, check.Op{
		Process: a.process, Func: check.CreateTopic, Key: protocol.TopicPartition{Topic: t.ID, Partition: -1},
	})
	s.Rec.Complete(t.created, check.OK)
	t.again = slices.ContainsFunc(s.all, func(o *Topic) bool { return o.Name == t.Name })
	s.sometimes("topic made again under the name of a deleted one", t.again)
	s.addTopic(t)
}

// adopt learns the id of a topic created by an old version.
func (a *Admin) adopt(t *Topic, began check.Instant) {
	a.metadata(func(r *kmsg.MetadataResponse) {
		if r == nil {
			a.limbo = append(a.limbo, t.Name)
			return
		}
		for i := range r.Topics {
			if r.Topics[i].Topic != nil && *r.Topics[i].Topic == t.Name && r.Topics[i].ErrorCode == 0 {
				t.ID = r.Topics[i].TopicID
				a.open(t, began)
				return
			}
		}
		a.stage.violate("admin: %s was created and is not in the metadata", t.Name)
	})
}

// metadata asks for all topics; r is nil when there was no answer.
func (a *Admin) metadata(done func(r *kmsg.MetadataResponse)) {
	req := kmsg.NewPtrMetadataRequest()
	req.Version = a.version(req, 10)
	a.busy = true
	a.call(req, func(r kmsg.Response, err error) {
		a.busy = false
		if err != nil {
			done(nil)
			return
		}
		done(r.(*kmsg.MetadataResponse))
	})
}

// Verify compares the metadata with what is known once, as soon as it can, and then calls done.
func (a *Admin) Verify(done func()) {
	again := func() { a.stage.env.After(a.pause(100*time.Millisecond), func() { a.Verify(done) }) }
	if !a.up || a.busy {
		again()
		return
	}
	a.metadata(func(r *kmsg.MetadataResponse) {
		if r == nil {
			again()
			return
		}
		a.compare(r)
		done()
	})
}

// describe compares the metadata with what is known: acknowledged topics are there with all partitions, deleted ones are not.
func (a *Admin) describe() {
	a.metadata(func(r *kmsg.MetadataResponse) {
		if r != nil {
			a.compare(r)
		}
	})
}

func (a *Admin) compare(r *kmsg.MetadataResponse) {
	shown := map[string]*kmsg.MetadataResponseTopic{}
	for i := range r.Topics {
		if r.Topics[i].Topic != nil {
			shown[*r.Topics[i].Topic] = &r.Topics[i]
		}
	}
	for _, t := range a.stage.topics {
		m := shown[t.Name]
		switch {
		case m == nil || m.ErrorCode != 0:
			a.stage.violate("admin: topic %s %v is not in the metadata", t.Name, t.ID)
		case protocol.TopicID(m.TopicID) != t.ID:
			a.stage.violate("admin: topic %s has id %v, want %v", t.Name, protocol.TopicID(m.TopicID), t.ID)
		case len(m.Partitions) < int(t.Partitions):
			a.stage.violate("admin: topic %s has %d partitions, want %d", t.Name, len(m.Partitions), t.Partitions)
		}
	}
	for _, name := range a.free {
		if shown[name] != nil && shown[name].ErrorCode == 0 {
			a.stage.violate("admin: topic %s is in the metadata, though its deletion was acknowledged", name)
		}
	}
}

func (a *Admin) delete(t *Topic) {
	s := a.stage
	req := kmsg.NewPtrDeleteTopicsRequest()
	req.Version, req.TimeoutMillis = a.version(req, 0), 5000
	if req.Version >= 6 {
		rt := kmsg.NewDeleteTopicsRequestTopic()
		if a.rng.IntN(2) == 0 {
			rt.TopicID = t.ID
		} else {
			rt.Topic = kmsg.StringPtr(t.Name)
		}
		req.Topics = append(req.Topics, rt)
	} else {
		req.TopicNames = append(req.TopicNames, t.Name)
	}
	op := s.Rec.Invoke(check.Op{Process: a.process, Func: check.DeleteTopic, Key: protocol.TopicPartition{Topic: t.ID, Partition: -1}})
	s.dropTopic(t)
	t.goneAt = op.Invoked
	a.busy = true
	a.call(req, func(r kmsg.Response, err error) {
		a.busy = false
		if err != nil || len(r.(*kmsg.DeleteTopicsResponse).Topics) != 1 {
			s.Rec.Complete(op, check.Info)
			a.limbo = append(a.limbo, t.Name)
			return
		}
		rt := &r.(*kmsg.DeleteTopicsResponse).Topics[0]
		s.saw("DeleteTopics", rt.ErrorCode)
		if rt.ErrorCode == 0 {
			s.Rec.Complete(op, check.OK)
			t.goneLife = a.conn.Life()
			a.free = append(a.free, t.Name)
			return
		}
		s.Rec.Complete(op, check.Info)
		a.limbo = append(a.limbo, t.Name)
	})
}

func (a *Admin) grow(t *Topic) {
	req := kmsg.NewPtrCreatePartitionsRequest()
	req.Version, req.TimeoutMillis = a.version(req, 0), 5000
	rt := kmsg.NewCreatePartitionsRequestTopic()
	rt.Topic, rt.Count = t.Name, t.Partitions+1
	req.Topics = append(req.Topics, rt)
	a.busy = true
	a.call(req, func(r kmsg.Response, err error) {
		a.busy = false
		if err != nil || len(r.(*kmsg.CreatePartitionsResponse).Topics) != 1 {
			return // a partition nobody knows of is nobody's
		}
		code := r.(*kmsg.CreatePartitionsResponse).Topics[0].ErrorCode
		a.stage.saw("CreatePartitions", code)
		if code == 0 {
			t.Partitions++
		}
	})
}

// reconfigure changes something that must not be noticed.
func (a *Admin) reconfigure(t *Topic) {
	changes := [][2]string{
		{"flush.messages", strconv.Itoa(1 + a.rng.IntN(1000))}, {"flush.ms", strconv.Itoa(1 + a.rng.IntN(10000))},
		{"index.interval.bytes", strconv.Itoa(a.rng.IntN(8192))}, {"max.message.bytes", strconv.Itoa(1<<20 + a.rng.IntN(1000))},
		{"segment.ms", strconv.Itoa(1000 + a.rng.IntN(60000))},
	}
	pick := changes[a.rng.IntN(len(changes))]
	req := kmsg.NewPtrIncrementalAlterConfigsRequest()
	req.Version = a.version(req, 0)
	rr := kmsg.NewIncrementalAlterConfigsRequestResource()
	rr.ResourceType, rr.ResourceName = kmsg.ConfigResourceTypeTopic, t.Name
	rc := kmsg.NewIncrementalAlterConfigsRequestResourceConfig()
	rc.Name, rc.Value, rc.Op = pick[0], kmsg.StringPtr(pick[1]), kmsg.IncrementalAlterConfigOpSet
	rr.Configs = append(rr.Configs, rc)
	req.Resources = append(req.Resources, rr)
	a.busy = true
	a.call(req, func(r kmsg.Response, err error) {
		a.busy = false
		if err == nil && len(r.(*kmsg.IncrementalAlterConfigsResponse).Resources) == 1 {
			a.stage.saw("IncrementalAlterConfigs", r.(*kmsg.IncrementalAlterConfigsResponse).Resources[0].ErrorCode)
		}
	})
}

// trim deletes records up to somewhere; now and then beyond the end, which must be refused.
func (a *Admin) trim(t *Topic, key protocol.TopicPartition) {
	s := a.stage
	before, beyond := a.rng.Int64N(s.highest[key]+1), false
	switch a.rng.IntN(8) {
	case 0:
		before, beyond = s.highest[key]+1_000_000, true
	case 1:
		before = -1
	}
	req := kmsg.NewPtrDeleteRecordsRequest()
	req.Version, req.TimeoutMillis = a.version(req, 0), 5000
	rt := kmsg.NewDeleteRecordsRequestTopic()
	rp := kmsg.NewDeleteRecordsRequestTopicPartition()
	rp.Partition, rp.Offset = key.Partition, before
	rt.Topic, rt.Partitions = t.Name, append(rt.Partitions, rp)
	req.Topics = append(req.Topics, rt)
	op := s.Rec.Invoke(check.Op{Process: a.process, Func: check.DeleteRecords, Key: key, Before: before, Offset: -1})
	s.trimmed[key] = max(s.trimmed[key], before)
	if before < 0 {
		s.trimmed[key] = math.MaxInt64
	}
	a.busy = true
	a.call(req, func(r kmsg.Response, err error) {
		a.busy = false
		if err != nil || len(r.(*kmsg.DeleteRecordsResponse).Topics) != 1 || len(r.(*kmsg.DeleteRecordsResponse).Topics[0].Partitions) != 1 {
			s.Rec.Complete(op, check.Info)
			return
		}
		part := &r.(*kmsg.DeleteRecordsResponse).Topics[0].Partitions[0]
		s.saw("DeleteRecords", part.ErrorCode)
		a.trimmed(op, part, beyond)
	})
}

func (a *Admin) trimmed(op *check.Op, part *kmsg.DeleteRecordsResponseTopicPartition, beyond bool) {
	s := a.stage
	switch code := protocol.Code(part.ErrorCode); {
	case code == protocol.None && beyond:
		s.violate("admin: records of %v before %d were deleted, far beyond the end", op.Key, op.Before)
		s.Rec.Complete(op, check.Info)
	case code == protocol.None:
		op.Offset = part.LowWatermark
		a.answeredBy(op)
		if part.LowWatermark < op.Before {
			s.violate("admin: low watermark %d of %v after deleting before %d", part.LowWatermark, op.Key, op.Before)
		}
		s.Rec.Complete(op, check.OK)
	case code == protocol.OffsetOutOfRange || code == protocol.UnknownTopicOrPartition:
		s.Rec.Complete(op, check.Fail)
	default:
		op.Err = code.Name()
		s.Rec.Complete(op, check.Info)
	}
}

// offsets asks one of the questions ListOffsets answers.
func (a *Admin) offsets(t *Topic, key protocol.TopicPartition) {
	at := []int64{check.AtLatest, check.AtEarliest, 0}[a.rng.IntN(3)]
	if at == 0 {
		at = a.stage.env.Wall().UnixMilli() - a.rng.Int64N(20000)
	}
	a.busy = true
	a.list(t, key, at, a.process, func(int64, protocol.Code, error) { a.busy = false })
}
