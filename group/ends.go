package group

import (
	"math"
	"slices"
	"time"

	"github.com/troupe-broker/troupe/actors"
	"github.com/troupe-broker/troupe/actors/protocol"
)

const (
	// verifyWait is how long a transaction coordinator may take to say whether a producer's transaction has this partition in it.
	verifyWait = 5 * time.Second
	// verifyingMax bounds the commits of one producer that wait for that.
	verifyingMax = 1000
)

// openTransactions are the transactions that have offsets in one log, or may have.
type openTransactions map[protocol.ProducerID]*openTransaction

type openTransaction struct {
	epoch    protocol.ProducerEpoch
	ended    bool     // its marker is on its way
	children []*child // with offsets in it, each once
}

func (o *openTransactions) enter(id protocol.ProducerID, epoch protocol.ProducerEpoch) *openTransaction {
	if *o == nil {
		*o = openTransactions{}
	}
	t := (*o)[id]
	if t == nil {
		t = &openTransaction{}
		(*o)[id] = t
	}
	t.epoch = epoch
	return t
}

// add notes that a child has offsets in the transaction.
func (o *openTransactions) add(id protocol.ProducerID, c *child) {
	if t := (*o)[id]; t != nil && !slices.Contains(t.children, c) {
		t.children = append(t.children, c)
	}
}

// verification is a question to a transaction coordinator whether this partition is in a producer's transaction.
type verification struct {
	request uint64
	epoch   protocol.ProducerEpoch
	ended   bool // a marker came meanwhile
	waiting []*protocol.CommitOffsets
}

// mayJoin reports whether offsets of a transaction may be appended: the coordinator of the transaction has said that this partition is in
// it, or has added it (TV2). Otherwise it asks, and the command waits. Source: CoordinatorPartitionWriter.maybeStartTransactionVerification, KIP-890.
func (s *shard) mayJoin(ctx *actors.Context, m *protocol.CommitOffsets) bool {
	if t := s.open[m.ProducerID]; t != nil && t.epoch == m.ProducerEpoch && !t.ended {
		return true
	}
	if !m.AddPartition && !s.place.settings().Bool("transaction.partition.verification.enable") {
		s.open.enter(m.ProducerID, m.ProducerEpoch)
		return true
	}
	if v := s.verify[m.ProducerID]; v != nil {
		if v.epoch != m.ProducerEpoch || len(v.waiting) >= verifyingMax {
			fail(ctx, m, protocol.CoordinatorLoadInProgress)
			return false
		}
		v.waiting = append(v.waiting, m)
		return false
	}
	to, code := s.place.Directory.Transaction(m.TransactionalID)
	if code != protocol.None {
		fail(ctx, m, verifyCode(code))
		return false
	}
	v := &verification{epoch: m.ProducerEpoch, waiting: []*protocol.CommitOffsets{m}}
	v.request = ctx.Request(to, &protocol.AddPartitions{
		TransactionalID: m.TransactionalID, ProducerID: m.ProducerID, ProducerEpoch: m.ProducerEpoch, VerifyOnly: !m.AddPartition, ByLeader: true,
		Partitions: []protocol.NamedPartition{{Topic: OffsetsTopic, Partition: s.tp.Partition}},
	}, verifyWait)
	if s.verify == nil {
		s.verify = map[protocol.ProducerID]*verification{}
	}
	s.verify[m.ProducerID] = v
	return false
}

// verifyCode is what the client of an offset commit is told when its transaction cannot be verified. Source:
// GroupCoordinatorService.commitTransactionalOffsets: older clients know what to do with CoordinatorLoadInProgress.
func verifyCode(code protocol.Code) protocol.Code {
	switch code {
	case protocol.NotCoordinator, protocol.CoordinatorNotAvailable, protocol.NetworkException:
		return protocol.CoordinatorLoadInProgress
	case protocol.ProducerFenced: // as of every partition that asks. Source: AddPartitionsToTxnManager.
		return protocol.InvalidProducerEpoch
	}
	return code
}

