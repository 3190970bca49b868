package api

import (
	"log/slog"
	"slices"
	"strconv"
	"strings"

	"github.com/troupe-broker/troupe/actors/protocol"
	"github.com/troupe-broker/troupe/cluster/config"
)

// Loggers are the log levels of the running node (KIP-412). Safe on any goroutine.
type Loggers interface {
	// Levels lists all loggers with the level in force for each, sorted by name.
	Levels() []LoggerLevel
	// SetLevel sets the level of a logger that is listed to one of config.LogLevels; an empty one takes away what was set, so that the
	// logger has the level of the one above it. The root's cannot be taken away.
	SetLevel(logger, level string)
}

// LoggerLevel is one logger.
type LoggerLevel struct{ Logger, Level string }

// levels of the node's loggers; none if nobody can change them.
func (s *Server) levels() []LoggerLevel {
	if s.Loggers == nil {
		return nil
	}
	return s.Loggers.Levels()
}

// describeLoggers lists the loggers of this broker. Source: ConfigHelper.describeConfigs.
func (s *Server) describeLoggers(name string, keys []string) (out []config.Entry, f protocol.Fault) {
	if name == "" {
		return nil, protocol.Fault{Code: protocol.InvalidRequest, Reason: "Broker id must not be empty"}
	}
	id, err := strconv.ParseInt(name, 10, 32)
	if err != nil {
		return nil, protocol.Fault{Code: protocol.InvalidRequest, Reason: "Broker id must be an integer, but it is: " + name}
	}
	if protocol.NodeID(id) != s.NodeID {
		return nil, protocol.Fault{Code: protocol.InvalidRequest, Reason: "Unexpected broker id, expected " + strconv.Itoa(int(s.NodeID)) + " but received " + name}
	}
	for _, l := range s.levels() {
		if keys == nil || slices.Contains(keys, l.Logger) {
			out = append(out, config.Entry{Name: l.Logger, Value: l.Level, Source: config.LoggerSource})
		}
	}
	return out, protocol.Fault{}
}

// alterLoggers carries out a change of this broker's levels, all of it or nothing. Source: RuntimeLoggerManager.applyChangesForResource.
func (c *Call) alterLoggers(r protocol.AlterResource, validateOnly bool) protocol.Fault {
	s := c.Conn.Server
	id, err := strconv.ParseInt(r.Name, 10, 32)
	if err != nil {
		return protocol.Fault{Code: protocol.InvalidRequest, Reason: "Node id must be an integer, but it is: " + r.Name}
	}
	if protocol.NodeID(id) != s.NodeID {
		return protocol.Fault{Code: protocol.InvalidRequest, Reason: "Unexpected node id. Expected " + strconv.Itoa(int(s.NodeID)) + ", but received " + strconv.FormatInt(id, 10)}
	}
	for _, op := range r.Ops {
		if f := s.checkLevel(op); f.Failed() {
			return f
		}
	}
	if validateOnly {
		return protocol.Fault{}
	}
	for _, op := range r.Ops {
		s.Loggers.SetLevel(op.Key, op.Value)
		s.Logger.Info("log level changed", slog.String("logger", op.Key), slog.String("level", op.Value), slog.Any("by", c.requester()))
	}
	return protocol.Fault{}
}

// checkLevel refuses what cannot be done to a logger. Source: RuntimeLoggerManager.validateLogLevelConfigs.
func (s *Server) checkLevel(op protocol.AlterOp) protocol.Fault {
	if op.Op == protocol.ConfigAppend || op.Op == protocol.ConfigSubtract {
		name := [...]string{protocol.ConfigAppend: "APPEND", protocol.ConfigSubtract: "SUBTRACT"}[op.Op]
		return protocol.Fault{Code: protocol.InvalidRequest, Reason: name + " operation is not allowed for the BROKER_LOGGER resource"}
	}
	if !slices.ContainsFunc(s.levels(), func(l LoggerLevel) bool { return l.Logger == op.Key }) {
		return protocol.Fault{Code: protocol.InvalidConfig, Reason: "Logger " + op.Key + " does not exist!"}
	}
	switch {
	case op.Op == protocol.ConfigDelete && op.Key == config.RootLogger:
		return protocol.Fault{Code: protocol.InvalidRequest, Reason: "Removing the log level of the root logger is not allowed"}
	case op.Op == protocol.ConfigSet && !slices.Contains(config.LogLevels, op.Value):
		return protocol.Fault{Code: protocol.InvalidConfig, Reason: "Cannot set the log level of " + op.Key + " to " + op.Value +
			" as it is not a supported log level. Valid log levels are " + strings.Join(slices.Sorted(slices.Values(config.LogLevels)), ", ")}
	}
	return protocol.Fault{}
}

// requester says on whose behalf the call is.
func (c *Call) requester() protocol.Requester {
	return protocol.Requester{Principal: c.Conn.Principal(), Address: c.Conn.Peer.Remote.Addr().Unmap().String(), Client: c.Client}
}
