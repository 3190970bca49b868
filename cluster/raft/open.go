package raft

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"github.com/troupe-broker/troupe/actors/env"
	"github.com/troupe-broker/troupe/actors/protocol"
	"github.com/troupe-broker/troupe/actors/record"
	"github.com/troupe-broker/troupe/partition/storage"
)

// logConfig of the metadata log: nothing is removed but by snapshots.
var logConfig = protocol.LogConfig{
	SegmentBytes: segmentBytes, SegmentTime: 1<<63 - 1, IndexIntervalBytes: 4096, MaxMessageBytes: 1<<31 - 1,
	RetentionTime: -1, RetentionBytes: -1, TimestampBeforeMax: time.Duration(1<<63 - 1), TimestampAfterMax: time.Duration(1<<63 - 1),
}

// Recovered is what Open found: the state to begin with, and what it had to repair.
type Recovered struct {
	// Snapshot is the encoded state at Index, nil for a new group; the entries after it are handed over by Effects.Commit once they are
	// known to be committed.
	Snapshot []byte
	Index    uint64
	// New says that the group was founded by this very Open.
	New bool
	Log storage.Recovered
}

// Open recovers the member in cfg.Dir, or founds the group of cfg.Voters there. ErrCorrupt if what was durable is damaged. Blocks; the
// member does nothing before Begin.
func Open(cfg Config, fx Effects) (*Member, Recovered, error) {
	if cfg.SnapshotBytes <= 0 {
		cfg.SnapshotBytes = bytesPerSnapshot
	}
	m := &Member{cfg: cfg, fx: fx, memory: raft.NewMemoryStorage()}
	recovered, err := m.recover()
	if err == nil {
		err = m.start()
	}
	if err != nil {
		return nil, recovered, fmt.Errorf("opening the metadata log in %q: %w", cfg.Dir, err)
	}
	return m, recovered, nil
}

func (m *Member) recover() (Recovered, error) {
	snapshot, founded, err := m.begin()
	if err != nil {
		return Recovered{}, err
	}
	meta := snapshot.GetMetadata()
	out := Recovered{Snapshot: snapshot.Data, Index: meta.GetIndex(), New: founded}
	if err := m.memory.ApplySnapshot(snapshot); err != nil {
		return out, err
	}
	m.conf, m.applied, m.snapshotAt = meta.GetConfState(), meta.GetIndex(), meta.GetIndex()
	state, err := readQuorumState(m.cfg.FS, m.cfg.Dir)
	if err != nil {
		return out, err
	}
	options := storage.Options{Dir: m.cfg.Dir, Config: logConfig, FS: m.cfg.FS, Files: m.cfg.Files, StartOffset: int64(meta.GetIndex()) + 1, Logger: m.cfg.Logger}
	if state.Position.Offset > 0 {
		options.Checkpoint = &state.Position
	}
	if m.log, out.Log, err = storage.Open(options); err != nil {
		return out, err
	}
	if err := m.load(int64(meta.GetIndex()) + 1); err != nil {
		return out, err
	}
	m.recorded = state.Position.Offset
	m.hard = hardState{max(state.Term, meta.GetTerm()), state.Vote}
	m.durable = m.hard
	return out, m.memory.SetHardState(&raftpb.HardState{Term: &m.hard.term, Vote: &m.hard.vote, Commit: proto.Uint64(meta.GetIndex())})
}

// begin finds the newest snapshot, or founds the group by writing the first. The directory of a group that was being founded when the
// node died holds no snapshot and no log, and is founded again.
func (m *Member) begin() (s *raftpb.Snapshot, founded bool, err error) {
	files, dir := m.cfg.FS, m.cfg.Dir
	if err := files.Mkdir(dir); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, false, err
	}
	// Also what was there already may be known to the page cache only, if the process before was killed between making a name and
	// syncing it; everything from now on relies on these names.
	for _, d := range []string{".", dir} {
		if err := files.SyncDir(d); err != nil {
			return nil, false, err
		}
	}
	s, err = readSnapshot(files, dir, func(name string, err error) {
		m.cfg.Logger.Error("a metadata snapshot is damaged; falling back to the one before", "file", name, "error", err)
	})
	if err != nil || s != nil {
		return s, false, err
	}
	entries, err := files.ReadDir(dir)
	if err != nil {
		return nil, false, err
	}
	for _, e := range entries {
		if len(e.Name) > 4 && e.Name[len(e.Name)-4:] == ".log" {
			return nil, false, fmt.Errorf("%w: there is a log but no intact snapshot to begin with; restore the directory from a copy", storage.ErrCorrupt)
		}
	}
	s = &raftpb.Snapshot{Metadata: &raftpb.SnapshotMetadata{Index: proto.Uint64(1), Term: proto.Uint64(1), ConfState: &raftpb.ConfState{Voters: m.cfg.Voters}}}
	return s, true, writeSnapshot(files, dir, s)
}

// load reads the entries behind the snapshot into memory. A log that ends before the snapshot begins anew behind it; one that begins
// later has a gap, which is damage.
func (m *Member) load(first int64) error {
	if m.log.EndOffset() < first || m.log.StartOffset() == m.log.EndOffset() {
		if m.log.EndOffset() == first {
			return nil
		}
		return m.log.Restart(first)
	}
	if m.log.StartOffset() > first {
		return fmt.Errorf("%w: the log begins at %d, the snapshot ends at %d", storage.ErrCorrupt, m.log.StartOffset(), first-1)
	}
	decoder := &record.Decoder{}
	var entries []*raftpb.Entry
	err := m.log.View().EachBatch(first, m.log.EndOffset(), nil, func(b record.Batch) error {
		return decodeEntries(b, decoder, func(e *raftpb.Entry) {
			if e.GetIndex() >= uint64(first) {
				entries = append(entries, e)
			}
		})
	})
	if err != nil {
		return err
	}
	return m.memory.Append(entries)
}

// writeQuorumState makes term and vote durable. Blocks.
func writeQuorumState(files env.FS, dir string, s quorumState) error {
	raw, err := json.Marshal(s)
	if err != nil {
		return err
	}
	return storage.ReplaceFile(files, dir, quorumStateName, append(raw, '\n'))
}

// readQuorumState reads them; zero if the member never voted. The file is replaced as a whole, so what cannot be read is damage, and a
// member that forgot its vote could vote twice.
func readQuorumState(files env.FS, dir string) (s quorumState, err error) {
	raw, err := storage.ReadFile(files, dir+"/"+quorumStateName)
	if errors.Is(err, fs.ErrNotExist) {
		return quorumState{}, nil
	}
	if err != nil {
		return s, err
	}
	if err := json.Unmarshal(raw, &s); err != nil {
		return s, fmt.Errorf("%w: %s: %w", storage.ErrCorrupt, quorumStateName, err)
	}
	return s, nil
}
