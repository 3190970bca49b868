package main

import (
	"context"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// client is a connection to a cluster.
type client struct {
	*kgo.Client
	admin   *kadm.Client
	dial    *dialer
	timeout time.Duration
}

// connect dials the cluster and builds a client with more options. Close it. The errors are problems.
func (a *app) connect(ctx context.Context, more ...kgo.Opt) (*client, error) {
	seeds, err := a.seeds()
	if err != nil {
		return nil, err
	}
	dial, err := newDialer(seeds, a.timeout, &a.tls)
	if err != nil {
		return nil, err
	}
	auth, err := a.mechanism()
	if err != nil {
		return nil, err
	}
	if err := dial.probe(ctx); err != nil {
		return nil, err
	}
	if err := a.greet(ctx, dial, auth); err != nil {
		return nil, err
	}
	opts := []kgo.Opt{
		kgo.SeedBrokers(seeds...),
		kgo.Dialer(dial.Dial),
		kgo.ClientID("troupe"),
		kgo.SoftwareNameAndVersion("troupe", version),
		kgo.RetryTimeout(a.timeout),
		kgo.RequestRetries(5),
		kgo.DisableClientMetrics(),
	}
	if a.verbose {
		opts = append(opts, kgo.WithLogger(kgo.BasicLogger(a.err, kgo.LogLevelInfo, nil)))
	}
	if auth != nil {
		opts = append(opts, kgo.SASL(auth))
	}
	cl, err := kgo.NewClient(slices.Concat(opts, a.options, more)...)
	if err != nil {
		return nil, usage("", "%v", err)
	}
	admin := kadm.NewClient(cl)
	admin.SetTimeoutMillis(int32(a.timeout.Milliseconds()))
	return &client{Client: cl, admin: admin, dial: dial, timeout: a.timeout}, nil
}

// explain adds to an error of the client which advertised address could not be reached, if that is why.
func (c *client) explain(err error) error { return c.dial.unreachable(err) }

// within bounds one exchange by --timeout.
func (c *client) within(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, c.timeout)
}

// withClient runs f with a connection and closes it.
func withClient[T any](a *app, ctx context.Context, f func(context.Context, *client) (T, error)) (T, error) {
	c, err := a.connect(ctx)
	if err != nil {
		var none T
		return none, err
	}
	defer c.Close()
	bounded, cancel := c.within(ctx)
	defer cancel()
	v, err := f(bounded, c)
	return v, c.explain(err)
}
