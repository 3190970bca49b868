package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// javaTest is one tool doing its job. Tests run in this order against one broker, each with topics and groups of its own or those of
// the tests it comes after; those that read the broker's files come last and stop it.
type javaTest struct {
	name  string
	run   func(*tools) error
	after []string
}

var javaTests = []javaTest{
	{"BrokerApiVersionsCommand", apiVersions, nil},
	{"TopicCommand", topicCommand, nil},
	{"ConfigCommand", configCommand, nil},
	{"ConfigCommand/users", configUsers, nil},
	{"ReassignPartitionsCommand", func(j *tools) error {
		return j.see([]string{"No partition reassignments found."}, "reassign.ReassignPartitionsCommand", "--list")
	}, nil},
	{"MetadataQuorumCommand", metadataQuorum, nil},
	{"ClientMetricsCommand", func(j *tools) error { return j.see(nil, "ClientMetricsCommand", "--list") }, nil},
	{"LeaderElectionCommand", leaderElection, nil},
	{"ConsoleProducer", consoleProducer, nil},
	{"ConsoleConsumer", consoleConsumer, []string{"ConsoleProducer"}},
	{"ConsoleConsumer/group", consoleConsumerGroup, []string{"ConsoleProducer"}},
	{"GetOffsetShell", getOffsetShell, nil},
	{"DeleteRecordsCommand", deleteRecords, nil},
	{"LogDirsCommand", logDirs, []string{"ConsoleProducer"}},
	{"FeatureCommand", features, nil},
	{"ProducerPerformance", producerPerformance, nil},
	{"ConsumerPerformance", consumerPerformance, []string{"ProducerPerformance"}},
	{"EndToEndLatency", endToEndLatency, nil},
	{"ConsumerGroupCommand/classic", func(j *tools) error { return groupCommand(j, "classic") }, nil},
	{"ConsumerGroupCommand/consumer", func(j *tools) error { return groupCommand(j, "consumer") }, nil},
	{"GroupsCommand", groupsCommand, nil},
	{"VerifiableProducer", verifiableProducer, nil},
	{"VerifiableConsumer/classic", func(j *tools) error { return verifiableConsumer(j, "classic") }, []string{"VerifiableProducer"}},
	{"VerifiableConsumer/consumer", func(j *tools) error { return verifiableConsumer(j, "consumer") }, []string{"VerifiableProducer"}},
	{"ProducerPerformance/transactions", transactionalPerformance, nil},
	{"TransactionalMessageCopier", func(j *tools) error { return copier(j, "copy") }, nil},
	{"TransactionalMessageCopier/group", func(j *tools) error { return copier(j, "copyg", "--group-mode", "--use-group-metadata") }, nil},
	{"TransactionsCommand", transactionsCommand, []string{"ProducerPerformance/transactions"}},
	{"ClientCompatibilityTest", func(j *tools) error { return clientCompatibility(j, "compatible", true) }, nil},
	{"ClientCompatibilityTest/acls-optional", func(j *tools) error { return clientCompatibility(j, "compatible-acls", false) }, nil},
	{"DumpLogSegments", dumpLogs, []string{"ConsoleProducer", "ProducerPerformance"}},
	{"DumpLogSegments/indexes", dumpIndexes, []string{"ProducerPerformance", "TransactionalMessageCopier"}},
	{"DumpLogSegments/snapshots", dumpSnapshots, []string{"ProducerPerformance"}},
	{"DumpLogSegments/__consumer_offsets", func(j *tools) error {
		return dumpInternal(j, "__consumer_offsets", "--offsets-decoder", `"type":"1"`)
	}, []string{"ConsoleConsumer/group"}},
	{"DumpLogSegments/__transaction_state", func(j *tools) error {
		return dumpInternal(j, "__transaction_state", "--transaction-log-decoder", "transactionalId")
	}, []string{"ProducerPerformance/transactions"}},
}

func apiVersions(j *tools) error {
	return j.see([]string{j.target.addr, "Produce(0): ", "Fetch(1): ", "Metadata(3): ", "JoinGroup(11): ", "InitProducerId(22): ", "ConsumerGroupHeartbeat(68): ",
		"[usable: "}, "BrokerApiVersionsCommand")
}

