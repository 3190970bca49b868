package api

import (
	"time"

	"github.com/troupe-broker/troupe/actors"
	"github.com/troupe-broker/troupe/actors/protocol"
	"github.com/troupe-broker/troupe/partition"
)

// askGrace is what an answer may take beyond the timeout the request names, before the connection answers for it.
const askGrace = 2 * time.Second

// timeout is the time a request gives, in milliseconds, as a duration; never negative.
func timeout(ms int32) time.Duration { return time.Duration(max(0, ms)) * time.Millisecond }

// askController sends a command to the controller and calls done once: with the answer and None, or with nil and why there is none.
func (c *Conn) askController(cmd actors.Command, wait time.Duration, done func(reply any, code protocol.Code)) {
	to := c.Server.Controller()
	if to.IsZero() {
		done(nil, protocol.NotController)
		return
	}
	c.Host.Ask(to, cmd, wait+askGrace, func(reply any, err error) {
		if err != nil {
			done(nil, protocol.RequestTimedOut)
			return
		}
		done(reply, protocol.None)
	})
}

// join calls done when all of n parts have reported.
type join struct {
	left int
	done func()
}

func (j *join) one() {
	if j.left--; j.left == 0 {
		j.done()
	}
}

// leads finds a partition by topic name and number, if it is led here and can be used.
func (s *Server) leads(topic string, number int32) (*partition.Handle, protocol.Code) {
	t, ok := s.Images.Load().Topic(topic)
	if !ok {
		return nil, protocol.UnknownTopicOrPartition
	}
	h, _, code := s.leaderOf(t, number)
	if code != protocol.None {
		return nil, code
	}
	return h, h.View().Check(protocol.NoLeaderEpoch)
}
