package main

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/troupe-broker/troupe/simulations/process"
)

// run is one invocation: what to measure, against whom, for how long.
type run struct {
	work     string
	troupe   process.Subject
	kafka    *process.Subject // nil without a peer
	only     string           // prefix of the subjects' labels to measure; empty means all
	rounds   int
	span     time.Duration // of one measurement; the warm-up before it is half of that
	report   *report
	progress func(format string, args ...any)
}

// rows are the measurements by name, in the order they run.
var rows = []struct {
	name, about string
	measure     func(*run) error
}{
	{"produce", "256 KiB batches, 8 partitions: socket→file limit, kafka, troupe os and disk", (*run).produceRow},
	{"small", "16 KiB and 4 KiB batches, 8 partitions", (*run).smallRow},
	{"many", "1,000 partitions written in turn, 16 KiB batches", (*run).manyRow},
	{"fetch", "raw fetch of 256 KiB batches: file→socket limit, kafka, troupe", (*run).fetchRow},
	{"latency", "end to end, 1 KB records at 1,000, 20,000, 50,000 and 100,000 a second: the tail", (*run).latencyRow},
	{"client", "franz-go against a broker that discards everything, and troupe", (*run).clientRow},
	{"transactions", "transactions of 100 records over 4 partitions; offset commits, 256 in flight", (*run).transactionsRow},
	{"members", "100 members of a group over 300 partitions join, ten leave (classic members heartbeat twice a second)", (*run).membersRow},
	{"coordinators", "10,000 groups and 10,000 transactional ids; 1,000,000 committed offsets after kill -9", (*run).coordinatorsRow},
	{"compaction", "10,000,000 records of 100,000 keys, with the cleaner off and at work", (*run).compactionRow},
	{"life", "start, idle, 10,000 partitions, recovery", (*run).lifeRow},
}

// rolling keeps the logs of a load small: segments of the sink's size, removed promptly, so that pages stay warm for everybody.
var rolling = map[string]string{"log.segment.bytes": fmt.Sprint(segmentBytes), "log.retention.bytes": fmt.Sprint(keepSegments * segmentBytes),
	"log.retention.check.interval.ms": "500", "log.segment.delete.delay.ms": "0"}

// atOnce lets a group form without waiting for more members.
var atOnce = map[string]string{"group.initial.rebalance.delay.ms": "0"}

// variant is a subject under one setting.
type variant struct {
	label string
	process.Subject
	settings map[string]string
}

// variants are the brokers that every produce row compares.
func (r *run) variants(flushing bool) []variant {
	out := []variant{
		{"troupe os", r.troupe, map[string]string{"log.durability": "os"}},
		{"troupe disk", r.troupe, map[string]string{"log.durability": "disk"}},
	}
	if r.kafka != nil {
		out = append(out, variant{"kafka", *r.kafka, nil})
		if flushing {
			out = append(out, variant{"kafka flush.messages=1", *r.kafka, map[string]string{"log.flush.interval.messages": "1"}})
		}
	}
	return r.wanted(out)
}

// plain are the brokers with their defaults.
func (r *run) plain() []variant {
	out := []variant{{"troupe", r.troupe, nil}}
	if r.kafka != nil {
		out = append(out, variant{"kafka", *r.kafka, nil})
	}
	return r.wanted(out)
}

func (r *run) wanted(all []variant) (out []variant) {
	for _, v := range all {
		if strings.HasPrefix(v.label, r.only) {
			out = append(out, v)
		}
	}
	return out
}

// fresh is a data directory that is not there yet.
func (r *run) fresh() string {
	dir := filepath.Join(r.work, "data")
	os.RemoveAll(dir)
	return dir
}

// with starts the variant on a fresh directory for as long as measure takes. One broker at a time: two would share the cores.
func (r *run) with(v variant, settings map[string]string, measure func(b *process.Broker, c *client) error) error {
	all := maps.Clone(v.settings)
	if all == nil {
		all = map[string]string{}
	}
	maps.Copy(all, settings)
	dir := r.fresh()
	defer os.RemoveAll(dir)
	b, err := process.Start(v.Subject, dir, all)
	if err != nil {
		return err
	}
	defer b.Stop()
	c, err := dial(b.Addr)
	if err != nil {
		return err
	}
	defer c.Close()
	return measure(b, c)
}

