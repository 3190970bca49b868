package workload

import (
	"fmt"

	"github.com/troupe-broker/troupe/actors/protocol"
	"github.com/troupe-broker/troupe/simulations/check"
	"github.com/twmb/franz-go/pkg/kmsg"
)

const (
	// accountsMax is how many accounts a bank has, and opening what is in each before the first transfer.
	accountsMax = 3
	opening     = 100
	twinsMax    = 4
)

// Teller moves money between the accounts of a bank: in one transaction it writes the new balances of two of them to the first topic. It
// alone knows the balances, since its transactional id fences every other: with a new epoch it reads them, with isolation level
// read_committed, and their sum must be what it always is. Now and then a twin takes its place without a word; it goes on as if nothing
// had happened, until it is fenced.
type Teller struct {
	coordinated
	process   int
	bank      string // and transactional id
	tv2       bool
	id        producerState
	sequences map[protocol.TopicPartition]int32
	balances  [accountsMax]int64
	busy      bool
	txn       *transfer
	lives     int
	replaced  bool // a twin will take over
	zombie    bool // it has, which the teller does not know
	dead      bool
	goals     map[protocol.TopicPartition]int64 // of reading: high watermarks; -1 is not known yet
	positions map[protocol.TopicPartition]int64
}

// transfer is the transaction that goes on: two records, each in the partition of its account.
type transfer struct {
	number   int
	commit   bool
	balances [accountsMax]int64 // after it
	accounts []int              // left to write
	added    []spot
	send     *check.Op
	unsure   bool
	end      *check.Op
	endLost  bool
}

// StartTeller begins the teller of a bank.
func StartTeller(s *Stage, bank string) { startTeller(s, bank, 0) }

func startTeller(s *Stage, bank string, lives int) {
	name := fmt.Sprintf("%s.%d", bank, lives)
	t := &Teller{coordinated: newCoordinated(s, name), process: s.newProcess(), bank: bank, lives: lives, id: noProducer}
	t.tv2 = t.rng.IntN(2) == 0
	if !t.tv2 {
		t.pinned[0], t.pinned[26] = int16(3+t.rng.IntN(9)), int16(t.rng.IntN(5))
	}
	t.pinned[24] = 3
	s.tellers = append(s.tellers, t)
	t.dial()
	t.begin()
}

// begin takes a new epoch and reads the balances. It is tried for ever.
func (t *Teller) begin() {
	t.busy = true
	t.seekCoordinator(t.bank, 1, t.identify)
}

func (t *Teller) identify() {
	t.try(stepTimeout, func() kmsg.Request {
		req := identityRequest(t.bank)
		req.Version = t.at(req, 0)
		return req
	}, func(r kmsg.Response) bool {
		resp := r.(*kmsg.InitProducerIDResponse)
		t.stage.saw("InitProducerId", resp.ErrorCode)
		if resp.ErrorCode != 0 {
			return false
		}
		t.id, t.sequences = producerState{resp.ProducerID, resp.ProducerEpoch}, map[protocol.TopicPartition]int32{}
		t.stage.issued(t.name, t.bank, t.id)
		t.count()
		return true
	}, func() {}, t.identify)
}

// place is the partition of an account.
func (t *Teller) place(account int) spot {
	topic := t.stage.topics[0]
	return spot{topic, protocol.TopicPartition{Topic: topic.ID, Partition: int32(account) % topic.Partitions}}
}

// count reads all balances, from the beginning of each partition to what was its high watermark when the reading began.
func (t *Teller) count() {
	t.goals, t.positions = map[protocol.TopicPartition]int64{}, map[protocol.TopicPartition]int64{}
	for i := range t.balances {
		t.balances[i] = opening
		t.goals[t.place(i).key] = -1
	}
	t.read(0)
}

