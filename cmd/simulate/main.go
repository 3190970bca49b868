// Command simulate runs seeds of the simulator: one line a seed, a summary at the end, exit status 1 if anything was violated.
//
//	simulate --seeds 200              seeds 1 to 200
//	simulate --seeds 1000..1999       a range
//	simulate --seeds 200 --twice      each seed twice, in processes of their own: the hashes must agree
//	simulate --seed 17 --trace        one seed, with everything that happens
//	simulate --mutations              plant each known bug and see how soon it is found (build with -tags mutate)
//
// A seed names everything about its run, for one build of the program: what it does follows from the seed and the code alone. Whole
// nodes are simulated, one world at a time in a process; -j spreads the seeds over processes.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"runtime"
	"strconv"
	"strings"
)

type options struct {
	seeds     seedRange
	seed      uint64
	twice     bool
	trace     bool
	mutations bool
	mutation  string
	scenario  string
	verbose   bool
	workers   int
	child     bool
}

// seedRange is first to last, both included.
type seedRange struct{ first, last uint64 }

// String implements flag.Value.
func (r *seedRange) String() string { return fmt.Sprintf("%d..%d", r.first, r.last) }

// Set implements flag.Value: "N" is 1..N.
func (r *seedRange) Set(text string) (err error) {
	from, to, isRange := strings.Cut(text, "..")
	if !isRange {
		from, to = "1", text
	}
	if r.first, err = strconv.ParseUint(from, 10, 64); err != nil {
		return err
	}
	if r.last, err = strconv.ParseUint(to, 10, 64); err != nil {
		return err
	}
	if r.last < r.first {
		return errors.New("the range is empty")
	}
	return nil
}

func main() {
	status, err := run(os.Args[1:], os.Stdout)
	if err != nil {
		fmt.Fprintln(os.Stderr, "simulate:", err)
		os.Exit(2)
	}
	os.Exit(status)
}

func parse(args []string) (options, error) {
	o := options{seeds: seedRange{1, 100}}
	f := flag.NewFlagSet("simulate", flag.ContinueOnError)
	f.Var(&o.seeds, "seeds", "seeds to run: N for 1..N, or FIRST..LAST")
	f.Uint64Var(&o.seed, "seed", 0, "run this one seed")
	f.BoolVar(&o.twice, "twice", false, "run every seed twice and compare the hashes")
	f.BoolVar(&o.trace, "trace", false, "print everything that happens (with -seed)")
	f.BoolVar(&o.mutations, "mutations", false, "plant every known bug in turn and print how soon it is found")
	f.StringVar(&o.mutation, "mutation", "", "plant this bug")
	f.StringVar(&o.scenario, "scenario", "swarm", "what to run: swarm, storage, raft, or the name of a directed scenario")
	f.BoolVar(&o.verbose, "v", false, "print what each seed drew and saw")
	f.IntVar(&o.workers, "j", runtime.GOMAXPROCS(0), "processes")
	f.BoolVar(&o.child, "child", false, "run as one of several processes: machine-readable lines (internal)")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	if f.NArg() > 0 {
		return o, fmt.Errorf("unexpected argument %q", f.Arg(0))
	}
	if o.seed != 0 {
		o.seeds = seedRange{o.seed, o.seed}
	}
	if o.trace && o.seed == 0 {
		return o, errors.New("--trace needs --seed")
	}
	return o, nil
}

func run(args []string, out io.Writer) (status int, err error) {
	o, err := parse(args)
	if errors.Is(err, flag.ErrHelp) {
		return 0, nil
	}
	if err != nil {
		return 2, err
	}
	if err := plant(o.mutation); err != nil {
		return 2, err
	}
	switch {
	case o.mutations:
		return mutations(o, out)
	case o.child:
		return child(o, out)
	}
	return parent(o, out)
}
