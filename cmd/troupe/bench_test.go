package main

import (
	"bytes"
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func TestBenchesMeasureAndTidyUp(t *testing.T) { eachBroker(t, 23060, benches) }

func benches(t *testing.T, addr string) {
	for line, records := range map[string]int64{
		"bench produce -n 500 --warmup 0s":                                500,
		"bench produce t -n 300 --warmup 0s --size 10 --acks leader":      300,
		"bench e2e -n 200 --rate 1000 --warmup 0s -z zstd":                200,
		"bench e2e t --duration 300ms --rate 500 --warmup 100ms --acks 1": 150,
	} {
		var r benchResult
		errs, code := runJSON(t, addr, line, &r)
		if code != 0 || r.Records != records || r.Failed != 0 || r.Latency == nil || r.Latency.P50 <= 0 || r.Latency.Max < r.Latency.P999 {
			t.Errorf("%s: exit %d: %+v %s", line, code, r, errs)
		}
		var sum int64
		for _, b := range r.Histogram {
			sum += b.Records
		}
		if sum != records || r.RecordsPS <= 0 || r.BytesPS <= 0 {
			t.Errorf("%s: %d records in the histogram: %+v", line, sum, r)
		}
	}
	var r benchResult
	if errs, code := runJSON(t, addr, "bench consume t", &r); code != 0 || r.Records < 450 || r.Latency != nil {
		t.Errorf("exit %d: %+v %s", code, r, errs)
	}
	if errs, code := runJSON(t, addr, "bench consume t -n 7", &r); code != 0 || r.Records != 7 {
		t.Errorf("exit %d: %+v %s", code, r, errs)
	}
	if out, _, _ := execute(t, addr, "topic list 'troupe-bench.*' -o jsonl"); out != "" {
		t.Errorf("left behind: %s", out)
	}
	if out, errs, code := execute(t, addr, "bench produce -n 50 --warmup 0s"); code != 0 || !strings.Contains(out, "p99.9") || !strings.Contains(out, "█") {
		t.Errorf("exit %d: %s%s", code, out, errs)
	}
	for line, exit := range map[string]int{"bench e2e --rate 0": exitUsage, "bench e2e --size 3": exitUsage, "bench produce --duration 0s": exitUsage, "bench e2e --linger -1s": exitUsage, "bench produce nosuch": exitNotFound, "bench consume nosuch": exitNotFound} {
		if _, errs, code := execute(t, addr, line); code != exit {
			t.Errorf("%s: exit %d: %s", line, code, errs)
		}
	}
}

func TestAnInterruptedBenchDeletesItsTopic(t *testing.T) {
	addr := troupeAt(t, 23062)
	ctx, interrupt := context.WithCancel(t.Context())
	seen := newScreen()
	done := make(chan int)
	var out bytes.Buffer
	go func() {
		done <- run(ctx, terminal{in: strings.NewReader(""), out: &out, err: seen, errTTY: true, getenv: func(string) string { return "" }}, splitWords("bench e2e --duration 1h --warmup 0s -b "+addr))
	}()
	seen.waitFor(t, "of 3600 s")
	interrupt()
	if code := <-done; code != exitInterrupted || !strings.Contains(out.String(), "records/s") {
		t.Errorf("exit %d: %s%s", code, out.String(), seen)
	}
	if out, _, _ := execute(t, addr, "topic list 'troupe-bench.*' -o jsonl"); out != "" {
		t.Errorf("left behind: %s", out)
	}
}

// TestABrokerThatStallsDoesNotHide guards against coordinated omission: records that were due while the broker stood still are as late as
// they are.
func TestABrokerThatStallsDoesNotHide(t *testing.T) {
	c := fakeCluster(t, 23064, "stall", kfake.SeedTopics(1, "b"))
	var produced atomic.Int64
	c.ControlKey(int16(kmsg.Produce), func(kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		if produced.Add(1) == 20 {
			time.Sleep(500 * time.Millisecond) // the stall
		}
		return nil, nil, false
	})
	for _, bench := range []string{"produce", "e2e"} {
		produced.Store(0)
		var r benchResult
		errs, code := runJSON(t, "127.0.0.1:23064", "bench "+bench+" b --rate 200 --duration 1s --warmup 0s", &r)
		if code != 0 || r.Records != 200 || r.Latency.P90 < 200 || r.Latency.Max < 400 {
			t.Errorf("%s: exit %d: %+v %+v %s", bench, code, r, r.Latency, errs)
		}
	}
}

func TestPicturesOfNumbers(t *testing.T) {
	if got := sparkline([]int64{0, 50, 100}); got != "▁▄█" {
		t.Error(got)
	}
	if got := bar(1, 1000) + " " + bar(0, 10) + " " + bar(10, 10); got != "▏  "+strings.Repeat("█", barWidth) {
		t.Error(got)
	}
	m := newMeter(time.Second, time.Second)
	m.note(900*time.Millisecond, time.Second, 10) // due in the warm-up
	for _, ms := range []int{1, 2, 15, 3000} {
		due := 1500 * time.Millisecond
		m.note(due, due+time.Duration(ms)*time.Millisecond, 10)
	}
	r := m.result("produce", "t", &benchFlags{}, 0)
	if r.Records != 4 || r.Bytes != 40 || r.Latency.Max < 2999 || len(r.Histogram) != 12 || r.Histogram[0].Records != 1 || r.Histogram[11].Records != 1 || r.Seconds != 3.5 || len(r.Each) != 3 || r.Each[0] != 3 {
		t.Errorf("%+v", r)
	}
	for ms, want := range map[float64]string{0.123: "0.12 ms", 12.34: "12.3 ms", 345.6: "346 ms", 12_345: "12.35 s"} {
		if got := millisText(ms); got != want {
			t.Errorf("%v: %s", ms, got)
		}
	}
}
