package portal

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// reason is what the API says about a file, a row, a field or a delivery, as the page says it.
type reason struct {
	Text    string
	Foreign bool // the API's own words, which are English
	known   bool
}

// The API speaks in English sentences and gives them no other name. messages/api.json holds those that people meet on
// pages: each is found by what it says, whatever stands at its {places}, and told in the reader's language. Where a row
// has no English of its own, the API's is good enough for a page. What is not in the table is shown as the API says it.
const apiWordsFile = "messages/api.json"

// apiSentence is one row of the table.
type apiSentence struct {
	said    string
	pattern *regexp.Regexp
	told    map[string]string // by language
}

var (
	place          = regexp.MustCompile(`\{[a-z]+\}`)
	placeInPattern = regexp.MustCompile(`\\\{([a-z]+)\\\}`)
)

// readAPIWords gives the sentences, first the one of the most words of its own: it says the most.
func readAPIWords() ([]apiSentence, error) {
	text, err := messageFiles.ReadFile(apiWordsFile)
	if err != nil {
		return nil, err
	}
	var rows []map[string]string
	if err := json.Unmarshal(text, &rows); err != nil {
		return nil, fmt.Errorf("%s: %w", apiWordsFile, err)
	}
	var all []apiSentence
	for _, row := range rows {
		said := row["said"]
		if row[languages[0]] == "" {
			row[languages[0]] = said
		}
		pattern, err := regexp.Compile(`^` + placeInPattern.ReplaceAllString(regexp.QuoteMeta(said), `(?P<$1>.+?)`) + `$`)
		if err != nil {
			return nil, fmt.Errorf("%s: %q: %w", apiWordsFile, said, err)
		}
		all = append(all, apiSentence{said, pattern, row})
	}
	own := func(s apiSentence) int { return len(place.ReplaceAllString(s.said, "")) }
	slices.SortStableFunc(all, func(a, b apiSentence) int { return own(b) - own(a) })
	return all, nil
}

// missingColumn is the one sentence about a whole file that a page says in its own way: here nobody writes maps.
var missingColumn = regexp.MustCompile(`^column ([a-z_0-9]+) is missing: `)

// sentence tells one of the API's sentences in the reader's language; it is false for one that is not known.
func (v *visit) sentence(text string) (string, bool) {
	if found := missingColumn.FindStringSubmatch(text); found != nil {
		c := columnChoice{}
		c.named(found[1])
		return v.speech.text("import.missing", "column", v.speech.text(c.Label, "n", c.Number)), true
	}
	for _, known := range v.s.apiWords {
		found := known.pattern.FindStringSubmatch(text)
		if found == nil {
			continue
		}
		var pairs []any
		for i, name := range known.pattern.SubexpNames()[1:] {
			at := found[i+1]
			if name == "why" { // a sentence within the sentence
				at = v.reason(at).Text
			}
			pairs = append(pairs, name, at)
		}
		return fill(known.told[v.speech.Code], pairs), true
	}
	return "", false
}

// reason tells what the API said, with or without the column or the line before it.
func (v *visit) reason(text string) reason {
	if said, known := v.sentence(text); known {
		return reason{Text: said, known: true}
	}
	for at, rest := 0, text; ; {
		cut := strings.Index(rest, ": ")
		if cut < 0 {
			return reason{Text: text, Foreign: text != "" && v.speech.Code != languages[0]}
		}
		at += cut + len(": ")
		rest = text[at:]
		if said, known := v.sentence(rest); known {
			before := text[:at-len(": ")]
			if told, known := v.sentence(before); known {
				before = told
			}
			return reason{Text: before + ": " + said, known: true}
		}
	}
}

// refusal is a reason that stands by itself.
func (v *visit) refusal(text string) reason {
	r := v.reason(text)
	if first, size := utf8.DecodeRuneInString(r.Text); r.known {
		r.Text = string(unicode.ToUpper(first)) + r.Text[size:]
	}
	return r
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
