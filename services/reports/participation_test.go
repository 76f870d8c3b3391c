package reports_test

import (
	"net/http"
	"reflect"
	"testing"

	"github.com/dealreg/dealreg/pkg/calendar"
	"github.com/dealreg/dealreg/pkg/deal"
	"github.com/dealreg/dealreg/pkg/roster"
	"github.com/dealreg/dealreg/pkg/warehouse/warehousetest"
	"github.com/dealreg/dealreg/services/reports"
)

func TestParticipation_ListsWhoIsInAPairAndWhoElseWasAMember(t *testing.T) {
	t.Parallel()
	s := newSystem(t, warehousetest.New(t))
	other := won(32, open, "JPY", 400)
	other.Attributions[0].Pairs[0].CompanyA, other.Attributions[0].Pairs[0].CompanyB = idBytes(beta), idBytes(gamma)
	s.store(won(31, open, "JPY", 1000), other)
	var revision uint64
	member := func(company deal.ID, name string, p roster.Period) {
		t.Helper()
		if _, err := s.directory.PutCompany(t.Context(), roster.Company{ID: company, Name: name, Country: "DE"}); err != nil {
			t.Fatal(err)
		}
		var err error
		revision, err = s.directory.PutMembership(t.Context(), roster.Membership{AssociationID: open, CompanyID: company, Periods: []roster.Period{p}})
		if err != nil {
			t.Fatal(err)
		}
	}
	member(gamma, "Gamma", roster.Period{From: calendar.New(2026, 7, 1)})
	member(id(41), "until the year", roster.Period{From: calendar.New(2020, 1, 1), To: new(calendar.New(2026, 7, 1))}) // its first day
	member(id(42), "before the year", roster.Period{From: calendar.New(2020, 1, 1), To: new(calendar.New(2026, 6, 30))})
	member(id(43), "From its last day", roster.Period{From: calendar.New(2027, 6, 30)})
	member(id(44), "after the year", roster.Period{From: calendar.New(2027, 7, 1)})
	if err := s.roster.WaitFor(t.Context(), roster.Members, revision); err != nil {
		t.Fatal(err)
	}
	path := "/v1/associations/" + open.String() + "/participation?year=2026"
	got := read[reports.ParticipationReport](s, "board", path)
	taking := []reports.Participant{
		{Company: reports.Named{ID: beta, Name: "Beta"}, Partners: 2},
		{Company: reports.Named{ID: alpha, Name: "Alpha"}, Partners: 1},
		{Company: reports.Named{ID: gamma, Name: "Gamma"}, Partners: 1},
	}
	others := []reports.Named{{ID: id(43), Name: "From its last day"}, {ID: id(41), Name: "until the year"}}
	if !reflect.DeepEqual(got.TakingPart, taking) || !reflect.DeepEqual(got.Others, others) || got.AsOfSequence != 2 {
		t.Errorf("got %+v", got)
	}
	if before := read[reports.ParticipationReport](s, "board", path+"&as_of_sequence=1"); len(before.TakingPart) != 2 || before.AsOfSequence != 1 {
		t.Errorf("got %+v", before)
	}
	all, first := got, read[reports.ParticipationReport](s, "board", path+"&limit=1")
	all.TakingPart, all.Others = all.TakingPart[:1], all.Others[:1]
	if !reflect.DeepEqual(first, all) || first.TakingPartCount != 3 || first.OthersCount != 2 {
		t.Errorf("the first of each list: %+v", first)
	}
	for _, who := range []string{"member", "partner", "other registrar"} {
		if answer := s.get(who, path); answer.Code != http.StatusNotFound {
			t.Errorf("%s: %d", who, answer.Code)
		}
	}
	if answer := s.get("guarded board", "/v1/associations/"+guarded.String()+"/participation?year=2026"); answer.Code != http.StatusNotFound {
		t.Errorf("the board of a guarded association: %d", answer.Code)
	}
}
