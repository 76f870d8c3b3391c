package portal

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"golang.org/x/time/rate"

	"github.com/dealreg/dealreg/pkg/deal"
	"github.com/dealreg/dealreg/services/portal/api"
)

// sessionKept is where a session keeps a form whose sender was not signed in any more.
const sessionKept = "kept"

const mostKept = 12 << 10 // bytes of a form that is kept; the store takes 16 KB

// newKeeping bounds how many forms of strangers are kept: 86 MB in the two hours for which they are.
func newKeeping() *rate.Limiter { return rate.NewLimiter(rate.Every(time.Second), 50) }

// keptForm is a form that came without a session.
type keptForm struct {
	Address string     `json:"address"` // of the page that shows it again
	Posted  url.Values `json:"posted"`
}

// keep holds what was typed until its sender has signed in again.
func (v *visit) keep() {
	if v.r.Method != http.MethodPost || !strings.HasPrefix(v.r.URL.Path, "/deals/") || v.r.ParseForm() != nil {
		return
	}
	text, err := json.Marshal(keptForm{Address: v.r.URL.RequestURI(), Posted: v.r.PostForm})
	if err != nil || len(text) > mostKept || !v.s.keeping.Allow() {
		return
	}
	v.s.sessions.Put(v.ctx, sessionKept, string(text))
}

// goOn is the address of the form that waits for who signed in, else the one that was meant.
func goOn(kept, next string) string {
	var f keptForm
	if json.Unmarshal([]byte(kept), &f) != nil {
		return next
	}
	return local(f.Address)
}

// kept gives the form that was typed at this address before the session ended, once, and to the company whose person
// typed it only.
func (v *visit) kept() (url.Values, bool) {
	var f keptForm
	text := v.s.sessions.GetString(v.ctx, sessionKept)
	if text == "" || json.Unmarshal([]byte(text), &f) != nil || f.Address != v.r.URL.RequestURI() {
		return nil, false
	}
	v.s.sessions.Remove(v.ctx, sessionKept)
	return f.Posted, f.Posted.Get("as") == v.as()
}

// as names for whom the person works.
func (v *visit) as() string {
	if v.person.CompanyID != (deal.ID{}) {
		return v.person.CompanyID.String()
	}
	return v.person.Role + v.person.AssociationID.String()
}

// asProblem is the problem that the API answered.
func asProblem(err error) (*api.Error, bool) { return errors.AsType[*api.Error](err) }

// told puts what the API said against a form into the form, to be shown with what was typed. It is false for what is
// no matter of the form.
func (v *visit) told(err error, f *dealForm, forbidden string) bool {
	problem, answered := asProblem(err)
	if !answered {
		return false
	}
	switch problem.Status {
	case http.StatusUnprocessableEntity, http.StatusBadRequest:
		f.blame(problem.Faults, v.refusal)
		if f.sound() && len(f.Notices) == 0 {
			f.Notices = append(f.Notices, v.refusal(problem.Detail))
		}
	case http.StatusForbidden:
		said := v.refusal(problem.Detail)
		if !said.known {
			said = reason{Text: v.speech.text(forbidden)}
		}
		f.Notices = append(f.Notices, said)
	case http.StatusConflict:
		f.notice("deals.notice.conflict")
	case http.StatusPreconditionFailed:
		f.notice("deals.notice.changed")
	case http.StatusServiceUnavailable, http.StatusTooManyRequests:
		f.notice("deals.notice.again")
	default:
		return false
	}
	return true
}
