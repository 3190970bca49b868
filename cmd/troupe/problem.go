package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"strings"
	"syscall"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// Exit codes of every command.
const (
	exitFailed      = 1
	exitUsage       = 2
	exitNotFound    = 3
	exitUnhealthy   = 4
	exitAuth        = 5
	exitTimeout     = 124
	exitInterrupted = 130
)

// problem is an error said for people: what failed, why, and what to try next.
type problem struct {
	what, why, next string
	exit            int   // 0 means exitFailed
	cause           error // may be nil
}

func (p *problem) Error() string {
	if p.why == "" {
		return p.what
	}
	return p.what + ": " + p.why
}

func (p *problem) Unwrap() error { return p.cause }

// usage is the problem of a command line that makes no sense.
func usage(next, format string, args ...any) *problem {
	return &problem{what: fmt.Sprintf(format, args...), next: next, exit: exitUsage}
}

// report prints err on standard error.
func (a *app) report(ctx context.Context, err error) {
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return // the user knows that they interrupted
	}
	for _, each := range joined(err) {
		p := explain(each)
		a.say("troupe: %s", p.Error())
		if p.next != "" {
			a.say("  try: %s", p.next)
		}
	}
}

// joined takes the work of errors.Join apart, each error once. Other errors with several causes stay whole.
func joined(err error) (out []error) {
	if fmt.Sprintf("%T", err) != fmt.Sprintf("%T", errors.Join(io.EOF)) {
		return []error{err}
	}
	seen := map[string]bool{}
	for _, inner := range err.(interface{ Unwrap() []error }).Unwrap() {
		for _, each := range joined(inner) {
			if text := explain(each).Error(); !seen[text] {
				seen[text] = true
				out = append(out, each)
			}
		}
	}
	return out
}

func exitCode(ctx context.Context, err error) int {
	if err == nil {
		return 0
	}
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return exitInterrupted
	}
	if code := explain(err).exit; code != 0 {
		return code
	}
	return exitFailed
}

// explain finds the problem in err, or makes one of the errors a client meets: Kafka's codes, then the layers of a connection.
func explain(err error) *problem {
	var p *problem
	if errors.As(err, &p) {
		return p
	}
	var ke *kerr.Error
	if errors.As(err, &ke) {
		return explainCode(err, ke)
	}
	if what, why, next := explainConnection(err); what != "" {
		exit := exitFailed
		if isTimeout(err) {
			exit = exitTimeout
		}
		return &problem{what: what, why: why, next: next, exit: exit, cause: err}
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return &problem{what: err.Error(), next: "a longer --timeout, or 'troupe doctor' to see which step is slow", exit: exitTimeout, cause: err}
	}
	if errors.Is(err, fs.ErrNotExist) {
		return &problem{what: err.Error(), exit: exitNotFound, cause: err}
	}
	return &problem{what: err.Error(), cause: err}
}

// explainCode turns a Kafka error code into advice.
func explainCode(err error, ke *kerr.Error) *problem {
	p := &problem{what: strings.TrimSuffix(err.Error(), "."), cause: err}
	switch ke {
	case kerr.UnknownTopicOrPartition, kerr.UnknownTopicID:
		p.exit, p.next = exitNotFound, "troupe topic list"
	case kerr.ResourceNotFound:
		p.exit = exitNotFound
	case kerr.GroupIDNotFound:
		p.exit, p.next = exitNotFound, "troupe group list"
	case kerr.TransactionalIDNotFound:
		p.exit, p.next = exitNotFound, "troupe txn list"
	case kerr.NonEmptyGroup:
		p.next = "stop its members first; 'troupe group members GROUP' lists them"
	case kerr.GroupSubscribedToTopic:
		p.next = "stop the members that subscribe to the topic; 'troupe group members GROUP' lists them"
	case kerr.CoordinatorNotAvailable, kerr.CoordinatorLoadInProgress, kerr.NotCoordinator:
		p.next = "try again: the coordinator is starting or moving; 'troupe doctor' shows the brokers"
	case kerr.SaslAuthenticationFailed, kerr.UnsupportedSaslMechanism, kerr.IllegalSaslState:
		p.exit, p.next = exitAuth, "check --user, --password and --sasl-mechanism"
	case kerr.TopicAuthorizationFailed, kerr.GroupAuthorizationFailed, kerr.ClusterAuthorizationFailed, kerr.TransactionalIDAuthorizationFailed:
		p.exit, p.next = exitAuth, "ask for the right, or use another --user"
	case kerr.InvalidTopicException:
		p.exit, p.next = exitUsage, "up to 249 letters, digits, dots, underscores and dashes make a name; troupe topic list EXPRESSION shows the topics that a pattern matches"
	case kerr.TopicAlreadyExists:
		p.next = "troupe topic describe shows it; --if-not-exists makes this no error"
	case kerr.InvalidReplicationFactor:
		p.next = "a replication factor no larger than the number of brokers; 'troupe doctor' lists them"
	case kerr.MessageTooLarge, kerr.RecordListTooLarge:
		p.next = "raise the topic's limit: troupe topic alter TOPIC --set max.message.bytes=N, and give produce --max-message-bytes N"
	case kerr.NotEnoughReplicas, kerr.NotEnoughReplicasAfterAppend:
		p.next = "troupe topic describe TOPIC shows the ISR; min.insync.replicas says how many it needs"
	case kerr.UnsupportedVersion:
		p.next = "the broker is too old (or too new) for this; 'troupe doctor' shows its versions"
	case kerr.RequestTimedOut:
		p.exit = exitTimeout
	case kerr.InvalidConfig:
		p.next = "troupe config docs KEY says what a setting takes"
	}
	return p
}

