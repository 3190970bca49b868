package cluster

import (
	"testing"

	"github.com/troupe-broker/troupe/actors/protocol"
)

func TestTheQuorumIsDescribedWithRaftsFigures(t *testing.T) {
	s := onStage(t, t.TempDir(), nil).started()
	before := *answerOf[*protocol.QuorumDescribed](s, s.tell(&protocol.DescribeQuorum{}))
	if before.Leader != 1 || before.Epoch < 1 || before.HighWatermark < 2 || len(before.Voters) != 1 || before.Voters[0].Node != 1 || before.Voters[0].LogEnd < before.HighWatermark {
		t.Fatalf("%+v", before)
	}
	s.tell(create("one"))
	s.work()
	s.hosted()
	after := *answerOf[*protocol.QuorumDescribed](s, s.tell(&protocol.DescribeQuorum{}))
	if after.HighWatermark <= before.HighWatermark || after.Voters[0].LogEnd < after.HighWatermark || after.Epoch != before.Epoch {
		t.Errorf("after a change %+v, before %+v", after, before)
	}
}
