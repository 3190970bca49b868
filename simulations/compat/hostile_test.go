package compat

import (
	"bytes"
	"context"
	encoding "encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/troupe-broker/troupe/simulations/process"
)

const (
	hostileAddr = "127.0.0.1:21692"
	hostileHTTP = "127.0.0.1:21693"
	hostileSASL = "127.0.0.1:21696" // where nobody logs in
	victim      = "victim"

	// growthMax is how much the broker may grow under everything here, in bytes. The declared lengths, counts and sizes come to
	// hundreds of gigabytes.
	growthMax = 100 << 20
	// logLinesMax is how many warnings the broker may log in logPause about the many thousand connections here: one for every kind of fault,
	// and one for every request in an old format that deserved an answer.
	logLinesMax = 300
	logPause    = 10 * time.Second
)

// warnings are the lines of a log that tell of no request that was right.
func warnings(log []byte) int {
	return bytes.Count(log, []byte("\n")) - bytes.Count(log, []byte(`"level":"INFO"`))
}

// mutations is how many damaged requests are sent: HOSTILE, or a few.
func mutations() int {
	if n, err := strconv.Atoi(os.Getenv("HOSTILE")); err == nil {
		return n
	}
	return mutationsFew
}

const mutationsFew = 5000

// TestHostilePeers: whatever a peer sends is refused with Kafka's code or by closing its connection, costs little memory, panics
// nothing, and does not disturb the client beside it. `make hostile` is the full size.
func TestHostilePeers(t *testing.T) {
	troupe, dir := process.Troupe(binary, hostileAddr, hostileHTTP), filepath.Join(t.TempDir(), "data")
	settings := map[string]string{"listeners": "PLAINTEXT://" + hostileAddr + ",SASL_PLAINTEXT://" + hostileSASL}
	began := time.Now()
	b, err := process.Start(troupe, dir, settings)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		b.Kill()
		if t.Failed() {
			t.Logf("the broker's log ends:\n%s", b.Tail())
		}
	})
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute+time.Duration(mutations())*time.Millisecond)
	defer cancel()
	good := startBystander(ctx, t, hostileAddr)
	createVictim(t)
	before := b.RSS()
	wantEnd := endOf(t, victim)

	t.Run("unsent", hostileSilence)
	t.Run("frames", hostileFrames)
	t.Run("versions", hostileVersions)
	t.Run("counts", hostileCounts)
	t.Run("batches", hostileBatches)
	if got := endOf(t, victim); got != wantEnd {
		t.Errorf("refused batches moved the end of the log from %d to %d", wantEnd, got)
	}
	t.Run("compression", hostileCompression)
	t.Run("topics", hostileTopics)
	t.Run("fetches", hostileFetches)
	damage := b.RSS()
	t.Run("mutations", hostileMutations)
	t.Logf("%d damaged requests: memory %+d MiB", mutations(), (b.RSS()-damage)>>20)

	good.finish(t)
	grew := b.RSS() - before
	t.Logf("memory: %d MiB before, %d MiB more after", before>>20, grew>>20)
	if grew > growthMax {
		t.Errorf("the broker grew by %d MiB, want less than %d", grew>>20, growthMax>>20)
	}
	wantNoPanics(t, hostileHTTP)
	said, err := os.ReadFile(b.Log)
	most := logLinesMax * (1 + int(time.Since(began)/logPause))
	if lines := warnings(said); err != nil || lines > most {
		t.Errorf("%d warnings in the broker's log, want at most %d: peers can fill it (%v)", lines, most, err)
	}
	ends := []int64{endOf(t, victim), endOf(t, bystanderTopic)}
	b.Kill()
	if b, err = process.Start(troupe, dir, settings); err != nil {
		t.Fatalf("after what it was sent the broker does not start again: %v", err)
	}
	if got := []int64{endOf(t, victim), endOf(t, bystanderTopic)}; !slices.Equal(got, ends) {
		t.Errorf("logs end at %d after a kill and a restart, at %d before", got, ends)
	}
	wantNoPanics(t, hostileHTTP)
}

