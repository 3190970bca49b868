package main

import (
	"bufio"
	"encoding/binary"
	"net"
	"strconv"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// discardBroker answers just enough for a producer and throws every record away: the limit of a client library on this machine.
// It runs as a process of its own (bench discard), as a broker does.
func discardBroker(addr string) error {
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	for {
		c, err := ln.Accept()
		if err != nil {
			return err
		}
		go discardConn(c, addr)
	}
}

func discardConn(c net.Conn, addr string) {
	defer c.Close()
	r := bufio.NewReaderSize(c, 256<<10)
	var buf []byte
	var err error
	for {
		if buf, err = readFrame(r, buf); err != nil {
			return
		}
		key, version, corr := int16(binary.BigEndian.Uint16(buf)), int16(binary.BigEndian.Uint16(buf[2:])), buf[4:8]
		req := kmsg.RequestForKey(key)
		if req == nil {
			return
		}
		req.SetVersion(version)
		body := buf[8:]
		body = body[2+max(0, int(int16(binary.BigEndian.Uint16(body)))):] // client id
		if req.IsFlexible() {
			body = body[1:]
		}
		if err := req.ReadFrom(body); err != nil {
			return
		}
		resp := discardAnswer(req, addr)
		if resp == nil {
			return
		}
		out := append(make([]byte, 4, 256), corr...)
		if resp.IsFlexible() && key != 18 {
			out = append(out, 0)
		}
		out = resp.AppendTo(out)
		binary.BigEndian.PutUint32(out, uint32(len(out)-4))
		if _, err := c.Write(out); err != nil {
			return
		}
	}
}

func discardAnswer(req kmsg.Request, addr string) kmsg.Response {
	resp := req.ResponseKind()
	resp.SetVersion(req.GetVersion())
	switch r := req.(type) {
	case *kmsg.ApiVersionsRequest:
		out := resp.(*kmsg.ApiVersionsResponse)
		for key, top := range map[int16]int16{0: 9, 3: 9, 18: 3, 22: 4} {
			out.ApiKeys = append(out.ApiKeys, kmsg.ApiVersionsResponseApiKey{ApiKey: key, MaxVersion: top})
		}
	case *kmsg.MetadataRequest:
		host, port, _ := net.SplitHostPort(addr)
		n, _ := strconv.Atoi(port)
		out := resp.(*kmsg.MetadataResponse)
		out.Brokers = []kmsg.MetadataResponseBroker{{NodeID: 1, Host: host, Port: int32(n)}}
		out.ControllerID = 1
		for _, t := range r.Topics {
			topic := kmsg.NewMetadataResponseTopic()
			topic.Topic = t.Topic
			for p := range int32(8) {
				part := kmsg.NewMetadataResponseTopicPartition()
				part.Partition, part.Leader, part.Replicas, part.ISR = p, 1, []int32{1}, []int32{1}
				topic.Partitions = append(topic.Partitions, part)
			}
			out.Topics = append(out.Topics, topic)
		}
	case *kmsg.InitProducerIDRequest:
		resp.(*kmsg.InitProducerIDResponse).ProducerID = 1
	case *kmsg.ProduceRequest:
		out := resp.(*kmsg.ProduceResponse)
		for _, t := range r.Topics {
			topic := kmsg.ProduceResponseTopic{Topic: t.Topic}
			for _, p := range t.Partitions {
				part := kmsg.NewProduceResponseTopicPartition()
				part.Partition = p.Partition
				topic.Partitions = append(topic.Partitions, part)
			}
			out.Topics = append(out.Topics, topic)
		}
	default:
		return nil
	}
	return resp
}
