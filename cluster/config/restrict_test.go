package config

import (
	"errors"
	"strings"
	"testing"
)

// What somebody counts on and would not get stops the start, and is refused over the wire: as it is, and for one listener.
func TestWhatRestrictsAndCannotBeHonouredIsRefused(t *testing.T) {
	for _, c := range []struct {
		key, value string
		refused    bool
	}{
		{"authorizer.class.name", "org.apache.kafka.metadata.authorizer.StandardAuthorizer", true},
		{"authorizer.class.name", "", false},
		{"super.users", "User:admin", true},
		{"super.users", "", false},
		{"allow.everyone.if.no.acl.found", "false", true},
		{"allow.everyone.if.no.acl.found", "true", false},
		{"ssl.client.auth", "required", true},
		{"ssl.client.auth", "none", false},
		{"listener.name.external.ssl.client.auth", "requested", true},
		{"listener.name.external.ssl.client.auth", "none", false},
		{"listener.name.external.max.connections", "10", true},
		{"listener.name.external.max.connection.creation.rate", "10", true},
		{"principal.builder.class", "com.example.Builder", true},
		{"listener.name.external.principal.builder.class", "com.example.Builder", true},
		{"sasl.server.callback.handler.class", "com.example.Handler", true},
		{"listener.name.external.scram-sha-256.sasl.server.callback.handler.class", "com.example.Handler", true},
		{"client.quota.callback.class", "com.example.Quotas", true},
		{"create.topic.policy.class.name", "com.example.Policy", true},
		{"alter.config.policy.class.name", "com.example.Policy", true},
		{"cordoned.log.dirs", "*", true},
		{"group.coordinator.rebalance.protocols", "classic", true},
		{"group.coordinator.rebalance.protocols", "classic,consumer,share", false},
		{"process.roles", "controller", true},
		{"process.roles", "broker", true},
		{"process.roles", "broker,controller", false},
		{"controller.quorum.voters", "1@a:9093,2@b:9093,3@c:9093", true},
		{"controller.quorum.voters", "1@localhost:9093", false},
		{"controller.quorum.bootstrap.servers", "a:9093,b:9093", true},
		{"controller.quorum.bootstrap.servers", "localhost:9093", false},
		{"max.connections.per.ip.overrides", "gateway.example:7", true},
		{"max.connections.per.ip.overrides", "192.0.2.1:7,[2001:db8::1]:8", false},
		{"zookeeper.connect", "zk1:2181,zk2:2181/kafka", true},
		{"zookeeper.connect", "localhost:2181/kafka", false},
		{"zookeeper.connect", "[::1]:2181", false},
		{"zookeeper.session.timeout.ms", "6000", true}, // gone, and passed over by whoever reads files
		{"host.name", "127.0.0.1", true},
		{"host.name", "0.0.0.0", false},
		{"quota.producer.default", "1000", true},
		{"quota.consumer.default", "9223372036854775807", false},
		{"config.providers", "file", true},
		{"listener.name.EXTERNAL.sasl.enabled.mechanisms", "SCRAM-SHA-256", true},
		{"listener.name.external.SCRAM-SHA-256.connections.max.reauth.ms", "5", true},
		{"listener.name.external.scram-sha-25.connections.max.reauth.ms", "5", true},
		{"listener.name.external.scram-sha-256.connections.max.reauth.ms", "5", false},
		{"num.io.threads", "16", false},
		{"ssl.keystore.password", "secret", false},
	} {
		err := ValidateBroker(c.key, c.value)
		if (err != nil) != c.refused {
			t.Errorf("%s=%s: %v", c.key, c.value, err)
		}
		if k, ok := BrokerKey(c.key); ok && k.Update == ClusterWide {
			if err := ValidateDynamicBroker(c.key, c.value, true); (err != nil) != c.refused {
				t.Errorf("%s=%s over the wire: %v", c.key, c.value, err)
			}
		}
		var invalid *Invalid
		if err != nil && (!errors.As(err, &invalid) || !strings.Contains(err.Error(), c.key) && !strings.Contains(err.Error(), invalid.Key)) {
			t.Errorf("%s=%s: %v does not name the key", c.key, c.value, err)
		}
	}
}

// A new key has to say what it does: whoever adds one that has no effect and sounds like a restriction must say why it is none.
func TestKeysThatSoundLikeARestrictionHaveAnEffect(t *testing.T) {
	harmless := map[string]string{
		"sasl.jaas.config": "the broker's own credential towards other brokers; there are none", "metrics.recording.level": "", "ssl.key.password": "opens a key that nobody uses",
		"security.inter.broker.protocol": "there are no other brokers", "security.providers": "classes of Java", "unstable.api.versions.enable": "opens more",
		"group.share.max.size": "there are no share groups", "group.streams.max.size": "there are no streams groups", "quota.window.num": "there are no quotas",
	}
	for _, k := range BrokerKeys() {
		if k.Effect() != NoEffect {
			continue
		}
		if _, ok := harmless[k.Name]; ok {
			continue
		}
		for _, word := range []string{"acl", "auth", "policy", "users", "cordon", "max.connections", "max.size"} {
			if strings.Contains(k.Name, word) && !strings.HasPrefix(k.Name, "sasl.oauthbearer.") {
				t.Errorf("%s has no effect, and sounds like %q", k.Name, word)
			}
		}
	}
}

