package kafka

import (
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/troupe-broker/troupe/actors"
	"github.com/troupe-broker/troupe/actors/protocol"
	"github.com/troupe-broker/troupe/actors/record"
	"github.com/troupe-broker/troupe/cluster/image"
	"github.com/troupe-broker/troupe/transport/kafka/api"
)

// coordinator is a shard of both kinds that remembers what it got and answers as it is told.
type coordinator struct {
	got    []any
	answer func(msg any) any // nil: silence
}

func (c *coordinator) Receive(ctx *actors.Context, msg any) {
	var to actors.PID
	switch m := msg.(type) {
	case *protocol.InitTransactions:
		to = m.ReplyTo
	case *protocol.AddPartitions:
		to = m.ReplyTo
	case *protocol.EndTransaction:
		to = m.ReplyTo
	case *protocol.DescribeTransaction:
		to = m.ReplyTo
	case *protocol.ListTransactions:
		to = m.ReplyTo
	case *protocol.CommitOffsets:
		to = m.ReplyTo
	case *protocol.EndOffsets:
		to = m.ReplyTo
	default:
		return
	}
	c.got = append(c.got, msg)
	if a := c.answer(msg); a != nil {
		ctx.Send(to, a)
	}
}

// directory is a node's with one shard of each kind, or none.
type directory struct {
	pid     actors.PID
	code    protocol.Code
	missing bool // __consumer_offsets
	ensured protocol.Code
}

func (d *directory) Group(string) (actors.PID, protocol.Code)       { return d.pid, d.code }
func (d *directory) Transaction(string) (actors.PID, protocol.Code) { return d.pid, d.code }
func (d *directory) GroupShards() []actors.PID                      { return []actors.PID{d.pid} }
func (d *directory) TransactionShards() []actors.PID                { return []actors.PID{d.pid, d.pid} }

func (d *directory) GroupPartition(string) (int32, protocol.Code) {
	if d.missing {
		return -1, protocol.CoordinatorNotAvailable
	}
	return 17, protocol.None
}

func (d *directory) GroupShard(number int32) (actors.PID, protocol.Code) {
	if number != 17 {
		return actors.PID{}, protocol.NotCoordinator
	}
	return d.pid, d.code
}

func (d *directory) EnsureGroup(_ string, _ time.Duration, done func(protocol.NodeID, protocol.Code)) {
	if d.ensured == protocol.None {
		d.missing = false
	}
	done(self, d.ensured)
}

func (d *directory) EnsureTransaction(_ string, _ time.Duration, done func(protocol.NodeID, protocol.Code)) {
	done(self, d.ensured)
}

var _ api.Coordinators = (*directory)(nil)

// coordinate gives the world a coordinator.
func (w *world) coordinate(answer func(any) any) (*coordinator, *directory) {
	c := &coordinator{answer: answer}
	d := &directory{pid: w.spawn("coordinator", c)}
	w.server.Coordinators = d
	return c, d
}

// refusing answers every command with the code.
func refusing(code *protocol.Code) func(any) any {
	return func(msg any) any { return msg.(interface{ Failed(protocol.Code) any }).Failed(*code) }
}

func TestInitTransactionsInEveryVersion(t *testing.T) {
	w := newWorld(t)
	code := protocol.None
	co, d := w.coordinate(func(msg any) any {
		m := msg.(*protocol.InitTransactions)
		if code != protocol.None {
			return m.Failed(code)
		}
		return &protocol.TransactionsInitialized{Answer: protocol.Answer{ID: m.ID}, ProducerID: 70, ProducerEpoch: 7}
	})
	c := w.connect()
	req := kmsg.NewPtrInitProducerIDRequest()
	req.TransactionalID, req.TransactionTimeoutMillis, req.ProducerID, req.ProducerEpoch = kmsg.StringPtr("tx"), 5000, 70, 6
	for version := int16(0); version <= 5; version++ {
		code = protocol.None
		if resp := ask[*kmsg.InitProducerIDResponse](c, version, req); resp.ErrorCode != 0 || resp.ProducerID != 70 || resp.ProducerEpoch != 7 {
			t.Errorf("v%d: %+v", version, resp)
		}
		m := co.got[len(co.got)-1].(*protocol.InitTransactions)
		want := protocol.InitTransactions{Head: m.Head, TransactionalID: "tx", Timeout: 5 * time.Second, ProducerID: -1, ProducerEpoch: -1}
		if version >= 3 {
			want.ProducerID, want.ProducerEpoch = 70, 6
		}
		if *m != want {
			t.Errorf("v%d: %+v", version, m)
		}
		code = protocol.ProducerFenced
		fenced := protocol.ProducerFenced
		if version < 4 {
			fenced = protocol.InvalidProducerEpoch
		}
		if resp := ask[*kmsg.InitProducerIDResponse](c, version, req); resp.ErrorCode != int16(fenced) || resp.ProducerID != -1 || resp.ProducerEpoch != -1 {
			t.Errorf("v%d fenced: %+v", version, resp)
		}
	}
	req.ProducerEpoch = -1
	if resp := ask[*kmsg.InitProducerIDResponse](c, 5, req); resp.ErrorCode != int16(protocol.InvalidRequest) {
		t.Errorf("a producer id without epoch: %+v", resp)
	}
	req.ProducerID, d.code = -1, protocol.NotCoordinator
	if resp := ask[*kmsg.InitProducerIDResponse](c, 5, req); resp.ErrorCode != int16(protocol.NotCoordinator) {
		t.Errorf("elsewhere: %+v", resp)
	}
}

