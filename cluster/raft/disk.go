package raft

import (
	"errors"
	"fmt"

	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"github.com/troupe-broker/troupe/actors/mutation"
	"github.com/troupe-broker/troupe/actors/record"
	"github.com/troupe-broker/troupe/partition/storage"
)

// quorumStateName is the file that holds what a member must remember about its votes. Kafka's name for the same thing.
const quorumStateName = "quorum-state"

// quorumState is the content of that file.
type quorumState struct {
	Term     uint64           `json:"term"`
	Vote     uint64           `json:"vote"`
	Position storage.Position `json:"position"`
}

// write puts entries that raft wants stored into the page cache, in order. On a full disk they wait: raft must not lose any, so the
// member stands still, answers nothing, and tries again with the next tick.
func (m *Member) write() {
	for len(m.unwritten) > 0 && !m.failed {
		msg := m.unwritten[0]
		err := m.store(msg)
		if errors.Is(err, storage.ErrRefused) {
			m.waitForSpace(err)
			return
		}
		if err != nil {
			m.fail(fmt.Errorf("writing the metadata log: %w", err))
			return
		}
		m.unwritten = m.unwritten[1:]
		m.unsynced = append(m.unsynced, msg)
	}
}

// waitForSpace says once that the member stands still; it tries again with every tick.
func (m *Member) waitForSpace(err error) {
	if !m.complained {
		m.complained = true
		m.cfg.Logger.Error("the metadata log waits for space on the disk; free some", "error", err)
	}
}

func (m *Member) store(msg *raftpb.Message) error {
	if s := msg.Snapshot; s != nil && s.GetMetadata().GetIndex() > 0 {
		if err := m.install(s); err != nil {
			return err
		}
	}
	if len(msg.Entries) > 0 {
		if err := m.storeEntries(msg.Entries); err != nil {
			return err
		}
	}
	if msg.GetTerm() > 0 {
		m.hard = hardState{msg.GetTerm(), msg.GetVote()}
		return m.memory.SetHardState(&raftpb.HardState{Term: msg.Term, Vote: msg.Vote, Commit: msg.Commit})
	}
	return nil
}

// storeEntries replaces what the log has from the first entry on.
func (m *Member) storeEntries(entries []*raftpb.Entry) error {
	first := int64(entries[0].GetIndex())
	if first < m.log.EndOffset() {
		if err := m.log.TruncateTo(first); err != nil {
			return err
		}
	}
	batches, err := encodeEntries(entries)
	if err != nil {
		return err
	}
	if err := m.log.Append(batches); err != nil {
		return err
	}
	return m.memory.Append(entries)
}

// encodeEntries builds one batch for each run of entries of one term. Entries have no time: their records are at 0.
func encodeEntries(entries []*raftpb.Entry) ([]record.Batch, error) {
	var out []record.Batch
	for len(entries) > 0 {
		term, base := entries[0].GetTerm(), entries[0].GetIndex()
		b := record.NewBuilder(record.Options{})
		for len(entries) > 0 && entries[0].GetTerm() == term {
			value := append([]byte{byte(entries[0].GetType())}, entries[0].Data...)
			b.Append(0, nil, value, nil)
			entries = entries[1:]
		}
		batch, err := b.Build()
		if err != nil {
			return nil, err
		}
		batch.SetBaseOffset(int64(base))
		batch.SetLeaderEpoch(int32(term))
		out = append(out, batch)
	}
	return out, nil
}

// decodeEntries is the inverse for one batch.
func decodeEntries(b record.Batch, dst *record.Decoder, f func(*raftpb.Entry)) error {
	term := uint64(b.LeaderEpoch())
	return b.Each(dst, func(r record.Record) error {
		if len(r.Value) == 0 {
			return fmt.Errorf("%w: metadata record %d is empty", storage.ErrCorrupt, r.Offset)
		}
		f(&raftpb.Entry{Term: &term, Index: proto.Uint64(uint64(r.Offset)), Type: raftpb.EntryType(r.Value[0]).Enum(), Data: append([]byte(nil), r.Value[1:]...)})
		return nil
	})
}

// decodeConfChange reads the change of membership in an entry of that type.
func decodeConfChange(e *raftpb.Entry) (raftpb.ConfChangeI, error) {
	if e.GetType() == raftpb.EntryConfChange {
		cc := &raftpb.ConfChange{}
		return cc, proto.Unmarshal(e.Data, cc)
	}
	cc := &raftpb.ConfChangeV2{}
	return cc, proto.Unmarshal(e.Data, cc)
}

// positionEvery is how many records become durable before that is written down: in what lies behind, damage cannot be told from a torn
// tail, which is cut off.
const positionEvery = 256

func (m *Member) quorumState() quorumState {
	return quorumState{m.hard.term, m.hard.vote, m.log.Position()}
}

// flushed is the result of the work that makes what was written durable.
type flushed struct {
	task *storage.FlushTask
	hard hardState
	err  error
}

// flush starts to make durable what was written since the last flush began, unless one is under way.
func (m *Member) flush() {
	if m.flushing || m.full || len(m.unsynced) == 0 || m.failed {
		return
	}
	m.inFlight, m.unsynced = m.unsynced, nil
	done := &flushed{task: m.log.FlushTask(), hard: m.hard}
	state, files, dir := m.quorumState(), m.cfg.FS, m.cfg.Dir
	remember := m.hard != m.durable || state.Position.Offset-m.recorded >= positionEvery
	if done.task == nil && !remember {
		m.finish(done)
		return
	}
	m.flushing = true
	if remember {
		m.recorded = state.Position.Offset
	}
	m.fx.Offload(func() any {
		if remember {
			done.err = writeQuorumState(files, dir, state)
		}
		if done.err == nil && done.task != nil && !mutation.Is(mutation.MetadataBeforeSync) {
			done.err = done.task.Run()
		}
		return done
	})
}

// Done takes the result of offloaded work.
func (m *Member) Done(result any) {
	if m.failed {
		return
	}
	switch r := result.(type) {
	case *flushed:
		m.flushing = false
		m.finish(r)
	case *snapshotWritten:
		m.snapshoting = false
		m.snapshotted(r)
	}
	m.pump()
}

// finish delivers the answers that waited for a flush.
func (m *Member) finish(r *flushed) {
	err := r.err
	if r.task != nil {
		err = m.log.Flushed(r.task, r.err)
	}
	if errors.Is(err, storage.ErrRefused) { // nothing was done that cannot be done again
		m.waitForSpace(err)
		m.unsynced, m.inFlight, m.full = append(m.inFlight, m.unsynced...), nil, true
		return
	}
	if err != nil {
		m.fail(fmt.Errorf("making the metadata log durable: %w", err))
		return
	}
	m.durable, m.complained = r.hard, false
	answered := m.inFlight
	m.inFlight = nil
	for _, msg := range answered {
		m.respond(msg)
	}
}
