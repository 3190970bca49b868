package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/troupe-broker/troupe/simulations/process"
)

const kafkaVersion = "4.3.1"

// kafkaJars is the directory of Apache Kafka's jars: the one given, or one fetched with Maven into dir.
func kafkaJars(ctx context.Context, given, dir string) (string, error) {
	jars := given
	if jars == "" {
		jars = filepath.Join(dir, "lib-"+kafkaVersion)
	}
	if found, _ := filepath.Glob(filepath.Join(jars, "kafka-tools-*.jar")); len(found) > 0 {
		return filepath.Abs(jars)
	}
	if given != "" {
		return "", fmt.Errorf("there is no kafka-tools jar in %s", given)
	}
	if err := os.MkdirAll(jars, 0o755); err != nil {
		return "", err
	}
	absolute, err := filepath.Abs(jars)
	if err != nil {
		return "", err
	}
	pom := filepath.Join(dir, "pom.xml")
	if err := os.WriteFile(pom, []byte(fmt.Sprintf(kafkaPOM, kafkaVersion, kafkaVersion)), 0o644); err != nil {
		return "", err
	}
	mvn := exec.CommandContext(ctx, "mvn", "-q", "-B", "-ntp", "-f", pom, "dependency:copy-dependencies", "-DincludeScope=runtime", "-DoutputDirectory="+absolute)
	if out, err := mvn.CombinedOutput(); err != nil {
		return "", fmt.Errorf("fetching Apache Kafka with mvn: %w (give its jars with -kafka DIR)\n%s", err, out)
	}
	return absolute, nil
}

const kafkaPOM = `<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>
<groupId>troupe.compat</groupId><artifactId>kafka</artifactId><version>1</version><packaging>pom</packaging>
<dependencies>
<dependency><groupId>org.apache.kafka</groupId><artifactId>kafka-tools</artifactId><version>%s</version></dependency>
<dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>%s</version></dependency>
<dependency><groupId>org.apache.logging.log4j</groupId><artifactId>log4j-core</artifactId><version>2.24.3</version></dependency>
<dependency><groupId>org.apache.logging.log4j</groupId><artifactId>log4j-slf4j-impl</artifactId><version>2.24.3</version></dependency>
</dependencies></project>
`

// kafkaSubject runs Apache Kafka in KRaft combined mode. troupe's own settings are left out.
func kafkaSubject(jars, addr, votes string) process.Subject {
	return process.Subject{Name: "kafka", Addr: addr, Command: func(dir string, settings map[string]string) (*exec.Cmd, error) {
		props := filepath.Join(dir, "..", "kafka.properties")
		lines := []string{
			"process.roles=broker,controller", "node.id=1", "controller.quorum.voters=1@" + votes,
			"listeners=PLAINTEXT://" + addr + ",CONTROLLER://" + votes, "advertised.listeners=PLAINTEXT://" + addr,
			"controller.listener.names=CONTROLLER", "listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT", "log.dirs=" + dir,
			"offsets.topic.replication.factor=1", "transaction.state.log.replication.factor=1", "transaction.state.log.min.isr=1",
		}
		for _, kv := range process.Properties(settings) {
			if !strings.HasPrefix(kv, "log.durability=") {
				lines = append(lines, kv)
			}
		}
		if err := os.WriteFile(props, []byte(strings.Join(lines, "\n")+"\n"), 0o644); err != nil {
			return nil, err
		}
		java := []string{"-Xms256m", "-Xmx1g", "-Dlog4j2.level=WARN", "-cp", jars + "/*"}
		format := exec.Command("java", append(java, "kafka.tools.StorageTool", "format", "-t", "dHJvdXBlLWNvbXBhdGlibGU", "-c", props)...)
		if out, err := format.CombinedOutput(); err != nil {
			return nil, fmt.Errorf("formatting kafka's directory: %w\n%s", err, out)
		}
		return exec.Command("java", append(java, "kafka.Kafka", props)...), nil
	}}
}
