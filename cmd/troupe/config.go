package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/troupe-broker/troupe/cluster/config"
)

func (a *app) config() *cobra.Command {
	return noun("config", "Explain, show and change settings of topics, groups and brokers", a.configDocs(), a.configDescribe(), a.configAlter())
}

const scopeBroker = "broker"

// scopes are the kinds of things that have settings.
var scopes = []struct {
	name string
	keys func() []config.Key
	key  func(name string) (*config.Key, bool)
}{
	{"topic", config.TopicKeys, config.TopicKey}, {"group", config.GroupKeys, config.GroupKey}, {scopeBroker, config.BrokerKeys, config.BrokerKey},
}

// settingDoc is what there is to know about a setting.
type settingDoc struct {
	Key      string   `json:"key"`
	Scope    string   `json:"scope" doc:"topic, group or broker"`
	Type     string   `json:"type"`
	Default  *string  `json:"default" doc:"null for none"`
	Valid    string   `json:"valid,omitempty" doc:"what values it takes"`
	Update   string   `json:"update" doc:"when it can be changed"`
	Effect   string   `json:"effect" doc:"enforced, no effect (accepted and described), or refused if it restricts somebody"`
	Synonyms []string `json:"synonyms,omitempty" doc:"settings of the broker that give its value if it is not set, strongest first"`
	Doc      string   `json:"doc"`

	found  []string // words that were looked for
	colour bool     // of the terminal it is shown on
}

type settingDocs []settingDoc

// docsInFull is how many settings are explained at length; more make a list.
const docsInFull = 8

func (all settingDocs) table() (out [][]string) {
	if len(all) <= docsInFull {
		for i, d := range all {
			if i > 0 {
				out = append(out, nil)
			}
			out = append(out, d.rows()...)
		}
		return out
	}
	out = append(out, []string{"KEY", "SCOPE", "TYPE", "DEFAULT", "EFFECT", ""})
	for _, d := range all {
		out = append(out, []string{d.Key, d.Scope, strings.ToLower(d.Type), d.fallback(), d.Effect, d.excerpt()})
	}
	return out
}

func (d settingDoc) fallback() string {
	switch {
	case d.Default == nil:
		return "(none)"
	case *d.Default == "":
		return `""`
	}
	return *d.Default
}

func (d settingDoc) rows() [][]string {
	out := [][]string{{d.Key, "setting of a " + d.Scope}, {"type", strings.ToLower(d.Type)}, {"default", d.fallback()}}
	if d.Valid != "" {
		out = append(out, []string{"must be", d.Valid})
	}
	out = append(out, []string{"change", d.Update}, []string{"effect", d.Effect})
	if len(d.Synonyms) > 0 {
		out = append(out, []string{"falls back to", strings.Join(d.Synonyms, ", ")})
	}
	return append(out, []string{"", d.Doc})
}

func docOf(k *config.Key, scope string) settingDoc {
	d := settingDoc{Key: k.Name, Scope: scope, Type: k.Type.String(), Valid: k.Valid.Rule, Effect: string(k.Effect()), Doc: k.Documentation()}
	for _, s := range k.Synonyms {
		if s != k.Name {
			d.Synonyms = append(d.Synonyms, s)
		}
	}
	if !k.Null {
		d.Default = &k.Default
	}
	switch {
	case scope != scopeBroker || k.Update == config.ClusterWide:
		d.Update = "while running"
	case k.Update == config.PerBroker:
		d.Update = "while running, for one broker at a time"
	default:
		d.Update = "in server.properties, with a restart"
	}
	return d
}

func (a *app) configDocs() *cobra.Command {
	cmd := &cobra.Command{
		Use: "docs [KEY|WORD...]", Short: "Explain settings, or look for them by words",
		Long:    "List all settings that troupe knows, explain some, or find those whose name or text has all the words. Needs no broker.",
		Example: "  troupe config docs retention.ms\n  troupe config docs retention\n  troupe config docs idle connection\n  troupe config docs -o json",
		ValidArgsFunction: func(_ *cobra.Command, _ []string, typed string) ([]string, cobra.ShellCompDirective) {
			return begunBy(typed, settingNames()), cobra.ShellCompDirectiveNoFileComp
		},
	}
	return prints(a, cmd, func(_ context.Context, keys []string) (settingDocs, error) {
		var out settingDocs
		if len(keys) == 0 {
			for _, s := range scopes {
				for _, k := range s.keys() {
					out = append(out, docOf(&k, s.name))
				}
			}
			return out, nil
		}
		return a.findSettings(keys)
	})
}

