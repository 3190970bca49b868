package api

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/troupe-broker/troupe/actors/protocol"
)

// SaslHandshake: v0-1. Chooses the mechanism by which a client of a SASL listener says who it is.
//
// Behaviour:
//   - A mechanism that is not enabled is UNSUPPORTED_SASL_MECHANISM with the list of those that are, and the end of the connection.
//   - Where nobody has to say who he is, and in the middle of a conversation: ILLEGAL_SASL_STATE.
//   - Of a client that is known it begins a re-authentication (KIP-368), if connections.max.reauth.ms is set and the last began a second
//     ago or more; else ILLEGAL_SASL_STATE. Another mechanism than the first time is SASL_AUTHENTICATION_FAILED at the next message.
//
// Version history:
//   - v0: tokens follow without requests around them; v1: in SaslAuthenticate (KIP-152)
//
// Source: SaslServerAuthenticator.handleHandshakeRequest, KafkaApis.handleSaslHandshakeRequest.

func handleSaslHandshake(c *Call) {
	req := kmsg.NewPtrSASLHandshakeRequest()
	if !c.read(req) {
		return
	}
	conn, out := c.Conn, kmsg.NewPtrSASLHandshakeResponse()
	offer := conn.Peer.Authentication
	switch {
	case conn.auth.stage == talking:
		out.ErrorCode = c.failed(protocol.IllegalSaslState)
		c.fail(out, "SaslHandshake came in the middle of an authentication")
		return
	case offer == nil || conn.auth.stage == known && !conn.mayAgain():
		out.ErrorCode = c.failed(protocol.IllegalSaslState)
		c.reply(out)
		return
	}
	out.SupportedMechanisms = offer.names()
	mechanism, ok := offer.enabled(req.Mechanism)
	if !ok {
		out.ErrorCode = c.failed(protocol.UnsupportedSaslMechanism)
		c.fail(out, "the client chose a SASL mechanism that is not enabled")
		return
	}
	conn.begin(mechanism, c.Version == 0)
	c.reply(out)
}
