package api

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/troupe-broker/troupe/actors/protocol"
)

// DescribeAcls: v1-3.
//
// Behaviour:
//   - There is no authorizer: everybody may do everything, there are no rules to show, and the answer says so: SECURITY_DISABLED.
//
// Version history:
//   - v1: prefixed resources (KIP-290); v2: flexible; v3: resources of users (KIP-373)
//
// Source: AclApis.handleDescribeAcls.

func handleDescribeAcls(c *Call) {
	req := kmsg.NewPtrDescribeACLsRequest()
	if !c.read(req) {
		return
	}
	out := kmsg.NewPtrDescribeACLsResponse()
	out.ErrorCode, out.ErrorMessage = c.failed(protocol.SecurityDisabled), textOrNull("No Authorizer is configured on the broker")
	c.reply(out)
}
