package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"github.com/dealreg/dealreg/pkg/deal"
	"github.com/dealreg/dealreg/pkg/httpapi"
	"github.com/dealreg/dealreg/pkg/lifecycle"
	"github.com/dealreg/dealreg/pkg/roster"
	"github.com/dealreg/dealreg/pkg/stream"
	"github.com/dealreg/dealreg/pkg/warehouse"
	"github.com/dealreg/dealreg/pkg/webhook"
	"github.com/dealreg/dealreg/services/webhooks"
)

// benchWebhooks measures deliveries to a receiver in this process against posting the same bodies without dealreg; how
// long an event takes to a receiver against a consumer that posts at once; and how long it takes while one endpoint in a
// hundred is dead, slow or failing against a while in which none is. All in one run.
type benchWebhooks struct {
	Endpoints int `default:"10000" help:"Endpoints when the ailing ones are measured, a hundred for each company, of which one ails."`
	Events    int `default:"1000" help:"Events that happen at once for 64 endpoints, and one by one; two fifths of them while endpoints ail, and as many while none do."`
}

const (
	benchFan     = 64  // endpoints of the first measurement
	benchAtOnce  = 2   // exchanges that the dispatcher has with one endpoint at a time
	benchPerUnit = 100 // endpoints of one company
)

const (
	benchDeadline = 2 * time.Second // of one exchange
	benchSlow     = time.Second     // after which a slow endpoint answers
	benchFailures = 10              // events that a failing endpoint hears of before it is measured: half of them shut its gate
)

// benchAiling is what becomes of one endpoint in a hundred: it never answers, fails at once, or answers after a while.
var benchAiling = []string{"/dead", "/failing", "/slow"}

// Run prints one JSON object.
func (c *benchWebhooks) Run(ctx context.Context, log *zap.Logger) (err error) {
	if c.Endpoints < len(benchAiling)*benchPerUnit || c.Events < 20 {
		return errors.New("bench: --endpoints is at least 300, --events at least 20")
	}
	engines, err := startBenchEngines(ctx, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, engines.stop()) }()
	b := &webhookBench{benchEngines: engines, callers: map[string]roster.Principal{}, sent: map[string]time.Time{}}
	defer func() { err = errors.Join(err, b.end()) }()
	if err := b.begin(ctx); err != nil {
		return err
	}
	return b.run(ctx, c.Events, c.Endpoints)
}

// webhookBench is the service with its API, and a receiver.
type webhookBench struct {
	*benchEngines
	log       *stream.Log
	api       string
	receivers []string // their addresses: as in life, no two endpoints of a measurement share one
	client    http.Client
	enders    []func() error
	ailing    atomic.Bool // the endpoints that may ail do

	mu      sync.Mutex
	callers map[string]roster.Principal
	sent    map[string]time.Time // by event: when it was written
	took    []time.Duration      // of each arrival since
	wanted  int                  // arrivals
	arrived chan struct{}        // closed when they are there
}

func (b *webhookBench) begin(ctx context.Context) error {
	var err error
	if b.log, err = stream.NewLog(b.nc); err != nil {
		return err
	}
	house, err := warehouse.Open(warehouse.Config{DSN: b.dsn + "webhooks"})
	if err != nil {
		return err
	}
	b.enders = append(b.enders, house.Close)
	if err := house.Migrate(ctx); err != nil {
		return err
	}
	key, err := webhook.NewSealingKey(make([]byte, 32))
	if err != nil {
		return err
	}
	health := lifecycle.NewHealth()
	s, err := webhooks.New(webhooks.Config{
		NATS: b.nc, Warehouse: house, Key: key, Health: health, Now: time.Now, Deadline: benchDeadline,
		Guard: webhook.Guard{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, AllowHTTP: true},
	})
	if err != nil {
		return err
	}
	server := httpapi.New(httpapi.Config{Health: health, Limit: func(roster.Principal) httpapi.Limit { return httpapi.Limit{} }, Authenticate: b.caller})
	s.Routes(server.API)
	if b.api, err = b.listen(ctx, server.Handler()); err != nil {
		return err
	}
	for range benchPerUnit {
		receiver, err := b.listen(ctx, http.HandlerFunc(b.receive))
		if err != nil {
			return err
		}
		b.receivers = append(b.receivers, receiver)
	}
	b.client.Transport = &http.Transport{MaxIdleConnsPerHost: benchAtOnce}
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	ended := make(chan error, 1)
	go func() { ended <- s.Run(running) }()
	b.enders = append(b.enders, func() error { stop(); return <-ended })
	return waitReady(ctx, b.api)
}

