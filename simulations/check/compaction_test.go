package check

import (
	"testing"

	"github.com/troupe-broker/troupe/actors/protocol"
)

// TestCompactionIsHeldToKeys: values 14 and 1 have one key, and 14 is a tombstone; 27 has that key too.
func TestCompactionIsHeldToKeys(t *testing.T) {
	key := protocol.TopicPartition{Topic: protocol.TopicID{1}}
	for _, c := range []struct {
		name string
		sent []int64 // at offsets 0, 1, 2...
		read []int64 // what of it the final read saw
		want Class
	}{
		{"all is there", []int64{1, 2, 27}, []int64{1, 2, 27}, ""},
		{"the older one of a key is gone", []int64{1, 2, 27}, []int64{2, 27}, ""},
		{"the newest of a key is gone", []int64{1, 2, 27, 3}, []int64{1, 2, 3}, LostWrite},
		{"the only one of a key is gone", []int64{1, 2, 27}, []int64{1, 27}, LostWrite},
		{"a tombstone and what it deletes are gone", []int64{1, 2, 14}, []int64{2}, ""},
		{"a tombstone is there", []int64{1, 2, 14}, []int64{2, 14}, ""},
		{"what a tombstone deleted is back", []int64{1, 2, 14}, []int64{1, 2}, Resurrected},
	} {
		h := &History{Topics: []Topic{{ID: key.Topic, Compacted: true}}, Finished: []protocol.TopicPartition{key}}
		poll := &Op{Func: Poll, Key: key, Outcome: OK, Final: true, Process: 2, HighWatermark: 100, LastStable: 100, Invoked: 50, Complete: 51}
		for i, v := range c.sent {
			h.Ops = append(h.Ops, &Op{
				Func: Send, Key: key, Outcome: OK, Values: []int64{v}, Timestamps: []int64{1}, Offset: int64(i), Acks: -1, Idempotent: true,
				Keyed: true, Process: 1 + int(v), Invoked: Instant(2*i + 1), Complete: Instant(2*i + 2),
			})
			for _, r := range c.read {
				if r == v {
					poll.Reads = append(poll.Reads, Read{Offset: int64(i), Value: v, Timestamp: 1, Sum: 1})
				}
			}
		}
		h.Ops = append(h.Ops, poll)
		found := h.Check()
		if c.want == "" && len(found) > 0 || c.want != "" && (len(found) == 0 || found[0].Class != c.want) {
			t.Errorf("%s: found %v, want %q", c.name, found, c.want)
		}
	}
}
