package main

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"sort"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/troupe-broker/troupe/actors/protocol"
)

func (a *app) topic() *cobra.Command {
	c := noun("topic", "Create, list, describe, alter, trim and delete topics", a.topicCreate(), a.topicList(), a.topicDescribe(), a.topicOffsets(), a.topicAlter(), a.topicTrim(), a.topicDelete())
	c.Aliases = []string{"topics"}
	return c
}

// topicRow is a line of topic list.
type topicRow struct {
	Topic       string `json:"topic"`
	ID          string `json:"id" doc:"identity of this incarnation of the name"`
	Partitions  int    `json:"partitions"`
	Replication int    `json:"replication" doc:"replicas of partition 0"`
	Leaderless  int    `json:"leaderless" doc:"partitions nobody can read or write"`
	Lagging     int    `json:"under_replicated" doc:"partitions with fewer in-sync replicas than replicas"`
	Internal    bool   `json:"internal"`
	Error       string `json:"error,omitempty"`
}

type topicRows []topicRow

func (rows topicRows) table() [][]string {
	out := [][]string{{"TOPIC", "PARTITIONS", "REPLICATION", "STATE"}}
	for _, r := range rows {
		out = append(out, []string{r.Topic, strconv.Itoa(r.Partitions), strconv.Itoa(r.Replication), r.state()})
	}
	return out
}

func (r topicRow) state() string {
	switch {
	case r.Error != "":
		return r.Error
	case r.Leaderless > 0:
		return fmt.Sprintf("%d without leader", r.Leaderless)
	case r.Lagging > 0:
		return fmt.Sprintf("%d under-replicated", r.Lagging)
	}
	return "ok"
}