// findSettings explains the settings of these names; what is no name is a word to look for, together with the others.
func (a *app) findSettings(args []string) (out settingDocs, err error) {
	var words []string
	for _, name := range args {
		known := len(out)
		for _, s := range scopes {
			if k, ok := s.key(name); ok {
				out = append(out, docOf(k, s.name))
			}
		}
		if len(out) == known {
			words = append(words, name)
		}
	}
	if len(words) > 0 {
		found := searchSettings(words)
		if len(found) == 0 {
			err = unknownSetting(strings.Join(words, " "))
		}
		out = append(out, found...)
	}
	for i := range out {
		out[i].colour = a.outColour()
	}
	return out, err
}

func settingNames() (out []string) {
	for _, s := range scopes {
		for _, k := range s.keys() {
			out = append(out, k.Name)
		}
	}
	return out
}

func unknownSetting(name string) error {
	p := &problem{what: fmt.Sprintf("no setting %q", name), next: "troupe config docs", exit: exitNotFound}
	if near := nearest(name, settingNames()); near != "" {
		p.next = fmt.Sprintf("did you mean %s? 'troupe config docs' lists all", near)
	}
	return p
}

// resource names what settings belong to.
type resource struct {
	topic   string // or
	group   string // or
	broker  int32  // or
	cluster bool
}

const resourceUsage = "topic/NAME, group/NAME, broker/ID or cluster"

func parseResource(text string) (resource, error) {
	kind, name, _ := strings.Cut(text, "/")
	switch {
	case text == "cluster":
		return resource{cluster: true}, nil
	case kind == "topic" && name != "":
		return resource{topic: name}, nil
	case kind == "group" && name != "":
		return resource{group: name}, nil
	case kind == "broker":
		if id, err := strconv.ParseInt(name, 10, 32); err == nil && id >= 0 {
			return resource{broker: int32(id)}, nil
		}
	}
	return resource{}, usage(resourceMeant(text), "%q has no settings", text)
}

// resourceMeant is the resource that might have been meant, or those there are.
func resourceMeant(text string) string {
	kind, name, slash := strings.Cut(text, "/")
	kind = strings.TrimSuffix(strings.ToLower(kind), "s")
	switch {
	case kind == "user":
		return "troupe user list: users have passwords, no settings"
	case kind == "cluster", kind == "broker" && (name == "" || strings.Trim(name, "<>") == "default"), kind == "default":
		return "cluster: what is set for all brokers"
	case slash && name != "" && slices.Contains([]string{"topic", "group"}, kind):
		return kind + "/" + name
	case slash && kind == "broker" && name != "":
		if _, err := strconv.ParseUint(name, 10, 31); err == nil {
			return "broker/" + name
		}
	case !slash && text != "":
		return "topic/" + text + " or group/" + text + ", if that is one; else " + resourceUsage
	}
	return resourceUsage
}

// reachable checks that the broker that r names, if it is one, is there: the client library only says that it does not know it.
func (r resource) reachable(ctx context.Context, c *client) error {
	if r.cluster || r.topic != "" || r.group != "" {
		return nil
	}
	brokers, err := c.admin.ListBrokers(ctx)
	if err != nil || slices.Contains(brokers.NodeIDs(), r.broker) {
		return err
	}
	return &problem{what: fmt.Sprintf("no broker %d", r.broker), next: fmt.Sprintf("the brokers there are: %s; or cluster, for all of them", nodeList(brokers.NodeIDs())), exit: exitNotFound}
}

// resourceConfigs is what config describe prints of one resource.
type resourceConfigs struct {
	Resource string      `json:"resource"`
	Configs  []configRow `json:"configs"`
}

type resourceList []resourceConfigs

func (all resourceList) table() (out [][]string) {
	for i, r := range all {
		if i > 0 {
			out = append(out, nil)
		}
		out = append(out, []string{r.Resource}, []string{"  KEY", "VALUE", "FROM"})
		for _, c := range r.Configs {
			out = append(out, []string{"  " + c.Key, c.shown(), c.Source})
		}
	}
	return out
}

