package webhooks

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/dealreg/dealreg/pkg/deal"
	"github.com/dealreg/dealreg/pkg/roster"
	"github.com/dealreg/dealreg/pkg/webhook"
)

// endpointsBucket holds the endpoints by id.
const endpointsBucket = "webhook_endpoints"

// Limits of an endpoint.
const (
	maxDescription = 500
	maxTypes       = 50
	maxHeaders     = 20
	maxHeaderValue = 1000
	maxRate        = 1000
	standardRate   = 50
	maxEndpoints   = 100 // of one owner
	rotationLasts  = 24 * time.Hour
	maxSecrets     = 4 // that sign at once
)

// endpoint is a receiver of webhooks, as the bucket keeps it.
type endpoint struct {
	ID          deal.ID `json:"id"`
	Company     deal.ID `json:"company_id,omitzero"`     // the owner: a company
	Association deal.ID `json:"association_id,omitzero"` // or an association
	// Deals tells whether an association's endpoint hears of its deals. One that the board made hears of statements only.
	Deals bool `json:"deals,omitempty"`

	URL         string            `json:"url"`
	EventTypes  []string          `json:"event_types"`
	Description string            `json:"description,omitempty"`
	Rate        float64           `json:"rate_per_second"`
	Headers     map[string]string `json:"sealed_headers,omitempty"` // by name, the values sealed
	Ordered     bool              `json:"ordered,omitempty"`
	Signing     signing           `json:"signing"`
	Secrets     []sealedSecret    `json:"secrets"` // the newest first
	CreatedAt   time.Time         `json:"created_at"`
	CreatedBy   deal.ID           `json:"created_by"` // the key

	Enabled       bool       `json:"enabled"`
	DisabledAt    *time.Time `json:"disabled_at,omitempty"` // the last time
	DisabledWords string     `json:"disabled_reason,omitempty"`
	// Life rises when the owner says that the receiver is well: enables the endpoint or gives it another URL. What was learned
	// of it in an earlier life does not count.
	Life uint64 `json:"life,omitempty"`
}

// signing is how an endpoint's webhooks are signed. It outlives secrets that do not open any more.
type signing string

const (
	signShared signing = "shared" // v1: HMAC-SHA256
	signPair   signing = "pair"   // v1a: ed25519
)

// secret makes a new one.
func (s signing) secret() webhook.Secret {
	if s == signPair {
		return webhook.NewPrivateKey()
	}
	return webhook.NewSecret()
}

type sealedSecret struct {
	Sealed string     `json:"sealed"`
	Until  *time.Time `json:"until,omitempty"` // nil: as long as it is the newest
}

// isManagedBy tells whether the principal may see and change the endpoint.
func (e endpoint) isManagedBy(p roster.Principal) bool {
	switch {
	case p.Role == roster.RoleOperator:
		return true
	case !e.Company.IsZero():
		return p.Role == roster.RoleCompanyAdmin && p.ActsFor(e.Company)
	case e.Deals:
		return p.IsRegistrarOf(e.Association)
	}
	return p.IsBoardOf(e.Association) || p.IsRegistrarOf(e.Association)
}

// ownedAlike tells whether both belong to the same owner and may hear of the same.
func (e endpoint) ownedAlike(other endpoint) bool {
	return e.Company == other.Company && e.Association == other.Association && e.Deals == other.Deals
}

// byItsOwner is why an endpoint is disabled of which nobody needs to be told.
const byItsOwner = "by its owner"

// takes tells whether an event that came into its stream at the time is sent without being asked for: what came before
// the endpoint was disabled is, when it is enabled again.
func (e endpoint) takes(at time.Time) bool {
	return e.Enabled || e.DisabledAt != nil && at.Before(*e.DisabledAt)
}

// hears tells whether the notice is meant for the endpoint, and among the types that it asked for.
func (e endpoint) hears(n notice) bool {
	if !n.matches(e.EventTypes) {
		return false
	}
	if !e.Company.IsZero() {
		return slices.Contains(n.companies, e.Company)
	}
	return slices.Contains(n.associations, e.Association) && (e.Deals || !n.ofDeals)
}

