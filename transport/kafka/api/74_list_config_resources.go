package api

import (
	"slices"
	"strconv"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/troupe-broker/troupe/actors/protocol"
)

// ListConfigResources: v0-1. The resources that can have settings (KIP-1142).
//
// Behaviour:
//   - v0 lists those of client metrics alone, of which there are none. No types mean all types.
//   - A group is listed if it has settings of its own; topics and brokers always are.
//
// Version history:
//   - v0: ListClientMetricsResources (KIP-714); v1: any type
//
// Source: KafkaApis.handleListConfigResources, ListConfigResourcesRequest.supportedResourceTypes.

const (
	resourceLogger  protocol.ResourceType = 8
	resourceMetrics protocol.ResourceType = 16
)

// listableTypes are those of v1.
var listableTypes = []protocol.ResourceType{protocol.ResourceTopic, protocol.ResourceBroker, resourceLogger, resourceMetrics, protocol.ResourceGroup}

func handleListConfigResources(c *Call) {
	req := kmsg.NewPtrListConfigResourcesRequest()
	if !c.read(req) {
		return
	}
	out := kmsg.NewPtrListConfigResourcesResponse()
	types := listableTypes
	if c.Version == 0 {
		types = []protocol.ResourceType{resourceMetrics}
	} else if len(req.ResourceTypes) > 0 {
		types = nil
		for _, t := range req.ResourceTypes {
			types = append(types, protocol.ResourceType(t))
		}
	}
	if slices.ContainsFunc(types, func(t protocol.ResourceType) bool { return !slices.Contains(listableTypes, t) }) {
		out.ErrorCode = c.failed(protocol.UnsupportedVersion)
		c.reply(out)
		return
	}
	for _, t := range listableTypes {
		if slices.Contains(types, t) {
			for _, name := range c.Conn.configured(t) {
				out.ConfigResources = append(out.ConfigResources, kmsg.ListConfigResourcesResponseConfigResource{Name: name, Type: int8(t)})
			}
		}
	}
	c.reply(out)
}

// configured are the names of the resources of a type.
func (s *Server) configured(t protocol.ResourceType) (out []string) {
	img := s.Images.Load()
	switch t {
	case protocol.ResourceTopic:
		for topic := range img.EachTopic {
			out = append(out, topic.Name)
		}
	case protocol.ResourceBroker, resourceLogger:
		for _, n := range img.Nodes() {
			out = append(out, strconv.Itoa(int(n.ID)))
		}
	case protocol.ResourceGroup:
		return img.ConfiguredGroups()
	}
	return out
}
