package compat

import (
	"bytes"
	"context"
	encoding "encoding/binary"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/sasl/scram"

	"github.com/troupe-broker/troupe/actors/record"
	"github.com/troupe-broker/troupe/simulations/process"
)

// strangerEnv makes the test binary a crowd of strangers: "address count size bytes drip".
const strangerEnv = "TROUPE_STRANGERS"

// crowd is a number of connections that each announce a frame of size bytes, send some of it, and then a byte now and then. With size 0
// they say nothing. Whoever is turned away comes again.
type crowd struct {
	name  string
	count int
	size  int
	bytes int
	drip  time.Duration
}

// TestStrangersStopNobody: while crowds of strangers, in processes of their own, hold a SASL listener, a client of another listener
// produces, another one logs in by the same listener, topics are made, and no partition goes offline. At full size with STRANGERS=1, which
// multiplies the crowds by ten: 2,150 halves of frames of 520,000 bytes, 16,600 beginnings of 5 bytes, 20,200 that say nothing.
func TestStrangersStopNobody(t *testing.T) {
	if args := os.Getenv(strangerEnv); args != "" {
		loiter(t, args)
		return
	}
	scale, span := 1, 2*time.Second
	if os.Getenv("STRANGERS") != "" {
		scale, span = 10, 15*time.Second
	}
	const open, guarded, web = "127.0.0.1:20641", "127.0.0.1:20642", "127.0.0.1:20643"
	dir := filepath.Join(t.TempDir(), "data")
	b, err := process.Start(process.Troupe(binary, open, web), dir, map[string]string{
		"listeners": "PLAINTEXT://" + open + ",SASL_PLAINTEXT://" + guarded, "log.segment.bytes": strconv.Itoa(1 << 20),
	})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Stop()
	s := &siege{t: t, b: b, open: open, guarded: guarded, span: span}
	s.prepare()
	calm := s.produce(nil)
	idle := b.RSS()
	for _, c := range []crowd{
		{"halves of frames", 215 * scale, 520_000, 260_000, time.Second},
		{"beginnings of frames", 1660 * scale, 520_000, 5, 0},
		{"silence", 2020 * scale, 0, 0, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			s.t = t
			s.against(c, calm, idle)
		})
	}
}

// siege is a broker with crowds of strangers before it.
type siege struct {
	t             *testing.T
	b             *process.Broker
	open, guarded string
	span          time.Duration
	topics        int
}

func (s *siege) prepare() {
	s.t.Helper()
	client := s.client()
	defer client.Close()
	admin := kadm.NewClient(client)
	ctx, cancel := context.WithTimeout(s.t.Context(), 30*time.Second)
	defer cancel()
	if _, err := admin.CreateTopic(ctx, 4, 1, nil, "events"); err != nil {
		s.t.Fatal(err)
	}
	got, err := admin.AlterUserSCRAMs(ctx, nil, []kadm.UpsertSCRAM{{User: "alice", Mechanism: kadm.ScramSha256, Iterations: 4096, Password: "secret"}})
	if err != nil || got["alice"].Err != nil {
		s.t.Fatal(err, got)
	}
}

func (s *siege) client(more ...kgo.Opt) *kgo.Client {
	s.t.Helper()
	client, err := kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(s.open), kgo.DefaultProduceTopic("events"), kgo.ProducerLinger(0), kgo.RequestRetries(0)}, more...)...)
	if err != nil {
		s.t.Fatal(err)
	}
	return client
}

// produce sends records one after the other until done is closed, or 500 of them, and returns the 99th percentile of what they took.
func (s *siege) produce(done <-chan struct{}) time.Duration {
	client := s.client()
	defer client.Close()
	value, took := make([]byte, 10_000), []time.Duration(nil)
	for i := 0; ; i++ {
		select {
		case <-done:
			done = nil
			i = 500
		default:
		}
		if done == nil && i >= 500 {
			break
		}
		began := time.Now()
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		err := client.ProduceSync(ctx, kgo.SliceRecord(value)).FirstErr()
		cancel()
		if err != nil {
			s.t.Errorf("produce: %v", err)
			return 0
		}
		took = append(took, time.Since(began))
	}
	slices.Sort(took)
	return took[len(took)*99/100]
}

