package config

import (
	"errors"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/troupe-broker/troupe/actors/protocol"
)

func entries(pairs ...string) []protocol.ConfigEntry {
	var out []protocol.ConfigEntry
	for i := 0; i < len(pairs); i += 2 {
		out = append(out, protocol.ConfigEntry{Key: pairs[i], Value: pairs[i+1]})
	}
	return Sort(out)
}

func TestTablesAgreeWithThemselves(t *testing.T) {
	for what, table := range map[string][]Key{"topic": TopicKeys(), "group": GroupKeys(), "broker": BrokerKeys()} {
		for i, k := range table {
			if i > 0 && table[i-1].Name == k.Name {
				t.Errorf("%s key %s is there twice", what, k.Name)
			}
			if k.Null && k.Default != "" {
				t.Errorf("%s has a null default and %q", k.Name, k.Default)
			}
			if !k.Null {
				if err := k.Check(k.Default); err != nil {
					t.Errorf("default: %v", err)
				}
			}
			if !strings.HasSuffix(k.Doc, ".") || strings.Contains(k.Doc, ". ") {
				t.Errorf("%s: the doc is one sentence: %q", k.Name, k.Doc)
			}
			for _, name := range k.Synonyms {
				if s, ok := find(brokerTable, name); !ok {
					t.Errorf("%s: synonym %s is not a broker key", k.Name, name)
				} else if what != "broker" && k.Enforced != s.Enforced {
					t.Errorf("%s is enforced: %v, %s: %v", k.Name, k.Enforced, name, s.Enforced)
				}
			}
			if what != "broker" && k.Synonyms != nil {
				if f, _ := (&Values{}).lookup(k.Synonyms...); rescale(f.text, scale(f.key.Name)) != k.Default {
					t.Errorf("%s: default %s, but %s of its synonym %s", k.Name, k.Default, f.text, f.key.Name)
				}
			}
		}
	}
}

// Tools read these; reference: Kafka's defaults.
func TestDefaultsToolsRelyOn(t *testing.T) {
	for name, want := range map[string]string{
		"num.partitions": "1", "default.replication.factor": "1", "min.insync.replicas": "1", "auto.create.topics.enable": "true", "log.retention.hours": "168",
		"log.segment.bytes": "1073741824", "delete.topic.enable": "true", "message.max.bytes": "1048588", "log.message.timestamp.after.max.ms": "3600000",
		"num.recovery.threads.per.data.dir": "2", "group.initial.rebalance.delay.ms": "3000", "offsets.topic.num.partitions": "50", "transaction.max.timeout.ms": "900000",
		"socket.request.max.bytes": "104857600", "fetch.max.bytes": "57671680", "listeners": "PLAINTEXT://:9092", "group.consumer.session.timeout.ms": "45000",
	} {
		if k, ok := BrokerKey(name); !ok || k.Default != want {
			t.Errorf("%s: %+v, want default %s", name, k, want)
		}
	}
	for _, name := range []string{"advertised.listeners", "log.dirs", "inter.broker.protocol.version", "log.retention.ms", "log.retention.minutes", "broker.rack", "super.users"} {
		if _, ok := BrokerKey(name); !ok {
			t.Errorf("%s is missing", name)
		}
	}
	if len(TopicKeys()) < 34 || len(BrokerKeys()) < 250 {
		t.Errorf("%d topic keys, %d broker keys", len(TopicKeys()), len(BrokerKeys()))
	}
}

