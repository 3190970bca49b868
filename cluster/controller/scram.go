package controller

import (
	"github.com/troupe-broker/troupe/actors/protocol"
	"github.com/troupe-broker/troupe/cluster/image"
)

// Iterations that a credential may have. Source: ScramMechanism.minIterations, ScramControlManager.MAX_ITERATIONS.
const (
	scramIterationsMin = 4096
	scramIterationsMax = 16384
)

// scramTextMax bounds the name of a user and a salt, in bytes; Kafka bounds neither.
const scramTextMax = 4096

// alterScramCredentials decides AlterUserScramCredentials, each user by itself: one that is named twice is refused, and so is whatever
// was already to be done for it. Source: ScramControlManager.alterCredentials.
func (d *decider) alterScramCredentials(c *protocol.AlterScramCredentials) *protocol.ScramCredentialsAltered {
	faults := map[string]protocol.Fault{} // also None: named once so far
	for i := range c.Changes {
		change := &c.Changes[i]
		before, named := faults[change.User]
		switch {
		case !named:
			faults[change.User] = d.checkScram(change)
		case !before.Failed():
			faults[change.User] = fault(protocol.DuplicateResource, "A user credential cannot be altered twice in the same request")
		}
	}
	for i := range c.Changes {
		if change := &c.Changes[i]; !faults[change.User].Failed() {
			d.add(scramRecord(change))
		}
	}
	out := &protocol.ScramCredentialsAltered{Answer: protocol.Answer{ID: c.ID}}
	for _, user := range c.Users() {
		out.Users = append(out.Users, protocol.UserResult{User: user, Fault: faults[user]})
	}
	return out
}

func (d *decider) checkScram(c *protocol.ScramChange) protocol.Fault {
	switch {
	case c.User == "":
		return fault(protocol.UnacceptableCredential, "Username must not be empty")
	case !c.Mechanism.Known():
		return fault(protocol.UnsupportedSaslMechanism, "Unknown SCRAM mechanism")
	}
	if c.Remove {
		if _, ok := d.img.Scram(c.Mechanism, c.User); !ok {
			return fault(protocol.ResourceNotFound, "Attempt to delete a user credential that does not exist")
		}
		return protocol.Fault{}
	}
	switch {
	case c.Iterations < scramIterationsMin:
		return fault(protocol.UnacceptableCredential, "Too few iterations")
	case c.Iterations > scramIterationsMax:
		return fault(protocol.UnacceptableCredential, "Too many iterations")
	case len(c.User) > scramTextMax || len(c.Salt) > scramTextMax:
		return fault(protocol.UnacceptableCredential, "Username or salt too long")
	case len(c.StoredKey) == 0 || len(c.ServerKey) == 0:
		return fault(protocol.UnacceptableCredential, "Salted password must not be empty")
	}
	return protocol.Fault{}
}

func scramRecord(c *protocol.ScramChange) image.Record {
	if c.Remove {
		return &image.ScramCredentialRemoved{User: c.User, Mechanism: c.Mechanism}
	}
	return &image.ScramCredentialSet{
		User: c.User, Mechanism: c.Mechanism, Iterations: c.Iterations, Salt: c.Salt, StoredKey: c.StoredKey, ServerKey: c.ServerKey,
	}
}
