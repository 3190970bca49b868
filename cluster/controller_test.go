package cluster

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/troupe-broker/troupe/actors"
	"github.com/troupe-broker/troupe/actors/actortest"
	"github.com/troupe-broker/troupe/actors/env/osenv"
	"github.com/troupe-broker/troupe/actors/protocol"
	"github.com/troupe-broker/troupe/cluster/config"
	"github.com/troupe-broker/troupe/partition/storage"
)

// stage is a controller whose host and disk move when the test says so.
type stage struct {
	*actortest.Harness
	t      *testing.T
	c      *Controller
	cfg    Config
	ready  int
	failed error
	sent   map[uint64]any // answers by correlation id
	asked  []*protocol.HostPartitions
	next   uint64
}

var (
	hostPID  = actors.NewPID("", "host")
	askerPID = actors.NewPID("", "asker")
)

func onStage(t *testing.T, dir string, change func(*Config)) *stage {
	t.Helper()
	s := &stage{t: t, sent: map[uint64]any{}}
	files, err := osenv.New().OpenFS(dir)
	if err != nil {
		t.Fatal(err)
	}
	s.cfg = Config{Node: 1, ClusterID: "the-cluster", Incarnation: [16]byte{byte(len(dir)), 1}, FS: files, Files: storage.NewFiles(files, 16), Host: hostPID, Images: NewImages(),
		Ready: func() { s.ready++ }, Failed: func(err error) { s.failed = err }}
	if change != nil {
		change(&s.cfg)
	}
	s.c = newController(s.cfg)
	s.Harness = actortest.New(t, s.c)
	s.note(s.Harness.Start())
	return s
}

// note keeps what the controller sent.
func (s *stage) note(effects []actortest.Effect) {
	for _, e := range effects {
		switch e := e.(type) {
		case actortest.Sent:
			if r, ok := e.Msg.(actors.Reply); ok {
				if s.sent[r.CorrelationID()] != nil {
					s.t.Fatalf("%d is answered twice", r.CorrelationID())
				}
				s.sent[r.CorrelationID()] = e.Msg
			}
		case actortest.Requested:
			s.asked = append(s.asked, e.Msg.(*protocol.HostPartitions))
		}
	}
}

// work ends the turn and runs offloaded work until there is none: everything but the host.
func (s *stage) work() {
	s.note(s.EndTurn())
	for s.Offloads() > 0 {
		s.note(s.RunOffload())
		s.note(s.EndTurn())
	}
}

// hosted answers the oldest unanswered request to the host, and goes on.
func (s *stage) hosted() *protocol.HostPartitions {
	s.t.Helper()
	if len(s.asked) == 0 {
		s.t.Fatal("the host was not asked")
	}
	m := s.asked[0]
	s.asked = s.asked[1:]
	s.note(s.Deliver(&protocol.PartitionsHosted{Answer: protocol.Answer{ID: m.ID}}))
	s.work()
	return m
}

// started brings the controller to where it serves.
func (s *stage) started() *stage {
	s.t.Helper()
	s.work()
	s.hosted()
	if s.ready != 1 {
		s.t.Fatalf("ready %d times", s.ready)
	}
	return s
}

// tell delivers a command and returns its id.
func (s *stage) tell(m actors.Command) uint64 {
	s.next++
	m.SetHead(askerPID, s.next)
	s.note(s.Deliver(m))
	return s.next
}

func create(names ...string) *protocol.CreateTopics {
	c := &protocol.CreateTopics{}
	for _, n := range names {
		c.Topics = append(c.Topics, protocol.NewTopic{Name: n, Partitions: -1, ReplicationFactor: -1})
	}
	return c
}

func set(kind protocol.ResourceType, name, key, value string) *protocol.AlterConfigs {
	return &protocol.AlterConfigs{Resources: []protocol.AlterResource{{Type: kind, Name: name, Ops: []protocol.AlterOp{{ConfigEntry: protocol.ConfigEntry{Key: key, Value: value}}}}}}
}

func (s *stage) topics() string {
	var names []string
	for t := range s.cfg.Images.Load().EachTopic {
		names = append(names, t.Name)
	}
	return strings.Join(names, " ")
}

func answerOf[M any](s *stage, id uint64) M {
	s.t.Helper()
	m, ok := s.sent[id].(M)
	if !ok {
		s.t.Fatalf("answer to %d is %T", id, s.sent[id])
	}
	return m
}