func topicCommand(j *tools) error {
	if err := j.see([]string{"Created topic tc."}, "TopicCommand", "--create", "--topic", "tc", "--partitions", "3", "--replication-factor", "1",
		"--config", "retention.ms=3600000"); err != nil {
		return err
	}
	if err := j.see([]string{"PartitionCount: 3", "ReplicationFactor: 1", "retention.ms=3600000", "Partition: 2"}, "TopicCommand", "--describe", "--topic", "tc"); err != nil {
		return err
	}
	if _, err := j.broker("TopicCommand", "--alter", "--topic", "tc", "--partitions", "5"); err != nil {
		return err
	}
	if err := j.see([]string{"PartitionCount: 5"}, "TopicCommand", "--describe", "--topic", "tc"); err != nil {
		return err
	}
	if out, err := j.broker("TopicCommand", "--create", "--topic", "tc"); err == nil {
		return fmt.Errorf("a topic was created twice:\n%s", quote(out))
	}
	if err := j.see([]string{"tc"}, "TopicCommand", "--list"); err != nil {
		return err
	}
	if _, err := j.broker("TopicCommand", "--delete", "--topic", "tc"); err != nil {
		return err
	}
	out, err := j.broker("TopicCommand", "--list")
	if err == nil && slices.Contains(strings.Fields(out), "tc") {
		err = fmt.Errorf("a deleted topic is listed")
	}
	return err
}

func configCommand(j *tools) error {
	const class = "ConfigCommand"
	if err := j.create("cc", 1); err != nil {
		return err
	}
	topic := []string{"--entity-type", "topics", "--entity-name", "cc"}
	steps := []struct {
		want string
		args []string
	}{
		{"Completed updating config for topic cc.", append([]string{"--alter", "--add-config", "max.message.bytes=2000000,retention.ms=7200000"}, topic...)},
		{"max.message.bytes=2000000", append([]string{"--describe"}, topic...)},
		{"Completed updating config for topic cc.", append([]string{"--alter", "--delete-config", "retention.ms"}, topic...)},
		{"log.segment.bytes", []string{"--describe", "--all", "--entity-type", "brokers", "--entity-name", "1"}},
	}
	for _, s := range steps {
		if err := j.see([]string{s.want}, class, s.args...); err != nil {
			return err
		}
	}
	out, err := j.broker(class, append([]string{"--describe"}, topic...)...)
	if err == nil && strings.Contains(out, "retention.ms") {
		err = fmt.Errorf("a deleted config is still described:\n%s", quote(out))
	}
	return err
}

// configUsers: a user of SCRAM is shown after the quotas that there are not.
func configUsers(j *tools) error {
	const class = "ConfigCommand"
	ann := []string{"--entity-type", "users", "--entity-name", "ann"}
	if err := j.see([]string{"Completed updating config for user ann."}, class, append([]string{"--alter", "--add-config", "SCRAM-SHA-256=[iterations=4096,password=secret]"}, ann...)...); err != nil {
		return err
	}
	if err := j.see([]string{"SCRAM credential configs for user-principal 'ann' are SCRAM-SHA-256=iterations=4096"}, class, "--describe", "--entity-type", "users"); err != nil {
		return err
	}
	return j.see([]string{"Completed updating config for user ann."}, class, append([]string{"--alter", "--delete-config", "SCRAM-SHA-256"}, ann...)...)
}

func metadataQuorum(j *tools) error {
	if err := j.see([]string{"LeaderId:               1", "CurrentVoters:", "HighWatermark:"}, "MetadataQuorumCommand", "describe", "--status"); err != nil {
		return err
	}
	return j.see([]string{"Leader"}, "MetadataQuorumCommand", "describe", "--replication")
}

func leaderElection(j *tools) error {
	if err := j.create("elected", 1); err != nil {
		return err
	}
	return j.see([]string{"Valid replica already elected for partitions"}, "LeaderElectionCommand", "--election-type", "preferred", "--topic", "elected", "--partition", "0")
}

func consoleProducer(j *tools) error {
	if err := j.create("console", 2); err != nil {
		return err
	}
	return j.produce("console", numbered(100)...)
}

