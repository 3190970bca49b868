package main

import (
	"context"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
)

func (a *app) profile() *cobra.Command {
	c := noun("profile", "Save connections and choose between them", a.profileCreate(), a.profileList(), a.profileUse(), a.profileShow(), a.profileDelete(), a.profileProperties())
	c.Aliases = []string{"profiles"}
	c.Long = `Save connections under names. Commands use the one of --profile NAME, of $TROUPE_PROFILE, or the one in use ('troupe profile use').

What a command uses, the strongest first: flags, -X, --config FILE, the profile that --profile or $TROUPE_PROFILE names, $TROUPE_BROKERS,
and the profile in use, which counts only where nothing before it names brokers. The file is troupe/profiles.yaml in your configuration
directory, or $TROUPE_PROFILES; nobody else can read it.`
	return c
}

// profileRow is a line of profile list.
type profileRow struct {
	Name     string `json:"name"`
	InUse    bool   `json:"in_use"`
	Brokers  string `json:"bootstrap_servers"`
	Protocol string `json:"security_protocol"`
	User     string `json:"user"`
}

type profileRows []profileRow

func (rows profileRows) table() [][]string {
	out := [][]string{{"", "NAME", "BROKERS", "PROTOCOL", "USER"}}
	for _, r := range rows {
		mark := " "
		if r.InUse {
			mark = "*"
		}
		out = append(out, []string{mark, r.Name, r.Brokers, r.Protocol, orDash(r.User)})
	}
	return out
}

func (s savedProfiles) rows() profileRows {
	rows := profileRows{}
	for _, name := range slices.Sorted(maps.Keys(s.Profiles)) {
		p := s.Profiles[name]
		r := profileRow{Name: name, InUse: name == s.InUse, Brokers: p["bootstrap.servers"], Protocol: p["security.protocol"], User: p["sasl.username"]}
		if r.Protocol == "" {
			r.Protocol = "PLAINTEXT"
		}
		if who, err := parseJaas(p["sasl.jaas.config"]); err == nil && r.User == "" {
			r.User = who.user
		}
		rows = append(rows, r)
	}
	return rows
}

func (a *app) profileList() *cobra.Command {
	cmd := &cobra.Command{Use: "list", Aliases: []string{"ls"}, Short: "List the saved connections", Args: argCount(0, 0, "no arguments")}
	return prints(a, cmd, func(context.Context, []string) (profileRows, error) {
		saved, err := a.readProfiles()
		if err != nil {
			return nil, err
		}
		return saved.rows(), nil
	})
}

// profileView is what profile show prints.
type profileView struct {
	Name       string            `json:"name"`
	Properties map[string]string `json:"properties" doc:"of a Kafka client; secrets are not shown"`
}

func (v profileView) table() [][]string {
	out := [][]string{{"PROPERTY", "VALUE"}}
	for _, key := range slices.Sorted(maps.Keys(v.Properties)) {
		out = append(out, []string{key, v.Properties[key]})
	}
	return out
}

func (a *app) profileShow() *cobra.Command {
	cmd := &cobra.Command{
		Use: "show [NAME]", Short: "Show the properties of a saved connection", Args: argCount(0, 1, "at most one name; that in use without one"), ValidArgsFunction: a.completeProfiles,
	}
	return prints(a, cmd, func(_ context.Context, args []string) (v profileView, err error) {
		saved, err := a.readProfiles()
		if err != nil {
			return v, err
		}
		v.Name = saved.InUse
		if len(args) > 0 {
			v.Name = args[0]
		}
		if v.Name == "" {
			return v, &problem{what: "no profile is in use", next: "troupe profile list; troupe profile use NAME", exit: exitNotFound}
		}
		p, ok := saved.Profiles[v.Name]
		if !ok {
			return profileView{}, saved.unknown(v.Name)
		}
		v.Properties = maps.Clone(map[string]string(p))
		for key := range v.Properties {
			if isSecret(key) {
				v.Properties[key] = "(secret)"
			}
		}
		return v, nil
	})
}

// secretProperties hold what nobody shall read over a shoulder.
var secretProperties = []string{"sasl.password", "sasl.jaas.config", "ssl.keystore.key"}

func isSecret(key string) bool { return slices.Contains(secretProperties, canonical(key)) }

func (a *app) profileUse() *cobra.Command {
	cmd := &cobra.Command{
		Use: "use NAME", Short: "Use a saved connection from now on; --none for none", Args: argCount(0, 1, "one name, or --none"), ValidArgsFunction: a.completeProfiles,
	}
	none := cmd.Flags().Bool("none", false, "use no saved connection")
	return prints(a, cmd, func(_ context.Context, args []string) (changeRows, error) {
		if *none != (len(args) == 0) {
			return nil, usage("troupe profile use NAME, or troupe profile use --none", "which profile?")
		}
		return a.changeProfiles(func(saved *savedProfiles) (changeRow, error) {
			if *none {
				saved.InUse = ""
				return changeRow{Name: "none", Done: "in use"}, nil
			}
			if _, ok := saved.Profiles[args[0]]; !ok {
				return changeRow{}, saved.unknown(args[0])
			}
			saved.InUse = args[0]
			return changeRow{Name: args[0], Done: "in use"}, nil
		})
	})
}

func (a *app) profileDelete() *cobra.Command {
	cmd := &cobra.Command{
		Use: "delete NAME", Aliases: []string{"rm"}, Short: "Forget a saved connection", Args: argCount(1, 1, "one name"), ValidArgsFunction: a.completeProfiles,
	}
	return prints(a, cmd, func(_ context.Context, args []string) (changeRows, error) {
		return a.changeProfiles(func(saved *savedProfiles) (changeRow, error) {
			if _, ok := saved.Profiles[args[0]]; !ok {
				return changeRow{}, saved.unknown(args[0])
			}
			delete(saved.Profiles, args[0])
			if saved.InUse == args[0] {
				saved.InUse = ""
			}
			return changeRow{Name: args[0], Done: "deleted"}, nil
		})
	})
}

