package kafka

import (
	"runtime"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/troupe-broker/troupe/actors/protocol"
	"github.com/troupe-broker/troupe/actors/record"
)

// produceRequest asks for batches to be appended, one a partition, to topics in order.
func produceRequest(acks int16, topic string, batches ...[]byte) *kmsg.ProduceRequest {
	req := kmsg.NewPtrProduceRequest()
	req.Acks, req.TimeoutMillis = acks, 1000
	t := kmsg.ProduceRequestTopic{Topic: topic, TopicID: topicID(topic)}
	for i, b := range batches {
		t.Partitions = append(t.Partitions, kmsg.ProduceRequestTopicPartition{Partition: int32(i), Records: b})
	}
	req.Topics = []kmsg.ProduceRequestTopic{t}
	return req
}

func TestProduceAppendsAndAnswersEveryVersion(t *testing.T) {
	w := newWorld(t)
	parts := w.topic("events", 2)
	c := w.connect()
	for version := int16(3); version <= 13; version++ {
		at := parts[0].log.EndOffset()
		resp := ask[*kmsg.ProduceResponse](c, version, produceRequest(-1, "events", batch(3), batch(2)))
		for i, p := range resp.Topics[0].Partitions {
			if p.ErrorCode != 0 || p.Partition != int32(i) {
				t.Errorf("v%d: partition %d: error %d %v", version, p.Partition, p.ErrorCode, p.ErrorMessage)
			}
		}
		if got := resp.Topics[0].Partitions[0].BaseOffset; got != at {
			t.Errorf("v%d: base offset %d, want %d", version, got, at)
		}
	}
	if w.memory.InUse() != 0 {
		t.Errorf("%d bytes of receive buffers are still held", w.memory.InUse())
	}
	if n := w.server.Metrics.ProducedRecords.Load(); n != 11*5 {
		t.Errorf("%d records counted", n)
	}
}

