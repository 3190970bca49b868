package partition

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"runtime/debug"
	"slices"

	"github.com/troupe-broker/troupe/actors"
	"github.com/troupe-broker/troupe/actors/mutation"
	"github.com/troupe-broker/troupe/actors/protocol"
	"github.com/troupe-broker/troupe/actors/record"
	"github.com/troupe-broker/troupe/partition/producer"
	"github.com/troupe-broker/troupe/partition/replica"
	"github.com/troupe-broker/troupe/partition/storage"
)

// metadataName is the file of storage.WritePartitionMetadata.
const metadataName = "partition.metadata"

// opening is the work of making one partition ready to serve: everything the job needs, and nothing that the host may change.
type opening struct {
	tp     protocol.TopicPartition
	lead   *protocol.LeadPartition
	config *protocol.LogConfig

	create     bool // there is no directory yet
	clean      bool // the log directory was left by a clean stop
	checkpoint *storage.Position
	start      int64 // checkpointed log start
	journal    []storage.JournalEntry
}

// opened is its result: an actor that nobody has met, or why there is none.
type opened struct {
	tp        protocol.TopicPartition
	actor     *replicaActor
	recovered storage.Recovered
	err       error
}

// openAll opens or creates logs one after the other and makes the new directories durable by one sync. It runs outside the pool.
func openAll(p *place, logger *slog.Logger, jobs []opening) []opened {
	out := make([]opened, len(jobs))
	var created []*storage.Log
	for i := range jobs {
		out[i] = openOne(p, logger, &jobs[i])
		if jobs[i].create && out[i].err == nil {
			created = append(created, out[i].actor.log)
		}
	}
	if err := storage.SyncCreated(p.fs, created...); err != nil {
		for i := range jobs {
			if jobs[i].create {
				out[i] = opened{tp: jobs[i].tp, err: err}
			}
		}
	}
	return out
}

// openOne opens one log. A panic on the way, as a damaged file may provoke, is the failure of this partition only.
func openOne(p *place, logger *slog.Logger, o *opening) (out opened) {
	out.tp = o.tp
	defer func() {
		if cause := recover(); cause != nil {
			logger.Error("panic while opening a log", slog.String("partition", o.tp.String()), slog.Any("cause", cause),
				slog.String("stack", string(debug.Stack())))
			out = opened{tp: o.tp, err: fmt.Errorf("panic while opening the log: %v", cause)}
		}
	}()
	options := storage.Options{
		Dir: storage.DirName(o.tp), Config: *o.config, FS: p.fs, Files: p.files, Checkpoint: o.checkpoint, StartOffset: o.start,
		Clean: o.clean, DeferSync: true, Journal: o.journal, Logger: logger,
	}
	var log *storage.Log
	if o.create {
		log, out.err = storage.Create(options)
	}
	if !o.create || errors.Is(out.err, fs.ErrExist) { // it exists if an earlier attempt to create it found the disk full
		log, out.recovered, out.err = storage.Open(options)
	}
	if out.err != nil {
		return out
	}
	producers, snapshotAt, replayed, err := restoreProducers(log, out.recovered.AbortedFrom, logger)
	if err == nil && len(o.journal) > 0 {
		err = log.FlushNow()
	}
	if err != nil {
		_ = log.Close(false) // only lets go of its files
		out.err = err
		return out
	}
	if o.config.Durability == protocol.DurabilityOS && !out.recovered.Clean {
		producers.Distrust()
	}
	out.actor = newReplicaActor(p, o, log, producers)
	out.actor.snapshotBytes, out.actor.snapshotAt = replayed, snapshotAt
	_, err = p.fs.Stat(options.Dir + "/" + metadataName)
	out.actor.unnamed = errors.Is(err, fs.ErrNotExist)
	return out
}

// newReplicaActor is the actor of an open log, with a View that can be served from at once.
func newReplicaActor(p *place, o *opening, log *storage.Log, producers *producer.State) *replicaActor {
	a := &replicaActor{
		place: p, config: o.config, log: log, producers: producers,
		handle: NewHandle(o.tp, o.lead.TopicName, actors.PID{}, &View{LeaderEpoch: protocol.NoLeaderEpoch}),
		// What was committed is not remembered across a start: the machine finds it again from the members' positions.
		leader: replica.NewLeader(termOf(p.node, o.lead, o.config), replica.Log{
			End: log.EndOffset(), Flushed: log.FlushedOffset(), HighWatermark: log.StartOffset(),
		}),
	}
	a.handle.Dir = p.dir
	a.publish()
	return a
}

