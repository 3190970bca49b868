package main

import "github.com/twmb/franz-go/pkg/kmsg"

// offsetQuestions are about committed offsets, of groups without members.
func offsetQuestions() (out []question) {
	out = append(out, commitQuestions()...)
	out = append(out, offsetFetchQuestions()...)
	return append(out, offsetDeleteQuestions()...)
}

// committing is a commit of one partition by nobody in particular.
func (a *asker) committing(group, topic string, id [16]byte, partition int32, offset int64) *kmsg.OffsetCommitRequest {
	r := kmsg.NewPtrOffsetCommitRequest()
	r.Group, r.Generation = group, -1
	r.Topics = []kmsg.OffsetCommitRequestTopic{{Topic: topic, TopicID: id, Partitions: []kmsg.OffsetCommitRequestTopicPartition{
		{Partition: partition, Offset: offset, LeaderEpoch: -1, Timestamp: -1, Metadata: kmsg.StringPtr("said")}}}}
	return r
}

// committed makes a topic, and a group that has committed offset 3 of its partition 0.
func (a *asker) committed(group, topic string) (id [16]byte) {
	id = a.topic(topic, 2)
	key := a.key
	a.key = -1
	a.do(a.committing(group, topic, id, 0, 3))
	a.key = key
	return id
}

func commitQuestions() (out []question) {
	commit := func(changes ...func(*asker, *kmsg.OffsetCommitRequest)) func(*asker) kmsg.Request {
		return func(a *asker) kmsg.Request {
			r := a.committing(a.named("g"), a.named("t"), a.topic(a.named("t"), 2), 0, 7)
			for _, change := range changes {
				change(a, r)
			}
			return r
		}
	}
	type request = kmsg.OffsetCommitRequest
	part := func(change func(*kmsg.OffsetCommitRequestTopicPartition)) func(*asker, *request) {
		return func(_ *asker, r *request) { change(&r.Topics[0].Partitions[0]) }
	}
	nowhere := func(_ *asker, r *request) {
		r.Topics[0].Topic, r.Topics[0].TopicID = r.Topics[0].Topic+"-nowhere", unknownID
	}
	member := func(id string, generation int32) func(*asker, *request) {
		return func(_ *asker, r *request) { r.MemberID, r.Generation = id, generation }
	}
	out = about("OffsetCommit", 8,
		situation{"plain", commit()}, situation{"unknown-topic", commit(nowhere)},
		situation{"unknown-partition", commit(part(func(p *kmsg.OffsetCommitRequestTopicPartition) { p.Partition = 9 }))},
		situation{"negative-partition", commit(part(func(p *kmsg.OffsetCommitRequestTopicPartition) { p.Partition = -1 }))},
		situation{"negative-offset", commit(part(func(p *kmsg.OffsetCommitRequestTopicPartition) { p.Offset = -5 }))},
		situation{"null-metadata", commit(part(func(p *kmsg.OffsetCommitRequestTopicPartition) { p.Metadata = nil }))},
		situation{"long-metadata", commit(part(func(p *kmsg.OffsetCommitRequestTopicPartition) { p.Metadata = kmsg.StringPtr(tooLong(4097)) }))},
		situation{"empty-group", commit(func(_ *asker, r *request) { r.Group = "" })}, situation{"unknown-member", commit(member("stranger", 1))},
		situation{"member-of-no-generation", commit(member("stranger", -1))}, situation{"generation-of-nobody", commit(member("", 3))},
		situation{"nothing", commit(func(_ *asker, r *request) { r.Topics = nil })},
		situation{"no-partitions", commit(func(_ *asker, r *request) { r.Topics[0].Partitions = nil })},
		situation{"one-and-unknown", commit(func(_ *asker, r *request) {
			other := r.Topics[0].Partitions[0]
			other.Partition = 9
			r.Topics[0].Partitions = append(r.Topics[0].Partitions, other)
		})},
		situation{"twice", commit(func(_ *asker, r *request) {
			r.Topics[0].Partitions = append(r.Topics[0].Partitions, r.Topics[0].Partitions[0])
		})})
	return append(out, since(7, about("OffsetCommit", 8, situation{"unknown-instance", commit(func(_ *asker, r *request) {
		r.InstanceID, r.MemberID, r.Generation = kmsg.StringPtr("i"), "stranger", 1
	})}))...)
}

