package workload

import (
	"time"

	"github.com/troupe-broker/troupe/actors/protocol"
	"github.com/troupe-broker/troupe/simulations/check"
	"github.com/twmb/franz-go/pkg/kmsg"
)

const (
	// transactionTimeout is what transactors ask for: some sleep longer than that.
	transactionTimeout = 5 * time.Second
	// stepTimeout is how long one request of a transaction is tried again.
	stepTimeout = 20 * time.Second
)

// Transactor is a producer with a transactional id: one transaction after the other, of a few batches each, one request at a time. It
// repeats what has an unknown end. When a transaction cannot go on it takes a new epoch, which aborts it; now and then it does that
// without a reason, hangs up right behind a batch, or sleeps until the coordinator has lost patience; or a batch is on its way for so long
// that the transaction is aborted without it. Half of them leave it to the
// partitions to join the transaction (TV2).
type Transactor struct {
	coordinated
	stray           client // what was sent long ago arrives by it
	process         int
	transactionalID string
	tv2             bool
	id              producerState
	known           map[int64]bool // producer ids it had
	identified      bool
	sequences       map[protocol.TopicPartition]int32
	busy            bool
	txn             *transaction
}

// transaction is the one that goes on.
type transaction struct {
	number int
	commit bool
	added  map[protocol.TopicPartition]bool
	left   int // batches to send
	end    *check.Op
	unsure bool // an attempt to end it has an unknown end
	late   bool // a batch of it is still on its way
}

// StartTransactor begins a transactional producer.
func StartTransactor(s *Stage, name string) *Transactor {
	t := &Transactor{coordinated: newCoordinated(s, name), process: s.newProcess(), transactionalID: name, id: noProducer, known: map[int64]bool{}}
	t.tv2 = t.rng.IntN(2) == 0
	if !t.tv2 {
		t.pinned[0], t.pinned[26] = int16(3+t.rng.IntN(9)), int16(t.rng.IntN(5))
		t.pinned[22] = int16(t.rng.IntN(6))
	}
	t.pinned[10], t.pinned[24] = 1, 3
	t.stray = newClient(s, name+"-stray")
	t.stray.dial()
	t.dial()
	t.tick()
	return t
}

// Idle reports whether no transaction goes on.
func (t *Transactor) Idle() bool { return !t.busy }

func (t *Transactor) tick() {
	if t.stage.stopped {
		return
	}
	t.stage.env.After(t.pause(t.stage.Pace), t.tick)
	if t.up && !t.busy {
		t.begin()
	}
}

// begin begins a transaction, or first gets an identity.
func (t *Transactor) begin() {
	t.busy = true
	if !t.identified {
		t.identify(t.rest)
		return
	}
	t.txn = &transaction{
		number: t.stage.newTxn(), commit: t.rng.IntN(10) < 7, added: map[protocol.TopicPartition]bool{}, left: 1 + t.rng.IntN(5),
	}
	t.goOn()
}

func (t *Transactor) rest() { t.busy, t.txn = false, nil }

// identify finds the coordinator, which makes it exist, and takes a new epoch. It is tried for ever.
func (t *Transactor) identify(done func()) {
	t.identified = false
	again := func() { t.stage.env.After(t.pause(200*time.Millisecond), func() { t.identify(done) }) }
	t.seekCoordinator(t.transactionalID, 1, func() { t.initialize(done, again) })
}

func (t *Transactor) initialize(done, again func()) {
	t.try(stepTimeout, func() kmsg.Request {
		req := identityRequest(t.transactionalID)
		req.Version = t.version(req, 0)
		if req.Version >= 3 && t.rng.IntN(2) == 0 {
			req.ProducerID, req.ProducerEpoch = t.id.id, t.id.epoch
		}
		return req
	}, func(r kmsg.Response) bool {
		resp := r.(*kmsg.InitProducerIDResponse)
		t.stage.saw("InitProducerId", resp.ErrorCode)
		if resp.ErrorCode != 0 {
			t.id = noProducer // somebody took a newer epoch: the coordinator, or an attempt of ours
			return false
		}
		t.become(producerState{resp.ProducerID, resp.ProducerEpoch})
		t.identified = true
		done()
		return true
	}, func() {}, again)
}

