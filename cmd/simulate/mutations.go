package main

import (
	"fmt"
	"io"
	"time"

	"github.com/troupe-broker/troupe/actors/mutation"
	"github.com/troupe-broker/troupe/simulations/scenarios"
)

// mutations plants every known bug in turn and runs seeds until one sees it. Exit status 1 if any survives.
func mutations(o options, out io.Writer) (int, error) {
	if !mutation.Enabled {
		return 2, fmt.Errorf("this build cannot mutate: build with -tags mutate")
	}
	survivors := 0
	fmt.Fprintf(out, "%-24s %-8s %6s %7s  %s\n", "mutation", "killed", "seeds", "seconds", "by")
	for _, e := range mutation.Table {
		if o.mutation != "" && o.mutation != e.Name {
			continue
		}
		began := time.Now()
		k := scenarios.Kill(e.Mutation, int(o.seeds.last-o.seeds.first)+1)
		killed := "yes"
		if k.By == "" {
			killed = "NO"
			survivors++
		}
		fmt.Fprintf(out, "%-24s %-8s %6d %7.1f  %s\n", e.Name, killed, k.Seeds, time.Since(began).Seconds(), k.By)
	}
	fmt.Fprintf(out, "%d of %d mutations killed\n", len(mutation.Table)-survivors, len(mutation.Table))
	if survivors > 0 {
		return 1, nil
	}
	return 0, nil
}