func TestFirstStartFoundsTheClusterAndRegisters(t *testing.T) {
	s := onStage(t, t.TempDir(), nil)
	s.work()
	if s.ready != 0 || s.cfg.Images.Load().ClusterID != "" {
		t.Fatal("published before the host was asked")
	}
	s.hosted()
	img := s.cfg.Images.Load()
	n, ok := img.Node(1)
	if s.ready != 1 || img.ClusterID != "the-cluster" || !ok || n.Epoch <= 0 || img.ControllerID != 1 || img.Feature("metadata.version") == 0 {
		t.Errorf("ready %d, image %+v, node %+v", s.ready, img, n)
	}
}

func TestAnswerAndImageWaitForTheHost(t *testing.T) {
	s := onStage(t, t.TempDir(), nil).started()
	id := s.tell(create("a"))
	s.note(s.EndTurn())
	if s.Offloads() == 0 {
		t.Fatal("nothing is being made durable")
	}
	if len(s.asked) > 0 {
		t.Fatal("the host was asked before the change was durable")
	}
	s.work()
	if s.sent[id] != nil || s.topics() != "" {
		t.Fatal("answered or visible before the host had it")
	}
	lead := s.hosted()
	if len(lead.Lead) != 1 || !lead.Lead[0].New || lead.Lead[0].TopicName != "a" || lead.Lead[0].Config.SegmentBytes != 1<<30 || len(lead.Drop) != 0 {
		t.Errorf("the host was told %+v", lead)
	}
	if got := answerOf[*protocol.TopicsCreated](s, id); got.Topics[0].Failed() || s.topics() != "a" || got.Topics[0].ID != lead.Lead[0].Partition.Topic {
		t.Errorf("%+v, topics %s", got, s.topics())
	}
}

func TestConcurrentCreatesOfOneNameCannotBothSucceed(t *testing.T) {
	s := onStage(t, t.TempDir(), nil).started()
	first, second := s.tell(create("a")), s.tell(create("a", "b")) // in one entry
	s.note(s.EndTurn())
	third := s.tell(create("b", "c")) // while the first entry is under way
	s.work()
	s.hosted() // a, b
	fourth := s.tell(create("c"))
	s.work()
	s.hosted() // c
	if s.topics() != "a b c" {
		t.Errorf("topics %s", s.topics())
	}
	exists := protocol.TopicAlreadyExists
	for id, want := range map[uint64][]protocol.Code{first: {0}, second: {exists, 0}, third: {exists, 0}, fourth: {exists}} {
		for i, row := range answerOf[*protocol.TopicsCreated](s, id).Topics {
			if row.Code != want[i] {
				t.Errorf("%d %s: %v, want %v", id, row.Name, row.Code, want[i])
			}
		}
	}
}

func TestAQuestionWaitsForWhatWasDecidedBefore(t *testing.T) {
	s := onStage(t, t.TempDir(), nil).started()
	s.tell(create("a"))
	s.work()
	auto := create("a")
	auto.Auto = true
	id := s.tell(auto)
	s.work()
	if s.sent[id] != nil {
		t.Fatal("auto-creation of an existing topic was answered before the topic is served")
	}
	s.hosted()
	if got := answerOf[*protocol.TopicsCreated](s, id).Topics[0]; got.Failed() || got.Partitions != 1 {
		t.Errorf("%+v", got)
	}
}

func TestSettingsReachThePartitionsTheyConcern(t *testing.T) {
	s := onStage(t, t.TempDir(), func(c *Config) {
		c.Static = config.Sort([]protocol.ConfigEntry{{Key: "log.retention.hours", Value: "1"}})
	}).started()
	s.tell(create("a", "b"))
	s.work()
	if got := s.hosted().Lead[0].Config.RetentionTime.Hours(); got != 1 {
		t.Errorf("retention of %v hours", got)
	}
	s.tell(set(protocol.ResourceTopic, "a", "retention.ms", "5"))
	s.work()
	if lead := s.hosted().Lead; len(lead) != 1 || lead[0].TopicName != "a" || lead[0].Config.RetentionTime.Milliseconds() != 5 || lead[0].New {
		t.Errorf("the host was told %+v", lead)
	}
	s.tell(set(protocol.ResourceBroker, "", "log.retention.ms", "7"))
	s.work()
	if lead := s.hosted().Lead; len(lead) != 1 || lead[0].TopicName != "b" || lead[0].Config.RetentionTime.Milliseconds() != 7 {
		t.Errorf("the host was told %+v", lead)
	}
	id := s.tell(set(protocol.ResourceBroker, "1", "max.connections", "7")) // no partition cares
	s.work()
	answerOf[*protocol.ConfigsAltered](s, id)
	if got := s.cfg.Images.Broker(); got.MaxConnections != 7 {
		t.Errorf("max.connections is %d", got.MaxConnections)
	}
}

