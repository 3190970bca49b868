package offsets

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/troupe-broker/troupe/actors/protocol"
	"github.com/troupe-broker/troupe/group/step"
)

// logged is one record of the model's log: an offset, a tombstone (no value), or the marker of a transaction (no key).
type logged struct {
	key, value []byte
	producer   protocol.ProducerID
	marker     bool
	commit     bool
	at         int64
}

// model says what is committed from the whole log, by another road than State: of every key the last record counts that is not pending,
// not aborted, and not before a tombstone.
type model struct{ log []logged }

// ending finds the marker that ends the transaction of the record at i.
func (m *model) ending(i int) *logged {
	for j := i + 1; j < len(m.log); j++ {
		if m.log[j].marker && m.log[j].producer == m.log[i].producer {
			return &m.log[j]
		}
	}
	return nil
}

func (m *model) counts(i int) bool {
	if m.log[i].producer < 0 || m.log[i].value == nil {
		return true
	}
	end := m.ending(i)
	return end != nil && end.commit
}

func (m *model) look(key []byte) (v *Value, pending bool) {
	for i := len(m.log) - 1; i >= 0; i-- {
		l := &m.log[i]
		if l.marker || string(l.key) != string(key) {
			continue
		}
		if l.value == nil {
			break
		}
		if !m.counts(i) {
			pending = pending || m.ending(i) == nil
			continue
		}
		if v == nil {
			got, err := parseValue(l.value)
			if err != nil {
				panic(err)
			}
			v = &got
		}
	}
	return v, pending
}

// compacted is the log after compaction, which works below the last stable offset: aborted records are gone, and those before a later
// one of their key that counts.
func (m *model) compacted() []logged {
	stable := slices.IndexFunc(m.log, func(l logged) bool { return !l.marker && l.producer >= 0 && m.ending(int(l.at)) == nil })
	if stable < 0 {
		stable = len(m.log)
	}
	var out []logged
	last := map[string]bool{}
	for i := stable - 1; i >= 0; i-- {
		switch l := m.log[i]; {
		case l.marker:
			out = append(out, l)
		case m.counts(i) && !last[string(l.key)]:
			last[string(l.key)] = true
			out = append(out, l)
		}
	}
	slices.Reverse(out)
	return append(out, m.log[stable:]...)
}

// player drives a State and a model through random interleavings.
type player struct {
	t     *testing.T
	rng   *rand.Rand
	s     *State
	m     model
	under []*underWay
	now   step.Now
	next  int64
}

type underWay struct {
	m       *protocol.CommitOffsets
	records []step.Record
}

var (
	topics = []string{"a", "bb", "ccc"}
	wide   = int32(40) // partitions, so that some topics are indexed
)

func (p *player) commit() {
	m := &protocol.CommitOffsets{ProducerID: protocol.NoProducerID, Retention: -1}
	if p.rng.IntN(2) == 0 {
		m.ProducerID = protocol.ProducerID(p.rng.IntN(3))
	} else if p.rng.IntN(8) == 0 {
		m.Retention = time.Hour
	}
	for range 1 + p.rng.IntN(3) {
		p.next++
		row := protocol.CommitOffset{Topic: topics[p.rng.IntN(len(topics))], Partition: p.rng.Int32N(wide), Offset: p.next, LeaderEpoch: -1}
		if p.rng.IntN(4) == 0 {
			row.Metadata = strings.Repeat("m", p.rng.IntN(12))
		}
		if p.rng.IntN(4) == 0 {
			row.TopicID = protocol.TopicID{byte(1 + len(row.Topic))}
		}
		if p.rng.IntN(10) == 0 {
			row.Code = protocol.UnknownTopicOrPartition
		}
		m.Offsets = append(m.Offsets, row)
	}
	var out step.Out
	p.s.Commit(p.now, m, Config{MetadataMax: 10}, &out)
	made := 0
	for i, code := range out.Replies[0].Msg.(*protocol.OffsetsCommitted).Codes {
		row := &m.Offsets[i]
		want := row.Code
		if len(row.Metadata) > 10 && want == protocol.None {
			want = protocol.OffsetMetadataTooLarge
		}
		if code != want {
			p.t.Fatalf("row %+v: %v", row, code)
		}
		if code == protocol.None {
			made++
		}
	}
	if made != len(out.Records) {
		p.t.Fatalf("%d records for %d rows", len(out.Records), made)
	}
	p.under = append(p.under, &underWay{m, out.Records})
}

// settle puts the oldest commit under way into the log, or loses it.
func (p *player) settle() {
	if len(p.under) == 0 {
		return
	}
	u := p.under[0]
	p.under = p.under[1:]
	if p.rng.IntN(5) > 0 {
		p.append(u.records, u.m.ProducerID)
	}
	p.s.Settle(u.m)
}

