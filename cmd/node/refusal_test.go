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
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/troupe-broker/troupe/actors/env/osenv"
	"github.com/troupe-broker/troupe/actors/protocol"
	"github.com/troupe-broker/troupe/cluster/config"
	"github.com/troupe-broker/troupe/partition/storage"
)

// picture is everything of the trees below some directories that a start could change: names, modes, sizes, times, contents; also that there
// is nothing. Without locks the lock file is not in it: whoever takes the lock writes its process into it.
func picture(t *testing.T, locks bool, roots ...string) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, root := range roots {
		err := filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
			if path == root && (errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR)) {
				out[path] = "nothing"
				return nil
			}
			if err != nil || e.Name() == lockName && !locks {
				return err
			}
			info, err := e.Info()
			if err != nil {
				return err
			}
			if e.IsDir() {
				out[path] = fmt.Sprint(info.Mode(), " of ", info.ModTime())
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

func refusalConfig(t *testing.T, node int, dirs []string, more ...protocol.ConfigEntry) Config {
	t.Helper()
	b, err := config.NewBroker(config.Values{Static: config.Sort(append([]protocol.ConfigEntry{
		{Key: "listeners", Value: fmt.Sprintf("PLAINTEXT://127.0.0.1:%d", refusalPort)}, {Key: "http.listener", Value: fmt.Sprintf("127.0.0.1:%d", refusalPort+1)},
		{Key: "log.dirs", Value: strings.Join(dirs, ",")}, {Key: "node.id", Value: fmt.Sprint(node)},
	}, more...))})
	if err != nil {
		t.Fatal(err)
	}
	return Config{Settings: b}
}

// used is a directory that a node has worked in and left in good order, together with others.
func used(t *testing.T, others ...string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "used")
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	n, err := Start(ctx, osenv.New(), refusalConfig(t, 1, append([]string{dir}, others...)))
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

// only is the one file of a pattern.
func only(t *testing.T, pattern string) string {
	t.Helper()
	names, err := filepath.Glob(pattern)
	if err != nil || len(names) != 1 {
		t.Fatal(pattern, names, err)
	}
	return names[0]
}

func edit(t *testing.T, name string, change func(text string) string) {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(change(string(b))), 0o600); err != nil {
		t.Fatal(err)
	}
}

func remove(t *testing.T, name string) {
	t.Helper()
	if err := os.Remove(name); err != nil {
		t.Fatal(err)
	}
}

