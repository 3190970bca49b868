package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	defaultBroker = "127.0.0.1:9092"
	defaultPort   = "9092"
	dialTimeout   = 3 * time.Second
)

// errNotKafka is in the error of a conversation with something that is not a Kafka broker.
var errNotKafka = errors.New("the answer is not Kafka's protocol")

// What else may answer at a port, each with its own way on.
var (
	errWeb = fmt.Errorf("%w: a web server answers", errNotKafka)
	errTLS = fmt.Errorf("%w: it speaks TLS", errNotKafka)
)

// seeds are the bootstrap addresses asked for, each with a port.
func (a *app) seeds() ([]string, error) {
	list := a.brokers
	if len(list) == 0 {
		list = strings.Split(a.getenv("TROUPE_BROKERS"), ",")
	}
	var out []string
	for _, s := range list {
		if s = strings.TrimSpace(s); s == "" {
			continue
		}
		addr, err := withPort(s)
		if err != nil {
			return nil, err
		}
		out = append(out, addr)
	}
	if len(out) == 0 {
		return []string{defaultBroker}, nil
	}
	return out, nil
}

// withPort adds Kafka's port to an address that has none.
func withPort(addr string) (string, error) {
	if scheme, _, found := strings.Cut(addr, "://"); found {
		return "", usage("HOST:PORT without "+scheme+"://", "bad broker address %q", addr)
	}
	if _, port, err := net.SplitHostPort(addr); err == nil {
		if port == "" {
			return addr + defaultPort, nil
		}
		return addr, nil
	}
	bare := strings.Trim(addr, "[]")
	if strings.Contains(bare, ":") && net.ParseIP(bare) == nil {
		return "", usage("HOST:PORT, [IPv6]:PORT", "bad broker address %q", addr)
	}
	return net.JoinHostPort(bare, defaultPort), nil
}

// dialer opens connections for the Kafka client and remembers why the last one to each address failed: the client library reports
// a failure long after, and by then without the address or the layer.
type dialer struct {
	seeds []string
	open  func(ctx context.Context, network, addr string) (net.Conn, error)

	mu     sync.Mutex
	failed map[string]error
}

func newDialer(seeds []string, timeout time.Duration, tls *tlsFlags) (*dialer, error) {
	open, err := tls.dialer(min(dialTimeout, timeout))
	if err != nil {
		return nil, err
	}
	return &dialer{seeds: seeds, open: open, failed: map[string]error{}}, nil
}

// Dial opens one connection. Errors are *addressError.
func (d *dialer) Dial(ctx context.Context, network, addr string) (net.Conn, error) {
	conn, err := d.open(ctx, network, addr)
	d.mu.Lock()
	defer d.mu.Unlock()
	if err != nil {
		err = &addressError{addr, err}
		d.failed[addr] = err
		return nil, err
	}
	delete(d.failed, addr)
	return conn, nil
}

// probe dials the bootstrap addresses beside each other until one of them answers, or says what is wrong with the first of them.
func (d *dialer) probe(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	answers := make(chan error, len(d.seeds))
	for _, addr := range d.seeds {
		go func() {
			conn, err := d.Dial(ctx, "tcp", addr)
			if err == nil {
				conn.Close()
			}
			answers <- err
		}()
	}
	for range d.seeds {
		if err := <-answers; err == nil {
			return nil
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.failed[d.seeds[0]]
}

// unreachable explains err by an address that a broker advertised and that could not be dialled, if there is one.
func (d *dialer) unreachable(err error) error {
	if err == nil {
		return nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	var advertised []string
	for addr := range d.failed {
		if !slices.Contains(d.seeds, addr) {
			advertised = append(advertised, addr)
		}
	}
	if len(advertised) == 0 {
		return err
	}
	slices.Sort(advertised)
	addr := advertised[0]
	_, why, _ := explainConnection(d.failed[addr])
	return &problem{
		what:  "cannot reach " + addr + ", which " + d.seeds[0] + " advertises",
		why:   why,
		next:  "the broker must advertise an address that works from here (advertised.listeners); 'troupe doctor' shows each step",
		cause: d.failed[addr],
	}
}