func TestInvalidValuesAreNamedWithWhatIsAllowed(t *testing.T) {
	for _, c := range []struct{ name, value, want string }{
		{"segment.bytes", "1048575", "Invalid value 1048575 for configuration segment.bytes: Value must be at least 1048576"},
		{"segment.bytes", "2147483648", "Invalid value 2147483648 for configuration segment.bytes: Not a number of type INT"},
		{"retention.ms", "ages", "Invalid value ages for configuration retention.ms: Not a number of type LONG"},
		{"cleanup.policy", "delete,delete", "Invalid value delete,delete for configuration cleanup.policy: String must be one of: compact, delete"},
		{"cleanup.policy", "shred", "Invalid value shred for configuration cleanup.policy: String must be one of: compact, delete"},
		{"min.cleanable.dirty.ratio", "1.5", "Invalid value 1.5 for configuration min.cleanable.dirty.ratio: Value must be no more than 1"},
		{"min.cleanable.dirty.ratio", "3", "Invalid value 3.0 for configuration min.cleanable.dirty.ratio: Value must be no more than 1"},
		{"min.cleanable.dirty.ratio", "NaN", "Invalid value NaN for configuration min.cleanable.dirty.ratio: Not a number of type DOUBLE"},
		{"preallocate", "yes", "Invalid value yes for configuration preallocate: Expected value to be either true or false"},
		{"durability", "tape", "Invalid value tape for configuration durability: String must be one of: disk, os"},
		{"compression.gzip.level", "0", "Invalid value 0 for configuration compression.gzip.level: Value must be between 1 and 9 or equal to -1"},
		{"retention_ms", "1", "Unknown topic config name: retention_ms; did you mean retention.ms?"},
		{"retentoin.ms", "1", "Unknown topic config name: retentoin.ms; did you mean retention.ms?"},
		{"message.format.version", "1", "Unknown topic config name: message.format.version"},
		{"qwerty", "1", "Unknown topic config name: qwerty"},
		{"leader.replication.throttled.replicas", "0:1,x", "Invalid value 0:1,x for configuration leader.replication.throttled.replicas: Value must be * or a list of partition:broker"},
	} {
		err := ValidateTopic([]protocol.ConfigEntry{{Key: c.name, Value: c.value}})
		var invalid *Invalid
		if !errors.As(err, &invalid) || err.Error() != c.want {
			t.Errorf("%s=%s\n got %v\nwant %s", c.name, c.value, err, c.want)
		}
	}
	for name, text := range map[string]string{"cleanup.policy": "", "retention.ms": " -1 ", "leader.replication.throttled.replicas": "*", "preallocate": "TRUE", "max.message.bytes": "0"} {
		if err := ValidateTopic([]protocol.ConfigEntry{{Key: name, Value: text}}); err != nil {
			t.Error(err)
		}
	}
	if err := ValidateBroker("ssl.key.password", "x"); err != nil {
		t.Error(err)
	}
	if err := ValidateBroker("zookeeper.session.timeout.ms", "x"); err == nil || err.Error() != "Unknown configuration zookeeper.session.timeout.ms: Kafka 4.0 removed it" {
		t.Error(err)
	}
}

func TestOnlyDynamicKeysAreAlterable(t *testing.T) {
	for _, c := range []struct {
		name, value string
		clusterWide bool
		want        string // part of the error, "" for none
	}{
		{"log.retention.ms", "1000", true, ""},
		{"log.retention.hours", "1", false, "dynamically"},
		{"advertised.listeners", "PLAINTEXT://a:1", true, "broker id must be specified"},
		{"advertised.listeners", "PLAINTEXT://a:1", false, ""},
		{"listener.name.internal.ssl.keystore.location", "/x", false, ""},
		{"listener.name.internal.scram-sha-256.sasl.jaas.config", "x", false, "is a secret"},
		{"listener.name.internal.scram-sha-256.sasl.kerberos.kinit.cmd", "x", false, ""},
		{"listener.name.internal.nonsense", "x", false, "Unknown"},
		{"node.id", "3", false, "dynamically"},
		{"log.segment.bytes", "1", true, "at least 1048576"},
	} {
		err := ValidateDynamicBroker(c.name, c.value, c.clusterWide)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s=%s: %v", c.name, c.value, err)
		}
	}
}

func TestStrongerSourceWins(t *testing.T) {
	v := Values{
		Static:  entries("log.retention.hours", "2", "log.roll.jitter.hours", "1", "flush.ms", "9"),
		Default: entries("log.retention.ms", "60000", "min.insync.replicas", "2"),
		Dynamic: entries("min.insync.replicas", "3"),
	}
	c, err := Resolve(v, entries("max.message.bytes", "99", "durability", "os", "cleanup.policy", "compact,delete"))
	if err != nil {
		t.Fatal(err)
	}
	if c.RetentionTime != time.Minute || c.MinInsyncReplicas != 3 || c.MaxMessageBytes != 99 || c.Durability != protocol.DurabilityOS || c.SegmentJitter != time.Hour || !c.Compact || !c.Delete {
		t.Errorf("%+v", c)
	}
	c, err = Resolve(Values{Static: v.Static}, nil)
	if err != nil || c.RetentionTime != 2*time.Hour {
		t.Errorf("retention %v, %v", c.RetentionTime, err)
	}
}

