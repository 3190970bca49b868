package main

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// screen is a standard error that a test can wait on.
type screen struct {
	mu      sync.Mutex
	text    bytes.Buffer
	changed chan struct{}
}

func newScreen() *screen { return &screen{changed: make(chan struct{}, 1)} }

func (s *screen) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case s.changed <- struct{}{}:
	default:
	}
	return s.text.Write(b)
}

func (s *screen) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// waitFor returns when the text appears, or fails the test.
func (s *screen) waitFor(t *testing.T, text string) {
	t.Helper()
	timeout := time.After(20 * time.Second)
	for !strings.Contains(s.String(), text) {
		select {
		case <-s.changed:
		case <-timeout:
			t.Fatalf("no %q in\n%s", text, s)
		}
	}
}

// startServer runs a server command until the returned function is called, which returns its exit code.
func startServer(t *testing.T, args ...string) (*screen, func() int) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	s := newScreen()
	code := make(chan int, 1)
	go func() {
		code <- run(ctx, terminal{in: strings.NewReader(""), out: io.Discard, err: s, getenv: func(string) string { return "" }}, args)
	}()
	stopped := false
	stop := func() int {
		if stopped {
			return 0
		}
		stopped = true
		cancel()
		return <-code
	}
	t.Cleanup(func() { stop() })
	return s, stop
}

func TestDevServesProducersAndConsumersAcrossRestarts(t *testing.T) {
	dir := t.TempDir()
	args := []string{"dev", "--data", dir, "--port", "20620", "--http-port", "20621", "--topics", "orders:3,payments"}
	client := func(stdin, line string) string {
		t.Helper()
		var out, errs bytes.Buffer
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		words := append(splitWords(line), "-b", "localhost:20620")
		if code := run(ctx, terminal{in: strings.NewReader(stdin), out: &out, err: &errs, getenv: func(string) string { return "" }}, words); code != 0 {
			t.Fatalf("%s: exit %d\n%s", line, code, &errs)
		}
		return out.String()
	}

	s, stop := startServer(t, args...)
	s.waitFor(t, "Stop:")
	for _, want := range []string{"localhost:20620", "http://localhost:20621/readyz", "kcat -b localhost:20620 -L", dir} {
		if !strings.Contains(s.String(), want) {
			t.Errorf("the banner lacks %q:\n%s", want, s)
		}
	}
	if got := client("", "topic list -o jsonl"); strings.Count(got, "\n") != 2 || !strings.Contains(got, `"topic":"orders","id":"`) {
		t.Errorf("topics: %s", got)
	}
	client("one\ntwo\n", "produce hello")
	if got := client("", "consume hello --exit-at-end"); got != "one\ntwo\n" {
		t.Errorf("consumed %q", got)
	}
	ready(t, "http://localhost:20621/readyz", 200)
	client("", "doctor")
	if code := stop(); code != 0 {
		t.Fatalf("exit %d\n%s", code, s)
	}

	s, stop = startServer(t, args...)
	s.waitFor(t, "Stop:")
	client("three\n", "produce hello")
	if got := client("", "consume hello -o 1:end"); got != "two\nthree\n" {
		t.Errorf("after a restart: %q", got)
	}
	if code := stop(); code != 0 {
		t.Fatalf("exit %d\n%s", code, s)
	}
	if all, problems := dumpAll(t, dir, dumpOptions{brief: true}); len(problems) > 0 || len(all) < 5 {
		t.Errorf("%d files, problems %q", len(all), problems)
	}
}

func ready(t *testing.T, url string, want int) {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, _ := io.ReadAll(resp.Body); resp.StatusCode != want {
		t.Errorf("%s: %d %s", url, resp.StatusCode, body)
	}
}

func TestStartSaysWhatIsInItsWay(t *testing.T) {
	dir := t.TempDir()
	s, stop := startServer(t, "start", "--set", "log.dirs="+dir, "--set", "listeners=PLAINTEXT://127.0.0.1:20622", "--set", "http.listener=")
	s.waitFor(t, `"msg":"ready"`)
	for _, c := range []struct {
		args []string
		want string
		exit int
	}{
		{[]string{"dev", "--data", dir, "--port", "20623"}, "the data directory is in use", 1},
		{[]string{"dev", "--data", t.TempDir(), "--port", "20622", "--http-port", "20624"}, "cannot listen on 127.0.0.1:20622: the address is in use\n  try: is another broker running? stop it, or choose another address with --port N", 1},
		{[]string{"start", "--set", "log.dirs=/dev/null/x"}, "cannot", 1},
		{[]string{"start", "--set", "log.dirs=" + t.TempDir(), "--set", "http.listener=", "--set", "listeners=SSL://127.0.0.1:20624"}, "SSL is not served yet", 2},
	} {
		var errs bytes.Buffer
		code := run(context.Background(), terminal{in: strings.NewReader(""), out: io.Discard, err: &errs, getenv: func(string) string { return "" }}, c.args)
		if code != c.exit || !strings.Contains(errs.String(), c.want) {
			t.Errorf("%v: exit %d, want %q in\n%s", c.args, code, c.want, &errs)
		}
	}
	if code := stop(); code != 0 || !strings.Contains(s.String(), `"msg":"stopped"`) {
		t.Errorf("exit %d\n%s", code, s)
	}
	if code := run(context.Background(), terminal{in: strings.NewReader(""), out: io.Discard, err: s, getenv: func(string) string { return "" }},
		[]string{"start", "--set", "log.dirs=" + dir, "--set", "node.id=7"}); code != 1 || !strings.Contains(s.String(), "node.id is 1 there and 7") {
		t.Errorf("exit %d\n%s", code, s)
	}
}
