package node

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"time"

	"github.com/troupe-broker/troupe/actors/env"
	"github.com/troupe-broker/troupe/actors/protocol"
	"github.com/troupe-broker/troupe/cluster/config"
	"github.com/troupe-broker/troupe/transport/httpd"
	"github.com/troupe-broker/troupe/transport/kafka"
	"github.com/troupe-broker/troupe/transport/kafka/api"
	"github.com/troupe-broker/troupe/transport/kafka/wire"
)

const (
	// receiveMemory bounds the receive buffers of all connections together, in bytes.
	receiveMemory = 1 << 30
	// lobbyMemory bounds those of the clients that still have to say who they are, in bytes.
	lobbyMemory = 32 << 20
	// repliesTimeout is how long a stop waits for replies under way; clients that long-poll would hold it up for as long as they like.
	repliesTimeout = 5 * time.Second
	// undoTimeout bounds the stop of a node that could not start.
	undoTimeout = 10 * time.Second
)

// Start runs a node: it builds it, serves health and metrics, waits until clients can be served, and then listens for them. It returns
// when they can connect. Errors: *ListenError, ErrLocked, ErrForeign, those of the file system and of recovery. On an error everything
// is stopped again.
func Start(ctx context.Context, e env.Env, c Config) (*Node, error) {
	ready := make(chan struct{})
	also := c.Ready
	c.Ready = func() {
		close(ready)
		if also != nil {
			also()
		}
	}
	c.Descriptors = cmp.Or(c.Descriptors, descriptorLimit())
	if err := tryPorts(ctx, c.Settings); err != nil {
		return nil, err
	}
	n, err := Build(e, c)
	if err != nil {
		return nil, err
	}
	if err := n.serve(ctx, ready); err != nil {
		stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoTimeout)
		defer cancel()
		return nil, errors.Join(err, n.Stop(stopping))
	}
	return n, nil
}

// tryPorts finds out whether the ports can be had, before anything is done with the data. They are not kept: whoever finds a port open
// finds a broker that serves.
func tryPorts(ctx context.Context, b *config.Broker) error {
	try := func(setting, host string, port int) error {
		open, err := listen(ctx, setting, host, port)
		return errors.Join(err, closeAll(open))
	}
	for _, l := range b.Listeners {
		if err := try("listeners", l.Host, int(l.Port)); err != nil {
			return err
		}
	}
	if b.HTTPListener == "" {
		return nil
	}
	host, port, err := splitPort(b.HTTPListener)
	if err != nil {
		return &ListenError{"http.listener", b.HTTPListener, err}
	}
	return try("http.listener", host, port)
}

