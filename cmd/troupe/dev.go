package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/troupe-broker/troupe/actors/protocol"
	"github.com/troupe-broker/troupe/cmd/node"
)

// devFlags are the flags of dev.
type devFlags struct {
	data           string
	port, httpPort int
	topics         []string
	set            []string
}

func (a *app) dev() *cobra.Command {
	d := &devFlags{}
	cmd := &cobra.Command{
		Use: "dev", Short: "Run a broker for trying things out, on this machine only", Args: argCount(0, 0, "no arguments"),
		Long: "Run a broker that only this machine can reach, with everything at its default but this: a group that forms does not\n" +
			"wait 3 s for more members (group.initial.rebalance.delay.ms=0). Data stays in the directory between runs. It stops cleanly at Ctrl-C\n" +
			"and when its terminal closes.",
		Example: "  troupe dev\n  troupe dev --topics orders:6,payments --data /tmp/try",
	}
	f := cmd.Flags()
	f.StringVar(&d.data, "data", defaultDataDir, "keep data in this `DIR`")
	f.IntVar(&d.port, "port", 9092, "port of the Kafka listener")
	f.IntVar(&d.httpPort, "http-port", 9644, "port of health and metrics")
	f.StringSliceVar(&d.topics, "topics", nil, "create these topics, `NAME[:PARTITIONS],...`, unless they exist")
	f.StringArrayVar(&d.set, "set", nil, "a broker setting, `KEY=VALUE`; may be repeated")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		ctx, stop := untilHangup(cmd.Context())
		defer stop()
		return a.runDev(ctx, d)
	}
	return cmd
}

func (a *app) runDev(ctx context.Context, d *devFlags) error {
	topics, err := parseTopics(d.topics)
	if err != nil {
		return err
	}
	level := "WARN"
	if a.verbose {
		level = "INFO"
	}
	settings, err := brokerSettings("", nil, append([]string{
		"logging.level=" + level,
		"log.dirs=" + d.data,
		"listeners=PLAINTEXT://localhost:" + strconv.Itoa(d.port),
		"http.listener=localhost:" + strconv.Itoa(d.httpPort),
		"group.initial.rebalance.delay.ms=0",
	}, d.set...))
	if err != nil {
		return err
	}
	began := time.Now()
	err = a.newBroker(settings).serve(ctx, func(ctx context.Context, n *node.Node) error {
		if err := createTopics(ctx, n, topics); err != nil {
			return err
		}
		a.banner(d, n, time.Since(began))
		return nil
	})
	var p *problem
	if errors.As(err, &p) {
		p.next = strings.NewReplacer("--set listeners=...", "--port N", "--set http.listener=...", "--http-port N", "--set log.dirs=DIR", "--data DIR").Replace(p.next)
	}
	return err
}

// parseTopics reads NAME[:PARTITIONS].
func parseTopics(list []string) (out []protocol.NewTopic, err error) {
	for _, item := range list {
		name, number, counted := strings.Cut(item, ":")
		t := protocol.NewTopic{Name: name, Partitions: -1, ReplicationFactor: -1}
		if counted {
			n, err := strconv.ParseInt(number, 10, 32)
			if err != nil || n < 1 {
				return nil, usage("--topics orders:6,payments", "%q is not NAME:PARTITIONS", item)
			}
			t.Partitions = int32(n)
		}
		if name == "" {
			return nil, usage("--topics orders:6,payments", "%q is not NAME:PARTITIONS", item)
		}
		out = append(out, t)
	}
	return out, nil
}

func createTopics(ctx context.Context, n *node.Node, topics []protocol.NewTopic) error {
	if len(topics) == 0 {
		return nil
	}
	results, err := n.CreateTopics(ctx, topics)
	if err != nil {
		return err
	}
	for _, r := range results {
		if r.Failed() && r.Code != protocol.TopicAlreadyExists {
			return &problem{what: fmt.Sprintf("cannot create topic %q: %s", r.Name, r.Code.Name()), why: r.Reason}
		}
	}
	return nil
}

// banner says what runs and what to try, in lines to copy.
func (a *app) banner(d *devFlags, n *node.Node, took time.Duration) {
	if a.quiet {
		return
	}
	dir := d.data
	if abs, err := filepath.Abs(dir); err == nil {
		dir = abs
	}
	kafka := net.JoinHostPort("localhost", strconv.Itoa(d.port))
	web := "http://" + net.JoinHostPort("localhost", strconv.Itoa(d.httpPort))
	flag := ""
	if d.port != 9092 {
		flag = " -b " + kafka
	}
	self := filepath.Base(os.Args[0])
	a.say("troupe %s, 1 node, data in %s, ready in %d ms", version, dir, took.Milliseconds())
	a.say("  Kafka    %-28s Health   %s/readyz?verbose", kafka, web)
	a.say("  Metrics  %s/metrics", web)
	a.say("Try:   echo 'hello, troupe' | %s produce hello%s", self, flag)
	a.say("       %s consume hello%s", self, flag)
	a.say("       kcat -b %s -L", kafka)
	a.say("Stop:  Ctrl-C")
}
