package main

import (
	"bytes"
	"context"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// withTransactions fills topic t of the cluster: a plain record, a committed one, an aborted one, each transaction followed by its
// marker. Offsets: 0 plain, 1 committed, 2 marker, 3 aborted, 4 marker.
func withTransactions(t *testing.T, addr string) {
	t.Helper()
	ctx := context.Background()
	cl, err := kgo.NewClient(kgo.SeedBrokers(addr), kgo.DefaultProduceTopic("t"), kgo.TransactionalID("x"), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	plain, err := kgo.NewClient(kgo.SeedBrokers(addr), kgo.DefaultProduceTopic("t"), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		t.Fatal(err)
	}
	defer plain.Close()
	if err := plain.ProduceSync(ctx, kgo.StringRecord("plain")).FirstErr(); err != nil {
		t.Fatal(err)
	}
	for _, end := range []struct {
		value string
		how   kgo.TransactionEndTry
	}{{"committed", kgo.TryCommit}, {"aborted", kgo.TryAbort}} {
		if err := cl.BeginTransaction(); err != nil {
			t.Fatal(err)
		}
		if err := cl.ProduceSync(ctx, kgo.StringRecord(end.value)).FirstErr(); err != nil {
			t.Fatal(err)
		}
		if err := cl.EndTransaction(ctx, end.how); err != nil {
			t.Fatal(err)
		}
	}
}

func appFor(addr string, out io.Writer) *app {
	return &app{terminal: terminal{in: strings.NewReader(""), out: out, err: io.Discard, getenv: func(string) string { return "" }}, brokers: []string{addr}, timeout: 5 * time.Second}
}

func TestConsumeReachesAnEndBehindTransactionMarkers(t *testing.T) {
	const addr = "127.0.0.1:20190"
	fakeCluster(t, 20190, "txn")
	withTransactions(t, addr)
	for _, c := range []struct{ args, want string }{
		{"consume t -e -p 0", "plain committed aborted"},
		{"consume t -e -p 0 --committed", "plain committed"},
		{"consume t -o :4 -p 0 --committed", "plain committed"},
		{"consume t -o 2:4 -p 0 --committed", ""},
		{"consume t -o 2:4 -p 0", "aborted"},
	} {
		ctx, cancel := context.WithTimeout(context.Background(), 15*time.Second)
		var out bytes.Buffer
		code := run(ctx, appFor(addr, &out).terminal, strings.Fields(c.args+" -b "+addr))
		cancel()
		if got := strings.Join(strings.Fields(out.String()), " "); code != 0 || got != c.want {
			t.Errorf("%s: exit %d, got %q, want %q", c.args, code, got, c.want)
		}
	}
}

// TestProbeFinishesPartitionsWithNothingLeft asks for ends directly: the client itself never says that it passed a gap.
func TestProbeFinishesPartitionsWithNothingLeft(t *testing.T) {
	const addr = "127.0.0.1:20191"
	fakeCluster(t, 20191, "probe")
	withTransactions(t, addr)
	c, err := appFor(addr, io.Discard).connect(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for _, test := range []struct {
		next, to  int64
		committed bool
		open      bool
	}{
		{0, 5, true, true},   // records to come
		{2, 5, true, false},  // a marker, an aborted record and its marker
		{2, 5, false, true},  // the aborted record is to come
		{4, 5, false, false}, // a marker
		{5, 9, false, true},  // the log has not grown to the bound
	} {
		tr := newTracker([]assignment{{topic: "t", partition: 0, end: 5, from: test.next, to: test.to}})
		if err := tr.probeEnds(context.Background(), c, test.committed); err != nil {
			t.Fatal(err)
		}
		if open := len(tr.open) > 0; open != test.open {
			t.Errorf("%+v: open %v", test, open)
		}
	}
}