func (b *webhookBench) end() error {
	var errs []error
	for _, end := range slices.Backward(b.enders) {
		errs = append(errs, end())
	}
	return errors.Join(errs...)
}

func (b *webhookBench) listen(ctx context.Context, handler http.Handler) (string, error) {
	var lc net.ListenConfig
	listener, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("bench: %w", err)
	}
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 5 * time.Second}
	go func() { _ = server.Serve(listener) }()
	b.enders = append(b.enders, server.Close)
	return "http://" + listener.Addr().String(), nil
}

func (b *webhookBench) caller(token string) (roster.Principal, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	p, known := b.callers[token]
	if !known {
		return p, roster.ErrUnauthenticated
	}
	return p, nil
}

// receive is the receiver. What arrives at an endpoint that may ail is not counted, whether it does or not.
func (b *webhookBench) receive(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	if r.URL.Path != "/alive" {
		if b.ailing.Load() {
			ail(w, r)
		}
		return
	}
	at := time.Now()
	b.mu.Lock()
	defer b.mu.Unlock()
	if from, known := b.sent[r.Header.Get(webhook.HeaderID)]; known {
		b.took = append(b.took, at.Sub(from))
		if len(b.took) == b.wanted {
			close(b.arrived)
		}
	}
}

// ail answers as the address says.
func ail(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/dead":
		<-r.Context().Done()
	case "/failing":
		w.WriteHeader(http.StatusInternalServerError)
	case "/slow":
		select {
		case <-time.After(benchSlow):
		case <-r.Context().Done():
		}
	}
}

// benchCompany is a company with endpoints.
type benchCompany struct {
	ID    deal.ID
	api   *client
	first string // its first endpoint, in the API
}

// company makes a company with endpoints. The first one may ail in that way, "" for none.
func (b *webhookBench) company(ctx context.Context, endpoints int, ailing string) (benchCompany, error) {
	id, token := newBenchID(), uuid.NewString()
	b.mu.Lock()
	b.callers[token] = roster.Principal{KeyID: id, Role: roster.RoleCompanyAdmin, Company: id}
	b.mu.Unlock()
	company := benchCompany{ID: id, api: newClient(b.api, token)}
	var group errgroup.Group
	group.SetLimit(16)
	for i := range endpoints {
		path := "/alive"
		if i == 0 && ailing != "" {
			path = ailing
		}
		group.Go(func() error {
			var made struct {
				ID deal.ID `json:"id"`
			}
			_, err := company.api.do(ctx, call{method: http.MethodPost, path: "/v1/webhook-endpoints", into: &made, body: map[string]any{
				"url": b.receivers[i] + path, "event_types": []string{"*"}, "rate_per_second": 1000,
			}})
			if i == 0 {
				company.first = "/v1/webhook-endpoints/" + made.ID.String()
			}
			return err
		})
	}
	return company, group.Wait()
}

func benchEvent() deal.Event {
	return deal.Event{
		Type: deal.EventRegistered, At: time.Now().UTC(), Deal: deal.Deal{ID: newBenchID(), Revision: 1, Status: deal.Pending, TermsVersion: 1},
	}
}

// happen writes events of the company and notes the time of each.
func (b *webhookBench) happen(ctx context.Context, n int, company deal.ID) error {
	drafts := make([]stream.Draft, n)
	for i := range n {
		e := stream.Event{Audience: stream.Audience{Companies: []deal.ID{company}}, Event: benchEvent()}
		var err error
		if drafts[i], err = stream.NewDraft(e, nil); err != nil {
			return err
		}
	}
	b.mu.Lock()
	for _, d := range drafts {
		b.sent[d.Event.ID()] = time.Now()
	}
	b.mu.Unlock()
	if n == 1 {
		_, err := b.log.Append(ctx, drafts[0])
		return err
	}
	for some := range slices.Chunk(drafts, 1000) {
		if err := b.log.AppendBatch(ctx, some); err != nil {
			return err
		}
	}
	return nil
}

// expect forgets the arrivals and is for so many from now on.
func (b *webhookBench) expect(n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.took, b.wanted, b.arrived = make([]time.Duration, 0, n), n, make(chan struct{})
}

// await waits until as many arrived as are expected, and gives how long each took.
func (b *webhookBench) await(ctx context.Context) ([]time.Duration, error) {
	var err error
	select {
	case <-b.arrived:
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-time.After(2 * time.Minute):
		err = errors.New("bench: not all webhooks arrived")
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.took[:min(len(b.took), b.wanted)]), err
}

func millisAt(quantile float64, took []time.Duration) float64 {
	slices.Sort(took)
	return float64(took[min(len(took)-1, int(quantile*float64(len(took))))].Microseconds()) / 1000
}

