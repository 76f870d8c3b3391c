package main

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dealreg/dealreg/pkg/calendar"
	"github.com/dealreg/dealreg/pkg/httpapi"
	"github.com/dealreg/dealreg/pkg/roster"
)

// The years of a history. Both are closed on whatever day the tests run.
const historyYear, historyYearBefore = 2024, 2023

// historyReason is as long as the reason of a release can be.
var historyReason = strings.Repeat("Ein Beleg kam nach dem Abschluss. ", 15)[:500]

// history is a system with two years of two associations, which have two releases each: one whose board sees everything,
// and one whose board sees releases. There are many pairs, 12 chapters and no short name. In the guarded association two
// chapters and two months have too few deals to be shown, some pairs waived, and too little was attested by the parties to
// say how much.
type history struct {
	portalWorld

	open, guarded historyOf
	releases      int
}

// historyOf is one of the associations.
type historyOf struct {
	id, name, currency string
	startsIn           time.Month
	disclosure         roster.Disclosure
	companies          int // on the side of the north; half as many again on the other
}

func newHistory(t *testing.T) *history {
	t.Helper()
	h := &history{portalWorld: *emptyWorld(t)}
	h.open = h.grow(historyOf{name: "Offener", currency: "EUR", startsIn: time.January, disclosure: roster.DisclosureOpen, companies: 40})
	h.guarded = h.grow(historyOf{name: "Verschwiegener", currency: "USD", startsIn: time.July, disclosure: roster.DisclosureGuarded, companies: 240})
	return h
}

// grow brings in an association with its years and releases.
func (h *history) grow(a historyOf) historyOf {
	h.t.Helper()
	a.id = h.make("/v1/associations", map[string]any{
		"name": a.name + " Verband der Softwarehäuser in Mitteleuropa und Übersee", "time_zone": "Europe/Berlin",
		"year_starts_in": a.startsIn, "reporting_currency": a.currency, "disclosure": a.disclosure,
	})
	h.keys[a.id] = h.secret(map[string]any{"role": roster.RoleBoard, "association_id": a.id})
	h.bringIn(a, historyYearBefore, 0, 80)
	h.release(a, historyYearBefore)
	h.bringIn(a, historyYear, 80, 160)
	h.release(a, historyYear)
	h.bringIn(a, historyYear, 160, 240)
	if a.disclosure == roster.DisclosureGuarded {
		for n := 165; n < 177; n++ {
			h.waive(a, n)
		}
	}
	h.attest(a)
	h.release(a, historyYear)
	return a
}

// company is the name of the company on a side of a deal.
func (a historyOf) company(side string, deal int) string {
	companies := a.companies
	if side == "Süd" {
		companies += companies / 2
	}
	return fmt.Sprintf("Gesellschaft %s %03d für betriebliche Datenverarbeitung und Beratung %s GmbH & Co. KG", side, deal%companies, a.name)
}

// bringIn imports deals, by their numbers: of each 80, one is in the fourth month and one in the fifth.
func (h *history) bringIn(a historyOf, year, from, to int) {
	h.t.Helper()
	var csv strings.Builder
	csv.WriteString("external_ref,title,customer,customer_country,currency,amount,status,won_on,party_1,party_2,chapter\n")
	for n := from; n < to; n++ {
		month, chapter := n%3, 1+n%10
		if rare := n % 80; rare < 2 {
			month, chapter = 3+rare, 11+rare
		}
		fmt.Fprintf(&csv, "%d,Deal %[1]d,Customer %[1]d,DE,%s,%d.37,won,%s,%s,%s,Landessektion %02d der angeschlossenen Häuser und ihrer Niederlassungen\n",
			n, a.currency, 10_000_000+10_000*n, calendar.New(year, a.startsIn+time.Month(month), 15), a.company("Nord", n), a.company("Süd", n), chapter)
	}
	file, mapping := writeFile(h.t, "history.csv", csv.String()), writeFile(h.t, "map.json", `{"create_companies":true}`)
	out, code := result(h.t, "import", "deals", file, "--association", a.id, "--map", mapping, "--url", h.api.url, "--key", h.api.key)
	if code != 0 || !strings.Contains(out, fmt.Sprintf("%d registered", to-from)) {
		h.t.Fatalf("exit %d: %s", code, out)
	}
}

