package check

import "fmt"

// Balance is what a record says of an account: what was in it before a transfer, and after.
type Balance struct {
	Bank          string
	Account       int
	Before, After int64
	Txn           int
}

// BalanceOf says that the record with a value is a balance.
func (r *Recorder) BalanceOf(value int64, b Balance) {
	if r.h.Balances == nil {
		r.h.Balances = map[int64]Balance{}
	}
	r.h.Balances[value] = b
}

// moneyKept: the sum of the accounts of a bank changed, at some point at which no transfer was under way (2.4-d, tx_money).
//
// Why it suffices: every transfer takes from one account what it gives to another, so the sum after any number of them is the same if
// each that took effect did so in both accounts, and each began with what the one before it in that account left behind. The final read
// with isolation level read_committed shows all that took effect, in the order of each account; whatever is shown in part, or came from
// somebody who did not know the newest balance, a fenced teller for instance, breaks one of these two.
func moneyKept(x *Index) (out []Anomaly) {
	if len(x.H.Balances) == 0 {
		return nil
	}
	type account struct {
		bank   string
		number int
	}
	last := map[account]Balance{}
	moved := map[int]int64{}
	var txns []int
	for _, p := range x.Partitions {
		if !p.FinishedCommitted {
			return nil
		}
		for _, r := range p.finalReads() {
			b, ok := x.H.Balances[r.Value]
			if !ok {
				continue
			}
			at := account{b.Bank, b.Account}
			if before, ok := last[at]; ok && before.After != b.Before {
				out = append(out, p.anomaly(MoneyMade, "account %d of %s is changed from %d by transfer %d, but transfer %d left %d", b.Account, b.Bank, b.Before, b.Txn, before.Txn, before.After))
			}
			last[at] = b
			if _, ok := moved[b.Txn]; !ok {
				txns = append(txns, b.Txn)
			}
			moved[b.Txn] += b.After - b.Before
		}
	}
	for _, n := range txns {
		if moved[n] != 0 {
			out = append(out, Anomaly{Class: MoneyMade, Text: fmt.Sprintf("transfer %d changed the sum by %d", n, moved[n])})
		}
	}
	return out
}