// each is with for one variant after the other.
func (r *run) each(variants []variant, settings map[string]string, measure func(v variant, b *process.Broker, c *client) error) error {
	for _, v := range variants {
		if err := r.with(v, settings, func(b *process.Broker, c *client) error { return measure(v, b, c) }); err != nil {
			return err
		}
	}
	return nil
}

// produceVariants runs the load against every variant. The limit, if wanted, is taken anew beside every measurement.
func (r *run) produceVariants(row string, load produceLoad, limit string) error {
	return r.each(r.variants(true), rolling, func(v variant, b *process.Broker, c *client) error {
		return r.produceRounds(row, v.label, b, c, load, limit)
	})
}

func (r *run) produceRounds(row, label string, b *process.Broker, c *client, load produceLoad, limit string) error {
	if err := c.ready(load.Topic, load.Partitions); err != nil {
		return err
	}
	warm := load
	warm.Warm, warm.For = r.warmUp(label), time.Second
	if _, err := warm.run(b); err != nil {
		return err
	}
	for round := range r.rounds {
		var top throughput
		var err error
		if limit != "" {
			if top, err = limitProduce(limit, r.work, load.Conns, r.span/4, r.span/2); err != nil {
				return err
			}
			r.report.add(row, "limit", top.sample())
		}
		if limit == "sink" {
			disk, err := limitDisk(r.work, int(load.Partitions), r.span/2)
			if err != nil {
				return err
			}
			r.report.add(row, "limit of the disk", sample{"MB/s": disk})
		}
		load.Warm, load.For = r.span/2, r.span
		got, err := load.run(b)
		if err != nil {
			return err
		}
		s := sample{"MB/s": got.MBps, "M records/s": got.RecordsPS / 1e6, "CPU s/GB": got.CPUPerGB, "p50 ms": got.P50, "p99 ms": got.P99,
			"p999 ms": got.P999, "RSS MB": float64(got.RSSBytes) / 1e6}
		if limit != "" {
			s["of limit"] = got.MBps / top.MBps
		}
		r.report.add(row, label, s)
		r.progress("%s %s round %d/%d: %.0f MB/s, %.2f M records/s, %.2f CPU s/GB, p50 %.2f p99 %.2f ms, limit %.0f MB/s", row, label, round+1, r.rounds,
			got.MBps, got.RecordsPS/1e6, got.CPUPerGB, got.P50, got.P99, top.MBps)
	}
	return nil
}

// warmUp is how long a subject runs before its first measurement: a JVM needs a minute to reach its speed.
func (r *run) warmUp(label string) time.Duration {
	if label[0] == 'k' {
		return max(12*r.span, 20*time.Second)
	}
	return r.span
}

func (r *run) produceRow() error {
	return r.produceVariants("produce 256 KiB", produceLoad{Topic: "load", Partitions: 8, BatchBytes: 256 << 10, Conns: 2, Depth: 8}, "sink")
}

func (r *run) smallRow() error {
	for _, kib := range []int{16, 4} {
		load := produceLoad{Topic: "load", Partitions: 8, BatchBytes: kib << 10, Conns: 2, Depth: 64}
		if err := r.produceVariants(fmt.Sprintf("produce %d KiB", kib), load, ""); err != nil {
			return err
		}
	}
	return nil
}

func (r *run) manyRow() error {
	return r.produceVariants("1,000 partitions 16 KiB", produceLoad{Topic: "load", Partitions: manyFiles, BatchBytes: manyBatch, Conns: 2, Depth: 64}, "many-sink")
}

func (r *run) fetchRow() error {
	load := fetchLoad{Topic: "stored", Partitions: 8, PartitionBatch: 512, MaxBytes: 8 << 20, Conns: 2}
	settings := map[string]string{"fetch.max.bytes": fmt.Sprint(64 << 20)}
	return r.each(r.plain(), settings, func(v variant, b *process.Broker, c *client) error { return r.fetchRounds(v.label, b, c, load) })
}