func createVictim(t *testing.T) {
	req := kmsg.NewPtrCreateTopicsRequest()
	req.SetVersion(4)
	topic := kmsg.NewCreateTopicsRequestTopic()
	topic.Topic, topic.NumPartitions, topic.ReplicationFactor = victim, 1, 1
	req.Topics, req.TimeoutMillis = append(req.Topics, topic), 10_000
	if got := mustSend[*kmsg.CreateTopicsResponse](dial(t, hostileAddr), req); got.Topics[0].ErrorCode != none {
		t.Fatalf("creating %s: %d", victim, got.Topics[0].ErrorCode)
	}
	wantProduced(t, produceOf(9, -1, goodBatch(t)), none)
}

// endOf is the end offset of partition 0. Right after a crash the broker asks to come back, until it has made durable what it found.
func endOf(t *testing.T, topic string) int64 {
	t.Helper()
	req := kmsg.NewPtrListOffsetsRequest()
	req.SetVersion(5)
	part := kmsg.NewListOffsetsRequestTopicPartition()
	part.Timestamp = -1
	req.Topics = []kmsg.ListOffsetsRequestTopic{{Topic: topic, Partitions: []kmsg.ListOffsetsRequestTopicPartition{part}}}
	for end := time.Now().Add(peerPatience); ; {
		got := mustSend[*kmsg.ListOffsetsResponse](dial(t, hostileAddr), req).Topics[0].Partitions[0]
		switch {
		case got.ErrorCode == none:
			return got.Offset
		case got.ErrorCode != offsetNotAvailable || time.Now().After(end):
			t.Fatalf("end of %s: code %d", topic, got.ErrorCode)
		}
	}
}

var panicsRow = regexp.MustCompile(`(?m)^(troupe_\w*panics\w*|troupe_actor_failures_total|troupe_partitions_offline) (\S+)$`)

