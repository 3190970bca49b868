package kafka

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/troupe-broker/troupe/transport/kafka/api"
	"github.com/troupe-broker/troupe/transport/kafka/wire"
)

// A parked Fetch holds back what was asked after it; what was asked before it leaves at once.
func TestParkedFetchKeepsTheOrder(t *testing.T) {
	w := newWorld(t)
	parts := w.topic("events", 1)
	w.topic("quiet", 1)
	parts[0].hold = true
	c := w.connect()
	c.push(3, versionsRequest())
	c.push(9, produceRequest(-1, "events", batch(1)))
	c.push(11, fetchRequest("quiet", 0))
	c.push(9, kmsg.NewPtrMetadataRequest())
	if _, ok := c.reply().(*kmsg.ApiVersionsResponse); !ok {
		t.Fatal("the first answer is not the first request's")
	}
	if resp := c.reply(); resp != nil {
		t.Fatalf("%T overtook a produce", resp)
	}
	parts[0].flush()
	if _, ok := c.reply().(*kmsg.ProduceResponse); !ok {
		t.Fatal("no answer to the produce")
	}
	if resp := c.reply(); resp != nil {
		t.Fatalf("%T overtook a fetch", resp)
	}
	w.produce("quiet", 0, 1)
	for _, want := range []int16{1, 3} {
		if resp := c.reply(); resp == nil || resp.Key() != want {
			t.Fatalf("got %T, want key %d", resp, want)
		}
	}
}

// Answers of partitions in random order give replies in request order.
func TestPipelinedProducesAreAnsweredInOrder(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	w := newWorld(t)
	parts := w.topic("events", 3)
	for _, p := range parts {
		p.hold = true
	}
	c := w.connect()
	const n = 100
	for i := range n {
		req := produceRequest(int16(rng.IntN(3)-1), "events", batch(1))
		req.Topics[0].Partitions[0].Partition = int32(rng.IntN(3))
		req.TimeoutMillis = int32(i)
		c.push(9, req)
		if rng.IntN(4) == 0 {
			p := parts[rng.IntN(3)]
			w.run()
			rng.Shuffle(len(p.held), func(i, j int) { p.held[i], p.held[j] = p.held[j], p.held[i] })
			p.flush()
			c.drain()
		}
	}
	for _, p := range parts {
		p.hold = false
		w.run()
		p.flush()
	}
	for len(c.asked) > 0 { // reply checks the correlation ids
		if resp := c.reply(); resp == nil {
			t.Fatalf("%d requests were never answered: %v", len(c.asked), c.err)
		}
	}
	if w.memory.InUse() != 0 {
		t.Errorf("%d bytes of receive buffers are still held", w.memory.InUse())
	}
}

func TestSessionBoundsWhatIsUnderWay(t *testing.T) {
	w := newWorld(t)
	parts := w.topic("events", 1)
	parts[0].hold = true
	c := w.connect()
	for range pipelineRequestsMax {
		if !c.session.Ready() {
			t.Fatal("full too early")
		}
		c.push(9, produceRequest(-1, "events", batch(1)))
	}
	if c.session.Ready() {
		t.Fatal("more than the bound")
	}
	w.run()
	parts[0].flush()
	c.drain()
	if !c.session.Ready() {
		t.Error("not ready after everything was answered")
	}
}

func TestClosedSessionForgetsAndReleasesEverything(t *testing.T) {
	w := newWorld(t)
	parts := w.topic("events", 1)
	quiet := w.topic("quiet", 2)
	parts[0].hold = true
	c := w.connect()
	c.push(9, produceRequest(-1, "events", batch(1)))
	c.push(11, fetchRequest("quiet", 0, 0))
	c.push(11, fetchRequest("quiet", 0))
	c.push(11, fetchRequest("events", 0))
	w.run()
	if len(quiet[0].waits) != 2 || len(quiet[1].waits) != 1 {
		t.Fatalf("%d and %d readers are waiting", len(quiet[0].waits), len(quiet[1].waits))
	}
	c.session.Close()
	w.run()
	parts[0].flush()
	for i, p := range quiet {
		if len(p.waits) > 0 {
			t.Errorf("partition %d has %d readers waiting", i, len(p.waits))
		}
	}
	if w.memory.InUse() != 0 {
		t.Errorf("%d bytes of receive buffers are still held", w.memory.InUse())
	}
	if n := w.server.Metrics.FetchesParked.Load(); n != 0 {
		t.Errorf("%d fetches are parked", n)
	}
	if err := c.frame([]byte{0, 18, 0, 0, 0, 0, 0, 1, 0xff, 0xff}); !errors.Is(err, ErrClosed) {
		t.Errorf("a closed session says %v", err)
	}
	c.session.Close()
}

