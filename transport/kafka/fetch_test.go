package kafka

import (
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/troupe-broker/troupe/actors/protocol"
	"github.com/troupe-broker/troupe/actors/record"
	"github.com/troupe-broker/troupe/cluster/image"
	"github.com/troupe-broker/troupe/partition/storage"
)

// fetchRequest asks partitions of a topic for records from the offsets on.
func fetchRequest(topic string, offsets ...int64) *kmsg.FetchRequest {
	req := kmsg.NewPtrFetchRequest()
	req.MaxWaitMillis, req.MinBytes, req.MaxBytes = 500, 1, 1<<20
	req.Topics = []kmsg.FetchRequestTopic{fetchTopic(topic, offsets...)}
	return req
}

func fetchTopic(topic string, offsets ...int64) kmsg.FetchRequestTopic {
	t := kmsg.NewFetchRequestTopic()
	t.Topic, t.TopicID = topic, topicID(topic)
	for i, offset := range offsets {
		p := kmsg.NewFetchRequestTopicPartition()
		p.Partition, p.FetchOffset, p.PartitionMaxBytes = int32(i), offset, 1<<20
		p.CurrentLeaderEpoch, p.LastFetchedEpoch = -1, -1
		t.Partitions = append(t.Partitions, p)
	}
	return t
}

// produce appends a batch of n records to partition number of the topic.
func (w *world) produce(topic string, number, n int) {
	w.t.Helper()
	req := produceRequest(1, topic, batch(n))
	req.Topics[0].Partitions[0].Partition = int32(number)
	resp := ask[*kmsg.ProduceResponse](w.connect(), 9, req)
	if p := resp.Topics[0].Partitions[0]; p.ErrorCode != 0 {
		w.t.Fatalf("%+v", p)
	}
}

// only is the single partition of a response.
func only(t *testing.T, resp *kmsg.FetchResponse) kmsg.FetchResponseTopicPartition {
	t.Helper()
	if len(resp.Topics) != 1 || len(resp.Topics[0].Partitions) != 1 {
		t.Fatalf("error %d, topics %+v", resp.ErrorCode, resp.Topics)
	}
	return resp.Topics[0].Partitions[0]
}

func TestFetchReadsWholeBatchesInEveryVersion(t *testing.T) {
	w := newWorld(t)
	w.topic("events", 1)
	w.produce("events", 0, 3)
	w.produce("events", 0, 2)
	c := w.connect()
	for version := int16(4); version <= 18; version++ {
		for _, isolation := range []int8{0, 1} {
			req := fetchRequest("events", 1) // inside the first batch
			req.IsolationLevel = isolation
			p := only(t, ask[*kmsg.FetchResponse](c, version, req))
			if p.ErrorCode != 0 || p.HighWatermark != 5 || p.LastStableOffset != 5 || p.PreferredReadReplica != -1 {
				t.Errorf("v%d: %+v", version, p)
			}
			if (p.AbortedTransactions == nil) != (isolation == 0) {
				t.Errorf("v%d, isolation %d: aborted %v", version, isolation, p.AbortedTransactions)
			}
			first := record.Batch(p.RecordBatches)
			size, err := record.Peek(p.RecordBatches)
			if err != nil || first.BaseOffset() != 0 || first.NumRecords() != 3 {
				t.Fatalf("v%d: %v, first batch %d", version, err, first.BaseOffset())
			}
			if second := record.Batch(p.RecordBatches[size:]); second.BaseOffset() != 3 || second.Verify() != nil {
				t.Errorf("v%d: second batch at %d", version, second.BaseOffset())
			}
		}
	}
}

