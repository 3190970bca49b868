package main

import (
	"strings"
	"testing"
)

func TestSizesAreShownByDirectoryTopicAndPartition(t *testing.T) { eachBroker(t, 23010, sizes) }

func sizes(t *testing.T, addr string) {
	fill(t, addr, 100, 0)
	var dirs logDirs
	if errs, code := runJSON(t, addr, "cluster logdirs t", &dirs); code != 0 || len(dirs) != 1 {
		t.Fatalf("exit %d: %s%+v", code, errs, dirs)
	}
	d := dirs[0]
	if d.Dir == "" || len(d.Topics) != 1 || d.Topics[0].Topic != "t" || len(d.Topics[0].Parts) != 2 || d.Partitions != 2 {
		t.Fatalf("%+v", d)
	}
	full, empty := d.Topics[0].Parts[0], d.Topics[0].Parts[1]
	if full.Bytes < 1000 || empty.Bytes != 0 || d.Bytes != full.Bytes || d.Topics[0].Bytes != full.Bytes {
		t.Errorf("%+v", d)
	}
	if d.Usable <= 0 || d.Total <= 0 { // the fake cluster's volume has more room than it has
		t.Errorf("%d of %d bytes of the volume are free", d.Usable, d.Total)
	}
	for by, want := range map[string]string{"directory": d.Dir, "topic": "all 2", "partition": bytesText(full.Bytes)} {
		if out, errs, code := execute(t, addr, "cluster logdirs t --by "+by); code != 0 || !strings.Contains(out, want) || strings.Contains(out, "TOPIC") != (by != "directory") {
			t.Errorf("--by %s: exit %d\n%s%s", by, code, out, errs)
		}
	}
	for line, want := range map[string]string{"nosuch": `no topic "nosuch"`, "--broker 77": "none of these brokers"} {
		if _, errs, code := execute(t, addr, "cluster logdirs "+line); code != exitNotFound || !strings.Contains(errs, want) {
			t.Errorf("%s: exit %d: %s", line, code, errs)
		}
	}
	var views topicViews
	if errs, code := runJSON(t, addr, "topic describe t", &views); code != 0 {
		t.Fatal(errs)
	}
	if v := views[0]; v.Bytes != full.Bytes || v.Copies != full.Bytes || v.Parts[0].Bytes != full.Bytes || v.Parts[1].Bytes != 0 {
		t.Errorf("%+v, want %d bytes", v, full.Bytes)
	}
}

func TestSizesThatNobodyTellsAreUnknown(t *testing.T) {
	v := topicView{topicRow: topicRow{Topic: "t"}, Parts: []partitionRow{{Partition: 0, Leader: 1}, {Partition: 1, Leader: 2}}}
	v.measure(replicaSizes{{"t", 0}: {1: 10, 2: 8}})
	if v.Bytes != -1 || v.Copies != -1 || v.Parts[0].Bytes != 10 || v.Parts[1].Bytes != -1 {
		t.Errorf("%+v", v)
	}
	v = topicView{topicRow: v.topicRow, Parts: v.Parts[:1]}
	v.measure(replicaSizes{{"t", 0}: {1: 10, 2: 8}})
	if v.sizeText() != "10 B (18 B with all replicas)" {
		t.Errorf("%+v: %s", v, v.sizeText())
	}
}
