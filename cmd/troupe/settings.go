package main

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/troupe-broker/troupe/actors/protocol"
	"github.com/troupe-broker/troupe/cluster/config"
)

// brokerSettings reads a properties file (none if empty) and KEY=VALUE flags, which win, under Kafka's names. A key that does not
// exist is refused: a broker that ignores a misspelt setting runs with another one than its owner believes.
func brokerSettings(file string, flags []string) (*config.Broker, error) {
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
	for _, f := range flags {
		key, value, found := strings.Cut(f, "=")
		if !found || key == "" {
			return nil, usage("--set KEY=VALUE", "%q is not KEY=VALUE", f)
		}
		entries = append(entries, protocol.ConfigEntry{Key: key, Value: value})
	}
	for _, e := range entries {
		if err := config.ValidateBroker(e.Key, e.Value); err != nil && !config.Removed(e.Key) {
			return nil, badSetting(err)
		}
	}
	b, err := config.NewBroker(config.Values{Static: config.Sort(entries)})
	if err != nil {
		return nil, badSetting(err)
	}
	return b, nil
}

func badSetting(err error) error {
	p := &problem{what: "bad setting: " + err.Error(), next: "troupe config docs", exit: exitUsage, cause: err}
	var invalid *config.Invalid
	if errors.As(err, &invalid) && !invalid.Unknown {
		p.next = fmt.Sprintf("troupe config docs %s", invalid.Key)
	}
	return p
}
