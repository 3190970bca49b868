package api

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/troupe-broker/troupe/actors/protocol"
)

// DeleteTopics: v1-6.
//
// Behaviour:
//   - By name, from v6 also by id; both or neither is INVALID_REQUEST, as is a topic that is named twice, be it by name and by id.
//   - The answer comes when Metadata no longer shows the topic.
//
// Version history:
//   - v4: flexible; v5: error message and THROTTLING_QUOTA_EXCEEDED (KIP-599); v6: topic ids (KIP-516)
//
// Source: ControllerApis.deleteTopics.

func handleDeleteTopics(c *Call) {
	req := kmsg.NewPtrDeleteTopicsRequest()
	if !c.read(req) {
		return
	}
	if c.Version < 6 {
		for i := range req.TopicNames {
			req.Topics = append(req.Topics, kmsg.DeleteTopicsRequestTopic{Topic: &req.TopicNames[i]})
		}
	}
	out := kmsg.NewPtrDeleteTopicsResponse()
	cmd := &protocol.DeleteTopics{Timeout: timeout(req.TimeoutMillis), By: c.requester()}
	counts := map[protocol.TopicRef]int{}
	for _, t := range req.Topics {
		counts[refOf(t)]++
	}
	for _, t := range req.Topics {
		ref := refOf(t)
		switch fault := badRef(t, counts[ref]); {
		case counts[ref] == 0: // told already
		case fault.Failed():
			counts[ref] = 0
			out.Topics = append(out.Topics, c.deletedRow(protocol.TopicResult{Name: ref.Name, ID: ref.ID, Fault: fault}, t.Topic))
		default:
			cmd.Topics = append(cmd.Topics, ref)
		}
	}
	if len(cmd.Topics) == 0 {
		c.reply(out)
		return
	}
	c.Conn.askController(cmd, cmd.Timeout, func(reply any, code protocol.Code) {
		deleted, _ := reply.(*protocol.TopicsDeleted)
		for i, ref := range cmd.Topics {
			result := protocol.TopicResult{Name: ref.Name, ID: ref.ID, Fault: protocol.Fault{Code: code}}
			if deleted != nil && i < len(deleted.Topics) {
				result = deleted.Topics[i]
			}
			name := textOrNull(result.Name)
			if name == nil && ref.ID.IsZero() {
				name = new(string)
			}
			out.Topics = append(out.Topics, c.deletedRow(result, name))
		}
		c.reply(out)
	})
}

func refOf(t kmsg.DeleteTopicsRequestTopic) (ref protocol.TopicRef) {
	ref.ID = t.TopicID
	if t.Topic != nil {
		ref.Name = *t.Topic
	}
	return ref
}

// badRef is what is wrong with how a topic is named.
func badRef(t kmsg.DeleteTopicsRequestTopic, times int) protocol.Fault {
	reason := ""
	switch byID := t.TopicID != [16]byte{}; {
	case byID && t.Topic != nil:
		reason = "You may not specify both topic name and topic id."
	case !byID && t.Topic == nil:
		reason = "Neither topic name nor id were specified."
	case times > 1 && byID:
		reason = "Duplicate topic id."
	case times > 1:
		reason = "Duplicate topic name."
	default:
		return protocol.Fault{}
	}
	return protocol.Fault{Code: protocol.InvalidRequest, Reason: reason}
}

func (c *Call) deletedRow(r protocol.TopicResult, name *string) kmsg.DeleteTopicsResponseTopic {
	row := kmsg.NewDeleteTopicsResponseTopic()
	row.Topic, row.TopicID, row.ErrorCode, row.ErrorMessage = name, r.ID, c.failed(r.Code), messageOf(r.Fault)
	if row.Topic == nil && c.Version < 6 {
		row.Topic = new(string)
	}
	return row
}
