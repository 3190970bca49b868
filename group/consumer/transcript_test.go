package consumer

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/troupe-broker/troupe/actors/actortest"
	"github.com/troupe-broker/troupe/actors/protocol"
	"github.com/troupe-broker/troupe/group/step"
)

func TestTranscripts(t *testing.T) {
	actortest.Transcripts(t, "testdata/*.transcript", func(*testing.T) func(string) string {
		s := &stage{world: newWorld(1)}
		return func(command string) string { return s.do(strings.Fields(command)) }
	})
}

type stage struct{ *world }

// do runs one command, key=value arguments behind its name, and describes answers, records and the state.
func (s *stage) do(words []string) string {
	arg := map[string]string{}
	for _, w := range words[1:] {
		k, v, _ := strings.Cut(w, "=")
		arg[k] = v
	}
	num := func(key string) int {
		n, _ := strconv.Atoi(arg[key])
		return n
	}
	var answers []any
	before := len(s.log)
	switch words[0] {
	case "config":
		s.cfg.MaxSize = num("max")
		s.g.Reconfigure(s.cfg)
		return ""
	case "topic":
		s.topic(num("n"), num("partitions"))
		return ""
	case "delete-topic":
		s.deleteTopic(num("n"))
		return ""
	case "advance":
		d, _ := time.ParseDuration(arg["by"])
		s.tick(s.mono + d)
	case "restart":
		s.restart(s.log)
	case "fail-next":
		once := true
		s.fails = func() bool { defer func() { once = false }(); return once }
		return ""
	case "metadata":
		var out step.Out
		s.g.MetadataChanged(s.now(), &out)
		s.finish(&out)
	case "beat":
		answers = s.step(s.heartbeat(arg))
	case "remove":
		answers = s.step(&protocol.LeaveGroup{GroupID: "g", Members: []protocol.LeavingMember{{MemberID: arg["id"], InstanceID: arg["instance"]}}})
	case "join", "sync", "alive":
		answers = s.step(s.classic(words[0], arg))
	case "upgrade":
		records, ok := FromClassic("g", s.now(), int32(num("generation")), "range", s.classicMembers(arg))
		if !ok {
			return "  no\n"
		}
		s.restart(records)
		s.log = records
		return s.told(nil, records)
	case "downgrade":
		generation, members := s.g.ClassicMembers()
		out := fmt.Sprintf("  %v, generation %d\n", s.g.Downgrade(), generation)
		for _, m := range members {
			out += fmt.Sprintf("  %s %s has %s\n", m.MemberID, m.Protocols[0].Name, assignmentText(m.Assignment))
		}
		return out
	case "describe":
		answers = s.step(&protocol.DescribeGroup{GroupID: "g", Classic: arg["classic"] == "true"})
	case "delete":
		return s.delete(before)
	case "commit":
		c := &protocol.CommitOffsets{Member: protocol.Member{MemberID: arg["id"]}, Generation: int32(num("epoch")), ProducerID: protocol.NoProducerID, TransactionalID: arg["transaction"]}
		for _, row := range s.rows(arg["of"]) {
			for _, p := range row.Partitions {
				c.Offsets = append(c.Offsets, protocol.CommitOffset{TopicID: row.Topic, Partition: p})
			}
		}
		return fmt.Sprintf("  %s\n", s.g.CheckCommit(c).Name())
	case "fetch":
		return fmt.Sprintf("  %s\n", s.g.CheckFetch(&protocol.FetchOffsets{Member: protocol.Member{MemberID: arg["id"]}, Generation: int32(num("epoch"))}).Name())
	case "subscribed":
		return fmt.Sprintf("  %v\n", s.g.Subscribed(arg["topic"]))
	default:
		return "  unknown command\n"
	}
	return s.told(answers, s.log[before:])
}

// delete does what the group's actor does.
func (s *stage) delete(before int) string {
	code := s.g.CheckDelete()
	if code == protocol.None {
		s.finish(&step.Out{Records: s.g.Tombstone()})
	}
	return fmt.Sprintf("  %s\n", code.Name()) + s.told(nil, s.log[before:])
}

