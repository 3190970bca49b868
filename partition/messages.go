package partition

import (
	"github.com/troupe-broker/troupe/actors"
	"github.com/troupe-broker/troupe/actors/protocol"
	"github.com/troupe-broker/troupe/partition/storage"
)

// control is embedded in the messages between a host, its partitions and its flushers. A full mailbox must not refuse them, as their
// senders wait for the outcome; by the way of a reply to nothing asked they pass the bounds. Their number is bounded: of every kind a
// partition has one under way, of lead as many as the controller sends, of saveStart purgesMax.
type control struct{}

// CorrelationID is that of no request. See actors.Context.Request.
func (control) CorrelationID() uint64 { return 0 }

// From the host to a partition.
type (
	// lead gives a running leader a new configuration, ISR or epoch; answered by led.
	lead struct {
		control
		protocol.LeadPartition
		config *protocol.LogConfig // shared by all partitions with the same one
	}
	// housekeep asks for what must be done now and then: a flush of what durability=os left, the producer snapshot and the position
	// for the checkpoint, answered by positioned; or, with retain, retention and the expiry of producers alone.
	housekeep struct {
		control
		retain bool
	}
	// startSaved answers saveStart.
	startSaved struct {
		control
		start int64
		err   error
	}
	// closeLog ends a partition for a clean stop; answered by logClosed.
	closeLog struct{ control }
	// dropLog ends a partition whose topic was deleted; answered by logClosed, after which the log is the host's.
	dropLog struct{ control }
	// failLog takes the log offline for a reason outside the partition.
	failLog struct {
		control
		err error
	}
)

// From a partition to its host. All name the incarnation by from, so that what a former actor of the partition sent is recognised.
type (
	led struct {
		control
		tp   protocol.TopicPartition
		from actors.PID
	}
	// touched says that there is something to checkpoint or to clean up; sent once, until the next housekeep.
	touched struct {
		control
		tp   protocol.TopicPartition
		from actors.PID
	}
	// positioned is what the checkpoints of the log directory hold about one log.
	positioned struct {
		control
		tp       protocol.TopicPartition
		from     actors.PID
		position storage.Position
		start    int64
	}
	// saveStart asks that the log start be durable in the checkpoint; answered by startSaved.
	saveStart struct {
		control
		tp    protocol.TopicPartition
		from  actors.PID
		start int64
	}
	// logClosed says that nothing is parked any more and the log is closed. With err the log is not clean.
	logClosed struct {
		positioned
		err error
	}
)

// Timers of a partition.
type (
	// wake is the one timer of a partition: the earliest of its deadlines.
	wake struct{}
)
