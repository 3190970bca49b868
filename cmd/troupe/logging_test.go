package main

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"github.com/troupe-broker/troupe/actors/protocol"
)

// TestTheLogEscapesWhatOthersWrote: a name can neither begin a line nor steer a terminal.
func TestTheLogEscapesWhatOthersWrote(t *testing.T) {
	const name = "bob\n12:00:00.000 INF forged\x1b[2J\x9b\u202e"
	for _, tty := range []bool{false, true} {
		var out bytes.Buffer
		log := slog.New(terminal{err: &out, errTTY: tty}.handler())
		log.Info("login failed", slog.String("user", name), slog.Any("by", protocol.Requester{Principal: "User:" + name, Client: name}))
		got := out.String()
		if strings.Count(got, "\n") != 1 || strings.ContainsAny(got, "\x1b\x9b") {
			t.Errorf("terminal %v: %q", tty, got)
		}
	}
}
