package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
)

func (a *app) cluster() *cobra.Command {
	return noun("cluster", "See what the brokers hold on their disks", a.clusterLogDirs())
}

// logDir is one log directory of one broker, with what lies in it.
type logDir struct {
	Broker     int32      `json:"broker" doc:"node id"`
	Dir        string     `json:"directory"`
	Bytes      int64      `json:"bytes" doc:"of all segments in it"`
	Partitions int        `json:"partitions"`
	Total      int64      `json:"total_bytes" doc:"of the volume; -1 if the broker does not tell"`
	Usable     int64      `json:"usable_bytes" doc:"free for the broker on the volume; -1 if it does not tell"`
	Cordoned   bool       `json:"cordoned,omitempty" doc:"takes no new partitions (KIP-1066)"`
	Topics     []topicDir `json:"topics" doc:"the largest first"`
	Error      string     `json:"error,omitempty"`

	by string // how fine the table is
}

// topicDir is what one topic has in a log directory.
type topicDir struct {
	Topic string          `json:"topic"`
	Bytes int64           `json:"bytes"`
	Parts []partitionSize `json:"partitions"`
}

type partitionSize struct {
	Partition int32 `json:"partition"`
	Bytes     int64 `json:"bytes"`
	Lag       int64 `json:"offset_lag" doc:"offsets this replica is behind the high watermark"`
	Future    bool  `json:"future,omitempty" doc:"being moved into this directory"`
}

type logDirs []logDir

// Values of --by.
const (
	byDirectory = "directory"
	byTopic     = "topic"
	byPartition = "partition"
)

func (dirs logDirs) table() [][]string {
	out := [][]string{{"BROKER", "DIRECTORY", "SIZE", "PARTITIONS", "VOLUME", "FREE", ""}}
	for _, d := range dirs {
		out = append(out, []string{decimal(d.Broker), d.Dir, bytesText(d.Bytes), decimal(d.Partitions), bytesText(d.Total), bytesText(d.Usable), d.note()})
	}
	if len(dirs) == 0 || dirs[0].by == byDirectory {
		return out
	}
	out = append(out, nil, []string{"BROKER", "TOPIC", "PARTITION", "SIZE", "LAG", "DIRECTORY"})
	for _, d := range dirs {
		for _, topic := range d.Topics {
			out = append(out, topic.rows(d)...)
		}
	}
	return out
}

func (d logDir) note() string {
	switch {
	case d.Error != "":
		return d.Error
	case d.Cordoned:
		return "cordoned"
	}
	return ""
}

func (t topicDir) rows(d logDir) (out [][]string) {
	if d.by == byTopic {
		return [][]string{{decimal(d.Broker), t.Topic, "all " + decimal(len(t.Parts)), bytesText(t.Bytes), "", d.Dir}}
	}
	for _, p := range t.Parts {
		lag := decimal(p.Lag)
		if p.Future {
			lag += " (moving here)"
		}
		out = append(out, []string{decimal(d.Broker), t.Topic, decimal(p.Partition), bytesText(p.Bytes), lag, d.Dir})
	}
	return out
}

// bytesText is a size for people; a negative one is unknown.
func bytesText(n int64) string {
	if n < 0 {
		return "-"
	}
	return humanize.IBytes(uint64(n))
}

func (a *app) clusterLogDirs() *cobra.Command {
	cmd := &cobra.Command{
		Use: "logdirs [TOPIC...]", Aliases: []string{"log-dirs", "size", "sizes"}, Short: "Show how much lies in each log directory of each broker",
		Long: "Show the log directories of the brokers, how large their volumes are and what the topics in them take: all topics, or those named.\n" +
			"The largest topics come first. A size counts the segments of a replica; -o json always has the partitions too.",
		Example:           "  troupe cluster logdirs\n  troupe cluster logdirs orders --by partition\n  troupe cluster logdirs --broker 2 --by directory",
		ValidArgsFunction: a.completeTopics,
	}
	f := cmd.Flags()
	by := f.String("by", byTopic, "how fine the table is: directory, topic or partition")
	brokers := f.Int32Slice("broker", nil, "only these brokers, by node `ID`")
	completeWords(cmd, "by", byDirectory, byTopic, byPartition)
	return prints(a, cmd, func(ctx context.Context, topics []string) (logDirs, error) {
		if !slices.Contains([]string{byDirectory, byTopic, byPartition}, *by) {
			return nil, usage("--by directory|topic|partition", "no --by %q", *by)
		}
		return withClient(a, ctx, func(ctx context.Context, c *client) (logDirs, error) {
			if _, err := selectTopics(ctx, c, topics, false); err != nil {
				return nil, err
			}
			dirs, err := listLogDirs(ctx, c, topics, *brokers)
			for i := range dirs {
				dirs[i].by = *by
			}
			return dirs, err
		})
	})
}

