package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"time"

	"github.com/dealreg/dealreg/pkg/calendar"
	"github.com/dealreg/dealreg/pkg/deal"
	"github.com/dealreg/dealreg/pkg/httpapi"
	"github.com/dealreg/dealreg/pkg/money"
	"github.com/dealreg/dealreg/pkg/roster"
)

type demoCommand struct {
	remote `embed:""`
}

// Run fills the running system with the demo.
func (c *demoCommand) Run(ctx context.Context) error {
	api, err := c.client()
	if err != nil {
		return err
	}
	return demo(ctx, api, time.Now())
}

// The demo's world. All names are made up.
var (
	demoAssociations = []demoAssociation{
		{
			name: "Harbour Software Partners", zone: "Europe/Berlin", yearStartsIn: 1, currency: "EUR", disclosure: roster.DisclosureOpen,
			chapters: []demoChapter{{"Germany", "DE"}, {"Netherlands", "NL"}, {"Poland", "PL"}},
		},
		{
			name: "Pacific Channel Council", zone: "America/Los_Angeles", yearStartsIn: 7, currency: "USD", disclosure: roster.DisclosureGuarded,
			chapters: []demoChapter{{"California", "US"}, {"Japan", "JP"}},
		},
	}
	// chapter is the index of the company's chapter in each association; -1 for no member.
	demoCompanies = []demoCompany{
		{"Alder & Finch Systems GmbH", "DE", "alderfinch.example", [2]int{0, -1}},
		{"Brückenwerk IT AG", "DE", "brueckenwerk.example", [2]int{0, 0}},
		{"Cobalt Ledger BV", "NL", "cobaltledger.example", [2]int{1, -1}},
		{"Dijk & Zoon Automatisering BV", "NL", "dijkenzoon.example", [2]int{1, 0}},
		{"Ełk Cloud Sp. z o.o.", "PL", "elkcloud.example", [2]int{2, -1}},
		{"Fjord Data GmbH", "DE", "fjorddata.example", [2]int{0, -1}},
		{"Garnet Payroll Inc.", "US", "garnetpayroll.example", [2]int{-1, 0}},
		{"Hoshino Networks KK", "JP", "hoshino.example", [2]int{-1, 1}},
		{"Ironbark Consulting LLC", "US", "ironbark.example", [2]int{-1, 0}},
		{"Juniper Hill Integration Inc.", "US", "juniperhill.example", [2]int{2, 0}},
		{"Kitano Robotics KK", "JP", "kitano.example", [2]int{-1, 1}},
		{"Lindqvist Advisory", "SE", "lindqvist.example", [2]int{-1, -1}}, // a partner that is no member
	}
	// Each deal is for a customer of its own: the same one twice within 90 days would be flagged as a duplicate.
	demoCustomers = []demoCustomer{
		{"Contoso", "DE"},
		{"Northwind", "NL"},
		{"Fabrikam", "PL"},
		{"Tailspin", "US"},
		{"Wingtip", "US"},
		{"Adatum", "JP"},
		{"Litware", "DE"},
		{"Proseware", "US"},
	}
	demoTrades   = []string{"Foods", "Rail", "Clinics", "Energy", "Insurance", "Logistics", "Schools", "Mills", "Ports", "Hotels", "Foundry", "Gardens", "Press"}
	demoProjects = []string{"Payroll roll-out", "Warehouse automation", "Data platform", "Store network", "Claims portal", "Fleet telematics"}
)

type (
	demoAssociation struct {
		name, zone   string
		yearStartsIn int
		currency     string
		disclosure   roster.Disclosure
		chapters     []demoChapter
	}
	demoChapter struct{ name, country string }
	demoCompany struct {
		name, country, domain string
		chapter               [2]int
	}
	demoCustomer struct {
		Name    string `json:"name"`
		Country string `json:"country"`
	}
)

// demoWorld is what was created: IDs in the order of the tables above, and a client for each company.
type demoWorld struct {
	api          *client
	now          time.Time
	random       *rand.Rand
	associations []string
	registrars   []*client
	boardKeys    []string
	companies    []string
	as           []*client
	sequence     uint64 // the log's last sequence that an answer named
}

