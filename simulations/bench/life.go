package main

import (
	"fmt"
	"os"
	"time"

	"github.com/troupe-broker/troupe/simulations/process"
)

// lifeResult is what it costs to have the broker around.
type lifeResult struct {
	StartMS     float64 // process start to the first acknowledged record on an empty directory
	IdleRSS     int64   // bytes, 10 s after that
	IdleCPU     float64 // share of one core over 10 s
	LedMS       float64 // creating 10,000 partitions until all are led
	ManyRSS     int64
	ManyCPU     float64
	ManyFiles   int
	RecoveredMS float64 // kill -9 with 10,000 partitions, process start to the first acknowledged record
}

const manyPartitions = 10_000

// life measures one broker from its first start to its recovery, on a directory that it removes.
func life(s process.Subject, dir string) (out lifeResult, err error) {
	defer os.RemoveAll(dir)
	b, took, err := startToFirstAck(s, dir, "first", 0)
	if err != nil {
		return out, err
	}
	defer func() { b.Kill() }()
	out.StartMS = took
	time.Sleep(10 * time.Second)
	out.IdleCPU, out.IdleRSS = idleCPU(b), b.RSS()
	c, err := dial(b.Addr)
	if err != nil {
		return out, err
	}
	defer c.Close()
	begin := time.Now()
	if err := c.createTopic("many", manyPartitions, nil); err != nil {
		return out, err
	}
	if _, err := c.waitLed("many", manyPartitions, 2*time.Minute); err != nil {
		return out, err
	}
	out.LedMS = float64(time.Since(begin).Milliseconds())
	if err := touchAll(b, "many", manyPartitions); err != nil {
		return out, err
	}
	time.Sleep(15 * time.Second)
	out.ManyCPU, out.ManyRSS, out.ManyFiles = idleCPU(b), b.RSS(), b.OpenFiles()
	b.Kill()
	again, took, err := startToFirstAck(s, dir, "many", manyPartitions-1)
	if err != nil {
		return out, err
	}
	b, out.RecoveredMS = again, took
	return out, nil
}

func idleCPU(b *process.Broker) float64 {
	const span = 10 * time.Second
	before := b.CPU()
	time.Sleep(span)
	return (b.CPU() - before).Seconds() / span.Seconds()
}

// startToFirstAck starts s and produces one record to the topic until it is acknowledged. The topic is created if need be.
func startToFirstAck(s process.Subject, dir, topic string, partition int32) (*process.Broker, float64, error) {
	begin := time.Now()
	b, err := process.Start(s, dir, nil)
	if err != nil {
		return nil, 0, err
	}
	batch, _ := encodeBatch(200)
	for time.Since(begin) < 3*time.Minute {
		if produceOnce(b, topic, partition, batch) == nil {
			return b, float64(time.Since(begin).Microseconds()) / 1000, nil
		}
		time.Sleep(2 * time.Millisecond)
	}
	b.Kill()
	return nil, 0, fmt.Errorf("%s acknowledged nothing within 3 minutes", s.Name)
}

func produceOnce(b *process.Broker, topic string, partition int32, batch []byte) error {
	c, err := dial(b.Addr)
	if err != nil {
		return err
	}
	defer c.Close()
	c.conn.SetDeadline(time.Now().Add(60 * time.Second))
	c.createTopic(topic, partition+1, nil) // an error means that it exists, or the next step fails
	c.conn.SetDeadline(time.Now().Add(60 * time.Second))
	if _, err := c.conn.Write(produceFrame(topic, partition, batch)); err != nil {
		return err
	}
	body, err := readFrame(c.r, nil)
	if err != nil {
		return err
	}
	if code := produceError(body, len(topic)); code != 0 {
		return fmt.Errorf("error code %d", code)
	}
	return nil
}

// touchAll writes one small batch into every partition, so that none is empty.
func touchAll(b *process.Broker, topic string, partitions int32) error {
	batch, _ := encodeBatch(200)
	c, err := dial(b.Addr)
	if err != nil {
		return err
	}
	defer c.Close()
	const window = 100
	for at := int32(0); at < partitions; at += window {
		c.conn.SetDeadline(time.Now().Add(2 * time.Minute))
		var out []byte
		for p := at; p < min(at+window, partitions); p++ {
			out = append(out, produceFrame(topic, p, batch)...)
		}
		if _, err := c.conn.Write(out); err != nil {
			return err
		}
		for p := at; p < min(at+window, partitions); p++ {
			body, err := readFrame(c.r, nil)
			if err != nil {
				return err
			}
			if code := produceError(body, len(topic)); code != 0 {
				return fmt.Errorf("partition %d: error code %d", p, code)
			}
		}
	}
	return nil
}
