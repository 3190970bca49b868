package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// home is a shell with variables of its own.
type home map[string]string

func (h home) run(line string) (stdout, stderr string, code int) {
	var out, errs bytes.Buffer
	code = run(context.Background(), terminal{in: strings.NewReader(""), out: &out, err: &errs, getenv: func(k string) string { return h[k] }}, splitWords(line))
	return out.String(), errs.String(), code
}

func (h home) must(t *testing.T, line string) string {
	t.Helper()
	out, errs, code := h.run(line)
	if code != 0 {
		t.Fatalf("%s: exit %d: %s%s", line, code, out, errs)
	}
	return out
}

func (h home) refuses(t *testing.T, line, why string) {
	t.Helper()
	if out, errs, code := h.run(line); code == 0 || !strings.Contains(errs, why) {
		t.Errorf("%s: exit %d, want %q in\n%s%s", line, code, why, out, errs)
	}
}

// reaches says which cluster a command line reaches, by the topic that only it has.
func (h home) reaches(t *testing.T, line, topic string) {
	t.Helper()
	if out := h.must(t, line+" -o jsonl"); strings.Count(out, "\n") != 2 || !strings.Contains(out, `"topic":"`+topic+`"`) {
		t.Errorf("%s: want cluster %q, got %s", line, topic, out)
	}
}

func TestWhatNamesTheBrokersHasOneOrder(t *testing.T) {
	at := map[string]string{}
	for i, name := range []string{"flag", "override", "file", "named", "env", "used"} {
		fakeCluster(t, 23020+i, name, kfake.SeedTopics(1, name))
		at[name] = "127.0.0.1:" + decimal(23020+i)
	}
	dir := t.TempDir()
	h := home{"XDG_CONFIG_HOME": dir}
	h.must(t, "profile create used --use -b "+at["used"])
	h.must(t, "profile create named -b "+at["named"])
	file := filepath.Join(dir, "client.properties")
	write(t, dir, "client.properties", []byte("bootstrap.servers = "+at["file"]+"\n"))
	list := "topic list"
	h.reaches(t, list, "used")
	h["TROUPE_BROKERS"] = at["env"]
	h.reaches(t, list, "env")
	h["TROUPE_PROFILE"] = "named"
	h.reaches(t, list, "named")
	delete(h, "TROUPE_PROFILE")
	list += " --profile named"
	h.reaches(t, list, "named")
	list += " --config " + file
	h.reaches(t, list, "file")
	h.reaches(t, strings.Replace(list, "--config", "--command-config", 1), "file")
	list += " -X bootstrap.servers=" + at["override"]
	h.reaches(t, list, "override")
	h.reaches(t, list+" -b "+at["flag"], "flag")
}

// TestTheProfileInUseIsNotSentElsewhere guards that a login of one cluster is not tried at another.
func TestTheProfileInUseIsNotSentElsewhere(t *testing.T) {
	fakeCluster(t, 23030, "plain", kfake.SeedTopics(1, "here"))
	h := home{"HOME": t.TempDir(), "TROUPE_PASSWORD": "x"}
	h.must(t, "profile create prod --use -b 127.0.0.1:23031 --user alice")
	h.refuses(t, "topic list", "127.0.0.1:23031")
	h.reaches(t, "topic list -b 127.0.0.1:23030", "here")
	h.refuses(t, "topic list -b 127.0.0.1:23030 --profile prod", "login")
	h.refuses(t, "topic list --profile prid", `did you mean "prod"?`)
}

