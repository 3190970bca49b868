package compaction

import (
	"slices"

	"github.com/troupe-broker/troupe/actors/record"
	"github.com/troupe-broker/troupe/partition/storage"
)

// transactions follows a log batch by batch and knows which of them belong to aborted transactions, and of which markers nothing of their
// transaction is left. Source: CleanedTransactionMetadata.
type transactions struct {
	// pending are aborted transactions of the index that have not begun yet, by first offset.
	pending []storage.AbortedTxn
	// aborted are those that have begun and not ended, by producer; seen says that a batch of it was met. committed are the producers
	// of which a batch of another transaction was met since its last marker.
	aborted   map[int64]*ongoing
	committed map[int64]bool
}

type ongoing struct {
	txn  storage.AbortedTxn
	seen bool
}

func newTransactions() *transactions {
	return &transactions{aborted: map[int64]*ongoing{}, committed: map[int64]bool{}}
}

// add tells of the aborted transactions of what comes next. Those that go on from before are among them again, which does no harm: they
// are ongoing already, or consumed together.
func (t *transactions) add(txns []storage.AbortedTxn) {
	t.pending = append(t.pending, txns...)
	slices.SortFunc(t.pending, func(a, b storage.AbortedTxn) int {
		switch {
		case a.FirstOffset < b.FirstOffset:
			return -1
		case a.FirstOffset > b.FirstOffset:
			return 1
		}
		return 0
	})
}

// begin moves the transactions that begin at or below offset to the ongoing ones.
func (t *transactions) begin(offset int64) {
	n := 0
	for ; n < len(t.pending) && t.pending[n].FirstOffset <= offset; n++ {
		a := t.pending[n]
		if t.aborted[a.ProducerID] == nil {
			t.aborted[a.ProducerID] = &ongoing{txn: a}
		}
	}
	t.pending = t.pending[n:]
}

// data takes note of a batch of data and reports whether it was aborted.
func (t *transactions) data(b record.Batch) (aborted bool) {
	t.begin(b.LastOffset())
	if !b.IsTransactional() {
		return false
	}
	if o := t.aborted[b.ProducerID()]; o != nil {
		o.seen = true
		return true
	}
	t.committed[b.ProducerID()] = true
	return false
}

// control takes note of a control batch. spent says that nothing of its transaction was met: it may go when its time has come. entry is
// the index entry that goes on standing for it, nil if it is none or spent.
func (t *transactions) control(b record.Batch) (spent bool, entry *storage.AbortedTxn) {
	t.begin(b.LastOffset())
	if b.NumRecords() == 0 {
		return true, nil // emptied before
	}
	commit, _, ok := b.Marker()
	id := b.ProducerID()
	switch {
	case !ok:
		return false, nil // of another kind
	case commit:
		spent = !t.committed[id]
		delete(t.committed, id)
		return spent, nil
	}
	o := t.aborted[id]
	delete(t.aborted, id)
	if o == nil || !o.seen {
		return true, nil
	}
	return false, &o.txn
}
