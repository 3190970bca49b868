package main

import (
	"slices"
	"strings"

	"github.com/troupe-broker/troupe/actors/protocol"
	"github.com/troupe-broker/troupe/cluster/config"
)

// environmentPrefixes are those of variables that set a key, the strongest last: those of Bitnami's image, of Apache's, and ours.
var environmentPrefixes = [...]string{"KAFKA_CFG_", "KAFKA_", ownPrefix}

const ownPrefix = "TROUPE_"

// commandVariables are read by the commands that are clients.
var commandVariables = []string{"TROUPE_BROKERS", "TROUPE_PASSWORD"}

// environment is what the variables of the process say to a broker.
type environment struct {
	settings []protocol.ConfigEntry // the strongest last
	others   []string               // names of variables with such a prefix that set nothing
}

// readEnvironment reads variables, each NAME=VALUE, by the rule of Apache Kafka's container image: after the prefix, _ stands for a dot, __ for an
// underscore and ___ for a dash, in upper case. Container images have many variables of other meanings under the same prefix
// (KAFKA_HEAP_OPTS), and so does Kubernetes (TROUPE_SERVICE_HOST, of a service of that name): those that resemble no key are not settings.
// What may be a misspelt key is one, so that it is refused like in a file; of Kafka's, only what is a letter or two off.
func readEnvironment(environ []string) (out environment) {
	var settings [len(environmentPrefixes)][]protocol.ConfigEntry
	for _, variable := range environ {
		name, value, _ := strings.Cut(variable, "=")
		from := slices.IndexFunc(environmentPrefixes[:], func(prefix string) bool { return strings.HasPrefix(name, prefix) })
		if from < 0 || slices.Contains(commandVariables, name) {
			continue
		}
		key := environmentKey(strings.TrimPrefix(name, environmentPrefixes[from]))
		if config.Known(key) || environmentPrefixes[from] == ownPrefix && !config.Foreign(key) || config.Misspelt(key) {
			settings[from] = append(settings[from], protocol.ConfigEntry{Key: key, Value: value})
		} else {
			out.others = append(out.others, name)
		}
	}
	out.settings = slices.Concat(settings[:]...)
	return out
}

func environmentKey(name string) string {
	return strings.NewReplacer("___", "-", "__", "_", "_", ".").Replace(strings.ToLower(name))
}

// names are the keys that the environment sets.
func (e environment) names() (out []string) {
	for _, s := range e.settings {
		out = append(out, s.Key)
	}
	return out
}
