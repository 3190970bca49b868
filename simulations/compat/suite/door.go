package main

import (
	"context"
	"fmt"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// door is a listener of the broker where clients have to log in, beside the one where they do not.
type door struct {
	addr     string
	settings map[string]string // that open it
}

// saslDoor is one with SCRAM, under the settings of troupe or of Apache Kafka.
func (o *options) saslDoor() door {
	d := door{addr: o.loopback(2)}
	listeners := "PLAINTEXT://" + o.loopback(0) + ",SASL_PLAINTEXT://" + d.addr
	d.settings = map[string]string{"listeners": listeners, "sasl.enabled.mechanisms": "SCRAM-SHA-256,SCRAM-SHA-512"}
	if o.against != "kafka" {
		return d
	}
	d.settings["listeners"] = listeners + ",CONTROLLER://" + o.loopback(1)
	d.settings["advertised.listeners"] = listeners
	d.settings["listener.security.protocol.map"] = "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SASL_PLAINTEXT:SASL_PLAINTEXT"
	for _, mechanism := range []string{"256", "512"} {
		d.settings["listener.name.sasl_plaintext.scram-sha-"+mechanism+".sasl.jaas.config"] = "org.apache.kafka.common.security.scram.ScramLoginModule required;"
	}
	return d
}

// admit makes a user that may come in by the door.
func (d door) admit(ctx context.Context, t *target, user, password string) error {
	cl, err := kgo.NewClient(kgo.SeedBrokers(t.addr))
	if err != nil {
		return err
	}
	defer cl.Close()
	made, err := kadm.NewClient(cl).AlterUserSCRAMs(ctx, nil, []kadm.UpsertSCRAM{{User: user, Mechanism: kadm.ScramSha256, Iterations: 4096, Password: password}})
	if err == nil {
		err = made.Error()
	}
	if err != nil {
		return fmt.Errorf("making user %s: %w", user, err)
	}
	return nil
}
