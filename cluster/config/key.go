package config

import (
	"cmp"
	"slices"
	"strings"
)

// Type is a key's type, numbered as in DescribeConfigs (ConfigDef.Type, KIP-569).
type Type int8

const (
	Boolean Type = iota + 1
	String
	Int // 32 bits
	Short
	Long // 64 bits
	Double
	List  // comma-separated
	Class // name of a class of Kafka's; never loaded
	Password
)

var typeNames = [...]string{Boolean: "BOOLEAN", String: "STRING", Int: "INT", Short: "SHORT", Long: "LONG", Double: "DOUBLE", List: "LIST", Class: "CLASS", Password: "PASSWORD"}

func (t Type) String() string { return typeNames[t] }

// Update says how a broker key can be changed while the broker runs (KIP-226).
type Update uint8

const (
	// ReadOnly keys are set in server.properties.
	ReadOnly Update = iota
	// PerBroker keys can be altered for one broker, not for the cluster.
	PerBroker
	// ClusterWide keys can be altered for one broker or for all.
	ClusterWide
)

// Key is one setting. The tables are shared: do not change them.
type Key struct {
	Name     string
	Type     Type
	Default  string // as Describe shows it; parses as Type
	Null     bool   // there is no default value
	Doc      string // what it does, in a sentence
	Valid    Valid
	Update   Update // of broker keys; topic keys can always be altered
	Enforced bool   // false: accepted and described, with no effect, or refused: see Effect
	// Restricts says what somebody who sets the key counts on and would not get: such a value is refused, since a broker that passes it
	// over is open where its owner believes it closed. Empty for keys that only tune, and for those that are enforced.
	Restricts string
	// Harmless tells values of such a key that restrict nobody, beside the default.
	Harmless Valid
	// Synonyms of a topic key are the broker keys it falls back to; of a broker key the whole group it belongs to, with itself, in
	// order of precedence. Nil if there are none.
	Synonyms []string
}

// Sensitive reports that values are never shown.
func (k *Key) Sensitive() bool { return k.Type == Password }

// Effect is what setting a key does in troupe.
type Effect string

const (
	// Enforced keys do what they say.
	Enforced Effect = "enforced"
	// NoEffect keys only tune: they are accepted, described and passed over with a line.
	NoEffect Effect = "no effect"
	// Refused keys restrict somebody, or change what the node is, in a way that troupe cannot honour: a value that does so stops the start.
	Refused Effect = "refused"
)

// Effect is the key's.
func (k *Key) Effect() Effect {
	switch {
	case k.Enforced:
		return Enforced
	case k.Restricts != "":
		return Refused
	}
	return NoEffect
}

// Documentation is Doc and, if the key is not enforced, a sentence that says so.
func (k *Key) Documentation() string {
	switch k.Effect() {
	case NoEffect:
		return k.Doc + " Accepted and described, but without effect in troupe."
	case Refused:
		return k.Doc + " Refused if it restricts: " + k.Restricts + "."
	}
	return k.Doc
}

// restricts refuses a value that somebody counts on and that is not honoured. The error is an *Invalid.
func (k *Key) restricts(name, text string) error {
	v, err := k.parse(text)
	if err != nil || k.Restricts == "" || k.harmless(v) {
		return err
	}
	if k.Sensitive() {
		text = "[hidden]"
	}
	return unhonoured(k.Name, name+"="+text+" cannot be honoured: "+k.Restricts)
}

// harmless reports whether a value of a key that restricts does not.
func (k *Key) harmless(v value) bool {
	switch {
	case v.text == "":
		return true
	case k.Harmless.ok != nil:
		return k.Harmless.ok(v)
	}
	return !k.Null && v.text == k.Default
}

// scale is the factor from the key's unit to milliseconds, or 1.
func scale(name string) int64 {
	switch {
	case strings.HasSuffix(name, ".hours"):
		return 3_600_000
	case strings.HasSuffix(name, ".minutes"):
		return 60_000
	}
	return 1
}

// The tables in order of name.
var (
	topicTable  = sorted(topicKeys)
	groupTable  = sorted(groupKeys)
	brokerTable = sorted(brokerLogKeys, brokerNetworkKeys, brokerClusterKeys, brokerGroupKeys, brokerTransactionKeys, brokerSecurityKeys, brokerRemoteKeys)
)

func sorted(parts ...[]Key) []Key {
	all := slices.Concat(parts...)
	slices.SortFunc(all, func(a, b Key) int { return cmp.Compare(a.Name, b.Name) })
	return all
}

// TopicKeys lists every topic key in order of name.
func TopicKeys() []Key { return topicTable }

// BrokerKeys lists every broker key in order of name.
func BrokerKeys() []Key { return brokerTable }

// GroupKeys lists the settings of groups, in order of name.
func GroupKeys() []Key { return groupTable }

// GroupKey finds a group key.
func GroupKey(name string) (*Key, bool) { return find(groupTable, name) }

// TopicKey finds a topic key.
func TopicKey(name string) (*Key, bool) { return find(topicTable, name) }

// BrokerKey finds a broker key. A key prefixed with listener.name.<listener>. is the key it overrides for that listener.
func BrokerKey(name string) (*Key, bool) {
	if k, ok := find(brokerTable, name); ok {
		return k, true
	}
	if base, ok := listenerOverride(name); ok {
		return find(brokerTable, base)
	}
	return nil, false
}

func find(table []Key, name string) (*Key, bool) {
	i, ok := slices.BinarySearchFunc(table, name, func(k Key, name string) int { return cmp.Compare(k.Name, name) })
	if !ok {
		return nil, false
	}
	return &table[i], true
}

// saslMechanisms are Kafka's, as keys of one listener name them.
var saslMechanisms = []string{"gssapi", "oauthbearer", "plain", "scram-sha-256", "scram-sha-512"}

// listenerOverride cuts listener.name.<listener>. off, and the SASL mechanism after it if the rest begins with one.
func listenerOverride(name string) (base string, ok bool) {
	_, rest, ok := cutListener(name)
	if !ok {
		return "", false
	}
	if _, found := find(brokerTable, rest); found {
		return rest, true
	}
	mechanism, rest, ok := strings.Cut(rest, ".")
	return rest, ok && slices.Contains(saslMechanisms, strings.ToLower(mechanism))
}

// cutListener takes a key of one listener apart.
func cutListener(name string) (listener, rest string, ok bool) {
	rest, ok = strings.CutPrefix(name, "listener.name.")
	if !ok {
		return "", "", false
	}
	return strings.Cut(rest, ".")
}

// removed are prefixes of keys that Kafka had before 4.0. In server.properties they are ignored with a warning.
var removed = []string{
	"auto.include.jmx.reporter", "broker.id.generation.enable", "control.plane.listener.name", "delegation.token.master.key", "log.message.downconversion.enable",
	"log.message.format.version", "log.message.timestamp.difference.max.ms", "offsets.commit.required.acks", "password.encoder.", "reserved.broker.max.id", "zookeeper.",
}

// Removed reports whether Kafka 4.0 removed the key.
func Removed(name string) bool {
	return slices.ContainsFunc(removed, func(prefix string) bool { return strings.HasPrefix(name, prefix) })
}
