package raft

import (
	"fmt"
	"log/slog"
	"slices"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"

	"github.com/troupe-broker/troupe/actors/env"
	"github.com/troupe-broker/troupe/partition/storage"
)

// ElectionTicks is the election timeout in ticks of the member's clock: without word from a leader for that long, and up to as much
// again by chance, a member stands for election.
const ElectionTicks = 10

const heartbeatTicks = 1

// Bounds of what raft keeps in flight and of the log between snapshots.
const (
	entryBytesMax      = 64 << 20 // of one message to a member; one entry may be larger
	uncommittedMax     = 256 << 20
	inflightMax        = 256
	entriesPerSnapshot = 8192
	bytesPerSnapshot   = 20 << 20
	segmentBytes       = 8 << 20
)

// Config of a member.
type Config struct {
	ID     uint64   // of this member, not 0
	Voters []uint64 // of a group that does not exist yet; ignored when Dir holds one
	FS     env.FS
	Files  *storage.Files
	Dir    string
	// SnapshotBytes is after how many bytes of entries the state is written out and the log before it removed; 0 means
	// bytesPerSnapshot. Every entriesPerSnapshot entries it happens anyway.
	SnapshotBytes int64
	Logger        *slog.Logger
}

// Message is what members send each other.
type Message = raftpb.Message

// Effects carry out what a member cannot do itself. They are called during Tick, Propose, Step and Done, on the owner's turn.
type Effects interface {
	// Commit hands over a committed entry, in order, each once since Open.
	Commit(index, term uint64, data []byte)
	// Restore replaces everything committed so far by a snapshot taken at index.
	Restore(index uint64, data []byte)
	// Snapshot encodes the state after the entry handed over last.
	Snapshot() []byte
	// Lead says who leads now; 0 is nobody.
	Lead(leader, term uint64)
	// Send delivers a message to another member, or loses it.
	Send(*Message)
	// Offload runs work off the turn and gives its result to Done, on a later turn.
	Offload(work func() any)
	// Fail says that the member's storage failed: it can do nothing more, and its owner must stop.
	Fail(error)
}

// Member is this node's part of the group. It belongs to one actor.
type Member struct {
	cfg    Config
	fx     Effects
	node   *raft.RawNode
	memory *raft.MemoryStorage // the entries since the last snapshot; log has the same on disk
	log    *storage.Log
	leader uint64

	unwritten []*raftpb.Message // storage appends that wait for space on the disk, in order
	unsynced  []*raftpb.Message // written, not yet covered by a running flush
	inFlight  []*raftpb.Message // covered by the running flush
	flushing  bool
	full      bool      // the last flush found no space; the next tick tries again
	hard      hardState // as raft last said
	durable   hardState // as quorum-state says
	recorded  int64     // the offset of the position there

	conf        *raftpb.ConfState
	applied     uint64
	snapshotAt  uint64 // index of the newest snapshot
	triedAt     uint64 // index of the newest one begun, which may have found no space
	sinceBytes  int64  // of entries applied since
	snapshoting bool
	complained  bool // it was said that the disk is full
	failed      bool
}

// hardState is what a member must remember about its votes.
type hardState struct{ term, vote uint64 }

// start builds the RawNode over what recovery found. A single voter has nobody to wait for and campaigns at once.
func (m *Member) start() error {
	node, err := raft.NewRawNode(&raft.Config{
		ID: m.cfg.ID, ElectionTick: ElectionTicks, HeartbeatTick: heartbeatTicks, Storage: m.memory, Applied: m.applied,
		AsyncStorageWrites: true, MaxSizePerMsg: entryBytesMax, MaxUncommittedEntriesSize: uncommittedMax, MaxInflightMsgs: inflightMax,
		CheckQuorum: true, PreVote: true, Logger: logger{m.cfg.Logger},
	})
	if err != nil {
		return fmt.Errorf("starting raft member %d: %w", m.cfg.ID, err)
	}
	m.node = node
	return nil
}

// Begin starts the member's part in the group. Called once, on the owner's first turn.
func (m *Member) Begin() {
	if len(m.conf.Voters) == 1 && m.conf.Voters[0] == m.cfg.ID {
		m.check(m.node.Campaign())
	}
	m.pump()
}