// become takes an identity. Sequences begin anew with every epoch.
func (t *Transactor) become(id producerState) {
	if id.id < 0 || id.epoch < 0 || id.id == t.id.id && id.epoch < t.id.epoch {
		t.stage.violate("%s: producer %v after %v", t.name, id, t.id)
	}
	if !t.known[id.id] {
		t.known[id.id] = true
		t.stage.identity(t.name, id.id)
	}
	if id != t.id {
		t.id, t.sequences = id, map[protocol.TopicPartition]int32{}
	}
}

// goOn does the next step of the transaction.
func (t *Transactor) goOn() {
	x := t.txn
	switch {
	case t.rng.IntN(60) == 0:
		t.stage.sometimes("transaction given up", true)
		t.giveUp()
	case t.rng.IntN(60) == 0:
		t.stage.sometimes("transaction slept past its timeout", true)
		t.stage.env.After(transactionTimeout+t.pause(transactionTimeout), t.goOn)
	case x.left == 0:
		t.end()
	default:
		x.left--
		topic, key, ok := t.stage.pick(t.rng.IntN)
		switch {
		case !ok:
			t.goOn()
		case t.tv2 || x.added[key]:
			t.send(topic, key)
		default:
			t.add(topic, key)
		}
	}
}

// giveUp aborts the transaction by taking a new epoch.
func (t *Transactor) giveUp() {
	t.turn++
	t.identify(t.rest)
}

// again reports codes after which a step is tried again; what it did is then as unknown as it was.
func again(code protocol.Code) bool {
	switch code {
	case protocol.NotLeaderOrFollower, protocol.RequestTimedOut, protocol.CoordinatorLoadInProgress, protocol.CoordinatorNotAvailable,
		protocol.NotCoordinator, protocol.ConcurrentTransactions, protocol.NotEnoughReplicas, protocol.NotEnoughReplicasAfter,
		protocol.NetworkException, protocol.KafkaStorageError, protocol.UnknownServerError, protocol.UnknownTopicOrPartition,
		protocol.UnknownTopicID, protocol.LeaderNotAvailable, protocol.CorruptMessage:
		return true
	}
	return false
}

// add adds a partition to the transaction (TV1).
func (t *Transactor) add(topic *Topic, key protocol.TopicPartition) {
	t.try(stepTimeout, func() kmsg.Request {
		req := addPartitionsOf(t.transactionalID, t.id, spot{topic, key})
		req.Version = t.version(req, 0)
		return req
	}, func(r kmsg.Response) bool {
		resp := r.(*kmsg.AddPartitionsToTxnResponse)
		if len(resp.Topics) != 1 || len(resp.Topics[0].Partitions) != 1 {
			t.stage.violate("%s: AddPartitionsToTxn v%d answers for %d topics", t.name, resp.Version, len(resp.Topics))
			return false
		}
		code := protocol.Code(resp.Topics[0].Partitions[0].ErrorCode)
		t.stage.saw("AddPartitionsToTxn", int16(code))
		switch {
		case code == protocol.None:
			t.txn.added[key] = true
			t.send(topic, key)
		case again(code) && !topic.gone:
			return false
		default:
			t.giveUp()
		}
		return true
	}, func() {}, t.giveUp)
}

// compose makes the next batch for a partition.
func (t *Transactor) compose(key protocol.TopicPartition) *sending {
	op := check.Op{
		Process: t.process, Func: check.Send, Key: key, Acks: -1, Idempotent: true, Offset: -1, LogStart: -1, Txn: t.txn.number, Keyed: t.stage.byID(key.Topic).Compacted,
		Values: t.stage.nextValues(1 + t.rng.IntN(t.stage.BatchMax)), ByName: t.version(kmsg.NewPtrProduceRequest(), 3) < 13,
	}
	for range op.Values {
		op.Timestamps = append(op.Timestamps, t.stage.env.Wall().UnixMilli())
	}
	return &sending{op: t.stage.Rec.Invoke(op), sequence: t.sequences[key]}
}

