package controller

import (
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/troupe-broker/troupe/actors/protocol"
	"github.com/troupe-broker/troupe/cluster/config"
	"github.com/troupe-broker/troupe/cluster/image"
)

// alterConfigs decides AlterConfigs and IncrementalAlterConfigs, each resource by itself. Source: ConfigAdminManager.preprocess,
// ConfigurationControlManager.
func (d *decider) alterConfigs(c *protocol.AlterConfigs) *protocol.ConfigsAltered {
	type resource struct {
		kind protocol.ResourceType
		name string
	}
	count := map[resource]int{}
	for _, r := range c.Resources {
		count[resource{r.Type, r.Name}]++
	}
	out := &protocol.ConfigsAltered{Answer: protocol.Answer{ID: c.ID}, Resources: make([]protocol.ResourceResult, len(c.Resources))}
	for i, r := range c.Resources {
		row := &out.Resources[i]
		row.Type, row.Name = r.Type, r.Name
		if count[resource{r.Type, r.Name}] > 1 {
			row.Fault = fault(protocol.InvalidRequest, "Each resource must appear at most once.")
			continue
		}
		var records []image.Record
		if records, row.Fault = d.alterResource(r, c.Replace); !row.Failed() && !c.ValidateOnly {
			d.add(records...)
		}
	}
	return out
}

func (d *decider) alterResource(r protocol.AlterResource, replace bool) ([]image.Record, protocol.Fault) {
	if f := checkOps(r.Ops); f.Failed() {
		return nil, f
	}
	has, f := d.settingsOf(r)
	if f.Failed() {
		return nil, f
	}
	var will []protocol.ConfigEntry
	if !replace {
		will = slices.Clone(has)
	}
	for _, op := range r.Ops {
		if will, f = alter(r.Type, will, op); f.Failed() {
			return nil, f
		}
	}
	if f := d.checkSettings(r, has, will); f.Failed() {
		return nil, f
	}
	return difference(r, has, will), protocol.Fault{}
}

// checkOps refuses requests that do not make sense whatever the resource.
func checkOps(ops []protocol.AlterOp) protocol.Fault {
	seen := map[string]bool{}
	var null []string
	for _, op := range ops {
		if seen[op.Key] {
			return fault(protocol.InvalidRequest, "Error due to duplicate config keys")
		}
		seen[op.Key] = true
		if op.Null && op.Op != protocol.ConfigDelete {
			null = append(null, op.Key)
		}
		if op.Op < protocol.ConfigSet || op.Op > protocol.ConfigSubtract {
			return fault(protocol.InvalidRequest, "Unknown operations type "+strconv.Itoa(int(op.Op)))
		}
	}
	if len(null) > 0 {
		return fault(protocol.InvalidRequest, "Null value not supported for : "+strings.Join(null, ", "))
	}
	return protocol.Fault{}
}

// settingsOf finds the resource and what is set on it.
func (d *decider) settingsOf(r protocol.AlterResource) ([]protocol.ConfigEntry, protocol.Fault) {
	switch r.Type {
	case protocol.ResourceTopic:
		if f := CheckTopicName(r.Name); f.Failed() {
			return nil, f
		}
		t, ok := d.img.Topic(r.Name)
		if !ok {
			return nil, fault(protocol.UnknownTopicOrPartition, "The topic '"+r.Name+"' does not exist.")
		}
		return t.Config, protocol.Fault{}
	case protocol.ResourceBroker:
		if r.Name == "" {
			return d.img.DefaultBrokerConfig(), protocol.Fault{}
		}
		id, err := strconv.ParseInt(r.Name, 10, 32)
		if err != nil || strconv.FormatInt(id, 10) != r.Name {
			return nil, fault(protocol.InvalidRequest, "Node id must be an integer, but it is: "+r.Name)
		}
		if _, ok := d.img.Node(protocol.NodeID(id)); !ok {
			return nil, fault(protocol.BrokerIDNotRegistered, "No broker with id "+r.Name+" found.")
		}
		return d.img.BrokerConfig(protocol.NodeID(id)), protocol.Fault{}
	case protocol.ResourceGroup:
		if r.Name == "" {
			return nil, fault(protocol.InvalidRequest, "Default group resources are not allowed.")
		}
		return d.img.GroupConfig(r.Name), protocol.Fault{}
	}
	return nil, fault(protocol.InvalidRequest, "Unknown resource type "+strconv.Itoa(int(r.Type)))
}

