package offsets

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/troupe-broker/troupe/actors/protocol"
	"github.com/troupe-broker/troupe/group/step"
)

var at0 = step.Now{Wall: time.UnixMilli(1_700_000_000_000)}

// committed is a group whose offsets are what rows say, committed at at0.
func committed(t testing.TB, rows ...protocol.CommitOffset) *State {
	s := New("g")
	commit(t, s, at0, &protocol.CommitOffsets{ProducerID: -1, Retention: -1, Offsets: rows}, 0)
	return s
}

func commit(t testing.TB, s *State, now step.Now, m *protocol.CommitOffsets, logOffset int64) {
	t.Helper()
	var out step.Out
	s.Commit(now, m, Config{MetadataMax: 4096}, &out)
	replay(t, s, out, m.ProducerID, logOffset)
	s.Settle(m)
}

func replay(t testing.TB, s *State, out step.Out, producer protocol.ProducerID, logOffset int64) {
	t.Helper()
	for _, r := range out.Records {
		if err := s.Replay(r.Key, r.Value, producer, logOffset); err != nil {
			t.Fatal(err)
		}
	}
}

func row(topic string, partition int32, offset int64) protocol.CommitOffset {
	return protocol.CommitOffset{Topic: topic, Partition: partition, Offset: offset, LeaderEpoch: -1}
}

func fetch(s *State, stable bool, topic string, partition int32) protocol.CommitOffset {
	return s.Fetch(&protocol.FetchOffsets{RequireStable: stable, Wanted: []protocol.WantedOffset{{Topic: topic, Partition: partition}}}).Offsets[0]
}

// A transaction's commit that is decided, and not yet in the log, already holds readers of stable offsets back.
func TestACommitUnderWayIsUnstable(t *testing.T) {
	s := committed(t, row("t", 0, 5))
	m := &protocol.CommitOffsets{ProducerID: 7, Offsets: []protocol.CommitOffset{row("t", 0, 9)}}
	var out step.Out
	s.Commit(at0, m, Config{MetadataMax: 10}, &out)
	if got := fetch(s, true, "t", 0); got.Code != protocol.UnstableOffsetCommit || got.Offset != -1 {
		t.Errorf("decided: %+v", got)
	}
	if got := fetch(s, false, "t", 0); got.Code != protocol.None || got.Offset != 5 {
		t.Errorf("decided, any offset will do: %+v", got)
	}
	replay(t, s, out, 7, 1)
	s.Settle(m)
	if got := fetch(s, true, "t", 0); got.Code != protocol.UnstableOffsetCommit {
		t.Errorf("pending: %+v", got)
	}
	s.EndTxn(7, true)
	if got := fetch(s, true, "t", 0); got.Offset != 9 || got.Code != protocol.None {
		t.Errorf("committed: %+v", got)
	}
}

func TestACommitThatWasLostIsStable(t *testing.T) {
	s := committed(t, row("t", 0, 5))
	m := &protocol.CommitOffsets{ProducerID: 7, Offsets: []protocol.CommitOffset{row("t", 0, 9), row("t", 0, 10)}}
	s.Commit(at0, m, Config{MetadataMax: 10}, &step.Out{})
	if !s.HasPending() || s.Empty() {
		t.Error("a commit under way is not seen")
	}
	s.Settle(m)
	if got := fetch(s, true, "t", 0); got.Offset != 5 || got.Code != protocol.None || s.HasPending() {
		t.Errorf("%+v, pending %v", got, s.HasPending())
	}
}

func TestTheCommitThatStandsLastInTheLogCounts(t *testing.T) {
	s := New("g")
	commit(t, s, at0, &protocol.CommitOffsets{ProducerID: 7, Offsets: []protocol.CommitOffset{row("t", 0, 50), row("t", 1, 51)}}, 10)
	commit(t, s, at0, &protocol.CommitOffsets{ProducerID: -1, Retention: -1, Offsets: []protocol.CommitOffset{row("t", 0, 40)}}, 12)
	s.EndTxn(7, true)
	if a, b := fetch(s, true, "t", 0).Offset, fetch(s, true, "t", 1).Offset; a != 40 || b != 51 {
		t.Errorf("%d and %d", a, b)
	}
}

