package sasl

import (
	"bytes"
	"context"
	"crypto/pbkdf2"
	"encoding/base64"
	"errors"
	"strconv"
	"strings"
	"testing"

	kgosasl "github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/scram"

	"github.com/troupe-broker/troupe/actors/protocol"
	"github.com/troupe-broker/troupe/cluster/image"
)

const (
	ownNonce  = "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
	sha256Alg = protocol.ScramSHA256
	sha512Alg = protocol.ScramSHA512
)

func salted(t testing.TB, m protocol.ScramMechanism, password, salt string, iterations int) []byte {
	key, err := pbkdf2.Key(hasher(m), password, []byte(salt), iterations, hasher(m)().Size())
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func credential(t testing.TB, m protocol.ScramMechanism, user, password, salt string, iterations int) image.Record {
	stored, server := Keys(m, salted(t, m, password, salt, iterations))
	return &image.ScramCredentialSet{User: user, Mechanism: m, Iterations: int32(iterations), Salt: []byte(salt), StoredKey: stored, ServerKey: server}
}

// people know their passwords: alice is "secret" under both mechanisms, and there is one whose name wants escaping.
func people(t testing.TB) *image.Image {
	img, _ := image.Empty().Apply(0, []image.Record{
		credential(t, sha256Alg, "alice", "secret", "salt of alice 256", 4096), credential(t, sha512Alg, "alice", "secret", "salt of alice 512", 5000),
		credential(t, sha256Alg, "a=b,c", "secret", "salt of the other", 4096),
	})
	return img
}

// The example of RFC 7677, byte for byte.
func TestTheExampleOfTheStandard(t *testing.T) {
	salt, _ := base64.StdEncoding.DecodeString("W22ZaJ0SNY7soEsUEjb6gQ==")
	img, _ := image.Empty().Apply(0, []image.Record{credential(t, sha256Alg, "user", "pencil", string(salt), 4096)})
	c := Begin(img, sha256Alg, ownNonce)
	for _, exchange := range [][2]string{
		{"n,,n=user,r=rOprNGfwEbeRWgbNEkqO", "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"},
		{"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=", "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="},
	} {
		if c.Done() {
			t.Fatal("done too early")
		}
		got, err := c.Step([]byte(exchange[0]))
		if err != nil || string(got) != exchange[1] {
			t.Fatalf("%q, %v; want %q", got, err, exchange[1])
		}
	}
	if !c.Done() || c.User() != "user" {
		t.Errorf("done %v as %q", c.Done(), c.User())
	}
	if _, err := c.Step(nil); !errors.Is(err, ErrCredentials) || c.Done() {
		t.Error("a message after the end is taken")
	}
}

func mechanismOf(m protocol.ScramMechanism, a scram.Auth) kgosasl.Mechanism {
	if m == sha512Alg {
		return a.AsSha512Mechanism()
	}
	return a.AsSha256Mechanism()
}

// login is a whole conversation with the client of franz-go, which checks our signature.
func login(t *testing.T, img *image.Image, m protocol.ScramMechanism, a scram.Auth) (*Conversation, error) {
	t.Helper()
	client, message, err := mechanismOf(m, a).Authenticate(context.Background(), "host")
	if err != nil {
		t.Fatal(err)
	}
	c := Begin(img, m, ownNonce)
	for {
		reply, err := c.Step(message)
		if err != nil {
			return c, err
		}
		over, next, err := client.Challenge(reply)
		if err != nil {
			t.Fatalf("the client does not believe us: %v", err)
		}
		if over {
			return c, nil
		}
		message = next
	}
}

func TestWhoKnowsThePasswordGetsIn(t *testing.T) {
	img := people(t)
	for _, c := range []struct {
		m    protocol.ScramMechanism
		auth scram.Auth
		want error
	}{
		{sha256Alg, scram.Auth{User: "alice", Pass: "secret"}, nil},
		{sha512Alg, scram.Auth{User: "alice", Pass: "secret"}, nil},
		{sha256Alg, scram.Auth{User: "a=b,c", Pass: "secret"}, nil},
		{sha256Alg, scram.Auth{User: "alice", Pass: "secret", Zid: "alice"}, nil},
		{sha256Alg, scram.Auth{User: "alice", Pass: "secret", Zid: "admin"}, ErrOther},
		{sha256Alg, scram.Auth{User: "alice", Pass: "Secret"}, ErrCredentials},
		{sha512Alg, scram.Auth{User: "alice", Pass: "Secret"}, ErrCredentials},
		{sha256Alg, scram.Auth{User: "bob", Pass: "secret"}, ErrCredentials},
		{sha512Alg, scram.Auth{User: "a=b,c", Pass: "secret"}, ErrCredentials}, // has the other mechanism only
		{sha256Alg, scram.Auth{User: "alice", Pass: "secret", IsToken: true}, ErrCredentials},
	} {
		got, err := login(t, img, c.m, c.auth)
		if !errors.Is(err, c.want) || got.Done() != (c.want == nil) || c.want == nil && got.User() != c.auth.User {
			t.Errorf("%v %+v: %v, done %v as %q", c.m, c.auth, err, got.Done(), got.User())
		}
	}
}

// answer is the right last message to reply, of somebody who knows the salted password.
func answer(m protocol.ScramMechanism, salted []byte, head, bare, reply, own string) string {
	last := "c=" + base64.StdEncoding.EncodeToString([]byte(head)) + ",r=" + own
	signed := []byte(bare + "," + reply + "," + last)
	client := mac(m, salted, []byte("Client Key"))
	proof := mac(m, digest(m, client), signed)
	for i := range proof {
		proof[i] ^= client[i]
	}
	return last + ",p=" + base64.StdEncoding.EncodeToString(proof)
}

// Every way to bend a conversation with the right password is a failed login.
func TestBentConversationsFail(t *testing.T) {
	img, key := people(t), salted(t, sha256Alg, "secret", "salt of alice 256", 4096)
	type last = func(head, bare, reply, nonce string) string
	good := func(head, bare, reply, nonce string) string { return answer(sha256Alg, key, head, bare, reply, nonce) }
	for _, c := range []struct {
		what, first string
		final       last
		ok          bool
	}{
		{"as it should be", "n,,n=alice,r=abc", good, true},
		{"client could bind", "y,,n=alice,r=abc", good, true},
		{"unknown extension", "n,,n=alice,r=abc,color=red", good, true},
		{"client wants to bind", "p=tls-unique,,n=alice,r=abc", good, false},
		{"no head", "n=alice,r=abc", good, false},
		{"mandatory extension", "n,,m=x,n=alice,r=abc", good, false},
		{"user twice", "n,,n=alice,r=abc,n=admin", good, false},
		{"nonce twice", "n,,n=alice,r=abc,r=abc", good, false},
		{"extension twice", "n,,n=alice,r=abc,x=1,x=2", good, false},
		{"authorization behind", "n,,n=alice,r=abc,a=admin", good, false},
		{"wrong order", "n,,r=abc,n=alice", good, false},
		{"no user", "n,,n=,r=abc", good, false},
		{"no nonce", "n,,n=alice,r=", good, false},
		{"blank in the nonce", "n,,n=alice,r=a c", good, false},
		{"bad escape", "n,,n=alice=,r=abc", good, false},
		{"delegation token", "n,,n=alice,r=abc,tokenauth=true", good, false},
		{"somebody else", "n,a=admin,n=alice,r=abc", good, false},
		{"nul", "n,,n=alice,r=abc,x=\x00", good, false},
		{"another nonce", "n,,n=alice,r=abc", func(h, b, r, _ string) string { return good(h, b, r, "abcSomeOtherNonce") }, false},
		{"the client's nonce only", "n,,n=alice,r=abc", func(h, b, r, _ string) string { return good(h, b, r, "abc") }, false},
		{"another head", "n,,n=alice,r=abc", func(_, b, r, n string) string { return good("y,,", b, r, n) }, false},
		{"proof twice", "n,,n=alice,r=abc", func(h, b, r, n string) string { m := good(h, b, r, n); return m + m[strings.LastIndex(m, ",p="):] }, false},
		{"no proof", "n,,n=alice,r=abc", func(h, b, r, n string) string { m := good(h, b, r, n); return m[:strings.LastIndex(m, ",p=")] }, false},
		{"short proof", "n,,n=alice,r=abc", func(h, b, r, n string) string {
			m := good(h, b, r, n)
			return m[:strings.LastIndex(m, ",p=")] + ",p=AAAA"
		}, false},
		{"replay of the first", "n,,n=alice,r=abc", func(h, b, _, _ string) string { return h + b }, false},
		{"too long", "n,,n=alice,r=" + strings.Repeat("x", tokenMax), good, false},
		{"many", "n,,n=alice,r=abc" + strings.Repeat(",x=1", attributesMax), good, false},
	} {
		conversation := Begin(img, sha256Alg, ownNonce)
		reply, err := conversation.Step([]byte(c.first))
		if err == nil {
			bare := c.first[strings.Index(c.first[strings.Index(c.first, ",")+1:], ",")+strings.Index(c.first, ",")+2:]
			head := c.first[:len(c.first)-len(bare)]
			_, err = conversation.Step([]byte(c.final(head, bare, string(reply), "abc"+ownNonce)))
		}
		if (err == nil) != c.ok || conversation.Done() != c.ok {
			t.Errorf("%s: %v, done %v", c.what, err, conversation.Done())
		}
	}
}

// Nobody can tell from the answers, nor from a second try, whether a user exists.
func TestUnknownUsersLookLikeWrongPasswords(t *testing.T) {
	img := people(t)
	reply := func(img *image.Image, user, nonce string) string {
		c := Begin(img, sha256Alg, nonce)
		out, err := c.Step([]byte("n,,n=" + user + ",r=abc"))
		if err != nil {
			t.Fatal(err)
		}
		last := answer(sha256Alg, make([]byte, 32), "n,,", "n="+user+",r=abc", string(out), "abc"+nonce)
		if _, err := c.Step([]byte(last)); !errors.Is(err, ErrCredentials) {
			t.Errorf("%s: %v", user, err)
		}
		return string(out)
	}
	salt := func(text string) []byte {
		b, _ := base64.StdEncoding.DecodeString(strings.Split(strings.Split(text, ",s=")[1], ",i=")[0])
		return b
	}
	known, unknown := reply(img, "alice", "1"), reply(img, "bob", "1")
	if len(known) != len(unknown) || known[strings.Index(known, ",i="):] != unknown[strings.Index(unknown, ",i="):] {
		t.Errorf("%q and %q have other shapes", known, unknown)
	}
	if !bytes.Equal(salt(unknown), salt(reply(img, "bob", "2"))) || bytes.Equal(salt(unknown), salt(reply(img, "carol", "2"))) {
		t.Error("the salt of an unknown user is not its own")
	}
	later, _ := img.Apply(1, []image.Record{credential(t, sha256Alg, "zoe", "x", "another kind of salt, longer", 8192)})
	if !bytes.Equal(salt(unknown), salt(reply(later, "bob", "3"))) {
		t.Error("the salt of an unknown user changes with other users")
	}
	seen := map[string]bool{}
	for i := range 100 {
		text := reply(later, "unknown-"+strconv.Itoa(i), "5")
		seen[text[strings.Index(text, ",i="):]] = true
	}
	if !seen[",i=4096"] || !seen[",i=8192"] || len(seen) != 2 {
		t.Errorf("users have 4096 and 8192 iterations, unknown ones %v", seen)
	}
	if got := reply(image.Empty(), "bob", "4"); len(salt(got)) != saltSize || !strings.HasSuffix(got, ",i="+strconv.Itoa(iterations)) {
		t.Errorf("without any users: %q", got)
	}
}

// FuzzConversation: no two messages whatever get in without the password, and of the right last message not a byte can be another one.
func FuzzConversation(f *testing.F) {
	img, key := people(f), salted(f, sha256Alg, "secret", "salt of alice 256", 4096)
	f.Add("n,,n=alice,r=abc", "c=biws,r=abc"+ownNonce+",p=AAAA", uint16(3), byte(1))
	f.Add("n,a=alice,n=alice,r=abc,x=y", "", uint16(60), byte(0x20))
	f.Add("y,,n=a=3Db=2Cc,r=~", "c=,r=,p=", uint16(0), byte(0))
	f.Fuzz(func(t *testing.T, first, final string, at uint16, by byte) {
		c := Begin(img, sha256Alg, ownNonce)
		reply, err := c.Step([]byte(first))
		if c.Done() {
			t.Fatal("done after one message")
		}
		if err != nil {
			return
		}
		parsed := c.first
		if _, err := c.Step([]byte(final)); err == nil || c.Done() {
			t.Fatalf("%q and %q got in", first, final)
		}
		if parsed.user != "alice" {
			return
		}
		right := []byte(answer(sha256Alg, key, parsed.head, parsed.bare, string(reply), parsed.nonce+ownNonce))
		bent := bytes.Clone(right)
		bent[int(at)%len(bent)] ^= by
		for _, last := range [][]byte{bent, right} {
			c = Begin(img, sha256Alg, ownNonce)
			if _, err := c.Step([]byte(first)); err != nil {
				t.Fatal(err)
			}
			_, err := c.Step(last)
			if ok := bytes.Equal(last, right); (err == nil) != ok || c.Done() != ok {
				t.Fatalf("%q then %q: %v", first, last, err)
			}
		}
	})
}
