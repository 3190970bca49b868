package actortest

import (
	"log/slog"
	"strconv"
	"time"

	"github.com/troupe-broker/troupe/actors"
)

// recorder is a Harness seen from inside: the actor's Runtime.
type recorder Harness

func (r *recorder) did(e Effect) { r.effects = append(r.effects, e) }

func (r *recorder) nextID() uint64 {
	r.ids++
	return r.ids
}

func (r *recorder) Self() actors.PID          { return r.self }
func (r *recorder) System() *actors.System    { return r.ActorSystem }
func (r *recorder) Now() time.Time            { return (*Harness)(r).Now() }
func (r *recorder) Mono() time.Duration       { return r.mono }
func (r *recorder) Logger() *slog.Logger      { return r.Log }
func (r *recorder) Send(to actors.PID, m any) { r.did(Sent{to, m}) }
func (r *recorder) Stop(pid actors.PID)       { r.did(Stopped{pid}) }
func (r *recorder) Watch(pid actors.PID)      { r.did(Watched{pid}) }
func (r *recorder) Unwatch(pid actors.PID)    { r.did(Unwatched{pid}) }

// Rand is splitmix64 from a fixed seed.
func (r *recorder) Rand() uint64 {
	r.chance += 0x9e3779b97f4a7c15
	z := r.chance
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

func (r *recorder) Request(to actors.PID, msg actors.Command, timeout time.Duration) uint64 {
	id := r.nextID()
	msg.SetHead(r.self, id)
	(*Harness)(r).await(id, timeout, actors.RequestTimedOut{ID: id, To: to})
	r.did(Requested{id, to, timeout, msg})
	return id
}

func (r *recorder) Spawn(spec actors.Spec) actors.PID {
	name := spec.Name
	if name == "" {
		name = "$" + strconv.FormatUint(r.nextID(), 10)
	}
	pid := actors.NewPID(r.self.Address(), r.self.ID()+"/"+name)
	if _, taken := r.Specs[pid.String()]; taken {
		r.t.Fatalf("a second child named %q", name)
	}
	r.Specs[pid.String()] = spec
	r.did(Spawned{pid})
	return pid
}

func (r *recorder) After(d time.Duration, msg any) actors.TimerID {
	id := r.nextID()
	(*Harness)(r).await(id, d, msg)
	r.did(TimerSet{actors.TimerID(id), d, msg})
	return actors.TimerID(id)
}

func (r *recorder) Cancel(id actors.TimerID) {
	if (*Harness)(r).forget(uint64(id)) {
		r.did(TimerCancelled{id})
	}
}

func (r *recorder) Offload(work func() any) {
	r.work = append(r.work, work)
	r.did(Offloaded{})
}
