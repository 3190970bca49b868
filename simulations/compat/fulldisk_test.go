package compat

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/troupe-broker/troupe/simulations/process"
)

const (
	fullAddr = "127.0.0.1:21694"
	fullHTTP = "127.0.0.1:21695"
	fullSize = 24 << 20 // bytes of the file system
)

// volume is a small file system of its own, in a mount namespace that a process of ours keeps. It is gone with that process.
type volume struct {
	keeper *exec.Cmd
	dir    string // as seen inside
}

// newVolume mounts a tmpfs, or skips the test where this machine forbids it.
func newVolume(t *testing.T, size int) *volume {
	t.Helper()
	dir := t.TempDir()
	keeper := exec.Command("unshare", "--user", "--map-root-user", "--mount", "sh", "-c",
		`mount -t tmpfs -o size="$1" none "$2" && echo mounted && exec cat`, "sh", strconv.Itoa(size), dir)
	stdin, err := keeper.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := keeper.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var stderr bytes.Buffer
	keeper.Stderr = &stderr
	const skipped = "NOT CHECKED ON THIS MACHINE: what a full disk does to the real binary (refusal, nothing acknowledged lost, recovery, restart): "
	if err := keeper.Start(); err != nil {
		t.Skip(skipped, err)
	}
	t.Cleanup(func() { stdin.Close(); _ = keeper.Wait() })
	if said, _ := io.ReadAll(io.LimitReader(stdout, int64(len("mounted\n")))); string(said) != "mounted\n" {
		stdin.Close()
		_ = keeper.Wait()
		t.Skip(skipped, stderr.String())
	}
	return &volume{keeper: keeper, dir: dir}
}

// path is where the file name of the volume is seen from outside.
func (v *volume) path(name string) string {
	return filepath.Join("/proc", strconv.Itoa(v.keeper.Process.Pid), "root", v.dir, name)
}

// subject is a broker whose data is in the volume; the directory it is given only takes its log.
func (v *volume) subject() process.Subject {
	return process.Subject{Name: "troupe", Addr: fullAddr, Command: func(_ string, settings map[string]string) (*exec.Cmd, error) {
		inner, err := process.Troupe(binary, fullAddr, fullHTTP).Command(filepath.Join(v.dir, "data"), settings)
		if err != nil {
			return nil, err
		}
		enter := []string{"--target", strconv.Itoa(v.keeper.Process.Pid), "--user", "--preserve-credentials", "--mount"}
		return exec.Command("nsenter", append(enter, inner.Args...)...), nil
	}}
}

// fill writes size bytes into a file of that name, or as many as there is room for.
func (v *volume) fill(t *testing.T, name string, size int) {
	t.Helper()
	f, err := os.Create(v.path(name))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	page := make([]byte, 4096)
	for n := 0; n < size && err == nil; n += len(page) {
		_, err = f.Write(page)
	}
	if err != nil && !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
}

// TestFullDisk: a full disk refuses what does not fit with an error and keeps everything acknowledged; the broker serves readers on, and
// writes again once there is space. Restarted with a little room it serves; with none at all it cannot vote, says so, waits, and
// serves as soon as there is space. docs/promises.md, "Damage".
func TestFullDisk(t *testing.T) {
	v := newVolume(t, fullSize)
	out := filepath.Join(t.TempDir(), "out")
	settings := map[string]string{"log.segment.bytes": strconv.Itoa(1 << 20)}
	var b *process.Broker
	start := func() {
		t.Helper()
		again, err := process.Start(v.subject(), out, settings)
		if err != nil {
			t.Fatal(err)
		}
		b = again
	}
	start()
	t.Cleanup(func() {
		b.Kill()
		if t.Failed() {
			t.Logf("the broker's log ends:\n%s", b.Tail())
		}
	})
	v.fill(t, "ballast", fullSize/2)
	v.fill(t, "room", 64<<10)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()

	w := &fullWriter{t: t, acked: map[int64]int{}}
	w.untilRefused(ctx)
	w.wantAll(ctx, "while the disk is full")
	b.Kill()
	if err := os.Remove(v.path("room")); err != nil { // to vote; the log may have taken the last byte
		t.Fatal(err)
	}
	start()
	w.wantAll(ctx, "after kill -9 and a restart on the full disk")
	w.untilRefused(ctx)
	v.fill(t, "crumbs", fullSize)
	w.wantAll(ctx, "with no byte left")
	inVain := w.createTopic("one-more")
	t.Logf("a topic created with no byte left: code %d", inVain)
	w.untilRefused(ctx)
	b.Stop()
	said, err := os.ReadFile(b.Log)
	if err != nil {
		t.Fatal(err)
	}
	freed := make(chan error, 1)
	go func() { freed <- v.freeOnceWaiting(b.Log, len(said)) }()
	start()
	if err := <-freed; err != nil {
		t.Fatal(err)
	}
	for range 20 {
		if err := w.write(ctx); err != nil {
			t.Fatalf("after space was freed: %v", err)
		}
	}
	w.wantAll(ctx, "after space was freed")
	if code := w.createTopic("one-more"); (code == topicExists) != (inVain == none) || code != none && code != topicExists {
		t.Errorf("the topic again, after space was freed: code %d", code)
	}
	b.Kill()
	start()
	w.wantAll(ctx, "after kill -9 and a last restart")
	wantNoPanics(t, fullHTTP)
	t.Logf("%d records acknowledged, %d refused", len(w.acked), w.refused)
}

