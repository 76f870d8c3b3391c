package httpapi

import (
	"encoding/json"
	"net/http"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.uber.org/zap"

	"github.com/dealreg/dealreg/pkg/roster"
)

// MaxBodyBytes bounds a request's body where its operation does not say otherwise (huma.Operation.MaxBodyBytes).
const MaxBodyBytes = 1 << 20

// Config is what a Server needs. The zero Config serves an API that no key opens.
type Config struct {
	Title, Version string                                       // of the API document; "dealreg" and "dev" when empty
	Log            *zap.Logger                                  // nil logs nothing
	Health         Readiness                                    // nil is always ready
	Metrics        *prometheus.Registry                         // nil makes one with the metrics of Go and of the process
	Authenticate   func(token string) (roster.Principal, error) // roster.ErrNotLoaded answers 503, any other error 401
	Limit          func(roster.Principal) Limit                 // of one key; nil is DefaultLimit
	Refusals       Limit                                        // of failed authentications from one address; the zero Limit is 30 at once, one a second
	Now            func() time.Time                             // for the limits and the time that answers take; nil is the clock
}

// Readiness tells which parts of the process are not ready, and why. *lifecycle.Health is one.
type Readiness interface{ Failing() map[string]string }

// Server is the one listener's handler: the API, the pages that others add to Mux, health and metrics.
type Server struct {
	API     huma.API
	Mux     *http.ServeMux // for handlers that are no API operations; their patterns must name the method
	Metrics *prometheus.Registry

	cfg     Config
	latency *prometheus.HistogramVec
	made    func() ([]byte, error) // the OpenAPI document

	keys     keyBuckets
	refusals networkBuckets
}

// Public in huma.Operation.Security opens an operation to everyone.
var Public = []map[string][]string{}

// ForGuests in huma.Operation.Metadata opens an operation to guests. From every other one, and from each that comes later, a
// guest gets 404.
var ForGuests = map[string]any{"guests": true}

func forGuests(op *huma.Operation) bool { return op.Metadata["guests"] == true }

// New makes a server with /openapi.json, /docs, /livez, /readyz and /metrics. Register operations on API before serving.
func New(cfg Config) *Server {
	adoptHuma()
	if cfg.Title == "" {
		cfg.Title = "dealreg"
	}
	if cfg.Version == "" {
		cfg.Version = "dev"
	}
	if cfg.Log == nil {
		cfg.Log = zap.NewNop()
	}
	if cfg.Limit == nil {
		cfg.Limit = DefaultLimit
	}
	if cfg.Refusals == (Limit{}) {
		cfg.Refusals = defaultRefusals
	}
	if cfg.Now == nil {
		cfg.Now = time.Now //nolint:forbidigo // the clock of the running service
	}
	if cfg.Metrics == nil {
		cfg.Metrics = prometheus.NewRegistry()
		cfg.Metrics.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	}
	s := &Server{Mux: http.NewServeMux(), Metrics: cfg.Metrics, cfg: cfg}
	s.latency = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "dealreg_http_request_seconds",
		Help:    "Time to answer a request, by route, method and status.",
		Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
	}, []string{"route", "method", "status"})
	cfg.Metrics.MustRegister(s.latency)

	s.API = humago.New(s.Mux, s.apiConfig())
	s.API.UseMiddleware(s.authenticate, checkQuery, checkContentType)
	s.made = sync.OnceValues(func() ([]byte, error) {
		openAnswers(s.API.OpenAPI())
		return json.Marshal(s.API.OpenAPI())
	})
	s.Mux.HandleFunc("GET /openapi.json", s.document)
	s.servePage()
	s.Mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusOK, map[string]string{"status": "alive"})
	})
	s.Mux.HandleFunc("GET /readyz", s.ready)
	s.Mux.Handle("GET /metrics", promhttp.HandlerFor(cfg.Metrics, promhttp.HandlerOpts{}))
	return s
}

func (s *Server) apiConfig() huma.Config {
	c := huma.DefaultConfig(s.cfg.Title, s.cfg.Version)
	c.OpenAPIPath, c.DocsPath, c.SchemasPath, c.CreateHooks = "", "", "", nil
	c.Formats = map[string]huma.Format{"application/json": strictJSON, "json": strictJSON}
	c.RejectUnknownQueryParameters = true
	describe(&c)
	c.Transformers = []huma.Transformer{noteProblem}
	c.OnAddOperation = append(c.OnAddOperation, complete)
	c.Components.Schemas = huma.NewMapRegistry("#/components/schemas/", schemaName)
	describeOwnTypes(c.Components.Schemas)
	return c
}

// Handler answers every request: recovered, logged, measured, and with a problem document where nothing matches.
func (s *Server) Handler() http.Handler { return http.HandlerFunc(s.serve) }

// Document gives the OpenAPI 3.1 document of the operations. It is made when it is first asked for, so operations must
// be registered before.
func (s *Server) Document() ([]byte, error) { return s.made() }

func (s *Server) document(w http.ResponseWriter, _ *http.Request) {
	text, err := s.Document()
	if err != nil {
		panic(err)
	}
	w.Header().Set("Content-Type", jsonType)
	_, _ = w.Write(text) // the client may be gone
}

func (s *Server) ready(w http.ResponseWriter, _ *http.Request) {
	var failing map[string]string
	if s.cfg.Health != nil {
		failing = s.cfg.Health.Failing()
	}
	if len(failing) > 0 {
		writeJSON(w, http.StatusServiceUnavailable, map[string]any{"status": "waiting", "failing": failing})
		return
	}
	writeJSON(w, http.StatusOK, map[string]string{"status": "ready"})
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // the client may be gone
}
