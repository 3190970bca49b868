package check

import (
	"maps"
	"slices"

	"github.com/troupe-broker/troupe/actors/protocol"
)

// staleCommits: an offset was committed by somebody whose time as owner of the partition was over (2.4-j2; E7, I-TOC).
//
// Why it suffices: a member learns its partitions from an answer that names its generation or epoch, and such an answer is given only
// when the generation is in the log, so no crash can take it back. Once a member of a later one has been told the partition, whoever
// commits with an earlier one, and is not served, did no harm; whoever is acknowledged moved the offset under the new owner's feet. In
// a classic group that holds for the owner's own earlier generation too; under KIP-848 a member may go on with the epoch since which it
// has the partition (KIP-1251). A static member that comes back under a new id takes the generation of the old one over, so within a
// generation the old id is stale as soon as the new one was told. Commits before that are no violation, and
// harmless, since the new owner asks for the offset after it. A group whose members are all gone may begin anew under the other protocol:
// Memberships holds that it had none, and what was told before is forgotten here.
func staleCommits(x *Index) (out []Anomaly) {
	type told struct {
		register
		instance string
	}
	newest := map[register]*GroupOp{}
	ids := map[told]*GroupOp{}
	founded := map[string]*GroupOp{}
	events := x.H.byInvocation()
	answers := assignments(events)
	for _, op := range events {
		for len(answers) > 0 && answers[0].Complete < op.Invoked {
			a := answers[0]
			answers = answers[1:]
			if f := founded[a.Group]; f != nil && a.Invoked < f.Invoked {
				continue // an answer that came late, of the group before
			}
			for _, key := range a.Partitions {
				r := register{a.Group, key}
				if n := newest[r]; n == nil || n.Generation <= a.Generation {
					newest[r] = a
				}
				if a.Instance != "" {
					ids[told{register{a.Group, protocol.TopicPartition{}}, a.Instance}] = a
				}
			}
		}
		if op.Func == FoundGroup {
			founded[op.Group] = op
			maps.DeleteFunc(newest, func(r register, _ *GroupOp) bool { return r.group == op.Group })
			maps.DeleteFunc(ids, func(t told, _ *GroupOp) bool { return t.group == op.Group })
		}
		if op.Func != CommitOffset || op.Outcome != OK || op.Generation < 0 {
			continue
		}
		if n := newest[register{op.Group, op.Key}]; n != nil && n.Generation > op.Generation && (n.Member != op.Member || !n.Incremental) {
			out = append(out, anomalyOf(StaleCommit, op.Key, "%v after the partition went to %v", op, n))
		}
		if n := ids[told{register{op.Group, protocol.TopicPartition{}}, op.Instance}]; op.Instance != "" && n != nil && n.Member != op.Member && n.Generation >= op.Generation {
			out = append(out, anomalyOf(StaleCommit, op.Key, "%v after its place was taken by %v", op, n))
		}
	}
	return out
}

// assignments are the answers that told partitions, and those of other kinds that are asked for, in order of completion.
func assignments(events []*GroupOp, others ...GroupFunc) (out []*GroupOp) {
	for _, op := range events {
		if (op.Func == AssignPartitions || slices.Contains(others, op.Func)) && op.Outcome == OK {
			out = append(out, op)
		}
	}
	sortByCompletion(out)
	return out
}
