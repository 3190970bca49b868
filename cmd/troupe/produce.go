package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	produceBufferedRecordsMax = 100_000
	produceBufferedBytesMax   = 64 << 20
	produceBatchBytesDefault  = 1_000_012 // under Kafka's max.message.bytes of 1048588 with room for overhead, as Kafka's own producer
)

// produceFlags are the flags of produce.
type produceFlags struct {
	key, file, format, codec, acks string
	headers                        []string
	json, tombstone                bool
	partition                      int32
	repartition, plain             bool
	batchBytes                     int32
	delivery                       time.Duration
	output                         string
	echo                           string // format; empty for none
	transaction                    transaction
}

// produceSummary is what produce has done.
type produceSummary struct {
	Records      int64   `json:"records" doc:"read from the input"`
	Acknowledged int64   `json:"acknowledged" doc:"confirmed by the broker as --acks asks"`
	Failed       int64   `json:"failed" doc:"given up; a timed out record may have been written all the same"`
	Bytes        int64   `json:"bytes" doc:"of keys, values and headers acknowledged"`
	Seconds      float64 `json:"seconds"`
	Transaction  string  `json:"transaction,omitempty" doc:"committed, aborted or unknown, if there was one; aborted records are for no reader of committed ones"`
}

func (s produceSummary) table() [][]string {
	return [][]string{
		{"RECORDS", "ACKNOWLEDGED", "FAILED", "BYTES", "SECONDS"},
		{decimal(s.Records), decimal(s.Acknowledged), decimal(s.Failed), decimal(s.Bytes), fmt.Sprintf("%.3f", s.Seconds)},
	}
}

func (s produceSummary) String() string {
	out := fmt.Sprintf("acknowledged %s of %s records, %s in %.2f s", humanize.Comma(s.Acknowledged), humanize.Comma(s.Records), humanize.IBytes(uint64(s.Bytes)), s.Seconds)
	if s.Seconds >= 1 {
		out += fmt.Sprintf(" (%s/s)", humanize.IBytes(uint64(float64(s.Bytes)/s.Seconds)))
	}
	if s.Transaction != "" {
		out += "; transaction " + s.Transaction
	}
	return out
}

func (a *app) produce() *cobra.Command {
	p := &produceFlags{}
	cmd := &cobra.Command{
		Use: "produce [TOPIC]", Short: "Write records, a line of standard input each",
		Long: "Write records to a topic. Every line of standard input (or of --file) is the value of one record, unless -f or -J say how a record looks.\n\n" +
			"A topic that does not exist is created if the broker allows it. Records are written idempotently with acks=all; the command ends\n" +
			"when all of them are acknowledged, and says how many were.\n" + transactionHelp +
			"\nThe topic may also come from the input: %t in -f, \"topic\" with -J.",
		Example: "  troupe produce hello <<< 'first record'\n" +
			"  troupe produce orders -k customer-7 -H source:web < orders.txt\n" +
			"  troupe produce orders -f '%k:%v\\n' <<< 'key:value'\n" +
			"  troupe produce -f '%t %v\\n' --echo <<< 'orders first'\n" +
			"  troupe consume orders -J -o :end | troupe produce copy -J",
		Args: argCount(0, 1, "at most one topic"), ValidArgsFunction: a.completeTopics,
	}
	noteShape[produceSummary](cmd)
	f := cmd.Flags()
	f.StringVarP(&p.key, "key", "k", "", "key of every record")
	f.StringArrayVarP(&p.headers, "header", "H", nil, "header of every record, `KEY:VALUE`; may be repeated")
	f.StringVarP(&p.format, "format", "f", "", "how to read a record, as rpk: '%k:%v\\n', '%V{big32}%v'")
	f.BoolVarP(&p.json, "json", "J", false, "read JSON objects, as consume -J writes them")
	f.StringVar(&p.file, "file", "", "read `FILE` instead of standard input")
	f.StringVarP(&p.codec, "compression", "z", "none", "none, gzip, snappy, lz4 or zstd")
	f.StringVar(&p.acks, "acks", "all", "who must have a record: all (in-sync replicas), leader or none")
	f.Int32VarP(&p.partition, "partition", "p", -1, "write to this partition; otherwise keys decide")
	f.BoolVar(&p.repartition, "repartition", false, "with -J, do not keep the partitions the records came from")
	f.BoolVar(&p.tombstone, "tombstones", false, "an empty value is a null one")
	f.BoolVar(&p.plain, "no-idempotence", false, "allow duplicates and reordering when a request is retried")
	f.Int32Var(&p.batchBytes, "max-message-bytes", produceBatchBytesDefault, "largest batch to send, in `bytes` before compression")
	f.DurationVar(&p.delivery, "delivery-timeout", time.Minute, "give up when nothing is acknowledged for this long")
	f.StringVar(&p.echo, "echo", "", "print where each record was written, as text, jsonl or in a `FORMAT` as rpk's: '%t %p %o %k\\n'")
	f.Lookup("echo").NoOptDefVal = "text"
	f.BoolVar(&p.transaction.on, "transaction", false, "write the whole input in one transaction, or nothing of it")
	f.StringVar(&p.transaction.id, "transactional-id", "", "the transaction's `ID` (implies --transaction); one of its own otherwise")
	f.DurationVar(&p.transaction.timeout, "transaction-timeout", time.Minute, "the broker aborts a transaction that takes longer")
	_ = cmd.RegisterFlagCompletionFunc("transactional-id", a.completeTransactions)
	completeWords(cmd, "compression", "none", "gzip", "snappy", "lz4", "zstd")
	completeWords(cmd, "acks", "all", "leader", "none")
	f.StringVarP(&p.output, "output", "o", "none", "print a summary on standard output: none|"+outputFormats)
	cmd.RunE = func(cmd *cobra.Command, args []string) error { return a.runProduce(cmd.Context(), p, args) }
	return cmd
}

