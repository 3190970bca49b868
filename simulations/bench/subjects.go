package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/troupe-broker/troupe/simulations/process"
)

const (
	troupeAddr = "127.0.0.1:21092"
	troupeHTTP = "127.0.0.1:21644"
	kafkaAddr  = "127.0.0.1:21192"
)

// kafkaSubject runs Apache Kafka in KRaft combined mode from a directory of jars. troupe's own settings are left out.
func kafkaSubject(jars string) process.Subject {
	return process.Subject{Name: "kafka", Addr: kafkaAddr, Command: func(dir string, settings map[string]string) (*exec.Cmd, error) {
		props := filepath.Join(dir, "..", filepath.Base(dir)+".properties")
		lines := []string{
			"process.roles=broker,controller", "node.id=1", "controller.quorum.voters=1@127.0.0.1:21193",
			"listeners=PLAINTEXT://" + kafkaAddr + ",CONTROLLER://127.0.0.1:21193", "advertised.listeners=PLAINTEXT://" + kafkaAddr,
			"controller.listener.names=CONTROLLER", "listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
			"log.dirs=" + dir, "offsets.topic.replication.factor=1", "transaction.state.log.replication.factor=1",
			"transaction.state.log.min.isr=1",
		}
		for _, kv := range process.Properties(settings) {
			if !strings.HasPrefix(kv, "log.durability=") {
				lines = append(lines, kv)
			}
		}
		if err := os.WriteFile(props, []byte(strings.Join(lines, "\n")+"\n"), 0o644); err != nil {
			return nil, err
		}
		java := []string{"-Xms1g", "-Xmx1g", "-XX:+UseG1GC", "-XX:MaxGCPauseMillis=20", "-Dlog4j2.level=WARN", "-cp", jars + "/*"}
		if _, err := os.Stat(filepath.Join(dir, "meta.properties")); err != nil {
			format := exec.Command("java", append(java, "kafka.tools.StorageTool", "format", "-t", "dHJvdXBlLWJlbmNobWFyaw", "-c", props)...)
			if out, err := format.CombinedOutput(); err != nil {
				return nil, fmt.Errorf("formatting kafka's directory: %w\n%s", err, out)
			}
		}
		return exec.Command("java", append(java, "kafka.Kafka", props)...), nil
	}}
}

// fetchKafka downloads Apache Kafka's jars with Maven into dir and returns the directory of jars.
func fetchKafka(dir string) (string, error) {
	jars := filepath.Join(dir, "lib")
	if found, _ := filepath.Glob(filepath.Join(jars, "kafka_2.13-*.jar")); len(found) > 0 {
		return jars, nil
	}
	if err := os.MkdirAll(jars, 0o755); err != nil {
		return "", err
	}
	pom := filepath.Join(dir, "pom.xml")
	if err := os.WriteFile(pom, []byte(kafkaPOM), 0o644); err != nil {
		return "", err
	}
	absolute, err := filepath.Abs(jars)
	if err != nil {
		return "", err
	}
	mvn := exec.Command("mvn", "-q", "-B", "-ntp", "-f", pom, "dependency:copy-dependencies", "-DincludeScope=runtime", "-DoutputDirectory="+absolute)
	if out, err := mvn.CombinedOutput(); err != nil {
		return "", fmt.Errorf("fetching Apache Kafka with mvn: %w (give its jars with -kafka DIR, or -kafka none)\n%s", err, out)
	}
	return jars, nil
}

const kafkaPOM = `<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>
<groupId>troupe.bench</groupId><artifactId>kafka</artifactId><version>1</version><packaging>pom</packaging>
<dependencies>
<dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>4.3.1</version></dependency>
<dependency><groupId>org.apache.logging.log4j</groupId><artifactId>log4j-core</artifactId><version>2.24.3</version></dependency>
<dependency><groupId>org.apache.logging.log4j</groupId><artifactId>log4j-slf4j-impl</artifactId><version>2.24.3</version></dependency>
</dependencies></project>
`