func TestFetchLimits(t *testing.T) {
	w := newWorld(t)
	w.topic("events", 3)
	for i := range 3 {
		w.produce("events", i, 10)
		w.produce("events", i, 10)
	}
	one := len(batch(10))
	c := w.connect()
	sizes := func(req *kmsg.FetchRequest) (out []int) {
		resp := ask[*kmsg.FetchResponse](c, 11, req)
		for _, p := range resp.Topics[0].Partitions {
			if p.ErrorCode != 0 {
				t.Errorf("error %d", p.ErrorCode)
			}
			out = append(out, len(p.RecordBatches))
		}
		return out
	}
	equal := func(what string, got []int, want ...int) {
		t.Helper()
		if len(got) != len(want) {
			t.Fatalf("%s: %v, want %v", what, got, want)
		}
		for i := range got {
			if got[i] != want[i] {
				t.Errorf("%s: %v, want %v", what, got, want)
			}
		}
	}
	equal("all", sizes(fetchRequest("events", 0, 0, 0)), 2*one, 2*one, 2*one)
	req := fetchRequest("events", 0, 0, 0)
	req.MaxBytes = 1
	equal("one byte: the first batch, whole", sizes(req), one, 0, 0)
	req = fetchRequest("events", 0, 0, 0)
	req.MaxBytes = int32(3*one + 1)
	equal("three batches", sizes(req), 2*one, one, 0)
	req = fetchRequest("events", 0, 0, 0)
	for i := range req.Topics[0].Partitions {
		req.Topics[0].Partitions[i].PartitionMaxBytes = int32(one)
	}
	equal("one a partition", sizes(req), one, one, one)
	for i := range req.Topics[0].Partitions {
		req.Topics[0].Partitions[i].PartitionMaxBytes = 10
	}
	equal("less than one a partition", sizes(req), one, 0, 0)
	w.settings.FetchMaxBytes = int32(one)
	equal("fetch.max.bytes", sizes(fetchRequest("events", 0, 0, 0)), one, 0, 0)
}

func TestFetchFaults(t *testing.T) {
	w := newWorld(t)
	w.topic("events", 1)
	w.produce("events", 0, 3)
	w.apply(elsewhere()...)
	change := func(req *kmsg.FetchRequest, f func(*kmsg.FetchRequestTopicPartition)) *kmsg.FetchRequest {
		f(&req.Topics[0].Partitions[0])
		return req
	}
	replica := fetchRequest("events", 0)
	replica.ReplicaID = 2
	for _, row := range []struct {
		what    string
		version int16
		req     *kmsg.FetchRequest
		want    int16
	}{
		{"fine", 12, fetchRequest("events", 3), 0},
		{"beyond the end", 12, fetchRequest("events", 4), 1},
		{"below the start", 12, fetchRequest("events", -5), 1},
		{"unknown topic", 12, fetchRequest("nowhere", 0), 3},
		{"unknown id", 13, fetchRequest("nowhere", 0), 100},
		{"led elsewhere", 12, fetchRequest("elsewhere", 0), 6},
		{"old epoch", 12, change(fetchRequest("events", 0), func(p *kmsg.FetchRequestTopicPartition) { p.CurrentLeaderEpoch = 2 }), 74},
		{"epoch from the future", 12, change(fetchRequest("events", 0), func(p *kmsg.FetchRequestTopicPartition) { p.CurrentLeaderEpoch = 4 }), 75},
		{"forged replica", 12, replica, 29},
	} {
		req := row.req
		req.MaxWaitMillis = 0
		c := w.connect()
		p := only(t, ask[*kmsg.FetchResponse](c, row.version, req))
		if p.ErrorCode != row.want {
			t.Errorf("%s: error %d, want %d", row.what, p.ErrorCode, row.want)
		}
		if row.want != 0 && (p.HighWatermark != -1 || len(p.RecordBatches) > 0) {
			t.Errorf("%s: %+v", row.what, p)
		}
	}
	resp := ask[*kmsg.FetchResponse](w.connect(), 16, fetchRequest("elsewhere", 0))
	if p := only(t, resp); p.CurrentLeader.LeaderID != 2 || p.CurrentLeader.LeaderEpoch != 8 || len(resp.Brokers) != 1 {
		t.Errorf("no way to the leader: %+v %+v", p.CurrentLeader, resp.Brokers)
	}
}

