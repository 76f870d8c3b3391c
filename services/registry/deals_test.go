package registry

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/dealreg/dealreg/pkg/calendar"
	"github.com/dealreg/dealreg/pkg/deal"
	"github.com/dealreg/dealreg/pkg/httpapi"
)

func yesterday() string { return calendar.DateOf(now(), time.UTC).AddDays(-1).String() }

func TestRegistry_TakesADealToWonOnceEveryPartyAttested(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := w.register("k", registration(w.a, w.b, w.c))
	if d.Status != deal.Pending || d.Revision != 1 || d.RegisteredBy != w.a || d.Parties[0].Role != deal.Lead || !d.Parties[1].Member {
		t.Errorf("registered as %+v", d)
	}
	if d = w.move(w.b, d, "accept", object{}, http.StatusOK); d.Status != deal.Pending {
		t.Errorf("%s before every party has accepted", d.Status)
	}
	if d = w.move(w.c, d, "accept", object{}, http.StatusOK); d.Status != deal.Active {
		t.Errorf("%s after every party has accepted", d.Status)
	}
	if d = w.move(w.b, d, "propose", object{"won_on": yesterday()}, http.StatusOK); d.Status != deal.Closing {
		t.Errorf("%s after a proposal", d.Status)
	}
	if d = w.move(w.a, d, "attest", object{}, http.StatusOK); d.Status != deal.Closing {
		t.Errorf("%s before every party has attested", d.Status)
	}
	if d = w.move(w.c, d, "attest", object{}, http.StatusOK); d.Status != deal.Won || d.Evidence != deal.ByParties {
		t.Errorf("%s by %s after every party has attested", d.Status, d.Evidence)
	}
	last, err := w.service.log.Last(t.Context(), d.ID)
	if err != nil {
		t.Fatal(err)
	}
	if len(last.Attributions) != 1 || last.Attributions[0].AmountMinor != 110000 || len(last.Attributions[0].Pairs) != 3 {
		t.Errorf("counts for %+v", last.Attributions)
	}
	if got := fmt.Sprint(last.Type, last.Includes); got != "won[attested]" {
		t.Errorf("the last event is %s: one command is one message", got)
	}
}

func TestRegistry_SameRequestGivesTheSameDeal(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	body := registration(w.a, w.b)
	first := w.send(w.keys[w.a], http.MethodPost, "/v1/deals", body, "Idempotency-Key", "k")
	again := w.send(w.keys[w.a], http.MethodPost, "/v1/deals", body, "Idempotency-Key", "k")
	if again.status != http.StatusOK || again.header.Get("Idempotency-Replayed") != "true" || again.text != first.text ||
		again.header.Get("ETag") != first.header.Get("ETag") {
		t.Errorf("replay: %d %s, first %s", again.status, again.text, first.text)
	}
	// The form of the JSON means nothing: other spaces, and fields in another order.
	pretty, err := json.MarshalIndent(body, " ", "\t")
	if err != nil {
		t.Fatal(err)
	}
	last := fmt.Appendf(nil, `{ "title" : %q, `, body["title"])
	rest := bytes.Replace(pretty, fmt.Appendf(nil, `"title": %q,`, body["title"]), nil, 1)
	turned := append(last, bytes.TrimPrefix(rest, []byte("{"))...)
	if bytes.Equal(turned, pretty) {
		t.Fatal("the same text")
	}
	again = w.send(w.keys[w.a], http.MethodPost, "/v1/deals", string(turned), "Idempotency-Key", "k")
	if again.status != http.StatusOK || again.text != first.text {
		t.Errorf("replay in another form: %d %s", again.status, again.text)
	}
	body["title"] = "Another"
	if r := w.send(w.keys[w.a], http.MethodPost, "/v1/deals", body, "Idempotency-Key", "k"); r.status != http.StatusUnprocessableEntity ||
		!strings.Contains(r.text, "Idempotency-Key") {
		t.Errorf("same key, other body: %d %s", r.status, r.text)
	}
	body["external_ref"] = "CRM-1"
	made := w.register("k2", body)
	taken := w.send(w.keys[w.a], http.MethodPost, "/v1/deals", body, "Idempotency-Key", "k3")
	if taken.status != http.StatusConflict || taken.header.Get("Location") != location(made.ID) {
		t.Errorf("same reference, other key: %d %s", taken.status, taken.text)
	}
}

func TestRegistry_SameKeyAtOnceMakesOneDeal(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	body := registration(w.a, w.b)
	answers := make([]reply, 1000)
	var group errgroup.Group
	group.SetLimit(50)
	for i := range answers {
		group.Go(func() error {
			answers[i] = w.send(w.keys[w.a], http.MethodPost, "/v1/deals", body, "Idempotency-Key", "k")
			return nil
		})
	}
	_ = group.Wait() // send tells the test itself
	created := 0
	for _, r := range answers {
		if r.status == http.StatusCreated {
			created++
		} else if r.status != http.StatusOK {
			t.Errorf("%d %s", r.status, r.text)
		}
		if r.text != answers[0].text {
			t.Errorf("two answers: %s and %s", r.text, answers[0].text)
		}
	}
	if created != 1 {
		t.Errorf("%d created", created)
	}
}

