package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"os/signal"
	"slices"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/troupe-broker/troupe/actors/env/osenv"
	"github.com/troupe-broker/troupe/cluster/config"
	"github.com/troupe-broker/troupe/cmd/node"
	"github.com/troupe-broker/troupe/partition/storage"
)

// stopTimeout bounds a clean stop. What is not flushed then is recovered by the next start, like after a crash.
const stopTimeout = 30 * time.Second

func (a *app) start() *cobra.Command {
	var file, level string
	var set []string
	cmd := &cobra.Command{
		Use: "start", Short: "Run a broker in the foreground", Args: argCount(0, 0, "no arguments; settings go into --config and --set"),
		Long: "Run a broker until SIGTERM or SIGINT, then stop cleanly; a second signal ends it at once. SIGHUP, also that of a terminal that\n" +
			"closes, ends nothing: the settings are read again, logging.level is taken over, and one line says what needs a restart.\n\n" +
			"Settings have Kafka's names; 'troupe config docs' lists them. None is needed: data goes to ./" + defaultDataDir + ", Kafka listens on port 9092,\n" +
			"health and metrics on localhost:9644 (http.listener). A variable of the environment sets a key as in Kafka's container image:\n" +
			"TROUPE_LOG_DIRS or KAFKA_LOG_DIRS is log.dirs (__ is _, ___ is -); --set is stronger than it, the file weaker. Directories need no formatting. Logs go to standard error, as JSON unless\n" +
			"that is a terminal.",
		Example: "  troupe start --config server.properties\n  troupe start --set log.dirs=/var/lib/troupe --set num.partitions=6",
	}
	f := cmd.Flags()
	f.StringVarP(&file, "config", "c", "", "read settings from this properties `FILE`")
	f.StringArrayVar(&set, "set", nil, "a setting, `KEY=VALUE`, over those of the file; may be repeated")
	f.StringVar(&level, "log-level", "", "fatal, error, warn, info, debug or trace, over logging.level of the settings")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		signals := hangups()
		strongest, err := levelSetting(level)
		if err != nil {
			return err
		}
		read := func() (*config.Broker, error) {
			return brokerSettings(file, os.Environ(), slices.Concat(set, strongest))
		}
		settings, err := read()
		if err != nil {
			return err
		}
		b := a.newBroker(settings)
		if e := readEnvironment(os.Environ()); len(e.settings)+len(e.others) > 0 {
			b.log.Info("variables of the environment", slog.Any("settings", e.names()), slog.Any("passedOver", e.others))
		}
		r := &reloading{read: read, began: settings, parts: []reloader{levelReloader(b.loggers)}, log: slog.New(a.handler())}
		reloads, stop := context.WithCancel(context.WithoutCancel(cmd.Context())) // also while it stops
		defer stop()
		go r.run(reloads, signals)
		return b.serve(cmd.Context(), func(context.Context, *node.Node) error { return nil })
	}
	return cmd
}

// broker is a node to be run, with its log.
type broker struct {
	settings *config.Broker
	loggers  *node.Loggers
	log      *slog.Logger
}

func (a *app) newBroker(settings *config.Broker) *broker {
	loggers := node.NewLoggers(settings.LogLevel)
	return &broker{settings, loggers, a.logger(loggers)}
}

// serve runs the node until ctx ends. ready is called once clients are served.
func (b *broker) serve(ctx context.Context, ready func(context.Context, *node.Node) error) error {
	began, settings, log := time.Now(), b.settings, b.log
	spareProcessor()
	for _, w := range settings.Warnings() {
		log.Warn(w.Text, slog.String("key", w.Key))
	}
	n, err := node.Start(ctx, osenv.New(), node.Config{Settings: settings, Version: version, Logger: log, Loggers: b.loggers})
	if err != nil {
		return startFailure(err, settings)
	}
	warnOfReaders(log, settings) // they are ours: nobody is told to change somebody else's
	log.Info("ready", slog.Int64("ms", time.Since(began).Milliseconds()), slog.String("version", version), slog.Any("kafka", n.KafkaAddresses()),
		slog.Any("http", n.HTTPAddresses()), slog.String("cluster", n.ClusterID()), slog.Int("node", int(settings.NodeID)), slog.Any("dirs", settings.LogDirs))
	idle, stop := context.WithCancel(ctx)
	defer stop()
	go trimWhenIdle(idle)
	if err = ready(ctx, n); err == nil {
		select {
		case <-ctx.Done():
		case err = <-n.Failed():
		}
	}
	signal.Reset(syscall.SIGINT, syscall.SIGTERM) // a second signal ends the process at once
	log.Info("stopping")
	stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
	defer cancel()
	stopErr := n.Stop(stopping)
	if stopErr != nil {
		stopErr = &problem{what: "not stopped cleanly", why: stopErr.Error(), next: "nothing acknowledged is lost; the next start recovers the logs", cause: stopErr}
	}
	if stopErr == nil {
		log.Info("stopped")
	}
	return errors.Join(err, stopErr)
}

