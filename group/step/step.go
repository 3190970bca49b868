// Package step is what the machine of one coordinator (a group, a transactional id) is given and gives back in one step. A machine is
// pure: the actor that owns it carries out what Out asks for.
//
// Decide and apply are two functions. Step and Tick decide: they may change soft state (who waits, deadlines), and put what must last
// into Out.Records. The actor has its shard append these to the internal topic as a produce with acks=all; when they are committed it
// calls Replay with each, the same as loading does, then Appended, and only then do Out.Replies leave. If the append fails it calls
// NotAppended instead, and the commands in Out.Replies are answered with its code.
//
// While records of a machine are under way the actor holds back every other command and the tick of that machine, so a machine never
// decides on state that is about to change. Offset commits are the exception: they change nothing that is decided upon, so many may be
// under way (group/offsets).
//
// Source: CoordinatorRuntime, CoordinatorShard, CoordinatorResult; unlike there nothing is applied before it is committed, so there is
// nothing to roll back.
package step

import (
	"math"
	"time"

	"github.com/troupe-broker/troupe/actors"
	"github.com/troupe-broker/troupe/actors/protocol"
	"github.com/troupe-broker/troupe/cluster/image"
)

// Never is the Deadline of a machine that waits for nothing.
const Never = time.Duration(math.MaxInt64)

// Now is what a step may know of the world.
type Now struct {
	Wall  time.Time     // goes into records
	Mono  time.Duration // deadlines are compared with this
	Rand  func() uint64
	Image *image.Image // the cluster's metadata; never nil
}

// Command is a request to a coordinator: one of protocol's that know their answer for a failure.
type Command interface {
	actors.Command
	actors.Refusable
	// Failed is the answer with the code, on every row.
	Failed(code protocol.Code) any
}

// Record is one record of the coordinator's log, key and value in Kafka's format. A nil Value removes (a tombstone).
type Record struct{ Key, Value []byte }

// Reply is the answer to a command. It goes to To, which is the ReplyTo of the Command.
type Reply struct {
	Command Command
	To      actors.PID
	Msg     any
}

// Out is what one step wants done. The actor empties and reuses it.
type Out struct {
	Records []Record // appended as one batch: all or none
	Replies []Reply  // leave when Records are committed; at once if there are none
	// Rebalanced is told to the log when Records are committed; nil: nothing to tell.
	Rebalanced *Rebalanced
}

// Rebalanced says that a group shares its partitions anew, for people.
type Rebalanced struct {
	Protocol string // by Kafka's name of the group's type
	Epoch    int32  // the generation that begins, or the group epoch
	Members  int    // that it has
	Reason   string // names of members and what they say for themselves are as they sent them
}

// Reset empties the Out for the next step.
func (o *Out) Reset() { o.Records, o.Replies, o.Rebalanced = o.Records[:0], o.Replies[:0], nil }

// Machine is one coordinator's rules.
type Machine interface {
	// Step decides one command. Every command is answered, now or in a later step.
	Step(now Now, in Command, out *Out)
	// Tick is called once Deadline has passed; late, never early.
	Tick(now Now, out *Out)
	// Deadline is when Tick is wanted, on the monotonic clock; Never if not. Read after every call.
	Deadline() time.Duration
	// Replay applies one record of the log: when loading, and when what Step decided is committed. value is nil for a tombstone. An
	// error means that the record cannot be understood; the machine is unchanged.
	Replay(key, value []byte) error
	// Loaded is called once after the log was replayed, before the first Step: deadlines of members begin.
	Loaded(now Now, out *Out)
	// Appended: the records of the step before are committed and replayed. Goes on with what waited for them.
	Appended(now Now, out *Out)
	// NotAppended: they are not in the log. Soft state goes back to before the step.
	NotAppended(now Now, code protocol.Code, out *Out)
}