func TestRegistry_SameMoveAtOnceIsMadeOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := w.register("k", registration(w.a, w.b))
	var wait sync.WaitGroup
	answers := make([]reply, 50)
	for i := range answers {
		wait.Go(func() {
			answers[i] = w.send(w.keys[w.b], http.MethodPost, location(d.ID)+"/accept", object{}, "If-Match", httpapi.ETag(1), "Idempotency-Key", "x")
		})
	}
	wait.Wait()
	made := 0
	for _, r := range answers {
		if r.status != http.StatusOK || r.text != answers[0].text {
			t.Errorf("%d %s", r.status, r.text)
		}
		if r.header.Get("Idempotency-Replayed") == "" {
			made++
		}
	}
	if made != 1 {
		t.Errorf("made %d times", made)
	}
}

func TestRegistry_OneOfManyWritersWinsARevision(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := w.register("k", registration(w.a, w.b))
	var wait sync.WaitGroup
	answers := make([]reply, 100)
	for i := range answers {
		wait.Go(func() {
			answers[i] = w.send(w.keys[w.a], http.MethodPatch, location(d.ID), object{"title": fmt.Sprint("Title ", i)}, "If-Match", httpapi.ETag(1))
		})
	}
	wait.Wait()
	won := 0
	for _, r := range answers {
		switch r.status {
		case http.StatusOK:
			won++
		case http.StatusPreconditionFailed:
			if r.header.Get("ETag") != httpapi.ETag(2) {
				t.Errorf("412 with ETag %s", r.header.Get("ETag"))
			}
		default:
			t.Errorf("%d %s", r.status, r.text)
		}
	}
	if won != 1 {
		t.Errorf("%d writers won revision 2", won)
	}
}

func TestRegistry_AsksForTheRevision(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := w.register("k", registration(w.a, w.b))
	path := location(d.ID) + "/accept"
	if r := w.send(w.keys[w.b], http.MethodPost, path, object{}, "Idempotency-Key", "x"); r.status != http.StatusPreconditionRequired {
		t.Errorf("without If-Match: %d %s", r.status, r.text)
	}
	if r := w.send(w.keys[w.b], http.MethodPost, path, object{}, "Idempotency-Key", "x", "If-Match", httpapi.ETag(7)); r.status != http.StatusPreconditionFailed {
		t.Errorf("with a wrong If-Match: %d %s", r.status, r.text)
	}
	accepted := w.move(w.b, d, "accept", object{}, http.StatusOK)
	again := w.move(w.b, d, "accept", object{}, http.StatusOK) // the same key, found before If-Match is looked at
	if accepted.Revision != 2 || again.Revision != 2 {
		t.Errorf("revisions %d and %d", accepted.Revision, again.Revision)
	}
}

func TestRegistry_ShowsADealToItsPartiesAndItsRegistrarOnly(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := w.register("k", registration(w.a, w.b))
	for name, c := range map[string]struct {
		key    string
		status int
	}{
		"registering company": {w.keys[w.a], http.StatusOK},
		"invited company":     {w.keys[w.b], http.StatusOK},
		"registrar":           {w.registrar, http.StatusOK},
		"operator":            {w.operator, http.StatusOK},
		"another member":      {w.keys[w.c], http.StatusNotFound},
		"board":               {w.board, http.StatusNotFound},
		"nobody":              {"", http.StatusUnauthorized},
		"a stranger":          {"drk_aaaaaaaaaa_" + strings.Repeat("b", 52), http.StatusUnauthorized},
	} {
		for _, path := range []string{location(d.ID), location(d.ID) + "/events"} {
			if r := w.send(c.key, http.MethodGet, path, nil); r.status != c.status {
				t.Errorf("%s reads %s: %d %s", name, path, r.status, r.text)
			}
		}
	}
	hidden := w.send(w.keys[w.c], http.MethodGet, location(d.ID), nil)
	missing := w.send(w.keys[w.c], http.MethodGet, location(newID()), nil)
	if hidden.text != missing.text {
		t.Errorf("hidden %s, missing %s", hidden.text, missing.text)
	}
}

func TestRegistry_SaysWhoCouldMakeAnIllegalMove(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := w.register("k", registration(w.a, w.b))
	r := w.send(w.keys[w.a], http.MethodPost, location(d.ID)+"/accept", object{}, "If-Match", httpapi.ETag(1), "Idempotency-Key", "x")
	if r.status != http.StatusConflict || !strings.Contains(r.text, "pending") || !strings.Contains(r.text, "accept") || !strings.Contains(r.text, "an invited party") {
		t.Errorf("%d %s", r.status, r.text)
	}
}

