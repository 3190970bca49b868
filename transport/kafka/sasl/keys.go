package sasl

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/binary"
	"hash"

	"github.com/troupe-broker/troupe/actors/protocol"
	"github.com/troupe-broker/troupe/cluster/image"
)

// hasher is the hash of a mechanism.
func hasher(m protocol.ScramMechanism) func() hash.Hash {
	if m == protocol.ScramSHA512 {
		return sha512.New
	}
	return sha256.New
}

func mac(m protocol.ScramMechanism, key, text []byte) []byte {
	h := hmac.New(hasher(m), key)
	_, _ = h.Write(text)
	return h.Sum(nil)
}

func digest(m protocol.ScramMechanism, text []byte) []byte {
	h := hasher(m)()
	_, _ = h.Write(text)
	return h.Sum(nil)
}

// Keys are what is stored of a salted password: the key that a client's proof is held against, and the one that signs our last message.
// Both are nil for a mechanism that is not known and for no password.
func Keys(m protocol.ScramMechanism, salted []byte) (stored, server protocol.Secret) {
	if !m.Known() || len(salted) == 0 {
		return nil, nil
	}
	return digest(m, mac(m, salted, []byte("Client Key"))), mac(m, salted, []byte("Server Key"))
}

// What a credential looks like where there is none to take an example from: what Kafka's tools make.
const (
	saltSize   = 24 // bytes
	iterations = 4096
)

// nobody is the credential of a user that does not exist. No password fits it. It asks for as many iterations as some user's, always the
// same one's for a name: a number that no user or only one has would tell who exists.
func nobody(img *image.Image, m protocol.ScramMechanism, user string) *image.ScramCredential {
	out := &image.ScramCredential{User: user, Mechanism: m, Iterations: iterations}
	size, secret := saltSize, []byte(nil)
	if first, ok := img.ScramFrom(m, ""); ok {
		secret = append(append(secret, first.StoredKey...), first.ServerKey...)
		like, _ := img.ScramFrom(m, lot(mac(m, secret, []byte("like "+user))))
		size, out.Iterations = len(first.Salt), like.Iterations
	}
	for n := uint64(0); len(out.Salt) < size; n++ {
		out.Salt = append(out.Salt, mac(m, secret, binary.BigEndian.AppendUint64([]byte("salt "+user), n))...)
	}
	out.Salt = out.Salt[:size]
	out.StoredKey = mac(m, secret, []byte("stored "+user))
	out.ServerKey = mac(m, secret, []byte("server "+user))
	return out
}

// lot is a name to draw a user with: four letters.
func lot(chance []byte) string {
	var name [4]byte
	for i := range name {
		name[i] = 'a' + chance[i]%26
	}
	return string(name[:])
}
