package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

const (
	// answerPatience is how long an answer is waited for: some questions Apache Kafka never answers.
	answerPatience = 20 * time.Second
	// eventPatience is how long is waited for what is to happen before a question can be asked.
	eventPatience = time.Minute
)

// side is one of the two brokers.
type side struct {
	target  *target
	served  map[int16]kmsg.ApiVersionsResponseApiKey // what both brokers serve, as soon as both are known
	cluster string                                   // its id
	conn    net.Conn
	number  int32 // of the last request
	fences  int
}

func newSide(t *target) (*side, error) {
	s := &side{target: t, served: map[int16]kmsg.ApiVersionsResponseApiKey{}}
	a := newAsker(s, -1, 0, "")
	versions := kmsg.NewPtrApiVersionsRequest()
	versions.ClientSoftwareName, versions.ClientSoftwareVersion = "answers", "1"
	resp, err := s.send(versions, 3)
	if err != nil {
		return nil, err
	}
	for _, k := range resp.(*kmsg.ApiVersionsResponse).ApiKeys {
		s.served[k.ApiKey] = k
	}
	s.cluster = a.do(kmsg.NewPtrDescribeClusterRequest()).(*kmsg.DescribeClusterResponse).ClusterID
	a.topic(fence, 1)
	for kind := range int8(2) {
		a.until("a coordinator", func() bool { return a.coordinator(kind) })
	}
	return s, a.failed
}

// agree narrows what two sides are asked to what both serve.
func agree(a, b *side) {
	for key, mine := range a.served {
		other := b.served[key]
		mine.MinVersion, mine.MaxVersion = max(mine.MinVersion, other.MinVersion), min(mine.MaxVersion, other.MaxVersion)
		a.served[key], b.served[key] = mine, mine
	}
}

// errClosed says that the broker ended the connection instead of answering.
var errClosed = errors.New("the connection is closed")

// send sends a request in a version and returns its answer.
func (s *side) send(req kmsg.Request, version int16) (kmsg.Response, error) {
	if s.conn == nil {
		conn, err := net.DialTimeout("tcp", s.target.addr, answerPatience)
		if err != nil {
			return nil, err
		}
		s.conn = conn
	}
	req.SetVersion(version)
	s.number++
	s.conn.SetDeadline(time.Now().Add(answerPatience))
	if _, err := s.conn.Write(kmsg.NewRequestFormatter(kmsg.FormatterClientID("answers")).AppendRequest(nil, req, s.number)); err != nil {
		return nil, s.broken(err)
	}
	var size [4]byte
	if _, err := io.ReadFull(s.conn, size[:]); err != nil {
		return nil, s.broken(err)
	}
	body := make([]byte, binary.BigEndian.Uint32(size[:]))
	if _, err := io.ReadFull(s.conn, body); err != nil {
		return nil, s.broken(err)
	}
	resp := req.ResponseKind()
	resp.SetVersion(version)
	body = body[4:]
	if resp.IsFlexible() && resp.Key() != apiVersionsKey {
		if body[0] != 0 {
			return nil, fmt.Errorf("the header of the answer has tagged fields")
		}
		body = body[1:]
	}
	return resp, resp.ReadFrom(body)
}

const apiVersionsKey = 18

func (s *side) broken(err error) error {
	s.conn.Close()
	s.conn = nil
	if timeout := net.Error(nil); errors.As(err, &timeout) && timeout.Timeout() {
		return fmt.Errorf("no answer")
	}
	return errClosed
}

// asker puts one question, in one version, to one side.
type asker struct {
	*side
	key     int16 // of the request in question
	version int16
	space   string // begins the names that are the question's own
	names   *names
	said    []said // the answers, in order
	failed  error  // what had to be done before could not be
}

// said is one answer.
type said struct {
	what   string // the request
	leaves []leaf
}

func newAsker(s *side, key, version int16, space string) *asker {
	return &asker{side: s, key: key, version: version, space: space, names: newNames(s)}
}

// versionOf is the version in which a request is sent: that in question or, of others, the highest that both brokers know.
func (a *asker) versionOf(req kmsg.Request) int16 {
	if req.Key() == a.key {
		return a.version
	}
	return min(a.served[req.Key()].MaxVersion, req.MaxVersion())
}

// ask sends a request whose answer is compared. Where there is none it returns an empty one.
func (a *asker) ask(req kmsg.Request) kmsg.Response {
	if a.failed != nil {
		return req.ResponseKind()
	}
	resp, err := a.send(req, a.versionOf(req))
	return a.record(req, resp, err)
}

// begin sends a request whose answer may be long in coming by a connection of its own. The answer is compared where it is waited for.
func (a *asker) begin(by *side, req kmsg.Request) (wait func() kmsg.Response) {
	type answer struct {
		resp kmsg.Response
		err  error
	}
	version, done := a.versionOf(req), make(chan answer, 1)
	go func() {
		resp, err := by.send(req, version)
		done <- answer{resp, err}
	}()
	return func() kmsg.Response {
		got := <-done
		return a.record(req, got.resp, got.err)
	}
}

// second is the same broker by another connection.
func (s *side) second() *side { return &side{target: s.target, served: s.served, cluster: s.cluster} }

