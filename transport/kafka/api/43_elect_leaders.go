package api

import (
	"strconv"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/troupe-broker/troupe/actors/protocol"
)

// ElectLeaders: v0-2. Asks for an election of leaders (KIP-183, KIP-460).
//
// Behaviour:
//   - A partition has one replica, which leads it or is offline: no election is needed, or there is nobody else to elect. So nothing is
//     ever done. For all partitions (null topics) the answer lists all topics, and of their partitions those that are offline.
//
// Version history:
//   - v1: unclean elections, an error of the whole answer (KIP-460); v2: flexible
//
// Source: ReplicationControlManager.electLeaders.

const (
	electionNotNeeded          protocol.Code = 84
	preferredLeaderUnavailable protocol.Code = 80
	eligibleLeadersUnavailable protocol.Code = 83

	electPreferred = 0
	electUnclean   = 1
)

func handleElectLeaders(c *Call) {
	req := kmsg.NewPtrElectLeadersRequest()
	if !c.read(req) {
		return
	}
	out := kmsg.NewPtrElectLeadersResponse()
	out.Topics = []kmsg.ElectLeadersResponseTopic{}
	switch {
	case c.Version >= 1 && req.ElectionType != electPreferred && req.ElectionType != electUnclean:
		out.ErrorCode = c.failed(protocol.InvalidRequest)
		out.Topics = unelected(req, c.failed(protocol.InvalidRequest), "Unknown election type "+strconv.Itoa(int(req.ElectionType)))
	case req.Topics == nil:
		out.Topics = c.offline(req.ElectionType)
	default:
		for _, t := range req.Topics {
			out.Topics = append(out.Topics, c.elected(t, req.ElectionType))
		}
	}
	c.reply(out)
}

// elected is the answer for some partitions of a topic.
func (c *Call) elected(t kmsg.ElectLeadersRequestTopic, kind int8) kmsg.ElectLeadersResponseTopic {
	row := kmsg.ElectLeadersResponseTopic{Topic: t.Topic}
	topic, known := c.Conn.Images.Load().Topic(t.Topic)
	for _, number := range t.Partitions {
		fault := protocol.Fault{Code: protocol.UnknownTopicOrPartition, Reason: "No such topic as " + t.Topic}
		if known {
			fault = c.Conn.election(t.Topic, topic.ID, number, kind)
		}
		row.Partitions = append(row.Partitions, kmsg.ElectLeadersResponseTopicPartition{Partition: number, ErrorCode: c.failed(fault.Code), ErrorMessage: messageOf(fault)})
	}
	return row
}

// election says why no leader is elected.
func (s *Server) election(name string, id protocol.TopicID, number int32, kind int8) protocol.Fault {
	topic, ok := s.Images.Load().TopicByID(id)
	if !ok {
		return protocol.Fault{Code: protocol.UnknownTopicOrPartition, Reason: "No such topic as " + name}
	}
	p, ok := topic.Partition(number)
	switch {
	case !ok:
		return protocol.Fault{Code: protocol.UnknownTopicOrPartition, Reason: "No such partition as " + name + "-" + strconv.Itoa(int(number))}
	case p.Leader != protocol.NoNode:
		return protocol.Fault{Code: electionNotNeeded}
	case kind == electUnclean:
		return protocol.Fault{Code: eligibleLeadersUnavailable}
	}
	return protocol.Fault{Code: preferredLeaderUnavailable}
}

// unelected are rows for everything a request names, with a code and the reason.
func unelected(req *kmsg.ElectLeadersRequest, code int16, reason string) []kmsg.ElectLeadersResponseTopic {
	out := []kmsg.ElectLeadersResponseTopic{}
	for _, t := range req.Topics {
		row := kmsg.ElectLeadersResponseTopic{Topic: t.Topic}
		for _, number := range t.Partitions {
			row.Partitions = append(row.Partitions, kmsg.ElectLeadersResponseTopicPartition{Partition: number, ErrorCode: code, ErrorMessage: &reason})
		}
		out = append(out, row)
	}
	return out
}

// offline are all topics, with their partitions without a leader.
func (c *Call) offline(kind int8) []kmsg.ElectLeadersResponseTopic {
	out := []kmsg.ElectLeadersResponseTopic{}
	for t := range c.Conn.Images.Load().EachTopic {
		ask := kmsg.ElectLeadersRequestTopic{Topic: t.Name}
		for number := range t.NumPartitions() {
			if p, ok := t.Partition(number); ok && p.Leader == protocol.NoNode {
				ask.Partitions = append(ask.Partitions, number)
			}
		}
		out = append(out, c.elected(ask, kind))
	}
	return out
}
