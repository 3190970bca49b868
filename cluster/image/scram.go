package image

import (
	"slices"

	"github.com/troupe-broker/troupe/actors/invariant"
	"github.com/troupe-broker/troupe/actors/protocol"
)

// ScramCredential is what a broker keeps to recognise a user by (RFC 5802): from none of it can the password be had, or a login be
// made.
type ScramCredential struct {
	User                       string
	Mechanism                  protocol.ScramMechanism
	Iterations                 int32
	Salt, StoredKey, ServerKey protocol.Secret
}

func (c *ScramCredential) record() *ScramCredentialSet {
	return &ScramCredentialSet{User: c.User, Mechanism: c.Mechanism, Iterations: c.Iterations, Salt: c.Salt, StoredKey: c.StoredKey, ServerKey: c.ServerKey}
}

// scramKey orders credentials by mechanism, then by user.
func scramKey(m protocol.ScramMechanism, user string) string { return string(rune(m)) + user }

// Scram finds a user's credential for a mechanism.
func (m *Image) Scram(mechanism protocol.ScramMechanism, user string) (*ScramCredential, bool) {
	return m.scrams.Get(scramKey(mechanism, user))
}

// ScramFrom is the credential of the first user at or after a name, in order of names and then from the first one again, that has one for
// the mechanism.
func (m *Image) ScramFrom(mechanism protocol.ScramMechanism, name string) (found *ScramCredential, ok bool) {
	for _, from := range []string{name, ""} {
		m.scrams.Ascend(scramKey(mechanism, from), func(_ string, c *ScramCredential) bool {
			found, ok = c, c.Mechanism == mechanism
			return false
		})
		if ok {
			return found, true
		}
	}
	return nil, false
}

// ScramUsers lists the users that have a credential, in order of name.
func (m *Image) ScramUsers() (out []string) {
	m.scrams.Scan(func(_ string, c *ScramCredential) bool {
		out = append(out, c.User)
		return true
	})
	slices.Sort(out)
	return slices.Compact(out)
}

func (r *ScramCredentialSet) apply(f *fold) {
	c := ScramCredential(*r)
	f.img.scrams.Set(scramKey(r.Mechanism, r.User), &c)
	f.delta.Users = append(f.delta.Users, r.User)
}

func (r *ScramCredentialRemoved) apply(f *fold) {
	_, there := f.img.scrams.Delete(scramKey(r.Mechanism, r.User))
	invariant.Check(there, "record at metadata offset %d removes a %v credential that is not there", f.offset, r.Mechanism)
	f.delta.Users = append(f.delta.Users, r.User)
}
