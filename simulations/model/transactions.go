package model

import (
	"encoding/binary"
	"hash/crc32"
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// transaction is one transactional id.
type transaction struct {
	id         string
	producer   int64
	epoch      int16
	partitions []*partition // of the transaction that is going on
	// A repeated EndTxn of the last transaction is answered again.
	last      lastEnd
	hasBefore bool
}

type lastEnd struct {
	producer int64
	epoch    int16
	commit   bool
}

// openTxn is a transaction in one partition that has no marker yet, abortedTxn one whose marker says abort.
type openTxn struct{ producer, first int64 }

type abortedTxn struct{ producer, first, last int64 }

func (b *Broker) transaction(id string) *transaction {
	i := slices.IndexFunc(b.transactions, func(t *transaction) bool { return t.id == id })
	if i < 0 {
		return nil
	}
	return b.transactions[i]
}

// initProducerID gives a new id, or a transactional id its next epoch, after aborting what goes on.
func (b *Broker) initProducerID(r *kmsg.InitProducerIDRequest, out *kmsg.InitProducerIDResponse, wall int64) {
	if r.TransactionalID == nil {
		out.ProducerID = b.producers
		b.producers++
		return
	}
	t := b.transaction(*r.TransactionalID)
	if t == nil {
		t = &transaction{id: *r.TransactionalID, producer: b.producers, epoch: -1}
		b.producers++
		b.transactions = append(b.transactions, t)
	}
	t.epoch++
	b.mark(t, false, wall)
	t.hasBefore = false
	out.ProducerID, out.ProducerEpoch = t.producer, t.epoch
}

// check finds the transaction of a request.
func (b *Broker) check(id string, producer int64, epoch int16) (*transaction, int16) {
	t := b.transaction(id)
	if t == nil || t.producer != producer || t.epoch != epoch {
		return nil, invalidProducerEpoch
	}
	return t, none
}

func (b *Broker) addPartitions(r *kmsg.AddPartitionsToTxnRequest, out *kmsg.AddPartitionsToTxnResponse) {
	t, code := b.check(r.TransactionalID, r.ProducerID, r.ProducerEpoch)
	for _, rt := range r.Topics {
		row := kmsg.NewAddPartitionsToTxnResponseTopic()
		row.Topic = rt.Topic
		for _, number := range rt.Partitions {
			part := kmsg.NewAddPartitionsToTxnResponseTopicPartition()
			part.Partition, part.ErrorCode = number, code
			p := b.byName(rt.Topic).partition(number)
			switch {
			case code != none:
			case p == nil:
				part.ErrorCode = unknownTopicOrPartition
			default:
				t.add(p)
			}
			row.Partitions = append(row.Partitions, part)
		}
		out.Topics = append(out.Topics, row)
	}
}

func (t *transaction) add(p *partition) {
	if !slices.Contains(t.partitions, p) {
		t.partitions = append(t.partitions, p)
	}
}

// joins checks a transactional batch against its coordinator; from Produce v12 on the batch joins by itself.
func (b *Broker) joins(r *kmsg.ProduceRequest, p *partition, h *kmsg.RecordBatch) int16 {
	if h.Attributes&transactional == 0 || b.Bug == JoinNext && p.appends%5 == 0 {
		return none
	}
	if r.TransactionID == nil {
		return invalidTxnState
	}
	t, code := b.check(*r.TransactionID, h.ProducerID, h.ProducerEpoch)
	switch {
	case code != none:
		return code
	case r.Version >= 12:
		t.add(p)
	case !slices.Contains(t.partitions, p):
		return invalidTxnState
	}
	return none
}

// endTxn commits or aborts. From v5 on every transaction has its own epoch, so a repeated request is told by its old one.
func (b *Broker) endTxn(r *kmsg.EndTxnRequest, out *kmsg.EndTxnResponse, wall int64) {
	out.ProducerID, out.ProducerEpoch = -1, -1
	t := b.transaction(r.TransactionalID)
	asked := lastEnd{r.ProducerID, r.ProducerEpoch, r.Commit}
	if t != nil && len(t.partitions) == 0 && t.hasBefore && t.last == asked {
		out.ProducerID, out.ProducerEpoch = t.producer, t.epoch
		return
	}
	t, out.ErrorCode = b.check(r.TransactionalID, r.ProducerID, r.ProducerEpoch)
	if out.ErrorCode != none {
		return
	}
	if len(t.partitions) == 0 {
		out.ErrorCode = invalidTxnState
		return
	}
	if r.Version >= 5 {
		t.epoch++
	}
	b.mark(t, r.Commit, wall)
	t.last, t.hasBefore = asked, true
	out.ProducerID, out.ProducerEpoch = t.producer, t.epoch
}

// mark ends the transaction in every partition.
func (b *Broker) mark(t *transaction, commit bool, wall int64) {
	b.ended++
	for i, p := range t.partitions {
		due := b.ended%3 == 0 && i == 0
		switch {
		case due && b.Bug == LoseMarker:
			continue
		case due && b.Bug == TearCommit:
			p.mark(t, false, wall)
			continue
		}
		p.mark(t, commit, wall)
	}
	t.partitions = nil
}

func (p *partition) mark(t *transaction, commit bool, wall int64) {
	at := p.end()
	if i := slices.IndexFunc(p.open, func(o openTxn) bool { return o.producer == t.producer }); i >= 0 {
		if !commit {
			p.aborted = append(p.aborted, abortedTxn{t.producer, p.open[i].first, at})
		}
		p.open = slices.Delete(p.open, i, i+1)
	}
	p.batches = append(p.batches, batch{at, at, marker(t, commit, at, wall)})
	s := p.producer(t.producer)
	if s.epoch != t.epoch {
		s.epoch, s.recent = t.epoch, nil
	}
}

// Bits of a batch's attributes.
const (
	transactional = 1 << 4
	control       = 1 << 5
)

func marker(t *transaction, commit bool, at, wall int64) []byte {
	kind := byte(0)
	if commit {
		kind = 1
	}
	r := kmsg.Record{Key: []byte{0, 0, 0, kind}, Value: []byte{0, 0, 0, 0, 0, 0}}
	body := r.AppendTo(nil)[1:]
	records := append(binary.AppendVarint(nil, int64(len(body))), body...)
	k := kmsg.RecordBatch{
		FirstOffset: at, Magic: 2, Attributes: transactional | control, FirstTimestamp: wall, MaxTimestamp: wall, ProducerID: t.producer,
		ProducerEpoch: t.epoch, FirstSequence: -1, NumRecords: 1, Records: records, Length: int32(49 + len(records)),
	}
	raw := k.AppendTo(nil)
	binary.BigEndian.PutUint32(raw[17:], crc32.Checksum(raw[21:], castagnoli))
	return raw
}

// stable is the last stable offset.
func (p *partition) stable() int64 {
	end := p.end()
	for _, o := range p.open {
		end = min(end, o.first)
	}
	return max(end, p.start)
}

// abortedIn lists the aborted transactions with records in [from, upTo).
func (b *Broker) abortedIn(p *partition, from, upTo int64) []kmsg.FetchResponseTopicPartitionAbortedTransaction {
	out := []kmsg.FetchResponseTopicPartitionAbortedTransaction{}
	for i, a := range p.aborted {
		if a.last >= from && a.first < upTo && !(b.Bug == ShowAborted && i%2 == 1) {
			row := kmsg.NewFetchResponseTopicPartitionAbortedTransaction()
			row.ProducerID, row.FirstOffset = a.producer, a.first
			out = append(out, row)
		}
	}
	return out
}
