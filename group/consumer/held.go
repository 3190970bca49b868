package consumer

import (
	"bytes"
	"slices"
	"sort"

	"github.com/troupe-broker/troupe/actors/protocol"
)

// held are partitions of one topic in somebody's hands, each with the epoch at which it was given: a commit of an older epoch is not
// from this holder (KIP-1251). A held never changes once made: replies and records share it.
type held struct {
	topic      protocol.TopicID
	partitions []int32 // ascending, each once
	epochs     []int32 // one for each partition
}

// holding is all that one member has, by topic id.
type holding []held

func (h holding) topic(id protocol.TopicID) (held, bool) {
	i, ok := sort.Find(len(h), func(i int) int { return bytes.Compare(id[:], h[i].topic[:]) })
	if !ok {
		return held{}, false
	}
	return h[i], true
}

// epoch is when the partition was given; ok is false if it was not.
func (h holding) epoch(id protocol.TopicID, partition int32) (epoch int32, ok bool) {
	t, _ := h.topic(id)
	i, ok := slices.BinarySearch(t.partitions, partition)
	if !ok {
		return 0, false
	}
	return t.epochs[i], true
}

func (h holding) has(id protocol.TopicID, partition int32) bool {
	_, ok := h.epoch(id, partition)
	return ok
}

// hasAny reports whether one of the partitions is in h.
func (h holding) hasAny(rows []protocol.TopicPartitions) bool {
	for _, row := range rows {
		for _, p := range row.Partitions {
			if h.has(row.Topic, p) {
				return true
			}
		}
	}
	return false
}

// hasAll reports whether all of the partitions are in h.
func (h holding) hasAll(rows []protocol.TopicPartitions) bool {
	for _, row := range rows {
		for _, p := range row.Partitions {
			if !h.has(row.Topic, p) {
				return false
			}
		}
	}
	return true
}

// rows is h as messages have it. The partitions are shared.
func (h holding) rows() []protocol.TopicPartitions {
	if len(h) == 0 {
		return nil
	}
	out := make([]protocol.TopicPartitions, len(h))
	for i, t := range h {
		out[i] = protocol.TopicPartitions{Topic: t.topic, Partitions: t.partitions}
	}
	return out
}

// add appends one partition; they come in order.
func (h *holding) add(id protocol.TopicID, partition, epoch int32) {
	if n := len(*h); n == 0 || (*h)[n-1].topic != id {
		*h = append(*h, held{topic: id})
	}
	t := &(*h)[len(*h)-1]
	t.partitions, t.epochs = append(t.partitions, partition), append(t.epochs, epoch)
}

// union merges two holdings; of a partition in both the epoch of h counts.
func (h holding) union(o holding) holding {
	if len(h) == 0 {
		return o
	}
	if len(o) == 0 {
		return h
	}
	var out holding
	for _, id := range topicsOf(h, o) {
		a, _ := h.topic(id)
		b, _ := o.topic(id)
		for len(a.partitions)+len(b.partitions) > 0 {
			switch {
			case len(b.partitions) == 0 || len(a.partitions) > 0 && a.partitions[0] < b.partitions[0]:
				out.add(id, a.partitions[0], a.epochs[0])
				a.partitions, a.epochs = a.partitions[1:], a.epochs[1:]
			case len(a.partitions) > 0 && a.partitions[0] == b.partitions[0]:
				b.partitions, b.epochs = b.partitions[1:], b.epochs[1:]
			default:
				out.add(id, b.partitions[0], b.epochs[0])
				b.partitions, b.epochs = b.partitions[1:], b.epochs[1:]
			}
		}
	}
	return out
}

// topicsOf lists the topics of both, in order.
func topicsOf(a, b holding) []protocol.TopicID {
	out := make([]protocol.TopicID, 0, len(a)+len(b))
	for _, t := range a {
		out = append(out, t.topic)
	}
	for _, t := range b {
		out = append(out, t.topic)
	}
	slices.SortFunc(out, compareTopics)
	return slices.Compact(out)
}

func compareTopics(a, b protocol.TopicID) int { return bytes.Compare(a[:], b[:]) }

func (h holding) equal(o holding) bool {
	return slices.EqualFunc(h, o, func(a, b held) bool {
		return a.topic == b.topic && slices.Equal(a.partitions, b.partitions) && slices.Equal(a.epochs, b.epochs)
	})
}

// samePartitions compares without epochs.
func (h holding) samePartitions(o holding) bool {
	return slices.EqualFunc(h, o, func(a, b held) bool { return a.topic == b.topic && slices.Equal(a.partitions, b.partitions) })
}

func equalRows(a, b []protocol.TopicPartitions) bool {
	return slices.EqualFunc(a, b, func(a, b protocol.TopicPartitions) bool {
		return a.Topic == b.Topic && slices.Equal(a.Partitions, b.Partitions)
	})
}
