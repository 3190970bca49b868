package replica

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/troupe-broker/troupe/actors"
	"github.com/troupe-broker/troupe/actors/actortest"
	"github.com/troupe-broker/troupe/actors/protocol"
)

func TestTranscripts(t *testing.T) {
	actortest.Transcripts(t, "testdata/*.txt", func(*testing.T) func(string) string {
		s := &stage{}
		return func(command string) string { return s.do(strings.Fields(command)) }
	})
}

type stage struct {
	leader *Leader
	awaits Awaits
	nextID uint64
}

// do runs one command, key=value arguments behind its name, and describes what followed.
func (s *stage) do(words []string) string {
	arg := map[string]string{}
	for _, w := range words[1:] {
		k, v, _ := strings.Cut(w, "=")
		arg[k] = v
	}
	num := func(key string) int64 {
		n, _ := strconv.ParseInt(arg[key], 10, 64)
		return n
	}
	var out strings.Builder
	code := func(c protocol.Code) { fmt.Fprintf(&out, "  %s\n", c.Name()) }
	switch words[0] {
	case "lead":
		s.leader = NewLeader(term(arg), Log{num("end"), num("flushed"), num("hw")})
	case "reconfigure":
		s.leader.Reconfigure(term(arg))
	case "appended":
		s.leader.Appended(num("end"))
	case "flushed":
		s.leader.Flushed(num("end"))
	case "followed":
		s.leader.Followed(protocol.NodeID(num("node")), num("end"), num("flushed"))
	case "restarted":
		s.leader.Restarted(protocol.NodeID(num("node")))
	case "trusted":
		fmt.Fprintf(&out, "  %v, the epoch starts at %d\n", s.leader.Trusted(), s.leader.EpochStart())
	case "admit":
		code(s.leader.Admit(int16(num("acks"))))
	case "park":
		s.nextID++
		s.leader.Park(Ack{End: num("end"), Acks: int16(num("acks")), Deadline: time.Duration(num("deadline")), Answer: &protocol.Produced{Answer: protocol.Answer{ID: s.nextID}}})
		fmt.Fprintf(&out, "  ack %d waits\n", s.nextID)
	case "release":
		s.leader.Release(time.Duration(num("now")), func(a *Ack, c protocol.Code) { fmt.Fprintf(&out, "  ack %d: %s\n", a.Answer.ID, c.Name()) })
	case "resign":
		s.leader.Resign(protocol.NotLeaderOrFollower, func(a *Ack, c protocol.Code) { fmt.Fprintf(&out, "  ack %d: %s\n", a.Answer.ID, c.Name()) })
	case "await":
		s.nextID++
		s.awaits.Park(Await{ReplyTo: actors.NewPID("n", "reader"), ID: s.nextID, Offset: num("offset"), Committed: arg["committed"] == "true", Deadline: time.Duration(num("deadline"))})
		fmt.Fprintf(&out, "  reader %d waits\n", s.nextID)
	case "forget":
		s.awaits.Forget(actors.NewPID("n", "reader"), uint64(num("id")))
	case "wake":
		s.awaits.Wake(s.leader.HighWatermark(), num("lso"), time.Duration(num("now")), func(a Await) { fmt.Fprintf(&out, "  reader %d looks\n", a.ID) })
	default:
		return "  unknown command\n"
	}
	if s.leader != nil {
		fmt.Fprintf(&out, "  hw=%d", s.leader.HighWatermark())
		if at, ok := s.leader.NextDeadline(); ok {
			fmt.Fprintf(&out, " next=%d", at)
		}
		fmt.Fprintln(&out)
	}
	return out.String()
}

func term(arg map[string]string) Term {
	t := Term{Self: 1, Epoch: 1, MinISR: 1}
	if arg["durability"] == "os" {
		t.Durability = protocol.DurabilityOS
	}
	if n, err := strconv.Atoi(arg["min"]); err == nil {
		t.MinISR = n
	}
	nodes := func(list string) (out []protocol.NodeID) {
		for _, n := range strings.FieldsFunc(list, func(r rune) bool { return r == ',' }) {
			id, _ := strconv.Atoi(n)
			out = append(out, protocol.NodeID(id))
		}
		return out
	}
	t.ISR, t.Joining = nodes(arg["isr"]), nodes(arg["joining"])
	return t
}
