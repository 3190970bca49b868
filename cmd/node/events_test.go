package node

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl/scram"

	"github.com/troupe-broker/troupe/actors/env/osenv"
	"github.com/troupe-broker/troupe/actors/protocol"
)

// TestTheLogTellsWhatPeopleLookForLater does, over real sockets, what an operator wants to find in the log: one line each.
func TestTheLogTellsWhatPeopleLookForLater(t *testing.T) {
	const plain, guarded = "127.0.0.1:23560", "127.0.0.1:23561"
	out := &journal{}
	n, err := Start(t.Context(), osenv.New(), Config{Version: "test", Logger: slog.New(slog.NewJSONHandler(out, nil)), Settings: settings(t,
		protocol.ConfigEntry{Key: "log.dirs", Value: t.TempDir()}, protocol.ConfigEntry{Key: "http.listener"},
		protocol.ConfigEntry{Key: "listeners", Value: "PLAINTEXT://" + plain + ",SASL_PLAINTEXT://" + guarded},
		protocol.ConfigEntry{Key: "connection.failed.authentication.delay.ms", Value: "1"})})
	if err != nil {
		t.Fatal(err)
	}
	defer stop(t, n)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	value := func(s string) *string { return &s }
	c := dialed(t, plain)
	if _, err := c.AlterUserSCRAMs(ctx, nil, []kadm.UpsertSCRAM{{User: "alice", Mechanism: kadm.ScramSha256, Iterations: 4096, Password: "secret"}, {User: "evil\n{\"msg\":\"forged\"}", Mechanism: kadm.ScramSha256, Iterations: 4096, Password: "x"}}); err != nil {
		t.Fatal(err)
	}
	c = dialed(t, guarded, scram.Auth{User: "alice", Pass: "secret"}.AsSha256Mechanism())
	if _, err := c.CreateTopics(ctx, 3, 1, map[string]*string{"retention.ms": value("1000")}, "orders"); err != nil {
		t.Fatal(err)
	}
	if _, err := c.CreatePartitions(ctx, 2, "orders"); err != nil {
		t.Fatal(err)
	}
	if _, err := c.AlterTopicConfigs(ctx, []kadm.AlterConfig{{Op: kadm.SetConfig, Name: "retention.ms", Value: value("2000")}}, "orders"); err != nil {
		t.Fatal(err)
	}
	if _, err := c.AlterTopicConfigs(ctx, []kadm.AlterConfig{{Op: kadm.DeleteConfig, Name: "retention.ms"}}, "orders"); err != nil {
		t.Fatal(err)
	}
	if _, err := c.AlterBrokerConfigs(ctx, []kadm.AlterConfig{{Op: kadm.SetConfig, Name: "log.retention.ms", Value: value("5")}}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.DeleteTopics(ctx, "orders"); err != nil {
		t.Fatal(err)
	}
	if _, err := c.AlterUserSCRAMs(ctx, []kadm.DeleteSCRAM{{User: "alice", Mechanism: kadm.ScramSha256}}, nil); err != nil {
		t.Fatal(err)
	}
	_, _ = dialed(t, guarded, scram.Auth{User: "bob\x1b[31m\n", Pass: "guess"}.AsSha512Mechanism()).ListTopics(ctx)
	const byAlice = `"by":{"principal":"User:alice","address":"127.0.0.1","client":"kgo"}}`
	for _, want := range []string{
		`"msg":"user created","user":"alice","mechanism":"SCRAM-SHA-256","by":{"principal":"User:ANONYMOUS","address":"127.0.0.1","client":"kgo"}}`,
		`"msg":"user created","user":"evil\n{\"msg\":\"forged\"}"`,
		`"partitions":3,"retention.ms":"1000",` + byAlice,
		`"partitions":5,"before":3,` + byAlice,
		`"msg":"configuration changed","of":"topic","name":"orders","key":"retention.ms","before":"1000","value":"2000",` + byAlice,
		`"msg":"configuration removed","of":"topic","name":"orders","key":"retention.ms","before":"2000",` + byAlice,
		`"msg":"configuration changed","of":"broker","name":"all","key":"log.retention.ms","value":"5",` + byAlice,
		`"msg":"topic deleted","topic":"orders"`,
		`"msg":"user deleted","user":"alice","mechanism":"SCRAM-SHA-256",` + byAlice,
		`"msg":"login failed","user":"bob\u001b[31m\n","mechanism":"SCRAM-SHA-512","address":"127.0.0.1","listener":"SASL_PLAINTEXT","reason":"`,
	} {
		if strings.Count(out.String(), want) != 1 {
			t.Errorf("not once: %s", want)
		}
	}
	for _, text := range []string{"secret", "StoredKey", "guess"} {
		if strings.Contains(out.String(), text) {
			t.Errorf("the log shows %s", text)
		}
	}
	if t.Failed() {
		t.Log(out)
	}
}

// TestTheLogTellsOfRebalances joins and leaves a group with a client that others wrote.
func TestTheLogTellsOfRebalances(t *testing.T) {
	const address = "127.0.0.1:23562"
	out := &journal{}
	n, err := Start(t.Context(), osenv.New(), Config{Version: "test", Logger: slog.New(slog.NewJSONHandler(out, nil)), Settings: settings(t,
		protocol.ConfigEntry{Key: "log.dirs", Value: t.TempDir()}, protocol.ConfigEntry{Key: "http.listener"}, protocol.ConfigEntry{Key: "listeners", Value: "PLAINTEXT://" + address},
		protocol.ConfigEntry{Key: "group.initial.rebalance.delay.ms", Value: "0"})})
	if err != nil {
		t.Fatal(err)
	}
	defer stop(t, n)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if _, err := dialed(t, address).CreateTopics(ctx, 3, 1, nil, "orders"); err != nil {
		t.Fatal(err)
	}
	for _, next := range []bool{false, true} {
		assigned := make(chan struct{})
		once := sync.OnceFunc(func() { close(assigned) })
		group := map[bool]string{false: "old", true: "new"}[next]
		ctx := ctx
		if next {
			ctx = context.WithValue(ctx, "opt_in_kafka_next_gen_balancer_beta", true) //nolint:staticcheck // the client's way to ask for KIP-848
		}
		cl, err := kgo.NewClient(kgo.SeedBrokers(address), kgo.ConsumerGroup(group), kgo.ConsumeTopics("orders"), kgo.WithContext(ctx),
			kgo.OnPartitionsAssigned(func(context.Context, *kgo.Client, map[string][]int32) { once() }))
		if err != nil {
			t.Fatal(err)
		}
		select {
		case <-assigned:
		case <-ctx.Done():
			t.Fatalf("no assignment\n%s", out)
		}
		cl.Close()
	}
	for _, want := range []string{
		`"msg":"group rebalanced","group":"old","type":"classic","epoch":1,"members":1,"reason":"member kgo-`,
		`"msg":"group rebalanced","group":"old","type":"classic","epoch":2,"members":0,"reason":"member kgo-`,
		`"msg":"group rebalanced","group":"new","type":"consumer","epoch":1,"members":1,"reason":"member `,
		`"msg":"group rebalanced","group":"new","type":"consumer","epoch":2,"members":0,"reason":"member `,
	} {
		if strings.Count(out.String(), want) != 1 {
			t.Errorf("not once: %s", want)
		}
	}
	if t.Failed() {
		t.Log(out)
	}
}
