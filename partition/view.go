package partition

import (
	"errors"

	"github.com/troupe-broker/troupe/actors/mutation"
	"github.com/troupe-broker/troupe/actors/protocol"
	"github.com/troupe-broker/troupe/actors/record"
	"github.com/troupe-broker/troupe/partition/storage"
)

// View is what one partition replica shows to readers: an immutable snapshot, published by the actor through Handle.Publish.
// Invariant: LogStartOffset <= LastStableOffset <= HighWatermark <= LogEndOffset.
type View struct {
	// Err is not None while the replica cannot be read or written: KafkaStorageError when its log is offline,
	// UnknownTopicOrPartition when it was deleted, NotLeaderOrFollower when it was closed. Then Log may be nil.
	Err protocol.Code
	// Reason says why, for people, if Err is set.
	Reason string
	// Passing says that it comes back by itself: its log is opened again.
	Passing bool

	Log    *storage.View
	Config *protocol.LogConfig

	LogStartOffset   int64
	LastStableOffset int64 // exclusive bound of read_committed
	HighWatermark    int64 // exclusive bound of read_uncommitted
	LogEndOffset     int64 // exclusive

	LeaderEpoch protocol.LeaderEpoch
	Leader      bool
	// EpochStartOffset is the log end when this leader's epoch began. While the high watermark is below it, it may be behind the
	// true one, and "latest" must not be answered. Source: KIP-207.
	EpochStartOffset int64
	// FlushedOffset is on this replica's stable storage, exclusive.
	FlushedOffset int64
}

// Check tells whether a request that names the leader epoch may be served from here: the replica's error, the leadership, then
// the fencing of KIP-320. NoLeaderEpoch is not checked.
func (v *View) Check(epoch protocol.LeaderEpoch) protocol.Code {
	switch {
	case v.Err != protocol.None:
		return v.Err
	case !v.Leader:
		return protocol.NotLeaderOrFollower
	case epoch == protocol.NoLeaderEpoch || epoch == v.LeaderEpoch:
		return protocol.None
	case epoch < v.LeaderEpoch:
		return protocol.FencedLeaderEpoch
	}
	return protocol.UnknownLeaderEpoch
}

// Bound is the exclusive offset up to which a consumer of the isolation level may read.
func (v *View) Bound(committed bool) int64 {
	if mutation.Is(mutation.ReadBeyondWatermark) {
		return v.LogEndOffset
	}
	if committed {
		return v.LastStableOffset
	}
	return v.HighWatermark
}

// Fetch finds the bytes to answer a fetch at offset with: whole batches, at least one even if it is longer than maxBytes, none that
// begins at or after the bound. It begins with a batch that has records; if there is none up to the bound, but batches that compaction
// emptied, the Span is Bare: the last of them. A zero Span with None means there is nothing to read yet: AwaitRecords. The Span pins its
// file until it is released. May read an index from disk. Source: ReplicaManager.readFromLog, UnifiedLog.read.
func (v *View) Fetch(offset int64, maxBytes int, committed bool) (storage.Span, protocol.Code) {
	if code := v.Check(protocol.NoLeaderEpoch); code != protocol.None {
		return storage.Span{}, code
	}
	if offset < v.LogStartOffset || offset > v.LogEndOffset {
		return storage.Span{}, protocol.OffsetOutOfRange
	}
	bound := v.Bound(committed)
	if offset >= bound {
		return storage.Span{}, protocol.None
	}
	span, err := v.Log.LocateRecords(offset, bound, maxBytes)
	return span, codeOf(err)
}

// Aborted lists the aborted transactions with records in [from, upTo), of which a fetch by a read_committed consumer was answered.
// Reads the transaction index from disk if there may be any.
func (v *View) Aborted(from, upTo int64) ([]storage.AbortedTxn, protocol.Code) {
	if mutation.Is(mutation.HideAborted) {
		return nil, protocol.None
	}
	found, err := v.Log.Aborted(from, upTo)
	return found, codeOf(err)
}