// offsetsOf asks for partitions of a topic, or for everything of a group.
func (a *asker) offsetsOf(group, topic string, id [16]byte, partitions ...int32) *kmsg.OffsetFetchRequest {
	r := kmsg.NewPtrOffsetFetchRequest()
	g := kmsg.NewOffsetFetchRequestGroup()
	if r.Group, g.Group = group, group; topic != "" {
		r.Topics = []kmsg.OffsetFetchRequestTopic{{Topic: topic, Partitions: partitions}}
		g.Topics = []kmsg.OffsetFetchRequestGroupTopic{{Topic: topic, TopicID: id, Partitions: partitions}}
	}
	r.Groups = append(r.Groups, g)
	return r
}

func offsetFetchQuestions() (out []question) {
	fetch := func(partitions ...int32) func(*asker) kmsg.Request {
		return func(a *asker) kmsg.Request {
			return a.offsetsOf(a.named("g"), a.named("t"), a.committed(a.named("g"), a.named("t")), partitions...)
		}
	}
	all := func(a *asker) kmsg.Request {
		a.committed(a.named("g"), a.named("t"))
		return a.offsetsOf(a.named("g"), "", unknownID)
	}
	of := func(group string, change func(*kmsg.OffsetFetchRequest)) func(*asker) kmsg.Request {
		return func(a *asker) kmsg.Request {
			r := a.offsetsOf(group, a.named("t"), a.committed(a.named("g"), a.named("t")), 0)
			change(r)
			return r
		}
	}
	same := func(*kmsg.OffsetFetchRequest) {}
	nowhere := func(a *asker) kmsg.Request {
		a.committed(a.named("g"), a.named("t"))
		return a.offsetsOf(a.named("g"), a.named("nowhere"), unknownID, 0)
	}
	out = about("OffsetFetch", 9,
		situation{"one", fetch(0)}, situation{"uncommitted", fetch(1)}, situation{"unknown-partition", fetch(0, 9)}, situation{"twice", fetch(0, 0)},
		situation{"no-partitions", fetch()}, situation{"unknown-topic", nowhere},
		situation{"unknown-group", of("nobody's", same)}, situation{"empty-group", of("", same)},
		situation{"no-topics", of("nobody's", func(r *kmsg.OffsetFetchRequest) {
			r.Topics, r.Groups[0].Topics = []kmsg.OffsetFetchRequestTopic{}, []kmsg.OffsetFetchRequestGroupTopic{}
		})})
	out = append(out, since(2, about("OffsetFetch", 9, situation{"all", all},
		situation{"all-of-unknown-group", func(a *asker) kmsg.Request { return a.offsetsOf("nobody's", "", unknownID) }}))...)
	out = append(out, since(7, about("OffsetFetch", 9, situation{"stable", of("nobody's", func(r *kmsg.OffsetFetchRequest) { r.RequireStable = true })}))...)
	out = append(out, since(8, about("OffsetFetch", 9,
		situation{"no-groups", func(a *asker) kmsg.Request { return kmsg.NewPtrOffsetFetchRequest() }},
		situation{"two-groups", of("nobody's", func(r *kmsg.OffsetFetchRequest) {
			r.Groups = append(r.Groups, kmsg.OffsetFetchRequestGroup{Group: "other", MemberEpoch: -1})
		})},
		situation{"group-twice", of("nobody's", func(r *kmsg.OffsetFetchRequest) { r.Groups = append(r.Groups, r.Groups[0]) })}))...)
	return append(out, since(9, about("OffsetFetch", 9,
		situation{"unknown-member", of("nobody's", func(r *kmsg.OffsetFetchRequest) {
			r.Groups[0].MemberID, r.Groups[0].MemberEpoch = kmsg.StringPtr("stranger"), 3
		})},
		situation{"empty-member", of("nobody's", func(r *kmsg.OffsetFetchRequest) {
			r.Groups[0].MemberID, r.Groups[0].MemberEpoch = kmsg.StringPtr(""), -1
		})}))...)
}

