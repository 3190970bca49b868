package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
)

// changeRow says what became of one topic or other resource.
type changeRow struct {
	Name   string `json:"name"`
	Done   string `json:"done" doc:"what was done, or 'would be ...' with --dry-run; empty if it failed"`
	Error  string `json:"error,omitempty"`
	DryRun bool   `json:"dry_run,omitempty"`
}

type changeRows []changeRow

func (rows changeRows) table() [][]string {
	out := [][]string{{"NAME", "RESULT"}}
	for _, r := range rows {
		out = append(out, []string{r.Name, outcome(r.Done, r.Error, r.DryRun)})
	}
	return out
}

// outcome is what a table says of one row. Why it failed is said on standard error, with what to do, and not twice.
func outcome(done, failure string, dry bool) string {
	if failure != "" {
		return "failed"
	}
	return wouldBe(done, dry)
}

// wouldBe is what was done or, in a dry run, what would be.
func wouldBe(done string, dry bool) string {
	if dry && done != "" {
		return "would be " + done
	}
	return done
}

// MarshalJSON keeps a dry run from saying that something was done.
func (r changeRow) MarshalJSON() ([]byte, error) {
	type plain changeRow
	r.Done = wouldBe(r.Done, r.DryRun)
	return marshal(plain(r))
}

// failed collects what went wrong with single topics, or other things, into one error.
type failed []failure

// failure is what went wrong with one thing.
type failure struct {
	kind, name string
	err        error
}

func (f failure) like(other failure) bool {
	return f.kind == other.kind && f.err.Error() == other.err.Error()
}

func (f *failed) add(topic string, err error, message string) changeRow {
	return f.addOf("topic", topic, err, message)
}

// addOf is add for a thing of another kind.
func (f *failed) addOf(kind, name string, err error, message string) changeRow {
	if message != "" && message != err.Error() {
		err = &detailed{err, message}
	}
	*f = append(*f, failure{kind, name, err})
	return changeRow{Name: name, Error: text(err)}
}

// err says every reason once, with all the things it is about.
func (f failed) err() error {
	var out []error
	for i, one := range f {
		if slices.ContainsFunc(f[:i], one.like) {
			continue
		}
		kind, names := one.kind, strconv.Quote(one.name)
		for _, other := range f[i+1:] {
			if other.like(one) {
				kind, names = one.kind+"s", names+", "+strconv.Quote(other.name)
			}
		}
		out = append(out, fmt.Errorf("%s %s: %w", kind, names, one.err))
	}
	return errors.Join(out...)
}

// detailed is a Kafka error with the broker's own words about this case.
type detailed struct {
	code    error
	message string
}

func (d *detailed) Error() string {
	if ke := new(kerr.Error); errors.As(d.code, &ke) {
		return ke.Message + ": " + d.message
	}
	return d.message
}
func (d *detailed) Unwrap() error { return d.code }

func (a *app) topicCreate() *cobra.Command {
	cmd := &cobra.Command{
		Use: "create TOPIC...", Short: "Create topics", Args: argCount(1, -1, "the name of at least one topic"),
		Example: "  troupe topic create orders --partitions 6\n  troupe topic create state -c cleanup.policy=compact --dry-run",
	}
	f := cmd.Flags()
	partitions := f.Int32P("partitions", "p", -1, "number of partitions; -1 is the broker's default")
	replication := f.Int16("replication", -1, "replicas of each partition; -1 is the broker's default")
	set := f.StringArrayP("set", "c", nil, "setting of the topic, as `KEY=VALUE`; may be repeated")
	f.Var(f.Lookup("set").Value, "config", "--set, as kafka-topics calls it")
	completeKeys(cmd, "set", "=", topicKeys)
	exists := f.Bool("if-not-exists", false, "a topic that exists is no error")
	dry := f.Bool("dry-run", false, "let the broker check everything and create nothing")
	return prints(a, cmd, func(ctx context.Context, topics []string) (changeRows, error) {
		configs, err := settings(*set)
		if err != nil {
			return nil, err
		}
		return withClient(a, ctx, func(ctx context.Context, c *client) (changeRows, error) {
			create := c.admin.CreateTopics
			if *dry {
				create = c.admin.ValidateCreateTopics
			}
			got, err := create(ctx, *partitions, *replication, configs, topics...)
			if err != nil {
				return nil, err
			}
			return createdRows(topics, got, *dry, *exists)
		})
	})
}