func TestFetchTellsWhereLogsPart(t *testing.T) {
	w := newWorld(t)
	w.topic("events", 1)
	w.produce("events", 0, 3) // in epoch 3
	req := fetchRequest("events", 5)
	req.Topics[0].Partitions[0].LastFetchedEpoch = 3
	p := only(t, ask[*kmsg.FetchResponse](w.connect(), 12, req))
	if p.DivergingEpoch.Epoch != 3 || p.DivergingEpoch.EndOffset != 3 || p.ErrorCode != 0 {
		t.Errorf("%+v", p)
	}
}

func TestFetchParksUntilThereIsSomething(t *testing.T) {
	w := newWorld(t)
	w.topic("events", 2)
	c := w.connect()
	c.send(11, fetchRequest("events", 0, 0))
	if resp := c.reply(); resp != nil {
		t.Fatalf("answered: %+v", resp)
	}
	if n := w.server.Metrics.FetchesParked.Load(); n != 1 {
		t.Errorf("%d parked", n)
	}
	w.produce("events", 1, 1)
	resp, _ := c.reply().(*kmsg.FetchResponse)
	if resp == nil {
		t.Fatal("not woken")
	}
	rows := resp.Topics[0].Partitions
	if len(rows) != 2 || len(rows[0].RecordBatches) != 0 || len(rows[1].RecordBatches) == 0 {
		t.Errorf("%+v", rows)
	}
	for tp, p := range w.parts {
		if len(p.waits) != 0 {
			t.Errorf("%v still has %d readers waiting", tp, len(p.waits))
		}
	}
	if n := w.server.Metrics.FetchesParked.Load(); n != 0 {
		t.Errorf("%d parked", n)
	}
}

func TestFetchAnswersEmptyAtItsDeadline(t *testing.T) {
	w := newWorld(t)
	parts := w.topic("events", 1)
	c := w.connect()
	c.send(11, fetchRequest("events", 0))
	w.advance(499 * time.Millisecond)
	if resp := c.reply(); resp != nil {
		t.Fatalf("too early: %+v", resp)
	}
	w.advance(time.Millisecond)
	resp, _ := c.reply().(*kmsg.FetchResponse)
	if resp == nil {
		t.Fatal("not answered")
	}
	if p := only(t, resp); p.ErrorCode != 0 || p.HighWatermark != 0 || len(p.RecordBatches) != 0 {
		t.Errorf("%+v", p)
	}
	if len(parts[0].waits) != 0 {
		t.Error("the partition still has a reader waiting")
	}
}

func TestFetchWaitsForMinBytes(t *testing.T) {
	w := newWorld(t)
	w.topic("events", 1)
	one := len(batch(1))
	req := fetchRequest("events", 0)
	req.MinBytes = int32(3 * one)
	c := w.connect()
	c.send(11, req)
	for range 2 {
		w.produce("events", 0, 1)
		if resp := c.reply(); resp != nil {
			t.Fatalf("too early: %+v", resp)
		}
	}
	w.produce("events", 0, 1)
	resp, _ := c.reply().(*kmsg.FetchResponse)
	if resp == nil {
		t.Fatal("not answered")
	}
	if p := only(t, resp); len(p.RecordBatches) != 3*one {
		t.Errorf("%d bytes", len(p.RecordBatches))
	}
}

func TestFetchOfCommittedRecordsStopsAtTheStableOffset(t *testing.T) {
	w := newWorld(t)
	parts := w.topic("events", 1)
	w.produce("events", 0, 2)
	parts[0].stable = 2
	w.produce("events", 0, 2)
	req := fetchRequest("events", 0)
	req.IsolationLevel = 1
	p := only(t, ask[*kmsg.FetchResponse](w.connect(), 11, req))
	if p.LastStableOffset != 2 || p.HighWatermark != 4 || len(p.RecordBatches) != len(batch(2)) {
		t.Errorf("%+v", p)
	}
	req = fetchRequest("events", 2)
	req.IsolationLevel = 1
	c := w.connect()
	c.send(11, req)
	if c.reply() != nil {
		t.Fatal("read past the stable offset")
	}
	parts[0].stable = -1
	parts[0].publish()
	parts[0].flush()
	if resp, _ := c.reply().(*kmsg.FetchResponse); resp == nil || len(only(t, resp).RecordBatches) == 0 {
		t.Error("not woken")
	}
}

