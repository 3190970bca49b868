package raft

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"slices"
	"strings"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"github.com/troupe-broker/troupe/actors/env"
	"github.com/troupe-broker/troupe/partition/storage"
)

const (
	snapshotSuffix = ".checkpoint"
	snapshotMagic  = "TROUPE01"
	snapshotsKept  = 2 // the newest and, should it rot, the one before
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// snapshotWritten is the result of writing a snapshot off the turn.
type snapshotWritten struct {
	snapshot *raftpb.Snapshot
	err      error
}

// maybeSnapshot begins to write out the state when enough was applied since the last time.
func (m *Member) maybeSnapshot() {
	since := m.applied - max(m.snapshotAt, m.triedAt)
	if m.snapshoting || m.failed || since == 0 || since < entriesPerSnapshot && m.sinceBytes < m.cfg.SnapshotBytes {
		return
	}
	term, err := m.memory.Term(m.applied)
	if err != nil {
		return // applied before it is stored: next time
	}
	m.snapshoting, m.sinceBytes, m.triedAt = true, 0, m.applied
	s := &raftpb.Snapshot{Data: m.fx.Snapshot(), Metadata: &raftpb.SnapshotMetadata{ConfState: m.conf, Index: proto.Uint64(m.applied), Term: &term}}
	files, dir := m.cfg.FS, m.cfg.Dir
	m.fx.Offload(func() any { return &snapshotWritten{s, writeSnapshot(files, dir, s)} })
}

// snapshotted removes the part of the log that a durable snapshot replaces.
func (m *Member) snapshotted(r *snapshotWritten) {
	if errors.Is(r.err, storage.ErrRefused) {
		m.cfg.Logger.Warn("no space for a snapshot of the metadata; the log keeps growing", "error", r.err)
		return
	}
	if r.err != nil {
		m.fail(fmt.Errorf("writing a metadata snapshot: %w", r.err))
		return
	}
	meta := r.snapshot.GetMetadata()
	index := meta.GetIndex()
	if _, err := m.memory.CreateSnapshot(index, meta.GetConfState(), r.snapshot.Data); err != nil && !errors.Is(err, raft.ErrSnapOutOfDate) {
		m.fail(err)
		return
	}
	if err := m.memory.Compact(index); err != nil && !errors.Is(err, raft.ErrCompacted) {
		m.fail(err)
		return
	}
	m.snapshotAt = index
	if err := m.log.AdvanceStart(int64(index) + 1); err != nil {
		m.fail(fmt.Errorf("removing the metadata log below %d: %w", index+1, err))
	}
}

// install takes the leader's snapshot in the place of everything this member has.
func (m *Member) install(s *raftpb.Snapshot) error {
	if err := writeSnapshot(m.cfg.FS, m.cfg.Dir, s); err != nil {
		return err
	}
	index := s.GetMetadata().GetIndex()
	if err := m.log.Restart(int64(index) + 1); err != nil {
		return err
	}
	if err := m.memory.ApplySnapshot(s); err != nil {
		return err
	}
	m.conf, m.applied, m.snapshotAt = s.GetMetadata().GetConfState(), index, index
	m.fx.Restore(index, s.Data)
	return nil
}

func snapshotName(index, term uint64) string {
	return fmt.Sprintf("%020d-%010d%s", index, term, snapshotSuffix)
}

// writeSnapshot makes s durable and then removes those older than the last few.
func writeSnapshot(files env.FS, dir string, s *raftpb.Snapshot) error {
	body, err := proto.Marshal(s)
	if err != nil {
		return err
	}
	out := binary.BigEndian.AppendUint32([]byte(snapshotMagic), crc32.Checksum(body, castagnoli))
	name := snapshotName(s.GetMetadata().GetIndex(), s.GetMetadata().GetTerm())
	if err := storage.ReplaceFile(files, dir, name, append(out, body...)); err != nil {
		return err
	}
	names, err := snapshotNames(files, dir)
	for i := 0; err == nil && i < len(names)-snapshotsKept; i++ {
		err = files.Remove(dir + "/" + names[i])
	}
	return err
}

// snapshotNames lists the snapshots, oldest first.
func snapshotNames(files env.FS, dir string) ([]string, error) {
	entries, err := files.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("listing %q: %w", dir, err)
	}
	var names []string
	for _, e := range entries {
		if strings.HasSuffix(e.Name, snapshotSuffix) {
			names = append(names, e.Name)
		}
	}
	slices.Sort(names)
	return names, nil
}

// readSnapshot reads the newest intact snapshot; nil if there is none. Older ones serve only if the log still reaches back to them,
// which Open checks.
func readSnapshot(files env.FS, dir string, damaged func(name string, err error)) (*raftpb.Snapshot, error) {
	names, err := snapshotNames(files, dir)
	if err != nil {
		return nil, err
	}
	for _, name := range slices.Backward(names) {
		raw, err := storage.ReadFile(files, dir+"/"+name)
		if err != nil {
			return nil, err
		}
		s, err := decodeSnapshot(raw)
		if err == nil {
			return s, nil
		}
		damaged(name, err)
	}
	return nil, nil
}

func decodeSnapshot(raw []byte) (*raftpb.Snapshot, error) {
	head := len(snapshotMagic) + 4
	if len(raw) < head || string(raw[:len(snapshotMagic)]) != snapshotMagic {
		return nil, fmt.Errorf("%w: not a metadata snapshot", storage.ErrCorrupt)
	}
	body := raw[head:]
	if crc32.Checksum(body, castagnoli) != binary.BigEndian.Uint32(raw[head-4:]) {
		return nil, fmt.Errorf("%w: checksum of a metadata snapshot", storage.ErrCorrupt)
	}
	s := &raftpb.Snapshot{}
	if err := proto.Unmarshal(body, s); err != nil {
		return nil, fmt.Errorf("%w: %w", storage.ErrCorrupt, err)
	}
	return s, nil
}
