package check

import (
	"testing"

	"github.com/troupe-broker/troupe/actors/protocol"
)

// TestMoneyIsNeitherMadeNorLost shows transfers between two accounts in a final read.
func TestMoneyIsNeitherMadeNorLost(t *testing.T) {
	a, b := protocol.TopicPartition{Topic: protocol.TopicID{1}}, protocol.TopicPartition{Topic: protocol.TopicID{1}, Partition: 1}
	for _, c := range []struct {
		name string
		a, b []Balance
		kept bool
	}{
		{"two transfers", []Balance{{"x", 0, 100, 90, 1}, {"x", 0, 90, 95, 2}}, []Balance{{"x", 1, 100, 110, 1}, {"x", 1, 110, 105, 2}}, true},
		{"half a transfer", []Balance{{"x", 0, 100, 90, 1}}, nil, false},
		{"a zombie's transfer", []Balance{{"x", 0, 100, 90, 1}, {"x", 0, 100, 80, 2}}, []Balance{{"x", 1, 100, 110, 1}, {"x", 1, 100, 120, 2}}, false},
		{"two banks", []Balance{{"x", 0, 100, 90, 1}, {"y", 0, 100, 80, 2}}, []Balance{{"x", 1, 100, 110, 1}, {"y", 1, 100, 120, 2}}, true},
	} {
		var r Recorder
		r.Topic(Topic{ID: protocol.TopicID{1}, Name: "t"})
		value := int64(0)
		for _, p := range []struct {
			key      protocol.TopicPartition
			balances []Balance
		}{{a, c.a}, {b, c.b}} {
			op := r.Invoke(Op{Func: Poll, Key: p.key, Final: true, Committed: true})
			for i, balance := range p.balances {
				value++
				r.BalanceOf(value, balance)
				op.Reads = append(op.Reads, Read{Offset: int64(i), Value: value})
			}
			r.Complete(op, OK)
			r.FinishCommitted(p.key)
		}
		if found := moneyKept(NewIndex(r.History())); (len(found) == 0) != c.kept {
			t.Errorf("%s: %v", c.name, found)
		}
	}
}