func (b *webhookBench) run(ctx context.Context, events, endpoints int) error {
	also := map[string]float64{"endpoints": float64(endpoints), "events": float64(events)}
	if err := b.quiet(ctx, events, also); err != nil {
		return err
	}
	figure, limit, err := b.many(ctx, events, also)
	if err != nil {
		return err
	}
	if err := b.settle(ctx); err != nil {
		return err
	}
	if err := b.beside(ctx, events*2/5, endpoints, also); err != nil {
		return err
	}
	return benchResult{Bench: "webhooks", Figure: figure, Unit: "deliveries/s", Limit: limit, Also: also}.print()
}

// quiet sends one event after the other, in turn with a consumer of the log that posts at once.
func (b *webhookBench) quiet(ctx context.Context, events int, also map[string]float64) error {
	company, err := b.company(ctx, 1, "")
	if err != nil {
		return err
	}
	nobody := newBenchID()
	log, err := b.js.OrderedConsumer(ctx, stream.DealsStream, jetstream.OrderedConsumerConfig{DeliverPolicy: jetstream.DeliverNewPolicy})
	if err != nil {
		return err
	}
	consuming, err := log.Consume(func(m jetstream.Msg) {
		e, err := stream.Decode(m.Data())
		if err != nil || e.Audience.Companies[0] != nobody {
			return
		}
		body, err := webhook.Deal(e.Event).Body()
		if err == nil {
			_ = b.post(ctx, 0, e.ID(), body)
		}
	})
	if err != nil {
		return err
	}
	defer consuming.Stop()
	var ours, bare []time.Duration
	for i := range events + 10 {
		for to, took := range map[deal.ID]*[]time.Duration{company.ID: &ours, nobody: &bare} {
			b.expect(1)
			if err := b.happen(ctx, 1, to); err != nil {
				return err
			}
			one, err := b.await(ctx)
			if err != nil {
				return err
			}
			if i >= 10 { // the first ones open connections
				*took = append(*took, one...)
			}
		}
	}
	also["quiet_p50_ms"], also["quiet_p99_ms"] = millisAt(0.5, ours), millisAt(0.99, ours)
	also["bare_consumer_p50_ms"], also["bare_consumer_p99_ms"] = millisAt(0.5, bare), millisAt(0.99, bare)
	also["quiet_p99_times_bare_consumer"] = also["quiet_p99_ms"] / also["bare_consumer_p99_ms"]
	return nil
}

func (b *webhookBench) post(ctx context.Context, to int, id string, body []byte) error {
	header, err := webhook.Sign(id, time.Now(), body, benchSecret)
	if err != nil {
		return err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, b.receivers[to]+"/alive", bytes.NewReader(body))
	if err != nil {
		return err
	}
	r.Header = header
	answer, err := b.client.Do(r)
	if err != nil {
		return err
	}
	_, _ = io.Copy(io.Discard, answer.Body)
	return answer.Body.Close()
}

var benchSecret = webhook.NewSecret()

// many sends events to many endpoints at once, in turn with a client that posts as many bodies of the same length, signed, to
// the same receivers: one at a time to each, which is its best, and as many as the dispatcher.
func (b *webhookBench) many(ctx context.Context, events int, also map[string]float64) (figure, limit float64, err error) {
	company, err := b.company(ctx, benchFan, "")
	if err != nil {
		return 0, 0, err
	}
	var ours, best, alike speed
	total := uint64(events * benchFan) // #nosec G115 -- positive
	for range benchRounds {
		b.expect(events * benchFan)
		start := time.Now()
		if err := b.happen(ctx, events, company.ID); err != nil {
			return 0, 0, err
		}
		if _, err := b.await(ctx); err != nil {
			return 0, 0, err
		}
		ours.add(total, time.Since(start))
		for atOnce, to := range map[int]*speed{1: &best, benchAtOnce: &alike} {
			took, err := b.bare(ctx, events, atOnce)
			if err != nil {
				return 0, 0, err
			}
			to.add(total, took)
		}
	}
	also["bare_client_of_the_same_width_per_second"] = alike.perSecond()
	return ours.perSecond(), best.perSecond(), nil
}

// bare posts an event so many times to each receiver, some of them at once.
func (b *webhookBench) bare(ctx context.Context, events, atOnce int) (time.Duration, error) {
	event := webhook.Deal(benchEvent())
	body, err := event.Body()
	if err != nil {
		return 0, err
	}
	b.expect(events * benchFan)
	b.mu.Lock()
	b.sent[event.ID] = time.Now()
	b.mu.Unlock()
	start := time.Now()
	var group errgroup.Group
	for to := range benchFan {
		var begun atomic.Int64
		for range atOnce {
			group.Go(func() error {
				for begun.Add(1) <= int64(events) {
					if err := b.post(ctx, to, event.ID, body); err != nil {
						return err
					}
				}
				return nil
			})
		}
	}
	err = group.Wait()
	return time.Since(start), err
}

