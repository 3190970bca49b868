package controller

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/troupe-broker/troupe/actors/actortest"
	"github.com/troupe-broker/troupe/actors/protocol"
	"github.com/troupe-broker/troupe/cluster/config"
	"github.com/troupe-broker/troupe/cluster/image"
)

// A transcript is a file of commands ("> ...") and what followed from them. Words of a command are separated by blanks, resources of
// one command by a slash. Commit a change only if you can explain it.
func TestTranscripts(t *testing.T) {
	actortest.Transcripts(t, "testdata/*.transcript", func(t *testing.T) func(string) string {
		s := newStage(t)
		return func(command string) string {
			s.out.Reset()
			s.run(command)
			return s.out.String()
		}
	})
}

// stage is a controller without raft.
type stage struct {
	t    *testing.T
	img  *image.Image
	now  Now
	rand *rand.Rand
	out  strings.Builder
}

func newStage(t *testing.T) *stage {
	s := &stage{t: t, img: image.Empty(), rand: rand.New(rand.NewPCG(1, 2))}
	s.now = Now{Wall: time.Unix(1_700_000_000, 0), Rand: s.rand.Uint64, Self: 1}
	return s
}

// run carries out one command and prints answer and records.
func (s *stage) run(command string) {
	verb, rest, _ := strings.Cut(command, " ")
	switch verb {
	case "static":
		s.now.Static = config.Sort(pairs(strings.Fields(rest)))
		return
	case "join", "fence":
		s.broker(verb, strings.Fields(rest))
		return
	}
	d := Decide(s.img, s.now, s.command(verb, rest))
	switch a := d.Answer.(type) {
	case *protocol.TopicsCreated:
		s.topics(a.Topics)
	case *protocol.TopicsDeleted:
		s.topics(a.Topics)
	case *protocol.PartitionsCreated:
		s.topics(a.Topics)
	case *protocol.ConfigsAltered:
		for _, r := range a.Resources {
			fmt.Fprintf(&s.out, "  %q: %s\n", r.Name, verdict(r.Fault))
		}
	case *protocol.ScramCredentialsAltered:
		for _, u := range a.Users {
			fmt.Fprintf(&s.out, "  %q: %s\n", brief(u.User), verdict(u.Fault))
		}
	case *protocol.ProducerIDsAllocated:
		fmt.Fprintf(&s.out, "  %s [%d, %d)\n", verdict(a.Fault), a.First, int64(a.First)+int64(a.Count))
	}
	s.fold(d.Records)
}

func (s *stage) topics(rows []protocol.TopicResult) {
	for _, r := range rows {
		fmt.Fprintf(&s.out, "  %s: %s", brief(r.Name), verdict(r.Fault))
		if !r.Failed() {
			fmt.Fprintf(&s.out, " id %v, partitions %d, replicas %d", r.ID, r.Partitions, r.ReplicationFactor)
		}
		s.out.WriteString("\n")
	}
}

func brief(name string) string {
	if len(name) > 40 {
		return name[:40] + "…"
	}
	return name
}

func verdict(f protocol.Fault) string {
	if f.Reason == "" {
		return f.Code.Name()
	}
	return f.Code.Name() + ": " + f.Reason
}

// fold applies records, by way of their encoding.
func (s *stage) fold(records []image.Record) {
	if len(records) == 0 {
		return
	}
	data, err := AppendRecords(nil, records)
	if err != nil {
		s.t.Fatal(err)
	}
	if records, err = DecodeRecords(data); err != nil {
		s.t.Fatal(err)
	}
	for i, r := range records {
		if i == 8 {
			fmt.Fprintf(&s.out, "  + ... %d more, %d bytes in all\n", len(records)-i, len(data))
			break
		}
		fmt.Fprintf(&s.out, "  + %s %s\n", strings.TrimPrefix(fmt.Sprintf("%T", r), "*image."), strings.TrimPrefix(fmt.Sprintf("%+v", r), "&"))
	}
	s.img, _ = s.img.Apply(max(2, s.img.MetadataOffset+1), records) // raft's first entry behind the founding snapshot is 2
}

func (s *stage) broker(verb string, words []string) {
	id, _ := strconv.Atoi(words[0])
	if verb == "fence" {
		n, _ := s.img.Node(protocol.NodeID(id))
		s.fold([]image.Record{&image.BrokerChanged{Node: n.ID, Epoch: n.Epoch, Fenced: true}})
		return
	}
	r := Registration{ClusterID: "the-cluster", Node: protocol.NodeID(id)}
	for _, w := range words[1:] {
		key, value, _ := strings.Cut(w, "=")
		switch key {
		case "rack":
			r.Rack = value
		case "incarnation":
			n, _ := strconv.Atoi(value)
			r.Incarnation[15] = byte(n)
		case "clean":
			r.Clean = true
		}
	}
	s.fold(Join(s.img, r))
}

// command reads a command.
func (s *stage) command(verb, rest string) any {
	parts := strings.Split(rest, " / ")
	first := strings.Fields(parts[0])
	validate := len(first) > 0 && first[0] == "validate"
	if validate {
		parts[0] = strings.Join(first[1:], " ")
	}
	switch verb {
	case "create", "auto":
		c := &protocol.CreateTopics{ValidateOnly: validate, Auto: verb == "auto"}
		for _, p := range parts {
			c.Topics = append(c.Topics, newTopic(strings.Fields(p)))
		}
		return c
	case "delete":
		c := &protocol.DeleteTopics{}
		for _, p := range parts {
			c.Topics = append(c.Topics, s.topicRef(p))
		}
		return c
	case "grow":
		c := &protocol.CreatePartitions{ValidateOnly: validate}
		for _, p := range parts {
			c.Topics = append(c.Topics, growTopic(strings.Fields(p)))
		}
		return c
	case "alter", "replace":
		c := &protocol.AlterConfigs{ValidateOnly: validate, Replace: verb == "replace"}
		for _, p := range parts {
			c.Resources = append(c.Resources, alterResource(strings.Fields(p)))
		}
		return c
	case "scram":
		c := &protocol.AlterScramCredentials{}
		for _, p := range parts {
			c.Changes = append(c.Changes, scramChange(strings.Fields(p)))
		}
		return c
	case "producer-ids":
		return &protocol.AllocateProducerIDs{}
	}
	s.t.Fatalf("unknown command %q", verb)
	return nil
}

