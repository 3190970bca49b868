package api

import (
	"errors"
	"fmt"
	"time"

	"github.com/troupe-broker/troupe/actors/mutation"
	"github.com/troupe-broker/troupe/actors/protocol"
	"github.com/troupe-broker/troupe/actors/record"
	"github.com/troupe-broker/troupe/cluster/image"
	"github.com/troupe-broker/troupe/partition"
	"github.com/troupe-broker/troupe/transport/kafka/wire"
)

// Produce: v0-13, of which v3-13 are served.
//
// Behaviour:
//   - v0-2 carry message formats 0 and 1, which no log here holds (KIP-724). They are advertised because librdkafka before 2.11.1
//     sends everything uncompressed to a broker that does not name v0 (KAFKA-18659); whoever really uses them is answered
//     UNSUPPORTED_VERSION for every partition, and logged.
//   - A partition gets exactly one batch. It is checked here, on the connection, off the actor: format, CRC, records, timestamps,
//     keys where the topic is compacted, size. The partition gets a view of the receive buffer.
//   - acks=0 is answered by silence, and an error found here by the end of the connection, which makes the client refresh its
//     metadata. What the partition finds nobody is told. The request keeps its place until the partition gives its bytes back, which
//     bounds how far a client can run ahead.
//   - The timeout is the partition's to keep; a partition that keeps silent is given up a little later.
//   - compression.type other than "producer" makes us compress again.
//   - A compressed batch may not unpack to more than decompressedMax: MESSAGE_TOO_LARGE. Kafka would unpack it to the end. What batches
//     unpack to beyond the usual is paced (Conn.Unpacking), and ends with the connection.
//
// Version history:
//   - v3: v2 batches and transactional ids (KIP-98)
//   - v5: log start offset in the response
//   - v7: zstd (KIP-110)
//   - v8: faults of single records (KIP-467)
//   - v9: flexible
//   - v10: the leader, if it is another (KIP-951)
//   - v11: TRANSACTION_ABORTABLE (KIP-890)
//   - v12: the partition adds itself to the transaction (KIP-890)
//   - v13: topic ids (KIP-516)
//
// Transactions:
//   - Transactional batches need a transactional id (TRANSACTIONAL_ID_AUTHORIZATION_FAILED, as Kafka says without knowing one to
//     authorize) and one producer in the whole request (INVALID_PRODUCER_ID_MAPPING); with a transactional id other batches are taken,
//     too, and any acks.
//   - The partition asks the coordinator before it takes the first one; what that answers is translated for the client's version.
//
// Source: KafkaApis.handleProduceRequest, ReplicaManager.handleProduceAppend, ProduceRequest.validateRecords.

// produceGrace is how long after its deadline a partition may still answer before the connection answers for it.
const produceGrace = 5 * time.Second

const (
	// produceAbortable is the first version whose clients know TRANSACTION_ABORTABLE, produceAdds the first whose clients leave it to
	// the partition to join the transaction. Source: AddPartitionsToTxnManager.produceRequestVersionToTransactionSupportedOperation.
	produceAbortable = 11
	produceAdds      = 12

	// besideMax bounds the partitions that one of them adds to a transaction for the others: each of them asks about all.
	besideMax = 64

	// transactionalIDAuthorizationFailed is what a client gets that may not use a transactional id.
	transactionalIDAuthorizationFailed protocol.Code = 53
)

// produce is one Produce request under way. It is reused.
type produce struct {
	produceRequest
	call     *Call
	fault    error  // the request is malformed
	txn      string // the transactional id, if there are transactional batches
	deadline time.Duration
	pending  int                       // parts not answered
	routes   []*partition.Handle       // by part; nil where there is nothing to send
	beside   []protocol.NamedPartition // see protocol.Produce
	batches  []record.Batch            // by part
	brokers  []brokerAddress
}

// producesMax is how many requests a connection keeps for reuse.
const producesMax = 128

// takeProduce returns a request to fill.
func (c *Conn) takeProduce(call *Call) *produce {
	n := len(c.produces)
	if n == 0 {
		return &produce{call: call}
	}
	p := c.produces[n-1]
	c.produces = c.produces[:n-1]
	p.call = call
	return p
}

// done gives p back to its connection. Nothing may refer to it any more.
func (p *produce) done() {
	c := p.call.Conn
	p.reset()
	clear(p.routes)
	clear(p.batches)
	p.call, p.fault, p.txn, p.routes, p.batches, p.beside, p.brokers = nil, nil, "", p.routes[:0], p.batches[:0], nil, nil
	if len(c.produces) < producesMax && cap(p.parts) < 1024 {
		c.produces = append(c.produces, p)
	}
}