func TestProduceFaults(t *testing.T) {
	w := newWorld(t)
	w.topic("events", 1)
	w.topic("pair", 2)
	w.topic("small", 1, func(c *protocol.LogConfig) { c.MaxMessageBytes = 70 })
	w.topic("compact", 1, func(c *protocol.LogConfig) { c.Compact = true })
	w.topic("future", 1, func(c *protocol.LogConfig) { c.TimestampAfterMax = 0; c.TimestampBeforeMax = 0 })
	w.topic("__consumer_offsets", 1)
	w.apply(elsewhere()...)
	broken := batch(1)
	broken[len(broken)-1] ^= 1
	keyless := record.NewBuilder(record.Options{ProducerID: -1, Epoch: -1, BaseSequence: -1, BaseTimestamp: 1_700_000_000_000})
	keyless.Append(1_700_000_000_000, nil, []byte("v"), nil)
	noKey, _ := keyless.Build()
	zstd := record.NewBuilder(record.Options{Codec: record.Zstd, ProducerID: -1, Epoch: -1, BaseSequence: -1, BaseTimestamp: 1_700_000_000_000})
	zstd.Append(1_700_000_000_000, []byte("k"), []byte("v"), nil)
	compressed, _ := zstd.Build()
	marker := produceRequest(1, "events", record.EndTxnMarker(1, 0, true, 0, 0))
	marker.TransactionID = kmsg.StringPtr("tx")
	magic1 := batch(1)
	magic1[16] = 1
	old := batch(2)
	plain := produceRequest(-1, "events", batch(1))
	plain.TransactionID = kmsg.StringPtr("tx")
	two := produceRequest(-1, "pair", transactional(7, 0), transactional(7, 1))
	two.TransactionID = kmsg.StringPtr("tx")
	nameless := produceRequest(-1, "pair", batch(1), transactional(7, 0))
	nameless.TransactionID = kmsg.StringPtr("")
	for _, row := range []struct {
		what    string
		version int16
		req     *kmsg.ProduceRequest
		want    int16
	}{
		{"unknown topic", 9, produceRequest(1, "nowhere", batch(1)), 3},
		{"unknown topic id", 13, produceRequest(1, "nowhere", batch(1)), 100},
		{"unknown partition", 9, produceRequest(1, "events", batch(1), batch(1)), 3},
		{"led elsewhere", 9, produceRequest(1, "elsewhere", batch(1)), 6},
		{"acks", 9, produceRequest(2, "events", batch(1)), 21},
		{"transactional id", 9, plain, 0},
		{"no transactional id", 9, produceRequest(-1, "events", transactional(7, 0)), 53},
		{"empty transactional id", 9, nameless, 53},
		{"two producers", 9, two, 49},
		{"too large", 9, produceRequest(1, "small", batch(1)), 10},
		{"broken", 9, produceRequest(1, "events", broken), 2},
		{"null", 9, produceRequest(1, "events", nil), 87},
		{"empty", 9, produceRequest(1, "events", []byte{}), 87},
		{"two batches", 9, produceRequest(1, "events", append(batch(1), batch(1)...)), 87},
		{"control batch", 9, marker, 87},
		{"old magic", 9, produceRequest(1, "events", magic1), 87},
		{"no key", 9, produceRequest(1, "compact", noKey), 87},
		{"timestamp", 9, produceRequest(1, "future", old), 32},
		{"zstd before v7", 6, produceRequest(1, "events", compressed), 76},
		{"zstd", 7, produceRequest(1, "events", compressed), 0},
		{"internal topic", 9, produceRequest(1, "__consumer_offsets", batch(1)), 17},
		{"old version", 2, produceRequest(1, "events", batch(1)), 35},
	} {
		c := w.connect()
		if row.what == "internal topic" { // which Kafka's tools call themselves, and grants nothing
			c.format = kmsg.NewRequestFormatter(kmsg.FormatterClientID("__admin_client"))
		}
		resp := ask[*kmsg.ProduceResponse](c, row.version, row.req)
		rows := resp.Topics[0].Partitions
		last := rows[len(rows)-1]
		if last.ErrorCode != row.want {
			t.Errorf("%s: error %d %v, want %d", row.what, last.ErrorCode, last.ErrorMessage, row.want)
		}
		if row.want != 0 && last.BaseOffset != -1 {
			t.Errorf("%s: base offset %d of a failure", row.what, last.BaseOffset)
		}
	}
	if w.memory.InUse() != 0 {
		t.Errorf("%d bytes of receive buffers are still held", w.memory.InUse())
	}
}

// transactional is a batch of a transaction.
func transactional(pid int64, epoch int16) []byte {
	b := record.NewBuilder(record.Options{ProducerID: pid, Epoch: epoch, Transactional: true, BaseTimestamp: 1_700_000_000_000})
	b.Append(1_700_000_000_000, []byte("k"), []byte("v"), nil)
	out, err := b.Build()
	if err != nil {
		panic(err)
	}
	return out
}

