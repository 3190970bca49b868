package sasl

import (
	"encoding/base64"
	"slices"
	"strings"
	"unicode/utf8"
)

// clientFirst is the first message of a client.
type clientFirst struct {
	head          string // gs2-header: what is before bare
	bare          string
	authorization string // empty: none
	user          string
	nonce         string
}

// clientFinal is the last one.
type clientFinal struct {
	bare    string // without the proof
	binding string // the head that the client says it sent
	nonce   string
	proof   []byte
}

// delegationToken is the extension by which a client says that it logs in with one, which we do not issue. Source: KIP-48.
const delegationToken = "tokenauth"

func parseFirst(text string) (out clientFirst, ok bool) {
	flag, rest, found := strings.Cut(text, ",")
	authorization, bare, found2 := strings.Cut(rest, ",")
	// y: the client could bind to a channel and sees that we cannot.
	if !found || !found2 || flag != "n" && flag != "y" || !utf8.ValidString(text) {
		return out, false
	}
	out.head, out.bare = text[:len(text)-len(bare)], bare
	if authorization != "" {
		name, isName := strings.CutPrefix(authorization, "a=")
		if out.authorization, ok = unescape(name); !isName || !ok {
			return out, false
		}
	}
	list, ok := attributes(bare)
	if !ok || len(list) < 2 || list[0].name != "n" || list[1].name != "r" || !printable(list[1].value) {
		return out, false
	}
	if slices.ContainsFunc(list, func(a attribute) bool { return a.name == "m" || a.name == "a" || a.name == delegationToken }) {
		return out, false
	}
	out.nonce = list[1].value
	out.user, ok = unescape(list[0].value)
	return out, ok
}

func parseFinal(text string) (out clientFinal, ok bool) {
	list, ok := attributes(text)
	if !ok || len(list) < 3 || list[0].name != "c" || list[1].name != "r" || list[len(list)-1].name != "p" {
		return out, false
	}
	if slices.ContainsFunc(list, func(a attribute) bool { return a.name == "m" }) {
		return out, false
	}
	out.bare, out.nonce = text[:strings.LastIndexByte(text, ',')], list[1].value
	binding, err := base64.StdEncoding.Strict().DecodeString(list[0].value)
	proof, err2 := base64.StdEncoding.Strict().DecodeString(list[len(list)-1].value)
	out.binding, out.proof = string(binding), proof
	return out, err == nil && err2 == nil
}

// attribute is one name=value of a message.
type attribute struct{ name, value string }

// attributesMax bounds those of one message.
const attributesMax = 32

// attributes splits a message. None may come twice, be without a value, or have a name of anything but letters.
func attributes(text string) (out []attribute, ok bool) {
	if strings.Count(text, ",") >= attributesMax || strings.IndexByte(text, 0) >= 0 || !utf8.ValidString(text) {
		return nil, false
	}
	for item := range strings.SplitSeq(text, ",") {
		name, value, found := strings.Cut(item, "=")
		if !found || value == "" || !letters(name) || slices.ContainsFunc(out, func(a attribute) bool { return a.name == name }) {
			return nil, false
		}
		out = append(out, attribute{name, value})
	}
	return out, true
}

func letters(s string) bool {
	for i := range len(s) {
		if c := s[i] | 0x20; c < 'a' || c > 'z' {
			return false
		}
	}
	return s != ""
}

func printable(s string) bool {
	for i := range len(s) {
		if s[i] < 0x21 || s[i] > 0x7e {
			return false
		}
	}
	return true
}

// unescape reads a name, in which =2C stands for a comma and =3D for an equals sign.
func unescape(text string) (string, bool) {
	name := strings.ReplaceAll(strings.ReplaceAll(text, "=2C", ","), "=3D", "=")
	if strings.Count(text, "=") != strings.Count(text, "=2C")+strings.Count(text, "=3D") || text == "" || strings.IndexByte(text, 0) >= 0 {
		return "", false
	}
	return name, true
}
