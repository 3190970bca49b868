package kafka

import (
	"bytes"
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// Clients that ask for much and do not read hold no more than there is room for, and go when others wait.
func TestClientsThatDoNotReadGoWhenOthersWait(t *testing.T) {
	w := newLiveWorld(t, quiet())
	w.topic("wide", 2000)
	replies := NewReplies(512 << 10)
	l := listen(t, w, ListenerConfig{Replies: replies, SendBuffer: 8 << 10})
	req := kmsg.NewPtrMetadataRequest()
	req.Version = 1
	ask := bytes.Repeat(kmsg.NewRequestFormatter().AppendRequest(nil, req, 5), 20)
	for range 30 {
		if _, err := dial(t, l).Write(ask); err != nil {
			t.Fatal(err)
		}
	}
	nc := dial(t, l)
	_ = nc.SetDeadline(time.Now().Add(time.Minute))
	for range 3 {
		resp := exchange(t, nc, 1, kmsg.NewPtrMetadataRequest()).(*kmsg.MetadataResponse)
		if len(resp.Topics) != 1 || len(resp.Topics[0].Partitions) != 2000 {
			t.Fatal("an answer is cut short")
		}
	}
	one := int64(256 << 10) // more than an answer
	if got := replies.memory.InUse(); got > 512<<10+repliesAtOnce*one {
		t.Errorf("answers hold %d bytes", got)
	}
}

// An answer that is taken slowly arrives whole, and gives back what it held.
func TestLargeAnswersGiveBackWhatTheyHeld(t *testing.T) {
	w := newLiveWorld(t, quiet())
	w.topic("wide", 2000)
	replies := NewReplies(0)
	l := listen(t, w, ListenerConfig{Replies: replies})
	for range 3 {
		nc := dial(t, l)
		for range 3 {
			exchange(t, nc, 1, kmsg.NewPtrMetadataRequest())
		}
		req := kmsg.NewPtrMetadataRequest()
		req.Version = 1
		if _, err := nc.Write(bytes.Repeat(kmsg.NewRequestFormatter().AppendRequest(nil, req, 5), 5)); err != nil {
			t.Fatal(err)
		}
		if _, err := io.CopyN(io.Discard, nc, 1000); err != nil {
			t.Fatal(err)
		}
		_ = nc.Close() // in the middle of an answer
	}
	for w.server.Metrics.Connections.Load() > 0 {
		time.Sleep(time.Millisecond)
	}
	replies.mu.Lock()
	defer replies.mu.Unlock()
	if replies.memory.InUse() != 0 || len(replies.holders) != 0 {
		t.Errorf("%d bytes are held by %d connections that are gone", replies.memory.InUse(), len(replies.holders))
	}
}

// The same resource many times is one answer.
func TestDescribeConfigsAnswersEachResourceOnce(t *testing.T) {
	w := newWorld(t)
	w.topic("events", 1)
	req := kmsg.NewPtrDescribeConfigsRequest()
	for i := range 2000 {
		r := kmsg.NewDescribeConfigsRequestResource()
		r.ResourceType, r.ResourceName = kmsg.ConfigResourceTypeTopic, "events"
		if i%2 == 0 {
			r.ResourceType, r.ResourceName = kmsg.ConfigResourceTypeBroker, fmt.Sprint(w.server.NodeID)
		}
		req.Resources = append(req.Resources, r)
	}
	if resp := ask[*kmsg.DescribeConfigsResponse](w.connect(), 4, req); len(resp.Resources) != 2 {
		t.Errorf("%d resources", len(resp.Resources))
	}
}