func offsetDeleteQuestions() []question {
	remove := func(group, topic string, partitions ...int32) func(*asker) kmsg.Request {
		return func(a *asker) kmsg.Request {
			a.committed(a.named("g"), a.named("t"))
			r := kmsg.NewPtrOffsetDeleteRequest()
			r.Group = group
			if group == "g" {
				r.Group = a.named("g")
			}
			t := kmsg.OffsetDeleteRequestTopic{Topic: a.named(topic)}
			for _, p := range partitions {
				t.Partitions = append(t.Partitions, kmsg.OffsetDeleteRequestTopicPartition{Partition: p})
			}
			r.Topics = append(r.Topics, t)
			return r
		}
	}
	nothing := func(a *asker) kmsg.Request {
		r := remove("g", "t")(a).(*kmsg.OffsetDeleteRequest)
		r.Topics = nil
		return r
	}
	return about("OffsetDelete", 47,
		situation{"one", remove("g", "t", 0)}, situation{"uncommitted", remove("g", "t", 1)}, situation{"unknown-partition", remove("g", "t", 9)},
		situation{"unknown-topic", remove("g", "nowhere", 0)}, situation{"unknown-group", remove("nobody's", "t", 0)},
		situation{"empty-group", remove("", "t", 0)}, situation{"one-and-unknown", remove("g", "t", 0, 9)}, situation{"twice", remove("g", "t", 0, 0)},
		situation{"no-partitions", remove("g", "t")}, situation{"nothing", nothing})
}

// classicQuestions are about groups of the classic protocol, and about all groups.
func classicQuestions() (out []question) {
	out = append(out, joinQuestions()...)
	out = append(out, memberQuestions()...)
	return append(out, listQuestions()...)
}

// subscription is the metadata of a consumer that wants topic "t" (ConsumerProtocolSubscription, version 0).
var subscription = []byte{0, 0, 0, 0, 0, 1, 0, 1, 't', 0xff, 0xff, 0xff, 0xff}

// joining is the request of a consumer.
func (a *asker) joining(member string) *kmsg.JoinGroupRequest {
	r := kmsg.NewPtrJoinGroupRequest()
	r.Group, r.MemberID, r.SessionTimeoutMillis, r.RebalanceTimeoutMillis, r.ProtocolType = a.named("g"), member, 30_000, 30_000, "consumer"
	r.Protocols = []kmsg.JoinGroupRequestProtocol{{Name: "range", Metadata: subscription}}
	return r
}

// joined lets one consumer join and get its assignment, without comparing answers.
func (a *asker) joined() (member string, generation int32) {
	key := a.key
	defer func() { a.key = key }()
	a.key = -1
	j := a.do(a.joining("")).(*kmsg.JoinGroupResponse)
	j = a.do(a.joining(j.MemberID)).(*kmsg.JoinGroupResponse)
	a.do(a.syncing(j.MemberID, j.Generation))
	return j.MemberID, j.Generation
}

func (a *asker) syncing(member string, generation int32) *kmsg.SyncGroupRequest {
	r := kmsg.NewPtrSyncGroupRequest()
	r.Group, r.MemberID, r.Generation = a.named("g"), member, generation
	r.ProtocolType, r.Protocol = kmsg.StringPtr("consumer"), kmsg.StringPtr("range")
	r.GroupAssignment = []kmsg.SyncGroupRequestGroupAssignment{{MemberID: member, MemberAssignment: []byte("yours")}}
	return r
}

func joinQuestions() (out []question) {
	type request = kmsg.JoinGroupRequest
	join := func(change func(*request)) func(*asker) kmsg.Request {
		return func(a *asker) kmsg.Request {
			r := a.joining("")
			change(r)
			return r
		}
	}
	beside := func(change func(*request)) func(*asker) kmsg.Request { // a member
		return func(a *asker) kmsg.Request {
			a.joined()
			return join(change)(a)
		}
	}
	out = about("JoinGroup", 11,
		situation{"first", join(func(*request) {})}, situation{"empty-group", join(func(r *request) { r.Group = "" })},
		situation{"unknown-member", join(func(r *request) { r.MemberID = "stranger" })},
		situation{"short-session", join(func(r *request) { r.SessionTimeoutMillis = 1 })},
		situation{"long-session", join(func(r *request) { r.SessionTimeoutMillis = 1 << 30 })},
		situation{"no-protocols", join(func(r *request) { r.Protocols = nil })},
		situation{"no-type", join(func(r *request) { r.ProtocolType = "" })},
		situation{"other-type", beside(func(r *request) { r.ProtocolType = "connect" })},
		situation{"other-protocol", beside(func(r *request) { r.Protocols[0].Name = "sticky" })},
		situation{"unknown-member-beside", beside(func(r *request) { r.MemberID = "stranger" })})
	out = append(out, since(5, about("JoinGroup", 11, situation{"static", join(func(r *request) { r.InstanceID = kmsg.StringPtr("i") })},
		situation{"static-unknown", join(func(r *request) { r.InstanceID, r.MemberID = kmsg.StringPtr("i"), "stranger" })},
		situation{"static-empty-name", join(func(r *request) { r.InstanceID = kmsg.StringPtr("") })},
		situation{"static-long-name", join(func(r *request) { r.InstanceID = kmsg.StringPtr(tooLong(250)) })},
		situation{"static-illegal-name", join(func(r *request) { r.InstanceID = kmsg.StringPtr("a b") })}))...)
	return append(out, lives()...)
}

