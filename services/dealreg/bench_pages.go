package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"github.com/dealreg/dealreg/pkg/calendar"
	"github.com/dealreg/dealreg/pkg/deal"
	"github.com/dealreg/dealreg/pkg/dealtest"
	"github.com/dealreg/dealreg/pkg/embedded"
	"github.com/dealreg/dealreg/pkg/roster"
	"github.com/dealreg/dealreg/pkg/stream"
)

// benchBoard is how many people take turns: so many that nobody's key is asked more often than it may be.
const benchBoard = 32

// benchPages measures the pages of one association's year for its board, who open one after the other as soon as the last
// one is there: by HTTP, with sessions, each page with the calls of the API that it makes. Its limit is one plain sum over
// all amounts of the ledger, as that of the reports. The deals go straight into the warehouse and are rolled up.
type benchPages struct {
	Seconds int    `default:"10" help:"So long pages are opened."`
	Deals   int    `default:"400000" help:"Deals of the year."`
	Seed    uint64 `default:"1" help:"The same seed makes the same deals."`
}

// benchedPages are the parts of the addresses behind the year's own.
var benchedPages = map[string]string{
	"year": "", "chapters": "/chapters", "pairs": "/pairs", "matrix": "/pairs?view=matrix", "table": "/pairs?view=table", "members": "/members",
	"release": "/r1", "release_pairs": "/r1/pairs",
}

// Run prints one JSON object: the figure is the worst p99 of a page.
func (c *benchPages) Run(ctx context.Context, log *zap.Logger) (err error) {
	if c.Seconds < 1 || c.Deals < 1 {
		return errors.New("bench: --seconds and --deals are at least 1")
	}
	dir, err := os.MkdirTemp("", "dealreg-bench-")
	if err != nil {
		return fmt.Errorf("bench: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	engine, err := embedded.StartClickHouse(ctx, embedded.ClickHouseConfig{Dir: filepath.Join(dir, "clickhouse"), Log: log})
	if err != nil {
		return err
	}
	defer engine.Stop()
	b, err := openReportsBench(ctx, engine.DSN())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.close()) }()
	history := dealtest.NewBulkYear(c.Deals, c.Seed)
	if err := b.fill(ctx, history); err != nil {
		return err
	}
	if err := b.house.RollUp(ctx, b.last); err != nil {
		return err
	}
	port, err := embedded.FreePort()
	if err != nil {
		return err
	}
	a, err := assemble(ctx, system{
		Data: dir, Listen: fmt.Sprintf("127.0.0.1:%d", port), ClickhouseDSN: b.dsn, Replicas: 1, Statements: "off",
	}, log, func(string) {}, []string{serviceDirectory, serviceReports, servicePortal})
	if err != nil {
		return err
	}
	running, end := context.WithCancel(ctx)
	defer end()
	var measured error
	err = a.serve(running, func(ctx context.Context, address string) error {
		defer end()
		measured = c.measure(ctx, a, b, history, address)
		return nil
	})
	return errors.Join(measured, err)
}

func (c *benchPages) measure(ctx context.Context, a *assembly, b *reportsBench, history *dealtest.Bulk, address string) error {
	result := benchResult{Bench: "pages", Unit: "ms", Also: map[string]float64{"deals": float64(c.Deals), "events": float64(b.last)}}
	tokens, registrar, err := benchDirectory(ctx, a, history)
	if err != nil {
		return err
	}
	_, err = newClient(address, registrar).do(ctx, call{
		method: http.MethodPost, path: fmt.Sprintf("/v1/associations/%s/statements", history.Associations[0].ID),
		body: map[string]any{"year": dealtest.BulkLastYear}, header: map[string]string{"Idempotency-Key": "bench"},
	})
	if err != nil {
		return err
	}
	board := make([]*benchReader, benchBoard)
	for i := range board {
		if board[i], err = newBenchReader(ctx, address, tokens[i]); err != nil {
			return err
		}
	}
	before, err := b.plainSum(ctx)
	if err != nil {
		return err
	}
	year := fmt.Sprintf("/a/%s/%d", history.Associations[0].ID, dealtest.BulkLastYear)
	took := map[string][]time.Duration{}
	for name, view := range benchedPages { // what is remembered is remembered once
		first, size, err := board[0].open(ctx, year+view)
		if err != nil {
			return err
		}
		result.Also[name+"_first_ms"], result.Also[name+"_bytes"] = milliseconds(first), float64(size)
	}
	turn := 0
	for end := time.Now().Add(time.Duration(c.Seconds) * time.Second); time.Now().Before(end); {
		for name, view := range benchedPages {
			turn++
			d, _, err := board[turn%len(board)].open(ctx, year+view)
			if err != nil {
				return err
			}
			took[name] = append(took[name], d)
		}
	}
	after, err := b.plainSum(ctx)
	if err != nil {
		return err
	}
	result.Limit = min(before, after)
	for name, all := range took {
		slices.Sort(all)
		p50, p99 := milliseconds(all[len(all)/2]), milliseconds(all[len(all)*99/100])
		result.Also[name+"_p50_ms"], result.Also[name+"_p99_ms"] = p50, p99
		result.Also["worst_p50_ms"] = max(result.Also["worst_p50_ms"], p50)
		result.Figure = max(result.Figure, p99)
		result.Also["pages"] += float64(len(all))
	}
	return result.print()
}

