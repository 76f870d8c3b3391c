package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/dealreg/dealreg/pkg/calendar"
	"github.com/dealreg/dealreg/pkg/embedded"
	"github.com/dealreg/dealreg/pkg/embedded/embeddedtest"
	"github.com/dealreg/dealreg/pkg/httpapi"
	"github.com/dealreg/dealreg/services/registry"
)

func TestUp_DemoShowsTheYearAndTheAuditAgrees(t *testing.T) {
	t.Parallel()
	p := up(t, t.TempDir(), "--demo")
	key := p.waitFor(operatorLine)
	p.waitFor(`is up at (http://\S+)`)
	p.waitFor(`Harbour Software Partners: volume`)
	link := p.waitFor(`Admin of \S+ IT AG +http://\S+/sign-in/(drl_\S+)`)
	contains(t, p.output(), "curl -H", "Pacific Channel Council: volume of won deals between members, in USD",
		"All associations, each share once, in EUR", "by=pair", "attested by parties")
	auditIsEqual(t, p.url, key)
	var conflicts httpapi.Page[json.RawMessage]
	api := newClient(p.url, key)
	for _, deal := range firstDeals(t, api, 20) {
		if _, err := api.do(t.Context(), call{method: http.MethodGet, path: "/v1/deals/" + deal + "/conflicts", into: &conflicts}); err != nil || len(conflicts.Items) > 0 {
			t.Errorf("conflicts of demo deal %s: %s %v", deal, conflicts.Items, err)
		}
	}

	out, code := result(t, "demo", "--url", p.url, "--key", key)
	if code != 0 {
		t.Errorf("exit %d", code)
	}
	contains(t, out, "nothing was added", "Harbour Software Partners")
	if signsIn(t, p.url, link) {
		t.Error("a link signs in after the next one was made")
	}
	for i, found := range regexp.MustCompile(`/sign-in/(\S+)`).FindAllStringSubmatch(out, -1) {
		if !signsIn(t, p.url, found[1]) {
			t.Errorf("link %d signs nobody in", i)
		}
	}
	p.stop()
}

func signsIn(t *testing.T, url, link string) bool {
	t.Helper()
	var session struct{ Secret string }
	_, err := newClient(url, "").do(t.Context(), call{method: http.MethodPost, path: "/v1/sessions", body: map[string]any{"link": link}, into: &session})
	return err == nil && session.Secret != ""
}

// firstDeals gives the ids of the deals that changed last.
func firstDeals(t *testing.T, api *client, limit int) []string {
	t.Helper()
	var page httpapi.Page[registry.Deal]
	if _, err := api.do(t.Context(), call{method: http.MethodGet, path: fmt.Sprintf("/v1/deals?limit=%d", limit), into: &page}); err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, d := range page.Items {
		ids = append(ids, d.ID.String())
	}
	return ids
}

func TestUp_IssuesAnotherOperatorsKeyWhenTheFirstIsLost(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	p := up(t, data)
	first := p.waitFor(operatorLine)
	p.waitFor(`(is up)`)
	p.stop()
	p = up(t, data, "--new-operator-key")
	second := p.waitFor(operatorLine)
	if first == second {
		t.Error("the same key again")
	}
	for _, key := range []string{first, second} {
		newAssociation(t, newClient(p.url, key))
	}
	p.stop()
}

const historyCSV = "line_ref,title,customer,region,currency,amount,start_date,partner_1,partner_2\r\n" +
	"L1,\"Dam, one\",Water Office,North,EUR,100.00,2024-02-15,\"Elm, Oak & Co.\",Fir\u00a0Works\r\n" +
	"L2,Dam two,Water Office,South,EUR,200.50,2025-03-15,Fir Works,\"Elm, Oak & Co.\"\r\n" +
	"L3,Dam three,Water Office,South,EUR,n.a.,2024-03-15,Fir Works,Gum Builders\r\n"

