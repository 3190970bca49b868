package raft

import (
	"go.etcd.io/raft/v3/raftpb"

	"github.com/troupe-broker/troupe/actors/record"
)

// Entry is an entry of the metadata log as tools see it.
type Entry struct {
	Index, Term uint64
	Normal      bool   // a proposal; else a change of membership
	Data        []byte // what was proposed; empty for the first entry of a leader
}

// EachEntry calls f for every entry in a batch of the metadata log. The entries share no memory with the batch. ErrCorrupt if it holds
// something else.
func EachEntry(b record.Batch, d *record.Decoder, f func(Entry)) error {
	return decodeEntries(b, d, func(e *raftpb.Entry) {
		f(Entry{e.GetIndex(), e.GetTerm(), e.GetType() == raftpb.EntryNormal, e.Data})
	})
}

// DecodeSnapshot reads the content of a snapshot file: the index and term it stands for, and the state in Data. ErrCorrupt if it is damaged.
func DecodeSnapshot(raw []byte) (Entry, error) {
	s, err := decodeSnapshot(raw)
	if err != nil {
		return Entry{}, err
	}
	return Entry{s.GetMetadata().GetIndex(), s.GetMetadata().GetTerm(), true, s.Data}, nil
}