func TestRegistry_OnlyMembersThatAcceptedTheCodeRegister(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for company, want := range map[deal.ID]string{w.outsider: "no member", w.lax: "code of ethics"} {
		r := w.send(w.keys[company], http.MethodPost, "/v1/deals", registration(company, w.b), "Idempotency-Key", "k")
		if r.status != http.StatusForbidden || !strings.Contains(r.text, want) {
			t.Errorf("%d %s", r.status, r.text)
		}
	}
	if r := w.send(w.registrar, http.MethodPost, "/v1/deals", registration(w.a, w.b), "Idempotency-Key", "k"); r.status != http.StatusForbidden {
		t.Errorf("a registrar registers: %d %s", r.status, r.text)
	}
}

func TestRegistry_NamesFieldAndRemedyOfBadInput(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	with := func(change func(object)) object {
		o := registration(w.a, w.b)
		change(o)
		return o
	}
	party := func(o object, i int) object { return o["parties"].([]object)[i] } //nolint:forcetypeassert // made above
	for name, c := range map[string]struct {
		body    any
		status  int
		pointer string
		remedy  string
	}{
		"unknown field":     {with(func(o object) { o["prise"] = 1 }), 422, "/prise", "remove"},
		"wrong currency":    {with(func(o object) { o["value"] = object{"amount": "1000.00", "currency": "EURO"} }), 422, "/value/currency", "ISO 4217"},
		"too many decimals": {with(func(o object) { o["value"] = euros("1000.001") }), 422, "/value/amount", "2 decimals"},
		"shares do not sum": {with(func(o object) { o["value"] = euros("1000.01") }), 422, "/parties", "sum to the value exactly"},
		"party twice":       {with(func(o object) { party(o, 1)["company_id"] = w.a }), 422, "/parties/1/company_id", "one entry"},
		"unknown company":   {with(func(o object) { party(o, 1)["company_id"] = newID() }), 422, "/parties/1/company_id", "/v1/companies"},
		"other currency":    {with(func(o object) { party(o, 1)["share"] = object{"amount": "100.00", "currency": "USD"} }), 422, "/parties/1/share/currency", "EUR"},
		"own company left":  {registration(w.b, w.c), 422, "/parties", "add it"},
		"one party":         {registration(w.a), 422, "/parties", "2"},
		"no title":          {with(func(o object) { o["title"] = "" }), 422, "/title", ""},
		"country of nobody": {with(func(o object) { o["customer"] = object{"name": "X", "country": "UK"} }), 422, "/customer/country", "GB"},
		"read-only field":   {with(func(o object) { o["status"] = "won" }), 422, "/status", "remove"},
		"broken JSON":       {`{"title": `, 400, "", "JSON"},
		"ten megabytes":     {`{"title": "` + strings.Repeat("x", 10<<20) + `"}`, 413, "", ""},
	} {
		r := w.send(w.keys[w.a], http.MethodPost, "/v1/deals", c.body, "Idempotency-Key", "bad "+name)
		if r.status != c.status || r.header.Get("Content-Type") != "application/problem+json" ||
			!strings.Contains(r.text, `"`+c.pointer+`"`) && c.pointer != "" || !strings.Contains(r.text, c.remedy) {
			t.Errorf("%s: %d %s", name, r.status, r.text)
		}
	}
	other := w.send(w.keys[w.b], http.MethodPost, "/v1/deals", registration(w.b, w.c), "Idempotency-Key", "other").deal(t)
	d := w.register("good", registration(w.a, w.b))
	for id, want := range map[deal.ID]string{newID(): "names no deal", other.ID: "names no deal", d.ID: "is pending"} {
		r := w.send(w.keys[w.a], http.MethodPost, "/v1/deals", with(func(o object) { o["replaces"] = id }), "Idempotency-Key", "replaces "+id.String())
		if r.status != 422 || !strings.Contains(r.text, `"/replaces"`) || !strings.Contains(r.text, want) {
			t.Errorf("replaces: %d %s", r.status, r.text)
		}
	}
	d = w.move(w.b, d, "accept", object{}, http.StatusOK)
	tomorrow := calendar.DateOf(now(), time.UTC).AddDays(2).String()
	r := w.send(w.keys[w.a], http.MethodPost, location(d.ID)+"/propose", object{"won_on": tomorrow}, "If-Match", httpapi.ETag(d.Revision), "Idempotency-Key", "p")
	if r.status != 422 || !strings.Contains(r.text, `"/won_on"`) || !strings.Contains(r.text, "future") {
		t.Errorf("a day in the future: %d %s", r.status, r.text)
	}
	if r := w.send(w.keys[w.a], http.MethodPost, "/v1/deals", registration(w.a, w.b)); r.status != 422 || !strings.Contains(r.text, "Idempotency-Key") {
		t.Errorf("without a key: %d %s", r.status, r.text)
	}
}