// A session: what the client asked once is remembered, and only what changed is answered, or even looked at.
func TestFetchSession(t *testing.T) {
	w := newWorld(t)
	parts := w.topic("events", 3)
	w.produce("events", 0, 1)
	c := w.connect()
	next := func(epoch int32, topics ...kmsg.FetchRequestTopic) *kmsg.FetchRequest {
		req := fetchRequest("events")
		req.Topics, req.SessionEpoch = topics, epoch
		return req
	}
	open := fetchRequest("events", 0, 0, 0)
	open.SessionEpoch = 0
	resp := ask[*kmsg.FetchResponse](c, 13, open)
	if resp.SessionID == 0 || len(resp.Topics[0].Partitions) != 3 {
		t.Fatalf("%+v", resp)
	}
	id := resp.SessionID

	req := next(1, fetchTopic("events", 1))
	req.SessionID = id
	c.send(13, req)
	if c.reply() != nil {
		t.Fatal("answered without news")
	}
	waiting := len(parts[1].got)
	w.produce("events", 2, 1)
	resp, _ = c.reply().(*kmsg.FetchResponse)
	if resp == nil {
		t.Fatal("not woken")
	}
	if p := only(t, resp); p.Partition != 2 || len(p.RecordBatches) == 0 || resp.SessionID != id {
		t.Errorf("session %d, %+v", resp.SessionID, p)
	}
	again := fetchTopic("events", 0)
	again.Partitions[0].Partition, again.Partitions[0].FetchOffset = 2, 1
	req = next(2, again)
	req.SessionID, req.MaxWaitMillis = id, 0
	if resp = ask[*kmsg.FetchResponse](c, 13, req); resp.ErrorCode != 0 || len(resp.Topics) != 0 {
		t.Errorf("news out of nothing: %+v", resp)
	}
	if len(parts[1].got) != waiting {
		t.Errorf("an unchanged partition got %d messages", len(parts[1].got)-waiting)
	}
	forget := kmsg.NewFetchRequestForgottenTopic()
	forget.TopicID, forget.Partitions = topicID("events"), []int32{0}
	req = next(3)
	req.SessionID, req.MaxWaitMillis, req.ForgottenTopics = id, 0, []kmsg.FetchRequestForgottenTopic{forget}
	ask[*kmsg.FetchResponse](c, 13, req)
	w.produce("events", 0, 1)
	req = next(4)
	req.SessionID, req.MaxWaitMillis = id, 0
	if resp = ask[*kmsg.FetchResponse](c, 13, req); len(resp.Topics) != 0 {
		t.Errorf("a forgotten partition was answered: %+v", resp.Topics)
	}
	if len(parts[0].waits) != 0 {
		t.Error("a forgotten partition still has a reader waiting")
	}
	c.session.Close()
	w.run()
	for i, p := range parts {
		if len(p.waits) != 0 {
			t.Errorf("partition %d still has a reader waiting", i)
		}
	}
	if n := w.server.Metrics.FetchSessions.Load(); n != 0 {
		t.Errorf("%d sessions", n)
	}
}

func TestFetchSessionErrors(t *testing.T) {
	w := newWorld(t)
	w.topic("events", 1)
	w.produce("events", 0, 1)
	c := w.connect()
	open := func() int32 {
		req := fetchRequest("events", 0)
		req.SessionEpoch = 0
		return ask[*kmsg.FetchResponse](c, 13, req).SessionID
	}
	code := func(version int16, id, epoch int32) int16 {
		req := fetchRequest("events")
		req.Topics, req.SessionID, req.SessionEpoch, req.MaxWaitMillis = nil, id, epoch, 0
		return ask[*kmsg.FetchResponse](c, version, req).ErrorCode
	}
	id := open()
	if got := code(13, id+1, 1); got != 70 {
		t.Errorf("unknown id: %d", got)
	}
	if got := code(13, id, 2); got != 71 {
		t.Errorf("wrong epoch: %d", got)
	}
	if got := code(12, id, 1); got != 106 {
		t.Errorf("names in a session of ids: %d", got)
	}
	if got := code(13, id, 1); got != 0 {
		t.Errorf("right epoch: %d", got)
	}
	if got := code(13, id, -1); got != 0 { // ends it
		t.Errorf("closing: %d", got)
	}
	if got := code(13, id, 2); got != 70 {
		t.Errorf("after closing: %d", got)
	}
	if n := w.server.Metrics.FetchSessions.Load(); n != 0 {
		t.Errorf("%d sessions", n)
	}
	other := w.connect()
	id = open()
	req := fetchRequest("events")
	req.Topics, req.SessionID, req.SessionEpoch = nil, id, 1
	if got := ask[*kmsg.FetchResponse](other, 13, req).ErrorCode; got != 70 {
		t.Errorf("somebody else's session: %d", got)
	}
}

