package reports

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/dealreg/dealreg/pkg/calendar"
	"github.com/dealreg/dealreg/pkg/deal"
	"github.com/dealreg/dealreg/pkg/disclosure"
	"github.com/dealreg/dealreg/pkg/httpapi"
	"github.com/dealreg/dealreg/pkg/roster"
	"github.com/dealreg/dealreg/pkg/stream"
)

// publishWithin bounds the making of a release: the first one of a process hashes the whole log.
const publishWithin = 2 * time.Minute

// How long caches may keep a statement: its figures never change, but names may.
const (
	forADay   = "private, max-age=86400, immutable"
	askEachAt = "private, no-cache"
)

// StatementSummary is one release in a list.
type StatementSummary struct {
	Year         int          `json:"year"`
	Release      int          `json:"release"`
	PublishedAt  time.Time    `json:"published_at"`
	Cause        stream.Cause `json:"cause" enum:"scheduled,requested,close,restated"`
	Closed       bool         `json:"closed"`
	Reason       string       `json:"reason,omitempty"`
	AsOfSequence uint64       `json:"as_of_sequence"`
	Currency     string       `json:"currency"`
	Total        Cell         `json:"total"`
}

// HeldBack is what a release left out.
type HeldBack struct {
	AssociationID deal.ID         `json:"association_id"`
	Year          int             `json:"year"`
	Release       int             `json:"release"`
	AsOfSequence  uint64          `json:"as_of_sequence"`
	Events        []HeldBackEvent `json:"events" doc:"By their sequences"`
	MadeWith      *MadeWith       `json:"made_with,omitempty" doc:"What the release was made with beside the log; for those who may read the log"`
}

func (s *Service) statementRoutes(api huma.API) {
	const all, one = "/v1/associations/{id}/statements", "/v1/associations/{id}/statements/{year}/{release}"
	tags := []string{"Reports"}
	huma.Register(api, huma.Operation{
		OperationID: "list-statements", Method: http.MethodGet, Path: all, Tags: tags,
		Summary:     "List the releases of an association's statements, the latest first",
		Description: "For its board, registrar and auditor, and the operator.",
	}, s.listStatements)
	huma.Register(api, huma.Operation{
		OperationID: "get-statement", Method: http.MethodGet, Path: one, Tags: tags,
		Summary: "Read one release of an association's year",
		Description: "For its board, registrar and auditor, and the operator; as JSON, CSV or XLSX. The release is a number, or `latest`. " +
			"It shows only what gives no deal away; what cannot be shown yet waits for a later release.",
		Responses: forms[Statement](api, "The release, which never changes"),
	}, s.getStatement)
	huma.Register(api, huma.Operation{
		OperationID: "get-statement-held-back", Method: http.MethodGet, Path: one + "/held-back", Tags: []string{"Audit"},
		Summary:     "List the events that a release does not include",
		Description: "For the association's auditor and the operator: with it and the log anyone can compute the release again.",
	}, s.getHeldBack)
	huma.Register(api, huma.Operation{
		OperationID: "publish-statement", Method: http.MethodPost, Path: all, Tags: tags, DefaultStatus: http.StatusCreated,
		Summary: "Make the next release of an association's year",
		Description: "For its registrar and the operator. Releases are also made by themselves: on the first of each month, and 90 days after " +
			"the end of the year, which closes it. After the close a release restates the year and needs a reason.",
		Errors: []int{http.StatusForbidden},
	}, s.publishStatement)
}

// maySeeStatements lets in those for whom the statements are made, and who answer for them.
func maySeeStatements(caller roster.Principal, association deal.ID) bool {
	return caller.IsBoardOf(association) || caller.IsRegistrarOf(association) || caller.IsAuditorOf(association)
}

func (s *Service) visibleAssociation(ctx context.Context, id deal.ID) (roster.Association, error) {
	association, known := s.cfg.Roster.Association(id)
	if !known || !maySeeStatements(httpapi.Caller(ctx), id) {
		return roster.Association{}, httpapi.NotFound()
	}
	return association, nil
}

type statementsInput struct {
	httpapi.Paging
	ID deal.ID `path:"id" doc:"The association"`
}

func (s *Service) listStatements(ctx context.Context, in *statementsInput) (*httpapi.List[StatementSummary], error) {
	if _, err := s.visibleAssociation(ctx, in.ID); err != nil {
		return nil, err
	}
	position, err := in.Number()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	all, err := s.shelf.on(ctx, stream.YearsSubject(in.ID))
	if err != nil {
		return nil, unmade(err)
	}
	// The cursor is how many are older than the page, so that a new release does not move the pages.
	older := len(all)
	if position > 0 {
		older = min(int(position), older) // #nosec G115 -- a Number has 63 bits
	}
	var page []StatementSummary
	for _, r := range slices.Backward(all[max(0, older-in.Limit):older]) {
		page = append(page, StatementSummary{
			Year: r.Year, Release: r.Release, PublishedAt: r.PublishedAt, Cause: r.Cause, Closed: r.Closed, Reason: r.Reason,
			AsOfSequence: r.AsOfSequence, Currency: string(r.Currency), Total: r.Total,
		})
	}
	next := ""
	if older > in.Limit {
		next = strconv.Itoa(older - in.Limit)
	}
	return httpapi.NewList(page, next), nil
}

