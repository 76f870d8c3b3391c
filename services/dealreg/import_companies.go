package main

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"github.com/google/uuid"

	"github.com/dealreg/dealreg/pkg/deal"
	"github.com/dealreg/dealreg/pkg/roster"
)

type importCompanies struct {
	importTable `embed:""`
}

// Help tells what --help adds to the flags.
func (*importCompanies) Help() string {
	return "Columns: name, country and, where there are such, domain, lei, duns, group. group is the company that heads the corporate group: " +
		"its id, domain or exact name, also of another row. A company is known by its domain, its LEI or else its exact name. " +
		"What a known company lacks is filled in; a row that contradicts what it has is rejected. The same file again changes nothing."
}

// Run brings companies in.
func (c *importCompanies) Run(ctx context.Context) error {
	api, err := c.client()
	if err != nil {
		return err
	}
	there, err := allOf[roster.Company](ctx, api, "/v1/companies")
	if err != nil {
		return err
	}
	known := roster.New(nil, nil, nil)
	known.Learn(there, nil, nil)
	i := companyImport{api: api, dry: c.DryRun, known: known, lines: map[deal.ID]int{}}
	headsFirst := func(row importRow) string {
		if headsItself(row) {
			return "first"
		}
		return "then"
	}
	return c.each(ctx, []string{"name", "country"}, []string{"domain", "lei", "duns", "group"}, headsFirst, i.put)
}

// headsItself tells whether the row names no other company as the head of its group.
func headsItself(row importRow) bool {
	head := row.cells["group"]
	return head == "" || roster.NameKey(head) == roster.NameKey(row.cells["name"]) || strings.EqualFold(head, row.cells["domain"])
}

type companyImport struct {
	api   *client
	dry   bool
	known *roster.Roster
	lines map[deal.ID]int // of the rows that were put
}

// companyFields are what a row may say, by the names of the API and in the order of the columns.
var companyFields = []struct {
	name string
	of   func(roster.Company) string
}{
	{"name", func(c roster.Company) string { return c.Name }},
	{"country", func(c roster.Company) string { return c.Country }},
	{"domain", func(c roster.Company) string { return c.Domain }},
	{"lei", func(c roster.Company) string { return c.LEI }},
	{"duns", func(c roster.Company) string { return c.DUNS }},
	{"group_id", func(c roster.Company) string {
		if c.GroupID.IsZero() || c.GroupID == c.ID {
			return ""
		}
		return c.GroupID.String()
	}},
}

func (i *companyImport) put(ctx context.Context, row importRow) (outcome, error) {
	wanted := roster.Company{
		Name: row.cells["name"], Country: row.cells["country"], Domain: row.cells["domain"], LEI: row.cells["lei"], DUNS: row.cells["duns"],
	}.Clean()
	faults := wanted.Validate()
	if !headsItself(row) {
		wanted.GroupID = oneCompany(&faults, "/group_id", i.known, row.cells["group"]).ID
	}
	if len(faults) > 0 {
		return unchanged, faults
	}
	there, known := i.find(&faults, wanted)
	lacks := map[string]string{}
	if known {
		wanted.ID = there.ID
		lacks = compareCompany(&faults, there, wanted)
		if line, again := i.lines[there.ID]; again && len(faults) == 0 {
			faults.Add("", fmt.Sprintf("the same company as on line %d: remove one of the rows", line))
		}
	}
	if len(faults) > 0 {
		return unchanged, faults
	}
	done, stored := unchanged, there
	var err error
	switch {
	case !known:
		done, stored, err = i.create(ctx, wanted)
	case len(lacks) > 0:
		done = updated
		stored, err = i.fill(ctx, there, wanted, lacks)
	}
	if err != nil {
		return unchanged, err
	}
	i.known.Learn([]roster.Company{stored.Clean()}, nil, nil)
	i.lines[stored.ID] = row.Line
	return done, nil
}

// oneCompany finds the company that a cell names, or adds a fault.
func oneCompany(faults *deal.Invalid, pointer string, in *roster.Roster, text string) roster.Company {
	switch found := in.FindCompanies(text); len(found) {
	case 0:
		faults.Add(pointer, "is no company here: write its exact name, its web domain or its id, or import it first")
	case 1:
		return found[0]
	default:
		faults.Add(pointer, "is the name of several companies: write the company's id instead")
	}
	return roster.Company{}
}

// find gives the company that a row means, if it is known.
func (i *companyImport) find(faults *deal.Invalid, wanted roster.Company) (roster.Company, bool) {
	byDomain, hasDomain := i.known.CompanyByDomain(wanted.Domain)
	byLEI, hasLEI := i.known.CompanyWithLEI(wanted.LEI)
	named := i.known.CompaniesByName(roster.NameKey(wanted.Name))
	switch {
	case hasDomain && hasLEI && byDomain.ID != byLEI.ID:
		faults.Add("/lei", fmt.Sprintf("belongs to company %s, and the domain to %s: correct one of them", byLEI.ID, byDomain.ID))
	case hasDomain:
		return byDomain, true
	case hasLEI:
		return byLEI, true
	case len(named) == 1:
		return named[0], true
	case len(named) > 1:
		faults.Add("/name", "is the name of several companies: write the domain or the LEI that the one has which you mean")
	}
	return roster.Company{}, false
}

// compareCompany gives what a row knows about a company and the directory does not, by the names of the API, and adds a fault
// for each field in which they differ: two companies of a group may share a domain, and two of different countries a name.
func compareCompany(faults *deal.Invalid, there, wanted roster.Company) (lacks map[string]string) {
	lacks = map[string]string{}
	for _, field := range companyFields {
		has, says := field.of(there), field.of(wanted)
		switch {
		case says == "" || roster.NameKey(says) == roster.NameKey(has):
		case has == "":
			lacks[field.name] = says
		default:
			faults.Add("/"+field.name, fmt.Sprintf("company %s has %q here: correct the row, or change the company before", there.ID, has))
		}
	}
	return lacks
}

// fill adds what a company lacks, and nothing else.
func (i *companyImport) fill(ctx context.Context, there, wanted roster.Company, lacks map[string]string) (roster.Company, error) {
	if i.dry {
		return wanted, nil
	}
	path := "/v1/companies/" + there.ID.String()
	header, err := i.api.do(ctx, call{method: http.MethodGet, path: path})
	if err != nil {
		return there, err
	}
	_, err = i.api.do(ctx, call{
		method: http.MethodPatch, path: path, body: lacks, into: &there, header: map[string]string{"If-Match": header.Get("ETag")},
	})
	return there, err
}

// create makes the company. The key is made of all that the row says: a request that is sent again makes no second one.
func (i *companyImport) create(ctx context.Context, wanted roster.Company) (outcome, roster.Company, error) {
	if i.dry {
		wanted.ID = deal.ID(uuid.New())
		return created, wanted, nil
	}
	body := map[string]string{}
	for _, field := range companyFields {
		if says := field.of(wanted); says != "" {
			body[field.name] = says
		}
	}
	text, err := json.Marshal(body)
	if err != nil {
		return unchanged, wanted, err
	}
	header, err := i.api.do(ctx, call{
		method: http.MethodPost, path: "/v1/companies", body: body, into: &wanted,
		header: map[string]string{"Idempotency-Key": fmt.Sprintf("import-%x", sha256.Sum256(text))},
	})
	if header.Get("Idempotency-Replayed") == "true" {
		return unchanged, wanted, err // it has another name by now
	}
	return created, wanted, err
}
