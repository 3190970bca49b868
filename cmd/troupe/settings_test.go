package main

import (
	"os"
	"path/filepath"
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
		"HOME=/root", "KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS=5", "KAFKA_LOG_RETENTION_HOURS=7",
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
