package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// consumeFlags are the flags of consume.
type consumeFlags struct {
	offsets    []string
	output     string
	format     string
	json       bool
	num        int64
	atEnd      bool
	tail       int64
	partitions []int32
	grep       string
	regex      bool
	group      string
	protocol   string
	committed  bool
	control    bool
}

func (a *app) consume() *cobra.Command {
	f := &consumeFlags{}
	cmd := &cobra.Command{
		Use: "consume TOPIC...", Aliases: []string{"read"}, Short: "Read records",
		Long: "Read records and print them: the value of each on a line, unless -f, -J or an output format says otherwise.\n" +
			"Without an end, wait for more until interrupted.\n\nOFFSETS (-o)\n" + offsetHelp,
		Example: "  troupe consume orders                          # everything, then what comes\n" +
			"  troupe consume orders -o -10 --exit-at-end     # the last ten of each partition\n" +
			"  troupe consume orders -o @-1h:end -J           # the last hour, as JSON\n" +
			"  troupe consume orders -f '%p@%o %k: %v\\n' -n 5  # rpk's format language\n" +
			"  troupe consume 'order.*' -r --grep error",
		Args: argCount(1, -1, "the name of at least one topic"), ValidArgsFunction: a.completeTopics,
	}
	noteShape[recordJSON](cmd)
	fs := cmd.Flags()
	fs.StringArrayVarP(&f.offsets, "offset", "o", nil, "where to begin and stop (see above; default start); also takes table|json|jsonl|yaml|help")
	fs.StringVar(&f.output, "output", "", "how to print records: value|table|json|jsonl|yaml|help (default value)")
	fs.StringVarP(&f.format, "format", "f", "", "print records in this format, as rpk: '%t %p %o %k %v\\n'")
	fs.BoolVarP(&f.json, "json", "J", false, "print a JSON object a line that produce -J reads without loss")
	fs.Int64VarP(&f.num, "num", "n", 0, "stop after this many records")
	fs.BoolVarP(&f.atEnd, "exit-at-end", "e", false, "stop where the partitions ended when the command began")
	fs.Int64Var(&f.tail, "tail", -1, "begin `N` records before the end of each partition")
	fs.Lookup("tail").DefValue = "0" // so that help shows no default
	fs.Int32SliceVarP(&f.partitions, "partitions", "p", nil, "only these partitions")
	fs.StringVar(&f.grep, "grep", "", "only records whose key, value or headers match this `REGEX`")
	fs.BoolVarP(&f.regex, "regex", "r", false, "the topics are regular expressions, each matching whole names")
	fs.StringVarP(&f.group, "group", "g", "", "read as a member of this consumer `GROUP` and commit what was read")
	fs.StringVar(&f.protocol, "protocol", protocolClassic, "how the members of the group agree: classic, or consumer, where the broker assigns (KIP-848)")
	fs.BoolVar(&f.committed, "committed", false, "leave out records of open and aborted transactions (read_committed)")
	fs.BoolVar(&f.control, "control", false, "show control records too: where transactions were committed or aborted")
	_ = cmd.RegisterFlagCompletionFunc("group", a.completeGroups)
	completeWords(cmd, "protocol", protocolClassic, protocolConsumer)
	completeWords(cmd, "output", "value", "table", "json", "jsonl", "yaml", "help")
	completeWords(cmd, "offset", "start", "end", "table", "json", "jsonl", "yaml", "help")
	cmd.RunE = func(cmd *cobra.Command, args []string) error { return a.runConsume(cmd.Context(), f, args) }
	return cmd
}

// splitOutput takes the output formats out of what -o was given: the two languages share no word.
func (f *consumeFlags) splitOutput() error {
	var offsets []string
	for _, v := range f.offsets {
		if slices.Contains(strings.Split(outputFormats, "|"), v) {
			f.output = v
		} else {
			offsets = append(offsets, v)
		}
	}
	f.offsets = offsets
	if f.json && (f.output == "" || f.output == "jsonl") {
		f.output = "jsonl"
	}
	if f.format != "" && f.output != "" {
		return usage("one of -f, -J and --output", "-f and %q both say how to print records", f.output)
	}
	if f.tail < -1 {
		return usage("--tail 10", "--tail %d is no number of records", f.tail)
	}
	if f.tail >= 0 {
		if len(f.offsets) > 0 {
			return usage("-o -"+strconv.FormatInt(f.tail, 10)+": for the same", "--tail and -o both say where to begin")
		}
		f.offsets = []string{"-" + strconv.FormatInt(f.tail, 10)}
	}
	return nil
}

func (a *app) runConsume(ctx context.Context, f *consumeFlags, topics []string) error {
	if err := f.splitOutput(); err != nil {
		return err
	}
	if f.output == "help" {
		_, err := io.WriteString(a.out, shapeFor[recordJSON]())
		return err
	}
	within, err := parseRange(f.offsets, time.Now())
	if err != nil {
		return err
	}
	within.atEnd = f.atEnd
	print, err := newRecordPrinter(a.out, f)
	if err != nil {
		return err
	}
	keep, err := f.filter()
	if err != nil {
		return err
	}
	sink := &sink{print: print, keep: keep, left: f.num, control: f.control}
	if f.group != "" {
		return a.consumeGroup(ctx, f, topics, within, sink)
	}
	return a.consumeDirect(ctx, f, topics, within, sink)
}

