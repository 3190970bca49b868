package node

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/troupe-broker/troupe/actors/env/osenv"
	"github.com/troupe-broker/troupe/actors/protocol"
	"github.com/troupe-broker/troupe/cluster/config"
)

// TestAClientConsumesInAGroupAndCopiesExactlyOnce drives groups and transactions over a real socket, by a client that others wrote.
func TestAClientConsumesInAGroupAndCopiesExactlyOnce(t *testing.T) {
	const address, records = "127.0.0.1:20640", 300
	b, err := config.NewBroker(config.Values{Static: config.Sort([]protocol.ConfigEntry{
		{Key: "log.dirs", Value: t.TempDir()}, {Key: "listeners", Value: "PLAINTEXT://" + address}, {Key: "group.initial.rebalance.delay.ms", Value: "0"},
		{Key: "num.partitions", Value: "4"}, {Key: "http.listener", Value: "127.0.0.1:20641"},
	})})
	if err != nil {
		t.Fatal(err)
	}
	n, err := Start(t.Context(), osenv.New(), Config{Version: "test", Settings: b})
	if err != nil {
		t.Fatal(err)
	}
	defer stop(t, n)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	client := func(opts ...kgo.Opt) *kgo.Client {
		c, err := kgo.NewClient(append(opts, kgo.SeedBrokers(address), kgo.AllowAutoTopicCreation())...)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	p := client()
	var want []string
	for i := range records {
		want = append(want, fmt.Sprint(i))
		p.Produce(ctx, &kgo.Record{Topic: "in", Value: []byte(want[i])}, nil)
	}
	if err := p.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	p.Close()
	slices.Sort(want)

	copied := 0
	s, err := kgo.NewGroupTransactSession(kgo.SeedBrokers(address), kgo.AllowAutoTopicCreation(), kgo.TransactionalID("copier"), kgo.ConsumerGroup("copy"),
		kgo.ConsumeTopics("in"), kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		t.Fatal(err)
	}
	for round := 0; copied < records; round++ {
		fetches := s.PollRecords(ctx, 50)
		if err := fetches.Err(); err != nil {
			t.Fatal(err)
		}
		if err := s.Begin(); err != nil {
			t.Fatal(err)
		}
		for _, r := range fetches.Records() {
			s.Produce(ctx, &kgo.Record{Topic: "out", Value: r.Value}, func(_ *kgo.Record, err error) {
				if err != nil {
					t.Error(err)
				}
			})
		}
		if err := s.Client().Flush(ctx); err != nil {
			t.Fatal(err)
		}
		abort := round%3 == 1 // and reads the same once more
		done, err := s.End(ctx, kgo.TransactionEndTry(!abort))
		if err != nil || done == abort {
			t.Fatal(done, err)
		}
		if done {
			copied += fetches.NumRecords()
		}
	}
	s.Close()

	c := client(kgo.ConsumerGroup("reader"), kgo.ConsumeTopics("out"), kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.DisableAutoCommit(), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	var got []string
	for len(got) < records {
		fetches := c.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			t.Fatal(err)
		}
		for _, r := range fetches.Records() {
			got = append(got, string(r.Value))
		}
	}
	if err := c.CommitUncommittedOffsets(ctx); err != nil {
		t.Fatal(err)
	}
	c.Close()
	resp, err := http.Get("http://127.0.0.1:20641/metrics")
	if err != nil {
		t.Fatal(err)
	}
	metrics, _ := io.ReadAll(resp.Body)
	resp.Body.Close()
	http.DefaultClient.CloseIdleConnections()
	for _, row := range []string{
		`troupe_groups{state="Empty"} 2`, `troupe_group_lag_records{group="copy",partition=`, `troupe_group_lag_seconds{group="copy",partition=`, `troupe_transactional_ids{state="CompleteCommit"} 1`,
	} {
		if !strings.Contains(string(metrics), row) {
			t.Errorf("the metrics lack %s", row)
		}
	}
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("%d records came out, %d went in", len(got), len(want))
	}
}
