package portal

import (
	"regexp"
	"slices"
	"strings"
)

// reason is why a file or a row is not taken, as the page says it.
type reason struct {
	Text    string
	Foreign bool // the API's own words, which are English
	known   bool
}

// The API gives its reasons in English sentences. The English messages under this prefix are those sentences, so that
// each is found by what it says and told in the reader's language.
const reasonPrefix = "import.reason."

// knownReason finds one of the API's sentences, with whatever stands at its places.
type knownReason struct {
	key     string
	pattern *regexp.Regexp
}

var placeInPattern = regexp.MustCompile(`\\\{([a-z]+)\\\}`)

// knownReasons reads the sentences from the English messages, the longest first: it says the most.
func knownReasons(english map[string]string) []knownReason {
	var all []knownReason
	for key, text := range english {
		if strings.HasPrefix(key, reasonPrefix) {
			pattern := placeInPattern.ReplaceAllString(regexp.QuoteMeta(text), `(?P<$1>.+?)`)
			all = append(all, knownReason{key, regexp.MustCompile(`^` + pattern + `$`)})
		}
	}
	slices.SortFunc(all, func(a, b knownReason) int {
		if n := len(english[b.key]) - len(english[a.key]); n != 0 {
			return n
		}
		return strings.Compare(a.key, b.key)
	})
	return all
}

// missingColumn is the one sentence about a whole file that a page says in its own way: here nobody writes maps.
var missingColumn = regexp.MustCompile(`^column ([a-z_0-9]+) is missing: `)

// sentence tells a reason without its column in the reader's language; it is false for one that is not known.
func (v *visit) sentence(text string) (string, bool) {
	if found := missingColumn.FindStringSubmatch(text); found != nil {
		c := columnChoice{}
		c.named(found[1])
		return v.speech.text("import.missing", "column", v.speech.text(c.Label, "n", c.Number)), true
	}
	for _, known := range v.s.reasons {
		found := known.pattern.FindStringSubmatch(text)
		if found == nil {
			continue
		}
		var pairs []any
		for i, name := range known.pattern.SubexpNames()[1:] {
			pairs = append(pairs, name, found[i+1])
		}
		return v.speech.text(known.key, pairs...), true
	}
	return "", false
}

// reason tells a reason, with or without the column before it.
func (v *visit) reason(text string) reason {
	if said, known := v.sentence(text); known {
		return reason{Text: said, known: true}
	}
	for at, rest := 0, text; ; {
		cut := strings.Index(rest, ": ")
		if cut < 0 {
			return reason{Text: text, Foreign: v.speech.Code != languages[0]}
		}
		at += cut + len(": ")
		rest = text[at:]
		if said, known := v.sentence(rest); known {
			return reason{Text: text[:at] + said, known: true}
		}
	}
}

func (v *visit) reasons(texts ...string) []reason {
	var all []reason
	for _, text := range texts {
		all = append(all, v.reason(text))
	}
	return all
}

// joinedReasons parts the reasons of a rejected row, which stand in one cell with "; " between them. Some sentences hold
// that sign themselves.
func (v *visit) joinedReasons(cell string) []reason {
	var all []reason
	parts := strings.Split(cell, "; ")
	for len(parts) > 0 {
		n, next := 1, v.reason(parts[0])
		for longer := 2; !next.known && longer <= len(parts); longer++ {
			if whole := v.reason(strings.Join(parts[:longer], "; ")); whole.known {
				n, next = longer, whole
			}
		}
		all, parts = append(all, next), parts[n:]
	}
	return all
}
