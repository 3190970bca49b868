package kafka

import (
	"crypto/tls"
	"math"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/troupe-broker/troupe/actors/record"
)

// One network gets its share, whatever it asks for; another one is not behind it, and together they get what the node gives.
func TestUnpackingSharesAPace(t *testing.T) {
	var u Unpacking
	greedy, other := netip.MustParsePrefix("192.0.2.1/32"), netip.MustParsePrefix("192.0.2.2/32")
	now := 5 * time.Second
	if wait := u.own(greedy, unpackingBurst, now); wait != 0 {
		t.Errorf("the burst waits %v", wait)
	}
	if wait := u.own(greedy, 100*unpackingShare, now); wait != 100*time.Second {
		t.Errorf("100 seconds' worth waits %v", wait)
	}
	if wait := u.own(other, unpackingBurst, now); wait != 0 {
		t.Errorf("another waits %v", wait)
	}
	if wait := u.all(unpackingBurst, now); wait != 0 {
		t.Errorf("the node's burst waits %v", wait)
	}
	if wait := u.all(unpackingRate, now); wait != time.Second {
		t.Errorf("a second's worth of the node waits %v", wait)
	}
	if wait := u.own(greedy, 0, now+99*time.Second); wait != time.Second {
		t.Errorf("after 99 seconds %v are left", wait)
	}
}

// What is remembered of networks is bounded, and those that owe stay as long as that can be.
func TestUnpackingForgetsWhoOwesNothing(t *testing.T) {
	var u Unpacking
	greedy := netip.MustParsePrefix("2001:db8::/64")
	u.own(greedy, 100*unpackingShare, 0)
	for i := range 3 * unpackingNetworks {
		u.own(netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), 32), 1, time.Duration(i)*time.Microsecond)
	}
	if len(u.networks) > unpackingNetworks || u.own(greedy, 0, 0) == 0 {
		t.Errorf("%d networks, the greedy one is among them: %v", len(u.networks), u.networks[greedy] != nil)
	}
}

// bomb is a batch of 60 KB that unpacks to 60 MB.
func bomb(t testing.TB) []byte {
	b := record.NewBuilder(record.Options{Codec: record.Gzip, BaseTimestamp: 1_700_000_000_000})
	for i := range 60 {
		b.Append(1_700_000_000_000+int64(i), []byte("k"), make([]byte, 1<<20), nil)
	}
	out, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// A client that hangs up while its batches are unpacked, or wait for that, is worked for no longer, with and without TLS; meanwhile others
// are served.
func TestUnpackingEndsWithItsClient(t *testing.T) {
	w := newLiveWorld(t, quiet())
	w.topic("bombs", 1)
	youngest := kmsg.NewPtrListOffsetsRequest()
	part := kmsg.NewListOffsetsRequestTopicPartition()
	part.Timestamp = 1_700_000_000_059
	topic := kmsg.NewListOffsetsRequestTopic()
	topic.Topic, topic.Partitions = "bombs", append(topic.Partitions, part)
	youngest.Topics = append(youngest.Topics, topic)
	b := bomb(t)
	if resp := exchange(t, dial(t, listen(t, w, ListenerConfig{})), 9, produceRequest(1, "bombs", b)).(*kmsg.ProduceResponse); resp.Topics[0].Partitions[0].ErrorCode != 0 {
		t.Fatal(resp.Topics[0].Partitions[0].ErrorCode)
	}
	for name, config := range map[string]ListenerConfig{"plain": {}, "TLS": {TLS: certificate(t)}} {
		for request, req := range map[string]struct {
			kmsg.Request
			version int16
		}{"Produce": {produceRequest(1, "bombs", b), 9}, "ListOffsets": {youngest, 5}} {
			t.Run(name+"/"+request, func(t *testing.T) {
				config.Unpacking = &Unpacking{}
				before := w.server.Metrics.Connections.Load()
				l := listen(t, w, config)
				nc := connected(t, l, config)
				exchange(t, nc, 0, versionsRequest())
				for _, a := range []string{"127.0.0.1/32", "::1/128"} { // nothing is free for a long time
					config.Unpacking.own(netip.MustParsePrefix(a), 1000*unpackingShare, w.server.Clock.Mono())
				}
				waited := w.server.Metrics.UnpackingWaited.Load()
				req.SetVersion(req.version)
				if _, err := nc.Write(kmsg.NewRequestFormatter().AppendRequest(nil, req, 5)); err != nil {
					t.Fatal(err)
				}
				for w.server.Metrics.UnpackingWaited.Load() == waited {
					time.Sleep(time.Millisecond)
				}
				exchange(t, connected(t, l, config), 1, kmsg.NewPtrMetadataRequest())
				_ = nc.Close()
				for w.server.Metrics.Connections.Load() > before+1 {
					time.Sleep(time.Millisecond)
				}
			})
		}
	}
}

// connected is dial, and the handshake of TLS.
func connected(t *testing.T, l *Listener, config ListenerConfig) net.Conn {
	nc := dial(t, l)
	if config.TLS != nil {
		nc = tls.Client(nc, &tls.Config{InsecureSkipVerify: true})
	}
	_ = nc.SetDeadline(time.Now().Add(time.Minute))
	return nc
}

// A batch that unpacks to very much is taken and found as any other, only later.
func TestWhatIsPaidForIsServed(t *testing.T) {
	w := newWorld(t)
	w.topic("bombs", 1)
	c := w.connect()
	paid := &tally{}
	c.session.Meter(paid)
	if resp := ask[*kmsg.ProduceResponse](c, 9, produceRequest(1, "bombs", bomb(t))); resp.Topics[0].Partitions[0].ErrorCode != 0 {
		t.Fatal(resp.Topics[0].Partitions[0].ErrorCode)
	}
	if paid.bytes < 50<<20 || paid.bytes > 60<<20 {
		t.Errorf("producing cost %d", paid.bytes)
	}
	for ts, want := range map[int64]struct {
		offset int64
		most   int
	}{1_700_000_000_000: {0, 2 << 20}, 1_700_000_000_030: {30, 33 << 20}, -3: {59, 60 << 20}, math.MaxInt64: {-1, 0}} {
		paid.bytes = 0
		req := kmsg.NewPtrListOffsetsRequest()
		part, topic := kmsg.NewListOffsetsRequestTopicPartition(), kmsg.NewListOffsetsRequestTopic()
		part.Timestamp = ts
		topic.Topic, topic.Partitions = "bombs", append(topic.Partitions, part)
		req.Topics = append(req.Topics, topic)
		p := ask[*kmsg.ListOffsetsResponse](c, 7, req).Topics[0].Partitions[0]
		if p.ErrorCode != 0 || p.Offset != want.offset || paid.bytes > want.most {
			t.Errorf("%d: offset %d, code %d, cost %d; want %d at most %d", ts, p.Offset, p.ErrorCode, paid.bytes, want.offset, want.most)
		}
	}
}

// tally is a meter that lets everything through.
type tally struct{ bytes int }

func (m *tally) Take(n int) error { m.bytes += n; return nil }
