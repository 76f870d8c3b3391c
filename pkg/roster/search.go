package roster

import (
	"cmp"
	"slices"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"

	"github.com/dealreg/dealreg/pkg/deal"
)

// searchable is how searches see a company.
type searchable struct {
	position string // where its name stands among all names
	spelled  []spelling
}

// spelling is one way to write a name: its words in lower case, without marks on letters and without punctuation.
type spelling struct {
	text string   // all words, with one space between them
	bare []string // the words that are no legal form; all of them when every one is
	all  []string
}

func searchableOf(c Company) searchable {
	name := NameKey(c.Name)
	if longest := 200; len(name) > longest {
		name = strings.ToValidUTF8(name[:longest], "") // keeps cursors short; more letters decide between no two companies
	}
	return searchable{position: name + "\x00" + c.ID.String(), spelled: spellings(c.Name)}
}

// spellings are the ways in which people write a name: ü as u and, where that differs, as ue.
func spellings(name string) []spelling {
	key := NameKey(name)
	plain, german := spell(key, plainLetters), spell(key, germanLetters)
	if plain.text == german.text {
		return []spelling{plain}
	}
	return []spelling{plain, german}
}

// The letters that are no plain letter with a mark. In company names æ, ø and å are written as ae, o and a, and the
// German and Scandinavian way is ae, oe, ue and aa.
var (
	plainLetters  = strings.NewReplacer("æ", "ae", "œ", "oe", "ø", "o", "đ", "d", "ð", "d", "ł", "l", "ı", "i", "þ", "th", "ß", "ss")
	germanLetters = strings.NewReplacer("ä", "ae", "ö", "oe", "ü", "ue", "å", "aa", "æ", "ae", "œ", "oe", "ø", "oe", "đ", "d", "ð", "d",
		"ł", "l", "ı", "i", "þ", "th", "ß", "ss")
)

func spell(key string, letters *strings.Replacer) spelling {
	plain := strings.Map(func(r rune) rune {
		switch {
		case unicode.Is(unicode.Mn, r), r == '.', r == '\'', r == '’': // S.p.A. is SpA
			return -1
		case unicode.IsLetter(r), unicode.IsDigit(r), unicode.Is(unicode.Mc, r):
			return r
		}
		return ' '
	}, norm.NFD.String(letters.Replace(key)))
	s := spelling{all: strings.Fields(norm.NFC.String(plain))}
	s.text = strings.Join(s.all, " ")
	for _, word := range s.all {
		if !legalForms[word] {
			s.bare = append(s.bare, word)
		}
	}
	if len(s.bare) == 0 {
		s.bare = s.all
	}
	return s
}

// legalForms are words that say what kind of company it is and not which one.
var legalForms = func() map[string]bool {
	forms := map[string]bool{}
	for form := range strings.FieldsSeq(`ab ag aps as asa bhd bv bvba co company corp corporation cv doo ehf eood gbr gesellschaft gmbh
		inc incorporated jsc kft kg kgaa kk lda limited limitada llc llp lp ltd ltda mbh nv ohg ood oy oyj plc pt pte pty pvt sa sarl
		sas sasu sc sdn se sl slu sp spa sprl srl sro ug ulc`) {
		forms[form] = true
	}
	return forms
}()

// The ranks of a hit, the best first.
const (
	rankSame       = iota // the name or the domain
	rankSameBare          // the name without its legal form
	rankBegins            // the name or the domain begins so
	rankWords             // each word of the query begins a word of the name
	rankBareWords         // so does each that is no legal form
	rankDomainWord        // each word of the query begins a label of the domain or a word of the name
	rankInside            // each word of the query is somewhere in the name or the domain
	rankNone
)

// question is a search, read once.
type question struct {
	spelled []spelling
	domain  string // the query as a domain, without what surrounds one in an address
}

func ask(query string) question {
	domain := strings.ToLower(strings.TrimSpace(query))
	if _, after, found := strings.Cut(domain, "://"); found {
		domain = after
	}
	domain, _, _ = strings.Cut(domain, "/")
	if at := strings.LastIndexByte(domain, '@'); at >= 0 {
		domain = domain[at+1:]
	}
	return question{spelled: spellings(query), domain: strings.TrimSuffix(strings.TrimPrefix(domain, "www."), ".")}
}

// rank tells how well a company answers the question.
func (q question) rank(c Company, s searchable) int {
	best := rankNone
	if q.domain != "" && c.Domain != "" {
		switch {
		case c.Domain == q.domain:
			return rankSame
		case strings.HasPrefix(c.Domain, q.domain):
			best = rankBegins
		case strings.Contains(c.Domain, q.domain):
			best = rankInside
		}
	}
	labels := strings.FieldsFunc(c.Domain, func(r rune) bool { return r == '.' || r == '-' })
	for _, asked := range q.spelled {
		if len(asked.all) == 0 {
			continue
		}
		for _, name := range s.spelled {
			best = min(best, rankOf(asked, name, c.Domain, labels))
		}
	}
	return best
}

func rankOf(asked, name spelling, domain string, labels []string) int {
	beginsOne := func(words []string) func(string) bool {
		return func(word string) bool {
			return slices.ContainsFunc(words, func(w string) bool { return strings.HasPrefix(w, word) })
		}
	}
	inName, inLabels := beginsOne(name.all), beginsOne(labels)
	switch {
	case asked.text == name.text:
		return rankSame
	case slices.Equal(asked.bare, name.bare):
		return rankSameBare
	case strings.HasPrefix(name.text, asked.text):
		return rankBegins
	case every(asked.all, inName):
		return rankWords
	case every(asked.bare, inName):
		return rankBareWords
	case every(asked.all, func(word string) bool { return inName(word) || inLabels(word) }):
		return rankDomainWord
	case every(asked.all, func(word string) bool { return strings.Contains(name.text, word) || strings.Contains(domain, word) }):
		return rankInside
	}
	return rankNone
}

func every(words []string, holds func(string) bool) bool {
	return !slices.ContainsFunc(words, func(word string) bool { return !holds(word) })
}

// SearchCompanies finds companies by the words of their names, or by their domain, the best hits first and equal ones
// in the order of their names; at most limit of them (0: all). Case, marks on letters (muller finds Müller, and so does
// mueller), punctuation and legal forms do not matter. An empty query finds all. The page begins behind the position
// after, which the page before gave as next; next is empty on the last page.
func (r *Roster) SearchCompanies(query string, limit int, after string) (found []Company, next string) {
	type hit struct {
		position string
		id       deal.ID
	}
	q, all := ask(query), strings.TrimSpace(query) == ""
	var hits []hit
	r.mu.RLock()
	defer r.mu.RUnlock()
	for id, c := range r.companies {
		s, rank := r.searchable[id], rankSame
		if !all {
			rank = q.rank(c, s)
		}
		if position := string(rune('0'+rank)) + s.position; rank != rankNone && position > after {
			hits = append(hits, hit{position, id})
		}
	}
	slices.SortFunc(hits, func(a, b hit) int { return cmp.Compare(a.position, b.position) })
	for i, h := range hits {
		if limit > 0 && i == limit {
			return found, hits[i-1].position
		}
		found = append(found, r.companies[h.id])
	}
	return found, ""
}