func broker(t *testing.T, pairs ...string) *Broker {
	t.Helper()
	b, err := NewBroker(Values{Static: entries(pairs...)})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Every file of Kafka's names a listener for controllers, often without any security.
func TestListenersOfControllersAreNotForClients(t *testing.T) {
	b := broker(t, "process.roles", "broker,controller", "node.id", "1", "controller.quorum.voters", "1@localhost:9093", "controller.listener.names", "controller",
		"listeners", "CLIENT://broker.example:9092,CONTROLLER://:9093", "inter.broker.listener.name", "CLIENT",
		"advertised.listeners", "CLIENT://broker.example:9092,CONTROLLER://broker.example:9093", "listener.security.protocol.map", "CLIENT:SASL_PLAINTEXT,CONTROLLER:PLAINTEXT",
		"sasl.enabled.mechanisms", "SCRAM-SHA-256")
	if len(b.Listeners) != 1 || b.Listeners[0].Name != "CLIENT" || len(b.NotServed) != 1 || len(b.Advertised) != 1 || b.Advertised[0].Name != "CLIENT" {
		t.Errorf("served %v, not %v, advertised %v", b.Listeners, b.NotServed, b.Advertised)
	}
	if w := b.Warnings(); len(w) == 0 || !strings.Contains(w[0].Text, "CONTROLLER://:9093 is not opened") {
		t.Errorf("%v", w)
	}
	if _, err := NewBroker(Values{Static: entries("listeners", "CONTROLLER://:9093", "controller.listener.names", "CONTROLLER", "listener.security.protocol.map", "CONTROLLER:PLAINTEXT")}); err == nil {
		t.Error("a broker without listeners for clients starts")
	}
	b = broker(t, "listeners", "A://:1,B://:2", "control.plane.listener.name", "B", "listener.security.protocol.map", "A:PLAINTEXT,B:PLAINTEXT")
	if len(b.Listeners) != 1 || b.Listeners[0].Name != "A" {
		t.Errorf("served %v", b.Listeners)
	}
}

func TestAListenerWithAHostAdvertisesIt(t *testing.T) {
	for _, c := range []struct{ listeners, advertised, want string }{
		{"PLAINTEXT://broker.example:9092", "", "PLAINTEXT://broker.example:9092"},
		{"PLAINTEXT://[2001:db8::1]:9092", "", "PLAINTEXT://[2001:db8::1]:9092"},
		{"PLAINTEXT://:9092", "", ""},
		{"PLAINTEXT://0.0.0.0:9092", "", ""},
		{"PLAINTEXT://[::]:9092", "", ""},
		{"PLAINTEXT://[::ffff:0.0.0.0]:9092", "", ""},
		{"PLAINTEXT://broker.example:0", "", "PLAINTEXT://broker.example:0"},
		{"A://a.example:1,B://:2", "", "A://a.example:1"},
		{"PLAINTEXT://10.0.0.1:9092", "PLAINTEXT://public.example:9999", "PLAINTEXT://public.example:9999"},
	} {
		b := broker(t, "listeners", c.listeners, "advertised.listeners", c.advertised, "listener.security.protocol.map", "A:PLAINTEXT,B:PLAINTEXT")
		got := ""
		for _, l := range b.Advertised {
			got += l.String()
		}
		if got != c.want {
			t.Errorf("%s, %q: %s is advertised", c.listeners, c.advertised, got)
		}
	}
}

func TestForeignKeysAreToldFromMisspeltOnes(t *testing.T) {
	for name, foreign := range map[string]bool{
		"confluent.support.metrics.enable": true, "confluent.license.topic.replication.factor": true, "kafka.rest.enable": true, "my.plugin.url": true,
		"log.retention.houres": false, "lisetners": false, "num_partitions": false, "listeners.": false, "authorizer.class": false, "nmu.io.threads": false,
		"ssl.client.authentication": false, "listener.name.a.oauth.valid.issuer.uri": false, "durability": false, "retention.ms": false,
	} {
		if got := Foreign(name); got != foreign {
			t.Errorf("%s: foreign is %v", name, got)
		}
	}
}

func TestOneNodeIsSaidAtStart(t *testing.T) {
	var all string
	for _, w := range broker(t, "default.replication.factor", "3", "min.insync.replicas", "2", "listener.name.a.socket.request.max.bytes", "5").Warnings() {
		all += w.Text + "\n"
	}
	for _, want := range []string{"default.replication.factor=3", "min.insync.replicas=2", "listener.name.a.socket.request.max.bytes"} {
		if !strings.Contains(all, want) {
			t.Errorf("%s is not said:\n%s", want, all)
		}
	}
}

// What is refused together, not key by key.
func TestANodeThatWouldBeAnotherDoesNotStart(t *testing.T) {
	for _, c := range []struct {
		what  string
		pairs []string
		want  string // part of the error, empty for none
	}{
		{"the only voter is another node", []string{"node.id", "2", "controller.quorum.voters", "1@a:9093"}, "does not name this node"},
		{"the only voter is this node", []string{"node.id", "2", "controller.quorum.voters", "2@a:9093"}, ""},
		{"by its older name", []string{"broker.id", "3", "controller.quorum.voters", "3@a:9093"}, ""},
		{"TLS", []string{"listeners", "SSL://:1"}, "SSL is not served yet"},
		{"TLS and login", []string{"listeners", "PLAINTEXT://:1,SASL_SSL://:2"}, "SASL_SSL is not served yet; PLAINTEXT and SASL_PLAINTEXT are"},
		{"TLS of controllers", []string{"listeners", "PLAINTEXT://:1,SSL://:2", "controller.listener.names", "SSL"}, ""},
		{"a listener that there is not", []string{"listeners", "CLIENT://:1", "listener.security.protocol.map", "CLIENT:SASL_PLAINTEXT", "listener.name.cleint.sasl.enabled.mechanisms", "SCRAM-SHA-512"}, "no listener CLEINT"},
		{"one of other nodes", []string{"listeners", "CLIENT://:1", "listener.security.protocol.map", "CLIENT:SASL_PLAINTEXT,X:PLAINTEXT", "listener.name.x.connections.max.reauth.ms", "5"}, ""},
	} {
		_, err := NewBroker(Values{Static: entries(c.pairs...)})
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v", c.what, err)
		}
	}
}