func TestRegistry_ADealReplacesOneThatEnded(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := w.register("first", registration(w.a, w.b))
	d = w.move(w.a, d, "withdraw", object{}, http.StatusOK)
	again := registration(w.a, w.b)
	again["replaces"] = d.ID
	if next := w.register("second", again); next.Replaces == nil || *next.Replaces != d.ID {
		t.Errorf("%+v", next)
	}
}

func TestRegistry_HistoryTellsWhoWhenAndWhatChanged(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := w.won("k", yesterday())
	r := w.send(w.registrar, http.MethodGet, location(d.ID)+"/events", nil)
	for _, want := range []string{
		`"type":"dealreg.deal.won","includes":["dealreg.deal.attested"]`, `"company_id":"` + w.b.String() + `"`,
		`{"field":"status","from":"closing","to":"won"}`, `{"field":"won_on","to":"` + yesterday() + `"}`,
	} {
		if !strings.Contains(r.text, want) {
			t.Errorf("the history lacks %s: %s", want, r.text)
		}
	}
}

func TestRegistry_CorrectionCountsWhenEveryPartyAttested(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := w.won("k", yesterday())
	figures := object{"value": euros("500.00"), "parties": []object{
		{"company_id": w.a, "role": "lead", "share": euros("400.00")}, {"company_id": w.b, "share": euros("100.00")},
	}}
	d = w.move(w.a, d, "correct", figures, http.StatusOK)
	counts := func() int64 {
		t.Helper()
		last, err := w.service.log.Last(t.Context(), d.ID)
		if err != nil {
			t.Fatal(err)
		}
		return last.Attributions[0].AmountMinor
	}
	if d.Correction == nil || d.Value.Amount != "1000.00" || counts() != 100000 {
		t.Errorf("an open correction counts: %+v", d)
	}
	if d = w.move(w.b, d, "attest", object{}, http.StatusOK); d.Correction != nil || d.Value.Amount != "500.00" || counts() != 50000 {
		t.Errorf("an attested correction does not count: %+v", d)
	}
}

func TestRegistry_RegistrarExcludesADealFromItsOwnAssociation(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := w.won("k", yesterday())
	r := w.send(w.registrar, http.MethodPost, location(d.ID)+"/exclude", object{"reason": "not a joint deal"},
		"If-Match", httpapi.ETag(d.Revision), "Idempotency-Key", "x")
	if r.status != http.StatusOK {
		t.Fatalf("%d %s", r.status, r.text)
	}
	last, err := w.service.log.Last(t.Context(), d.ID)
	if err != nil || len(last.Attributions) != 0 || len(last.Replaces) != 1 {
		t.Errorf("%+v %v", last.Attributions, err)
	}
}

func TestRefuse_TakesBackTheWordForTheRefusedFigures(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := w.won("k", yesterday())
	shows := func(when string, d Deal, a, b uint32) {
		t.Helper()
		if d.Parties[0].AttestedTerms == nil || *d.Parties[0].AttestedTerms != a || d.Parties[1].AttestedTerms == nil || *d.Parties[1].AttestedTerms != b {
			t.Errorf("%s: %+v; want %d and %d", when, d.Parties, a, b)
		}
	}
	shows("won", d, 2, 2)
	d = w.move(w.a, d, "correct", object{"won_on": "2026-02-27"}, http.StatusOK)
	shows("with a correction open", d, 3, 2)
	d = w.move(w.b, d, "refuse", object{"reason": "it was the other day"}, http.StatusOK)
	shows("refused", d, 2, 2)
	shows("read again", w.get(w.a, d.ID), 2, 2)
}

func TestEdit_TakesNoCompanyIntoAnActiveDeal(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := w.move(w.b, w.register("k", registration(w.a, w.b)), "accept", object{}, http.StatusOK)
	more := registration(w.a, w.b, w.c)
	r := w.send(w.keys[w.a], http.MethodPatch, location(d.ID), object{"value": more["value"], "parties": more["parties"]}, "If-Match", httpapi.ETag(d.Revision))
	if r.status != http.StatusUnprocessableEntity || !strings.Contains(r.text, `"/parties"`) || !strings.Contains(r.text, "register one that replaces it") {
		t.Errorf("%d %s", r.status, r.text)
	}
	if r := w.send(w.keys[w.c], http.MethodGet, location(d.ID), nil); r.status != http.StatusNotFound {
		t.Errorf("who was named and refused sees the deal: %d", r.status)
	}
}
