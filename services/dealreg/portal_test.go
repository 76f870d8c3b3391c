package main

import (
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/dealreg/dealreg/pkg/roster/rostertest"
	"github.com/dealreg/dealreg/services/portal"
	"github.com/dealreg/dealreg/services/portal/api"
)

// TestPortal_TakesADealFromAFormToItsTotal plays two companies with browsers without scripts.
func TestPortal_TakesADealFromAFormToItsTotal(t *testing.T) {
	t.Parallel()
	w := newPortalWorld(t)
	alpha, birch := w.visitor("Alpha GmbH"), w.visitor("Birch BV")

	form := alpha.get("/deals/new")
	typed := with(form.form(), "title", subRosaTitle, "customer", subRosaCustomer, "country", "DE", "value", "480,000.50", "currency", "EUR",
		"partner.0", "birch", "share.0", "180,000", "expected", "2030-12-15")

	found := alpha.post(form.path, with(typed, "do", "find.0"))
	choice := formChoices.FindStringSubmatch(found.text)
	if found.status != http.StatusOK || choice == nil || choice[2] != w.birch || !strings.Contains(found.text, subRosaTitle) {
		t.Fatalf("a search without scripts finds the partner and keeps the rest: %d %v", found.status, choice)
	}
	if again := alpha.post(form.path, typed); again.status != http.StatusUnprocessableEntity || !strings.Contains(again.text, "choose it from the list") {
		t.Errorf("without a partner: %d", again.status)
	}
	typed.Set("company.0", w.birch)

	alpha.post("/sign-out", url.Values{"everywhere": {"true"}})
	if lost := alpha.post(form.path, typed); !strings.HasPrefix(lost.path, "/sign-in") {
		t.Fatalf("a form after signing out led to %s", lost.path)
	}
	resumed := alpha.signIn(w.keys["Alpha GmbH"])
	if resumed.path != form.path || resumed.form().Get("title") != subRosaTitle || resumed.form().Get("share.0") != "180,000" ||
		!strings.Contains(resumed.text, w.birch) {
		t.Fatalf("what was typed is gone, or was sent: %s %v", resumed.path, resumed.form())
	}

	deal := alpha.post(form.path, typed)
	for range 2 { // a double click, a reload
		if again := alpha.post(form.path, typed); again.path != deal.path {
			t.Fatalf("%s and %s", deal.path, again.path)
		}
	}
	back := alpha.get(form.path) // and back in history: the same address with the same fields
	if again := alpha.post(back.path, with(typed, "as", back.form().Get("as"))); again.path != deal.path {
		t.Fatalf("%s is another deal than %s", again.path, deal.path)
	}
	if other := alpha.post(form.path, with(typed, "title", "Another one")); other.status != http.StatusConflict {
		t.Errorf("other words from a form that was used: %d", other.status)
	}
	if !strings.Contains(deal.text, "€300,000.50") {
		t.Error("the rest is not the own share")
	}

	birch.until("/", deal.path) // waits for it
	asked := birch.get(deal.path)
	birch.post(deal.path+"/accept", asked.form())
	late := birch.post(deal.path+"/decline", with(asked.form(), "reason", "too late", "key", "another"))
	if late.status != http.StatusPreconditionFailed && late.status != http.StatusConflict || !strings.Contains(late.text, `role="alert"`) {
		t.Errorf("a move from a page that is old: %d", late.status)
	}

	page := alpha.get(deal.path + "/propose")
	figures := with(page.form(), "value", "500,000", "won", time.Now().UTC().Format(time.DateOnly))
	if short := alpha.post(deal.path+"/propose", figures); short.status != http.StatusUnprocessableEntity || !strings.Contains(short.text, "€19,999.50") {
		t.Errorf("shares that do not add up: %d", short.status)
	}
	if foreign := alpha.post(deal.path+"/propose", with(figures, "share.0", "", "revision", "1")); foreign.status != http.StatusPreconditionFailed ||
		foreign.form().Get("value") != "500,000" {
		t.Errorf("figures for a deal that was changed meanwhile: %d %v", foreign.status, foreign.form())
	}
	alpha.post(deal.path+"/propose", with(figures, "share.0", ""))

	proposed := birch.get(deal.path)
	for _, text := range []string{"€480,000.50", "€500,000.00", "€300,000.50", "€320,000.00", "changed", "Attest these figures"} {
		if !strings.Contains(proposed.text, text) {
			t.Errorf("the two versions side by side lack %q", text)
		}
	}
	if won := birch.post(deal.path+"/attest", proposed.form()); !strings.Contains(won.text, "the deal is won") {
		t.Errorf("%d %s", won.status, won.text)
	}
	alpha.until("/deals?status=won", deal.path)
	if all := alpha.get("/deals"); strings.Count(all.text, "<tbody>") != 1 || strings.Count(all.text, `<th scope="row">`) != 1 {
		t.Errorf("one form made more than one deal: %s", all.text)
	}

	page = alpha.get(deal.path + "/correct")
	correction := alpha.post(deal.path+"/correct", with(page.form(), "value", "510,000", "share.0", ""))
	if yes, no := strings.Count(correction.text, "attested the figures"), strings.Count(correction.text, "has not attested yet"); yes != 3 || no != 1 {
		t.Errorf("both attested the figures that hold, and one the correction: %d attested and %d not", yes, no)
	}
	w.deal = strings.TrimPrefix(deal.path, "/deals/")
	w.walk()
}