func TestATokenIsAsLongAsItsListenerAllows(t *testing.T) {
	b := broker(t, "listeners", "A://:1,B://:2", "listener.security.protocol.map", "A:SASL_PLAINTEXT,B:SASL_PLAINTEXT", "listener.name.a.sasl.server.max.receive.size", "2000")
	if a, b := b.TokenMax("A"), b.TokenMax("B"); a != 2000 || b != 524288 {
		t.Errorf("%d and %d", a, b)
	}
}

// What an earlier version stored does not keep a node from starting, and is said.
func TestStoredSettingsThatAreRefusedNowAreSaid(t *testing.T) {
	stored := entries("listener.name.external.max.connections", "10", "num.io.threads", "4", "max.connections.per.ip", "5", "ssl.key.password", "geheim")
	if _, err := NewBroker(Values{Default: stored}); err != nil {
		t.Error(err)
	}
	if got := Unhonoured(stored); len(got) != 2 || got[0].Key != "listener.name.external.max.connections" || !strings.Contains(got[0].Text, "has no effect") || got[1].Key != "ssl.key.password" || strings.Contains(got[1].Text, "geheim") {
		t.Errorf("%+v", got)
	}
}

// The metadata log keeps what is set while running as it stands, and everybody who reads the directory or a copy of it reads it.
func TestNoSecretIsSetWhileRunning(t *testing.T) {
	n := 0
	for _, k := range BrokerKeys() {
		for _, name := range []string{k.Name, "listener.name.external." + k.Name, "listener.name.external.scram-sha-256." + k.Name} {
			if !k.Sensitive() {
				continue
			}
			n++
			if err := ValidateDynamicBroker(name, "geheim", false); err == nil || strings.Contains(err.Error(), "geheim") {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	for _, table := range [][]Key{TopicKeys(), GroupKeys()} {
		for _, k := range table {
			if k.Sensitive() {
				t.Errorf("%s is a secret, and always set while running", k.Name)
			}
		}
	}
	if n == 0 {
		t.Error("no secrets")
	}
}

// Every key says what it does, and says it where it is described.
func TestEveryKeyHasAnEffect(t *testing.T) {
	said := map[Effect]string{NoEffect: "without effect in troupe", Refused: "Refused if it restricts: "}
	for _, table := range [][]Key{TopicKeys(), BrokerKeys(), GroupKeys()} {
		for _, k := range table {
			if k.Enforced && k.Restricts != "" {
				t.Errorf("%s is enforced and refused", k.Name)
			}
			if k.Harmless.ok != nil && k.Restricts == "" {
				t.Errorf("%s has harmless values, and others that nobody refuses", k.Name)
			}
			for effect, words := range said {
				if got := strings.Contains(k.Documentation(), words); got != (k.Effect() == effect) {
					t.Errorf("%s, %s: %s", k.Name, k.Effect(), k.Documentation())
				}
			}
			if k.Restricts == "" {
				continue
			}
			if err := k.restricts(k.Name, k.Default); err != nil && !k.Null && k.Name != "allow.everyone.if.no.acl.found" {
				t.Errorf("its default restricts: %v", err)
			}
		}
	}
}
