package main

import (
	"regexp"
	"slices"
	"strings"
)

// excerptAround is how much of a text is shown before and after what was found, in bytes.
const excerptAround = 32

// searchSettings finds the settings whose names or texts have all the words, by any case. Those with a word in the name come first.
func searchSettings(words []string) settingDocs {
	var byName, byText settingDocs
	for _, s := range scopes {
		for _, k := range s.keys() {
			d := docOf(&k, s.name)
			name, text := strings.ToLower(d.Key), strings.ToLower(d.Doc)
			missing := slices.ContainsFunc(words, func(w string) bool {
				w = strings.ToLower(w)
				return !strings.Contains(name, w) && !strings.Contains(text, w)
			})
			if missing {
				continue
			}
			d.found = words
			if slices.ContainsFunc(words, func(w string) bool { return strings.Contains(name, strings.ToLower(w)) }) {
				byName = append(byName, d)
			} else {
				byText = append(byText, d)
			}
		}
	}
	return append(byName, byText...)
}

// excerpt is the part of the text around the first word that was found in it; empty if none was.
func (d settingDoc) excerpt() string {
	low := strings.ToLower(d.Doc)
	for _, w := range d.found {
		at := strings.Index(low, strings.ToLower(w))
		if at < 0 || len(low) != len(d.Doc) { // lower case of another length is too rare to be worth more
			continue
		}
		from, to := max(0, at-excerptAround), min(len(d.Doc), at+len(w)+excerptAround)
		if i := strings.IndexByte(d.Doc[from:at], ' '); from > 0 && i >= 0 {
			from += i + 1
		}
		if i := strings.LastIndexByte(d.Doc[at+len(w):to], ' '); to < len(d.Doc) && i >= 0 {
			to = at + len(w) + i
		}
		return ellipsis(from > 0) + strings.ToValidUTF8(d.Doc[from:to], "") + ellipsis(to < len(d.Doc))
	}
	return ""
}

func ellipsis(cut bool) string {
	if cut {
		return "…"
	}
	return ""
}

const (
	highlightOn  = "\x1b[1;33m"
	highlightOff = "\x1b[0m"
)

// highlight marks words in a text, by any case.
func highlight(text string, words []string) string {
	if len(words) == 0 {
		return text
	}
	quoted := make([]string, len(words))
	for i, w := range words {
		quoted[i] = regexp.QuoteMeta(w)
	}
	return regexp.MustCompile("(?i)"+strings.Join(quoted, "|")).ReplaceAllString(text, highlightOn+"$0"+highlightOff)
}

// marks are the words that were looked for, on a terminal that shows colours.
func (all settingDocs) marks() (words []string) {
	for _, d := range all {
		if d.colour && len(d.found) > 0 {
			return d.found
		}
	}
	return nil
}
