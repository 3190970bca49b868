package api

import (
	"strconv"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/troupe-broker/troupe/actors/protocol"
)

// AlterConfigs: v0-2. Replaces all settings of topics, groups and brokers by those given. Deprecated by Kafka: two tools that do this
// to one topic undo each other's work.
//
// Behaviour:
//   - Checked and applied by the controller, with validate_only or without. A resource that comes twice is INVALID_REQUEST.
//
// Version history:
//   - v2: flexible
//
//   - Another broker's id is INVALID_REQUEST: a broker changes its own settings, and those of all under the empty name.
//   - Broker loggers are INVALID_REQUEST, as in Kafka: only IncrementalAlterConfigs takes them.
//
// Skipped: client metrics, which are INVALID_REQUEST.
//
// Source: KafkaApis.processLegacyAlterConfigsRequest, ConfigurationControlManager.legacyAlterConfigs.

func handleAlterConfigs(c *Call) {
	req := kmsg.NewPtrAlterConfigsRequest()
	if !c.read(req) {
		return
	}
	cmd := &protocol.AlterConfigs{Replace: true, ValidateOnly: req.ValidateOnly, By: c.requester()}
	for i := range req.Resources {
		r := &req.Resources[i]
		to := protocol.AlterResource{Type: protocol.ResourceType(r.ResourceType), Name: r.ResourceName}
		for _, e := range r.Configs {
			to.Ops = append(to.Ops, protocol.AlterOp{Op: protocol.ConfigSet, ConfigEntry: entry(e.Name, e.Value)})
		}
		cmd.Resources = append(cmd.Resources, to)
	}
	out := kmsg.NewPtrAlterConfigsResponse()
	c.alter(cmd, func(results []protocol.ResourceResult) {
		for _, r := range results {
			row := kmsg.NewAlterConfigsResponseResource()
			row.ResourceType, row.ResourceName = kmsg.ConfigResourceType(r.Type), r.Name
			row.ErrorCode, row.ErrorMessage = c.failed(r.Code), messageOf(r.Fault)
			out.Resources = append(out.Resources, row)
		}
		c.reply(out)
	})
}

// alterWait is how long the controller may take: these requests name no timeout.
const alterWait = timeoutDefault

// alter has the resources changed that can be, and calls done with one result for each, in order.
func (c *Call) alter(cmd *protocol.AlterConfigs, done func([]protocol.ResourceResult)) {
	type id struct {
		kind protocol.ResourceType
		name string
	}
	times := map[id]int{}
	for _, r := range cmd.Resources {
		times[id{r.Type, r.Name}]++
	}
	results := make([]protocol.ResourceResult, len(cmd.Resources))
	good := cmd.Resources[:0:0]
	var places []int
	for i, r := range cmd.Resources {
		results[i] = protocol.ResourceResult{Type: r.Type, Name: r.Name}
		if results[i].Reason = c.badAlteration(r, cmd.Replace, times[id{r.Type, r.Name}]); results[i].Reason != "" {
			results[i].Code = protocol.InvalidRequest
			continue
		}
		if r.Type == protocol.ResourceBrokerLogger {
			results[i].Fault = c.alterLoggers(r, cmd.ValidateOnly)
			continue
		}
		good, places = append(good, r), append(places, i)
	}
	if len(good) == 0 {
		done(results)
		return
	}
	cmd.Resources = good
	c.Conn.askController(cmd, alterWait, func(reply any, code protocol.Code) {
		altered, _ := reply.(*protocol.ConfigsAltered)
		for n, i := range places {
			results[i].Fault = protocol.Fault{Code: code}
			if altered != nil && n < len(altered.Resources) {
				results[i].Fault = altered.Resources[n].Fault
			}
		}
		done(results)
	})
}

// badAlteration is what is wrong with a change before anybody looks at its keys.
func (c *Call) badAlteration(r protocol.AlterResource, replace bool, times int) string {
	if times > 1 {
		return "Each resource must appear at most once."
	}
	switch r.Type {
	case protocol.ResourceTopic:
		if r.Name == "" {
			return "Default topic resources are not allowed."
		}
	case protocol.ResourceBrokerLogger:
		if replace {
			return "Unknown resource type " + strconv.Itoa(int(r.Type))
		}
	case protocol.ResourceBroker:
		if reason := c.Conn.otherBroker(r.Name); reason != "" {
			return reason
		}
	case protocol.ResourceGroup:
		if r.Name == "" {
			return "Default group resources are not allowed."
		}
	default:
		return "Unknown resource type " + strconv.Itoa(int(r.Type))
	}
	seen := map[string]bool{}
	for _, op := range r.Ops {
		switch {
		case op.Op < protocol.ConfigSet || op.Op > protocol.ConfigSubtract:
			return "Unknown operation " + strconv.Itoa(int(op.Op)) + " for config " + strconv.Quote(op.Key)
		case op.Null && op.Op != protocol.ConfigDelete:
			return "Null value not supported for : " + op.Key
		case seen[op.Key]:
			return "Error due to duplicate config keys"
		}
		seen[op.Key] = true
	}
	return ""
}

// otherBroker says why a broker's settings are not changed here: the name is not the id of this one, nor that of the defaults of all.
// Source: ConfigAdminManager.preprocess.
func (s *Server) otherBroker(name string) string {
	if name == "" {
		return ""
	}
	id, err := strconv.ParseInt(name, 10, 32)
	switch {
	case err != nil:
		return "Node id must be an integer, but it is: " + name
	case protocol.NodeID(id) != s.NodeID:
		return "Unexpected broker id, expected " + strconv.Itoa(int(s.NodeID)) + ", but received " + strconv.FormatInt(id, 10)
	}
	return ""
}
