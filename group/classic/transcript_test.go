package classic

import (
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/troupe-broker/troupe/actors/actortest"
	"github.com/troupe-broker/troupe/actors/protocol"
	"github.com/troupe-broker/troupe/group/step"
)

// The id c-00000000-0000-4000-8000-000000000007 is written c/7. Times are in milliseconds.
func TestTranscripts(t *testing.T) {
	actortest.Transcripts(t, "testdata/*.txt", func(t *testing.T) func(string) string {
		s := &stage{t: t}
		s.begin(testConfig)
		return func(command string) string {
			s.out.Reset()
			s.run(strings.Fields(command))
			return s.out.String()
		}
	})
}

type stage struct {
	*world
	t   *testing.T
	out strings.Builder
	id  uint64
}

func (s *stage) begin(cfg Config) {
	s.world = newWorld(cfg)
	s.answered = s.show
	s.settled = func() {
		if err := consistent(s.g); err != nil {
			s.t.Error(err)
		}
	}
}

const idTail = "-00000000-0000-4000-8000-00000000000"

func long(id string) string  { return strings.ReplaceAll(id, "/", idTail) }
func short(id string) string { return strings.ReplaceAll(id, idTail, "/") }

type args map[string]string

func (a args) num(key string, or int64) int64 {
	if n, err := strconv.ParseInt(a[key], 10, 64); err == nil {
		return n
	}
	return or
}

func (a args) ms(key string, or int64) time.Duration {
	return time.Duration(a.num(key, or)) * time.Millisecond
}

func (s *stage) member(arg args) protocol.Member {
	return protocol.Member{GroupID: testGroup, MemberID: long(arg["member"]), InstanceID: arg["instance"], ClientID: arg["client"], ClientHost: "/h"}
}

// run does one command: a verb and key=value arguments.
func (s *stage) run(words []string) {
	arg := args{}
	for _, w := range words[1:] {
		k, v, _ := strings.Cut(w, "=")
		arg[k] = v
	}
	s.id++
	head := protocol.Head{ReplyTo: client, ID: s.id}
	switch words[0] {
	case "config":
		s.cfg = Config{MinSession: 6 * time.Second, MaxSession: 30 * time.Minute, InitialDelay: arg.ms("delay", 3000), MaxSize: int(arg.num("size", 0))}
		s.g.Reconfigure(s.cfg)
	case "wait":
		s.wait(s.t, arg.ms("ms", 0))
	case "fail":
		s.fail = append(s.fail, protocol.Code(arg.num("code", 0)))
	case "join":
		m := &protocol.JoinGroup{Head: head, Member: s.member(arg), ProtocolType: "consumer", SessionTimeout: arg.ms("session", 10_000),
			RebalanceTimeout: arg.ms("rebalance", 60_000), RequireKnownMember: arg["v"] != "3", SkipAssignment: arg["v"] == "9"}
		if kind, ok := arg["type"]; ok {
			m.ProtocolType = kind
		}
		for _, p := range strings.FieldsFunc(arg["protocols"], func(r rune) bool { return r == ',' }) {
			name, metadata, _ := strings.Cut(p, ":")
			m.Protocols = append(m.Protocols, protocol.GroupProtocol{Name: name, Metadata: []byte(metadata)})
		}
		s.do(m)
	case "sync":
		m := &protocol.SyncGroup{Head: head, Member: s.member(arg), Generation: int32(arg.num("gen", 0)), ProtocolType: arg["type"], ProtocolName: arg["protocol"]}
		for _, p := range strings.FieldsFunc(arg["assign"], func(r rune) bool { return r == ',' }) {
			id, assignment, _ := strings.Cut(p, ":")
			m.Assignments = append(m.Assignments, protocol.MemberAssignment{MemberID: long(id), Assignment: []byte(assignment)})
		}
		s.do(m)
	case "heartbeat":
		s.do(&protocol.HeartbeatGroup{Head: head, Member: s.member(arg), Generation: int32(arg.num("gen", 0))})
	case "leave":
		m := &protocol.LeaveGroup{Head: head, GroupID: testGroup}
		for _, who := range strings.Split(arg["members"], ",") {
			id, instance, _ := strings.Cut(who, ":")
			m.Members = append(m.Members, protocol.LeavingMember{MemberID: long(id), InstanceID: instance})
		}
		s.do(m)
	case "describe":
		s.do(&protocol.DescribeGroup{Head: head, GroupID: testGroup, Classic: arg["kind"] != "consumer"})
	case "delete":
		s.delete(&protocol.DeleteGroup{Head: head, GroupID: testGroup})
	case "commit":
		s.commit(arg)
	case "crash":
		s.crash()
	case "log":
		for _, r := range s.log {
			fmt.Fprintf(&s.out, "  %s = %s\n", hex.EncodeToString(r.Key), hex.EncodeToString(r.Value))
		}
	default:
		s.t.Errorf("unknown command %q", words)
	}
	s.where()
}