func TestResolveDefaults(t *testing.T) {
	got, err := Resolve(Values{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	want := protocol.LogConfig{
		Delete: true, RetentionTime: 168 * time.Hour, RetentionBytes: -1, SegmentBytes: 1 << 30, SegmentTime: 168 * time.Hour, IndexIntervalBytes: 4096, MaxMessageBytes: 1048588,
		MinInsyncReplicas: 1, CompressionType: "producer", TimestampBeforeMax: math.MaxInt64, TimestampAfterMax: time.Hour, DeleteRetention: 24 * time.Hour,
		MaxCompactionLag: math.MaxInt64, MinCleanableRatio: 0.5, FileDeleteDelay: time.Minute, FlushMessages: math.MaxInt64, FlushTime: math.MaxInt64,
	}
	if got != want {
		t.Errorf("\n got %+v\nwant %+v", got, want)
	}
	c, _ := Resolve(Values{}, entries("retention.ms", "-1", "segment.ms", "9223372036854775807"))
	if c.RetentionTime != -1 || c.SegmentTime != math.MaxInt64 {
		t.Errorf("retention %v, segment time %v", c.RetentionTime, c.SegmentTime)
	}
	if _, err := Resolve(Values{}, entries("min.compaction.lag.ms", "2", "max.compaction.lag.ms", "1")); err == nil {
		t.Error("min.compaction.lag.ms over max.compaction.lag.ms went through")
	}
}

func TestDescribeTopicShowsTheChainOfSynonyms(t *testing.T) {
	v := Values{Static: entries("log.retention.hours", "24"), Default: entries("log.retention.ms", "5"), Dynamic: entries("log.retention.ms", "6")}
	got := DescribeTopic(v, entries("retention.ms", "7"), []string{"retention.ms", "no.such.key"})
	want := []Synonym{
		{"retention.ms", "7", false, TopicSource}, {"log.retention.ms", "6", false, DynamicBrokerSource}, {"log.retention.ms", "5", false, DynamicDefaultSource},
		{"log.retention.hours", "24", false, StaticBrokerSource}, {"log.retention.hours", "168", false, DefaultSource},
	}
	if len(got) != 1 || got[0].Value != "7" || got[0].Source != TopicSource || !slices.Equal(got[0].Synonyms, want) {
		t.Errorf("%+v", got)
	}
	got = DescribeTopic(Values{Static: v.Static}, nil, []string{"retention.ms"})
	if got[0].Value != "86400000" || got[0].Source != StaticBrokerSource {
		t.Errorf("%+v", got[0])
	}
	all := DescribeTopic(Values{}, nil, nil)
	for i, e := range all {
		if e.Name != TopicKeys()[i].Name || e.Null || e.Source != DefaultSource || e.Doc == "" || e.Value != TopicKeys()[i].Default {
			t.Errorf("%+v", e)
		}
	}
}

func TestDescribeBroker(t *testing.T) {
	v := Values{Static: entries("ssl.key.password", "secret", "listener.name.x.ssl.keystore.location", "/k", "log.retention.ms", "1"), Default: entries("log.retention.bytes", "2")}
	byName := map[string]Entry{}
	for _, e := range DescribeBroker(v, nil) {
		byName[e.Name] = e
	}
	if len(byName) != len(BrokerKeys())+1 {
		t.Errorf("%d entries of %d keys", len(byName), len(BrokerKeys()))
	}
	if e := byName["ssl.key.password"]; !e.Null || e.Value != "" || !e.Sensitive || e.Source != StaticBrokerSource || e.Synonyms[0].Value != "" {
		t.Errorf("a secret shows: %+v", e)
	}
	if e := byName["log.retention.hours"]; e.Value != "168" || e.Source != DefaultSource || !e.ReadOnly || e.Synonyms[0].Name != "log.retention.ms" {
		t.Errorf("%+v", e)
	}
	if e := byName["log.retention.bytes"]; e.Value != "2" || e.Source != DynamicDefaultSource || e.ReadOnly {
		t.Errorf("%+v", e)
	}
	if e := byName["listener.name.x.ssl.keystore.location"]; e.Value != "/k" {
		t.Errorf("%+v", e)
	}
	if e := byName["broker.rack"]; !e.Null {
		t.Errorf("%+v", e)
	}
	if d := DescribeBrokerDefaults(v, nil); len(d) != 1 || d[0].Name != "log.retention.bytes" || d[0].Source != DynamicDefaultSource {
		t.Errorf("%+v", d)
	}
	if e := DescribeBroker(v, []string{"segment.bytes", "preallocate"}); len(e) != 0 {
		t.Errorf("%+v", e)
	}
}

func TestListeners(t *testing.T) {
	got, err := ParseListeners("PLAINTEXT://:9092, Internal://[::1]:9093,EXT://broker.example:0", "INTERNAL:sasl_ssl,EXT:SSL")
	want := []Listener{{"PLAINTEXT", "PLAINTEXT", "", 9092}, {"INTERNAL", "SASL_SSL", "::1", 9093}, {"EXT", "SSL", "broker.example", 0}}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("%v, %v", got, err)
	}
	if s := got[1].String(); s != "INTERNAL://[::1]:9093" {
		t.Error(s)
	}
	for _, bad := range []string{
		"PLAINTEXT:9092", "PLAINTEXT://9092", "PLAINTEXT://a:x", "PLAINTEXT://a:65536", "PLAINTEXT://::1:9092", "PLAINTEXT://[::1:9092", "PLAINTEXT://[1.2.3.4]:9",
		"OTHER://:9092", "PLAINTEXT://:1,SSL://:1", "PLAINTEXT://:1,plaintext://:2", "://:1", "PLAINTEXT://a/b:1", "PLAINTEXT://:1,,SSL://:2",
	} {
		if l, err := ParseListeners(bad, ""); err == nil {
			t.Errorf("%q gives %v", bad, l)
		}
	}
	if _, err := ParseListeners("PLAINTEXT://127.0.0.1:1,SSL://[::1]:1", ""); err != nil {
		t.Error("one port on IPv4 and IPv6:", err)
	}
}

func TestBrokerView(t *testing.T) {
	b, err := NewBroker(Values{})
	if err != nil {
		t.Fatal(err)
	}
	if b.NodeID != 1 || b.Listeners[0].Port != 9092 || b.Advertised != nil || b.HTTPListener != "localhost:9644" || !b.AutoCreateTopics || b.LogDirs[0] != "troupe-data" || b.MetadataLogDir != "troupe-data" {
		t.Errorf("%+v", b)
	}
	b, err = NewBroker(Values{Static: entries("broker.id", "7", "log.dirs", "a, b", "advertised.listeners", "PLAINTEXT://kafka:1", "http.listener", "")})
	if err != nil || b.NodeID != 7 || !slices.Equal(b.LogDirs, []string{"a", "b"}) || b.Advertised[0].Host != "kafka" || b.HTTPListener != "" {
		t.Errorf("%+v, %v", b, err)
	}
	if b.Int("log.retention.hours") != 168*3600*1000 || b.Duration("connections.max.idle.ms") != 10*time.Minute || b.Bool("log.cleaner.enable") != true || b.List("group.consumer.assignors")[1] != "range" || b.Float("log.cleaner.io.buffer.load.factor") != 0.9 {
		t.Error("a getter reads wrong")
	}
	for _, bad := range [][]protocol.ConfigEntry{
		entries("node.id", "-2"), entries("listeners", ""), entries("listeners", "X://:1"), entries("log.dirs", "a,a"), entries("log.dirs", "a,,b"), entries("num.partitions", "0"),
		entries("advertised.listeners", "PLAINTEXT://0.0.0.0:1"), entries("advertised.listeners", "PLAINTEXT://:1"), entries("advertised.listeners", "SSL://a:1"),
		entries("log.cleaner.max.compaction.lag.ms", "1", "log.cleaner.min.compaction.lag.ms", "2"), entries("http.listener", "nowhere"),
	} {
		if _, err := NewBroker(Values{Static: bad}); err == nil {
			t.Errorf("%v went through", bad)
		}
	}
}

func TestSaslListeners(t *testing.T) {
	const listeners = "PLAINTEXT://:1,INSIDE://:2,OUTSIDE://:3"
	static := entries("listeners", listeners, "listener.security.protocol.map", "PLAINTEXT:PLAINTEXT,INSIDE:SASL_PLAINTEXT,OUTSIDE:SASL_PLAINTEXT",
		"listener.name.inside.sasl.enabled.mechanisms", "SCRAM-SHA-512", "connections.max.reauth.ms", "5000",
		"listener.name.outside.connections.max.reauth.ms", "6000", "listener.name.outside.scram-sha-512.connections.max.reauth.ms", "7000")
	b, err := NewBroker(Values{Static: static})
	if err != nil || len(b.Warnings()) > 0 {
		t.Fatal(err, b.Warnings())
	}
	if b.Listeners[0].Authenticates() || !b.Listeners[1].Authenticates() {
		t.Errorf("%+v", b.Listeners)
	}
	for listener, want := range map[string][]protocol.ScramMechanism{"INSIDE": {protocol.ScramSHA512}, "OUTSIDE": {protocol.ScramSHA256, protocol.ScramSHA512}} {
		if got := b.SaslMechanisms(listener); !slices.Equal(got, want) {
			t.Errorf("%s: %v", listener, got)
		}
	}
	if x, y, z := b.SessionMax("INSIDE", protocol.ScramSHA512), b.SessionMax("OUTSIDE", protocol.ScramSHA256), b.SessionMax("OUTSIDE", protocol.ScramSHA512); x != 5*time.Second || y != 6*time.Second || z != 7*time.Second {
		t.Errorf("%v %v %v", x, y, z)
	}
	for value, want := range map[string]string{
		"SCRAM-SHA-256,PLAIN": "Invalid value SCRAM-SHA-256,PLAIN for configuration sasl.enabled.mechanisms: PLAIN is not served, and listener SASL_PLAINTEXT would offer it; SCRAM-SHA-256 and SCRAM-SHA-512 are",
		"":                    "Invalid value  for configuration sasl.enabled.mechanisms: Listener SASL_PLAINTEXT needs a mechanism; there are SCRAM-SHA-256 and SCRAM-SHA-512",
	} {
		if _, err := NewBroker(Values{Static: entries("listeners", "SASL_PLAINTEXT://:1", "sasl.enabled.mechanisms", value)}); err == nil || err.Error() != want {
			t.Errorf("%q: %v", value, err)
		}
		if _, err := NewBroker(Values{Static: entries("sasl.enabled.mechanisms", value)}); err != nil {
			t.Errorf("nobody is offered %q, and yet: %v", value, err)
		}
	}
}

func TestWarnings(t *testing.T) {
	b, err := NewBroker(Values{Static: entries("zookeeper.connect", "localhost:2181", "background.threads", "3", "num.io.threads", "3", "num.network.threads", "3", "log.cleaner.threads", "4", "log.retention.houres", "1", "num.partitions", "2")})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, w := range b.Warnings() {
		got = append(got, w.Text)
	}
	want := []string{
		"log.cleaner.threads=4 is as 1: one log is compacted at a time",
		"Unknown configuration log.retention.houres; did you mean log.retention.hours?; it is ignored",
		"Unknown configuration zookeeper.connect: Kafka 4.0 removed it; it is ignored",
		"accepted and described, but without effect in troupe: background.threads, num.io.threads",
	}
	if !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
}

func TestParseProperties(t *testing.T) {
	for _, c := range []struct {
		text string
		want []string
	}{
		{"a=b", []string{"a", "b"}},
		{"# c\n! d\n\n  a = b \r\nc:d\re f", []string{"a", "b ", "c", "d", "e", "f"}},
		{"a = 1\nb=2\na=3", []string{"a", "3", "b", "2"}},
		{"key = x, \\\n   y, \\\r\n\t z\nb=1", []string{"key", "x, y, z", "b", "1"}},
		{`a\ b\=c = d\\e\tf\u00e4\uD83D\uDE00`, []string{"a b=c", "d\\e\tfä😀"}},
		{"a\nb=\n=c", []string{"a", "", "b", "", "", "c"}},
		{"a==b", []string{"a", "=b"}},
		{"a : = b", []string{"a", "= b"}},
		{"a=b\\", []string{"a", "b"}},
		{"a=b\\\\\nc=d", []string{"a", "b\\", "c", "d"}},
		{"a=x\\\n# not a comment", []string{"a", "x# not a comment"}},
		{"\ufefflisteners=PLAINTEXT://:9092", []string{"listeners", "PLAINTEXT://:9092"}},
		{`a=\uD83D\u0041`, []string{"a", "\ufffdA"}},
		{"", nil}, {"\n#only", nil},
		// What Properties.load of Java 17 gives.
		{"\\\n# c\na=1", []string{"a", "1"}},
		{"\\\r\n  a=1", []string{"a", "1"}},
		{"\\\n\\\n!\na=1", []string{"a", "1"}},
		{"a\\:b : c", []string{"a:b", "c"}},
		{"a\fb\f=c", []string{"a", "b\f=c"}},
		{"a=1\rb=2", []string{"a", "1", "b", "2"}},
		{"a=\\\n\nb=2", []string{"a", "", "b", "2"}},
		{"a = b\\\n\n c", []string{"a", "b", "c", ""}},
		{"a=\\u0041\\ \\q\\u00e9", []string{"a", "A qé"}},
		{"\\#a=1\n\\!b=2", []string{"#a", "1", "!b", "2"}},
		{"a\\\n  b=1", []string{"ab", "1"}},
		{"a=b\\\\\\\n c", []string{"a", "b\\c"}},
		{"  a  ", []string{"a", ""}},
		{"a\\ b", []string{"a b", ""}},
		{"\ta:\t=b", []string{"a", "=b"}},
		{"a=1\n a=2\n\\u0061=3", []string{"a", "3"}},
		{"a=x\\", []string{"a", "x"}},
		{"a\v=b", []string{"a\v", "b"}},
		{"a=#b\nc=!d", []string{"a", "#b", "c", "!d"}},
	} {
		got, err := ParseProperties(c.text)
		var flat []string
		for _, e := range got {
			flat = append(flat, e.Key, e.Value)
		}
		if err != nil || !reflect.DeepEqual(flat, c.want) {
			t.Errorf("%q: %q, %v", c.text, flat, err)
		}
	}
	if _, err := ParseProperties("a=1\nb = \\u00g0"); err == nil || !strings.Contains(err.Error(), "line 2: b") {
		t.Error(err)
	}
	if _, err := ParseProperties(strings.Repeat("x", PropertiesSizeMax+1)); err == nil {
		t.Error("no bound")
	}
}

func FuzzParseProperties(f *testing.F) {
	for _, seed := range []string{"a=b\n#c", "a\\\n b = \\u0041", "\\", "a\\u12", "k:v\r\n", "=\n:", "a=\\uD83D\\uDE00"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, err := ParseProperties(text)
		if err != nil {
			return
		}
		seen := map[string]bool{}
		for _, e := range got {
			if seen[e.Key] {
				t.Fatalf("%q twice", e.Key)
			}
			seen[e.Key] = true
			if len(e.Key)+len(e.Value) > len(text)*3 {
				t.Fatalf("%d bytes of text give %q=%q", len(text), e.Key, e.Value)
			}
			_ = ValidateBroker(e.Key, e.Value)
			_ = ValidateTopic([]protocol.ConfigEntry{e})
		}
	})
}

func BenchmarkResolve(b *testing.B) {
	v := Values{Static: entries("log.retention.hours", "2")}
	own := entries("max.message.bytes", "99")
	b.ReportAllocs()
	for range b.N {
		if _, err := Resolve(v, own); err != nil {
			b.Fatal(err)
		}
	}
}
