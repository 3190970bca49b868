package controller

import (
	"strings"
	"testing"

	"github.com/troupe-broker/troupe/actors/protocol"
	"github.com/troupe-broker/troupe/cluster/image"
)

func TestEventsOfOneCommandAreBounded(t *testing.T) {
	var records []image.Record
	for i := range eventsMax + 7 {
		id := protocol.TopicID{byte(i >> 8), byte(i)}
		records = append(records, &image.TopicCreated{Name: strings.Repeat("t", i), ID: id}, &image.PartitionAdded{Topic: id}, &image.PartitionAdded{Topic: id, Partition: 1})
	}
	events := Events(image.Empty(), protocol.Requester{Principal: "User:alice"}, records)
	if len(events) != eventsMax+1 || events[0].Text != "topic created" || events[0].Attrs[2].Value.Int64() != 2 {
		t.Fatalf("%d events, the first %+v", len(events), events[0])
	}
	if last := events[eventsMax]; last.Attrs[0].Value.Int64() != 7 || last.Attrs[1].Key != "by" {
		t.Errorf("the last is %+v", last)
	}
}

func TestEventsHideWhatIsSensitive(t *testing.T) {
	for key, want := range map[string]string{"retention.ms": "1", "ssl.key.password": hidden, "what.nobody.knows": hidden} {
		kind := protocol.ResourceBroker
		if key == "retention.ms" {
			kind = protocol.ResourceTopic
		}
		e := Events(image.Empty(), protocol.Requester{}, []image.Record{&image.ConfigChanged{Resource: kind, Name: "1", Key: key, Value: "1"}})
		if got := e[0].Attrs[3].Value.String(); got != want {
			t.Errorf("%s shows %s, want %s", key, got, want)
		}
	}
}
