package check

import "github.com/troupe-broker/troupe/actors/protocol"

// txn is one transaction of a history.
type txn struct {
	end     *Op // nil: nobody asked to end it, so it was aborted when its producer came back, or by its timeout
	visible *Op // a poll with isolation level read_committed that returned some of it; nil if there is none
}

// committed reports that the transaction certainly took effect, aborted that it certainly did not.
func (t *txn) committed() bool { return t.end != nil && t.end.Commit && t.end.Outcome == OK }

func (t *txn) aborted() bool { return t.end == nil || !t.end.Commit || t.end.Outcome == Fail }

func (x *Index) noteTxn(op *Op) {
	if op.Txn == 0 {
		return
	}
	t := x.txns[op.Txn]
	if t == nil {
		t = &txn{}
		x.txns[op.Txn] = t
	}
	if op.Func == EndTxn {
		t.end = op
	}
}

// txnOf is the transaction of a value; nil if it has none.
func (x *Index) txnOf(value int64) *txn {
	if w := x.Writer[value]; w != nil && w.Txn != 0 {
		return x.txns[w.Txn]
	}
	return nil
}

// noteVisible notes of every transaction whether somebody saw it, where that tells something of it.
func (x *Index) noteVisible() {
	for _, p := range x.Partitions {
		for _, op := range p.Ops {
			if op.Func != Poll || !op.Committed {
				continue
			}
			for _, r := range op.Reads {
				if t := x.txnOf(r.Value); t != nil && t.visible == nil && !p.markersMayBeGone(x, x.Writer[r.Value]) {
					t.visible = op
				}
			}
		}
	}
}

// committedBetween reports whether there is a record between two offsets, both exclusive, that every reader must see.
func (p *Partition) committedBetween(x *Index, log *Log, after, before int64) bool {
	for _, e := range log.Entries[log.Rank(after+1):log.Rank(before)] {
		if t := x.txnOf(e.Value); t == nil || t.committed() && !p.markersMayBeGone(x, x.Writer[e.Value]) {
			return true
		}
	}
	return false
}

// markersMayBeGone reports whether a power loss may have taken the marker of a send's transaction and left the records: with
// durability=os they are a tail like any other. The next marker of the producer then ends both transactions, whatever it says.
func (p *Partition) markersMayBeGone(x *Index, send *Op) bool {
	return p.Topic.Durability == protocol.DurabilityOS && x.powerLossAfter(send.Era)
}

// abortedReads: a poll with isolation level read_committed returned a record of a transaction that was aborted (anomaly 5, G1a;
// I-TXNVIS, I-VERIFY).
//
// Why it suffices: a transaction counts as aborted if nobody ever asked to commit it, or if the answer was no before any attempt with an
// unknown end; nothing can commit it after that. Whatever makes its records visible (a list that lacks it, a stable offset beyond it, a
// batch that arrives in the next transaction) shows as a read.
func abortedReads(x *Index, p *Partition) (out []Anomaly) {
	for _, op := range p.Ops {
		if op.Func != Poll || !op.Committed {
			continue
		}
		for _, r := range op.Reads {
			if t := x.txnOf(r.Value); t != nil && t.aborted() && !p.markersMayBeGone(x, x.Writer[r.Value]) {
				out = append(out, p.anomaly(AbortedRead, "value %d at offset %d of %v was read by %v and was aborted (%v)", r.Value, r.Offset, x.Writer[r.Value], op, t.end))
			}
		}
	}
	return out
}

// tornTransactions: a transaction took effect in part: it was committed, or somebody saw some of it, and a record of it that was
// acknowledged is not in the final read with isolation level read_committed (2.4-e; I-ONE).
//
// Why it suffices: the final read begins when every transaction has ended and goes to the end of the log, so it shows all that ever
// will be visible of it in this partition; whether it took effect is known from its end or from any partition. What may be gone is the
// excuse rule's.
func tornTransactions(x *Index, p *Partition) (out []Anomaly) {
	if !p.FinishedCommitted {
		return nil
	}
	for _, op := range p.Ops {
		if op.Func != Send || op.Txn == 0 || op.Outcome != OK {
			continue
		}
		t := x.txns[op.Txn]
		if !t.committed() && t.visible == nil {
			continue
		}
		for i, v := range op.Values {
			offset := op.Offset
			if offset >= 0 {
				offset += int64(i)
			}
			if !p.FinalCommitted[v] && !x.lossExcused(p, op, offset) && !p.compactedAway(x, v, offset) {
				out = append(out, p.anomaly(TornTransaction, "value %d at offset %d (%v) is not in the final read; its transaction ended with %v and was seen by %v", v, offset, op, t.end, t.visible))
			}
		}
	}
	return out
}
