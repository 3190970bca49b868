package group

import (
	"strings"
	"time"

	"github.com/troupe-broker/troupe/actors"
	"github.com/troupe-broker/troupe/actors/protocol"
	"github.com/troupe-broker/troupe/cluster"
	"github.com/troupe-broker/troupe/cluster/config"
	"github.com/troupe-broker/troupe/group/classic"
	"github.com/troupe-broker/troupe/group/consumer"
	"github.com/troupe-broker/troupe/partition"
)

// The internal topics. Source: org.apache.kafka.common.internals.Topic.
const (
	OffsetsTopic      = "__consumer_offsets"
	TransactionsTopic = "__transaction_state"
)

// kind tells the coordinators of the two internal topics apart.
type kind uint8

const (
	groups kind = iota
	transactions
	kinds
)

func (k kind) topic() string {
	if k == groups {
		return OffsetsTopic
	}
	return TransactionsTopic
}

// Config is what the coordinators of a node need of the rest of it.
type Config struct {
	Node        protocol.NodeID
	Table       *partition.Table
	Images      *cluster.Images
	Directory   *Directory
	Controller  func() actors.PID
	ProducerIDs actors.PID // see cluster.NewProducerIDs
	Metrics     *Metrics   // may be nil
}

// place is what all shards of a node share.
type place struct {
	Config
	host       actors.PID
	population population
}

// settings are the broker's as they are now; read for every use, as dynamic ones may change.
func (p *place) settings() *config.Broker { return p.Images.Broker() }

func (p *place) classicConfig() classic.Config {
	b := p.settings()
	return classic.Config{
		MinSession: b.Duration("group.min.session.timeout.ms"), MaxSession: b.Duration("group.max.session.timeout.ms"),
		InitialDelay: b.Duration("group.initial.rebalance.delay.ms"), MaxSize: int(b.Int("group.max.size")),
	}
}

func (p *place) consumerConfig(id string) consumer.Config {
	b := p.settings()
	own := config.ResolveGroup(b, p.Images.Load().GroupConfig(id))
	return consumer.Config{
		SessionTimeout: own.ConsumerSession, HeartbeatInterval: own.ConsumerHeartbeat,
		MaxSize: int(b.Int("group.consumer.max.size")), Assignors: b.List("group.consumer.assignors"),
		RegexRefresh: b.Duration("group.consumer.regex.refresh.interval.ms"), NoClassic: strings.EqualFold(b.String("group.consumer.migration.policy"), "disabled"),
	}
}

// appendWait is how long an append may take until its fate counts as unknown. Source: offsets.commit.timeout.ms, and for transactions
// the same, where Kafka has the request.timeout.ms of nobody in particular.
func (p *place) appendWait() time.Duration { return p.settings().Duration("offsets.commit.timeout.ms") }
