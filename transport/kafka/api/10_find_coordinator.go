package api

import (
	"encoding/base64"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/troupe-broker/troupe/actors/protocol"
)

// FindCoordinator: v0-6. Which broker coordinates a group or a transactional id.
//
// Behaviour:
//   - The internal topic is made if it is missing, and the coordinator has loaded when it is named: Kafka answers
//     COORDINATOR_NOT_AVAILABLE first, and the requests that follow may meet a coordinator that still loads; some clients do not retry.
//   - The broker is named by the address Metadata names it by.
//
// Version history:
//   - v1: transactional ids (KIP-98); v3: flexible; v4: many keys (KIP-699); v5: TRANSACTION_ABORTABLE (KIP-890)
//   - v6: share partitions (KIP-932)
//
// Skipped: the coordinators of share partitions, which no client asks for; COORDINATOR_NOT_AVAILABLE.
//
// Source: KafkaApis.handleFindCoordinatorRequest, FindCoordinatorResponse.

const (
	findCoordinatorSinceKeys  = 4
	findCoordinatorSinceShare = 6

	coordinatorGroup       = 0
	coordinatorTransaction = 1
	coordinatorShare       = 2

	// coordinatorWait is how long a client waits for the internal topic to be made and its partition to be loaded.
	coordinatorWait = 15 * time.Second
)

func handleFindCoordinator(c *Call) {
	req := kmsg.NewPtrFindCoordinatorRequest()
	if !c.read(req) {
		return
	}
	keys := req.CoordinatorKeys
	if c.Version < findCoordinatorSinceKeys {
		keys = []string{req.CoordinatorKey}
	}
	found := make([]kmsg.FindCoordinatorResponseCoordinator, len(keys))
	all := &join{left: 1, done: func() { c.coordinatorsFound(found) }}
	for i, key := range keys {
		all.left++
		c.findCoordinator(req.CoordinatorType, key, func(id protocol.NodeID, code protocol.Code) {
			found[i] = c.coordinatorRow(key, id, code)
			if req.CoordinatorType < coordinatorGroup || req.CoordinatorType > coordinatorShare {
				found[i].ErrorMessage = textOrNull(code.Text())
			}
			all.one()
		})
	}
	all.one()
}

func (c *Call) coordinatorsFound(found []kmsg.FindCoordinatorResponseCoordinator) {
	out := kmsg.NewPtrFindCoordinatorResponse()
	if c.Version >= findCoordinatorSinceKeys {
		out.Coordinators = found
		c.reply(out)
		return
	}
	f := &found[0]
	out.ErrorCode, out.NodeID, out.Host, out.Port = f.ErrorCode, f.NodeID, f.Host, f.Port
	message := protocol.Code(f.ErrorCode).Text() // "NONE" if there is none, as in Kafka
	out.ErrorMessage = &message
	c.reply(out)
}

// findCoordinator calls done once, now or later, under the session's lock.
func (c *Call) findCoordinator(kind int8, key string, done func(protocol.NodeID, protocol.Code)) {
	find := c.Conn.Coordinators.EnsureGroup
	switch {
	case kind == coordinatorShare && c.Version >= findCoordinatorSinceShare && sharePartition(key):
		done(protocol.NoNode, coordinatorNotAvailable)
		return
	case kind != coordinatorGroup && kind != coordinatorTransaction || len(key) > groupIDMax:
		done(protocol.NoNode, protocol.InvalidRequest)
		return
	case kind == coordinatorTransaction:
		find = c.Conn.Coordinators.EnsureTransaction
	}
	host := c.Conn.Host
	find(key, coordinatorWait, func(id protocol.NodeID, code protocol.Code) {
		host.Post(func() { done(id, code) })
	})
}

// sharePartition reports whether the key names one: GROUP:TOPIC-ID:PARTITION. Source: SharePartitionKey.validate.
func sharePartition(key string) bool {
	parts := strings.Split(key, ":")
	if len(parts) < 3 {
		return false
	}
	id, err := base64.RawURLEncoding.DecodeString(parts[len(parts)-2])
	_, notNumber := strconv.ParseInt(parts[len(parts)-1], 10, 32)
	return err == nil && len(id) == len(protocol.TopicID{}) && notNumber == nil
}

func (c *Call) coordinatorRow(key string, id protocol.NodeID, code protocol.Code) kmsg.FindCoordinatorResponseCoordinator {
	row := kmsg.FindCoordinatorResponseCoordinator{Key: key, NodeID: -1, Port: -1, ErrorMessage: new(string)}
	node, ok := c.Conn.Images.Load().Node(id)
	if code == protocol.None && !ok {
		code = coordinatorNotAvailable
	}
	if row.ErrorCode = c.failed(code); code == protocol.None {
		a := c.Conn.address(c.Conn.Peer, node)
		row.NodeID, row.Host, row.Port = int32(id), a.Host, a.Port
	}
	return row
}
