package controller

import (
	"log/slog"
	"slices"

	"github.com/troupe-broker/troupe/actors/protocol"
	"github.com/troupe-broker/troupe/cluster/config"
	"github.com/troupe-broker/troupe/cluster/image"
)

// Event is one line for the log: what changed for good, in the words of whoever looks for it later. Attributes hold names and values as
// clients sent them; handlers of slog escape them.
type Event struct {
	Text  string
	Attrs []slog.Attr
}

// eventsMax bounds the lines of one command; the last one says how many are left out.
const eventsMax = 1000

// hidden stands for a value that is not shown.
const hidden = "[hidden]"

// Events describes the records of one command, decided against the image. Settings of a topic that is created stand in its line.
func Events(img *image.Image, by protocol.Requester, records []image.Record) []Event {
	t := &teller{img: img, created: map[string]int{}, grown: map[protocol.TopicID]int{}}
	for _, r := range records {
		t.tell(r)
	}
	if more := len(t.events) - eventsMax; more > 0 {
		t.events = append(t.events[:eventsMax], Event{"more metadata changed", []slog.Attr{slog.Int("changes", more)}})
	}
	for i := range t.events {
		t.events[i].Attrs = append(t.events[i].Attrs, slog.Any("by", by))
	}
	return t.events
}

// teller collects the events of one command.
type teller struct {
	img     *image.Image
	events  []Event
	created map[string]int           // topics made by the command: their events
	grown   map[protocol.TopicID]int // topics it adds partitions to: their events
}

func (t *teller) add(text string, attrs ...slog.Attr) {
	t.events = append(t.events, Event{text, attrs})
}

func (t *teller) tell(r image.Record) {
	switch r := r.(type) {
	case *image.TopicCreated:
		t.created[r.Name], t.grown[r.ID] = len(t.events), len(t.events)
		t.add("topic created", slog.String("topic", r.Name), slog.String("id", r.ID.String()), slog.Int("partitions", 0))
	case *image.TopicDeleted:
		if topic, ok := t.img.TopicByID(r.ID); ok {
			t.add("topic deleted", slog.String("topic", topic.Name), slog.String("id", r.ID.String()), slog.Int("partitions", int(topic.NumPartitions())))
		}
	case *image.PartitionAdded:
		t.partition(r)
	case *image.ConfigChanged:
		t.config(r)
	case *image.ScramCredentialSet:
		t.user(r.User, r.Mechanism, false)
	case *image.ScramCredentialRemoved:
		t.user(r.User, r.Mechanism, true)
	}
}

// partition counts one more partition in the line of its topic.
func (t *teller) partition(r *image.PartitionAdded) {
	at, ok := t.grown[r.Topic]
	if !ok {
		topic, exists := t.img.TopicByID(r.Topic)
		if !exists {
			return
		}
		at = len(t.events)
		t.grown[r.Topic] = at
		t.add("topic altered", slog.String("topic", topic.Name), slog.String("id", r.Topic.String()), slog.Int("partitions", 0), slog.Int("before", int(topic.NumPartitions())))
	}
	t.events[at].Attrs[2] = slog.Int("partitions", int(r.Partition)+1)
}

func (t *teller) config(r *image.ConfigChanged) {
	if at, ok := t.created[r.Name]; ok && r.Resource == protocol.ResourceTopic {
		t.events[at].Attrs = append(t.events[at].Attrs, slog.String(r.Key, shownValue(r.Resource, r.Key, r.Value)))
		return
	}
	attrs := []slog.Attr{slog.String("of", resourceNames[r.Resource]), slog.String("name", r.Name), slog.String("key", r.Key)}
	if r.Resource == protocol.ResourceBroker && r.Name == "" {
		attrs[1] = slog.String("name", "all")
	}
	if before, ok := config.Find(t.before(r), r.Key); ok {
		attrs = append(attrs, slog.String("before", shownValue(r.Resource, r.Key, before)))
	}
	if !r.Null {
		attrs = append(attrs, slog.String("value", shownValue(r.Resource, r.Key, r.Value)))
	}
	text := "configuration changed"
	if r.Null {
		text = "configuration removed"
	}
	t.add(text, attrs...)
}

var resourceNames = map[protocol.ResourceType]string{protocol.ResourceTopic: "topic", protocol.ResourceBroker: "broker", protocol.ResourceGroup: "group"}

// before is what was set on the resource.
func (t *teller) before(r *image.ConfigChanged) []protocol.ConfigEntry {
	d := &decider{img: t.img}
	has, _ := d.settingsOf(protocol.AlterResource{Type: r.Resource, Name: r.Name})
	return has
}

// shownValue hides what is sensitive, and what nobody knows.
func shownValue(kind protocol.ResourceType, key, value string) string {
	if k, ok := keyOf(kind, key); !ok || k.Sensitive() {
		return hidden
	}
	return value
}

// user tells of a credential; the first one makes the user, the last one ends it.
func (t *teller) user(name string, mechanism protocol.ScramMechanism, removed bool) {
	var has []protocol.ScramMechanism
	for _, m := range []protocol.ScramMechanism{protocol.ScramSHA256, protocol.ScramSHA512} {
		if _, ok := t.img.Scram(m, name); ok {
			has = append(has, m)
		}
	}
	text := "credential of a user set"
	switch others := slices.ContainsFunc(has, func(m protocol.ScramMechanism) bool { return m != mechanism }); {
	case removed && others:
		text = "credential of a user removed"
	case removed:
		text = "user deleted"
	case len(has) == 0:
		text = "user created"
	}
	t.add(text, slog.String("user", name), slog.String("mechanism", mechanism.String()))
}
