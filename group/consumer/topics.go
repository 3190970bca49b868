package consumer

import (
	"encoding/binary"
	"errors"
	"maps"
	"math"
	"regexp"
	"regexp/syntax"
	"slices"
	"time"

	"github.com/cespare/xxhash/v2"

	"github.com/troupe-broker/troupe/actors/mutation"
	"github.com/troupe-broker/troupe/actors/protocol"
	"github.com/troupe-broker/troupe/cluster/image"
	"github.com/troupe-broker/troupe/group/step"
)

// regexPause is how long a group waits at least between two matches of all topics against its regular expressions. A step with 10,000
// topics takes some milliseconds, and topics are created in bursts. Kafka: 10 s (REGEX_BATCH_REFRESH_MIN_INTERVAL_MS).
const regexPause = time.Second

// looked says which version of the image's topics a group has seen.
type looked struct {
	names     int64 // image.TopologyOffset at the last comparison of hashes
	regexes   int64 // and at the last match of all regular expressions
	regexesAt time.Duration
}

var neverLooked = looked{names: math.MinInt64, regexes: math.MinInt64, regexesAt: longAgo}

// change is what a step changes of the members, for what is computed from all of them.
type change struct {
	minus    []*member // as the log has them
	plus     *member   // as it will be; nil if none
	bump     bool      // the epoch grows in any case
	why      string    // for the log; empty: because of topics
	resolved []resolution
}

// resolution is what a regular expression matches now.
type resolution struct {
	expression string
	topics     []string
}

// mustLook reports whether topics may have changed since the group looked. It compares two numbers.
func (g *Group) mustLook(now step.Now) bool {
	return len(g.order) > 0 && (now.Image.TopologyOffset != g.topology.names || g.regexesDue(now))
}

func (g *Group) regexesDue(now step.Now) bool {
	if len(g.regexes) == 0 || mutation.Is(mutation.RegexOnce) {
		return false
	}
	since := now.Mono - g.topology.regexesAt
	return now.Image.TopologyOffset != g.topology.regexes && since >= regexPause || g.cfg.RegexRefresh > 0 && since >= g.cfg.RegexRefresh
}

// look compares the topics subscribed to with what they were, and writes a new epoch if they differ, or the change says so.
// Source: updateSubscriptionMetadata, maybeUpdateRegularExpressions, handleRegularExpressionsResult.
func (g *Group) look(now step.Now, ch *change, out *step.Out) (epoch int32) {
	seen := looked{names: now.Image.TopologyOffset, regexes: g.topology.regexes, regexesAt: g.topology.regexesAt}
	all := g.regexesDue(now)
	if all {
		seen.regexes, seen.regexesAt = seen.names, now.Mono
	}
	for _, expression := range g.regexesInUse(ch) {
		r := g.regexes[expression]
		if r != nil && r.resolved && !all {
			continue
		}
		topics := g.match(expression, now.Image)
		if r == nil || !r.resolved || !slices.Equal(topics, r.topics) {
			ch.resolved = append(ch.resolved, resolution{expression, topics})
			ch.bump = true
			out.Records = append(out.Records, g.regexRecord(expression, topics, now.Image.TopologyOffset, now.Wall.UnixMilli()))
		}
	}
	g.forgetRegexes(ch, out)
	hash := hashTopics(g.names(ch), now.Image)
	g.topology = seen
	if !ch.bump && hash == g.hash {
		return g.epoch
	}
	out.Records = append(out.Records, g.groupRecord(g.epoch+1, hash))
	if g.oldMetadata {
		out.Records = append(out.Records, g.record(kindPartitionMetadata, "", nil))
	}
	ch.tell(len(g.order), g.epoch+1, out)
	return g.epoch + 1
}

// tell says that the group shares its partitions anew, and why.
func (ch *change) tell(members int, epoch int32, out *step.Out) {
	if members -= len(ch.minus); ch.plus != nil {
		members++
	}
	reason := ch.why
	if reason == "" {
		reason = "the topics subscribed to, or their partitions, changed"
	}
	out.Rebalanced = &step.Rebalanced{Protocol: "consumer", Epoch: epoch, Members: members, Reason: reason}
}