// settle waits until the warehouse has all attempts that were made, so that it is at rest when the next thing is measured.
func (b *webhookBench) settle(ctx context.Context) error {
	attempts, err := b.js.Stream(ctx, stream.AttemptsStream)
	if err != nil {
		return err
	}
	for {
		info, err := attempts.Info(ctx)
		if err != nil || info.State.Msgs == 0 {
			return err
		}
		select {
		case <-time.After(time.Second): // longer than attempts gather before they are written
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// beside sends events to companies of which each has one endpoint that may ail: half as many as events while all are well, events
// while those ail, and the other half while all are well again. It compares how long the endpoints beside them wait.
func (b *webhookBench) beside(ctx context.Context, events, endpoints int, also map[string]float64) error {
	var companies []benchCompany
	for unit := range endpoints / benchPerUnit {
		company, err := b.company(ctx, benchPerUnit, benchAiling[unit%len(benchAiling)])
		if err != nil {
			return err
		}
		companies = append(companies, company)
	}
	also["ailing_endpoints"] = float64(len(companies))
	if err := b.hear(ctx, companies, 1); err != nil { // the first event opens an endpoint's secret
		return err
	}
	before, err := b.steadily(ctx, events/2, companies)
	if err != nil {
		return err
	}
	if err := b.fallIll(ctx, companies); err != nil {
		return err
	}
	beside, err := b.steadily(ctx, events, companies)
	if err != nil {
		return err
	}
	if err := b.getWell(ctx, companies); err != nil {
		return err
	}
	after, err := b.steadily(ctx, events/2, companies)
	if err != nil {
		return err
	}
	also["healthy_p99_ms"], also["healthy_p99_beside_ailing_ms"] = millisAt(0.99, append(before, after...)), millisAt(0.99, beside)
	also["ailing_times_healthy_p99"] = also["healthy_p99_beside_ailing_ms"] / also["healthy_p99_ms"]
	return nil
}

// steadily sends 25 events a second, to one company after the other and whatever has arrived by then, and gives how long
// each took to the endpoints that are always well.
func (b *webhookBench) steadily(ctx context.Context, events int, companies []benchCompany) ([]time.Duration, error) {
	tick := time.NewTicker(40 * time.Millisecond)
	defer tick.Stop()
	b.expect(events * (benchPerUnit - 1))
	for i := range events {
		<-tick.C
		if err := b.happen(ctx, 1, companies[i%len(companies)].ID); err != nil {
			return nil, err
		}
	}
	return b.await(ctx)
}

// hear sends so many events to each company at once, to one company after the other.
func (b *webhookBench) hear(ctx context.Context, companies []benchCompany, events int) error {
	for _, company := range companies {
		b.expect(events * (benchPerUnit - 1))
		if err := b.happen(ctx, events, company.ID); err != nil {
			return err
		}
		if _, err := b.await(ctx); err != nil {
			return err
		}
	}
	return nil
}

// fallIll lets the endpoints ail and waits until all that fail have failed so often that their gates are shut and their
// events wait.
func (b *webhookBench) fallIll(ctx context.Context, companies []benchCompany) error {
	b.ailing.Store(true)
	if err := b.hear(ctx, companies, benchFailures); err != nil {
		return err
	}
	return untilEach(ctx, companies, func(e webhooks.Endpoint) bool { return e.Behind > 0 || strings.HasSuffix(e.URL, "/slow") })
}

// getWell makes the endpoints well and waits until they have all that they missed.
func (b *webhookBench) getWell(ctx context.Context, companies []benchCompany) error {
	b.ailing.Store(false)
	for _, company := range companies {
		if _, err := company.api.do(ctx, call{method: http.MethodPost, path: company.first + "/enable"}); err != nil {
			return err
		}
	}
	return untilEach(ctx, companies, func(e webhooks.Endpoint) bool { return e.Behind == 0 })
}

// untilEach waits until the first endpoint of each company is so.
func untilEach(ctx context.Context, companies []benchCompany, so func(webhooks.Endpoint) bool) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for _, company := range companies {
		for {
			var e webhooks.Endpoint
			if _, err := company.api.do(ctx, call{method: http.MethodGet, path: company.first, into: &e}); err != nil {
				return fmt.Errorf("bench: wait for the endpoints that may ail: %w", err)
			}
			if so(e) {
				break
			}
			<-tick.C
		}
	}
	return nil
}
