package roster_test

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/dealreg/dealreg/pkg/calendar"
	"github.com/dealreg/dealreg/pkg/deal"
	"github.com/dealreg/dealreg/pkg/roster"
)

func pointers(faults deal.Invalid) string {
	var all []string
	for _, f := range faults {
		all = append(all, f.Pointer)
	}
	return strings.Join(all, " ")
}

func TestCompany_ValidateNamesEachFault(t *testing.T) {
	t.Parallel()
	good := func() roster.Company {
		return roster.Company{ID: newID(), Name: "Contoso AG", Country: "DE", Domain: "Contoso.Example.", LEI: "529900t8bm49aursdo55", DUNS: "123456789"}
	}
	for name, c := range map[string]struct {
		change func(*roster.Company)
		want   string
	}{
		"good":                     {func(*roster.Company) {}, ""},
		"bare":                     {func(c *roster.Company) { c.Domain, c.LEI, c.DUNS = "", "", "" }, ""},
		"international domain":     {func(c *roster.Company) { c.Domain = "xn--bcher-kva.xn--p1ai" }, ""},
		"name of no-break spaces":  {func(c *roster.Company) { c.Name = "\u00a0 \u2003" }, "/name"},
		"name of 200":              {func(c *roster.Company) { c.Name = strings.Repeat("ñ", 200) }, ""},
		"name of 201":              {func(c *roster.Company) { c.Name = strings.Repeat("ñ", 201) }, "/name"},
		"name with a control":      {func(c *roster.Company) { c.Name = "a\x00b" }, "/name"},
		"name turned around":       {func(c *roster.Company) { c.Name = "a\u202eb" }, "/name"},
		"UK":                       {func(c *roster.Company) { c.Country = "UK" }, "/country"},
		"lower case":               {func(c *roster.Company) { c.Country = "de" }, "/country"},
		"no country":               {func(c *roster.Company) { c.Country = "" }, "/country"},
		"a URL":                    {func(c *roster.Company) { c.Domain = "https://contoso.example" }, "/domain"},
		"an address":               {func(c *roster.Company) { c.Domain = "127.0.0.1" }, "/domain"},
		"one label":                {func(c *roster.Company) { c.Domain = "localhost" }, "/domain"},
		"a hyphen at the edge":     {func(c *roster.Company) { c.Domain = "-a.example" }, "/domain"},
		"LEI with a wrong digit":   {func(c *roster.Company) { c.LEI = "529900T8BM49AURSDO56" }, "/lei"},
		"LEI with swapped letters": {func(c *roster.Company) { c.LEI = "529900T8MB49AURSDO55" }, "/lei"},
		"short LEI":                {func(c *roster.Company) { c.LEI = "529900T8BM49AURSDO5" }, "/lei"},
		"DUNS with hyphens":        {func(c *roster.Company) { c.DUNS = "12-345-6789" }, "/duns"},
		"everything": {
			func(c *roster.Company) { *c = roster.Company{ID: c.ID, Domain: "x", LEI: "x", DUNS: "x"} },
			"/name /country /domain /lei /duns",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			company := good()
			c.change(&company)
			faults := company.Clean().Validate()
			if got := pointers(faults); got != c.want {
				t.Errorf("faults %q, want %q", got, c.want)
			}
			for _, f := range faults {
				if !strings.Contains(f.Message, "write ") {
					t.Errorf("no remedy in %q", f.Message)
				}
			}
		})
	}
	if c := good().Clean(); c.Domain != "contoso.example" || c.LEI != "529900T8BM49AURSDO55" || c.GroupID != c.ID {
		t.Errorf("not clean: %+v", c)
	}
}

func TestAssociation_ValidateNamesEachFault(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(*roster.Association)
		want   string
	}{
		"good":         {func(*roster.Association) {}, ""},
		"UTC":          {func(a *roster.Association) { a.TimeZone = "UTC" }, ""},
		"no zone":      {func(a *roster.Association) { a.TimeZone = "" }, "/time_zone"},
		"Local":        {func(a *roster.Association) { a.TimeZone = "Local" }, "/time_zone"},
		"leap seconds": {func(a *roster.Association) { a.TimeZone = "right/Europe/Berlin" }, "/time_zone"},
		"a file":       {func(a *roster.Association) { a.TimeZone = "../../etc/passwd" }, "/time_zone"},
		"unknown zone": {func(a *roster.Association) { a.TimeZone = "Europe/Atlantis" }, "/time_zone"},
		"month 0":      {func(a *roster.Association) { a.YearStartsIn = 0 }, "/year_starts_in"},
		"month 13":     {func(a *roster.Association) { a.YearStartsIn = 13 }, "/year_starts_in"},
		"schedule":     {func(a *roster.Association) { a.Releases = "weekly" }, "/release_schedule"},
		"currency":     {func(a *roster.Association) { a.ReportingCurrency = "eur" }, "/reporting_currency"},
		"policy":       {func(a *roster.Association) { a.Disclosure = "secret" }, "/disclosure"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := roster.Association{Name: "A", TimeZone: "Europe/Berlin", YearStartsIn: 4, ReportingCurrency: "EUR"}
			c.change(&a)
			if got := pointers(a.Clean().Validate()); got != c.want {
				t.Errorf("faults %q, want %q", got, c.want)
			}
		})
	}
	if got := (roster.Association{}).Clean().Disclosure; got != roster.DisclosureGuarded {
		t.Errorf("without a policy it is %q", got)
	}
}

