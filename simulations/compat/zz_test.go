package compat

import (
	"github.com/troupe-broker/troupe/simulations/process"
	"os"
)

func saveLog(b *process.Broker) {
	raw, _ := os.ReadFile(b.Log)
	os.WriteFile("/tmp/troupe/ht/broker.log", raw, 0o644)
}
