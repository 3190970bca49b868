package check

import (
	"slices"
	"testing"

	"github.com/troupe-broker/troupe/actors/protocol"
)

// Every anomaly has a minimal history that must be flagged and a near miss that must not: a checker nobody has seen fail proves nothing.
// want is the classes reported, in order of first appearance; "" is a clean history.
var histories = []struct {
	name       string
	durability protocol.Durability
	text       string
	want       []Class
}{
	{name: "nothing happens", text: ""},
	{name: "a plain run", text: "send 1 1-2 @0\nsend 1 3 @2\npoll 2 0: 0=1 1=2 2=3\nfinal 3: 0=1 1=2 2=3"},

	{name: "two readers see different values", text: "send 1 1 info\nsend 1 2 info\npoll 2 0: 0=1\nassign 2\npoll 2 0: 0=2", want: []Class{InconsistentOffsets}},
	{name: "a reader contradicts an acknowledgement", text: "send 1 1 @0\nsend 2 2 info\npoll 3 0: 0=2", want: []Class{InconsistentOffsets}},
	{name: "a failed poll still shows what lies there", text: "send 1 1 @0\nsend 2 2 info\npoll 3 0: 0=2 info", want: []Class{InconsistentOffsets}},
	{name: "the same value twice at one offset", text: "send 1 1 @0\npoll 2 0: 0=1\npoll 3 0: 0=1"},

	{name: "a value at two offsets", text: "send 1 1 @0\npoll 2 0: 0=1 1=1", want: []Class{Duplicate}},
	{name: "a retry acknowledged at another offset than read", text: "send 1 1 @1\npoll 2 0: 0=1 1=1", want: []Class{Duplicate}},
	{name: "lost to power, sent again", durability: protocol.DurabilityOS,
		text: "send 1 1 @0\nx: send 1 2 @1\npoll 2 0: 0=1 1=2\npower\nsend 3 9 @1\nsend 1 3 info\nend x\nfinal 3: 0=1 1=9 2=2",
		want: []Class{InconsistentOffsets, Duplicate, AckOffsets}},
	{name: "the producer of a removed record forgotten by power", durability: protocol.DurabilityOS,
		text: "x: send 1 1 @1 start=1\npoll 2 0: 0=1\ndelete 4 1=1\npower\nend x\nfinal 3: 1=1 start=1"},
	{name: "the producer of a removed record forgotten, no power lost", durability: protocol.DurabilityOS,
		text: "x: send 1 1 @1 start=1\npoll 2 0: 0=1\ndelete 4 1=1\nend x\nfinal 3: 1=1 start=1", want: []Class{Duplicate}},
	{name: "the producer of a removed record forgotten, durability=disk",
		text: "x: send 1 1 @1 start=1\npoll 2 0: 0=1\ndelete 4 1=1\npower\nend x\nfinal 3: 1=1 start=1", want: []Class{Duplicate}},
	{name: "the producer of a kept record forgotten by power", durability: protocol.DurabilityOS,
		text: "x: send 1 1 @1\npoll 2 0: 0=1\npower\nend x\nfinal 3: 0=1 1=1", want: []Class{Duplicate}},

	{name: "an acknowledged value between two that are read is missing", text: "send 1 1 @0\nsend 1 2 @1\nsend 1 3 @2\nfinal 2: 0=1 2=3",
		want: []Class{LostWrite, Unseen, IntPollSkip}},
	{name: "half of an unknown batch is there", text: "send 1 1-2 info\nsend 1 3 @1\nfinal 2: 0=1 1=3",
		want: []Class{LostWrite, Unseen}},
	{name: "an unknown batch is missing", text: "send 1 1-2 info\nsend 2 3 @0\nfinal 3: 0=3"},

	{name: "an acknowledged tail is missing", text: "send 1 1 @0\nsend 1 2 @1\nfinal 2: 0=1", want: []Class{Unseen}},
	{name: "an unacknowledged tail is missing", text: "send 1 1 @0\nsend 1 2 info\nfinal 2: 0=1"},
	{name: "acks=0 is missing", text: "send 1 1 @0\nsend 1 2 acks=0\nfinal 2: 0=1"},
	{name: "no final read, no verdict", text: "send 1 1 @0\nsend 1 2 @1\npoll 2 0: 0=1"},

	{name: "a failed send is read", text: "send 1 1 fail\npoll 2 0: 0=1", want: []Class{FailedRead}},
	{name: "an unknown send is read", text: "send 1 1 info\npoll 2 0: 0=1"},

	{name: "a poll skips", text: "send 1 1-3 @0\npoll 2 0: 0=1\npoll 2 1: 2=3", want: []Class{PollSkip}},
	{name: "a first poll skips", text: "send 1 1-3 @0\npoll 2 0: 1=2 2=3", want: []Class{PollSkip}},
	{name: "a seek skips", text: "send 1 1-3 @0\npoll 2 0: 0=1\nassign 2\npoll 2 2: 2=3"},
	{name: "nothing lay between", text: "send 1 1 @0\nsend 1 3 @2\npoll 2 0: 0=1\npoll 2 1: 2=3"},
	{name: "a poll repeats", text: "send 1 1-2 @0\npoll 2 0: 0=1 1=2\npoll 2 1: 1=2", want: []Class{NonmonotonicPoll}},
	{name: "a poll starts before its position", text: "send 1 1-2 @0\npoll 2 1: 0=1 1=2", want: []Class{NonmonotonicPoll}},
	{name: "a committed transaction is read", text: "send 1 1 @0 txn=1\nsend 1 2 @1 txn=1\ncommit 1 1\ncpoll 2 0: 0=1 1=2\ncfinal 3: 0=1 1=2\nfinal 4: 0=1 1=2"},
	{name: "an aborted transaction is read", text: "send 1 1 @0 txn=1\nabort 1 1\ncpoll 2 0: 0=1", want: []Class{AbortedRead}},
	{name: "a transaction nobody ended is read", text: "send 1 1 @0 txn=1\ncpoll 2 0: 0=1", want: []Class{AbortedRead}},
	{name: "a transaction whose abort has an unknown end is read", text: "send 1 1 @0 txn=1\nabort 1 1 info\ncpoll 2 0: 0=1", want: []Class{AbortedRead}},
	{name: "a transaction whose commit was refused is read", text: "send 1 1 @0 txn=1\ncommit 1 1 fail\ncpoll 2 0: 0=1", want: []Class{AbortedRead}},
	{name: "a transaction whose commit has an unknown end is read", text: "send 1 1 @0 txn=1\ncommit 1 1 info\ncpoll 2 0: 0=1\ncfinal 3: 0=1\nfinal 4: 0=1"},
	{name: "an aborted transaction is read by read_uncommitted", text: "send 1 1 @0 txn=1\nabort 1 1\npoll 2 0: 0=1\nfinal 4: 0=1\ncfinal 3:"},
	{name: "half of a committed transaction", text: "send 1 1 @0 txn=1\nsend 1 2 @1 txn=1\ncommit 1 1\ncfinal 3: 0=1\nfinal 4: 0=1 1=2", want: []Class{TornTransaction}},
	{name: "half of a transaction with an unknown end", text: "send 1 1 @0 txn=1\nsend 1 2 @1 txn=1\ncommit 1 1 info\ncfinal 3: 0=1\nfinal 4: 0=1 1=2", want: []Class{TornTransaction}},
	{name: "nothing of a transaction with an unknown end", text: "send 1 1 @0 txn=1\ncommit 1 1 info\ncfinal 3:\nfinal 4: 0=1"},
	{name: "half of a transaction, seen elsewhere", text: "send 1 1 @0 txn=1\nB send 1 2 @0 txn=1\ncommit 1 1 info\ncfinal 3:\nfinal 4: 0=1\nB cpoll 5 0: 0=2", want: []Class{TornTransaction}},
	{name: "a marker in the place of a record", text: "send 1 1-2 @0\npoll 2 0: 0=1 1=2\npoll 3 0: 0=1 marker=1", want: []Class{InconsistentOffsets}},
	{name: "a marker in the place of a record that power took", durability: protocol.DurabilityOS,
		text: "send 1 1-2 @0\npoll 2 0: 0=1 1=2\npower\nsend 3 3 @2\npoll 3 0: 0=1 2=3 marker=1\nfinal 4: 0=1 2=3 marker=1"},
	{name: "power takes a commit marker, and the next transaction is aborted", durability: protocol.DurabilityOS,
		text: "send 1 1 @0 txn=1\ncommit 1 1\npower\nsend 1 2 @1 txn=2\nabort 1 2\nsend 3 3 @3\ncpoll 2 0: 3=3 hidden=0=1 hidden=1=2 marker=2\ncfinal 7: 3=3\nfinal 4: 0=1 1=2 3=3"},
	{name: "power takes an abort marker, and the next transaction is committed", durability: protocol.DurabilityOS,
		text: "send 1 1 @0 txn=1\nabort 1 1\npower\nsend 1 2 @1 txn=2\ncommit 1 2\ncpoll 2 0: 0=1 1=2 marker=2"},
	{name: "the same with durability=disk", text: "send 1 1 @0 txn=1\nabort 1 1\npower\nsend 1 2 @1 txn=2\ncommit 1 2\ncpoll 2 0: 0=1 1=2 marker=2", want: []Class{AbortedRead}},
	{name: "power takes what nobody read, and the next batch lies before it", durability: protocol.DurabilityOS, text: "send 1 1 @3\npower\nsend 1 2 @0"},
	{name: "the next batch lies before one that power did not take", durability: protocol.DurabilityOS, text: "send 1 1 @3\npower\npoll 2 3: 3=1\nsend 1 2 @0",
		want: []Class{NonmonotonicSend}},
	{name: "a hidden record in the place of another", text: "send 1 1 @0\nsend 1 2 info txn=1\ncpoll 2 0: hidden=0=2", want: []Class{InconsistentOffsets}},
	{name: "a hidden record in the place of one that power took", durability: protocol.DurabilityOS,
		text: "send 1 1 @0\npower\nsend 3 2 info txn=1\nsend 4 3 @1\ncpoll 3 0: hidden=0=2 1=3"},
	{name: "read_committed skips what was aborted", text: "send 1 1 @0\nsend 1 2 @1 txn=1\nsend 2 3 @2\nabort 1 1\ncpoll 4 0: 0=1 2=3\npoll 5 0: 0=1 1=2 2=3"},
	{name: "read_committed skips what was committed", text: "send 1 1 @0\nsend 1 2 @1 txn=1\nsend 2 3 @2\ncommit 1 1\ncpoll 4 0: 0=1 2=3\npoll 5 0: 0=1 1=2 2=3", want: []Class{IntPollSkip}},
	{name: "read_committed skips what was no transaction's", text: "send 1 1 @0\nsend 1 2 @1\ncpoll 4 0: 1=2", want: []Class{PollSkip}},
	{name: "read_committed beyond the last stable offset", text: "send 1 1 @0\nsend 1 2 @1\ncpoll 4 0: 0=1 1=2 lso=1", want: []Class{Bounds}},
	{name: "the last stable offset goes back", text: "send 1 1-3 @0\npoll 4 0: 0=1 lso=2\npoll 5 0: 0=1 lso=1", want: []Class{WatermarkBack}},
	{name: "the last stable offset goes back in another life", text: "send 1 1-3 @0\npoll 4 0: 0=1 lso=2\nkill\npoll 5 0: 0=1 lso=1"},

	{name: "a seek repeats", text: "send 1 1-2 @0\npoll 2 0: 0=1 1=2\nassign 2\npoll 2 1: 1=2"},
	{name: "one poll leaves a record out", text: "send 1 1-3 @0\npoll 2 0: 0=1 2=3", want: []Class{IntPollSkip}},
	{name: "one poll goes back", text: "send 1 1-3 @0\npoll 2 0: 0=1 2=3 1=2", want: []Class{IntPollSkip, IntNonmonotonicPoll}},
	{name: "one poll over an unused offset", text: "send 1 1 @0\nsend 1 3 @2\npoll 2 0: 0=1 2=3"},

	{name: "a producer's batches swap", text: "x: send 1 1 @1\ny: send 1 2 @0\nend y\nend x", want: []Class{NonmonotonicSend}},
	{name: "two producers' batches swap", text: "x: send 1 1 @1\ny: send 2 2 @0\nend y\nend x"},
	{name: "a batch's records swap", text: "send 1 1-2 info\npoll 2 0: 0=2 1=1", want: []Class{IntNonmonotonicSend}},
	{name: "another's record inside a batch", text: "send 1 1-2 info\nsend 2 3 info\npoll 2 0: 0=1 1=3 2=2", want: []Class{IntNonmonotonicSend}},

	{name: "a later send lies before an acknowledged one", text: "send 1 1 @5\nsend 2 2 @3", want: []Class{RealtimeOrder}},
	{name: "an overlapping send lies before", text: "x: send 2 2 @3\nsend 1 1 @5\nend x"},

	{name: "two acknowledgements overlap", text: "x: send 1 1-3 @0\ny: send 2 4 @2\nend x\nend y", want: []Class{InconsistentOffsets, AckOffsets}},
	{name: "two acknowledgements touch", text: "x: send 1 1-3 @0\ny: send 2 4 @3\nend x\nend y"},

	{name: "bytes changed", text: "send 1 1 @0\npoll 2 0: 0=1 damage", want: []Class{Damaged}},
	{name: "nobody sent it", text: "poll 2 0: 0=1", want: []Class{Phantom}},
	{name: "read before sent", text: "poll 2 0: 0=1\nsend 1 1 @0", want: []Class{Phantom}},
	{name: "read before acknowledged", text: "x: send 1 1 @0\npoll 2 0: 0=1\nend x"},

	{name: "a read record is gone", text: "send 1 1 info\npoll 2 0: 0=1\nfinal 3:", want: []Class{Unseen, UnstableRead}},
	{name: "a deleted record is gone", text: "send 1 1-2 @0\npoll 2 0: 0=1 1=2\ndelete 4 1=1\nfinal 3: 1=2 start=1"},
	{name: "more than was deleted is gone", text: "send 1 1-2 @0\npoll 2 0: 0=1 1=2\ndelete 4 1=1\nfinal 3: start=2 hw=2",
		want: []Class{Unseen, UnstableRead, LogStartMoved}},
	{name: "perhaps deleted, so perhaps gone", text: "send 1 1-2 @0\ndelete 4 1=info\nfinal 3: 1=2 start=1"},
	{name: "media was destroyed", text: "send 1 1 @0\ndestroy\nfinal 2:  hw=1"},

	{name: "latest below an acknowledgement", text: "send 1 1 @0\nlist 2 latest=0", want: []Class{OffsetsListing}},
	{name: "latest while sending", text: "x: send 1 1 @0\nlist 2 latest=0\nend x"},
	{name: "latest goes back", text: "list 2 latest=3\nlist 3 latest=2", want: []Class{OffsetsListing}},
	{name: "latest beyond the end", text: "send 1 1 @0\nlist 2 latest=2\nfinal 3: 0=1", want: []Class{OffsetsListing}},
	{name: "by time, too late", text: "send 1 1-3 @0 times=10,20,30\nlist 2 15=2", want: []Class{OffsetsListing}},
	{name: "by time, too early", text: "send 1 1-3 @0 times=10,20,30\nlist 2 15=0", want: []Class{OffsetsListing}},
	{name: "by time, nothing though there is", text: "send 1 1-3 @0 times=10,20,30\nlist 2 15=-1", want: []Class{OffsetsListing}},
	{name: "latest of a log nothing is known of", text: "list 2 latest=5\nfinal 3: hw=0", want: []Class{OffsetsListing}},
	{name: "latest of a log power took", durability: protocol.DurabilityOS, text: "list 2 latest=5\npower\nfinal 3: hw=0"},
	{name: "by time, where power took the record", durability: protocol.DurabilityOS, text: "send 1 1 @0 times=10\npower\nlist 2 15=0"},
	{name: "by time, where power took no record", durability: protocol.DurabilityOS,
		text: "send 1 1 @0 times=10\npower\npoll 3 0: 0=1\nlist 2 15=0", want: []Class{OffsetsListing}},
	{name: "by time", text: "send 1 1-3 @0 times=10,20,30\nlist 2 15=1\nlist 2 31=-1\nlist 2 0=0"},

	{name: "a record of the deleted incarnation", text: "send 1 1 @0\ndrop 9\nB create 9\nB poll 2 0: 0=1", want: []Class{ForeignRecord}},
	{name: "a send by name meets the next incarnation", text: "x: send 1 1 @0 name\ndrop 9\nB create 9\nend x\nB poll 2 0: 0=1"},
	{name: "a send by name that ended unknown may do so later", text: "send 1 1 info name\ndrop 9\nB create 9\nB poll 2 0: 0=1"},
	{name: "a send by id does not", text: "x: send 1 1 @0\ndrop 9\nB create 9\nend x\nB poll 2 0: 0=1", want: []Class{ForeignRecord}},
	{name: "a deleted topic loses everything", text: "send 1 1 @0\ndrop 9\nfinal 2:"},

	{name: "log start moves by itself", text: "send 1 1-2 @0\npoll 2 1: 1=2 start=1", want: []Class{LogStartMoved}},
	{name: "log start goes back", text: "send 1 1-2 @0\ndelete 4 1=1\nlist 2 earliest=0", want: []Class{LogStartMoved}},
	{name: "log start read while deleting", text: "send 1 1-2 @0\nx: delete 4 1=1\nlist 2 earliest=0\nend x"},

	{name: "bounds of one answer", text: "poll 2 0: hw=1 start=2", want: []Class{LogStartMoved, Bounds}},
	{name: "last stable beyond the watermark", text: "poll 2 0: hw=1 lso=2", want: []Class{Bounds}},
	{name: "a record beyond the watermark", text: "send 1 1 @0\npoll 2 0: 0=1 hw=1\npoll 2 1: hw=1"},
	{name: "the watermark goes back", text: "poll 2 0: hw=3\npoll 3 0: hw=2", want: []Class{WatermarkBack}},
	{name: "an acknowledged record above the watermark", text: "send 1 1 @0\npoll 2 0: hw=0", want: []Class{WatermarkBack}},
	{name: "a restart shows a lower watermark for a while", text: "poll 2 0: hw=3\nkill\npoll 3 0: hw=2"},
	{name: "overlapping watermarks", text: "x: poll 2 0: hw=2\npoll 3 0: hw=3\nend x"},

	{name: "disk: power loss excuses nothing", text: "send 1 1 @0\npower\nfinal 2:", want: []Class{Unseen}},
	{name: "disk: offsets are not used again after power loss", text: "send 1 1 @0\npower\nsend 2 2 @0\nfinal 2: 0=2",
		want: []Class{InconsistentOffsets, Unseen, AckOffsets}},
	{name: "os: power loss takes the tail", durability: protocol.DurabilityOS, text: "send 1 1 @0\nsend 1 2 @1\npower\nfinal 2: 0=1"},
	{name: "os: and its offsets are used again", durability: protocol.DurabilityOS,
		text: "send 1 1 @0\nsend 1 2 @1\npoll 2 0: 0=1 1=2\npower\nsend 3 3 @1\nfinal 2: 0=1 1=3"},
	{name: "os: kill excuses nothing", durability: protocol.DurabilityOS, text: "send 1 1 @0\nkill\nfinal 2:", want: []Class{Unseen}},
	{name: "os: what was acknowledged after the power loss stays", durability: protocol.DurabilityOS,
		text: "power\nsend 1 1 @0\nfinal 2:", want: []Class{Unseen}},
	{name: "os: a hole is no tail", durability: protocol.DurabilityOS,
		text: "send 1 1 @0\nsend 1 2 @1\nsend 1 3 @2\npower\nfinal 2: 0=1 2=3", want: []Class{LostWrite, IntPollSkip}},
	{name: "os: what was written when nobody looked is no hole", durability: protocol.DurabilityOS,
		text: "send 1 1-3 @0\npower\nsend 3 9 @2\npower\nsend 4 8 info\nfinal 2: 0=8 2=9"},
	{name: "os: power loss may take the head with its name", durability: protocol.DurabilityOS,
		text: "send 1 1-2 @0\nsend 1 3 @2\npower\nlist 2 earliest=2\nfinal 2: 2=3 start=2"},
	{name: "os: a lost batch sent again to the same offset is no hole", durability: protocol.DurabilityOS,
		text: "send 1 1 @0\nx: send 2 2 @1\npoll 3 0: 0=1 1=2\npower\nsend 4 9 @0\nend x\nfinal 5: 0=9 1=2"},
	{name: "os: what comes after a lost offset may not survive it", durability: protocol.DurabilityOS,
		text: "send 1 1 @0\nsend 1 2 @1\npower\nsend 3 3 @0\nfinal 2: 0=3 1=2", want: []Class{InconsistentOffsets}},
}

