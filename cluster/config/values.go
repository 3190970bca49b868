package config

import (
	"cmp"
	"slices"

	"github.com/troupe-broker/troupe/actors/protocol"
)

// Source says where a value comes from, numbered as in DescribeConfigs (DescribeConfigsResponse.ConfigSource).
type Source int8

const (
	TopicSource          Source = 1
	DynamicBrokerSource  Source = 2
	DynamicDefaultSource Source = 3
	StaticBrokerSource   Source = 4
	DefaultSource        Source = 5
	LoggerSource         Source = 6 // of the levels of loggers
	GroupSource          Source = 8
)

// Values are a broker's settings by source, each sorted by key without duplicates (Sort). The zero value is a broker on defaults.
type Values struct {
	Static  []protocol.ConfigEntry // server.properties, then command line
	Default []protocol.ConfigEntry // dynamic, cluster-wide: Image.DefaultBrokerConfig
	Dynamic []protocol.ConfigEntry // dynamic, this broker: Image.BrokerConfig
}

// Sort orders entries by key; of several with one key the last stays. The result may share memory with entries.
func Sort(entries []protocol.ConfigEntry) []protocol.ConfigEntry {
	slices.Reverse(entries)
	slices.SortStableFunc(entries, func(a, b protocol.ConfigEntry) int { return cmp.Compare(a.Key, b.Key) })
	return slices.CompactFunc(entries, func(a, b protocol.ConfigEntry) bool { return a.Key == b.Key })
}

// Find looks a key up in sorted entries.
func Find(entries []protocol.ConfigEntry, key string) (string, bool) {
	i, ok := slices.BinarySearchFunc(entries, key, func(e protocol.ConfigEntry, key string) int { return cmp.Compare(e.Key, key) })
	if !ok || entries[i].Null {
		return "", false
	}
	return entries[i].Value, true
}

// layers lists the sources from strongest to weakest.
func (v *Values) layers() [3]layer {
	return [3]layer{{v.Dynamic, DynamicBrokerSource}, {v.Default, DynamicDefaultSource}, {v.Static, StaticBrokerSource}}
}

type layer struct {
	entries []protocol.ConfigEntry
	source  Source
}

// found is a value and which key of which source gave it.
type found struct {
	key    *Key
	text   string
	source Source
}

// lookup walks the sources, and in each the names in order. ok is false if only null defaults are left.
func (v *Values) lookup(names ...string) (f found, ok bool) {
	for _, l := range v.layers() {
		if len(l.entries) == 0 {
			continue
		}
		for _, name := range names {
			if text, set := Find(l.entries, name); set {
				k, _ := BrokerKey(name)
				return found{k, text, l.source}, true
			}
		}
	}
	for _, name := range names {
		if k, known := BrokerKey(name); known && !k.Null {
			return found{k, k.Default, DefaultSource}, true
		}
	}
	return found{}, false
}

// group is the key's synonyms, or itself.
func (k *Key) group() []string {
	if k.Synonyms != nil {
		return k.Synonyms
	}
	return []string{k.Name}
}
