package main

import "github.com/twmb/franz-go/pkg/kmsg"

// consumerQuestions are about groups of KIP-848.
func consumerQuestions() (out []question) {
	type request = kmsg.ConsumerGroupHeartbeatRequest
	beat := func(change func(*asker, *request)) func(*asker) kmsg.Request {
		return func(a *asker) kmsg.Request {
			r := a.beating()
			change(a, r)
			return r
		}
	}
	beside := func(change func(*asker, *request)) func(*asker) kmsg.Request { // a member
		return func(a *asker) kmsg.Request {
			_, epoch := a.joinedConsumer()
			return beat(func(a *asker, r *request) {
				r.MemberEpoch = epoch
				change(a, r)
			})(a)
		}
	}
	out = about("ConsumerGroupHeartbeat", 68,
		situation{"first", beat(func(*asker, *request) {})}, situation{"empty-group", beat(func(_ *asker, r *request) { r.Group = "" })},
		situation{"empty-member", beat(func(_ *asker, r *request) { r.MemberID = "" })},
		situation{"no-timeout", beat(func(_ *asker, r *request) { r.RebalanceTimeoutMillis = -1 })},
		situation{"timeout-0", beat(func(_ *asker, r *request) { r.RebalanceTimeoutMillis = 0 })},
		situation{"null-topics", beat(func(_ *asker, r *request) { r.SubscribedTopicNames = nil })},
		situation{"no-topics", beat(func(_ *asker, r *request) { r.SubscribedTopicNames = []string{} })},
		situation{"null-owned", beat(func(_ *asker, r *request) { r.Topics = nil })},
		situation{"owned-at-first", beat(func(_ *asker, r *request) {
			r.Topics = []kmsg.ConsumerGroupHeartbeatRequestTopic{{TopicID: unknownID, Partitions: []int32{0}}}
		})},
		situation{"unknown-topic", beat(func(a *asker, r *request) { r.SubscribedTopicNames = []string{a.named("nowhere")} })},
		situation{"empty-topic", beat(func(_ *asker, r *request) { r.SubscribedTopicNames = []string{""} })},
		situation{"unknown-assignor", beat(func(_ *asker, r *request) { r.ServerAssignor = kmsg.StringPtr("sticky") })},
		situation{"empty-assignor", beat(func(_ *asker, r *request) { r.ServerAssignor = kmsg.StringPtr("") })},
		situation{"range", beat(func(_ *asker, r *request) { r.ServerAssignor = kmsg.StringPtr("range") })},
		situation{"empty-instance", beat(func(_ *asker, r *request) { r.InstanceID = kmsg.StringPtr("") })},
		situation{"empty-rack", beat(func(_ *asker, r *request) { r.RackID = kmsg.StringPtr("") })},
		situation{"unknown-group-epoch-3", beat(func(_ *asker, r *request) { r.MemberEpoch = 3 })},
		situation{"unknown-group-leaves", beat(func(_ *asker, r *request) { r.MemberEpoch = -1 })},
		situation{"epoch-minus-2-without-instance", beat(func(_ *asker, r *request) { r.MemberEpoch = -2 })},
		situation{"epoch-minus-3", beat(func(_ *asker, r *request) { r.MemberEpoch = -3 })},
		situation{"classic-group", beat(func(a *asker, r *request) { a.joined() })}, situation{"classic-group-epoch-3", beat(func(a *asker, r *request) {
			a.joined()
			r.MemberEpoch = 3
		})},
		situation{"unknown-member", beside(func(_ *asker, r *request) { r.MemberID = "stranger" })},
		situation{"unknown-member-leaves", beside(func(_ *asker, r *request) { r.MemberID, r.MemberEpoch = "stranger", -1 })},
		situation{"epoch-ahead", beside(func(_ *asker, r *request) { r.MemberEpoch = 9 })},
		situation{"epoch-negative", beside(func(_ *asker, r *request) { r.MemberEpoch = -9 })},
		situation{"instance-unknown", beside(func(_ *asker, r *request) { r.InstanceID = kmsg.StringPtr("i") })},
		situation{"leaves", beside(func(_ *asker, r *request) { r.MemberEpoch = -1 })},
		situation{"bare", beside(func(_ *asker, r *request) {
			r.SubscribedTopicNames, r.Topics, r.RebalanceTimeoutMillis = nil, nil, -1
		})},
		situation{"second-member", beside(func(_ *asker, r *request) { r.MemberID, r.MemberEpoch = "second", 0 })})
	out = append(out, since(1, about("ConsumerGroupHeartbeat", 68,
		situation{"expression", beat(func(a *asker, r *request) {
			r.SubscribedTopicNames, r.SubscribedTopicRegex = nil, kmsg.StringPtr(a.space+"t.*")
		})}, situation{"empty-expression", beat(func(_ *asker, r *request) { r.SubscribedTopicNames, r.SubscribedTopicRegex = nil, kmsg.StringPtr("") })},
		situation{"bad-expression", beat(func(_ *asker, r *request) { r.SubscribedTopicNames, r.SubscribedTopicRegex = nil, kmsg.StringPtr("(") })}))...)
	out = append(out, consumerLives()...)
	out = append(out, otherRequests()...)
	return append(out, consumerDescribeQuestions()...)
}

