package chaos

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/troupe-broker/troupe/simulations/process"
)

// copierEnv makes the test binary a copier: the address of the broker.
const copierEnv = "TROUPE_CHAOS_COPIER"

func TestMain(m *testing.M) {
	if addr := os.Getenv(copierEnv); addr != "" {
		fmt.Fprintln(os.Stderr, RunCopier(context.Background(), addr))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// intEnv is a number from the environment, or its default.
func intEnv(name string, otherwise int) int {
	if n, err := strconv.Atoi(os.Getenv(name)); err == nil {
		return n
	}
	return otherwise
}

// TestKilledCopyIsExactlyOnce copies COPY_RECORDS records (default 20,000) in transactions while the broker is killed COPY_KILLS times
// (default 4) and the copier COPY_COPIER_KILLS times (default 2).
func TestKilledCopyIsExactlyOnce(t *testing.T) {
	dir := t.TempDir()
	binary, err := process.Build(dir)
	if err != nil {
		t.Fatal(err)
	}
	const addr = "127.0.0.1:21394"
	cfg := CopyConfig{
		Subject: process.Troupe(binary, addr, "127.0.0.1:21395"), Dir: filepath.Join(dir, "data"),
		Settings: map[string]string{"log.segment.bytes": strconv.Itoa(1 << 20), "group.initial.rebalance.delay.ms": "0", "group.min.session.timeout.ms": "1000"},
		Records:  intEnv("COPY_RECORDS", 20_000), Partitions: 4, BrokerKills: intEnv("COPY_KILLS", 4), CopierKills: intEnv("COPY_COPIER_KILLS", 2),
		Seed: 1, Progress: t.Logf,
		Copier: func() *exec.Cmd {
			cmd := exec.Command(os.Args[0])
			cmd.Env = append(os.Environ(), copierEnv+"="+addr)
			return cmd
		},
	}
	ctx, cancel := context.WithTimeout(context.Background(), 4*time.Minute+time.Duration(cfg.BrokerKills+cfg.CopierKills)*10*time.Second)
	defer cancel()
	got, err := Copy(ctx, cfg)
	if err != nil {
		log, _ := os.ReadFile(filepath.Join(dir, "data.log"))
		t.Fatalf("%v\nthe broker's log ends:\n%s", err, log[max(0, len(log)-4000):])
	}
	t.Logf("%d broker kills, %d copier kills, %d records copied in %v", cfg.BrokerKills, cfg.CopierKills, got.Copied, got.Took)
	for _, p := range got.Problems {
		t.Error(p)
	}
}
