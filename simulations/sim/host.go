package sim

import (
	"context"
	"log/slog"
	"time"

	"github.com/troupe-broker/troupe/actors"
	"github.com/troupe-broker/troupe/actors/env"
)

// Epoch is the wall clock at the beginning of every world.
var Epoch = time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)

// Timing says how long things take on a host. The means are of exponential draws.
type Timing struct {
	// Step is the largest delay of an actor that has something to do.
	Step time.Duration
	// Stall is the chance of one step to be late, as under a garbage collection or a busy machine, by StallMean.
	Stall     float64
	StallMean time.Duration
	// Work is the mean delay of offloaded work: an fsync, a cold read.
	Work time.Duration
	// TimerLate is the mean delay of timers.
	TimerLate time.Duration
}

// DefaultTiming is a quiet machine.
var DefaultTiming = Timing{Step: 20 * time.Microsecond, Work: 500 * time.Microsecond, TimerLate: 50 * time.Microsecond}

// Host is one machine: a disk that outlives its processes, a clock, and at most one process at a time.
type Host struct {
	World  *World
	Name   string
	Disk   *Disk
	Timing Timing
	// Skew is what the wall clock is ahead of the other clock. The nemesis may change it at any time.
	Skew time.Duration

	// drift is what the clocks gain per second since the world's time since, when they showed shown.
	drift        float64
	since, shown time.Duration

	sched, clock, work, chance *Stream
	process                    *Process
	lives                      int
}

// NewHost adds a machine with an empty disk.
func (w *World) NewHost(name string) *Host {
	h := &Host{
		World: w, Name: name, Timing: DefaultTiming,
		sched: w.Stream(name + "/sched"), clock: w.Stream(name + "/clock"), work: w.Stream(name + "/work"), chance: w.Stream(name + "/rand"),
	}
	h.Disk = newDisk(w, name)
	w.hosts = append(w.hosts, h)
	return h
}

// Process is one life of the node on a host. When it is dead its events no longer happen, its files answer errors and what it sends
// goes nowhere.
type Process struct {
	Host   *Host
	Life   int // 1 for the first
	dead   bool
	atOp   bool // died in the middle of a disk operation
	paused bool
	held   []func()      // what came due while paused, in order
	origin time.Duration // of the monotonic clock
	// onDeath is called once when the process dies, for what lives outside of it: its connections.
	onDeath []func()
}

// Boot starts a new process. The one before must be dead.
func (h *Host) Boot() *Process {
	if h.process != nil && !h.process.dead {
		panic("sim: host " + h.Name + " already runs a process")
	}
	h.lives++
	h.process = &Process{Host: h, Life: h.lives, origin: h.clock.Duration(0, time.Hour)}
	h.World.Trace.Event("boot", int64(h.lives))
	h.World.Trace.Printf("%s boots, life %d", h.Name, h.lives)
	return h.process
}

// Process is the running process, nil when there is none.
func (h *Host) Process() *Process {
	if h.process == nil || h.process.dead {
		return nil
	}
	return h.process
}

// Last is the newest process, dead or not; nil before the first.
func (h *Host) Last() *Process { return h.process }

// Dead reports whether the process has ended.
func (p *Process) Dead() bool { return p.dead }

// EndedAtOperation reports whether a rule ended the process at a disk operation, so that it is still open whether the machine lost
// its power (PowerLoss) or only the process (Kill).
func (p *Process) EndedAtOperation() bool { return p.atOp }

// Exit ends the process as os.Exit does; see Kill.
func (p *Process) Exit() (dropped bool) {
	p.die("exit")
	return p.Host.Disk.processDied()
}

// OnDeath arranges that f is called when the process dies.
func (p *Process) OnDeath(f func()) { p.onDeath = append(p.onDeath, f) }

// die ends the process in the middle of whatever it does.
func (p *Process) die(how string) {
	if p.dead {
		return
	}
	p.dead, p.held = true, nil
	p.Host.World.Trace.Event(how, int64(p.Life))
	p.Host.World.Trace.Printf("%s: %s", p.Host.Name, how)
	for _, f := range p.onDeath {
		f()
	}
}

// Kill is kill -9: the page cache survives, except pages that failed to be written. It reports whether there were such.
func (p *Process) Kill() (dropped bool) {
	p.die("kill")
	p.atOp = false
	return p.Host.Disk.processDied()
}

// PowerLoss ends the process and everything that was not synced, as the crash draws.
func (p *Process) PowerLoss(c Crash) {
	p.die("power loss")
	p.atOp = false
	p.Host.Disk.powerLoss(c)
}

// Paused reports whether the process stands still.
func (p *Process) Paused() bool { return p.paused }

// Pause stops the process as SIGSTOP does: its clock runs on, its events wait.
func (p *Process) Pause() { p.paused = true }

// Resume lets everything that came due meanwhile happen now, in the order it came due.
func (p *Process) Resume() {
	p.paused = false
	held := p.held
	p.held = nil
	for i, f := range held {
		p.After(time.Duration(i), f)
	}
}