// consoleConsumer reads what the test before it wrote.
func consoleConsumer(j *tools) error {
	out, err := j.broker("consumer.ConsoleConsumer", "--topic", "console", "--from-beginning", "--max-messages", "100", "--timeout-ms", "20000")
	if err != nil {
		return err
	}
	return sameLines(out, numbered(100))
}

func consoleConsumerGroup(j *tools) error {
	for i, want := range []string{"100", "3"} {
		if i > 0 {
			if err := j.produce("console", "x", "y", "z"); err != nil {
				return err
			}
		}
		out, err := j.broker("consumer.ConsoleConsumer", "--topic", "console", "--from-beginning", "--group", "console", "--max-messages", want, "--timeout-ms", "20000")
		if err != nil {
			return err
		}
		if got := strconv.Itoa(len(strings.Fields(strings.ReplaceAll(out, "line ", "")))); got != want {
			return fmt.Errorf("read %d of the group: %s records, want %s:\n%s", i+1, got, want, quote(out))
		}
	}
	return nil
}

func sameLines(out string, want []string) error {
	got := strings.Split(strings.TrimSpace(out), "\n")
	slices.Sort(got)
	if !slices.Equal(got, want) {
		return fmt.Errorf("%d lines, want %d:\n%s", len(got), len(want), quote(out))
	}
	return nil
}

func getOffsetShell(j *tools) error {
	if err := j.create("gos", 1); err != nil {
		return err
	}
	if err := j.produce("gos", numbered(7)...); err != nil {
		return err
	}
	if err := j.see([]string{"gos:0:7"}, "GetOffsetShell", "--topic", "gos"); err != nil {
		return err
	}
	if err := j.see([]string{"gos:0:0"}, "GetOffsetShell", "--topic", "gos", "--time", "earliest"); err != nil {
		return err
	}
	return j.see([]string{"gos:0:7"}, "GetOffsetShell", "--topic-partitions", "gos:0-1", "--time", "latest")
}

func deleteRecords(j *tools) error {
	if err := j.create("dr", 1); err != nil {
		return err
	}
	if err := j.produce("dr", numbered(10)...); err != nil {
		return err
	}
	name := filepath.Join(j.target.work, "delete.json")
	if err := os.WriteFile(name, []byte(`{"partitions":[{"topic":"dr","partition":0,"offset":4}],"version":1}`), 0o644); err != nil {
		return err
	}
	if err := j.see([]string{"low_watermark: 4"}, "DeleteRecordsCommand", "--offset-json-file", name); err != nil {
		return err
	}
	return j.see([]string{"dr:0:4"}, "GetOffsetShell", "--topic", "dr", "--time", "earliest")
}

func logDirs(j *tools) error {
	return j.see([]string{`"partition":"console-0"`, `"error":null`, `"logDir"`}, "LogDirsCommand", "--describe", "--topic-list", "console")
}

func features(j *tools) error {
	return j.see([]string{"Feature: metadata.version", "Feature: group.version", "Feature: transaction.version"}, "FeatureCommand", "describe")
}

const perfRecords = "20000"

func producerPerformance(j *tools) error {
	if err := j.create("perf", 3); err != nil {
		return err
	}
	out, err := j.broker("ProducerPerformance", "--topic", "perf", "--num-records", perfRecords, "--record-size", "200", "--throughput", "-1",
		"--command-property", "acks=all", "linger.ms=5", "enable.idempotence=true")
	if err != nil {
		return err
	}
	return contains(out, perfRecords+" records sent", "ms 99th")
}

// consumerPerformance reads what producerPerformance wrote.
func consumerPerformance(j *tools) error {
	out, err := j.broker("ConsumerPerformance", "--topic", "perf", "--num-records", perfRecords, "--timeout", "30000", "--hide-header")
	if err != nil {
		return err
	}
	fields := strings.Split(strings.TrimSpace(out), ", ")
	if want, _ := strconv.Atoi(perfRecords); len(fields) < 5 || number(fields[4]) < want {
		return fmt.Errorf("not %s records:\n%s", perfRecords, quote(out))
	}
	return nil
}