// prepare decodes the request and checks every batch. It runs outside the session's lock.
func (p *produce) prepare(c *Call) {
	if p.fault = p.decode(c.Version, c.Body); p.fault != nil {
		return
	}
	p.deadline = c.Arrived + time.Duration(max(0, p.timeoutMs))*time.Millisecond
	whole := p.refusal()
	s := c.Conn.Server
	img := s.Images.Load()
	now := s.Clock.Now()
	for i := range p.topics {
		t := &p.topics[i]
		found, code := s.produceTopic(img, p, t)
		for j := t.first; j < t.past; j++ {
			part := &p.parts[j]
			p.routes, p.batches = append(p.routes, nil), append(p.batches, nil)
			fault := whole
			if !fault.Failed() && code != protocol.None {
				fault = protocol.Fault{Code: code}
			}
			if !fault.Failed() {
				fault = p.route(j, s, found, now)
			}
			if fault.Failed() {
				part.fail(s, fault)
			}
		}
	}
}

// refusal is what is wrong with the request as a whole.
func (p *produce) refusal() protocol.Fault {
	switch {
	case p.version < produceMin:
		return protocol.Fault{Code: protocol.UnsupportedVersion}
	case p.acks < -1 || p.acks > 1:
		return protocol.Fault{Code: protocol.InvalidRequiredAcks, Reason: fmt.Sprintf("acks is %d; it can be -1 (all), 0 or 1", p.acks)}
	}
	return p.transaction()
}

// transaction looks at the transactional batches. They are checked later; here their headers are only looked at.
func (p *produce) transaction() protocol.Fault {
	var first record.Batch
	for i := range p.parts {
		b := record.Batch(p.parts[i].records)
		switch {
		case len(b) < record.HeaderSize || b.Magic() != record.Magic2 || !b.IsTransactional():
		case len(p.txnID) == 0:
			return protocol.Fault{Code: transactionalIDAuthorizationFailed, Reason: "a transactional batch in a request without transactional id"}
		case first == nil:
			first = b
		case b.ProducerID() != first.ProducerID() || b.ProducerEpoch() != first.ProducerEpoch():
			return protocol.Fault{Code: protocol.InvalidProducerIDMapping, Reason: "transactional batches of more than one producer"}
		}
	}
	if first != nil {
		p.txn = string(p.txnID)
	}
	return protocol.Fault{}
}

// produceTopic finds the topic a request names.
func (s *Server) produceTopic(img *image.Image, p *produce, t *produceTopic) (*image.Topic, protocol.Code) {
	if p.version >= produceByID {
		topic, ok := img.TopicByID(t.id)
		if !ok {
			return nil, protocol.UnknownTopicID
		}
		return topic, internal(topic.Name)
	}
	topic, ok := img.Topic(viewString(p.name(t)))
	if !ok {
		return nil, protocol.UnknownTopicOrPartition
	}
	return topic, internal(topic.Name)
}

// internal refuses clients that would write into a coordinator's log. Kafka lets the client.id "__admin_client" do so, which anybody can say.
func internal(topic string) protocol.Code {
	if isInternal(topic) {
		return protocol.InvalidTopic
	}
	return protocol.None
}

// route finds the partition of part j and checks its batch.
func (p *produce) route(j int, s *Server, topic *image.Topic, now time.Time) protocol.Fault {
	part := &p.parts[j]
	h, leader, code := s.leaderOf(topic, part.partition)
	if code != protocol.None {
		p.hint(part, s, code, leader)
		return protocol.Fault{Code: code}
	}
	view := h.View()
	if code := view.Check(protocol.NoLeaderEpoch); code != protocol.None {
		return protocol.Fault{Code: code, Reason: view.Reason}
	}
	batch, fault := p.check(s, part, view.Config, now)
	if !fault.Failed() {
		p.routes[j], p.batches[j], part.count = h, batch, batch.NumRecords()
	}
	return fault
}

// decompressedMax bounds what a batch may unpack to, in bytes. Kafka has no such bound, so it is generous: 64 times what the batch
// itself may have, more than clients pack into one, keeps a bomb of a few KiB to a fraction of a second's work.
func decompressedMax(config *protocol.LogConfig) int {
	return max(64<<20, min(64*int(config.MaxMessageBytes), record.DecompressedMax))
}

