package client_test

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/troupe-broker/troupe/actors"
	"github.com/troupe-broker/troupe/actors/client"
	"github.com/troupe-broker/troupe/actors/env/osenv"
	"github.com/troupe-broker/troupe/actors/protocol"
	"github.com/troupe-broker/troupe/cluster/config"
	"github.com/troupe-broker/troupe/cmd/node"
)

// Greeter reads a topic as a member of a group.
type Greeter struct {
	broker client.Routes
	told   chan string
}

func (g *Greeter) Receive(ctx *actors.Context, msg any) {
	switch m := msg.(type) {
	case actors.Started:
		ctx.Spawn(client.Consume(client.Consumption{
			Routes: g.broker, Group: "greeters", Topics: []string{"greetings"}, Members: []actors.PID{ctx.Self()},
		}))
	case *protocol.Delivered:
		for _, r := range m.Records {
			g.told <- fmt.Sprintf("%s at %d", r.Value, r.Offset)
		}
		ctx.Send(m.Consumer, &protocol.Acknowledge{Lease: m.Lease, Next: m.Next})
	}
}

func Example() {
	ctx, broker, stop := start()
	defer stop()
	told := make(chan string, 10)
	broker.System().Spawn(actors.Spec{New: func() actors.Actor { return &Greeter{broker.Client(), told} }})
	producer, _ := broker.System().Spawn(client.Produce(client.Production{Routes: broker.Client()}))
	broker.System().AskWait(ctx, producer, &protocol.ProduceRecords{
		Topic: "greetings", Partition: protocol.AnyPartition, Records: []protocol.Record{{Value: []byte("hello")}, {Value: []byte("troupe")}},
	})
	fmt.Println(<-told)
	fmt.Println(<-told)
	// Output:
	// hello at 0
	// troupe at 1
}

// start is a broker in this process, with a topic.
func start() (context.Context, *node.Node, func()) {
	dir, err := os.MkdirTemp("", "example")
	must(err)
	settings, err := config.NewBroker(config.Values{Static: config.Sort([]protocol.ConfigEntry{
		{Key: "log.dirs", Value: dir}, {Key: "listeners", Value: "PLAINTEXT://127.0.0.1:20663"}, {Key: "http.listener", Value: ""},
		{Key: "offsets.topic.num.partitions", Value: "1"},
	})})
	must(err)
	ctx := context.Background()
	n, err := node.Start(ctx, osenv.New(), node.Config{Version: "example", Settings: settings})
	must(err)
	_, err = n.CreateTopics(ctx, []protocol.NewTopic{{Name: "greetings", Partitions: 1, ReplicationFactor: 1}})
	must(err)
	return ctx, n, func() {
		must(n.Stop(ctx))
		must(os.RemoveAll(dir))
	}
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

// TestTheReadmeShowsTheExample: what people copy is what is compiled here.
func TestTheReadmeShowsTheExample(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	code, err := os.ReadFile("example_test.go")
	if err != nil {
		t.Fatal(err)
	}
	_, section, ok := strings.Cut(string(readme), "\n```go\n")
	section, _, closed := strings.Cut(section, "```\n")
	if !ok || !closed || !strings.Contains(string(code), strings.TrimSpace(section)) {
		t.Error("the Go code in README.md is not that of the example")
	}
}
