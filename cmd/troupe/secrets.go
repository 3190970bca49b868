package main

import (
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/troupe-broker/troupe/cluster/config"
)

// warnOfSecrets says which of the secrets on the command line other users of the machine can read there, and how else to give them.
func (a *app) warnOfSecrets(cmd *cobra.Command) {
	cmd.Flags().Visit(func(f *pflag.Flag) {
		switch f.Name {
		case "password":
			a.say("--password: other users of this machine can read it in the list of processes; --password-file FILE or $TROUPE_PASSWORD keeps it from them")
		case "property", "set":
			if values, ok := f.Value.(pflag.SliceValue); ok {
				a.warnOfPairs(f.Name, values.GetSlice())
			}
		}
	})
}

// warnOfPairs looks through KEY=VALUE.
func (a *app) warnOfPairs(flag string, pairs []string) {
	for _, pair := range pairs {
		name, _, _ := strings.Cut(pair, "=")
		if k, ok := config.BrokerKey(name); ok && k.Sensitive() || name == "sasl.password" {
			a.say("--%s %s: other users of this machine can read it in the list of processes; --config FILE keeps it from them", flag, name)
		}
	}
}
