package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

const transactionHelp = "With --transaction the input is written as a whole or, for readers of committed records, not at all: an error or an interrupt aborts it.\n"

// transaction says whether and how the input is one transaction.
type transaction struct {
	on      bool
	id      string
	timeout time.Duration
}

func (t *transaction) wanted() bool { return t.on || t.id != "" }

// options are the client's for a transaction; plain is whether other flags have given up on idempotence.
func (t *transaction) options(plain bool) ([]kgo.Opt, error) {
	if plain {
		return nil, usage("leave out --acks and --no-idempotence", "a transaction wants idempotent writes with acks=all")
	}
	if t.id == "" {
		t.id = "troupe-produce-" + strings.ToLower(rand.Text()[:16])
	}
	return []kgo.Opt{kgo.TransactionalID(t.id), kgo.TransactionTimeout(t.timeout)}, nil
}

// Values of produceSummary.Transaction.
const (
	transactionCommitted = "committed"
	transactionAborted   = "aborted"
	transactionUnknown   = "unknown"
)

// runTransaction is run between the begin and the end of a transaction. outcome is one of the above; the error is why it was not committed.
func (run *production) runTransaction(ctx context.Context, c *client) (outcome string, err error) {
	if err := c.BeginTransaction(); err != nil {
		return "", err
	}
	err = run.run(ctx, c)
	ending, cancel := c.within(context.WithoutCancel(ctx)) // also after an interrupt
	defer cancel()
	if err == nil {
		err = c.EndTransaction(ending, kgo.TryCommit)
		if err == nil {
			return transactionCommitted, nil
		}
		return transactionUnknown, run.flags.transaction.uncertain(c.explain(err))
	}
	aborted := c.AbortBufferedRecords(ending)
	if aborted == nil {
		aborted = c.EndTransaction(ending, kgo.TryAbort)
	}
	if aborted != nil && !fenced(aborted) {
		return transactionAborted, errors.Join(err, fmt.Errorf("the abort was not confirmed, and the broker aborts by itself after %s: %w", run.flags.transaction.timeout, aborted))
	}
	return transactionAborted, err
}

// fenced reports whether the broker has ended the transaction by itself, or another producer of its id has.
func fenced(err error) bool {
	return errors.Is(err, kerr.InvalidProducerEpoch) || errors.Is(err, kerr.ProducerFenced) || errors.Is(err, kerr.InvalidTxnState) || errors.Is(err, kerr.InvalidProducerIDMapping)
}

// uncertain is the problem of a commit that failed.
func (t *transaction) uncertain(err error) error {
	if fenced(err) {
		return &problem{what: "the transaction was aborted by the broker", why: "it took longer than " + t.timeout.String() + ", or another producer has its id", next: "a longer --transaction-timeout; nothing of the input was committed", cause: err}
	}
	return &problem{what: "nobody knows whether the transaction was committed", why: err.Error(), next: "troupe txn describe " + t.id, cause: err}
}

// namesTopic reports whether a format reads the topic of a record.
func namesTopic(format string) bool {
	for i := 0; i+1 < len(format); i++ {
		if format[i] != '%' {
			continue
		}
		i++ // what follows a percent sign, a second one too
		if format[i] == 't' {
			return true
		}
	}
	return false
}