// scramChange reads user, mechanism (256, 512 or any number) and iterations; without the last it removes.
func scramChange(words []string) protocol.ScramChange {
	c := protocol.ScramChange{User: strings.ReplaceAll(words[0], "LONG", strings.Repeat("x", scramTextMax)), Remove: len(words) == 2}
	if c.User == "''" {
		c.User = ""
	}
	switch n, _ := strconv.Atoi(words[1]); n {
	case 256:
		c.Mechanism = protocol.ScramSHA256
	case 512:
		c.Mechanism = protocol.ScramSHA512
	default:
		c.Mechanism = protocol.ScramMechanism(n)
	}
	if !c.Remove {
		n, _ := strconv.Atoi(words[2])
		c.Iterations, c.Salt, c.StoredKey, c.ServerKey = int32(n), []byte("salt"), []byte("stored"), []byte("server")
	}
	if len(words) > 3 { // no keys
		c.StoredKey, c.ServerKey = nil, nil
	}
	return c
}

// topicRef reads a name, or id:<name> for the id of a topic, or id: for an unknown one.
func (s *stage) topicRef(word string) protocol.TopicRef {
	name, byID := strings.CutPrefix(word, "id:")
	if !byID {
		return protocol.TopicRef{Name: name}
	}
	if t, ok := s.img.Topic(name); ok {
		return protocol.TopicRef{ID: t.ID}
	}
	return protocol.TopicRef{ID: protocol.TopicID{9}}
}

func newTopic(words []string) protocol.NewTopic {
	t := protocol.NewTopic{Name: strings.ReplaceAll(words[0], "LONG", strings.Repeat("x", 240)), Partitions: -1, ReplicationFactor: -1}
	if t.Name == "''" {
		t.Name = ""
	}
	for _, w := range words[1:] {
		key, value, ok := strings.Cut(w, "=")
		n, _ := strconv.Atoi(value)
		switch {
		case key == "partitions":
			t.Partitions = int32(n)
		case key == "rf":
			t.ReplicationFactor = int16(n)
		case strings.HasPrefix(key, "@"):
			p, _ := strconv.Atoi(key[1:])
			t.Assignments = append(t.Assignments, protocol.ReplicaAssignment{Partition: int32(p), Replicas: nodeIDs(value)})
		default:
			t.Configs = append(t.Configs, protocol.ConfigEntry{Key: key, Value: value, Null: !ok})
		}
	}
	return t
}

func growTopic(words []string) protocol.GrowTopic {
	n, _ := strconv.Atoi(words[1])
	g := protocol.GrowTopic{Name: words[0], Count: int32(n)}
	for _, w := range words[2:] {
		g.Assignments = append(g.Assignments, nodeIDs(w))
	}
	return g
}

func nodeIDs(text string) []protocol.NodeID {
	var out []protocol.NodeID
	for _, item := range config.SplitList(text) {
		n, _ := strconv.Atoi(item)
		out = append(out, protocol.NodeID(n))
	}
	return out
}

// alterResource reads topic:name, broker:id or other:name, then key=value, key+=value, key-=value, key (delete), key=null.
func alterResource(words []string) protocol.AlterResource {
	kind, name, _ := strings.Cut(words[0], ":")
	r := protocol.AlterResource{Name: name, Type: map[string]protocol.ResourceType{"topic": protocol.ResourceTopic, "broker": protocol.ResourceBroker, "group": protocol.ResourceGroup}[kind]}
	for _, w := range words[1:] {
		key, value, set := strings.Cut(w, "=")
		op := protocol.AlterOp{Op: protocol.ConfigSet, ConfigEntry: protocol.ConfigEntry{Key: key, Value: value, Null: value == "null"}}
		switch {
		case !set:
			op.Op, op.Null = protocol.ConfigDelete, true
		case strings.HasSuffix(key, "+"):
			op.Op, op.Key = protocol.ConfigAppend, strings.TrimSuffix(key, "+")
		case strings.HasSuffix(key, "-"):
			op.Op, op.Key = protocol.ConfigSubtract, strings.TrimSuffix(key, "-")
		}
		r.Ops = append(r.Ops, op)
	}
	return r
}

func pairs(words []string) []protocol.ConfigEntry {
	var out []protocol.ConfigEntry
	for _, w := range words {
		key, value, _ := strings.Cut(w, "=")
		out = append(out, protocol.ConfigEntry{Key: key, Value: value})
	}
	return out
}

func TestTopicIDsAreUsableAndRandom(t *testing.T) {
	// Words whose first draw would begin with a dash in text (0xf8), then a good one.
	draws := []uint64{0xf800000000000000, 1, 0x1234567890abcdef, 2}
	d := &decider{img: image.Empty(), now: Now{Rand: func() uint64 {
		n := draws[0]
		draws = draws[1:]
		return n
	}}}
	id := d.newTopicID()
	if id.String()[0] == '-' || id[6]>>4 != 4 || id[8]>>6 != 2 || binary.BigEndian.Uint32(id[:]) != 0x12345678 {
		t.Errorf("id %v (%x)", id, id)
	}
}
