package aggregator_test

import (
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/dealreg/dealreg/pkg/httpapi"
	"github.com/dealreg/dealreg/pkg/roster"
	"github.com/dealreg/dealreg/services/aggregator"
)

// ask sends a request with a role's key and gives the status; the answer's JSON goes into the value.
func ask(t *testing.T, s *aggregator.Service, role roster.Role, method, path, body string, into any) int {
	t.Helper()
	server := httpapi.New(httpapi.Config{Authenticate: func(string) (roster.Principal, error) { return roster.Principal{Role: role}, nil }})
	s.Routes(server.API)
	request := httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader(body))
	request.Header.Set("Authorization", "Bearer drk_any")
	if body != "" {
		request.Header.Set("Content-Type", "application/json")
	}
	answer := httptest.NewRecorder()
	server.Handler().ServeHTTP(answer, request)
	if into != nil {
		if err := json.Unmarshal(answer.Body.Bytes(), into); err != nil {
			t.Fatalf("%s: %v", answer.Body, err)
		}
	}
	return answer.Code
}

func TestRoutes_ShowTheOperatorAloneTheRebuildAndThePoison(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	payloads := won(5)
	payloads[1], payloads[3] = []byte("one"), []byte("two")
	s, _, _ := b.carry(payloads)
	p := b.rebuild(s, 0)
	b.ended(s, p.ID)

	var report aggregator.RebuildReport
	path := "/v1/rebuilds/" + p.ID.String()
	if code := ask(t, s, roster.RoleOperator, http.MethodGet, path, "", &report); code != http.StatusOK || report.State != aggregator.RebuildDone || report.Position != 5 || report.LastSequence != 5 {
		t.Errorf("%d %+v", code, report)
	}
	if code := ask(t, s, roster.RoleOperator, http.MethodGet, "/v1/rebuilds/00000000-0000-4000-8000-000000000000", "", nil); code != http.StatusNotFound {
		t.Errorf("of another rebuild: %d", code)
	}
	if code := ask(t, s, roster.RoleOperator, http.MethodPost, "/v1/rebuilds", `{"from": 6}`, nil); code != http.StatusUnprocessableEntity {
		t.Errorf("behind the log's end: %d", code)
	}
	var page httpapi.Page[aggregator.PoisonEvent]
	if code := ask(t, s, roster.RoleOperator, http.MethodGet, "/v1/poison?limit=1", "", &page); code != http.StatusOK || len(page.Items) != 1 ||
		page.Items[0].Sequence != 2 || string(page.Items[0].Payload) != "one" || page.Items[0].Reason == "" {
		t.Errorf("%d %+v", code, page)
	}
	cursor := page.NextCursor
	page = httpapi.Page[aggregator.PoisonEvent]{}
	if code := ask(t, s, roster.RoleOperator, http.MethodGet, "/v1/poison?limit=1&cursor="+cursor, "", &page); code != http.StatusOK || len(page.Items) != 1 ||
		page.Items[0].Sequence != 4 || page.NextCursor != "" {
		t.Errorf("%d %+v", code, page)
	}
	for _, role := range []roster.Role{roster.RoleRegistrar, roster.RoleBoard, roster.RoleAuditor, roster.RoleMember, roster.RoleCompanyAdmin} {
		for _, c := range []struct {
			method, path, body string
			want               int
		}{
			{http.MethodGet, path, "", http.StatusNotFound},
			{http.MethodPost, "/v1/rebuilds", `{}`, http.StatusForbidden},
			{http.MethodGet, "/v1/poison", "", http.StatusForbidden},
		} {
			if code := ask(t, s, role, c.method, c.path, c.body, nil); code != c.want {
				t.Errorf("%s %s as %s: %d, want %d", c.method, c.path, role, code, c.want)
			}
		}
	}
}

// A rebuild that a process before this one began exists, whether or not this one has seen it.
func TestRoutes_KnowOfNoRebuildOnlyAfterALookForOne(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	s, err := aggregator.New(aggregator.Config{NATS: b.nc, Warehouse: b.warehouse}) // it does not run, so it has not looked
	if err != nil {
		t.Fatal(err)
	}
	const path = "/v1/rebuilds/00000000-0000-4000-8000-000000000000"
	if code := ask(t, s, roster.RoleOperator, http.MethodGet, path, "", nil); code != http.StatusServiceUnavailable {
		t.Errorf("before the look: %d", code)
	}
	if code := ask(t, s, roster.RoleRegistrar, http.MethodGet, path, "", nil); code != http.StatusNotFound {
		t.Errorf("to others: %d", code)
	}
	b.log()
	s, _, _ = b.run()
	b.eventually(func() error {
		if code := ask(t, s, roster.RoleOperator, http.MethodGet, path, "", nil); code != http.StatusNotFound {
			return fmt.Errorf("after the look: %d", code)
		}
		return nil
	})
}

func TestRoutes_ShowHowFarARebuildIsHowFastAndWhatIsLeft(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	_, _, stop := b.carry(won(3000))
	stop()
	s, _, _ := b.run(func(c *aggregator.Config) { c.BatchRows = 20 })
	path := "/v1/rebuilds/" + b.rebuild(s, 0).ID.String()
	last, rises, estimated := uint64(0), 0, false
	b.eventually(func() error {
		var r aggregator.RebuildReport
		if code := ask(t, s, roster.RoleOperator, http.MethodGet, path, "", &r); code != http.StatusOK || r.LastSequence != 3000 {
			t.Fatalf("%d %+v", code, r)
		}
		if r.Position > last {
			last, rises = r.Position, rises+1
		}
		if r.State != aggregator.RebuildRunning {
			return nil
		}
		if r.EventsPerSecond > 0 && r.SecondsLeft != nil && *r.SecondsLeft > 0 {
			estimated = true
			if want := float64(3000-r.Position) / r.EventsPerSecond; math.Abs(*r.SecondsLeft-want) > 1e-6*want {
				t.Errorf("%f seconds left of %+v", *r.SecondsLeft, r)
			}
		}
		return fmt.Errorf("still %+v", r)
	})
	if rises < 3 || !estimated {
		t.Errorf("the position rose %d times, estimated: %v", rises, estimated)
	}
}
