package partition

import (
	"github.com/troupe-broker/troupe/actors"
	"github.com/troupe-broker/troupe/actors/protocol"
	"github.com/troupe-broker/troupe/partition/replica"
)

// await parks a reader that found nothing, or answers at once if it should look again: there is something by now, its offset is not
// in the log, nothing will ever come, or replica.AwaitsMax readers wait already (they then poll, which their own wait time bounds).
func (a *replicaActor) await(ctx *actors.Context, m *protocol.AwaitRecords) {
	v := a.handle.View()
	w := replica.Await{ReplyTo: m.ReplyTo, ID: m.ID, Offset: m.Offset, Committed: m.Committed, Deadline: deadline(m.Deadline)}
	again := a.ending != serving || m.Partition != a.handle.Partition ||
		m.Offset < v.Bound(m.Committed) || m.Offset > v.LogEndOffset || w.Deadline <= ctx.Mono()
	if again || !a.awaits.Park(w) {
		answerAwait(ctx, w)
		return
	}
	a.arm(ctx, w.Deadline)
}

// wakeAll lets every parked reader look again: the view changed in a way that all must see.
func (a *replicaActor) wakeAll(ctx *actors.Context) {
	a.awaits.WakeAll(func(w replica.Await) { answerAwait(ctx, w) })
}

func answerAwait(ctx *actors.Context, w replica.Await) {
	ctx.Send(w.ReplyTo, &protocol.RecordsReady{Answer: protocol.Answer{ID: w.ID}})
}