func rowOf(t kadm.TopicDetail) topicRow {
	r := topicRow{Topic: t.Topic, ID: protocol.TopicID(t.ID).String(), Partitions: len(t.Partitions), Internal: t.IsInternal, Error: text(t.Err), Replication: t.Partitions.NumReplicas()}
	for _, p := range t.Partitions {
		if p.Leader < 0 {
			r.Leaderless++
		}
		if len(p.ISR) < len(p.Replicas) {
			r.Lagging++
		}
	}
	return r
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func (a *app) topicList() *cobra.Command {
	cmd := &cobra.Command{
		Use: "list [REGEX...]", Aliases: []string{"ls"}, Short: "List topics",
		Long: "List topics: all of them, or those whose whole name one of the expressions matches.",
	}
	internal := cmd.Flags().Bool("internal", false, "show the broker's own topics as well")
	return prints(a, cmd, func(ctx context.Context, args []string) (topicRows, error) {
		match, err := matcher(args)
		if err != nil {
			return nil, err
		}
		return withClient(a, ctx, func(ctx context.Context, c *client) (topicRows, error) {
			topics, err := c.admin.ListTopicsWithInternal(ctx)
			if err != nil {
				return nil, err
			}
			rows := topicRows{}
			for _, t := range topics.Sorted() {
				if match(t.Topic) && (*internal || !t.IsInternal) {
					rows = append(rows, rowOf(t))
				}
			}
			return rows, nil
		})
	})
}

// matcher tells which names one of the expressions matches as a whole; all names if there are none.
func matcher(expressions []string) (func(string) bool, error) {
	var all []*regexp.Regexp
	for _, e := range expressions {
		re, err := regexp.Compile("^(?:" + e + ")$")
		if err != nil {
			return nil, usage("a Go regular expression: .* matches anything", "bad expression: %v", err)
		}
		all = append(all, re)
	}
	return func(name string) bool {
		return len(all) == 0 || slices.ContainsFunc(all, func(re *regexp.Regexp) bool { return re.MatchString(name) })
	}, nil
}

// topicView is what topic describe prints of one topic.
type topicView struct {
	topicRow
	Bytes   int64          `json:"bytes" doc:"on the disks of the partitions' leaders, -1 if unknown"`
	Copies  int64          `json:"bytes_with_replicas" doc:"on the disks of all replicas, -1 if unknown"`
	Configs []configRow    `json:"configs" doc:"settings that differ from the default; all of them with --configs"`
	Parts   []partitionRow `json:"partition_list"`
}

type partitionRow struct {
	Partition   int32   `json:"partition"`
	Leader      int32   `json:"leader" doc:"node id, -1 for none"`
	LeaderEpoch int32   `json:"leader_epoch"`
	Replicas    []int32 `json:"replicas"`
	ISR         []int32 `json:"isr" doc:"replicas in sync with the leader"`
	Start       int64   `json:"log_start_offset" doc:"first offset that can be read, -1 if unknown"`
	End         int64   `json:"high_watermark" doc:"exclusive end of what can be read, -1 if unknown"`
	Stable      int64   `json:"last_stable_offset" doc:"exclusive end of what read_committed sees, -1 if unknown"`
	Bytes       int64   `json:"bytes" doc:"of the leader's segments, -1 if unknown"`
	Error       string  `json:"error,omitempty"`
}

type topicViews []topicView

func (views topicViews) table() (out [][]string) {
	for i, v := range views {
		if i > 0 {
			out = append(out, nil)
		}
		out = append(out, v.table()...)
	}
	return out
}

func (v topicView) table() [][]string {
	out := [][]string{
		{"topic", v.Topic},
		{"id", v.ID},
		{"partitions", strconv.Itoa(v.Partitions)},
		{"replication", strconv.Itoa(v.Replication)},
		{"state", v.state()},
	}
	if v.Bytes >= 0 {
		out = append(out, []string{"size", v.sizeText()})
	}
	out = append(out, configLines(v.Configs)...)
	if len(v.Parts) == 0 {
		return out
	}
	out = append(out, nil, []string{"PARTITION", "LEADER", "EPOCH", "REPLICAS", "ISR", "START", "END", "RECORDS", "SIZE", ""})
	for _, p := range v.Parts {
		out = append(out, []string{
			decimal(p.Partition), decimal(p.Leader), decimal(p.LeaderEpoch), nodeList(p.Replicas), nodeList(p.ISR),
			decimal(p.Start), decimal(p.End), p.span(), bytesText(p.Bytes), p.Error,
		})
	}
	return out
}

func (v topicView) sizeText() string {
	if v.Copies == v.Bytes {
		return bytesText(v.Bytes)
	}
	return bytesText(v.Bytes) + " (" + bytesText(v.Copies) + " with all replicas)"
}

// measure adds the sizes. The sum over partitions is unknown if one of them is.
func (v *topicView) measure(sizes replicaSizes) {
	unknown := false
	for i := range v.Parts {
		p := &v.Parts[i]
		p.Bytes = sizes.of(v.Topic, p.Partition, p.Leader)
		unknown = unknown || p.Bytes < 0
		v.Bytes += p.Bytes
		v.Copies += sizes.all(v.Topic, p.Partition)
	}
	if unknown {
		v.Bytes, v.Copies = -1, -1
	}
}

func (p partitionRow) span() string {
	if p.Start < 0 || p.End < 0 {
		return "-"
	}
	return decimal(p.End - p.Start)
}

func decimal[N int32 | int64 | int16 | int](n N) string { return strconv.FormatInt(int64(n), 10) }

func nodeList(ids []int32) string {
	out := make([]string, len(ids))
	for i, id := range ids {
		out[i] = decimal(id)
	}
	return strings.Join(out, ",")
}

func (a *app) topicDescribe() *cobra.Command {
	cmd := &cobra.Command{
		Use: "describe TOPIC...", Short: "Show partitions, offsets, sizes and settings of topics",
		Args: argCount(1, -1, "the name of at least one topic"), ValidArgsFunction: a.completeTopics,
	}
	all := cmd.Flags().Bool("configs", false, allConfigsHelp)
	regex := cmd.Flags().BoolP("regex", "r", false, "the names are regular expressions, each matching whole names")
	return prints(a, cmd, func(ctx context.Context, topics []string) (topicViews, error) {
		return withClient(a, ctx, func(ctx context.Context, c *client) (topicViews, error) {
			if *regex {
				var err error
				if topics, err = selectTopics(ctx, c, topics, true); err != nil {
					return nil, err
				}
			}
			return describeTopics(ctx, c, topics, *all)
		})
	})
}

// describeTopics collects metadata, offsets and settings. A topic that is missing is an error after the others are shown.
func describeTopics(ctx context.Context, c *client, topics []string, allConfigs bool) (topicViews, error) {
	meta, err := c.admin.ListTopicsWithInternal(ctx, topics...)
	if err != nil {
		return nil, err
	}
	var found []string
	var missing error
	for _, name := range topics {
		switch d := meta[name]; {
		case errors.Is(d.Err, kerr.UnknownTopicOrPartition), errors.Is(d.Err, kerr.InvalidTopicException):
			missing = errors.Join(missing, unknownTopic(ctx, c, name))
		case d.Err != nil:
			missing = errors.Join(missing, fmt.Errorf("topic %q: %w", name, d.Err))
		default:
			found = append(found, name)
		}
	}
	if len(found) == 0 {
		return nil, missing
	}
	start, err := c.admin.ListStartOffsets(ctx, found...)
	end, _ := c.admin.ListEndOffsets(ctx, found...) // fails for the reason the first one failed
	stable, _ := c.admin.ListCommittedOffsets(ctx, found...)
	configs, configErr := c.admin.DescribeTopicConfigs(ctx, found...)
	sizes := sizesOf(ctx, c, found)
	var views topicViews
	for _, name := range found {
		v := topicView{topicRow: rowOf(meta[name])}
		if rc, cerr := configs.On(name, nil); cerr == nil {
			v.Configs = configRows(rc.Configs, allConfigs)
		}
		for _, p := range meta[name].Partitions.Sorted() {
			v.Parts = append(v.Parts, partitionRow{
				Partition: p.Partition, Leader: p.Leader, LeaderEpoch: p.LeaderEpoch, Replicas: p.Replicas, ISR: p.ISR, Error: text(p.Err),
				Start: offsetIn(start, name, p.Partition), End: offsetIn(end, name, p.Partition), Stable: offsetIn(stable, name, p.Partition),
			})
		}
		v.measure(sizes)
		views = append(views, v)
	}
	return views, errors.Join(missing, err, configErr)
}

func offsetIn(l kadm.ListedOffsets, topic string, partition int32) int64 {
	if o, ok := l.Lookup(topic, partition); ok && o.Err == nil {
		return o.Offset
	}
	return -1
}

const allConfigsHelp = "show all settings, not only those that differ from the default"

// configRow is one setting of a topic, group or broker.
type configRow struct {
	Key       string  `json:"key"`
	Value     *string `json:"value" doc:"null if it has none or may not be shown"`
	Source    string  `json:"source" doc:"where the value comes from"`
	Sensitive bool    `json:"sensitive,omitempty"`
}

func (c configRow) shown() string {
	switch {
	case c.Sensitive:
		return "(secret)"
	case c.Value == nil:
		return "(none)"
	}
	return *c.Value
}

// configLines are settings as lines of a description.
func configLines(rows []configRow) (out [][]string) {
	for _, c := range rows {
		out = append(out, []string{c.Key, c.shown() + "  (" + c.Source + ")"})
	}
	return out
}

// configRows sorts settings by key; only those that somebody set, unless all.
func configRows(configs []kadm.Config, all bool) []configRow {
	rows := []configRow{}
	for _, c := range configs {
		if all || c.Source != kmsg.ConfigSourceDefaultConfig {
			rows = append(rows, configRow{Key: c.Key, Value: c.Value, Source: sourceName(c.Source), Sensitive: c.Sensitive})
		}
	}
	sort.Slice(rows, func(i, j int) bool { return rows[i].Key < rows[j].Key })
	return rows
}

func sourceName(s kmsg.ConfigSource) string {
	switch s {
	case kmsg.ConfigSourceDynamicTopicConfig:
		return "topic"
	case kmsg.ConfigSourceGroupConfig:
		return "group"
	case kmsg.ConfigSourceDynamicBrokerConfig:
		return "broker, dynamic"
	case kmsg.ConfigSourceDynamicDefaultBrokerConfig:
		return "cluster, dynamic"
	case kmsg.ConfigSourceStaticBrokerConfig:
		return "broker, at start"
	case kmsg.ConfigSourceDefaultConfig:
		return "default"
	}
	return strings.ToLower(s.String())
}

// unknownTopic is the problem of a topic nobody has, with the nearest name that exists.
func unknownTopic(ctx context.Context, c *client, name string) error {
	p := &problem{what: fmt.Sprintf("no topic %q", name), next: "troupe topic list", exit: exitNotFound, cause: kerr.UnknownTopicOrPartition}
	if isPattern(name) {
		p.next = patternHelp("topic", name)
	} else if topics, err := c.admin.ListTopics(ctx); err == nil {
		delete(topics, name) // the client remembers what was asked for
		if near := nearest(name, topics.Names()); near != "" {
			p.next = fmt.Sprintf("did you mean %q? 'troupe topic list' shows all", near)
		}
	}
	return p
}
