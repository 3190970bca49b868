package node

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/scram"

	"github.com/troupe-broker/troupe/actors/env/osenv"
	"github.com/troupe-broker/troupe/actors/protocol"
)

// TestUsersMadeOverPlaintextLogInByTheSaslListener: over real sockets, by a client that others wrote, before and after a restart.
func TestUsersMadeOverPlaintextLogInByTheSaslListener(t *testing.T) {
	const plain, guarded = "127.0.0.1:20650", "127.0.0.1:20651"
	c := Config{Version: "test", Settings: settings(t,
		protocol.ConfigEntry{Key: "log.dirs", Value: t.TempDir()}, protocol.ConfigEntry{Key: "http.listener"},
		protocol.ConfigEntry{Key: "listeners", Value: "PLAINTEXT://" + plain + ",SASL_PLAINTEXT://" + guarded},
		protocol.ConfigEntry{Key: "connection.failed.authentication.delay.ms", Value: "1"})}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for life := range 2 {
		n, err := Start(t.Context(), osenv.New(), c)
		if err != nil {
			t.Fatal(err)
		}
		if life == 0 {
			made, err := dialed(t, plain).AlterUserSCRAMs(ctx, nil, []kadm.UpsertSCRAM{{User: "alice", Mechanism: kadm.ScramSha256, Iterations: 4096, Password: "secret"}})
			if err != nil || made.Error() != nil {
				t.Fatal(err, made)
			}
		}
		good := scram.Auth{User: "alice", Pass: "secret"}
		users, err := dialed(t, guarded, good.AsSha256Mechanism()).DescribeUserSCRAMs(ctx)
		if err != nil || len(users) != 1 || users["alice"].CredInfos[0].Iterations != 4096 {
			t.Errorf("life %d: %v, %v", life, users, err)
		}
		p := dialed(t, guarded, good.AsSha256Mechanism())
		if err := roundTrip(ctx, p); err != nil { // goes where Metadata says: to the listener it came by
			t.Errorf("life %d: %v", life, err)
		}
		for _, bad := range []sasl.Mechanism{good.AsSha512Mechanism(), scram.Auth{User: "alice", Pass: "guess"}.AsSha256Mechanism(), scram.Auth{User: "bob", Pass: "secret"}.AsSha256Mechanism()} {
			if _, err := dialed(t, guarded, bad).ListTopics(ctx); !errors.Is(err, kerr.SaslAuthenticationFailed) {
				t.Errorf("life %d: %v", life, err)
			}
		}
		if _, err := dialed(t, guarded).ListTopics(ctx); err == nil {
			t.Errorf("life %d: served without a password", life)
		}
		stop(t, n)
	}
}

func dialed(t *testing.T, address string, auth ...sasl.Mechanism) *kadm.Client {
	cl, err := kgo.NewClient(kgo.SeedBrokers(address), kgo.SASL(auth...), kgo.RequestRetries(0))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cl.Close)
	return kadm.NewClient(cl)
}

// roundTrip makes a topic and asks the partition's leader about it.
func roundTrip(ctx context.Context, c *kadm.Client) error {
	if _, err := c.CreateTopics(ctx, 1, 1, nil, "t"); err != nil {
		return err
	}
	offsets, err := c.ListEndOffsets(ctx, "t")
	return errors.Join(err, offsets.Error())
}

// What a client may send before it said who it is has a bound of its own.
func TestLargeRequestsComeAfterAuthentication(t *testing.T) {
	const plain, guarded = "127.0.0.1:20652", "127.0.0.1:20653"
	n, err := Start(t.Context(), osenv.New(), Config{Version: "test", Settings: settings(t,
		protocol.ConfigEntry{Key: "log.dirs", Value: t.TempDir()}, protocol.ConfigEntry{Key: "http.listener"},
		protocol.ConfigEntry{Key: "listeners", Value: "PLAINTEXT://" + plain + ",SASL_PLAINTEXT://" + guarded}, protocol.ConfigEntry{Key: "sasl.server.max.receive.size", Value: "2000"})})
	if err != nil {
		t.Fatal(err)
	}
	defer stop(t, n)
	conn, err := net.Dial("tcp", guarded)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_, _ = conn.Write(binary.BigEndian.AppendUint32(nil, 2001))
	_ = conn.SetReadDeadline(time.Now().Add(time.Minute))
	if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("2001 bytes were announced: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	many := make([]string, 20)
	for i := range many {
		many[i] = strings.Repeat(string(rune('a'+i)), 249)
	}
	admin := dialed(t, plain)
	if _, err := admin.AlterUserSCRAMs(ctx, nil, []kadm.UpsertSCRAM{{User: "alice", Mechanism: kadm.ScramSha512, Password: "secret"}}); err != nil {
		t.Fatal(err)
	}
	for address, auth := range map[string][]sasl.Mechanism{plain: nil, guarded: {scram.Auth{User: "alice", Pass: "secret"}.AsSha512Mechanism()}} {
		if _, err := dialed(t, address, auth...).ListTopics(ctx, many...); err != nil {
			t.Errorf("%s: %v", address, err)
		}
	}
}
