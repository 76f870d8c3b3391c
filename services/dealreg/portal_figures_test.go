package main

import (
	"fmt"
	"html"
	"math/big"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/dealreg/dealreg/pkg/httpapi"
	"github.com/dealreg/dealreg/pkg/roster"
	"github.com/dealreg/dealreg/services/directory"
	"github.com/dealreg/dealreg/services/reports"
)

var (
	tableRow = regexp.MustCompile(`(?s)<tr[^>]*>(.*?)</tr>`)
	listItem = regexp.MustCompile(`(?s)<li>(.*?)</li>`)
	factLine = regexp.MustCompile(`(?s)<dt>(.*?)</dt>\s*<dd>(.*?)</dd>`)
	bold     = regexp.MustCompile(`(?s)<strong>(.*?)</strong>`)
	figure   = regexp.MustCompile(`(?s)<p class="figure">(.*?)</p>`)
	anyTag   = regexp.MustCompile(`<[^>]*>`)
	spaces   = regexp.MustCompile(`\s+`)
)

// each gives the text of every match of the pattern's group.
func (p shown) each(pattern *regexp.Regexp) (texts []string) {
	for _, match := range pattern.FindAllStringSubmatch(p.text, -1) {
		texts = append(texts, plainText(match[1]))
	}
	return texts
}

// facts gives what stands beside each term.
func (p shown) facts() map[string]string {
	facts := map[string]string{}
	for _, match := range factLine.FindAllStringSubmatch(p.text, -1) {
		facts[plainText(match[1])] = plainText(match[2])
	}
	return facts
}

func plainText(markup string) string {
	return strings.TrimSpace(spaces.ReplaceAllString(html.UnescapeString(anyTag.ReplaceAllString(markup, " ")), " "))
}

// inGroups is a decimal as English pages show it: in groups of three digits.
func inGroups(decimal string) string {
	whole, rest, _ := strings.Cut(decimal, ".")
	for i := len(whole) - 3; i > 0; i -= 3 {
		whole = whole[:i] + "," + whole[i:]
	}
	if rest != "" {
		whole += "." + rest
	}
	return whole
}

// inWhole is a decimal to the whole unit.
func inWhole(t *testing.T, decimal string) string {
	t.Helper()
	r, ok := new(big.Rat).SetString(decimal)
	if !ok {
		t.Fatalf("%q is no decimal", decimal)
	}
	return inGroups(r.FloatString(0))
}

// inPercent is how much a part is of the whole.
func inPercent(t *testing.T, part, whole string) string {
	t.Helper()
	p, ok := new(big.Rat).SetString(part)
	w, too := new(big.Rat).SetString(whole)
	if !ok || !too || w.Sign() == 0 {
		t.Fatalf("%q of %q", part, whole)
	}
	return p.Quo(p, w).Mul(p, big.NewRat(100, 1)).FloatString(1) + "%"
}

// says tells whether the text has all parts as words of their own. An amount may have its currency's sign before it.
func says(text string, parts ...string) bool {
	return !slices.ContainsFunc(parts, func(part string) bool {
		return !regexp.MustCompile(`(?:^|[ €$])` + regexp.QuoteMeta(part) + `(?: |$)`).MatchString(text)
	})
}

const hiddenText = "hidden: too few deals"

// comparison holds pages to what the API answers to the same key.
type comparison struct {
	*visitor

	api    *client
	hidden int // cells so far
}

// compare opens a browser for the board of the association.
func (h *history) compare(a historyOf) *comparison {
	return &comparison{visitor: h.visitor(a.id), api: h.api.as(h.keys[a.id])}
}

// ask reads the API.
func (c *comparison) ask(into any, path string, pairs ...string) {
	c.t.Helper()
	query := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		query.Set(pairs[i], pairs[i+1])
	}
	if _, err := c.api.do(c.t.Context(), call{method: http.MethodGet, path: path, query: query, into: into}); err != nil {
		c.t.Fatal(err)
	}
}

// row wants one of the page's rows to have the names and the figure.
func (c *comparison) row(page shown, amount string, deals int64, names ...string) {
	c.t.Helper()
	c.one(page, page.each(tableRow), append(names, inGroups(amount), inGroups(strconv.FormatInt(deals, 10)))...)
}

// cell is row for a cell that may be hidden.
func (c *comparison) cell(page shown, cell reports.Cell, names ...string) {
	c.t.Helper()
	if cell.Hidden {
		c.hidden++
		c.one(page, page.each(tableRow), append(names, hiddenText)...)
		return
	}
	c.row(page, cell.Amount, int64(*cell.Deals), names...)
}

