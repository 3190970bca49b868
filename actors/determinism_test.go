package actors

import (
	"fmt"
	"hash"
	"hash/fnv"
	"testing"
	"time"
)

// TestSameSeedSameRun: on one thread the runtime adds no chance of its own. 30 actors do everything an actor can, drawn from the seed;
// every delivery, refusal and failure goes into a hash, with the virtual time. Two runs of a seed agree, two seeds do not.
func TestSameSeedSameRun(t *testing.T) {
	seeds := uint64(200)
	if testing.Short() {
		seeds = 20
	}
	seen := map[uint64]uint64{}
	var all Stats
	for seed := range seeds {
		one, stats := chaos(seed)
		two, again := chaos(seed)
		if one != two || stats != again {
			t.Fatalf("seed %d: %x %+v and %x %+v", seed, one, stats, two, again)
		}
		if other, ok := seen[one]; ok {
			t.Errorf("seeds %d and %d have the same trace", seed, other)
		}
		seen[one] = seed
		all.Processed += stats.Processed
		all.Failures += stats.Failures
		all.Refusals += stats.Refusals
		all.LateReplies += stats.LateReplies
		all.DeadLetters += stats.DeadLetters
	}
	t.Logf("%+v", all)
	if all.Failures == 0 || all.Refusals == 0 || all.LateReplies == 0 || all.DeadLetters == 0 {
		t.Errorf("something never happened: %+v", all)
	}
}

const (
	chaosActors = 30
	chaosSteps  = 2000
)

type trace struct {
	hash.Hash64
	world *world
}

func (tr *trace) note(format string, args ...any) {
	fmt.Fprintf(tr, "%d ", tr.world.now)
	fmt.Fprintf(tr, format, args...)
}

// chaos runs one seed and returns the hash of its trace.
func chaos(seed uint64) (uint64, Stats) {
	w := newWorld(seed)
	tr := &trace{fnv.New64a(), w}
	s := NewSystem(Config{
		Env: w.env(), Dispatcher: w, TurnMessages: 4,
		Trace:        func(to PID, msg any) { tr.note("%s <- %T %s", to.ID(), msg, text(msg)) },
		OnFailure:    func(f Failure) { tr.note("failed %s %v", f.Actor.ID(), f.Panic) },
		OnDeadLetter: func(to PID, msg any) { tr.note("dead %s %T", to.ID(), msg) },
	})
	var names []string
	for i := range chaosActors {
		name := fmt.Sprint("a", i)
		names = append(names, name)
		if _, err := s.Spawn(Spec{Name: name, Messages: 8, New: func() Actor { return &fool{names: &names, tr: tr} }}); err != nil {
			panic(err)
		}
	}
	for range chaosSteps {
		if w.rng.IntN(10) == 0 && w.fire(1<<62) {
			continue // time passes although something is ready
		}
		if !w.step() {
			break
		}
	}
	s.StopAll()
	for s.Stats().Actors > 0 && w.step() {
	}
	return tr.Sum64(), s.Stats()
}

// fool answers commands and otherwise does something at random.
type fool struct {
	names *[]string
	tr    *trace
	turn  int
	timer TimerID
}

func (f *fool) Receive(ctx *Context, msg any) {
	f.turn++
	answer(ctx, msg)
	switch msg.(type) {
	case Stopping, reply:
		return
	}
	for range 2 {
		f.act(ctx)
	}
}

func (f *fool) EndTurn(ctx *Context) {
	f.tr.note("%s ends a turn of %d", ctx.Self().ID(), f.turn)
	f.turn = 0
}

func (f *fool) Failed(ctx *Context, _ error) { ctx.Send(f.peer(ctx), "farewell") }

func (f *fool) peer(ctx *Context) PID {
	return NewPID(ctx.Self().Address(), (*f.names)[ctx.Rand()%uint64(len(*f.names))])
}

func (f *fool) act(ctx *Context) {
	delay := time.Duration(ctx.Rand()%1000) * time.Millisecond
	switch dice := ctx.Rand() % 100; {
	case dice < 30:
		ctx.Send(f.peer(ctx), dice)
	case dice < 50:
		ctx.Request(f.peer(ctx), &command{text: "q"}, delay)
	case dice < 65:
		f.timer = ctx.After(delay, "tick")
	case dice < 70:
		ctx.Cancel(f.timer)
	case dice < 80:
		ctx.Offload(func() any {
			if dice == 70 {
				panic("work")
			}
			return "done"
		})
	case dice < 86:
		ctx.Watch(f.peer(ctx))
	case dice < 88:
		ctx.Unwatch(f.peer(ctx))
	case dice < 93 && len(*f.names) < 10*chaosActors:
		pid := ctx.Spawn(Spec{Messages: 8, New: func() Actor { return &fool{names: f.names, tr: f.tr} }})
		*f.names = append(*f.names, pid.ID())
	case dice == 93:
		ctx.Stop(f.peer(ctx))
	case dice == 94:
		panic("act")
	}
}
