package main

import (
	"strings"

	"github.com/spf13/pflag"

	"github.com/troupe-broker/troupe/cluster/config"
)

// kafkaList is a flag with the list of kafka-configs, k1=v1,k2=[v1,v2],k3=v3 or k1,k2, whose items it adds to another flag. A value with commas
// stands in brackets. Source: ConfigCommand.parseConfigsToBeAdded.
type kafkaList struct{ of pflag.SliceValue }

func (l kafkaList) String() string { return "" }
func (l kafkaList) Type() string   { return "list" }

func (l kafkaList) Set(text string) error {
	for _, item := range splitKafkaList(text) {
		if err := l.of.Append(item); err != nil {
			return err
		}
	}
	return nil
}

// splitKafkaList splits at the commas that stand in no brackets, and takes the brackets around a value away.
func splitKafkaList(text string) (out []string) {
	depth, from := 0, 0
	add := func(item string) {
		key, value, found := strings.Cut(strings.TrimSpace(item), "=")
		if found && strings.HasPrefix(value, "[") && strings.HasSuffix(value, "]") {
			value = value[1 : len(value)-1]
		}
		if found {
			key += "=" + value
		}
		if key != "" {
			out = append(out, key)
		}
	}
	for i, c := range text {
		switch {
		case c == '[':
			depth++
		case c == ']':
			depth--
		case c == ',' && depth <= 0:
			add(text[from:i])
			from = i + 1
		}
	}
	add(text[from:])
	return out
}

// oneSetting refuses a --set that holds several: its value would end up in the first key. A value may have commas, but none says KEY=VALUE of a
// key that there is.
func oneSetting(key, value string) error {
	for _, item := range strings.Split(value, ",")[1:] {
		name, _, found := strings.Cut(strings.TrimSpace(item), "=")
		if !found {
			continue
		}
		_, topic := config.TopicKey(name)
		_, broker := config.BrokerKey(name)
		_, group := config.GroupKey(name)
		if topic || broker || group {
			return usage("--set once for each, or --add-config "+key+"="+value, "--set %s=%s holds more than one setting", key, value)
		}
	}
	return nil
}