func (a *app) configDescribe() *cobra.Command {
	cmd := &cobra.Command{
		Use: "describe RESOURCE...", Short: "Show settings of " + resourceUsage, Args: argCount(1, -1, resourceUsage),
		Long:              "Show the settings that somebody set, and where. cluster is what is set for all brokers while they run.",
		ValidArgsFunction: a.completeResources,
	}
	all := cmd.Flags().Bool("all", false, "show defaults as well")
	return prints(a, cmd, func(ctx context.Context, args []string) (resourceList, error) {
		return withClient(a, ctx, func(ctx context.Context, c *client) (resourceList, error) {
			var out resourceList
			for _, arg := range args {
				r, err := parseResource(arg)
				if err != nil {
					return nil, err
				}
				if err := r.reachable(ctx, c); err != nil {
					return out, err
				}
				got, err := r.describe(ctx, c)
				if err != nil {
					return out, fmt.Errorf("%s: %w", arg, shardError(err))
				}
				out = append(out, resourceConfigs{arg, configRows(got.Configs, *all)})
			}
			return out, nil
		})
	})
}

func (r resource) describe(ctx context.Context, c *client) (kadm.ResourceConfig, error) {
	var got kadm.ResourceConfigs
	var err error
	switch {
	case r.topic != "":
		got, err = c.admin.DescribeTopicConfigs(ctx, r.topic)
	case r.group != "":
		got, err = describeGroupConfigs(ctx, c, r.group)
	case r.cluster:
		got, err = c.admin.DescribeBrokerConfigs(ctx)
	default:
		got, err = c.admin.DescribeBrokerConfigs(ctx, r.broker)
	}
	if err != nil {
		return kadm.ResourceConfig{}, err
	}
	if len(got) == 0 {
		return kadm.ResourceConfig{}, errors.New("the broker answered nothing")
	}
	return got[0], got[0].Err
}

func (a *app) configAlter() *cobra.Command {
	cmd := &cobra.Command{
		Use: "alter RESOURCE", Short: "Change settings of " + resourceUsage, Args: argCount(1, 1, resourceUsage),
		Example:           "  troupe config alter cluster --set log.retention.ms=86400000\n  troupe config alter broker/1 --unset log.retention.ms",
		ValidArgsFunction: a.completeResources,
	}
	set, unset := alterFlags(cmd, resourceKeys)
	dry := cmd.Flags().Bool("dry-run", false, dryAlterHelp)
	return prints(a, cmd, func(ctx context.Context, args []string) (changeRows, error) {
		r, err := parseResource(args[0])
		if err != nil {
			return nil, err
		}
		configs, err := alterations(*set, *unset)
		if err != nil {
			return nil, err
		}
		if len(configs) == 0 {
			return nil, usage("--set KEY=VALUE or --unset KEY", "nothing to alter")
		}
		return withClient(a, ctx, func(ctx context.Context, c *client) (changeRows, error) {
			if err := r.reachable(ctx, c); err != nil {
				return nil, err
			}
			got, err := r.alter(ctx, c, configs, *dry)
			if err == nil && len(got) > 0 {
				if err = got[0].Err; err != nil && got[0].ErrMessage != "" {
					err = &detailed{err, got[0].ErrMessage}
				}
			}
			if err != nil {
				return nil, fmt.Errorf("%s: %w", args[0], shardError(err))
			}
			return changeRows{{Name: args[0], Done: "altered: " + describeAlterations(configs), DryRun: *dry}}, nil
		})
	})
}

// resourceKeys are the settings of the resource in args that can be altered; of a broker, if none is named yet.
func resourceKeys(args []string) []config.Key {
	var of resource
	if len(args) > 0 {
		of, _ = parseResource(args[0])
	}
	switch {
	case of.topic != "":
		return config.TopicKeys()
	case of.group != "":
		return config.GroupKeys()
	}
	return slices.DeleteFunc(slices.Clone(config.BrokerKeys()), func(k config.Key) bool { return k.Update == config.ReadOnly })
}

func (r resource) alter(ctx context.Context, c *client, configs []kadm.AlterConfig, dry bool) (kadm.AlterConfigsResponses, error) {
	topics, brokers := c.admin.AlterTopicConfigs, c.admin.AlterBrokerConfigs
	if dry {
		topics, brokers = c.admin.ValidateAlterTopicConfigs, c.admin.ValidateAlterBrokerConfigs
	}
	switch {
	case r.topic != "":
		return topics(ctx, configs, r.topic)
	case r.group != "":
		return alterGroupConfigs(ctx, c, configs, dry, r.group)
	case r.cluster:
		return brokers(ctx, configs)
	}
	return brokers(ctx, configs, r.broker)
}