// frameOf is a request header and a body.
func frameOf(key, version int16, body ...byte) []byte {
	b := binary.BigEndian.AppendUint16(nil, uint16(key))
	b = binary.BigEndian.AppendUint16(b, uint16(version))
	b = binary.BigEndian.AppendUint32(b, 7)
	b = append(b, 0, 3, 'b', 'a', 'd')
	return append(b, body...)
}

func TestHostileFramesEndTheConnection(t *testing.T) {
	w := newWorld(t)
	w.topic("events", 1)
	huge := []byte{0x7f, 0xff, 0xff, 0xff}
	compactHuge := []byte{0xff, 0xff, 0xff, 0xff, 0x0f}
	cat := func(parts ...[]byte) (out []byte) {
		for _, p := range parts {
			out = append(out, p...)
		}
		return out
	}
	for what, frame := range map[string][]byte{
		"nothing":                      nil,
		"half a header":                {0, 3, 0},
		"client id longer than frame":  {0, 3, 0, 1, 0, 0, 0, 1, 0x7f, 0xff, 'x'},
		"unknown key":                  frameOf(9999, 0),
		"negative key":                 frameOf(-1, 0),
		"a key of other brokers":       frameOf(52, 0),
		"a removed key":                frameOf(4, 0),
		"ShareGroupHeartbeat":          frameOf(76, 1, 0, 2, 'g'),
		"version above":                frameOf(3, 14, 0),
		"version below":                frameOf(1, 3, 0),
		"negative version":             frameOf(3, -1),
		"metadata without body":        frameOf(3, 1),
		"metadata: huge count":         frameOf(3, 1, huge...),
		"metadata: count minus two":    frameOf(3, 1, 0xff, 0xff, 0xff, 0xfe),
		"metadata: compact huge count": frameOf(3, 12, cat([]byte{0}, compactHuge)...),
		"metadata: varint too long":    frameOf(3, 12, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff),
		"metadata: name beyond frame":  frameOf(3, 1, 0, 0, 0, 1, 0x7f, 0xff, 'x'),
		"header: tag bomb":             frameOf(3, 12, compactHuge...),
		"body: tag bomb":               frameOf(3, 12, cat([]byte{0, 1, 1, 0}, compactHuge)...),
		"tag twice":                    frameOf(3, 12, 2, 1, 0, 1, 0, 1, 1, 0, 0),
		"produce: huge count":          frameOf(0, 3, cat([]byte{0xff, 0xff, 0, 1, 0, 0, 0, 1}, huge)...),
		"produce: records beyond":      frameOf(0, 3, cat([]byte{0xff, 0xff, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 1, 't', 0, 0, 0, 1, 0, 0, 0, 0}, huge)...),
		"fetch: huge count":            frameOf(1, 4, cat(make([]byte, 17), huge)...),
		"create topics: huge count":    frameOf(19, 5, cat([]byte{0}, compactHuge)...),
		"describe configs: huge count": frameOf(32, 1, huge...),
	} {
		c := w.connect()
		err := c.frame(frame)
		c.drain()
		if err == nil {
			err = c.err
		}
		if err == nil || len(c.stream) > 0 {
			t.Errorf("%s: error %v, answer %x", what, err, c.stream)
		}
	}
	if w.memory.InUse() != 0 {
		t.Errorf("%d bytes of receive buffers are still held", w.memory.InUse())
	}
}

func TestRefusedRequestNamesClientKeyAndVersion(t *testing.T) {
	w := newWorld(t)
	err := w.connect().frame(frameOf(76, 1, 0, 0))
	for _, want := range []string{`"bad"`, "ShareGroupHeartbeat", "version 1", "not built yet"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not say %s", err, want)
		}
	}
	err = w.connect().frame(frameOf(3, 99, 0, 0))
	if err == nil || !strings.Contains(err.Error(), "0 to 13") {
		t.Errorf("%v does not say what is served", err)
	}
}

func TestStringsThatAreNotUTF8(t *testing.T) {
	w := newWorld(t)
	c := w.connect()
	req := kmsg.NewPtrMetadataRequest()
	bad := "\xff\xfe\x00"
	req.Topics = []kmsg.MetadataRequestTopic{{Topic: &bad}}
	resp := ask[*kmsg.MetadataResponse](c, 1, req)
	if resp.Topics[0].ErrorCode != 17 || *resp.Topics[0].Topic != bad {
		t.Errorf("%+v", resp.Topics[0])
	}
}

