package imports

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/google/uuid"

	"github.com/dealreg/dealreg/pkg/calendar"
	"github.com/dealreg/dealreg/pkg/deal"
	"github.com/dealreg/dealreg/pkg/dealcsv"
	"github.com/dealreg/dealreg/pkg/roster"
	"github.com/dealreg/dealreg/pkg/stream"
)

// rowReader turns rows into deals of one import.
type rowReader struct {
	cfg    Config
	actor  deal.Actor
	owner  deal.ID
	today  calendar.Date
	create bool // companies, chapters and members that are missing
	dry    bool
	ref    string
	// made are the companies that this import would have created, were it not dry.
	made map[deal.ID]roster.Company
}

func newRowReader(cfg Config, j job, create bool) *rowReader {
	actor := j.actor()
	return &rowReader{
		cfg: cfg, actor: actor, owner: j.owner(), today: cfg.Today(actor), create: create, dry: j.DryRun, ref: j.Reference,
		made: map[deal.ID]roster.Company{},
	}
}

// batch registers the sound rows and gives the others their reasons.
func (rr *rowReader) batch(ctx context.Context, j *job, rows []dealcsv.Row) error {
	if err := rr.createMissing(ctx, j, rows); err != nil {
		return err
	}
	var drafts []stream.Draft
	var from []*dealcsv.Row
	for n := range rows {
		row := &rows[n]
		if !row.Sound() {
			continue
		}
		draft, err := rr.draft(*row)
		if reasons, faulty := reasonsOf(err); faulty {
			row.Reasons = reasons
			continue
		}
		if err != nil {
			return err
		}
		drafts, from = append(drafts, draft), append(from, row)
	}
	drafts, from, err := rr.dropKnown(ctx, j, drafts, from)
	if err != nil || len(drafts) == 0 {
		return err
	}
	if rr.dry {
		j.Registered += len(drafts)
		return nil
	}
	err = rr.cfg.Deals.AppendBatch(ctx, drafts)
	if err == nil {
		j.Registered += len(drafts)
		return nil
	}
	if !errors.Is(err, stream.ErrConflict) && !errors.Is(err, stream.ErrUnknown) {
		return err
	}
	return rr.singly(ctx, j, drafts, from)
}