// lives are several requests of members after one another.
func lives() []question {
	return []question{
		question{name: "JoinGroup/life", key: 11, ask: func(a *asker) {
			j := a.ask(a.joining("")).(*kmsg.JoinGroupResponse)
			if j.ErrorCode != 0 {
				j = a.ask(a.joining(j.MemberID)).(*kmsg.JoinGroupResponse)
			}
			a.ask(a.syncing(j.MemberID, j.Generation))
			a.ask(a.joining(j.MemberID))
		}},
		question{name: "JoinGroup/two-members", key: 11, from: 4, ask: twoMembers},
		question{name: "SyncGroup/two-members", key: 14, ask: twoMembers},
		question{name: "LeaveGroup/static", key: 13, from: 3, ask: func(a *asker) {
			join := a.joining("")
			join.InstanceID = kmsg.StringPtr("i")
			j := a.do(join).(*kmsg.JoinGroupResponse)
			s := a.syncing(j.MemberID, j.Generation)
			s.InstanceID = join.InstanceID
			a.do(s)
			beat := a.heartbeatOf(j.MemberID, j.Generation)
			beat.InstanceID = join.InstanceID
			a.ask(beat)
			beat.MemberID = "another"
			a.ask(beat)
			for _, m := range []kmsg.LeaveGroupRequestMember{{MemberID: "another", InstanceID: join.InstanceID}, {InstanceID: join.InstanceID}, {InstanceID: join.InstanceID}} {
				l := kmsg.NewPtrLeaveGroupRequest()
				l.Group, l.Members = a.named("g"), []kmsg.LeaveGroupRequestMember{m}
				a.ask(l)
			}
			described := kmsg.NewPtrDescribeGroupsRequest()
			described.Groups = []string{a.named("g")}
			a.ask(described)
		}},
		question{name: "JoinGroup/static-again", key: 11, from: 5, ask: func(a *asker) {
			r := a.joining("")
			r.InstanceID = kmsg.StringPtr("i")
			j := a.ask(r).(*kmsg.JoinGroupResponse)
			s := a.syncing(j.MemberID, j.Generation)
			s.InstanceID = r.InstanceID
			a.ask(s)
			again := a.ask(r).(*kmsg.JoinGroupResponse) // a restart: the same assignment under a new id
			a.ask(s)
			s.MemberID = again.MemberID
			a.ask(s)
			r.MemberID = j.MemberID
			a.ask(r)
		}},
	}
}

// heartbeatOf is that of a member of the question's group.
func (a *asker) heartbeatOf(member string, generation int32) *kmsg.HeartbeatRequest {
	r := kmsg.NewPtrHeartbeatRequest()
	r.Group, r.MemberID, r.Generation = a.named("g"), member, generation
	return r
}

// rebalancing waits until the group shares its partitions anew.
func (a *asker) rebalancing(member string, generation int32) {
	a.until("a rebalance", func() bool {
		return a.do(a.heartbeatOf(member, generation)).(*kmsg.HeartbeatResponse).ErrorCode == rebalanceInProgress
	})
}

const rebalanceInProgress = 27

// twoMembers are a leader and a follower: the second joins, the first comes again, both are given what is theirs, the second leaves.
func twoMembers(a *asker) {
	first, generation := a.joined()
	other := a.second()
	offered := a.do(a.joining("")).(*kmsg.JoinGroupResponse).MemberID
	joins := a.begin(other, a.joining(offered))
	a.rebalancing(first, generation)
	a.ask(a.heartbeatOf(first, generation))
	generation = a.ask(a.joining(first)).(*kmsg.JoinGroupResponse).Generation
	follower := joins().(*kmsg.JoinGroupResponse)
	a.ask(a.committing(a.named("g"), "nowhere", unknownID, 0, 1))
	s := a.syncing(follower.MemberID, generation)
	s.GroupAssignment = nil
	syncs := a.begin(other, s)
	s = a.syncing(first, generation)
	s.GroupAssignment = append(s.GroupAssignment, kmsg.SyncGroupRequestGroupAssignment{MemberID: follower.MemberID, MemberAssignment: []byte("the follower's")})
	a.ask(s)
	syncs()
	described := kmsg.NewPtrDescribeGroupsRequest()
	described.Groups = []string{a.named("g")}
	a.ask(described)
	l := kmsg.NewPtrLeaveGroupRequest()
	l.Group, l.MemberID, l.Members = a.named("g"), follower.MemberID, []kmsg.LeaveGroupRequestMember{{MemberID: follower.MemberID}}
	a.ask(l)
	a.rebalancing(first, generation)
	a.ask(described)
	a.ask(a.joining(first))
}

