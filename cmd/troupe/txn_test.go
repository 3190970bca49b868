package main

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"
)

func kfakeBefore4() kfake.Opt { return kfake.MaxVersions(kversion.V3_6_0()) }

// openTransaction leaves a transaction open on partition 0 of topic t.
func openTransaction(t *testing.T, addr string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 15*time.Second)
	defer cancel()
	cl, err := kgo.NewClient(kgo.SeedBrokers(addr), kgo.TransactionalID("x"), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.TransactionTimeout(30*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cl.Close)
	if err := cl.BeginTransaction(); err != nil {
		t.Fatal(err)
	}
	if err := cl.ProduceSync(ctx, &kgo.Record{Topic: "t", Value: []byte("open")}).FirstErr(); err != nil {
		t.Fatal(err)
	}
}

// forget makes the cluster's coordinators know no transactions: what is open then hangs.
func forget(c *kfake.Cluster) {
	c.ControlKey(int16(kmsg.ListTransactions), func(req kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		return req.ResponseKind(), nil, true
	})
}

func open(t *testing.T, addr, line string) (rows []openRow, errs string, code int) {
	t.Helper()
	out, errs, code := execute(t, addr, line+" -o json")
	if out != "" {
		if err := json.Unmarshal([]byte(out), &rows); err != nil {
			t.Fatal(err, out)
		}
	}
	return rows, errs, code
}

func TestTransactionThatItsCoordinatorKnowsIsLeftAlone(t *testing.T) {
	eachBroker(t, 20240, leavesAlone)
}

func leavesAlone(t *testing.T, addr string) {
	openTransaction(t, addr)
	out, errs, code := execute(t, addr, "txn describe x")
	for _, want := range []string{"id           x", "state        Ongoing", "timeout      30s", "started", "partitions   t:0"} {
		if code != 0 || !strings.Contains(out, want) {
			t.Errorf("exit %d, no %q in %s%s", code, want, out, errs)
		}
	}
	if out, _, _ := execute(t, addr, "txn list --state Ongoing"); !strings.Contains(out, "x ") {
		t.Error(out)
	}
	if rows, errs, code := open(t, addr, "txn hanging --older-than 0s"); code != 0 || len(rows) != 0 {
		t.Errorf("exit %d: %+v %s", code, rows, errs)
	}
	rows, errs, code := open(t, addr, "txn hanging --all")
	if code != 0 || len(rows) != 1 || rows[0].ID != "x" || rows[0].State != stateOpen || rows[0].Start != 0 {
		t.Errorf("exit %d: %+v %s", code, rows, errs)
	}
	if _, errs, code := open(t, addr, "txn abort t:0 --yes"); code != exitFailed || !strings.Contains(errs, "does not hang") {
		t.Errorf("exit %d: %s", code, errs)
	}
	if rows, errs, code := open(t, addr, "txn abort t:0 --yes --force"); code != 0 || len(rows) != 1 || rows[0].Done != "aborted" {
		t.Fatalf("exit %d: %+v %s", code, rows, errs)
	}
	markerIsWritten(t, addr)
}

// markerIsWritten checks that the marker of the one transaction stands at offset 1 and committed readers are past it.
func markerIsWritten(t *testing.T, addr string) {
	t.Helper()
	if out, errs, _ := execute(t, addr, "topic describe t -o jsonl"); !strings.Contains(out, `"last_stable_offset":2`) {
		t.Errorf("%s%s", out, errs)
	}
}

func TestHangingTransactionIsFoundAndAborted(t *testing.T) {
	const addr = "127.0.0.1:20171"
	cluster := fakeCluster(t, 20171, "hanging")
	openTransaction(t, addr)
	forget(cluster)
	if rows, _, code := open(t, addr, "txn hanging"); code != 0 || len(rows) != 0 {
		t.Errorf("called hanging before its producer is silent: exit %d %+v", code, rows)
	}
	rows, errs, code := open(t, addr, "txn hanging --older-than 0s -t t --broker 0")
	if code != exitUnhealthy || len(rows) != 1 || rows[0].State != stateHanging || rows[0].Partition != 0 || !strings.Contains(errs, "txn abort") {
		t.Fatalf("exit %d: %+v %s", code, rows, errs)
	}
	if rows, _, _ := open(t, addr, "txn hanging --older-than 0s --broker 7"); len(rows) != 0 {
		t.Errorf("%+v", rows)
	}
	if _, errs, code := open(t, addr, "txn abort t:0"); code != exitUsage || !strings.Contains(errs, "--yes") {
		t.Errorf("exit %d: %s", code, errs)
	}
	if rows, errs, code := open(t, addr, "txn abort t:0 --dry-run"); code != 0 || len(rows) != 1 || !rows[0].DryRun {
		t.Errorf("exit %d: %+v %s", code, rows, errs)
	}
	if _, _, code := open(t, addr, "txn abort t:0 --start-offset 5 --yes"); code != exitNotFound {
		t.Errorf("exit %d", code)
	}
	if rows, errs, code := open(t, addr, "txn abort t:0 --yes --start-offset 0"); code != 0 || len(rows) != 1 || rows[0].Done != "aborted" {
		t.Fatalf("exit %d: %+v %s", code, rows, errs)
	}
	markerIsWritten(t, addr)
}
