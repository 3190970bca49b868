package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// sample is one measurement: metric → value.
type sample map[string]float64

// report collects samples by row and subject and writes them as data and as pictures.
type report struct {
	Commit  string                         `json:"commit"`
	Machine string                         `json:"machine"`
	Taken   time.Time                      `json:"taken"`
	Peer    string                         `json:"peer"`
	Sync    [2]float64                     `json:"fdatasync_4k_p50_p99_ms"`
	Rows    map[string]map[string][]sample `json:"rows"`
	order   []string
}

func newReport(peer string) *report {
	return &report{Commit: commit(), Machine: machine(), Taken: time.Now().UTC().Truncate(time.Second), Peer: peer, Rows: map[string]map[string][]sample{}}
}

func (r *report) add(row, subject string, s sample) {
	if r.Rows[row] == nil {
		r.Rows[row] = map[string][]sample{}
		r.order = append(r.order, row)
	}
	r.Rows[row][subject] = append(r.Rows[row][subject], s)
}

// median is the middle of one metric over the rounds, with its spread.
func median(samples []sample, metric string) (mid, low, high float64, ok bool) {
	var values []float64
	for _, s := range samples {
		if v, there := s[metric]; there {
			values = append(values, v)
		}
	}
	if len(values) == 0 {
		return 0, 0, 0, false
	}
	slices.Sort(values)
	return quantile(values, 0.5), values[0], values[len(values)-1], true
}

// quantile of values; sorts them.
func quantile(values []float64, q float64) float64 {
	slices.Sort(values)
	return values[min(len(values)-1, int(q*float64(len(values))))]
}

// metrics come first in a row, in this order; whatever else a row has follows by name.
var metrics = []string{"MB/s", "of limit", "M records/s", "per s", "CPU s/GB", "CPU us each", "p50 ms", "p99 ms", "p999 ms", "RSS MB", "start ms",
	"idle RSS MB", "idle CPU %", "10k led ms", "10k RSS MB", "10k CPU %", "10k files", "10k recovered ms"}

// metricsOf are the metrics of a row as they are shown.
func metricsOf(row map[string][]sample) (out []string) {
	has := map[string]bool{}
	for _, samples := range row {
		for _, s := range samples {
			for m := range s {
				has[m] = true
			}
		}
	}
	for _, m := range metrics {
		if has[m] {
			out = append(out, m)
			delete(has, m)
		}
	}
	return append(out, slices.Sorted(maps.Keys(has))...)
}

// print writes the medians as a table, with (low–high) where rounds differ.
func (r *report) print(w io.Writer) {
	fmt.Fprintf(w, "commit %s on %s, peer %s; medians (lowest–highest round)\n", r.Commit, r.Machine, r.Peer)
	for _, row := range r.order {
		fmt.Fprintf(w, "\n%s\n", row)
		t := tabwriter.NewWriter(w, 2, 0, 2, ' ', 0)
		for _, subject := range subjectsOf(r.Rows[row]) {
			fmt.Fprintf(t, "  %s", subject)
			for _, m := range metricsOf(r.Rows[row]) {
				if mid, low, high, ok := median(r.Rows[row][subject], m); ok {
					fmt.Fprintf(t, "\t%s %.3g (%.3g–%.3g)", m, mid, low, high)
				}
			}
			fmt.Fprintln(t)
		}
		t.Flush()
	}
}

func subjectsOf(row map[string][]sample) []string {
	var out []string
	for s := range row {
		out = append(out, s)
	}
	slices.Sort(out)
	return out
}

// write stores bench.json and one SVG per row in dir.
func (r *report) write(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	raw, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "bench.json"), raw, 0o644); err != nil {
		return err
	}
	for _, row := range r.order {
		name := strings.Map(func(c rune) rune {
			if c >= 'a' && c <= 'z' || c >= '0' && c <= '9' {
				return c
			}
			return '-'
		}, strings.ToLower(row))
		if err := os.WriteFile(filepath.Join(dir, name+".svg"), []byte(r.svg(row)), 0o644); err != nil {
			return err
		}
	}
	return nil
}

func commit() string {
	out, err := exec.Command("git", "describe", "--always", "--dirty", "--abbrev=12").Output()
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(out))
}

func machine() string {
	model := "unknown CPU"
	if raw, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for _, line := range strings.Split(string(raw), "\n") {
			if k, v, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(k) == "model name" {
				model = strings.TrimSpace(v)
				break
			}
		}
	}
	return fmt.Sprintf("%d × %s, %s/%s, %s", runtime.NumCPU(), model, runtime.GOOS, runtime.GOARCH, runtime.Version())
}
