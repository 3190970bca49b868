package main

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kgo"
)

// property is one setting of a Kafka client, by the names that the Java client and librdkafka have for it.
type property struct {
	names []string // the Java client's first, if it has one
	does  string
	// set makes it so for the command at hand. It is called for the strongest value alone.
	set func(s *settler, value string) error
}

// passwordFileProperty names the file of a password: our own, for profiles.
const passwordFileProperty = "sasl.password.file"

// clientProperties are all that can be honoured. Those that restrict somebody or say who the client is (ssl., sasl.) and are not here are
// refused; others that are known (tuningProperties) are passed over with a line.
var clientProperties = []property{
	{[]string{"bootstrap.servers", "metadata.broker.list"}, "--brokers", (*settler).setBrokers},
	{[]string{"security.protocol"}, "PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL: whether to speak TLS and whether to log in", (*settler).setProtocol},
	{[]string{"sasl.mechanism", "sasl.mechanisms"}, "--sasl-mechanism", toFlag("sasl-mechanism")},
	{[]string{"sasl.jaas.config"}, "--user and --password, of a PlainLoginModule or ScramLoginModule", (*settler).setJaas},
	{[]string{"sasl.username"}, "--user", toFlag("user")},
	{[]string{"sasl.password"}, "--password", toFlag("password")},
	{[]string{passwordFileProperty}, "--password-file", toFlag("password-file")},
	{[]string{"ssl.truststore.location", "ssl.ca.location"}, "--tls-ca: PEM", toFlag("tls-ca")},
	{[]string{"ssl.truststore.certificates", "ssl.ca.pem"}, "trust the authorities in this PEM text", func(s *settler, v string) error { s.app.tls.caPEM = v; return nil }},
	{[]string{"ssl.truststore.type"}, "PEM only", only("PEM")},
	{[]string{"ssl.keystore.location"}, "--tls-cert and --tls-key in one PEM file", (*settler).setKeystore},
	{[]string{"ssl.certificate.location"}, "--tls-cert", toFlag("tls-cert")},
	{[]string{"ssl.key.location"}, "--tls-key", toFlag("tls-key")},
	{[]string{"ssl.keystore.certificate.chain", "ssl.certificate.pem"}, "show this client certificate, PEM text", func(s *settler, v string) error { s.app.tls.certPEM = v; return nil }},
	{[]string{"ssl.keystore.key", "ssl.key.pem"}, "its private key, PEM text", func(s *settler, v string) error { s.app.tls.keyPEM = v; return nil }},
	{[]string{"ssl.keystore.type"}, "PEM only", only("PEM")},
	{[]string{"ssl.endpoint.identification.algorithm"}, "https, or empty (librdkafka: none) to take a certificate for any name", (*settler).setNames},
	{[]string{"ssl.protocol"}, "TLS or TLSv1.3", only("TLS", "TLSv1.3")},
	{[]string{"ssl.enabled.protocols"}, "TLSv1.2, TLSv1.3 or both", (*settler).setVersions},
	{[]string{"enable.ssl.certificate.verification"}, "false is --tls-skip-verify", func(s *settler, v string) error { return s.inverse("tls-skip-verify", v) }},
	{[]string{"client.id"}, "name of this client in the broker's logs, metrics and groups", func(s *settler, v string) error { return s.option(kgo.ClientID(v)) }},
	{[]string{"client.rack"}, "read from replicas in this rack", func(s *settler, v string) error { return s.option(kgo.Rack(v)) }},
	{[]string{"request.timeout.ms", "default.api.timeout.ms", "socket.timeout.ms"}, "--timeout", millisFlag("timeout")},
	{[]string{"isolation.level"}, "consume, peek: read_committed is --committed", (*settler).setIsolation},
	{[]string{"group.id"}, "consume: --group", onCommand("consume", "group")},
	{[]string{"group.protocol"}, "consume: --protocol", func(s *settler, v string) error { return s.flagOn("consume", "protocol", strings.ToLower(v)) }},
	{[]string{"auto.offset.reset"}, "consume: -o start or -o end", (*settler).setReset},
	{[]string{"fetch.min.bytes"}, "consume: wait for so many bytes", numberOption(func(n int32) kgo.Opt { return kgo.FetchMinBytes(n) })},
	{[]string{"fetch.max.bytes"}, "consume: largest answer", numberOption(func(n int32) kgo.Opt { return kgo.FetchMaxBytes(n) })},
	{[]string{"max.partition.fetch.bytes", "fetch.message.max.bytes"}, "consume: largest answer for one partition", numberOption(func(n int32) kgo.Opt { return kgo.FetchMaxPartitionBytes(n) })},
	{[]string{"acks", "request.required.acks"}, "produce: --acks", toFlag("acks")},
	{[]string{"compression.type", "compression.codec"}, "produce: --compression", toFlag("compression")},
	{[]string{"enable.idempotence"}, "produce: false is --no-idempotence", func(s *settler, v string) error { return s.inverse("no-idempotence", v) }},
	{[]string{"max.request.size", "message.max.bytes"}, "produce: --max-message-bytes", toFlag("max-message-bytes")},
	{[]string{"delivery.timeout.ms", "message.timeout.ms"}, "produce: --delivery-timeout", millisFlag("delivery-timeout")},
	{[]string{"transactional.id"}, "produce: --transactional-id", toFlag("transactional-id")},
	{[]string{"transaction.timeout.ms"}, "produce: --transaction-timeout", millisFlag("transaction-timeout")},
	{[]string{"linger.ms", "queue.buffering.max.ms"}, "produce: wait so long for a batch to fill", (*settler).setLinger},
	{[]string{"metadata.max.age.ms", "topic.metadata.refresh.interval.ms"}, "how often to look for new partitions", (*settler).setMetadataAge},
}

