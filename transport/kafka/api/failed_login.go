package api

import (
	"log/slog"
	"strings"
	"sync/atomic"
	"time"
)

const (
	// Lines about failed logins: at most failedLoginLines in failedLoginEvery, for the whole node. Who guesses fails thousands of times.
	failedLoginLines = 10
	failedLoginEvery = 10 * time.Second
	// loggedNameMax bounds what a line shows of a name that nobody has checked, in bytes.
	loggedNameMax = 256
)

// few lets failedLoginLines through in every failedLoginEvery, on any thread; where two of these meet it may be some more. The zero value
// is ready.
type few struct {
	until   atomic.Int64 // the end of the time in which lines are counted; monotonic, nanoseconds
	lines   atomic.Int64 // wanted in it
	leftOut atomic.Int64 // since the last line
}

// due reports whether to say what happens at now, and how many things were left out since the last line.
func (f *few) due(now time.Duration) (leftOut int64, ok bool) {
	if until := f.until.Load(); int64(now) >= until && f.until.CompareAndSwap(until, int64(now+failedLoginEvery)) {
		f.lines.Store(0)
	}
	if f.lines.Add(1) > failedLoginLines {
		f.leftOut.Add(1)
		return 0, false
	}
	return f.leftOut.Swap(0), true
}

// tellFailure logs a login that failed: who it said it was, how, and from where. Called while the conversation is still there.
func (c *Conn) tellFailure(reason string) {
	leftOut, ok := c.Metrics.failedLogins.due(c.Clock.Mono())
	if !ok {
		return
	}
	user, mechanism := "", ""
	if t := c.auth.talk; t != nil {
		user, mechanism = t.User(), t.Mechanism().String()
	}
	if len(user) > loggedNameMax {
		user = strings.ToValidUTF8(user[:loggedNameMax], "") + "..."
	}
	c.Log.Info("login failed", slog.String("user", user), slog.String("mechanism", mechanism), slog.String("address", c.Peer.Remote.Addr().Unmap().String()),
		slog.String("listener", c.Peer.Listener), slog.String("reason", reason), slog.Int64("leftOut", leftOut))
}
