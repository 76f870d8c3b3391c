package main

import (
	"context"
	"html"
	"io"
	"maps"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/dealreg/dealreg/pkg/roster"
)

// portalWorld is a system with two associations. Alpha and Birch are members of the first one and have a deal; Cedar is
// one of the second.
type portalWorld struct {
	demoWorld
	t                   *testing.T
	alpha, birch, cedar string // companies
	keys                map[string]string
	deal                string
}

// What nobody may read who is not in the deal.
const (
	subRosaTitle    = "Sub rosa roll-out"
	subRosaCustomer = "Quiet Customer AG"
)

// emptyWorld is a system of its own with nothing in it but its operator.
func emptyWorld(t *testing.T) *portalWorld {
	t.Helper()
	p := up(t, t.TempDir())
	t.Cleanup(p.stop)
	operator := p.waitFor(operatorLine)
	ready(t, p.url)
	return &portalWorld{t: t, demoWorld: demoWorld{api: newClient(p.url, operator)}, keys: map[string]string{}}
}

func newPortalWorld(t *testing.T) *portalWorld {
	t.Helper()
	w := emptyWorld(t)
	for _, name := range []string{"First", "Second"} {
		id := w.make("/v1/associations", map[string]any{"name": name, "time_zone": "UTC", "year_starts_in": 1, "reporting_currency": "EUR", "disclosure": "open"})
		chapter := w.make("/v1/associations/"+id+"/chapters", map[string]any{"name": name, "country": "DE"})
		w.associations = append(w.associations, id)
		w.keys["board of "+name] = w.secret(map[string]any{"role": roster.RoleBoard, "association_id": id})
		w.keys["registrar of "+name] = w.secret(map[string]any{"role": roster.RoleRegistrar, "association_id": id})
		companies := map[string]*string{"Alpha GmbH": &w.alpha, "Birch BV": &w.birch}
		if name == "Second" {
			companies = map[string]*string{"Cedar SA": &w.cedar}
		}
		for company, into := range companies {
			*into = w.make("/v1/companies", map[string]any{"name": company, "country": "DE"})
			w.keys[company] = w.secret(map[string]any{"role": roster.RoleCompanyAdmin, "company_id": *into})
			_, err := w.api.do(t.Context(), call{
				method: http.MethodPut, path: "/v1/associations/" + id + "/members/" + *into,
				body: map[string]any{"chapter_id": chapter, "from": "2020-01-01", "ethics_accepted_on": "2020-01-01"},
			})
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	return w
}

func (w *portalWorld) make(path string, body map[string]any) string {
	w.t.Helper()
	id, err := w.create(w.t.Context(), path, body)
	if err != nil {
		w.t.Fatal(err)
	}
	return id
}

func (w *portalWorld) secret(body map[string]any) string {
	w.t.Helper()
	secret, err := w.key(w.t.Context(), body)
	if err != nil {
		w.t.Fatal(err)
	}
	return secret
}

// visitor is a browser without scripts.
type visitor struct {
	t    *testing.T
	url  string
	http *http.Client
}

// shown is a page, after the redirects that led to it.
type shown struct {
	status int
	path   string
	text   string
}

// visitor opens a browser, signed in with the key of that name; of nobody when it is empty.
func (w *portalWorld) visitor(name string) *visitor {
	w.t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		w.t.Fatal(err)
	}
	v := &visitor{t: w.t, url: w.api.url, http: &http.Client{Jar: jar}}
	if name != "" {
		v.signIn(w.keys[name])
	}
	return v
}

func (v *visitor) signIn(key string) shown {
	v.t.Helper()
	page := v.post("/sign-in", url.Values{"key": {key}, "next": {"/"}})
	if page.status != http.StatusOK || strings.HasPrefix(page.path, "/sign-in") {
		v.t.Fatalf("not signed in: %+v", page)
	}
	return page
}

func (v *visitor) get(path string) shown { return v.do(http.MethodGet, path, nil) }

func (v *visitor) post(path string, form url.Values) shown { return v.do(http.MethodPost, path, form) }

func (v *visitor) do(method, path string, form url.Values) shown {
	v.t.Helper()
	r, err := http.NewRequestWithContext(context.Background(), method, v.url+path, strings.NewReader(form.Encode()))
	if err != nil {
		v.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	response, err := v.http.Do(r)
	if err != nil {
		v.t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		v.t.Fatal(err)
	}
	return shown{response.StatusCode, response.Request.URL.RequestURI(), string(text)}
}

var (
	formFields  = regexp.MustCompile(`<(?:input|textarea)[^>]* name="([^"]+)"[^>]*?(?: value="([^"]*)")[^>]*>`)
	formChoices = regexp.MustCompile(`type="radio" name="([^"]+)" value="([^"]+)"`)
)

// form is what the page's forms hold, without the choices that nobody made.
func (p shown) form() url.Values {
	fields := url.Values{}
	for _, m := range formFields.FindAllStringSubmatch(p.text, -1) {
		if !strings.Contains(m[0], `type="radio"`) {
			fields.Set(m[1], html.UnescapeString(m[2]))
		}
	}
	return fields
}

// with is the form filled in.
func with(form url.Values, pairs ...string) url.Values {
	filled := maps.Clone(form)
	if filled == nil {
		filled = url.Values{}
	}
	for i := 0; i+1 < len(pairs); i += 2 {
		filled.Set(pairs[i], pairs[i+1])
	}
	return filled
}
