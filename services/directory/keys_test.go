package directory_test

import (
	"context"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/dealreg/dealreg/pkg/deal"
	"github.com/dealreg/dealreg/pkg/httpapi"
	"github.com/dealreg/dealreg/pkg/lifecycle"
	"github.com/dealreg/dealreg/pkg/roster"
	"github.com/dealreg/dealreg/pkg/roster/rostertest"
	"github.com/dealreg/dealreg/services/directory"
)

// second is another process of the directory on the same broker, without a key of its own.
func second(t *testing.T, js jetstream.JetStream, log *zap.Logger, announce func(string)) (*system, *roster.Roster) {
	t.Helper()
	s := &system{t: t, health: lifecycle.NewHealth()}
	r := roster.New(js, log, s.health)
	service, err := directory.New(directory.Config{JetStream: js, Roster: r, Pepper: pepper, Log: log, Health: s.health, Now: noon, Announce: announce})
	if err != nil {
		t.Fatal(err)
	}
	server := httpapi.New(httpapi.Config{
		Log: log, Health: s.health, Authenticate: roster.Authenticator{Roster: r, Pepper: pepper, Now: noon}.Authenticate,
	})
	service.Routes(server.API)
	web := httptest.NewServer(server.Handler())
	t.Cleanup(web.Close)
	s.url = web.URL
	rostertest.Run(t, r)
	rostertest.Run(t, service)
	select {
	case <-r.Loaded():
	case <-time.After(patience):
		t.Fatal("the second process was not loaded")
	}
	return s, r
}

func noon() time.Time { return time.Date(2026, 11, 22, 12, 0, 30, 0, time.UTC) }

func TestKeys_AreRefusedByEveryProcessOnceItSawTheRevocation(t *testing.T) {
	t.Parallel()
	js := rostertest.NewServer(t).Connect()
	one := start(t, js)
	two, people := second(t, js, nil, nil)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	keys, err := js.Stream(ctx, "KV_"+string(roster.Keys))
	if err != nil {
		t.Fatal(err)
	}
	seen := func() { // the other process has seen all that was written so far
		t.Helper()
		info, err := keys.Info(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if err := people.WaitFor(ctx, roster.Keys, info.State.LastSeq); err != nil {
			t.Fatal(err)
		}
	}
	issued := one.must(201, one.operator, "POST", "/v1/keys", object{"role": "member", "company_id": one.company("C"), "label": "CRM"})
	seen()
	two.must(200, issued.string("secret"), "GET", "/v1/keys", nil)
	one.must(204, one.operator, "DELETE", "/v1/keys/"+issued.string("id"), nil)
	seen()
	two.must(401, issued.string("secret"), "GET", "/v1/keys", nil)
}

func TestKeys_ShowWhatTheyAreForAndWhenTheyWereUsed(t *testing.T) {
	t.Parallel()
	js := rostertest.NewServer(t).Connect()
	announced := make(chan string, 1)
	s, _ := second(t, js, nil, func(token string) { announced <- token })
	s.operator = <-announced
	s.until(200, func() reply { return s.do(s.operator, "GET", "/v1/keys", nil) })
	company := s.company("C")
	issued := s.must(201, s.operator, "POST", "/v1/keys", object{"role": "member", "company_id": company, "label": "CRM"})
	shown := func() object {
		t.Helper()
		for _, item := range s.must(200, s.operator, "GET", "/v1/keys", nil).items() {
			if item["id"] == issued.string("id") {
				return item
			}
		}
		t.Fatal("the key is not listed")
		return nil
	}
	if k := shown(); k["last_used"] != nil || k["label"] != "CRM" || k["role"] != "member" || k["company_id"] != company {
		t.Errorf("before its first use: %v", k)
	}
	s.must(200, issued.string("secret"), "GET", "/v1/companies", nil)
	if k := shown(); k["last_used"] != "2026-11-22T12:00:00Z" {
		t.Errorf("after its first use: %v", k)
	}
}

func TestKeys_LeaveTheirSecretNeitherInLogsNorInTheStore(t *testing.T) {
	t.Parallel()
	js := rostertest.NewServer(t).Connect()
	core, logs := observer.New(zap.DebugLevel)
	log := zap.New(core)
	announced := make(chan string, 1)
	s, _ := second(t, js, log, func(token string) { announced <- token })
	s.operator = <-announced
	s.until(200, func() reply { return s.do(s.operator, "GET", "/v1/keys", nil) })

	issued := s.must(201, s.operator, "POST", "/v1/keys", object{"role": "member", "company_id": s.company("C")})
	secret := issued.string("secret")
	s.must(200, secret, "GET", "/v1/keys", nil)
	s.must(422, secret, "GET", "/v1/companies/"+secret, nil)
	s.must(422, secret, "GET", "/v1/companies?"+secret+"="+secret, nil)
	s.must(422, secret, "POST", "/v1/companies", object{secret: secret})
	s.must(401, secret[:len(secret)-1], "GET", "/v1/keys", nil)
	s.must(204, s.operator, "DELETE", "/v1/keys/"+issued.string("id"), nil)
	s.must(401, secret, "GET", "/v1/keys", nil)

	ada := s.invite(s.operator, object{"name": "Ada Lovelace", "email": "ada@contoso.example", "role": "operator"})
	unused := s.link(s.operator, ada)
	s.must(401, "", "POST", "/v1/sessions", object{"link": unused[:len(unused)-1]})
	link := s.link(s.operator, ada)
	session, _ := s.signIn(object{"link": link})
	s.must(200, session, "GET", "/v1/people", nil)
	s.must(422, session, "PATCH", ada, object{"email": "Ada Lovelace"}, "If-Match", s.must(200, session, "GET", ada, nil).header.Get("ETag"))

	var text strings.Builder
	for _, line := range logs.All() {
		fmt.Fprintln(&text, line.LoggerName, line.Message, line.ContextMap())
	}
	if logs.FilterMessage("request answered").Len() == 0 {
		t.Fatal("nothing was logged")
	}
	for name, secret := range map[string]string{"member": secret, "operator": s.operator, "session": session, "link": link, "unused link": unused} {
		hidden := secret[strings.LastIndex(secret, "_")+1:][:20]
		if strings.Contains(text.String(), hidden) {
			t.Errorf("the log holds the secret: %s", name)
		}
		for _, b := range roster.Buckets {
			kv, err := js.KeyValue(t.Context(), string(b))
			if err != nil {
				t.Fatal(err)
			}
			entries, err := kv.WatchAll(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for e := range entries.Updates() {
				if e == nil {
					break
				}
				if strings.Contains(e.Key()+string(e.Value()), hidden) {
					t.Errorf("the bucket %s holds the secret: %s", b, name)
				}
			}
			_ = entries.Stop()
		}
	}
	if strings.Contains(text.String(), "Lovelace") || strings.Contains(text.String(), "contoso") {
		t.Error("the log names a person")
	}
	if id := ada[strings.LastIndex(ada, "/")+1:]; !strings.Contains(text.String(), id) {
		t.Error("the log does not name the person by its id")
	}
	if id, err := deal.ParseID(issued.string("id")); err != nil || !strings.Contains(text.String(), id.String()) {
		t.Errorf("the log does not name the key by its id (%v)", err)
	}
}
