package main

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// client speaks single requests over one connection, for set-up; load uses raw frames.
type client struct {
	conn net.Conn
	r    *bufio.Reader
	corr int32
}

func dial(addr string) (*client, error) {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	return &client{conn: c, r: bufio.NewReaderSize(c, 1<<16)}, nil
}

func (c *client) Close() { c.conn.Close() }

// do sends req at its set version and reads the answer into its response type.
func (c *client) do(req kmsg.Request) (kmsg.Response, error) {
	c.corr++
	var f kmsg.RequestFormatter
	frame := f.AppendRequest(nil, req, c.corr)
	c.conn.SetDeadline(time.Now().Add(60 * time.Second))
	if _, err := c.conn.Write(frame); err != nil {
		return nil, err
	}
	body, err := readFrame(c.r, nil)
	if err != nil {
		return nil, err
	}
	body = body[4:]
	if req.IsFlexible() && req.Key() != 18 {
		body = body[1:] // empty tag section of the response header
	}
	resp := req.ResponseKind()
	resp.SetVersion(req.GetVersion())
	return resp, resp.ReadFrom(body)
}

// readFrame reads one length-prefixed frame into buf, growing it as needed.
func readFrame(r *bufio.Reader, buf []byte) ([]byte, error) {
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, err
	}
	n := int(binary.BigEndian.Uint32(head[:]))
	if cap(buf) < n {
		buf = make([]byte, n)
	}
	buf = buf[:n]
	_, err := io.ReadFull(r, buf)
	return buf, err
}

// createTopic creates a topic with Kafka's config names.
func (c *client) createTopic(name string, partitions int32, configs map[string]string) error {
	req := kmsg.NewPtrCreateTopicsRequest()
	req.Version = 5
	req.TimeoutMillis = 60000
	t := kmsg.NewCreateTopicsRequestTopic()
	t.Topic, t.NumPartitions, t.ReplicationFactor = name, partitions, 1
	for k, v := range configs {
		t.Configs = append(t.Configs, kmsg.CreateTopicsRequestTopicConfig{Name: k, Value: kmsg.StringPtr(v)})
	}
	req.Topics = append(req.Topics, t)
	resp, err := c.do(req)
	if err != nil {
		return fmt.Errorf("creating topic %s: %w", name, err)
	}
	return kerr.ErrorForCode(resp.(*kmsg.CreateTopicsResponse).Topics[0].ErrorCode)
}

// ready makes a topic and waits until it can be produced to. Apache Kafka shows a leader before it accepts produce requests for it,
// so a moment more is granted to everybody.
func (c *client) ready(topic string, partitions int32) error {
	if err := c.createTopic(topic, partitions, nil); err != nil {
		return err
	}
	if _, err := c.waitLed(topic, int(partitions), time.Minute); err != nil {
		return err
	}
	time.Sleep(2 * time.Second)
	return nil
}

// waitLed waits until every partition of the topic has a leader and returns how long that took.
func (c *client) waitLed(topic string, partitions int, limit time.Duration) (time.Duration, error) {
	start := time.Now()
	for time.Since(start) < limit {
		req := kmsg.NewPtrMetadataRequest()
		req.Version = 9
		req.Topics = []kmsg.MetadataRequestTopic{{Topic: kmsg.StringPtr(topic)}}
		resp, err := c.do(req)
		if err != nil {
			return 0, err
		}
		led := 0
		for _, t := range resp.(*kmsg.MetadataResponse).Topics {
			for _, p := range t.Partitions {
				if p.Leader >= 0 && p.ErrorCode == 0 {
					led++
				}
			}
		}
		if led == partitions {
			return time.Since(start), nil
		}
		time.Sleep(10 * time.Millisecond)
	}
	return 0, fmt.Errorf("topic %s is not led after %v", topic, limit)
}

// produceFrame is a Produce v8 request with acks=all for one batch, ready to send but for its correlation id at byte 8.
func produceFrame(topic string, partition int32, batch []byte) []byte {
	req := kmsg.NewPtrProduceRequest()
	req.Version, req.Acks, req.TimeoutMillis = 8, -1, 30000
	req.Topics = []kmsg.ProduceRequestTopic{{Topic: topic, Partitions: []kmsg.ProduceRequestTopicPartition{{Partition: partition, Records: batch}}}}
	var f kmsg.RequestFormatter
	return f.AppendRequest(nil, req, 0)
}

// produceError reads the error code of the single partition in a Produce v8 response to a topic with a name of the given length.
func produceError(body []byte, topicLen int) int16 {
	at := 4 + 4 + 2 + topicLen + 4 + 4
	return int16(binary.BigEndian.Uint16(body[at:]))
}

// fetchFrame is a Fetch v11 request for one partition without a session.
func fetchFrame(topic string, partition int32, offset int64, maxBytes int32) []byte {
	req := kmsg.NewPtrFetchRequest()
	req.Version, req.ReplicaID, req.MaxWaitMillis, req.MinBytes, req.MaxBytes, req.SessionEpoch = 11, -1, 500, 1, maxBytes, -1
	p := kmsg.NewFetchRequestTopicPartition()
	p.Partition, p.FetchOffset, p.PartitionMaxBytes, p.CurrentLeaderEpoch, p.LogStartOffset = partition, offset, maxBytes, -1, -1
	req.Topics = []kmsg.FetchRequestTopic{{Topic: topic, Partitions: []kmsg.FetchRequestTopicPartition{p}}}
	var f kmsg.RequestFormatter
	return f.AppendRequest(nil, req, 0)
}
