package scenarios

import (
	"bufio"
	"os"
	"strconv"
	"strings"
	"testing"
)

// TestSeedsThatFoundSomething runs every seed that ever failed.
func TestSeedsThatFoundSomething(t *testing.T) {
	f, err := os.Open("testdata/seeds.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	n := 0
	for lines := bufio.NewScanner(f); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		if len(fields) == 0 || fields[0] == "#" {
			continue
		}
		seed, err := strconv.ParseUint(fields[1], 10, 64)
		if err != nil || len(fields) < 3 {
			t.Fatalf("seeds.txt: %q: want scenario, seed, what it found", lines.Text())
		}
		s, err := Named(fields[0])
		if err != nil {
			t.Fatal(err)
		}
		n++
		for _, v := range s.Run(seed, nil).Violations {
			t.Errorf("%s seed %d: %s", s.Name, seed, v)
		}
	}
	if n == 0 {
		t.Error("no seeds")
	}
}