func TestCoordinatorThatKeepsSilentIsGivenUp(t *testing.T) {
	w := newWorld(t)
	w.coordinate(func(any) any { return nil })
	c := w.connect()
	req := kmsg.NewPtrEndTxnRequest()
	req.TransactionalID = "tx"
	c.send(5, req)
	w.advance(40 * time.Second)
	resp, _ := c.reply().(*kmsg.EndTxnResponse)
	if resp == nil || resp.ErrorCode != int16(protocol.CoordinatorNotAvailable) || resp.ProducerID != -1 {
		t.Errorf("%+v", resp)
	}
}

func TestAddPartitionsToTxn(t *testing.T) {
	w := newWorld(t)
	w.topic("events", 2)
	code := protocol.None
	co, _ := w.coordinate(func(msg any) any {
		m := msg.(*protocol.AddPartitions)
		out := m.Failed(code).(*protocol.PartitionsAdded)
		if m.VerifyOnly && code == protocol.None {
			out.Codes = []protocol.Code{protocol.None, protocol.TransactionAbortable}
		}
		return out
	})
	c := w.connect()
	for version := int16(0); version <= 3; version++ {
		req := kmsg.NewPtrAddPartitionsToTxnRequest()
		req.TransactionalID, req.ProducerID, req.ProducerEpoch = "tx", 70, 7
		req.Topics = []kmsg.AddPartitionsToTxnRequestTopic{{Topic: "events", Partitions: []int32{1, 0}}}
		said := map[protocol.Code]protocol.Code{protocol.None: protocol.None, protocol.ConcurrentTransactions: protocol.ConcurrentTransactions, protocol.ProducerFenced: protocol.ProducerFenced}
		if version < 2 {
			said[protocol.ProducerFenced] = protocol.InvalidProducerEpoch
		}
		for answer, want := range said {
			code = answer
			resp := ask[*kmsg.AddPartitionsToTxnResponse](c, version, req)
			if rows := resp.Topics[0].Partitions; len(rows) != 2 || rows[0].Partition != 1 || rows[0].ErrorCode != int16(want) || rows[1].ErrorCode != int16(want) {
				t.Errorf("v%d %s: %+v", version, answer.Name(), rows)
			}
		}
		m := co.got[len(co.got)-1].(*protocol.AddPartitions)
		if m.ProducerID != 70 || m.ProducerEpoch != 7 || m.ByLeader || m.VerifyOnly || !slices.Equal(m.Partitions, []protocol.NamedPartition{{Topic: "events", Partition: 1}, {Topic: "events", Partition: 0}}) {
			t.Errorf("v%d: %+v", version, m)
		}
	}

	code = protocol.None
	req := kmsg.NewPtrAddPartitionsToTxnRequest()
	topics := []kmsg.AddPartitionsToTxnRequestTransactionTopic{{Topic: "events", Partitions: []int32{0, 1}}}
	req.Transactions = []kmsg.AddPartitionsToTxnRequestTransaction{
		{TransactionalID: "one", ProducerID: 1, VerifyOnly: true, Topics: topics},
		{TransactionalID: "two", ProducerID: 2, Topics: topics},
		{TransactionalID: "three", Topics: []kmsg.AddPartitionsToTxnRequestTransactionTopic{{Topic: "events", Partitions: []int32{0, 2}}, {Topic: "gone", Partitions: []int32{0}}}},
		{TransactionalID: "", Topics: topics},
	}
	var got []string
	for _, tx := range ask[*kmsg.AddPartitionsToTxnResponse](c, 5, req).Transactions {
		for _, topic := range tx.Topics {
			for _, p := range topic.Partitions {
				got = append(got, fmt.Sprint(tx.TransactionalID, " ", topic.Topic, "-", p.Partition, " ", p.ErrorCode))
			}
		}
	}
	want := []string{"one events-0 0", "one events-1 120", "two events-0 0", "two events-1 0", "three events-0 55", "three events-2 3", "three gone-0 3", " events-0 42", " events-1 42"}
	if !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
	if m := co.got[len(co.got)-1].(*protocol.AddPartitions); !m.ByLeader || m.TransactionalID != "two" {
		t.Errorf("%+v", m)
	}
}

