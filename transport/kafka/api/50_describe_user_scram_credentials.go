package api

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/troupe-broker/troupe/actors/protocol"
)

// DescribeUserScramCredentials: v0. Which users have a credential for which mechanism, and with how many iterations (KIP-554); never the
// credential itself.
//
// Behaviour:
//   - No or an empty list of users means all. A user that is named twice is DUPLICATE_RESOURCE, one without credentials
//     RESOURCE_NOT_FOUND; one row a user, in the order asked.
//
// Source: ScramImage.describe.

func handleDescribeUserScramCredentials(c *Call) {
	req := kmsg.NewPtrDescribeUserSCRAMCredentialsRequest()
	if !c.read(req) {
		return
	}
	img := c.Conn.Images.Load()
	var users []string
	times := map[string]int{}
	for _, u := range req.Users {
		if times[u.Name]++; times[u.Name] == 1 {
			users = append(users, u.Name)
		}
	}
	if len(users) == 0 {
		users = img.ScramUsers()
	}
	out := kmsg.NewPtrDescribeUserSCRAMCredentialsResponse()
	out.ErrorMessage = new(string)
	for _, user := range users {
		row := kmsg.NewDescribeUserSCRAMCredentialsResponseResult()
		row.User, row.ErrorMessage = user, new(string)
		for _, m := range []protocol.ScramMechanism{protocol.ScramSHA256, protocol.ScramSHA512} {
			if found, ok := img.Scram(m, user); ok && times[user] < 2 {
				row.CredentialInfos = append(row.CredentialInfos, kmsg.DescribeUserSCRAMCredentialsResponseResultCredentialInfo{Mechanism: int8(m), Iterations: found.Iterations})
			}
		}
		switch {
		case times[user] > 1:
			row.ErrorCode = c.failed(protocol.DuplicateResource)
			row.ErrorMessage = textOrNull("Cannot describe SCRAM credentials for the same user twice in a single request: " + user)
		case len(row.CredentialInfos) == 0:
			row.ErrorCode = c.failed(protocol.ResourceNotFound)
			row.ErrorMessage = textOrNull("Attempt to describe a user credential that does not exist: " + user)
		}
		out.Results = append(out.Results, row)
	}
	c.reply(out)
}
