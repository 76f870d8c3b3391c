package portal_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// managementPaths are all pages of management: each answers GET and POST.
func managementPaths() []string {
	const company = "/c/0198c2f4-0000-7cc1-9d0a-4f1e2a3b4c5d"
	paths := []string{"/webhooks", "/webhooks/0198c2f4-0000-7cc1-9d0a-4f1e2a3b4c5e", "/me", "/setup/association", "/setup/rates", "/deals/0198c2f4-0000-7cc1-9d0a-4f1e2a3b4c5d/registrar"}
	for _, page := range []string{"/people", "/keys", "/waivers"} {
		paths = append(paths, company+page)
	}
	for _, page := range []string{"/people", "/keys", "/publish", "/setup", "/setup/chapters", "/setup/members", "/setup/members/0198c2f4-0000-7cc1-9d0a-4f1e2a3b4c5d"} {
		paths = append(paths, "/a/"+theAssociation+page)
	}
	return paths
}

func TestManagement_IsNotThereForOthers(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	for _, path := range managementPaths() {
		if response, _ := s.do(http.MethodGet, path, nil); response.StatusCode != http.StatusSeeOther || !strings.HasPrefix(response.Header.Get("Location"), "/sign-in") {
			t.Errorf("GET %s by a stranger: %d", path, response.StatusCode)
		}
		if response, _ := s.do(http.MethodPost, path, url.Values{"act": {"create"}}); response.StatusCode != http.StatusSeeOther {
			t.Errorf("POST %s by a stranger: %d", path, response.StatusCode)
		}
	}
	s.signIn() // a board
	before := len(s.backend.asked)
	for _, path := range managementPaths() {
		for _, method := range []string{http.MethodGet, http.MethodPost} {
			response, text := s.do(method, path, url.Values{"act": {"create"}})
			if response.StatusCode != http.StatusNotFound || !strings.Contains(text, "There is nothing here") {
				t.Errorf("%s %s by a board: %d", method, path, response.StatusCode)
			}
		}
	}
	for _, asked := range s.backend.asked[before:] {
		if !strings.HasPrefix(asked, "GET ") {
			t.Errorf("the API was asked to %s", asked)
		}
	}
}

func TestManagement_TakesNothingFromOtherSites(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.signIn()
	for _, path := range managementPaths() {
		response, _ := s.do(http.MethodPost, path, url.Values{"act": {"create"}}, "Sec-Fetch-Site", "cross-site", "Origin", "https://evil.example")
		if response.StatusCode != http.StatusForbidden {
			t.Errorf("%s: %d", path, response.StatusCode)
		}
	}
}
