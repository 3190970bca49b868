package scenarios

import (
	"crypto/rand"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/troupe-broker/troupe/actors/invariant"
	"github.com/troupe-broker/troupe/actors/protocol"
	"github.com/troupe-broker/troupe/simulations/check"
	"github.com/troupe-broker/troupe/simulations/sim"
	"github.com/troupe-broker/troupe/simulations/workload"
)

// Bounds of the phases, in virtual time.
const (
	setupMax    = 30 * time.Second
	livenessMax = 2 * time.Minute
	drainMax    = 3 * time.Minute
	restartMax  = 30 * time.Second
	settleMax   = 15 * time.Second
	stepsMax    = 5_000_000 // of one run: more is a loop
)

// run is one world with one node and its clients.
type run struct {
	world  *sim.World
	host   *sim.Host
	net    *sim.Network
	plan   Plan
	stage  *workload.Stage
	env    *workload.Simulated
	crypto io.Reader

	node        *node // of the running process; nil while there is none
	powerLosses int
	eras        map[*sim.Process]int
	rotten      map[protocol.TopicPartition]bool
	down        *sim.Stream
	sessions    *sim.Stream
	healed      bool
	restarting  bool
	wasFull     bool // the disk was, at some time
	rotNext     int  // bits to rot while the node is down
	seen        map[string]int
	acks        int
	admin       *workload.Admin
	producers   []*workload.Producer
	transactors []*workload.Transactor
	consumers   []*workload.Consumer
	coordinated []workload.Coordinated
	final       *workload.Reader
}

// Swarm runs one node under the clients and faults that the seed draws. crypto/rand.Reader belongs to the run meanwhile: one world at a
// time in one process.
func Swarm(seed uint64, trace io.Writer) *Result { return RunPlan(seed, DrawPlan(seed), trace) }

// Transactions is Swarm with transactional producers.
func Transactions(seed uint64, trace io.Writer) *Result {
	plan := DrawPlan(seed)
	drawTransactions(&plan, sim.NewStream(seed, "transactions"))
	r := RunPlan(seed, plan, trace)
	r.Scenario = "transactions"
	return r
}

// Groups is Swarm with clients of coordinators: members of groups of both generations, plain commits, exactly-once copies.
func Groups(seed uint64, trace io.Writer) *Result {
	plan := DrawPlan(seed)
	drawGroups(&plan, sim.NewStream(seed, "groups"))
	r := RunPlan(seed, plan, trace)
	r.Scenario = "groups"
	return r
}

// Compaction is Swarm with compacted topics.
func Compaction(seed uint64, trace io.Writer) *Result {
	plan := DrawPlan(seed)
	drawCompaction(&plan, sim.NewStream(seed, "compaction"))
	r := RunPlan(seed, plan, trace)
	r.Scenario = "compaction"
	return r
}

// RunPlan runs a plan.
func RunPlan(seed uint64, plan Plan, trace io.Writer) *Result {
	r := newRun(seed, plan, trace)
	old := rand.Reader
	rand.Reader = r.crypto
	defer func() { rand.Reader = old }()
	r.play()
	return r.result()
}

func newRun(seed uint64, plan Plan, trace io.Writer) *run {
	w := sim.NewWorld(seed, trace)
	r := &run{
		world: w, host: w.NewHost("node"), net: w.NewNetwork(), plan: plan, crypto: w.Stream("crypto"),
		eras: map[*sim.Process]int{}, rotten: map[protocol.TopicPartition]bool{}, down: w.Stream("downtime"), sessions: w.Stream("sessions"),
		seen: map[string]int{},
	}
	r.env = &workload.Simulated{
		World: w, Network: r.net, Host: r.host, Accept: r.accept, EraOf: func(p *sim.Process) int { return r.eras[p] },
	}
	r.stage = workload.NewStage(r.env, plan.Clients, w.Fail)
	r.stage.Acknowledged = r.audit
	r.stage.Excused = func(t *workload.Topic) bool {
		return t.Durability == protocol.DurabilityOS && r.powerLosses > 0 || len(r.rotten) > 0
	}
	return r
}

