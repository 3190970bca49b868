package api

import (
	"strconv"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/troupe-broker/troupe/actors/protocol"
	"github.com/troupe-broker/troupe/cluster/config"
	"github.com/troupe-broker/troupe/cluster/controller"
	"github.com/troupe-broker/troupe/cluster/image"
)

// DescribeConfigs: v1-4, for topics, groups, brokers and their loggers.
//
// Behaviour:
//   - Every key with its value, source, synonyms and, on demand, documentation; a key that has no effect here says so there. No or an
//     empty list of keys means all: tools read, change and write back what they get.
//   - A resource that is named again is not described again: an answer is not to grow by asking the same thing often.
//   - A broker answers for itself, and for the cluster-wide defaults under the empty name; another broker's id is INVALID_REQUEST.
//
// Version history:
//   - v1: synonyms (KIP-226); v3: documentation and types (KIP-569); v4: flexible
//
// Skipped: client metrics, which are INVALID_REQUEST.
//
// Source: ConfigHelper.describeConfigs.

func handleDescribeConfigs(c *Call) {
	req := kmsg.NewPtrDescribeConfigsRequest()
	if !c.read(req) {
		return
	}
	type resource struct {
		kind kmsg.ConfigResourceType
		name string
	}
	seen := make(map[resource]bool, len(req.Resources))
	out := kmsg.NewPtrDescribeConfigsResponse()
	for i := range req.Resources {
		r := &req.Resources[i]
		if seen[resource{r.ResourceType, r.ResourceName}] {
			continue
		}
		seen[resource{r.ResourceType, r.ResourceName}] = true
		entries, fault := c.Conn.describe(protocol.ResourceType(r.ResourceType), r.ResourceName, wantedKeys(r.ConfigNames))
		row := kmsg.NewDescribeConfigsResponseResource()
		row.ResourceType, row.ResourceName = r.ResourceType, r.ResourceName
		row.ErrorCode, row.ErrorMessage = c.failed(fault.Code), messageOrEmpty(fault)
		if fault.Code == protocol.UnknownTopicOrPartition {
			row.ErrorMessage = new(string)
		}
		row.Configs = make([]kmsg.DescribeConfigsResponseResourceConfig, 0, len(entries))
		for j := range entries {
			row.Configs = append(row.Configs, configRow(&entries[j], req))
		}
		out.Resources = append(out.Resources, row)
	}
	c.reply(out)
}

// wantedKeys are the names of a request, each once; nil for all. Of so many names that none of them alone can be meant, all are.
func wantedKeys(names []string) []string {
	if names = unique(names); len(names) == 0 || len(names) > len(config.BrokerKeys()) {
		return nil
	}
	return names
}

// values are the settings of this broker by source.
func (s *Server) values() config.Values {
	img := s.Images.Load()
	return config.Values{Static: s.Static, Default: img.DefaultBrokerConfig(), Dynamic: img.BrokerConfig(s.NodeID)}
}

// describe lists the settings of a resource.
func (s *Server) describe(kind protocol.ResourceType, name string, keys []string) ([]config.Entry, protocol.Fault) {
	invalid := func(reason string) ([]config.Entry, protocol.Fault) {
		return nil, protocol.Fault{Code: protocol.InvalidRequest, Reason: reason}
	}
	switch {
	case kind == protocol.ResourceTopic:
		return s.describeTopic(s.Images.Load(), name, keys)
	case kind == protocol.ResourceGroup && name == "":
		return invalid("Group name must not be empty")
	case kind == protocol.ResourceGroup:
		return config.DescribeGroup(s.values(), s.Images.Load().GroupConfig(name), keys), protocol.Fault{}
	case kind == protocol.ResourceBrokerLogger:
		return s.describeLoggers(name, keys)
	case kind != protocol.ResourceBroker:
		return invalid("")
	case name == "":
		return config.DescribeBrokerDefaults(s.values(), keys), protocol.Fault{}
	}
	id, err := strconv.ParseInt(name, 10, 32)
	if err != nil {
		return invalid("Broker id must be an integer, but it is: " + name)
	}
	if protocol.NodeID(id) != s.NodeID {
		return invalid("Unexpected broker id, expected " + strconv.Itoa(int(s.NodeID)) + " or empty string, but received " + name)
	}
	return config.DescribeBroker(s.values(), keys), protocol.Fault{}
}

func (s *Server) describeTopic(img *image.Image, name string, keys []string) ([]config.Entry, protocol.Fault) {
	if f := controller.CheckTopicName(name); f.Failed() {
		return nil, f
	}
	t, ok := img.Topic(name)
	if !ok {
		return nil, protocol.Fault{Code: protocol.UnknownTopicOrPartition}
	}
	return config.DescribeTopic(s.values(), t.Config, keys), protocol.Fault{}
}

func configRow(e *config.Entry, req *kmsg.DescribeConfigsRequest) kmsg.DescribeConfigsResponseResourceConfig {
	row := kmsg.NewDescribeConfigsResponseResourceConfig()
	row.Name, row.Value = e.Name, shown(e.Value, e.Null)
	row.ReadOnly, row.IsSensitive, row.IsDefault = e.ReadOnly, e.Sensitive, e.Source == config.DefaultSource
	row.Source, row.ConfigType = kmsg.ConfigSource(e.Source), kmsg.ConfigType(e.Type)
	if req.IncludeSynonyms {
		for _, s := range e.Synonyms {
			row.ConfigSynonyms = append(row.ConfigSynonyms, kmsg.DescribeConfigsResponseResourceConfigConfigSynonym{
				Name: s.Name, Value: shown(s.Value, s.Null), Source: kmsg.ConfigSource(s.Source),
			})
		}
	}
	if req.IncludeDocumentation {
		row.Documentation = &e.Doc
	}
	return row
}