func (a *app) runProduce(ctx context.Context, p *produceFlags, args []string) error {
	if p.output == "help" {
		_, err := io.WriteString(a.out, shapeFor[produceSummary]())
		return err
	}
	write := func(io.Writer, tabled) error { return nil }
	if p.output != "none" {
		var err error
		if write, err = outputWriters(nil).writerFor(p.output); err != nil {
			return err
		}
	}
	run, err := a.newProduction(p, args)
	if err != nil {
		return err
	}
	defer run.close()
	opts, err := p.options()
	if err != nil {
		return err
	}
	c, err := a.connect(ctx, opts...)
	if err != nil {
		return err
	}
	defer c.Close()
	if run.interactive {
		a.say("Every line is a record for %s; Ctrl-D ends.", run.topic)
	}
	summary, err := run.all(ctx, c)
	if !a.quiet {
		a.say("%s", summary)
	}
	return errors.Join(write(a.out, summary), err)
}

// options are the client's settings for p.
func (p *produceFlags) options() ([]kgo.Opt, error) {
	opts := []kgo.Opt{
		kgo.AllowAutoTopicCreation(),
		kgo.MaxBufferedRecords(produceBufferedRecordsMax),
		kgo.MaxBufferedBytes(produceBufferedBytesMax),
		kgo.ProducerBatchMaxBytes(p.batchBytes),
		kgo.RecordPartitioner(wishPartitioner{kgo.StickyKeyPartitioner(nil)}),
	}
	codecs := map[string]kgo.CompressionCodec{
		"none": kgo.NoCompression(), "gzip": kgo.GzipCompression(), "snappy": kgo.SnappyCompression(), "lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression(),
	}
	codec, ok := codecs[p.codec]
	if !ok {
		return nil, usage("-z none|gzip|snappy|lz4|zstd", "no compression %q", p.codec)
	}
	opts = append(opts, kgo.ProducerBatchCompression(codec))
	switch p.acks {
	case "all", "-1":
	case "leader", "1":
		opts, p.plain = append(opts, kgo.RequiredAcks(kgo.LeaderAck())), true
	case "none", "0":
		opts, p.plain = append(opts, kgo.RequiredAcks(kgo.NoAck())), true
	default:
		return nil, usage("--acks all|leader|none", "no acks %q", p.acks)
	}
	if p.transaction.wanted() {
		more, err := p.transaction.options(p.plain)
		return append(opts, more...), err
	}
	if p.plain {
		return append(opts, kgo.DisableIdempotentWrite()), nil
	}
	return append(opts, kgo.AllowIdempotentProduceCancellation()), nil
}

// production is one run of produce.
type production struct {
	app         *app
	flags       *produceFlags
	topic       string
	headers     []kgo.RecordHeader
	source      recordSource
	input       io.Closer // nil for standard input
	interactive bool
	began       time.Time
	echo        *echo

	read, acked, failed, bytes atomic.Int64

	mu    sync.Mutex
	cause error // of the first record that failed
	stop  context.CancelFunc
}