func TestHistories(t *testing.T) {
	for _, c := range histories {
		t.Run(c.name, func(t *testing.T) {
			found := script(t, c.durability, c.text).Check()
			if got := classes(found); !slices.Equal(got, c.want) {
				t.Errorf("want %v, got %v\n%s\n%v", c.want, got, c.text, found)
			}
		})
	}
}

// TestEveryClassIsReported guards the table above: a class nobody provokes is a checker nobody tests.
func TestEveryClassIsReported(t *testing.T) {
	for _, class := range []Class{
		InconsistentOffsets, Duplicate, LostWrite, Unseen, FailedRead, PollSkip, NonmonotonicPoll, IntPollSkip, IntNonmonotonicPoll,
		NonmonotonicSend, IntNonmonotonicSend, RealtimeOrder, AckOffsets, Damaged, UnstableRead, OffsetsListing, ForeignRecord,
		LogStartMoved, Bounds, WatermarkBack, Phantom,
	} {
		hit := slices.ContainsFunc(histories, func(h struct {
			name       string
			durability protocol.Durability
			text       string
			want       []Class
		}) bool {
			return slices.Contains(h.want, class)
		})
		if !hit {
			t.Errorf("no history provokes %s", class)
		}
	}
}

func classes(found []Anomaly) (out []Class) {
	for _, a := range found {
		if !slices.Contains(out, a.Class) {
			out = append(out, a.Class)
		}
	}
	return out
}
