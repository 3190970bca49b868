package raft

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"go.etcd.io/raft/v3/raftpb"

	"github.com/troupe-broker/troupe/actors/env/osenv"
	"github.com/troupe-broker/troupe/partition/storage"
)

// group is members over real directories whose messages and offloaded work wait in queues until the test delivers them.
type group struct {
	t       *testing.T
	members map[uint64]*node
}

// node is one member with a state that is the concatenation of what was committed.
type node struct {
	*Member
	group  *group
	id     uint64
	dir    string
	voters []uint64
	state  []byte
	work   []func() any
	mail   []*raftpb.Message
	failed error
}

func (n *node) Commit(index, term uint64, data []byte) {
	n.state = append(append(n.state, data...), ';')
}
func (n *node) Restore(index uint64, data []byte) { n.state = bytes.Clone(data) }
func (n *node) Snapshot() []byte                  { return bytes.Clone(n.state) }
func (n *node) Lead(leader, term uint64)          {}
func (n *node) Offload(work func() any)           { n.work = append(n.work, work) }
func (n *node) Fail(err error)                    { n.failed = err }
func (n *node) Send(m *raftpb.Message) {
	if to := n.group.members[m.GetTo()]; to != nil {
		to.mail = append(to.mail, m)
	}
}

func newGroup(t *testing.T, size int) *group {
	g := &group{t: t, members: map[uint64]*node{}}
	var voters []uint64
	for id := uint64(1); id <= uint64(size); id++ {
		voters = append(voters, id)
	}
	root := t.TempDir()
	for _, id := range voters {
		n := &node{group: g, id: id, dir: filepath.Join(root, fmt.Sprint(id)), voters: voters}
		g.members[id] = n
		n.open()
	}
	return g
}

func (n *node) open() Recovered {
	n.group.t.Helper()
	e := osenv.New()
	files, err := e.OpenFS(n.dir)
	if err != nil {
		n.group.t.Fatal(err)
	}
	var got Recovered
	n.state, n.work, n.mail = nil, nil, nil
	n.Member, got, err = Open(Config{ID: n.id, Voters: n.voters, FS: files, Files: storage.NewFiles(files, 16), Dir: "metadata",
		Logger: slog.New(slog.NewTextHandler(io.Discard, nil))}, n)
	if err != nil {
		n.group.t.Fatal(err)
	}
	n.state = bytes.Clone(got.Snapshot)
	n.Begin()
	return got
}

// settle delivers everything until nothing moves.
func (g *group) settle() {
	for moved := true; moved; {
		moved = false
		for id := uint64(1); id <= uint64(len(g.members)); id++ {
			n := g.members[id]
			for len(n.work) > 0 {
				work := n.work[0]
				n.work, moved = n.work[1:], true
				n.Done(work())
			}
			for len(n.mail) > 0 {
				msg := n.mail[0]
				n.mail, moved = n.mail[1:], true
				n.Step(msg)
			}
			if n.failed != nil {
				g.t.Fatalf("member %d failed: %v", id, n.failed)
			}
		}
	}
}

func (g *group) leader() *node {
	for range 20 * ElectionTicks {
		for id := uint64(1); id <= uint64(len(g.members)); id++ {
			if n := g.members[id]; n.Leading() {
				return n
			}
		}
		for id := uint64(1); id <= uint64(len(g.members)); id++ {
			g.members[id].Tick()
			g.settle()
		}
	}
	g.t.Fatal("nobody leads")
	return nil
}

func TestSingleVoterLeadsAtOnceAndForgetsNothing(t *testing.T) {
	g := newGroup(t, 1)
	n := g.members[1]
	g.settle()
	if !n.Leading() {
		t.Fatal("a single voter does not lead without a tick")
	}
	want := ""
	for round := range 3 {
		for i := range 5 {
			entry := fmt.Sprintf("%d.%d", round, i)
			want += entry + ";"
			if err := n.Propose([]byte(entry)); err != nil {
				t.Fatal(err)
			}
			g.settle()
		}
		n.open() // as after kill -9: nothing was closed
		g.settle()
		if string(n.state) != want {
			t.Fatalf("after restart %d: %q, want %q", round, n.state, want)
		}
	}
}

func TestNothingIsCommittedBeforeItIsDurable(t *testing.T) {
	g := newGroup(t, 1)
	n := g.members[1]
	g.settle()
	if err := n.Propose([]byte("a")); err != nil {
		t.Fatal(err)
	}
	if len(n.state) > 0 {
		t.Fatal("committed before the flush ran")
	}
	done := n.work[0]()
	n.work = n.work[1:]
	if len(n.state) > 0 {
		t.Fatal("committed before the flush was reported")
	}
	n.Done(done)
	if string(n.state) != "a;" {
		t.Fatalf("committed %q", n.state)
	}
}

func TestSnapshotReplacesTheLog(t *testing.T) {
	g := newGroup(t, 1)
	n := g.members[1]
	g.settle()
	for i := range entriesPerSnapshot + 100 {
		if err := n.Propose(binary.BigEndian.AppendUint32(nil, uint32(i))); err != nil {
			t.Fatal(err)
		}
		if i%64 == 0 {
			g.settle()
		}
	}
	g.settle()
	want := bytes.Clone(n.state)
	got := n.open()
	g.settle()
	if got.Index < entriesPerSnapshot {
		t.Errorf("began at index %d, no snapshot was used", got.Index)
	}
	if !bytes.Equal(n.state, want) {
		t.Errorf("state of %d bytes after the restart, %d before", len(n.state), len(want))
	}
}

func TestThreeMembersAgreeAndCatchUpBySnapshot(t *testing.T) {
	g := newGroup(t, 3)
	leader := g.leader()
	behind := g.members[leader.id%3+1]
	for i := range entriesPerSnapshot + 10 {
		if err := leader.Propose(binary.BigEndian.AppendUint32(nil, uint32(i))); err != nil {
			t.Fatal(err)
		}
		behind.mail = nil // cut off
		if i%64 == 0 {
			for moved := true; moved; { // settle, without the one that is cut off
				behind.mail, behind.work = nil, nil
				moved = false
				for _, n := range []*node{leader, g.members[behind.id%3+1]} {
					for len(n.work) > 0 {
						work := n.work[0]
						n.work, moved = n.work[1:], true
						n.Done(work())
					}
					for len(n.mail) > 0 {
						msg := n.mail[0]
						n.mail, moved = n.mail[1:], true
						n.Step(msg)
					}
				}
			}
		}
	}
	for range 3 * ElectionTicks {
		leader.Tick()
		g.settle()
	}
	for id, n := range g.members {
		if !bytes.Equal(n.state, leader.state) {
			t.Errorf("member %d has %d bytes of state, the leader %d", id, len(n.state), len(leader.state))
		}
	}
}

func TestDamagedSnapshotFallsBackOrRefuses(t *testing.T) {
	g := newGroup(t, 1)
	n := g.members[1]
	g.settle()
	names, err := filepath.Glob(filepath.Join(n.dir, "metadata", "*"+snapshotSuffix))
	if err != nil || len(names) != 1 {
		t.Fatalf("%v %v", names, err)
	}
	if err := os.WriteFile(names[0], []byte("rot"), 0o644); err != nil {
		t.Fatal(err)
	}
	files, err := osenv.New().OpenFS(n.dir)
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = Open(Config{ID: 1, Voters: n.voters, FS: files, Files: storage.NewFiles(files, 4), Dir: "metadata", Logger: slog.New(slog.DiscardHandler)}, n)
	if err == nil {
		t.Fatal("a group without an intact snapshot was opened as if it were new")
	}
}