// read reads on in the partition of an account, or goes to the next.
func (t *Teller) read(account int) {
	if account == accountsMax {
		t.counted()
		return
	}
	at := t.place(account)
	if goal := t.goals[at.key]; goal >= 0 && t.positions[at.key] >= goal {
		t.read(account + 1)
		return
	}
	t.try(stepTimeout, func() kmsg.Request {
		req := kmsg.NewPtrFetchRequest()
		req.Version = t.at(req, 4)
		req.MaxWaitMillis, req.MinBytes, req.MaxBytes, req.SessionEpoch, req.IsolationLevel = 50, 0, 1<<20, -1, 1
		part := kmsg.NewFetchRequestTopicPartition()
		part.Partition, part.FetchOffset, part.PartitionMaxBytes, part.CurrentLeaderEpoch = at.key.Partition, t.positions[at.key], 1<<20, -1
		row := kmsg.NewFetchRequestTopic()
		row.Topic, row.TopicID, row.Partitions = at.topic.Name, at.key.Topic, append(row.Partitions, part)
		req.Topics = append(req.Topics, row)
		return req
	}, func(r kmsg.Response) bool {
		resp := r.(*kmsg.FetchResponse)
		if resp.ErrorCode != 0 || len(resp.Topics) != 1 || resp.Topics[0].Partitions[0].ErrorCode != 0 {
			return false
		}
		before := t.positions[at.key]
		t.take(at, &resp.Topics[0].Partitions[0])
		if t.positions[at.key] == before && before < t.goals[at.key] {
			return false // something is undecided
		}
		t.read(account)
		return true
	}, func() {}, func() { t.read(account) })
}

// take learns balances from one answer.
func (t *Teller) take(at spot, part *kmsg.FetchResponseTopicPartition) {
	records, _, err := decodeBatches(part.RecordBatches, at.topic, t.stage.PadMax)
	if err != nil {
		t.stage.violate("%s: records of %v: %v", t.name, at, err)
	}
	if t.goals[at.key] < 0 {
		t.goals[at.key] = part.HighWatermark
	}
	visible := newFilter(part, true)
	for _, r := range records {
		shown := visible.shows(r)
		if r.Offset < t.positions[at.key] {
			continue
		}
		t.positions[at.key] = r.Offset + 1
		if b, ok := t.stage.Rec.History().Balances[r.Value]; ok && shown && b.Bank == t.bank {
			t.balances[b.Account] = b.After
		}
	}
}

// counted: the books must be right.
func (t *Teller) counted() {
	sum := int64(0)
	for _, b := range t.balances {
		sum += b
	}
	t.stage.sometimes("books counted", true)
	if sum != accountsMax*opening && !t.zombie {
		t.stage.violate("%s: the accounts are %v, in all %d, want %d", t.name, t.balances, sum, accountsMax*opening)
	}
	t.next()
}

// next begins the next transfer after a pause.
func (t *Teller) next() {
	t.txn, t.busy = nil, false
	t.stage.env.After(t.pause(t.stage.Pace), func() {
		switch {
		case t.dead || t.stage.halted || t.stage.stopped:
		case t.rng.IntN(25) == 0 && !t.zombie:
			t.begin()
		default:
			t.transfer()
		}
	})
}

func (t *Teller) transfer() {
	t.busy = true
	from := t.rng.IntN(accountsMax)
	to := (from + 1 + t.rng.IntN(accountsMax-1)) % accountsMax
	amount := 1 + t.rng.Int64N(9)
	t.txn = &transfer{number: t.stage.newTxn(), commit: t.rng.IntN(8) > 0, balances: t.balances, accounts: []int{from, to}}
	t.txn.balances[from] -= amount
	t.txn.balances[to] += amount
	if t.rng.IntN(20) == 0 && t.lives < twinsMax && !t.replaced {
		t.replaced = true
		t.stage.sometimes("twin of a teller", true)
		t.stage.env.After(t.pause(2*t.stage.Pace), func() {
			t.zombie = true
			startTeller(t.stage, t.bank, t.lives+1)
		})
	}
	t.step()
}

// step does the next step of the transfer.
func (t *Teller) step() {
	x := t.txn
	switch {
	case t.rng.IntN(100) == 0 && !t.stage.stopped:
		t.stage.sometimes("teller slept in a transfer", true)
		t.stage.env.After(t.pause(transactionTimeout), t.step)
	case len(x.accounts) == 0:
		t.end()
	case !t.tv2 && len(x.added) <= 2-len(x.accounts):
		t.add(t.place(x.accounts[0]))
	default:
		t.write(x.accounts[0])
	}
}

// decide judges the code of a step: goOn when it is done, false to try again, else the end of the transfer.
func (t *Teller) decide(api string, code protocol.Code, goOn func()) bool {
	t.stage.saw(api, int16(code))
	switch {
	case code == protocol.None:
		goOn()
	case coming(code):
		return false
	default:
		t.stage.sometimes("zombie teller refused: "+api+" "+code.Name(), t.zombie)
		t.giveUp()
	}
	return true
}