func TestProfilesAreSavedShownAndForgotten(t *testing.T) {
	dir := t.TempDir()
	h := home{"XDG_CONFIG_HOME": dir}
	h.refuses(t, "profile show", "no profile is in use")
	h.refuses(t, "profile create p", "which brokers?")
	h.refuses(t, "profile create p -b h --user a --password secret", "saved in clear")
	h.refuses(t, "profile create p -b h -X bootstrap.server=x", "did you mean bootstrap.servers?")
	h.must(t, "profile create p -b h1,h2:9093 --tls-ca ca.pem --user alice --sasl-mechanism PLAIN --password secret --store-secrets --timeout 3s")
	h.must(t, "profile create q -b h3 -X sasl.mechanisms=PLAIN")
	h.refuses(t, "profile create q -b h3", "--force")
	h.must(t, "profile use p")
	ca, _ := filepath.Abs("ca.pem")
	show := h.must(t, "profile show")
	for _, want := range []string{"bootstrap.servers        h1,h2:9093", "security.protocol        SASL_SSL", "sasl.password            (secret)", "request.timeout.ms       3000", ca} {
		if !strings.Contains(show, want) {
			t.Errorf("no %q in\n%s", want, show)
		}
	}
	if out := h.must(t, "profile list"); !strings.Contains(out, "*  p     h1,h2:9093  SASL_SSL   alice") || strings.Contains(out, "secret") {
		t.Error(out)
	}
	info, err := os.Stat(filepath.Join(dir, "troupe", "profiles.yaml"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", info.Mode(), err)
	}
	h.must(t, "profile delete p")
	h.refuses(t, "profile show", "no profile is in use")
	h.refuses(t, "profile use p", `no profile "p"`)
	if out := h.must(t, "profile list -o jsonl"); strings.Count(out, "\n") != 1 {
		t.Error(out)
	}
}

func TestPropertiesThatCannotBeHonoured(t *testing.T) {
	fakeCluster(t, 23032, "properties", kfake.SeedTopics(1, "here"))
	h := home{}
	const list = "topic list -b 127.0.0.1:23032 "
	for property, why := range map[string]string{
		"ssl.truststore.type=JKS":                   "only PEM can",
		"ssl.cipher.suites=TLS_AES_128_GCM_SHA256":  "ssl.cipher.suites (-X) cannot be honoured",
		"sasl.oauthbearer.token.endpoint.url=http:": "cannot be honoured",
		"security.protocol=SASL_SSL":                "nothing says who",
		"security.protocol=TLS":                     "not PLAINTEXT, SSL",
		"security.protocoll=SSL":                    "did you mean security.protocol?",
		"nonsense=1":                                "client property nonsense (-X) is unknown",
		"request.timeout.ms=soon":                   "not a number of milliseconds",
		"linger":                                    "is not KEY=VALUE",
		"sasl.jaas.config=x.Krb5LoginModule a;":     "Krb5LoginModule cannot be honoured",
	} {
		h.refuses(t, list+"-X '"+property+"'", why)
	}
	dir := t.TempDir()
	write(t, dir, "f", []byte("retries=5\nvalue.deserializer=x\nschema.registry.url=http://r\nclient.id=me\n"))
	out, errs, code := h.run(list + "--config " + filepath.Join(dir, "f"))
	if code != 0 || !strings.Contains(out, "here") || strings.TrimSpace(errs) != "passed over, for they have no effect here: retries, value.deserializer, schema.registry.url" {
		t.Errorf("exit %d: %s%s", code, out, errs)
	}
	write(t, dir, "f", []byte("ssl.truststore.type=JKS\nssl.key.password=x\n"))
	h.refuses(t, list+"--config "+filepath.Join(dir, "f"), "ssl.truststore.type")
}

func TestPropertiesOfAJavaClientLogIn(t *testing.T) {
	fakeCluster(t, 23034, "sasl", kfake.SeedTopics(1, "here"), kfake.EnableSASL(), kfake.Superuser("PLAIN", "alice", `se"cret`), kfake.Superuser("SCRAM-SHA-512", "bob", "b"))
	h, dir := home{}, t.TempDir()
	for text, well := range map[string]bool{
		"sasl.mechanism=PLAIN\nsasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required \\\n  username=\"alice\" password=\"se\\\\\"cret\";\n": true,
		"sasl.mechanism=SCRAM-SHA-512\nsasl.jaas.config=o.ScramLoginModule required username=bob password='b';":                                                         false, // quotes are double
		"sasl.mechanism=SCRAM-SHA-512\nsasl.jaas.config=o.ScramLoginModule required username=bob password=b;":                                                           true,
		"sasl.mechanisms=PLAIN\nsasl.username=alice\nsasl.password=wrong":                                                                                               false,
	} {
		write(t, dir, "f", []byte("bootstrap.servers=127.0.0.1:23034\nsecurity.protocol=SASL_PLAINTEXT\n"+text))
		if out, errs, code := h.run("topic list --config " + filepath.Join(dir, "f")); (code == 0) != well {
			t.Errorf("%s\nexit %d: %s%s", text, code, out, errs)
		}
	}
	h.refuses(t, "topic list -b 127.0.0.1:23034 --user bob", `no password for user "bob"`)
}

// TestPropertiesReachTheRequests looks at what a broker is asked.
func TestPropertiesReachTheRequests(t *testing.T) {
	c := fakeCluster(t, 23036, "requests", kfake.SeedTopics(1, "t"))
	seen := make(chan [2]int16, 100) // acks of produce, isolation of fetch
	c.ControlKey(int16(kmsg.Produce), func(req kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		seen <- [2]int16{req.(*kmsg.ProduceRequest).Acks, -9}
		return nil, nil, false
	})
	c.ControlKey(int16(kmsg.Fetch), func(req kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		seen <- [2]int16{-9, int16(req.(*kmsg.FetchRequest).IsolationLevel)}
		return nil, nil, false
	})
	at := " -b 127.0.0.1:23036 "
	for _, one := range []struct {
		line string
		want [2]int16
	}{
		{"produce t -X acks=1", [2]int16{1, -9}},
		{"produce t -X acks=1 --acks all", [2]int16{-1, -9}},
		{"consume t -e -X isolation.level=read_committed", [2]int16{-9, 1}},
		{"consume t -e -X isolation.level=read_uncommitted -X auto.offset.reset=earliest", [2]int16{-9, 0}},
	} {
		var out, errs bytes.Buffer
		code := run(context.Background(), terminal{in: strings.NewReader("x\n"), out: &out, err: &errs, getenv: home{}.get}, splitWords(one.line+at))
		if got := <-seen; code != 0 || got != one.want {
			t.Errorf("%s: exit %d, asked %v, want %v: %s", one.line, code, got, one.want, errs.String())
		}
		for len(seen) > 0 {
			<-seen
		}
	}
}

func (h home) get(key string) string { return h[key] }

func TestJaasConfigs(t *testing.T) {
	for text, want := range map[string]string{
		`a.b.PlainLoginModule required username="u" password="p";`:              "PlainLoginModule u p",
		`a.ScramLoginModule required password=p username = "a b" ;`:             "ScramLoginModule a b p",
		`PlainLoginModule required username="u" password="a\"b\\c;=d";`:         `PlainLoginModule u a"b\c;=d`,
		`PlainLoginModule required username="u" password="p"`:                   "",
		`PlainLoginModule required username="u`:                                 "",
		`PlainLoginModule required password="p";`:                               "",
		`PlainLoginModule required username;`:                                   "",
		`ScramLoginModule required username="u" password="p" tokenauth="true";`: "",
		`OAuthBearerLoginModule required;`:                                      "",
		``:                                                                      "",
	} {
		got := ""
		if who, err := parseJaas(text); err == nil {
			got = strings.Join([]string{who.module, who.user, who.secret}, " ")
		}
		if got != want {
			t.Errorf("%s: got %q, want %q", text, got, want)
		}
	}
}