func TestDeletedTopicsAreDropped(t *testing.T) {
	s := onStage(t, t.TempDir(), nil).started()
	s.tell(create("a"))
	s.work()
	tp := s.hosted().Lead[0].Partition
	id := s.tell(&protocol.DeleteTopics{Topics: []protocol.TopicRef{{Name: "a"}}})
	s.tell(create("a"))
	s.work()
	change := s.hosted()
	if !slices.Equal(change.Drop, []protocol.TopicPartition{tp}) || len(change.Lead) != 1 || change.Lead[0].Partition == tp {
		t.Errorf("the host was told %+v", change)
	}
	if got := answerOf[*protocol.TopicsDeleted](s, id).Topics[0]; got.Failed() || got.ID != tp.Topic {
		t.Errorf("%+v", got)
	}
}

// killed is a restart without a stop: what was answered must be there.
func TestEverythingAnsweredSurvivesAKill(t *testing.T) {
	dir := t.TempDir()
	s := onStage(t, dir, nil).started()
	s.tell(create("a", "b"))
	s.tell(set(protocol.ResourceTopic, "a", "retention.ms", "5"))
	s.tell(set(protocol.ResourceBroker, "1", "log.retention.bytes", "9"))
	ids := s.tell(&protocol.AllocateProducerIDs{})
	s.work()
	s.hosted()
	first := answerOf[*protocol.ProducerIDsAllocated](s, ids)
	before := s.cfg.Images.Load()

	s = onStage(t, dir, func(c *Config) { c.Incarnation[0]++ })
	s.work()
	told := s.hosted()
	img := s.cfg.Images.Load()
	n, _ := img.Node(1)
	old, _ := before.Node(1)
	if s.topics() != "a b" || n.Epoch <= old.Epoch || img.TopicConfig("a")[0].Value != "5" || img.BrokerConfig(1)[0].Value != "9" {
		t.Errorf("topics %s, epoch %d after %d", s.topics(), n.Epoch, old.Epoch)
	}
	if len(told.Lead) != 2 || told.Lead[0].New || told.Lead[0].LeaderEpoch != 1 || told.Lead[0].Config.RetentionBytes != 9 {
		t.Errorf("the host was told %+v", told.Lead)
	}
	ids = s.tell(&protocol.AllocateProducerIDs{})
	s.work()
	if again := answerOf[*protocol.ProducerIDsAllocated](s, ids); again.First < first.First+protocol.ProducerID(first.Count) {
		t.Errorf("producer ids from %d are given again, after [%d, +%d)", again.First, first.First, first.Count)
	}
}

func TestACleanRestartKeepsLeaderEpochs(t *testing.T) {
	dir := t.TempDir()
	s := onStage(t, dir, nil).started()
	s.tell(create("a"))
	s.work()
	s.hosted()
	s.note(s.Deliver(actors.Stopping{}))
	s = onStage(t, dir, func(c *Config) { c.Incarnation[0]++; c.Clean = true })
	s.work()
	if told := s.hosted(); told.Lead[0].LeaderEpoch != 0 {
		t.Errorf("leader epoch %d", told.Lead[0].LeaderEpoch)
	}
}

func TestAnotherClustersLogIsRefused(t *testing.T) {
	dir := t.TempDir()
	onStage(t, dir, nil).started()
	s := onStage(t, dir, func(c *Config) { c.ClusterID = "another" })
	s.work()
	if s.failed == nil || !strings.Contains(s.failed.Error(), "the-cluster") || s.ready > 0 {
		t.Errorf("failed with %v", s.failed)
	}
}

