package scenarios

import "testing"

func BenchmarkSwarm(b *testing.B) {
	seed := uint64(0)
	steps := uint64(0)
	for b.Loop() {
		seed++
		steps += Swarm(1+seed%40, nil).Steps
	}
	b.ReportMetric(float64(steps)/b.Elapsed().Seconds(), "steps/s")
}