// After schedules f as an event of this process: not if it dies before, later if it is paused.
func (p *Process) After(d time.Duration, f func()) *Event {
	return p.Host.World.After(d, func() {
		switch {
		case p.dead:
		case p.paused:
			p.held = append(p.held, f)
		default:
			f()
		}
	})
}

// Env is the world as the process sees it.
func (p *Process) Env() env.Env {
	return env.Env{
		Clock: clock{p}, Rand: p.Host.chance, Offload: offload{p},
		OpenFS: func(dir string) (env.FS, error) { return p.Host.Disk.open(p, dir) },
		LookFS: func(dir string) (env.FS, error) { return p.Host.Disk.look(p, dir) },
	}
}

// Dispatcher steps the actors of the process.
func (p *Process) Dispatcher() actors.Dispatcher { return dispatcher{p} }

// OnFailure reports a panic of an actor as a violation. It fits actors.Config.OnFailure.
func (p *Process) OnFailure(f actors.Failure) {
	if !p.dead {
		p.Host.World.Fail("panic of %v: %v\n%s", f.Actor, f.Panic, f.Stack)
	}
}

// OnDeliver folds a delivery into the trace. It fits actors.Config.Trace.
func (p *Process) OnDeliver(to actors.PID, msg any) {
	t := &p.Host.World.Trace
	t.Event(to.ID())
	if t.On() {
		t.Printf("%s <- %T", to.ID(), msg)
	}
}

type dispatcher struct{ p *Process }

// Turn is one message a step.
func (dispatcher) Turn() int { return 1 }

// Schedule makes the run an event of its own.
func (d dispatcher) Schedule(run func()) {
	h := d.p.Host
	delay := h.sched.Duration(0, h.Timing.Step)
	if h.sched.Chance(h.Timing.Stall) {
		delay += h.sched.Exp(h.Timing.StallMean)
	}
	d.p.After(delay, run)
}

type offload struct{ p *Process }

// Run makes the work an event of its own, later.
func (o offload) Run(work func()) {
	o.p.After(o.p.Host.work.Exp(o.p.Host.Timing.Work), work)
}

type clock struct{ p *Process }

// Now is the wall clock: skewed and drifting, without a monotonic part.
func (c clock) Now() time.Time { return Epoch.Add(c.p.Host.Skew + c.p.Host.local()) }

// Mono starts anywhere.
func (c clock) Mono() time.Duration { return c.p.origin + c.p.Host.local() }

// local is the time since the beginning of the world as the clocks of the host see it.
func (h *Host) local() time.Duration {
	d := h.World.now - h.since
	return h.shown + d + time.Duration(float64(d)*h.drift)
}

// SetDrift makes the clocks of the host gain so many seconds per second from now on.
func (h *Host) SetDrift(drift float64) {
	h.shown, h.since, h.drift = h.local(), h.World.now, drift
}

// AfterFunc is a timer of the process.
func (c clock) AfterFunc(d time.Duration, f func()) env.Timer {
	h := c.p.Host
	d = time.Duration(float64(d) / (1 + h.drift))
	return timer{h.World, c.p.After(d+h.clock.Exp(h.Timing.TimerLate), f)}
}

type timer struct {
	w *World
	e *Event
}

// Stop reports whether the timer had not fired.
func (t timer) Stop() bool { return t.w.Cancel(t.e) }

// Logger counts what a node warns of and, if somebody looks, writes everything into the trace. The hash does not depend on it.
func (p *Process) Logger(count func(message string)) *slog.Logger {
	h := logged{level: slog.LevelWarn, count: count, Handler: slog.DiscardHandler}
	if p.Host.World.Trace.On() {
		h.level = slog.LevelDebug
		h.Handler = slog.NewTextHandler(logLine{p}, &slog.HandlerOptions{Level: slog.LevelDebug, ReplaceAttr: withoutTime})
	}
	return slog.New(h)
}

// logged is a handler that counts warnings before another one gets them.
type logged struct {
	slog.Handler
	level slog.Level
	count func(message string)
}

// Enabled implements slog.Handler.
func (l logged) Enabled(_ context.Context, level slog.Level) bool { return level >= l.level }

// Handle implements slog.Handler.
func (l logged) Handle(ctx context.Context, r slog.Record) error {
	if r.Level >= slog.LevelWarn {
		l.count(r.Message)
	}
	return l.Handler.Handle(ctx, r)
}

// WithAttrs implements slog.Handler.
func (l logged) WithAttrs(a []slog.Attr) slog.Handler {
	l.Handler = l.Handler.WithAttrs(a)
	return l
}

// WithGroup implements slog.Handler.
func (l logged) WithGroup(name string) slog.Handler {
	l.Handler = l.Handler.WithGroup(name)
	return l
}

func withoutTime(_ []string, a slog.Attr) slog.Attr {
	if a.Key == slog.TimeKey {
		return slog.Attr{}
	}
	return a
}

type logLine struct{ p *Process }

func (l logLine) Write(b []byte) (int, error) {
	l.p.Host.World.Trace.Printf("%s log: %s", l.p.Host.Name, b[:max(0, len(b)-1)])
	return len(b), nil
}
