package main

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// visible is text that others chose, such as the name of a group, as people may see it: what moves the cursor, sets the title or turns the
// direction of writing stands as an escape (\x1b, \u202e), and so do bytes that are no UTF-8. A backslash stays; what is exact is JSON.
func visible(text string) string { return visibleBut(text, "") }

// visibleBut leaves some runes as they are.
func visibleBut(text, but string) string {
	hidden := func(r rune) bool { return !unicode.IsPrint(r) && !strings.ContainsRune(but, r) }
	if utf8.ValidString(text) && !strings.ContainsFunc(text, hidden) {
		return text
	}
	var out strings.Builder
	for len(text) > 0 {
		r, size := utf8.DecodeRuneInString(text)
		if r == utf8.RuneError && size == 1 || hidden(r) {
			quoted := strconv.Quote(text[:size])
			out.WriteString(quoted[1 : len(quoted)-1])
		} else {
			out.WriteRune(r)
		}
		text = text[size:]
	}
	return out.String()
}

// obeyedByTerminals is what JSON may hold as it is and a terminal acts upon: DEL and the control characters above ASCII, of which U+009B begins
// a sequence like ESC [, and those that turn the direction of writing.
var obeyedByTerminals = regexp.MustCompile(`[\x{7f}-\x{9f}\x{200e}\x{200f}\x{2028}-\x{202e}\x{2066}-\x{2069}]`)

// jsonEscape means the same to every reader of JSON.
func jsonEscape(b []byte) []byte {
	r, _ := utf8.DecodeRune(b)
	return fmt.Appendf(nil, `\u%04x`, r)
}