// check validates the batch of a part under the topic's configuration, and compresses it again if that says so.
func (p *produce) check(s *Server, part *producePart, config *protocol.LogConfig, now time.Time) (record.Batch, protocol.Fault) {
	limits := record.Limits{MaxBytes: int(config.MaxMessageBytes), MaxDecompressed: decompressedMax(config), Deep: true, KeyRequired: config.Compact, Unpacking: p.call.Conn.Unpacking}
	if !config.LogAppendTime {
		limits.Window = record.WindowAt(now, config.TimestampBeforeMax, config.TimestampAfterMax)
	}
	batch, err := record.Validate(part.records, limits)
	if err != nil {
		return nil, part.invalid(err)
	}
	if batch.Codec() == record.Zstd && p.version < 7 {
		return nil, protocol.Fault{Code: protocol.UnsupportedCompressionType, Reason: "Produce requests below version 7 may not use ZStandard compression"}
	}
	codec, ok := record.ParseCodec(config.CompressionType)
	if !ok || codec == batch.Codec() { // "producer" is no codec
		return batch, protocol.Fault{}
	}
	again, err := record.Recompress(batch, codec, limits.MaxDecompressed, limits.Unpacking)
	if err != nil {
		return nil, part.invalid(err)
	}
	if len(again) > limits.MaxBytes {
		return nil, protocol.Fault{Code: protocol.MessageTooLarge, Reason: fmt.Sprintf("compressed with %s as the topic demands the batch has %d bytes, more than max.message.bytes", codec, len(again))}
	}
	return again, protocol.Fault{}
}

// invalid translates why a batch was refused.
func (part *producePart) invalid(err error) protocol.Fault {
	var bad *record.Invalid
	if !errors.As(err, &bad) {
		return protocol.Fault{Code: protocol.InvalidRecord, Reason: err.Error()}
	}
	for _, f := range bad.Records {
		part.faults = append(part.faults, protocol.RecordFault{Index: f.Index, Reason: f.Reason})
	}
	code := protocol.InvalidRecord
	switch bad.Kind {
	case record.Corrupt:
		code = protocol.CorruptMessage
	case record.TooLarge:
		code = protocol.MessageTooLarge
	case record.UnsupportedCodec:
		code = protocol.UnsupportedCompressionType
	case record.InvalidTimestamp:
		code = protocol.InvalidTimestamp
	}
	return protocol.Fault{Code: code, Reason: bad.Reason}
}

func (part *producePart) fail(s *Server, f protocol.Fault) {
	s.Metrics.failed(keyProduce, int16(f.Code))
	part.answered, part.code, part.reason = true, f.Code, f.Reason
	part.baseOffset, part.logAppendTime = -1, -1
	if mutation.Is(mutation.ZeroOffset) {
		part.baseOffset = 0
	}
}

// hint notes where the leader is, for clients that understand it.
func (p *produce) hint(part *producePart, s *Server, code protocol.Code, at leaderHint) {
	if code == protocol.NotLeaderOrFollower && p.version >= 10 && at.known {
		part.leader = at
		p.brokers = s.addBroker(p.call.Conn.Peer, p.brokers, at.node)
	}
}

func handleProduce(c *Call) {
	p := c.task.(*produce)
	if p.fault != nil {
		c.malformed()
		return
	}
	p.pending = 0
	for j := range p.parts {
		if !p.parts[j].answered {
			p.pending++
		}
	}
	if p.version < produceMin {
		if times, ok := c.Conn.Metrics.oldFormats.due(c.Arrived); ok {
			c.Conn.Log.Warn("refused Produce with old message formats", "client", quoted(c.Client), "version", c.Version, "remote", c.Conn.Peer.Remote, "times", times)
		}
	}
	if p.pending == 0 {
		p.finish()
		return
	}
	if p.txn != "" && p.version >= produceAdds {
		p.gather()
	}
	for j := range p.parts {
		if !p.parts[j].answered {
			p.send(j)
		}
	}
}

// gather notes the partitions that join the transaction by this request, unless it is one or very many.
func (p *produce) gather() {
	if p.pending < 2 || p.pending > besideMax {
		return
	}
	p.beside = make([]protocol.NamedPartition, 0, p.pending)
	for j := range p.parts {
		if h := p.routes[j]; !p.parts[j].answered && p.batches[j].IsTransactional() {
			p.beside = append(p.beside, protocol.NamedPartition{Topic: h.TopicName, Partition: h.Partition.Partition})
		}
	}
}

// send hands part j to its partition.
func (p *produce) send(j int) {
	c, part, batch := p.call, &p.parts[j], p.batches[j]
	m := &protocol.Produce{
		Partition:   p.routes[j].Partition,
		LeaderEpoch: protocol.NoLeaderEpoch,
		Acks:        p.acks,
		Deadline:    p.deadline,
		Batch:       batch,
	}
	if p.txn != "" && batch.IsTransactional() {
		m.TransactionalID, m.TransactionVersion = p.txn, 1
		if p.version >= produceAdds {
			m.TransactionVersion, m.Beside = 2, p.beside
		}
	}
	m.SetHead(c.Conn.Edge, c.id(j))
	view := &batch[0] == &part.records[0] // not compressed again
	if view {
		c.Frame.Retain()
		m.Release = c.Frame
	}
	if p.acks == 0 {
		u := &unanswered{Answer: protocol.Answer{ID: c.id(j)}, conn: c.Conn}
		if view {
			u.frame = c.Frame
		}
		m.Release = u
	}
	part.records = nil // the partition's now
	c.Conn.System.Send(p.routes[j].PID, m)
}

