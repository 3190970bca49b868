package check

import (
	"slices"

	"github.com/troupe-broker/troupe/actors/protocol"
)

// expirySlack is how long an offset may stay that nobody keeps: some looks for expired ones, and a restart; nanoseconds.
const expirySlack = 25_000_000_000

// Life is a time in which a group certainly had a member: from the first answer that told it so to the last, and for as long after that as it
// cannot have been removed. Topics are those it subscribed to; nil are all. Times are the clients', in nanoseconds.
type Life struct {
	Group, Member string
	Classic       bool
	Topics        []protocol.TopicID
	From, To      int64
}

func (l *Life) keeps(topic protocol.TopicID) bool {
	return l.Topics == nil || slices.Contains(l.Topics, topic)
}

// mayHaveExpired reports whether the offset of a commit may be gone when op looks, since offsets.retention.minutes are over (KIP-211): in a
// group that never had members, and in one of KIP-848, that long after the commit if nobody subscribes to the topic; in a classic group
// that long after the last member went, or after the commit of a topic to which no member subscribes (E4, KAFKA-13636).
//
// Why it suffices: a Life is never longer than the membership that the broker knows, so a time without one covers every time in which
// the broker may have seen no subscriber; and a commit is not older than its request.
func (x *Index) mayHaveExpired(key protocol.TopicPartition, z *zone, op *GroupOp) bool {
	retention := x.H.Retention
	if retention == 0 || op.To-z.write.From < retention {
		return false
	}
	free := z.write.From + retention // from here on it may go, whenever there is no subscriber
	classic := x.livesOf(op.Group, func(l *Life) bool { return l.Classic })
	if len(classic) > 0 {
		return longestGap(x.livesOf(op.Group, func(*Life) bool { return true }), z.write.From, op.To) >= retention ||
			longestGap(x.livesOf(op.Group, func(l *Life) bool { return l.keeps(key.Topic) }), free, op.To) > 0 && x.livesSince(op.Group, free, key.Topic)
	}
	return longestGap(x.livesOf(op.Group, func(l *Life) bool { return l.keeps(key.Topic) }), free, op.To) > 0
}

// livesSince reports whether a member that does not subscribe to the topic lived later than a time.
func (x *Index) livesSince(group string, at int64, topic protocol.TopicID) bool {
	return slices.ContainsFunc(x.H.Lives, func(l Life) bool { return l.Group == group && l.To > at && !l.keeps(topic) })
}

func (x *Index) livesOf(group string, which func(*Life) bool) (out []Life) {
	for i := range x.H.Lives {
		if l := &x.H.Lives[i]; l.Group == group && which(l) {
			out = append(out, *l)
		}
	}
	slices.SortFunc(out, func(a, b Life) int { return int(min(max(a.From-b.From, -1), 1)) })
	return out
}

// longestGap is the longest time between two others in which there is no life, which are sorted by their beginning.
func longestGap(lives []Life, from, to int64) (longest int64) {
	for _, l := range lives {
		longest = max(longest, min(l.From, to)-from)
		from = max(from, l.To)
	}
	return max(longest, to-from)
}

// overdue: the last look shows an offset that nobody has kept for long enough.
//
// Why it suffices: when it looks nothing has been broken for a while, and the broker looks for expired offsets again and again.
func (x *Index) overdue(key protocol.TopicPartition, z *zone, op *GroupOp) bool {
	if x.H.Retention == 0 || !op.Last || z.write.Outcome != OK || z.write.Txn > 0 || op.From-z.write.To < x.H.Retention+expirySlack {
		return false
	}
	since := op.From - x.H.Retention - expirySlack
	return !slices.ContainsFunc(x.H.Lives, func(l Life) bool { return l.Group == op.Group && l.To+sessionMax > since })
}

// sessionMax is how much longer than a Life a membership may last, in nanoseconds.
const sessionMax = 5_000_000_000
