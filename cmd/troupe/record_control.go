package main

import (
	"fmt"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// controlJSON is what a control record says.
type controlJSON struct {
	Type             string `json:"type" doc:"commit or abort of a transaction, or the number of another type"`
	ProducerID       int64  `json:"producer_id"`
	ProducerEpoch    int16  `json:"producer_epoch"`
	CoordinatorEpoch *int32 `json:"coordinator_epoch,omitempty" doc:"of the transaction coordinator that ended it"`
}

func (c *controlJSON) String() string {
	return fmt.Sprintf("%s of producer %d, epoch %d", c.Type, c.ProducerID, c.ProducerEpoch)
}

// controlOf reads a control record. What cannot be read is said as its type.
//
// Source: ControlRecordType, EndTransactionMarker.
func controlOf(r *kgo.Record) *controlJSON {
	out := &controlJSON{Type: "unreadable", ProducerID: r.ProducerID, ProducerEpoch: r.ProducerEpoch}
	var key kmsg.ControlRecordKey
	if key.ReadFrom(r.Key) != nil {
		return out
	}
	switch key.Type {
	case kmsg.ControlRecordKeyTypeAbort:
		out.Type = "abort"
	case kmsg.ControlRecordKeyTypeCommit:
		out.Type = "commit"
	default:
		out.Type = fmt.Sprintf("type %d", key.Type)
		return out
	}
	var marker kmsg.EndTxnMarker
	if marker.ReadFrom(r.Value) == nil {
		out.CoordinatorEpoch = &marker.CoordinatorEpoch
	}
	return out
}