// unanswered is the place of a batch that is not answered (acks=0): giving the batch back is its answer, sent to the connection.
type unanswered struct {
	protocol.Answer
	conn  *Conn
	frame *wire.Buffer // nil: the batch has memory of its own
}

// Release implements protocol.Releaser.
func (u *unanswered) Release() {
	if u.frame != nil {
		u.frame.Release()
	}
	u.conn.System.Send(u.conn.Edge, u)
}

// deliver joins a partition's answer.
func (p *produce) deliver(j int, msg any) {
	if j >= len(p.parts) || p.parts[j].answered {
		return
	}
	s, part := p.call.Conn.Server, &p.parts[j]
	m, ok := msg.(*protocol.Produced)
	if _, silent := msg.(*unanswered); silent {
		m, ok = &protocol.Produced{BaseOffset: -1, LogAppendTime: -1, LogStartOffset: -1}, true
	}
	if !ok {
		return
	}
	if m.Failed() {
		p.refused(j, m)
	} else {
		part.answered, part.baseOffset, part.logAppendTime = true, m.BaseOffset, m.LogAppendTime
		s.Metrics.ProducedBatches.Add(1)
		s.Metrics.ProducedRecords.Add(int64(part.count))
		s.Metrics.ProducedBytes.Add(int64(len(p.batches[j]))) // the bytes themselves are the log's now
	}
	part.logStartOffset = m.LogStartOffset
	if p.pending--; p.pending == 0 {
		p.finish()
	}
}

// refused translates a partition's refusal.
func (p *produce) refused(j int, m *protocol.Produced) {
	s, part, fault := p.call.Conn.Server, &p.parts[j], unverified(m.Fault, p.version)
	switch fault.Code {
	case protocol.ThrottlingQuotaExceeded:
		// The partition's mailbox is full. Clients do not know that code here; this one all of them retry, and it says as well that nothing was
		// written, which a timeout would leave open.
		fault = protocol.Fault{Code: protocol.NotEnoughReplicas, Reason: "nothing was written, the partition is overloaded: " + fault.Reason}
	case protocol.NotLeaderOrFollower:
		p.hint(part, s, fault.Code, s.hint(p.routes[j].Partition))
	}
	part.faults = m.RecordFaults
	part.fail(s, fault)
}

// unverified translates what a transaction coordinator said to a partition for its producer. Clients do not expect coordinators' codes
// here; of those that mean "again" they get one which does not make them look for another leader. Source: AddPartitionsToTxnManager,
// ReplicaManager.handleProduceAppend.
func unverified(f protocol.Fault, version int16) protocol.Fault {
	switch f.Code {
	case protocol.ProducerFenced:
		f.Code = protocol.InvalidProducerEpoch
	case protocol.TransactionAbortable:
		if version < produceAbortable {
			f.Code = protocol.InvalidTxnState
		}
	case protocol.ConcurrentTransactions:
		if version < produceAdds {
			f = uncertain(f)
		}
	case protocol.NetworkException, protocol.CoordinatorLoadInProgress, protocol.CoordinatorNotAvailable, protocol.NotCoordinator:
		f = uncertain(f)
	}
	return f
}

func uncertain(f protocol.Fault) protocol.Fault {
	return protocol.Fault{
		Code:   protocol.NotEnoughReplicas,
		Reason: "it could not be verified that the partition is in the transaction: " + f.Code.Name() + ": " + f.Reason,
	}
}

// expire answers for partitions that kept silent.
func (p *produce) expire(now time.Duration) {
	if p.pending == 0 || now < p.deadline+produceGrace {
		return
	}
	for j := range p.parts {
		if part := &p.parts[j]; !part.answered {
			part.fail(p.call.Conn.Server, protocol.Fault{Code: protocol.RequestTimedOut, Reason: "the partition did not answer in time"})
		}
	}
	p.pending = 0
	p.finish()
}

func (p *produce) abandon() {}

// finish answers the request.
func (p *produce) finish() {
	c := p.call
	if p.acks != 0 {
		c.Conn.Host.Answer(c, p)
		return
	}
	failed := false
	for j := range p.parts {
		failed = failed || p.parts[j].code != protocol.None
	}
	if failed {
		c.Conn.Host.Hangup("a produce with acks=0 failed; the client learns it by this")
		return
	}
	c.Conn.Host.Answer(c, nil)
	p.done()
}

// Encode implements Response.
func (p *produce) Encode(o *wire.Out) {
	p.appendTo(&o.Writer, p.brokers)
	p.done()
}

// Discard implements Response.
func (p *produce) Discard() { p.done() }
