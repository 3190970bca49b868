package actors

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"maps"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/asynkron/protoactor-go/eventstream"
	cmap "github.com/orcaman/concurrent-map"
	"github.com/troupe-broker/troupe/actors/env"
)

// Config is what a System is made of.
type Config struct {
	// Address is this node in PIDs; empty means a system nobody reaches from outside.
	Address string
	// Env is the world: Clock, Rand and Offload are used.
	Env env.Env
	// Dispatcher runs the actors; nil means a pool of Workers goroutines.
	Dispatcher Dispatcher
	// Workers is the size of the pool; 0 means the number of processors, at least two.
	Workers int
	// TurnMessages bounds a turn; 0 means the constant TurnMessages.
	TurnMessages int
	// Logger hears of failures; nil means silence.
	Logger *slog.Logger
	// OnFailure is called for every panic, on the thread where it happened. It must not block.
	OnFailure func(Failure)
	// OnDeadLetter is called for every message that nobody handles and nobody is told about.
	OnDeadLetter func(to PID, msg any)
	// Trace is called before every delivery to an actor: the simulator's view.
	Trace func(to PID, msg any)
}

// System is a set of actors on one node. Several live side by side in one process and share nothing.
type System struct {
	config       Config
	clock        env.Clock
	log          *slog.Logger
	proto        *actor.ActorSystem
	props        *actor.Props
	defaults     *limits
	pool         *pool // nil with a Dispatcher of the user's
	turn         int   // messages of one run
	turnMessages int   // messages of one turn
	stats        counters
	ids          atomic.Uint64
	edges        atomic.Uint64
	asks         asks

	spawning sync.Mutex // held while protoactor builds its side of newborn
	newborn  *cell      // guarded by spawning

	mu     sync.Mutex
	top    map[*cell]uint64 // guarded by mu: actors without a parent, numbered in order of birth
	births uint64           // guarded by mu
	// failures are why children failed, from their end until their parent hears of it; guarded by mu.
	failures map[*actor.PID]*Failure
	alive    int           // guarded by mu
	closed   bool          // guarded by mu: refuses new actors
	empty    bool          // guarded by mu: drained is closed
	drained  chan struct{} // closed when the last actor has left a closed system
}

// oneShard keeps protoactor's registry small: it makes 1024 maps of SHARD_COUNT shards each, 2.8 MiB with the default of 32.
var oneShard sync.Once

// NewSystem makes a system without actors.
func NewSystem(config Config) *System {
	oneShard.Do(func() { cmap.SHARD_COUNT = 1 })
	s := &System{config: config, clock: config.Env.Clock, log: config.Logger, top: map[*cell]uint64{}, failures: map[*actor.PID]*Failure{}, drained: make(chan struct{})}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	s.defaults = &limits{MailboxMessages, MailboxBytes}
	s.proto = actor.NewActorSystem(actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger { return slog.New(slog.DiscardHandler) }))
	// A fresh event stream drops protoactor's own dead-letter handler, which starts a goroutine and a real timer per burst.
	s.proto.EventStream = eventstream.NewEventStream()
	s.proto.EventStream.Subscribe(s.undeliverable)
	if config.Address != "" {
		s.proto.ProcessRegistry.Address = config.Address
	}
	s.props = actor.PropsFromProducer(func() actor.Actor { return s.newborn }, actor.WithMailbox(func() actor.Mailbox { return s.newborn }))
	s.ids.Store(config.Env.Rand.Uint64() >> 24) // so that an answer to an earlier life of this node matches nothing
	s.asks.open = map[uint64]*ask{}
	s.asks.self = s.Edge("ask", func(msg any) { s.asks.deliver(s, msg) })
	s.turnMessages = cmp.Or(config.TurnMessages, TurnMessages)
	if config.Dispatcher != nil {
		s.turn = min(config.Dispatcher.Turn(), s.turnMessages)
	} else {
		s.turn = s.turnMessages
		s.pool = newPool(cmp.Or(config.Workers, max(2, runtime.GOMAXPROCS(0))))
	}
	return s
}

// Address is this node in PIDs.
func (s *System) Address() string { return s.proto.ProcessRegistry.Address }

// Clock is the clock of the system's Env.
func (s *System) Clock() env.Clock { return s.clock }

// Spawn starts an actor without a parent. It fails with ErrStopped after Shutdown, and if the name is taken.
func (s *System) Spawn(spec Spec) (PID, error) {
	c := s.newCell(spec)
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return PID{}, ErrStopped
	}
	s.top[c] = s.births
	s.births++
	s.alive++
	s.mu.Unlock()
	return s.spawn(s.proto.Root, spec.Name, c)
}

