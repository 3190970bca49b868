package config

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// Listener is one address of listeners or advertised.listeners.
type Listener struct {
	Name     string // upper case, such as PLAINTEXT or INTERNAL
	Protocol string // PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL
	Host     string // empty: every address; IPv6 without brackets
	Port     int32
}

// Address is host:port, with brackets around IPv6.
func (l Listener) Address() string {
	if strings.Contains(l.Host, ":") {
		return "[" + l.Host + "]:" + strconv.Itoa(int(l.Port))
	}
	return l.Host + ":" + strconv.Itoa(int(l.Port))
}

func (l Listener) String() string { return l.Name + "://" + l.Address() }

// protocols are Kafka's security protocols. A listener named like one has it without a map.
var protocols = []string{"PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"}

// ParseListeners reads a value of listeners or advertised.listeners and gives every listener its protocol from a value of
// listener.security.protocol.map. Errors name the endpoint.
func ParseListeners(text, protocolMap string) ([]Listener, error) {
	listeners, err := parseListeners(text)
	if err != nil {
		return nil, err
	}
	for i := range listeners {
		p, err := protocolOf(listeners[i].Name, protocolMap)
		if err != nil {
			return nil, fmt.Errorf("%v: %w", listeners[i], err)
		}
		listeners[i].Protocol = p
	}
	return listeners, nil
}

func protocolOf(name, protocolMap string) (string, error) {
	for _, pair := range SplitList(protocolMap) {
		key, protocol, ok := strings.Cut(pair, ":")
		if !ok {
			return "", fmt.Errorf("listener.security.protocol.map: %q is not NAME:PROTOCOL", pair)
		}
		if strings.EqualFold(strings.TrimSpace(key), name) {
			return checkProtocol(strings.TrimSpace(protocol))
		}
	}
	p, err := checkProtocol(name)
	if err != nil {
		return "", fmt.Errorf("no security protocol defined for listener %s; add it to listener.security.protocol.map", name)
	}
	return p, nil
}

func checkProtocol(name string) (string, error) {
	for _, p := range protocols {
		if strings.EqualFold(p, name) {
			return p, nil
		}
	}
	return "", fmt.Errorf("%q is not one of %s", name, strings.Join(protocols, ", "))
}

// parseListeners leaves Protocol empty. Names and ports (but 0) must differ, except one port once for IPv4 and once for IPv6.
func parseListeners(text string) ([]Listener, error) {
	var out []Listener
	for _, item := range SplitList(text) {
		name, rest, ok := strings.Cut(item, "://")
		if !ok || name == "" {
			return nil, fmt.Errorf("%q is not NAME://host:port", item)
		}
		host, port, err := splitHostPort(rest)
		if err != nil {
			return nil, fmt.Errorf("%q: %w", item, err)
		}
		l := Listener{Name: strings.ToUpper(name), Host: host, Port: port}
		for _, o := range out {
			if o.Name == l.Name && !twoFamilies(o, l) {
				return nil, fmt.Errorf("%q: each listener must have a different name", item)
			}
			if o.Port == l.Port && l.Port != 0 && o.Name != l.Name && !twoFamilies(o, l) {
				return nil, fmt.Errorf("%q: each listener must have a different port", item)
			}
		}
		out = append(out, l)
	}
	return out, nil
}

// twoFamilies allows the same port once on an IPv4 and once on an IPv6 address (KIP-797).
func twoFamilies(a, b Listener) bool {
	x, err1 := netip.ParseAddr(a.Host)
	y, err2 := netip.ParseAddr(b.Host)
	return err1 == nil && err2 == nil && x.Is4() != y.Is4() && a.Name != b.Name
}

// splitHostPort reads host:port, :port and [ipv6]:port.
func splitHostPort(text string) (host string, port int32, err error) {
	colon := strings.LastIndexByte(text, ':')
	if colon < 0 {
		return "", 0, fmt.Errorf("%q has no port", text)
	}
	n, err := strconv.ParseUint(text[colon+1:], 10, 16)
	if err != nil {
		return "", 0, fmt.Errorf("port %q is not between 0 and 65535", text[colon+1:])
	}
	host = text[:colon]
	if bare, ok := strings.CutPrefix(host, "["); ok {
		bare, ok = strings.CutSuffix(bare, "]")
		if addr, err := netip.ParseAddr(bare); !ok || err != nil || !addr.Is6() {
			return "", 0, fmt.Errorf("%q is not an IPv6 address in brackets", host)
		}
		return bare, int32(n), nil
	}
	if strings.ContainsAny(host, ":/[] ") {
		return "", 0, fmt.Errorf("%q is not a host; write IPv6 addresses in brackets", host)
	}
	return host, int32(n), nil
}

// ParseAddressLimits reads a value of max.connections.per.ip.overrides. Kafka takes names of hosts as well, and looks them up once.
func ParseAddressLimits(items []string) (map[netip.Addr]int, error) {
	out := map[netip.Addr]int{}
	for _, item := range items {
		colon := strings.LastIndexByte(item, ':')
		if colon < 0 {
			return nil, fmt.Errorf("%q is not address:number", item)
		}
		addr, err := netip.ParseAddr(strings.Trim(item[:colon], "[]"))
		if err != nil {
			return nil, err
		}
		n, err := strconv.ParseUint(item[colon+1:], 10, 31)
		if err != nil {
			return nil, err
		}
		out[addr.Unmap()] = int(n)
	}
	return out, nil
}
