package raft

import (
	"fmt"
	"log/slog"
)

// logger gives etcd's raft our log. What it calls information is detail to us.
type logger struct{ *slog.Logger }

func (l logger) Debug(v ...any) { l.Logger.Debug("raft", "text", fmt.Sprint(v...)) }
func (l logger) Debugf(format string, v ...any) {
	l.Logger.Debug("raft", "text", fmt.Sprintf(format, v...))
}
func (l logger) Info(v ...any)                 { l.Debug(v...) }
func (l logger) Infof(format string, v ...any) { l.Debugf(format, v...) }
func (l logger) Warning(v ...any)              { l.Logger.Warn("raft", "text", fmt.Sprint(v...)) }
func (l logger) Warningf(format string, v ...any) {
	l.Logger.Warn("raft", "text", fmt.Sprintf(format, v...))
}
func (l logger) Error(v ...any) { l.Logger.Error("raft", "text", fmt.Sprint(v...)) }
func (l logger) Errorf(format string, v ...any) {
	l.Logger.Error("raft", "text", fmt.Sprintf(format, v...))
}

// Fatal and Panic are raft's assertions: the actor stops, fail-stop.
func (l logger) Fatal(v ...any)                 { panic(fmt.Sprint(v...)) }
func (l logger) Fatalf(format string, v ...any) { panic(fmt.Sprintf(format, v...)) }
func (l logger) Panic(v ...any)                 { panic(fmt.Sprint(v...)) }
func (l logger) Panicf(format string, v ...any) { panic(fmt.Sprintf(format, v...)) }
