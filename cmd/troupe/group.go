package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/troupe-broker/troupe/actors/protocol"
)

func (a *app) group() *cobra.Command {
	c := noun("group", "See consumer groups and their lag, change their settings, move their offsets",
		a.groupList(), a.groupDescribe(), a.groupMembers(), a.groupLag(), a.groupAlter(), a.groupSeek(), a.groupDelete(), a.groupExport(), a.groupImport())
	c.Aliases = []string{"groups"}
	return c
}

// groupRow is a line of group list.
type groupRow struct {
	Group       string `json:"group"`
	Type        string `json:"type" doc:"classic, consumer (KIP-848), share, streams; empty if the broker does not say"`
	State       string `json:"state"`
	Protocol    string `json:"protocol_type" doc:"consumer, connect or what else the members speak; empty for offsets without members"`
	Coordinator int32  `json:"coordinator" doc:"node id"`
}

type groupRows []groupRow

func (rows groupRows) table() [][]string {
	out := [][]string{{"GROUP", "TYPE", "STATE", "PROTOCOL", "COORDINATOR"}}
	for _, r := range rows {
		out = append(out, []string{r.Group, orDash(r.Type), r.State, orDash(r.Protocol), decimal(r.Coordinator)})
	}
	return out
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// Words that filters of groups take. Source: GroupState, GroupType.
var (
	groupStates = []string{"PreparingRebalance", "CompletingRebalance", "Stable", "Dead", "Empty", "Assigning", "Reconciling", "NotReady", "Unknown"}
	groupTypes  = []string{"classic", "consumer", "share", "streams"}
)

func (a *app) groupList() *cobra.Command {
	cmd := &cobra.Command{
		Use: "list [REGEX...]", Aliases: []string{"ls"}, Short: "List groups", ValidArgsFunction: a.completeGroups,
		Long: "List groups: all of them, or those whose whole name one of the expressions matches.",
	}
	states := cmd.Flags().StringSlice("state", nil, "only groups in this `STATE`, as Stable or Empty; may be repeated")
	completeWords(cmd, "state", "Empty", "Stable", "PreparingRebalance", "CompletingRebalance", "Assigning", "Reconciling", "Dead")
	types := cmd.Flags().StringSlice("type", nil, "only groups of this `TYPE`: classic, consumer, share or streams; may be repeated")
	completeWords(cmd, "type", "classic", "consumer", "share", "streams")
	return prints(a, cmd, func(ctx context.Context, args []string) (groupRows, error) {
		match, err := matcher(args)
		if err != nil {
			return nil, err
		}
		state, err := oneOf("state", *states, groupStates...)
		if err != nil {
			return nil, err
		}
		kind, err := oneOf("type", *types, groupTypes...)
		if err != nil {
			return nil, err
		}
		return withClient(a, ctx, func(ctx context.Context, c *client) (groupRows, error) {
			rows, err := listGroups(ctx, c, state, kind)
			return slices.DeleteFunc(rows, func(r groupRow) bool { return !match(r.Group) }), err
		})
	})
}

// listGroups asks every broker. Filters are applied here as well: a broker that does not know them ignores them. What some brokers
// answered comes with the error of the others.
func listGroups(ctx context.Context, c *client, states, types []string) (groupRows, error) {
	req := kmsg.NewPtrListGroupsRequest()
	req.StatesFilter, req.TypesFilter = states, types
	rows := groupRows{}
	var bad error
	for _, shard := range c.RequestSharded(ctx, req) {
		if shard.Err != nil {
			bad = errors.Join(bad, shard.Err)
			continue
		}
		resp := shard.Resp.(*kmsg.ListGroupsResponse)
		bad = errors.Join(bad, kerr.ErrorForCode(resp.ErrorCode))
		for _, g := range resp.Groups {
			if wanted(states, g.GroupState) && wanted(types, g.GroupType) {
				rows = append(rows, groupRow{Group: g.Group, Type: strings.ToLower(g.GroupType), State: g.GroupState, Protocol: g.ProtocolType, Coordinator: shard.Meta.NodeID})
			}
		}
	}
	slices.SortFunc(rows, func(x, y groupRow) int { return cmp.Compare(x.Group, y.Group) })
	return rows, noGroups(bad)
}

func wanted(filter []string, value string) bool {
	return len(filter) == 0 || value == "" || slices.ContainsFunc(filter, func(f string) bool { return strings.EqualFold(f, value) })
}

// memberRow is one member of a group, of either generation.
type memberRow struct {
	Member     string      `json:"member"`
	Instance   string      `json:"instance,omitempty" doc:"group.instance.id of a static member"`
	Client     string      `json:"client"`
	Host       string      `json:"host"`
	Type       string      `json:"type" doc:"protocol the member speaks: classic or consumer"`
	Epoch      *int32      `json:"epoch,omitempty" doc:"member epoch under KIP-848"`
	Rack       string      `json:"rack,omitempty"`
	Subscribed []string    `json:"subscribed" doc:"names of topics"`
	Regex      string      `json:"subscribed_regex,omitempty"`
	Assigned   []topicPart `json:"assigned"`
	Target     []topicPart `json:"target,omitempty" doc:"what the member shall get, if that is not what it has"`
}

// topicPart is a topic and some of its partitions.
type topicPart struct {
	Topic      string  `json:"topic"`
	Partitions []int32 `json:"partitions"`
}

type memberRows []memberRow

func (rows memberRows) table() [][]string {
	out := [][]string{{"MEMBER", "INSTANCE", "CLIENT", "HOST", "TYPE", "ASSIGNED", ""}}
	for _, m := range rows {
		note := ""
		if len(m.Target) > 0 {
			note = "-> " + showParts(m.Target)
		}
		out = append(out, []string{m.Member, orDash(m.Instance), orDash(m.Client), m.Host, m.Type, orDash(showParts(m.Assigned)), note})
	}
	return out
}

func showParts(parts []topicPart) string {
	var out []string
	for _, p := range parts {
		out = append(out, p.Topic+":"+nodeList(p.Partitions))
	}
	return strings.Join(out, " ")
}

// groupInfo is what a coordinator tells of a group, of either generation.
type groupInfo struct {
	Group       string     `json:"group"`
	Type        string     `json:"type" doc:"classic or consumer (KIP-848)"`
	State       string     `json:"state"`
	Protocol    string     `json:"protocol_type"`
	Assignor    string     `json:"assignor" doc:"how partitions are shared out; empty without members"`
	Epoch       *int32     `json:"epoch,omitempty" doc:"group epoch under KIP-848"`
	Coordinator int32      `json:"coordinator" doc:"node id"`
	Address     string     `json:"coordinator_address"`
	Members     memberRows `json:"members"`
}

func (g groupInfo) table() [][]string {
	out := [][]string{
		{"group", g.Group},
		{"type", g.Type},
		{"state", g.State},
		{"assignor", orDash(g.Assignor)},
		{"coordinator", fmt.Sprintf("%d (%s)", g.Coordinator, g.Address)},
		{"members", decimal(len(g.Members))},
	}
	if g.Epoch != nil {
		out = append(out, []string{"epoch", decimal(*g.Epoch)})
	}
	if g.Protocol != "" && g.Protocol != "consumer" {
		out = append(out, []string{"protocol", g.Protocol})
	}
	return out
}

// idle reports whether the group has no members, so that offsets may be moved from outside.
func (g groupInfo) idle() bool { return len(g.Members) == 0 }

// lookGroups describes groups that may be of either generation, in the order asked for. A group that does not exist is an error
// that comes with the others.
//
// Source: KafkaAdminClient.describeConsumerGroups: the new request first, the old one for the groups it does not know.
func lookGroups(ctx context.Context, c *client, names []string) ([]groupInfo, error) {
	found := map[string]groupInfo{}
	for _, g := range lookModern(ctx, c, names) {
		found[g.Group] = g
	}
	classic := slices.DeleteFunc(slices.Clone(names), func(name string) bool { _, ok := found[name]; return ok })
	var bad error
	if len(classic) > 0 {
		described, err := c.admin.DescribeGroups(ctx, classic...)
		bad = noGroups(shardError(err))
		for _, name := range classic {
			g, ok := described[name]
			switch {
			case !ok && err == nil, ok && (g.State == "Dead" || errors.Is(g.Err, kerr.GroupIDNotFound)):
				bad = errors.Join(bad, unknownGroup(ctx, c, name))
			case ok && g.Err != nil:
				bad = errors.Join(bad, fmt.Errorf("group %q: %w", name, g.Err))
			case ok:
				found[name] = classicGroup(g)
			}
		}
	}
	var out []groupInfo
	for _, name := range names {
		if g, ok := found[name]; ok {
			out = append(out, g)
		}
	}
	return out, bad
}

// lookGroup describes one group.
func lookGroup(ctx context.Context, c *client, name string) (groupInfo, error) {
	found, err := lookGroups(ctx, c, []string{name})
	if err != nil || len(found) == 0 {
		return groupInfo{}, err
	}
	return found[0], nil
}

// shardError is the reason why a request to several brokers failed, without the layer that counts them.
func shardError(err error) error {
	var s *kadm.ShardErrors
	if errors.As(err, &s) && len(s.Errs) > 0 {
		return s.Errs[0].Err
	}
	return err
}

// lookModern describes those groups that are of the new generation. It has no errors: a broker before 4.0 does not know the request,
// and what is wrong otherwise is wrong with the old request too.
func lookModern(ctx context.Context, c *client, names []string) (out []groupInfo) {
	req := kmsg.NewPtrConsumerGroupDescribeRequest()
	req.Groups = names
	for _, shard := range c.RequestSharded(ctx, req) {
		if shard.Err != nil {
			continue
		}
		for _, g := range shard.Resp.(*kmsg.ConsumerGroupDescribeResponse).Groups {
			if g.ErrorCode == 0 {
				nameTopics(ctx, c, g)
				out = append(out, modernGroup(shard.Meta, g))
			}
		}
	}
	return out
}

// nameTopics gives the topics of g their names. A broker may send their ids alone, as it may in any message that has both.
func nameTopics(ctx context.Context, c *client, g kmsg.ConsumerGroupDescribeResponseGroup) {
	names := map[kadm.TopicID]string{}
	for i := range g.Members {
		for _, a := range []*kmsg.Assignment{&g.Members[i].Assignment, &g.Members[i].TargetAssignment} {
			for j := range a.TopicPartitions {
				t := &a.TopicPartitions[j]
				if t.Topic == "" && len(names) == 0 {
					topics, _ := c.admin.ListTopicsWithInternal(ctx) // without it the id stands for the name
					for _, about := range topics {
						names[about.ID] = about.Topic
					}
				}
				if t.Topic == "" {
					t.Topic = cmp.Or(names[t.TopicID], protocol.TopicID(t.TopicID).String())
				}
			}
		}
	}
}

func modernGroup(b kgo.BrokerMetadata, g kmsg.ConsumerGroupDescribeResponseGroup) groupInfo {
	out := groupInfo{
		Group: g.Group, Type: "consumer", State: g.State, Protocol: "consumer", Assignor: g.AssignorName, Epoch: &g.Epoch,
		Coordinator: b.NodeID, Address: addressOfBroker(b), Members: memberRows{},
	}
	for _, m := range g.Members {
		row := memberRow{
			Member: m.MemberID, Instance: value(m.InstanceID), Client: m.ClientID, Host: m.ClientHost, Type: "consumer", Epoch: &m.MemberEpoch,
			Rack: value(m.RackID), Subscribed: slices.Sorted(slices.Values(m.SubscribedTopics)), Regex: value(m.SubscribedTopicRegex),
			Assigned: assignedBy(m.Assignment),
		}
		if m.MemberType == 0 {
			row.Type = "classic"
		}
		if target := assignedBy(m.TargetAssignment); showParts(target) != showParts(row.Assigned) {
			row.Target = target
		}
		out.Members = append(out.Members, row)
	}
	slices.SortFunc(out.Members, func(x, y memberRow) int {
		return cmp.Or(cmp.Compare(x.Instance, y.Instance), cmp.Compare(x.Member, y.Member))
	})
	return out
}

func assignedBy(a kmsg.Assignment) []topicPart {
	set := kadm.TopicsSet{}
	for _, t := range a.TopicPartitions {
		set.Add(t.Topic, t.Partitions...)
	}
	return partsOf(set)
}

func classicGroup(g kadm.DescribedGroup) groupInfo {
	out := groupInfo{
		Group: g.Group, Type: "classic", State: g.State, Protocol: g.ProtocolType, Assignor: g.Protocol,
		Coordinator: g.Coordinator.NodeID, Address: addressOfBroker(g.Coordinator), Members: memberRows{},
	}
	for _, m := range g.Members {
		row := memberRow{Member: m.MemberID, Instance: value(m.InstanceID), Client: m.ClientID, Host: m.ClientHost, Type: "classic", Assigned: []topicPart{}}
		if join, ok := m.Join.AsConsumer(); ok {
			row.Subscribed = slices.Sorted(slices.Values(join.Topics))
		}
		if got, ok := m.Assigned.AsConsumer(); ok {
			set := kadm.TopicsSet{}
			for _, t := range got.Topics {
				set.Add(t.Topic, t.Partitions...)
			}
			row.Assigned = partsOf(set)
		}
		out.Members = append(out.Members, row)
	}
	return out
}

func partsOf(set kadm.TopicsSet) []topicPart {
	out := []topicPart{}
	for _, t := range set.Sorted() {
		out = append(out, topicPart{t.Topic, t.Partitions})
	}
	return out
}

func value(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

func addressOfBroker(b kgo.BrokerMetadata) string { return fmt.Sprintf("%s:%d", b.Host, b.Port) }

// unknownGroup is the problem of a group nobody has, with the nearest name that exists.
func unknownGroup(ctx context.Context, c *client, name string) error {
	p := &problem{what: fmt.Sprintf("no group %q", name), next: "troupe group list", exit: exitNotFound, cause: kerr.GroupIDNotFound}
	if isPattern(name) {
		p.next = patternHelp("group", name)
	} else if rows, err := listGroups(ctx, c, nil, nil); err == nil {
		var names []string
		for _, r := range rows {
			names = append(names, r.Group)
		}
		if near := nearest(name, names); near != "" {
			p.next = fmt.Sprintf("did you mean %q? 'troupe group list' shows all", near)
		}
	}
	return p
}

// busyGroup is the problem of moving the offsets of a group whose members would move them back.
func busyGroup(g groupInfo) error {
	return &problem{
		what: fmt.Sprintf("group %q is in use by %s (state %s)", g.Group, count(len(g.Members), "member"), g.State),
		why:  "the members hold their positions and would commit them again",
		next: "stop its consumers and try again; 'troupe group members " + g.Group + "' lists them",
	}
}
