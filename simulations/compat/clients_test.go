// Package compat drives the built binary with clients nobody here wrote and compares what comes back.
package compat

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/troupe-broker/troupe/simulations/process"
)

const addr = "127.0.0.1:21492"

var binary string

func TestMain(m *testing.M) {
	if os.Getenv(strangerEnv) != "" { // one of the crowds of TestStrangersStopNobody
		os.Exit(m.Run())
	}
	dir, err := os.MkdirTemp("", "troupe-compat-")
	if err == nil {
		binary, err = process.Build(dir)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

// start runs the binary on a fresh directory.
func start(t *testing.T, settings map[string]string) *process.Broker {
	t.Helper()
	b, err := process.Start(process.Troupe(binary, addr, "127.0.0.1:21493"), filepath.Join(t.TempDir(), "data"), settings)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		b.Stop()
		if t.Failed() {
			t.Logf("the broker's log ends:\n%s", b.Tail())
		}
	})
	return b
}

// records is how many each journey moves: COMPAT_RECORDS, default 20,000.
func records() int {
	if n, err := strconv.Atoi(os.Getenv("COMPAT_RECORDS")); err == nil {
		return n
	}
	return 20_000
}

func line(i int) []byte { return fmt.Appendf(nil, "record %09d %s", i, strings.Repeat("x", i%60)) }

var codecs = map[string]kgo.CompressionCodec{"none": kgo.NoCompression(), "gzip": kgo.GzipCompression(), "snappy": kgo.SnappyCompression(),
	"lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression()}

// TestFranzGoReadsWhatItWrote: idempotent, one partition, every compression; count, order and checksum equal, offsets dense.
func TestFranzGoReadsWhatItWrote(t *testing.T) {
	start(t, nil)
	for name, codec := range codecs {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
			defer cancel()
			topic := "franz-" + name
			cl, err := kgo.NewClient(kgo.SeedBrokers(addr), kgo.DefaultProduceTopic(topic), kgo.AllowAutoTopicCreation(), kgo.ProducerBatchCompression(codec))
			if err != nil {
				t.Fatal(err)
			}
			defer cl.Close()
			want, n := sha256.New(), records()
			for i := range n {
				v := line(i)
				want.Write(v)
				cl.Produce(ctx, &kgo.Record{Value: v}, func(r *kgo.Record, err error) {
					if err != nil || r.Offset != int64(i) {
						t.Errorf("record %d: offset %d, %v", i, r.Offset, err)
					}
				})
			}
			if err := cl.Flush(ctx); err != nil {
				t.Fatal(err)
			}
			if got := readAll(ctx, t, topic, n); hexSum(got) != hexSum(want) {
				t.Errorf("what was read is not what was written")
			}
		})
	}
}

// readAll reads n records of partition 0 and returns the hash of their values in order.
func readAll(ctx context.Context, t *testing.T, topic string, n int) hash.Hash {
	t.Helper()
	cl, err := kgo.NewClient(kgo.SeedBrokers(addr), kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	got, next := sha256.New(), int64(0)
	for next < int64(n) {
		fetches := cl.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			t.Fatalf("after %d records: %v", next, err)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			if r.Offset != next {
				t.Errorf("offset %d follows %d", r.Offset, next-1)
			}
			next = r.Offset + 1
			got.Write(r.Value)
		})
	}
	return got
}

func hexSum(h hash.Hash) string { return hex.EncodeToString(h.Sum(nil)) }

// TestReadByTimestamp: the offset for a time is that of the first record at or after it.
func TestReadByTimestamp(t *testing.T) {
	start(t, nil)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cl, err := kgo.NewClient(kgo.SeedBrokers(addr), kgo.DefaultProduceTopic("times"), kgo.AllowAutoTopicCreation())
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	const n, step = 5000, 10 * time.Millisecond
	begin := time.Now().Add(-time.Hour).Truncate(time.Second)
	for i := range n {
		cl.Produce(ctx, &kgo.Record{Value: line(i), Timestamp: begin.Add(time.Duration(i) * step)}, nil)
	}
	if err := cl.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	adm := kadm.NewClient(cl)
	for _, i := range []int{0, 1, 777, 2500, n - 1} {
		for _, before := range []time.Duration{0, time.Millisecond} {
			got, err := adm.ListOffsetsAfterMilli(ctx, begin.Add(time.Duration(i)*step-before).UnixMilli(), "times")
			if err != nil {
				t.Fatal(err)
			}
			if o, _ := got.Lookup("times", 0); o.Offset != int64(i) {
				t.Errorf("the first record at or after that of offset %d less %v: offset %d", i, before, o.Offset)
			}
		}
	}
}

// TestLargeRecords: 1,000,000 bytes pass, more than message.max.bytes is refused as MESSAGE_TOO_LARGE.
func TestLargeRecords(t *testing.T) {
	start(t, nil)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cl, err := kgo.NewClient(kgo.SeedBrokers(addr), kgo.DefaultProduceTopic("large"), kgo.AllowAutoTopicCreation(),
		kgo.ProducerBatchCompression(kgo.NoCompression()), kgo.ProducerBatchMaxBytes(8<<20))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	if err := cl.ProduceSync(ctx, &kgo.Record{Value: make([]byte, 1_000_000)}).FirstErr(); err != nil {
		t.Errorf("1,000,000 bytes: %v", err)
	}
	if err := cl.ProduceSync(ctx, &kgo.Record{Value: make([]byte, 1_048_588)}).FirstErr(); !errors.Is(err, kerr.MessageTooLarge) {
		t.Errorf("a batch over message.max.bytes: %v, want MESSAGE_TOO_LARGE", err)
	}
}

// TestKcat: list, produce with every codec and read back, through librdkafka. Fails, rather than skips, only where CI promises kcat.
func TestKcat(t *testing.T) {
	if _, err := exec.LookPath("kcat"); err != nil {
		if os.Getenv("COMPAT_REQUIRE") != "" {
			t.Fatal("kcat is not installed and COMPAT_REQUIRE is set")
		}
		t.Skip("NOT CHECKED: kcat is not installed on this machine")
	}
	start(t, nil)
	var input bytes.Buffer
	for i := range records() {
		input.Write(append(line(i), '\n'))
	}
	for codec := range codecs {
		topic := "kcat-" + codec
		kcat(t, input.Bytes(), "-P", "-t", topic, "-z", codec, "-X", "enable.idempotence=true")
		if got := kcat(t, nil, "-C", "-t", topic, "-o", "beginning", "-e", "-q"); !bytes.Equal(got, input.Bytes()) {
			t.Errorf("%s: %d bytes read, %d written, or another order", codec, len(got), input.Len())
		}
	}
	if got := kcat(t, nil, "-L"); !bytes.Contains(got, []byte(`topic "kcat-zstd" with 1 partitions`)) {
		t.Errorf("listing:\n%s", got)
	}
}

func kcat(t *testing.T, stdin []byte, args ...string) []byte {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "kcat", append([]string{"-b", addr}, args...)...)
	cmd.Stdin = bytes.NewReader(stdin)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("kcat %s: %v\n%s", strings.Join(args, " "), err, stderr.Bytes())
	}
	return out
}