// sendLate sends a batch that arrives after the transaction was aborted. What became of it is not known, so its sequence cannot be used
// again: a new epoch follows.
func (t *Transactor) sendLate(topic *Topic, key protocol.TopicPartition) {
	s := t.compose(key)
	req := t.produceRequest(topic, s)
	t.stage.env.After(t.pause(time.Second), func() {
		t.stray.call(req, func(r kmsg.Response, err error) {
			if resp, ok := r.(*kmsg.ProduceResponse); ok && findProduced(resp, &lane{topic: topic, key: key}) != nil {
				code := protocol.Code(findProduced(resp, &lane{topic: topic, key: key}).ErrorCode)
				t.stage.sometimes("late batch answered "+code.Name(), true)
			}
		})
	})
	t.stage.Rec.Complete(s.op, check.Info)
	t.txn.commit, t.txn.late = false, true
	t.end()
}

// send sends one batch until it is acknowledged.
func (t *Transactor) send(topic *Topic, key protocol.TopicPartition) {
	if t.rng.IntN(40) == 0 {
		t.sendLate(topic, key)
		return
	}
	s := t.compose(key)
	end := func(outcome check.Outcome) {
		if s.unsure && outcome == check.Fail {
			outcome = check.Info
		}
		t.stage.Rec.Complete(s.op, outcome)
	}
	t.try(stepTimeout, func() kmsg.Request {
		if t.rng.IntN(30) == 0 { // the batch arrives when nobody waits for it any more
			t.stage.env.After(time.Duration(t.rng.Int64N(int64(time.Millisecond))), func() { t.hangUp(errClosed) })
		}
		return t.produceRequest(topic, s)
	}, func(r kmsg.Response) bool {
		part := findProduced(r.(*kmsg.ProduceResponse), &lane{topic: topic, key: key})
		if part == nil {
			t.stage.violate("%s: Produce has no answer for %v", t.name, key)
			return false
		}
		t.stage.saw("Produce", part.ErrorCode)
		code := protocol.Code(part.ErrorCode)
		switch {
		case code == protocol.None:
			t.acknowledged(topic, s, part)
			end(check.OK)
			t.goOn()
		case again(code) && !topic.gone:
			s.unsure = true
			return false
		default:
			s.op.Err = code.Error()
			end(check.Fail)
			t.giveUp()
		}
		return true
	}, func() { s.unsure = true }, func() {
		s.unsure = true
		end(check.Info)
		t.giveUp()
	})
}

func (t *Transactor) produceRequest(topic *Topic, s *sending) kmsg.Request {
	return t.produceOf(t.transactionalID, t.id, spot{topic, s.op.Key}, s.op, s.sequence)
}

func (t *Transactor) acknowledged(topic *Topic, s *sending, part *kmsg.ProduceResponseTopicPartition) {
	t.produced(spot{topic, s.op.Key}, s.op, part)
	t.sequences[s.op.Key] = advance(s.sequence, len(s.op.Values))
}

// end commits or aborts. A refusal before any attempt with an unknown end says that the transaction was, or will be, aborted.
func (t *Transactor) end() {
	x := t.txn
	x.end = t.stage.Rec.Invoke(check.Op{
		Process: t.process, Func: check.EndTxn, Key: protocol.TopicPartition{Partition: -1}, Offset: -1, Txn: x.number, Commit: x.commit,
	})
	t.try(stepTimeout, func() kmsg.Request {
		return t.endOf(t.transactionalID, t.id, x.commit)
	}, func(r kmsg.Response) bool {
		resp := r.(*kmsg.EndTxnResponse)
		code := protocol.Code(resp.ErrorCode)
		t.stage.saw("EndTxn", resp.ErrorCode)
		if again(code) {
			x.unsure = x.unsure || code == protocol.RequestTimedOut || code == protocol.UnknownServerError || code == protocol.KafkaStorageError
			return false
		}
		if code == protocol.None {
			t.stage.sometimes("transaction ended by an attempt repeated", x.unsure)
			t.stage.Rec.Complete(x.end, check.OK)
			if resp.Version >= 5 {
				t.become(producerState{resp.ProducerID, resp.ProducerEpoch})
			}
			if x.late {
				t.giveUp()
			} else {
				t.rest()
			}
			return true
		}
		x.end.Err = code.Error()
		outcome := check.Fail
		if x.unsure {
			outcome = check.Info
		}
		t.stage.Rec.Complete(x.end, outcome)
		t.giveUp()
		return true
	}, func() { x.unsure = true }, func() {
		t.stage.Rec.Complete(x.end, check.Info)
		t.giveUp()
	})
}