func TestAddOffsetsToTxnMakesTheTopic(t *testing.T) {
	w := newWorld(t)
	code := protocol.None
	co, d := w.coordinate(refusing(&code))
	c := w.connect()
	req := kmsg.NewPtrAddOffsetsToTxnRequest()
	req.TransactionalID, req.Group, req.ProducerID, req.ProducerEpoch = "tx", "g", 70, 7
	for version := int16(0); version <= 4; version++ {
		code, d.missing = protocol.None, version%2 == 0
		if resp := ask[*kmsg.AddOffsetsToTxnResponse](c, version, req); resp.ErrorCode != 0 {
			t.Errorf("v%d: %+v", version, resp)
		}
		m := co.got[len(co.got)-1].(*protocol.AddPartitions)
		if m.ProducerID != 70 || m.ByLeader || !slices.Equal(m.Partitions, []protocol.NamedPartition{{Topic: "__consumer_offsets", Partition: 17}}) {
			t.Errorf("v%d: %+v", version, m)
		}
		code = protocol.ProducerFenced
		if resp := ask[*kmsg.AddOffsetsToTxnResponse](c, version, req); (version < 2) != (resp.ErrorCode == int16(protocol.InvalidProducerEpoch)) {
			t.Errorf("v%d fenced: %+v", version, resp)
		}
	}
	d.missing, d.ensured = true, protocol.CoordinatorLoadInProgress
	if resp := ask[*kmsg.AddOffsetsToTxnResponse](c, 4, req); resp.ErrorCode != int16(protocol.CoordinatorLoadInProgress) {
		t.Errorf("without topic: %+v", resp)
	}
	req.TransactionalID = ""
	if resp := ask[*kmsg.AddOffsetsToTxnResponse](c, 4, req); resp.ErrorCode != int16(protocol.InvalidRequest) {
		t.Errorf("without id: %+v", resp)
	}
}

func TestEndTxnInEveryVersion(t *testing.T) {
	w := newWorld(t)
	code := protocol.None
	co, _ := w.coordinate(func(msg any) any {
		m := msg.(*protocol.EndTransaction)
		out := m.Failed(code).(*protocol.TransactionEnded)
		if code == protocol.None && m.Bump {
			out.ProducerID, out.ProducerEpoch = m.ProducerID, m.ProducerEpoch+1
		}
		return out
	})
	c := w.connect()
	req := kmsg.NewPtrEndTxnRequest()
	req.TransactionalID, req.ProducerID, req.ProducerEpoch, req.Commit = "tx", 70, 7, true
	for version := int16(0); version <= 5; version++ {
		code = protocol.None
		resp := ask[*kmsg.EndTxnResponse](c, version, req)
		if resp.ErrorCode != 0 || version == 5 && (resp.ProducerID != 70 || resp.ProducerEpoch != 8) {
			t.Errorf("v%d: %+v", version, resp)
		}
		m := co.got[len(co.got)-1].(*protocol.EndTransaction)
		if want := (protocol.EndTransaction{Head: m.Head, TransactionalID: "tx", ProducerID: 70, ProducerEpoch: 7, Commit: true, Bump: version == 5}); *m != want {
			t.Errorf("v%d: %+v", version, m)
		}
		code = protocol.ProducerFenced
		if resp = ask[*kmsg.EndTxnResponse](c, version, req); (version < 2) != (resp.ErrorCode == int16(protocol.InvalidProducerEpoch)) {
			t.Errorf("v%d fenced: %+v", version, resp)
		}
	}
	req.TransactionalID = ""
	if resp := ask[*kmsg.EndTxnResponse](c, 5, req); resp.ErrorCode != int16(protocol.InvalidRequest) {
		t.Errorf("without id: %+v", resp)
	}
}

