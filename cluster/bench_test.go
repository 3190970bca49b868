package cluster

import (
	"context"
	"fmt"
	"testing"

	"github.com/troupe-broker/troupe/actors"
	"github.com/troupe-broker/troupe/actors/env/osenv"
	"github.com/troupe-broker/troupe/actors/protocol"
	"github.com/troupe-broker/troupe/partition/storage"
)

// quickHost carries out everything at once.
type quickHost struct{}

func (quickHost) Receive(ctx *actors.Context, msg any) {
	if m, ok := msg.(*protocol.HostPartitions); ok {
		ctx.Send(m.ReplyTo, &protocol.PartitionsHosted{Answer: protocol.Answer{ID: m.ID}})
	}
}

// running is a controller on a real runtime and a real disk.
func running(b testing.TB, dir string) (*actors.System, actors.PID, *Images) {
	e := osenv.New()
	files, err := e.OpenFS(dir)
	if err != nil {
		b.Fatal(err)
	}
	system := actors.NewSystem(actors.Config{Env: e, OnFailure: func(f actors.Failure) { b.Errorf("%v\n%s", f.Panic, f.Stack) }})
	b.Cleanup(func() { _ = system.Shutdown(context.Background()) })
	host, err := system.Spawn(actors.Spec{Name: "host", New: func() actors.Actor { return quickHost{} }})
	if err != nil {
		b.Fatal(err)
	}
	images, ready := NewImages(), make(chan error, 1)
	var incarnation [16]byte
	for i := range incarnation {
		incarnation[i] = byte(e.Rand.Uint64())
	}
	pid, err := system.Spawn(NewController(Config{
		Node: 1, ClusterID: "c", Incarnation: incarnation, FS: files, Files: storage.NewFiles(files, 8), Host: host, Images: images,
		Ready: func() { ready <- nil }, Failed: func(err error) { ready <- err },
	}))
	if err == nil {
		err = <-ready
	}
	if err != nil {
		b.Fatal(err)
	}
	return system, pid, images
}

func tell(b testing.TB, system *actors.System, pid actors.PID, m actors.Command) any {
	reply, err := system.AskWait(context.Background(), pid, m)
	if err != nil {
		b.Fatal(err)
	}
	return reply
}

func TestOnARealRuntime(t *testing.T) {
	dir := t.TempDir()
	system, pid, images := running(t, dir)
	tell(t, system, pid, create("a"))
	if _, ok := images.Load().Topic("a"); !ok {
		t.Fatal("answered and not visible")
	}
	if err := system.Shutdown(context.Background()); err != nil {
		t.Fatal(err)
	}
	if _, _, images := running(t, dir); images.Load().NumTopics() != 1 {
		t.Fatal("forgotten by an orderly restart")
	}
}

func BenchmarkStart(b *testing.B) {
	for b.Loop() {
		system, _, _ := running(b, b.TempDir())
		_ = system.Shutdown(context.Background())
	}
}

func BenchmarkCreate(b *testing.B) {
	system, pid, _ := running(b, b.TempDir())
	i := 0
	for b.Loop() {
		i++
		tell(b, system, pid, create(fmt.Sprint("t", i)))
	}
}

func BenchmarkCreateTenThousandPartitions(b *testing.B) {
	system, pid, _ := running(b, b.TempDir())
	for b.Loop() {
		tell(b, system, pid, &protocol.CreateTopics{Topics: []protocol.NewTopic{{Name: "big", Partitions: 10_000, ReplicationFactor: 1}}})
		b.StopTimer()
		tell(b, system, pid, &protocol.DeleteTopics{Topics: []protocol.TopicRef{{Name: "big"}}})
		b.StartTimer()
	}
}