// listLogDirs asks every broker for its directories; all topics if none are named, all brokers if none are.
func listLogDirs(ctx context.Context, c *client, topics []string, brokers []int32) (logDirs, error) {
	described, err := describeLogDirs(ctx, c, topics)
	bad := shardError(err)
	var out logDirs
	for _, d := range described.Sorted() {
		if len(brokers) > 0 && !slices.Contains(brokers, d.Broker) {
			continue
		}
		dir := logDirOf(d)
		if d.Err != nil {
			bad = errors.Join(bad, fmt.Errorf("directory %s of broker %d: %w", d.Dir, d.Broker, d.Err))
		}
		out = append(out, dir)
	}
	if len(out) == 0 && bad == nil {
		bad = &problem{what: "none of these brokers tells of log directories", next: "'troupe doctor' lists the brokers", exit: exitNotFound}
	}
	return out, bad
}

// describeLogDirs is what the brokers' directories hold of the topics; of all if none are named.
func describeLogDirs(ctx context.Context, c *client, topics []string) (kadm.DescribedAllLogDirs, error) {
	var set kadm.TopicsSet
	if len(topics) > 0 {
		details, err := c.admin.ListTopicsWithInternal(ctx, topics...)
		if err != nil {
			return nil, err
		}
		set = details.TopicsSet()
	}
	return c.admin.DescribeAllLogDirs(ctx, set)
}

func logDirOf(d kadm.DescribedLogDir) logDir {
	out := logDir{Broker: d.Broker, Dir: d.Dir, Total: d.TotalBytes, Usable: d.UsableBytes, Cordoned: d.IsCordoned, Topics: []topicDir{}, Error: text(d.Err)}
	for name, parts := range d.Topics {
		topic := topicDir{Topic: name}
		for _, p := range parts {
			topic.Bytes += p.Size
			topic.Parts = append(topic.Parts, partitionSize{Partition: p.Partition, Bytes: p.Size, Lag: p.OffsetLag, Future: p.IsFuture})
		}
		slices.SortFunc(topic.Parts, func(x, y partitionSize) int { return cmp.Compare(x.Partition, y.Partition) })
		out.Bytes += topic.Bytes
		out.Partitions += len(topic.Parts)
		if len(topic.Parts) > 0 {
			out.Topics = append(out.Topics, topic)
		}
	}
	slices.SortFunc(out.Topics, func(x, y topicDir) int {
		return cmp.Or(cmp.Compare(y.Bytes, x.Bytes), cmp.Compare(x.Topic, y.Topic))
	})
	return out
}

// replicaSizes are the sizes of the replicas of partitions, in bytes, by broker. A replica that is being moved is left out.
type replicaSizes map[topicPartition]map[int32]int64

// sizesOf asks for the sizes of the topics' replicas. What a broker does not tell is missing: who may see a topic may not be allowed to
// see directories, and topic describe has more to show.
func sizesOf(ctx context.Context, c *client, topics []string) replicaSizes {
	described, _ := describeLogDirs(ctx, c, topics)
	out := replicaSizes{}
	for _, dirs := range described {
		dirs.EachPartition(func(p kadm.DescribedLogDirPartition) {
			if p.IsFuture {
				return
			}
			tp := topicPartition{p.Topic, p.Partition}
			if out[tp] == nil {
				out[tp] = map[int32]int64{}
			}
			out[tp][p.Broker] = p.Size
		})
	}
	return out
}

// of is the size of one replica; -1 if nobody told.
func (s replicaSizes) of(topic string, partition, broker int32) int64 {
	if n, ok := s[topicPartition{topic, partition}][broker]; ok {
		return n
	}
	return -1
}

// all is the size of all replicas of a partition.
func (s replicaSizes) all(topic string, partition int32) (sum int64) {
	for _, n := range s[topicPartition{topic, partition}] {
		sum += n
	}
	return sum
}