// Tick tells the member that a tick of its clock went by.
func (m *Member) Tick() {
	if m.failed {
		return
	}
	m.full = false
	m.node.Tick()
	m.pump()
}

// Propose asks the group to append data. raft.ErrProposalDropped if this member knows no leader; otherwise it may yet be lost, and the
// owner sees it committed or sees another leader.
func (m *Member) Propose(data []byte) error {
	if m.failed {
		return raft.ErrStopped
	}
	if err := m.node.Propose(data); err != nil {
		return err
	}
	m.pump()
	return nil
}

// Step takes a message of another member.
func (m *Member) Step(msg *raftpb.Message) error {
	if m.failed {
		return raft.ErrStopped
	}
	if err := m.node.Step(msg); err != nil {
		return fmt.Errorf("stepping %v from %d: %w", msg.GetType(), msg.GetFrom(), err)
	}
	m.pump()
	return nil
}

// Leading reports whether this member leads the group.
func (m *Member) Leading() bool { return m.leader == m.cfg.ID }

// Applied is the index of the entry handed over last.
func (m *Member) Applied() uint64 { return m.applied }

// Status is where the group is, as far as this member knows.
type Status struct {
	Leader  uint64 // 0 is nobody
	Term    uint64
	Commit  uint64 // index of the last committed entry
	LastOwn uint64 // index of this member's last entry
	Voters  []uint64
}

// Status tells it.
func (m *Member) Status() Status {
	basic := m.node.BasicStatus()
	last, err := m.memory.LastIndex()
	m.check(err)
	return Status{Leader: m.leader, Term: basic.HardState.GetTerm(), Commit: basic.HardState.GetCommit(), LastOwn: last, Voters: slices.Clone(m.conf.Voters)}
}

// pump carries out everything raft has ready.
func (m *Member) pump() {
	for !m.failed && m.node.HasReady() {
		ready := m.node.Ready()
		if s := ready.SoftState; s != nil && s.Lead != m.leader {
			m.leader = s.Lead
			m.fx.Lead(s.Lead, m.node.BasicStatus().HardState.GetTerm())
		}
		for _, msg := range ready.Messages {
			switch msg.GetTo() {
			case raft.LocalAppendThread:
				m.unwritten = append(m.unwritten, msg)
			case raft.LocalApplyThread:
				m.apply(msg)
			default:
				m.fx.Send(msg)
			}
		}
		m.write()
	}
	m.write() // what an earlier one had no space for
	m.flush()
	m.maybeSnapshot()
}

// apply hands over committed entries.
func (m *Member) apply(msg *raftpb.Message) {
	for _, e := range msg.Entries {
		m.applied = e.GetIndex()
		m.sinceBytes += int64(len(e.Data))
		switch e.GetType() {
		case raftpb.EntryNormal:
			if len(e.Data) > 0 {
				m.fx.Commit(e.GetIndex(), e.GetTerm(), e.Data)
			}
		default:
			m.changeMembers(e)
		}
	}
	m.respond(msg)
}

func (m *Member) changeMembers(e *raftpb.Entry) {
	cc, err := decodeConfChange(e)
	if err != nil {
		m.fail(fmt.Errorf("entry %d: %w", e.GetIndex(), err))
		return
	}
	m.conf = m.node.ApplyConfChange(cc)
}

// respond delivers the answers that were tied to a storage message.
func (m *Member) respond(msg *raftpb.Message) {
	for _, answer := range msg.Responses {
		if answer.GetTo() == m.cfg.ID {
			m.check(m.node.Step(answer))
		} else {
			m.fx.Send(answer)
		}
	}
}

func (m *Member) check(err error) {
	if err != nil {
		m.fail(err)
	}
}

func (m *Member) fail(err error) {
	if !m.failed {
		m.failed = true
		m.fx.Fail(err)
	}
}

// Close ends the member. With clean everything written is durable on return, unless offloaded work is still under way: what it was to
// make durable is then as good as lost, and nobody was told otherwise.
func (m *Member) Close(clean bool) error {
	clean = clean && !m.failed && !m.flushing && !m.snapshoting
	if err := m.log.Close(clean); err != nil || !clean {
		return err
	}
	return writeQuorumState(m.cfg.FS, m.cfg.Dir, m.quorumState()) // from here on nothing of the log is a torn tail
}
