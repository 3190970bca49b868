package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/troupe-broker/troupe/actors/protocol"
)

// complaints are what DumpLogSegments says about a file it does not like; it exits with 0 all the same.
var complaints = regexp.MustCompile(`(?i)mismatch|isvalid: false|exception|corrupt|could not|not found in|error|invalid`)

// dump stops the broker and lets DumpLogSegments read every file of a topic that ends in suffix, or of all topics if topic is empty.
func dump(j *tools, topic, suffix string, args ...string) (string, error) {
	if err := j.findFiles(); err != nil {
		return "", err
	}
	j.target.stop()
	var files []string
	for name, dirs := range j.dirs {
		if topic != "" && topic != name {
			continue
		}
		for _, dir := range dirs {
			found, err := filepath.Glob(filepath.Join(dir, "*"+suffix))
			if err != nil {
				return "", err
			}
			files = append(files, found...)
		}
	}
	if len(files) == 0 {
		return "", fmt.Errorf("the broker left no %s file of topic %q", suffix, topic)
	}
	slices.Sort(files)
	out, err := j.run("DumpLogSegments", append([]string{"--files", strings.Join(files, ",")}, args...)...)
	if err != nil {
		return "", err
	}
	if found := complaints.FindStringIndex(out); found != nil {
		return "", fmt.Errorf("a complaint about the %s files of %s:\n%s", suffix, topic, quote(out[:min(len(out), found[1]+quoteMax/2)]))
	}
	return out, nil
}

// findFiles asks the broker once, while it runs, which topics there are, and finds the directories of their partitions: Kafka calls
// them TOPIC-N, troupe ID-N, because a name can be deleted and made again.
func (j *tools) findFiles() error {
	if j.dirs != nil {
		return nil
	}
	cl, err := kgo.NewClient(kgo.SeedBrokers(j.target.addr))
	if err != nil {
		return err
	}
	defer cl.Close()
	topics, err := kadm.NewClient(cl).ListTopicsWithInternal(j.ctx)
	if err != nil {
		return err
	}
	j.dirs = map[string][]string{}
	for _, t := range topics {
		for _, name := range []string{t.Topic, protocol.TopicID(t.ID).String()} {
			for n := range len(t.Partitions) {
				dir := filepath.Join(j.target.data, fmt.Sprintf("%s-%d", name, n))
				if _, err := os.Stat(dir); err == nil {
					j.dirs[t.Topic] = append(j.dirs[t.Topic], dir)
				}
			}
		}
	}
	return nil
}

func dumpLogs(j *tools) error {
	out, err := dump(j, "console", ".log", "--print-data-log", "--deep-iteration")
	if err != nil {
		return err
	}
	if n := strings.Count(out, "payload: line "); n != 100 {
		return fmt.Errorf("%d of 100 records in the dump:\n%s", n, quote(out))
	}
	out, err = dump(j, "perf", ".log", "--deep-iteration")
	if err == nil {
		err = contains(out, "isvalid: true")
	}
	return err
}

func dumpIndexes(j *tools) error {
	for _, kind := range []string{"index", "timeindex", "txnindex"} {
		if kind == "txnindex" {
			if _, err := dump(j, "copy-out", "."+kind); err != nil {
				return err
			}
			continue
		}
		out, err := dump(j, "perf", "."+kind)
		if err != nil {
			return err
		}
		if err := contains(out, "offset: "); err != nil {
			return fmt.Errorf("%s: %w", kind, err)
		}
		if _, err := dump(j, "", "."+kind, "--verify-index-only"); err != nil {
			return err
		}
	}
	return nil
}

func dumpSnapshots(j *tools) error {
	out, err := dump(j, "perf", ".snapshot")
	if err == nil {
		err = contains(out, "producerId: ")
	}
	return err
}

func dumpInternal(j *tools, topic, decoder, want string) error {
	out, err := dump(j, topic, ".log", decoder, "--deep-iteration")
	if err == nil {
		err = contains(out, "isvalid: true", want)
	}
	return err
}