// wantNoPanics reads what the broker says of itself. A partition that is being opened or deleted counts as offline for a moment.
func wantNoPanics(t *testing.T, addr string) {
	t.Helper()
	for end := time.Now().Add(peerPatience); ; {
		resp, err := http.Get("http://" + addr + "/metrics")
		if err != nil {
			t.Fatalf("the broker is gone: %v", err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		rows, bad := panicsRow.FindAllSubmatch(body, -1), []string{}
		for _, row := range rows {
			if string(row[2]) != "0" {
				bad = append(bad, string(row[0]))
			}
		}
		switch {
		case len(rows) != 3:
			t.Fatalf("%d rows about panics among the metrics, want 3", len(rows))
		case len(bad) == 0:
			return
		case time.Now().After(end):
			t.Fatal(bad)
		}
	}
}

// hostileSilence announces a frame of 100 MiB on 50 connections, sends the first few bytes, and keeps them open to the end.
func hostileSilence(t *testing.T) {
	for range 50 {
		p := dial(t, hostileAddr)
		p.write(append(i32(100<<20), rawRequest(0, 9, true)[4:]...))
	}
}

func hostileFrames(t *testing.T) {
	whole := frameOf(kmsg.NewPtrApiVersionsRequest())
	hello := append([]byte{0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xfc, 0x03, 0x03}, make([]byte, 506)...)
	for name, b := range map[string][]byte{
		"length -1":            append(i32(-1), whole...),
		"length -2^31":         append(i32(math.MinInt32), whole...),
		"length 2^31-1":        append(i32(math.MaxInt32), whole...),
		"length 100 MiB + 1":   i32(100<<20 + 1),
		"length 0":             i32(0),
		"length below header":  framed([]byte{0, 18, 0}),
		"length one too short": append(i32(int32(len(whole)-5)), append(whole[4:], make([]byte, 16)...)...),
		"client id too long":   framed(append(append(i16(18), i16(0)...), append(i32(1), i16(math.MaxInt16)...)...)),
		"client id below null": framed(append(append(i16(18), i16(0)...), append(i32(1), i16(-2)...)...)),
		"tags without end":     rawRequest(3, 12, false, bytes.Repeat([]byte{0xff}, 40)),
		"2^31 tags":            rawRequest(3, 12, false, encoding.AppendUvarint(nil, 1<<31)),
		"TLS ClientHello":      hello,
		"HTTP":                 []byte("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"),
		"SSH":                  []byte("SSH-2.0-OpenSSH_9.6\r\n"),
		"0xff":                 bytes.Repeat([]byte{0xff}, 4096),
	} {
		t.Run(name, func(t *testing.T) { mustClose(t, hostileAddr, b) })
	}
	full := frameOf(produceOf(9, -1, goodBatch(t)))
	t.Run("truncated", func(t *testing.T) {
		for n := 1; n < len(full); n += 7 {
			p := dial(t, hostileAddr)
			p.write(full[:n])
			_ = p.nc.(interface{ CloseWrite() error }).CloseWrite()
			if got, err := p.answer(); err != io.EOF {
				t.Fatalf("%d of %d bytes and the end: %d bytes answered, %v", n, len(full), len(got), err)
			}
			p.nc.Close()
		}
	})
}

func hostileVersions(t *testing.T) {
	for _, c := range []struct{ key, version int16 }{
		{9999, 0}, {-1, 0}, {math.MinInt16, 0}, {93, 0}, {4, 0}, {76, 1}, {0, 99}, {0, -1}, {1, 3}, {1, 99}, {3, 14}, {3, math.MinInt16}, {19, 1},
	} {
		t.Run(fmt.Sprintf("key %d version %d", c.key, c.version), func(t *testing.T) {
			mustClose(t, hostileAddr, rawRequest(c.key, c.version, true, make([]byte, 64)))
		})
	}
	for _, version := range []int16{99, math.MaxInt16, -1} {
		t.Run(fmt.Sprintf("ApiVersions v%d", version), func(t *testing.T) {
			p := dial(t, hostileAddr)
			p.write(rawRequest(18, version, true, []byte{2, 'x', 2, 'y', 0}))
			body, err := p.answer()
			want := append(i32(7), append(i16(unsupportedVersion), append(i32(1), 0, 18, 0, 0, 0, 4)...)...)
			if err != nil || !bytes.Equal(body, want) {
				t.Errorf("%x %v, want %x: version 0 with error 35 and the row of ApiVersions", body, err, want)
			}
			if got := mustSend[*kmsg.ApiVersionsResponse](p, kmsg.NewPtrApiVersionsRequest()); got.ErrorCode != none {
				t.Errorf("the next one on the same connection: %d", got.ErrorCode)
			}
		})
	}
	t.Run("a name that is none", func(t *testing.T) {
		req := kmsg.NewPtrApiVersionsRequest()
		req.SetVersion(3)
		req.ClientSoftwareName, req.ClientSoftwareVersion = "evil\r\nname", "1"
		if got := mustSend[*kmsg.ApiVersionsResponse](dial(t, hostileAddr), req); got.ErrorCode != invalidRequest {
			t.Errorf("code %d, want %d", got.ErrorCode, invalidRequest)
		}
	})
}

// hostileCounts announces more elements than there are bytes.
func hostileCounts(t *testing.T) {
	null, five := i16(-1), i32(5000)
	produce := [][]byte{null, i16(-1), five} // v3: transactional id, acks, timeout
	fetch := [][]byte{i32(-1), five, i32(1), i32(1 << 20), {0}}
	at := func(parts [][]byte, more ...[]byte) []byte {
		return bytes.Join(append(parts[:len(parts):len(parts)], more...), nil)
	}
	huge := encoding.AppendUvarint(nil, 1<<31)
	for name, b := range map[string][]byte{
		"Metadata compact":         rawRequest(3, 9, true, huge),
		"Fetch compact":            rawRequest(1, 12, true, at(fetch, i32(0), i32(-1), huge)),
		"CreateTopics compact":     rawRequest(19, 5, true, huge),
		"Produce compact":          rawRequest(0, 9, true, []byte{0}, i16(-1), five, huge),
		"Produce compact records":  rawRequest(0, 9, true, []byte{0}, i16(-1), five, []byte{2, 7}, []byte(victim)[:6], []byte{2}, i32(0), huge),
		"string of 2^31-1":         rawRequest(3, 9, true, []byte{2}, huge),
		"Metadata in a real frame": rawRequest(3, 1, false, i32(1_000_000), make([]byte, 100_000)),
	} {
		t.Run(name, func(t *testing.T) { mustClose(t, hostileAddr, b) })
	}
	for _, n := range []int32{math.MaxInt32, math.MinInt32, -2, 1 << 24, 2} {
		for name, b := range map[string][]byte{
			"Metadata":                 rawRequest(3, 1, false, i32(n)),
			"Produce":                  rawRequest(0, 3, false, at(produce, i32(n))),
			"Produce partitions":       rawRequest(0, 3, false, at(produce, i32(1), text(victim), i32(n))),
			"Produce records":          rawRequest(0, 3, false, at(produce, i32(1), text(victim), i32(1), i32(0), i32(n))),
			"Fetch":                    rawRequest(1, 4, false, at(fetch, i32(n))),
			"Fetch partitions":         rawRequest(1, 4, false, at(fetch, i32(1), text(victim), i32(n))),
			"CreateTopics":             rawRequest(19, 2, false, i32(n)),
			"CreateTopics assignments": rawRequest(19, 2, false, i32(1), text("x"), i32(-1), i16(-1), i32(n)),
			"CreateTopics brokers":     rawRequest(19, 2, false, i32(1), text("x"), i32(-1), i16(-1), i32(1), i32(0), i32(n)),
			"CreateTopics configs":     rawRequest(19, 2, false, i32(1), text("x"), i32(-1), i16(-1), i32(0), i32(n)),
			"ListOffsets":              rawRequest(2, 1, false, i32(-1), i32(n)),
			"DeleteTopics":             rawRequest(20, 1, false, i32(n)),
		} {
			t.Run(fmt.Sprintf("%s %d", name, n), func(t *testing.T) { mustClose(t, hostileAddr, b) })
		}
	}
	t.Run("two million empty names", func(t *testing.T) { // every one is there: 4 MiB that would become a hundred times as much
		p := dial(t, hostileAddr)
		p.write(rawRequest(3, 1, false, i32(2<<20), make([]byte, 4<<20)))
		if got, err := p.answer(); err != nil && err != io.EOF {
			t.Errorf("%d bytes, %v", len(got), err)
		}
	})
}

var badNames = []string{"", ".", "..", "a/b", "../../etc/passwd", "a\x00b", "%2e%2e", "naïve", "\xff\xfe", "a b", "a\r\nb", "a:b", `a\b`, strings.Repeat("n", 250)}

func hostileTopics(t *testing.T) {
	for _, name := range badNames {
		t.Run(fmt.Sprintf("create %.20q", name), func(t *testing.T) { wantCreated(t, name, 1, 1, invalidTopic) })
	}
	t.Run("249 characters", func(t *testing.T) { wantCreated(t, strings.Repeat("n", 249), 1, 1, none) })
	for _, c := range []struct {
		partitions int32
		factor     int16
		want       int16
	}{
		{0, 1, invalidPartitions}, {-2, 1, invalidPartitions}, {math.MinInt32, 1, invalidPartitions}, {math.MaxInt32, 1, policyViolation},
		{1_000_000, 1, policyViolation}, {1, 0, invalidReplication}, {1, -2, invalidReplication}, {1, math.MaxInt16, invalidReplication},
	} {
		t.Run(fmt.Sprintf("%d partitions %d times", c.partitions, c.factor), func(t *testing.T) {
			wantCreated(t, "numbers", c.partitions, c.factor, c.want)
		})
	}
	for _, version := range []int16{1, 4, 12} {
		req := kmsg.NewPtrMetadataRequest()
		req.SetVersion(version)
		req.AllowAutoTopicCreation = true
		for _, name := range badNames {
			topic := kmsg.NewMetadataRequestTopic()
			topic.Topic = &name
			req.Topics = append(req.Topics, topic)
		}
		got := mustSend[*kmsg.MetadataResponse](dial(t, hostileAddr), req)
		for _, topic := range got.Topics {
			if topic.ErrorCode != invalidTopic {
				t.Errorf("metadata v%d of %.20q: code %d, want %d", version, *topic.Topic, topic.ErrorCode, invalidTopic)
			}
		}
		if len(got.Topics) != len(badNames) {
			t.Errorf("metadata v%d: %d topics of %d", version, len(got.Topics), len(badNames))
		}
	}
}

func wantCreated(t *testing.T, name string, partitions int32, factor, want int16) {
	t.Helper()
	req := kmsg.NewPtrCreateTopicsRequest()
	req.SetVersion(7)
	topic := kmsg.NewCreateTopicsRequestTopic()
	topic.Topic, topic.NumPartitions, topic.ReplicationFactor = name, partitions, factor
	req.Topics, req.TimeoutMillis = append(req.Topics, topic), 5000
	if got := mustSend[*kmsg.CreateTopicsResponse](dial(t, hostileAddr), req); got.Topics[0].ErrorCode != want {
		t.Errorf("code %d, want %d", got.Topics[0].ErrorCode, want)
	}
}

func hostileFetches(t *testing.T) {
	end := endOf(t, victim)
	for _, c := range []struct {
		name string
		edit func(*kmsg.FetchRequest, *kmsg.FetchRequestTopicPartition)
		want int16
	}{
		{"offset -1", func(_ *kmsg.FetchRequest, p *kmsg.FetchRequestTopicPartition) { p.FetchOffset = -1 }, offsetOutOfRange},
		{"least offset", func(_ *kmsg.FetchRequest, p *kmsg.FetchRequestTopicPartition) { p.FetchOffset = math.MinInt64 }, offsetOutOfRange},
		{"behind the end", func(_ *kmsg.FetchRequest, p *kmsg.FetchRequestTopicPartition) { p.FetchOffset = end + 1 }, offsetOutOfRange},
		{"last offset there is", func(_ *kmsg.FetchRequest, p *kmsg.FetchRequestTopicPartition) { p.FetchOffset = math.MaxInt64 }, offsetOutOfRange},
		{"epoch of the future", func(_ *kmsg.FetchRequest, p *kmsg.FetchRequestTopicPartition) { p.CurrentLeaderEpoch = math.MaxInt32 }, unknownLeaderEpoch},
		{"partition 2^31-1", func(_ *kmsg.FetchRequest, p *kmsg.FetchRequestTopicPartition) { p.Partition = math.MaxInt32 }, unknownTopic},
		{"partition -1", func(_ *kmsg.FetchRequest, p *kmsg.FetchRequestTopicPartition) { p.Partition = -1 }, unknownTopic},
		{"negative sizes", func(r *kmsg.FetchRequest, p *kmsg.FetchRequestTopicPartition) {
			r.MaxBytes, r.MinBytes, p.PartitionMaxBytes = -1, -1, -1
		}, none},
		{"largest sizes", func(r *kmsg.FetchRequest, p *kmsg.FetchRequestTopicPartition) {
			r.MaxBytes, p.PartitionMaxBytes = math.MaxInt32, math.MaxInt32
		}, none},
		{"an unknown topic", func(r *kmsg.FetchRequest, _ *kmsg.FetchRequestTopicPartition) { r.Topics[0].Topic = "../victim" }, unknownTopic},
	} {
		t.Run(c.name, func(t *testing.T) {
			req := fetchOf(victim)
			c.edit(req, &req.Topics[0].Partitions[0])
			got := mustSend[*kmsg.FetchResponse](dial(t, hostileAddr), req)
			if code := got.Topics[0].Partitions[0].ErrorCode; code != c.want {
				t.Errorf("code %d, want %d", code, c.want)
			}
		})
	}
	t.Run("a session that is none", func(t *testing.T) {
		req := fetchOf(victim)
		req.SessionID, req.SessionEpoch = math.MaxInt32, 7
		if got := mustSend[*kmsg.FetchResponse](dial(t, hostileAddr), req); got.ErrorCode != fetchSessionNotFound {
			t.Errorf("code %d, want %d", got.ErrorCode, fetchSessionNotFound)
		}
	})
	t.Run("an id that is none", func(t *testing.T) {
		req := fetchOf("")
		req.SetVersion(13)
		req.Topics[0].TopicID = [16]byte{1}
		got := mustSend[*kmsg.FetchResponse](dial(t, hostileAddr), req)
		if code := got.Topics[0].Partitions[0].ErrorCode; code != unknownTopicIDCode {
			t.Errorf("code %d, want %d", code, unknownTopicIDCode)
		}
	})
}

// fetchOf reads partition 0 of the topic from offset 0, without waiting.
func fetchOf(topic string) *kmsg.FetchRequest {
	req := kmsg.NewPtrFetchRequest()
	req.SetVersion(11)
	req.ReplicaID, req.MaxWaitMillis, req.MinBytes, req.MaxBytes, req.SessionEpoch = -1, 0, 1, 1<<20, -1
	part := kmsg.NewFetchRequestTopicPartition()
	part.PartitionMaxBytes, part.CurrentLeaderEpoch, part.LogStartOffset = 1<<20, -1, -1
	t := kmsg.NewFetchRequestTopic()
	t.Topic, t.Partitions = topic, []kmsg.FetchRequestTopicPartition{part}
	req.Topics = append(req.Topics, t)
	return req
}

// hostileMutations sends requests with random damage, to a listener that lets everybody in and to one that wants a login, each on a connection
// of its own that says it will send no more: the broker answers or not, and closes.
func hostileMutations(t *testing.T) {
	const peers = 8
	corpus, began := mutationCorpus(t), time.Now()
	var all sync.WaitGroup
	for seed := range uint64(peers) {
		all.Go(func() {
			rng := rand.New(rand.NewPCG(1, seed))
			for range mutations() / peers {
				b := mutate(rng, corpus[rng.IntN(len(corpus))])
				if rng.IntN(10) > 0 { // else a wrong length, too
					encoding.BigEndian.PutUint32(b, uint32(len(b)-4))
				}
				if why := damaged([]string{hostileAddr, hostileSASL}[rng.IntN(2)], b); why != nil {
					t.Errorf("%v: %x", why, b)
					return
				}
			}
		})
	}
	all.Wait()
	t.Logf("%.0f damaged requests a second", float64(mutations())/time.Since(began).Seconds())
}

// damaged sends one of them, and waits for the end of the connection.
func damaged(addr string, b []byte) error {
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		return fmt.Errorf("the broker does not accept: %w", err)
	}
	defer nc.Close()
	_ = nc.SetDeadline(time.Now().Add(peerPatience))
	_, _ = nc.Write(b)
	_ = nc.(*net.TCPConn).CloseWrite()
	if _, err := io.Copy(io.Discard, nc); errors.Is(err, os.ErrDeadlineExceeded) {
		return fmt.Errorf("neither answered nor closed in %v", peerPatience)
	}
	return nil
}

// mutationCorpus is a request of every key and version that the broker says it serves, with one element in every array, and a few
// requests that go all the way to the log.
func mutationCorpus(t *testing.T) [][]byte {
	corpus := [][]byte{frameOf(produceOf(3, -1, goodBatch(t))), frameOf(produceOf(9, 1, goodBatch(t))), frameOf(fetchOf(victim))}
	served := mustSend[*kmsg.ApiVersionsResponse](dial(t, hostileAddr), kmsg.NewPtrApiVersionsRequest()).ApiKeys
	for _, row := range served {
		for version := row.MinVersion; version <= row.MaxVersion; version++ {
			req := kmsg.RequestForKey(row.ApiKey)
			fill(reflect.ValueOf(req).Elem(), goodBatch(t))
			if deletion, ok := req.(*kmsg.DeleteTopicsRequest); ok { // the others need the victim
				deletion.TopicNames, deletion.Topics[0].Topic = []string{"nobody"}, kmsg.StringPtr("nobody")
			}
			req.SetVersion(version)
			corpus = append(corpus, frameOf(req))
		}
	}
	if len(corpus) < 60 {
		t.Fatalf("%d requests to mutate: the broker serves too little for this to prove anything", len(corpus))
	}
	return corpus
}

// fill puts one element into every array of v, the name of the victim into every string and the batch into what holds records.
func fill(v reflect.Value, batch []byte) {
	switch {
	case v.Type() == reflect.TypeFor[kmsg.Tags]():
	case v.Kind() == reflect.Struct:
		for i := range v.NumField() {
			fill(v.Field(i), batch)
		}
	case v.Kind() == reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), batch)
	case v.Type() == reflect.TypeFor[[]byte]():
		v.SetBytes(batch)
	case v.Kind() == reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fill(v.Index(0), batch)
	case v.Kind() == reflect.String:
		v.SetString(victim)
	}
}