// damage overwrites some bytes in the middle of a file.
func damage(t *testing.T, name string) {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	for i := len(b) / 3; i < min(len(b)/3+20, len(b)); i++ {
		b[i] ^= 0xff
	}
	if err := os.WriteFile(name, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

// refusedStart is a start that must not succeed.
type refusedStart struct {
	what   string
	node   int
	dirs   []string
	is     error  // in the error, if not nil
	says   string // in its text
	locked bool   // it is found out only by whoever holds the directories: the process id in the lock file is its own
	more   []protocol.ConfigEntry
}

func foreignData(t *testing.T) []refusedStart {
	made := func(contents map[string]string) []string {
		dir := t.TempDir()
		files(t, dir, contents)
		return []string{dir}
	}
	ours, nowhere := used(t), filepath.Join(t.TempDir(), "not", "there")
	metadataElsewhere := map[string]string{"meta.properties": kafkaMeta, "__cluster_metadata-0/00000000000000000000-0000000000.checkpoint": "records"}
	return []refusedStart{
		{what: "Kafka of KRaft", dirs: made(kafkaDir(map[string]string{"bootstrap.checkpoint": "x", "__cluster_metadata-0/00000000000000000000.log": "records"})), is: ErrNotOurs, says: "data of an Apache Kafka broker (bootstrap.checkpoint, orders-0)"},
		{what: "Kafka with its metadata elsewhere", dirs: made(kafkaDir(nil)), is: ErrNotOurs, says: "data of an Apache Kafka broker (orders-0)"},
		{what: "Kafka with ids for names", dirs: made(kafkaDir(map[string]string{"my-application-events1-0/00000000000000000000.log": "records"})), is: ErrNotOurs, says: "Apache Kafka"},
		{what: "Kafka, formatted", dirs: made(map[string]string{"meta.properties": kafkaMeta, "bootstrap.checkpoint": "x"}), is: ErrNotOurs, says: "Apache Kafka"},
		{what: "Kafka, formatted for its metadata", dirs: made(metadataElsewhere), is: ErrNotOurs, says: "formatted for Apache Kafka"},
		{what: "Kafka, formatted, its second directory", dirs: made(map[string]string{"meta.properties": kafkaMeta}), is: ErrNotOurs, says: "formatted for Apache Kafka (cluster.id=4L6g3nShT-eMCtK--X86sw)"},
		{what: "Kafka with ZooKeeper", dirs: made(kafkaDir(map[string]string{"meta.properties": "version=0\nbroker.id=1\ncluster.id=x\n"})), is: ErrNotOurs, says: "of before KRaft"},
		{what: "Kafka without an identity", dirs: made(map[string]string{"orders-3.0123456789abcdef-delete/00000000000000000000.log": "x"}), is: ErrNotOurs, says: "without meta.properties"},
		{what: "somebody's files", dirs: made(map[string]string{"thesis.txt": "x", "photos/cat.jpg": "x", ".bashrc": "x"}), is: ErrNotOurs, says: "it holds photos, thesis.txt"},
		{what: "a database's", dirs: made(map[string]string{"PG_VERSION": "16", "base/1/112": "x", "postmaster.pid": "1"}), is: ErrNotOurs, says: "PG_VERSION"},
		{what: "ours and Kafka's", dirs: append([]string{ours}, made(kafkaDir(nil))...), is: ErrNotOurs, says: "Apache Kafka"},
		{what: "Kafka's and ours", dirs: append(made(kafkaDir(nil)), ours), is: ErrNotOurs, says: "Apache Kafka"},
		{what: "none yet and Kafka's", dirs: append([]string{nowhere}, made(kafkaDir(nil))...), is: ErrNotOurs, says: "Apache Kafka"},
	}
}

func otherNodesData(t *testing.T) []refusedStart {
	ours, more, later, bare, taken := used(t), used(t), used(t), used(t), used(t)
	held, _, err := openDirectories(osenv.New(), []string{taken}, 1)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = closeDirectories(held) })
	edit(t, filepath.Join(later, "meta.properties"), func(text string) string { return strings.Replace(text, "troupe.format=1", "troupe.format=2", 1) })
	remove(t, filepath.Join(bare, "meta.properties"))
	pair := used(t, filepath.Join(t.TempDir(), "second"))
	copied := filepath.Join(t.TempDir(), "second")
	copies := used(t, copied)
	for _, dir := range []string{copies, copied} {
		for n := range 2 {
			files(t, filepath.Join(dir, "AAAAAAAAAAAAAAAAAAAAAw-"+strconv.Itoa(n)), map[string]string{"00000000000000000000.log": ""})
		}
	}
	empty := t.TempDir()
	files(t, empty, map[string]string{"lost+found/.keep": ""})
	return []refusedStart{
		{what: "a later version's", dirs: []string{later}, is: ErrNotOurs, says: "a later one wrote it"},
		{what: "ours without an identity", dirs: []string{bare}, is: ErrNotOurs, says: "meta.properties is missing"},
		{what: "another node's", node: 7, dirs: []string{ours}, is: ErrForeign, says: "node.id is 1 there and 7"},
		{what: "two clusters'", dirs: []string{ours, more}, is: ErrForeign, says: "cluster.id is"},
		{what: "in use beside another cluster's", dirs: []string{ours, taken}, says: "cluster.id is"},
		{what: "in use", dirs: []string{taken}, is: ErrLocked, says: taken},
		{what: "a disk that is not mounted", dirs: []string{pair, empty}, is: ErrMissing, says: "second"},
		{what: "a disk that is not there", dirs: []string{pair, filepath.Join(empty, "none")}, is: ErrMissing, says: "is empty"},
		{what: "a partition twice", dirs: []string{copies, copied}, is: ErrTwice, says: "AAAAAAAAAAAAAAAAAAAAAw-0 is in two log directories"},
		{what: "a directory left out", dirs: []string{pair}, is: ErrMissing, says: "second"},
	}
}

