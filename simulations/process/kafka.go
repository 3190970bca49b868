package process

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// KafkaVersion is the Apache Kafka troupe is held against: the broker and its command-line tools.
const KafkaVersion = "4.4.0"

// KafkaAppVersion is that of what Apache Kafka offers to applications: Maven has no newer Streams examples, MirrorMaker and file
// connectors, and Streams and Connect need the clients of their own release.
const KafkaAppVersion = "4.3.1"

// Kafka is Apache Kafka in KRaft combined mode, from a directory of jars (KafkaJars), with its Kafka listener on addr and its
// controller's on votes. troupe's own settings are left out; java are options of the JVM. A fresh data directory is formatted.
func Kafka(jars, addr, votes string, java ...string) Subject {
	return Subject{Name: "kafka", Addr: addr, Command: func(dir string, settings map[string]string) (*exec.Cmd, error) {
		props := filepath.Join(dir, "..", filepath.Base(dir)+".properties")
		lines := []string{
			"process.roles=broker,controller", "node.id=1", "controller.quorum.voters=1@" + votes,
			"listeners=PLAINTEXT://" + addr + ",CONTROLLER://" + votes, "advertised.listeners=PLAINTEXT://" + addr,
			"controller.listener.names=CONTROLLER", "listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT", "log.dirs=" + dir,
			"offsets.topic.replication.factor=1", "transaction.state.log.replication.factor=1", "transaction.state.log.min.isr=1",
		}
		for _, kv := range Properties(settings) {
			if !strings.HasPrefix(kv, "log.durability=") {
				lines = append(lines, kv)
			}
		}
		if err := os.WriteFile(props, []byte(strings.Join(lines, "\n")+"\n"), 0o644); err != nil {
			return nil, err
		}
		run := func(class string, args ...string) *exec.Cmd {
			return exec.Command("java", append(append(append([]string{}, java...), "-Dlog4j2.level=WARN", "-cp", jars+"/*", class), args...)...)
		}
		if _, err := os.Stat(filepath.Join(dir, "meta.properties")); err != nil {
			if out, err := run("kafka.tools.StorageTool", "format", "-t", "dHJvdXBlLXNpbXVsYXRpbw", "-c", props).CombinedOutput(); err != nil {
				return nil, fmt.Errorf("formatting kafka's directory: %w\n%s", err, out)
			}
		}
		return run("kafka.Kafka", props), nil
	}}
}

// KafkaJars is the directory of Apache Kafka's jars, tools included: the one given, or one fetched with Maven below dir, once.
func KafkaJars(ctx context.Context, given, dir string) (string, error) {
	if given == "" {
		return fetchJars(ctx, dir, KafkaVersion, "kafka-tools", "kafka_2.13")
	}
	jars, err := filepath.Abs(given)
	if err == nil && !hasJar(jars, "kafka-tools") {
		err = fmt.Errorf("there is no kafka-tools jar in %s", given)
	}
	return jars, err
}

// KafkaAppJars is a directory below dir with what Apache Kafka offers to applications: Streams and its examples, Connect with the file
// connectors, MirrorMaker. It is fetched with Maven once.
func KafkaAppJars(ctx context.Context, dir string) (string, error) {
	return fetchJars(ctx, dir, KafkaAppVersion, "kafka-streams-examples", "connect-runtime", "connect-file", "connect-mirror")
}

func hasJar(dir, artifact string) bool {
	found, _ := filepath.Glob(filepath.Join(dir, artifact+"-*.jar"))
	return len(found) > 0
}

// fetchJars fetches artifacts of a version of Apache Kafka, and what they need, unless the first of them is there.
func fetchJars(ctx context.Context, dir, version string, artifacts ...string) (string, error) {
	jars, err := filepath.Abs(filepath.Join(dir, "lib-"+version))
	if err != nil || hasJar(jars, artifacts[0]) {
		return jars, err
	}
	if err := os.MkdirAll(jars, 0o755); err != nil {
		return "", err
	}
	var pom strings.Builder
	pom.WriteString(`<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>
<groupId>troupe</groupId><artifactId>kafka</artifactId><version>1</version><packaging>pom</packaging>
<dependencies>
`)
	depend := func(group, artifact, version string) {
		fmt.Fprintf(&pom, "<dependency><groupId>%s</groupId><artifactId>%s</artifactId><version>%s</version></dependency>\n", group, artifact, version)
	}
	for _, a := range artifacts {
		depend("org.apache.kafka", a, version)
	}
	depend("org.apache.logging.log4j", "log4j-core", "2.24.3")
	depend("org.apache.logging.log4j", "log4j-slf4j-impl", "2.24.3")
	pom.WriteString("</dependencies></project>\n")
	name := filepath.Join(dir, "pom.xml")
	if err := os.WriteFile(name, []byte(pom.String()), 0o644); err != nil {
		return "", err
	}
	mvn := exec.CommandContext(ctx, "mvn", "-q", "-B", "-ntp", "-f", name, "dependency:copy-dependencies", "-DincludeScope=runtime", "-DoutputDirectory="+jars)
	if out, err := mvn.CombinedOutput(); err != nil {
		return "", fmt.Errorf("fetching Apache Kafka with mvn: %w (give its jars with -kafka DIR)\n%s", err, out)
	}
	return jars, nil
}
