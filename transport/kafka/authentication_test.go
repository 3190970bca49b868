package kafka

import (
	"context"
	"crypto/pbkdf2"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/binary"
	"hash"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
	kgosasl "github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/scram"

	"github.com/troupe-broker/troupe/actors/protocol"
	"github.com/troupe-broker/troupe/cluster/image"
	"github.com/troupe-broker/troupe/transport/kafka/api"
	"github.com/troupe-broker/troupe/transport/kafka/sasl"
)

const failureDelay = 100 * time.Millisecond

func scramAuthentication() *api.Authentication {
	return renewing(0)
}

// renewing wants its clients to authenticate again after a while.
func renewing(session time.Duration) *api.Authentication {
	return &api.Authentication{Mechanisms: []api.Mechanism{{Scram: protocol.ScramSHA256, SessionMax: session}, {Scram: protocol.ScramSHA512}}, FailureDelay: failureDelay}
}

// user gives a user a password under both mechanisms.
func (w *world) user(name, password string) {
	for m, h := range map[protocol.ScramMechanism]func() hash.Hash{protocol.ScramSHA256: sha256.New, protocol.ScramSHA512: sha512.New} {
		salt := []byte("the salt of " + name)
		salted, err := pbkdf2.Key(h, password, salt, 4096, h().Size())
		if err != nil {
			w.t.Fatal(err)
		}
		stored, server := sasl.Keys(m, salted)
		w.apply(&image.ScramCredentialSet{User: name, Mechanism: m, Iterations: 4096, Salt: salt, StoredKey: stored, ServerKey: server})
	}
}

// guarded is a connection by a SASL listener.
func (w *world) guarded(a *api.Authentication) *client {
	c := w.connect()
	peer := api.Peer{Listener: "SASL_PLAINTEXT", Local: netip.MustParseAddrPort("127.0.0.1:19094"), Remote: netip.MustParseAddrPort("127.0.0.1:5556"), Authentication: a}
	c.session = NewSession(w.server, peer, func() { c.woken = true })
	w.t.Cleanup(c.session.Close)
	return c
}

func handshake(mechanism string) *kmsg.SASLHandshakeRequest {
	req := kmsg.NewPtrSASLHandshakeRequest()
	req.Mechanism = mechanism
	return req
}

func token(b []byte) *kmsg.SASLAuthenticateRequest {
	req := kmsg.NewPtrSASLAuthenticateRequest()
	req.SASLAuthBytes = b
	return req
}

func saslClient(mechanism, user, password string) kgosasl.Mechanism {
	auth := scram.Auth{User: user, Pass: password}
	if mechanism == "SCRAM-SHA-512" {
		return auth.AsSha512Mechanism()
	}
	return auth.AsSha256Mechanism()
}

// login says who the client is and returns the last answer: of the failure, or of the success, which the client has then checked.
func (c *client) login(version int16, mechanism, user, password string) *kmsg.SASLAuthenticateResponse {
	c.w.t.Helper()
	if r := ask[*kmsg.SASLHandshakeResponse](c, 1, handshake(mechanism)); r.ErrorCode != 0 {
		c.w.t.Fatalf("handshake: error %d", r.ErrorCode)
	}
	return c.converse(version, mechanism, user, password)
}

func (c *client) converse(version int16, mechanism, user, password string) *kmsg.SASLAuthenticateResponse {
	c.w.t.Helper()
	session, message, err := saslClient(mechanism, user, password).Authenticate(context.Background(), "host")
	if err != nil {
		c.w.t.Fatal(err)
	}
	for {
		c.send(version, token(message))
		resp := c.reply()
		if resp == nil {
			if c.session.Ready() {
				c.w.t.Fatal("the session is ready after a failure")
			}
			c.w.advance(failureDelay)
			resp = c.reply()
		}
		r, ok := resp.(*kmsg.SASLAuthenticateResponse)
		if !ok {
			c.w.t.Fatalf("no answer: %v", c.err)
		}
		if r.ErrorCode != 0 {
			return r
		}
		over, next, err := session.Challenge(r.SASLAuthBytes)
		if err != nil {
			c.w.t.Fatal(err)
		}
		if over {
			return r
		}
		message = next
	}
}

