package controller

import (
	"time"

	"github.com/troupe-broker/troupe/actors/invariant"
	"github.com/troupe-broker/troupe/actors/mutation"
	"github.com/troupe-broker/troupe/actors/protocol"
	"github.com/troupe-broker/troupe/cluster/config"
	"github.com/troupe-broker/troupe/cluster/image"
)

// Now is what a decision takes from the world.
type Now struct {
	Wall time.Time
	// Rand is 64 bits of chance at each call; topic ids are made of it.
	Rand func() uint64
	// Static are the settings of the controller's broker, sorted (config.Sort): defaults of topics come from them.
	Static []protocol.ConfigEntry
	// Self is the node that decides.
	Self protocol.NodeID
}

// Decided is what follows from a command.
type Decided struct {
	// Records to fold, in order; none if nothing changes.
	Records []image.Record
	// Answer is the reply, to be sent to ReplyTo of the command's Head when the records are in force; nil if the command is none of
	// this package's.
	Head   protocol.Head
	Answer any
	// Events are what the log tells of Records when they are in force.
	Events []Event
}

// Decide decides one command against an image. It changes neither; what it returns shares memory with the command.
func Decide(img *image.Image, now Now, command any) Decided {
	d := &decider{img: img, now: now}
	switch c := command.(type) {
	case *protocol.CreateTopics:
		return d.reply(c.Head, c.By, d.createTopics(c))
	case *protocol.DeleteTopics:
		return d.reply(c.Head, c.By, d.deleteTopics(c))
	case *protocol.CreatePartitions:
		return d.reply(c.Head, c.By, d.createPartitions(c))
	case *protocol.AlterConfigs:
		return d.reply(c.Head, c.By, d.alterConfigs(c))
	case *protocol.AlterScramCredentials:
		return d.reply(c.Head, c.By, d.alterScramCredentials(c))
	case *protocol.AllocateProducerIDs:
		return d.reply(c.Head, protocol.Requester{}, d.allocateProducerIDs(c))
	}
	return Decided{}
}

// decider is one decision under way.
type decider struct {
	img     *image.Image
	now     Now
	records []image.Record
	broker  *config.Broker // nil until asked for
}

func (d *decider) reply(head protocol.Head, by protocol.Requester, answer any) Decided {
	return Decided{Records: d.records, Head: head, Answer: answer, Events: Events(d.img, by, d.records)}
}

func (d *decider) add(records ...image.Record) { d.records = append(d.records, records...) }

// values are the settings in force on the deciding node.
func (d *decider) values() config.Values {
	return config.Values{Static: d.now.Static, Default: d.img.DefaultBrokerConfig(), Dynamic: d.img.BrokerConfig(d.now.Self)}
}

// defaults are those settings, read.
func (d *decider) defaults() *config.Broker {
	if d.broker == nil {
		b, err := config.NewBroker(d.values())
		invariant.Check(err == nil, "the settings of broker %d, checked when they were made, cannot be read: %v", d.now.Self, err)
		d.broker = b
	}
	return d.broker
}

func fault(code protocol.Code, reason string) protocol.Fault {
	return protocol.Fault{Code: code, Reason: reason}
}

// producerIDBlock is how many producer ids are given out at once. Source: ProducerIdsBlock.PRODUCER_ID_BLOCK_SIZE.
const producerIDBlock = 1000

func (d *decider) allocateProducerIDs(c *protocol.AllocateProducerIDs) *protocol.ProducerIDsAllocated {
	first := d.img.NextProducerID
	out := &protocol.ProducerIDsAllocated{Answer: protocol.Answer{ID: c.ID}}
	if first+producerIDBlock < first {
		out.Fault = fault(protocol.UnknownServerError, "Exhausted all producerIds as the next block's end producerId has exceeded the int64 type limit")
		return out
	}
	if mutation.Is(mutation.ProducerIDsAgain) {
		out.First, out.Count = first, producerIDBlock
		return out
	}
	d.add(&image.ProducerIDsReserved{Node: d.now.Self, First: first, Next: first + producerIDBlock})
	out.First, out.Count = first, producerIDBlock
	return out
}
