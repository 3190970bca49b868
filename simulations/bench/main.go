package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"time"

	"github.com/troupe-broker/troupe/simulations/process"
)

func main() {
	if len(os.Args) == 3 && helpers[os.Args[1]] != nil {
		if err := helpers[os.Args[1]](os.Args[2]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	debug.SetGCPercent(clientGCPercent)
	if err := measure(); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// clientGCPercent is GOGC of the clients in this program: they share the cores with the broker that is measured.
const clientGCPercent = 800

// helpers are the roles this program re-executes itself in.
var helpers = map[string]func(dir string) error{
	"sink":      sink,
	"many-sink": manySink,
	"source":    source,
	"discard":   func(string) error { return discardBroker(limitAddr) },
}

func measure() error {
	troupe := flag.String("troupe", "bin/troupe", "the troupe `binary`")
	kafka := flag.String("kafka", "", "`directory` of Apache Kafka's jars; empty fetches them with Maven, \"none\" measures without the peer")
	only := flag.String("rows", "", "comma-separated rows to measure; empty means all of "+strings.Join(rowNames(), ","))
	subjects := flag.String("subjects", "", "measure only subjects whose label has this `prefix`, such as \"troupe\" or \"kafka\"")
	rounds := flag.Int("rounds", 3, "measurements of each row and subject; medians are reported")
	seconds := flag.Float64("seconds", 5, "length of one measurement")
	work := flag.String("work", "", "working `directory` for data (default a temporary one, removed at the end)")
	out := flag.String("out", "", "`directory` for bench.json and the SVG plots; empty prints only")
	flag.Parse()
	dir := *work
	if dir == "" {
		tmp, err := os.MkdirTemp("", "troupe-bench-")
		if err != nil {
			return err
		}
		defer os.RemoveAll(tmp)
		dir = tmp
	} else if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	r := &run{work: dir, troupe: process.Troupe(*troupe, troupeAddr, troupeHTTP), only: *subjects, rounds: *rounds, span: time.Duration(*seconds * float64(time.Second)), progress: func(f string, a ...any) {
		fmt.Fprintf(os.Stderr, f+"\n", a...)
	}}
	peer := "none: asked for with -kafka none"
	if *kafka != "none" {
		jars, err := process.KafkaJars(context.Background(), *kafka, filepath.Join(dir, "kafka"))
		if err != nil {
			return fmt.Errorf("%w; -kafka none measures without the peer", err)
		}
		s := process.Kafka(jars, kafkaAddr, kafkaVotes, kafkaJVM...)
		r.kafka, peer = &s, "Apache Kafka "+process.KafkaVersion+", KRaft combined, G1, 1 GB heap"
	}
	r.report = newReport(peer)
	p50, p99, err := syncLatency(dir, 200)
	if err != nil {
		return err
	}
	r.report.Sync = [2]float64{p50, p99}
	for _, row := range rows {
		if *only != "" && !strings.Contains(","+*only+",", ","+row.name+",") {
			continue
		}
		r.progress("== %s: %s", row.name, row.about)
		if err := row.measure(r); err != nil {
			return fmt.Errorf("row %s: %w", row.name, err)
		}
	}
	r.report.print(os.Stdout)
	if *out != "" {
		return r.report.write(*out)
	}
	return nil
}

func rowNames() []string {
	var out []string
	for _, r := range rows {
		out = append(out, r.name)
	}
	return out
}
