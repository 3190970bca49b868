package api

import (
	"strconv"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/troupe-broker/troupe/actors/protocol"
)

// DescribeCluster: v0-2. The brokers of the cluster and who leads it (KIP-700).
//
// Behaviour:
//   - Brokers are shown under the listener the client came through. Fenced ones only on demand (v2).
//   - Controllers (endpoint type 2) are not reached through a broker's listener: MISMATCHED_ENDPOINT_TYPE, as in Kafka.
//
// Version history:
//   - v1: endpoint types (KIP-919); v2: fenced brokers (KIP-1073)
//
// Source: KafkaApis.handleDescribeCluster, AuthHelper.computeDescribeClusterResponse.

const (
	mismatchedEndpointType  protocol.Code = 114
	unsupportedEndpointType protocol.Code = 115

	endpointBrokers     = 1
	endpointControllers = 2
)

func handleDescribeCluster(c *Call) {
	req := kmsg.NewPtrDescribeClusterRequest()
	if !c.read(req) {
		return
	}
	img := c.Conn.Images.Load()
	out := kmsg.NewPtrDescribeClusterResponse()
	if c.Version >= 1 && req.EndpointType != endpointBrokers {
		fault := protocol.Fault{Code: unsupportedEndpointType, Reason: "Unsupported endpoint type " + strconv.Itoa(int(req.EndpointType))}
		if req.EndpointType == endpointControllers {
			fault = protocol.Fault{Code: mismatchedEndpointType, Reason: "The request was sent to an endpoint of type BROKER, but we wanted an endpoint of type CONTROLLER"}
		}
		out.ErrorCode, out.ErrorMessage = c.failed(fault.Code), messageOf(fault)
		c.reply(out)
		return
	}
	out.ClusterID, out.ControllerID = img.ClusterID, int32(img.ControllerID)
	if req.IncludeClusterAuthorizedOperations {
		out.ClusterAuthorizedOperations = clusterOperations
	}
	for _, n := range img.Nodes() {
		if n.Fenced && !req.IncludeFencedBrokers {
			continue
		}
		a := c.Conn.address(c.Conn.Peer, n)
		out.Brokers = append(out.Brokers, kmsg.DescribeClusterResponseBroker{
			NodeID: int32(n.ID), Host: a.Host, Port: a.Port, Rack: textOrNull(n.Rack), IsFenced: n.Fenced,
		})
	}
	c.reply(out)
}