// number is what a column of a tool holds; -1 if it is none.
func number(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil {
		return -1
	}
	return n
}

func endToEndLatency(j *tools) error {
	if err := j.create("e2e", 1); err != nil {
		return err
	}
	return j.see([]string{"Avg latency: ", "Percentiles: 50th = "}, "EndToEndLatency", "--topic", "e2e", "--num-records", "500", "--producer-acks", "all", "--record-size", "100")
}

// committed reads n records of a topic as a member of a group, which commits them when it ends.
func committed(j *tools, protocol, topic, group string, n int) error {
	_, err := j.broker("consumer.ConsoleConsumer", "--topic", topic, "--from-beginning", "--group", group, "--max-messages", strconv.Itoa(n),
		"--timeout-ms", "20000", "--command-property", "group.protocol="+protocol)
	return err
}

func groupCommand(j *tools, protocol string) error {
	const class = "consumer.group.ConsumerGroupCommand"
	topic, group := "cg-"+protocol, "group-"+protocol
	if err := j.create(topic, 1); err != nil {
		return err
	}
	if err := j.produce(topic, numbered(10)...); err != nil {
		return err
	}
	if err := committed(j, protocol, topic, group, 10); err != nil {
		return err
	}
	reset := []string{"--reset-offsets", "--group", group, "--topic", topic, "--execute"}
	for _, s := range []struct {
		wants []string
		args  []string
	}{
		{[]string{group}, []string{"--list"}},
		{[]string{"Empty", strings.ToUpper(protocol[:1]) + protocol[1:]}, []string{"--list", "--state", "Empty", "--type", protocol}}, // state and type
		{[]string{topic, "10              10              0"}, []string{"--describe", "--group", group}},
		{[]string{"Empty"}, []string{"--describe", "--group", group, "--state"}},
		{nil, []string{"--describe", "--group", group, "--members", "--verbose"}},
		{[]string{topic}, append(reset, "--to-offset", "4")},
		{[]string{"4               10              6"}, []string{"--describe", "--group", group, "--offsets"}},
		{[]string{topic}, append(reset, "--shift-by", "2")},
		{[]string{"6               10              4"}, []string{"--describe", "--all-groups"}},
		{[]string{"Request succeeded for deleting offsets"}, []string{"--delete-offsets", "--group", group, "--topic", topic}},
		{[]string{topic}, append(reset, "--to-earliest")},
		{[]string{"was successful"}, []string{"--delete", "--group", group}},
	} {
		if err := j.see(s.wants, class, s.args...); err != nil {
			return err
		}
	}
	out, err := j.broker(class, "--list")
	if err == nil && slices.Contains(strings.Fields(out), group) {
		err = fmt.Errorf("a deleted group is listed")
	}
	return err
}

func groupsCommand(j *tools) error {
	if err := j.create("gc", 1); err != nil {
		return err
	}
	if err := j.produce("gc", "one"); err != nil {
		return err
	}
	if err := committed(j, "classic", "gc", "listed", 1); err != nil {
		return err
	}
	return j.see([]string{"listed", "Classic"}, "GroupsCommand", "--list")
}

func verifiableProducer(j *tools) error {
	if err := j.create("verifiable", 2); err != nil {
		return err
	}
	out, err := j.broker("VerifiableProducer", "--topic", "verifiable", "--max-messages", "2000", "--acks", "-1")
	if err != nil {
		return err
	}
	if n := strings.Count(out, `"producer_send_success"`); n != 2000 {
		return fmt.Errorf("%d of 2000 records were acknowledged:\n%s", n, quote(out))
	}
	return contains(out, `"acked":2000`)
}

// verifiableConsumer reads what verifiableProducer wrote.
func verifiableConsumer(j *tools, protocol string) error {
	out, err := j.broker("VerifiableConsumer", "--topic", "verifiable", "--group-id", "verifiable-"+protocol, "--group-protocol", protocol, "--max-messages", "2000",
		"--reset-policy", "earliest", "--verbose")
	if err != nil {
		return err
	}
	if n := strings.Count(out, `"record_data"`); n != 2000 {
		return fmt.Errorf("%d of 2000 records came:\n%s", n, quote(out))
	}
	return contains(out, `"partitions_assigned"`, `"offsets_committed"`, `"shutdown_complete"`)
}