// golden bytes: what a client sees that speaks no version we do, and one that asks in version 0.
func TestApiVersionsGolden(t *testing.T) {
	w := newWorld(t)
	c := w.connect()
	// version 9 with a body nobody knows; client id "x"
	_ = c.frame([]byte{0, 18, 0, 9, 0, 0, 0, 42, 0, 1, 'x', 0, 1, 2, 3})
	c.drain()
	// length 16: correlation id 42, UNSUPPORTED_VERSION, one row: key 18, versions 0 to 4
	want := "00000010" + "0000002a" + "0023" + "00000001" + "0012" + "0000" + "0004"
	if got := hex.EncodeToString(c.stream); got != want || c.err != nil {
		t.Errorf("got %s (%v), want %s", got, c.err, want)
	}
	c = w.connect()
	_ = c.frame([]byte{0, 18, 0, 0, 0, 0, 0, 1, 0xff, 0xff})
	c.drain()
	// key, lowest version, highest
	rows := "00000000000d" + "000100040012" + "00020001000b" + "00030000000d" + "00080002000a" + "00090001000a" +
		"000a00000006" + "000b00000009" + "000c00000004" + "000d00000005" + "000e00000005" + "000f00000006" +
		"001000000005" + "001100000001" + "001200000004" + "001300020007" + "001400010006" + "001500000002" + "001600000005" +
		"001700020004" + "001800000005" + "001900000004" + "001a00000005" + "001b00010002" + "001c00000005" +
		"001d00010003" + "001e00010003" + "001f00010003" + "002000010004" + "002100000002" + "002300010005" + "002400000002" + "002500000003" + "002a00000002" + "002b00000002" + "002c00000001" + "002e00000000" +
		"002f00000000" + "003000000001" + "003100000001" + "003200000000" + "003300000000" + "003700000002" + "003c00000002" + "003d00000000" + "004100000000" + "004200000002" + "004400000001" +
		"004500000001" + "004a00000001" + "004b00000000"
	want = "0000013c" + "00000001" + "0000" + "00000033" + rows
	if got := hex.EncodeToString(c.stream); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestApiVersionsChecksTheSoftware(t *testing.T) {
	w := newWorld(t)
	for name, want := range map[string]int16{"librdkafka": 0, "a": 0, "kafka-go.2": 0, "": 42, "-x": 42, "x-": 42, "a b": 42, "x\n": 42, strings.Repeat("x", 300): 42} {
		req := versionsRequest()
		req.ClientSoftwareName = name
		resp := ask[*kmsg.ApiVersionsResponse](w.connect(), 3, req)
		if resp.ErrorCode != want {
			t.Errorf("%q: error %d, want %d", name, resp.ErrorCode, want)
		}
		if want == 0 && (len(resp.ApiKeys) != 51 || len(resp.SupportedFeatures)+len(resp.FinalizedFeatures) > 0) {
			t.Errorf("%+v", resp)
		}
	}
}

// Two equal runs give equal bytes: nothing depends on time, chance or the order of a map.
func TestSessionIsDeterministic(t *testing.T) {
	run := func() []byte {
		w := newWorld(t)
		w.topic("events", 4)
		w.topic("more", 2)
		c := w.connect()
		for _, req := range []kmsg.Request{kmsg.NewPtrMetadataRequest(), produceRequest(-1, "events", batch(1), batch(2)), kmsg.NewPtrDescribeClusterRequest()} {
			c.push(req.MaxVersion(), req)
		}
		open := fetchRequest("events", 0, 0, 0, 0)
		open.SessionEpoch = 0
		c.push(13, open)
		w.run()
		c.drain()
		return c.stream
	}
	if a, b := run(), run(); string(a) != string(b) {
		t.Error("two runs differ")
	}
}

func FuzzSession(f *testing.F) {
	rng := rand.New(rand.NewPCG(3, 3))
	format := kmsg.NewRequestFormatter()
	server := api.NewServer(api.Config{})
	for key := int16(0); key < 80; key++ {
		if r := server.Row(key); r != nil {
			req := kmsg.RequestForKey(key)
			req.SetVersion(r.Min + int16(rng.IntN(int(r.Max-r.Min+1))))
			f.Add(format.AppendRequest(nil, req, 1))
		}
	}
	w := newWorld(f)
	w.topic("events", 2)
	w.keep = true
	f.Fuzz(func(t *testing.T, stream []byte) {
		c := w.connect()
		cutter := wire.NewCutter(w.memory, 1<<20)
		defer cutter.Close()
		for len(stream) > 0 {
			n := copy(cutter.Space(), stream)
			cutter.Filled(n)
			stream = stream[n:]
			for {
				fr, ok, err := cutter.Next()
				if err != nil || !ok {
					break
				}
				if c.session.Handle(fr) != nil {
					break
				}
				w.run()
				c.drain()
			}
		}
		c.session.Close()
		w.run()
	})
}
