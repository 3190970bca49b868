package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// otherWord is what people say who know kafka-*.sh, rpk or kcat, and what it is here.
type otherWord struct{ under, words, here string }

// otherCommands are commands of other tools by the command under which they are typed.
var otherCommands = []otherWord{
	{"troupe", "kafka-topics kafka-topics.sh", "troupe topic"},
	{"troupe", "kafka-configs kafka-configs.sh settings", "troupe config"},
	{"troupe", "kafka-consumer-groups kafka-consumer-groups.sh consumer-groups consumer-group", "troupe group"},
	{"troupe", "kafka-console-producer kafka-console-producer.sh producer write send publish pub", "troupe produce"},
	{"troupe", "kafka-console-consumer kafka-console-consumer.sh consumer subscribe sub cat tail fetch", "troupe consume"},
	{"troupe", "kafka-transactions kafka-transactions.sh", "troupe txn"},
	{"troupe", "kafka-delete-records kafka-delete-records.sh trim", "troupe topic trim"},
	{"troupe", "kafka-dump-log kafka-dump-log.sh dump log logs", "troupe debug log dump"},
	{"troupe", "kafka-server-start kafka-server-start.sh broker server serve run up", "troupe start"},
	{"troupe", "demo quickstart standalone sandbox", "troupe dev"},
	{"troupe", "kafka-broker-api-versions kafka-broker-api-versions.sh kafka-cluster kafka-cluster.sh brokers health status info metadata ping check", "troupe doctor"},
	{"troupe", "create new", "troupe topic create"},
	{"troupe", "list ls", "troupe topic list"},
	{"troupe", "describe show", "troupe topic describe"},
	{"troupe", "alter", "troupe topic alter"},
	{"troupe", "delete rm remove", "troupe topic delete"},
	{"troupe", "lag", "troupe group lag"},
	{"troupe", "users scram", "troupe user"},
	{"troupe config", "show get list ls view read", "troupe config describe"},
	{"troupe config", "set unset edit update change add delete remove reset put", "troupe config alter"},
	{"troupe config", "explain options keys", "troupe config docs"},
	{"troupe topic", "show get info view inspect desc", "troupe topic describe"},
	{"troupe topic", "set unset edit update change config configs alter-config set-config add-partitions grow", "troupe topic alter"},
	{"troupe topic", "new add make", "troupe topic create"},
	{"troupe topic", "remove del drop", "troupe topic delete"},
	{"troupe topic", "truncate trim-prefix delete-records purge empty clear", "troupe topic trim"},
	{"troupe topic", "produce write", "troupe produce"},
	{"troupe topic", "consume read tail cat", "troupe consume"},
	{"troupe group", "show get info view state offsets", "troupe group describe"},
	{"troupe group", "set edit update config", "troupe group alter"},
	{"troupe group", "reset reset-offsets set-offsets rewind move", "troupe group seek"},
	{"troupe group", "remove del drop delete-offsets offset-delete", "troupe group delete"},
	{"troupe user", "add new set alter update passwd password", "troupe user create"},
	{"troupe user", "remove del drop", "troupe user delete"},
	{"troupe user", "show get describe", "troupe user list"},
	{"troupe txn", "show get info describe-producers", "troupe txn describe"},
	{"troupe txn", "find-hanging find stuck", "troupe txn hanging"},
	{"troupe txn", "kill end stop terminate", "troupe txn abort"},
}

// wordHere is the command that other tools call by this word; empty if there is none.
func wordHere(under, word string) string {
	for _, w := range otherCommands {
		if w.under == under && slices.Contains(strings.Fields(w.words), word) {
			return w.here
		}
	}
	return ""
}

// otherFlags are flags of other tools, and what to write in place of them.
var otherFlags = map[string]string{
	"bootstrap-server":   "-b HOST:PORT",
	"bootstrap-servers":  "-b HOST:PORT",
	"broker-list":        "-b HOST:PORT",
	"command-config":     "--config FILE",
	"consumer.config":    "--config FILE",
	"producer.config":    "--config FILE",
	"from-beginning":     "leave it out: consume begins at the start; -o end begins at the end",
	"max-messages":       "-n N",
	"replication-factor": "--replication N",
	"isolation-level":    "--committed reads what read_committed reads",
	"formatter":          "-f FORMAT says how a record looks, as '%k:%v\\n'",
	"reset-offsets":      "troupe group seek GROUP --to WHERE",
	"to-earliest":        "--to earliest",
	"to-latest":          "--to latest",
	"to-offset":          "--to OFFSET",
	"to-datetime":        "--to 2026-05-01T10:00:00Z",
	"by-duration":        "--to -1h30m",
	"shift-by":           "--to +N or --to=-N",
	"execute":            "leave it out: what a command does is done unless --dry-run is there",
	"username":           "--user NAME",
	"entity-type":        "the kind is a part of the name: topic/NAME, group/NAME, broker/ID or cluster",
	"entity-name":        "the name stands behind its kind: topic/NAME, group/NAME, broker/ID or cluster",
}

// flagProblem says which flag might have been meant.
func flagProblem(cmd *cobra.Command, err error) error {
	next := cmd.CommandPath() + " --help"
	var unknown *pflag.NotExistError
	if errors.As(err, &unknown) && len(unknown.GetSpecifiedName()) > 1 {
		if here := flagHere(cmd, unknown.GetSpecifiedName()); here != "" {
			next = here
		}
	}
	return usage(next, "%v", err)
}

// flagHere is what to write in place of a flag that cmd does not have; empty if nobody knows.
func flagHere(cmd *cobra.Command, name string) string {
	for c := cmd; c.HasParent(); c = c.Parent() {
		for _, sub := range c.Commands() {
			if sub.Name() == name { // kafka-topics --create
				return sub.CommandPath()
			}
		}
	}
	if here := otherFlags[name]; here != "" {
		return here
	}
	if name == "topic" || name == "group" {
		return fmt.Sprintf("the %s is an argument: %s", name, cmd.UseLine())
	}
	var names []string
	cmd.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
	if near := nearest(name, names); near != "" {
		return "--" + near
	}
	return ""
}

// oneOf checks what a flag was given against the words it takes, in any case, and returns them as they are written.
func oneOf(flag string, given []string, valid ...string) (out []string, _ error) {
	for _, word := range given {
		i := slices.IndexFunc(valid, func(v string) bool { return strings.EqualFold(v, word) })
		if i < 0 {
			return nil, usage("--"+flag+" "+strings.Join(valid, "|"), "no %s %q", flag, word)
		}
		out = append(out, valid[i])
	}
	return out, nil
}

// isPattern reports whether a name cannot be one of a topic, but looks like an expression.
func isPattern(name string) bool { return strings.ContainsAny(name, `*?[](){}|^$+\`) }

// patternHelp says who takes patterns.
func patternHelp(kind, name string) string {
	with := "topic describe, topic delete and consume take expressions with -r"
	if kind == "group" {
		with = "group delete takes expressions with -r"
	}
	return fmt.Sprintf("%s; troupe %s list '%s' shows what that one matches", with, kind, name)
}