func (r *run) fetchRounds(label string, b *process.Broker, c *client, load fetchLoad) error {
	var batch []byte
	batch, load.BatchRecords = encodeBatch(256 << 10)
	load.BatchBytes = len(batch)
	if err := store(c, load, batch); err != nil {
		return err
	}
	warm := load
	warm.Warm, warm.For = r.warmUp(label)/2, time.Second
	if _, err := warm.run(b); err != nil {
		return err
	}
	for round := range r.rounds {
		top, err := limitFetch(r.work, load.Conns, r.span/4, r.span/2)
		if err != nil {
			return err
		}
		load.Warm, load.For = r.span/2, r.span
		got, err := load.run(b)
		if err != nil {
			return err
		}
		r.report.add("fetch 256 KiB", "limit", top.sample())
		shown := got.sample()
		shown["of limit"] = got.MBps / top.MBps
		r.report.add("fetch 256 KiB", label, shown)
		r.progress("fetch %s round %d/%d: %.0f MB/s of %.0f, %.2f CPU s/GB", label, round+1, r.rounds, got.MBps, top.MBps, got.CPUPerGB)
	}
	return nil
}

// store fills the load's topic with whole batches.
func store(c *client, load fetchLoad, batch []byte) error {
	if err := c.ready(load.Topic, load.Partitions); err != nil {
		return err
	}
	for p := range load.Partitions {
		frame := produceFrame(load.Topic, p, batch)
		for range load.PartitionBatch {
			c.conn.SetDeadline(time.Now().Add(time.Minute))
			if _, err := c.conn.Write(frame); err != nil {
				return err
			}
			body, err := readFrame(c.r, nil)
			if err != nil {
				return err
			}
			if code := produceError(body, len(load.Topic)); code != 0 {
				return fmt.Errorf("storing: error code %d", code)
			}
		}
	}
	return nil
}

func (r *run) latencyRow() error {
	return r.each(r.variants(false), nil, func(v variant, b *process.Broker, c *client) error { return r.latencyRounds(v.label, b, c) })
}

func (r *run) latencyRounds(label string, b *process.Broker, c *client) error {
	if err := c.ready("latency", 8); err != nil {
		return err
	}
	if _, err := endToEnd(b, "latency", 20_000, r.warmUp(label), time.Second); err != nil {
		return err
	}
	for round := range r.rounds {
		for _, rate := range []int{1_000, 20_000, 50_000, 100_000} {
			got, err := endToEnd(b, "latency", rate, r.span/2, r.span)
			if err != nil {
				return err
			}
			rss := float64(b.RSS()) / 1e6
			r.report.add(fmt.Sprintf("end to end %d/s", rate), label, sample{"p50 ms": got.P50, "p99 ms": got.P99, "p999 ms": got.P999, "RSS MB": rss})
			r.progress("end to end %d/s %s round %d/%d: p50 %.2f p99 %.2f p99.9 %.2f ms, RSS %.0f MB", rate, label, round+1, r.rounds, got.P50, got.P99, got.P999, rss)
		}
	}
	return nil
}

func (r *run) clientRow() error {
	discard, err := startHelper("discard", filepath.Join(r.work, "discard"))
	if err != nil {
		return err
	}
	defer discard.Kill()
	return r.each(r.variants(false), rolling, func(v variant, b *process.Broker, c *client) error { return r.clientRounds(v.label, b, discard, c) })
}

func (r *run) clientRounds(label string, b, discard *process.Broker, c *client) error {
	if err := c.ready("client", 8); err != nil {
		return err
	}
	if _, err := clientProduce(b.Addr, "client", r.warmUp(label)); err != nil {
		return err
	}
	for round := range r.rounds {
		top, err := clientProduce(discard.Addr, "client", r.span)
		if err != nil {
			return err
		}
		got, err := clientProduce(b.Addr, "client", r.span)
		if err != nil {
			return err
		}
		r.report.add("franz-go producer", "discard", sample{"MB/s": top})
		r.report.add("franz-go producer", label, sample{"MB/s": got, "of limit": got / top})
		r.progress("franz-go %s round %d/%d: %.0f MB/s of %.0f", label, round+1, r.rounds, got, top)
	}
	return nil
}

func (r *run) lifeRow() error {
	for _, v := range r.plain() {
		s := v.Subject
		got, err := life(s, r.fresh())
		if err != nil {
			return err
		}
		r.report.add("life", s.Name, sample{"start ms": got.StartMS, "idle RSS MB": float64(got.IdleRSS) / 1e6, "idle CPU %": 100 * got.IdleCPU,
			"10k led ms": got.LedMS, "10k RSS MB": float64(got.ManyRSS) / 1e6, "10k CPU %": 100 * got.ManyCPU, "10k files": float64(got.ManyFiles),
			"10k recovered ms": got.RecoveredMS})
		r.progress("life %s: %+v", s.Name, got)
	}
	return nil
}
