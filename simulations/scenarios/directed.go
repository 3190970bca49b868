package scenarios

import (
	"io"
	"time"

	"github.com/troupe-broker/troupe/simulations/sim"
	"github.com/troupe-broker/troupe/simulations/workload"
)

// scenario is a plan bent towards one kind of trouble. The seed still draws everything the shape leaves alone.
type scenario struct {
	name, doc string
	shape     func(*Plan, *sim.Stream)
	// extra, if set, runs beside the nemesis of the safety phase.
	extra func(*nemesis, *sim.Stream)
}

func (d scenario) run(seed uint64, trace io.Writer) *Result {
	s := sim.NewStream(seed, d.name)
	p := quietPlan(s)
	d.shape(&p, s)
	p.extra = d.extra
	r := RunPlan(seed, p, trace)
	r.Scenario = d.name
	return r
}

// quietPlan has clients that do everything and no faults.
func quietPlan(s *sim.Stream) Plan {
	p := Plan{
		Link: sim.DefaultLink, Timing: sim.DefaultTiming, Span: 4 * time.Second, AdminPace: 100 * time.Millisecond,
		Downtime: 100 * time.Millisecond, Writeback: 0.05, LogDirs: []string{"/one", "/one,/two"}[s.IntN(2)], SegmentBytes: s.Between(600, 8000), IndexBytes: 300,
		Clients: workload.Settings{
			Producers: 2, Consumers: 2, Topics: 2, Partitions: 2, Pace: 10 * time.Millisecond, BatchMax: 4, PadMax: 200, FetchBytes: 8000,
		},
	}
	p.Timing.Work = []time.Duration{100 * time.Microsecond, 5 * time.Millisecond}[s.IntN(2)]
	return p
}

// copying makes a plan one of exactly-once copies.
func copying(p *Plan) {
	p.Coordinators, p.Span = true, 6*time.Second
	p.Clients.Copiers, p.Clients.Producers, p.Clients.Consumers = 2, 1, 1
}

