package api

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/troupe-broker/troupe/actors/protocol"
)

// IncrementalAlterConfigs: v0-1. Sets, deletes, appends to and subtracts from single settings of topics, groups and brokers (KIP-339), and levels
// of the broker's loggers (KIP-412).
//
// Behaviour:
//   - As AlterConfigs, but what is not named stays. A key that comes twice in a resource is INVALID_REQUEST.
//
// Version history:
//   - v1: flexible
//
// Source: ConfigurationControlManager.incrementalAlterConfigs.

func handleIncrementalAlterConfigs(c *Call) {
	req := kmsg.NewPtrIncrementalAlterConfigsRequest()
	if !c.read(req) {
		return
	}
	cmd := &protocol.AlterConfigs{ValidateOnly: req.ValidateOnly, By: c.requester()}
	for i := range req.Resources {
		r := &req.Resources[i]
		to := protocol.AlterResource{Type: protocol.ResourceType(r.ResourceType), Name: r.ResourceName}
		for _, e := range r.Configs {
			to.Ops = append(to.Ops, protocol.AlterOp{Op: protocol.ConfigOp(e.Op), ConfigEntry: entry(e.Name, e.Value)})
		}
		cmd.Resources = append(cmd.Resources, to)
	}
	out := kmsg.NewPtrIncrementalAlterConfigsResponse()
	c.alter(cmd, func(results []protocol.ResourceResult) {
		for _, r := range results {
			row := kmsg.NewIncrementalAlterConfigsResponseResource()
			row.ResourceType, row.ResourceName = kmsg.ConfigResourceType(r.Type), r.Name
			row.ErrorCode, row.ErrorMessage = c.failed(r.Code), messageOf(r.Fault)
			out.Resources = append(out.Resources, row)
		}
		c.reply(out)
	})
}