func createdRows(topics []string, got kadm.CreateTopicResponses, dry, existsOK bool) (changeRows, error) {
	var rows changeRows
	var bad failed
	for _, name := range topics {
		r := got[name]
		switch {
		case existsOK && errors.Is(r.Err, kerr.TopicAlreadyExists):
			rows = append(rows, changeRow{Name: name, Done: "there already"})
		case r.Err != nil:
			rows = append(rows, bad.add(name, r.Err, r.ErrMessage))
		default:
			done := "created"
			if r.NumPartitions > 0 {
				done = fmt.Sprintf("created: %s, replication %d", count(int(r.NumPartitions), "partition"), r.ReplicationFactor)
			}
			rows = append(rows, changeRow{Name: name, Done: done, DryRun: dry})
		}
	}
	return rows, bad.err()
}

func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// settings parses KEY=VALUE flags.
func settings(flags []string) (map[string]*string, error) {
	out := map[string]*string{}
	for _, f := range flags {
		key, value, found := strings.Cut(f, "=")
		if !found || key == "" {
			return nil, usage("--set KEY=VALUE", "%q is not KEY=VALUE", f)
		}
		if err := oneSetting(key, value); err != nil {
			return nil, err
		}
		out[key] = &value
	}
	return out, nil
}

// alterations are the config changes a command line asks for, in a fixed order.
func alterations(set, unset []string) ([]kadm.AlterConfig, error) {
	values, err := settings(set)
	if err != nil {
		return nil, err
	}
	var out []kadm.AlterConfig
	for key, value := range values {
		out = append(out, kadm.AlterConfig{Op: kadm.SetConfig, Name: key, Value: value})
	}
	for _, key := range unset {
		out = append(out, kadm.AlterConfig{Op: kadm.DeleteConfig, Name: key})
	}
	slices.SortFunc(out, func(x, y kadm.AlterConfig) int { return strings.Compare(x.Name, y.Name) })
	return out, nil
}

const dryAlterHelp = "let the broker check everything and change nothing"

// alterFlags are --set and --unset of a command that changes settings; their keys are completed.
func alterFlags(cmd *cobra.Command, keys keysFor) (set, unset *[]string) {
	set = cmd.Flags().StringArrayP("set", "c", nil, "set `KEY=VALUE`; may be repeated")
	unset = cmd.Flags().StringArray("unset", nil, "go back to the default of `KEY`; may be repeated")
	cmd.Flags().Var(kafkaList{cmd.Flags().Lookup("set").Value.(pflag.SliceValue)}, "add-config", "several of --set, as kafka-configs takes them: `K=V,K=[V,V]`")
	cmd.Flags().Var(kafkaList{cmd.Flags().Lookup("unset").Value.(pflag.SliceValue)}, "delete-config", "several of --unset, as kafka-configs takes them: `K,K`")
	completeKeys(cmd, "set", "=", keys)
	completeKeys(cmd, "unset", "", keys)
	return set, unset
}

func describeAlterations(configs []kadm.AlterConfig) string {
	var parts []string
	for _, c := range configs {
		if c.Op == kadm.DeleteConfig {
			parts = append(parts, "unset "+c.Name)
		} else {
			parts = append(parts, "set "+c.Name+"="+*c.Value)
		}
	}
	return strings.Join(parts, ", ")
}

func (a *app) topicAlter() *cobra.Command {
	cmd := &cobra.Command{
		Use: "alter TOPIC...", Short: "Change settings of topics, or add partitions", Args: argCount(1, -1, "the name of at least one topic"),
		Example:           "  troupe topic alter orders --set retention.ms=3600000\n  troupe topic alter orders --partitions 12",
		ValidArgsFunction: a.completeTopics,
	}
	f := cmd.Flags()
	partitions := f.Int32P("partitions", "p", 0, "new total number of partitions, larger than now")
	set, unset := alterFlags(cmd, topicKeys)
	f.Var(f.Lookup("set").Value, "config", "--set, as kafka-topics calls it")
	dry := f.Bool("dry-run", false, dryAlterHelp)
	return prints(a, cmd, func(ctx context.Context, topics []string) (changeRows, error) {
		configs, err := alterations(*set, *unset)
		if err != nil {
			return nil, err
		}
		if len(configs) == 0 && *partitions == 0 {
			return nil, usage("--set KEY=VALUE, --unset KEY or --partitions N", "nothing to alter")
		}
		return withClient(a, ctx, func(ctx context.Context, c *client) (changeRows, error) {
			var rows changeRows
			var bad failed
			if len(configs) > 0 {
				err = alterTopicConfigs(ctx, c, topics, configs, *dry, &rows, &bad)
			}
			if err == nil && *partitions > 0 {
				err = growTopics(ctx, c, topics, int(*partitions), *dry, &rows, &bad)
			}
			return rows, errors.Join(bad.err(), err)
		})
	})
}

func alterTopicConfigs(ctx context.Context, c *client, topics []string, configs []kadm.AlterConfig, dry bool, rows *changeRows, bad *failed) error {
	alter := c.admin.AlterTopicConfigs
	if dry {
		alter = c.admin.ValidateAlterTopicConfigs
	}
	got, err := alter(ctx, configs, topics...)
	if err != nil {
		return err
	}
	alteredRows("topic", topics, got, changeRow{Done: "altered: " + describeAlterations(configs), DryRun: dry}, rows, bad)
	return nil
}