func memberQuestions() (out []question) {
	sync := func(change func(*kmsg.SyncGroupRequest)) func(*asker) kmsg.Request {
		return func(a *asker) kmsg.Request {
			r := a.syncing(a.joined())
			change(r)
			return r
		}
	}
	out = about("SyncGroup", 14,
		situation{"again", sync(func(*kmsg.SyncGroupRequest) {})},
		situation{"unknown-group", sync(func(r *kmsg.SyncGroupRequest) { r.Group = "nobody's" })},
		situation{"empty-group", sync(func(r *kmsg.SyncGroupRequest) { r.Group = "" })},
		situation{"unknown-member", sync(func(r *kmsg.SyncGroupRequest) { r.MemberID = "stranger" })},
		situation{"old-generation", sync(func(r *kmsg.SyncGroupRequest) { r.Generation-- })})
	out = append(out, since(3, about("SyncGroup", 14,
		situation{"unknown-instance", sync(func(r *kmsg.SyncGroupRequest) { r.InstanceID = kmsg.StringPtr("i") })}))...)
	out = append(out, since(5, about("SyncGroup", 14,
		situation{"other-type", sync(func(r *kmsg.SyncGroupRequest) { r.ProtocolType = kmsg.StringPtr("connect") })},
		situation{"other-protocol", sync(func(r *kmsg.SyncGroupRequest) { r.Protocol = kmsg.StringPtr("sticky") })},
		situation{"null-type", sync(func(r *kmsg.SyncGroupRequest) { r.ProtocolType, r.Protocol = nil, nil })}))...)
	beat := func(change func(*kmsg.HeartbeatRequest)) func(*asker) kmsg.Request {
		return func(a *asker) kmsg.Request {
			r := kmsg.NewPtrHeartbeatRequest()
			r.Group = a.named("g")
			r.MemberID, r.Generation = a.joined()
			change(r)
			return r
		}
	}
	out = append(out, about("Heartbeat", 12,
		situation{"plain", beat(func(*kmsg.HeartbeatRequest) {})},
		situation{"unknown-group", beat(func(r *kmsg.HeartbeatRequest) { r.Group = "nobody's" })},
		situation{"empty-group", beat(func(r *kmsg.HeartbeatRequest) { r.Group = "" })},
		situation{"unknown-member", beat(func(r *kmsg.HeartbeatRequest) { r.MemberID = "stranger" })},
		situation{"old-generation", beat(func(r *kmsg.HeartbeatRequest) { r.Generation-- })})...)
	out = append(out, since(3, about("Heartbeat", 12,
		situation{"unknown-instance", beat(func(r *kmsg.HeartbeatRequest) { r.InstanceID = kmsg.StringPtr("i") })}))...)
	leave := func(change func(*kmsg.LeaveGroupRequest)) func(*asker) kmsg.Request {
		return func(a *asker) kmsg.Request {
			r := kmsg.NewPtrLeaveGroupRequest()
			r.Group = a.named("g")
			r.MemberID, _ = a.joined()
			r.Members = []kmsg.LeaveGroupRequestMember{{MemberID: r.MemberID}}
			change(r)
			return r
		}
	}
	out = append(out, about("LeaveGroup", 13,
		situation{"plain", leave(func(*kmsg.LeaveGroupRequest) {})},
		situation{"unknown-group", leave(func(r *kmsg.LeaveGroupRequest) { r.Group = "nobody's" })},
		situation{"empty-group", leave(func(r *kmsg.LeaveGroupRequest) { r.Group = "" })},
		situation{"unknown-member", leave(func(r *kmsg.LeaveGroupRequest) { r.MemberID, r.Members[0].MemberID = "stranger", "stranger" })})...)
	return append(out, since(3, about("LeaveGroup", 13,
		situation{"nobody", leave(func(r *kmsg.LeaveGroupRequest) { r.Members = nil })},
		situation{"twice", leave(func(r *kmsg.LeaveGroupRequest) { r.Members = append(r.Members, r.Members[0]) })},
		situation{"unknown-instance", leave(func(r *kmsg.LeaveGroupRequest) {
			r.Members[0] = kmsg.LeaveGroupRequestMember{InstanceID: kmsg.StringPtr("i")}
		})},
		situation{"one-and-unknown", leave(func(r *kmsg.LeaveGroupRequest) {
			r.Members = append(r.Members, kmsg.LeaveGroupRequestMember{MemberID: "stranger"})
		})}))...)
}