// What members registered under a promise stays under it, whatever is decided later and how often.
func TestAssociation_BecomesOpenForYearsThatBeginLaterOnly(t *testing.T) {
	t.Parallel()
	a := roster.Association{Name: "A", TimeZone: "Europe/Berlin", YearStartsIn: 7, ReportingCurrency: "EUR", Disclosure: roster.DisclosureStrict}
	now := func(d roster.Disclosure, on calendar.Date, promised bool) roster.Association {
		next := a
		next.Disclosure = d
		return next.Succeeding(a, on, promised)
	}
	decide := func(d roster.Disclosure, on calendar.Date, until uint64) {
		before := len(a.Openings)
		a = now(d, on, true)
		if len(a.Openings) > before {
			a.Openings[before].Until = until
		}
	}
	type shown struct {
		policy roster.Disclosure
		until  uint64
	}
	check := func(want map[int]shown) {
		t.Helper()
		for year, want := range want {
			if got := (shown{a.DisclosureOf(year), a.OpenUntil(year)}); got != want {
				t.Errorf("%d: got %v, want %v", year, got, want)
			}
		}
	}
	const open, guarded, strict = roster.DisclosureOpen, roster.DisclosureGuarded, roster.DisclosureStrict
	if unpromised := now(open, calendar.New(2026, 5, 1), false); unpromised.DisclosureOf(1990) != open || !unpromised.ShowsMoreThan(a) {
		t.Error("an association that never had a member is not open for all its years")
	}
	if late := now(open, calendar.New(2026, 6, 29), true); late.DisclosureOf(2026) != strict || late.DisclosureOf(2027) != open {
		t.Error("a year is open in which a deal may have been won already where it is two days later")
	}

	decide(open, calendar.New(2026, 6, 28), 0)
	check(map[int]shown{1990: {strict, 0}, 2025: {strict, 0}, 2026: {open, 0}, 2100: {open, 0}})
	if tightened := now(guarded, calendar.New(2026, 6, 28), true); !tightened.ShowsMoreThan(a) {
		t.Error("that earlier years are guarded and no longer strict shows no more")
	}
	if tightened := now(strict, calendar.New(2026, 6, 28), true); tightened.ShowsMoreThan(a) {
		t.Error("that all years are strict shows more")
	}
	decide(strict, calendar.New(2027, 1, 1), 70)
	check(map[int]shown{2025: {strict, 0}, 2026: {strict, 70}})
	decide(guarded, calendar.New(2027, 2, 1), 0)
	decide(open, calendar.New(2027, 3, 1), 0)
	check(map[int]shown{2025: {guarded, 0}, 2026: {guarded, 70}, 2027: {open, 70}})
	decide(guarded, calendar.New(2027, 9, 1), 90)
	check(map[int]shown{2025: {guarded, 0}, 2026: {guarded, 70}, 2027: {guarded, 90}})
}

func TestChapter_RefusesCirclesAndForeignParents(t *testing.T) {
	t.Parallel()
	mine, other := newID(), newID()
	country := roster.Chapter{ID: newID(), AssociationID: mine, Name: "Germany"}
	city := roster.Chapter{ID: newID(), AssociationID: mine, Name: "Berlin", ParentID: country.ID}
	foreign := roster.Chapter{ID: newID(), AssociationID: other, Name: "France"}
	find := func(id deal.ID) (roster.Chapter, bool) {
		i := slices.IndexFunc([]roster.Chapter{country, city, foreign}, func(c roster.Chapter) bool { return c.ID == id })
		if i < 0 {
			return roster.Chapter{}, false
		}
		return []roster.Chapter{country, city, foreign}[i], true
	}
	for name, c := range map[string]struct {
		chapter roster.Chapter
		parent  deal.ID
		want    string
	}{
		"no parent":          {country, deal.ID{}, ""},
		"a parent":           {city, country.ID, ""},
		"itself":             {country, country.ID, "/parent_id"},
		"its child":          {country, city.ID, "/parent_id"},
		"unknown":            {city, newID(), "/parent_id"},
		"of another society": {city, foreign.ID, "/parent_id"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c.chapter.ParentID = c.parent
			if got := pointers(c.chapter.Validate(find)); got != c.want {
				t.Errorf("faults %q, want %q", got, c.want)
			}
		})
	}
}

