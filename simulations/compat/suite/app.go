package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/troupe-broker/troupe/simulations/process"
)

// appSuite is Apache Kafka's applications, each exactly-once while the broker is killed: Streams, Connect, MirrorMaker.
type appSuite struct {
	jars string
	rest string // address for Connect's REST API
}

func (s *appSuite) name() string { return "java-apps" }
func (s *appSuite) about() string {
	return "Apache Kafka " + process.KafkaAppVersion + "'s Streams, Connect, MirrorMaker"
}

func (s *appSuite) needs() []need { return (&javaSuite{}).needs() }

// settings: groups form at once.
func (s *appSuite) settings() map[string]string {
	return map[string]string{"group.initial.rebalance.delay.ms": "0", "offsets.topic.num.partitions": "4", "transaction.state.log.num.partitions": "4"}
}

func (s *appSuite) prepare(ctx context.Context, dir string) (err error) {
	s.jars, err = process.KafkaAppJars(ctx, dir)
	return err
}

func (s *appSuite) run(ctx context.Context, t *target, only *regexp.Regexp) (results []result, err error) {
	for _, test := range appTests {
		if !only.MatchString(test.name) {
			continue
		}
		if err := ctx.Err(); err != nil {
			return results, err
		}
		a := &apps{suite: s, target: t}
		results = append(results, timed(test.name, func() error { return a.limited(ctx, test.run) }))
	}
	return results, nil
}

// appTimeout is how long one test may take; they take about half a minute.
const appTimeout = 4 * time.Minute

// apps is what one test works with.
type apps struct {
	*target
	suite   *appSuite
	ctx     context.Context // ends with the test
	client  *kgo.Client     // writes for the test, whatever becomes of the broker
	running []*exec.Cmd
	logs    []string
}

// limited runs a test, and ends what it started. What applications logged last is part of its error.
func (a *apps) limited(ctx context.Context, test func(*apps) error) (err error) {
	limited, cancel := context.WithTimeout(ctx, appTimeout)
	defer cancel()
	a.ctx = limited
	if a.client, err = kgo.NewClient(kgo.SeedBrokers(a.addr), kgo.RecordDeliveryTimeout(time.Minute)); err != nil {
		return err
	}
	defer a.client.Close()
	defer a.end()
	if err = test(a); err != nil {
		for _, name := range a.logs {
			log, _ := os.ReadFile(name)
			err = fmt.Errorf("%w\n%s: %s", err, filepath.Base(name), quote(string(log)))
		}
	}
	return err
}

// start runs a class with a file of properties until the test ends.
func (a *apps) start(class string, properties ...string) error {
	name := class[strings.LastIndexByte(class, '.')+1:]
	file := filepath.Join(a.work, name+".properties")
	if err := os.WriteFile(file, []byte(strings.Join(properties, "\n")+"\n"), 0o644); err != nil {
		return err
	}
	log, err := os.Create(filepath.Join(a.work, name+".log"))
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := exec.Command("java", smallJava, "-XX:+UseSerialGC", quickStart, "-Dlog4j2.level=WARN", "-cp", a.suite.jars+"/*", class, file)
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		return err
	}
	a.running, a.logs = append(a.running, cmd), append(a.logs, log.Name())
	return nil
}

// end stops what runs, gently at first.
func (a *apps) end() {
	for _, cmd := range a.running {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		kill := time.AfterFunc(20*time.Second, func() { _ = cmd.Process.Kill() })
		_ = cmd.Wait() // however it ended
		kill.Stop()
	}
	a.running = nil
}

// until asks again and again, and returns the last answer when the time is over.
func (a *apps) until(what string, done func() error) error {
	for {
		err := done()
		if err == nil {
			return nil
		}
		select {
		case <-a.ctx.Done():
			return fmt.Errorf("%s: %w", what, err)
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// write produces values in order to partition 0 of a topic.
func (a *apps) write(topic string, values ...string) error {
	var records []*kgo.Record
	for _, v := range values {
		records = append(records, &kgo.Record{Topic: topic, Value: []byte(v)})
	}
	return a.client.ProduceSync(a.ctx, records...).FirstErr()
}

// reader is a topic's committed records, read as they come.
type reader struct {
	client *kgo.Client
	got    []*kgo.Record
}

func (a *apps) reader(topic string) (*reader, error) {
	cl, err := kgo.NewClient(kgo.SeedBrokers(a.addr), kgo.ConsumeTopics(topic), kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.UnknownTopicRetries(-1))
	return &reader{client: cl}, err
}

// more reads what has come meanwhile.
func (r *reader) more(ctx context.Context) []*kgo.Record {
	short, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	r.got = append(r.got, r.client.PollFetches(short).Records()...)
	return r.got
}

// values are those of the records, in order.
func values(records []*kgo.Record) (out []string) {
	for _, r := range records {
		out = append(out, string(r.Value))
	}
	return out
}

// sameValues says how values that were read differ from those written.
func sameValues(got, want []string) error {
	if slices.Equal(got, want) {
		return nil
	}
	i := 0
	for i < min(len(got), len(want)) && got[i] == want[i] {
		i++
	}
	return fmt.Errorf("%d values, want %d; the first %d are the same", len(got), len(want), i)
}