// play goes through the phases; the first that fails ends the run, since what follows would only repeat it.
func (r *run) play() {
	r.world.Trace.Printf("plan: %v", r.plan)
	for _, phase := range []func() bool{r.setup, r.safety, r.liveness, r.drain, r.restart} {
		if !phase() || len(r.world.Failures()) > 0 {
			return
		}
	}
}

func (r *run) until(limit time.Duration, done func() bool) bool {
	return r.world.RunUntil(limit, func() bool {
		return done() || r.world.Steps() > stepsMax || len(r.world.Failures()) > 0
	}) && done()
}

// setup starts the node and creates the first topics, without faults.
func (r *run) setup() bool {
	r.boot()
	r.admin = workload.StartAdmin(r.stage, r.plan.AdminPace)
	if !r.until(setupMax, func() bool { return len(r.stage.Topics()) >= r.plan.Clients.Topics }) {
		r.world.Fail("setup: %d of %d topics after %v", len(r.stage.Topics()), r.plan.Clients.Topics, setupMax)
		return false
	}
	return true
}

// safety lets clients and faults loose.
func (r *run) safety() bool {
	n := r.unleash()
	if r.plan.extra != nil {
		r.plan.extra(n, r.world.Stream("extra"))
	}
	for i := range r.plan.Clients.Producers {
		r.producers = append(r.producers, workload.StartProducer(r.stage, fmt.Sprint("producer-", i)))
	}
	for i := range r.plan.Clients.Transactors {
		r.transactors = append(r.transactors, workload.StartTransactor(r.stage, fmt.Sprint("transactor-", i)))
	}
	for i := range r.plan.Clients.Consumers {
		r.consumers = append(r.consumers, workload.StartConsumer(r.stage, fmt.Sprint("consumer-", i)))
	}
	if r.plan.Coordinators {
		r.coordinated = r.stage.StartCoordinated()
	}
	r.until(r.plan.Span, func() bool { return false })
	n.heal()
	return len(r.world.Failures()) == 0
}

// liveness requires, with all faults healed, that everything works again: a log that went offline is one restart away.
func (r *run) liveness() bool {
	r.healed = true
	if r.host.Disk.Injected == 0 && r.plan.Rot == 0 && !r.until(livenessMax, func() bool { return r.host.Process() == nil || !r.node.wounded() }) {
		r.world.Fail("liveness: something is offline %v after refusals that pass", livenessMax)
		return false
	}
	if r.host.Process() == nil || r.node.wounded() {
		r.crash(false)
	}
	if len(r.rotten) > 0 { // it may be all there is
		return r.until(livenessMax, func() bool { return r.node != nil && r.node.ready })
	}
	before := r.stage.Acked
	if !r.until(livenessMax, func() bool {
		return r.stage.Acked >= before+int64(len(r.producers)+len(r.transactors)) || len(r.stage.Topics()) == 0
	}) {
		r.world.Fail("liveness: %d batches acknowledged in %v after all faults were healed", r.stage.Acked-before, livenessMax)
		return false
	}
	return true
}

