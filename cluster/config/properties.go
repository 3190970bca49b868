package config

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/troupe-broker/troupe/actors/protocol"
)

// PropertiesSizeMax bounds a properties text, in bytes.
const PropertiesSizeMax = 1 << 20

// ParseProperties reads the syntax of java.util.Properties: key and value separated by =, : or white space; lines that begin with #
// or ! are comments; a backslash joins lines and escapes; \uXXXX is a UTF-16 unit, and half a pair becomes U+FFFD. The text is UTF-8, of which
// Kafka's reader makes Latin-1: a path with ä means that path here, and beyond ASCII \uXXXX means the same to both. Entries are in order of the
// text, with the last of several values of one key at the place of the first. Errors name the line.
func ParseProperties(text string) ([]protocol.ConfigEntry, error) {
	if len(text) > PropertiesSizeMax {
		return nil, fmt.Errorf("properties: %d bytes are over the limit of %d", len(text), PropertiesSizeMax)
	}
	var out []protocol.ConfigEntry
	place := map[string]int{}
	lines := propertyLines{rest: strings.TrimPrefix(text, "\ufeff")}
	for {
		line, number, ok := lines.next()
		if !ok {
			return out, nil
		}
		rawKey, rawValue := splitProperty(line)
		key, err := unescape(rawKey)
		if err != nil {
			return nil, fmt.Errorf("properties line %d: %w", number, err)
		}
		val, err := unescape(rawValue)
		if err != nil {
			return nil, fmt.Errorf("properties line %d: %s: %w", number, key, err)
		}
		if i, again := place[key]; again {
			out[i].Value = val
			continue
		}
		place[key] = len(out)
		out = append(out, protocol.ConfigEntry{Key: key, Value: val})
	}
}

// propertyLines yields logical lines: comments and blanks dropped, continuations joined.
type propertyLines struct {
	rest   string
	number int // of the last natural line read
}

func (l *propertyLines) next() (line string, number int, ok bool) {
	for {
		natural, ok := l.natural()
		if !ok {
			return "", l.number, false
		}
		natural = trimBlank(natural)
		if natural == "" || natural == `\` || natural[0] == '#' || natural[0] == '!' {
			continue // a backslash alone continues nothing: the next line begins anew, and may be a comment
		}
		number = l.number
		if !continues(natural) {
			return natural, number, true
		}
		var joined strings.Builder
		for ok && continues(natural) {
			joined.WriteString(natural[:len(natural)-1])
			natural, ok = l.natural()
			natural = trimBlank(natural)
		}
		joined.WriteString(natural)
		return joined.String(), number, true
	}
}

// natural cuts off one line ended by \n, \r or \r\n.
func (l *propertyLines) natural() (string, bool) {
	if l.rest == "" {
		return "", false
	}
	l.number++
	end := strings.IndexAny(l.rest, "\r\n")
	if end < 0 {
		line := l.rest
		l.rest = ""
		return line, true
	}
	line, after := l.rest[:end], end+1
	if strings.HasPrefix(l.rest[end:], "\r\n") {
		after++
	}
	l.rest = l.rest[after:]
	return line, true
}

func trimBlank(s string) string { return strings.TrimLeft(s, " \t\f") }

// continues reports whether the line ends with an odd number of backslashes.
func continues(line string) bool {
	return (len(line)-len(strings.TrimRight(line, `\`)))%2 == 1
}

// splitProperty finds the first unescaped =, : or blank; one = or : between blanks belongs to the separator.
func splitProperty(line string) (key, val string) {
	end := 0
	for end < len(line) && !strings.ContainsRune("=: \t\f", rune(line[end])) {
		if line[end] == '\\' {
			end++
		}
		end++
	}
	end = min(end, len(line))
	key, val = line[:end], trimBlank(line[end:])
	if val != "" && (val[0] == '=' || val[0] == ':') {
		val = trimBlank(val[1:])
	}
	return key, val
}

func unescape(s string) (string, error) {
	if !strings.Contains(s, `\`) {
		return s, nil
	}
	var out strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' {
			out.WriteByte(s[i])
			continue
		}
		if i++; i == len(s) {
			break // a lone backslash at the end of the text joins with nothing
		}
		switch s[i] {
		case 't':
			out.WriteByte('\t')
		case 'n':
			out.WriteByte('\n')
		case 'r':
			out.WriteByte('\r')
		case 'f':
			out.WriteByte('\f')
		case 'u':
			r, size, err := utf16Escape(s[i-1:])
			if err != nil {
				return "", err
			}
			out.WriteRune(r)
			i += size - 2
		default:
			out.WriteByte(s[i])
		}
	}
	return out.String(), nil
}

// utf16Escape reads \uXXXX, or a surrogate pair of two, at the head of s.
func utf16Escape(s string) (r rune, size int, err error) {
	unit := func(s string) (rune, bool) {
		if len(s) < 6 || s[0] != '\\' || s[1] != 'u' {
			return 0, false
		}
		n, err := strconv.ParseUint(s[2:6], 16, 16)
		return rune(n), err == nil
	}
	high, ok := unit(s)
	if !ok {
		return 0, 0, fmt.Errorf(`malformed \uXXXX escape`)
	}
	if high < 0xd800 || high > 0xdfff {
		return high, 6, nil
	}
	if low, ok := unit(s[6:]); ok && high < 0xdc00 && low >= 0xdc00 && low <= 0xdfff {
		return (high-0xd800)<<10 | (low - 0xdc00) + 0x10000, 12, nil
	}
	return utf8.RuneError, 6, nil
}