func TestScope_BindsEachRoleToItsKind(t *testing.T) {
	t.Parallel()
	id := newID()
	for _, c := range []struct {
		scope roster.Scope
		want  string
	}{
		{roster.Scope{Role: roster.RoleMember, CompanyID: id}, ""},
		{roster.Scope{Role: roster.RoleCompanyAdmin}, "/company_id"},
		{roster.Scope{Role: roster.RoleMember, CompanyID: id, AssociationID: id}, "/association_id"},
		{roster.Scope{Role: roster.RoleRegistrar, AssociationID: id}, ""},
		{roster.Scope{Role: roster.RoleBoard}, "/association_id"},
		{roster.Scope{Role: roster.RoleAuditor}, ""},
		{roster.Scope{Role: roster.RoleAuditor, AssociationID: id}, ""},
		{roster.Scope{Role: roster.RoleOperator}, ""},
		{roster.Scope{Role: roster.RoleOperator, CompanyID: id, AssociationID: id}, "/company_id /association_id"},
		{roster.Scope{Role: "king"}, "/role"},
		{roster.Scope{}, "/role"},
	} {
		if got := pointers(c.scope.Validate()); got != c.want {
			t.Errorf("%+v: faults %q, want %q", c.scope, got, c.want)
		}
	}
}

func TestNameKey_IsTheSameForNamesThatReadTheSame(t *testing.T) {
	t.Parallel()
	for _, same := range [][]string{
		{"ONE FRAME CONSTRUCTION INC.", "One Frame\u00a0 Construction Inc. ", "\tone frame construction inc."},
		{"Ñandú", "N\u0303andu\u0301", "ñANDÚ"},
		{"Straße", "STRASSE"},
	} {
		for _, other := range same[1:] {
			if roster.NameKey(same[0]) != roster.NameKey(other) {
				t.Errorf("%q and %q differ", same[0], other)
			}
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.String().Draw(t, "name")
		if key := roster.NameKey(name); roster.NameKey(key) != key || roster.CleanName(roster.CleanName(name)) != roster.CleanName(name) {
			t.Fatalf("%q has an unstable key %q", name, key)
		}
	})
}

func TestMembership_PeriodsNeverOverlapAndEndTheOpenOne(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var m roster.Membership
		for range rapid.IntRange(1, 12).Draw(t, "steps") {
			p := roster.Period{From: calendar.Date(rapid.IntRange(0, 50).Draw(t, "from"))}
			if length := rapid.IntRange(-2, 20).Draw(t, "length"); length > -2 {
				end := p.From.AddDays(length)
				p.To = &end
			}
			before := m
			next, faults := m.With(p)
			if len(faults) > 0 {
				if len(next.Periods) != len(before.Periods) {
					t.Fatal("a refused period changed something")
				}
				continue
			}
			if got, ok := next.On(p.From); !ok || got.From != p.From {
				t.Fatal("the new period does not count on its first day")
			}
			for i, q := range next.Periods {
				if q.To != nil && *q.To < q.From {
					t.Fatalf("period %d ends before it begins", i)
				}
				if i > 0 {
					if earlier := next.Periods[i-1]; earlier.To == nil || *earlier.To >= q.From {
						t.Fatalf("periods %d and %d overlap", i-1, i)
					}
				}
			}
			for day := calendar.Date(0); day < p.From; day++ {
				was, wasMember := before.On(day)
				is, isMember := next.On(day)
				if wasMember != isMember || was.From != is.From {
					t.Fatalf("the days before the new period changed: %s", day)
				}
			}
			m = next
		}
		cut := calendar.Date(rapid.IntRange(0, 80).Draw(t, "cut"))
		ended := m.EndedBefore(cut)
		for day := range calendar.Date(100) {
			_, was := m.On(day)
			if _, is := ended.On(day); is != (was && day < cut) {
				t.Fatalf("ended before %s it is %v on %s", cut, is, day)
			}
		}
	})
}

func TestMembership_NamesTheFieldThatOverlaps(t *testing.T) {
	t.Parallel()
	day := func(d int) *calendar.Date { date := calendar.New(2026, 1, d); return &date }
	m := roster.Membership{Periods: []roster.Period{{From: *day(10), To: day(20)}, {From: *day(25)}}}
	for name, c := range map[string]struct {
		period roster.Period
		want   string
	}{
		"into a closed one":      {roster.Period{From: *day(15), To: day(22)}, "/from"},
		"around a closed one":    {roster.Period{From: *day(1), To: day(12)}, "/to"},
		"open before another":    {roster.Period{From: *day(1)}, "/to /to"},
		"ends before it begins":  {roster.Period{From: *day(21), To: day(20)}, "/to"},
		"fits between":           {roster.Period{From: *day(21), To: day(24)}, ""},
		"replaces the open one":  {roster.Period{From: *day(25), To: day(26)}, ""},
		"moves on from the open": {roster.Period{From: *day(28)}, ""},
	} {
		_, faults := m.With(c.period)
		if got := pointers(faults); got != c.want {
			t.Errorf("%s: faults %q, want %q", name, got, c.want)
		}
	}
}