func TestWhoLogsInIsServed(t *testing.T) {
	w := newWorld(t)
	w.user("alice", "secret")
	for _, mechanism := range []string{"SCRAM-SHA-256", "SCRAM-SHA-512"} {
		for version := int16(0); version <= 2; version++ {
			c := w.guarded(scramAuthentication())
			if got := c.session.conn.Principal(); got != "User:ANONYMOUS" || !c.session.Guarded() {
				t.Errorf("before: %s", got)
			}
			ask[*kmsg.ApiVersionsResponse](c, 3, versionsRequest())
			if r := c.login(version, mechanism, "alice", "secret"); r.ErrorCode != 0 || r.SessionLifetimeMillis != 0 {
				t.Fatalf("%s v%d: %+v", mechanism, version, r)
			}
			if got := c.session.conn.Principal(); got != "User:alice" || c.session.Guarded() {
				t.Errorf("after: %s", got)
			}
			if r := ask[*kmsg.MetadataResponse](c, 9, kmsg.NewPtrMetadataRequest()); len(r.Brokers) != 2 || r.Brokers[0].Port != 19094 {
				t.Errorf("brokers %+v: a client is told the address it came by", r.Brokers)
			}
			ask[*kmsg.ApiVersionsResponse](c, 3, versionsRequest())
			if r := ask[*kmsg.SASLAuthenticateResponse](c, 2, token(nil)); r.ErrorCode != 34 {
				t.Errorf("a token after the end: error %d", r.ErrorCode)
			}
			if r := ask[*kmsg.SASLHandshakeResponse](c, 1, handshake(mechanism)); r.ErrorCode != 34 || len(r.SupportedMechanisms) != 0 {
				t.Errorf("a handshake after the end: %+v", r)
			}
		}
	}
	if w.server.Metrics.Authentications.Load() != 6 || w.server.Metrics.AuthenticationsFailed.Load() != 0 {
		t.Error("not counted")
	}
}

func TestFailedLoginsAreAllTheSame(t *testing.T) {
	w := newWorld(t)
	w.user("alice", "secret")
	for _, who := range []string{"alice", "nobody"} {
		c := w.guarded(scramAuthentication())
		r := c.login(2, "SCRAM-SHA-256", who, "guess")
		if r.ErrorCode != 58 || *r.ErrorMessage != "Authentication failed during authentication due to invalid credentials with SASL mechanism SCRAM-SHA-256" {
			t.Errorf("%s: %d %s", who, r.ErrorCode, *r.ErrorMessage)
		}
		if c.err == nil || strings.Contains(c.err.Error(), who) {
			t.Errorf("%s: the connection ends with %v", who, c.err)
		}
	}
	if n := w.server.Metrics.AuthenticationsFailed.Load(); n != 2 {
		t.Errorf("%d counted", n)
	}
	c := w.guarded(scramAuthentication())
	c.send(1, handshake("PLAIN"))
	if c.reply() != nil || c.session.Ready() {
		t.Error("answered at once")
	}
	w.advance(failureDelay)
	r, _ := c.reply().(*kmsg.SASLHandshakeResponse)
	if r == nil || r.ErrorCode != 33 || strings.Join(r.SupportedMechanisms, " ") != "SCRAM-SHA-256 SCRAM-SHA-512" || c.err == nil {
		t.Errorf("unknown mechanism: %+v, %v", r, c.err)
	}
}

