package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"syscall"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/sasl"
)

// greet says hello to the first bootstrap broker that accepts, and logs in, before the client library does: that tries again for as long as
// it has time when the other side is no Kafka, wants a login, or refuses one, and then no longer knows why.
func (a *app) greet(ctx context.Context, dial *dialer, auth sasl.Mechanism) error {
	ctx, cancel := context.WithTimeout(ctx, min(dialTimeout, a.timeout))
	defer cancel()
	for _, addr := range dial.seeds {
		conn, err := dial.Dial(ctx, "tcp", addr)
		if err != nil {
			continue
		}
		err = a.hello(ctx, newLink(conn), addr, auth)
		conn.Close()
		return err
	}
	return nil // the probe has spoken
}

// hello is the conversation of greet on one connection. Errors say what to do about them.
func (a *app) hello(ctx context.Context, l *link, addr string, auth sasl.Mechanism) error {
	if _, err := l.handshake(ctx); err != nil {
		if isTimeout(err) {
			return mute(addr, err)
		}
		return &addressError{addr, err}
	}
	if auth != nil {
		return a.loginFailure(l.authenticate(ctx, auth, addr), addr, auth)
	}
	req := kmsg.NewPtrMetadataRequest()
	req.Topics = []kmsg.MetadataRequestTopic{} // none
	if _, err := l.request(ctx, req); errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) {
		return &problem{
			what: addr + " hung up after it said which requests it takes", why: "it wants a login", exit: exitAuth, cause: err,
			next: "--user NAME --password-file FILE, and --sasl-mechanism if it is not SCRAM-SHA-256",
		}
	}
	return nil // whatever else it is, the command finds out
}

// mute is the problem of a port that takes connections and does not answer on them.
func mute(addr string, err error) error {
	return &problem{
		what: addr + " takes connections and does not answer", why: "no answer to a client's first request in time", exit: exitTimeout, cause: err,
		next: "is that Kafka's port, and does it want --tls? A broker that is too busy wants a longer --timeout",
	}
}

// loginFailure says whose login failed how.
func (a *app) loginFailure(err error, addr string, auth sasl.Mechanism) error {
	who := fmt.Sprintf("user %q by %s", a.sasl.user, auth.Name())
	var code *kerr.Error
	switch {
	case err == nil:
		return nil
	case errors.Is(err, kerr.IllegalSaslState):
		return &problem{what: addr + " does not want a login", why: "its listener is not a SASL one", next: "leave --user out, or use the port of the SASL listener", exit: exitAuth, cause: err}
	case errors.Is(err, kerr.UnsupportedVersion):
		return &problem{what: addr + " knows no login", why: "it serves no SASL requests", next: "leave --user out", exit: exitAuth, cause: err}
	case errors.Is(err, kerr.UnsupportedSaslMechanism):
		_, takes, _ := strings.Cut(err.Error(), "; ")
		return &problem{what: "the login of " + who + " at " + addr + " failed", why: "the mechanism is not served; " + takes, next: "--sasl-mechanism with one of those", exit: exitAuth, cause: err}
	case errors.As(err, &code):
		return &problem{what: "the login of " + who + " at " + addr + " failed", why: strings.TrimSuffix(err.Error(), "."), next: "check the name, the password and --sasl-mechanism; 'troupe user list' shows who there is", exit: exitAuth, cause: err}
	case errors.Is(err, io.EOF), errors.Is(err, syscall.ECONNRESET):
		return &problem{what: "the login of " + who + " at " + addr + " failed", why: "the other side hung up", next: "check the name, the password and --sasl-mechanism", exit: exitAuth, cause: err}
	case isTimeout(err):
		return &addressError{addr, err}
	}
	return &problem{what: "the login of " + who + " at " + addr + " failed", why: err.Error(), next: "check the name, the password and --sasl-mechanism", exit: exitAuth, cause: err}
}