// The partition learns the transactional id, and whether it has to add itself to the transaction; what the coordinator tells it is
// translated into what the client's version expects of a Produce.
func TestTransactionalProduce(t *testing.T) {
	w := newWorld(t)
	p := w.topic("events", 1)[0]
	c := w.connect()
	for version := int16(3); version <= 13; version++ {
		for _, batch := range [][]byte{transactional(7, 0), batch(1)} {
			req := produceRequest(-1, "events", batch)
			req.TransactionID = kmsg.StringPtr("tx")
			p.got = nil
			if resp := ask[*kmsg.ProduceResponse](c, version, req); resp.Topics[0].Partitions[0].ErrorCode != 0 {
				t.Errorf("v%d: error %d", version, resp.Topics[0].Partitions[0].ErrorCode)
			}
			m := p.got[0].(protocol.Produce)
			id, txnVersion := "", int16(0)
			if record.Batch(m.Batch).IsTransactional() {
				id, txnVersion = "tx", 1
				if version >= 12 {
					txnVersion = 2
				}
			}
			if m.TransactionalID != id || m.TransactionVersion != txnVersion || m.Internal {
				t.Errorf("v%d: %q, version %d", version, m.TransactionalID, m.TransactionVersion)
			}
		}
	}
	for _, row := range []struct {
		said    protocol.Code
		version int16
		want    protocol.Code
	}{
		{protocol.ConcurrentTransactions, 11, protocol.NotEnoughReplicas},
		{protocol.ConcurrentTransactions, 12, protocol.ConcurrentTransactions},
		{protocol.CoordinatorLoadInProgress, 12, protocol.NotEnoughReplicas},
		{protocol.CoordinatorNotAvailable, 13, protocol.NotEnoughReplicas},
		{protocol.NotCoordinator, 9, protocol.NotEnoughReplicas},
		{protocol.NetworkException, 9, protocol.NotEnoughReplicas},
		{protocol.TransactionAbortable, 10, protocol.InvalidTxnState},
		{protocol.TransactionAbortable, 11, protocol.TransactionAbortable},
		{protocol.ProducerFenced, 12, protocol.InvalidProducerEpoch},
		{protocol.InvalidProducerEpoch, 12, protocol.InvalidProducerEpoch},
		{protocol.InvalidTxnState, 12, protocol.InvalidTxnState},
		{protocol.InvalidProducerIDMapping, 12, protocol.InvalidProducerIDMapping},
	} {
		p.fault = protocol.Fault{Code: row.said, Reason: "why"}
		req := produceRequest(-1, "events", transactional(7, 0))
		req.TransactionID = kmsg.StringPtr("tx")
		resp := ask[*kmsg.ProduceResponse](c, row.version, req)
		if got := resp.Topics[0].Partitions[0].ErrorCode; got != int16(row.want) {
			t.Errorf("v%d: %s became %d, want %d", row.version, row.said.Name(), got, row.want)
		}
	}
}

func TestProduceNamesTheLeaderThatMoved(t *testing.T) {
	w := newWorld(t)
	w.apply(elsewhere()...)
	c := w.connect()
	resp := ask[*kmsg.ProduceResponse](c, 10, produceRequest(1, "elsewhere", batch(1)))
	p := resp.Topics[0].Partitions[0]
	if p.ErrorCode != 6 || p.CurrentLeader.LeaderID != 2 || p.CurrentLeader.LeaderEpoch != 8 {
		t.Errorf("%+v", p)
	}
	if len(resp.Brokers) != 1 || resp.Brokers[0].NodeID != 2 || resp.Brokers[0].Host != "other.example" || resp.Brokers[0].Port != 9093 || *resp.Brokers[0].Rack != "far" {
		t.Errorf("%+v", resp.Brokers)
	}
}

func TestProduceToOneOfManyFailsAlone(t *testing.T) {
	w := newWorld(t)
	w.topic("events", 2)
	c := w.connect()
	broken := batch(1)
	broken[len(broken)-1] ^= 1
	resp := ask[*kmsg.ProduceResponse](c, 8, produceRequest(-1, "events", broken, batch(1)))
	if rows := resp.Topics[0].Partitions; rows[0].ErrorCode != 2 || rows[1].ErrorCode != 0 || rows[1].BaseOffset != 0 {
		t.Errorf("%+v", rows)
	}
}

func TestProduceWithoutAcksIsAnsweredBySilence(t *testing.T) {
	w := newWorld(t)
	parts := w.topic("events", 1)
	c := w.connect()
	c.send(9, produceRequest(0, "events", batch(1)))
	c.send(4, kmsg.NewPtrApiVersionsRequest())
	if resp, ok := c.reply().(*kmsg.ApiVersionsResponse); !ok {
		t.Errorf("the first reply is %T", resp)
	}
	if parts[0].log.EndOffset() != 1 || c.err != nil {
		t.Errorf("end %d, %v", parts[0].log.EndOffset(), c.err)
	}
	if w.memory.InUse() != 0 {
		t.Errorf("%d bytes of receive buffers are still held", w.memory.InUse())
	}
	c.send(9, produceRequest(0, "nowhere", batch(1)))
	if c.err == nil {
		t.Error("a failed produce without acks did not end the connection")
	}
}

func TestProduceWithoutAcksIsBounded(t *testing.T) {
	w := newWorld(t)
	w.topic("events", 1)
	c := w.connect()
	for range pipelineRequestsMax {
		c.push(9, produceRequest(0, "events", batch(1)))
	}
	if c.session.Ready() {
		t.Error("a client ran ahead of the partition without bound")
	}
	w.run()
	c.drain()
	if !c.session.Ready() || len(c.stream) > 0 {
		t.Errorf("not ready when all is written, or %d bytes of answers", len(c.stream))
	}
}

