package node

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/troupe-broker/troupe/actors/env/osenv"
	"github.com/troupe-broker/troupe/actors/protocol"
	"github.com/troupe-broker/troupe/cluster/config"
)

// picture is everything of the trees below some directories that a start could change: names, modes, sizes, times, contents. The lock file is
// not in it: whoever holds the lock writes its process into it.
func picture(t *testing.T, roots ...string) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, root := range roots {
		err := filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
			if err != nil || e.Name() == lockName {
				return err
			}
			info, err := e.Info()
			if err != nil {
				return err
			}
			if e.IsDir() {
				out[path] = fmt.Sprint(info.Mode())
				return nil
			}
			b, err := os.ReadFile(path)
			out[path] = fmt.Sprintf("%v %d bytes of %v, %x", info.Mode(), info.Size(), info.ModTime(), sha256.Sum256(b))
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return out
}

// files writes files, by path below dir.
func files(t *testing.T, dir string, contents map[string]string) {
	t.Helper()
	for name, text := range contents {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

const kafkaMeta = "#\n#Tue Dec 01 00:00:00 UTC 2026\nnode.id=1\ndirectory.id=AAAAAAAAAAAAAAAAAAAAAQ\nversion=1\ncluster.id=4L6g3nShT-eMCtK--X86sw\n"

// kafkaDir is what a broker of Apache Kafka leaves.
func kafkaDir(more map[string]string) map[string]string {
	out := map[string]string{
		"meta.properties": kafkaMeta, ".kafka_cleanshutdown": `{"version":0,"brokerEpoch":5}`, "recovery-point-offset-checkpoint": "0\n1\norders 0 7\n",
		"log-start-offset-checkpoint": "0\n0\n", "replication-offset-checkpoint": "0\n1\norders 0 7\n", "cleaner-offset-checkpoint": "0\n0\n",
		"orders-0/00000000000000000000.log": "records", "orders-0/partition.metadata": "version: 0\ntopic_id: AAAAAAAAAAAAAAAAAAAABQ",
	}
	for name, text := range more {
		out[name] = text
	}
	return out
}

// refusalPort is the first of the ports of these tests.
const refusalPort = 20_710

func refusalConfig(t *testing.T, node int, dirs ...string) Config {
	t.Helper()
	b, err := config.NewBroker(config.Values{Static: config.Sort([]protocol.ConfigEntry{
		{Key: "listeners", Value: fmt.Sprintf("PLAINTEXT://127.0.0.1:%d", refusalPort)}, {Key: "http.listener", Value: fmt.Sprintf("127.0.0.1:%d", refusalPort+1)},
		{Key: "log.dirs", Value: strings.Join(dirs, ",")}, {Key: "node.id", Value: fmt.Sprint(node)},
	})})
	if err != nil {
		t.Fatal(err)
	}
	return Config{Settings: b}
}

// used is a directory that a node has worked in and left in good order.
func used(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "used")
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	n, err := Start(ctx, osenv.New(), refusalConfig(t, 1, dir))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := n.CreateTopics(ctx, []protocol.NewTopic{{Name: "events", Partitions: 2, ReplicationFactor: 1}}); err != nil {
		t.Fatal(err)
	}
	if err := n.Stop(ctx); err != nil {
		t.Fatal(err)
	}
	return dir
}

// damage overwrites some bytes in the middle of a file.
func damage(t *testing.T, name string) {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	for i := len(b) / 3; i < len(b)/3+20; i++ {
		b[i] ^= 0xff
	}
	if err := os.WriteFile(name, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

// Whatever the reason for which a node does not start, it says what is there and leaves the directories as they are.
func TestARefusedStartChangesNothing(t *testing.T) {
	ours, more, taken := used(t), used(t), used(t)
	held, _, err := openDirectories(osenv.New(), []string{taken}, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer closeDirectories(held)
	damaged, later, bare := used(t), used(t), used(t)
	segments, _ := filepath.Glob(filepath.Join(damaged, "__cluster_metadata-0", "*.log"))
	if len(segments) == 0 {
		t.Fatal("there is no metadata log")
	}
	damage(t, segments[0])
	meta, err := os.ReadFile(filepath.Join(later, "meta.properties"))
	if err != nil {
		t.Fatal(err)
	}
	files(t, later, map[string]string{"meta.properties": strings.Replace(string(meta), "troupe.format=1", "troupe.format=2", 1)})
	if err := os.Remove(filepath.Join(bare, "meta.properties")); err != nil {
		t.Fatal(err)
	}
	made := func(contents map[string]string) []string {
		dir := t.TempDir()
		files(t, dir, contents)
		return []string{dir}
	}
	plain := filepath.Join(t.TempDir(), "file")
	files(t, filepath.Dir(plain), map[string]string{"file": "no directory"})
	for _, c := range []struct {
		what string
		node int
		dirs []string
		is   error
		says string
	}{
		{"Kafka of KRaft", 1, made(kafkaDir(map[string]string{"bootstrap.checkpoint": "x", "__cluster_metadata-0/00000000000000000000.log": "records"})), ErrNotOurs, "data of an Apache Kafka broker (bootstrap.checkpoint, orders-0)"},
		{"Kafka with its metadata elsewhere", 1, made(kafkaDir(nil)), ErrNotOurs, "data of an Apache Kafka broker (orders-0)"},
		{"Kafka with ids for names", 1, made(kafkaDir(map[string]string{"my-application-events1-0/00000000000000000000.log": "records"})), ErrNotOurs, "Apache Kafka"},
		{"Kafka, formatted", 1, made(map[string]string{"meta.properties": kafkaMeta, "bootstrap.checkpoint": "x"}), ErrNotOurs, "Apache Kafka"},
		{"Kafka, formatted, its second directory", 1, made(map[string]string{"meta.properties": kafkaMeta}), ErrNotOurs, "formatted for Apache Kafka (cluster.id=4L6g3nShT-eMCtK--X86sw)"},
		{"Kafka with ZooKeeper", 1, made(kafkaDir(map[string]string{"meta.properties": "version=0\nbroker.id=1\ncluster.id=x\n"})), ErrNotOurs, "of before KRaft"},
		{"Kafka without an identity", 1, made(map[string]string{"orders-3.0123456789abcdef-delete/00000000000000000000.log": "x"}), ErrNotOurs, "without meta.properties"},
		{"somebody's files", 1, made(map[string]string{"thesis.txt": "x", "photos/cat.jpg": "x", ".bashrc": "x"}), ErrNotOurs, "it holds photos, thesis.txt"},
		{"a later version's", 1, []string{later}, ErrNotOurs, "a later one wrote it"},
		{"ours without an identity", 1, []string{bare}, ErrNotOurs, "meta.properties is missing"},
		{"a damaged identity", 1, made(map[string]string{"meta.properties": "version=1\n"}), nil, "meta.properties"},
		{"another node's", 7, []string{ours}, ErrForeign, "node.id is 1 there and 7"},
		{"two clusters'", 1, []string{ours, more}, ErrForeign, "cluster.id is"},
		{"ours and Kafka's", 1, append([]string{ours}, made(kafkaDir(nil))...), ErrNotOurs, "Apache Kafka"},
		{"Kafka's and ours", 1, append(made(kafkaDir(nil)), ours), ErrNotOurs, "Apache Kafka"},
		{"a file", 1, []string{plain}, nil, "not a directory"},
		{"in use", 1, []string{ours, taken}, nil, "cluster.id is"},
		{"in use alone", 1, []string{taken}, ErrLocked, taken},
		{"damaged metadata", 1, []string{damaged}, nil, "__cluster_metadata"},
	} {
		t.Run(c.what, func(t *testing.T) {
			before := picture(t, c.dirs...)
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			n, err := Start(ctx, osenv.New(), refusalConfig(t, c.node, c.dirs...))
			if err == nil {
				_ = n.Stop(ctx)
				t.Fatal("it starts")
			}
			if !strings.Contains(err.Error(), c.says) || c.is != nil && !errors.Is(err, c.is) {
				t.Errorf("it says %q, not %q", err, c.says)
			}
			same(t, before, picture(t, c.dirs...))
		})
	}
	for _, port := range []int{refusalPort, refusalPort + 1} {
		busy, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			t.Fatal(err)
		}
		before := picture(t, ours)
		var listen *ListenError
		if _, err := Start(t.Context(), osenv.New(), refusalConfig(t, 1, ours)); !errors.As(err, &listen) {
			t.Errorf("port %d in use: %v", port, err)
		}
		same(t, before, picture(t, ours))
		_ = busy.Close()
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	n, err := Start(ctx, osenv.New(), refusalConfig(t, 1, ours))
	if err != nil {
		t.Fatalf("after all these refusals it does not start: %v", err)
	}
	if err := n.Stop(ctx); err != nil {
		t.Error(err)
	}
}

func same(t *testing.T, before, after map[string]string) {
	t.Helper()
	for path, was := range before {
		if after[path] != was {
			t.Errorf("%s was %s and is %s", path, was, after[path])
		}
	}
	for path, is := range after {
		if _, ok := before[path]; !ok {
			t.Errorf("%s is new: %s", path, is)
		}
	}
}

// A directory with nothing in it but what a file system or a tool leaves there may be taken.
func TestDirectoriesThatAreAsGoodAsEmptyAreTaken(t *testing.T) {
	dir := t.TempDir()
	files(t, dir, map[string]string{"lost+found/.keep": "", ".gitkeep": "", ".lock": "17\n"})
	if id, err := opened(t, 1, dir); err != nil || id == "" {
		t.Error(err)
	}
}