// drain ends the clients and reads everything.
func (r *run) drain() bool {
	r.stage.Stop()
	if !r.until(drainMax, func() bool {
		return !slices.ContainsFunc(r.producers, func(p *workload.Producer) bool { return !p.Idle() }) &&
			!slices.ContainsFunc(r.transactors, func(t *workload.Transactor) bool { return !t.Idle() }) &&
			!slices.ContainsFunc(r.coordinated, func(c workload.Coordinated) bool { return !c.Idle() })
	}) {
		r.world.Fail("drain: producers still wait for answers after %v", drainMax)
		return false
	}
	if behind := ""; !r.until(livenessMax, func() bool { behind = r.behind(); return behind == "" }) {
		r.world.Fail("drain: after %v without faults %s", livenessMax, behind)
		return false
	}
	r.stage.Halt()
	r.world.RunFor(settleMax) // what nobody waits for (acks=0, connections that hang) ends too
	final := r.finish("final", workload.StartReader(r.stage, "final", true))
	if final == nil {
		return false
	}
	// What nobody ended ends by its timeout, so in the end nothing is undecided.
	if (len(r.transactors) > 0 || r.plan.Coordinators) && r.finish("committed", workload.StartCommittedReader(r.stage, "committed")) == nil {
		return false
	}
	if look := r.look("last"); look == nil {
		return false
	} else {
		look.NoteCopied()
	}
	r.seen["records read"] = int(final.Reads)
	r.final = final
	return true
}

// behind describes a consumer that has not caught up.
func (r *run) behind() string {
	for _, c := range r.consumers {
		if behind := c.Behind(); behind != "" {
			return behind
		}
	}
	for _, c := range r.coordinated {
		if behind := c.Behind(); behind != "" {
			return behind
		}
	}
	return ""
}

// look asks for every committed offset once more; nil if that did not end.
func (r *run) look(name string) *workload.LastLook {
	look := workload.StartLastLook(r.stage, name+"-look")
	if !r.until(drainMax, look.Done) {
		r.world.Fail("%s look at offsets: not finished after %v: %s", name, drainMax, look.Left())
		return nil
	}
	return look
}

// finish waits for a final read; nil if it did not end.
func (r *run) finish(name string, reader *workload.Reader) *workload.Reader {
	reader.Skip = func(key protocol.TopicPartition) bool { return r.rotten[key] }
	if !r.until(drainMax, reader.Done) {
		r.world.Fail("%s read: not finished after %v:%s", name, drainMax, reader.Left())
		return nil
	}
	return reader
}

// restart stops or crashes the node once more and compares what it recovers with what was read.
func (r *run) restart() bool {
	clean, life := r.down.Chance(0.5), r.host.Last().Life
	if clean {
		r.stopCleanly()
	} else {
		r.crash(r.down.Chance(0.5))
	}
	if !r.until(restartMax, func() bool { return r.node != nil && r.node.ready && r.node.process.Life > life }) {
		r.world.Fail("restart: the node is not back after %v", restartMax)
		return false
	}
	again := r.finish("second", workload.StartReader(r.stage, "second", false))
	if again == nil {
		return false
	}
	for _, key := range r.final.Order {
		if r.final.Sum(key) != again.Sum(key) && !r.rotten[key] && !r.compacted(key) && (clean || !r.mayLoseTail(key)) {
			r.world.Fail("restart: %v reads differently after it (clean %v)", key, clean)
		}
	}
	if r.look("second") == nil {
		return false
	}
	verified := false
	r.admin.Verify(func() { verified = true })
	if !r.until(restartMax, func() bool { return verified }) {
		r.world.Fail("restart: no metadata after %v", restartMax)
	}
	return true
}

// compacted reports whether the cleaner may change what lies in the log.
func (r *run) compacted(key protocol.TopicPartition) bool {
	return slices.ContainsFunc(r.stage.Topics(), func(t *workload.Topic) bool { return t.ID == key.Topic && t.Compacted })
}

// mayLoseTail reports whether a power loss may take records of the partition that were read.
func (r *run) mayLoseTail(key protocol.TopicPartition) bool {
	for _, t := range r.stage.Topics() {
		if t.ID == key.Topic {
			return t.Durability == protocol.DurabilityOS
		}
	}
	return false
}

