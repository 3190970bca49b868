package main

import "github.com/twmb/franz-go/pkg/kmsg"

// fetchQuestions are about reading records.
func fetchQuestions() (out []question) {
	fetch := func(partition int32, offset int64, changes ...func(*kmsg.FetchRequest)) func(*asker) kmsg.Request {
		return func(a *asker) kmsg.Request {
			r := kmsg.NewPtrFetchRequest()
			r.ReplicaID, r.MaxWaitMillis, r.MinBytes, r.MaxBytes, r.SessionEpoch = -1, 10, 1, 1<<20, -1
			p := kmsg.NewFetchRequestTopicPartition()
			p.Partition, p.FetchOffset, p.PartitionMaxBytes, p.CurrentLeaderEpoch, p.LastFetchedEpoch, p.LogStartOffset = partition, offset, 1<<20, -1, -1, -1
			r.Topics = []kmsg.FetchRequestTopic{{Topic: a.named("t"), TopicID: a.filled(a.named("t")), Partitions: []kmsg.FetchRequestTopicPartition{p}}}
			for _, change := range changes {
				change(r)
			}
			return r
		}
	}
	part := func(change func(*kmsg.FetchRequestTopicPartition)) func(*kmsg.FetchRequest) {
		return func(r *kmsg.FetchRequest) { change(&r.Topics[0].Partitions[0]) }
	}
	nowhere := func(r *kmsg.FetchRequest) {
		r.Topics[0].Topic, r.Topics[0].TopicID = r.Topics[0].Topic+"-nowhere", unknownID
	}
	session := func(id, epoch int32) func(*kmsg.FetchRequest) {
		return func(r *kmsg.FetchRequest) { r.SessionID, r.SessionEpoch = id, epoch }
	}
	out = about("Fetch", 1,
		situation{"all", fetch(0, 0)}, situation{"second-batch", fetch(0, 3)}, situation{"at-the-end", fetch(0, 4)}, situation{"beyond", fetch(0, 5)},
		situation{"negative", fetch(0, -1)}, situation{"empty", fetch(1, 0)},
		situation{"unknown-partition", fetch(9, 0)}, situation{"unknown-topic", fetch(0, 0, nowhere)},
		situation{"committed", fetch(0, 0, func(r *kmsg.FetchRequest) { r.IsolationLevel = 1 })},
		situation{"isolation-9", fetch(0, 0, func(r *kmsg.FetchRequest) { r.IsolationLevel = 9 })},
		situation{"little", fetch(0, 0, part(func(p *kmsg.FetchRequestTopicPartition) { p.PartitionMaxBytes = 1 }))},
		situation{"nothing-allowed", fetch(0, 0, func(r *kmsg.FetchRequest) { r.MaxBytes = 0 })},
		situation{"negative-bytes", fetch(0, 0, part(func(p *kmsg.FetchRequestTopicPartition) { p.PartitionMaxBytes = -1 }))},
		situation{"twice", fetch(0, 0, func(r *kmsg.FetchRequest) {
			r.Topics[0].Partitions = append(r.Topics[0].Partitions, r.Topics[0].Partitions[0])
		})},
		situation{"nothing", fetch(0, 0, func(r *kmsg.FetchRequest) { r.Topics = nil })})
	out = append(out, since(7, about("Fetch", 1, situation{"session-unknown", fetch(0, 0, session(77, 1))},
		situation{"session-unknown-end", fetch(0, 0, session(77, -1))}, situation{"session-negative-epoch", fetch(0, 0, session(0, -2))},
		situation{"no-session-epoch-1", fetch(0, 0, session(0, 1))}))...)
	out = append(out, since(9, about("Fetch", 1,
		situation{"epoch", fetch(0, 0, part(func(p *kmsg.FetchRequestTopicPartition) { p.CurrentLeaderEpoch = 0 }))},
		situation{"epoch-ahead", fetch(0, 0, part(func(p *kmsg.FetchRequestTopicPartition) { p.CurrentLeaderEpoch = 9 }))}))...)
	out = append(out, since(12, about("Fetch", 1,
		situation{"last-epoch", fetch(0, 4, part(func(p *kmsg.FetchRequestTopicPartition) { p.LastFetchedEpoch = 0 }))},
		situation{"last-epoch-ahead", fetch(0, 4, part(func(p *kmsg.FetchRequestTopicPartition) { p.LastFetchedEpoch = 9 }))}))...)
	return append(out, question{name: "Fetch/session", key: 1, from: 7, ask: func(a *asker) {
		first := fetch(0, 0, session(0, 0))(a).(*kmsg.FetchRequest)
		id := a.ask(first).(*kmsg.FetchResponse).SessionID
		rest := *first
		rest.SessionID, rest.SessionEpoch, rest.Topics = id, 1, nil
		a.ask(&rest) // the same records again: the position has not changed
		rest.SessionEpoch = 5
		a.ask(&rest)
		rest.SessionEpoch, rest.Topics = 2, first.Topics
		rest.Topics[0].Partitions[0].FetchOffset = 4
		a.ask(&rest)
		rest.SessionEpoch, rest.Topics = 3, nil
		rest.ForgottenTopics = []kmsg.FetchRequestForgottenTopic{{Topic: first.Topics[0].Topic, TopicID: first.Topics[0].TopicID, Partitions: []int32{0}}}
		a.ask(&rest)
	}})
}