// verified takes the answer of the transaction coordinator.
func (s *shard) verified(ctx *actors.Context, m *protocol.PartitionsAdded) {
	code := m.Code
	if code == protocol.None && len(m.Codes) > 0 {
		code = m.Codes[0]
	}
	if code != protocol.None {
		s.unverified(ctx, m.ID, verifyCode(code))
		return
	}
	id, v := s.verification(m.ID)
	if v == nil {
		return
	}
	if v.ended {
		s.unverified(ctx, m.ID, protocol.InvalidTxnState)
		return
	}
	delete(s.verify, id)
	t := s.open.enter(id, v.epoch)
	t.ended = false
	for _, m := range v.waiting {
		s.pass(ctx, m)
	}
}

// verification finds a question by its request.
func (s *shard) verification(request uint64) (protocol.ProducerID, *verification) {
	for id, v := range s.verify {
		if v.request == request {
			return id, v
		}
	}
	return protocol.NoProducerID, nil
}

// unverified ends a question with a code.
func (s *shard) unverified(ctx *actors.Context, request uint64, code protocol.Code) {
	id, v := s.verification(request)
	if v == nil {
		return
	}
	delete(s.verify, id)
	for _, m := range v.waiting {
		fail(ctx, m, code)
	}
}

// ends reports whether a marker ends what was written with that epoch. Source: ProducerAppendInfo.checkProducerEpoch, KIP-1228.
func ends(m *protocol.EndOffsets, epoch protocol.ProducerEpoch) bool {
	if m.TransactionVersion >= 2 && m.ProducerEpoch < math.MaxInt16 {
		return epoch < m.ProducerEpoch
	}
	return epoch <= m.ProducerEpoch
}

// endOffsets queues the marker of a transaction. What a child hands in for that transaction from now on comes too late. A marker that is
// asked for twice is written once: the second could meet the producer's next transaction.
func (s *shard) endOffsets(ctx *actors.Context, m *protocol.EndOffsets) {
	if s.kind != groups || m.Partition != s.tp.Partition {
		fail(ctx, m, protocol.NotCoordinator)
		return
	}
	if t := s.open[m.ProducerID]; t != nil && ends(m, t.epoch) {
		t.ended = true
	}
	if v := s.verify[m.ProducerID]; v != nil && ends(m, v.epoch) {
		v.ended = true
	}
	if e := s.markerOf(m); e != nil {
		e.markers = append(e.markers, m)
		return
	}
	s.queue = append(s.queue, entry{markers: []*protocol.EndOffsets{m}})
}

// markerOf is the same marker if it is under way.
func (s *shard) markerOf(m *protocol.EndOffsets) *entry {
	same := func(e entry) bool {
		if len(e.markers) == 0 {
			return false
		}
		o := e.markers[0]
		return o.ProducerID == m.ProducerID && o.ProducerEpoch == m.ProducerEpoch && o.Commit == m.Commit && o.TransactionVersion == m.TransactionVersion
	}
	for _, f := range s.inflight {
		if i := slices.IndexFunc(f.entries, same); i >= 0 {
			return &f.entries[i]
		}
	}
	if i := slices.IndexFunc(s.queue, same); i >= 0 {
		return &s.queue[i]
	}
	return nil
}

// settleMarker: the transaction has ended in this log, or still has not.
func (s *shard) settleMarker(ctx *actors.Context, asked []*protocol.EndOffsets, code protocol.Code) {
	m := asked[0]
	if t := s.open[m.ProducerID]; code == protocol.None && t != nil && ends(m, t.epoch) {
		delete(s.open, m.ProducerID)
		for _, c := range t.children {
			s.endedAt(ctx, c, &offsetsEnded{producer: m.ProducerID, commit: m.Commit})
		}
	}
	for _, m := range asked {
		ctx.Send(m.ReplyTo, m.Failed(code))
	}
}

// endedAt tells a child that a transaction has ended; one that is being loaded learns it when it is there.
func (s *shard) endedAt(ctx *actors.Context, c *child, m *offsetsEnded) {
	switch {
	case s.children[c.id] != c:
	case c.away != nil:
		c.away.ended = append(c.away.ended, m)
	default:
		c.sent++
		ctx.Send(c.pid, m)
	}
}
