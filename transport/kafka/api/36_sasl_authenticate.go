package api

import (
	"errors"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/troupe-broker/troupe/actors/protocol"
	"github.com/troupe-broker/troupe/transport/kafka/sasl"
)

// SaslAuthenticate: v0-2. One message of the conversation by which a client says who it is, and the answer to it.
//
// Behaviour:
//   - Whatever is wrong is SASL_AUTHENTICATION_FAILED, in words that do not tell an unknown user from a wrong password, after
//     connection.failed.authentication.delay.ms; then the connection ends.
//   - A client that authenticates again must stay who it is, by the mechanism it used. Kafka ends the connection of one that changes the
//     mechanism without a word.
//   - Of a client that is known, or need not be: ILLEGAL_SASL_STATE.
//   - After SaslHandshake v0 the tokens come and go without requests around them; a failure is then the end of the connection alone.
//
// Version history:
//   - v1: how long the session lasts (KIP-368); v2: flexible
//
// Skipped: mechanisms but SCRAM (KIP-84), and SCRAM with delegation tokens (KIP-48), which is a failed login.
//
// Source: SaslServerAuthenticator.handleSaslToken, KafkaApis.handleSaslAuthenticateRequest.

func handleSaslAuthenticate(c *Call) {
	token := c.Body
	if !c.Bare() {
		req := kmsg.NewPtrSASLAuthenticateRequest()
		if !c.read(req) {
			return
		}
		token = req.SASLAuthBytes
	}
	if c.Conn.auth.stage != talking {
		out := kmsg.NewPtrSASLAuthenticateResponse()
		out.ErrorCode = c.failed(protocol.IllegalSaslState)
		out.ErrorMessage = textOrNull("SaslAuthenticate request received after successful authentication")
		c.reply(out)
		return
	}
	answer, refusal := c.Conn.converse(token)
	if refusal != "" {
		c.refuse(refusal)
		return
	}
	if c.Bare() {
		c.Conn.Host.Answer(c, bareResponse(answer))
		return
	}
	out := kmsg.NewPtrSASLAuthenticateResponse()
	out.SASLAuthBytes = answer
	if c.Conn.auth.stage == known {
		out.SessionLifetimeMillis = int64(c.Conn.auth.life / time.Millisecond)
	}
	c.reply(out)
}

// refuse answers that the attempt has failed.
func (c *Call) refuse(reason string) {
	c.failed(protocol.SaslAuthenticationFailed)
	if c.Bare() {
		c.fail(nil, reason)
		return
	}
	out := kmsg.NewPtrSASLAuthenticateResponse()
	out.ErrorCode, out.ErrorMessage = int16(protocol.SaslAuthenticationFailed), &reason
	c.fail(out, reason)
}

// converse hands a token to the conversation and returns what to answer, or why the attempt has failed. No refusal names what the client
// sent, so that logs and clients may have it; that of a client which is known already may name who it is.
func (c *Conn) converse(token []byte) (answer []byte, refusal string) {
	a, what := &c.auth, "authentication"
	mechanism := a.talk.Mechanism()
	if a.principal != "" {
		what = "re-authentication"
		if mechanism != a.mechanism {
			return nil, "SASL mechanism '" + mechanism.String() + "' requested by client is not supported for re-authentication of mechanism '" + a.mechanism.String() + "'"
		}
	}
	answer, err := a.talk.Step(token)
	switch {
	case errors.Is(err, sasl.ErrOther):
		return nil, err.Error()
	case err != nil:
		return nil, "Authentication failed during " + what + " due to invalid credentials with SASL mechanism " + mechanism.String()
	case !a.talk.Done():
		return answer, ""
	}
	principal := "User:" + a.talk.User()
	if a.principal != "" && a.principal != principal {
		return nil, "Cannot change principals during re-authentication"
	}
	a.stage, a.talk, a.principal, a.mechanism, a.expires = known, nil, principal, mechanism, 0
	if a.life > 0 {
		a.expires = c.Clock.Mono() + a.life
	}
	c.Metrics.Authentications.Add(1)
	return answer, ""
}