// tuningProperties are settings that other clients have and that change nothing here but speed, waiting or what code runs there.
var tuningProperties = strings.Fields(`auto.commit.interval.ms auto.include.jmx.reporter batch.num.messages batch.size bootstrap.controllers buffer.memory
check.crcs client.dns.lookup connections.max.idle.ms enable.auto.commit enable.auto.offset.store enable.metrics.push exclude.internal.topics
fetch.max.wait.ms fetch.wait.max.ms group.instance.id group.remote.assignor heartbeat.interval.ms interceptor.classes internal.leave.group.on.close
key.deserializer key.serializer log.connection.close max.block.ms max.in.flight max.in.flight.requests.per.connection max.poll.interval.ms
max.poll.records metadata.max.idle.ms metadata.recovery.rebootstrap.trigger.ms metadata.recovery.strategy metric.reporters metrics.num.samples
metrics.recording.level metrics.sample.window.ms partition.assignment.strategy partitioner partitioner.adaptive.partitioning.enable
partitioner.availability.timeout.ms partitioner.class partitioner.ignore.keys queue.buffering.max.kbytes queue.buffering.max.messages
queued.max.messages.kbytes queued.min.messages receive.buffer.bytes reconnect.backoff.max.ms reconnect.backoff.ms retries retry.backoff.max.ms
retry.backoff.ms send.buffer.bytes session.timeout.ms socket.connection.setup.timeout.max.ms socket.connection.setup.timeout.ms
socket.keepalive.enable socket.nagle.disable statistics.interval.ms value.deserializer value.serializer log_level debug
compression.gzip.level compression.lz4.level compression.zstd.level compression.level api.version.request broker.address.family`)

// propertyNamed finds a property by any of its names.
func propertyNamed(name string) (property, bool) {
	for _, p := range clientProperties {
		if slices.Contains(p.names, name) {
			return p, true
		}
	}
	return property{}, false
}

// restricts reports whether a property of this name says who the client is, or whom it believes.
func restricts(name string) bool {
	return strings.HasPrefix(name, "ssl.") || strings.HasPrefix(name, "sasl.") || strings.HasPrefix(name, "security.") || name == "enable.ssl.certificate.verification"
}