// TestReservedBlocksDoNotFillADisk: a log that reserves blocks ahead would leave other logs, and the broker's checkpoints, without room on
// a disk that is not full of anything.
func TestReservedBlocksDoNotFillADisk(t *testing.T) {
	v := newVolume(t, fullSize)
	b, err := process.Start(v.subject(), filepath.Join(t.TempDir(), "out"), map[string]string{"log.segment.bytes": strconv.Itoa(fullSize)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Kill)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	w := &fullWriter{t: t, acked: map[int64]int{}}
	for range 50 {
		if err := w.write(ctx); err != nil {
			t.Fatal(err)
		}
	}
	logs, err := filepath.Glob(v.path("data/*/*.log"))
	if err != nil || len(logs) == 0 {
		t.Fatal(logs, err)
	}
	written := int64(0)
	for _, name := range logs {
		var st syscall.Stat_t
		if err := syscall.Stat(name, &st); err != nil {
			t.Fatal(err)
		}
		written += st.Size
		if taken := st.Blocks * 512; taken > st.Size+64<<10 {
			t.Errorf("%s takes %d bytes of the disk and has %d", filepath.Base(filepath.Dir(name)), taken, st.Size)
		}
	}
	if written < int64(50*len(fullValue(0))) {
		t.Errorf("only %d bytes found", written)
	}
}

// TestRetentionFreesAFullDisk: the space comes with the next look of retention, not with a flush or a checkpoint that may need some itself.
func TestRetentionFreesAFullDisk(t *testing.T) {
	v := newVolume(t, fullSize)
	b, err := process.Start(v.subject(), filepath.Join(t.TempDir(), "out"), map[string]string{"log.segment.bytes": strconv.Itoa(1 << 20),
		"log.retention.check.interval.ms": "500", "log.flush.offset.checkpoint.interval.ms": strconv.Itoa(int(time.Hour / time.Millisecond))})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		b.Kill()
		if t.Failed() {
			t.Logf("the broker's log ends:\n%s", b.Tail())
		}
	})
	v.fill(t, "room", 64<<10) // for the metadata log
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	w := &fullWriter{t: t, acked: map[int64]int{}}
	w.untilRefused(ctx)
	w.untilRefused(ctx)
	if err := os.Remove(v.path("room")); err != nil {
		t.Fatal(err)
	}
	retention := "4000000"
	admin := kadm.NewClient(w.client())
	if _, err := admin.AlterTopicConfigs(ctx, []kadm.AlterConfig{{Op: kadm.SetConfig, Name: "retention.bytes", Value: &retention}}, "full"); err != nil {
		t.Fatal(err)
	}
	v.fill(t, "crumbs", 64<<10) // again there is no byte left, unless retention was faster
	for began := time.Now(); v.free(t) < fullSize/2; time.Sleep(10 * time.Millisecond) {
		if time.Since(began) > 30*time.Second {
			t.Fatalf("%d bytes are free", v.free(t))
		}
	}
	for range 20 {
		if err := w.write(ctx); err != nil {
			t.Fatalf("after retention made room: %v", err)
		}
	}
	b.Kill()
	if b, err = process.Start(v.subject(), filepath.Join(t.TempDir(), "again"), nil); err != nil {
		t.Fatal(err)
	}
	if start, err := kadm.NewClient(w.client()).ListStartOffsets(ctx, "full"); err != nil || start["full"][0].Offset == 0 {
		t.Errorf("after kill -9 the log begins at %v: %v", start, err)
	}
	wantNoPanics(t, fullHTTP)
}