func transactionalPerformance(j *tools) error {
	if err := j.create("txperf", 3); err != nil {
		return err
	}
	out, err := j.broker("ProducerPerformance", "--topic", "txperf", "--num-records", "5000", "--payload-monotonic", "--throughput", "-1",
		"--transactional-id", "perf", "--transaction-duration-ms", "50")
	if err != nil {
		return err
	}
	if err := contains(out, "5000 records sent"); err != nil {
		return err
	}
	return committedRecords(j, "txperf", 5000)
}

// recordLine is a record of these tests as the console consumer prints it, and no line of its log.
var recordLine = regexp.MustCompile(`(?m)^(line )?\d+$`)

// committedRecords checks how many records a reader of committed ones gets before nothing more comes.
func committedRecords(j *tools, topic string, want int) error {
	out, err := j.broker("consumer.ConsoleConsumer", "--topic", topic, "--from-beginning", "--isolation-level", "read_committed", "--timeout-ms", "6000")
	if err != nil {
		return err
	}
	if got := len(recordLine.FindAllString(out, -1)); got != want {
		return fmt.Errorf("topic %s has %d committed records, want %d", topic, got, want)
	}
	return nil
}

// copier copies 1000 records in transactions of 100, some of them aborted and done again.
func copier(j *tools, topic string, more ...string) error {
	for _, t := range []string{topic + "-in", topic + "-out"} {
		if err := j.create(t, 1); err != nil {
			return err
		}
	}
	if err := j.produce(topic+"-in", numbered(1000)...); err != nil {
		return err
	}
	out, err := j.run("TransactionalMessageCopier", append([]string{"--broker-list", j.target.addr, "--input-topic", topic + "-in", "--input-partition", "0",
		"--output-topic", topic + "-out", "--consumer-group", topic, "--transactional-id", topic, "--transaction-size", "100", "--enable-random-aborts"}, more...)...)
	if err != nil {
		return err
	}
	if err := contains(out, `"remaining":0`); err != nil {
		return err
	}
	return committedRecords(j, topic+"-out", 1000)
}

// transactionsCommand looks at the transactional ids of the tests before it.
func transactionsCommand(j *tools) error {
	for _, s := range []struct {
		wants []string
		args  []string
	}{
		{[]string{"TransactionalId", "perf", "CompleteCommit"}, []string{"list"}},
		{[]string{"perf", "TransactionTimeoutMs"}, []string{"describe", "--transactional-id", "perf"}},
		{[]string{"ProducerId", "LatestCoordinatorEpoch"}, []string{"describe-producers", "--topic", "txperf", "--partition", "0"}},
		{[]string{"ProducerId"}, []string{"find-hanging", "--topic", "txperf"}},
	} {
		if err := j.see(s.wants, "TransactionsCommand", s.args...); err != nil {
			return err
		}
	}
	return nil
}

// clientCompatibility is Kafka's check of a broker by its oldest promises. It expects DescribeAcls to be served if acls; otherwise only
// of a broker that says it serves it.
func clientCompatibility(j *tools, topic string, acls bool) error {
	if !acls {
		out, err := j.broker("BrokerApiVersionsCommand")
		if err != nil {
			return err
		}
		acls = strings.Contains(out, "DescribeAcls(29): ") && !strings.Contains(out, "DescribeAcls(29): UNSUPPORTED")
	}
	if _, err := j.broker("TopicCommand", "--delete", "--if-exists", "--topic", "newtopic"); err != nil { // the tool makes it
		return err
	}
	described := "False"
	if acls {
		described = "True"
	}
	return j.see([]string{"SUCCESS"}, "ClientCompatibilityTest", "--topic", topic, "--num-cluster-nodes", "1",
		"--offsets-for-times-supported", "True", "--cluster-id-supported", "True", "--expect-record-too-large-exception", "False",
		"--create-topics-supported", "True", "--describe-acls-supported", described, "--describe-configs-supported", "True",
		"--idempotent-producer-supported", "True")
}