func TestWriteTxnMarkers(t *testing.T) {
	w := newWorld(t)
	parts := w.topic("events", 2)
	code := protocol.None
	co, _ := w.coordinate(refusing(&code))
	req := kmsg.NewPtrWriteTxnMarkersRequest()
	req.Markers = []kmsg.WriteTxnMarkersRequestMarker{
		{ProducerID: 70, ProducerEpoch: 7, Committed: true, CoordinatorEpoch: 3, TransactionVersion: 2, Topics: []kmsg.WriteTxnMarkersRequestMarkerTopic{
			{Topic: "events", Partitions: []int32{0, 5}}, {Topic: "__consumer_offsets", Partitions: []int32{17, 18}}, {Topic: "__transaction_state", Partitions: []int32{0}}, {Topic: "gone", Partitions: []int32{0}},
		}},
		{ProducerID: -1, ProducerEpoch: 0, Topics: []kmsg.WriteTxnMarkersRequestMarkerTopic{{Topic: "events", Partitions: []int32{1}}}},
	}
	codes := func(version int16) (out []int16) {
		for _, m := range ask[*kmsg.WriteTxnMarkersResponse](w.connect(), version, req).Markers {
			for _, topic := range m.Topics {
				for _, p := range topic.Partitions {
					out = append(out, p.ErrorCode)
				}
			}
		}
		return out
	}
	for version := int16(1); version <= 2; version++ {
		if got := codes(version); !slices.Equal(got, []int16{0, 3, 0, 6, 17, 3, 42}) {
			t.Errorf("v%d: %v", version, got)
		}
		m := parts[0].got[len(parts[0].got)-1].(protocol.Produce)
		commit, epoch, ok := record.Batch(m.Batch).Marker()
		if !ok || !commit || epoch != 3 || record.Batch(m.Batch).ProducerID() != 70 || record.Batch(m.Batch).ProducerEpoch() != 7 || !m.Internal || m.Acks != -1 || m.TransactionVersion != 2*(version-1) {
			t.Errorf("v%d: %+v", version, m)
		}
		e := co.got[len(co.got)-1].(*protocol.EndOffsets)
		if want := (protocol.EndOffsets{Head: e.Head, Partition: 17, ProducerID: 70, ProducerEpoch: 7, CoordinatorEpoch: 3, Commit: true, TransactionVersion: 2 * (version - 1)}); *e != want {
			t.Errorf("v%d: %+v", version, e)
		}
	}
	if len(parts[1].got) > 0 {
		t.Errorf("a marker without producer: %+v", parts[1].got)
	}
	code, parts[0].fault = protocol.CoordinatorLoadInProgress, protocol.Fault{Code: protocol.InvalidProducerEpoch}
	if got := codes(1); !slices.Equal(got, []int16{47, 3, 6, 6, 17, 3, 42}) {
		t.Errorf("refused: %v", got)
	}
	req.Markers = nil
	if resp := ask[*kmsg.WriteTxnMarkersResponse](w.connect(), 2, req); len(resp.Markers) != 0 {
		t.Errorf("%+v", resp)
	}
}

// Whoever ends transactions behind their coordinators' backs is in the log.
func TestWriteTxnMarkersIsLogged(t *testing.T) {
	var log lines
	w := &world{t: t, clock: &handClock{wall: time.UnixMilli(1_700_000_000_000)}}
	w.found(w.clock, w, slog.New(slog.NewTextHandler(&log, nil)))
	w.topic("events", 2)
	req := kmsg.NewPtrWriteTxnMarkersRequest()
	req.Markers = []kmsg.WriteTxnMarkersRequestMarker{{ProducerID: 70, ProducerEpoch: 7, Topics: []kmsg.WriteTxnMarkersRequestMarkerTopic{{Topic: "events", Partitions: []int32{0, 1, 2}}}}}
	ask[*kmsg.WriteTxnMarkersResponse](w.connect(), 1, req)
	if want := `msg="transaction ended in partitions" producer=70 epoch=7 commit=false partitions=2 failed=1 by.principal=User:ANONYMOUS by.address=127.0.0.1 by.client=tester`; !strings.Contains(log.String(), want) {
		t.Errorf("no %s in %s", want, log.String())
	}
}