func (s *stage) heartbeat(arg map[string]string) *protocol.HeartbeatConsumer {
	epoch, _ := strconv.Atoi(arg["epoch"])
	m := &protocol.HeartbeatConsumer{
		Member:      protocol.Member{GroupID: "g", MemberID: arg["id"], InstanceID: arg["instance"], ClientID: "c", ClientHost: "/127.0.0.1"},
		MemberEpoch: int32(epoch), RebalanceTimeout: -1, Assignor: arg["assignor"], Rack: arg["rack"],
	}
	if d, ok := arg["timeout"]; ok || epoch == 0 && arg["owned"] == "" {
		m.RebalanceTimeout, _ = time.ParseDuration(d)
		if !ok {
			m.RebalanceTimeout = 10 * time.Second
		}
	}
	if names, ok := arg["topics"]; ok {
		m.Topics, m.TopicsSet = strings.FieldsFunc(names, func(r rune) bool { return r == ',' }), true
	}
	m.Regex, m.RegexSet = arg["regex"], slices.Contains(keys(arg), "regex")
	if owned, ok := arg["owned"]; ok || epoch == 0 {
		m.Owned, m.OwnedSet = s.rows(owned), true
	}
	if arg["bare"] == "true" { // neither what it owns nor how long it needs
		m.RebalanceTimeout, m.OwnedSet = -1, false
	}
	return m
}

// classic makes the requests of the classic protocol.
func (s *stage) classic(what string, arg map[string]string) step.Command {
	who := protocol.Member{GroupID: "g", MemberID: arg["id"], InstanceID: arg["instance"], ClientID: "c", ClientHost: "/127.0.0.1"}
	generation, _ := strconv.Atoi(arg["generation"])
	switch what {
	case "sync":
		return &protocol.SyncGroup{Member: who, Generation: int32(generation), ProtocolType: "consumer", ProtocolName: arg["protocol"]}
	case "alive":
		return &protocol.HeartbeatGroup{Member: who, Generation: int32(generation)}
	}
	return &protocol.JoinGroup{
		Member: who, ProtocolType: cmp.Or(arg["type"], "consumer"), Protocols: s.protocols(arg), SessionTimeout: 20 * time.Second, RebalanceTimeout: 10 * time.Second,
		RequireKnownMember: arg["known"] == "",
	}
}

func (s *stage) protocols(arg map[string]string) []protocol.GroupProtocol {
	says := kmsg.NewConsumerMemberMetadata()
	says.Version = 1
	says.Topics = strings.FieldsFunc(arg["topics"], func(r rune) bool { return r == ',' })
	for _, row := range s.rows(arg["owned"]) {
		t, _ := s.img.TopicByID(row.Topic)
		says.OwnedPartitions = append(says.OwnedPartitions, kmsg.ConsumerMemberMetadataOwnedPartition{Topic: t.Name, Partitions: row.Partitions})
	}
	return []protocol.GroupProtocol{{Name: cmp.Or(arg["protocol"], "range"), Metadata: says.AppendTo(nil)}}
}

// classicMembers makes members a and b of a classic group, with what they have.
func (s *stage) classicMembers(arg map[string]string) (out []ClassicMember) {
	for _, id := range []string{"a", "b"} {
		has := kmsg.NewConsumerMemberAssignment()
		for _, row := range s.rows(arg[id]) {
			t, _ := s.img.TopicByID(row.Topic)
			has.Topics = append(has.Topics, kmsg.ConsumerMemberAssignmentTopic{Topic: t.Name, Partitions: row.Partitions})
		}
		protocols, assignment := s.protocols(arg), has.AppendTo(nil)
		if claimed, ok := arg[id+"-claims"]; ok { // a rebalance is broken off
			protocols, assignment = s.protocols(map[string]string{"topics": arg["topics"], "owned": claimed}), nil
		}
		out = append(out, ClassicMember{MemberID: id, ClientID: "c", ClientHost: "/127.0.0.1", RebalanceTimeout: 10 * time.Second, SessionTimeout: 20 * time.Second, Protocols: protocols, Assignment: assignment})
	}
	return out
}

func assignmentText(raw []byte) string {
	var a kmsg.ConsumerMemberAssignment
	if err := a.ReadFrom(raw); err != nil {
		return err.Error()
	}
	var out []string
	for _, t := range a.Topics {
		out = append(out, fmt.Sprint(strings.TrimPrefix(t.Topic, "topic"), ":", t.Partitions))
	}
	return fmt.Sprintf("v%d %s", a.Version, strings.Join(out, "/"))
}

func keys(m map[string]string) (out []string) {
	for k := range m {
		out = append(out, k)
	}
	return out
}

// rows reads "0:1,2/1:5" as partitions 1 and 2 of topic0, and 5 of topic1.
func (s *stage) rows(text string) (out []protocol.TopicPartitions) {
	for _, part := range strings.FieldsFunc(text, func(r rune) bool { return r == '/' }) {
		n, list, _ := strings.Cut(part, ":")
		row := protocol.TopicPartitions{}
		if t, ok := s.img.Topic("topic" + n); ok {
			row.Topic = t.ID
		}
		for _, p := range strings.Split(list, ",") {
			number, _ := strconv.Atoi(p)
			row.Partitions = append(row.Partitions, int32(number))
		}
		out = append(out, row)
	}
	return out
}

