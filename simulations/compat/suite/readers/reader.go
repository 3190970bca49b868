//go:build reader

// Command reader reads topics with a Go library: reader LIBRARY ADDRESS ISOLATION FETCH_BYTES SECONDS TOPIC...; see readers.go for what it
// prints. It is built in a module of its own.
package main

import (
	"context"
	"crypto/md5"
	"fmt"
	"io"
	"log"
	"os"
	"strconv"
	"time"

	"github.com/IBM/sarama"
	"github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kgo"
)

func main() {
	library, address, committed := os.Args[1], os.Args[2], os.Args[3] == "read_committed"
	size, _ := strconv.Atoi(os.Args[4])
	seconds, _ := strconv.Atoi(os.Args[5])
	read := map[string]func(context.Context, string, string, bool, int) error{"kafka-go": segment, "sarama": shopify, "franz-go": franz}[library]
	log.SetOutput(io.Discard)
	for _, topic := range os.Args[6:] {
		ctx, cancel := context.WithTimeout(context.Background(), time.Duration(seconds)*time.Second)
		err := read(ctx, address, topic, committed, size)
		switch {
		case err == nil:
			fmt.Println(topic, "end")
		case ctx.Err() != nil:
			fmt.Println(topic, "timeout")
		default:
			fmt.Println(topic, "failed", err)
		}
		cancel()
	}
}

func show(topic string, offset int64, value []byte) (last bool) {
	if value == nil {
		fmt.Println(topic, offset, "null")
	} else {
		fmt.Printf("%s %d %x\n", topic, offset, md5.Sum(value))
	}
	return string(value) == "the end"
}

func segment(ctx context.Context, address, topic string, committed bool, size int) error {
	isolation := kafka.ReadUncommitted
	if committed {
		isolation = kafka.ReadCommitted
	}
	r := kafka.NewReader(kafka.ReaderConfig{Brokers: []string{address}, Topic: topic, MaxBytes: size, MinBytes: 1, MaxWait: 500 * time.Millisecond, IsolationLevel: isolation})
	defer r.Close()
	for {
		m, err := r.ReadMessage(ctx)
		if err != nil {
			return err
		}
		if show(topic, m.Offset, m.Value) {
			return nil
		}
	}
}

func shopify(ctx context.Context, address, topic string, committed bool, size int) error {
	c := sarama.NewConfig()
	c.Version, c.Consumer.Fetch.Default, c.Consumer.Return.Errors = sarama.V2_8_0_0, int32(size), true
	if committed {
		c.Consumer.IsolationLevel = sarama.ReadCommitted
	}
	consumer, err := sarama.NewConsumer([]string{address}, c)
	if err != nil {
		return err
	}
	defer consumer.Close()
	p, err := consumer.ConsumePartition(topic, 0, sarama.OffsetOldest)
	if err != nil {
		return err
	}
	defer p.AsyncClose()
	for {
		select {
		case m := <-p.Messages():
			if show(topic, m.Offset, m.Value) {
				return nil
			}
		case err := <-p.Errors():
			return err
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func franz(ctx context.Context, address, topic string, committed bool, size int) error {
	isolation := kgo.ReadUncommitted()
	if committed {
		isolation = kgo.ReadCommitted()
	}
	cl, err := kgo.NewClient(kgo.SeedBrokers(address), kgo.ConsumeTopics(topic), kgo.FetchIsolationLevel(isolation), kgo.FetchMaxPartitionBytes(int32(size)),
		kgo.FetchMaxBytes(int32(size)), kgo.FetchMaxWait(500*time.Millisecond))
	if err != nil {
		return err
	}
	defer cl.Close()
	for {
		fetches := cl.PollFetches(ctx)
		if err := fetches.Err0(); err != nil {
			return err
		}
		for _, r := range fetches.Records() {
			if show(topic, r.Offset, r.Value) {
				return nil
			}
		}
	}
}
