package api

import (
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/troupe-broker/troupe/actors"
	"github.com/troupe-broker/troupe/actors/protocol"
	"github.com/troupe-broker/troupe/cluster/image"
)

// What the requests to group coordinators share.

const (
	// groupWait is how long a coordinator may take for what it answers at once or when its records are committed. It gives up itself
	// long before (offsets.commit.timeout.ms); this is for the case that it is gone.
	groupWait = 30 * time.Second
	// rebalanceWait is the least that a member may wait for the others. The coordinator ends the wait itself, by its longest rebalance
	// timeout, which only it knows; this is for the case that it is gone.
	rebalanceWait = 10 * time.Minute
	// groupIDMax is what the records of a group can hold, in bytes.
	groupIDMax = 1<<15 - 1

	groupOperations = 0x0d48 // read delete describe describeConfigs alterConfigs
)

// groupCommand is a command to a group coordinator that knows its answer for a failure.
type groupCommand interface {
	actors.Command
	Failed(protocol.Code) any
}

// askGroup sends a command to the coordinator of a group and calls done once, now or later: with its answer, or with that which the
// command has for a failure.
func askGroup[R any](c *Call, id string, cmd groupCommand, wait time.Duration, done func(R)) {
	if len(id) > groupIDMax {
		done(cmd.Failed(protocol.InvalidGroupID).(R))
		return
	}
	shard, code := c.Conn.Coordinators.Group(id)
	if code != protocol.None {
		done(cmd.Failed(code).(R))
		return
	}
	askShard(c, shard, cmd, wait, done)
}

// askShard is askGroup at a shard that is known.
func askShard[R any](c *Call, shard actors.PID, cmd groupCommand, wait time.Duration, done func(R)) {
	c.Conn.Host.Ask(shard, cmd, wait, func(reply any, err error) {
		m, ok := reply.(R)
		if err != nil || !ok {
			m = cmd.Failed(coordinatorNotAvailable).(R)
		}
		done(m)
	})
}

// member says who speaks.
func (c *Call) member(group, member string, instance *string) protocol.Member {
	if c.Conn.host == "" {
		c.Conn.host = hostText(c.Conn.Peer.Remote.Addr())
	}
	return protocol.Member{GroupID: group, MemberID: member, InstanceID: text(instance), ClientID: c.Client, ClientHost: c.Conn.host}
}

// text is a nullable string whose null means nothing else than empty.
func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// hostText is an address as Java shows it, and so Kafka its clients: behind a slash, IPv6 with every group.
func hostText(a netip.Addr) string {
	a = a.Unmap().WithZone("")
	if !a.Is6() {
		return "/" + a.String()
	}
	b := a.As16()
	groups := make([]string, 8)
	for i := range groups {
		groups[i] = strconv.FormatUint(uint64(b[2*i])<<8|uint64(b[2*i+1]), 16)
	}
	return "/" + strings.Join(groups, ":")
}

// topicByID is the topic of an id, nil if there is none or the id is zero.
func topicByID(img *image.Image, id protocol.TopicID) *image.Topic {
	if id.IsZero() {
		return nil
	}
	t, _ := img.TopicByID(id)
	return t
}

// hasPartition reports whether the topic, which may be nil, has the partition.
func hasPartition(t *image.Topic, number int32) bool {
	if t == nil {
		return false
	}
	_, ok := t.Partition(number)
	return ok
}