// demo fills the system through its API, prints the volume of each association and of all together, and says what to open. The same seed
// gives the same deals; their days are counted back from now.
func demo(ctx context.Context, api *client, now time.Time) error {
	var there httpapi.Page[roster.Association]
	if _, err := api.do(ctx, call{method: http.MethodGet, path: "/v1/associations", into: &there}); err != nil {
		return err
	}
	w := &demoWorld{api: api, now: now, random: rand.New(rand.NewPCG(1866, 11))} // #nosec G404 -- demo data, the same each time
	for _, a := range there.Items {
		for _, mine := range demoAssociations {
			if a.Name == mine.name {
				w.associations = append(w.associations, a.ID.String())
			}
		}
	}
	if len(w.associations) > 0 {
		fmt.Println("The demo is here already; nothing was added.")
		return w.print(ctx)
	}
	for _, step := range []func(context.Context) error{w.rates, w.people, w.deals, w.statements} {
		if err := step(ctx); err != nil {
			return fmt.Errorf("demo: %w", err)
		}
	}
	return w.print(ctx)
}

// rates publishes made-up rates for every Friday of the last four years.
func (w *demoWorld) rates(ctx context.Context) error {
	var csv strings.Builder
	csv.WriteString("Date,USD,JPY\n")
	day := calendar.DateOf(w.now, time.UTC)
	for day.Time().Weekday() != time.Friday {
		day = day.AddDays(-1)
	}
	for week := range 4 * 53 {
		swing := float64(week%26-13) / 1000
		fmt.Fprintf(&csv, "%s,%.4f,%.2f\n", day.AddDays(-7*week), 1.09+swing, 160+500*swing)
	}
	return putRates(ctx, w.api, "demo rates, made up", csv.String())
}