var interesting = []uint32{0, 1, 0x7f, 0x80, 0xff, 0x7fff, 0x8000, 0xffff, 0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff}

// mutate damages a copy of b in one to four places, behind its length.
func mutate(rng *rand.Rand, b []byte) []byte {
	b = bytes.Clone(b)
	for range 1 + rng.IntN(4) {
		at := 4 + rng.IntN(len(b)-4)
		switch rng.IntN(5) {
		case 0:
			b[at] ^= 1 << rng.IntN(8)
		case 1:
			b[at] = byte(rng.Uint32())
		case 2:
			if at+4 <= len(b) {
				encoding.BigEndian.PutUint32(b[at:], interesting[rng.IntN(len(interesting))])
			}
		case 3:
			b = append(b[:at:at], append(make([]byte, rng.IntN(9)), b[at:]...)...)
		case 4:
			if b = append(b[:at:at], b[min(len(b), at+rng.IntN(9)):]...); len(b) < 6 {
				b = append(b, 0, 18)
			}
		}
	}
	return b
}

// bystander is a good client that produces and consumes all the while.
type bystander struct {
	stop chan struct{}
	sent chan int // how many were acknowledged; closed early on failure
	read chan error
	slow time.Duration
	errs []error
	adr  string
}

const bystanderTopic = "bystander"

