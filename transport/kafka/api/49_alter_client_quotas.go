package api

import (
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/troupe-broker/troupe/actors/protocol"
)

// AlterClientQuotas: v0-1. Sets and removes quotas of users, client ids and addresses (KIP-546).
//
// Behaviour:
//   - A quota restricts somebody, and none is enforced: setting one is INVALID_REQUEST with the reason, so that nobody believes to be
//     protected. Removing one is done: there is none.
//
// Version history:
//   - v1: flexible
//
// Source: ClientQuotaControlManager.alterClientQuotas.

func handleAlterClientQuotas(c *Call) {
	req := kmsg.NewPtrAlterClientQuotasRequest()
	if !c.read(req) {
		return
	}
	out := kmsg.NewPtrAlterClientQuotasResponse()
	for _, e := range req.Entries {
		row := kmsg.NewAlterClientQuotasResponseEntry()
		if slices.ContainsFunc(e.Ops, func(op kmsg.AlterClientQuotasRequestEntryOp) bool { return !op.Remove }) {
			row.ErrorCode, row.ErrorMessage = c.failed(protocol.InvalidRequest), textOrNull("Client quotas are not enforced by this broker, so that none can be set.")
		}
		for _, of := range e.Entity {
			row.Entity = append(row.Entity, kmsg.AlterClientQuotasResponseEntryEntity{Type: of.Type, Name: of.Name})
		}
		out.Entries = append(out.Entries, row)
	}
	c.reply(out)
}
