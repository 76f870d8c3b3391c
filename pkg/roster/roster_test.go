package roster_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/google/uuid"

	"github.com/dealreg/dealreg/pkg/calendar"
	"github.com/dealreg/dealreg/pkg/deal"
	"github.com/dealreg/dealreg/pkg/money"
	"github.com/dealreg/dealreg/pkg/roster"
	"github.com/dealreg/dealreg/pkg/roster/rostertest"
)

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func newID() deal.ID { return deal.ID(uuid.Must(uuid.NewV7())) }

func company(name, domain string) roster.Company {
	return roster.Company{ID: newID(), Name: name, Country: "DE", Domain: domain}.Clean()
}

const patience = 2 * time.Minute // a test that waits longer has failed

func within(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

func TestStore_RefusesTheSecondWriter(t *testing.T) {
	t.Parallel()
	store, _ := rostertest.New(t)
	c := company("Contoso AG", "")
	first, err := store.PutCompany(within(t), c)
	if err != nil {
		t.Fatal(err)
	}
	_, err = store.PutCompany(within(t), c)
	if conflict, ok := errors.AsType[*roster.ConflictError](err); !ok || conflict.Current != first {
		t.Fatalf("%v, want a conflict that names revision %d", err, first)
	}
	c.Revision = first
	if _, err := store.PutCompany(within(t), c); err != nil {
		t.Fatal(err)
	}
}

func TestRoster_ShowsWhatWasWritten(t *testing.T) {
	t.Parallel()
	store, r := rostertest.New(t)
	ctx := within(t)
	a := roster.Association{ID: newID(), Name: "A", TimeZone: "Asia/Manila", YearStartsIn: 7, ReportingCurrency: "PHP"}.Clean()
	if _, err := store.PutAssociation(ctx, a); err != nil {
		t.Fatal(err)
	}
	north := roster.Chapter{ID: newID(), AssociationID: a.ID, Name: "North"}
	if _, err := store.PutChapter(ctx, north); err != nil {
		t.Fatal(err)
	}
	c := company("Ñandú Bau\u00a0 GmbH", "nandu.example")
	var err error
	if c.Revision, err = store.PutCompany(ctx, c); err != nil {
		t.Fatal(err)
	}
	end := calendar.New(2026, 6, 30)
	m := roster.Membership{AssociationID: a.ID, CompanyID: c.ID, Periods: []roster.Period{
		{ChapterID: north.ID, From: calendar.New(2020, 1, 1), To: &end}, {From: calendar.New(2026, 7, 1)},
	}}
	revision, err := store.PutMembership(ctx, m)
	if err != nil {
		t.Fatal(err)
	}
	for _, wait := range []struct {
		bucket   roster.Bucket
		revision uint64
	}{{roster.Companies, c.Revision}, {roster.Associations, 1}, {roster.Chapters, 1}, {roster.Members, revision}} {
		if err := r.WaitFor(ctx, wait.bucket, wait.revision); err != nil {
			t.Fatal(err)
		}
	}

	if got, ok := r.Company(c.ID); !ok || got != c {
		t.Errorf("company %+v, want %+v", got, c)
	}
	if got, ok := r.CompanyByDomain("NANDU.example"); !ok || got.ID != c.ID {
		t.Error("not found by domain")
	}
	if got := r.CompaniesByName(roster.NameKey(" n\u0303ANDÚ  bau gmbh ")); len(got) != 1 || got[0].ID != c.ID {
		t.Errorf("found %v by name", got)
	}
	got, _ := r.Association(a.ID)
	if got.Today(time.Date(2026, 6, 30, 20, 0, 0, 0, time.UTC)) != calendar.New(2026, 7, 1) {
		t.Error("today is not that of Manila")
	}
	if p, ok := r.MembershipOn(c.ID, a.ID, end); !ok || p.ChapterID != north.ID {
		t.Errorf("period %v", p)
	}
	on := r.MembershipsOn(c.ID, end.AddDays(1))
	if diff := cmp.Diff([]roster.MemberPeriod{{Association: a.ID, Period: m.Periods[1]}}, on); diff != "" {
		t.Error(diff)
	}
	if _, ok := r.MembershipOn(c.ID, a.ID, calendar.New(2019, 12, 31)); ok {
		t.Error("a member before it joined")
	}
}

func TestRoster_RenamedCompanyIsFoundByItsNewNameOnly(t *testing.T) {
	t.Parallel()
	store, r := rostertest.New(t)
	ctx := within(t)
	c := company("Old Name", "old.example")
	c.Revision, _ = store.PutCompany(ctx, c)
	c.Name, c.Domain = "New Name", "new.example"
	revision, err := store.PutCompany(ctx, c)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.WaitFor(ctx, roster.Companies, revision); err != nil {
		t.Fatal(err)
	}
	if len(r.CompaniesByName(roster.NameKey("old name"))) != 0 || len(r.CompaniesByName(roster.NameKey("new name"))) != 1 {
		t.Error("the name index is wrong")
	}
	if _, ok := r.CompanyByDomain("old.example"); ok {
		t.Error("found by the old domain")
	}
	if found, _ := r.SearchCompanies("NEW", 10, ""); len(found) != 1 {
		t.Errorf("search finds %v", found)
	}
}

func TestRoster_PagesThroughSearchWithoutGapOrRepeat(t *testing.T) {
	t.Parallel()
	store, r := rostertest.New(t)
	ctx := within(t)
	companies := make([]roster.Company, 901)
	memberships := make([]roster.Membership, len(companies))
	association := newID()
	for i := range companies {
		companies[i] = company(fmt.Sprintf("Company %d", i/2), "") // names come twice
		memberships[i] = roster.Membership{AssociationID: association, CompanyID: companies[i].ID, Periods: []roster.Period{{From: 1}}}
	}
	revisions, err := store.PutCompanies(ctx, companies)
	if err != nil {
		t.Fatal(err)
	}
	members, err := store.PutMemberships(ctx, memberships)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(r.WaitFor(ctx, roster.Companies, revisions[900]), r.WaitFor(ctx, roster.Members, members[900])); err != nil {
		t.Fatal(err)
	}
	seen := map[deal.ID]bool{}
	position := ""
	for {
		page, next := r.SearchCompanies("company", 200, position)
		for _, c := range page {
			if seen[c.ID] {
				t.Fatal("a company comes twice")
			}
			seen[c.ID] = true
		}
		if position = next; next == "" {
			break
		}
	}
	if len(seen) != len(companies) || len(r.Members(association)) != len(companies) {
		t.Errorf("%d companies and %d members of %d", len(seen), len(r.Members(association)), len(companies))
	}
	_, err = store.PutCompanies(ctx, companies)
	if _, ok := errors.AsType[*roster.ConflictError](err); !ok {
		t.Errorf("%v, want a conflict", err)
	}
}

func TestRoster_FollowsAgainAfterTheServerWasAway(t *testing.T) {
	t.Parallel()
	server := rostertest.NewServer(t)
	js := server.Connect()
	server.Stop()
	health := make(reports, 1000)
	r := roster.New(js, nil, health) // before there is a server
	rostertest.Run(t, r)
	if r.IsLoaded() {
		t.Fatal("loaded without a server")
	}
	if _, err := (roster.Authenticator{Roster: r, Pepper: pepper}).Authenticate("drk_x_y"); !errors.Is(err, roster.ErrNotLoaded) {
		t.Fatalf("%v, want ErrNotLoaded", err)
	}
	server.Start()
	ctx := within(t)
	waitFor(t, func() bool { // a request that meets the old connection is lost
		attempt, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		return roster.CreateBuckets(attempt, js, 1) == nil
	})
	<-r.Loaded()
	health.waitUntil(t, func(err error) bool { return err == nil })

	store := roster.NewStore(js)
	before := company("Before", "")
	seen, err := store.PutCompany(ctx, before)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.WaitFor(ctx, roster.Companies, seen); err != nil {
		t.Fatal(err)
	}
	server.Stop()
	health.waitUntil(t, func(err error) bool { return err != nil })
	if _, err := store.PutCompany(ctx, company("Nobody", "")); err == nil {
		t.Fatal("written without a server")
	}
	if _, ok := r.Company(before.ID); !ok {
		t.Error("the roster forgot while the server was away")
	}
	server.Start()
	health.waitUntil(t, func(err error) bool { return err == nil })
	after := company("After", "")
	revision, err := store.PutCompany(ctx, after)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.WaitFor(ctx, roster.Companies, revision); err != nil {
		t.Fatal(err)
	}
	for _, c := range []roster.Company{before, after} {
		if _, ok := r.Company(c.ID); !ok {
			t.Errorf("%s is missing", c.Name)
		}
	}
}

// reports hands over what the roster reports.
type reports chan error

func (r reports) Report(_ string, err error) { r <- err }

func (r reports) waitUntil(t *testing.T, ok func(error) bool) {
	t.Helper()
	for {
		select {
		case err := <-r:
			if ok(err) {
				return
			}
		case <-time.After(patience):
			t.Fatal("never reported")
		}
	}
}

// waitFor polls what has no signal.
func waitFor(t *testing.T, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	ctx := within(t)
	for !ok() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatal("never happened")
		}
	}
}

