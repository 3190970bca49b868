package node

import (
	"context"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/troupe-broker/troupe/actors/env/osenv"
)

// What advertised.listeners is given while the node runs, clients are told from then on, and after a restart.
func TestTheAdvertisedAddressChangesWhileRunning(t *testing.T) {
	const address, name = "127.0.0.1:20663", "localhost"
	c := onPorts(t, t.TempDir(), address, "")
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for life := range 2 {
		n, err := Start(t.Context(), osenv.New(), c)
		if err != nil {
			t.Fatal(err)
		}
		cl, err := kgo.NewClient(kgo.SeedBrokers(address))
		if err != nil {
			t.Fatal(err)
		}
		host := func() string {
			meta, err := kmsg.NewPtrMetadataRequest().RequestWith(ctx, cl)
			if err != nil || len(meta.Brokers) != 1 {
				t.Fatal(meta, err)
			}
			return meta.Brokers[0].Host
		}
		if life == 0 {
			if got := host(); got != "127.0.0.1" {
				t.Errorf("%s before", got)
			}
			value := "PLAINTEXT://" + name + ":20663"
			altered, err := kadm.NewClient(cl).AlterBrokerConfigs(ctx, []kadm.AlterConfig{{Name: "advertised.listeners", Value: &value}}, 1)
			if err != nil || altered[0].Err != nil {
				t.Fatal(altered, err)
			}
		}
		if got := host(); got != name {
			t.Errorf("life %d: %s after", life, got)
		}
		cl.Close()
		stop(t, n)
	}
}
