package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/troupe-broker/troupe/simulations/process"
)

// suite is a body of tests that others wrote.
type suite interface {
	// name is the word for -suite and the name of the expected list.
	name() string
	// about names the project and its version.
	about() string
	// needs are what the machine must have before prepare.
	needs() []need
	// settings are the broker's, by Kafka's names.
	settings() map[string]string
	// prepare fetches and builds under dir, which is kept from run to run.
	prepare(ctx context.Context, dir string) error
	// run runs the tests whose names only matches and returns a result for each. An error means that the suite as a whole could not
	// run; what ran before is returned with it.
	run(ctx context.Context, t *target, only *regexp.Regexp) ([]result, error)
}

// quickSuite is a suite with tests that take about half a minute together and need no download but Go modules.
type quickSuite interface {
	suite
	quick() *regexp.Regexp
}

// quickSuites are those, as for -suite.
const quickSuites = "kcat,franz-go"

// result is what became of one test.
type result struct {
	Test    string  `json:"test"`
	Passed  bool    `json:"passed"`
	Skipped bool    `json:"skipped,omitempty"` // the test itself declined to run: that is no pass, and is listed with its reason
	Seconds float64 `json:"seconds"`
	Alone   bool    `json:"alone,omitempty"` // it failed beside other tests of its suite and passed on its own
	Why     string  `json:"why,omitempty"`   // of a failure: one or a few lines
}

// need is a tool or property of the machine.
type need struct {
	what  string
	get   string // how to get it
	check func() error
}

// program is the need for an executable on the PATH.
func program(name, get string) need {
	return need{what: name, get: get, check: func() error { _, err := exec.LookPath(name); return err }}
}

// missing are the needs that the machine does not meet, said for people.
func missing(s suite) (out []string) {
	for _, n := range s.needs() {
		if err := n.check(); err != nil {
			out = append(out, fmt.Sprintf("%s needs %s: %v (%s)", s.name(), n.what, err, n.get))
		}
	}
	return out
}

// target is the broker under test.
type target struct {
	addr   string
	data   string // its data directory
	work   string // an empty directory for the suite's files
	broker *process.Broker
	begin  func() (*process.Broker, error) // on the same data
}

// crash kills the broker as kill -9 does, and starts it again.
func (t *target) crash() (err error) {
	t.broker.Kill()
	t.broker, err = t.begin()
	return err
}

// stop ends the broker, for tests that read its files. Stopping twice does nothing.
func (t *target) stop() {
	if t.broker != nil {
		t.broker.Stop()
		t.broker = nil
	}
}

// loopback is the nth address from the first port on: Kafka's protocol; HTTP or the controller's votes; Kafka's protocol after a login.
func (o *options) loopback(n int) string { return fmt.Sprintf("127.0.0.1:%d", o.port+n) }

// fresh starts a broker on an empty directory under dir. A process that listens on its address already would be tested in its place,
// and is refused.
func fresh(subject process.Subject, dir string, settings map[string]string) (*target, error) {
	free, err := net.Listen("tcp", subject.Addr)
	if err != nil {
		return nil, fmt.Errorf("the machine has no free address for the broker: %w", err)
	}
	free.Close()
	t := &target{addr: subject.Addr, data: filepath.Join(dir, "data"), work: filepath.Join(dir, "work")}
	if err := os.MkdirAll(t.work, 0o755); err != nil {
		return nil, err
	}
	t.begin = func() (*process.Broker, error) { return process.Start(subject, t.data, settings) }
	t.broker, err = t.begin()
	return t, err
}

// timed runs f as the test called name.
func timed(name string, f func() error) result {
	began := time.Now()
	err := f()
	r := result{Test: name, Passed: err == nil, Seconds: float64(time.Since(began).Milliseconds()) / 1000}
	if err != nil {
		r.Why = strings.TrimSpace(err.Error())
	}
	return r
}
