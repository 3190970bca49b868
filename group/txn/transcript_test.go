package txn

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/troupe-broker/troupe/actors/actortest"
	"github.com/troupe-broker/troupe/actors/protocol"
	"github.com/troupe-broker/troupe/cluster/image"
	"github.com/troupe-broker/troupe/group/step"
)

func TestTranscripts(t *testing.T) {
	actortest.Transcripts(t, "testdata/*.txt", func(*testing.T) func(string) string {
		s := newStage()
		return func(command string) string { return s.do(strings.Fields(command)) }
	})
}

// cluster is an image with these topics of four partitions each.
func cluster(version int16, topics ...string) *image.Image {
	records := []image.Record{&image.FeatureLevelSet{Name: "transaction.version", Level: version}}
	for i, name := range topics {
		id := protocol.TopicID{1, byte(i)}
		records = append(records, &image.TopicCreated{Name: name, ID: id})
		for p := range int32(4) {
			records = append(records, &image.PartitionAdded{Topic: id, Partition: p, Leader: 1, Replicas: []protocol.NodeID{1}})
		}
	}
	m, _ := image.Empty().Apply(1, records)
	return m
}

// stage is a shard with one transactional id; its log is appended to when the script says so.
type stage struct {
	m    *Transaction
	now  step.Now
	log  []step.Record
	out  step.Out
	cfg  Config
	next uint64
	text strings.Builder
}

func newStage() *stage {
	s := &stage{
		now: step.Now{Wall: time.UnixMilli(1_700_000_000_000), Image: cluster(2, "a", "b")},
		cfg: Config{CoordinatorEpoch: 7, MaxTimeout: 15 * time.Minute, ExpireAfter: 7 * 24 * time.Hour},
	}
	s.m = New("tx", s.cfg)
	return s
}

// do runs one command, key=value arguments behind its name, and describes what followed.
func (s *stage) do(words []string) string {
	s.text.Reset()
	arg := map[string]string{}
	for _, w := range words[1:] {
		k, v, _ := strings.Cut(w, "=")
		arg[k] = v
	}
	num := func(key string, otherwise int64) int64 {
		n, err := strconv.ParseInt(arg[key], 10, 64)
		if err != nil {
			return otherwise
		}
		return n
	}
	pid, epoch := protocol.ProducerID(num("pid", -1)), protocol.ProducerEpoch(num("epoch", -1))
	s.next++
	head := protocol.Head{ID: s.next}
	switch words[0] {
	case "init":
		s.m.Step(s.now, &protocol.InitTransactions{Head: head, TransactionalID: "tx", Timeout: time.Duration(num("timeout", 60000)) * time.Millisecond, ProducerID: pid, ProducerEpoch: epoch}, &s.out)
	case "add":
		s.m.Step(s.now, &protocol.AddPartitions{Head: head, TransactionalID: "tx", ProducerID: pid, ProducerEpoch: epoch, ByLeader: arg["by"] == "leader", Partitions: named(arg["p"])}, &s.out)
	case "verify":
		s.m.Step(s.now, &protocol.AddPartitions{Head: head, TransactionalID: "tx", ProducerID: pid, ProducerEpoch: epoch, VerifyOnly: true, Partitions: named(arg["p"])}, &s.out)
	case "commit", "abort":
		s.m.Step(s.now, &protocol.EndTransaction{Head: head, TransactionalID: "tx", ProducerID: pid, ProducerEpoch: epoch, Commit: words[0] == "commit", Bump: arg["tv"] != "1"}, &s.out)
	case "describe":
		s.m.Step(s.now, &protocol.DescribeTransaction{Head: head, TransactionalID: "tx"}, &s.out)
	case "producer":
		s.m.ProducerID(s.now, pid, protocol.Code(num("code", 0)), &s.out)
	case "marked":
		for _, p := range named(arg["p"]) {
			s.m.Marked(s.now, p, protocol.Code(num("code", 0)), &s.out)
		}
	case "append":
		s.append()
	case "fail":
		for _, r := range s.out.Replies {
			fmt.Fprintf(&s.text, "  to %d: refused\n", r.Command.(interface{ Failed(protocol.Code) any }).Failed(0).(interface{ CorrelationID() uint64 }).CorrelationID())
		}
		s.out.Reset()
		s.m.NotAppended(s.now, protocol.Code(num("code", 15)), &s.out)
	case "tick":
		s.now.Mono += time.Duration(num("ms", 0)) * time.Millisecond
		s.now.Wall = s.now.Wall.Add(time.Duration(num("ms", 0)) * time.Millisecond)
		s.m.Tick(s.now, &s.out)
	case "crash":
		s.out.Reset()
		s.m = New("tx", s.cfg)
		for _, r := range s.log {
			if err := s.m.Replay(r.Key, r.Value); err != nil {
				return err.Error()
			}
		}
		s.m.Loaded(s.now, &s.out)
	case "cluster":
		s.now.Image = cluster(int16(num("tv", 2)), strings.Split(arg["topics"], ",")...)
	case "at":
		// a transactional id as some log left it
		h := hard{known: true, producer: pid, previous: pid, next: -1, epoch: epoch, timeout: 60000, start: noTime, updated: s.now.Wall.UnixMilli()}
		s.log = append(s.log, step.Record{Key: encodeKey("tx"), Value: encode(&h)})
		return s.do([]string{"crash"})
	default:
		return "?\n"
	}
	return s.describe()
}