func damagedData(t *testing.T) []refusedStart {
	plain := filepath.Join(t.TempDir(), "file")
	files(t, filepath.Dir(plain), map[string]string{"file": "no directory"})
	identity := t.TempDir()
	files(t, identity, map[string]string{"meta.properties": "version=1\n"})
	siblings, vote, log, snapshot := used(t), used(t), used(t), used(t)
	garble := func(text string) string { return "garbage" + text }
	edit(t, filepath.Join(siblings, "directories-checkpoint"), garble)
	edit(t, filepath.Join(vote, "__cluster_metadata-0", "quorum-state"), garble)
	damage(t, only(t, filepath.Join(log, "__cluster_metadata-0", "*.log")))
	damage(t, only(t, filepath.Join(snapshot, "__cluster_metadata-0", "*.checkpoint")))
	return []refusedStart{
		{what: "a damaged identity", dirs: []string{identity}, says: "meta.properties"},
		{what: "a damaged list of directories", dirs: []string{siblings}, says: "directories-checkpoint"},
		{what: "a file", dirs: []string{plain}, says: "not a directory"},
		{what: "a directory below a file", dirs: []string{filepath.Join(plain, "data")}, says: "not a directory"},
		{what: "damaged metadata", dirs: []string{log}, is: storage.ErrCorrupt, says: "__cluster_metadata", locked: true},
		{what: "a damaged vote", dirs: []string{vote}, is: storage.ErrCorrupt, says: "quorum-state", locked: true},
		{what: "a damaged snapshot of metadata", dirs: []string{snapshot}, is: storage.ErrCorrupt, says: "snapshot", locked: true},
	}
}

func badListeners(t *testing.T) []refusedStart {
	ours := used(t)
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = busy.Close() })
	set := func(key, value string) []protocol.ConfigEntry {
		return []protocol.ConfigEntry{{Key: key, Value: value}}
	}
	return []refusedStart{
		{what: "port in use", dirs: []string{ours}, more: set("listeners", "PLAINTEXT://"+busy.Addr().String()), says: "in use"},
		{what: "HTTP port in use", dirs: []string{ours}, more: set("http.listener", busy.Addr().String()), says: "in use"},
		{what: "an address of another machine", dirs: []string{ours}, more: set("listeners", "PLAINTEXT://192.0.2.1:9092"), says: "192.0.2.1"},
		{what: "a port in use and no data yet", dirs: []string{filepath.Join(t.TempDir(), "none")}, more: set("listeners", "PLAINTEXT://"+busy.Addr().String()), says: "in use"},
	}
}

// Whatever the reason for which a node does not start, it says what is there and leaves the directories as they are.
func TestARefusedStartChangesNothing(t *testing.T) {
	for _, c := range slices.Concat(foreignData(t), otherNodesData(t), damagedData(t), badListeners(t)) {
		t.Run(c.what, func(t *testing.T) {
			before := picture(t, !c.locked, c.dirs...)
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			n, err := Start(ctx, osenv.New(), refusalConfig(t, max(c.node, 1), c.dirs, c.more...))
			if err == nil {
				_ = n.Stop(ctx)
				t.Fatal("it starts")
			}
			if !strings.Contains(err.Error(), c.says) || c.is != nil && !errors.Is(err, c.is) {
				t.Errorf("it says %q, not %q", err, c.says)
			}
			same(t, before, picture(t, !c.locked, c.dirs...))
		})
	}
}

// What was refused once starts when the reason is gone, and what was not there still is not: a directory that is given up on purpose.
func TestRefusalsLeaveAWayOn(t *testing.T) {
	second := filepath.Join(t.TempDir(), "second")
	first := used(t, second)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	start := func(dirs ...string) error {
		n, err := Start(ctx, osenv.New(), refusalConfig(t, 1, dirs))
		if err != nil {
			return err
		}
		return n.Stop(ctx)
	}
	if err := start(first); !errors.Is(err, ErrMissing) {
		t.Fatal(err)
	}
	if err := start(second, first); err != nil {
		t.Errorf("with both, in another order: %v", err)
	}
	edit(t, filepath.Join(first, "directories-checkpoint"), func(text string) string {
		return strings.Join(slices.DeleteFunc(strings.SplitAfter(text, "\n"), func(line string) bool { return strings.Contains(line, second) }), "")
	})
	if err := start(first, filepath.Join(t.TempDir(), "third")); err != nil {
		t.Errorf("one given up, a new one: %v", err)
	}
}

// The builds before there was a troupe.format wrote these files, and nothing else that is not Kafka's too.
func TestDirectoriesOfTheBuildsBeforeAreTaken(t *testing.T) {
	dir, metadata := t.TempDir(), t.TempDir()
	for path, id := range map[string]string{dir: "AAAAAAAAAAAAAAAAAAAAAQ", metadata: "AAAAAAAAAAAAAAAAAAAAAg"} {
		files(t, path, map[string]string{"meta.properties": "cluster.id=4L6g3nShT-eMCtK--X86sw\ndirectory.id=" + id + "\nnode.id=1\nversion=1\n", ".lock": "17\n"})
	}
	files(t, metadata, map[string]string{"__cluster_metadata-0/quorum-state": "{}"})
	if id, err := opened(t, 1, dir, metadata); err != nil || id != "4L6g3nShT-eMCtK--X86sw" {
		t.Error(id, err)
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
