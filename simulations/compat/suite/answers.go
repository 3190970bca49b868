package main

import (
	"context"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/troupe-broker/troupe/simulations/process"
)

// answerSuite puts the same questions to the broker and to an Apache Kafka beside it, each in the versions of its request where something
// begins or ends, and compares the answers field by field. What differs by nature is made alike (answers_render.go); what else may differ
// stands in one table, each with its reason (answers_differences.go), and must differ.
type answerSuite struct {
	jars   string
	beside [2]string // addresses of the Apache Kafka: Kafka's protocol, the controller's votes
	itself bool      // what is asked is Apache Kafka too: nothing may differ
}

// question is a test: requests that are sent in order to both brokers.
type question struct {
	name string
	// key is that of the request in question: it is asked in its lowest and highest version, with and without flexible lengths.
	key int16
	// from and to narrow the versions; 0 is no bound.
	from, to int16
	ask      func(*asker)
}

// questions are all there are, in the order they are asked.
func questions() []question {
	return slices.Concat(clusterQuestions(), topicQuestions(), configQuestions(), logQuestions(), fetchQuestions(), offsetQuestions(), classicQuestions(),
		consumerQuestions(), transactionQuestions(), securityQuestions())
}

func (s *answerSuite) name() string { return "answers" }
func (s *answerSuite) about() string {
	return "answers beside those of Apache Kafka " + process.KafkaVersion
}
func (s *answerSuite) needs() []need { return (&javaSuite{jars: s.jars}).needs() }

func (s *answerSuite) settings() map[string]string {
	return map[string]string{
		"group.initial.rebalance.delay.ms": "0", "offsets.topic.num.partitions": "1", "transaction.state.log.num.partitions": "1",
		"group.min.session.timeout.ms": "100", "node.id": "1", "num.partitions": "2",
	}
}

func (s *answerSuite) prepare(ctx context.Context, dir string) (err error) {
	s.jars, err = process.KafkaJars(ctx, s.jars, filepath.Join(filepath.Dir(dir), "java"))
	return err
}

func (s *answerSuite) run(ctx context.Context, t *target, only *regexp.Regexp) (results []result, err error) {
	kafka, err := fresh(process.Kafka(s.jars, s.beside[0], s.beside[1], "-Xms256m", "-Xmx1g"), filepath.Join(t.work, "kafka"), s.settings())
	if err != nil {
		return nil, err
	}
	defer kafka.stop()
	ours, err := newSide(t)
	if err != nil {
		return nil, err
	}
	theirs, err := newSide(kafka)
	if err != nil {
		return nil, err
	}
	agree(ours, theirs)
	used := map[string]bool{} // paths of expected differences
	for i, q := range questions() {
		if !only.MatchString(q.name) {
			continue
		}
		if err := ctx.Err(); err != nil {
			return results, err
		}
		results = append(results, timed(q.name, func() error { return s.compare(&q, i, ours, theirs, used) }))
	}
	if only.MatchString(differencesTest) {
		results = append(results, timed(differencesTest, func() error { return s.unneeded(used) }))
	}
	return results, nil
}

// differencesTest is the test that every difference which is expected is there.
const differencesTest = "expected-differences"

func (s *answerSuite) unneeded(used map[string]bool) error {
	var odd []string
	for _, d := range expectedDifferences {
		if !used[d.question+d.path] && !s.itself {
			odd = append(odd, fmt.Sprintf("no longer differs: %s: %s: %s", d.question, d.path, d.why))
		}
	}
	if len(odd) > 0 {
		return fmt.Errorf("%s", strings.Join(odd, "\n"))
	}
	return nil
}

// compare asks one question in all its versions. Its error tells every difference that is not expected.
func (s *answerSuite) compare(q *question, number int, ours, theirs *side, used map[string]bool) error {
	var odd []string
	versions := q.versions(ours.served)
	if len(versions) == 0 {
		return fmt.Errorf("no version that both serve")
	}
	for _, v := range versions {
		space := fmt.Sprintf("q%d-v%d-", number, v)
		a, b := newAsker(ours, q.key, v, space), newAsker(theirs, q.key, v, space)
		q.ask(a)
		q.ask(b)
		for _, d := range differ(a.said, b.said) {
			if e := excuse(q.name, d); e != nil && (!s.itself || e.kafka) {
				used[e.question+e.path] = true
			} else {
				odd = append(odd, fmt.Sprintf("v%d: %s", v, d))
			}
		}
	}
	if len(odd) > 0 {
		return fmt.Errorf("%s", strings.Join(odd, "\n"))
	}
	return nil
}

// versions are those in which a question is asked.
func (q *question) versions(served map[int16]kmsg.ApiVersionsResponseApiKey) (out []int16) {
	req := kmsg.RequestForKey(q.key)
	lo, hi := max(served[q.key].MinVersion, q.from), min(served[q.key].MaxVersion, req.MaxVersion())
	if q.to > 0 {
		hi = min(hi, q.to)
	}
	flexible := lo
	for req.SetVersion(flexible); !req.IsFlexible() && flexible <= hi; req.SetVersion(flexible) {
		flexible++
	}
	for _, v := range []int16{lo, flexible - 1, flexible, hi} {
		if v >= lo && v <= hi && !slices.Contains(out, v) {
			out = append(out, v)
		}
	}
	return out
}
