package api

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/troupe-broker/troupe/actors/protocol"
)

// CreatePartitions: v0-3. Grows topics (KIP-195).
//
// Behaviour:
//   - The controller decides; one row a topic, in the order asked. A topic that is named twice is INVALID_REQUEST, once.
//
// Version history:
//   - v2: flexible; v3: THROTTLING_QUOTA_EXCEEDED (KIP-599)
//
// Source: ControllerApis.createPartitions.

func handleCreatePartitions(c *Call) {
	req := kmsg.NewPtrCreatePartitionsRequest()
	if !c.read(req) {
		return
	}
	out := kmsg.NewPtrCreatePartitionsResponse()
	cmd := &protocol.CreatePartitions{ValidateOnly: req.ValidateOnly, Timeout: timeout(req.TimeoutMillis), By: c.requester()}
	names := make([]string, len(req.Topics))
	for i := range req.Topics {
		names[i] = req.Topics[i].Topic
	}
	twice := repeated(names)
	for i := range req.Topics {
		t := &req.Topics[i]
		if first, ok := twice[t.Topic]; ok {
			if first == i {
				out.Topics = append(out.Topics, c.grownRow(t.Topic, duplicateTopic))
			}
			continue
		}
		grow := protocol.GrowTopic{Name: t.Topic, Count: t.Count}
		for _, a := range t.Assignment {
			grow.Assignments = append(grow.Assignments, nodes(a.Replicas))
		}
		cmd.Topics = append(cmd.Topics, grow)
	}
	if len(cmd.Topics) == 0 {
		c.reply(out)
		return
	}
	c.Conn.askController(cmd, cmd.Timeout, func(reply any, code protocol.Code) {
		grown, _ := reply.(*protocol.PartitionsCreated)
		for i := range cmd.Topics {
			fault := protocol.Fault{Code: code}
			if grown != nil && i < len(grown.Topics) {
				fault = grown.Topics[i].Fault
			}
			out.Topics = append(out.Topics, c.grownRow(cmd.Topics[i].Name, fault))
		}
		c.reply(out)
	})
}

func (c *Call) grownRow(name string, f protocol.Fault) kmsg.CreatePartitionsResponseTopic {
	row := kmsg.NewCreatePartitionsResponseTopic()
	row.Topic, row.ErrorCode, row.ErrorMessage = name, c.failed(f.Code), textOrNull(f.Reason)
	return row
}