func startBystander(ctx context.Context, t *testing.T, addr string) *bystander {
	t.Helper()
	cl, err := kgo.NewClient(kgo.SeedBrokers(addr), kgo.DefaultProduceTopic(bystanderTopic), kgo.AllowAutoTopicCreation(), kgo.ProducerLinger(0),
		kgo.ConsumeTopics(bystanderTopic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cl.Close)
	if err := cl.ProduceSync(ctx, &kgo.Record{Value: line(0)}).FirstErr(); err != nil {
		t.Fatal(err)
	}
	b := &bystander{stop: make(chan struct{}), sent: make(chan int, 1), read: make(chan error, 1), adr: addr}
	go b.produce(ctx, cl)
	go b.consume(ctx, cl)
	return b
}

// produce sends one record after another, a few hundred a second.
func (b *bystander) produce(ctx context.Context, cl *kgo.Client) {
	pace := time.NewTicker(5 * time.Millisecond)
	defer pace.Stop()
	n := 1
	defer func() { b.sent <- n }()
	for {
		select {
		case <-b.stop:
			return
		case <-pace.C:
		}
		began := time.Now()
		r, err := cl.ProduceSync(ctx, &kgo.Record{Value: line(n)}).First()
		if err != nil || r.Offset != int64(n) {
			b.errs = append(b.errs, fmt.Errorf("record %d: offset %d, %w", n, r.Offset, err))
			return
		}
		b.slow = max(b.slow, time.Since(began))
		n++
	}
}

// consume reads and compares until it has as many records as were sent.
func (b *bystander) consume(ctx context.Context, cl *kgo.Client) {
	next, last := 0, math.MaxInt
	for next < last {
		poll, cancel := context.WithTimeout(ctx, 100*time.Millisecond)
		fetches := cl.PollFetches(poll)
		cancel()
		for _, e := range fetches.Errors() {
			if ctx.Err() != nil || e.Err != context.DeadlineExceeded {
				b.read <- fmt.Errorf("after %d records: %w", next, e.Err)
				return
			}
		}
		for r := range fetches.RecordsAll() {
			if r.Offset != int64(next) || !bytes.Equal(r.Value, line(next)) {
				b.read <- fmt.Errorf("offset %d, want %d, or another value", r.Offset, next)
				return
			}
			next++
		}
		select {
		case last = <-b.sent:
		default:
		}
	}
	b.read <- nil
}

// finish stops the client and demands that all it sent was acknowledged and read.
func (b *bystander) finish(t *testing.T) {
	t.Helper()
	close(b.stop)
	if err := <-b.read; err != nil {
		t.Errorf("the client beside read: %v", err)
	}
	for _, err := range b.errs {
		t.Errorf("the client beside sent: %v", err)
	}
	t.Logf("the client beside: %d records, the slowest acknowledged in %v", endOf(t, bystanderTopic), b.slow)
	if b.slow > 5*time.Second {
		t.Errorf("the client beside waited %v for an acknowledgement", b.slow)
	}
}
