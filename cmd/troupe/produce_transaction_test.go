package main

import (
	"context"
	"encoding/json"
	"io"
	"slices"
	"strings"
	"testing"
	"time"
)

// produceTo runs produce with this input and returns what it prints.
func produceTo(addr, in, line string) (stdout, stderr string, code int) {
	return (&session{addr: addr}).run(in, splitWords("produce "+line))
}

// transactionsEnd waits until every transaction has its markers: a coordinator answers before they are written.
func transactionsEnd(t *testing.T, addr string) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); {
		var rows txnRows
		if errs, code := runJSON(t, addr, "txn list", &rows); code != 0 {
			t.Fatal(errs)
		}
		if !slices.ContainsFunc(rows, func(r txnRow) bool { return r.State == "Ongoing" || strings.HasPrefix(r.State, "Prepare") }) {
			return
		}
	}
	t.Fatal("a transaction does not end")
}

// values are what a reader of the line's isolation sees in topic t.
func values(t *testing.T, addr, flags string) string {
	t.Helper()
	transactionsEnd(t, addr)
	out, errs, code := execute(t, addr, "consume t -e "+flags)
	if code != 0 {
		t.Fatal(errs)
	}
	return strings.Join(strings.Fields(out), " ")
}

func TestATransactionIsAllOrNothing(t *testing.T) { eachBroker(t, 23040, allOrNothing) }

func allOrNothing(t *testing.T, addr string) {
	if out, errs, code := produceTo(addr, "a\nb\n", "t -p 0 --transaction -o json"); code != 0 || !strings.Contains(out, `"transaction": "committed"`) {
		t.Fatalf("exit %d: %s%s", code, out, errs)
	}
	const bad = `{"value":"c","partition":0}` + "\n" + `{"value":` + "\n"
	if out, errs, code := produceTo(addr, bad, "t -J --transactional-id mine -o json"); code == 0 || !strings.Contains(out, `"transaction": "aborted"`) || !strings.Contains(errs, "record 2 of the input") {
		t.Errorf("exit %d: %s%s", code, out, errs)
	}
	const noPartition = `{"value":"d","partition":0}` + "\n" + `{"value":"e","partition":77}` + "\n"
	if out, errs, code := produceTo(addr, noPartition, "t -J --transactional-id mine -o json"); code == 0 || !strings.Contains(out, `"transaction": "aborted"`) {
		t.Errorf("exit %d: %s%s", code, out, errs)
	}
	if out, errs, code := produceTo(addr, "f\n", "t -p 0 --transactional-id mine"); code != 0 || !strings.Contains(errs, "transaction committed") {
		t.Errorf("exit %d: %s%s", code, out, errs)
	}
	if got := values(t, addr, "-p 0 --committed"); got != "a b f" {
		t.Errorf("committed: %q", got)
	}
	for _, flags := range []string{"--acks leader", "--no-idempotence"} {
		if _, errs, code := produceTo(addr, "x\n", "t --transaction "+flags); code != exitUsage || !strings.Contains(errs, "idempotent") {
			t.Errorf("%s: exit %d: %s", flags, code, errs)
		}
	}
}

func TestAnInterruptedTransactionIsAborted(t *testing.T) { eachBroker(t, 23042, interruptTransaction) }

func interruptTransaction(t *testing.T, addr string) {
	ctx, interrupt := context.WithCancel(t.Context())
	in, feed := io.Pipe()
	written := newScreen()
	go func() { io.WriteString(feed, "half\n") }()
	done := make(chan int)
	errs := newScreen()
	go func() {
		env := map[string]string{"TROUPE_BROKERS": addr}
		done <- run(ctx, terminal{in: in, out: written, err: errs, inTTY: true, getenv: func(k string) string { return env[k] }}, splitWords("produce t -p 0 --transaction --echo"))
	}()
	written.waitFor(t, "t partition 0 offset 0")
	interrupt()
	if code := <-done; code != exitInterrupted || !strings.Contains(errs.String(), "transaction aborted") {
		t.Errorf("exit %d: %s", code, errs)
	}
	if got := values(t, addr, "-p 0 --committed"); got != "" {
		t.Errorf("committed: %q", got)
	}
}

func TestControlRecordsAreShownWhenAskedFor(t *testing.T) { eachBroker(t, 23044, showsControl) }

