package webhooks_test

import (
	"encoding/json"
	"net/http"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/dealreg/dealreg/pkg/deal"
	"github.com/dealreg/dealreg/services/webhooks"
)

func TestDeliver_SendsEveryEventOnceSignedToThoseWhoMayHearOfIt(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	ours, key := w.companyAdmin()
	theirs, otherKey := w.companyAdmin()
	rc, other := newReceiver(t, nil), newReceiver(t, nil)
	_, secret := w.endpoint(key, rc.URL+"/hook", object{"headers": object{"x-own": "hidden"}})
	w.endpoint(otherKey, other.URL, nil)

	mine := w.happen(300, ours)
	both := w.happen(3, ours, theirs)
	rc.await(t, append(mine, both...)...)
	other.await(t, both...)
	rc.once(t, append(mine, both...)...)
	other.once(t, both...)

	check, err := standardwebhooks.NewWebhook(secret)
	if err != nil {
		t.Fatal(err)
	}
	for _, got := range rc.all() {
		if err := check.Verify(got.body, got.header); err != nil {
			t.Fatalf("signature: %v", err)
		}
		var event struct {
			ID   string `json:"id"`
			Type string `json:"type"`
			Data object `json:"data"`
		}
		if err := json.Unmarshal(got.body, &event); err != nil || event.ID != got.id || event.Type != "dealreg.deal.registered" {
			t.Fatalf("body %s: %v", got.body, err)
		}
		if got.header.Get("X-Own") != "hidden" {
			t.Fatalf("headers %v", got.header)
		}
	}
}

func TestDeliver_TriesAgainOnScheduleAndGivesUpAtItsEnd(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	company, key := w.companyAdmin()
	tries := make(chan string, 100)
	rc := newReceiver(t, func(rw http.ResponseWriter, r *http.Request, _ []byte) {
		tries <- r.Header.Get("webhook-id")
		http.Error(rw, "broken", http.StatusInternalServerError)
	})
	id, _ := w.endpoint(key, rc.URL, nil)
	event := w.happen(1, company)[0]
	late := time.After(patience)
	for range 4 {
		select {
		case got := <-tries:
			if got != event {
				t.Fatalf("tried %s", got)
			}
		case <-late:
			t.Fatal("not tried again")
		}
	}
	found := w.attempts(key, id, "event_id="+event, func(a []object) bool { return len(a) == 4 })
	for i, a := range found {
		verdict := "retrying"
		if i == 0 {
			verdict = "failed"
		}
		if a["attempt"] != float64(4-i) || a["verdict"] != verdict || a["outcome"] != "server_error" || a["status"] != 500. || a["excerpt"] != "broken\\n" {
			t.Errorf("attempt %d: %v", 4-i, a)
		}
	}
	if len(tries) > 0 {
		t.Errorf("tried %d times more", len(tries))
	}
}

// TestDeliver_SignsEachAttemptAnew fails the first attempt of an endpoint that the queue serves, and of one that a cursor
// does.
func TestDeliver_SignsEachAttemptAnew(t *testing.T) {
	t.Parallel()
	apart := 2 * time.Second // with its jitter, more than the second that a timestamp counts
	w := newWorld(t, func(cfg *webhooks.Config) {
		cfg.Schedule, cfg.ProbeFirst, cfg.ProbeMost = []time.Duration{apart}, apart, apart
	})
	company, key := w.companyAdmin()
	type attempt struct {
		header http.Header
		body   []byte
	}
	secrets, attempts := map[string]string{}, map[string]chan attempt{}
	for name, ordered := range map[string]bool{"queue": false, "cursor": true} {
		made := make(chan attempt, 10)
		var n atomic.Int32
		rc := newReceiver(t, func(rw http.ResponseWriter, r *http.Request, body []byte) {
			made <- attempt{r.Header.Clone(), body}
			if n.Add(1) == 1 {
				rw.WriteHeader(http.StatusInternalServerError)
			}
		})
		_, secrets[name] = w.endpoint(key, rc.URL, object{"ordered": ordered})
		attempts[name] = made
	}
	event := w.happen(1, company)[0]
	for name, made := range attempts {
		check, err := standardwebhooks.NewWebhook(secrets[name])
		if err != nil {
			t.Fatal(err)
		}
		var signedAt [2]int
		for i := range signedAt {
			select {
			case a := <-made:
				if err := check.Verify(a.body, a.header); err != nil || a.header.Get("webhook-id") != event {
					t.Errorf("%s: attempt %d of %q: %v", name, i+1, a.header.Get("webhook-id"), err)
				}
				signedAt[i], _ = strconv.Atoi(a.header.Get("webhook-timestamp"))
			case <-time.After(patience):
				t.Fatalf("%s: no attempt %d", name, i+1)
			}
		}
		if signedAt[1] <= signedAt[0] {
			t.Errorf("%s: the attempts say %v", name, signedAt)
		}
	}
}

func TestDeliver_DisablesAnEndpointThatIsGoneAndTellsItsOwner(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	company, key := w.companyAdmin()
	gone := newReceiver(t, func(rw http.ResponseWriter, _ *http.Request, _ []byte) { rw.WriteHeader(http.StatusGone) })
	watching := newReceiver(t, nil)
	id, _ := w.endpoint(key, gone.URL, nil)
	w.endpoint(key, watching.URL, object{"event_types": []string{"dealreg.endpoint.disabled"}})
	w.happen(1, company)
	w.until("told", func() bool { return len(watching.all()) == 1 })
	var event struct {
		Data struct {
			EndpointID deal.ID `json:"endpoint_id"`
		} `json:"data"`
	}
	if err := json.Unmarshal(watching.all()[0].body, &event); err != nil || event.Data.EndpointID.String() != id {
		t.Errorf("told %s: %v", watching.all()[0].body, err)
	}
	shown := w.must(200, key, "GET", endpoints+"/"+id, nil)
	if shown["enabled"] != false || shown["disabled_at"] == nil || shown["disabled_reason"] == "" {
		t.Errorf("shown %v", shown)
	}
	if shown = w.must(200, key, "POST", endpoints+"/"+id+"/enable", nil); shown["enabled"] != true {
		t.Errorf("enabled %v", shown)
	}
}