func TestFetchSessionsGiveWayOnlyWhenSilent(t *testing.T) {
	w := newWorld(t)
	w.topic("events", 1)
	open := func(c *client) int32 {
		req := fetchRequest("events", 0)
		req.SessionEpoch, req.MaxWaitMillis = 0, 0
		return ask[*kmsg.FetchResponse](c, 13, req).SessionID
	}
	first := w.connect()
	id := open(first)
	for range 9 {
		if open(w.connect()) == 0 {
			t.Fatal("no slot")
		}
	}
	if open(w.connect()) != 0 {
		t.Error("more sessions than slots")
	}
	w.advance(fetchSessionIdle)
	if open(w.connect()) == 0 {
		t.Error("a silent session kept its slot")
	}
	first.drain()
	req := fetchRequest("events")
	req.Topics, req.SessionID, req.SessionEpoch = nil, id, 1
	if got := ask[*kmsg.FetchResponse](first, 13, req).ErrorCode; got != 70 {
		t.Errorf("the evicted session answers %d", got)
	}
}

// Every partition of a session gets its turn when one answer cannot hold them all.
func TestFetchSessionIsFair(t *testing.T) {
	w := newWorld(t)
	const n = 5
	w.topic("events", n)
	for i := range n {
		for range 3 {
			w.produce("events", i, 10)
		}
	}
	one := int32(len(batch(10)))
	c := w.connect()
	req := fetchRequest("events", 0, 0, 0, 0, 0)
	req.SessionEpoch, req.MaxBytes = 0, one
	resp := ask[*kmsg.FetchResponse](c, 11, req)
	served := map[int32]int{}
	for epoch := int32(1); ; epoch++ {
		for _, topic := range resp.Topics {
			for _, p := range topic.Partitions {
				if len(p.RecordBatches) > 0 {
					served[p.Partition]++
				}
			}
		}
		if epoch == n {
			break
		}
		req := fetchRequest("events")
		req.Topics, req.SessionID, req.SessionEpoch, req.MaxBytes = nil, resp.SessionID, epoch, one
		resp = ask[*kmsg.FetchResponse](c, 11, req)
	}
	for i := range int32(n) {
		if served[i] != 1 {
			t.Errorf("partition %d was served %d times in %d answers: %v", i, served[i], n, served)
		}
	}
}

// A partition without room for another reader is polled, not asked in a circle.
func TestFetchPollsAPartitionWithTooManyReaders(t *testing.T) {
	w := newWorld(t)
	parts := w.topic("events", 2)
	parts[0].full = true
	c := w.connect()
	c.send(11, fetchRequest("events", 0, 0))
	for range 10 {
		w.advance(20 * time.Millisecond)
		c.drain()
	}
	if n := parts[0].awaits; n < 5 || n > 20 {
		t.Errorf("asked %d times in 200 ms", n)
	}
	if n := parts[1].awaits; n != 1 {
		t.Errorf("its neighbour was asked %d times", n)
	}
	w.produce("events", 0, 1)
	w.advance(20 * time.Millisecond)
	if resp, _ := c.reply().(*kmsg.FetchResponse); resp == nil || len(resp.Topics[0].Partitions[0].RecordBatches) == 0 {
		t.Errorf("%+v", resp)
	}
}