func (a *app) newProduction(p *produceFlags, args []string) (*production, error) {
	run := &production{app: a, flags: p, began: time.Now()}
	if len(args) > 0 {
		run.topic = args[0]
	} else if !p.json && !namesTopic(p.format) {
		return nil, usage("troupe produce TOPIC, or %t in -f", "which topic?")
	}
	for _, h := range p.headers {
		i := strings.IndexAny(h, ":=")
		if i <= 0 {
			return nil, usage("-H KEY:VALUE", "%q is no header", h)
		}
		run.headers = append(run.headers, kgo.RecordHeader{Key: h[:i], Value: []byte(h[i+1:])})
	}
	in := a.in
	if p.file != "" {
		f, err := os.Open(p.file)
		if err != nil {
			return nil, err
		}
		in, run.input = f, f
	}
	run.interactive = p.file == "" && a.inTTY
	var err error
	if run.echo, err = newEcho(a.out, p.echo, p.acks); err != nil {
		return nil, err
	}
	run.source, err = newSource(in, p)
	return run, err
}

func (run *production) close() {
	if run.input != nil {
		run.input.Close()
	}
}

func (run *production) summary() produceSummary {
	return produceSummary{
		Records: run.read.Load(), Acknowledged: run.acked.Load(), Failed: run.failed.Load(), Bytes: run.bytes.Load(),
		Seconds: time.Since(run.began).Seconds(),
	}
}

// all runs the production, in a transaction if one is asked for, and tells what came of it.
func (run *production) all(ctx context.Context, c *client) (summary produceSummary, err error) {
	var outcome string
	if run.flags.transaction.wanted() {
		outcome, err = run.runTransaction(ctx, c)
	} else {
		err = run.run(ctx, c)
	}
	summary = run.summary()
	summary.Transaction = outcome
	return summary, errors.Join(err, run.echo.end())
}

// errStalled ends a production in which nothing was acknowledged for --delivery-timeout. The client's own timeout is not used: it
// counts from the timestamp of a record, and a copied record is old.
var errStalled = errors.New("no acknowledgement in time")

// run reads, sends and waits. After a failed record, or when interrupted, nothing more is read; what was sent is waited for.
func (run *production) run(ctx context.Context, c *client) error {
	reading, stop := context.WithCancel(ctx)
	defer stop()
	run.stop = stop
	sending, abort := context.WithCancelCause(context.WithoutCancel(ctx))
	defer abort(nil)
	unwatch := run.watch(abort)
	readErr := run.pump(reading, sending, c)
	flushErr := c.Flush(sending)
	unwatch()
	run.mu.Lock()
	defer run.mu.Unlock()
	switch {
	case run.cause != nil:
		return c.explain(run.cause)
	case readErr != nil && !errors.Is(readErr, context.Canceled):
		return readErr
	case errors.Is(context.Cause(sending), errStalled): // before any record was given up by the client
		return c.explain(run.stalled(errStalled))
	case ctx.Err() != nil:
		return ctx.Err()
	}
	return c.explain(flushErr)
}

// pump moves records from the input to the client. Reading happens on its own goroutine, because a read of a terminal cannot be
// interrupted.
func (run *production) pump(ctx, sending context.Context, c *client) error {
	type item struct {
		record *kgo.Record
		err    error
	}
	items := make(chan item, 256)
	go func() {
		defer close(items)
		for {
			r, err := run.source.next()
			select {
			case items <- item{r, err}:
			case <-ctx.Done():
				return
			}
			if err != nil {
				return
			}
		}
	}()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case it := <-items:
			if it.err == io.EOF {
				return nil
			}
			if it.err != nil {
				return usage("", "record %d of the input: %v", run.read.Load()+1, it.err)
			}
			if err := run.send(sending, c, it.record); err != nil {
				return err
			}
		}
	}
}

// send completes a record with what the flags say and hands it to the client.
func (run *production) send(ctx context.Context, c *client, r *kgo.Record) error {
	n := run.read.Add(1)
	if run.topic != "" {
		r.Topic = run.topic
	}
	if r.Topic == "" {
		return usage("troupe produce TOPIC", "record %d names no topic", n)
	}
	if run.flags.key != "" {
		r.Key = []byte(run.flags.key)
	}
	if run.flags.tombstone && len(r.Value) == 0 {
		r.Value = nil
	}
	if run.flags.repartition {
		r.Partition = -1
	}
	if run.flags.partition >= 0 {
		r.Partition = run.flags.partition
	}
	r.Headers = append(r.Headers, run.headers...)
	size := recordSize(r)
	c.Produce(ctx, r, func(r *kgo.Record, err error) {
		if ctx.Err() != nil && err != nil {
			err = context.Cause(ctx)
		}
		run.done(n, size, r, err)
	})
	return nil
}