func listQuestions() (out []question) {
	describe := func(operations bool, groups ...string) func(*asker) kmsg.Request {
		return func(a *asker) kmsg.Request {
			a.committed(a.named("offsets"), a.named("t"))
			a.joined()
			r := kmsg.NewPtrDescribeGroupsRequest()
			r.IncludeAuthorizedOperations = operations
			for _, g := range groups {
				if g == "g" || g == "offsets" {
					g = a.named(g)
				}
				r.Groups = append(r.Groups, g)
			}
			return r
		}
	}
	out = about("DescribeGroups", 15,
		situation{"stable", describe(false, "g")}, situation{"offsets-alone", describe(false, "offsets")},
		situation{"unknown", describe(false, "nobody's")}, situation{"empty-name", describe(false, "")},
		situation{"twice", describe(false, "g", "g")},
		situation{"several", describe(false, "offsets", "g", "nobody's")}, situation{"nothing", describe(false)},
		situation{"operations", describe(true, "g", "nobody's")},
		situation{"empty-after-leaving", func(a *asker) kmsg.Request {
			r := describe(false, "g")(a)
			leave := kmsg.NewPtrLeaveGroupRequest()
			member := a.do(r).(*kmsg.DescribeGroupsResponse)
			if len(member.Groups) == 1 && len(member.Groups[0].Members) == 1 {
				leave.Group, leave.Members = a.named("g"), []kmsg.LeaveGroupRequestMember{{MemberID: member.Groups[0].Members[0].MemberID}}
				a.do(leave)
			}
			return r
		}})
	list := func(states, types []string) func(*asker) kmsg.Request {
		return func(a *asker) kmsg.Request {
			r := kmsg.NewPtrListGroupsRequest()
			r.StatesFilter, r.TypesFilter = states, types
			return r
		}
	}
	out = append(out, about("ListGroups", 16, situation{"all", func(a *asker) kmsg.Request {
		describe(false)(a)
		return list(nil, nil)(a)
	}})...)
	out = append(out, since(4, about("ListGroups", 16,
		situation{"stable", list([]string{"Stable"}, nil)}, situation{"lower-case-state", list([]string{"stable"}, nil)},
		situation{"upper-case-state", list([]string{"EMPTY"}, nil)}, situation{"two-states", list([]string{"Empty", "Dead"}, nil)},
		situation{"unknown-state", list([]string{"Bored"}, nil)}, situation{"empty-state", list([]string{""}, nil)},
		situation{"consumer-state", list([]string{"assigning"}, nil)}))...)
	out = append(out, since(5, about("ListGroups", 16,
		situation{"classic", list(nil, []string{"classic"})}, situation{"upper-case-type", list(nil, []string{"CLASSIC"})},
		situation{"consumer", list(nil, []string{"Consumer"})}, situation{"unknown-type", list(nil, []string{"bored"})},
		situation{"empty-type", list(nil, []string{""})},
		situation{"share", list(nil, []string{"share"})}, situation{"state-and-type", list([]string{"Empty"}, []string{"consumer", "classic"})}))...)
	remove := func(groups ...string) func(*asker) kmsg.Request {
		return func(a *asker) kmsg.Request {
			described := describe(false, groups...)(a).(*kmsg.DescribeGroupsRequest)
			r := kmsg.NewPtrDeleteGroupsRequest()
			r.Groups = described.Groups
			return r
		}
	}
	return append(out, about("DeleteGroups", 42,
		situation{"one", remove("offsets")}, situation{"with-member", remove("g")}, situation{"unknown", remove("nobody's")},
		situation{"empty-name", remove("")}, situation{"nothing", remove()}, situation{"twice", remove("offsets", "offsets")},
		situation{"several", remove("g", "offsets", "nobody's")})...)
}
