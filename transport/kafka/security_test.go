package kafka

import (
	"bytes"
	"crypto/pbkdf2"
	"crypto/sha256"
	"fmt"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/troupe-broker/troupe/actors/protocol"
)

// What a user is given by AlterUserScramCredentials is what it can log in with, and nothing of it is shown or sent further.
func TestUsersAreMadeDescribedAndDeleted(t *testing.T) {
	w := newWorld(t)
	c := w.connect()
	salt := []byte("salt of the client")
	salted, err := pbkdf2.Key(sha256.New, "pencil", salt, 4096, sha256.Size)
	if err != nil {
		t.Fatal(err)
	}
	alter := kmsg.NewPtrAlterUserSCRAMCredentialsRequest()
	alter.Upsertions = []kmsg.AlterUserSCRAMCredentialsRequestUpsertion{
		{Name: "user", Mechanism: 1, Iterations: 4096, Salt: salt, SaltedPassword: salted},
		{Name: "low", Mechanism: 2, Iterations: 4095, Salt: salt, SaltedPassword: salted},
		{Name: "twice", Mechanism: 1, Iterations: 4096, Salt: salt, SaltedPassword: salted},
		{Name: "odd", Mechanism: 7, Iterations: 4096, Salt: salt, SaltedPassword: salted},
	}
	alter.Deletions = []kmsg.AlterUserSCRAMCredentialsRequestDeletion{{Name: "twice", Mechanism: 1}, {Name: "gone", Mechanism: 1}, {Name: "", Mechanism: 1}}
	want := "twice 91, gone 91,  93, user 0, low 93, odd 33"
	if got := altered(ask[*kmsg.AlterUserSCRAMCredentialsResponse](c, 0, alter)); got != want {
		t.Errorf("altered: %s; want %s", got, want)
	}
	cmd := w.ctl.got[0].(*protocol.AlterScramCredentials)
	if shown := fmt.Sprintf("%+v", cmd); strings.Contains(shown, "115 97 108") || !strings.Contains(shown, "[hidden]") {
		t.Errorf("a message shows keys: %s", shown)
	}
	for _, change := range cmd.Changes {
		if bytes.Equal(change.StoredKey, salted) || bytes.Equal(change.ServerKey, salted) {
			t.Error("the salted password went further than the edge")
		}
	}
	g := w.guarded(scramAuthentication())
	if r := g.login(2, "SCRAM-SHA-256", "user", "pencil"); r.ErrorCode != 0 {
		t.Errorf("the new user cannot log in: %v", *r.ErrorMessage)
	}

	w.user("alice", "secret")
	describe := func(users ...string) string {
		req := kmsg.NewPtrDescribeUserSCRAMCredentialsRequest()
		for _, u := range users {
			req.Users = append(req.Users, kmsg.DescribeUserSCRAMCredentialsRequestUser{Name: u})
		}
		return described(ask[*kmsg.DescribeUserSCRAMCredentialsResponse](c, 0, req))
	}
	if got, want := describe(), "alice 0 [1:4096 2:4096], user 0 [1:4096]"; got != want {
		t.Errorf("all: %s; want %s", got, want)
	}
	if got, want := describe("user", "nobody", "alice", "user"), "user 92 [], nobody 91 [], alice 0 [1:4096 2:4096]"; got != want {
		t.Errorf("some: %s; want %s", got, want)
	}
	alter = kmsg.NewPtrAlterUserSCRAMCredentialsRequest()
	alter.Deletions = []kmsg.AlterUserSCRAMCredentialsRequestDeletion{{Name: "user", Mechanism: 1}}
	if got := altered(ask[*kmsg.AlterUserSCRAMCredentialsResponse](c, 0, alter)); got != "user 0" {
		t.Errorf("deleted: %s", got)
	}
	if r := w.guarded(scramAuthentication()).login(2, "SCRAM-SHA-256", "user", "pencil"); r.ErrorCode != 58 {
		t.Errorf("a deleted user logs in: %+v", r)
	}
	if got := altered(ask[*kmsg.AlterUserSCRAMCredentialsResponse](c, 0, kmsg.NewPtrAlterUserSCRAMCredentialsRequest())); got != "" {
		t.Errorf("nothing to alter: %s", got)
	}
}

func altered(r *kmsg.AlterUserSCRAMCredentialsResponse) string {
	var out []string
	for _, row := range r.Results {
		out = append(out, fmt.Sprint(row.User, " ", row.ErrorCode))
	}
	return strings.Join(out, ", ")
}

func described(r *kmsg.DescribeUserSCRAMCredentialsResponse) string {
	var out []string
	for _, row := range r.Results {
		var infos []string
		for _, i := range row.CredentialInfos {
			infos = append(infos, fmt.Sprint(i.Mechanism, ":", i.Iterations))
		}
		out = append(out, fmt.Sprint(row.User, " ", row.ErrorCode, " ", infos))
	}
	return strings.Join(out, ", ")
}

func TestThereIsNoAuthorizer(t *testing.T) {
	c := newWorld(t).connect()
	for version := int16(1); version <= 3; version++ {
		if r := ask[*kmsg.DescribeACLsResponse](c, version, kmsg.NewPtrDescribeACLsRequest()); r.ErrorCode != 54 || *r.ErrorMessage != "No Authorizer is configured on the broker" {
			t.Errorf("v%d: %+v", version, r)
		}
		create := kmsg.NewPtrCreateACLsRequest()
		create.Creations = []kmsg.CreateACLsRequestCreation{kmsg.NewCreateACLsRequestCreation(), kmsg.NewCreateACLsRequestCreation()}
		if r := ask[*kmsg.CreateACLsResponse](c, version, create); len(r.Results) != 2 || r.Results[1].ErrorCode != 54 || *r.Results[1].ErrorMessage != "No Authorizer is configured." {
			t.Errorf("v%d: %+v", version, r)
		}
		remove := kmsg.NewPtrDeleteACLsRequest()
		remove.Filters = []kmsg.DeleteACLsRequestFilter{kmsg.NewDeleteACLsRequestFilter()}
		if r := ask[*kmsg.DeleteACLsResponse](c, version, remove); len(r.Results) != 1 || r.Results[0].ErrorCode != 54 || len(r.Results[0].MatchingACLs) != 0 {
			t.Errorf("v%d: %+v", version, r)
		}
	}
}