func (s *System) newCell(spec Spec) *cell {
	c := &cell{sys: s, limits: s.defaults, more: &extras{build: spec.New}}
	c.context.rt = c
	if spec.Messages != 0 || spec.Bytes != 0 {
		c.limits = &limits{cmp.Or(spec.Messages, MailboxMessages), cmp.Or(spec.Bytes, MailboxBytes)}
	}
	return c
}

// spawn is the one way an actor is made. protoactor's Props are shared by all actors (they weigh more than an actor) and find the new
// cell in newborn.
func (s *System) spawn(parent actor.SpawnerContext, name string, c *cell) (PID, error) {
	if name == "" {
		name = s.proto.ProcessRegistry.NextId()
	}
	s.spawning.Lock()
	s.newborn = c
	pid, err := parent.SpawnNamed(s.props, name)
	s.newborn = nil
	s.spawning.Unlock()
	if err != nil {
		s.left(c)
		return PID{}, fmt.Errorf("spawning actor %q: %w", name, err)
	}
	c.mu.Lock()
	c.self, c.started = PID{pid}, true
	c.wakeAndUnlock()
	return PID{pid}, nil
}

// left ends the account of an actor.
func (s *System) left(c *cell) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.top, c)
	s.alive--
	s.drain()
}

// drain announces that a closed system is empty; none can join it any more. Called with mu held.
func (s *System) drain() {
	if s.closed && s.alive == 0 && !s.empty {
		s.empty = true
		close(s.drained)
	}
}

// Send delivers msg from outside any actor. See Context.Send.
func (s *System) Send(to PID, msg any) {
	if to.IsZero() {
		s.refuse(to, msg, RefusedUnknown)
		return
	}
	s.proto.Root.Send(to.pid, msg)
}

// Stop asks an actor to stop, as Context.Stop does.
func (s *System) Stop(pid PID) {
	if !pid.IsZero() {
		s.proto.Root.Stop(pid.pid)
	}
}

func (s *System) schedule(c *cell) {
	if s.pool != nil {
		s.pool.schedule(c)
	} else {
		s.config.Dispatcher.Schedule(c.run)
	}
}

// nextID makes correlation and timer ids: unique in the life of the system.
func (s *System) nextID() uint64 { return s.ids.Add(1) }

// StopAll asks every actor without a parent to stop, the youngest first, and refuses new ones. It returns at once: a simulator then
// steps until Stats().Actors is 0.
func (s *System) StopAll() {
	s.mu.Lock()
	s.closed = true
	s.drain()
	order := slices.SortedFunc(maps.Keys(s.top), func(a, b *cell) int { return cmp.Compare(s.top[b], s.top[a]) })
	s.mu.Unlock()
	for _, c := range order {
		c.PostSystemMessage(&actor.Stop{})
	}
	s.asks.close()
}

// Shutdown stops every actor, waits until the last is gone and ends the pool. An actor that does not end keeps the pool alive:
// Shutdown then returns the error of ctx and says how many are left.
func (s *System) Shutdown(ctx context.Context) error {
	s.StopAll()
	select {
	case <-s.drained:
	case <-ctx.Done():
		return fmt.Errorf("%d actors still running: %w", s.Stats().Actors, context.Cause(ctx))
	}
	if s.pool != nil {
		s.pool.close()
	}
	return nil
}

// The Runtime of a cell.

func (c *cell) Self() PID            { return c.self }
func (c *cell) System() *System      { return c.sys }
func (c *cell) Now() time.Time       { return c.sys.clock.Now() }
func (c *cell) Mono() time.Duration  { return c.sys.clock.Mono() }
func (c *cell) Rand() uint64         { return c.sys.config.Env.Rand.Uint64() }
func (c *cell) Logger() *slog.Logger { return c.sys.log }

func (c *cell) Send(to PID, msg any) {
	if to.Equal(c.self) {
		c.post(msg, true)
		return
	}
	c.sys.Send(to, msg)
}

func (c *cell) Spawn(spec Spec) PID {
	child := c.sys.newCell(spec)
	c.sys.mu.Lock()
	c.sys.alive++
	c.sys.mu.Unlock()
	pid, err := c.sys.spawn(c.proto, spec.Name, child)
	if err != nil {
		panic(err)
	}
	return pid
}

func (c *cell) Stop(pid PID) {
	if pid.Equal(c.self) && c.halt == running {
		c.halt = stopping
	}
	c.sys.Stop(pid)
}

func (c *cell) Watch(pid PID) {
	if p, ok := c.sys.proto.ProcessRegistry.Get(pid.pid); ok {
		p.SendSystemMessage(pid.pid, &watch{c.self})
	} else {
		c.post(Terminated{Who: pid, Cause: ErrUnknownActor}, true)
	}
}

func (c *cell) Unwatch(pid PID) {
	if p, ok := c.sys.proto.ProcessRegistry.Get(pid.pid); ok {
		p.SendSystemMessage(pid.pid, &unwatch{c.self})
	}
}

func (c *cell) Offload(work func() any) { c.offload(work) }
