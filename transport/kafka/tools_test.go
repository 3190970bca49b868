package kafka

import (
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/troupe-broker/troupe/actors/protocol"
	"github.com/troupe-broker/troupe/cluster/image"
)

// Tools ask these before they show what they were asked for; "none" must be an answer of theirs, not an error.
func TestWhatToolsAskFirstIsAnsweredWithNone(t *testing.T) {
	w := newWorld(t)
	w.topic("events", 2)
	c := w.connect()
	for version := int16(0); version <= 1; version++ {
		if got := ask[*kmsg.DescribeClientQuotasResponse](c, version, kmsg.NewPtrDescribeClientQuotasRequest()); got.ErrorCode != 0 || got.Entries == nil || len(got.Entries) != 0 {
			t.Errorf("quotas v%d: %+v", version, got)
		}
	}
	all := kmsg.NewPtrListPartitionReassignmentsRequest()
	if got := ask[*kmsg.ListPartitionReassignmentsResponse](c, 0, all); got.ErrorCode != 0 || len(got.Topics) != 0 {
		t.Errorf("reassignments: %+v", got)
	}
	if got := ask[*kmsg.ListConfigResourcesResponse](c, 0, kmsg.NewPtrListConfigResourcesRequest()); got.ErrorCode != 0 || len(got.ConfigResources) != 0 {
		t.Errorf("client metrics: %+v", got)
	}
}

func TestConfigResourcesAreListedByType(t *testing.T) {
	w := newWorld(t)
	w.topic("events", 1)
	w.apply(&image.ConfigChanged{Resource: protocol.ResourceGroup, Name: "g", Key: "consumer.session.timeout.ms", Value: "50000"})
	c := w.connect()
	for _, want := range []struct {
		types []int8
		names string
		code  int16
	}{
		{[]int8{2}, "events", 0}, {[]int8{4}, "1 2", 0}, {[]int8{8}, "1 2", 0}, {[]int8{16}, "", 0}, {[]int8{32}, "g", 0}, {[]int8{32, 2}, "events g", 0},
		{nil, "events 1 2 1 2 g", 0}, {[]int8{3}, "", 35}, {[]int8{2, -1}, "", 35},
	} {
		req := kmsg.NewPtrListConfigResourcesRequest()
		req.ResourceTypes = want.types
		got := ask[*kmsg.ListConfigResourcesResponse](c, 1, req)
		var names []string
		for _, r := range got.ConfigResources {
			names = append(names, r.Name)
		}
		if strings.Join(names, " ") != want.names || got.ErrorCode != want.code {
			t.Errorf("%v: %+v", want.types, got)
		}
	}
}

// A quota restricts: it is never taken and not enforced.
func TestAQuotaIsRefusedAndItsRemovalIsNot(t *testing.T) {
	c := newWorld(t).connect()
	req := kmsg.NewPtrAlterClientQuotasRequest()
	name := "ann"
	for _, remove := range []bool{false, true} {
		req.Entries = append(req.Entries, kmsg.AlterClientQuotasRequestEntry{Entity: []kmsg.AlterClientQuotasRequestEntryEntity{{Type: "user", Name: &name}},
			Ops: []kmsg.AlterClientQuotasRequestEntryOp{{Key: "producer_byte_rate", Value: 1000, Remove: remove}}})
	}
	for version := int16(0); version <= 1; version++ {
		got := ask[*kmsg.AlterClientQuotasResponse](c, version, req)
		if len(got.Entries) != 2 || got.Entries[0].ErrorCode != 42 || !strings.Contains(*got.Entries[0].ErrorMessage, "not enforced") || got.Entries[1].ErrorCode != 0 || *got.Entries[1].Entity[0].Name != "ann" {
			t.Errorf("v%d: %+v", version, got.Entries)
		}
	}
}