// filter is what --grep keeps.
func (f *consumeFlags) filter() (func(*kgo.Record) bool, error) {
	if f.grep == "" {
		return func(*kgo.Record) bool { return true }, nil
	}
	re, err := regexp.Compile(f.grep)
	if err != nil {
		return nil, usage("a Go regular expression", "bad --grep: %v", err)
	}
	return func(r *kgo.Record) bool {
		return re.Match(r.Value) || re.Match(r.Key) || slices.ContainsFunc(r.Headers, func(h kgo.RecordHeader) bool {
			return re.MatchString(h.Key) || re.Match(h.Value)
		})
	}, nil
}

// sink prints records until it has had enough.
type sink struct {
	print recordPrinter
	keep  func(*kgo.Record) bool
	left  int64 // records still wanted; 0 is no limit
	full  bool

	control bool // control records too
}

func (s *sink) put(r *kgo.Record) error {
	if s.full || r.Attrs.IsControl() && !s.control || !s.keep(r) {
		return nil
	}
	if s.left > 0 {
		s.left--
		s.full = s.left == 0
	}
	return s.print.print(r)
}

// isolation is the client's option for f.
func (f *consumeFlags) isolation() kgo.Opt {
	if f.committed {
		return kgo.FetchIsolationLevel(kgo.ReadCommitted())
	}
	return kgo.FetchIsolationLevel(kgo.ReadUncommitted())
}

// consumeDirect reads partitions without a group, each from and until its own offsets.
func (a *app) consumeDirect(ctx context.Context, f *consumeFlags, topics []string, within offsetRange, out *sink) error {
	// Control records move the position past the markers at the end of a log, so that the end is seen to be reached.
	c, err := a.connect(ctx, f.isolation(), kgo.KeepControlRecords(), kgo.FetchMaxWait(500*time.Millisecond))
	if err != nil {
		return err
	}
	defer c.Close()
	setup, cancel := c.within(ctx)
	defer cancel()
	if topics, err = selectTopics(setup, c, topics, f.regex); err != nil {
		return c.explain(err)
	}
	parts, err := resolve(setup, c, topics, f.partitions, within, f.committed)
	if err != nil {
		return c.explain(err)
	}
	t := newTracker(parts)
	if len(t.open) == 0 {
		return out.print.end()
	}
	c.AddConsumePartitions(t.offsets())
	for len(t.open) > 0 && !out.full {
		if err := a.poll(ctx, c, f, t, out); err != nil {
			return errors.Join(c.explain(err), out.print.end())
		}
	}
	return out.print.end()
}

// poll waits for records once and prints those within the bounds.
func (a *app) poll(ctx context.Context, c *client, f *consumeFlags, t *tracker, out *sink) error {
	wait, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	fetches := c.PollFetches(wait)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err := fetchError(fetches); err != nil {
		return err
	}
	quiet := fetches.NumRecords() == 0
	for iter := fetches.RecordIter(); !iter.Done(); {
		r := iter.Next()
		if t.take(r) {
			if err := out.put(r); err != nil {
				return err
			}
		}
	}
	if quiet && t.bounded {
		if err := t.probeEnds(ctx, c, f.committed); err != nil {
			return err
		}
	}
	if len(t.finished) > 0 {
		c.RemoveConsumePartitions(t.finished)
		t.finished = map[string][]int32{}
	}
	return out.print.flush()
}

// fetchError is the first error that waiting will not heal. Running out of the time to wait is none.
func fetchError(fetches kgo.Fetches) error {
	for _, e := range fetches.Errors() {
		if errors.Is(e.Err, context.DeadlineExceeded) {
			continue
		}
		if e.Topic == "" {
			return e.Err
		}
		return fmt.Errorf("topic %q partition %d: %w", e.Topic, e.Partition, e.Err)
	}
	return nil
}

// selectTopics checks that the topics exist, or finds those that match.
func selectTopics(ctx context.Context, c *client, args []string, regex bool) ([]string, error) {
	topics, err := c.admin.ListTopicsWithInternal(ctx)
	if err != nil {
		return nil, err
	}
	var out []string
	if !regex {
		for _, name := range args {
			if t, ok := topics[name]; !ok || errors.Is(t.Err, kerr.UnknownTopicOrPartition) {
				return nil, unknownTopic(ctx, c, name)
			}
		}
		return args, nil
	}
	match, err := matcher(args)
	if err != nil {
		return nil, err
	}
	for _, t := range topics.Sorted() {
		if match(t.Topic) && !t.IsInternal {
			out = append(out, t.Topic)
		}
	}
	if len(out) == 0 {
		return nil, &problem{what: "no topic matches " + strings.Join(args, " "), next: "troupe topic list", exit: exitNotFound}
	}
	return out, nil
}
