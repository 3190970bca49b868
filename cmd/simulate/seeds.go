package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sort"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/troupe-broker/troupe/actors/mutation"
	"github.com/troupe-broker/troupe/simulations/scenarios"
)

// chunk is how many seeds a child process runs: enough to make its start cheap, few enough to share the work evenly.
const chunk = 25

func plant(name string) error {
	if name == "" {
		return nil
	}
	m := mutation.Named(name)
	if m == mutation.None {
		return fmt.Errorf("no mutation is named %q", name)
	}
	if !mutation.Enabled {
		return fmt.Errorf("this build cannot mutate: build with -tags mutate")
	}
	mutation.Set(m)
	return nil
}

// child runs its seeds in this process and writes a JSON line for each.
func child(o options, out io.Writer) (int, error) {
	scenario, err := scenarios.Named(o.scenario)
	if err != nil {
		return 2, err
	}
	w := bufio.NewWriter(out)
	defer w.Flush()
	enc := json.NewEncoder(w)
	for seed := o.seeds.first; seed <= o.seeds.last; seed++ {
		if err := enc.Encode(scenario.Run(seed, nil)); err != nil {
			return 2, err
		}
		w.Flush()
	}
	return 0, nil
}

// missedFrom is the number of seeds from which on it is worth saying what none of them met.
const missedFrom = 200

// total is what the last line says.
type total struct {
	seeds, violated, differing int
	steps                      uint64
	virtual                    time.Duration
	acked, read                int64
	seen                       map[string]int
}

func parent(o options, out io.Writer) (int, error) {
	began := time.Now()
	sum := total{seen: map[string]int{}}
	if o.trace {
		return traced(o, out)
	}
	results, errs := spread(o)
	for r := range results {
		sum.add(o, out, r)
	}
	if err := <-errs; err != nil {
		return 2, err
	}
	return sum.report(o, out, time.Since(began)), nil
}

func traced(o options, out io.Writer) (int, error) {
	scenario, err := scenarios.Named(o.scenario)
	if err != nil {
		return 2, err
	}
	w := bufio.NewWriterSize(out, 1<<16)
	defer w.Flush()
	sum := total{seen: map[string]int{}}
	began := time.Now()
	o.verbose = true
	sum.add(o, w, pair{a: scenario.Run(o.seed, w)})
	return sum.report(o, w, time.Since(began)), nil
}

// pair is the result of a seed; b is that of the second run, if there was one.
type pair struct{ a, b *scenarios.Result }

// spread runs the seeds in o.workers processes at a time and yields the results in order of seed.
func spread(o options) (<-chan pair, <-chan error) {
	type job struct {
		seeds seedRange
		a, b  chan []*scenarios.Result
	}
	out, errs := make(chan pair, chunk), make(chan error, 1)
	work, order := make(chan func()), make(chan job, 4*o.workers)
	var wg sync.WaitGroup
	for range max(1, o.workers) {
		wg.Go(func() {
			for f := range work {
				f()
			}
		})
	}
	var failed error
	var mu sync.Mutex
	start := func(s seedRange) chan []*scenarios.Result {
		done := make(chan []*scenarios.Result, 1)
		work <- func() {
			rs, err := runChild(o, s)
			mu.Lock()
			if err != nil && failed == nil {
				failed = err
			}
			mu.Unlock()
			done <- rs
		}
		return done
	}
	go func() {
		for first := o.seeds.first; first <= o.seeds.last; first += chunk {
			j := job{seeds: seedRange{first, min(first+chunk-1, o.seeds.last)}}
			j.a = start(j.seeds)
			if o.twice {
				j.b = start(j.seeds)
			}
			order <- j
		}
		close(order)
		close(work)
	}()
	go func() {
		for j := range order {
			a, b := <-j.a, []*scenarios.Result(nil)
			if j.b != nil {
				b = <-j.b
			}
			for i := range a {
				p := pair{a: a[i]}
				if i < len(b) {
					p.b = b[i]
				}
				out <- p
			}
		}
		wg.Wait()
		close(out)
		errs <- failed
	}()
	return out, errs
}

// runChild runs seeds in a process of its own.
func runChild(o options, s seedRange) (out []*scenarios.Result, err error) {
	args := []string{"--child", "--scenario", o.scenario, "--seeds", s.String()}
	if o.mutation != "" {
		args = append(args, "--mutation", o.mutation)
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(self, args...)
	cmd.Env = append(os.Environ(), "GOMAXPROCS=1")
	cmd.Stderr = os.Stderr
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	dec := json.NewDecoder(pipe)
	for {
		r := &scenarios.Result{}
		if err := dec.Decode(r); err != nil {
			break
		}
		out = append(out, r)
	}
	if err := cmd.Wait(); err != nil {
		return out, fmt.Errorf("seed %d: %w", s.first+uint64(len(out)), err)
	}
	return out, nil
}

func (t *total) add(o options, out io.Writer, p pair) {
	r := p.a
	t.seeds++
	t.steps += r.Steps
	t.virtual += r.Virtual
	t.acked += r.Acked
	t.read += r.Read
	for k, n := range r.Seen {
		t.seen[k] += n
	}
	verdict := "ok"
	if len(r.Violations) > 0 {
		t.violated++
		verdict = strconv.Itoa(len(r.Violations)) + " VIOLATIONS"
	}
	if p.b != nil && (p.b.Hash != r.Hash || p.b.Steps != r.Steps) {
		t.differing++
		verdict += fmt.Sprintf(" DIFFERS: the second run has hash %016x after %d steps", p.b.Hash, p.b.Steps)
	}
	fmt.Fprintf(out, "seed %d hash %016x steps %d virtual %.1fs lives %d acked %d read %d %s\n",
		r.Seed, r.Hash, r.Steps, r.Virtual.Seconds(), r.Lives, r.Acked, r.Read, verdict)
	for _, v := range r.Violations {
		fmt.Fprintf(out, "  %s\n", v)
	}
	if o.verbose {
		fmt.Fprintf(out, "  plan: %s\n", r.Drawn)
	}
}

// report prints the summary and returns the exit status.
func (t *total) report(o options, out io.Writer, took time.Duration) int {
	if o.verbose {
		t.printSeen(out)
	}
	runs := t.seeds
	if o.twice {
		runs *= 2
	}
	if missed := scenarios.Missed(t.seen); o.scenario == "swarm" && t.seeds >= missedFrom && len(missed) > 0 {
		fmt.Fprintf(out, "never seen in %d seeds: %s\n", t.seeds, strings.Join(missed, "; "))
	}
	fmt.Fprintf(out, "%d seeds, %d steps, %.0f virtual seconds, %d batches acknowledged, %d records read back, %d seeds with violations",
		t.seeds, t.steps, t.virtual.Seconds(), t.acked, t.read, t.violated)
	if o.twice {
		fmt.Fprintf(out, ", %d with differing hashes", t.differing)
	}
	fmt.Fprintf(out, "; %.1fs, %.0f runs/s\n", took.Seconds(), float64(runs)/took.Seconds())
	if t.violated+t.differing > 0 {
		return 1
	}
	return 0
}

func (t *total) printSeen(out io.Writer) {
	names := make([]string, 0, len(t.seen))
	for k := range t.seen {
		names = append(names, k)
	}
	sort.Strings(names)
	for _, k := range names {
		fmt.Fprintf(out, "  %8d %s\n", t.seen[k], k)
	}
}