func TestQuotaFiltersThatMakeNoSenseAreRefused(t *testing.T) {
	c := newWorld(t).connect()
	name := "ann"
	user := kmsg.DescribeClientQuotasRequestComponent{EntityType: "user", MatchType: kmsg.QuotasMatchTypeAny}
	for what, bad := range map[string][]kmsg.DescribeClientQuotasRequestComponent{
		"no type": {{}}, "twice": {user, user}, "exact without name": {{EntityType: "user"}}, "any with name": {{EntityType: "user", MatchType: 2, Match: &name}},
		"default with name": {{EntityType: "user", MatchType: 1, Match: &name}}, "unknown match": {{EntityType: "user", MatchType: 9}}, "ip and user": {user, {EntityType: "ip", MatchType: 2}},
	} {
		req := kmsg.NewPtrDescribeClientQuotasRequest()
		req.Components = bad
		if got := ask[*kmsg.DescribeClientQuotasResponse](c, 1, req); got.ErrorCode != 42 || got.Entries != nil || got.ErrorMessage == nil {
			t.Errorf("%s: %+v", what, got)
		}
	}
}

func TestNoElectionIsNeeded(t *testing.T) {
	w := newWorld(t)
	w.topic("events", 1)
	c := w.connect()
	for version := int16(0); version <= 2; version++ {
		req := kmsg.NewPtrElectLeadersRequest()
		req.Topics = []kmsg.ElectLeadersRequestTopic{{Topic: "events", Partitions: []int32{0, 7}}, {Topic: "nowhere", Partitions: []int32{0}}}
		got := ask[*kmsg.ElectLeadersResponse](c, version, req)
		if p := got.Topics[0].Partitions; p[0].ErrorCode != 84 || p[1].ErrorCode != 3 || got.Topics[1].Partitions[0].ErrorCode != 3 {
			t.Errorf("v%d: %+v", version, got.Topics)
		}
	}
	every := kmsg.NewPtrElectLeadersRequest()
	every.Topics = nil
	if got := ask[*kmsg.ElectLeadersResponse](c, 2, every); got.ErrorCode != 0 || len(got.Topics) != 1 || len(got.Topics[0].Partitions) != 0 {
		t.Errorf("all partitions: %+v", got)
	}
}

func TestTheQuorumIsDescribedWithTheControllersFigures(t *testing.T) {
	w := newWorld(t)
	c := w.connect()
	for version := int16(0); version <= 2; version++ {
		req := kmsg.NewPtrDescribeQuorumRequest()
		req.Topics = []kmsg.DescribeQuorumRequestTopic{{Topic: "__cluster_metadata", Partitions: []kmsg.DescribeQuorumRequestTopicPartition{{Partition: 0}}}}
		got := ask[*kmsg.DescribeQuorumResponse](c, version, req)
		if got.ErrorCode != 0 || len(got.Topics) != 1 {
			t.Fatalf("v%d: %+v", version, got)
		}
		p := got.Topics[0].Partitions[0]
		if p.LeaderID != 1 || p.LeaderEpoch != 6 || p.HighWatermark != 40 || len(p.CurrentVoters) != 1 || p.CurrentVoters[0].LogEndOffset != 41 || len(p.Observers) != 0 {
			t.Errorf("v%d: %+v", version, p)
		}
		if version == 2 && (len(got.Nodes) != 1 || got.Nodes[0].Listeners[0].Port != 19092) {
			t.Errorf("nodes: %+v", got.Nodes)
		}
	}
	other := kmsg.NewPtrDescribeQuorumRequest()
	other.Topics = []kmsg.DescribeQuorumRequestTopic{{Topic: "events", Partitions: []kmsg.DescribeQuorumRequestTopicPartition{{Partition: 0}}}}
	if got := ask[*kmsg.DescribeQuorumResponse](c, 2, other); got.Topics[0].Partitions[0].ErrorCode != 3 {
		t.Errorf("another topic: %+v", got)
	}
}
