package sasl

import (
	"crypto/hmac"
	"encoding/base64"
	"errors"
	"strconv"

	"github.com/troupe-broker/troupe/actors/protocol"
	"github.com/troupe-broker/troupe/cluster/image"
)

// Why a login fails. What the client is told of ErrCredentials must not say more than that.
var (
	ErrCredentials = errors.New("invalid credentials")
	// ErrOther is one who knows a password and wants to be somebody else with it.
	ErrOther = errors.New("Authentication failed: Client requested an authorization id that is different from username")
)

// tokenMax is the longest message of a client, in bytes.
const tokenMax = 16 << 10

// plainHead is the head without authorization, which some clients repeat (c=biws) whatever head they sent. Kafka looks at none.
const plainHead = "n,,"

// Conversation is one attempt to log in.
type Conversation struct {
	mechanism protocol.ScramMechanism
	image     *image.Image
	own       string // our nonce
	step      step

	first      clientFirst
	reply      string // server-first-message
	credential *image.ScramCredential
	known      bool // the credential is a user's
}

type step uint8

const (
	wantsFirst step = iota
	wantsFinal
	done
	failed
)

// Begin begins a conversation with a client that chose the mechanism. The nonce is ours: printable, without commas, never used before and
// not to be guessed. Credentials are those of the image, also if they change meanwhile.
func Begin(img *image.Image, mechanism protocol.ScramMechanism, nonce string) *Conversation {
	return &Conversation{mechanism: mechanism, image: img, own: nonce}
}

// Done reports whether the client has shown that it is User.
func (c *Conversation) Done() bool { return c.step == done }

// User is who the client is. Before Done it is only what it says.
func (c *Conversation) User() string { return c.first.user }

// Mechanism is the one that the client chose.
func (c *Conversation) Mechanism() protocol.ScramMechanism { return c.mechanism }

// Step takes a message and returns the answer. After an error, ErrCredentials or ErrOther, and after Done, there is nothing to come: any
// further message is an error.
func (c *Conversation) Step(token []byte) (answer []byte, err error) {
	text := ""
	if len(token) > tokenMax {
		c.step = failed
	} else {
		text = string(token)
	}
	switch c.step {
	case wantsFirst:
		text, err = c.begin(text)
	case wantsFinal:
		text, err = c.finish(text)
	default:
		err = ErrCredentials
	}
	if err != nil {
		c.step, c.credential, c.image = failed, nil, nil
		return nil, err
	}
	return []byte(text), nil
}

func (c *Conversation) begin(text string) (string, error) {
	var ok bool
	if c.first, ok = parseFirst(text); !ok {
		return "", ErrCredentials
	}
	if c.first.authorization != "" && c.first.authorization != c.first.user {
		return "", ErrOther
	}
	nobody := nobody(c.image, c.mechanism, c.first.user) // made in any case: it takes time
	if c.credential, c.known = c.image.Scram(c.mechanism, c.first.user); !c.known {
		c.credential = nobody
	}
	c.reply = "r=" + c.first.nonce + c.own + ",s=" + base64.StdEncoding.EncodeToString(c.credential.Salt) + ",i=" + strconv.Itoa(int(c.credential.Iterations))
	c.step = wantsFinal
	return c.reply, nil
}

func (c *Conversation) finish(text string) (string, error) {
	last, ok := parseFinal(text)
	if !ok || last.nonce != c.first.nonce+c.own || last.binding != c.first.head && last.binding != plainHead {
		return "", ErrCredentials
	}
	signed := []byte(c.first.bare + "," + c.reply + "," + last.bare)
	key := mac(c.mechanism, c.credential.StoredKey, signed)
	if len(last.proof) != len(key) {
		return "", ErrCredentials
	}
	for i := range key {
		key[i] ^= last.proof[i]
	}
	proved := hmac.Equal(digest(c.mechanism, key), c.credential.StoredKey)
	signature := mac(c.mechanism, c.credential.ServerKey, signed)
	if !proved || !c.known {
		return "", ErrCredentials
	}
	c.step, c.credential, c.image = done, nil, nil
	return "v=" + base64.StdEncoding.EncodeToString(signature), nil
}
