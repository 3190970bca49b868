package check

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/troupe-broker/troupe/actors/protocol"
)

var (
	topicA = protocol.TopicID{1}
	topicB = protocol.TopicID{2} // the next incarnation of the same name
	keyA   = protocol.TopicPartition{Topic: topicA}
)

// script builds a history from text, one operation a line:
//
//	send P V[-W] @O|info|fail [acks=N] [name] [times=T,T] [txn=N]    poll P POS: O=V O=V [hw=N start=N lso=N marker=N hidden=O=V] [info] [damage]
//	cpoll P POS: ... and cfinal P: ... with read_committed    commit|abort P N [info|fail]
//	final P: O=V ...    assign P    list P latest=N|earliest=N|T=N    delete P B=L|info    power    kill    destroy    drop
//
// "x: op" invokes op under the name x and "end x" completes it. "B" before an operation addresses the topic's next incarnation.
func script(t *testing.T, durability protocol.Durability, text string) *History {
	t.Helper()
	s := &scripted{t: t, open: map[string]func(){}}
	s.rec.Topic(Topic{ID: topicA, Name: "t", Durability: durability})
	s.rec.Topic(Topic{ID: topicB, Name: "t", Durability: durability})
	for line := range strings.Lines(text) {
		if f := strings.Fields(line); len(f) > 0 {
			s.line(f)
		}
	}
	return s.rec.History()
}

type scripted struct {
	t    *testing.T
	rec  Recorder
	era  int
	life int
	end  int64 // of the log, as far as anybody was told
	open map[string]func()
}

func (s *scripted) line(f []string) {
	key := keyA
	if f[0] == "B" {
		key.Topic, f = topicB, f[1:]
	}
	if name, ok := strings.CutSuffix(f[0], ":"); ok {
		s.open[name] = s.begin(key, f[1:])
		return
	}
	switch f[0] {
	case "end":
		s.open[f[1]]()
	case "power":
		s.rec.Fault(Fault{Kind: PowerLoss})
		s.era, s.life, s.end = s.era+1, s.life+1, 0
	case "kill":
		s.life++
		s.rec.Fault(Fault{Kind: ProcessKill})
	case "destroy":
		s.rec.Fault(Fault{Kind: MediaDestroyed, Key: key})
	default:
		s.begin(key, f)()
	}
}

func (s *scripted) begin(key protocol.TopicPartition, f []string) func() {
	op := Op{Key: key, Offset: -1, LogStart: -1, Acks: -1, Idempotent: true}
	outcome := OK
	if len(f) > 1 {
		op.Process = int(s.number(strings.TrimSuffix(f[1], ":")))
	}
	switch f[0] {
	case "send":
		outcome = s.send(&op, f[2:])
	case "poll", "final", "cpoll", "cfinal":
		op.Func, op.Final, op.LogStart, op.LastStable = Poll, strings.HasSuffix(f[0], "final"), 0, -1
		op.Committed = f[0][0] == 'c'
		outcome = s.poll(&op, f[2:])
	case "commit", "abort":
		op.Func, op.Key, op.Txn, op.Commit = EndTxn, protocol.TopicPartition{Partition: -1}, int(s.number(f[2])), f[0] == "commit"
		if len(f) > 3 {
			outcome = map[string]Outcome{"info": Info, "fail": Fail}[f[3]]
		}
	case "assign":
		op.Func = Assign
	case "list":
		op.Func = ListOffsets
		s.list(&op, f[2])
	case "delete":
		op.Func = DeleteRecords
		before, low, _ := strings.Cut(f[2], "=")
		op.Before = s.number(before)
		if low == "info" {
			outcome = Info
		} else {
			op.Offset = s.number(low)
		}
	case "create":
		op.Func = CreateTopic
	case "drop":
		op.Func = DeleteTopic
	default:
		s.t.Fatalf("unknown operation %q", f[0])
	}
	p := s.rec.Invoke(op)
	return func() {
		p.Era, p.Life = s.era, s.life
		s.rec.Complete(p, outcome)
		if p.Final && p.Committed {
			s.rec.FinishCommitted(key)
		} else if p.Final {
			s.rec.Finish(key)
		}
	}
}

func (s *scripted) send(op *Op, f []string) Outcome {
	outcome := OK
	from, to, ok := strings.Cut(f[0], "-")
	if !ok {
		to = from
	}
	for v := s.number(from); v <= s.number(to); v++ {
		op.Values = append(op.Values, v)
	}
	for _, w := range f[1:] {
		name, value, _ := strings.Cut(w, "=")
		switch {
		case w[0] == '@':
			op.Offset, op.LogStart = s.number(w[1:]), 0
			s.end = max(s.end, op.Offset+int64(len(op.Values)))
		case w == "info":
			outcome = Info
		case w == "fail":
			outcome = Fail
		case w == "name":
			op.ByName = true
		case name == "txn":
			op.Txn = int(s.number(value))
		case name == "acks":
			op.Acks = int16(s.number(value))
		case name == "times":
			for ts := range strings.SplitSeq(value, ",") {
				op.Timestamps = append(op.Timestamps, s.number(ts))
			}
		}
	}
	return outcome
}

// poll shows, unless told otherwise, the high watermark that everybody was told of.
func (s *scripted) poll(op *Op, f []string) Outcome {
	outcome, hw := OK, int64(-1)
	if !op.Final {
		op.Position, f = s.number(strings.TrimSuffix(f[0], ":")), f[1:]
	}
	for _, w := range f {
		name, value, _ := strings.Cut(w, "=")
		switch name {
		case "info":
			outcome = Info
		case "hw":
			hw = s.number(value)
		case "start":
			op.LogStart = s.number(value)
		case "lso":
			op.LastStable = s.number(value)
		case "damage":
			op.Reads[len(op.Reads)-1].Damage = "other bytes"
		case "hidden":
			at, v, _ := strings.Cut(value, "=")
			op.Hidden = append(op.Hidden, Read{Offset: s.number(at), Value: s.number(v), Sum: 7})
		case "marker":
			op.Markers = append(op.Markers, s.number(value))
		default:
			r := Read{Offset: s.number(name), Value: s.number(value), Sum: 7}
			op.Reads = append(op.Reads, r)
			s.end = max(s.end, r.Offset+1)
		}
	}
	op.HighWatermark = s.end
	if hw >= 0 {
		op.HighWatermark = hw
	}
	if op.Committed && op.LastStable < 0 {
		op.LastStable = op.HighWatermark
	}
	if op.Final {
		op.Position = op.LogStart
	}
	return outcome
}

func (s *scripted) list(op *Op, w string) {
	name, value, _ := strings.Cut(w, "=")
	op.Offset = s.number(value)
	switch name {
	case "latest":
		op.At = AtLatest
	case "earliest":
		op.At = AtEarliest
	default:
		op.At = s.number(name)
	}
}

func (s *scripted) number(w string) int64 {
	s.t.Helper()
	n, err := strconv.ParseInt(w, 10, 64)
	if err != nil {
		s.t.Fatal(fmt.Errorf("script: %w", err))
	}
	return n
}
