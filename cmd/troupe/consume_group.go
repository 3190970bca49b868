package main

import (
	"context"
	"errors"
	"strings"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Values of --protocol.
const (
	protocolClassic  = "classic"
	protocolConsumer = "consumer"
)

// groupOptions are what consumeFlags ask of a member of a group.
func (f *consumeFlags) groupOptions(topics []string, within offsetRange) ([]kgo.Opt, error) {
	reset := kgo.NewOffset().AtStart()
	switch {
	case within.to.kind != boundOpen || len(f.partitions) > 0: // --exit-at-end is no end of the range
		return nil, usage("leave out -g to read a range of offsets or single partitions", "a group decides itself what its members read")
	case within.from.kind == boundEnd && within.from.n == 0:
		reset = kgo.NewOffset().AtEnd()
	case within.from.kind == boundTime:
		reset = kgo.NewOffset().AfterMilli(within.from.at.UnixMilli())
	case within.from.kind != boundOpen && within.from != (bound{kind: boundStart}):
		return nil, usage("-o start, -o end or -o @TIME, for a group that has committed nothing yet", "a group begins where it left off")
	}
	opts := []kgo.Opt{f.isolation(), kgo.ConsumerGroup(f.group), kgo.ConsumeTopics(topics...), kgo.ConsumeResetOffset(reset), kgo.DisableAutoCommit(), kgo.BlockRebalanceOnPoll()}
	switch f.protocol {
	case protocolClassic:
	case protocolConsumer:
		opts = append(opts, kgo.ServerSideBalancer(), kgo.Balancers(kgo.StickyBalancer())) // the broker's name for this one is uniform
	default:
		return nil, usage("--protocol classic|consumer", "no group protocol %q", f.protocol)
	}
	if f.control {
		opts = append(opts, kgo.KeepControlRecords())
	}
	if f.regex {
		opts = append(opts, kgo.ConsumeRegex())
	}
	return opts, nil
}

// consumeGroup reads as a member of a group until there is enough or ctx ends. What was printed is committed, also when the command
// is interrupted; then the member leaves, so that the others need not wait for its session to expire.
func (a *app) consumeGroup(ctx context.Context, f *consumeFlags, topics []string, within offsetRange, out *sink) error {
	opts, err := f.groupOptions(topics, within)
	if err != nil {
		return err
	}
	m := &member{app: a, flags: f, within: within}
	c, err := a.connect(ctx, append(opts, m.options()...)...)
	if err != nil {
		return err
	}
	defer c.CloseAllowingRebalance()
	if f.protocol == protocolConsumer {
		if err := c.assignsItself(ctx); err != nil {
			return c.explain(err)
		}
	}
	if err := m.begin(ctx, c, topics); err != nil {
		return c.explain(err)
	}
	for !out.full && !m.done {
		if err := m.poll(ctx, c, out); err != nil {
			return errors.Join(noGroups(c.explain(err)), out.print.end())
		}
		if ctx.Err() != nil {
			break
		}
	}
	return errors.Join(out.print.end(), ctx.Err())
}

// commit commits what was printed. An interrupt does not stop it: the records are out, and would be printed again.
func (c *client) commit(ctx context.Context, printed []*kgo.Record) error {
	ctx, cancel := c.within(context.WithoutCancel(ctx))
	defer cancel()
	return c.CommitRecords(ctx, printed...)
}

// assignsItself checks that the broker serves KIP-848. The client library would go back to the classic protocol without a word.
func (c *client) assignsItself(ctx context.Context) error {
	ctx, cancel := c.within(ctx)
	defer cancel()
	versions, err := c.admin.ApiVersions(ctx)
	if err != nil {
		return err
	}
	for _, v := range versions {
		if highest, ok := v.KeyMaxVersion(int16(kmsg.ConsumerGroupHeartbeat)); v.Err == nil && (!ok || highest < 1) {
			return &problem{what: "this broker does not serve the consumer group protocol (KIP-848)", next: "leave out --protocol: the classic one works"}
		}
	}
	return nil
}

// noGroups says in plain words that a broker serves no consumer groups.
func noGroups(err error) error {
	if err == nil || !tooOld(err) {
		return err
	}
	return &problem{what: "this broker serves no consumer groups", next: "consume without -g; its -o says where to begin", cause: err}
}

// tooOld reports whether the broker does not know the request at all.
func tooOld(err error) bool {
	return strings.Contains(err.Error(), "broker is too old") // the client library has no value for it
}

// putAll prints records until the sink is full and returns those it has dealt with.
func (s *sink) putAll(fetches kgo.Fetches) (dealt []*kgo.Record, err error) {
	for iter := fetches.RecordIter(); !iter.Done() && !s.full; {
		r := iter.Next()
		if err := s.put(r); err != nil {
			return dealt, err
		}
		dealt = append(dealt, r)
	}
	return dealt, s.print.flush()
}