// free is how many bytes of the volume are.
func (v *volume) free(t *testing.T) int64 {
	t.Helper()
	var st syscall.Statfs_t
	if err := syscall.Statfs(v.path(""), &st); err != nil {
		t.Fatal(err)
	}
	return int64(st.Bavail) * st.Bsize
}

// freeOnceWaiting removes what fills the disk as soon as the broker says, behind the first so many bytes of its log, that it waits for that.
func (v *volume) freeOnceWaiting(log string, before int) error {
	for end := time.Now().Add(peerPatience); ; time.Sleep(5 * time.Millisecond) {
		said, err := os.ReadFile(log)
		if err != nil {
			return err
		}
		if bytes.Contains(said[before:], []byte("no space left")) {
			return errors.Join(os.Remove(v.path("ballast")), os.Remove(v.path("crumbs")))
		}
		if time.Now().After(end) {
			return errors.New("a broker started with no byte left does not say that it waits for space")
		}
	}
}

// fullWriter writes records of 100 KB one by one and knows which were acknowledged.
type fullWriter struct {
	t       *testing.T
	n       int
	acked   map[int64]int // record by offset
	refused int
}

func fullValue(n int) []byte { return bytes.Repeat(fmt.Appendf(nil, "record %09d ", n), 6000) }

func (w *fullWriter) client(opts ...kgo.Opt) *kgo.Client {
	w.t.Helper()
	cl, err := kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(fullAddr), kgo.AllowAutoTopicCreation(), kgo.ProducerBatchCompression(kgo.NoCompression())}, opts...)...)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(cl.Close)
	return cl
}

// write sends one record with a client of its own, so that nothing of an earlier refusal is retried in its name.
func (w *fullWriter) write(ctx context.Context) error {
	cl := w.client(kgo.DefaultProduceTopic("full"), kgo.RecordRetries(0), kgo.DisableIdempotentWrite(), kgo.ProduceRequestTimeout(2*time.Second))
	defer cl.Close()
	n := w.n
	w.n++
	r, err := cl.ProduceSync(ctx, &kgo.Record{Value: fullValue(n)}).First()
	if err == nil {
		w.acked[r.Offset] = n
	}
	return err
}

// untilRefused fills the disk.
func (w *fullWriter) untilRefused(ctx context.Context) {
	w.t.Helper()
	for range 2 * fullSize / len(fullValue(0)) {
		err := w.write(ctx)
		if errors.Is(err, context.DeadlineExceeded) {
			w.t.Fatalf("a full disk was met with silence: %v", err)
		}
		if err != nil {
			w.refused++
			w.t.Logf("after %d acknowledged records: %v", len(w.acked), err)
			return
		}
	}
	w.t.Fatal("more was acknowledged than the disk can hold")
}

// createTopic asks for a topic and reports the code. A full disk may refuse it, but not with silence.
func (w *fullWriter) createTopic(name string) int16 {
	w.t.Helper()
	req := kmsg.NewPtrCreateTopicsRequest()
	req.SetVersion(7)
	topic := kmsg.NewCreateTopicsRequestTopic()
	topic.Topic, topic.NumPartitions, topic.ReplicationFactor = name, 1, 1
	req.Topics, req.TimeoutMillis = append(req.Topics, topic), 3000
	return mustSend[*kmsg.CreateTopicsResponse](dial(w.t, fullAddr), req).Topics[0].ErrorCode
}

// wantAll reads the topic and demands every acknowledged record at its offset; others may be there.
func (w *fullWriter) wantAll(ctx context.Context, when string) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	cl := w.client(kgo.ConsumeTopics("full"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	defer cl.Close()
	found := 0
	for found < len(w.acked) {
		fetches := cl.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			w.t.Fatalf("%s, after %d of %d acknowledged records: %v", when, found, len(w.acked), err)
		}
		for r := range fetches.RecordsAll() {
			n, ok := w.acked[r.Offset]
			if ok && !bytes.Equal(r.Value, fullValue(n)) {
				w.t.Fatalf("%s: offset %d is not record %d", when, r.Offset, n)
			}
			if ok {
				found++
			}
		}
	}
}