func (c *comparison) one(page shown, texts []string, parts ...string) {
	c.t.Helper()
	if !slices.ContainsFunc(texts, func(text string) bool { return says(text, parts...) }) {
		c.t.Errorf("%s: nothing says %q", page.path, parts)
	}
}

// fact wants the term to stand beside the value.
func (c *comparison) fact(page shown, term, want string) {
	c.t.Helper()
	if got := strings.TrimLeft(page.facts()[term], "€$"); got != want {
		c.t.Errorf("%s: %s is %q, want %q", page.path, term, got, want)
	}
}

// pairs wants all pairs on the pages of the table.
func (c *comparison) pairs(address string, count int, each func(page shown, i int)) {
	c.t.Helper()
	for i := 0; i < count; i += 100 {
		page := c.get(address + "/pairs?view=table&page=" + strconv.Itoa(1+i/100))
		for j := i; j < min(i+100, count); j++ {
			each(page, j)
		}
	}
}

func monthName(t *testing.T, month string) string {
	t.Helper()
	first, err := time.Parse("2006-01", month)
	if err != nil {
		t.Fatal(err)
	}
	return first.Format("January")
}

// allOf is the term beside which the total of a year stands.
func (a historyOf) allOf(year int) string {
	if a.startsIn == time.January {
		return "All of " + strconv.Itoa(year)
	}
	return "All of " + strconv.Itoa(year) + "/" + strconv.Itoa(year + 1)[2:]
}

// TestPages_ShowTheFiguresOfTheAPI holds releases, live years and a company's own page to what the API answers to who
// looks at them, on whatever day it runs.
func TestPages_ShowTheFiguresOfTheAPI(t *testing.T) {
	t.Parallel()
	h := newHistory(t)
	for _, a := range []historyOf{h.open, h.guarded} {
		c := h.compare(a)
		for release := 1; release <= 2; release++ {
			c.release(a, release)
		}
		if (c.hidden > 0) != (a == h.guarded) {
			t.Errorf("%s: %d figures are hidden", a.name, c.hidden)
		}
	}
	h.compare(h.open).live(h.open)
	h.compareCompany(h.open.company("Nord", 7))
}

// release compares the pages of a release with the statement.
func (c *comparison) release(a historyOf, number int) {
	c.t.Helper()
	year, release := strconv.Itoa(historyYear), strconv.Itoa(number)
	var st reports.Statement
	c.ask(&st, "/v1/associations/"+a.id+"/statements/"+year+"/"+release)
	if st.PreviousYear == nil || (st.Changes == nil) != (number == 1) {
		c.t.Fatalf("r%s compares with %+v and %+v", release, st.PreviousYear, st.Changes)
	}
	address := "/a/" + a.id + "/" + year + "/r" + release
	page := c.get(address)
	c.one(page, page.each(figure), inWhole(c.t, st.Total.Amount))
	c.one(page, page.each(bold), "+"+st.GrowthPercent+"%")
	c.fact(page, "Won deals", strconv.Itoa(*st.Total.Deals))
	c.fact(page, a.allOf(historyYearBefore), inWhole(c.t, st.PreviousYear.Total.Amount))
	c.fact(page, "Members taking part", strconv.Itoa(st.Members.TakingPart)+" of "+strconv.Itoa(st.Members.Of))
	attested := ""
	if !st.AttestedByParties.Hidden {
		attested = inPercent(c.t, st.AttestedByParties.Amount, st.Total.Amount)
	}
	c.fact(page, "Attested by all parties", attested)
	if st.Changes != nil {
		c.one(page, page.each(listItem), "Changed since release 1:", inGroups(st.Changes.Amount))
	}
	for _, m := range st.Months {
		c.cell(page, m.Cell, monthName(c.t, m.Month))
	}
	chapters := c.get(address + "/chapters")
	for i, chapter := range st.Chapters {
		c.cell(chapters, chapter.Cell, chapter.Chapter.Name)
		if i >= 10 && chapter.Hidden {
			c.cell(page, chapter.Cell, "All other chapters")
		}
	}
	c.pairs(address, len(st.Pairs), func(page shown, i int) {
		c.cell(page, st.Pairs[i].Cell, st.Pairs[i].Companies[0].Name, st.Pairs[i].Companies[1].Name)
	})
	if notes := strings.Count(page.text, "out of this release: too much"); notes != len(st.LeftOut) {
		c.t.Errorf("%s: %d notes that %v are left out", address, notes, st.LeftOut)
	}
	if waits := strings.Contains(page.text, "A release may hold won deals back"); waits != (a.disclosure != roster.DisclosureOpen) {
		c.t.Errorf("%s: that deals may wait is said: %v", address, waits)
	}
}