func (n *Node) serve(ctx context.Context, ready <-chan struct{}) error {
	if err := n.serveHTTP(ctx); err != nil {
		return err
	}
	select {
	case <-ready:
	case err := <-n.broken:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
	bounds := n.bounds()
	for _, l := range n.settings.Listeners {
		if err := n.serveKafka(ctx, l, bounds); err != nil {
			return err
		}
	}
	n.serving.Store(true)
	return nil
}

func (n *Node) serveHTTP(ctx context.Context) error {
	if n.settings.HTTPListener == "" {
		return nil
	}
	host, port, err := splitPort(n.settings.HTTPListener)
	if err != nil {
		return &ListenError{"http.listener", n.settings.HTTPListener, err}
	}
	listeners, err := listen(ctx, "http.listener", host, port)
	if err != nil {
		return err
	}
	n.httpd = httpd.New(httpd.Options{
		Conditions: n.conditions(), Metrics: n.metrics.Handler(), Node: func() any { return n.describe() }, Logger: n.log, Loggers: n.loggers(),
	})
	n.http = listeners
	for _, l := range listeners {
		go func() {
			if err := n.httpd.Serve(l); err != nil {
				n.log.Error("the HTTP listener ended", slog.String("address", l.Addr().String()), slog.Any("err", err))
			}
		}()
	}
	return nil
}

func splitPort(address string) (host string, port int, err error) {
	host, text, err := net.SplitHostPort(address)
	if err != nil {
		return "", 0, err
	}
	port, err = strconv.Atoi(text)
	return host, port, err
}

// bounds are what all listeners of a node share.
type bounds struct {
	admission     *kafka.Admission
	replies       *kafka.Replies
	unpacking     *kafka.Unpacking
	backlog       *kafka.Backlog
	memory, lobby *wire.Memory
}

func (n *Node) bounds() bounds {
	limit := int64(receiveMemory)
	if set := n.settings.Int("queued.max.request.bytes"); set > 0 {
		limit = set
	}
	room := n.descriptors.connections
	return bounds{replies: kafka.NewReplies(0), unpacking: &kafka.Unpacking{}, backlog: &kafka.Backlog{}, memory: wire.NewMemory(limit), lobby: wire.NewMemory(lobbyMemory), admission: kafka.NewAdmission(func() kafka.Limits {
		b := n.images.Broker()
		return kafka.Limits{
			Connections: min(b.MaxConnections, room), PerAddress: int(b.Int("max.connections.per.ip")),
			CreationRate: int(b.Int("max.connection.creation.rate")), Overrides: b.AddressLimits,
		}
	})}
}

// serveKafka opens one listener on every address its host stands for.
func (n *Node) serveKafka(ctx context.Context, l config.Listener, b bounds) error {
	authentication := n.authentication(l)
	return eachAddress(ctx, "listeners", l.Host, int(l.Port), func(address string) (net.Addr, error) {
		k, err := kafka.Listen(n.server, kafka.ListenerConfig{
			Name: l.Name, Address: address, RequestMaxBytes: int32(n.settings.SocketRequestMaxBytes), IdleMax: n.settings.ConnectionsMaxIdle,
			Admission: b.admission, Replies: b.replies, Unpacking: b.unpacking, Backlog: b.backlog, Memory: b.memory, Lobby: b.lobby,
			SendBuffer: n.settings.SocketSendBufferBytes, ReceiveBuffer: n.settings.SocketReceiveBufferBytes,
			Authentication: authentication, TokenMaxBytes: n.settings.TokenMax(l.Name),
		})
		if err != nil {
			return nil, err
		}
		n.mu.Lock()
		n.kafka = append(n.kafka, k)
		n.mu.Unlock()
		return k.Addr(), nil
	})
}

// authentication is what a listener wants of its clients; nil is nothing.
func (n *Node) authentication(l config.Listener) *api.Authentication {
	if !l.Authenticates() {
		return nil
	}
	if len(n.images.Load().ScramUsers()) == 0 {
		n.log.Warn("nobody can log in yet: make the first user over a PLAINTEXT listener, with troupe user create", slog.String("listener", l.Name))
	}
	out := &api.Authentication{FailureDelay: n.settings.Duration("connection.failed.authentication.delay.ms")}
	for _, m := range n.settings.SaslMechanisms(l.Name) {
		out.Mechanisms = append(out.Mechanisms, api.Mechanism{Scram: m, SessionMax: n.settings.SessionMax(l.Name, m)})
	}
	return out
}

// Stop ends the node: what is under way is answered, everything is flushed and closed, the directories are given up. After the end of
// ctx it does not wait any longer; then the error says what was left undone, and the next start recovers.
func (n *Node) Stop(ctx context.Context) error {
	n.serving.Store(false)
	errs := []error{n.closeKafka(ctx)}
	closed := make(chan error, 1)
	n.CloseLogs(0, func(err error) { closed <- err })
	select {
	case err := <-closed:
		errs = append(errs, err)
	case <-ctx.Done():
		errs = append(errs, fmt.Errorf("closing logs: %w", context.Cause(ctx)))
	}
	errs = append(errs, n.system.Shutdown(ctx))
	if n.httpd != nil {
		errs = append(errs, n.httpd.Close(ctx))
	}
	return errors.Join(append(errs, n.Release())...)
}

// closeKafka stops accepting at once, and waits for replies under way for a part of the time there is.
func (n *Node) closeKafka(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, repliesTimeout)
	defer cancel()
	done := make(chan error, len(n.kafka))
	for _, l := range n.kafka {
		go func() { done <- l.Close(ctx) }()
	}
	var err error
	for range n.kafka {
		err = errors.Join(err, <-done)
	}
	return err
}

// Failed yields the reason if the node cannot go on; it must then be stopped.
func (n *Node) Failed() <-chan error { return n.broken }

// ClusterID is the identity of the cluster, generated by its first start.
func (n *Node) ClusterID() string { return n.id.cluster }

// KafkaAddresses and HTTPAddresses are where the node listens.
func (n *Node) KafkaAddresses() (out []string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, l := range n.kafka {
		out = append(out, l.Addr().String())
	}
	return out
}

// HTTPAddresses: see KafkaAddresses.
func (n *Node) HTTPAddresses() []string { return addresses(n.http) }

// CreateTopics asks the controller for topics and waits until they are served. Rows come in the order asked.
func (n *Node) CreateTopics(ctx context.Context, topics []protocol.NewTopic) ([]protocol.TopicResult, error) {
	reply, err := n.system.AskWait(ctx, n.control, &protocol.CreateTopics{Topics: topics})
	if err != nil {
		return nil, err
	}
	created, ok := reply.(*protocol.TopicsCreated)
	if !ok {
		return nil, fmt.Errorf("the controller answered with a %T", reply)
	}
	return created.Topics, nil
}
