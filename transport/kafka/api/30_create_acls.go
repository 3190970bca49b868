package api

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/troupe-broker/troupe/actors/protocol"
)

// CreateAcls: v1-3.
//
// Behaviour:
//   - There is no authorizer to follow a rule: each is SECURITY_DISABLED.
//
// Version history:
//   - v1: prefixed resources (KIP-290); v2: flexible; v3: resources of users (KIP-373)
//
// Source: AclApis.handleCreateAcls.

// noAuthorizer is the reason why a rule can neither be made nor deleted.
const noAuthorizer = "No Authorizer is configured."

func handleCreateAcls(c *Call) {
	req := kmsg.NewPtrCreateACLsRequest()
	if !c.read(req) {
		return
	}
	out := kmsg.NewPtrCreateACLsResponse()
	for range req.Creations {
		out.Results = append(out.Results, kmsg.CreateACLsResponseResult{ErrorCode: c.failed(protocol.SecurityDisabled), ErrorMessage: textOrNull(noAuthorizer)})
	}
	c.reply(out)
}