var headerName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9-]{0,63}$`)

// reservedHeaders are those that the delivery itself sets or that would change what it is.
var reservedHeaders = []string{
	"accept-encoding", "connection", "content-encoding", "content-length", "content-type", "expect", "host", "keep-alive",
	"proxy-authorization", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade", "user-agent",
	"ce-id", "idempotency-key", "traceparent", "tracestate",
}

// validate gives every fault of what the owner wrote.
func (e endpoint) validate(g webhook.Guard) deal.Invalid {
	var faults deal.Invalid
	if _, err := g.CheckURL(e.URL); err != nil {
		faults.Add("/url", err.Error())
	}
	switch {
	case len(e.EventTypes) == 0:
		faults.Add("/event_types", `none: write ["*"] for all of them, or those that GET /v1/event-types lists`)
	case len(e.EventTypes) > maxTypes:
		faults.Add("/event_types", fmt.Sprintf("more than %d: write a group such as dealreg.deal.* in their place", maxTypes))
	default:
		if err := webhook.CheckPatterns(e.EventTypes); err != nil {
			faults.Add("/event_types", err.Error())
		}
	}
	if utf8.RuneCountInString(e.Description) > maxDescription {
		faults.Add("/description", fmt.Sprintf("longer than %d characters: write a shorter one", maxDescription))
	}
	if !(e.Rate >= 0.01 && e.Rate <= maxRate) {
		faults.Add("/rate_per_second", fmt.Sprintf("not from 0.01 to %d", maxRate))
	}
	if len(e.Headers) > maxHeaders {
		faults.Add("/headers", fmt.Sprintf("more than %d: leave some out", maxHeaders))
	}
	for _, name := range slices.Sorted(maps.Keys(e.Headers)) {
		pointer, lower := "/headers/"+escapePointer.Replace(name), strings.ToLower(name)
		switch {
		case !headerName.MatchString(name):
			faults.Add(pointer, "no name of a header: write letters, digits and hyphens")
		case slices.Contains(reservedHeaders, lower) || strings.HasPrefix(lower, "webhook-"):
			faults.Add(pointer, "set by the delivery itself: choose another name")
		}
	}
	return faults
}

// setHeaders seals the values and sets them; nil removes a header. It gives every fault of the values, and leaves the map
// as it was for those who hold it.
func (e endpoint) setHeaders(key webhook.SealingKey, values map[string]*string) (endpoint, error) {
	var faults deal.Invalid
	headers := maps.Clone(e.Headers)
	if headers == nil {
		headers = map[string]string{}
	}
	for name, value := range values {
		maps.DeleteFunc(headers, func(other, _ string) bool { return strings.EqualFold(name, other) })
		if value == nil {
			continue
		}
		if len(*value) > maxHeaderValue || strings.ContainsFunc(*value, func(r rune) bool { return r < ' ' || r > '~' }) {
			faults.Add("/headers/"+escapePointer.Replace(name), fmt.Sprintf("no value of a header: write at most %d printable ASCII characters", maxHeaderValue))
			continue
		}
		sealed, err := webhook.SealText(key, e.ID, *value)
		if err != nil {
			return endpoint{}, err
		}
		headers[name] = sealed
	}
	e.Headers = headers
	return e, faults.Err()
}

// openHeaders gives the endpoint's own headers. The error is webhook.ErrSealed.
func (e endpoint) openHeaders(key webhook.SealingKey) (http.Header, error) {
	headers := http.Header{}
	for name, sealed := range e.Headers {
		value, err := webhook.OpenText(key, e.ID, sealed)
		if err != nil {
			return nil, err
		}
		headers.Set(name, value)
	}
	return headers, nil
}

// errSecrets says that as many secrets sign as may, and each has been promised its day.
var errSecrets = errors.New("too many secrets sign at once")

// withSecret puts a new secret first. Those before it sign until a day later, so that the receiver can change over; those
// that do not open any more are left out. The error is errSecrets, or one of sealing.
func (e endpoint) withSecret(key webhook.SealingKey, s webhook.Secret, at time.Time) (endpoint, error) {
	sealed, err := webhook.Seal(key, e.ID, s)
	if err != nil {
		return endpoint{}, err
	}
	until := at.Add(rotationLasts).UTC()
	secrets := []sealedSecret{{Sealed: sealed}}
	for _, old := range e.Secrets {
		if old.Until == nil {
			old.Until = &until
		}
		if _, err := webhook.Open(key, e.ID, old.Sealed); err == nil && at.Before(*old.Until) {
			secrets = append(secrets, old)
		}
	}
	if len(secrets) > maxSecrets {
		return endpoint{}, errSecrets
	}
	e.Secrets = secrets
	return e, nil
}

// open gives the secrets that sign at the time, the newest first. The error is webhook.ErrSealed.
func (e endpoint) open(key webhook.SealingKey, at time.Time) ([]webhook.Secret, error) {
	var secrets []webhook.Secret
	for _, s := range e.Secrets {
		if s.Until != nil && !at.Before(*s.Until) {
			continue
		}
		secret, err := webhook.Open(key, e.ID, s.Sealed)
		if err != nil {
			return nil, err
		}
		secrets = append(secrets, secret)
	}
	return secrets, nil
}

var escapePointer = strings.NewReplacer("~", "~0", "/", "~1")