func propertyNames() (out []string) {
	for _, p := range clientProperties {
		out = append(out, p.names...)
	}
	return out
}

// settler applies properties to the flags of one command. A flag that was given stays.
type settler struct {
	app      *app
	cmd      *cobra.Command
	protocol string // security.protocol, if somebody set it
}

func toFlag(name string) func(*settler, string) error {
	return func(s *settler, v string) error { return s.flag(name, v) }
}

func onCommand(command, flag string) func(*settler, string) error {
	return func(s *settler, v string) error { return s.flagOn(command, flag, v) }
}

// flag sets a flag if the command has it.
func (s *settler) flag(name, value string) error {
	f := s.cmd.Flags().Lookup(name)
	if f == nil || f.Changed {
		return nil
	}
	return f.Value.Set(value)
}

func (s *settler) flagOn(command, flag, value string) error {
	if s.cmd.Name() != command {
		return nil
	}
	return s.flag(flag, value)
}

// inverse sets a flag to the opposite of a Boolean.
func (s *settler) inverse(flag, value string) error {
	on, err := strconv.ParseBool(value)
	if err != nil {
		return fmt.Errorf("neither true nor false")
	}
	return s.flag(flag, strconv.FormatBool(!on))
}

// option is for the client library.
func (s *settler) option(o kgo.Opt) error {
	s.app.options = append(s.app.options, o)
	return nil
}

// only refuses all values but these: they are what is done anyway.
func only(values ...string) func(*settler, string) error {
	return func(_ *settler, v string) error {
		if slices.ContainsFunc(values, func(one string) bool { return strings.EqualFold(one, v) }) {
			return nil
		}
		return fmt.Errorf("cannot be honoured: only %s can", strings.Join(values, " or "))
	}
}

func numberOption(make func(int32) kgo.Opt) func(*settler, string) error {
	return func(s *settler, v string) error {
		n, err := strconv.ParseInt(v, 10, 32)
		if err != nil || n < 0 {
			return fmt.Errorf("not a number of bytes")
		}
		return s.option(make(int32(n)))
	}
}

func millis(v string) (time.Duration, error) {
	n, err := strconv.ParseInt(v, 10, 32)
	if err != nil || n < 0 {
		return 0, fmt.Errorf("not a number of milliseconds")
	}
	return time.Duration(n) * time.Millisecond, nil
}

func millisFlag(name string) func(*settler, string) error {
	return func(s *settler, v string) error {
		d, err := millis(v)
		if err != nil {
			return err
		}
		return s.flag(name, d.String())
	}
}

func (s *settler) setLinger(v string) error {
	d, err := millis(v)
	if err != nil {
		return err
	}
	return s.option(kgo.ProducerLinger(d))
}

func (s *settler) setMetadataAge(v string) error {
	d, err := millis(v)
	if err != nil {
		return err
	}
	const low = 10 * time.Second // the client library refuses to ask more often than half of this
	return s.option(kgo.MetadataMaxAge(max(d, low)))
}

func (s *settler) setBrokers(v string) error {
	if !s.cmd.Flags().Changed("brokers") {
		s.app.brokers = strings.Split(v, ",")
	}
	return nil
}

func (s *settler) setProtocol(v string) error {
	s.protocol = strings.ToUpper(v)
	switch s.protocol {
	case "PLAINTEXT", "SASL_PLAINTEXT":
		return nil
	case "SSL", "SASL_SSL":
		return s.flag("tls", "true")
	}
	return fmt.Errorf("not PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL")
}

func (s *settler) setJaas(v string) error {
	who, err := parseJaas(v)
	if err != nil {
		return err
	}
	if f := s.cmd.Flags().Lookup("sasl-mechanism"); who.module == "PlainLoginModule" && f != nil && f.Value.String() == f.DefValue {
		_ = s.flag("sasl-mechanism", "PLAIN")
	}
	if err := s.flag("user", who.user); err != nil || s.cmd.Flags().Changed("user") {
		return err // the password is not that of another user
	}
	return s.flag("password", who.secret)
}