// Before authentication there is no way to anything behind it, whatever is asked for, and however well formed it is.
func TestNothingIsServedBeforeAuthentication(t *testing.T) {
	w := newWorld(t)
	w.topic("events", 1)
	for key := int16(0); key < 93; key++ {
		row := w.server.Row(key)
		if row == nil || key == 17 || key == 18 {
			continue
		}
		for stage := range 3 {
			c := w.guarded(scramAuthentication())
			if stage > 0 {
				ask[*kmsg.ApiVersionsResponse](c, 3, versionsRequest())
			}
			if stage > 1 {
				ask[*kmsg.SASLHandshakeResponse](c, 1, handshake("SCRAM-SHA-256"))
				if key == 36 {
					continue
				}
			}
			c.push(row.Max, kmsg.RequestForKey(key))
			if c.err == nil {
				t.Errorf("%s is let through at stage %d", row.Name, stage)
			}
			w.run()
			if c.drain(); len(c.stream) > 0 {
				t.Errorf("%s is answered at stage %d: %x", row.Name, stage, c.stream)
			}
		}
	}
	if len(w.ctl.got) > 0 {
		t.Errorf("the controller heard of %v", w.ctl.got)
	}
}

// However many connections guess, their answers come one at a time, and beyond a queue of them nobody there may try.
func TestGuessingIsSlowOnManyConnections(t *testing.T) {
	w := newWorld(t)
	w.user("alice", "secret")
	tried, refused := 0, 0
	for range 400 {
		c := w.guarded(scramAuthentication())
		if c.push(1, handshake("PLAIN")); c.err != nil {
			refused++
			continue
		}
		w.run()
		tried++
	}
	if tried > 150 || refused == 0 {
		t.Errorf("%d tried and %d were refused in no time", tried, refused)
	}
	w.advance(time.Minute)
	c := w.guarded(scramAuthentication())
	if r := c.login(2, "SCRAM-SHA-256", "alice", "secret"); r.ErrorCode != 0 {
		t.Errorf("after a while: %+v", r)
	}
}

func TestQuestionsBeforeAuthenticationAreCounted(t *testing.T) {
	w := newWorld(t)
	c := w.guarded(scramAuthentication())
	for i := 0; c.err == nil; i++ {
		if i > 40 {
			t.Fatal("versions that are not served may be asked for again and again")
		}
		c.push(99, versionsRequest())
		w.run()
		c.drain()
	}
}

func TestQuestionsInTheMiddleOfAnAuthentication(t *testing.T) {
	w := newWorld(t)
	for _, req := range []kmsg.Request{versionsRequest(), handshake("SCRAM-SHA-256")} {
		c := w.guarded(scramAuthentication())
		ask[*kmsg.SASLHandshakeResponse](c, 1, handshake("SCRAM-SHA-256"))
		c.send(1, req)
		w.advance(failureDelay)
		var code int16
		switch r := c.reply().(type) {
		case *kmsg.ApiVersionsResponse:
			code = r.ErrorCode
		case *kmsg.SASLHandshakeResponse:
			code = r.ErrorCode
		}
		if code != 34 || c.err == nil {
			t.Errorf("%T: error %d, %v", req, code, c.err)
		}
	}
	c := w.guarded(scramAuthentication())
	ask[*kmsg.ApiVersionsResponse](c, 3, versionsRequest())
	if c.push(3, versionsRequest()); c.err == nil {
		t.Error("versions are told twice")
	}
}

func TestNobodyHasToSayWhoHeIsOnAPlaintextListener(t *testing.T) {
	c := newWorld(t).connect()
	if r := ask[*kmsg.SASLHandshakeResponse](c, 1, handshake("SCRAM-SHA-256")); r.ErrorCode != 34 || len(r.SupportedMechanisms) != 0 {
		t.Errorf("%+v", r)
	}
	if r := ask[*kmsg.SASLAuthenticateResponse](c, 2, token([]byte("n,,n=x,r=y"))); r.ErrorCode != 34 {
		t.Errorf("%+v", r)
	}
	if r := ask[*kmsg.MetadataResponse](c, 9, kmsg.NewPtrMetadataRequest()); len(r.Brokers) != 2 || c.session.conn.Principal() != "User:ANONYMOUS" {
		t.Errorf("%+v", r)
	}
}