func (h *history) release(a historyOf, year int) {
	h.t.Helper()
	h.releases++
	_, err := h.api.do(h.t.Context(), call{
		method: http.MethodPost, path: "/v1/associations/" + a.id + "/statements", body: map[string]any{"year": year, "reason": historyReason},
		header: map[string]string{"Idempotency-Key": fmt.Sprint(h.releases)},
	})
	if err != nil {
		h.t.Fatal(err)
	}
}

// waive lets both companies of a deal agree that the board sees their figures.
func (h *history) waive(a historyOf, deal int) {
	h.t.Helper()
	pair := []string{h.find(a.company("Nord", deal)), h.find(a.company("Süd", deal))}
	for i, company := range pair {
		admin := h.api.as(h.secret(map[string]any{"role": roster.RoleCompanyAdmin, "company_id": company}))
		path := "/v1/companies/" + company + "/waivers/" + a.id + "/" + pair[1-i]
		if _, err := admin.do(h.t.Context(), call{method: http.MethodPut, path: path}); err != nil {
			h.t.Fatal(err)
		}
	}
}

// find gives the id of the company.
func (h *history) find(name string) string {
	h.t.Helper()
	var found httpapi.Page[roster.Company]
	_, err := h.api.do(h.t.Context(), call{method: http.MethodGet, path: "/v1/companies", query: url.Values{"q": {name}}, into: &found})
	if err != nil || len(found.Items) != 1 {
		h.t.Fatalf("%d companies are called %s: %v", len(found.Items), name, err)
	}
	return found.Items[0].ID.String()
}

// attest takes one deal through its life, to figures that both parties attest.
func (h *history) attest(a historyOf) {
	h.t.Helper()
	var chapters httpapi.Page[roster.Chapter]
	if _, err := h.api.do(h.t.Context(), call{method: http.MethodGet, path: "/v1/associations/" + a.id + "/chapters", into: &chapters}); err != nil {
		h.t.Fatal(err)
	}
	large := slices.IndexFunc(chapters.Items, func(c roster.Chapter) bool { return strings.Contains(c.Name, " 10 ") })
	amount := func(text string) httpapi.Amount { return httpapi.Amount{Amount: text, Currency: a.currency} }
	var parties []map[string]any
	var as []*client
	for _, side := range []string{"Nord", "Süd"} {
		company := h.make("/v1/companies", map[string]any{"name": "Selbst Bestätigende " + side + " " + a.name, "country": "DE"})
		_, err := h.api.do(h.t.Context(), call{
			method: http.MethodPut, path: "/v1/associations/" + a.id + "/members/" + company,
			body: map[string]any{"chapter_id": chapters.Items[large].ID, "from": "2020-01-01", "ethics_accepted_on": "2020-01-01"},
		})
		if err != nil {
			h.t.Fatal(err)
		}
		parties = append(parties, map[string]any{"company_id": company, "share": amount("5000000.50")})
		as = append(as, h.api.as(h.secret(map[string]any{"role": roster.RoleMember, "company_id": company})))
	}
	var made struct{ ID string }
	header, err := as[0].do(h.t.Context(), call{
		method: http.MethodPost, path: "/v1/deals", into: &made, header: map[string]string{"Idempotency-Key": "attested"},
		body: map[string]any{
			"title": "Attested", "customer": map[string]any{"name": "Contoso", "country": "DE"}, "value": amount("10000001.00"), "parties": parties,
		},
	})
	if err != nil {
		h.t.Fatal(err)
	}
	d := &demoDeal{id: made.ID, tag: header.Get("ETag")}
	for _, step := range []struct {
		by   *client
		move string
		body map[string]any
	}{
		{as[1], "accept", map[string]any{}},
		{as[0], "propose", map[string]any{"won_on": calendar.New(historyYear, a.startsIn, 20)}},
		{as[1], "attest", map[string]any{}},
	} {
		if err := h.move(h.t.Context(), d, step.by, step.move, step.body); err != nil {
			h.t.Fatal(err)
		}
	}
	if _, err := volumeOf(h.t.Context(), h.api, a.id, historyYear, h.sequence); err != nil { // the reports hold it now
		h.t.Fatal(err)
	}
}
