package chaos

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/troupe-broker/troupe/simulations/process"
)

// TestKillNineLosesNothingAcknowledged kills the built binary CHAOS_KILLS times (default 5) under idempotent load.
func TestKillNineLosesNothingAcknowledged(t *testing.T) {
	kills := 5
	if n, err := strconv.Atoi(os.Getenv("CHAOS_KILLS")); err == nil {
		kills = n
	}
	dir := t.TempDir()
	binary, err := process.Build(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, durability := range []string{"disk", "os"} {
		t.Run(durability, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute+time.Duration(kills)*5*time.Second)
			defer cancel()
			got, err := Run(ctx, Config{
				Subject: process.Troupe(binary, "127.0.0.1:21392", "127.0.0.1:21393"), Dir: filepath.Join(dir, "data-"+durability),
				Settings: map[string]string{"log.durability": durability, "log.segment.bytes": strconv.Itoa(1 << 20)},
				Kills:    kills, Partitions: 4, Producers: 2, Seed: 1, Progress: t.Logf,
			})
			if err != nil {
				log, _ := os.ReadFile(filepath.Join(dir, "data-"+durability+".log"))
				t.Fatalf("%v\nthe broker's log ends:\n%s", err, log[max(0, len(log)-4000):])
			}
			t.Logf("%d kills, %d acknowledged, %d read back, slowest restart %v", kills, got.Acked, got.Read, got.Slowest)
			if got.Acked == 0 {
				t.Fatal("nothing was acknowledged: the run proves nothing")
			}
			for _, p := range got.Problems {
				t.Error(p)
			}
		})
	}
}
