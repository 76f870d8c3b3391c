package main

import (
	"context"
	"net/http"
	"net/url"
	"reflect"
	"strconv"
	"time"

	"github.com/dealreg/dealreg/pkg/calendar"
	"github.com/dealreg/dealreg/pkg/deal"
	"github.com/dealreg/dealreg/pkg/roster"
)

type importMembers struct {
	importTable `embed:""`
	Association string `required:"" placeholder:"ID" help:"Whose members they are."`
}

// Help tells what --help adds to the flags.
func (*importMembers) Help() string {
	return "Columns: company (its id, domain or exact name), from and, where there are such, chapter (its exact name or id), to, ethics_accepted_on; " +
		"days as 2026-11-22. A row is one period: a later from moves the member to another chapter and ends the period before, the same from " +
		"corrects that period, and there an empty cell leaves what is known. The same file again changes nothing."
}

// Run brings members in.
func (c *importMembers) Run(ctx context.Context) error {
	api, err := c.client()
	if err != nil {
		return err
	}
	i := memberImport{api: api, dry: c.DryRun, path: "/v1/associations/" + url.PathEscape(c.Association), known: roster.New(nil, nil, nil), lines: map[string]int{}}
	if _, err := api.do(ctx, call{method: http.MethodGet, path: i.path, into: &i.association}); err != nil {
		return err
	}
	companies, err := allOf[roster.Company](ctx, api, "/v1/companies")
	if err != nil {
		return err
	}
	chapters, err := allOf[roster.Chapter](ctx, api, i.path+"/chapters")
	if err != nil {
		return err
	}
	members, err := allOf[roster.Membership](ctx, api, i.path+"/members")
	if err != nil {
		return err
	}
	i.known.Learn(companies, chapters, members)
	earliestFirst := func(row importRow) string { return row.cells["from"] }
	return c.each(ctx, []string{"company", "from"}, []string{"chapter", "to", "ethics_accepted_on"}, earliestFirst, i.put)
}

type memberImport struct {
	api         *client
	dry         bool
	path        string
	association roster.Association
	known       *roster.Roster
	lines       map[string]int // of the rows that were put, by company and first day
}

func (i *memberImport) put(ctx context.Context, row importRow) (outcome, error) {
	var faults deal.Invalid
	company := oneCompany(&faults, "/company", i.known, row.cells["company"])
	period := roster.Period{
		ChapterID: i.chapter(&faults, row.cells["chapter"]), To: day(&faults, row, "to"), EthicsAcceptedOn: day(&faults, row, "ethics_accepted_on"),
	}
	if from := day(&faults, row, "from"); from != nil {
		period.From = *from
	} else if row.cells["from"] == "" {
		faults.Add("/from", "missing: write the first day of the membership, as in 2026-11-22")
	}
	if faults = append(faults, period.Validate(i.association.Today(time.Now()))...); len(faults) > 0 {
		return unchanged, faults
	}
	key := company.ID.String() + period.From.String()
	if line, again := i.lines[key]; again {
		faults.Add("/from", "the same company and day as on line "+strconv.Itoa(line)+": remove one of the rows")
		return unchanged, faults
	}
	there, member := i.known.Membership(company.ID, i.association.ID)
	if !member {
		there = roster.Membership{AssociationID: i.association.ID, CompanyID: company.ID}
	}
	for _, before := range there.Periods {
		if before.From != period.From {
			continue
		}
		if period = overlay(period, before); reflect.DeepEqual(period, before) {
			i.lines[key] = row.Line
			return unchanged, nil
		}
	}
	next, faults := there.With(period)
	if len(faults) > 0 {
		return unchanged, faults
	}
	if !i.dry {
		path := i.path + "/members/" + company.ID.String()
		if _, err := i.api.do(ctx, call{method: http.MethodPut, path: path, body: period}); err != nil {
			return unchanged, err
		}
	}
	i.known.Learn(nil, nil, []roster.Membership{next})
	i.lines[key] = row.Line
	if len(there.Periods) == 0 {
		return created, nil
	}
	return updated, nil
}

// overlay is the period with what it leaves open taken from before: a file without the last day of a period does not open
// one again that has ended.
func overlay(p, before roster.Period) roster.Period {
	if p.ChapterID.IsZero() {
		p.ChapterID = before.ChapterID
	}
	if p.To == nil {
		p.To = before.To
	}
	if p.EthicsAcceptedOn == nil {
		p.EthicsAcceptedOn = before.EthicsAcceptedOn
	}
	return p
}

// chapter finds the chapter that a cell names, or adds a fault; the zero ID for an empty cell.
func (i *memberImport) chapter(faults *deal.Invalid, text string) deal.ID {
	var found []deal.ID
	for _, c := range i.known.Chapters(i.association.ID) {
		if c.ID.String() == text {
			return c.ID
		}
		if roster.NameKey(c.Name) == roster.NameKey(text) {
			found = append(found, c.ID)
		}
	}
	switch {
	case text == "":
	case len(found) == 0:
		faults.Add("/chapter", "is no chapter of the association: write its exact name or its id, or create it first")
	case len(found) > 1:
		faults.Add("/chapter", "is the name of several chapters: write the chapter's id instead")
	default:
		return found[0]
	}
	return deal.ID{}
}

// day reads a cell; nil for an empty one, and with a fault for one that is no day.
func day(faults *deal.Invalid, row importRow, column string) *calendar.Date {
	text := row.cells[column]
	if text == "" {
		return nil
	}
	on, err := calendar.ParseDate(text)
	if err != nil {
		faults.Add("/"+column, err.Error())
		return nil
	}
	return &on
}