// warnOfReaders says which directories other users of the machine can read: what is written now is this user's alone, but not what was there,
// nor the names.
func warnOfReaders(log *slog.Logger, settings *config.Broker) {
	for _, dir := range dataDirs(settings) {
		info, err := os.Stat(dir)
		if err == nil && info.Mode()&0o077 != 0 {
			log.Warn("other users of this machine can look into a data directory", slog.String("dir", dir), slog.String("mode", info.Mode().String()), slog.String("next", "chmod -R go= "+dir))
		}
	}
}

// startFailure says what, why and what next for the ways in which a start fails.
func startFailure(err error, settings *config.Broker) error {
	var listen *node.ListenError
	switch {
	case errors.Is(err, context.Canceled):
		return err
	case errors.As(err, &listen):
		return listenFailure(listen)
	case errors.Is(err, node.ErrLocked):
		return &problem{what: "the data directory is in use", why: err.Error(), next: "stop the other broker, or give this one its own --set log.dirs=DIR", cause: err}
	case errors.Is(err, node.ErrForeign):
		return &problem{what: "this data belongs to another broker", why: err.Error(), next: "the node.id it was written with, or another --set log.dirs=DIR", cause: err}
	case errors.Is(err, node.ErrMissing):
		return &problem{
			what: "a data directory is missing", why: err.Error(), cause: err,
			next: "mount it, or put it back into log.dirs; to give up the partitions in it, take its line out of " + storage.SiblingsName + " in the other directories",
		}
	case errors.Is(err, node.ErrTwice):
		return &problem{what: "a partition is there twice", why: err.Error(), cause: err,
			next: "look at both with troupe debug log dump --brief DIR, and move the one that is older out of its log directory; nothing was changed"}
	case errors.Is(err, node.ErrNotOurs):
		return &problem{what: "this data is not troupe's", why: err.Error(), next: "an empty directory: --set log.dirs=DIR; nothing was changed", cause: err}
	case errors.Is(err, syscall.ENOTDIR):
		return &problem{what: "cannot use the data directory", why: err.Error(), next: fmt.Sprintf("make %v a directory, or choose another --set log.dirs=DIR", settings.LogDirs), cause: err}
	case errors.Is(err, fs.ErrPermission), errors.Is(err, fs.ErrNotExist) && !errors.Is(err, storage.ErrCorrupt), errors.Is(err, syscall.EROFS):
		return &problem{what: "cannot use the data directory", why: err.Error(), next: fmt.Sprintf("make %v readable and writable for this user", settings.LogDirs), cause: err}
	case errors.Is(err, syscall.ENOSPC):
		return &problem{what: "the disk is full", why: err.Error(), next: "make room, then start again", cause: err}
	case errors.Is(err, storage.ErrCorrupt):
		return &problem{what: "the data is damaged", why: err.Error(), next: fmt.Sprintf("troupe debug log dump --brief %s shows where; nothing was changed", settings.LogDirs[0]), cause: err}
	}
	return &problem{what: "cannot start", why: err.Error(), next: "--log-level debug says more", cause: err}
}

func listenFailure(l *node.ListenError) error {
	p := &problem{what: "cannot listen on " + l.Address, why: l.Err.Error(), cause: l}
	switch {
	case errors.Is(l.Err, syscall.EADDRINUSE):
		p.why = "the address is in use"
		p.next = fmt.Sprintf("is another broker running? stop it, or choose another address with --set %s=...", l.Setting)
	case errors.Is(l.Err, syscall.EADDRNOTAVAIL):
		p.why = "this machine does not have the address"
		p.next = fmt.Sprintf("an address of this machine, or none for all of them, in --set %s=...", l.Setting)
	case errors.Is(l.Err, syscall.EACCES):
		p.next = "ports below 1024 need privileges; choose a higher one"
	}
	return p
}

// dataDirs are log.dirs and, if that is elsewhere, metadata.log.dir.
func dataDirs(b *config.Broker) []string {
	if slices.Contains(b.LogDirs, b.MetadataLogDir) {
		return b.LogDirs
	}
	return append([]string{b.MetadataLogDir}, b.LogDirs...)
}