func (s *stage) commit(arg args) {
	m := &protocol.CommitOffsets{Member: s.member(arg), Generation: int32(arg.num("gen", -1)), ProducerID: protocol.NoProducerID}
	if arg["producer"] != "" {
		m.ProducerID = protocol.ProducerID(arg.num("producer", 0))
	}
	code := s.g.CheckCommit(m)
	if code == protocol.None {
		s.g.Heard(s.now(), m.MemberID)
	}
	fmt.Fprintf(&s.out, "  commit: %s\n", code.Name())
}

// crash goes on with a fresh machine from the log; nobody who waited is answered.
func (s *stage) crash() {
	s.g = s.reload(s.t)
	var out step.Out
	s.g.Loaded(s.now(), &out)
	s.carryOut(&out)
}

// where says what the group is like now.
func (s *stage) where() {
	fmt.Fprintf(&s.out, "  t=%d %s gen=%d", s.mono.Milliseconds(), s.g.State(), s.g.generation)
	if s.g.leader != "" {
		fmt.Fprintf(&s.out, " leader=%s", short(s.g.leader))
	}
	if len(s.g.pending) > 0 {
		fmt.Fprintf(&s.out, " pending=%s", short(strings.Join(sortedKeys(s.g.pending), ",")))
	}
	if s.g.Deadline() != step.Never {
		fmt.Fprintf(&s.out, " next=%d", s.g.Deadline().Milliseconds())
	}
	fmt.Fprintln(&s.out)
}

func (s *stage) show(in step.Command, msg any) {
	switch m := msg.(type) {
	case *protocol.GroupJoined:
		fmt.Fprintf(&s.out, "  joined #%d: %s id=%s", m.ID, m.Code.Name(), short(m.MemberID))
		if m.Code == protocol.None {
			fmt.Fprintf(&s.out, " gen=%d %s/%s leader=%s", m.Generation, m.ProtocolType, m.ProtocolName, short(m.Leader))
		}
		if m.SkipAssignment {
			fmt.Fprint(&s.out, " skip")
		}
		for _, o := range m.Members {
			fmt.Fprintf(&s.out, " %s(%s)=%s", short(o.MemberID), o.InstanceID, o.Metadata)
		}
	case *protocol.GroupSynced:
		fmt.Fprintf(&s.out, "  synced #%d: %s %s/%s %q", m.ID, m.Code.Name(), m.ProtocolType, m.ProtocolName, m.Assignment)
	case *protocol.GroupHeartbeat:
		fmt.Fprintf(&s.out, "  heartbeat #%d: %s", m.ID, m.Code.Name())
	case *protocol.GroupLeft:
		fmt.Fprintf(&s.out, "  left #%d: %s", m.ID, m.Code.Name())
		for _, o := range m.Members {
			fmt.Fprintf(&s.out, " %s(%s)=%s", short(o.MemberID), o.InstanceID, o.Code.Name())
		}
	case *protocol.GroupDeleted:
		fmt.Fprintf(&s.out, "  deleted #%d: %s", m.ID, m.Code.Name())
	case *protocol.GroupDescribed:
		fmt.Fprintf(&s.out, "  described #%d: %s %s %s %s/%s", m.ID, m.Code.Name(), m.Reason, m.State, m.ProtocolType, m.Protocol)
		for _, o := range m.Members {
			fmt.Fprintf(&s.out, " %s(%s)%s%s=%s->%s", short(o.MemberID), o.InstanceID, o.ClientID, o.ClientHost, o.Metadata, o.Assignment)
		}
	default:
		fmt.Fprintf(&s.out, "  %T", msg)
	}
	fmt.Fprintln(&s.out)
}