// benchDirectory makes the association of the history with its chapters and members, and gives the keys of its board and
// of its registrar.
func benchDirectory(ctx context.Context, a *assembly, history *dealtest.Bulk) (board []string, registrar string, err error) {
	select {
	case <-a.roster.Loaded():
	case <-ctx.Done():
		return nil, "", ctx.Err()
	}
	if err := stream.Ensure(ctx, a.js, 1); err != nil {
		return nil, "", err
	}
	association := history.Associations[0]
	revision, err := a.store.PutAssociation(ctx, roster.Association{
		ID: association.ID, Name: "Bench Partners", TimeZone: "UTC", YearStartsIn: int(association.YearStartsIn),
		ReportingCurrency: association.Currency, Disclosure: roster.DisclosureOpen,
	})
	if err != nil {
		return nil, "", err
	}
	if err := a.roster.WaitFor(ctx, roster.Associations, revision); err != nil {
		return nil, "", err
	}
	chapters := map[deal.ID]bool{}
	group, writing := errgroup.WithContext(ctx)
	group.SetLimit(64)
	for company, chapter := range association.Chapters {
		if !chapters[chapter] {
			chapters[chapter] = true
			group.Go(func() error {
				_, err := a.store.PutChapter(writing, roster.Chapter{ID: chapter, AssociationID: association.ID, Name: "Chapter " + chapter.String()[30:]})
				return err
			})
		}
		group.Go(func() error {
			_, err := a.store.PutCompany(writing, roster.Company{ID: company, Name: "Member " + company.String()[30:], Country: "DE", GroupID: company})
			return err
		})
		group.Go(func() error {
			_, err := a.store.PutMembership(writing, roster.Membership{
				CompanyID: company, AssociationID: association.ID,
				Periods: []roster.Period{{ChapterID: chapter, From: calendar.New(dealtest.BulkFirstYear, 1, 1)}},
			})
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, "", err
	}
	issue := func(role roster.Role) (key roster.Key, token string, err error) {
		return a.store.Issue(ctx, newBenchID(), roster.Scope{Role: role, AssociationID: association.ID}, time.Now(), a.pepper)
	}
	for range benchBoard {
		_, token, err := issue(roster.RoleBoard)
		if err != nil {
			return nil, "", err
		}
		board = append(board, token)
	}
	key, registrar, err := issue(roster.RoleRegistrar)
	if err != nil {
		return nil, "", err
	}
	return board, registrar, a.roster.WaitFor(ctx, roster.Keys, key.Revision)
}

// benchReader is a browser without scripts that is signed in.
type benchReader struct {
	address string
	http    *http.Client
}

func newBenchReader(ctx context.Context, address, token string) (*benchReader, error) {
	jar, err := cookiejar.New(nil)
	if err != nil {
		return nil, err
	}
	r := &benchReader{address: address, http: &http.Client{Jar: jar, Transport: &http.Transport{}}}
	form := url.Values{"key": {token}, "next": {"/"}}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, address+"/sign-in", strings.NewReader(form.Encode()))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	_, err = r.do(request)
	return r, err
}

// open gives how long a page took and how long it is.
func (r *benchReader) open(ctx context.Context, path string) (took time.Duration, size int, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, r.address+path, nil)
	if err != nil {
		return 0, 0, err
	}
	start := time.Now()
	size, err = r.do(request)
	return time.Since(start), size, err
}

func (r *benchReader) do(request *http.Request) (size int, err error) {
	response, err := r.http.Do(request)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err == nil && (response.StatusCode != http.StatusOK || response.Request.URL.Path == "/sign-in") {
		err = fmt.Errorf("%s was answered with %d", request.URL.Path, response.StatusCode)
	}
	return len(text), err
}