var pepper = []byte("0123456789abcdef0123456789abcdef")

func TestKey_OpensUntilItIsRevoked(t *testing.T) {
	t.Parallel()
	store, r := rostertest.New(t)
	ctx := within(t)
	scope := roster.Scope{Role: roster.RoleMember, CompanyID: newID(), Label: "CRM"}
	key, token, err := store.Issue(ctx, newID(), scope, noon, pepper)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.WaitFor(ctx, roster.Keys, key.Revision); err != nil {
		t.Fatal(err)
	}
	auth := roster.Authenticator{Roster: r, Pepper: pepper}
	got, err := auth.Authenticate(token)
	if want := (roster.Principal{KeyID: key.ID, Role: roster.RoleMember, Company: scope.CompanyID}); err != nil || got != want {
		t.Fatalf("%+v, %v, want %+v", got, err, want)
	}
	for _, wrong := range []string{"", "drk_", token + "a", token[:len(token)-1], "drk_" + key.Prefix + "_" + token[15:51] + "aaaaaaaaaaaaaaaa"} {
		if _, err := auth.Authenticate(wrong); !errors.Is(err, roster.ErrUnauthenticated) {
			t.Errorf("a wrong token gives %v", err)
		}
	}
	other := roster.Authenticator{Roster: r, Pepper: append([]byte("x"), pepper...)}
	if _, err := other.Authenticate(token); !errors.Is(err, roster.ErrUnauthenticated) {
		t.Errorf("another pepper gives %v", err)
	}
	stored, _ := r.Key(key.ID)
	revoked, err := store.Revoke(ctx, stored, noon)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.WaitFor(ctx, roster.Keys, revoked.Revision); err != nil {
		t.Fatal(err)
	}
	if _, err := auth.Authenticate(token); !errors.Is(err, roster.ErrUnauthenticated) {
		t.Errorf("a revoked key gives %v", err)
	}
	if again, err := store.Revoke(ctx, stored, noon.Add(time.Hour)); err != nil || again.Revision != revoked.Revision || !again.RevokedAt.Equal(noon) {
		t.Errorf("who revokes it too, and read it before, gets %+v, %v", again, err)
	}
}

