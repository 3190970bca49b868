package protocol

import (
	"fmt"
	"io"
	"log/slog"
	"slices"

	"github.com/troupe-broker/troupe/actors"
)

// ScramMechanism is Kafka's number of a SCRAM mechanism. Source: org.apache.kafka.clients.admin.ScramMechanism.
type ScramMechanism int8

const (
	ScramSHA256 ScramMechanism = 1
	ScramSHA512 ScramMechanism = 2
)

// Known reports whether the mechanism is one of the two.
func (m ScramMechanism) Known() bool { return m == ScramSHA256 || m == ScramSHA512 }

// String is the mechanism's name in SASL.
func (m ScramMechanism) String() string {
	switch m {
	case ScramSHA256:
		return "SCRAM-SHA-256"
	case ScramSHA512:
		return "SCRAM-SHA-512"
	}
	return "UNKNOWN"
}

// Secret is what nobody may read in a log, a transcript or an answer: however it is printed it is [hidden].
type Secret []byte

const hidden = "[hidden]"

// Format implements fmt.Formatter for every verb.
func (Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, hidden) }

// LogValue implements slog.LogValuer.
func (Secret) LogValue() slog.Value { return slog.StringValue(hidden) }

// MarshalJSON implements json.Marshaler.
func (Secret) MarshalJSON() ([]byte, error) { return []byte(`"` + hidden + `"`), nil }

// AlterScramCredentials asks the controller to set and to remove credentials of users (KIP-554).
type AlterScramCredentials struct {
	Head
	Changes []ScramChange
	By      Requester
}

// ScramChange sets one credential, or with Remove takes it away. There is no password in it and nothing to log in with: the keys are
// one-way functions of it.
type ScramChange struct {
	User                       string
	Mechanism                  ScramMechanism
	Remove                     bool
	Iterations                 int32
	Salt, StoredKey, ServerKey Secret
}

// Users are those that the changes name, each once, in order of first mention.
func (m *AlterScramCredentials) Users() (out []string) {
	seen := make(map[string]bool, len(m.Changes))
	for _, c := range m.Changes {
		if !seen[c.User] {
			seen[c.User] = true
			out = append(out, c.User)
		}
	}
	return slices.Clip(out)
}

// Failed is the answer with code for every user.
func (m *AlterScramCredentials) Failed(code Code) *ScramCredentialsAltered {
	out := &ScramCredentialsAltered{Answer: Answer{m.ID}}
	for _, user := range m.Users() {
		out.Users = append(out.Users, UserResult{User: user, Fault: Fault{Code: code}})
	}
	return out
}

// Refused answers for a controller that cannot.
func (m *AlterScramCredentials) Refused(actors.Refusal) (actors.PID, any) {
	return m.ReplyTo, m.Failed(NotController)
}

// ScramCredentialsAltered answers AlterScramCredentials: one row a user, in order of first mention.
type ScramCredentialsAltered struct {
	Answer
	Users []UserResult
}

// UserResult is what became of one user.
type UserResult struct {
	User string
	Fault
}