// singly writes drafts one by one when they could not be written as one batch.
func (rr *rowReader) singly(ctx context.Context, j *job, drafts []stream.Draft, from []*dealcsv.Row) error {
	for n, d := range drafts {
		_, err := rr.cfg.Deals.Append(ctx, d)
		if errors.Is(err, stream.ErrConflict) {
			err = rr.compareFirst(ctx, j, d, from[n])
		} else if err == nil {
			j.Registered++
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// dropKnown takes out the rows whose deals are in the log already.
func (rr *rowReader) dropKnown(ctx context.Context, j *job, drafts []stream.Draft, from []*dealcsv.Row) ([]stream.Draft, []*dealcsv.Row, error) {
	ids := make([]deal.ID, len(drafts))
	for n, d := range drafts {
		ids[n] = d.Event.Deal.ID
	}
	known, err := rr.cfg.Deals.Latest(ctx, ids)
	if err != nil {
		return nil, nil, err
	}
	kept := 0
	for n, d := range drafts {
		latest, there := known[d.Event.Deal.ID]
		switch {
		case !there:
		case latest.Deal.Revision == 1: // it is the first event itself
			compare(j, latest, d, from[n])
			continue
		default:
			if err := rr.compareFirst(ctx, j, d, from[n]); err != nil {
				return nil, nil, err
			}
			continue
		}
		drafts[kept], from[kept] = d, from[n]
		kept++
	}
	return drafts[:kept], from[:kept], nil
}

// compareFirst reads the first event of a row's deal and compares.
func (rr *rowReader) compareFirst(ctx context.Context, j *job, d stream.Draft, row *dealcsv.Row) error {
	first, err := rr.cfg.Deals.First(ctx, d.Event.Deal.ID)
	if err != nil {
		return err
	}
	compare(j, first, d, row)
	return nil
}

// compare settles a row whose deal is in the log already: unchanged when the deal began with the very same row.
func compare(j *job, first stream.Stored, d stream.Draft, row *dealcsv.Row) {
	if bytes.Equal(first.Command.RequestHash, d.Event.Command.RequestHash) {
		j.Unchanged++
		return
	}
	row.Reasons = append(row.Reasons, "external_ref: this deal is registered with other figures: correct the deal, or give the row a number of its own")
}

// draft is the event that the row becomes.
func (rr *rowReader) draft(row dealcsv.Row) (stream.Draft, error) {
	var faults deal.Invalid
	if row.Status != "" && row.Status != deal.Won {
		faults.Add("/status", "is not won: an import brings deals that were won; register open deals one by one")
	}
	details := row.Details()
	terms := deal.Terms{Value: row.Value, WonOn: row.WonOn}
	shares := row.Shares()
	for n, p := range row.Parties {
		company, err := rr.company(p.Name)
		if err != nil {
			faults.Add("/"+p.Column, err.Error())
			continue
		}
		terms.Parties = append(terms.Parties, deal.Party{Company: company.ID, Group: company.GroupID, Role: p.Role, ShareMinor: shares[n]})
	}
	if err := faults.Err(); err != nil {
		return stream.Draft{}, err
	}
	return rr.cfg.Draft(rr.owner, deal.Command{
		Move: deal.Import, By: rr.actor, Today: rr.today, Details: &details, Terms: &terms, Reference: rr.ref,
	})
}

// reasonsOf gives the faults of a row as they stand in the file of rejected rows.
func reasonsOf(err error) ([]string, bool) {
	var faults deal.Invalid
	if !errors.As(err, &faults) {
		return nil, false
	}
	reasons := make([]string, len(faults))
	for n, f := range faults {
		reasons[n] = strings.TrimPrefix(f.Pointer, "/") + ": " + f.Message
	}
	return reasons, true
}

var (
	errUnknownCompany = errors.New("is no company here: write its exact name, its web domain or its id, or ask your registrar to add it")
	errMissingCompany = errors.New("is no company here: add it, or let the import create what is missing (create_companies in the map)")
	errManyCompanies  = errors.New("is the name of several companies: write the company's id instead")
)

// company finds a party by id, domain or exact name.
func (rr *rowReader) company(text string) (roster.Company, error) {
	switch found := rr.cfg.Roster.FindCompanies(text); len(found) {
	case 1:
		return found[0], nil
	case 0:
		if c, made := rr.made[rr.companyID(text)]; made {
			return c, nil
		}
		return roster.Company{}, rr.unknown()
	default:
		return roster.Company{}, errManyCompanies
	}
}

// unknown says what whoever imports can do about a company that nobody knows.
func (rr *rowReader) unknown() error {
	if rr.actor.Association.IsZero() {
		return errUnknownCompany
	}
	return errMissingCompany
}

// companyID is the ID of a company that the import creates: the same name in the same association is the same company.
func (rr *rowReader) companyID(name string) deal.ID {
	return deal.ID(uuid.NewSHA1(uuid.UUID(rr.owner), []byte("company:"+roster.NameKey(name))))
}

func (rr *rowReader) chapterID(name string) deal.ID {
	return deal.ID(uuid.NewSHA1(uuid.UUID(rr.owner), []byte("chapter:"+roster.NameKey(name))))
}

// createMissing adds the companies, chapters and members that the rows name and the directory lacks, when the map asks
// for that. A company becomes a member of the row's chapter from the first day on that can be imported; one that is a
// member already, of this association or another one, stays where it is: to make it a member here would open to this
// registrar what it won elsewhere.
func (rr *rowReader) createMissing(ctx context.Context, j *job, rows []dealcsv.Row) error {
	if !rr.create {
		return nil
	}
	r := rr.cfg.Roster
	var companies []roster.Company
	var chapters []roster.Chapter
	var memberships []roster.Membership
	planned := map[deal.ID]bool{} // IDs of companies, chapters and, by company, members
	for _, row := range rows {
		if !row.Sound() {
			continue
		}
		chapter := rr.chapter(row.Chapter)
		for _, p := range row.Parties {
			company, err := rr.company(p.Name)
			if _, noID := deal.ParseID(p.Name); errors.Is(err, errManyCompanies) || err != nil && noID == nil {
				continue // the row is rejected
			}
			if err != nil {
				id := rr.companyID(p.Name)
				company = roster.Company{ID: id, Name: p.Name, Country: row.Customer.Country, GroupID: id, CreatedAt: rr.cfg.Now().UTC()}.Clean()
				if len(company.Validate()) > 0 {
					continue // the row is rejected, since the company stays unknown
				}
				rr.made[id] = company
				companies = append(companies, company)
			}
			if len(r.Memberships(company.ID)) > 0 || planned[company.ID] {
				continue
			}
			planned[company.ID] = true
			period := roster.Period{ChapterID: chapter, From: deal.EarliestImport}
			memberships = append(memberships, roster.Membership{AssociationID: rr.owner, CompanyID: company.ID, Periods: []roster.Period{period}})
			if _, there := r.Chapter(chapter); !there && !chapter.IsZero() && !planned[chapter] {
				planned[chapter] = true
				chapters = append(chapters, roster.Chapter{
					ID: chapter, AssociationID: rr.owner, Name: row.Chapter, Country: row.Customer.Country,
				}.Clean())
			}
		}
	}
	j.Companies, j.Chapters, j.Members = j.Companies+len(companies), j.Chapters+len(chapters), j.Members+len(memberships)
	if rr.dry {
		return nil
	}
	store := rr.cfg.Store
	return errors.Join(
		created(ctx, r, roster.Companies, companies, store.PutCompanies),
		created(ctx, r, roster.Chapters, chapters, store.PutChapters),
		created(ctx, r, roster.Members, memberships, store.PutMemberships),
	)
}

// chapter finds the association's chapter of that name, or the ID under which it will be created.
func (rr *rowReader) chapter(name string) deal.ID {
	if name == "" {
		return deal.ID{}
	}
	for _, c := range rr.cfg.Roster.Chapters(rr.owner) {
		if roster.NameKey(c.Name) == roster.NameKey(name) {
			return c.ID
		}
	}
	return rr.chapterID(name)
}

// created writes the items and waits until the roster shows them, so that the rows that follow find them.
func created[T any](
	ctx context.Context, r *roster.Roster, b roster.Bucket, items []T, put func(context.Context, []T) ([]uint64, error),
) error {
	if len(items) == 0 {
		return nil
	}
	revisions, err := put(ctx, items)
	if err != nil {
		return fmt.Errorf("create %d of %s: %w", len(items), b, err)
	}
	var last uint64
	for _, revision := range revisions {
		last = max(last, revision)
	}
	return r.WaitFor(ctx, b, last)
}