func TestAnOffsetOfAnotherIncarnationIsNone(t *testing.T) {
	old := row("t", 0, 5)
	old.TopicID = protocol.TopicID{1}
	s := committed(t, old, row("u", 0, 6))
	for id, want := range map[protocol.TopicID]int64{{1}: 5, {2}: -1, {}: 5} {
		got := s.Fetch(&protocol.FetchOffsets{Wanted: []protocol.WantedOffset{{Topic: "t", TopicID: id}, {Topic: "u", TopicID: id}}}).Offsets
		if got[0].Offset != want || got[1].Offset != 6 || got[0].Code != protocol.None {
			t.Errorf("id %v: %+v", id, got)
		}
	}
	var out step.Out
	s.DropTopics([]Topic{{"t", protocol.TopicID{2}}, {"u", protocol.TopicID{2}}}, &out)
	if keys := keysOf(t, out); !slices.Equal(keys, []string{"u-0"}) {
		t.Errorf("dropped %v", keys)
	}
}

func keysOf(t *testing.T, out step.Out) (keys []string) {
	for _, r := range out.Records {
		k, err := parseKey(r.Key)
		if err != nil || r.Value != nil || k.Group != "g" {
			t.Errorf("%+v %v", k, err)
		}
		keys = append(keys, fmt.Sprintf("%s-%d", k.Topic, k.Partition))
	}
	return keys
}

func TestAllIsInOrder(t *testing.T) {
	var rows []protocol.CommitOffset
	for i := range int32(40) {
		rows = append(rows, row("b", 39-i, 1), row("a", i*7%40, 1))
	}
	s := committed(t, rows...)
	got := s.Fetch(&protocol.FetchOffsets{All: true}).Offsets
	if len(got) != 80 || !slices.IsSortedFunc(got, func(x, y protocol.CommitOffset) int {
		return 100*strings.Compare(x.Topic, y.Topic) + int(x.Partition-y.Partition)
	}) {
		t.Errorf("%d rows: %v", len(got), got)
	}
	n := 0
	s.Each(func(c Committed) bool {
		if n++; !c.At.Equal(at0.Wall) {
			t.Errorf("committed at %v", c.At)
		}
		return n < 5
	})
	if n != 5 {
		t.Errorf("went on to %d", n)
	}
}

func TestMetadataIsMeasuredInCharactersAsKafkaDoes(t *testing.T) {
	for _, c := range []struct {
		text string
		code protocol.Code
	}{{"", 0}, {"0123456789", 0}, {"0123456789x", protocol.OffsetMetadataTooLarge}, {strings.Repeat("é", 10), 0}, {strings.Repeat("é", 11), protocol.OffsetMetadataTooLarge},
		{strings.Repeat("😀", 5), 0}, {strings.Repeat("😀", 5) + "x", protocol.OffsetMetadataTooLarge}} {
		r := row("t", 0, 1)
		r.Metadata = c.text
		var out step.Out
		New("g").Commit(at0, &protocol.CommitOffsets{ProducerID: -1, Retention: -1, Offsets: []protocol.CommitOffset{r}}, Config{MetadataMax: 10}, &out)
		if got := out.Replies[0].Msg.(*protocol.OffsetsCommitted).Codes[0]; got != c.code || (len(out.Records) == 1) != (c.code == 0) {
			t.Errorf("%q: %v, %d records", c.text, got, len(out.Records))
		}
	}
}