// until loads a page until it holds the text: lists follow the log.
func (v *visitor) until(path, text string) {
	v.t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for late := time.Now().Add(patience); !strings.Contains(v.get(path).text, text); <-tick.C {
		if time.Now().After(late) {
			v.t.Fatalf("%s never had %s", path, text)
		}
	}
}

// routes is the portal's own list, taken from it as it is registered.
type routes map[string]bool

func (r routes) Handle(pattern string, _ http.Handler) { r[pattern] = true }

func portalRoutes(t *testing.T) routes {
	t.Helper()
	service, err := portal.New(portal.Config{
		API: api.New(&url.URL{Scheme: "http", Host: "api"}, api.InProcess{}), JetStream: rostertest.NewServer(t).Connect(), Now: time.Now,
	})
	if err != nil {
		t.Fatal(err)
	}
	all := routes{}
	service.Routes(all)
	return all
}

// walk visits every address of the portal that has to do with Alpha, its deal and its association as those who may not see
// it: another company's person, a board, a person of another association, and one who is not signed in. A new route is
// visited too.
func (w *portalWorld) walk() {
	w.t.Helper()
	places := map[string]string{
		"association": w.associations[0], "company": w.alpha, "deal": w.deal, "endpoint": w.deal, "chapter": w.deal, "import": w.deal,
		"move": "correct", "year": strconv.Itoa(time.Now().Year()), "release": "r1", "view": "pairs", "token": "drl_none", "person": w.deal,
		"key": w.deal, "file": w.deal, "draft": w.deal,
	}
	private := map[string][]string{ // by visitor: the places of an address that are not for it
		"Cedar SA":            {"{association}", "{company}", "{deal}"},
		"board of Second":     {"{association}", "{company}", "{deal}"},
		"registrar of Second": {"{association}", "{deal}"},
		"board of First":      {"{company}", "{deal}"},
	}
	stranger := w.visitor("")
	visitors := map[string]*visitor{}
	for name := range private {
		visitors[name] = w.visitor(name)
	}
	for pattern := range portalRoutes(w.t) {
		method, path, _ := strings.Cut(pattern, " ")
		if pattern == "POST /sign-out" {
			continue // ends the visit
		}
		address := place.ReplaceAllStringFunc(path, func(name string) string {
			value, known := places[strings.Trim(name, "{}")]
			if !known && name != "{$}" {
				w.t.Errorf("%s: say in places what %s is", pattern, name)
			}
			return value
		})
		answer := stranger.do(method, address, nil)
		if signIn := strings.HasPrefix(answer.path, "/sign-in"); !signIn && !strings.HasPrefix(path, "/portal/") {
			w.t.Errorf("%s: who is not signed in got %d at %s", pattern, answer.status, answer.path)
		}
		for name, v := range visitors {
			answer := v.do(method, address, nil)
			if strings.Contains(answer.text, subRosaTitle) || strings.Contains(answer.text, subRosaCustomer) {
				w.t.Errorf("%s tells %s of the deal", pattern, name)
			}
			for _, p := range private[name] {
				if strings.Contains(path, p) && answer.status != http.StatusNotFound {
					w.t.Errorf("%s: %s got %d", pattern, name, answer.status)
				}
			}
		}
	}
}

var place = regexp.MustCompile(`\{[^}]*\}`)

func TestBehindTLS_IsSaidByTheFlagOrThePublicAddress(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		flag   bool
		public string
		want   bool
	}{
		{false, "", false},
		{true, "", true},
		{false, "https://deals.example", true},
		{false, "HTTPS://deals.example", true},
		{false, "http://deals.example", false},
		{true, "http://deals.example", true},
		{false, "https", false},
	} {
		var s system
		s.SecureCookies, s.PublicURL = c.flag, c.public
		if s.behindTLS() != c.want {
			t.Errorf("%+v", c)
		}
	}
}