func (s *stage) append() {
	s.log = append(s.log, s.out.Records...)
	replies := append([]step.Reply(nil), s.out.Replies...)
	for _, r := range s.out.Records {
		if err := s.m.Replay(r.Key, r.Value); err != nil {
			panic(err)
		}
	}
	s.out.Reset()
	s.out.Replies = replies
	s.say()
	s.m.Appended(s.now, &s.out)
}

// describe says what the machine wants now. Replies leave if there is nothing to append.
func (s *stage) describe() string {
	for _, r := range s.out.Records {
		if r.Value == nil {
			fmt.Fprintf(&s.text, "  write nothing known\n")
			continue
		}
		h, err := decode(r.Value)
		if err != nil {
			return err.Error()
		}
		fmt.Fprintf(&s.text, "  write %s\n", show(&h))
	}
	for _, m := range s.m.Markers(nil) {
		fmt.Fprintf(&s.text, "  marker %s-%d producer %d epoch %d coordinator %d commit %v\n", m.Partition.Topic, m.Partition.Partition, m.ProducerID, m.ProducerEpoch, m.CoordinatorEpoch, m.Commit)
	}
	if s.m.WantsProducerID() {
		fmt.Fprintf(&s.text, "  wants a producer id\n")
	}
	if len(s.out.Records) == 0 {
		s.say()
	}
	if d := s.m.Deadline(); d != step.Never {
		fmt.Fprintf(&s.text, "  deadline in %v\n", d-s.now.Mono)
	}
	return s.text.String()
}

func (s *stage) say() {
	for _, r := range s.out.Replies {
		fmt.Fprintf(&s.text, "  %s\n", spoken(r.Msg))
	}
	s.out.Replies = s.out.Replies[:0]
}

func spoken(msg any) string {
	switch m := msg.(type) {
	case *protocol.TransactionsInitialized:
		return fmt.Sprintf("to %d: %s producer %d epoch %d", m.ID, m.Code.Name(), m.ProducerID, m.ProducerEpoch)
	case *protocol.PartitionsAdded:
		text := fmt.Sprintf("to %d: %s", m.ID, m.Code.Name())
		for _, c := range m.Codes {
			text += " " + c.Name()
		}
		return text
	case *protocol.TransactionEnded:
		return fmt.Sprintf("to %d: %s producer %d epoch %d", m.ID, m.Code.Name(), m.ProducerID, m.ProducerEpoch)
	case *protocol.TransactionDescribed:
		return fmt.Sprintf("to %d: %s %s producer %d epoch %d timeout %v start %d partitions %v", m.ID, m.Code.Name(), m.State, m.ProducerID, m.ProducerEpoch, m.Timeout, m.Start, m.Partitions)
	}
	return fmt.Sprintf("%T", msg)
}

func show(h *hard) string {
	text := fmt.Sprintf("%v producer %d epoch %d", h.status, h.producer, h.epoch)
	if h.previous != h.producer {
		text += fmt.Sprintf(" previous %d", h.previous)
	}
	if h.next != protocol.NoProducerID {
		text += fmt.Sprintf(" next %d", h.next)
	}
	for i, p := range h.partitions {
		text += fmt.Sprintf("%s%s-%d", map[bool]string{true: " of ", false: ","}[i == 0], p.Topic, p.Partition)
	}
	return text + fmt.Sprintf(" tv%d", h.version)
}

// named reads a-0,b-1.
func named(text string) (out []protocol.NamedPartition) {
	for _, w := range strings.Split(text, ",") {
		topic, number, _ := strings.Cut(w, "-")
		n, _ := strconv.Atoi(number)
		out = append(out, protocol.NamedPartition{Topic: topic, Partition: int32(n)})
	}
	return out
}