// What the format cannot hold is refused, never cut.
func TestWhatTheFormatCannotHoldIsRefused(t *testing.T) {
	long := strings.Repeat("x", stringMax+1)
	for name, c := range map[string]struct {
		group string
		row   protocol.CommitOffset
		keep  time.Duration
		code  protocol.Code
	}{
		"group":     {long, row("t", 0, 1), -1, protocol.InvalidGroupID},
		"topic":     {"g", row(long, 0, 1), -1, protocol.UnknownTopicOrPartition},
		"partition": {"g", row("t", -1, 1), -1, protocol.UnknownTopicOrPartition},
		"metadata":  {"g", protocol.CommitOffset{Topic: "t", Metadata: long}, time.Hour, protocol.OffsetMetadataTooLarge},
		"none":      {"g", protocol.CommitOffset{Topic: "t", Metadata: long}, -1, protocol.None},
	} {
		var out step.Out
		New(c.group).Commit(at0, &protocol.CommitOffsets{ProducerID: -1, Retention: c.keep, Offsets: []protocol.CommitOffset{c.row}}, Config{MetadataMax: 1 << 20}, &out)
		if got := out.Replies[0].Msg.(*protocol.OffsetsCommitted).Codes[0]; got != c.code {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestOffsetsExpire(t *testing.T) {
	day := 24 * time.Hour
	later := func(d time.Duration) step.Now { return step.Now{Wall: at0.Wall.Add(d)} }
	week := Expiry{Retention: 7 * day}
	for _, c := range []struct {
		name   string
		x      Expiry
		now    step.Now
		retain time.Duration // of OffsetCommit v2-4
		gone   int
		all    bool
	}{
		{"not yet", week, later(7*day - time.Millisecond), -1, 0, false},
		{"after retention", week, later(7 * day), -1, 2, true},
		{"the group was not empty", Expiry{Retention: 7 * day, EmptySince: at0.Wall.Add(day)}, later(7 * day), -1, 0, false},
		{"empty for as long", Expiry{Retention: 7 * day, EmptySince: at0.Wall.Add(day)}, later(8 * day), -1, 2, true},
		{"one is subscribed to", Expiry{Retention: 7 * day, Subscribed: func(t string) bool { return t == "a" }}, later(7 * day), -1, 1, false},
		{"the client's own retention", week, later(time.Hour), time.Hour, 2, true},
		{"the client's own is longer", week, later(8 * day), 9 * day, 0, false},
		{"the client's own is for ever", week, later(8 * day), 1<<63 - 1, 0, false},
	} {
		s := New("g")
		commit(t, s, at0, &protocol.CommitOffsets{ProducerID: -1, Retention: c.retain, Offsets: []protocol.CommitOffset{row("a", 0, 1), row("b", 0, 1)}}, 0)
		var out step.Out
		all := s.Expire(c.now, c.x, &out)
		if len(out.Records) != c.gone || all != c.all {
			t.Errorf("%s: %d gone, all %v", c.name, len(out.Records), all)
		}
	}
}

func TestWhatIsPendingDoesNotExpire(t *testing.T) {
	s := committed(t, row("t", 0, 5), row("t", 1, 5))
	commit(t, s, at0, &protocol.CommitOffsets{ProducerID: 7, Offsets: []protocol.CommitOffset{row("t", 0, 50)}}, 10)
	var out step.Out
	if all := s.Expire(step.Now{Wall: at0.Wall.Add(time.Hour)}, Expiry{Retention: time.Minute}, &out); all || !slices.Equal(keysOf(t, out), []string{"t-1"}) {
		t.Errorf("all %v, %v", all, keysOf(t, out))
	}
}

func TestOneLookExpiresABoundedNumber(t *testing.T) {
	rows := make([]protocol.CommitOffset, ExpireMax+5)
	for i := range rows {
		rows[i] = row("t", int32(i), 1)
	}
	s := committed(t, rows...)
	for _, want := range []int{ExpireMax, 5, 0} {
		var out step.Out
		all := s.Expire(step.Now{Wall: at0.Wall.Add(time.Hour)}, Expiry{Retention: time.Minute}, &out)
		if len(out.Records) != want || all != (want < ExpireMax) {
			t.Fatalf("%d, all %v", len(out.Records), all)
		}
		replay(t, s, out, -1, 1)
	}
}

func TestDeleteSparesWhatIsSubscribedTo(t *testing.T) {
	s := committed(t, row("a", 0, 1), row("b", 0, 1))
	commit(t, s, at0, &protocol.CommitOffsets{ProducerID: 7, Offsets: []protocol.CommitOffset{row("c", 0, 50)}}, 10)
	var out step.Out
	s.Delete(&protocol.DeleteOffsets{Offsets: []protocol.WantedOffset{{Topic: "a"}, {Topic: "b"}, {Topic: "c"}, {Topic: "b", Partition: 9}}},
		func(t string) bool { return t == "a" }, &out)
	codes := out.Replies[0].Msg.(*protocol.OffsetsDeleted).Codes
	if !slices.Equal(codes, []protocol.Code{protocol.GroupSubscribedToTopic, 0, 0, 0}) || !slices.Equal(keysOf(t, out), []string{"b-0", "c-0"}) {
		t.Errorf("%v %v", codes, keysOf(t, out))
	}
	replay(t, s, out, -1, 20)
	s.EndTxn(7, true)
	if got := fetch(s, true, "c", 0); got.Offset != -1 || s.Len() != 1 {
		t.Errorf("%+v, %d left", got, s.Len())
	}
}

// The bound is what a million offsets may take; the figure is for a topic of many partitions and for many topics of few.
func TestAMillionOffsetsStaySmall(t *testing.T) {
	if testing.Short() {
		t.Skip("allocates")
	}
	for _, width := range []int32{10_000, 50} {
		const n = 50_000
		v := Value{Offset: 1, Expires: noExpiry, TopicID: protocol.TopicID{1}, Metadata: "same"}
		value := AppendValue(nil, &v)
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		s := New("group")
		var key []byte
		for i := range int32(n) {
			key = AppendKey(key[:0], Key{"group", fmt.Sprint("topic-", i/width), i % width})
			if err := s.Replay(key, value, -1, int64(i)); err != nil {
				t.Fatal(err)
			}
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		if each := (after.HeapAlloc - before.HeapAlloc) / n; each > 120 {
			t.Errorf("%d partitions a topic: %d bytes an offset", width, each)
		}
		runtime.KeepAlive(s)
	}
}

func TestACommitIsCheap(t *testing.T) {
	s := committed(t, row("topic", 0, 1))
	m := &protocol.CommitOffsets{ProducerID: -1, Retention: -1, Offsets: []protocol.CommitOffset{row("topic", 0, 9)}}
	var out step.Out
	n := testing.AllocsPerRun(100, func() {
		out.Reset()
		s.Commit(at0, m, Config{MetadataMax: 4096}, &out)
		replay(t, s, out, -1, 1)
	})
	if n > 2 { // the records, the answer
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkCommit(b *testing.B) {
	s := committed(b, row("topic", 0, 1))
	m := &protocol.CommitOffsets{ProducerID: -1, Retention: -1, Offsets: []protocol.CommitOffset{row("topic", 0, 9)}}
	var out step.Out
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		out.Reset()
		s.Commit(at0, m, Config{MetadataMax: 4096}, &out)
		replay(b, s, out, -1, int64(i))
		s.Settle(m)
	}
}

// BenchmarkLoad replays a million offsets of a thousand groups.
func BenchmarkLoad(b *testing.B) {
	v := Value{Offset: 1, Expires: noExpiry, TopicID: protocol.TopicID{1}}
	value := AppendValue(nil, &v)
	for b.Loop() {
		groups := map[string]*State{}
		var key []byte
		for i := range int32(1_000_000) {
			key = AppendKey(key[:0], Key{"group-000", "the-name-of-a-topic", i / 1000})
			for j, n := 10, i%1000; j > 7; j, n = j-1, n/10 {
				key[2+2+j-2] = byte('0' + n%10)
			}
			group, _, _ := GroupOfKey(key)
			s := groups[group]
			if s == nil {
				s = New(group)
				groups[group] = s
			}
			if err := s.Replay(key, value, -1, int64(i)); err != nil {
				b.Fatal(err)
			}
		}
	}
}