func recordSize(r *kgo.Record) int64 {
	n := len(r.Key) + len(r.Value)
	for _, h := range r.Headers {
		n += len(h.Key) + len(h.Value)
	}
	return int64(n)
}

// done is called once for every record.
func (run *production) done(n, size int64, r *kgo.Record, err error) {
	if err == nil {
		run.acked.Add(1)
		run.bytes.Add(size)
		run.echo.wrote(n, r, run.interactive)
		if run.interactive && run.echo == nil && !run.app.quiet {
			run.app.say("  partition %d offset %d", r.Partition, r.Offset)
		}
		return
	}
	run.failed.Add(1)
	run.mu.Lock()
	if run.cause == nil {
		run.cause = run.failure(n, size, r, err)
	}
	run.mu.Unlock()
	run.stop()
}

// failure says why record n was not written.
func (run *production) failure(n, size int64, r *kgo.Record, err error) error {
	err = fmt.Errorf("record %d for %s: %w", n, r.Topic, err)
	switch {
	case errors.Is(err, kerr.MessageTooLarge) && size > int64(run.flags.batchBytes):
		return &problem{
			what: fmt.Sprintf("record %d for %s is too large", n, r.Topic), why: fmt.Sprintf("%s, and --max-message-bytes is %s", humanize.IBytes(uint64(size)), humanize.IBytes(uint64(run.flags.batchBytes))),
			next:  fmt.Sprintf("--max-message-bytes %d, and on the topic: troupe topic alter %s --set max.message.bytes=%d", size+1024, r.Topic, size+1024),
			cause: err,
		}
	case strings.Contains(err.Error(), "invalid record partitioning choice"):
		return &problem{what: fmt.Sprintf("record %d: topic %q has no partition %d", n, r.Topic, r.Partition), next: "troupe topic describe " + r.Topic + "; --repartition lets keys decide", exit: exitNotFound, cause: err}
	case errors.Is(err, kerr.UnknownTopicOrPartition):
		return &problem{what: fmt.Sprintf("no topic %q", r.Topic), why: "and the broker does not create topics by itself", next: "troupe topic create " + r.Topic, exit: exitNotFound, cause: err}
	case errors.Is(err, errStalled):
		return run.stalled(err)
	}
	return err
}

// stalled is the problem of a production in which nothing was acknowledged for too long.
func (run *production) stalled(err error) error {
	return &problem{
		what: err.Error(), why: "nothing was acknowledged for " + run.flags.delivery.String() + "; records that were sent may have been written",
		next: "'troupe doctor' shows whether the broker answers; --delivery-timeout waits longer", exit: exitTimeout, cause: err,
	}
}

// watch draws a line of progress a second on a terminal, and aborts a production that stalls, until the returned function is called.
func (run *production) watch(abort context.CancelCauseFunc) (stop func()) {
	draw := run.app.errTTY && !run.app.quiet && !run.interactive
	done, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		tick := time.NewTicker(min(time.Second, run.flags.delivery))
		defer tick.Stop()
		acked, since := int64(-1), time.Now()
		for {
			select {
			case <-done:
				if draw {
					fmt.Fprint(run.app.err, "\r\x1b[K")
				}
				return
			case <-tick.C:
			}
			s := run.summary()
			if s.Acknowledged != acked || s.Acknowledged == s.Records {
				acked, since = s.Acknowledged, time.Now()
			}
			if time.Since(since) >= run.flags.delivery {
				abort(errStalled)
			}
			if draw {
				fmt.Fprintf(run.app.err, "\r\x1b[K%s", s)
			}
		}
	}()
	return func() { close(done); <-stopped }
}

// wishPartitioner sends a record to the partition it names, and lets another partitioner place the rest.
type wishPartitioner struct{ other kgo.Partitioner }

func (w wishPartitioner) ForTopic(topic string) kgo.TopicPartitioner {
	return wishes{w.other.ForTopic(topic)}
}

type wishes struct{ kgo.TopicPartitioner }

func (w wishes) RequiresConsistency(r *kgo.Record) bool {
	return r.Partition >= 0 || w.TopicPartitioner.RequiresConsistency(r)
}

func (w wishes) Partition(r *kgo.Record, n int) int {
	if r.Partition >= 0 {
		return int(r.Partition)
	}
	return w.TopicPartitioner.Partition(r, n)
}

// OnNewBatch keeps the sticky partitioner moving from partition to partition.
func (w wishes) OnNewBatch() {
	if on, ok := w.TopicPartitioner.(kgo.TopicPartitionerOnNewBatch); ok {
		on.OnNewBatch()
	}
}