// live compares the pages of a live year with the volume.
func (c *comparison) live(a historyOf) {
	c.t.Helper()
	year := strconv.Itoa(historyYear)
	volume := func(by string) (v reports.VolumeReport) {
		c.ask(&v, "/v1/associations/"+a.id+"/volume", "year", year, "by", by)
		return v
	}
	months, chapters, pairs := volume("month"), volume("chapter"), volume("pair")
	address := "/a/" + a.id + "/" + year
	page := c.get(address)
	c.one(page, page.each(figure), inWhole(c.t, months.Total.Amount))
	c.row(page, months.Total.Amount, months.Total.Deals, "Total")
	c.fact(page, "Won deals", strconv.FormatInt(months.Total.Deals, 10))
	c.fact(page, a.allOf(historyYearBefore), inWhole(c.t, months.PreviousYear.Amount))
	c.fact(page, "Members taking part", strconv.Itoa(pairs.Companies))
	c.fact(page, "Attested by all parties", inPercent(c.t, months.Total.AttestedByParties, months.Total.Amount))
	for _, m := range months.Items {
		c.row(page, m.Amount, m.Deals, monthName(c.t, m.Month))
	}
	table := c.get(address + "/chapters")
	for _, item := range chapters.Items {
		c.row(table, item.Amount, item.Deals, item.Chapter.Name)
	}
	c.pairs(address, len(pairs.Items), func(page shown, i int) {
		item := pairs.Items[i]
		c.row(page, item.Amount, item.Deals, item.Companies[0].Name, item.Companies[1].Name)
	})
	c.chapterMembers(a, table, chapters.Items[0].Chapter.ID.String())
	if len(months.Items) != 12 || len(chapters.Items) < 12 || len(pairs.Items) <= 100 {
		c.t.Errorf("only %d months, %d chapters, %d pairs", len(months.Items), len(chapters.Items), len(pairs.Items))
	}
}

// chapterMembers follows a chapter's link to its members and compares who took part, who all were members on every day.
func (c *comparison) chapterMembers(a historyOf, chapters shown, id string) {
	c.t.Helper()
	var members httpapi.Page[directory.Member]
	var participation reports.ParticipationReport
	of := "/v1/associations/" + a.id
	c.ask(&members, of+"/members", "limit", "200")
	c.ask(&participation, of+"/participation", "year", strconv.Itoa(historyYear))
	address := fmt.Sprintf("/a/%s/%d/members?chapter=%s", a.id, historyYear, id)
	if !strings.Contains(chapters.text, `href="`+address+`"`) {
		c.t.Errorf("%s does not lead to %s", chapters.path, address)
	}
	page := c.get(address)
	listed := 0
	for _, p := range participation.TakingPart {
		within := slices.ContainsFunc(members.Items, func(m directory.Member) bool {
			return m.CompanyID == p.Company.ID && m.ChapterID.String() == id
		})
		if there := strings.Contains(page.text, html.EscapeString(p.Company.Name)); there != within {
			c.t.Errorf("%s lists %s: %v", address, p.Company.Name, there)
		}
		if within {
			listed++
		}
	}
	if listed == 0 || listed == len(participation.TakingPart) || !strings.Contains(page.text, fmt.Sprintf("%d of %[1]d members", listed)) {
		c.t.Errorf("%s lists %d of %d", address, listed, len(participation.TakingPart))
	}
	if other := c.get(strings.Replace(address, id, a.id, 1)); other.status != http.StatusNotFound {
		c.t.Errorf("a chapter that there is not: %d", other.status)
	}
}

// compareCompany compares a company's own page with its volume.
func (h *history) compareCompany(name string) {
	h.t.Helper()
	company := h.find(name)
	h.keys[name] = h.secret(map[string]any{"role": roster.RoleMember, "company_id": company})
	c := &comparison{visitor: h.visitor(name), api: h.api.as(h.keys[name])}
	var volume reports.CompanyReport
	c.ask(&volume, "/v1/companies/"+company+"/volume", "year", strconv.Itoa(historyYear))
	if len(volume.Associations) != 1 || len(volume.Associations[0].Items) < 2 {
		h.t.Fatalf("%s has hardly any partners: %+v", name, volume)
	}
	page := c.get("/c/" + company + "/" + strconv.Itoa(historyYear))
	a := volume.Associations[0]
	c.row(page, a.Total.Amount, a.Total.Deals, "All your deals that it counts")
	for _, item := range a.Items {
		c.row(page, item.Amount, item.Deals, item.Partner.Name)
	}
}
