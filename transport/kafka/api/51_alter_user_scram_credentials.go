package api

import (
	"bytes"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/troupe-broker/troupe/actors/protocol"
	"github.com/troupe-broker/troupe/transport/kafka/sasl"
)

// AlterUserScramCredentials: v0. Sets and deletes credentials of users (KIP-554).
//
// Behaviour:
//   - The client sends a salted password. From it come the two keys that are kept; it goes no further than this file.
//   - Each user by itself: one that is named twice is DUPLICATE_RESOURCE, a mechanism nobody knows UNSUPPORTED_SASL_MECHANISM, too few or
//     too many iterations UNACCEPTABLE_CREDENTIAL, a credential to delete that is not there RESOURCE_NOT_FOUND. One row a user.
//   - Answered when the credential counts: who is told so can log in.
//
// Source: ControllerApis.handleAlterUserScramCredentials, ScramControlManager.

func handleAlterUserScramCredentials(c *Call) {
	req := kmsg.NewPtrAlterUserSCRAMCredentialsRequest()
	if !c.read(req) {
		return
	}
	cmd := &protocol.AlterScramCredentials{By: c.requester()}
	for i := range req.Deletions {
		d := &req.Deletions[i]
		cmd.Changes = append(cmd.Changes, protocol.ScramChange{User: d.Name, Mechanism: protocol.ScramMechanism(d.Mechanism), Remove: true})
	}
	for i := range req.Upsertions {
		u := &req.Upsertions[i]
		change := protocol.ScramChange{User: u.Name, Mechanism: protocol.ScramMechanism(u.Mechanism), Iterations: u.Iterations}
		change.Salt = bytes.Clone(u.Salt) // a view of the frame, which is used again
		change.StoredKey, change.ServerKey = sasl.Keys(change.Mechanism, u.SaltedPassword)
		cmd.Changes = append(cmd.Changes, change)
	}
	out := kmsg.NewPtrAlterUserSCRAMCredentialsResponse()
	if len(cmd.Changes) == 0 {
		c.reply(out)
		return
	}
	c.Conn.askController(cmd, alterWait, func(reply any, code protocol.Code) {
		altered, ok := reply.(*protocol.ScramCredentialsAltered)
		if !ok {
			altered = cmd.Failed(code)
		}
		for _, u := range altered.Users {
			row := kmsg.NewAlterUserSCRAMCredentialsResponseResult()
			row.User, row.ErrorCode, row.ErrorMessage = u.User, c.failed(u.Code), messageOf(u.Fault)
			out.Results = append(out.Results, row)
		}
		c.reply(out)
	})
}