// result closes the books.
func (r *run) result() *Result {
	out := &Result{
		Scenario: "swarm", Seed: r.world.Seed, Hash: r.world.Trace.Hash(), Steps: r.world.Steps(), Virtual: r.world.Now(), Acked: r.stage.Acked,
		Violations: slices.Clone(r.world.Failures()), Lives: len(r.eras), Seen: r.seen, Drawn: r.plan.String(),
	}
	if r.world.Steps() > stepsMax {
		out.Violations = append(out.Violations, fmt.Sprintf("more than %d steps", stepsMax))
	}
	if r.final != nil {
		out.Read = r.final.Reads
	}
	for _, counts := range []map[string]int{r.stage.Seen, r.stage.Answers} {
		for k, n := range counts {
			r.seen[k] += n
		}
	}
	out.Violations = append(out.Violations, r.unwelcome()...)
	for _, a := range r.stage.Rec.History().Check() {
		out.Violations = append(out.Violations, a.String())
	}
	for _, c := range invariant.Snapshot() {
		r.seen["sometimes: "+c.Name] += int(c.Taken)
	}
	return out
}

// unwelcome are the errors that a healthy node must not answer.
func (r *run) unwelcome() (out []string) {
	if !r.plan.NoErrors {
		return nil
	}
	for _, name := range slices.Sorted(maps.Keys(r.stage.Answers)) {
		_, code, _ := strings.Cut(name, " ")
		switch code {
		case "NONE", "UNKNOWN_TOPIC_OR_PARTITION", "UNKNOWN_TOPIC_ID", "NOT_LEADER_FOR_PARTITION", "OFFSET_OUT_OF_RANGE": // of deleted topics and records
		default:
			out = append(out, fmt.Sprintf("a healthy node answered %d times %s", r.stage.Answers[name], name))
		}
	}
	return out
}

func (r *run) count(what string) { r.seen[what]++ }

// crash ends the process and starts another after a while; power also takes what was not synced.
func (r *run) crash(power bool) {
	p := r.host.Process()
	if p == nil {
		if !r.restarting {
			r.bootLater()
		}
		return
	}
	if power {
		r.losePower(p)
	} else {
		r.kill(p)
	}
}

// kill ends a process, which may be dead already, and not the machine. What an fsync failed to write is then as lost as by a power loss.
func (r *run) kill(p *sim.Process) {
	r.count("kills")
	r.stage.Rec.Fault(check.Fault{Kind: check.ProcessKill})
	r.dropped(p.Kill())
}

func (r *run) dropped(pages bool) {
	if pages {
		r.count("pages dropped after a failed sync")
		r.stage.Rec.Fault(check.Fault{Kind: check.PowerLoss, Note: "pages dropped after a failed sync"})
		r.powerLosses++
	}
}

// losePower also ends a process that is dead already, in the middle of an operation.
func (r *run) losePower(p *sim.Process) {
	r.count("power losses")
	r.stage.Rec.Fault(check.Fault{Kind: check.PowerLoss})
	r.powerLosses++
	p.PowerLoss(sim.DrawCrash(r.down))
}

// boot starts the node.
func (r *run) boot() {
	p := r.host.Boot()
	r.eras[p] = r.powerLosses
	p.OnDeath(func() { r.died(p) })
	if !r.healed && r.plan.CrashInRecovery > 0 && len(r.eras) > 1 && r.down.Chance(r.plan.CrashInRecovery) {
		r.count("crashes in recovery")
		(&nemesis{run: r}).crashPoint(r.down, 80)
	}
	r.node = startNode(r, p)
}

// died hears of every end of a process, whoever ended it, and arranges the next start.
func (r *run) died(p *sim.Process) {
	r.node = nil
	if r.restarting {
		return
	}
	r.bootLater()
}

func (r *run) bootLater() {
	r.restarting = true
	wait := r.down.Exp(r.plan.Downtime)
	r.world.After(wait, func() {
		if r.rotNext > 0 && !r.healed {
			r.rotBits()
		}
		// A crash at a disk operation left it open which kind it was.
		if last := r.host.Last(); last != nil && last.EndedAtOperation() {
			if r.down.Chance(0.6) {
				r.losePower(last)
			} else {
				r.kill(last)
			}
		}
		r.restarting = false
		r.boot()
	})
}