func showsControl(t *testing.T, addr string) {
	withTransactions(t, addr)
	transactionsEnd(t, addr)
	out, errs, code := execute(t, addr, "consume t -e -p 0 --control -J")
	var kinds []string
	for line := range strings.Lines(out) {
		var r recordJSON
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatal(err)
		}
		switch {
		case r.Control == nil:
			kinds = append(kinds, string(r.Value))
		case r.Key != nil || r.Value != nil || r.Control.ProducerID < 0 || r.Control.CoordinatorEpoch == nil:
			t.Errorf("%s", line)
		default:
			kinds = append(kinds, r.Control.Type)
		}
	}
	if got := strings.Join(kinds, " "); code != 0 || got != `"plain" "committed" commit "aborted" abort` {
		t.Errorf("exit %d: %s%s", code, got, errs)
	}
	for how, want := range map[string]string{"": "commit of producer", "-o table": "(control)"} {
		if out, _, _ := execute(t, addr, "consume t -e -p 0 --control "+how); !strings.Contains(out, want) || strings.Count(out, "of producer") != 2 {
			t.Errorf("%s: %s", how, out)
		}
	}
	if _, errs, code := produceTo(addr, out, "t -J"); code == 0 || !strings.Contains(errs, "control record") {
		t.Errorf("exit %d: %s", code, errs)
	}
}

func TestTheTopicMayComeFromTheInput(t *testing.T) {
	eachBroker(t, 23046, func(t *testing.T, addr string) {
		out, errs, code := produceTo(addr, "t 1 a\nt 0 b\n", `-f '%t %p %v\n' --echo`)
		if code != 0 || !strings.Contains(out, "t partition 1 offset 0\n") || !strings.Contains(out, "t partition 0 offset 0\n") {
			t.Errorf("exit %d: %s%s", code, out, errs)
		}
		if out, errs, code = produceTo(addr, `{"topic":"t","partition":1,"value":"c","timestamp":5}`, "-J --echo=jsonl"); code != 0 || out != `{"record":1,"topic":"t","partition":1,"offset":1,"timestamp":5}`+"\n" {
			t.Errorf("exit %d: %s%s", code, out, errs)
		}
		if out, errs, code = produceTo(addr, "d\n", `t -p 1 -k key --echo='%t/%p/%o %k=%v\n'`); code != 0 || out != "t/1/2 key=d\n" {
			t.Errorf("exit %d: %s%s", code, out, errs)
		}
		for line, why := range map[string]string{
			`-f '%%t %v\n'`: "which topic?", `-f '%k %v\n'`: "which topic?", "t --echo=xml": `no echo format "xml"`, "t --echo --acks none": "acknowledgements",
		} {
			if _, errs, code := produceTo(addr, "x y\n", line); code != exitUsage || !strings.Contains(errs, why) {
				t.Errorf("%s: exit %d: %s", line, code, errs)
			}
		}
	})
}

func TestSeekToWhereAnotherGroupStands(t *testing.T) { eachBroker(t, 23048, seeksLike) }

func seeksLike(t *testing.T, addr string) {
	fill(t, addr, 10, 0, 1)
	for _, line := range []string{"group seek old --to 3 --topic t:0", "group seek old --to 7 --topic t:1"} {
		if _, errs, code := execute(t, addr, line); code != 0 {
			t.Fatal(errs)
		}
	}
	var rows moveRows
	if errs, code := runJSON(t, addr, "group seek new --like old", &rows); code != 0 || len(rows) != 2 || *rows[0].After != 3 || *rows[1].After != 7 {
		t.Errorf("exit %d: %+v %s", code, rows, errs)
	}
	if errs, code := runJSON(t, addr, "group seek new --to-group old --topic t:1 --dry-run", &rows); code != 0 || len(rows) != 1 || *rows[0].Before != 7 {
		t.Errorf("exit %d: %+v %s", code, rows, errs)
	}
	for line, why := range map[string]string{
		"group seek new --like nosuch":            `no group "nosuch"`,
		"group seek new --like old --topic u":     "has committed nothing there",
		"group seek new --like old --to earliest": "both say where",
	} {
		if _, errs, code := execute(t, addr, line); code == 0 || !strings.Contains(errs, why) {
			t.Errorf("%s: exit %d: %s", line, code, errs)
		}
	}
}
