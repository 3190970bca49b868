package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestAllBadSettingsAreNamedAtOnce(t *testing.T) {
	file := filepath.Join(t.TempDir(), "server.properties")
	text := "log.retention.houres=1\nconfluent.support.metrics.enable=false\nnum.partitions=many\nnum.partition=3\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := brokerSettings(file, nil, []string{"super.users=User:admin"})
	if err == nil {
		t.Fatal("accepted")
	}
	for _, want := range []string{"log.retention.houres", "num.partitions", "num.partition;", "super.users"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%s is not named: %v", want, err)
		}
	}
	if strings.Contains(err.Error(), "confluent") {
		t.Errorf("a foreign key is an error: %v", err)
	}
}

func TestEnvironmentSetsKeys(t *testing.T) {
	environ := []string{
		"KAFKA_NUM_PARTITIONS=3", "TROUPE_NUM_PARTITIONS=4", "KAFKA_CFG_LOG_DIRS=/a", "KAFKA_HEAP_OPTS=-Xmx1G", "KAFKA_LISTENER_NAME_MY__LISTENER_SASL_ENABLED_MECHANISMS=SCRAM-SHA-512",
		"HOME=/root", "KAFKA_LISTENER_SECURITY_PROTOCOL_MAP=PLAINTEXT:PLAINTEXT,MY_LISTENER:SASL_PLAINTEXT", "KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS=5", "KAFKA_LOG_RETENTION_HOURS=7",
	}
	b, err := brokerSettings("", environ, []string{"log.retention.hours=9"})
	if err != nil {
		t.Fatal(err)
	}
	if b.NumPartitions != 4 || b.LogDirs[0] != "/a" || b.Int("group.initial.rebalance.delay.ms") != 5 || b.Int("log.retention.hours") != 9*3_600_000 {
		t.Errorf("%d partitions, %v, delay %d, retention %d", b.NumPartitions, b.LogDirs, b.Int("group.initial.rebalance.delay.ms"), b.Int("log.retention.hours"))
	}
	if got := b.SaslMechanisms("MY_LISTENER"); len(got) != 1 {
		t.Errorf("mechanisms %v", got)
	}
	for _, bad := range []string{"TROUPE_NUM_PARTITION=3", "KAFKA_AUTHORIZER_CLASS_NAME=kafka.Authorizer", "KAFKA_PROCESS_ROLES=controller"} {
		if _, err := brokerSettings("", []string{bad}, nil); err == nil {
			t.Errorf("%s is passed over", bad)
		}
	}
}

// Container images and Kubernetes set variables with the same prefix and another meaning: they neither stop a broker nor set anything, and
// are said. What may be a misspelt key is refused.
func TestVariablesOfImagesAreNoSettings(t *testing.T) {
	others := []string{
		"KAFKA_HEAP_OPTS", "KAFKA_JVM_PERFORMANCE_OPTS", "KAFKA_GC_LOG_OPTS", "KAFKA_LOG4J_OPTS", "KAFKA_LOG4J_ROOT_LOGLEVEL", "KAFKA_LOG4J_LOGGERS", "KAFKA_TOOLS_LOG4J_LOGLEVEL",
		"KAFKA_VERSION", "KAFKA_HOME", "KAFKA_OPTS", "KAFKA_JMX_OPTS", "KAFKA_JMX_PORT", "KAFKA_JMX_HOSTNAME", "KAFKA_DEBUG", "KAFKA_URL", "KAFKA_LOG_DIR_PATH", "KAFKA_CLUSTER_ID",
		"KAFKA_CREATE_TOPICS", "KAFKA_BROKERS", "KAFKA_KRAFT_CLUSTER_ID", "KAFKA_CLIENT_USERS", "KAFKA_CLIENT_PASSWORDS", "KAFKA_ENABLE_KRAFT", "KAFKA_CONFLUENT_SUPPORT_METRICS_ENABLE",
		"KAFKA_BOOTSTRAP_SERVERS", "KAFKA_PORT", "KAFKA_SERVICE_HOST", "KAFKA_SERVICE_PORT", "KAFKA_PORT_9092_TCP", "KAFKA_PORT_9092_TCP_ADDR", "KAFKA_SERVICE_PORT_TCP_CLIENT",
		"TROUPE_PORT", "TROUPE_SERVICE_HOST", "TROUPE_SERVICE_PORT", "TROUPE_SERVICE_PORT_KAFKA", "TROUPE_SERVICE_PORT_HTTP", "TROUPE_PORT_9092_TCP", "TROUPE_PORT_9092_TCP_PROTO",
		"TROUPE_PORT_9092_TCP_PORT", "TROUPE_PORT_9092_TCP_ADDR", "TROUPE_HOME", "TROUPE_VERSION",
	}
	environ := []string{"SCALA_VERSION=2.13", "TROUPE_BROKERS=a:1", "TROUPE_PASSWORD=secret"}
	for _, name := range others {
		environ = append(environ, name+"=tcp://10.0.0.1:9092")
	}
	if _, err := brokerSettings("", environ, nil); err != nil {
		t.Error(err)
	}
	got := readEnvironment(environ)
	if len(got.settings) > 0 || !slices.Equal(got.others, others) {
		t.Errorf("%+v are settings; of %d others %d are said: %q", got.settings, len(others), len(got.others), got.others)
	}
	for _, bad := range []string{"KAFKA_AUTHORIZER_CLASS_NAMES=x", "KAFKA_LISTENER=PLAINTEXT://:1", "KAFKA_CFG_SUPER_USER=x", "TROUPE_LOG_RETENTION_HOUR=1", "KAFKA_ZOOKEEPER_CONNECT=zk:2181", "TROUPE_SSL_CLIENT_AUTHENTICATION=required"} {
		if _, err := brokerSettings("", []string{bad}, nil); err == nil {
			t.Errorf("%s is passed over", bad)
		}
	}
}

// A value that the later of two sources takes back does no harm.
func TestOnlyWhatIsInForceIsRefused(t *testing.T) {
	if _, err := brokerSettings("", []string{"KAFKA_AUTHORIZER_CLASS_NAME=kafka.Authorizer"}, []string{"authorizer.class.name="}); err != nil {
		t.Error(err)
	}
}
