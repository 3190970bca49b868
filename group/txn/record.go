package txn

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/troupe-broker/troupe/actors/protocol"
)

// Status is the state of a transactional id as the log numbers it. Source: TransactionState.
type Status int8

// The states that records have.
const (
	Empty Status = iota
	Ongoing
	PrepareCommit
	PrepareAbort
	CompleteCommit
	CompleteAbort
)

var statusNames = [...]string{"Empty", "Ongoing", "PrepareCommit", "PrepareAbort", "CompleteCommit", "CompleteAbort"}

func (s Status) String() string {
	if s < 0 || int(s) >= len(statusNames) {
		return fmt.Sprintf("Status(%d)", int8(s))
	}
	return statusNames[s]
}

// StateNames are the names that a filter of ListTransactions may hold. Source: TransactionState.ALL_STATES.
var StateNames = []string{"Empty", "Ongoing", "PrepareCommit", "PrepareAbort", "CompleteCommit", "CompleteAbort", "PrepareEpochFence", "Dead"}

const noEpoch protocol.ProducerEpoch = -1

// maxEpoch is the highest there is; a client never gets it. Source: TransactionMetadata.isEpochExhausted.
const maxEpoch protocol.ProducerEpoch = 1<<15 - 1

// tv2 is the transaction.version from which every end takes a new epoch.
const tv2 = 2

const noTime = -1

// hard is what the log says of the id. The zero value says nothing.
type hard struct {
	known    bool
	status   Status
	producer protocol.ProducerID
	previous protocol.ProducerID // producer before the last change, so equal to it most of the time
	next     protocol.ProducerID // takes over when the transaction completes
	epoch    protocol.ProducerEpoch
	timeout  int32 // milliseconds
	// partitions of the transaction, ordered, each once. Never changed in place.
	partitions []protocol.NamedPartition
	start      int64 // milliseconds, of the last transaction; noTime if there was none
	updated    int64 // milliseconds
	version    int16 // the transaction.version in which the client works
}

func (h *hard) preparing() bool { return h.status == PrepareCommit || h.status == PrepareAbort }

// exhausted reports whether the next epoch is not for a client.
func (h *hard) exhausted() bool { return h.epoch >= maxEpoch-1 }

// IDOfKey is the transactional id that a record's key is about. ok is false for a key of a kind that is not known, which is skipped.
// Source: TransactionLog.read, which answers UnknownKeyVersion.
func IDOfKey(key []byte) (id string, ok bool, err error) {
	if len(key) < 2 {
		return "", false, fmt.Errorf("transaction log key of %d bytes", len(key))
	}
	if key[0] != 0 || key[1] != 0 {
		return "", false, nil
	}
	var k kmsg.TxnMetadataKey
	if err := k.ReadFrom(key); err != nil {
		return "", false, fmt.Errorf("transaction log key: %w", err)
	}
	if size := len(encodeKey(k.TransactionalID)); size != len(key) {
		return "", false, fmt.Errorf("transaction log key of %d bytes, %d of them its own", len(key), size)
	}
	return k.TransactionalID, true, nil
}

func encodeKey(id string) []byte {
	k := kmsg.TxnMetadataKey{TransactionalID: id}
	return k.AppendTo(nil)
}

func encode(h *hard) []byte {
	v := kmsg.NewTxnMetadataValue()
	v.Version = 1
	v.ProducerID, v.ProducerEpoch = int64(h.producer), int16(h.epoch)
	v.PreviousProducerID, v.NextProducerID = int64(h.previous), int64(h.next)
	v.TimeoutMillis, v.State = h.timeout, kmsg.TransactionState(h.status)
	v.LastUpdateTimestamp, v.StartTimestamp = h.updated, h.start
	v.ClientTransactionVersion = h.version
	if h.status != Empty {
		v.Topics = []kmsg.TxnMetadataValueTopic{}
	}
	for _, p := range h.partitions {
		if n := len(v.Topics); n == 0 || v.Topics[n-1].Topic != p.Topic {
			v.Topics = append(v.Topics, kmsg.TxnMetadataValueTopic{Topic: p.Topic})
		}
		t := &v.Topics[len(v.Topics)-1]
		t.Partitions = append(t.Partitions, p.Partition)
	}
	return v.AppendTo(nil)
}

// decode reads a value of either version. Source: TransactionLog.read.
func decode(value []byte) (hard, error) {
	if len(value) < 2 {
		return hard{}, fmt.Errorf("transaction log value of %d bytes", len(value))
	}
	if version := int16(value[0])<<8 | int16(value[1]); version < 0 || version > 1 {
		return hard{}, fmt.Errorf("transaction log value of version %d; 0 and 1 are known", version)
	}
	var v kmsg.TxnMetadataValue
	if err := v.ReadFrom(value); err != nil {
		return hard{}, fmt.Errorf("transaction log value: %w", err)
	}
	h := hard{
		known: true, status: Status(v.State), producer: protocol.ProducerID(v.ProducerID), previous: protocol.ProducerID(v.PreviousProducerID),
		next: protocol.ProducerID(v.NextProducerID), epoch: protocol.ProducerEpoch(v.ProducerEpoch), timeout: v.TimeoutMillis,
		start: v.StartTimestamp, updated: v.LastUpdateTimestamp, version: v.ClientTransactionVersion,
	}
	switch {
	case h.status < Empty || h.status > CompleteAbort:
		return hard{}, fmt.Errorf("transaction log value with state %d", v.State)
	case h.producer < 0 || h.epoch < 0 || h.timeout < 0:
		return hard{}, fmt.Errorf("transaction log value with producer %d, epoch %d, timeout %d", h.producer, h.epoch, h.timeout)
	}
	if h.status == Empty {
		return h, nil
	}
	for _, t := range v.Topics {
		for _, p := range t.Partitions {
			h.partitions = append(h.partitions, protocol.NamedPartition{Topic: t.Topic, Partition: p})
		}
	}
	h.partitions = ordered(h.partitions)
	return h, nil
}

func comparePartitions(a, b protocol.NamedPartition) int {
	return cmp.Or(cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.Partition, b.Partition))
}

// ordered sorts ps in place, each once.
func ordered(ps []protocol.NamedPartition) []protocol.NamedPartition {
	slices.SortFunc(ps, comparePartitions)
	return slices.Compact(ps)
}

// union is a new slice of both, or a itself if it holds all of b. a is ordered, b need not be.
func union(a, b []protocol.NamedPartition) (both []protocol.NamedPartition, grown bool) {
	for _, p := range b {
		if !contains(a, p) {
			return ordered(slices.Concat(a, b)), true
		}
	}
	return a, false
}

func contains(ps []protocol.NamedPartition, p protocol.NamedPartition) bool {
	_, found := slices.BinarySearchFunc(ps, p, comparePartitions)
	return found
}