// bare sends a token without a request around it and returns the one that comes back, or nil.
func (c *client) bare(message []byte) []byte {
	_ = c.frame(message)
	c.w.run()
	c.drain()
	if len(c.stream) < 4 {
		return nil
	}
	n := int(binary.BigEndian.Uint32(c.stream))
	out := c.stream[4 : 4+n]
	c.stream = c.stream[4+n:]
	return out
}

// Clients from before Kafka 1.0 send tokens alone.
func TestTokensWithoutRequests(t *testing.T) {
	w := newWorld(t)
	w.user("alice", "secret")
	for _, password := range []string{"secret", "guess"} {
		c := w.guarded(scramAuthentication())
		ask[*kmsg.SASLHandshakeResponse](c, 0, handshake("SCRAM-SHA-512"))
		session, message, _ := saslClient("SCRAM-SHA-512", "alice", password).Authenticate(context.Background(), "host")
		_, message, err := session.Challenge(c.bare(message))
		if err != nil {
			t.Fatal(err)
		}
		last := c.bare(message)
		if password == "guess" {
			if w.advance(failureDelay); last != nil || c.session.Ready() {
				t.Errorf("an answer to a wrong password: %q", last)
			}
			if c.drain(); c.err == nil || len(c.stream) > 0 {
				t.Errorf("%v, %q", c.err, c.stream)
			}
			continue
		}
		if over, _, err := session.Challenge(last); !over || err != nil {
			t.Fatalf("%v %v", over, err)
		}
		ask[*kmsg.MetadataResponse](c, 9, kmsg.NewPtrMetadataRequest())
	}
}

func TestSessionsExpireUnlessRenewed(t *testing.T) {
	w := newWorld(t)
	w.user("alice", "secret")
	w.user("bob", "secret")
	begin := func() *client {
		c := w.guarded(renewing(10 * time.Second))
		if r := c.login(2, "SCRAM-SHA-256", "alice", "secret"); r.SessionLifetimeMillis != 10_000 {
			t.Fatalf("lifetime %d", r.SessionLifetimeMillis)
		}
		w.advance(9 * time.Second)
		ask[*kmsg.MetadataResponse](c, 9, kmsg.NewPtrMetadataRequest())
		return c
	}
	c := begin()
	if r := c.login(2, "SCRAM-SHA-256", "alice", "secret"); r.ErrorCode != 0 || r.SessionLifetimeMillis != 10_000 {
		t.Fatalf("%+v", r)
	}
	if r := ask[*kmsg.SASLHandshakeResponse](c, 1, handshake("SCRAM-SHA-256")); r.ErrorCode != 34 {
		t.Errorf("again within a second: error %d", r.ErrorCode)
	}
	w.advance(9 * time.Second)
	ask[*kmsg.MetadataResponse](c, 9, kmsg.NewPtrMetadataRequest())
	w.advance(2 * time.Second)
	if r := c.login(2, "SCRAM-SHA-256", "alice", "secret"); r.ErrorCode != 0 { // late, and the first thing that is asked
		t.Errorf("%+v", r)
	}
	w.advance(11 * time.Second)
	if c.push(9, kmsg.NewPtrMetadataRequest()); c.err == nil {
		t.Error("served after the session expired")
	}
	for _, bad := range [][3]string{
		{"SCRAM-SHA-256", "bob", "Cannot change principals during re-authentication"},
		{"SCRAM-SHA-512", "alice", "SASL mechanism 'SCRAM-SHA-512' requested by client is not supported for re-authentication of mechanism 'SCRAM-SHA-256'"},
	} {
		c := begin()
		if r := c.login(2, bad[0], bad[1], "secret"); r.ErrorCode != 58 || *r.ErrorMessage != bad[2] || c.err == nil {
			t.Errorf("%v: %+v, %v", bad, r, c.err)
		}
	}
	c = begin()
	if r := c.login(2, "SCRAM-SHA-256", "alice", "guess"); r.ErrorCode != 58 || !strings.Contains(*r.ErrorMessage, "re-authentication") {
		t.Errorf("%+v", r)
	}
	c = begin()
	ask[*kmsg.SASLHandshakeResponse](c, 1, handshake("SCRAM-SHA-256"))
	if c.push(9, kmsg.NewPtrMetadataRequest()); c.err == nil {
		t.Error("served in the middle of a re-authentication")
	}
}