// consumerLives are several heartbeats after one another.
func consumerLives() []question {
	return []question{
		question{name: "ConsumerGroupHeartbeat/life", key: 68, ask: func(a *asker) {
			id := a.topic(a.named("t"), 2)
			r := a.beating()
			epoch := a.ask(r).(*kmsg.ConsumerGroupHeartbeatResponse).MemberEpoch
			r.MemberEpoch, r.SubscribedTopicNames, r.RebalanceTimeoutMillis = epoch, nil, -1
			r.Topics = []kmsg.ConsumerGroupHeartbeatRequestTopic{{TopicID: id, Partitions: []int32{0, 1}}}
			a.ask(r)
			r.MemberEpoch = 0
			a.ask(r)
			r.MemberEpoch, r.Topics = -1, nil
			a.ask(r)
			a.ask(r)
		}},
		question{name: "ConsumerGroupHeartbeat/two-members", key: 68, ask: func(a *asker) {
			id, epoch := a.joinedConsumer()
			second := a.beating()
			second.MemberID = "second"
			joined := a.ask(second).(*kmsg.ConsumerGroupHeartbeatResponse)
			first := a.beating()
			first.MemberEpoch, first.SubscribedTopicNames, first.RebalanceTimeoutMillis = epoch, nil, -1
			first.Topics = []kmsg.ConsumerGroupHeartbeatRequestTopic{{TopicID: id, Partitions: []int32{0, 1}}}
			a.ask(first) // is to give up one
			first.Topics[0].Partitions = []int32{0}
			a.ask(first) // has
			second.MemberEpoch, second.SubscribedTopicNames, second.RebalanceTimeoutMillis, second.Topics = joined.MemberEpoch, nil, -1, nil
			a.ask(second)
			r := kmsg.NewPtrConsumerGroupDescribeRequest()
			r.Groups = []string{a.named("g")}
			a.ask(r)
		}},
		question{name: "ConsumerGroupHeartbeat/static", key: 68, ask: func(a *asker) {
			a.topic(a.named("t"), 2)
			r := a.beating()
			r.InstanceID = kmsg.StringPtr("i")
			a.ask(r)
			r.MemberID = "second"
			a.ask(r) // the instance is taken
			r.MemberID, r.MemberEpoch = "first", -2
			a.ask(r)
			r.MemberID, r.MemberEpoch = "second", 0
			a.ask(r)
			r.MemberID, r.MemberEpoch = "first", 9
			a.ask(r)
		}},
	}
}