// ReleasePath names a release.
type ReleasePath struct {
	ID      deal.ID `path:"id" doc:"The association"`
	Year    string  `path:"year" example:"2026" doc:"The association's year, by the calendar year in which it starts"`
	Release string  `path:"release" example:"latest" doc:"A number from 1, or latest"`
}

const latest = "latest"

// find gives the release that the path names, and its year's number. The error is a Problem.
func (s *Service) find(ctx context.Context, association deal.ID, in ReleasePath) (release, error) {
	year, err := strconv.Atoi(in.Year)
	if err != nil || strconv.Itoa(year) != in.Year {
		return release{}, httpapi.NotFound()
	}
	all, err := s.shelf.on(ctx, stream.StatementSubject(association, year))
	if err != nil {
		return release{}, unmade(err)
	}
	n := len(all)
	if in.Release != latest {
		if n, err = strconv.Atoi(in.Release); err != nil || strconv.Itoa(n) != in.Release {
			return release{}, httpapi.NotFound()
		}
	}
	if n < 1 || n > len(all) {
		return release{}, httpapi.NotFound()
	}
	return all[n-1], nil
}

type statementInput struct {
	ReleasePath
	Form
	Limit int `query:"limit" minimum:"1" maximum:"1000" doc:"Under open disclosure only so many pairs, the largest, and the rest as one sum; all when left out. Other policies name few pairs, and all"`
}