// giveUp ends the transfer by taking a new epoch; who has been replaced is dead.
func (t *Teller) giveUp() {
	t.turn++
	if x := t.txn; x != nil {
		if x.send != nil && x.send.Complete == check.Never {
			t.stage.Rec.Complete(x.send, outcomeOf(x.unsure))
		}
		if x.end != nil && x.end.Complete == check.Never {
			t.stage.Rec.Complete(x.end, outcomeOf(x.endLost))
		}
	}
	t.txn = nil
	if t.zombie {
		t.dead, t.busy = true, false
		t.hangUp(errClosed)
		return
	}
	t.begin()
}

func (t *Teller) add(at spot) {
	t.try(stepTimeout, func() kmsg.Request {
		req := addPartitionsOf(t.bank, t.id, at)
		req.Version = t.at(req, 0)
		return req
	}, func(r kmsg.Response) bool {
		return t.decide("AddPartitionsToTxn", protocol.Code(r.(*kmsg.AddPartitionsToTxnResponse).Topics[0].Partitions[0].ErrorCode), func() {
			t.txn.added = append(t.txn.added, at)
			t.step()
		})
	}, func() {}, t.giveUp)
}

// write writes the new balance of an account.
func (t *Teller) write(account int) {
	x, at := t.txn, t.place(account)
	op := check.Op{
		Process: t.process, Func: check.Send, Key: at.key, Acks: -1, Idempotent: true, Offset: -1, LogStart: -1, Txn: x.number, Values: t.stage.nextValues(1),
		Timestamps: []int64{t.stage.env.Wall().UnixMilli()}, ByName: t.version(kmsg.NewPtrProduceRequest(), 3) < 13,
	}
	t.stage.Rec.BalanceOf(op.Values[0], check.Balance{Bank: t.bank, Account: account, Before: t.balances[account], After: x.balances[account], Txn: x.number})
	x.send, x.unsure = t.stage.Rec.Invoke(op), false
	sequence := t.sequences[at.key]
	t.try(stepTimeout, func() kmsg.Request {
		return t.produceOf(t.bank, t.id, at, x.send, sequence)
	}, func(r kmsg.Response) bool {
		part := findProduced(r.(*kmsg.ProduceResponse), &lane{topic: at.topic, key: at.key})
		code := protocol.Code(part.ErrorCode)
		if code == protocol.None {
			t.produced(at, x.send, part)
			t.stage.Rec.Complete(x.send, check.OK)
			t.sequences[at.key] = advance(sequence, 1)
		}
		x.unsure = x.unsure || coming(code)
		return t.decide("Produce", code, func() {
			x.accounts = x.accounts[1:]
			t.step()
		})
	}, func() { x.unsure = true }, func() { x.unsure = true; t.giveUp() })
}

// end commits or aborts.
func (t *Teller) end() {
	x := t.txn
	x.end = t.stage.Rec.Invoke(check.Op{
		Process: t.process, Func: check.EndTxn, Key: protocol.TopicPartition{Partition: -1}, Offset: -1, Txn: x.number, Commit: x.commit,
	})
	t.try(stepTimeout, func() kmsg.Request {
		return t.endOf(t.bank, t.id, x.commit)
	}, func(r kmsg.Response) bool {
		resp := r.(*kmsg.EndTxnResponse)
		code := protocol.Code(resp.ErrorCode)
		x.endLost = x.endLost || code == protocol.RequestTimedOut || code == protocol.UnknownServerError || code == protocol.KafkaStorageError
		return t.decide("EndTxn", code, func() {
			t.stage.Rec.Complete(x.end, check.OK)
			if id := (producerState{resp.ProducerID, resp.ProducerEpoch}); resp.Version >= 5 && id != t.id {
				t.id, t.sequences = id, map[protocol.TopicPartition]int32{}
			}
			if x.commit {
				t.balances = x.balances
				t.stage.sometimes("money moved by a zombie", t.zombie)
			}
			t.next()
		})
	}, func() { x.endLost = true }, func() { x.endLost = true; t.giveUp() })
}

// tellers are all tellers of a run, with the twins that came later.
type tellers struct{ stage *Stage }

// Idle implements Coordinated: no transfer goes on.
func (t tellers) Idle() bool {
	for _, o := range t.stage.tellers {
		if o.busy && !o.dead {
			return false
		}
	}
	return true
}

// Behind implements Coordinated.
func (t tellers) Behind() string { return "" }