// login says who it is by the guarded listener and asks for topics.
func (s *siege) login() error {
	client, err := kgo.NewClient(kgo.SeedBrokers(s.guarded), kgo.SASL(scram.Auth{User: "alice", Pass: "secret"}.AsSha256Mechanism()), kgo.RequestRetries(3))
	if err != nil {
		return err
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	_, err = kadm.NewClient(client).ListTopics(ctx)
	return err
}

// against lets a crowd come for some seconds and looks what the others find meanwhile.
func (s *siege) against(c crowd, calm time.Duration, idle int64) {
	const halves = 2 // processes; one alone may not have so many descriptors
	var crowds []*exec.Cmd
	for range halves {
		cmd := exec.Command(os.Args[0], "-test.run", "^TestStrangersStopNobody$")
		cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%s %d %d %d %d", strangerEnv, s.guarded, c.count/halves, c.size, c.bytes, c.drip))
		cmd.Stderr = os.Stderr
		if err := cmd.Start(); err != nil {
			s.t.Fatal(err)
		}
		crowds = append(crowds, cmd)
	}
	done := make(chan struct{})
	var pace time.Duration
	var busy sync.WaitGroup
	busy.Go(func() { pace = s.produce(done) })
	peak, logins, worst := int64(0), 0, time.Duration(0)
	for end := time.Now().Add(s.span); time.Now().Before(end); logins++ {
		began := time.Now()
		if err := s.login(); err != nil {
			s.t.Errorf("login %d: %v", logins, err)
		}
		worst = max(worst, time.Since(began))
		peak = max(peak, s.b.RSS())
		if logins%5 == 0 {
			s.topic()
		}
	}
	close(done)
	busy.Wait()
	for _, cmd := range crowds {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}
	began := time.Now()
	if err := s.login(); err != nil || time.Since(began) > 5*time.Second {
		s.t.Errorf("after the attack a login takes %v: %v", time.Since(began), err)
	}
	s.online()
	s.t.Logf("%d strangers: produce p99 %v (calm %v), %d logins, the slowest %v, memory +%d MB", c.count, pace, calm, logins, worst, (peak-idle)>>20)
	if grown := peak - idle; grown > 300<<20 {
		s.t.Errorf("memory grew by %d MB", grown>>20)
	}
}

// topic makes a topic, which takes descriptors.
func (s *siege) topic() {
	client := s.client()
	defer client.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	s.topics++
	if _, err := kadm.NewClient(client).CreateTopic(ctx, 2, 1, nil, "t"+strconv.Itoa(s.topics)); err != nil {
		s.t.Errorf("topic %d: %v", s.topics, err)
	}
}

// online checks that every partition has a leader and takes a record.
func (s *siege) online() {
	s.t.Helper()
	client := s.client(kgo.RecordPartitioner(kgo.ManualPartitioner()))
	defer client.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	topics, err := kadm.NewClient(client).ListTopics(ctx)
	if err != nil {
		s.t.Fatal(err)
	}
	topics.EachPartition(func(p kadm.PartitionDetail) {
		r := &kgo.Record{Topic: p.Topic, Partition: p.Partition, Value: []byte("x")}
		if err := client.ProduceSync(ctx, r).FirstErr(); err != nil || p.Err != nil {
			s.t.Errorf("%s-%d: %v, %v", p.Topic, p.Partition, p.Err, err)
		}
	})
}

// loiter is the crowd.
func loiter(t *testing.T, args string) {
	f := strings.Fields(args)
	var n [4]int
	for i := range n {
		n[i], _ = strconv.Atoi(f[i+1])
	}
	c := crowd{count: n[0], size: n[1], bytes: n[2], drip: time.Duration(n[3])}
	end := time.Now().Add(60 * time.Second)
	var all sync.WaitGroup
	for range c.count {
		all.Go(func() {
			for time.Now().Before(end) {
				c.one(f[0], end)
				time.Sleep(3 * time.Second) // so as not to spend the machine, which the broker shares, on connecting
			}
		})
	}
	all.Wait()
}

// one is one stranger, until it is turned away.
func (c crowd) one(address string, end time.Time) {
	nc, err := net.DialTimeout("tcp", address, 5*time.Second)
	if err != nil {
		return
	}
	defer nc.Close()
	_ = nc.SetDeadline(end)
	if c.size > 0 {
		if _, err := nc.Write(append(encoding.BigEndian.AppendUint32(nil, uint32(c.size)), make([]byte, c.bytes)...)); err != nil {
			return
		}
	}
	if c.drip == 0 {
		_, _ = nc.Read(make([]byte, 1))
		return
	}
	for time.Sleep(c.drip); time.Now().Before(end); time.Sleep(c.drip) {
		if _, err := nc.Write([]byte{0}); err != nil {
			return
		}
	}
}

// TestWhoDoesNotReadStopsNobody: connections that ask for all topics, one request behind the other, and never read cost a bounded amount of
// memory, and others are served. STRANGERS=1 is the full size: 2,000 connections with 100 requests each, of 40,000 partitions.
func TestWhoDoesNotReadStopsNobody(t *testing.T) {
	conns, topics, span := 100, 8, 3*time.Second
	if os.Getenv("STRANGERS") != "" {
		conns, topics, span = 2000, 80, 20*time.Second
	}
	const open, guarded, web = "127.0.0.1:20644", "127.0.0.1:20645", "127.0.0.1:20646"
	b, err := process.Start(process.Troupe(binary, open, web), filepath.Join(t.TempDir(), "data"), map[string]string{
		"listeners": "PLAINTEXT://" + open + ",SASL_PLAINTEXT://" + guarded,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Stop()
	s := &siege{t: t, b: b, open: open, guarded: guarded}
	s.prepare()
	s.many(topics, 500)
	idle := b.RSS()
	ask := bytes.Repeat(frameOf(&kmsg.MetadataRequest{Version: 1}), 100)
	for range conns {
		nc, err := net.Dial("tcp", open)
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		_ = nc.SetDeadline(time.Now().Add(time.Minute))
		_, _ = nc.Write(ask)
	}
	done := make(chan struct{})
	var pace time.Duration
	var busy sync.WaitGroup
	busy.Go(func() { pace = s.produce(done) })
	peak, logins, worst := int64(0), 0, time.Duration(0)
	for end := time.Now().Add(span); time.Now().Before(end); logins++ {
		began := time.Now()
		if err := s.login(); err != nil {
			t.Errorf("login %d: %v", logins, err)
		}
		worst, peak = max(worst, time.Since(began)), max(peak, b.RSS())
	}
	close(done)
	busy.Wait()
	t.Logf("%d connections: produce p99 %v, %d logins and lists, the slowest %v, memory %d MB, +%d MB", conns, pace, logins, worst, peak>>20, (peak-idle)>>20)
	if peak-idle > 1<<30 {
		t.Errorf("memory grew by %d MB", (peak-idle)>>20)
	}
}

// many makes topics with so many partitions each.
func (s *siege) many(topics int, partitions int32) {
	s.t.Helper()
	client := s.client()
	defer client.Close()
	ctx, cancel := context.WithTimeout(s.t.Context(), 2*time.Minute)
	defer cancel()
	for i := range topics {
		if _, err := kadm.NewClient(client).CreateTopic(ctx, partitions, 1, nil, "many"+strconv.Itoa(i)); err != nil {
			s.t.Fatal(err)
		}
	}
}

// TestBombsStopNobody: batches of some KB that unpack to 60 MB, hundreds in a request, and questions for the youngest record of each of them,
// again and again, leave the processor and the memory to others, and end with the connections that sent them. STRANGERS=1 is the full size:
// 8 connections with 200 each.
func TestBombsStopNobody(t *testing.T) {
	conns, partitions, span := 2, 20, 3*time.Second
	if os.Getenv("STRANGERS") != "" {
		conns, partitions, span = 8, 200, 20*time.Second
	}
	const open, guarded, web = "127.0.0.1:20647", "127.0.0.1:20648", "127.0.0.1:20649"
	b, err := process.Start(process.Troupe(binary, open, web), filepath.Join(t.TempDir(), "data"), map[string]string{
		"listeners": "PLAINTEXT://" + open + ",SASL_PLAINTEXT://" + guarded, "num.partitions": strconv.Itoa(partitions),
	})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Stop()
	s := &siege{t: t, b: b, open: open, guarded: guarded}
	s.prepare()
	s.many(1, int32(partitions))
	produce, list := bombs(t, partitions)
	calm := s.produce(nil)
	idle, spent := b.RSS(), b.CPU()
	began := time.Now()
	for range conns {
		nc, err := net.Dial("tcp", open)
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		_ = nc.SetDeadline(time.Now().Add(2 * time.Minute))
		go func() { _, _ = nc.Write(append(produce, bytes.Repeat(list, 50)...)) }()
		time.AfterFunc(span, func() { _ = nc.Close() })
	}
	done := make(chan struct{})
	var pace time.Duration
	var busy sync.WaitGroup
	busy.Go(func() { pace = s.produce(done) })
	peak, logins, worst := int64(0), 0, time.Duration(0)
	for time.Since(began) < span {
		from := time.Now()
		if err := s.login(); err != nil {
			t.Errorf("login %d: %v", logins, err)
		}
		worst, peak, logins = max(worst, time.Since(from)), max(peak, b.RSS()), logins+1
	}
	close(done)
	busy.Wait()
	spent = b.CPU() - spent
	took, later := time.Since(began), b.CPU()
	time.Sleep(span / 2)
	t.Logf("%d connections with %d bombs each: produce p99 %v (calm %v), %d logins, the slowest %v, memory +%d MB, %.0f %% of a core; after they hung up %.0f %%", conns, partitions,
		pace, calm, logins, worst, (peak-idle)>>20, 100*spent.Seconds()/took.Seconds(), 100*(b.CPU()-later).Seconds()/(span/2).Seconds())
	if peak-idle > 300<<20 {
		t.Errorf("memory grew by %d MB", (peak-idle)>>20)
	}
	s.online()
}

// bombs are a request that puts a batch of 60 MB into every partition of many0, compressed to some KB, and one for the youngest records there.
func bombs(t *testing.T, partitions int) (produce, list []byte) {
	b := bomb(t, record.Zstd, 60<<20)
	p, l := kmsg.NewPtrProduceRequest(), kmsg.NewPtrListOffsetsRequest()
	p.Version, p.Acks, p.TimeoutMillis, l.Version = 9, 1, 60_000, 7
	parts, asked := kmsg.NewProduceRequestTopic(), kmsg.NewListOffsetsRequestTopic()
	parts.Topic, asked.Topic = "many0", "many0"
	for i := range int32(partitions) {
		part, ask := kmsg.NewProduceRequestTopicPartition(), kmsg.NewListOffsetsRequestTopicPartition()
		part.Partition, part.Records, ask.Partition, ask.Timestamp = i, b, i, -3
		parts.Partitions, asked.Partitions = append(parts.Partitions, part), append(asked.Partitions, ask)
	}
	p.Topics, l.Topics = append(p.Topics, parts), append(l.Topics, asked)
	return frameOf(p), frameOf(l)
}
