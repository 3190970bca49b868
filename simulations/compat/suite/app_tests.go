package main

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kadm"
)

const (
	// appRecords are written by every test: half of them before the broker is killed.
	appRecords = 4000
	// Names that the example has in its source.
	wordsIn, wordsOut = "streams-plaintext-input", "streams-wordcount-output"
)

// appTests run in this order against one broker, each with topics and groups of its own.
var appTests = []struct {
	name string
	run  func(*apps) error
}{{"Streams", wordCount}, {"Connect", connectFiles}, {"MirrorMaker", mirrorMaker}}

// create makes a topic with one partition, so that there is one order.
func (a *apps) create(topics ...string) error {
	_, err := kadm.NewClient(a.client).CreateTopics(a.ctx, 1, 1, nil, topics...)
	return err
}

// wordCount counts words by Streams' example, with a state store, its changelog and a repartition topic.
func wordCount(a *apps) error {
	if err := a.create(wordsIn, wordsOut); err != nil {
		return err
	}
	if err := a.start("org.apache.kafka.streams.examples.wordcount.WordCountDemo", bootstrapProperty+a.addr, "processing.guarantee=exactly_once_v2",
		"commit.interval.ms=100", "state.dir="+filepath.Join(a.work, "streams")); err != nil {
		return err
	}
	var lines []string
	want := map[string]int64{}
	for i := range appRecords {
		one, two := fmt.Sprintf("word%d", i%50), fmt.Sprintf("name%d", i*7%90)
		lines = append(lines, one+" "+two)
		want[one]++
		want[two]++
	}
	out, err := a.reader(wordsOut)
	if err != nil {
		return err
	}
	defer out.client.Close()
	if err := a.write(wordsIn, lines[:appRecords/2]...); err != nil {
		return err
	}
	if err := a.until("the first counts", func() error { return some(len(out.more(a.ctx))) }); err != nil {
		return err
	}
	if err := a.crash(); err != nil {
		return err
	}
	if err := a.write(wordsIn, lines[appRecords/2:]...); err != nil {
		return err
	}
	if err := a.until("the last counts", func() error {
		got := map[string]int64{}
		for _, r := range out.more(a.ctx) {
			got[string(r.Key)] = int64(binary.BigEndian.Uint64(r.Value))
		}
		if !maps.Equal(got, want) {
			return fmt.Errorf("%d words are counted, not all %d as often as they came", len(got), len(want))
		}
		return nil
	}); err != nil {
		return err
	}
	seen := map[string]int64{}
	for _, r := range out.got {
		n := int64(binary.BigEndian.Uint64(r.Value))
		if n <= seen[string(r.Key)] {
			return fmt.Errorf("%s was counted %d times, and then %d", r.Key, seen[string(r.Key)], n)
		}
		seen[string(r.Key)] = n
	}
	return nil
}

func some(n int) error {
	if n == 0 {
		return fmt.Errorf("there are none")
	}
	return nil
}

const (
	bootstrapProperty = "bootstrap.servers="
	stringConverters  = "key.converter=org.apache.kafka.connect.storage.StringConverter\nvalue.converter=org.apache.kafka.connect.storage.StringConverter"
)

// connectFiles has a distributed worker of Connect copy a file into a topic, exactly once, and the topic into a file.
func connectFiles(a *apps) error {
	in, out := filepath.Join(a.work, "in.txt"), filepath.Join(a.work, "out.txt")
	lines := numbered(appRecords)
	if err := os.WriteFile(in, []byte(strings.Join(lines[:appRecords/2], "\n")+"\n"), 0o644); err != nil {
		return err
	}
	properties := []string{bootstrapProperty + a.addr, "group.id=connect", stringConverters, "exactly.once.source.support=enabled", "listeners=http://" + a.suite.rest,
		"plugin.path=" + a.suite.jars, "plugin.discovery=service_load", "offset.flush.interval.ms=500"}
	for _, topic := range []string{"offset", "config", "status"} {
		properties = append(properties, topic+".storage.topic=connect-"+topic, topic+".storage.replication.factor=1")
	}
	if err := a.start("org.apache.kafka.connect.cli.ConnectDistributed", properties...); err != nil {
		return err
	}
	for _, c := range []map[string]string{
		{"name": "source", "connector.class": "org.apache.kafka.connect.file.FileStreamSourceConnector", "file": in, "topic": "lines", "exactly.once.support": "requested"},
		{"name": "sink", "connector.class": "org.apache.kafka.connect.file.FileStreamSinkConnector", "file": out, "topics": "lines", "consumer.override.isolation.level": "read_committed"},
	} {
		if err := a.until("making connector "+c["name"], func() error { return a.connector(c) }); err != nil {
			return err
		}
	}
	copied := func() []string {
		b, _ := os.ReadFile(out) // none yet: nothing was copied
		return strings.Fields(strings.ReplaceAll(string(b), "line ", ""))
	}
	if err := a.until("the first lines", func() error { return some(len(copied())) }); err != nil {
		return err
	}
	if err := a.crash(); err != nil {
		return err
	}
	if err := os.WriteFile(in, []byte(strings.Join(lines, "\n")+"\n"), 0o644); err != nil {
		return err
	}
	topic, err := a.reader("lines")
	if err != nil {
		return err
	}
	defer topic.client.Close()
	if err := a.until("all lines in the topic", func() error { return sameValues(values(topic.more(a.ctx)), lines) }); err != nil {
		return err
	}
	return a.until("all lines in the other file", func() error { // at least once, as its documentation says
		got := copied()
		slices.Sort(got)
		if n := len(slices.Compact(got)); n != appRecords {
			return fmt.Errorf("%d lines of %d", n, appRecords)
		}
		return nil
	})
}

