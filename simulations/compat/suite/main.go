package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/troupe-broker/troupe/simulations/process"
)

// options are the command line.
type options struct {
	suites, against, binary, jars, cache, out string
	only                                      *regexp.Regexp
	accept, keep, quick                       bool
	jobs, count, port                         int
}

func main() {
	o, err := parse(os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	scores, err := o.run(ctx)
	stop()
	fmt.Print(markdown(scores))
	if err == nil && o.out != "" {
		err = write(o.out, scores)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	if !o.accept && slices.ContainsFunc(scores, func(s score) bool { return !s.ok() && !(o.quick && s.Lacks) }) {
		os.Exit(1)
	}
}

func parse(args []string) (*options, error) {
	o := &options{}
	f := flag.NewFlagSet("suite", flag.ContinueOnError)
	f.StringVar(&o.suites, "suite", "java", "suites to run, separated by commas, of "+strings.Join(suiteNames(), ", "))
	f.StringVar(&o.against, "against", "troupe", "troupe, or kafka: Apache Kafka itself, of which every test is expected to pass")
	f.StringVar(&o.binary, "troupe", "", "the binary to test (default: built from this tree)")
	f.StringVar(&o.jars, "kafka", "", "directory of Apache Kafka's jars (default: fetched with Maven)")
	f.StringVar(&o.cache, "cache", "", "where suites are fetched and built (default: the user's cache directory)")
	f.StringVar(&o.out, "out", "", "write score.md and score.json into this directory")
	f.IntVar(&o.jobs, "jobs", 6, "tests of librdkafka that run at a time")
	f.IntVar(&o.port, "port", 21592, "the broker and what is tested with it listen on this port and the next three, of 127.0.0.1")
	f.IntVar(&o.count, "count", 1, "how many times franz-go-chaos runs its tests")
	only := f.String("only", "", "only tests whose whole name matches this expression")
	f.BoolVar(&o.quick, "quick", false, "the quick tests of "+quickSuites+" instead; what the machine lacks is named, and fails nothing")
	f.BoolVar(&o.accept, "accept", false, "write the expected lists of this tree anew; run in the root of the tree")
	f.BoolVar(&o.keep, "keep", false, "keep the data directories and say where")
	if err := f.Parse(args); err != nil {
		return nil, err
	}
	if o.jobs < 1 || o.count < 1 {
		return nil, fmt.Errorf("-jobs %d, -count %d: at least 1 each", o.jobs, o.count)
	}
	if o.quick {
		o.suites = quickSuites
	}
	var err error
	if o.only, err = regexp.Compile("^(?:" + *only + ")$"); *only == "" {
		o.only, err = regexp.Compile("")
	}
	if err == nil && o.against != "troupe" && o.against != "kafka" {
		err = fmt.Errorf("-against %q: troupe or kafka", o.against)
	}
	if err == nil && o.cache == "" {
		var home string
		home, err = os.UserCacheDir()
		o.cache = filepath.Join(home, "troupe-suites")
	}
	return o, err
}

// all are the suites there are, in the order they run.
func all(o *options) []suite {
	out := []suite{&javaSuite{jars: o.jars}, &appSuite{rest: o.loopback(3)}, &kgoSuite{door: o.saslDoor()}, &kgoChaosSuite{count: o.count}, &kcatSuite{}, &readerSuite{},
		&answerSuite{jars: o.jars, beside: [2]string{o.loopback(2), o.loopback(3)}, itself: o.against == "kafka"}}
	for _, mode := range rdModes {
		out = append(out, &rdSuite{mode: mode, jobs: o.jobs, jars: o.jars})
	}
	return out
}

func suiteNames() (out []string) {
	for _, s := range all(&options{}) {
		out = append(out, s.name())
	}
	return out
}

// run runs every suite asked for on a broker of its own.
func (o *options) run(ctx context.Context) (scores []score, err error) {
	dir, err := os.MkdirTemp("", "troupe-suite-")
	if err != nil {
		return nil, err
	}
	if o.keep {
		fmt.Fprintln(os.Stderr, "data is kept under", dir)
	} else {
		defer os.RemoveAll(dir)
	}
	if o.binary == "" && o.against == "troupe" {
		if o.binary, err = process.Build(dir); err != nil {
			return nil, err
		}
	}
	known := map[string]suite{}
	for _, s := range all(o) {
		known[s.name()] = s
	}
	for _, name := range strings.Split(o.suites, ",") {
		s, ok := known[name]
		if !ok {
			return scores, fmt.Errorf("no suite %q; there are %s", name, strings.Join(suiteNames(), ", "))
		}
		sc, err := o.one(ctx, s, filepath.Join(dir, name))
		if err != nil {
			return scores, err
		}
		scores = append(scores, sc)
	}
	return scores, nil
}

// one runs a suite. Its error is about this command; what is wrong with the suite or the broker is in the score.
func (o *options) one(ctx context.Context, s suite, dir string) (score, error) {
	list, err := readExpected(s.name())
	if err != nil {
		return score{}, fmt.Errorf("expected/%s.txt: %w", s.name(), err)
	}
	sc := score{Suite: s.name(), About: s.about(), Against: o.against, Trouble: missing(s)}
	sc.Lacks = len(sc.Trouble) > 0
	only := o.only
	if q, ok := s.(quickSuite); ok && o.quick {
		only = q.quick()
	}
	began := time.Now()
	if len(sc.Trouble) == 0 {
		sc.Results, err = o.measure(ctx, s, dir, only)
		if err != nil {
			sc.Trouble, sc.Lacks = append(sc.Trouble, err.Error()), errors.Is(err, errNotReady)
		}
	}
	sc.Took = time.Since(began).Seconds()
	if o.against == "kafka" {
		list = nil
		for _, r := range sc.Results {
			list = append(list, expectation{test: r.Test, pass: !r.Skipped})
		}
	}
	sc.Verdict, sc.Kafka, sc.Reasons = judge(list, sc.Results, only), byKafka(list, only), reasons(list, sc.Results)
	if o.accept && len(sc.Results) > 0 {
		return sc, o.acceptResults(s, list, sc.Results)
	}
	return sc, nil
}

// errNotReady marks a suite that could not be fetched or built.
var errNotReady = errors.New("not ready")

func (o *options) measure(ctx context.Context, s suite, dir string, only *regexp.Regexp) ([]result, error) {
	cache := filepath.Join(o.cache, s.name())
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return nil, err
	}
	if err := s.prepare(ctx, cache); err != nil {
		return nil, fmt.Errorf("getting %s ready: %w: %w", s.name(), errNotReady, err)
	}
	subject := process.Troupe(o.binary, o.loopback(0), o.loopback(1))
	if o.against == "kafka" {
		jars, err := process.KafkaJars(ctx, o.jars, filepath.Join(o.cache, "java"))
		if err != nil {
			return nil, err
		}
		subject = process.Kafka(jars, o.loopback(0), o.loopback(1), "-Xms256m", "-Xmx1g")
	}
	t, err := fresh(subject, dir, s.settings())
	if err != nil {
		return nil, err
	}
	log := t.broker // all of its lives write to one
	defer t.stop()
	results, err := s.run(ctx, t, only)
	for _, r := range results {
		if !r.Passed {
			fmt.Fprintf(os.Stderr, "\nthe broker's log ends:\n%s\n", log.Tail())
			break
		}
	}
	return results, err
}

func (o *options) acceptResults(s suite, list []expectation, results []result) error {
	if o.against != "troupe" {
		return fmt.Errorf("-accept is about troupe, not %s", o.against)
	}
	name := filepath.Join("simulations", "compat", "suite", "expected", s.name()+".txt")
	raw, err := os.ReadFile(name)
	if err != nil && !os.IsNotExist(err) {
		return err
	}
	var head strings.Builder
	for _, line := range strings.SplitAfter(string(raw), "\n") {
		if strings.HasPrefix(line, "#") {
			head.WriteString(line)
		}
	}
	return os.WriteFile(name, []byte(accepted(head.String(), list, results)), 0o644)
}