func TestPartitionThatKeepsSilentIsGivenUp(t *testing.T) {
	w := newWorld(t)
	parts := w.topic("events", 2)
	parts[0].mute = true
	c := w.connect()
	c.send(9, produceRequest(-1, "events", batch(1), batch(1)))
	w.advance(5 * time.Second)
	if resp := c.reply(); resp != nil {
		t.Fatalf("answered too early: %+v", resp)
	}
	w.advance(3 * time.Second)
	resp, _ := c.reply().(*kmsg.ProduceResponse)
	if resp == nil {
		t.Fatal("never answered")
	}
	if rows := resp.Topics[0].Partitions; rows[0].ErrorCode != 7 || rows[1].ErrorCode != 0 {
		t.Errorf("%+v", rows)
	}
	parts[0].flush() // what comes later is nobody's
	if resp := ask[*kmsg.ApiVersionsResponse](c, 3, versionsRequest()); resp.ErrorCode != 0 {
		t.Errorf("%+v", resp)
	}
}

func versionsRequest() *kmsg.ApiVersionsRequest {
	req := kmsg.NewPtrApiVersionsRequest()
	req.ClientSoftwareName, req.ClientSoftwareVersion = "tester", "1.0"
	return req
}

func TestOverloadedPartitionAnswersWhatClientsRetry(t *testing.T) {
	w := newWorld(t)
	parts := w.topic("events", 1)
	parts[0].fault = protocol.Fault{Code: protocol.ThrottlingQuotaExceeded}
	resp := ask[*kmsg.ProduceResponse](w.connect(), 9, produceRequest(-1, "events", batch(1)))
	if p := resp.Topics[0].Partitions[0]; p.ErrorCode != 19 {
		t.Errorf("%+v", p)
	}
}

func TestTopicWithACodecOfItsOwnCompressesAgain(t *testing.T) {
	w := newWorld(t)
	parts := w.topic("events", 1, func(c *protocol.LogConfig) { c.CompressionType = "lz4" })
	resp := ask[*kmsg.ProduceResponse](w.connect(), 9, produceRequest(-1, "events", batch(50)))
	if p := resp.Topics[0].Partitions[0]; p.ErrorCode != 0 {
		t.Fatalf("%+v", p)
	}
	got := parts[0].got[0].(protocol.Produce)
	if b := record.Batch(got.Batch); b.Codec() != record.LZ4 || b.NumRecords() != 50 || got.Release != nil {
		t.Errorf("codec %v, %d records, release %v", b.Codec(), b.NumRecords(), got.Release)
	}
	if w.memory.InUse() != 0 {
		t.Errorf("%d bytes of receive buffers are still held", w.memory.InUse())
	}
}

// A small batch that unpacks to far more than any client sends is refused, in memory of a fixed size.
func TestDecompressionBombIsRefused(t *testing.T) {
	w := newWorld(t)
	w.topic("events", 1)
	for _, codec := range []record.Codec{record.LZ4, record.Zstd} {
		b := record.NewBuilder(record.Options{Codec: codec, ProducerID: -1, Epoch: -1, BaseSequence: -1, BaseTimestamp: 1_700_000_000_000})
		b.Append(1_700_000_000_000, []byte("k"), make([]byte, 80<<20), nil)
		bomb, err := b.Build()
		if err != nil || len(bomb) > 1<<20 {
			t.Fatal(len(bomb), err)
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		resp := ask[*kmsg.ProduceResponse](w.connect(), 9, produceRequest(1, "events", bomb))
		runtime.ReadMemStats(&after)
		if p := resp.Topics[0].Partitions[0]; p.ErrorCode != 10 {
			t.Errorf("%v: error %d %v", codec, p.ErrorCode, p.ErrorMessage)
		}
		if grown := after.TotalAlloc - before.TotalAlloc; grown > 16<<20 {
			t.Errorf("%v: %d bytes allocated for %d", codec, grown, len(bomb))
		}
	}
}
