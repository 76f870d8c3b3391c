package portal

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dealreg/dealreg/pkg/deal"
	"github.com/dealreg/dealreg/services/portal/api"
)

// somebody is a visit that is enough to make forms.
func somebody(t *testing.T, code string) *visit {
	t.Helper()
	s, err := newSpeech(code)
	if err != nil {
		t.Fatal(err)
	}
	words, err := readAPIWords()
	if err != nil {
		t.Fatal(err)
	}
	service := &Service{apiWords: words, speech: map[string]*speech{"en": s, "de": s}, cfg: Config{MailOn: true}}
	return &visit{
		s: service, r: httptest.NewRequest(http.MethodGet, "/", nil), ctx: t.Context(), speech: s,
		person: &api.Session{Role: roleRegistrar},
	}
}

func TestForms_HaveTheirTextsInEveryLanguage(t *testing.T) {
	t.Parallel()
	for _, code := range languages {
		v := somebody(t, code)
		forms := []*form{
			v.endpointForm("endpoint", "create", nil, api.Endpoint{}, true), v.endpointForm("endpoint.change", "change", nil, api.Endpoint{}, false),
			v.inviteForm([]string{roleCompanyAdmin, roleMember}), v.personForm(owner{Roles: []string{roleRegistrar, roleBoard, roleAuditor}}, api.Person{}),
			v.associationForm("association", "create", newAssociation), v.associationForm("association.change", "change", newAssociation),
			v.chapterForm(nil), v.companyForm(""), v.enrolForm([]api.Chapter{{Named: api.Named{ID: deal.ID{1}}}}, api.Enrolment{}), v.ratesForm(),
			v.publishForm(2026), v.decideForm(deal.ID{1}), v.dealLinkForm(nil),
		}
		for _, f := range forms {
			texts := []string{v.speech.text(f.Name + ".send")}
			for _, one := range f.Fields {
				texts = append(texts, one.Label, one.Hint)
				for _, o := range one.Options {
					texts = append(texts, o.Text, o.Hint)
				}
			}
			for _, text := range texts {
				if _, missing := strings.CutPrefix(text, f.Name+"."); missing || strings.HasPrefix(text, "manage.") || strings.HasPrefix(text, "setup.") {
					t.Errorf("%s: no text %s", code, text)
				}
			}
		}
	}
}

func TestForm_ShowsFaultsAtTheirFieldsAndKeepsWhatWasTyped(t *testing.T) {
	t.Parallel()
	v := somebody(t, "en")
	f := v.enrolForm([]api.Chapter{{Named: api.Named{ID: deal.ID{1}}}}, api.Enrolment{}).typed(url.Values{"from": {" 2026-13-01 "}, "chapter_id": {"x"}})
	refused := f.blame(&api.Error{Status: http.StatusUnprocessableEntity, Faults: []api.Fault{
		{Pointer: "/from", Detail: "no day"}, {Parameter: "chapter_id", Detail: "no chapter"}, {Pointer: "/else", Detail: "something else"},
	}})
	at := func(name string) field {
		return f.Fields[slices.IndexFunc(f.Fields, func(one field) bool { return one.Name == name })]
	}
	says := func(faults []reason, text string) bool { return len(faults) == 1 && faults[0].Text == text }
	if !refused || !says(at("from").Faults, "no day") || at("from").Value != "2026-13-01" || !says(at("chapter_id").Faults, "no chapter") || !says(f.Faults, "something else") {
		t.Errorf("%+v", f)
	}
	if v.enrolForm(nil, api.Enrolment{}).blame(&api.Error{Status: http.StatusNotFound}) {
		t.Error("what does not exist is no fault of a form")
	}
}

func TestForm_TellsFaultsInTheReadersLanguageAndMarksWhatIsNot(t *testing.T) {
	t.Parallel()
	f := somebody(t, "de").endpointForm("endpoint", "create", nil, api.Endpoint{}, true)
	f.blame(&api.Error{Status: http.StatusUnprocessableEntity, Faults: []api.Fault{
		{Pointer: "/url", Detail: "it must begin with https://"},
		{Pointer: "/headers/X-A~1B", Detail: "set by the delivery itself: choose another name"},
		{Pointer: "/description", Detail: "longer than 500 characters: write a shorter one"},
		{Detail: "something new"},
	}})
	var got []string
	for _, r := range slices.Concat(f.Fields[0].Faults, f.Fields[1].Faults, f.Fields[3].Faults, f.Faults) {
		if r.Foreign {
			r.Text = "(en) " + r.Text
		}
		got = append(got, r.Text)
	}
	want := []string{
		"Muss mit https:// beginnen", "Länger als 500 Zeichen: Kürzen Sie es",
		"X-A/B: Setzt die Zustellung selbst: Nehmen Sie einen anderen Namen", "(en) something new",
	}
	if !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
}

func TestZones_AreInTheDataBase(t *testing.T) {
	t.Parallel()
	for _, zone := range zones {
		if _, err := time.LoadLocation(zone); err != nil {
			t.Error(err)
		}
	}
	if !slices.IsSorted(zones) {
		t.Error("not in the order in which they are looked for")
	}
}