func TestTxnOffsetCommitInEveryVersion(t *testing.T) {
	w := newWorld(t)
	w.topic("events", 2)
	code := protocol.None
	co, d := w.coordinate(refusing(&code))
	c := w.connect()
	req := kmsg.NewPtrTxnOffsetCommitRequest()
	req.TransactionalID, req.Group, req.ProducerID, req.ProducerEpoch, req.Generation, req.MemberID, req.InstanceID = "tx", "g", 70, 7, 4, "m", kmsg.StringPtr("i")
	req.Topics = []kmsg.TxnOffsetCommitRequestTopic{
		{Topic: "gone", Partitions: []kmsg.TxnOffsetCommitRequestTopicPartition{{Partition: 0, Offset: 1}}},
		{Topic: "events", Partitions: []kmsg.TxnOffsetCommitRequestTopicPartition{{Partition: 1, Offset: 11, LeaderEpoch: 3, Metadata: kmsg.StringPtr("meta")}, {Partition: 2, Offset: 12}}},
	}
	codes := func(version int16) string {
		resp, text := ask[*kmsg.TxnOffsetCommitResponse](c, version, req), ""
		for _, topic := range resp.Topics {
			for _, p := range topic.Partitions {
				text += fmt.Sprint(topic.Topic, "-", p.Partition, ":", p.ErrorCode, " ")
			}
		}
		return text
	}
	for version := int16(0); version <= 5; version++ {
		code = protocol.None
		if got := codes(version); got != "gone-0:3 events-1:0 events-2:3 " {
			t.Errorf("v%d: %s", version, got)
		}
		m := co.got[len(co.got)-1].(*protocol.CommitOffsets)
		member := protocol.Member{GroupID: "g", ClientID: "tester", ClientHost: "/127.0.0.1"}
		generation, epoch := int32(-1), protocol.LeaderEpoch(-1)
		if version >= 2 {
			epoch = 3
		}
		if version >= 3 {
			member.MemberID, member.InstanceID, generation = "m", "i", 4
		}
		row := protocol.CommitOffset{Topic: "events", TopicID: topicID("events"), Partition: 1, Offset: 11, LeaderEpoch: epoch, Metadata: "meta"}
		if m.Member != member || m.Generation != generation || m.TransactionalID != "tx" || m.ProducerID != 70 || m.ProducerEpoch != 7 || m.AddPartition != (version >= 5) || m.Retention != -1 || m.Offsets[1] != row {
			t.Errorf("v%d: %+v", version, m)
		}
		code = protocol.CoordinatorLoadInProgress
		want := int16(code)
		if version < 2 {
			want = int16(protocol.CoordinatorNotAvailable)
		}
		if got := codes(version); got != fmt.Sprintf("gone-0:3 events-1:%d events-2:3 ", want) {
			t.Errorf("v%d loading: %s", version, got)
		}
	}
	asked := len(co.got)
	req.Topics = req.Topics[:1]
	if got := codes(5); got != "gone-0:3 " || len(co.got) != asked {
		t.Errorf("only a topic that is gone: %s, %d commands", got, len(co.got)-asked)
	}
	req.Topics[0].Topic, d.code = "events", protocol.NotCoordinator
	if got := codes(5); got != "events-0:16 " {
		t.Errorf("elsewhere: %s", got)
	}
}

func TestDescribeTransactions(t *testing.T) {
	w := newWorld(t)
	w.coordinate(func(msg any) any {
		m := msg.(*protocol.DescribeTransaction)
		if m.TransactionalID != "tx" {
			return m.Failed(protocol.TransactionalIDNotFound)
		}
		return &protocol.TransactionDescribed{Answer: protocol.Answer{ID: m.ID}, TransactionalID: "tx", State: "Ongoing", ProducerID: 70, ProducerEpoch: 7, Timeout: time.Minute, Start: 123,
			Partitions: []protocol.NamedPartition{{Topic: "a", Partition: 0}, {Topic: "a", Partition: 2}, {Topic: "b", Partition: 1}}}
	})
	req := kmsg.NewPtrDescribeTransactionsRequest()
	req.TransactionalIDs = []string{"tx", "none", ""}
	states := ask[*kmsg.DescribeTransactionsResponse](w.connect(), 0, req).TransactionStates
	got := fmt.Sprintf("%+v", states[0])
	want := fmt.Sprintf("%+v", kmsg.DescribeTransactionsResponseTransactionState{TransactionalID: "tx", State: "Ongoing", TimeoutMillis: 60000, StartTimestamp: 123, ProducerID: 70, ProducerEpoch: 7,
		Topics: []kmsg.DescribeTransactionsResponseTransactionStateTopic{{Topic: "a", Partitions: []int32{0, 2}}, {Topic: "b", Partitions: []int32{1}}}})
	if got != want {
		t.Errorf("%s", got)
	}
	if states[1].ErrorCode != int16(protocol.TransactionalIDNotFound) || states[1].TransactionalID != "none" || states[1].ProducerID != 0 || states[2].ErrorCode != int16(protocol.InvalidRequest) {
		t.Errorf("%+v", states[1:])
	}
}

