package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/troupe-broker/troupe/simulations/process"
)

const (
	rdVersion = "2.12.0"
	// rdPackage ships librdkafka whole, its tests included.
	rdPackage = "node-rdkafka@3.6.1"
)

func (s *rdSuite) needs() []need {
	needs := (&javaSuite{jars: s.jars}).needs()
	needs = append(needs, program("stdbuf", "apt-get install coreutils"), program("javac", "apt-get install openjdk-17-jdk-headless"),
		program("npm", "apt-get install npm"), program("make", "apt-get install make"), program("gcc", "apt-get install gcc"),
		program("g++", "apt-get install g++"), program("python3", "apt-get install python3"))
	for _, h := range [][2]string{{"openssl/ssl.h", "libssl-dev"}, {"zlib.h", "zlib1g-dev"}, {"zstd.h", "libzstd-dev"}, {"rapidjson/document.h", "rapidjson-dev"}} {
		needs = append(needs, need{what: "the header " + h[0], get: "apt-get install " + h[1], check: func() error {
			return exec.Command("g++", "-E", "-x", "c++", "-include", h[0], "-o", os.DevNull, os.DevNull).Run()
		}})
	}
	return needs
}

// rdPatches make the tests fit a broker that is alone (topics of one replica, not three) and Kafka 4's rule that a segment has at least
// 1 MiB (KIP-1030). A lone Apache Kafka 4.3.1 fails these tests as they are.
var rdPatches = []struct{ file, old, new string }{
	{"0098-consumer-txn.cpp", ", 3, 5000)", ", 1, 5000)"},
	{"0103-transactions.c", ", 3, 5000)", ", 1, 5000)"},
	{"0107-topic_recreate.c", ", 3, 5000)", ", 1, 5000)"},
	{"0111-delay_create_topics.cpp", "topic.c_str(), 1, 3)", "topic.c_str(), 1, 1)"},
	{"0129-fetch_aborted_msgs.c", `"segment.bytes", "20000"`, `"segment.bytes", "1048576"`},
	{"0077-compaction.c", "segment.bytes=10000 ", "segment.bytes=1048576 "},
	{"0077-compaction.c", "partition, 20, 1024)", "partition, 1100, 1024)"}, // what fills the last segment, so that it is rolled
}

// prepare fetches and builds the tests, once: a stamp beside them tells which version is ready. All modes share them.
func (s *rdSuite) prepare(ctx context.Context, dir string) (err error) {
	if s.jars, err = process.KafkaJars(ctx, s.jars, filepath.Join(filepath.Dir(dir), "java")); err != nil {
		return err
	}
	dir = filepath.Join(filepath.Dir(dir), "librdkafka")
	root := filepath.Join(dir, "node_modules", "node-rdkafka", "deps", "librdkafka")
	s.dir = filepath.Join(root, "tests")
	stamp, ready := filepath.Join(dir, "ready"), []byte(rdPackage+fmt.Sprint(rdPatches)+"\n")
	if got, err := os.ReadFile(stamp); err == nil && bytes.Equal(got, ready) {
		return nil
	}
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "package.json"), []byte("{\"name\": \"suite\", \"version\": \"1.0.0\"}\n"), 0o644); err != nil {
		return err
	}
	if err := build(ctx, dir, "npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", rdPackage); err != nil {
		return err
	}
	if err := rdPatch(s.dir); err != nil {
		return err
	}
	for _, step := range [][]string{
		{"./configure", "--disable-curl", "--disable-gssapi"}, {"make", "-j2", "libs"}, {"make", "-j2", "-C", "tests", "build"},
		{"make", "-C", "tests/java", "KAFKA_JARS=" + s.jars},
	} {
		if err := build(ctx, root, step[0], step[1:]...); err != nil {
			return err
		}
	}
	return os.WriteFile(stamp, ready, 0o644)
}

// rdPatch applies the patches. One that changes nothing is an error: the tests are not those it was made for.
func rdPatch(tests string) error {
	for _, p := range rdPatches {
		name := filepath.Join(tests, p.file)
		raw, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		if !bytes.Contains(raw, []byte(p.old)) {
			return fmt.Errorf("%s has no %q to replace", p.file, p.old)
		}
		if err := os.WriteFile(name, bytes.ReplaceAll(raw, []byte(p.old), []byte(p.new)), 0o644); err != nil {
			return err
		}
	}
	return nil
}

func build(ctx context.Context, dir, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s %s: %w\n%s", name, strings.Join(args, " "), err, quoteEnd(string(out)))
	}
	return nil
}
