package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/dustin/go-humanize"
)

// latencyMax is the longest latency that is told apart from longer ones, in microseconds.
const latencyMax = 10 * 60 * 1_000_000

// meter counts records and their latencies. It is safe for concurrent use. Times are since it began.
type meter struct {
	began      time.Time
	warm, span time.Duration

	mu      sync.Mutex
	hist    *hdrhistogram.Histogram // microseconds
	records int64
	bytes   int64
	last    time.Duration // when the last record was noted
	seconds []int64       // records noted in each second after the warm-up
}

func newMeter(warm, span time.Duration) *meter {
	return &meter{began: time.Now(), warm: warm, span: span, hist: hdrhistogram.New(1, latencyMax, 3)}
}

func (m *meter) since() time.Duration { return time.Since(m.began) }

// note counts a record of size bytes that was due then and done at; not if it was due in the warm-up.
func (m *meter) note(due, at time.Duration, size int) {
	if due < m.warm {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	_ = m.hist.RecordValue(min(max(1, (at-due).Microseconds()), latencyMax))
	m.records++
	m.bytes += int64(size)
	m.last = max(m.last, at)
	second := int((at - m.warm) / time.Second)
	for len(m.seconds) <= second {
		m.seconds = append(m.seconds, 0)
	}
	m.seconds[second]++
}

// benchResult is what a bench has found.
type benchResult struct {
	Bench     string        `json:"bench" doc:"produce, consume or e2e"`
	Topic     string        `json:"topic"`
	Rate      int64         `json:"rate" doc:"records per second asked for; 0 is as fast as possible"`
	Size      int           `json:"value_bytes,omitempty" doc:"of each record"`
	Acks      string        `json:"acks,omitempty"`
	Codec     string        `json:"compression,omitempty"`
	Records   int64         `json:"records" doc:"acknowledged, or read; without the warm-up"`
	Failed    int64         `json:"failed"`
	Bytes     int64         `json:"bytes"`
	Seconds   float64       `json:"seconds" doc:"from the end of the warm-up to the last record"`
	RecordsPS float64       `json:"records_per_second"`
	BytesPS   float64       `json:"bytes_per_second"`
	Latency   *latencies    `json:"latency_ms" doc:"milliseconds; null for consume"`
	Histogram []latencyBand `json:"histogram" doc:"how many records had which latency"`
	Each      []int64       `json:"records_each_second" doc:"whole seconds alone"`
}

// latencies are percentiles in milliseconds.
type latencies struct {
	Mean float64 `json:"mean"`
	P50  float64 `json:"p50"`
	P90  float64 `json:"p90"`
	P99  float64 `json:"p99"`
	P999 float64 `json:"p99_9"`
	Max  float64 `json:"max"`
}

// latencyBand is the records with latencies from the band before it up to UpTo.
type latencyBand struct {
	UpTo    float64 `json:"up_to_ms"`
	Records int64   `json:"records"`
}

// result is what was measured so far.
func (m *meter) result(bench, topic string, b *benchFlags, failed int64) benchResult {
	m.mu.Lock()
	defer m.mu.Unlock()
	r := benchResult{
		Bench: bench, Topic: topic, Rate: b.rate, Size: b.size, Acks: b.acks, Codec: b.codec, Records: m.records, Failed: failed, Bytes: m.bytes,
		Seconds: max(0, (m.last - m.warm).Seconds()),
	}
	r.Each = slices.Clone(m.seconds[:min(len(m.seconds), int(r.Seconds))])
	if r.Seconds > 0 {
		r.RecordsPS, r.BytesPS = float64(m.records)/r.Seconds, float64(m.bytes)/r.Seconds
	}
	if m.records > 0 {
		ms := func(q float64) float64 { return float64(m.hist.ValueAtQuantile(q)) / 1000 }
		r.Latency = &latencies{Mean: m.hist.Mean() / 1000, P50: ms(50), P90: ms(90), P99: ms(99), P999: ms(99.9), Max: float64(m.hist.Max()) / 1000}
		r.Histogram = bands(m.hist)
	}
	return r
}

// bands sums a histogram into bands that end at 1, 2 or 5 times a power of ten, without the empty ones at both ends.
func bands(h *hdrhistogram.Histogram) (out []latencyBand) {
	edge := func(i int) float64 { return []float64{0.1, 0.2, 0.5}[i%3] * pow10(i/3) }
	i := 0
	for _, bar := range h.Distribution() {
		if bar.Count == 0 {
			continue
		}
		for edge(i)*1000 < float64(bar.To) {
			if i++; len(out) > 0 {
				out = append(out, latencyBand{UpTo: edge(i)})
			}
		}
		if len(out) == 0 {
			out = append(out, latencyBand{UpTo: edge(i)})
		}
		out[len(out)-1].Records += bar.Count
	}
	return out
}

func pow10(n int) float64 {
	out := 1.0
	for range n {
		out *= 10
	}
	return out
}

func (r benchResult) table() [][]string {
	what := r.Bench + " " + r.Topic
	if r.Bench != "consume" {
		what += fmt.Sprintf(", acks=%s, %d-byte values, compression %s", r.Acks, r.Size, r.Codec)
	}
	count := fmt.Sprintf("%s in %.2f s", humanize.Comma(r.Records), r.Seconds)
	if r.Failed > 0 {
		count += ", " + humanize.Comma(r.Failed) + " failed"
	}
	out := [][]string{{"bench", what}, {"records", count}, {"throughput", r.speed()}}
	if l := r.Latency; l != nil {
		out = append(out, []string{"latency", fmt.Sprintf("p50 %s  p90 %s  p99 %s  p99.9 %s  max %s", millisText(l.P50), millisText(l.P90), millisText(l.P99), millisText(l.P999), millisText(l.Max))})
	}
	if len(r.Each) > 1 {
		out = append(out, []string{"each second", sparkline(r.Each) + fmt.Sprintf("  %s to %s records", humanize.Comma(slices.Min(r.Each)), humanize.Comma(slices.Max(r.Each)))})
	}
	if len(r.Histogram) == 0 {
		return out
	}
	out = append(out, nil, []string{"UP TO", "RECORDS", "SHARE", ""})
	most := slices.MaxFunc(r.Histogram, func(x, y latencyBand) int { return cmp.Compare(x.Records, y.Records) }).Records
	for _, b := range r.Histogram {
		out = append(out, []string{millisText(b.UpTo), humanize.Comma(b.Records), fmt.Sprintf("%.2f %%", 100*float64(b.Records)/float64(r.Records)), bar(b.Records, most)})
	}
	return out
}

func (r benchResult) speed() string {
	return fmt.Sprintf("%s records/s, %s/s", humanize.Comma(int64(r.RecordsPS)), humanize.IBytes(uint64(r.BytesPS)))
}

// millisText shows milliseconds with three digits that count.
func millisText(ms float64) string {
	switch {
	case ms >= 1000:
		return fmt.Sprintf("%.2f s", ms/1000)
	case ms >= 100:
		return fmt.Sprintf("%.0f ms", ms)
	case ms >= 10:
		return fmt.Sprintf("%.1f ms", ms)
	}
	return fmt.Sprintf("%.2f ms", ms)
}

// barWidth is the length of the longest bar, in characters.
const barWidth = 40

// bar is n as a bar, most as the longest one; anything but nothing has some of it.
func bar(n, most int64) string {
	eighths := int(n * barWidth * 8 / most)
	if n > 0 && eighths == 0 {
		eighths = 1
	}
	out := strings.Repeat("█", eighths/8)
	if rest := eighths % 8; rest > 0 {
		out += string([]rune("▏▎▍▌▋▊▉")[rest-1])
	}
	return out
}

// sparkline shows numbers as a line of blocks, from zero to the largest.
func sparkline(numbers []int64) string {
	const blocks = "▁▂▃▄▅▆▇█"
	most := max(1, slices.Max(numbers))
	var out strings.Builder
	for _, n := range numbers {
		out.WriteRune([]rune(blocks)[n*7/most])
	}
	return out.String()
}

// showProgress draws a line a second on a terminal until the returned function is called.
func (a *app) showProgress(m *meter) (stop func()) {
	if !a.errTTY || a.quiet {
		return func() {}
	}
	done, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		for {
			select {
			case <-done:
				fmt.Fprint(a.err, "\r\x1b[K")
				return
			case <-tick.C:
				fmt.Fprintf(a.err, "\r\x1b[K%s", m.progress())
			}
		}
	}()
	return func() { close(done); <-stopped }
}

// progress is one line about a bench that runs.
func (m *meter) progress() string {
	now := m.since()
	if now < m.warm {
		return "warming up"
	}
	r := m.result("", "", &benchFlags{}, 0)
	out := fmt.Sprintf("%.0f of %.0f s: %s", (now - m.warm).Seconds(), m.span.Seconds(), r.speed())
	if r.Latency != nil && r.Latency.Max > 0.001 {
		out += ", p99 " + millisText(r.Latency.P99)
	}
	return out + "  " + sparkline(append(r.Each, 0)[max(0, len(r.Each)-30):max(1, len(r.Each))])
}
