package config

import (
	"slices"
	"strings"
	"time"

	"github.com/troupe-broker/troupe/actors/protocol"
)

// scramMechanisms are the mechanisms there are, in the order in which clients are told.
var scramMechanisms = []protocol.ScramMechanism{protocol.ScramSHA256, protocol.ScramSHA512}

// Authenticates reports whether clients of the listener must say who they are.
func (l Listener) Authenticates() bool { return strings.HasPrefix(l.Protocol, "SASL_") }

// forListener reads a key as it is for one listener: under listener.name.<listener>., with a SASL mechanism behind that or without, or as
// it is for all.
func (b *Broker) forListener(listener, mechanism, name string) value {
	prefix := "listener.name." + strings.ToLower(listener) + "."
	f, ok := b.values.lookup(prefix+strings.ToLower(mechanism)+"."+name, prefix+name, name)
	if !ok {
		return value{}
	}
	v, _ := f.key.parse(f.text) // checked like any other
	return v
}

// perListener are the keys that forListener reads.
var perListener = []string{"sasl.enabled.mechanisms", "sasl.server.max.receive.size", "connections.max.reauth.ms"}

// listenerLimits are limits that Kafka keeps for single listeners too.
var listenerLimits = []string{"max.connections", "max.connection.creation.rate"}

// forOneListener refuses, of the keys of one listener, a limit that is kept for all listeners together, and a name in upper case, which is
// nobody's: Kafka looks under names in lower case only. Source: ListenerName.configPrefix, saslMechanismConfigPrefix.
func forOneListener(name string, k *Key) error {
	switch {
	case name == k.Name:
		return nil
	case slices.Contains(listenerLimits, k.Name):
		return unhonoured(name, name+" cannot be honoured: "+k.Name+" is kept for all listeners together; set it without listener.name")
	case name != strings.ToLower(name):
		return unhonoured(name, name+" would have no effect: after listener.name the listener stands in lower case; did you mean "+strings.ToLower(name)+"?")
	}
	return nil
}

// checkListenerNames refuses what was set for a listener that there is not, of what is kept for single ones.
func (b *Broker) checkListenerNames() error {
	for _, e := range b.values.Static {
		k, ok := BrokerKey(e.Key)
		listener, _, one := cutListener(e.Key)
		if ok && one && slices.Contains(perListener, k.Name) && !b.named(listener) {
			return unhonoured(e.Key, e.Key+" would have no effect: listeners and listener.security.protocol.map name no listener "+strings.ToUpper(listener))
		}
	}
	return nil
}

// named reports whether there is a listener of that name, or a protocol for one that other nodes may have.
func (b *Broker) named(listener string) bool {
	for _, l := range slices.Concat(b.Listeners, b.NotServed) {
		if strings.EqualFold(l.Name, listener) {
			return true
		}
	}
	_, err := protocolOf(listener, b.String("listener.security.protocol.map"))
	return err == nil
}

// SaslMechanisms are those that a listener offers.
func (b *Broker) SaslMechanisms(listener string) (out []protocol.ScramMechanism) {
	names := b.forListener(listener, "", "sasl.enabled.mechanisms").list
	for _, m := range scramMechanisms {
		if slices.Contains(names, m.String()) {
			out = append(out, m)
		}
	}
	return out
}

// SessionMax is after how long a client of the listener must authenticate again; 0 is never.
func (b *Broker) SessionMax(listener string, m protocol.ScramMechanism) time.Duration {
	return max(0, milliseconds(b.forListener(listener, m.String(), "connections.max.reauth.ms").number))
}

// TokenMax is the longest token of a login that the listener takes, in bytes.
func (b *Broker) TokenMax(listener string) int32 {
	return int32(b.forListener(listener, "", "sasl.server.max.receive.size").number)
}

// checkSasl refuses a listener by which nobody could log in, or not in the way its owner believes.
func (b *Broker) checkSasl(l Listener) error {
	const key = "sasl.enabled.mechanisms"
	names := b.forListener(l.Name, "", key).list
	if len(names) == 0 {
		return &Invalid{Key: key, Reason: "Listener " + l.Name + " needs a mechanism; there are SCRAM-SHA-256 and SCRAM-SHA-512"}
	}
	for _, name := range names {
		if !slices.ContainsFunc(scramMechanisms, func(m protocol.ScramMechanism) bool { return m.String() == name }) {
			return &Invalid{Key: key, Value: strings.Join(names, ","), Reason: name + " is not served, and listener " + l.Name + " would offer it; SCRAM-SHA-256 and SCRAM-SHA-512 are"}
		}
	}
	return nil
}