func (s *Service) getStatement(ctx context.Context, in *statementInput) (*huma.StreamResponse, error) {
	association, err := s.visibleAssociation(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	r, err := s.find(ctx, association.ID, in.ReleasePath)
	if err != nil {
		return nil, err
	}
	shown, err := s.read(ctx, association, r, in.Limit)
	if err != nil {
		return nil, err
	}
	caching := forADay
	if in.Release == latest {
		caching = askEachAt
	}
	return in.answer(shown, statementBook(shown), caching)
}

// read shows a release, with at most so many pairs, 0 for all. The error is a Problem.
func (s *Service) read(ctx context.Context, a roster.Association, r release, limit int) (Statement, error) {
	figures, err := s.figuresOf(ctx, r)
	if err != nil {
		return Statement{}, unmade(err)
	}
	var before *published
	if r.Previous > 0 {
		all, err := s.shelf.on(ctx, stream.StatementSubject(a.ID, r.Year-1))
		if err != nil {
			return Statement{}, unmade(err)
		}
		if len(all) < r.Previous {
			return Statement{}, httpapi.Internal(fmt.Errorf("release %s names release %d of the year before, which is not there", r.ID(), r.Previous))
		}
		if before, err = s.figuresOf(ctx, all[r.Previous-1]); err != nil {
			return Statement{}, unmade(err)
		}
	}
	return s.statement(a, *figures, before, limit), nil
}

// What a release says never changes, and one of a year of hundreds of thousands of deals takes seconds to read: large ones are
// remembered as they were once read and found whole, within some ten megabytes. Others are read anew each time.
const (
	largeRelease = 1000    // pairs
	openedPairs  = 200_000 // of all that are remembered
)

func (s *Service) figuresOf(ctx context.Context, r release) (*published, error) {
	if p, there := s.opened.Get(r.Content.Name); there {
		return p, nil
	}
	c, err := s.shelf.content(ctx, r)
	if err != nil {
		return nil, err
	}
	figures := c.Release.Published
	p := &published{
		release: r, figures: figures,
		pairs: byAmount(figures.Pairs(), func(c disclosure.PairCell) disclosure.Cell { return c.Cell }),
	}
	s.remember(p)
	return p, nil
}

func (s *Service) remember(p *published) {
	if len(p.pairs) >= largeRelease {
		s.opened.Put(p.Content.Name, p, len(p.pairs))
	}
}

func (s *Service) getHeldBack(ctx context.Context, in *ReleasePath) (*struct{ Body HeldBack }, error) {
	association, known := s.cfg.Roster.Association(in.ID)
	if !known || !httpapi.Caller(ctx).IsAuditorOf(in.ID) {
		return nil, httpapi.NotFound()
	}
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	r, err := s.find(ctx, association.ID, *in)
	if err != nil {
		return nil, err
	}
	c, err := s.shelf.content(ctx, r)
	if err != nil {
		return nil, unmade(err)
	}
	list := HeldBack{AssociationID: association.ID, Year: r.Year, Release: r.Release, AsOfSequence: r.AsOfSequence, Events: c.HeldBack}
	if httpapi.Caller(ctx).IsAuditorOf(deal.ID{}) {
		list.MadeWith = &c.MadeWith
	}
	return &struct{ Body HeldBack }{list}, nil
}

type publishInput struct {
	ID   deal.ID `path:"id" doc:"The association"`
	Key  string  `header:"Idempotency-Key" required:"true" minLength:"1" maxLength:"128" doc:"The same key gives the same release"`
	Body struct {
		Year   int    `json:"year" minimum:"1899" maximum:"2299" example:"2026" doc:"By the calendar year in which the association's year starts"`
		Reason string `json:"reason,omitempty" maxLength:"500" doc:"Required once the year was closed: why it is restated"`
	}
}

type publishedAnswer struct {
	Status   int
	Location string `header:"Location" doc:"The address of the release" example:"/v1/associations/0198c2f4-5b7e-7cc1-9d0a-4f1e2a3b4c5d/statements/2026/3"`
	Replayed string `header:"Idempotency-Replayed" doc:"true when an earlier request with this key made it"`
	Body     Statement
}

func (s *Service) publishStatement(ctx context.Context, in *publishInput) (*publishedAnswer, error) {
	association, err := s.visibleAssociation(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	caller := httpapi.Caller(ctx)
	if !caller.IsRegistrarOf(in.ID) {
		return nil, httpapi.Forbidden("only the association's registrar and the operator may make a release")
	}
	now := s.cfg.Now()
	if first, _ := calendar.Bounds(in.Body.Year, time.Month(association.YearStartsIn)); association.Today(now) < first {
		return nil, httpapi.Invalid(deal.Invalid{{Pointer: "/year", Message: "has not begun: write the year of today or an earlier one"}})
	}
	ctx, cancel := context.WithTimeout(ctx, publishWithin)
	defer cancel()
	asked := &request{By: caller.KeyID, Key: in.Key, Hash: askedHash(in.Body.Year, in.Body.Reason)}
	if earlier, err := s.earlier(ctx, in.ID, asked); err != nil || earlier != nil {
		return s.answer(ctx, association, earlier, true, err)
	}
	replayed := false
	made, err := s.publish(ctx, association, in.Body.Year, func(before []release) (wanted, error) {
		// Another process may have had the same request in the meantime.
		if i := slices.IndexFunc(before, asked.made); i >= 0 {
			replayed = true
			return wanted{not: true}, nil
		}
		w := wanted{cause: causeOf(association, in.Body.Year, lastOf(before), now), reason: strings.TrimSpace(in.Body.Reason), request: asked}
		if w.cause == stream.Restated && w.reason == "" {
			return wanted{}, httpapi.Invalid(deal.Invalid{{Pointer: "/reason", Message: "is missing: the year was closed, so say why it is restated"}})
		}
		return w, nil
	})
	if replayed && err == nil {
		made, err = s.earlier(ctx, in.ID, asked)
	}
	return s.answer(ctx, association, made, replayed, err)
}

func (s *Service) answer(ctx context.Context, a roster.Association, made *release, replayed bool, err error) (*publishedAnswer, error) {
	if err != nil {
		return nil, unmade(err)
	}
	shown, err := s.read(ctx, a, *made, 0)
	if err != nil {
		return nil, err
	}
	answer := &publishedAnswer{
		Status: http.StatusCreated, Location: fmt.Sprintf("/v1/associations/%s/statements/%d/%d", a.ID, made.Year, made.Release), Body: shown,
	}
	if replayed {
		answer.Status, answer.Replayed = http.StatusOK, "true"
	}
	return answer, nil
}

// earlier finds the release that an earlier request with the key made. The error is a Problem when that asked for
// something else.
func (s *Service) earlier(ctx context.Context, association deal.ID, asked *request) (*release, error) {
	all, err := s.shelf.on(ctx, stream.YearsSubject(association))
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(all, asked.made)
	if i < 0 {
		return nil, nil
	}
	if all[i].Request.Hash != asked.Hash {
		return nil, httpapi.KeyUsed()
	}
	return &all[i], nil
}

// made tells whether a request with the same key made the release.
func (q *request) made(r release) bool { return r.Request != nil && r.Request.Key == q.Key }

func askedHash(year int, reason string) string {
	text, _ := json.Marshal([]any{year, reason}) // a number and a text always encode
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

func lastOf(releases []release) *release {
	if len(releases) == 0 {
		return nil
	}
	return &releases[len(releases)-1]
}

// unmade makes a Problem of what kept a release from being made or read.
func unmade(err error) error {
	var p *httpapi.Problem
	switch {
	case errors.As(err, &p):
		return p
	case errors.Is(err, errDamaged):
		return httpapi.Internal(err)
	}
	return unanswered(err)
}
