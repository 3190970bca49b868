package api

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/troupe-broker/troupe/actors/protocol"
)

// DeleteAcls: v1-3.
//
// Behaviour:
//   - There is no authorizer and so no rule that a filter could match: each filter is SECURITY_DISABLED.
//
// Version history:
//   - v1: prefixed resources (KIP-290); v2: flexible; v3: resources of users (KIP-373)
//
// Source: AclApis.handleDeleteAcls.

func handleDeleteAcls(c *Call) {
	req := kmsg.NewPtrDeleteACLsRequest()
	if !c.read(req) {
		return
	}
	out := kmsg.NewPtrDeleteACLsResponse()
	for range req.Filters {
		row := kmsg.NewDeleteACLsResponseResult()
		row.ErrorCode, row.ErrorMessage = c.failed(protocol.SecurityDisabled), textOrNull(noAuthorizer)
		out.Results = append(out.Results, row)
	}
	c.reply(out)
}
