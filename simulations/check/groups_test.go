package check

import (
	"testing"

	"github.com/troupe-broker/troupe/actors/protocol"
)

// groupScript builds operations on one partition of one group; times are given, so that what is concurrent is plain.
type groupScript struct{ h History }

var scriptKey = protocol.TopicPartition{Topic: protocol.TopicID{1}}

func (s *groupScript) add(from, to Instant, outcome Outcome, op GroupOp) *groupScript {
	op.Index, op.Group, op.Invoked, op.Complete, op.Outcome = len(s.h.GroupOps), "g", from, to, outcome
	if op.Generation == 0 {
		op.Generation = -1
	}
	if op.Func != AssignPartitions {
		op.Key = scriptKey
	}
	s.h.GroupOps = append(s.h.GroupOps, &op)
	return s
}

func (s *groupScript) commit(from, to Instant, number int64, outcome Outcome) *groupScript {
	return s.add(from, to, outcome, GroupOp{Func: CommitOffset, Number: number, Offset: number * 10})
}

func (s *groupScript) fetch(from, to Instant, number int64) *groupScript {
	offset := number * 10
	if number == 0 {
		offset = -1
	}
	return s.add(from, to, OK, GroupOp{Func: FetchOffset, Number: number, Offset: offset})
}

func (s *groupScript) drop(from, to Instant, outcome Outcome) *groupScript {
	return s.add(from, to, outcome, GroupOp{Func: DeleteOffset})
}

func (s *groupScript) as(from, to Instant, number int64, outcome Outcome, member, instance string, generation int32) *groupScript {
	return s.add(from, to, outcome, GroupOp{Func: CommitOffset, Number: number, Offset: number * 10, Member: member, Instance: instance, Generation: generation})
}

func (s *groupScript) assign(from, to Instant, member, instance string, generation int32) *groupScript {
	return s.add(from, to, OK, GroupOp{
		Func: AssignPartitions, Member: member, Instance: instance, Generation: generation, Partitions: []protocol.TopicPartition{scriptKey},
	})
}

func (s *groupScript) inTxn(from, to Instant, number int64, outcome Outcome, txn int) *groupScript {
	return s.add(from, to, outcome, GroupOp{Func: CommitOffset, Number: number, Offset: number * 10, Txn: txn})
}

func (s *groupScript) end(from, to Instant, txn int, commit bool, outcome Outcome) *groupScript {
	s.h.Ops = append(s.h.Ops, &Op{Func: EndTxn, Txn: txn, Commit: commit, Invoked: from, Complete: to, Outcome: outcome, Key: protocol.TopicPartition{Partition: -1}})
	return s
}

func groups() *groupScript { return &groupScript{} }

func TestGroupAnomaliesAreFound(t *testing.T) {
	for _, c := range []struct {
		name string
		want Class // empty: nothing is wrong
		s    *groupScript
	}{
		{"what was committed is fetched", "", groups().commit(1, 2, 1, OK).fetch(3, 4, 1).commit(5, 6, 2, OK).fetch(7, 8, 2)},
		{"nothing before the first commit", "", groups().fetch(1, 2, 0).commit(3, 4, 1, OK)},
		{"nothing while the first commit goes on", "", groups().commit(1, 6, 1, OK).fetch(2, 5, 0)},
		{"nothing after a commit", LostOffset, groups().commit(1, 2, 1, OK).fetch(3, 4, 0)},
		{"nothing after a commit that was seen", LostOffset, groups().commit(1, 2, 1, Info).fetch(3, 4, 1).fetch(5, 6, 0)},
		{"an older commit after a newer one", LostOffset, groups().commit(1, 2, 1, OK).commit(3, 4, 2, OK).fetch(5, 6, 1)},
		{"concurrent commits in either order", "", groups().commit(1, 4, 1, OK).commit(2, 5, 2, OK).fetch(6, 7, 1).fetch(8, 9, 1)},
		{"back and forth", OffsetBack, groups().commit(1, 6, 1, OK).commit(2, 7, 2, OK).fetch(8, 9, 1).fetch(10, 11, 2).fetch(12, 13, 1)},
		{"a commit with an unknown end takes effect later", "", groups().commit(1, 2, 1, Info).commit(3, 4, 2, OK).fetch(5, 6, 2).fetch(7, 8, 1)},
		{"a refused commit is seen", WrongOffset, groups().commit(1, 2, 1, Fail).fetch(3, 4, 1)},
		{"a commit is seen before it was sent", WrongOffset, groups().fetch(1, 2, 1).commit(3, 4, 1, OK)},
		{"a number nobody committed", WrongOffset, groups().fetch(1, 2, 7)},
		{"deleted, then nothing", "", groups().commit(1, 2, 1, OK).drop(3, 4, OK).fetch(5, 6, 0)},
		{"deleted, then seen", WrongOffset, groups().commit(1, 2, 1, OK).drop(3, 4, OK).fetch(5, 6, 1)},
		{"perhaps deleted", "", groups().commit(1, 2, 1, OK).drop(3, 4, Info).fetch(5, 6, 1).fetch(7, 8, 0)},
		{"nothing, and the deletion was refused", LostOffset, groups().commit(1, 2, 1, OK).drop(3, 4, Fail).fetch(5, 6, 0)},
		{"committed with its transaction", "", groups().inTxn(1, 2, 1, OK, 1).fetch(3, 4, 0).end(5, 6, 1, true, OK).fetch(7, 8, 1)},
		{"seen before its transaction was ended", WrongOffset, groups().inTxn(1, 2, 1, OK, 1).fetch(3, 4, 1).end(5, 6, 1, true, OK)},
		{"seen though its transaction was aborted", WrongOffset, groups().inTxn(1, 2, 1, OK, 1).end(3, 4, 1, false, OK).fetch(5, 6, 1)},
		{"gone though its transaction was committed", LostOffset, groups().inTxn(1, 2, 1, OK, 1).end(3, 4, 1, true, OK).fetch(5, 6, 0)},
		{"the next generation owns it", StaleCommit, groups().assign(1, 2, "a", "", 1).assign(3, 4, "b", "", 2).as(5, 6, 1, OK, "a", "", 1)},
		{"the next generation refuses", "", groups().assign(1, 2, "a", "", 1).assign(3, 4, "b", "", 2).as(5, 6, 1, Fail, "a", "", 1)},
		{"at the same time as the next generation", "", groups().assign(1, 2, "a", "", 1).assign(3, 6, "b", "", 2).as(5, 7, 1, OK, "a", "", 1)},
		{"a static member's former self", StaleCommit, groups().assign(1, 2, "a", "i", 1).assign(3, 4, "b", "i", 1).as(5, 6, 1, OK, "a", "i", 1)},
		{"two owners in one generation", DoubleOwner, groups().assign(1, 2, "a", "", 1).assign(3, 4, "b", "", 1)},
		{"one owner, told twice", "", groups().assign(1, 2, "a", "", 1).assign(3, 4, "a", "", 1)},
	} {
		found := c.s.h.Check()
		if c.want == "" && len(found) > 0 || c.want != "" && (len(found) == 0 || found[0].Class != c.want) {
			t.Errorf("%s: found %v, want %q", c.name, found, c.want)
		}
	}
}