// alteredRows says what became of each topic or group that was altered; well is the row of one that was, but for its name.
func alteredRows(kind string, names []string, got kadm.AlterConfigsResponses, well changeRow, rows *changeRows, bad *failed) {
	for _, name := range names {
		r, err := got.On(name, nil)
		if err == nil {
			err = r.Err
		}
		if err != nil {
			*rows = append(*rows, bad.addOf(kind, name, err, r.ErrMessage))
			continue
		}
		well.Name = name
		*rows = append(*rows, well)
	}
}

func growTopics(ctx context.Context, c *client, topics []string, total int, dry bool, rows *changeRows, bad *failed) error {
	grow := c.admin.UpdatePartitions
	if dry {
		grow = c.admin.ValidateUpdatePartitions
	}
	got, err := grow(ctx, total, topics...)
	if err != nil {
		return err
	}
	for _, name := range topics {
		r, err := got.On(name, nil)
		if err == nil {
			err = r.Err
		}
		if err != nil {
			*rows = append(*rows, bad.add(name, err, r.ErrMessage))
			continue
		}
		*rows = append(*rows, changeRow{Name: name, Done: "grown to " + count(total, "partition"), DryRun: dry})
	}
	return nil
}

func (a *app) topicDelete() *cobra.Command {
	cmd := &cobra.Command{
		Use: "delete TOPIC...", Aliases: []string{"rm"}, Short: "Delete topics and all their records",
		Args: argCount(1, -1, "the name of at least one topic"), ValidArgsFunction: a.completeTopics,
	}
	f := cmd.Flags()
	regex := f.BoolP("regex", "r", false, "the names are regular expressions, each matching whole names")
	yes := f.BoolP("yes", "y", false, "do not ask")
	dry := f.Bool("dry-run", false, "show which topics would be deleted and delete nothing")
	return prints(a, cmd, func(ctx context.Context, args []string) (changeRows, error) {
		c, err := a.connect(ctx)
		if err != nil {
			return nil, err
		}
		defer c.Close()
		victims, err := a.victims(ctx, c, args, *regex)
		if err != nil {
			return nil, c.explain(err)
		}
		if *dry {
			var rows changeRows
			for _, t := range victims {
				rows = append(rows, changeRow{Name: t.Topic, Done: "deleted: " + count(len(t.Partitions), "partition"), DryRun: true})
			}
			return rows, nil
		}
		if err := a.confirm(*yes, "delete "+listTopics(victims)+" with all their records"); err != nil {
			return nil, err
		}
		bounded, cancel := c.within(ctx)
		defer cancel()
		return deleteTopics(bounded, c, victims)
	})
}

// victims are the topics a delete is about; every one exists.
func (a *app) victims(ctx context.Context, c *client, args []string, regex bool) ([]kadm.TopicDetail, error) {
	ctx, cancel := c.within(ctx)
	defer cancel()
	topics, err := c.admin.ListTopics(ctx)
	if err != nil {
		return nil, err
	}
	var out []kadm.TopicDetail
	if !regex {
		for _, name := range args {
			if !topics.Has(name) {
				return nil, unknownTopic(ctx, c, name)
			}
			out = append(out, topics[name])
		}
		return out, nil
	}
	match, err := matcher(args)
	if err != nil {
		return nil, err
	}
	for _, t := range topics.Sorted() {
		if match(t.Topic) {
			out = append(out, t)
		}
	}
	if len(out) == 0 {
		return nil, &problem{what: "no topic matches " + strings.Join(args, " "), next: "troupe topic list", exit: exitNotFound}
	}
	return out, nil
}

func listTopics(topics []kadm.TopicDetail) string {
	var parts []string
	for _, t := range topics {
		parts = append(parts, fmt.Sprintf("%s (%s)", t.Topic, count(len(t.Partitions), "partition")))
	}
	return strings.Join(parts, ", ")
}

func deleteTopics(ctx context.Context, c *client, victims []kadm.TopicDetail) (changeRows, error) {
	var names []string
	for _, t := range victims {
		names = append(names, t.Topic)
	}
	got, err := c.admin.DeleteTopics(ctx, names...)
	if err != nil {
		return nil, c.explain(err)
	}
	var rows changeRows
	var bad failed
	for _, name := range names {
		r, err := got.On(name, nil)
		if err == nil {
			err = r.Err
		}
		if err != nil {
			rows = append(rows, bad.add(name, err, r.ErrMessage))
			continue
		}
		rows = append(rows, changeRow{Name: name, Done: "deleted"})
	}
	return rows, bad.err()
}