func TestEnsureOperator_TellsExactlyOneStarter(t *testing.T) {
	t.Parallel()
	store, r := rostertest.New(t)
	var (
		group  sync.WaitGroup
		mu     sync.Mutex
		tokens []string
	)
	for range 8 {
		group.Go(func() {
			token, created, err := store.EnsureOperator(t.Context(), newID(), noon, pepper)
			if err != nil {
				t.Error(err)
			}
			if created {
				mu.Lock()
				tokens = append(tokens, token)
				mu.Unlock()
			}
		})
	}
	group.Wait()
	if len(tokens) != 1 {
		t.Fatalf("%d first keys", len(tokens))
	}
	if err := r.WaitFor(within(t), roster.Keys, 1); err != nil {
		t.Fatal(err)
	}
	auth := roster.Authenticator{Roster: r, Pepper: pepper}
	if p, err := auth.Authenticate(tokens[0]); err != nil || p.Role != roster.RoleOperator {
		t.Fatalf("%+v, %v", p, err)
	}
	first, _ := r.Key(r.Keys()[0].ID)
	if _, err := store.Revoke(t.Context(), first, noon); err != nil {
		t.Fatal(err)
	}
	if _, created, err := store.EnsureOperator(t.Context(), newID(), noon, pepper); created || err != nil {
		t.Errorf("a revoked first key was made again (%v)", err)
	}
}

func TestRates_TableIsASnapshot(t *testing.T) {
	t.Parallel()
	store, r := rostertest.New(t)
	ctx := within(t)
	empty := r.Rates()
	days := []money.Day{
		{Date: calendar.New(2026, 9, 28), Source: "ECB", Rates: map[money.Currency]string{"USD": "1.1389036"}},
		{Date: calendar.New(2026, 9, 29), Source: "ECB", Rates: map[money.Currency]string{"USD": "1.136072", "JPY": "178.90555"}},
	}
	revisions, err := store.PutRates(ctx, days)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.WaitFor(ctx, roster.Rates, revisions[1]); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(days, r.Rates().Days(), cmpopts.EquateEmpty()); diff != "" {
		t.Error(diff)
	}
	if len(empty.Days()) != 0 {
		t.Error("a table that was handed out has changed")
	}
}

func TestUpdateMembership_LosesNoneOfManyWriters(t *testing.T) {
	t.Parallel()
	store, _ := rostertest.New(t)
	association, member := newID(), newID()
	var group sync.WaitGroup
	const writers = 8
	for i := range writers {
		group.Go(func() {
			from := calendar.Date(10 * i)
			_, err := store.UpdateMembership(t.Context(), association, member, func(m roster.Membership) (roster.Membership, error) {
				end := from.AddDays(5)
				next, faults := m.With(roster.Period{From: from, To: &end})
				return next, faults.Err()
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	m, err := store.Membership(t.Context(), association, member)
	if err != nil || len(m.Periods) != writers {
		t.Fatalf("%d periods, %v", len(m.Periods), err)
	}
}
