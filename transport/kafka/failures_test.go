package kafka

import (
	"fmt"
	"net/netip"
	"testing"
	"time"
)

func TestFailedLoginsOfOneNetworkShareAPace(t *testing.T) {
	var f LoginFailures
	guesser, other := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
	now := 5 * time.Second
	for i := range failureBurst {
		if wait := f.Add(guesser, now); wait != 0 {
			t.Fatalf("failure %d waits %v", i, wait)
		}
	}
	answered := 0
	for f.Add(guesser, now) <= failureBacklog {
		answered++
	}
	if want := int(failureBacklog / failureInterval); answered != want {
		t.Errorf("%d failures may wait, %d expected", answered, want)
	}
	if !f.TooMany(guesser, now) || f.TooMany(other, now) {
		t.Error("the guesser may go on, or another may not begin")
	}
	if now += time.Second; f.TooMany(guesser, now) {
		t.Error("who waits may not try again")
	}
	if wait := f.Add(other, now); wait != 0 {
		t.Errorf("another's first failure waits %v", wait)
	}
}

func TestNeighboursOfIPv6AreOneNetwork(t *testing.T) {
	for a, b := range map[string]string{"2001:db8::1": "2001:db8::2:3:4:5", "::ffff:192.0.2.1": "192.0.2.1"} {
		if networkOf(netip.MustParseAddr(a)) != networkOf(netip.MustParseAddr(b)) {
			t.Errorf("%s and %s differ", a, b)
		}
	}
	if networkOf(netip.MustParseAddr("192.0.2.1")) == networkOf(netip.MustParseAddr("192.0.2.2")) {
		t.Error("two addresses are one network")
	}
}

func TestFailuresRememberABoundedNumberOfNetworks(t *testing.T) {
	var f LoginFailures
	for i := range 3 * failureNetworks {
		f.Add(netip.MustParseAddr(fmt.Sprintf("10.%d.%d.%d", i>>16, i>>8&255, i&255)), time.Duration(i))
		if len(f.networks) > failureNetworks {
			t.Fatalf("%d networks are remembered", len(f.networks))
		}
	}
}