// text is rows the other way round. A topic that is gone is shown by "?".
func (s *stage) text(rows []protocol.TopicPartitions) string {
	var parts []string
	for _, row := range rows {
		name := "?"
		if t, ok := s.img.TopicByID(row.Topic); ok {
			name = strings.TrimPrefix(t.Name, "topic")
		}
		parts = append(parts, name+":"+strings.ReplaceAll(strings.Trim(fmt.Sprint(row.Partitions), "[]"), " ", ","))
	}
	if len(parts) == 0 {
		return "none"
	}
	return strings.Join(parts, "/")
}

func (s *stage) told(answers []any, records []step.Record) string {
	var b strings.Builder
	for _, a := range answers {
		switch a := a.(type) {
		case *protocol.ConsumerHeartbeat:
			if a.Failed() {
				fmt.Fprintf(&b, "  %s: %s\n", a.Code.Name(), a.Reason)
				continue
			}
			fmt.Fprintf(&b, "  %s: epoch %d, again in %v", a.MemberID, a.MemberEpoch, a.Interval)
			if a.AssignmentSet {
				fmt.Fprintf(&b, ", holds %s", s.text(a.Assignment))
			}
			b.WriteString("\n")
		case *protocol.GroupJoined:
			fmt.Fprintf(&b, "  %s %s: generation %d, %s %s\n", a.Code.Name(), a.MemberID, a.Generation, a.ProtocolType, a.ProtocolName)
		case *protocol.GroupSynced:
			fmt.Fprintf(&b, "  %s %s\n", a.Code.Name(), assignmentText(a.Assignment))
		case *protocol.GroupHeartbeat:
			fmt.Fprintf(&b, "  %s\n", a.Code.Name())
		case *protocol.GroupLeft:
			fmt.Fprintf(&b, "  %s %+v\n", a.Code.Name(), a.Members)
		case *protocol.GroupDescribed:
			fmt.Fprintf(&b, "  %s %s %s epoch %d/%d %s\n", a.Code.Name(), a.Reason, a.State, a.Epoch, a.AssignmentEpoch, a.Protocol)
			for _, m := range a.Members {
				fmt.Fprintf(&b, "    %s instance=%q epoch %d topics %v regex %q has %s target %s\n", m.MemberID, m.InstanceID, m.MemberEpoch, m.Topics, m.Regex, s.text(m.Assigned), s.text(m.Target))
			}
		}
	}
	for _, r := range records {
		fmt.Fprintf(&b, "  %s\n", s.record(r))
	}
	fmt.Fprintf(&b, "  %s %d/%d", s.g.State(), s.g.epoch, s.g.targetEpoch)
	for _, m := range s.g.order {
		if !m.settled(s.g.targetEpoch) {
			fmt.Fprintf(&b, ", %s at %d in state %d", m.id, m.epoch, m.state)
		}
	}
	if at := s.g.Deadline(); at != step.Never {
		fmt.Fprintf(&b, ", next in %v", at-s.mono)
	}
	b.WriteString("\n")
	return b.String()
}

func (s *stage) record(r step.Record) string {
	k, _, _ := decodeKey(r.Key)
	names := map[kind]string{kindGroup: "group", kindPartitionMetadata: "partitions", kindMember: "member", kindTarget: "target", kindTargetMember: "target of", kindCurrent: "current of", kindRegex: "regex"}
	what := strings.TrimSpace(names[k.kind] + " " + k.name)
	if r.Value == nil {
		return "- " + what
	}
	m := &member{}
	switch k.kind {
	case kindTargetMember:
		rows, _ := decodeTargetMember(r.Value)
		return fmt.Sprintf("+ %s: %s", what, s.text(rows))
	case kindCurrent:
		_ = decodeCurrent(r.Value, m)
		return fmt.Sprintf("+ %s: epoch %d after %d, state %d, assigned %s, revoking %s", what, m.epoch, m.previousEpoch, m.state, s.text(m.assigned.rows()), s.text(m.revoking.rows()))
	case kindRegex:
		topics, _, _, _ := decodeRegex(r.Value)
		return fmt.Sprintf("+ %s: %v", what, topics)
	case kindGroup:
		epoch, _, _ := decodeGroup(r.Value)
		return fmt.Sprintf("+ %s: epoch %d", what, epoch)
	case kindTarget:
		epoch, _, _ := decodeTarget(r.Value)
		return fmt.Sprintf("+ %s: epoch %d", what, epoch)
	}
	return "+ " + what
}