// regexesInUse lists the expressions somebody subscribes to after the change, in order.
func (g *Group) regexesInUse(ch *change) []string {
	if len(g.regexes) == 0 && (ch.plus == nil || ch.plus.regex == "") {
		return nil
	}
	var out []string
	for _, expression := range slices.Sorted(maps.Keys(g.regexes)) {
		if g.regexes[expression].members > ch.lost(func(m *member) bool { return m.regex == expression }) {
			out = append(out, expression)
		}
	}
	if ch.plus != nil && ch.plus.regex != "" {
		out = append(out, ch.plus.regex)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// forgetRegexes removes expressions that nobody subscribes to any more.
func (g *Group) forgetRegexes(ch *change, out *step.Out) {
	if len(g.regexes) == 0 {
		return
	}
	used := g.regexesInUse(ch)
	for _, expression := range slices.Sorted(maps.Keys(g.regexes)) {
		if _, ok := slices.BinarySearch(used, expression); !ok && g.regexes[expression].resolved {
			out.Records = append(out.Records, g.record(kindRegex, expression, nil))
		}
	}
}

// lost counts the members that go and for which f is true.
func (ch *change) lost(f func(m *member) bool) (n int) {
	for _, m := range ch.minus {
		if f(m) {
			n++
		}
	}
	return n
}

// names lists the topics subscribed to after the change, in order, each once.
func (g *Group) names(ch *change) []string {
	gone := map[string]int{}
	for _, m := range ch.minus {
		for _, name := range m.topics {
			gone[name]++
		}
	}
	out := make([]string, 0, len(g.topics))
	for name, members := range g.topics {
		if members > gone[name] {
			out = append(out, name)
		}
	}
	if ch.plus != nil {
		out = append(out, ch.plus.topics...)
	}
	for _, expression := range g.regexesInUse(ch) {
		out = append(out, g.matched(expression, ch.resolved)...)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// matched is what an expression matches: as this step found, or as the log has it.
func (g *Group) matched(expression string, resolved []resolution) []string {
	for _, r := range resolved {
		if r.expression == expression {
			return r.topics
		}
	}
	if r := g.regexes[expression]; r != nil {
		return r.topics
	}
	return nil
}

// topicIDs lists the topics m subscribes to that exist, in order of id.
func (g *Group) topicIDs(m *member, resolved []resolution) []protocol.TopicID {
	out := make([]protocol.TopicID, 0, len(m.topics))
	add := func(names []string) {
		for _, name := range names {
			if t, ok := g.img.Topic(name); ok {
				out = append(out, t.ID)
			}
		}
	}
	add(m.topics)
	if m.regex != "" {
		add(g.matched(m.regex, resolved))
	}
	slices.SortFunc(out, compareTopics)
	return slices.Compact(out)
}

// hashTopics is a number that changes when a topic appears, vanishes, is created anew or grows; 0 if none exists. Kafka's is another
// hash of the same facts and of racks, so a log of Kafka costs one rebalance when it is adopted. Source: Utils.computeGroupHash.
func hashTopics(names []string, img *image.Image) int64 {
	var h xxhash.Digest
	var n [4]byte
	h.Reset()
	none := true
	for _, name := range names {
		t, ok := img.Topic(name)
		if !ok {
			continue
		}
		none = false
		h.WriteString(name)
		h.Write(t.ID[:])
		binary.BigEndian.PutUint32(n[:], uint32(t.NumPartitions()))
		h.Write(n[:])
	}
	if none {
		return 0
	}
	return int64(h.Sum64())
}

// compile makes an expression that must match all of a name. RE2 is Go's syntax.
func compile(expression string) (*regexp.Regexp, error) {
	if _, err := regexp.Compile(expression); err != nil {
		return nil, err
	}
	return regexp.Compile(`\A(?:` + expression + `)\z`)
}

func (g *Group) validateRegex(expression string) protocol.Fault {
	if expression == "" || g.regexes[expression] != nil {
		return protocol.Fault{}
	}
	if _, err := compile(expression); err != nil {
		reason := err.Error()
		if syntactic := (*syntax.Error)(nil); errors.As(err, &syntactic) {
			reason = syntactic.Code.String()
		}
		return fault(protocol.InvalidRegularExpression, "SubscribedTopicRegex `%s` is not a valid regular expression: %s.", expression, reason)
	}
	return protocol.Fault{}
}

// match lists the topics an expression matches, in order. One in the log that cannot be understood matches nothing.
func (g *Group) match(expression string, img *image.Image) (out []string) {
	r := g.regexes[expression]
	var re *regexp.Regexp
	if r != nil {
		re = r.compiled
	}
	if re == nil {
		var err error
		if re, err = compile(expression); err != nil {
			return nil
		}
		if r != nil {
			r.compiled = re
		}
	}
	for t := range img.EachTopic {
		if re.MatchString(t.Name) {
			out = append(out, t.Name)
		}
	}
	return out
}

// MetadataChanged looks whether topics of the group changed. The actor may call it, as it would call Tick, when the image's topics
// change, so that the target is ready when members ask; every heartbeat looks too.
func (g *Group) MetadataChanged(now step.Now, out *step.Out) {
	g.img = now.Image
	if g.mustLook(now) {
		g.look(now, &change{}, out)
	}
}