func (a *asker) record(req kmsg.Request, resp kmsg.Response, err error) kmsg.Response {
	what := kmsg.NameForKey(req.Key())
	if err != nil {
		a.said = append(a.said, said{what, []leaf{{"", err.Error()}}})
		return req.ResponseKind()
	}
	a.said = append(a.said, said{what, a.names.render(resp)})
	return resp
}

// do sends a request whose answer is not compared.
func (a *asker) do(req kmsg.Request) kmsg.Response {
	if a.failed == nil {
		resp, err := a.send(req, a.versionOf(req))
		if err == nil {
			return resp
		}
		a.fail(fmt.Errorf("%s: %w", kmsg.NameForKey(req.Key()), err))
	}
	return req.ResponseKind()
}

// fail ends the question: what had to be done before it could not be. The failure is compared like an answer.
func (a *asker) fail(err error) {
	if a.failed == nil {
		a.failed = err
		a.said = append(a.said, said{"before it", []leaf{{"", err.Error()}}})
	}
}

// until waits for something to come true.
func (a *asker) until(what string, done func() bool) {
	for end := time.Now().Add(eventPatience); a.failed == nil && !done(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			a.fail(fmt.Errorf("in vain: %s", what))
		}
	}
}

// coordinator reports whether there is one for everything of the kind: both topics have one partition.
func (a *asker) coordinator(kind int8) bool {
	find := kmsg.NewPtrFindCoordinatorRequest()
	find.CoordinatorType, find.CoordinatorKeys = kind, []string{"any"}
	found := a.do(find).(*kmsg.FindCoordinatorResponse).Coordinators
	if len(found) == 0 || found[0].ErrorCode != 0 {
		return false
	}
	if kind == 1 {
		init := kmsg.NewPtrInitProducerIDRequest()
		init.TransactionalID, init.TransactionTimeoutMillis = kmsg.StringPtr("any"), 1000
		return a.do(init).(*kmsg.InitProducerIDResponse).ErrorCode == 0
	}
	fetch := kmsg.NewPtrOffsetFetchRequest()
	fetch.Groups = []kmsg.OffsetFetchRequestGroup{{Group: "any", MemberEpoch: -1}}
	groups := a.do(fetch).(*kmsg.OffsetFetchResponse).Groups
	return len(groups) == 1 && groups[0].ErrorCode == 0
}

// fence is a topic whose configuration tells how far a broker has followed the metadata.
const fence = "fence"

// settle waits until everything that was changed is in force in the broker too. When it shows the second change of the fence it has done
// with the first and what came before, as it takes up changes one after another.
func (a *asker) settle() {
	for range 2 {
		a.fences++
		value := strconv.Itoa(1_000_000 + a.fences)
		alter := kmsg.NewPtrIncrementalAlterConfigsRequest()
		alter.Resources = []kmsg.IncrementalAlterConfigsRequestResource{{ResourceType: kmsg.ConfigResourceTypeTopic, ResourceName: fence,
			Configs: []kmsg.IncrementalAlterConfigsRequestResourceConfig{{Name: "retention.ms", Value: &value}}}}
		a.do(alter)
		describe := kmsg.NewPtrDescribeConfigsRequest()
		describe.Resources = []kmsg.DescribeConfigsRequestResource{{ResourceType: kmsg.ConfigResourceTypeTopic, ResourceName: fence, ConfigNames: []string{"retention.ms"}}}
		a.until("a change of configuration", func() bool {
			for _, r := range a.do(describe).(*kmsg.DescribeConfigsResponse).Resources {
				for _, c := range r.Configs {
					if c.Value != nil && *c.Value == value {
						return true
					}
				}
			}
			return false
		})
	}
}

// topic makes a topic under its whole name and waits until its partitions serve.
func (a *asker) topic(name string, partitions int32, configs ...string) (id [16]byte) {
	create := kmsg.NewPtrCreateTopicsRequest()
	t := kmsg.NewCreateTopicsRequestTopic()
	t.Topic, t.NumPartitions, t.ReplicationFactor = name, partitions, 1
	for i := 0; i < len(configs); i += 2 {
		t.Configs = append(t.Configs, kmsg.CreateTopicsRequestTopicConfig{Name: configs[i], Value: &configs[i+1]})
	}
	create.Topics, create.TimeoutMillis = append(create.Topics, t), 30_000
	key := a.key
	a.key = -1 // whatever is in question, this is not it
	made := a.do(create).(*kmsg.CreateTopicsResponse).Topics
	if len(made) == 1 {
		id = made[0].TopicID
		a.names.know(id, name)
	}
	a.serving(name, partitions)
	a.key = key
	return id
}

// serving waits until the broker leads all partitions of a topic.
func (a *asker) serving(name string, partitions int32) {
	list := kmsg.NewPtrListOffsetsRequest()
	list.ReplicaID = -1
	list.Topics = []kmsg.ListOffsetsRequestTopic{{Topic: name}}
	for p := range partitions {
		list.Topics[0].Partitions = append(list.Topics[0].Partitions, kmsg.ListOffsetsRequestTopicPartition{Partition: p, CurrentLeaderEpoch: -1, Timestamp: -1})
	}
	a.until(name+" serves", func() bool {
		for _, t := range a.do(list).(*kmsg.ListOffsetsResponse).Topics {
			for _, p := range t.Partitions {
				if p.ErrorCode != 0 {
					return false
				}
			}
		}
		return true
	})
}

// named is a name of the question's own.
func (a *asker) named(name string) string { return a.space + name }