// codeOf maps a device's error to what a Kafka client is told.
func codeOf(err error) protocol.Code {
	switch {
	case err == nil:
		return protocol.None
	case errors.Is(err, storage.ErrOutOfRange):
		return protocol.OffsetOutOfRange
	case errors.Is(err, storage.ErrCorrupt):
		return protocol.CorruptMessage
	case errors.Is(err, storage.ErrStale):
		return protocol.NotLeaderOrFollower // truncated under the reader: there is a new View, and perhaps a new leader
	}
	return protocol.KafkaStorageError
}

// Position is a place in the log with the epoch of the record there, as ListOffsets answers. -1 where there is none.
type Position struct {
	Offset, Timestamp int64
	LeaderEpoch       protocol.LeaderEpoch
}

var nowhere = Position{-1, -1, protocol.NoLeaderEpoch}

// Earliest is the log start.
func (v *View) Earliest() Position {
	return Position{v.LogStartOffset, -1, v.epochAt(v.LogStartOffset)}
}

// Latest is the offset after the last readable record; OffsetNotAvailable while a new leader's high watermark may be behind.
func (v *View) Latest(committed bool) (Position, protocol.Code) {
	if code := v.settled(); code != protocol.None {
		return nowhere, code
	}
	return Position{v.Bound(committed), -1, v.LeaderEpoch}, protocol.None
}

// OffsetForTimestamp is the first readable record whose timestamp (milliseconds) is at least ts, or an all -1 Position. Reads from
// disk, and unpacks as u says: edges call it outside the actor pool. KafkaStorageError if u's meter ended it.
func (v *View) OffsetForTimestamp(u record.Unpacking, ts int64, committed bool) (Position, protocol.Code) {
	if code := v.settled(); code != protocol.None {
		return nowhere, code
	}
	offset, at, ok, err := v.Log.OffsetForTimestamp(u, ts, v.Bound(committed))
	return v.found(offset, at, ok, err)
}

// MaxTimestamp is the readable record with the highest timestamp (KIP-734), or an all -1 Position, as OffsetForTimestamp.
func (v *View) MaxTimestamp(u record.Unpacking, committed bool) (Position, protocol.Code) {
	if code := v.settled(); code != protocol.None {
		return nowhere, code
	}
	offset, at, ok, err := v.Log.MaxTimestamp(u, v.Bound(committed))
	return v.found(offset, at, ok, err)
}

// settled tells whether this leader knows where the readable records end.
func (v *View) settled() protocol.Code {
	code := v.Check(protocol.NoLeaderEpoch)
	if code == protocol.None && v.HighWatermark < v.EpochStartOffset {
		code = protocol.OffsetNotAvailable
	}
	return code
}

func (v *View) found(offset, at int64, ok bool, err error) (Position, protocol.Code) {
	if err != nil {
		return nowhere, codeOf(err)
	}
	if !ok || offset < v.LogStartOffset {
		return nowhere, protocol.None
	}
	return Position{offset, at, v.epochAt(offset)}, protocol.None
}

// epochAt is the epoch of the record at offset, as far as is known.
func (v *View) epochAt(offset int64) protocol.LeaderEpoch {
	if v.Log == nil || offset >= v.LogEndOffset {
		return v.LeaderEpoch
	}
	return protocol.LeaderEpoch(v.Log.Epochs().At(offset))
}

// EpochEnd answers OffsetForLeaderEpoch: the largest epoch not above the asked one and the offset it ends at, or (-1, -1) if that
// is not known. The leader's own epoch ends at the log end even before its first record. Source: KIP-101, KIP-320;
// Partition.lastOffsetForLeaderEpoch.
func (v *View) EpochEnd(epoch protocol.LeaderEpoch) (protocol.LeaderEpoch, int64) {
	if epoch == v.LeaderEpoch && v.Leader {
		return epoch, v.LogEndOffset
	}
	if v.Log == nil {
		return protocol.NoLeaderEpoch, -1
	}
	end, offset := v.Log.EpochEnd(int32(epoch))
	return protocol.LeaderEpoch(end), offset
}

// Size is the bytes of the log on disk.
func (v *View) Size() int64 {
	if v.Log == nil {
		return 0
	}
	return v.Log.Size()
}
