package main

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// memberPatience is how long a member without partitions waits before it takes that for all it gets: others may still have to give some up.
const memberPatience = 5 * time.Second

// member reads as one member of a group. A broker that restarts, or a coordinator that moves, is waited for.
type member struct {
	app    *app
	flags  *consumeFlags
	within offsetRange
	done   bool // --exit-at-end: everything that was there is read

	ends   []assignment // of all partitions of the topics when the command began; nil without --exit-at-end
	since  time.Time    // when the assignment changed last
	upset  bool         // what is wrong was said
	mu     sync.Mutex
	owned  map[topicPartition]bool // guarded by mu
	change bool                    // guarded by mu: owned changed since the tracker was made
	track  *tracker
}

// options let the client tell which partitions the member has.
func (m *member) options() []kgo.Opt {
	m.owned = map[topicPartition]bool{}
	note := func(mine bool) func(context.Context, *kgo.Client, map[string][]int32) {
		return func(_ context.Context, _ *kgo.Client, parts map[string][]int32) {
			m.mu.Lock()
			defer m.mu.Unlock()
			m.change = true
			for topic, list := range parts {
				for _, p := range list {
					if mine {
						m.owned[topicPartition{topic, p}] = true
					} else {
						delete(m.owned, topicPartition{topic, p})
					}
				}
			}
		}
	}
	return []kgo.Opt{kgo.OnPartitionsAssigned(note(true)), kgo.OnPartitionsRevoked(note(false)), kgo.OnPartitionsLost(note(false)), kgo.KeepControlRecords()}
}

// begin notes where the partitions end now.
func (m *member) begin(ctx context.Context, c *client, topics []string) error {
	m.since = time.Now()
	if !m.within.atEnd {
		return nil
	}
	ctx, cancel := c.within(ctx)
	defer cancel()
	topics, err := selectTopics(ctx, c, topics, m.flags.regex)
	if err != nil {
		return err
	}
	m.ends, err = resolve(ctx, c, topics, nil, m.within, m.flags.committed)
	return err
}

// poll waits for records once, prints and commits them.
func (m *member) poll(ctx context.Context, c *client, out *sink) error {
	wait := ctx
	if m.within.atEnd {
		var cancel context.CancelFunc
		wait, cancel = context.WithTimeout(ctx, time.Second)
		defer cancel()
	}
	fetches := c.PollFetches(wait)
	defer c.AllowRebalance()
	if ctx.Err() != nil {
		return nil
	}
	if err := m.heals(c, fetchError(fetches)); err != nil {
		return err
	}
	printed, err := out.putAll(fetches)
	if err != nil {
		return err
	}
	if err := m.heals(c, c.commit(ctx, printed)); err != nil {
		return err
	}
	if len(printed) > 0 {
		m.upset = false
	}
	if m.within.atEnd {
		return m.heals(c, m.look(ctx, c, printed))
	}
	return nil
}

// heals passes over, with a line, what goes away by itself: the broker restarts, the coordinator moves, the group rebalances. What was
// printed and could not be committed is printed again.
func (m *member) heals(c *client, err error) error {
	if err == nil || !healing(err) {
		return err
	}
	if !m.upset {
		m.upset = true
		m.app.say("troupe: the group is interrupted (%s); waiting for it", explain(c.explain(err)).Error())
	}
	return nil
}

// healing reports whether waiting helps.
func healing(err error) bool {
	var code *kerr.Error
	var wire net.Error
	switch {
	case errors.As(err, &code):
		switch code {
		case kerr.RebalanceInProgress, kerr.IllegalGeneration, kerr.UnknownMemberID, kerr.FencedMemberEpoch, kerr.StaleMemberEpoch, kerr.GroupIDNotFound:
			return true
		}
		return code.Retriable
	case errors.As(err, &wire), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, net.ErrClosed), errors.Is(err, context.DeadlineExceeded):
		return true
	}
	var session *kgo.ErrGroupSession
	return errors.As(err, &session)
}

// look finds out whether the member has read all that was there of the partitions that it has now. What other members have is theirs to read.
func (m *member) look(ctx context.Context, c *client, printed []*kgo.Record) error {
	ctx, cancel := c.within(ctx)
	defer cancel()
	m.mu.Lock()
	changed := m.change
	m.change = false
	mine := make(map[topicPartition]bool, len(m.owned))
	for tp := range m.owned {
		mine[tp] = true
	}
	m.mu.Unlock()
	if changed || m.track == nil {
		if err := m.start(ctx, c, mine); err != nil {
			m.mu.Lock()
			m.change = true // once more
			m.mu.Unlock()
			return err
		}
		m.since = time.Now()
	}
	for _, r := range printed {
		m.track.take(r)
	}
	if len(printed) == 0 {
		if err := m.track.probeEnds(ctx, c, m.flags.committed); err != nil {
			return err
		}
	}
	m.done = len(m.track.open) == 0 && (len(mine) > 0 || time.Since(m.since) > memberPatience)
	return nil
}

// start makes the tracker of the partitions the member has, from where the group is.
func (m *member) start(ctx context.Context, c *client, mine map[topicPartition]bool) error {
	committed, err := c.admin.FetchOffsets(ctx, m.flags.group)
	if err != nil && !errors.Is(err, kerr.GroupIDNotFound) {
		return err
	}
	var parts []assignment
	for _, a := range m.ends {
		if !mine[topicPartition{a.topic, a.partition}] {
			continue
		}
		if o, ok := committed.Lookup(a.topic, a.partition); ok && o.At >= 0 {
			a.from = o.At // -o only says where a group begins that has committed nothing
		}
		parts = append(parts, a)
	}
	m.track = newTracker(parts)
	return nil
}