const historyMap = `{"external_ref":"line_ref","won_on":"start_date","party_*":"partner_*","chapter":"region","customer_country":"=PH","status":"=won","create_companies":true}`

// newAssociation creates an association and gives its id.
func newAssociation(t *testing.T, api *client) string {
	t.Helper()
	w := demoWorld{api: api}
	id, err := w.create(t.Context(), "/v1/associations", map[string]any{
		"name": "Dam Builders", "time_zone": "Asia/Manila", "year_starts_in": 1, "reporting_currency": "EUR", "disclosure": "open",
	})
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func TestImport_EndsWithTheYearlyVolumeAndASecondRunChangesNothing(t *testing.T) {
	t.Parallel()
	p := up(t, t.TempDir())
	key := p.waitFor(operatorLine)
	url := p.waitFor(`is up at (http://\S+)`)
	association := newAssociation(t, newClient(url, key))
	file, mapping := writeFile(t, "history.csv", historyCSV), writeFile(t, "map.json", historyMap)
	rejects := filepath.Join(t.TempDir(), "rejects.csv")
	args := []string{"import", "deals", file, "--association", association, "--map", mapping, "--rejects", rejects, "--url", url, "--key", key}

	out, code := result(t, args...)
	if code != 0 {
		t.Fatalf("exit %d: %s", code, out)
	}
	contains(t, out, "3 rows: 2 registered, 0 unchanged, 1 rejected", "created: 2 companies, 1 chapters, 2 members", "100.00", "200.50", "300.50")
	text, err := os.ReadFile(rejects)
	if err != nil {
		t.Fatal(err)
	}
	contains(t, string(text), "line,reasons", "Dam three", "amount: ")
	out, code = result(t, args...)
	if code != 0 {
		t.Fatalf("exit %d: %s", code, out)
	}
	contains(t, out, "3 rows: 0 registered, 2 unchanged, 1 rejected", "300.50")
	auditIsEqual(t, url, key)
	p.stop()
}

func TestCommands_TellWrongUseFromFailure(t *testing.T) {
	t.Parallel()
	const someID = "0198c2f4-5b7e-7cc1-9d0a-4f1e2a3b4c5d"
	for name, c := range map[string]struct {
		args []string
		code int
		want string
	}{
		"unknown flag":     {[]string{"up", "--port", "1"}, exitWrongUse, "--port"},
		"no command":       {nil, exitWrongUse, "expected"},
		"no key":           {[]string{"audit"}, exitWrongUse, "DEALREG_KEY"},
		"no key to ask":    {[]string{"demo"}, exitWrongUse, "DEALREG_KEY"},
		"no association":   {[]string{"audit", "--key", "drk_x", "--association", "X"}, exitWrongUse, "not the id of an association"},
		"whose statement":  {[]string{"audit", "--key", "drk_x", "--statement", "2026"}, exitWrongUse, "name the one whose statement it is"},
		"no statement":     {[]string{"audit", "--key", "drk_x", "--statement", "26", "--association", someID}, exitWrongUse, "2026/3"},
		"no secret":        {[]string{"webhook", "listen", "--secret", "x"}, exitWrongUse, "--secret"},
		"nobody listens":   {[]string{"demo", "--url", "http://127.0.0.1:9", "--key", "drk_x"}, exitFailed, "is the system up?"},
		"audit of nothing": {[]string{"audit", "--url", "http://127.0.0.1:9", "--key", "drk_x"}, 3, "127.0.0.1:9"},
		"unknown key":      {[]string{"config", "check", writeFile(t, "c.json", `{"lisen": "x"}`)}, exitFailed, `"lisen" is no flag`},
		"alone":            {[]string{"serve", "registry", "--data", t.TempDir()}, exitWrongUse, "--nats-url"},
		"mail to nobody":   {[]string{"up", "--data", t.TempDir(), "--mail-from", "dealreg@contoso.example", "--nats-url", "nats://127.0.0.1:9", "--clickhouse-dsn", "clickhouse://127.0.0.1:9/x"}, exitWrongUse, "--smtp-url"},
		"half a provider":  {[]string{"up", "--data", t.TempDir(), "--oidc-issuer", "https://login.contoso.example", "--nats-url", "nats://127.0.0.1:9", "--clickhouse-dsn", "clickhouse://127.0.0.1:9/x"}, exitWrongUse, "--oidc-client-id"},
		"config":           {[]string{"config", "check", writeFile(t, "c.json", `{"listen": "127.0.0.1:9"}`)}, 0, "ok"},
		"config printed":   {[]string{"--config", writeFile(t, "c.json", `{"listen": "127.0.0.1:9"}`), "config", "print"}, 0, `"listen": "127.0.0.1:9"`},
		"number":           {[]string{"--config", writeFile(t, "c.json", `{"replicas": 3}`), "config", "print"}, 0, `"replicas": 3`},
		"wrong value":      {[]string{"config", "check", writeFile(t, "c.json", `{"replicas": "many"}`)}, exitFailed, "--replicas"},
		"version":          {[]string{"version"}, 0, "dealreg"},
	} {
		out, code := result(t, c.args...)
		if code != c.code {
			t.Errorf("%s: exit %d: %s", name, code, out)
		}
		contains(t, out, c.want)
	}
}

func TestConfigPrint_PrintsAFileThatCanBeUsed(t *testing.T) {
	t.Parallel()
	printed, code := result(t, "config", "print", "--replicas", "3", "--webhook-allow", "10.1.0.0/16", "--webhook-allow", "10.2.0.0/16")
	if code != 0 {
		t.Fatal(printed)
	}
	file := writeFile(t, "c.json", printed)
	if out, code := result(t, "config", "check", file); code != 0 {
		t.Errorf("exit %d: %s", code, out)
	}
	if again, code := result(t, "config", "print", "--config", file); code != 0 || again != printed {
		t.Errorf("exit %d: %s\nwant %s", code, again, printed)
	}
}

func TestUp_GoesOnWhenClickHouseIsKilled(t *testing.T) {
	t.Parallel()
	p := up(t, t.TempDir())
	key := p.waitFor(operatorLine)
	url := p.waitFor(`is up at (http://\S+)`)
	api := newClient(url, key)
	association := newAssociation(t, api)
	children, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%[1]d/children", p.cmd.Process.Pid))
	tasks, globErr := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", p.cmd.Process.Pid))
	if err != nil || globErr != nil {
		t.Fatal(err, globErr)
	}
	for _, task := range tasks {
		more, err := os.ReadFile(task)
		if err == nil { // the thread may have ended
			children = append(children, more...)
		}
	}
	engines := strings.Fields(string(children))
	if len(engines) == 0 {
		t.Fatal("there is no engine to kill")
	}
	for _, engine := range engines {
		pid, err := strconv.Atoi(engine)
		if err != nil {
			t.Fatal(err)
		}
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
	upload := importDeals{
		File: writeFile(t, "history.csv", historyCSV), Map: writeFile(t, "map.json", historyMap), Association: association,
	}
	state, err := upload.upload(t.Context(), api)
	if err != nil {
		t.Fatal(err)
	}
	if state, err = follow(t.Context(), api, state); err != nil || state.Registered != 2 {
		t.Fatalf("%+v %v", state, err)
	}
	v, err := volumeOf(t.Context(), api, association, 2025, state.LastSequence) // again while it answers 503
	if err != nil || v.Total.Amount != "200.50" {
		t.Errorf("%+v %v", v, err)
	}
	auditIsEqual(t, url, key)
	p.stop()
}

// load registers deals and takes them to won until the system dies under it, and remembers what was acknowledged.
type load struct {
	mu    sync.Mutex
	acked map[string]uint64 // deal -> the highest revision that was acknowledged
}

func (l *load) ack(id string, revision uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.acked[id] = max(l.acked[id], revision)
}

func (l *load) run(ctx context.Context, lead, partner *client, leadID, partnerID string, run, worker int) {
	today := calendar.DateOf(time.Now(), time.UTC)
	for n := 0; ctx.Err() == nil; n++ {
		amount := map[string]any{"amount": fmt.Sprintf("%d.25", 100+n), "currency": "EUR"}
		none := map[string]any{"amount": "0", "currency": "EUR"}
		var d registry.Deal
		post := func(by *client, path string, body any) bool {
			key := fmt.Sprintf("%d-%d-%d-%s-%d", run, worker, n, path, d.Revision)
			_, err := by.once(ctx, call{
				method: http.MethodPost, path: path, body: body, into: &d,
				header: map[string]string{"Idempotency-Key": key, "If-Match": fmt.Sprintf(`"%d"`, d.Revision)},
			})
			if err == nil {
				l.ack(d.ID.String(), d.Revision)
			}
			return err == nil
		}
		here := func(move string) string { return "/v1/deals/" + d.ID.String() + "/" + move }
		_ = post(lead, "/v1/deals", map[string]any{
			"title": "Load", "customer": map[string]any{"name": "Contoso AG", "country": "DE"}, "value": amount,
			"parties": []any{
				map[string]any{"company_id": leadID, "share": amount}, map[string]any{"company_id": partnerID, "share": none},
			},
		}) && post(partner, here("accept"), map[string]any{}) &&
			post(lead, here("propose"), map[string]any{"won_on": today.AddDays(-n % 400)}) &&
			post(partner, here("attest"), map[string]any{})
	}
}

func TestSystem_LosesNothingAndCountsNothingTwiceWhenKilledAtAnyMoment(t *testing.T) {
	t.Parallel()
	const seed, runs, workers = 20261122, 4, 4
	random := rand.New(rand.NewPCG(seed, 0)) // #nosec G404 -- the moments of the kills
	data := t.TempDir()
	p := up(t, data)
	key := p.waitFor(operatorLine)
	p.waitFor(`(is up)`)
	api := newClient(p.url, key)
	w := demoWorld{api: api}
	association := newAssociation(t, api)
	ids, keys := [2]string{}, [2]string{}
	for i, name := range []string{"Elm", "Fir"} {
		var err error
		if ids[i], err = w.create(t.Context(), "/v1/companies", map[string]any{"name": name, "country": "DE"}); err != nil {
			t.Fatal(err)
		}
		if keys[i], err = w.key(t.Context(), map[string]any{"role": "member", "company_id": ids[i]}); err != nil {
			t.Fatal(err)
		}
		path := "/v1/associations/" + association + "/members/" + ids[i]
		if _, err := api.do(t.Context(), call{method: http.MethodPut, path: path, body: map[string]any{
			"from": "2019-01-01", "ethics_accepted_on": "2019-01-01",
		}}); err != nil {
			t.Fatal(err)
		}
	}
	l := &load{acked: map[string]uint64{}}
	for run := range runs {
		ctx, cancel := context.WithCancel(t.Context())
		var wait sync.WaitGroup
		for worker := range workers {
			wait.Go(func() { l.run(ctx, newClient(p.url, keys[0]), newClient(p.url, keys[1]), ids[0], ids[1], run, worker) })
		}
		<-time.After(time.Duration(100+random.IntN(900)) * time.Millisecond) // the kill comes at any moment
		p.kill()
		cancel()
		wait.Wait()

		p = up(t, data)
		p.waitFor(`(is up)`)
		for id, revision := range l.acked {
			var d registry.Deal
			if _, err := newClient(p.url, keys[0]).do(t.Context(), call{method: http.MethodGet, path: "/v1/deals/" + id, into: &d}); err != nil {
				t.Fatalf("run %d: acknowledged deal %s: %v", run, id, err)
			}
			if d.Revision < revision {
				t.Fatalf("run %d: deal %s has revision %d, %d was acknowledged", run, id, d.Revision, revision)
			}
		}
		auditIsEqual(t, p.url, key)
	}
	if len(l.acked) < runs {
		t.Errorf("only %d deals were registered between the kills", len(l.acked))
	}
	p.stop()
}

// The broker is set up as operators are told to.
func TestServe_EachServiceRunsAloneInAnyOrder(t *testing.T) {
	t.Parallel()
	port, err := embedded.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	natsDir, data := t.TempDir(), t.TempDir()
	address := fmt.Sprintf("nats://dealreg:secret@127.0.0.1:%d", port)
	engines := []string{"--data", data, "--nats-url", address, "--clickhouse-dsn", embeddedtest.ClickHouse(t), "--log-level", "warn"}
	services := map[string]*process{}
	for _, name := range []string{serviceReports, serviceRegistry, serviceAggregator, serviceDirectory} {
		services[name] = launch(t, append([]string{"serve", name}, engines...)...)
	}
	stopBroker := startHostBroker(t, natsDir, port)
	key := services[serviceDirectory].waitFor(operatorLine)
	for _, p := range services {
		ready(t, p.url)
	}
	at := func(service string) *client { return newClient(services[service].url, key) }
	association := newAssociation(t, at(serviceDirectory))
	imports := at(serviceRegistry)
	upload := importDeals{
		File: writeFile(t, "history.csv", historyCSV), Map: writeFile(t, "map.json", historyMap), Association: association,
	}
	state, err := upload.upload(t.Context(), imports)
	for notFound(err) && pause(t.Context(), 20*time.Millisecond) == nil { // until the registry sees the association
		state, err = upload.upload(t.Context(), imports)
	}
	if err != nil {
		t.Fatal(err)
	}
	if state, err = follow(t.Context(), imports, state); err != nil || state.Registered != 2 {
		t.Fatalf("%+v %v", state, err)
	}
	v, err := volumeOf(t.Context(), at(serviceReports), association, 2025, state.LastSequence)
	for notFound(err) && pause(t.Context(), 20*time.Millisecond) == nil { // until the reports see it
		v, err = volumeOf(t.Context(), at(serviceReports), association, 2025, state.LastSequence)
	}
	if err != nil || v.Total.Amount != "200.50" || v.PreviousYear.Amount != "100.00" {
		t.Errorf("%+v %v", v, err)
	}

	stopBroker()
	for _, p := range services {
		p.lacks("nats")
	}
	for service, path := range map[string]string{serviceRegistry: "/v1/deals/0198c2f4-5b7e-7cc1-9d0a-4f1e2a3b4c5d"} {
		_, err := at(service).once(t.Context(), call{method: http.MethodGet, path: path})
		var problem *problemError
		if !errors.As(err, &problem) || problem.Status != http.StatusServiceUnavailable {
			t.Errorf("%s without NATS: %v", service, err)
		}
	}
	startHostBroker(t, natsDir, port)
	for _, p := range services {
		ready(t, p.url)
	}
	again, err := upload.upload(t.Context(), imports)
	if err != nil {
		t.Fatal(err)
	}
	if again, err = follow(t.Context(), imports, again); err != nil || again.Unchanged != 2 || again.LastSequence != state.LastSequence {
		t.Errorf("after NATS returned: %+v %v", again, err)
	}
	if out, code := result(t, "rebuild", "--url", services[serviceAggregator].url, "--key", key); code != 0 {
		t.Errorf("rebuild: exit %d, %s", code, out)
	}
	for _, p := range services {
		p.stop()
	}
}

func notFound(err error) bool {
	problem, answered := errors.AsType[*problemError](err)
	return answered && problem.Status == http.StatusNotFound
}

func TestGrouped_SeparatesThousands(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{"0.00": "0.00", "999.5": "999.5", "1000": "1,000", "-1234567.89": "-1,234,567.89", "123": "123"} {
		if got := grouped(text); got != want {
			t.Errorf("grouped(%q) is %q, want %q", text, got, want)
		}
	}
}