func (s *settler) setKeystore(v string) error {
	if err := s.flag("tls-cert", v); err != nil {
		return err
	}
	return s.flag("tls-key", v)
}

func (s *settler) setNames(v string) error {
	switch strings.ToLower(v) {
	case "https":
	case "", "none":
		s.app.tls.anyName = true
	default:
		return fmt.Errorf("not https and not empty")
	}
	return nil
}

func (s *settler) setVersions(v string) error {
	for _, one := range strings.Split(v, ",") {
		if one = strings.TrimSpace(one); one != "TLSv1.2" && one != "TLSv1.3" {
			return fmt.Errorf("%q cannot be honoured: TLSv1.2 and TLSv1.3 can", one)
		}
	}
	s.app.tls.without12, s.app.tls.without13 = !strings.Contains(v, "TLSv1.2"), !strings.Contains(v, "TLSv1.3")
	return nil
}

func (s *settler) setIsolation(v string) error {
	switch v {
	case "read_committed":
		return s.flag("committed", "true")
	case "read_uncommitted":
		return nil
	}
	return fmt.Errorf("not read_committed or read_uncommitted")
}

func (s *settler) setReset(v string) error {
	at := map[string]string{"earliest": "start", "smallest": "start", "beginning": "start", "latest": "end", "largest": "end", "end": "end"}[v]
	switch {
	case at == "" && s.cmd.Name() == "consume":
		return fmt.Errorf("cannot be honoured: earliest and latest can")
	case s.cmd.Flags().Changed("tail"):
		return nil
	}
	return s.flagOn("consume", "offset", at)
}

// finish makes what was set agree with security.protocol, as the Java client does: without SASL in it nobody logs in, without SSL nothing of
// TLS counts. A flag that was given counts in any case.
func (s *settler) finish() error {
	f := s.cmd.Flags()
	if s.protocol == "" {
		return nil
	}
	if !strings.HasPrefix(s.protocol, "SASL_") && !f.Changed("user") {
		s.app.sasl.user = ""
	}
	if strings.HasPrefix(s.protocol, "SASL_") && s.app.sasl.user == "" {
		return usage("--user NAME, or sasl.username or sasl.jaas.config beside it", "security.protocol=%s logs in, and nothing says who", s.protocol)
	}
	if !strings.HasSuffix(s.protocol, "SSL") && !f.Changed("tls") && !f.Changed("tls-ca") && !f.Changed("tls-cert") && !f.Changed("tls-skip-verify") {
		s.app.tls = tlsFlags{}
	}
	return nil
}

// propertyDoc is a line of profile properties.
type propertyDoc struct {
	Property string   `json:"property"`
	Also     []string `json:"also" doc:"other names, librdkafka's among them"`
	Does     string   `json:"does" doc:"the flag it stands for, or what it does"`
}

type propertyDocs []propertyDoc

func (all propertyDocs) table() [][]string {
	out := [][]string{{"PROPERTY", "ALSO", "DOES"}}
	for _, d := range all {
		out = append(out, []string{d.Property, orDash(strings.Join(d.Also, ", ")), d.Does})
	}
	return out
}

func (a *app) profileProperties() *cobra.Command {
	cmd := &cobra.Command{
		Use: "properties", Short: "List the client properties that -X, --config and profiles take", Args: argCount(0, 0, "no arguments"),
		Long: "List the properties of Kafka clients that -X KEY=VALUE, --config FILE and profiles take. Needs no broker.\n\nOthers that only tune a client are passed over with a line; others of ssl. and sasl. are refused.",
	}
	return prints(a, cmd, func(context.Context, []string) (propertyDocs, error) {
		var out propertyDocs
		for _, p := range clientProperties {
			out = append(out, propertyDoc{p.names[0], append([]string{}, p.names[1:]...), p.does})
		}
		return out, nil
	})
}
