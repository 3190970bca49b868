package main

import (
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"github.com/twmb/franz-go/pkg/kgo"
)

// app is one run of the command line: the shell around it and the flags every command shares.
type app struct {
	terminal
	brokers []string
	timeout time.Duration
	verbose bool
	quiet   bool
	tls     tlsFlags
	sasl    saslFlags

	connection connectionFlags
	cmd        *cobra.Command // what runs, once it is known
	settled    bool           // the flags have what -X, files and profiles say
	completing bool           // for the tab key: nobody is asked anything
	options    []kgo.Opt      // of properties that are no flag
}

// command builds the tree. It does no IO.
func (a *app) command() *cobra.Command {
	root := &cobra.Command{
		Use:           "troupe",
		Short:         "A Kafka-compatible broker, its command line and its tools",
		Long:          "troupe is a Kafka-compatible broker in one binary, together with a command line that works against any Kafka.\n\nStart with:  troupe dev",
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.ArbitraryArgs,
		RunE:          onlySubcommands,

		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error {
			a.warnOfSecrets(cmd)
			return a.settleFor(cmd)
		},
	}
	root.SetIn(a.in)
	root.SetOut(a.out)
	root.SetErr(a.err)
	root.SetFlagErrorFunc(flagProblem)
	f := root.PersistentFlags()
	f.StringSliceVarP(&a.brokers, "brokers", "b", nil, "bootstrap `HOST:PORT,...` (default $TROUPE_BROKERS, or 127.0.0.1:9092)")
	f.DurationVar(&a.timeout, "timeout", 10*time.Second, "give up on a request after this long")
	f.BoolVarP(&a.verbose, "verbose", "v", false, "say what the client does, on standard error")
	f.BoolVarP(&a.quiet, "quiet", "q", false, "no progress and no summaries on standard error")
	a.tls.register(f)
	a.sasl.register(f)
	a.connection.register(f)
	completeWords(root, "sasl-mechanism", "SCRAM-SHA-256", "SCRAM-SHA-512", "PLAIN")
	_ = root.RegisterFlagCompletionFunc("profile", a.completeProfiles)
	_ = root.RegisterFlagCompletionFunc("property", completeProperties)
	f.VisitAll(func(flag *pflag.Flag) { flag.Hidden = strings.Contains(secureFlags, "--"+flag.Name+" ") })
	root.AddGroup(&cobra.Group{ID: "server", Title: "Server:"}, &cobra.Group{ID: "data", Title: "Data and topics (any Kafka):"}, &cobra.Group{ID: "tools", Title: "Tools:"})
	root.SetHelpCommandGroupID("tools")
	root.SetCompletionCommandGroupID("tools")
	add := func(group string, cmds ...*cobra.Command) {
		for _, c := range cmds {
			c.GroupID = group
			root.AddCommand(c)
		}
	}
	add("data", a.topic(), a.produce(), a.consume(), a.peek(), a.group(), a.txn(), a.config(), a.cluster(), a.user())
	add("server", a.dev(), a.start())
	add("tools", a.bench(), a.profile(), a.doctor(), a.debug(), a.version())
	root.AddCommand(&cobra.Command{Use: "security", Short: "How to reach a Kafka that wants TLS or a password", Long: secureHelp})
	return root
}

// secureFlags work on every command and are shown by `troupe help security` alone.
const secureFlags = "--tls --tls-ca --tls-cert --tls-key --tls-skip-verify --user --password --password-file --sasl-mechanism "

const secureHelp = `Flags of every command that talks to a broker:

  --tls                  speak TLS; the following imply it:
  --tls-ca FILE          trust the authorities in this PEM file
  --tls-cert FILE        show this client certificate, with its --tls-key FILE
  --tls-skip-verify      believe any certificate
  --user NAME            authenticate; the password is --password, else the first line of --password-file FILE, else $TROUPE_PASSWORD,
                         else asked for on a terminal
  --sasl-mechanism M     SCRAM-SHA-256 (default), SCRAM-SHA-512 or PLAIN

The same from elsewhere: -X KEY=VALUE and --config FILE take the properties of Kafka's own clients ('troupe profile properties' lists them),
and 'troupe profile create NAME' saves a connection. 'troupe profile --help' says which of them wins.`

// noun is a command that only has sub-commands.
func noun(use, short string, subs ...*cobra.Command) *cobra.Command {
	c := &cobra.Command{Use: use, Short: short, Args: cobra.ArbitraryArgs, RunE: onlySubcommands}
	c.AddCommand(subs...)
	return c
}

// onlySubcommands shows the help, or says which command might have been meant.
func onlySubcommands(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return cmd.Help()
	}
	var names []string
	for _, sub := range cmd.Commands() {
		names = append(names, sub.Name())
	}
	next := cmd.CommandPath() + " --help"
	if here := wordHere(cmd.CommandPath(), args[0]); here != "" {
		next = here
	} else if near := nearest(args[0], names); near != "" {
		next = cmd.CommandPath() + " " + near
	}
	return usage(next, "unknown command %q", cmd.CommandPath()+" "+args[0])
}

// argCount checks the number of arguments and says which are wanted.
func argCount(low, high int, want string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) < low || high >= 0 && len(args) > high {
			return usage(cmd.CommandPath()+" --help", "%s wants %s", cmd.CommandPath(), want)
		}
		return nil
	}
}