// FuzzAuthentication sends steps of a login in any order: nothing is served to one who did not show the password on this connection.
func FuzzAuthentication(f *testing.F) {
	f.Add([]byte{0, 1, 3, 4, 5})
	f.Add([]byte{2, 3, 4, 5, 5})
	f.Add([]byte{1, 3, 6, 4, 5, 1, 3, 4, 5, 0})
	f.Add([]byte{5, 0, 0, 7, 1, 1, 8, 9, 3, 4})
	f.Fuzz(func(t *testing.T, steps []byte) {
		w := newWorld(t)
		w.user("alice", "secret")
		c := w.guarded(renewing(3 * time.Second))
		p := &prober{t: t, c: c}
		for _, s := range steps[:min(len(steps), 40)] {
			if p.step(s % 10); c.err != nil {
				break
			}
		}
		w.advance(time.Minute)
		c.drain()
	})
}

// prober is a client that knows a password, and does not care about order.
type prober struct {
	t       *testing.T
	c       *client
	session kgosasl.Session
	answer  []byte // to the first token; nil: there is none
	bare    bool   // after SaslHandshake v0
	proved  bool   // the last token was right and the signature is
}

func (p *prober) step(s byte) {
	c := p.c
	switch s {
	case 0:
		p.send(3, versionsRequest())
	case 1:
		p.send(1, handshake("SCRAM-SHA-256"))
	case 2:
		p.send(0, handshake("SCRAM-SHA-256"))
	case 3:
		var first []byte
		p.session, first, _ = saslClient("SCRAM-SHA-256", "alice", "secret").Authenticate(context.Background(), "host")
		p.answer = p.token(first)
	case 4:
		p.last(func(b []byte) []byte { return b })
	case 5:
		p.send(9, kmsg.NewPtrMetadataRequest())
	case 6:
		p.last(func(b []byte) []byte { b[len(b)/2]++; return b })
	case 7:
		p.token([]byte("n,,n=alice,r=x,tokenauth=true"))
	case 8:
		p.token(nil)
	case 9:
		c.w.advance(time.Second)
	}
}

func (p *prober) last(change func([]byte) []byte) {
	if p.answer == nil {
		p.token([]byte("c=biws,r=x,p=AAAA"))
		return
	}
	_, message, err := p.session.Challenge(p.answer)
	p.answer = nil
	if err != nil {
		return
	}
	right := string(message)
	message = change(message)
	if signature := p.token(message); signature != nil {
		over, _, err := p.session.Challenge(signature)
		if string(message) != right || !over || err != nil {
			p.t.Fatalf("%q was taken for %q and answered %q", message, right, signature)
		}
		p.proved, p.bare = true, false
	}
}

// token sends a token as the connection has it, and returns the answer to one that was taken.
func (p *prober) token(b []byte) []byte {
	if p.bare {
		return p.c.bare(b)
	}
	r, _ := p.send(2, token(b)).(*kmsg.SASLAuthenticateResponse)
	if r == nil || r.ErrorCode != 0 {
		return nil
	}
	return r.SASLAuthBytes
}

func (p *prober) send(version int16, req kmsg.Request) kmsg.Response {
	if p.bare { // whatever it is, it is a token
		req.SetVersion(version)
		if answer := p.c.bare(p.c.format.AppendRequest(nil, req, 1)[4:]); answer != nil {
			p.t.Fatalf("%T was taken for a token and answered %q", req, answer)
		}
		return nil
	}
	p.c.send(version, req)
	resp := p.c.reply()
	switch r := resp.(type) {
	case *kmsg.SASLHandshakeResponse:
		p.bare = r.ErrorCode == 0 && version == 0
	case *kmsg.MetadataResponse:
		if !p.proved {
			p.t.Fatal("served to one who did not show the password")
		}
	}
	return resp
}
