package config

import (
	"net/netip"
	"slices"
	"strings"
)

// outside are keys that Kafka 4 does not have in its tables, and that its older versions or its tools read: passing them over would open
// what their owner closed, or make something else of the node. Source: KafkaConfig of 2.8 (host.name, quota.*.default, zookeeper.connect),
// AbstractConfig (config.providers).
var outside = []Key{
	{Name: "zookeeper.connect", Type: List, Harmless: Valid{ok: func(v value) bool { return !slices.ContainsFunc(v.list, elsewhere) }},
		Restricts: "there is no ZooKeeper, and several nodes that had one would each found a cluster; leave the key out"},
	{Name: "host.name", Type: String, Harmless: Valid{ok: func(v value) bool { return wildcard(v.text) }},
		Restricts: "Kafka 3.0 removed it, and a node without listeners listens on every address; name the host in listeners"},
	{Name: "quota.producer.default", Type: Long, Default: maxLong, Restricts: "there are no quotas yet; leave the key out"},
	{Name: "quota.consumer.default", Type: Long, Default: maxLong, Restricts: "there are no quotas yet; leave the key out"},
	{Name: "config.providers", Type: List,
		Restricts: "values are taken as they stand, and ${provider:...} would be one; write the values themselves, or set them by variables of the environment (TROUPE_...)"},
}

func outsideKey(name string) (*Key, bool) {
	i := slices.IndexFunc(outside, func(k Key) bool { return k.Name == name })
	if i < 0 {
		return nil, false
	}
	return &outside[i], true
}

// elsewhere reports whether an address in the syntax of ZooKeeper (host:port/path) is surely not of this machine alone.
func elsewhere(address string) bool {
	host, _, _ := strings.Cut(address, "/")
	if h, _, err := splitHostPort(host); err == nil {
		host = h
	}
	addr, err := netip.ParseAddr(host)
	return !strings.EqualFold(host, "localhost") && (err != nil || !addr.IsLoopback())
}

// Known reports whether a name means something to a broker of this or an older version.
func Known(name string) bool {
	_, key := BrokerKey(name)
	_, gone := outsideKey(name)
	return key || gone || Removed(name)
}
