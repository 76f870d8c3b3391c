// Command receiver is a complete receiver of dealreg's webhooks. It keeps in memory what you would keep in a database.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

const maxBody = 64 << 10

// receiver takes webhooks at once and does their work afterwards.
type receiver struct {
	secrets  []*standardwebhooks.Webhook // two of them while one replaces the other
	api, key string
	inbox    chan event // a table in your database, so that nothing is lost when you restart

	mu       sync.Mutex
	received map[string]bool // a unique column of that table

	revisions map[string]uint64 // of the deals that you know
	sequence  uint64            // up to which you know all of them
}

// event is a CloudEvent. It is thin: it says which deal changed, and the API says the rest to those who may see it.
type event struct {
	ID   string `json:"id"`
	Type string `json:"type"`
	Data struct {
		DealID   string `json:"deal_id"`
		Revision uint64 `json:"revision"`
	} `json:"data"`
}

type deal struct {
	ID       string `json:"id"`
	Status   string `json:"status"`
	Revision uint64 `json:"revision"`
}

func main() {
	r := &receiver{
		api: os.Getenv("DEALREG_URL"), key: os.Getenv("DEALREG_KEY"),
		inbox: make(chan event, 1000), received: map[string]bool{}, revisions: map[string]uint64{},
	}
	for secret := range strings.FieldsSeq(os.Getenv("DEALREG_WEBHOOK_SECRETS")) {
		verifier, err := standardwebhooks.NewWebhook(secret)
		if err != nil {
			log.Fatal(err)
		}
		r.secrets = append(r.secrets, verifier)
	}
	go r.work(context.Background())

	http.HandleFunc("POST /webhooks", r.receive)
	server := &http.Server{Addr: os.Getenv("LISTEN"), ReadTimeout: 10 * time.Second}
	log.Fatal(server.ListenAndServe())
}

// receive verifies, keeps, answers: nothing that takes long.
func (r *receiver) receive(w http.ResponseWriter, request *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, request.Body, maxBody))
	if err != nil {
		http.Error(w, "too large", http.StatusRequestEntityTooLarge)
		return
	}
	var e event
	if !r.verified(body, request.Header) || json.Unmarshal(body, &e) != nil { // verify the bytes as they came, then read them
		http.Error(w, "not signed with our secret, or too old", http.StatusUnauthorized)
		return
	}
	if !r.keep(request.Header.Get("webhook-id"), e) {
		http.Error(w, "too busy", http.StatusServiceUnavailable) // it is sent again
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

func (r *receiver) verified(body []byte, headers http.Header) bool {
	for _, secret := range r.secrets {
		if secret.Verify(body, headers) == nil {
			return true
		}
	}
	return false
}

// keep puts the event into the inbox, once however often it comes.
func (r *receiver) keep(id string, e event) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.received[id] {
		return true
	}
	select {
	case r.inbox <- e:
		r.received[id] = true
		return true
	default:
		return false
	}
}

// work fetches what changed: first what was missed, then what the events name, and every 15 minutes what was still missed.
func (r *receiver) work(ctx context.Context) {
	again := time.NewTicker(15 * time.Minute)
	r.report(r.catchUp(ctx))
	for {
		select {
		case e := <-r.inbox:
			r.report(r.handle(ctx, e))
		case <-again.C:
			r.report(r.catchUp(ctx))
		}
	}
}

func (r *receiver) report(err error) {
	if err != nil {
		log.Print(err, "; the next catching up will find it")
	}
}

func (r *receiver) handle(ctx context.Context, e event) error {
	if !strings.HasPrefix(e.Type, "dealreg.deal.") || r.revisions[e.Data.DealID] >= e.Data.Revision { // events may overtake each other
		return nil
	}
	var d deal
	if err := r.get(ctx, "/v1/deals/"+url.PathEscape(e.Data.DealID), &d); err != nil {
		return err
	}
	r.changed(d)
	return nil
}

// catchUp fetches every deal that changed behind the sequence that was read last.
func (r *receiver) catchUp(ctx context.Context) error {
	query := url.Values{"after_sequence": {strconv.FormatUint(r.sequence, 10)}, "limit": {"200"}}
	for asOf := uint64(0); ; {
		var page struct {
			Items        []deal `json:"items"`
			NextCursor   string `json:"next_cursor"`
			AsOfSequence uint64 `json:"as_of_sequence"`
		}
		if err := r.get(ctx, "/v1/deals?"+query.Encode(), &page); err != nil {
			return err
		}
		for _, d := range page.Items {
			r.changed(d)
		}
		if asOf == 0 {
			asOf = page.AsOfSequence // of the first page: what changed during the others comes again
		}
		if page.NextCursor == "" {
			r.sequence = asOf
			return nil
		}
		query.Set("cursor", page.NextCursor)
	}
}

// changed is where your own work begins.
func (r *receiver) changed(d deal) {
	if d.Revision > r.revisions[d.ID] {
		r.revisions[d.ID] = d.Revision
		log.Printf("deal %s is %s at revision %d", d.ID, d.Status, d.Revision)
	}
}

func (r *receiver) get(ctx context.Context, path string, answer any) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, r.api+path, http.NoBody)
	if err != nil {
		return err
	}
	request.Header.Set("Authorization", "Bearer "+r.key)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answered %s", path, response.Status)
	}
	return json.NewDecoder(response.Body).Decode(answer)
}
