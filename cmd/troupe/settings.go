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
	entries = append(entries, readEnvironment(environ).settings...)
	for _, f := range flags {
		key, value, found := strings.Cut(f, "=")
		if !found || key == "" {
			return nil, usage("--set KEY=VALUE", "%q is not KEY=VALUE", f)
		}
		entries = append(entries, protocol.ConfigEntry{Key: key, Value: value})
	}
	entries = config.Sort(entries)
	b, err := config.NewBroker(config.Values{Static: entries})
	if bad := checkSettings(entries, err); bad != nil {
		return nil, bad
	}
	return b, nil
}

// checkSettings names all that is wrong at once, and together what is; it may be nil. What Kafka had once, and what belongs to others, is
// passed over with a warning.
func checkSettings(entries []protocol.ConfigEntry, together error) error {
	var wrong []error
	note := func(err error) {
		if err != nil && !slices.ContainsFunc(wrong, func(before error) bool { return before.Error() == err.Error() }) {
			wrong = append(wrong, err)
		}
	}
	for _, e := range entries {
		err := config.ValidateBroker(e.Key, e.Value)
		var invalid *config.Invalid
		if errors.As(err, &invalid) && invalid.Unknown && (config.Removed(e.Key) || config.Foreign(e.Key)) {
			continue
		}
		note(err)
	}
	note(together)
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

func badSetting(err error) error {
	p := &problem{what: "bad setting: " + err.Error(), next: "troupe config docs", exit: exitUsage, cause: err}
	var invalid *config.Invalid
	if errors.As(err, &invalid) && !invalid.Unknown {
		if k, ok := config.BrokerKey(invalid.Key); ok {
			p.next = "troupe config docs " + k.Name
		}
	}
	return p
}
