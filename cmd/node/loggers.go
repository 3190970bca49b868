package node

import (
	"context"
	"log/slog"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/troupe-broker/troupe/cluster/config"
	"github.com/troupe-broker/troupe/transport/kafka/api"
)

// loggerNames are the rooms whose levels are set, with dots between folders. What is in none of them is the root's.
var loggerNames = []string{
	"actors", "cluster", "cluster.raft", "group", "partition", "partition.storage", config.RootLogger, "transport.httpd", "transport.kafka",
}

// module is what the name of every function of ours begins with.
const module = "github.com/troupe-broker/troupe/"

// Loggers says what is logged: from which level on, for each room of the source. A room without a level of its own has that of the room
// above it. Levels are not kept over a restart (KIP-412). Safe on any goroutine.
//
// A record is told to its room by the function that wrote it, so that whoever logs needs to know nothing about this. Only records that
// some room wants are looked up.
type Loggers struct{ state atomic.Pointer[levels] }

// levels are immutable. Invariant: own has the root's.
type levels struct {
	own    map[string]slog.Level
	lowest slog.Level
}

// levelOf are the levels by Kafka's names. Nothing is logged as FATAL or TRACE: they are less and more than everything there is.
var levelOf = map[string]slog.Level{
	"FATAL": slog.LevelError + 4, "ERROR": slog.LevelError, "WARN": slog.LevelWarn, "INFO": slog.LevelInfo, "DEBUG": slog.LevelDebug, "TRACE": slog.LevelDebug - 4,
}

// NewLoggers makes levels of which only the root's is set, to one of config.LogLevels.
func NewLoggers(root string) *Loggers {
	l := &Loggers{}
	l.state.Store(newLevels(map[string]slog.Level{config.RootLogger: levelOf[root]}))
	return l
}

func newLevels(own map[string]slog.Level) *levels {
	s := &levels{own: own, lowest: own[config.RootLogger]}
	for _, level := range own { // in no order: the least of all
		s.lowest = min(s.lowest, level)
	}
	return s
}

// SetLevel implements api.Loggers.
func (l *Loggers) SetLevel(logger, level string) {
	for {
		before := l.state.Load()
		own := map[string]slog.Level{}
		for name, has := range before.own {
			own[name] = has
		}
		if level == "" && logger != config.RootLogger {
			delete(own, logger)
		} else if to, ok := levelOf[level]; ok && slices.Contains(loggerNames, logger) {
			own[logger] = to
		}
		if l.state.CompareAndSwap(before, newLevels(own)) {
			return
		}
	}
}

// Levels implements api.Loggers.
func (l *Loggers) Levels() []api.LoggerLevel {
	out := make([]api.LoggerLevel, 0, len(loggerNames))
	for _, name := range loggerNames {
		out = append(out, api.LoggerLevel{Logger: name, Level: nameOf(l.state.Load().of(name))})
	}
	return out
}

func nameOf(level slog.Level) string {
	for _, name := range config.LogLevels {
		if levelOf[name] == level {
			return name
		}
	}
	return level.String()
}

// of is the level in force for a room, or for a folder inside it.
func (s *levels) of(room string) slog.Level {
	for {
		if level, ok := s.own[room]; ok {
			return level
		}
		at := strings.LastIndexByte(room, '.')
		if at < 0 {
			return s.own[config.RootLogger]
		}
		room = room[:at]
	}
}

// Handler passes to h what is to be logged.
func (l *Loggers) Handler(h slog.Handler) slog.Handler { return leveled{l, h} }

type leveled struct {
	loggers *Loggers
	next    slog.Handler
}

// Enabled implements slog.Handler: some room wants such records.
func (h leveled) Enabled(_ context.Context, level slog.Level) bool {
	return level >= h.loggers.state.Load().lowest
}

// Handle implements slog.Handler.
func (h leveled) Handle(ctx context.Context, r slog.Record) error {
	if s := h.loggers.state.Load(); r.Level < s.of(roomOf(r.PC)) {
		return nil
	}
	return h.next.Handle(ctx, r)
}

// WithAttrs implements slog.Handler.
func (h leveled) WithAttrs(attrs []slog.Attr) slog.Handler {
	return leveled{h.loggers, h.next.WithAttrs(attrs)}
}

// WithGroup implements slog.Handler.
func (h leveled) WithGroup(name string) slog.Handler {
	return leveled{h.loggers, h.next.WithGroup(name)}
}

// roomOf is the folder of the function at pc, with dots; empty if it is none of ours.
func roomOf(pc uintptr) string {
	if pc == 0 {
		return ""
	}
	frame, _ := runtime.CallersFrames([]uintptr{pc}).Next()
	path, ours := strings.CutPrefix(frame.Function, module)
	if !ours {
		return ""
	}
	slash := strings.LastIndexByte(path, '/') + 1
	if dot := strings.IndexByte(path[slash:], '.'); dot >= 0 {
		path = path[:slash+dot]
	}
	return strings.ReplaceAll(path, "/", ".")
}

// loggers are those of the configuration, as an interface that is nil if there are none.
func (n *Node) loggers() api.Loggers {
	if n.config.Loggers == nil {
		return nil
	}
	return n.config.Loggers
}