// directed are the scenarios for bugs that other systems had. The ids are those of the bug catalogue.
var directed = []scenario{
	{
		name: "healthy", doc: "no faults at all: nothing may be lost in a healthy node (J4), and nothing may fail",
		shape: func(p *Plan, s *sim.Stream) {
			p.Clients.Deletes, p.Clients.Trims, p.Clients.Reconfigures, p.Clients.NearWrap = true, true, true, s.Chance(0.5)
			p.Clients.Plain, p.Clients.LogAppendTime, p.Clients.OldVersions = 0.3, 0.3, 0.5
			p.NoErrors = true
		},
	},
	{
		name: "c1-crash-while-loading", doc: "a crash while a cleanly stopped node loads its logs: the next start must not take them for clean (C1, KAFKA-10471)",
		shape: func(p *Plan, s *sim.Stream) {
			p.CleanStops, p.CrashInRecovery, p.Downtime = 700*time.Millisecond, 0.7, 10*time.Millisecond
			p.Clients.OS = 0.5
		},
	},
	{
		name: "c2-failed-append", doc: "EIO, short writes and a full disk in the middle of an append (C2, KAFKA-10778; D-SPACE)",
		shape: func(p *Plan, s *sim.Stream) {
			p.WriteErrors, p.FullDisks, p.Kills = 600*time.Millisecond, 800*time.Millisecond, 2*time.Second
		},
	},
	{
		name: "descriptors", doc: "the system has no descriptors now and then: what is refused goes on by itself",
		shape: func(p *Plan, s *sim.Stream) {
			p.Descriptors, p.Kills, p.WriteErrors, p.SyncErrors, p.ReadErrors = 800*time.Millisecond, 3*time.Second, 0, 0, 0
		},
	},
	{
		name: "c3-retention", doc: "retention by size beside slow flushes and crashes: no segment beyond the high watermark goes (C3, KAFKA-5634)",
		shape: func(p *Plan, s *sim.Stream) {
			p.Clients.Retention, p.SegmentBytes, p.Timing.Work = 1, 700, 5*time.Millisecond
			p.PowerLosses, p.Span = 2*time.Second, 6*time.Second
		},
	},
	{
		name: "c8-delete-in-flight", doc: "topics are deleted and made again under producers, fetches and flushes (C8, KAFKA-13403; 2.4-k)",
		shape: func(p *Plan, s *sim.Stream) {
			p.Clients.Deletes, p.Clients.Topics, p.Clients.OldVersions, p.AdminPace = true, 4, 0.5, 20*time.Millisecond
			p.Timing.Work = 5 * time.Millisecond
			if s.Chance(0.5) {
				p.PowerLosses = time.Second
			}
		},
	},
	{
		name: "c9-buffers", doc: "deep pipelines of large batches in pooled buffers (C9, KAFKA-15653); released ones are poisoned",
		shape: func(p *Plan, s *sim.Stream) {
			p.Clients.Producers, p.Clients.Pace, p.Clients.PadMax, p.Clients.BatchMax = 4, 2*time.Millisecond, 4000, 8
			p.Clients.Topics, p.SegmentBytes, p.Timing.Work, p.Span = 1, 64<<10, 10*time.Millisecond, 2*time.Second
		},
	},
	{
		name: "d10-producer-state", doc: "restarts and clock jumps between a batch and its retry: producer state must still know it (D10, KAFKA-9144)",
		shape: func(p *Plan, s *sim.Stream) {
			p.Link.Reset, p.Link.Delay, p.Timing.Work = 0.03, 5*time.Millisecond, 5*time.Millisecond
			p.Kills, p.PowerLosses, p.CleanStops, p.ClockJumps = 700*time.Millisecond, time.Second, 2*time.Second, time.Second
			p.Clients.Trims, p.Clients.Retention, p.AdminPace, p.Downtime = true, 0.5, 15*time.Millisecond, 20*time.Millisecond
			p.Clients.Topics, p.Clients.Partitions, p.SegmentBytes = 1, 2, s.Between(400, 1500)
		},
	},
	{
		name: "d13-sequence-wrap", doc: "sequences wrap at the largest int32, with retries and restarts around it (D13, KAFKA-7692)",
		shape: func(p *Plan, s *sim.Stream) {
			p.Clients.NearWrap, p.Clients.BatchMax, p.Link.Reset = true, 8, 0.03
			p.Kills = 2 * time.Second
		},
	},
	{
		name: "d14-duplicate-window", doc: "five batches in flight and everything sent again: each must be recognised (D14)",
		shape: func(p *Plan, s *sim.Stream) {
			p.Clients.Pace, p.Clients.Topics, p.Clients.Partitions, p.Link.Reset = 2*time.Millisecond, 1, 1, 0.05
			p.Link.Delay, p.Timing.Work = 5*time.Millisecond, 20*time.Millisecond
		},
	},
	{
		name: "i1-power-after-ack", doc: "power goes again and again right behind acknowledgements (I1, etcd #14370; H1)",
		shape: func(p *Plan, s *sim.Stream) {
			p.PowerLosses, p.Downtime, p.Writeback = 300*time.Millisecond, time.Millisecond, 0
			p.Timing.Work = 5 * time.Millisecond
		},
	},
	{
		name: "i2-crash-points", doc: "crashes at single disk operations, recovery included (I2, H12)",
		shape: func(p *Plan, s *sim.Stream) {
			p.CrashPoints, p.CrashInRecovery, p.Downtime = 300*time.Millisecond, 0.5, time.Millisecond
			p.Clients.Deletes, p.Clients.Trims = s.Chance(0.5), s.Chance(0.5)
		},
	},
	{
		name: "h6-forgotten-topic", doc: "power goes around CreateTopics, CreatePartitions and DeleteTopics: none is forgotten (H6)",
		shape: func(p *Plan, s *sim.Stream) {
			p.Clients.Deletes, p.Clients.Topics, p.AdminPace = true, 6, 15*time.Millisecond
			p.PowerLosses, p.Downtime = 400*time.Millisecond, time.Millisecond
		},
	},
	{
		name: "h13-empty-log", doc: "everything is deleted and the node dies: offsets go on where they were (H13)",
		shape: func(p *Plan, s *sim.Stream) {
			p.Clients.Trims, p.AdminPace, p.SegmentBytes = true, 20*time.Millisecond, 600
			p.CrashPoints, p.PowerLosses = 700*time.Millisecond, 700*time.Millisecond
		},
	},
	{
		name: "fsync-fails", doc: "fsync fails once and drops its pages: nothing of it may count, before or after the restart (D-EIO)",
		shape: func(p *Plan, s *sim.Stream) {
			p.SyncErrors, p.Kills, p.PowerLosses = 700*time.Millisecond, 2*time.Second, 2*time.Second
		},
	},
	{
		name: "d3-end-again", doc: "copies in short transactions, whose ends arrive again later, and zombies with their id (D3, D7, J5, G4)",
		shape: func(p *Plan, s *sim.Stream) {
			copying(p)
			p.Clients.Copiers, p.Clients.Pace, p.Link.Reset, p.Kills = 3, 10*time.Millisecond, 0.01, 2*time.Second
		},
	},
	{
		name: "d11-coordinator-dies", doc: "the node dies again and again between the decision over a transaction and its markers (D11, D15, G5; KAFKA-16352)",
		shape: func(p *Plan, s *sim.Stream) {
			copying(p)
			p.Clients.Transactors, p.Kills, p.CrashPoints, p.Downtime = 2, 500*time.Millisecond, 300*time.Millisecond, 5*time.Millisecond
		},
	},
	{
		name: "d12-full-disk", doc: "offsets and transactions are decided on a disk that is full or fails (D9, D12; KAFKA-9666, KAFKA-15784)",
		shape: func(p *Plan, s *sim.Stream) {
			copying(p)
			p.Clients.Committers, p.Clients.Members = 2, 2
			p.FullDisks, p.WriteErrors, p.SyncErrors, p.Kills = time.Second, 2*time.Second, 3*time.Second, 3*time.Second
		},
	},
	{
		name: "e-members-come-and-go", doc: "many members of both generations come, go, die and sleep, and nothing else is broken (E1-E5, E8, J1)",
		shape: func(p *Plan, s *sim.Stream) {
			p.Coordinators, p.Span = true, 10*time.Second
			p.Clients.Members, p.Clients.ModernMembers, p.Clients.Partitions, p.Clients.Producers = 6, 5, 4, 1
		},
	},
	{
		name: "e7-offsets-through-restarts", doc: "offsets of many groups are committed while power goes and the node restarts; the log of offsets is compacted (E7, 2.4-j3)",
		shape: func(p *Plan, s *sim.Stream) {
			p.Coordinators, p.Clients.Committers, p.Clients.Producers, p.Clients.Pace = true, 4, 1, 5*time.Millisecond
			p.PowerLosses, p.Kills, p.CleanStops, p.Downtime, p.SegmentBytes = 600*time.Millisecond, time.Second, 2*time.Second, 5*time.Millisecond, s.Between(600, 3000)
		},
	},
	{
		name: "g7-compacted-transactions", doc: "compaction meets transactions that are open, aborted and half compacted, through crashes (G7, G13)",
		shape: func(p *Plan, s *sim.Stream) {
			p.Coordinators, p.Clients.Compacted, p.Clients.Transactors, p.Clients.Producers = true, 1, 3, 1
			p.CrashPoints, p.SegmentBytes, p.Clients.Topics = time.Second, s.Between(600, 2500), 1
		},
	},
	{
		name: "k1-migration", doc: "groups go from the classic protocol to KIP-848 and back, member by member, while power goes and the node restarts (KIP-848, E8)",
		shape: func(p *Plan, s *sim.Stream) {
			p.Coordinators, p.Span = true, 16*time.Second
			p.Clients.Migrants, p.Clients.Partitions, p.Clients.Producers, p.Clients.Consumers, p.Clients.Pace = 6, 4, 1, 0, 40*time.Millisecond
			if s.Chance(0.7) {
				p.PowerLosses, p.Kills, p.CleanStops, p.Downtime = 4*time.Second, 4*time.Second, 8*time.Second, 20*time.Millisecond
			}
			if s.Chance(0.5) {
				p.Link.Reset, p.Link.Delay = 0.01, 5*time.Millisecond
			}
		},
	},
	{
		name: "k2-topics-under-groups", doc: "topics are deleted and made again under groups: patterns find them, offsets go with them and are not inherited (KIP-848, 2.4-k)",
		shape: func(p *Plan, s *sim.Stream) {
			p.Coordinators, p.Span, p.AdminPace = true, 10*time.Second, 60*time.Millisecond
			p.Clients.RegexMembers, p.Clients.Committers, p.Clients.Producers, p.Clients.Consumers = 4, 2, 1, 0
			p.Clients.Deletes, p.Clients.Topics = true, 4
			if s.Chance(0.7) {
				p.PowerLosses, p.Kills, p.Downtime = 4*time.Second, 4*time.Second, 20*time.Millisecond
			}
		},
	},
	{
		name: "k3-full-groups", doc: "more members want in than group.max.size allows, while others come and go (E6, KAFKA-9844)",
		shape: func(p *Plan, s *sim.Stream) {
			p.Coordinators, p.Span = true, 12*time.Second
			p.Clients.Members, p.Clients.ModernMembers, p.Clients.Partitions, p.Clients.Producers, p.Clients.Consumers = 10, 5, 4, 1, 0
			p.Clients.GroupMax = 3
			if s.Chance(0.6) {
				p.PowerLosses, p.Kills, p.Downtime = 4*time.Second, 4*time.Second, 20*time.Millisecond
			}
		},
	},
	{
		name: "e4-offsets-expire", doc: "minutes go by: offsets expire where nobody is subscribed any more, and no others do (E4, KAFKA-13636; KIP-211)",
		shape: func(p *Plan, s *sim.Stream) {
			p.Coordinators, p.Span, p.AdminPace = true, 4*time.Minute, 5*time.Second
			p.Clients.Keepers, p.Clients.Committers, p.Clients.OffsetRetention = 6, 1, time.Minute
			p.Clients.Producers, p.Clients.Consumers, p.Clients.Pace = 1, 0, 300*time.Millisecond
			if s.Chance(0.7) {
				p.PowerLosses, p.Kills, p.CleanStops, p.Downtime = 40*time.Second, 30*time.Second, 50*time.Second, 100*time.Millisecond
			}
		},
	},
	{
		name: "t1-money", doc: "money is moved in transactions while power goes and tellers are replaced: none is made or lost, and none by a zombie (2.4-d, D7, D15)",
		shape: func(p *Plan, s *sim.Stream) {
			p.Coordinators, p.Span = true, 10*time.Second
			p.Clients.Tellers, p.Clients.Producers, p.Clients.Consumers, p.Clients.Pace = 3, 1, 1, 20*time.Millisecond
			if s.Chance(0.8) {
				p.PowerLosses, p.Kills, p.CrashPoints, p.Downtime = 3*time.Second, 3*time.Second, 2*time.Second, 10*time.Millisecond
			}
			p.Link.Reset = 0.01
		},
	},
}