func (p *player) append(records []step.Record, producer protocol.ProducerID) {
	for _, r := range records {
		l := logged{key: slices.Clone(r.Key), value: slices.Clone(r.Value), producer: producer, at: int64(len(p.m.log))}
		p.m.log = append(p.m.log, l)
		if err := p.s.Replay(r.Key, r.Value, producer, l.at); err != nil {
			p.t.Fatal(err)
		}
		clear(r.Key) // the state must not live on views
		clear(r.Value)
	}
}

func (p *player) end() {
	l := logged{marker: true, producer: protocol.ProducerID(p.rng.IntN(3)), commit: p.rng.IntN(3) > 0, at: int64(len(p.m.log))}
	p.m.log = append(p.m.log, l)
	p.s.EndTxn(l.producer, l.commit)
}

func (p *player) remove() {
	var out step.Out
	switch p.rng.IntN(12) {
	case 0:
		p.s.DeleteAll(&out)
	case 1:
		p.s.DropTopics([]Topic{{"bb", protocol.TopicID{3}}}, &out)
	case 2:
		p.s.Expire(p.now, Expiry{Retention: 20 * time.Second, Subscribed: func(t string) bool { return t == "a" }}, &out)
	default:
		m := &protocol.DeleteOffsets{Offsets: []protocol.WantedOffset{{Topic: topics[p.rng.IntN(2)], Partition: p.rng.Int32N(wide)}}}
		p.s.Delete(m, func(t string) bool { return t == "ccc" }, &out)
	}
	p.append(out.Records, protocol.NoProducerID)
}

func (p *player) underWayFor(topic string, partition int32) bool {
	for _, u := range p.under {
		for _, row := range u.m.Offsets {
			if u.m.ProducerID >= 0 && row.Topic == topic && row.Partition == partition {
				return true
			}
		}
	}
	return false
}

// check compares everything.
func (p *player) check(s *State, live bool) {
	p.t.Helper()
	n := 0
	for _, topic := range topics {
		for i := range wide {
			v, pending := p.m.look(AppendKey(nil, Key{"g", topic, i}))
			want := protocol.CommitOffset{Topic: topic, Partition: i, Offset: -1, LeaderEpoch: -1}
			if v != nil {
				want.Offset, want.Metadata, want.TopicID = v.Offset, v.Metadata, v.TopicID
				n++
			}
			ask := &protocol.FetchOffsets{Wanted: []protocol.WantedOffset{{Topic: topic, Partition: i}}}
			if got := s.Fetch(ask).Offsets[0]; got != want {
				p.t.Fatalf("%s-%d is %+v, want %+v", topic, i, got, want)
			}
			if pending || live && p.underWayFor(topic, i) {
				want = protocol.CommitOffset{Topic: topic, Partition: i, Offset: -1, LeaderEpoch: -1, Code: protocol.UnstableOffsetCommit}
			}
			ask.RequireStable = true
			if got := s.Fetch(ask).Offsets[0]; got != want {
				p.t.Fatalf("stable: %s-%d is %+v, want %+v", topic, i, got, want)
			}
		}
	}
	if s.Len() != n {
		p.t.Fatalf("%d offsets, want %d", s.Len(), n)
	}
}

func replayed(t *testing.T, log []logged) *State {
	s := New("g")
	for _, l := range log {
		if l.marker {
			s.EndTxn(l.producer, l.commit)
		} else if err := s.Replay(l.key, l.value, l.producer, l.at); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

func TestOffsetsAreWhatTheLogSays(t *testing.T) {
	for seed := range uint64(40) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			p := &player{t: t, rng: rand.New(rand.NewPCG(seed, 1)), s: New("g"), now: step.Now{Wall: time.UnixMilli(1_700_000_000_000)}}
			if seed%3 == 0 {
				wide = 3
			} else {
				wide = 40
			}
			for i := range 250 {
				p.now.Wall = p.now.Wall.Add(time.Second)
				switch p.rng.IntN(10) {
				case 0, 1, 2, 3:
					p.commit()
				case 4, 5, 6:
					p.settle()
				case 7, 8:
					p.end()
				case 9:
					p.remove()
				}
				if i%10 == 0 {
					p.check(p.s, true)
				}
			}
			for len(p.under) > 0 {
				p.settle()
			}
			p.check(p.s, true)
			p.check(replayed(t, p.m.log), false)
			p.check(replayed(t, p.m.compacted()), false)
			p.finish()
		})
	}
}

// finish ends every transaction and deletes everything: nothing may be left behind.
func (p *player) finish() {
	for id := range protocol.ProducerID(3) {
		p.s.EndTxn(id, true)
	}
	var out step.Out
	p.s.DeleteAll(&out)
	p.append(out.Records, protocol.NoProducerID)
	if !p.s.Empty() || len(p.s.unstable) != 0 || len(p.s.committed.topics) != 0 || !reflect.DeepEqual(p.s.Producers(), []protocol.ProducerID{}) {
		p.t.Fatalf("left: %+v", p.s)
	}
}
