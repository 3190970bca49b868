package main

import (
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/lmittmann/tint"

	"github.com/troupe-broker/troupe/cluster/config"
	"github.com/troupe-broker/troupe/cmd/node"
)

// handler writes on standard error: for people on a terminal, JSON for machines otherwise. It takes every level. A write that fails, on a
// terminal that is gone or a full disk, loses its line and nothing else.
func (t terminal) handler() slog.Handler {
	lowest := slog.Level(-100)
	if t.errTTY {
		return tint.NewHandler(t.err, &tint.Options{Level: lowest, TimeFormat: time.TimeOnly + ".000", NoColor: !t.colour})
	}
	return slog.NewJSONHandler(t.err, &slog.HandlerOptions{Level: lowest})
}

// logger writes what the loggers let through.
func (t terminal) logger(loggers *node.Loggers) *slog.Logger {
	return slog.New(loggers.Handler(t.handler()))
}

// levelSetting is the value of --log-level as a setting; none if it was not given.
func levelSetting(level string) ([]string, error) {
	if level == "" {
		return nil, nil
	}
	if !slices.Contains(config.LogLevels, strings.ToUpper(level)) {
		return nil, usage("--log-level debug|info|warn|error", "no log level %q", level)
	}
	return []string{"logging.level=" + level}, nil
}
