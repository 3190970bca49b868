package config

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/troupe-broker/troupe/actors/protocol"
)

// Valid says which values of the right type are allowed. The zero value allows all.
type Valid struct {
	// Rule completes "must be …", such as "at least 1".
	Rule string
	ok   func(value) bool
	// fault is Kafka's text about a value that is not allowed; nil: "Value must be " and the Rule.
	fault func(value) string
}

// value is a parsed setting: the field of its type is set.
type value struct {
	text    string // trimmed
	number  int64
	decimal float64
	truth   bool
	list    []string
}

func atLeast(low int64) Valid {
	return Valid{Rule: fmt.Sprintf("at least %d", low), ok: func(v value) bool { return v.number >= low }}
}

func between(low, high int64) Valid {
	return Valid{fmt.Sprintf("between %d and %d", low, high), func(v value) bool { return v.number >= low && v.number <= high }, func(v value) string {
		if v.number < low {
			return fmt.Sprintf("Value must be at least %d", low)
		}
		return fmt.Sprintf("Value must be no more than %d", high)
	}}
}

func fraction(low, high float64) Valid {
	return Valid{fmt.Sprintf("between %v and %v", low, high), func(v value) bool { return v.decimal >= low && v.decimal <= high }, func(v value) string {
		if v.decimal < low {
			return fmt.Sprintf("Value must be at least %v", low)
		}
		return fmt.Sprintf("Value must be no more than %v", high)
	}}
}

// Rules of settings that take one, or some, of a few words.
const (
	oneRule  = "one of "
	someRule = "a list of different ones of "
)

// Options are the values a setting takes, if those are few; for a list they are its elements.
func (k *Key) Options() []string {
	if k.Type == Boolean {
		return []string{"true", "false"}
	}
	for _, rule := range []string{oneRule, someRule} {
		if words, ok := strings.CutPrefix(k.Valid.Rule, rule); ok {
			return strings.Split(words, ", ")
		}
	}
	return nil
}

func oneOf(options ...string) Valid {
	return Valid{oneRule + strings.Join(options, ", "), func(v value) bool { return slices.Contains(options, v.text) }, among(options)}
}

func oneOfFold(options ...string) Valid {
	return Valid{oneRule + strings.Join(options, ", "), func(v value) bool {
		return slices.ContainsFunc(options, func(o string) bool { return strings.EqualFold(o, v.text) })
	}, among(options)}
}

// among is the text about a word that is not one of the options. Source: ConfigDef.ValidString.
func among(options []string) func(value) string {
	text := "String must be one of: " + strings.Join(options, ", ")
	return func(value) string { return text }
}

// someOf allows lists, also the empty one, of the options without repetition.
func someOf(options ...string) Valid {
	return Valid{someRule + strings.Join(options, ", "), func(v value) bool {
		for i, item := range v.list {
			if !slices.Contains(options, item) || slices.Contains(v.list[:i], item) {
				return false
			}
		}
		return true
	}, among(options)}
}

var (
	gzipLevel = Valid{"between 1 and 9, or -1", func(v value) bool { return v.number >= 1 && v.number <= 9 || v.number == -1 },
		func(value) string { return "Value must be between 1 and 9 or equal to -1" }}
	notTrue   = Valid{Rule: "false, as there is no tiered storage", ok: func(v value) bool { return !v.truth }}
	throttled = Valid{Rule: "* or a list of partition:broker", ok: func(v value) bool {
		return len(v.list) == 1 && v.list[0] == "*" || !slices.ContainsFunc(v.list, func(item string) bool {
			partition, broker, ok := strings.Cut(item, ":")
			_, err1 := strconv.ParseUint(partition, 10, 31)
			_, err2 := strconv.ParseUint(broker, 10, 31)
			return !ok || err1 != nil || err2 != nil
		})
	}}
	endpoints = Valid{Rule: "a list of NAME://host:port with different names and ports", ok: func(v value) bool {
		_, err := parseListeners(v.text)
		return err == nil
	}}
	addressLimits = Valid{Rule: "a list of address:number", ok: func(v value) bool {
		_, err := ParseAddressLimits(SplitList(v.text))
		return err == nil
	}}
	address = Valid{Rule: "host:port, :port, or empty for none", ok: func(v value) bool {
		if v.text == "" {
			return true
		}
		_, _, err := splitHostPort(v.text)
		return err == nil
	}}
)

// Invalid is a setting that cannot be: what, why and what is allowed.
type Invalid struct {
	Key, Value, Reason string
	Unknown            bool   // no such key
	Kind               string // begins what is said of it
	Conflict           bool   // whatever the value: Reason says it all
	Unhonoured         bool   // Kafka would do it, and troupe cannot: somebody would count on it in vain
}

// unhonoured refuses what somebody would count on in vain.
func unhonoured(key, reason string) error {
	return &Invalid{Key: key, Conflict: true, Unhonoured: true, Reason: reason}
}

func (e *Invalid) Error() string {
	if e.Unknown {
		return e.Kind + e.Key + e.Reason
	}
	if e.Conflict {
		return e.Reason
	}
	return fmt.Sprintf("Invalid value %s for configuration %s: %s", e.Value, e.Key, e.Reason)
}