func TestCopiesAreCompared(t *testing.T) {
	from := protocol.TopicPartition{Topic: protocol.TopicID{1}}
	to := protocol.TopicPartition{Topic: protocol.TopicID{2}}
	for _, c := range []struct {
		name   string
		copies []int64 // offsets of the input, in order of the output
		group  int64
		want   Class
	}{
		{"each once", []int64{0, 1, 2}, 3, ""},
		{"up to where the group is", []int64{0, 1}, 2, ""},
		{"one left out", []int64{0, 2}, 3, CopyMissing},
		{"the last left out", []int64{0, 1}, 3, CopyMissing},
		{"one twice", []int64{0, 1, 1, 2}, 3, CopyTwice},
		{"again from the beginning", []int64{0, 1, 0, 1, 2}, 3, CopyTwice},
		{"beyond where the group is", []int64{0, 1, 2}, 2, CopyTwice},
		{"in another order", []int64{1, 0, 2}, 3, CopyMissing},
	} {
		h := &History{Copied: map[protocol.TopicPartition]int64{from: c.group}, Copies: map[int64]Copy{}}
		h.Topics = []Topic{{ID: from.Topic}, {ID: to.Topic}}
		h.FinishedCommitted = []protocol.TopicPartition{from, to}
		read := func(key protocol.TopicPartition, offset, value int64) {
			h.Ops = append(h.Ops,
				&Op{Func: Send, Key: key, Outcome: OK, Values: []int64{value}, Offset: offset, Acks: -1, Idempotent: true, Process: int(value)},
				&Op{Func: Poll, Key: key, Outcome: OK, Position: offset, Final: true, Committed: true, Process: 1000,
					Reads: []Read{{Offset: offset, Value: value, Sum: 1}}, HighWatermark: 100, LastStable: 100})
		}
		for i := range int64(3) {
			read(from, i, 10+i)
		}
		for i, o := range c.copies {
			h.Copies[int64(20+i)] = Copy{From: from, Offset: o, Source: 10 + o}
			read(to, int64(i), int64(20+i))
		}
		found := copiedOnce(NewIndex(h))
		if c.want == "" && len(found) > 0 || c.want != "" && (len(found) == 0 || found[0].Class != c.want) {
			t.Errorf("%s: found %v, want %q", c.name, found, c.want)
		}
	}
}

func TestOwnersClash(t *testing.T) {
	var o Owners
	key := protocol.TopicPartition{Topic: protocol.TopicID{1}}
	if _, clash := o.Gained("g", "a", key, 1, 10); clash {
		t.Error("the first owner clashes")
	}
	if other, clash := o.Gained("g", "b", key, 5, 15); !clash || other.Member != "a" {
		t.Errorf("two owners at a time: %v %v", other, clash)
	}
	if _, clash := o.Gained("h", "b", key, 5, 15); clash {
		t.Error("owners of two groups clash")
	}
	o.Lost("g", "b", key)
	if _, clash := o.Gained("g", "c", key, 11, 20); clash {
		t.Error("an owner that has taken itself for removed clashes")
	}
}
