package workload

import (
	"fmt"
	"slices"
	"time"

	"github.com/troupe-broker/troupe/actors/protocol"
	"github.com/troupe-broker/troupe/simulations/check"
)

// Settings is what a seed draws for its clients.
type Settings struct {
	Producers, Consumers int
	// Transactors are the transactional producers.
	Transactors int
	// Committers commit offsets of groups without members; Members and ModernMembers are those of classic groups and of KIP-848; Copiers
	// copy exactly once, by transactions.
	Committers, Members, ModernMembers, Copiers int
	// RegexMembers are those of groups of KIP-848 that subscribe by regular expression.
	RegexMembers int
	// Keepers are single members, of groups of their own, that are away for long and rarely commit; OffsetRetention is how long offsets stay.
	Keepers         int
	OffsetRetention time.Duration
	// Migrants are members that go from one protocol to the other and back.
	Migrants int
	// GroupMax is the bound of members of a group; 0 is none.
	GroupMax int
	// Tellers move money in transactions, each in a bank of its own.
	Tellers int
	// Topics is the number of topics created at the beginning; Partitions bounds those of one.
	Topics, Partitions int
	// Deletes lets the administrator delete, recreate and grow topics; Trims lets it delete records.
	Deletes, Trims bool
	// Reconfigures lets it change topic configurations.
	Reconfigures bool
	// Pace is the mean time between the sends of one producer.
	Pace time.Duration
	// BatchMax is the largest number of records of a batch, PadMax the largest padding of a value in bytes.
	BatchMax, PadMax int
	// FetchBytes bounds fetch answers; small ones cut batches off.
	FetchBytes int32
	// OldVersions is the chance of a client to pin APIs to lower versions.
	OldVersions float64
	// NearWrap starts sequences just below the point where they wrap.
	NearWrap bool
	// OS is the chance of a topic to have durability=os.
	OS float64
	// LogAppendTime is the chance of a topic to have the broker's timestamps.
	LogAppendTime float64
	// Plain is the chance of a producer to be without idempotence.
	Plain float64
	// SegmentBytes is set on topics if not 0. The broker's validator must allow it.
	SegmentBytes int32
	// Compacted is the chance of a topic to be compacted.
	Compacted float64
	// Retention is the chance of a topic to delete old segments by size.
	Retention float64
}

// Topic is one incarnation of a topic as the clients know it.
type Topic struct {
	check.Topic
	Partitions int32
	created    *check.Op
	// again: another incarnation had the name before, so requests by name that were meant for that one may arrive here.
	again bool
	// gone is set as soon as somebody asked to delete it: at goneAt, which was answered by life goneLife of the node; 0 if it was not.
	gone     bool
	goneAt   check.Instant
	goneLife int
}

// Stage is what the clients of one run share: the history, what topics there are, the next value.
type Stage struct {
	Settings
	Rec        check.Recorder
	env        Env
	violations func(format string, args ...any)
	topics     []*Topic // alive, in order of creation
	all        []*Topic
	value      int64
	processes  int
	txns       int
	stopped    bool // producers and the administrator begin nothing new
	halted     bool // nor do consumers
	// Acked counts acknowledged batches, for progress.
	Acked      int64
	identities map[int64]string
	// highest acknowledged end of each partition: the final read must reach it.
	highest map[protocol.TopicPartition]int64
	// Excused says that acknowledged records may be gone, so that fencing a producer by its sequence is no surprise.
	Excused func(*Topic) bool
	// Answers counts answers by API and error code, Seen rare things that clients met.
	Answers, Seen map[string]int
	// Acknowledged, if set, hears of every acknowledged batch of a topic nobody asked to delete.
	Acknowledged func(*Topic, *check.Op)
	groups       []*group
	copiers      []*Copier
	tellers      []*Teller
	// copied is how far input partitions are copied, Copies counts the transactions of that.
	copied       map[protocol.TopicPartition]int64
	Copies       int64
	identitiesOf map[producerState]string
	owners       check.Owners
	memberships  check.Memberships
	// commits numbers the offset commits; Commits counts those acknowledged.
	commits, Commits int64
	// trimmed is the largest offset before which somebody asked to delete records.
	trimmed map[protocol.TopicPartition]int64
}

// NewStage sets the stage; violate hears of what clients find wrong at once.
func NewStage(e Env, s Settings, violate func(format string, args ...any)) *Stage {
	st := &Stage{
		Settings: s, env: e, violations: violate, highest: map[protocol.TopicPartition]int64{}, Seen: map[string]int{}, Answers: map[string]int{},
		identities: map[int64]string{}, trimmed: map[protocol.TopicPartition]int64{}, copied: map[protocol.TopicPartition]int64{}, Acknowledged: func(*Topic, *check.Op) {},
		Excused: func(*Topic) bool { return false },
	}
	st.Rec.Clock = func() int64 { return int64(e.Now()) }
	st.Rec.History().Retention = int64(s.OffsetRetention)
	return st
}

func (s *Stage) violate(format string, args ...any) { s.violations(format, args...) }

// Stop keeps producers and the administrator from beginning anything new; what is in flight ends. Consumers go on with what they have.
func (s *Stage) Stop() { s.stopped = true }

// Halt stops the consumers too.
func (s *Stage) Halt() { s.halted = true }

// Topics are the topics nobody asked to delete.
func (s *Stage) Topics() []*Topic { return s.topics }

func (s *Stage) newProcess() int {
	s.processes++
	return s.processes
}

func (s *Stage) newTxn() int {
	s.txns++
	return s.txns
}

func (s *Stage) nextValues(n int) []int64 {
	out := make([]int64, n)
	for i := range out {
		s.value++
		out[i] = s.value
	}
	return out
}

func (s *Stage) addTopic(t *Topic) {
	s.topics = append(s.topics, t)
	s.all = append(s.all, t)
	s.Rec.Topic(t.Topic)
}

func (s *Stage) dropTopic(t *Topic) {
	t.gone = true
	s.topics = slices.DeleteFunc(s.topics, func(o *Topic) bool { return o == t })
}

// pick draws a partition of a living topic; ok is false when there is none.
func (s *Stage) pick(intn func(int) int) (t *Topic, tp protocol.TopicPartition, ok bool) {
	if len(s.topics) == 0 {
		return nil, tp, false
	}
	t = s.topics[intn(len(s.topics))]
	return t, protocol.TopicPartition{Topic: t.ID, Partition: int32(intn(int(t.Partitions)))}, true
}

// byID is the topic of an id, alive or not.
func (s *Stage) byID(id protocol.TopicID) *Topic {
	for _, t := range s.all {
		if t.ID == id {
			return t
		}
	}
	return nil
}

func (s *Stage) saw(api string, code int16) {
	s.Answers[fmt.Sprintf("%s %s", api, protocol.Code(code).Name())]++
}

// identity notes a producer id; no id is ever given twice.
func (s *Stage) identity(name string, id int64) {
	if other, given := s.identities[id]; given {
		s.violate("producer id %d was given to %s and to %s", id, other, name)
	}
	s.identities[id] = name
}

// Trimmed is the offset before which somebody asked to delete records of a partition.
func (s *Stage) Trimmed(key protocol.TopicPartition) int64 { return s.trimmed[key] }

// sometimes counts something rare, if it happened.
func (s *Stage) sometimes(what string, happened bool) {
	if happened {
		s.Seen[what]++
	}
}
