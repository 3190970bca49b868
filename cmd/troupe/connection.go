package main

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/troupe-broker/troupe/actors/protocol"
	"github.com/troupe-broker/troupe/cluster/config"
)

// connectionFlags say where the properties of the client come from, beside the flags that stand for single ones.
type connectionFlags struct {
	overrides []string // KEY=VALUE
	file      string
	profile   string
}

func (c *connectionFlags) register(f *pflag.FlagSet) {
	f.StringArrayVarP(&c.overrides, "property", "X", nil, "set a Kafka client's property, `KEY=VALUE`; may be repeated")
	f.StringVar(&c.file, "config", "", "read a Kafka client's properties from this `FILE`")
	f.StringVar(&c.file, "command-config", "", "--config, for commands whose --config is a setting")
	f.StringVar(&c.profile, "profile", "", "use the connection saved under this `NAME` (default $TROUPE_PROFILE, or that of 'troupe profile use')")
	f.Lookup("command-config").Hidden = true
}

// layer is properties from one place.
type layer struct {
	where   string
	entries []protocol.ConfigEntry
	typed   bool // on the command line: what nobody knows is a mistake
}

// settle completes the flags of the command at hand from the places of properties, once. The strongest first: flags, -X, --config, the
// profile that --profile or $TROUPE_PROFILE names, $TROUPE_BROKERS, and the profile in use. That one counts only where nothing before names
// brokers: what opens one cluster must not be sent to another.
func (a *app) settle() error {
	if a.settled || a.cmd == nil {
		return nil
	}
	a.settled = true
	layers, err := a.layers()
	if err != nil {
		return err
	}
	s := &settler{app: a, cmd: a.cmd}
	passed, err := s.apply(layers)
	if err == nil {
		err = s.finish()
	}
	if err != nil {
		return err
	}
	if len(passed) > 0 && !a.quiet {
		a.say("passed over, for they have no effect here: %s", strings.Join(passed, ", "))
	}
	return nil
}

// layers are the properties by the places they come from, the weakest first.
func (a *app) layers() (out []layer, err error) {
	typed, err := parseOverrides(a.connection.overrides)
	if err != nil {
		return nil, err
	}
	var file layer
	if a.connection.file != "" {
		if file, err = propertiesFile(a.connection.file); err != nil {
			return nil, err
		}
	}
	named := a.connection.profile
	if named == "" {
		named = a.getenv("TROUPE_PROFILE")
	}
	elsewhere := a.cmd.Flags().Changed("brokers") || a.getenv("TROUPE_BROKERS") != "" || typed.namesBrokers() || file.namesBrokers()
	if named != "" || !elsewhere {
		saved, err := a.savedLayer(named)
		if err != nil {
			return nil, err
		}
		out = append(out, saved)
	}
	return append(out, file, typed), nil
}

// savedLayer is the profile of this name; of the one in use, if there is one, without.
func (a *app) savedLayer(name string) (layer, error) {
	saved, err := a.readProfiles()
	if err != nil {
		return layer{}, err
	}
	if name == "" {
		name = saved.InUse
	}
	if name == "" {
		return layer{}, nil
	}
	p, ok := saved.Profiles[name]
	if !ok {
		return layer{}, saved.unknown(name)
	}
	return layer{where: "profile " + name, entries: p.entries()}, nil
}

func (l layer) namesBrokers() bool {
	return slices.ContainsFunc(l.entries, func(e protocol.ConfigEntry) bool { return canonical(e.Key) == "bootstrap.servers" })
}

// canonical is the first name of a property; the name itself if it is none.
func canonical(name string) string {
	if p, ok := propertyNamed(name); ok {
		return p.names[0]
	}
	return name
}

func parseOverrides(values []string) (layer, error) {
	out := layer{where: "-X", typed: true}
	for _, v := range values {
		key, value, found := strings.Cut(v, "=")
		if !found || key == "" {
			return out, usage("troupe profile properties lists them; -X KEY=VALUE", "%q is not KEY=VALUE", v)
		}
		out.entries = append(out.entries, protocol.ConfigEntry{Key: strings.TrimSpace(key), Value: strings.TrimSpace(value)})
	}
	return out, nil
}

// propertiesFile reads the properties of a Java client.
func propertiesFile(name string) (layer, error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return layer{}, &problem{what: "cannot read the client's properties", why: err.Error(), next: "--config FILE, as kafka-*.sh take with --command-config", exit: exitUsage, cause: err}
	}
	entries, err := config.ParseProperties(string(text))
	if err != nil {
		return layer{}, &problem{what: "cannot read " + name, why: err.Error(), exit: exitUsage}
	}
	return layer{where: name, entries: entries}, nil
}

// apply sets every property to its strongest value and returns the names of those without effect.
func (s *settler) apply(layers []layer) (passed []string, err error) {
	strongest := map[string]string{} // property to the place of its value
	for _, l := range layers {
		for _, e := range l.entries {
			strongest[canonical(e.Key)] = l.where
		}
	}
	for _, l := range layers {
		for _, e := range l.entries {
			p, known := propertyNamed(e.Key)
			if !known {
				if err := l.stranger(e.Key); err != nil {
					return nil, err
				}
				passed = append(passed, e.Key)
				continue
			}
			if strongest[p.names[0]] != l.where {
				continue
			}
			if err := p.set(s, e.Value); err != nil {
				return nil, usage("troupe profile properties says what each takes", "client property %s (%s): %v", e.Key, l.where, err)
			}
		}
	}
	return passed, nil
}

// stranger is the error of a property that is none of those that can be honoured; nil if it may be passed over.
func (l layer) stranger(name string) error {
	if slices.Contains(tuningProperties, name) {
		return nil
	}
	p := usage("troupe profile properties lists what can be honoured", "client property %s (%s) is unknown", name, l.where)
	near := nearest(name, append(propertyNames(), tuningProperties...))
	switch {
	case near != "":
		p.next = fmt.Sprintf("did you mean %s? 'troupe profile properties' lists what can be honoured", near)
	case restricts(name):
		p.what = fmt.Sprintf("client property %s (%s) cannot be honoured", name, l.where)
	case !l.typed:
		return nil // files hold what others read: interceptors, registries
	}
	return p
}

// offline are the commands that talk to no broker, by their paths, and those of the tab key, which settle in silence: a profile that cannot
// be read does not stop them.
var offline = []string{cobra.ShellCompRequestCmd, cobra.ShellCompNoDescRequestCmd, "version", "dev", "start", "debug", "profile", "completion", "help", "security", "config docs"}

// settleFor is settle before cmd runs, unless it talks to no broker or only prints its shape.
func (a *app) settleFor(cmd *cobra.Command) error {
	path := strings.TrimPrefix(cmd.CommandPath(), "troupe ")
	if slices.ContainsFunc(offline, func(p string) bool { return path == p || strings.HasPrefix(path, p+" ") }) {
		return nil
	}
	a.cmd = cmd
	return a.settle()
}