// otherRequests are those of the classic protocol to a group of the other.
func otherRequests() []question {
	return []question{
		question{name: "OffsetCommit/consumer-group", key: 8, ask: func(a *asker) {
			id, epoch := a.joinedConsumer()
			for _, as := range []struct {
				member string
				epoch  int32
			}{{"first", epoch}, {"first", 0}, {"first", 9}, {"stranger", 1}, {"", -1}, {"first", -1}} {
				r := a.committing(a.named("g"), a.named("t"), id, 0, 5)
				r.MemberID, r.Generation = as.member, as.epoch
				a.ask(r)
			}
		}},
		question{name: "OffsetFetch/consumer-group", key: 9, from: 9, ask: func(a *asker) {
			id, epoch := a.joinedConsumer()
			for _, as := range []struct {
				member *string
				epoch  int32
			}{{kmsg.StringPtr("first"), epoch}, {kmsg.StringPtr("first"), 0}, {kmsg.StringPtr("first"), 9}, {kmsg.StringPtr("stranger"), 1}, {nil, -1}, {kmsg.StringPtr(""), 1}, {nil, 7}} {
				r := a.offsetsOf(a.named("g"), a.named("t"), id, 0)
				r.Groups[0].MemberID, r.Groups[0].MemberEpoch = as.member, as.epoch
				a.ask(r)
			}
		}},
		question{name: "Heartbeat/consumer-group", key: 12, ask: func(a *asker) {
			_, epoch := a.joinedConsumer()
			r := kmsg.NewPtrHeartbeatRequest()
			r.Group, r.MemberID, r.Generation = a.named("g"), "first", epoch
			a.ask(r)
			j := a.joining("")
			j.Protocols[0].Name = "unheard-of"
			a.do(j)
			l := kmsg.NewPtrLeaveGroupRequest()
			l.Group, l.MemberID, l.Members = a.named("g"), "first", []kmsg.LeaveGroupRequestMember{{MemberID: "first"}}
			a.ask(l)
			s := a.syncing("first", epoch)
			a.ask(s)
		}},
		question{name: "OffsetDelete/consumer-group", key: 47, ask: func(a *asker) {
			a.joinedConsumer()
			a.topic(a.named("u"), 1)
			for _, topic := range []string{"t", "u"} {
				r := kmsg.NewPtrOffsetDeleteRequest()
				r.Group = a.named("g")
				r.Topics = []kmsg.OffsetDeleteRequestTopic{{Topic: a.named(topic), Partitions: []kmsg.OffsetDeleteRequestTopicPartition{{Partition: 0}}}}
				a.ask(r)
			}
		}},
	}
}

// beating is the first heartbeat of member "first", which wants the question's topic t.
func (a *asker) beating() *kmsg.ConsumerGroupHeartbeatRequest {
	r := kmsg.NewPtrConsumerGroupHeartbeatRequest()
	r.Group, r.MemberID, r.RebalanceTimeoutMillis = a.named("g"), "first", 30_000
	r.SubscribedTopicNames, r.Topics = []string{a.named("t")}, []kmsg.ConsumerGroupHeartbeatRequestTopic{}
	return r
}

// joinedConsumer lets "first" join and wait for its partitions, without comparing answers.
func (a *asker) joinedConsumer() (topic [16]byte, epoch int32) {
	topic = a.topic(a.named("t"), 2)
	key := a.key
	a.key = -1
	r := a.beating()
	a.until("the member has partitions", func() bool {
		got := a.do(r).(*kmsg.ConsumerGroupHeartbeatResponse)
		r.MemberEpoch, r.SubscribedTopicNames, r.RebalanceTimeoutMillis, r.Topics = got.MemberEpoch, nil, -1, nil
		return got.Assignment != nil && len(got.Assignment.Topics) > 0
	})
	r.Topics = []kmsg.ConsumerGroupHeartbeatRequestTopic{{TopicID: topic, Partitions: []int32{0, 1}}}
	a.do(r)
	a.key = key
	return topic, r.MemberEpoch
}

func consumerDescribeQuestions() []question {
	describe := func(operations bool, groups ...string) func(*asker) kmsg.Request {
		return func(a *asker) kmsg.Request {
			a.joinedConsumer()
			r := kmsg.NewPtrConsumerGroupDescribeRequest()
			r.IncludeAuthorizedOperations = operations
			for _, g := range groups {
				if g == "g" {
					g = a.named(g)
				}
				r.Groups = append(r.Groups, g)
			}
			return r
		}
	}
	out := about("ConsumerGroupDescribe", 69,
		situation{"one", describe(false, "g")}, situation{"unknown", describe(false, "nobody's")}, situation{"empty-name", describe(false, "")},
		situation{"nothing", describe(false)}, situation{"twice", describe(false, "g", "g")},
		situation{"operations", describe(true, "g", "nobody's")},
		situation{"classic", func(a *asker) kmsg.Request {
			a.joined()
			r := kmsg.NewPtrConsumerGroupDescribeRequest()
			r.Groups = []string{a.named("g")}
			return r
		}})
	out = append(out, about("DescribeGroups", 15, situation{"consumer-group", func(a *asker) kmsg.Request {
		a.joinedConsumer()
		r := kmsg.NewPtrDescribeGroupsRequest()
		r.Groups = []string{a.named("g")}
		return r
	}})...)
	return append(out, about("DeleteGroups", 42, situation{"consumer-group", func(a *asker) kmsg.Request {
		a.joinedConsumer()
		r := kmsg.NewPtrDeleteGroupsRequest()
		r.Groups = []string{a.named("g")}
		return r
	}})...)
}