func TestStopAnswersEverything(t *testing.T) {
	s := onStage(t, t.TempDir(), nil).started()
	var ids []uint64
	ids = append(ids, s.tell(create("hosting")))
	s.work()
	ids = append(ids, s.tell(create("committed")))
	s.work()
	ids = append(ids, s.tell(create("proposed")))
	s.note(s.EndTurn())
	ids = append(ids, s.tell(create("waiting")))
	s.note(s.Deliver(actors.Stopping{}))
	for _, id := range ids {
		if got := answerOf[*protocol.TopicsCreated](s, id).Topics[0]; got.Code != protocol.NotController {
			t.Errorf("%s: %v", got.Name, got.Code)
		}
	}
}

func TestCommandsBeforeTheStartAreKeptAndBeyondTheBoundRefused(t *testing.T) {
	s := onStage(t, t.TempDir(), nil)
	early := s.tell(create("early"))
	s.started()
	s.hosted()
	if answerOf[*protocol.TopicsCreated](s, early).Topics[0].Failed() {
		t.Error("a command sent before the start failed")
	}
	s.c.waiting = make([]actors.Command, commandsMax)
	if id := s.tell(create("late")); answerOf[*protocol.TopicsCreated](s, id).Topics[0].Code != protocol.NotController {
		t.Error("no bound")
	}
	s.c.waiting = nil
}

func TestAManyCommandsEntryIsSplit(t *testing.T) {
	s := onStage(t, t.TempDir(), nil).started()
	for i := range batchMax + 1 {
		s.tell(create(fmt.Sprint("t", i)))
	}
	s.note(s.EndTurn())
	if got := len(s.c.entry.answers); got != batchMax {
		t.Errorf("%d commands in one entry", got)
	}
	s.work()
	for len(s.asked) > 0 {
		s.hosted()
	}
	if got := s.cfg.Images.Load().NumTopics(); got != batchMax+1 {
		t.Errorf("%d topics", got)
	}
}

func TestMetadataSurvivesItsSnapshots(t *testing.T) {
	dir := t.TempDir()
	often := func(c *Config) {
		c.Static = []protocol.ConfigEntry{{Key: "metadata.log.max.record.bytes.between.snapshots", Value: "1000000"}}
	}
	s := onStage(t, dir, often).started()
	for i := range 8 { // each change is some 400 KB
		s.tell(&protocol.CreateTopics{Topics: []protocol.NewTopic{{Name: "big", Partitions: 10_000, ReplicationFactor: 1}}})
		s.tell(create(fmt.Sprint("t", i)))
		s.work()
		s.hosted()
		s.tell(&protocol.DeleteTopics{Topics: []protocol.TopicRef{{Name: "big"}}})
		s.work()
		s.hosted()
	}
	want := s.topics()
	if snapshots, _ := filepath.Glob(filepath.Join(dir, metadataDir, "*.checkpoint")); len(snapshots) != 2 || strings.Contains(snapshots[0], "/00000000000000000001-") {
		t.Errorf("snapshots %v", snapshots)
	}
	s = onStage(t, dir, func(c *Config) { often(c); c.Incarnation[0]++; c.Clean = true }).started()
	if s.topics() != want || s.cfg.Images.Load().NumTopics() != 8 {
		t.Errorf("topics %s, want %s", s.topics(), want)
	}
}

// A partition that cannot be made is said in the answer; the topic is there all the same, and other answers are as they were.
func TestPartitionThatCannotBeMade(t *testing.T) {
	s := onStage(t, t.TempDir(), nil).started()
	created := s.tell(create("fine", "broken"))
	s.work()
	m := s.asked[0]
	s.asked = s.asked[1:]
	out := &protocol.PartitionsHosted{Answer: protocol.Answer{ID: m.ID}}
	for _, l := range m.Lead {
		if l.TopicName == "broken" {
			out.Failed = append(out.Failed, protocol.PartitionFault{Partition: l.Partition, Fault: protocol.Fault{Code: protocol.KafkaStorageError, Reason: "no directory"}})
		}
	}
	s.note(s.Deliver(out))
	s.work()
	rows := answerOf[*protocol.TopicsCreated](s, created).Topics
	if rows[0].Failed() || rows[1].Code != protocol.KafkaStorageError || !strings.Contains(rows[1].Reason, "no directory") {
		t.Errorf("%+v", rows)
	}
	if s.topics() != "broken fine" {
		t.Errorf("topics %q", s.topics())
	}
}
