package config

import (
	"slices"
	"strconv"

	"github.com/troupe-broker/troupe/actors/protocol"
)

// Entry is one row of DescribeConfigs.
type Entry struct {
	Name      string
	Value     string // empty if Null
	Null      bool   // no value, or one that is not shown
	Source    Source
	Type      Type
	ReadOnly  bool
	Sensitive bool
	Enforced  bool
	Synonyms  []Synonym // strongest first, beginning with the one that gives Value
	Doc       string
}

// Synonym is one place a value could come from.
type Synonym struct {
	Name   string
	Value  string
	Null   bool // not shown
	Source Source
}

// DescribeTopic describes a topic's settings in order of key: those named, or all if names is nil. Unknown names are left out.
func DescribeTopic(v Values, overrides []protocol.ConfigEntry, names []string) []Entry {
	var out []Entry
	for i := range topicTable {
		if k := &topicTable[i]; names == nil || slices.Contains(names, k.Name) {
			out = append(out, describeKey(v, overrides, TopicSource, k))
		}
	}
	return out
}

// DescribeGroup describes a group's settings like DescribeTopic.
func DescribeGroup(v Values, overrides []protocol.ConfigEntry, names []string) []Entry {
	var out []Entry
	for i := range groupTable {
		if k := &groupTable[i]; names == nil || slices.Contains(names, k.Name) {
			out = append(out, describeKey(v, overrides, GroupSource, k))
		}
	}
	return out
}

// describeKey describes a key of a resource whose own settings are overrides, and have that source.
func describeKey(v Values, overrides []protocol.ConfigEntry, own Source, k *Key) Entry {
	e := Entry{Name: k.Name, Source: DefaultSource, Type: k.Type, Sensitive: k.Sensitive(), Enforced: k.Enforced, Doc: k.Documentation(), Value: k.Default}
	if text, ok := Find(overrides, k.Name); ok {
		e.Synonyms = append(e.Synonyms, Synonym{Name: k.Name, Value: text, Source: own})
	}
	if k.Synonyms != nil {
		e.Synonyms = append(e.Synonyms, v.synonyms(k.Synonyms)...)
	}
	if len(e.Synonyms) > 0 {
		first := e.Synonyms[0]
		e.Value, e.Source = rescale(first.Value, scale(first.Name)/scale(k.Name)), first.Source
	}
	return e
}

// DescribeBroker describes one broker's settings in order of key: those named, or all if names is nil. Settings of single listeners
// appear if they are set. Unknown names are left out.
func DescribeBroker(v Values, names []string) []Entry {
	var out []Entry
	for i := range brokerTable {
		if k := &brokerTable[i]; names == nil || slices.Contains(names, k.Name) {
			out = append(out, describeBrokerKey(v, k, k.Name, k.group()))
		}
	}
	for _, name := range v.listenerOverrides() {
		if k, ok := BrokerKey(name); ok && (names == nil || slices.Contains(names, name)) {
			out = append(out, describeBrokerKey(v, k, name, []string{name, k.Name}))
		}
	}
	return out
}

// DescribeBrokerDefaults describes what is set for the whole cluster.
func DescribeBrokerDefaults(v Values, names []string) []Entry {
	var out []Entry
	for _, set := range v.Default {
		k, ok := BrokerKey(set.Key)
		if !ok || names != nil && !slices.Contains(names, set.Key) {
			continue
		}
		e := describeBrokerKey(Values{Default: v.Default}, k, set.Key, []string{set.Key})
		e.Synonyms = e.Synonyms[:1]
		out = append(out, e)
	}
	return out
}

func describeBrokerKey(v Values, k *Key, name string, group []string) Entry {
	e := Entry{
		Name: name, Value: k.Default, Null: k.Null, Source: DefaultSource, Type: k.Type, ReadOnly: k.Update == ReadOnly,
		Sensitive: k.Sensitive(), Enforced: k.Enforced, Doc: k.Documentation(), Synonyms: v.synonyms(group),
	}
	for _, s := range e.Synonyms {
		if s.Name == name { // a key shows its own value; its group shows among the synonyms
			e.Value, e.Null, e.Source = s.Value, s.Null, s.Source
			break
		}
	}
	if e.Sensitive {
		e.Value, e.Null = "", true
	}
	return e
}

// synonyms lists all values of the names, by source and within one source in order of names.
func (v *Values) synonyms(names []string) []Synonym {
	var out []Synonym
	for _, l := range v.layers() {
		for _, name := range names {
			if text, ok := Find(l.entries, name); ok {
				out = append(out, synonym(name, text, l.source))
			}
		}
	}
	for _, name := range names {
		if k, ok := find(brokerTable, name); ok && !k.Null {
			out = append(out, synonym(name, k.Default, DefaultSource))
		}
	}
	return out
}

func synonym(name, text string, source Source) Synonym {
	if k, ok := BrokerKey(name); ok && k.Sensitive() {
		return Synonym{Name: name, Null: true, Source: source}
	}
	return Synonym{Name: name, Value: text, Source: source}
}

// listenerOverrides lists the set keys that belong to one listener, in order.
func (v *Values) listenerOverrides() []string {
	var out []string
	for _, l := range v.layers() {
		for _, e := range l.entries {
			if _, known := find(brokerTable, e.Key); !known {
				if _, ok := listenerOverride(e.Key); ok {
					out = append(out, e.Key)
				}
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// rescale multiplies a number in text, such as hours into milliseconds; negative numbers mean "unlimited" and stay.
func rescale(text string, factor int64) string {
	n, err := strconv.ParseInt(text, 10, 64)
	if factor == 1 || err != nil || n < 0 {
		return text
	}
	return strconv.FormatInt(multiply(n, factor), 10)
}