func TestDeletedTopicEndsTheWait(t *testing.T) {
	w := newWorld(t)
	parts := w.topic("events", 1)
	c := w.connect()
	c.send(13, fetchRequest("events", 0))
	if c.reply() != nil {
		t.Fatal("answered")
	}
	w.apply(&image.TopicDeleted{ID: topicID("events")})
	w.table.Remove(protocol.TopicPartition{Topic: topicID("events")})
	parts[0].leader = false
	parts[0].publish()
	parts[0].flush()
	resp, _ := c.reply().(*kmsg.FetchResponse)
	if resp == nil {
		t.Fatal("still waiting")
	}
	if p := only(t, resp); p.ErrorCode != 100 {
		t.Errorf("error %d", p.ErrorCode)
	}
}

// A read_committed consumer gets, with the records, the aborted transactions that have some among them, and no others; by first offset.
// A read_uncommitted one gets null.
func TestFetchNamesAbortedTransactions(t *testing.T) {
	w := newWorld(t)
	p := w.topic("events", 1)[0]
	w.produce("events", 0, 2) // 0, 1
	w.produce("events", 0, 2) // 2, 3
	w.produce("events", 0, 2) // 4, 5
	w.produce("events", 0, 2) // 6, 7
	w.produce("events", 0, 2) // 8, 9
	if err := p.log.AppendAborted(
		storage.AbortedTxn{ProducerID: 7, FirstOffset: 2, LastOffset: 5, LastStableOffset: 0},
		storage.AbortedTxn{ProducerID: 8, FirstOffset: 0, LastOffset: 6, LastStableOffset: 7},
		storage.AbortedTxn{ProducerID: 7, FirstOffset: 8, LastOffset: 9, LastStableOffset: 10},
	); err != nil {
		t.Fatal(err)
	}
	c := w.connect()
	one := int32(len(batch(2)))
	for _, row := range []struct {
		from      int64
		batches   int32
		isolation int8
		want      []kmsg.FetchResponseTopicPartitionAbortedTransaction
	}{
		{0, 1, 1, []kmsg.FetchResponseTopicPartitionAbortedTransaction{{ProducerID: 8, FirstOffset: 0}}},
		{0, 2, 1, []kmsg.FetchResponseTopicPartitionAbortedTransaction{{ProducerID: 8, FirstOffset: 0}, {ProducerID: 7, FirstOffset: 2}}},
		{0, 5, 1, []kmsg.FetchResponseTopicPartitionAbortedTransaction{{ProducerID: 8, FirstOffset: 0}, {ProducerID: 7, FirstOffset: 2}, {ProducerID: 7, FirstOffset: 8}}},
		{6, 1, 1, []kmsg.FetchResponseTopicPartitionAbortedTransaction{{ProducerID: 8, FirstOffset: 0}}},
		{7, 1, 1, []kmsg.FetchResponseTopicPartitionAbortedTransaction{}},
		{9, 1, 1, []kmsg.FetchResponseTopicPartitionAbortedTransaction{{ProducerID: 7, FirstOffset: 8}}},
		{0, 5, 0, nil},
	} {
		req := fetchRequest("events", row.from)
		req.IsolationLevel = row.isolation
		req.Topics[0].Partitions[0].PartitionMaxBytes = row.batches * one
		got := ask[*kmsg.FetchResponse](c, 11, req).Topics[0].Partitions[0]
		same := len(got.AbortedTransactions) == len(row.want) && (got.AbortedTransactions == nil) == (row.want == nil) && got.ErrorCode == 0
		for i := range row.want {
			same = same && got.AbortedTransactions[i].ProducerID == row.want[i].ProducerID && got.AbortedTransactions[i].FirstOffset == row.want[i].FirstOffset
		}
		if !same || len(got.RecordBatches) != int(row.batches*one) {
			t.Errorf("%d batches from %d: error %d, %d bytes, %v, want %v", row.batches, row.from, got.ErrorCode, len(got.RecordBatches), got.AbortedTransactions, row.want)
		}
	}
}
