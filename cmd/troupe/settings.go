package main

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/troupe-broker/troupe/actors/protocol"
	"github.com/troupe-broker/troupe/cluster/config"
)

// brokerSettings reads a properties file (none if empty), the environment (nil for none) and KEY=VALUE flags, under Kafka's names; later ones
// win. A key that does not exist, and may be a misspelt one, is refused: a broker that ignores a setting runs with another one than its
// owner believes.
func brokerSettings(file string, environ, flags []string) (*config.Broker, error) {
	var entries []protocol.ConfigEntry
	if file != "" {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, &problem{what: "cannot read the settings", why: err.Error(), next: "--config FILE, or none: every setting has a default", cause: err}
		}
		if entries, err = config.ParseProperties(string(text)); err != nil {
			return nil, &problem{what: "cannot read " + file, why: err.Error(), exit: exitUsage}
		}
	}
	entries = append(entries, environmentSettings(environ)...)
	for _, f := range flags {
		key, value, found := strings.Cut(f, "=")
		if !found || key == "" {
			return nil, usage("--set KEY=VALUE", "%q is not KEY=VALUE", f)
		}
		entries = append(entries, protocol.ConfigEntry{Key: key, Value: value})
	}
	if err := checkSettings(entries); err != nil {
		return nil, err
	}
	b, err := config.NewBroker(config.Values{Static: config.Sort(entries)})
	if err != nil {
		return nil, badSetting(err)
	}
	return b, nil
}

// checkSettings names all that is wrong at once. What Kafka had once, and what belongs to others, is passed over with a warning.
func checkSettings(entries []protocol.ConfigEntry) error {
	var wrong []error
	for _, e := range entries {
		err := config.ValidateBroker(e.Key, e.Value)
		var invalid *config.Invalid
		if err == nil || config.Removed(e.Key) || errors.As(err, &invalid) && invalid.Unknown && config.Foreign(e.Key) {
			continue
		}
		if !slices.ContainsFunc(wrong, func(before error) bool { return before.Error() == err.Error() }) {
			wrong = append(wrong, err)
		}
	}
	switch len(wrong) {
	case 0:
		return nil
	case 1:
		return badSetting(wrong[0])
	}
	var all strings.Builder
	for _, err := range wrong {
		all.WriteString("\n  " + err.Error())
	}
	return &problem{what: fmt.Sprintf("%d bad settings:%s", len(wrong), all.String()), next: "troupe config docs KEY", exit: exitUsage, cause: errors.Join(wrong...)}
}

// environmentPrefixes are those of variables that set a key, the strongest last: those of Bitnami's image, of Apache's, and ours.
var environmentPrefixes = []string{"KAFKA_CFG_", "KAFKA_", ownPrefix}

const ownPrefix = "TROUPE_"

// environmentSettings are the settings in variables of the environment, by the rule of Apache Kafka's container image: after the prefix,
// _ stands for a dot, __ for an underscore and ___ for a dash, in upper case. A variable of KAFKA_ that names no key is not a setting: there are many of
// other meanings (KAFKA_HEAP_OPTS).
func environmentSettings(environ []string) (out []protocol.ConfigEntry) {
	for _, prefix := range environmentPrefixes {
		for _, variable := range environ {
			name, value, _ := strings.Cut(variable, "=")
			rest, ok := strings.CutPrefix(name, prefix)
			if !ok {
				continue
			}
			key := strings.NewReplacer("___", "-", "__", "_", "_", ".").Replace(strings.ToLower(rest))
			if _, known := config.BrokerKey(key); known || prefix == ownPrefix {
				out = append(out, protocol.ConfigEntry{Key: key, Value: value})
			}
		}
	}
	return out
}

func badSetting(err error) error {
	p := &problem{what: "bad setting: " + err.Error(), next: "troupe config docs", exit: exitUsage, cause: err}
	var invalid *config.Invalid
	if errors.As(err, &invalid) && !invalid.Unknown {
		p.next = fmt.Sprintf("troupe config docs %s", invalid.Key)
	}
	return p
}