// restoreProducers brings back the producer state: the newest snapshot, and the batches after it. abortedFrom is from where on the
// transaction index lacks what the replay finds. snapshotAt is the offset of the snapshot, -1 without one; replayed is in bytes. An empty
// log may have a snapshot: its records were deleted, its producers are still known.
//
// The index may have to be rebuilt from before the newest snapshot. Then that is a replay of its own, from an older one: an older snapshot
// does not do for the producers, since records between the two may have been deleted.
func restoreProducers(log *storage.Log, abortedFrom int64, logger *slog.Logger) (s *producer.State, snapshotAt, replayed int64, err error) {
	if log.EndOffset() == 0 {
		return producer.NewState(producer.Config{}), -1, 0, nil
	}
	s, snapshotAt, err = restoreSnapshot(log, log.EndOffset(), logger)
	if err != nil {
		return nil, -1, 0, err
	}
	if mutation.Is(mutation.StaleSnapshot) {
		return s, snapshotAt, 0, nil
	}
	aborted, replayed, err := replayFrom(log, s, snapshotAt, abortedFrom)
	if err == nil && abortedFrom < min(snapshotAt, log.EndOffset()) {
		older, at, failure := restoreSnapshot(log, abortedFrom, logger)
		if failure != nil {
			return nil, -1, 0, failure
		}
		aborted, _, err = replayFrom(log, older, at, abortedFrom)
	}
	if err != nil {
		return nil, -1, 0, err
	}
	if abortedFrom < log.EndOffset() {
		if err := log.RebuildAborted(abortedFrom, aborted); err != nil {
			return nil, -1, 0, fmt.Errorf("rebuilding the transaction index from offset %d: %w", abortedFrom, err)
		}
	}
	return s, snapshotAt, replayed, nil
}

// replayFrom applies the batches from an offset on, or from the log start, and collects the transactions whose abort marker lies at or
// after abortedFrom.
func replayFrom(log *storage.Log, s *producer.State, from, abortedFrom int64) (aborted []storage.AbortedTxn, replayed int64, err error) {
	from = max(from, log.StartOffset())
	err = log.View().EachBatch(from, log.EndOffset(), nil, func(b record.Batch) error {
		replayed += int64(len(b))
		if ended, ok := replay(s, b); ok && ended.Last >= abortedFrom && !mutation.Is(mutation.ForgetAborted) {
			aborted = append(aborted, abortedTxn(ended))
		}
		s.Commit()
		return nil
	})
	if err != nil {
		return nil, 0, fmt.Errorf("replaying producers from offset %d: %w", from, err)
	}
	return aborted, replayed, nil
}

// restoreSnapshot reads the newest snapshot at or below upTo; a damaged one is passed over. Without any the state begins empty at the log
// start, and the offset is -1.
func restoreSnapshot(log *storage.Log, upTo int64, logger *slog.Logger) (*producer.State, int64, error) {
	offsets, err := log.Snapshots()
	if err != nil {
		return nil, 0, err
	}
	for _, offset := range slices.Backward(offsets) {
		if offset > min(log.EndOffset(), upTo) {
			continue
		}
		data, err := log.ReadSnapshot(offset)
		if err == nil {
			var s *producer.State
			if s, err = producer.Restore(producer.Config{}, data); err == nil {
				return s, offset, nil
			}
		}
		if !errors.Is(err, producer.ErrCorrupt) && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, storage.ErrCorrupt) {
			return nil, 0, err
		}
		logger.Warn("producer snapshot passed over", slog.String("dir", log.Dir()), slog.Int64("offset", offset), slog.Any("error", err))
	}
	return producer.NewState(producer.Config{}), -1, nil
}

// replay applies a batch of the log, with the functions live appends use. ok reports an aborted transaction.
func replay(s *producer.State, b record.Batch) (aborted producer.Completed, ok bool) {
	if !b.IsControl() {
		s.Apply(producer.HeaderOf(b), b.BaseOffset(), b.LastOffset(), b.MaxTimestamp())
		return producer.Completed{}, false
	}
	marker, ok := markerOf(b)
	if !ok {
		return producer.Completed{}, false // of another kind; it concerns no producer
	}
	ended, ok := s.ApplyMarker(marker, b.BaseOffset(), b.MaxTimestamp())
	return ended, ok && ended.Aborted
}