// explainConnection tells the layers of a connection apart: name, TCP, TLS, protocol, time. what is empty if err is none of them.
func explainConnection(err error) (what, why, next string) {
	where := addressOf(err)
	var dns *net.DNSError
	var record tls.RecordHeaderError
	var authority x509.UnknownAuthorityError
	var host x509.HostnameError
	switch {
	case errors.As(err, &dns):
		return "cannot find " + dns.Name, "DNS: " + dns.Err, "check the host name in --brokers; if it is a name the broker advertises, set advertised.listeners on the broker"
	case errors.As(err, &record) && string(record.RecordHeader[:4]) == "HTTP", errors.Is(err, errWeb):
		return "no Kafka at " + orThere(where), "a web server answers", "the port of Kafka's listener, usually 9092, in --brokers"
	case errors.Is(err, errTLS):
		return orThere(where) + " speaks TLS", "and was not spoken to in TLS", "--tls, with --tls-ca FILE if its certificate is your own, or the port of a plain listener"
	case errors.As(err, &record):
		return "no TLS at " + where, "the other side does not answer a TLS handshake", "leave --tls out, or use the port of the TLS listener"
	case errors.Is(err, errNoTLS):
		return "no TLS at " + where, errNoTLS.Error(), "leave --tls out, or use the port of the TLS listener"
	case errors.As(err, &authority):
		return "TLS: " + where + " shows a certificate nobody here vouches for", authority.Error(), "give its authority with --tls-ca FILE"
	case errors.As(err, &host):
		return "TLS: " + where + " shows a certificate for another name", host.Error(), "use the name in the certificate in --brokers"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "cannot reach " + where, "connection refused", "is a broker running? start one with: troupe dev"
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return "cannot reach " + where, "no route to host", "check the address and the network"
	case errors.Is(err, errNotKafka), strings.Contains(err.Error(), "exceeds BrokerMaxReadBytes"):
		return "no Kafka at " + orThere(where), innermost(err), "check the port: Kafka's listener is usually 9092"
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "the other side hung up: " + where, innermost(err), "a TLS or SASL listener hangs up on plain clients: try --tls, or --user and --password"
	case isTimeout(err) && where != "":
		return "cannot reach " + where, "no answer in time", "a firewall that drops packets, or a broker too busy to accept: 'troupe doctor' shows the step"
	case errors.As(err, new(*kgo.ErrFirstReadEOF)):
		return "the other side hung up at the first request", innermost(err), "a TLS or SASL listener hangs up on plain clients: try --tls, or --user and --password"
	}
	return "", "", ""
}

// innermost is the text of err below the layers that only say where it happened.
func innermost(err error) string {
	for {
		inner := errors.Unwrap(err)
		if inner == nil || inner == errNotKafka {
			return err.Error()
		}
		err = inner
	}
}

func orThere(where string) string {
	if where == "" {
		return "the other side"
	}
	return where
}

func isTimeout(err error) bool {
	var n net.Error
	return errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, context.DeadlineExceeded) || errors.As(err, &n) && n.Timeout()
}

// addressOf is the remote address a network error carries, if any.
func addressOf(err error) string {
	var at *addressError
	if errors.As(err, &at) {
		return at.addr
	}
	var op *net.OpError
	if errors.As(err, &op) && op.Addr != nil {
		return op.Addr.String()
	}
	return ""
}

// addressError remembers which address, as the user or the broker wrote it, an error is about.
type addressError struct {
	addr string
	err  error
}

func (e *addressError) Error() string { return e.addr + ": " + e.err.Error() }
func (e *addressError) Unwrap() error { return e.err }