// Check parses the value and holds it against the key's rule. The error is an *Invalid.
func (k *Key) Check(text string) error {
	_, err := k.parse(text)
	return err
}

func (k *Key) parse(text string) (value, error) {
	v := value{text: strings.TrimSpace(text)}
	switch reason := k.read(&v); {
	case reason != "":
		return v, k.invalid(text, reason)
	case k.Valid.ok == nil || k.Valid.ok(v):
		return v, nil
	case k.Valid.fault == nil:
		return v, k.invalid(text, "Value must be "+k.Valid.Rule)
	case k.Type == Double && !strings.ContainsAny(text, ".eE"): // as Java shows it
		text = v.text + ".0"
	}
	return v, k.invalid(text, k.Valid.fault(v))
}

func (k *Key) invalid(text, reason string) error {
	if k.Sensitive() {
		text = "[hidden]"
	}
	return &Invalid{Key: k.Name, Value: text, Reason: reason}
}

// read fills the field of the key's type; an answer says why it cannot.
func (k *Key) read(v *value) (reason string) {
	var err error
	switch k.Type {
	case Boolean:
		v.truth = strings.EqualFold(v.text, "true")
		if !v.truth && !strings.EqualFold(v.text, "false") {
			return "Expected value to be either true or false"
		}
	case Int:
		v.number, err = strconv.ParseInt(v.text, 10, 32)
	case Short:
		v.number, err = strconv.ParseInt(v.text, 10, 16)
	case Long:
		v.number, err = strconv.ParseInt(v.text, 10, 64)
	case Double:
		v.decimal, err = strconv.ParseFloat(v.text, 64)
		if math.IsNaN(v.decimal) || math.IsInf(v.decimal, 0) {
			return "Not a number of type DOUBLE"
		}
	case List:
		v.list = SplitList(v.text)
	}
	if err != nil {
		return "Not a number of type " + k.Type.String()
	}
	return ""
}

// SplitList splits a comma-separated value; the empty text is the empty list.
func SplitList(text string) []string {
	if text = strings.TrimSpace(text); text == "" {
		return nil
	}
	items := strings.Split(text, ",")
	for i := range items {
		items[i] = strings.TrimSpace(items[i])
	}
	return items
}

// ValidateTopic checks the settings of a topic, each by itself: first whether there are such, as Kafka does. Source: LogConfig.validate.
func ValidateTopic(settings []protocol.ConfigEntry) error {
	for _, e := range settings {
		if _, ok := TopicKey(e.Key); !ok {
			return unknown("Unknown topic config name: ", e.Key, topicTable)
		}
	}
	for _, e := range settings {
		k, _ := TopicKey(e.Key)
		if err := k.Check(e.Value); err != nil {
			return err
		}
	}
	return nil
}

// ValidateBroker checks one broker setting, key and value, for server.properties. What restricts somebody and cannot be honoured is refused.
func ValidateBroker(name, text string) error {
	k, ok := BrokerKey(name)
	if gone, is := outsideKey(name); is {
		k, ok = gone, true
	}
	if !ok {
		return unknown(unknownBrokerKey, name, brokerTable)
	}
	if err := k.restricts(name, text); err != nil {
		return err
	}
	return forOneListener(name, k)
}

// ValidateDynamicBroker checks a broker setting made while running: the key must allow that, for one broker or (clusterWide) for
// all. Secrets are refused: they would stand in the metadata log.
func ValidateDynamicBroker(name, text string, clusterWide bool) error {
	if err := AlterableBroker(name, clusterWide); err != nil {
		return err
	}
	if k, _ := BrokerKey(name); k.Sensitive() {
		return unhonoured(name, name+" is a secret, and what is set while running is kept and copied as it stands; set it in server.properties, in a file that only the broker's user can read")
	}
	return ValidateBroker(name, text)
}

// AlterableBroker checks that a broker key exists and can be changed while running.
func AlterableBroker(name string, clusterWide bool) error {
	k, ok := BrokerKey(name)
	switch {
	case !ok:
		return unknown(unknownBrokerKey, name, brokerTable)
	case k.Update == ReadOnly:
		return &Invalid{Key: name, Conflict: true, Reason: "Cannot update these configs dynamically: [" + name + "]"}
	case k.Update == PerBroker && clusterWide:
		return &Invalid{Key: name, Conflict: true, Reason: "Cannot update these configs at default cluster level, broker id must be specified: [" + name + "]"}
	}
	return nil
}

const unknownBrokerKey = "Unknown configuration "

func unknown(kind, name string, table []Key) error {
	e := &Invalid{Key: name, Unknown: true, Kind: kind}
	if Removed(name) {
		e.Reason = ": Kafka 4.0 removed it"
	} else if k, ok := TopicKey(name); ok && len(k.Synonyms) > 0 {
		e.Reason = ": it is a setting of topics, whose default is " + k.Synonyms[0] + " here"
	} else if near := nearest(name, table); near != "" {
		e.Reason = "; did you mean " + near + "?"
	}
	return e
}
