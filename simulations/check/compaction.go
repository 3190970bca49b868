package check

// Keys is the number of keys in a compacted topic; the key of a record follows from its value, as everything does.
const Keys = 13

// KeyOf is the key of a value.
func KeyOf(value int64) int64 { return value % Keys }

// IsTombstone tells the values that are sent, to a compacted topic, as a key without a value.
func IsTombstone(value int64) bool { return value%7 == 0 }

// newer is what of a compacted partition is known to have come last.
type newer struct {
	last  [Keys]Entry // the newest record of each key that was not aborted; By is nil where there is none
	maybe [Keys]bool  // a tombstone of the key may have been appended that nobody saw
}

// noteKeys derives what compaction may have removed.
func (p *Partition) noteKeys(x *Index) {
	if !p.Topic.Compacted {
		return
	}
	p.newer = &newer{}
	for _, e := range p.Last().Entries {
		if t := x.txnOf(e.Value); t == nil || !t.aborted() {
			p.newer.last[KeyOf(e.Value)] = e
		}
	}
	for _, op := range p.Ops {
		if op.Func != Send || op.Outcome == OK || op.Outcome == Fail {
			continue
		}
		for _, v := range op.Values {
			if IsTombstone(v) && len(p.Last().Ranks(v)) == 0 {
				p.newer.maybe[KeyOf(v)] = true
			}
		}
	}
}

// compactedAway reports whether compaction may have removed a value at offset (-1 unknown): a newer record has its key, or it is a
// tombstone, which goes after a while (nothing says how soon in these runs), or its transaction was, perhaps, aborted.
func (p *Partition) compactedAway(x *Index, value, offset int64) bool {
	if p.newer == nil {
		return false
	}
	if t := x.txnOf(value); t != nil && !t.committed() && t.visible == nil {
		return true
	}
	k := KeyOf(value)
	last := p.newer.last[k]
	return IsTombstone(value) || p.newer.maybe[k] || last.By != nil && last.Offset > offset
}

// skippable reports whether all records between two offsets, both exclusive, may have been removed by compaction.
func (p *Partition) skippable(x *Index, log *Log, after, before int64) bool {
	if p.newer == nil {
		return false
	}
	for _, e := range log.Entries[log.Rank(after+1):log.Rank(before)] {
		if !p.compactedAway(x, e.Value, e.Offset) {
			return false
		}
	}
	return true
}

// resurrections: a record of a key is in the final read though a newer tombstone of the key is not, so that a reader takes for the state
// of the key what was deleted (2.4-i).
//
// Why it suffices: that the newest record of every key stays, and that nothing else is missing, is what the checks of lost, unseen and
// unstable records hold a compacted partition to, where they forgive only what a newer record of the key replaced. What they forgive of
// tombstones is held here: compaction removes a tombstone only when everything before it is gone. Offsets that were given anew, and
// records that changed, are the business of the checks of offsets.
//
// A tombstone of a transaction whose end nobody knows, and of which nobody saw anything, deleted perhaps nothing.
func resurrections(x *Index, p *Partition) (out []Anomaly) {
	if p.newer == nil || !p.Finished {
		return nil
	}
	for _, e := range p.Last().Entries {
		last := p.newer.last[KeyOf(e.Value)]
		if t := x.txnOf(last.Value); last.By != nil && t != nil && !t.committed() && t.visible == nil {
			continue
		}
		if p.FinalRead[e.Value] && IsTombstone(last.Value) && !p.FinalRead[last.Value] && e.Offset < last.Offset && last.By.Outcome == OK {
			out = append(out, p.anomaly(Resurrected, "value %d at offset %d is in the final read, the tombstone %d of its key at %d (%v) is not", e.Value, e.Offset, last.Value, last.Offset, last.By))
		}
	}
	return out
}