// people creates associations, chapters, companies, members, and a key for each company, registrar and board.
func (w *demoWorld) people(ctx context.Context) error {
	chapters := make([][]string, len(demoAssociations))
	for n, a := range demoAssociations {
		id, err := w.create(ctx, "/v1/associations", map[string]any{
			"name": a.name, "time_zone": a.zone, "year_starts_in": a.yearStartsIn, "reporting_currency": a.currency, "disclosure": a.disclosure,
		})
		if err != nil {
			return err
		}
		w.associations = append(w.associations, id)
		for _, c := range a.chapters {
			chapter, err := w.create(ctx, "/v1/associations/"+id+"/chapters", map[string]any{"name": c.name, "country": c.country})
			if err != nil {
				return err
			}
			chapters[n] = append(chapters[n], chapter)
		}
		for _, role := range []roster.Role{roster.RoleRegistrar, roster.RoleBoard} {
			secret, err := w.key(ctx, map[string]any{"role": role, "association_id": id, "label": "demo"})
			if err != nil {
				return err
			}
			if role == roster.RoleBoard {
				w.boardKeys = append(w.boardKeys, secret)
			} else {
				w.registrars = append(w.registrars, w.api.as(secret))
			}
		}
	}
	for _, c := range demoCompanies {
		id, err := w.create(ctx, "/v1/companies", map[string]any{"name": c.name, "country": c.country, "domain": c.domain})
		if err != nil {
			return err
		}
		secret, err := w.key(ctx, map[string]any{"role": roster.RoleMember, "company_id": id, "label": "demo"})
		if err != nil {
			return err
		}
		w.companies, w.as = append(w.companies, id), append(w.as, w.api.as(secret))
		for n, chapter := range c.chapter {
			if chapter < 0 {
				continue
			}
			path := "/v1/associations/" + w.associations[n] + "/members/" + id
			_, err := w.api.do(ctx, call{method: http.MethodPut, path: path, body: map[string]any{
				"chapter_id": chapters[n][chapter], "from": "2019-01-01", "ethics_accepted_on": "2019-01-01",
			}})
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// create posts and gives the id of what was created.
func (w *demoWorld) create(ctx context.Context, path string, body map[string]any) (string, error) {
	var made struct {
		ID deal.ID `json:"id"`
	}
	_, err := w.api.do(ctx, call{method: http.MethodPost, path: path, body: body, into: &made})
	return made.ID.String(), err
}

func (w *demoWorld) key(ctx context.Context, body map[string]any) (string, error) {
	var issued struct {
		Secret string `json:"secret"`
	}
	_, err := w.api.do(ctx, call{method: http.MethodPost, path: "/v1/keys", body: body, into: &issued})
	return issued.Secret, err
}

// demoTeams are who wins together, by index: in one association, in both, three at a time, with a partner that is no
// member, and so often that some pairs stand out.
var demoTeams = [][]int{
	{0, 1},
	{0, 1},
	{1, 3},
	{2, 3},
	{2, 4},
	{4, 5},
	{0, 5},
	{1, 9},
	{3, 9},
	{1, 3, 9},
	{6, 7},
	{6, 8},
	{7, 10},
	{8, 9},
	{6, 9},
	{1, 6},
	{0, 2, 4},
	{3, 8},
	{7, 9, 10},
	{0, 11},
	{6, 11},
}

const demoWon = 220 // won deals, spread over three years

// deals registers won deals of three years and then some in every other state.
func (w *demoWorld) deals(ctx context.Context) error {
	for n := range demoWon {
		if err := w.deal(ctx, n, "won", 1+(n*1095)/demoWon); err != nil {
			return err
		}
	}
	others := []string{
		"pending", "pending", "pending", "active", "active", "active", "closing", "closing", "declined", "withdrawn", "lost",
		"disputed", "refused", "correction", "corrected", "void",
	}
	for n, state := range others {
		if err := w.deal(ctx, demoWon+n, state, 20+n); err != nil {
			return err
		}
	}
	return nil
}

// demoDeal is a deal on its way, with the ETag of its latest revision.
type demoDeal struct {
	id, tag string
	team    []int
}

// deal takes one deal to the state; it was won the given number of days ago, if it was.
func (w *demoWorld) deal(ctx context.Context, n int, state string, daysAgo int) error {
	d, figures, err := w.register(ctx, n)
	if err != nil || state == "pending" {
		return err
	}
	lead, rest := d.team[0], d.team[1:]
	wonOn := calendar.DateOf(w.now, time.UTC).AddDays(-daysAgo)
	final := map[string]any{"won_on": wonOn}
	reason := map[string]any{"reason": "demo"}
	var script []func() error
	then := func(by *client, move string, body map[string]any) {
		script = append(script, func() error { return w.move(ctx, d, by, move, body) })
	}
	all := func(who []int, move string, body map[string]any) {
		for _, company := range who {
			then(w.as[company], move, body)
		}
	}
	switch state {
	case "declined":
		then(w.as[rest[0]], "decline", reason)
	case "withdrawn":
		then(w.as[lead], "withdraw", map[string]any{})
	case "disputed":
		all(rest, "accept", map[string]any{})
		then(w.registrarOf(d.team), "dispute", reason)
	default:
		all(rest, "accept", map[string]any{})
	}
	switch state {
	case "lost":
		then(w.as[lead], "lose", reason)
	case "closing":
		then(w.as[lead], "propose", final)
	case "refused":
		then(w.as[lead], "propose", final)
		then(w.as[rest[0]], "refuse", reason)
	case "won", "correction", "corrected", "void":
		then(w.as[lead], "propose", final)
		all(rest, "attest", map[string]any{})
	}
	switch state {
	case "correction", "corrected":
		figures["won_on"] = wonOn.AddDays(-1)
		then(w.as[lead], "correct", figures)
		if state == "corrected" {
			all(rest, "attest", map[string]any{})
		}
	case "void":
		all(d.team, "void", reason)
	}
	for _, step := range script {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// register registers deal number n and gives its figures too.
func (w *demoWorld) register(ctx context.Context, n int) (*demoDeal, map[string]any, error) {
	team := demoTeams[n%len(demoTeams)]
	currency := money.Currency([]string{"EUR", "EUR", "USD", "EUR", "USD", "JPY"}[n%6])
	minor := (w.random.Int64N(900) + 20) * 500 * pow10(currency.Exponent())
	if currency == "JPY" {
		minor *= 100
	}
	amount := func(minor int64) httpapi.Amount {
		return httpapi.AmountOf(money.Amount{Minor: minor, Currency: currency})
	}
	weights := []int64{5, 3, 2}[:len(team)]
	parties := make([]map[string]any, len(team))
	for i, share := range money.Spread(minor, weights) {
		parties[i] = map[string]any{"company_id": w.companies[team[i]], "role": []string{"lead", "delivery", "advisor"}[i], "share": amount(share)}
	}
	figures := map[string]any{"value": amount(minor), "parties": parties}
	customer := demoCustomers[n%len(demoCustomers)]
	customer.Name += " " + demoTrades[n%len(demoTrades)] // the two lists have no common divisor: 104 customers
	body := map[string]any{
		"title":        fmt.Sprintf("%s, phase %d", demoProjects[n%len(demoProjects)], 1+n/len(demoProjects)),
		"external_ref": fmt.Sprintf("DEMO-%04d", n), "customer": customer, "value": figures["value"], "parties": parties,
	}
	var made struct {
		ID deal.ID `json:"id"`
	}
	header, err := w.as[team[0]].do(ctx, call{
		method: http.MethodPost, path: "/v1/deals", body: body, into: &made,
		header: map[string]string{"Idempotency-Key": fmt.Sprintf("demo-%d", n)},
	})
	if err != nil {
		return nil, nil, err
	}
	w.note(header)
	return &demoDeal{id: made.ID.String(), tag: header.Get("ETag"), team: team}, figures, nil
}

func pow10(exponent int) int64 {
	result := int64(1)
	for range exponent {
		result *= 10
	}
	return result
}

func (w *demoWorld) move(ctx context.Context, d *demoDeal, by *client, move string, body map[string]any) error {
	header, err := by.do(ctx, call{
		method: http.MethodPost, path: "/v1/deals/" + d.id + "/" + move, body: body,
		header: map[string]string{"If-Match": d.tag, "Idempotency-Key": "demo-" + move + "-" + d.tag},
	})
	if err != nil {
		return fmt.Errorf("%s: %w", move, err)
	}
	d.tag = header.Get("ETag")
	w.note(header)
	return nil
}

func (w *demoWorld) note(header http.Header) {
	var sequence uint64
	if _, err := fmt.Sscan(header.Get("Dealreg-Sequence"), &sequence); err == nil {
		w.sequence = max(w.sequence, sequence)
	}
}

// statements makes the releases that the board of a guarded association sees, the oldest year first since each is compared
// with the one before.
func (w *demoWorld) statements(ctx context.Context) error {
	for n, a := range demoAssociations {
		if a.disclosure == roster.DisclosureOpen {
			continue
		}
		years := roster.Association{TimeZone: a.zone, YearStartsIn: a.yearStartsIn}
		this := years.YearOf(years.Today(w.now))
		if _, err := volumeOf(ctx, w.api, w.associations[n], this, w.sequence); err != nil { // the reports hold all deals now
			return err
		}
		for year := this - 2; year <= this; year++ {
			_, err := w.registrars[n].do(ctx, call{
				method: http.MethodPost, path: "/v1/associations/" + w.associations[n] + "/statements",
				body: map[string]any{"year": year}, header: map[string]string{"Idempotency-Key": fmt.Sprint("demo-", year)},
			})
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// registrarOf is a registrar of an association that the deal belongs to.
func (w *demoWorld) registrarOf(team []int) *client {
	for n := range demoAssociations {
		members := 0
		for _, company := range team {
			if demoCompanies[company].chapter[n] >= 0 {
				members++
			}
		}
		if members >= 2 {
			return w.registrars[n]
		}
	}
	return w.registrars[0]
}

// print shows each association's volume, that of all together, and what to look at next.
func (w *demoWorld) print(ctx context.Context) error {
	for _, id := range w.associations {
		if err := printVolume(ctx, w.api, id, w.sequence, w.now.Year()-4); err != nil {
			return err
		}
	}
	if err := printTogether(ctx, w.api, w.sequence, w.now.Year()-4); err != nil {
		return err
	}
	if len(w.boardKeys) > 0 {
		w.printKeys()
	}
	return w.signInLinks(ctx)
}

// printKeys shows what the keys open that were made just now.
func (w *demoWorld) printKeys() {
	fmt.Printf(`
The board of %s sees everything live (policy open):

  curl -H 'Authorization: Bearer %s' \
    '%s/v1/associations/%s/volume?year=%d&by=pair'

%s is guarded: its board sees releases only, its registrar the same figures live:

  curl -H 'Authorization: Bearer %s' \
    '%s/v1/associations/%s/volume?year=%d&by=month'
`, demoAssociations[0].name, w.boardKeys[0], w.api.url, w.associations[0], w.now.Year(),
		demoAssociations[1].name, w.registrars[1].key, w.api.url, w.associations[1], w.now.Year()-1)
}
