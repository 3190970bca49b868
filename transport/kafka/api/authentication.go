package api

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/troupe-broker/troupe/actors/protocol"
	"github.com/troupe-broker/troupe/transport/kafka/sasl"
	"github.com/troupe-broker/troupe/transport/kafka/wire"
)

// Authentication is what a listener wants of its clients before it does anything for them.
type Authentication struct {
	Mechanisms []Mechanism // sasl.enabled.mechanisms
	// FailureDelay is how long a failed attempt waits for its answer and its end: connection.failed.authentication.delay.ms.
	FailureDelay time.Duration
}

// Mechanism is one way to say who one is.
type Mechanism struct {
	Scram protocol.ScramMechanism
	// SessionMax is after how long a client must authenticate again: connections.max.reauth.ms; 0 or less is never.
	SessionMax time.Duration
}

// anonymous is the principal of one who did not have to say who it is. Source: KafkaPrincipal.ANONYMOUS.
const anonymous = "User:ANONYMOUS"

// reauthenticationMin is the shortest time between two re-authentications. Source: KafkaChannel.MIN_REAUTH_INTERVAL_ONE_SECOND_NANOS.
const reauthenticationMin = time.Second

// BareToken is the version of a request that is a SASL token and nothing else: what follows SaslHandshake v0.
const BareToken = -1

// authenticator is how far a connection is with saying who it is. Its zero value is a connection that just began.
//
//	greeting ──ApiVersions──▶ versioned ──SaslHandshake──▶ talking ──the last token──▶ known ──SaslHandshake──▶ talking again
//
// SaslHandshake may come first. Whatever fails leads to failed, from which nothing leads on. Source: SaslServerAuthenticator.SaslState.
type authenticator struct {
	stage     stage
	talk      *sasl.Conversation      // while talking
	bare      bool                    // tokens come without a request around them
	principal string                  // who the client is; stays while it authenticates again
	mechanism protocol.ScramMechanism // by which it said so
	life      time.Duration           // of what is being shown; 0 is for ever
	expires   time.Duration           // on the monotonic clock; 0 never
	again     time.Duration           // when the last re-authentication began; 0 is none
	asked     int                     // requests before the client was known
}

// askedMax is how many requests a client may make before it has said who it is; a login takes four to six.
const askedMax = 32

type stage uint8

const (
	greeting stage = iota
	versioned
	talking
	known
	failed
)

// Principal is who the client is, as type:name.
func (c *Conn) Principal() string {
	if c.auth.principal != "" {
		return c.auth.principal
	}
	return anonymous
}

// Guarded reports whether the client still has to say who it is: nothing large is taken from it until it did.
func (c *Conn) Guarded() bool { return c.Peer.Authentication != nil && c.auth.principal == "" }

// Failing reports whether the connection only waits for its end.
func (c *Conn) Failing() bool { return c.auth.stage == failed }

// BareTokens is the row of what comes next if that is a SASL token without a request around it, or nil.
func (c *Conn) BareTokens() *Row {
	if c.auth.stage == talking && c.auth.bare {
		return c.Row(keySaslAuthenticate)
	}
	return nil
}

// Bare reports whether the call is a SASL token without a request around it; its answer goes out as it is.
func (c *Call) Bare() bool { return c.Version == BareToken && c.Row.Key == keySaslAuthenticate }

// Admit reports whether a request may be handled at all: without having said who it is a client can ask for versions and for
// authentication, and nothing else. The error ends the connection.
func (c *Conn) Admit(row *Row) error {
	if c.Peer.Authentication == nil {
		return nil
	}
	if c.auth.principal == "" {
		if c.auth.asked++; c.auth.asked > askedMax {
			return errors.New("too many requests came before authentication was complete")
		}
	}
	handshake := row.Key == keySaslHandshake
	if handshake && c.LoginFailures.TooMany(c.Peer.Remote.Addr(), c.Clock.Mono()) {
		return errors.New("too many failed logins from this address: try again in some seconds")
	}
	switch c.auth.stage {
	case greeting:
		if handshake || row.Key == keyApiVersions {
			return nil
		}
	case versioned:
		if handshake {
			return nil
		}
	case talking:
		if handshake || row.Key == keyApiVersions || row.Key == keySaslAuthenticate { // the first two are told what is wrong
			return nil
		}
	case known:
		if c.expired() && !(handshake && c.mayAgain()) {
			return errors.New("the session expired (connections.max.reauth.ms) and the client did not authenticate again")
		}
		return nil
	}
	return errors.New(row.Name + " came before authentication was complete")
}

func (c *Conn) expired() bool { return c.auth.expires > 0 && c.Clock.Mono() > c.auth.expires }

// mayAgain reports whether the client may authenticate again now. Source: KafkaChannel.maybeBeginServerReauthentication.
func (c *Conn) mayAgain() bool {
	a := &c.auth
	return a.stage == known && a.expires > 0 && (a.again == 0 || c.Clock.Mono()-a.again >= reauthenticationMin)
}

// asksVersions notes that the client asked for versions; false if it must not do so now.
func (c *Conn) asksVersions() bool {
	if c.auth.stage == greeting {
		c.auth.stage = versioned
	}
	return c.auth.stage != talking
}

// begin begins a conversation.
func (c *Conn) begin(m Mechanism, bare bool) {
	a := &c.auth
	if a.stage == known {
		a.again = c.Clock.Mono()
	}
	a.stage, a.bare, a.life = talking, bare, max(0, m.SessionMax)
	a.talk = sasl.Begin(c.Images.Load(), m.Scram, c.nonce())
}

// nonce is 192 bits of chance. The node's is the runtime's ChaCha8, which nobody can guess from what it gave before.
func (c *Conn) nonce() string {
	var b []byte
	for range 3 {
		b = binary.BigEndian.AppendUint64(b, c.Rand.Uint64())
	}
	return base64.RawStdEncoding.EncodeToString(b)
}

// enabled finds a mechanism by name among those the listener offers.
func (a *Authentication) enabled(name string) (Mechanism, bool) {
	for _, m := range a.Mechanisms {
		if m.Scram.String() == name {
			return m, true
		}
	}
	return Mechanism{}, false
}

// names of the mechanisms, as clients are told.
func (a *Authentication) names() (out []string) {
	for _, m := range a.Mechanisms {
		out = append(out, m.Scram.String())
	}
	return out
}

// fail ends the attempt: after a while the client is answered, if there is something to say, and then the connection ends. The while is
// what makes guessing slow; meanwhile nothing is read. Source: Selector.DelayedAuthenticationFailureClose.
func (c *Call) fail(resp kmsg.Response, reason string) {
	conn := c.Conn
	conn.tellFailure(reason)
	conn.auth.stage, conn.auth.talk = failed, nil
	conn.Metrics.AuthenticationsFailed.Add(1)
	delay := time.Duration(0)
	if a := conn.Peer.Authentication; a != nil {
		delay = max(a.FailureDelay, conn.LoginFailures.Add(conn.Peer.Remote.Addr(), conn.Clock.Mono()))
	}
	conn.Host.After(delay, func() {
		if resp != nil {
			c.reply(resp)
		} else {
			conn.Host.Answer(c, nil)
		}
		conn.Host.Hangup(reason)
	})
}

// bareResponse is a token that goes out as it is.
type bareResponse []byte

func (r bareResponse) Encode(o *wire.Out) { o.Buf = append(o.Buf, r...) }
func (r bareResponse) Discard()           {}
