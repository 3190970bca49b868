package main

import (
	"context"
	"log/slog"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"github.com/troupe-broker/troupe/cluster/config"
	"github.com/troupe-broker/troupe/cmd/node"
)

// hangups lets the process outlive its terminal and whoever reads its log: a write to a closed pipe fails instead of ending the process,
// and SIGHUP comes on the channel, for good: a terminal that closes sends it more than once, and the later ones must not cut a clean
// stop short.
func hangups() <-chan os.Signal {
	signal.Ignore(syscall.SIGPIPE)
	c := make(chan os.Signal, 1)
	signal.Notify(c, syscall.SIGHUP)
	return c
}

// untilHangup is ctx until the terminal closes, unless SIGHUP was to be ignored (nohup).
func untilHangup(ctx context.Context) (context.Context, context.CancelFunc) {
	ignored := signal.Ignored(syscall.SIGHUP)
	c := hangups()
	if ignored {
		signal.Ignore(syscall.SIGHUP)
	}
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		select {
		case <-c:
			cancel()
		case <-ctx.Done():
		}
	}()
	return ctx, cancel
}

// reloading reads the settings again at SIGHUP.
type reloading struct {
	read  func() (*config.Broker, error)
	began *config.Broker // what the broker was started with
	parts []reloader     // in the order in which they are carried out
	log   *slog.Logger   // takes every level: what a signal did is always said
}

// reloader takes over one part of the settings while the broker runs.
type reloader struct {
	keys  []string
	apply func(now *config.Broker) error
}

// levelReloader gives the root logger the level of the settings. Levels of single rooms stay as they were set.
func levelReloader(loggers *node.Loggers) reloader {
	return reloader{[]string{"logging.level"}, func(now *config.Broker) error {
		loggers.SetLevel(config.RootLogger, now.LogLevel)
		return nil
	}}
}

// run reloads at every signal until ctx ends.
func (r *reloading) run(ctx context.Context, signals <-chan os.Signal) {
	for {
		select {
		case <-signals:
			r.reload()
		case <-ctx.Done():
			return
		}
	}
}

// reload takes over what can be, and says in one line what it did. Settings that are wrong change nothing.
func (r *reloading) reload() {
	now, err := r.read()
	if err != nil {
		r.log.Error("SIGHUP: the settings are wrong, nothing was changed", slog.Any("err", err))
		return
	}
	var done, failed []string
	for _, p := range r.parts {
		if err := p.apply(now); err != nil {
			failed = append(failed, strings.Join(p.keys, ",")+": "+err.Error())
			continue
		}
		for _, key := range p.keys {
			done = append(done, key+"="+now.String(key))
		}
	}
	r.log.Info("SIGHUP: settings read again", list("inForce", done), list("failed", failed), list("needRestart", r.others(now)))
}

// list is an attribute, or nothing if it is empty.
func list(name string, items []string) slog.Attr {
	if len(items) == 0 {
		return slog.Attr{}
	}
	return slog.Any(name, items)
}

// others are the keys that have another value than at the start and are not taken over.
func (r *reloading) others(now *config.Broker) (out []string) {
	reloaded := func(key string) bool {
		return slices.ContainsFunc(r.parts, func(p reloader) bool { return slices.Contains(p.keys, key) })
	}
	before, after := r.began.Values().Static, now.Values().Static
	for _, e := range config.Sort(slices.Concat(before, after)) {
		was, had := config.Find(before, e.Key)
		is, has := config.Find(after, e.Key)
		if (was != is || had != has) && !reloaded(e.Key) {
			out = append(out, e.Key)
		}
	}
	return out
}