// connector makes a connector by Connect's REST API.
func (a *apps) connector(config map[string]string) error {
	body, err := json.Marshal(map[string]any{"name": config["name"], "config": config})
	if err != nil {
		return err
	}
	answer, err := http.Post("http://"+a.suite.rest+"/connectors", "application/json", strings.NewReader(string(body)))
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if text, _ := io.ReadAll(answer.Body); answer.StatusCode != http.StatusCreated && answer.StatusCode != http.StatusConflict {
		return fmt.Errorf("%s: %s", answer.Status, text)
	}
	return nil
}

// mirrorMaker copies a topic, exactly once, and the offsets of a group: from the broker to itself, which it takes for another cluster.
func mirrorMaker(a *apps) error {
	const topic, group = "mirrored", "followers"
	if err := a.create(topic); err != nil {
		return err
	}
	lines := numbered(appRecords)
	if err := a.write(topic, lines[:appRecords/2]...); err != nil {
		return err
	}
	admin := kadm.NewClient(a.client)
	at := kadm.Offsets{}
	at.AddOffset(topic, 0, appRecords/4, -1)
	if err := admin.CommitAllOffsets(a.ctx, group, at); err != nil {
		return err
	}
	properties := []string{"clusters=here,there", "here.bootstrap.servers=" + a.addr, "there.bootstrap.servers=" + a.addr, "here->there.enabled=true",
		"there->here.enabled=false", "here->there.topics=" + topic, "here->there.groups=" + group, "here->there.sync.group.offsets.enabled=true",
		"there.exactly.once.source.support=enabled", "dedicated.mode.enable.internal.rest=true", "listeners=http://" + a.suite.rest, "replication.factor=1",
		"refresh.topics.interval.seconds=1", "refresh.groups.interval.seconds=1", "sync.group.offsets.interval.seconds=1", "emit.checkpoints.interval.seconds=1"}
	for _, internal := range []string{"checkpoints.topic", "heartbeats.topic", "offset-syncs.topic", "offset.storage", "status.storage", "config.storage"} {
		properties = append(properties, internal+".replication.factor=1")
	}
	if err := a.start("org.apache.kafka.connect.mirror.MirrorMaker", properties...); err != nil {
		return err
	}
	mirror, err := a.reader("here." + topic)
	if err != nil {
		return err
	}
	defer mirror.client.Close()
	if err := a.until("the first records", func() error { return some(len(mirror.more(a.ctx))) }); err != nil {
		return err
	}
	if err := a.crash(); err != nil {
		return err
	}
	if err := a.write(topic, lines[appRecords/2:]...); err != nil {
		return err
	}
	if err := a.until("all records", func() error { return sameValues(values(mirror.more(a.ctx)), lines) }); err != nil {
		return err
	}
	return a.until("the group's offset", func() error {
		offsets, err := admin.FetchOffsets(a.ctx, group)
		if err != nil {
			return err
		}
		o, ok := offsets.Lookup("here."+topic, 0)
		if !ok || o.At <= 0 || o.At > appRecords/4+1 { // markers take offsets of the copy
			return fmt.Errorf("it is %d (%v), want one up to that of the original, %d", o.At, ok, appRecords/4)
		}
		return nil
	})
}
