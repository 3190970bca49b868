package main

import (
	"log/slog"
	"strings"
	"time"

	"github.com/lmittmann/tint"
)

// logger writes on standard error: for people on a terminal, JSON for machines otherwise.
func (t terminal) logger(level slog.Level) *slog.Logger {
	if t.errTTY {
		return slog.New(tint.NewHandler(t.err, &tint.Options{Level: level, TimeFormat: time.TimeOnly + ".000", NoColor: !t.colour}))
	}
	return slog.New(slog.NewJSONHandler(t.err, &slog.HandlerOptions{Level: level}))
}

func parseLevel(name string) (slog.Level, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(strings.ToUpper(name))); err != nil {
		return 0, usage("--log-level debug|info|warn|error", "no log level %q", name)
	}
	return level, nil
}
