package main

import "github.com/twmb/franz-go/pkg/kmsg"

// securityQuestions are about users, and about who may do what where there is no authorizer.
func securityQuestions() (out []question) {
	out = append(out, aclQuestions()...)
	out = append(out, scramQuestions()...)
	shake := func(mechanism string) func(*asker) kmsg.Request {
		return func(*asker) kmsg.Request {
			r := kmsg.NewPtrSASLHandshakeRequest()
			r.Mechanism = mechanism
			return r
		}
	}
	out = append(out, about("SaslHandshake", 17, situation{"plaintext-listener", shake("SCRAM-SHA-256")})...)
	return append(out, about("SaslAuthenticate", 36, situation{"plaintext-listener", func(*asker) kmsg.Request {
		r := kmsg.NewPtrSASLAuthenticateRequest()
		r.SASLAuthBytes = []byte("n,,n=user,r=abc")
		return r
	}})...)
}

func aclQuestions() (out []question) {
	all := kmsg.StringPtr("*")
	return append(append(about("DescribeAcls", 29, situation{"any", func(*asker) kmsg.Request {
		r := kmsg.NewPtrDescribeACLsRequest()
		r.ResourceType, r.ResourcePatternType, r.Operation, r.PermissionType = 1, 1, 1, 1
		return r
	}}, situation{"type-9", func(*asker) kmsg.Request {
		r := kmsg.NewPtrDescribeACLsRequest()
		r.ResourceType, r.ResourcePatternType, r.Operation, r.PermissionType = 99, 1, 1, 1
		return r
	}}),
		about("CreateAcls", 30, situation{"one", func(*asker) kmsg.Request {
			r := kmsg.NewPtrCreateACLsRequest()
			r.Creations = []kmsg.CreateACLsRequestCreation{{ResourceType: 2, ResourceName: "t", ResourcePatternType: 3, Principal: "User:a", Host: "*", Operation: 3, PermissionType: 3}}
			return r
		}}, situation{"nothing", func(*asker) kmsg.Request { return kmsg.NewPtrCreateACLsRequest() }})...),
		about("DeleteAcls", 31, situation{"one", func(*asker) kmsg.Request {
			r := kmsg.NewPtrDeleteACLsRequest()
			r.Filters = []kmsg.DeleteACLsRequestFilter{{ResourceType: 2, ResourceName: all, ResourcePatternType: 3, Operation: 1, PermissionType: 1}}
			return r
		}}, situation{"nothing", func(*asker) kmsg.Request { return kmsg.NewPtrDeleteACLsRequest() }})...)
}

func scramQuestions() (out []question) {
	type request = kmsg.AlterUserSCRAMCredentialsRequest
	upsert := func(change func(*kmsg.AlterUserSCRAMCredentialsRequestUpsertion)) func(*asker) kmsg.Request {
		return func(a *asker) kmsg.Request {
			r := kmsg.NewPtrAlterUserSCRAMCredentialsRequest()
			u := kmsg.AlterUserSCRAMCredentialsRequestUpsertion{Name: a.named("u"), Mechanism: 1, Iterations: 4096, Salt: []byte("salt and more"), SaltedPassword: make([]byte, 32)}
			change(&u)
			r.Upsertions = append(r.Upsertions, u)
			return r
		}
	}
	remove := func(users ...string) func(*asker) kmsg.Request {
		return func(a *asker) kmsg.Request {
			a.do(upsert(func(*kmsg.AlterUserSCRAMCredentialsRequestUpsertion) {})(a))
			a.settle()
			r := kmsg.NewPtrAlterUserSCRAMCredentialsRequest()
			for _, u := range users {
				r.Deletions = append(r.Deletions, kmsg.AlterUserSCRAMCredentialsRequestDeletion{Name: a.named(u), Mechanism: 1})
			}
			return r
		}
	}
	type upsertion = kmsg.AlterUserSCRAMCredentialsRequestUpsertion
	out = about("AlterUserScramCredentials", 51,
		situation{"one", upsert(func(*upsertion) {})}, situation{"few-iterations", upsert(func(u *upsertion) { u.Iterations = 10 })},
		situation{"many-iterations", upsert(func(u *upsertion) { u.Iterations = 1 << 30 })},
		situation{"empty-name", upsert(func(u *upsertion) { u.Name = "" })},
		situation{"mechanism-9", upsert(func(u *upsertion) { u.Mechanism = 9 })},
		situation{"mechanism-0", upsert(func(u *upsertion) { u.Mechanism = 0 })},
		situation{"nothing", func(*asker) kmsg.Request { return kmsg.NewPtrAlterUserSCRAMCredentialsRequest() }},
		situation{"delete", remove("u")}, situation{"delete-unknown", remove("nobody")}, situation{"delete-twice", remove("u", "u")},
		situation{"delete-and-upsert", func(a *asker) kmsg.Request {
			r := remove("u")(a).(*request)
			r.Upsertions = upsert(func(*upsertion) {})(a).(*request).Upsertions
			return r
		}},
		situation{"upsert-twice", func(a *asker) kmsg.Request {
			r := upsert(func(*upsertion) {})(a).(*request)
			r.Upsertions = append(r.Upsertions, r.Upsertions[0])
			return r
		}})
	describe := func(users ...string) func(*asker) kmsg.Request {
		return func(a *asker) kmsg.Request {
			remove()(a)
			r := kmsg.NewPtrDescribeUserSCRAMCredentialsRequest()
			for _, u := range users {
				r.Users = append(r.Users, kmsg.DescribeUserSCRAMCredentialsRequestUser{Name: a.named(u)})
			}
			return r
		}
	}
	return append(out, about("DescribeUserScramCredentials", 50,
		situation{"one", describe("u")}, situation{"unknown", describe("nobody")}, situation{"twice", describe("u", "u")}, situation{"all", describe()},
		situation{"none", func(a *asker) kmsg.Request {
			r := kmsg.NewPtrDescribeUserSCRAMCredentialsRequest()
			r.Users = []kmsg.DescribeUserSCRAMCredentialsRequestUser{}
			return r
		}})...)
}