// alter carries out one operation on sorted entries, which it may change.
func alter(kind protocol.ResourceType, entries []protocol.ConfigEntry, op protocol.AlterOp) ([]protocol.ConfigEntry, protocol.Fault) {
	at, found := slices.BinarySearchFunc(entries, op.Key, func(e protocol.ConfigEntry, key string) int { return strings.Compare(e.Key, key) })
	value := op.Value
	switch op.Op {
	case protocol.ConfigDelete:
		if found {
			entries = slices.Delete(entries, at, at+1)
		}
		return entries, protocol.Fault{}
	case protocol.ConfigAppend, protocol.ConfigSubtract:
		k, ok := keyOf(kind, op.Key)
		if !ok || k.Type != config.List {
			return nil, fault(protocol.InvalidConfig, "Can't "+opNames[op.Op]+" to key "+op.Key+" because its type is not LIST.")
		}
		before := k.Default
		if found {
			before = entries[at].Value
		}
		value = alterList(before, op)
	}
	if !found {
		entries = slices.Insert(entries, at, protocol.ConfigEntry{Key: op.Key})
	}
	entries[at].Value = value
	return entries, protocol.Fault{}
}

var opNames = [...]string{protocol.ConfigSet: "SET", protocol.ConfigDelete: "DELETE", protocol.ConfigAppend: "APPEND", protocol.ConfigSubtract: "SUBTRACT"}

func alterList(before string, op protocol.AlterOp) string {
	list := config.SplitList(before)
	for _, item := range config.SplitList(op.Value) {
		at := slices.Index(list, item)
		switch {
		case op.Op == protocol.ConfigAppend && at < 0:
			list = append(list, item)
		case op.Op == protocol.ConfigSubtract && at >= 0:
			list = slices.Delete(list, at, at+1)
		}
	}
	return strings.Join(list, ",")
}

func keyOf(kind protocol.ResourceType, name string) (*config.Key, bool) {
	switch kind {
	case protocol.ResourceTopic:
		return config.TopicKey(name)
	case protocol.ResourceGroup:
		return config.GroupKey(name)
	}
	return config.BrokerKey(name)
}

// checkSettings checks what the resource would have.
func (d *decider) checkSettings(r protocol.AlterResource, has, will []protocol.ConfigEntry) protocol.Fault {
	if r.Type == protocol.ResourceTopic {
		return d.checkTopicSettings(will)
	}
	if r.Type == protocol.ResourceGroup {
		if err := config.ValidateGroup(d.defaults(), will); err != nil {
			return fault(protocol.InvalidConfig, err.Error())
		}
		return protocol.Fault{}
	}
	for _, e := range will {
		if before, ok := config.Find(has, e.Key); ok && before == e.Value {
			continue // was right when it was made
		}
		if err := config.ValidateDynamicBroker(e.Key, e.Value, r.Name == ""); err != nil {
			return brokerFault(err)
		}
	}
	if _, err := config.NewBroker(d.valuesWith(r.Name, will)); err != nil {
		return brokerFault(err)
	}
	return protocol.Fault{}
}

// brokerFault refuses a setting of a broker: as Kafka with INVALID_REQUEST, but what Kafka would take with INVALID_CONFIG.
// Source: ConfigAdminManager.validateBrokerConfigChange.
func brokerFault(err error) protocol.Fault {
	var invalid *config.Invalid
	if errors.As(err, &invalid) && invalid.Unhonoured {
		return fault(protocol.InvalidConfig, err.Error())
	}
	return fault(protocol.InvalidRequest, err.Error())
}

// valuesWith are the settings that would be in force on a broker, or on this one for the cluster-wide defaults. Static settings of
// other brokers are not known here.
func (d *decider) valuesWith(name string, will []protocol.ConfigEntry) config.Values {
	v := d.values()
	switch name {
	case "":
		v.Default = will
	case image.BrokerResource(d.now.Self):
		v.Dynamic = will
	default:
		v.Static, v.Dynamic = nil, will
	}
	return v
}

// difference is the records that lead from one set of settings to another, in order of key.
func difference(r protocol.AlterResource, has, will []protocol.ConfigEntry) []image.Record {
	var out []image.Record
	for _, e := range has {
		if _, stays := config.Find(will, e.Key); !stays {
			out = append(out, &image.ConfigChanged{Resource: r.Type, Name: r.Name, Key: e.Key, Null: true})
		}
	}
	for _, e := range will {
		if before, ok := config.Find(has, e.Key); !ok || before != e.Value {
			out = append(out, &image.ConfigChanged{Resource: r.Type, Name: r.Name, Key: e.Key, Value: e.Value})
		}
	}
	return out
}