func TestListTransactionsJoinsTheShards(t *testing.T) {
	w := newWorld(t)
	shard := 0
	code := protocol.None
	co, _ := w.coordinate(func(msg any) any {
		m := msg.(*protocol.ListTransactions)
		if shard++; shard%2 == 0 && code != protocol.None {
			return m.Failed(code)
		}
		return &protocol.TransactionsListed{Answer: protocol.Answer{ID: m.ID}, Transactions: []protocol.ListedTransaction{{TransactionalID: fmt.Sprint("tx", 9-shard), State: "Empty", ProducerID: protocol.ProducerID(shard)}}}
	})
	c := w.connect()
	req := kmsg.NewPtrListTransactionsRequest()
	req.StateFilters, req.ProducerIDFilters, req.DurationFilterMillis, req.TransactionalIDPattern = []string{"Empty", "Bogus"}, []int64{1, 2}, 1<<63-1, kmsg.StringPtr("tx.*")
	resp := ask[*kmsg.ListTransactionsResponse](c, 2, req)
	if resp.ErrorCode != 0 || len(resp.TransactionStates) != 2 || resp.TransactionStates[0].TransactionalID != "tx7" || resp.TransactionStates[1].ProducerID != 1 || !slices.Equal(resp.UnknownStateFilters, []string{"Bogus"}) {
		t.Errorf("%+v", resp)
	}
	m := co.got[0].(*protocol.ListTransactions)
	if !slices.Equal(m.States, req.StateFilters) || len(m.ProducerIDs) != 2 || m.LongerThan < 1<<62 || m.Pattern != "tx.*" {
		t.Errorf("%+v", m)
	}
	for version := int16(0); version <= 1; version++ {
		ask[*kmsg.ListTransactionsResponse](c, version, req)
		m := co.got[len(co.got)-1].(*protocol.ListTransactions)
		if (m.LongerThan == -1) != (version == 0) || m.Pattern != "" {
			t.Errorf("v%d: %+v", version, m)
		}
	}
	code = protocol.CoordinatorLoadInProgress
	if resp := ask[*kmsg.ListTransactionsResponse](c, 2, req); resp.ErrorCode != int16(code) || len(resp.TransactionStates) != 0 {
		t.Errorf("half a list: %+v", resp)
	}
	req.TransactionalIDPattern = kmsg.StringPtr("(")
	if resp := ask[*kmsg.ListTransactionsResponse](c, 2, req); resp.ErrorCode != int16(protocol.InvalidRegularExpression) {
		t.Errorf("bad pattern: %+v", resp)
	}
}

func TestFinalisedFeaturesAreAnnounced(t *testing.T) {
	w := newWorld(t)
	w.apply(&image.FeatureLevelSet{Name: "transaction.version", Level: 2}, &image.FeatureLevelSet{Name: "metadata.version", Level: 25}, &image.FeatureLevelSet{Name: "unheard.of", Level: 1})
	for version := int16(0); version <= 4; version++ {
		resp := ask[*kmsg.ApiVersionsResponse](w.connect(), version, versionsRequest())
		got := fmt.Sprint(resp.FinalizedFeaturesEpoch == w.img.MetadataOffset)
		for _, f := range resp.SupportedFeatures {
			got += fmt.Sprint(" ", f.Name, " ", f.MinVersion, "-", f.MaxVersion)
		}
		for _, f := range resp.FinalizedFeatures {
			got += fmt.Sprint(", ", f.Name, " ", f.MinVersionLevel, "-", f.MaxVersionLevel)
		}
		want := []string{"false", "false", "false",
			"true metadata.version 25-25 transaction.version 1-2, metadata.version 25-25, transaction.version 2-2",
			"true metadata.version 25-25 transaction.version 0-2, metadata.version 25-25, transaction.version 2-2",
		}[version]
		if got != want {
			t.Errorf("v%d: %s", version, got)
		}
	}
}
