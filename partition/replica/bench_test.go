package replica

import (
	"testing"
	"time"

	"github.com/troupe-broker/troupe/actors/protocol"
)

// One turn of a busy partition: 32 batches appended and parked, flushed, released, with 8 readers parked at the end of the log.
func BenchmarkTurn(b *testing.B) {
	for _, isr := range [][]protocol.NodeID{{1}, {1, 2, 3}} {
		b.Run(map[int]string{1: "alone", 3: "three"}[len(isr)], func(b *testing.B) {
			l := NewLeader(Term{Self: 1, Epoch: 1, ISR: isr, MinISR: len(isr)}, Log{})
			var w Awaits
			end, released := int64(0), 0
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				now := time.Duration(i)
				for range 32 {
					end += 10
					l.Park(Ack{End: end, Acks: -1, Deadline: now + 1_000_000})
				}
				for range 8 {
					w.Park(Await{Offset: end, Deadline: now + 1_000_000})
				}
				l.Appended(end)
				for _, node := range isr[1:] {
					l.Followed(node, end, end)
				}
				l.Flushed(end)
				l.Release(now, func(*Ack, protocol.Code) { released++ })
				w.Wake(l.HighWatermark(), 0, now, func(Await) {})
			}
			if released != b.N*32 {
				b.Fatal(released)
			}
		})
	}
}