// changeProfiles reads the file, changes it and writes it.
func (a *app) changeProfiles(change func(*savedProfiles) (changeRow, error)) (changeRows, error) {
	saved, err := a.readProfiles()
	if err != nil {
		return nil, err
	}
	row, err := change(&saved)
	if err != nil {
		return nil, err
	}
	if err := a.writeProfiles(saved); err != nil {
		return nil, err
	}
	return changeRows{row}, nil
}

func (a *app) profileCreate() *cobra.Command {
	cmd := &cobra.Command{
		Use: "create NAME", Short: "Save the connection that the other flags describe", Args: argCount(1, 1, "one name"),
		Long: "Save what -b, --tls..., --user, --password-file, --timeout, -X and --config say. A password itself is saved only with --store-secrets:\n" +
			"otherwise it comes from --password-file, from $TROUPE_PASSWORD, or is asked for on a terminal.",
		Example: "  troupe profile create local -b localhost:9092 --use\n  troupe profile create prod -b k1:9093,k2:9093 --tls-ca ca.pem --user alice --password-file ~/.alice\n" +
			"  troupe profile create work --config client.properties --store-secrets",
	}
	f := cmd.Flags()
	use := f.Bool("use", false, "use it from now on")
	force := f.Bool("force", false, "replace a connection of that name")
	store := f.Bool("store-secrets", false, "save passwords and keys too, in clear, in the file that only you can read")
	return prints(a, cmd, func(_ context.Context, args []string) (changeRows, error) {
		p, err := a.describedConnection(cmd)
		if err != nil {
			return nil, err
		}
		for _, key := range slices.Sorted(maps.Keys(p)) {
			if isSecret(key) && !*store {
				return nil, usage("--user NAME --password-file FILE in its place, or --store-secrets", "%s would be saved in clear", key)
			}
		}
		return a.changeProfiles(func(saved *savedProfiles) (changeRow, error) {
			if _, there := saved.Profiles[args[0]]; there && !*force {
				return changeRow{}, usage("--force replaces it", "there is a profile %q", args[0])
			}
			saved.Profiles[args[0]] = p
			done := "saved in " + a.profilesPath()
			if *use {
				saved.InUse, done = args[0], done+", in use"
			}
			return changeRow{Name: args[0], Done: done}, nil
		})
	})
}

// describedConnection is the connection that the flags of cmd describe, checked as a command that uses it does.
func (a *app) describedConnection(cmd *cobra.Command) (savedProfile, error) {
	var file layer
	var err error
	if a.connection.file != "" {
		if file, err = propertiesFile(a.connection.file); err != nil {
			return nil, err
		}
	}
	typed, err := parseOverrides(a.connection.overrides)
	if err != nil {
		return nil, err
	}
	p := savedProfile{}
	for _, l := range []layer{file, typed, {entries: savedProfile(a.flagProperties(cmd)).entries()}} {
		for _, e := range l.entries {
			if strings.HasSuffix(e.Key, ".location") || e.Key == passwordFileProperty {
				if e.Value, err = filepath.Abs(e.Value); err != nil {
					return nil, err
				}
			}
			p[canonical(e.Key)] = e.Value
		}
	}
	secure, login := a.tls.wanted(), a.sasl.user != ""
	if protocol := p["security.protocol"]; secure || login {
		p["security.protocol"] = securityProtocol(secure || strings.HasSuffix(protocol, "SSL"), login || strings.HasPrefix(protocol, "SASL_"))
	}
	if p["bootstrap.servers"] == "" {
		return nil, usage("troupe profile create NAME -b HOST:PORT", "which brokers?")
	}
	s := &settler{app: a, cmd: cmd}
	if _, err := s.apply([]layer{file, typed}); err != nil {
		return nil, err
	}
	return p, s.finish()
}

// flagProperties are the flags that were given, as the properties they stand for.
func (a *app) flagProperties(cmd *cobra.Command) map[string]string {
	out := map[string]string{}
	set := func(flag, property, value string) {
		if cmd.Flags().Changed(flag) {
			out[property] = value
		}
	}
	set("brokers", "bootstrap.servers", strings.Join(a.brokers, ","))
	set("timeout", "request.timeout.ms", strconv.FormatInt(a.timeout.Milliseconds(), 10))
	set("tls-ca", "ssl.truststore.location", a.tls.ca)
	set("tls-cert", "ssl.certificate.location", a.tls.cert)
	set("tls-key", "ssl.key.location", a.tls.key)
	set("tls-skip-verify", "enable.ssl.certificate.verification", strconv.FormatBool(!a.tls.insecure))
	set("user", "sasl.username", a.sasl.user)
	set("sasl-mechanism", "sasl.mechanism", a.sasl.name)
	set("password", "sasl.password", a.sasl.password)
	set("password-file", passwordFileProperty, a.sasl.file)
	return out
}

func securityProtocol(secure, login bool) string {
	out := "PLAINTEXT"
	if secure {
		out = "SSL"
	}
	if login {
		out = "SASL_" + out
	}
	return out
}

// completeProfiles completes the names of saved connections.
func (a *app) completeProfiles(_ *cobra.Command, _ []string, typed string) ([]string, cobra.ShellCompDirective) {
	saved, _ := a.readProfiles() // nothing to complete if it cannot be read
	return begunBy(typed, slices.Sorted(maps.Keys(saved.Profiles))), cobra.ShellCompDirectiveNoFileComp
}
