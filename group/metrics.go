package group

import "sync/atomic"

// Metrics are the counters and gauges of a node's coordinators. A nil Metrics counts nothing; any thread may read.
type Metrics struct {
	Groups       Gauges // by state; see GroupStates
	Transactions Gauges // by state; see TransactionStates
	// Batches and Records appended, by internal topic: offsets, transactions.
	Batches, Records [kinds]atomic.Int64
	// Reloads counts shards and single coordinators that were read anew from the log because of a failure.
	Reloads atomic.Int64
	// Refused counts those that were not let in because of a limit of the node.
	Refused atomic.Int64
	// Busy counts commands refused because very many wait already; clients send them again.
	Busy atomic.Int64
	// Loaded counts records read at loading; Unknown those of kinds that are passed over, Damaged those that cannot be understood.
	Loaded, Unknown, Damaged [kinds]atomic.Int64
}

// Gauges count coordinators by state.
type Gauges [8]atomic.Int64

// GroupStates and TransactionStates name the places of Gauges; the last is for all others.
var (
	GroupStates       = [...]string{"Empty", "PreparingRebalance", "CompletingRebalance", "Stable", "Assigning", "Reconciling", "Other"}
	TransactionStates = [...]string{"Empty", "Ongoing", "PrepareCommit", "PrepareAbort", "CompleteCommit", "CompleteAbort", "Other"}
)

func (m *Metrics) gauge(k kind, l *listing) *atomic.Int64 {
	names, gauges := GroupStates[:], &m.Groups
	if k == transactions {
		names, gauges = TransactionStates[:], &m.Transactions
	}
	for i, name := range names {
		if name == l.state || i == len(names)-1 {
			return &gauges[i]
		}
	}
	return nil
}

// relisted moves a coordinator from one state to another; one that does not exist is in none.
func (m *Metrics) relisted(k kind, from, to *listing) {
	if m == nil {
		return
	}
	if from.exists {
		m.gauge(k, from).Add(-1)
	}
	if to.exists {
		m.gauge(k, to).Add(1)
	}
}

func (m *Metrics) appended(k kind, records int) {
	if m != nil {
		m.Batches[k].Add(1)
		m.Records[k].Add(int64(records))
	}
}

func (m *Metrics) reloaded() {
	if m != nil {
		m.Reloads.Add(1)
	}
}

func (m *Metrics) busy() {
	if m != nil {
		m.Busy.Add(1)
	}
}

func (m *Metrics) loaded(k kind, l *loader) {
	if m != nil {
		m.Loaded[k].Add(int64(l.records))
		m.Unknown[k].Add(int64(l.unknown))
		m.Damaged[k].Add(int64(l.damaged))
	}
}
