package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/dealreg/dealreg/pkg/calendar"
	"github.com/dealreg/dealreg/pkg/httpapi"
	"github.com/dealreg/dealreg/pkg/roster"
	"github.com/dealreg/dealreg/pkg/webhook/webhooktest"
)

const browserFolder = "../portal/browser"

// browser is what every scenario in a browser needs.
type browser struct {
	URL         string `json:"url"` // of the system
	Chromium    string `json:"chromium"`
	Screenshots string `json:"screenshots,omitempty"`
}

// browserWorld is what the scenarios in the demo know of the system.
type browserWorld struct {
	browser

	Year    int               `json:"year"`    // the current one of the open association
	Open    string            `json:"open"`    // an association whose board sees everything
	Guarded string            `json:"guarded"` // one whose board sees releases
	Company string            `json:"company"` // that of the keys company and admin
	Partner string            `json:"partner"` // that of the key partner
	Keys    map[string]string `json:"keys"`    // by who holds them
}

// apart are the scenarios that no other one disturbs and that disturb none: they run beside the others, of which each finds
// what those before it did.
var apart = []string{"board.mjs", "guarded.mjs", "setup.mjs", "signin.mjs"}

func TestBrowser_PagesWorkAndReachNothingElse(t *testing.T) {
	t.Parallel()
	scenarios, err := filepath.Glob(filepath.Join(browserFolder, "scenarios", "*.mjs"))
	if err != nil {
		t.Fatal(err)
	}
	p := up(t, t.TempDir(), "--demo", "--webhook-allow", "127.0.0.0/8", "--webhook-allow-http")
	operator := p.waitFor(operatorLine)
	p.waitFor(`(curl -H)`)
	world := newBrowserWorld(t, newClient(p.url, operator))
	world.browser = newBrowser(t, p.url)
	lanes := map[bool][]string{}
	for _, scenario := range scenarios {
		alone := slices.Contains(apart, filepath.Base(scenario))
		lanes[alone] = append(lanes[alone], scenario)
	}
	var group sync.WaitGroup
	for _, lane := range lanes {
		group.Go(func() { runBrowser(t, world, lane...) })
	}
	group.Wait()
	p.stop()
}

// printWorld names the pages that are printed.
type printWorld struct {
	browser

	Pages []printedPage `json:"pages"`
}

// printedPage is a page and the key that opens it.
type printedPage struct {
	Name    string `json:"name"`
	Key     string `json:"key"`
	Address string `json:"address"`
}

func TestBrowser_PrintsTheFullestYearOnTwoSheets(t *testing.T) {
	t.Parallel()
	h := newHistory(t)
	world := printWorld{browser: newBrowser(t, h.api.url)}
	for _, a := range []historyOf{h.open, h.guarded} {
		world.Pages = append(world.Pages, printedPage{
			Name: "fullest-" + string(a.disclosure), Key: h.keys[a.id], Address: fmt.Sprintf("/a/%s/%d/r2", a.id, historyYear),
		})
	}
	runBrowser(t, world, filepath.Join(browserFolder, "print.mjs"))
}

// newBrowser gets everything for scenarios against the system at the url.
func newBrowser(t *testing.T, url string) browser {
	t.Helper()
	webhooktest.NodeModules(t, browserFolder)
	b := browser{URL: url, Chromium: chromium(t)}
	if folder := os.Getenv("DEALREG_SCREENSHOTS"); folder != "" {
		absolute, err := filepath.Abs(folder)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.MkdirAll(absolute, 0o700); err != nil {
			t.Fatal(err)
		}
		b.Screenshots = absolute
	}
	return b
}

// runBrowser runs the scenarios in turn in the world, which embeds a browser, and fails the test when one fails. It may be
// called in any goroutine.
func runBrowser(t *testing.T, world any, scenarios ...string) {
	t.Helper()
	text, err := json.Marshal(world)
	if err != nil {
		t.Error(err)
		return
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Minute) // a busy machine is slow, not broken
	defer cancel()
	node := exec.CommandContext(ctx, "node", append([]string{filepath.Join(browserFolder, "run.mjs")}, scenarios...)...)
	node.Stdin = bytes.NewReader(text)
	out, err := node.CombinedOutput()
	t.Logf("%s", out)
	if err != nil {
		t.Errorf("%v", err)
	}
}

// newBrowserWorld makes the keys of the people in the scenarios, in the demo.
func newBrowserWorld(t *testing.T, api *client) browserWorld {
	t.Helper()
	w := browserWorld{Keys: map[string]string{"operator": api.key}}
	var associations httpapi.Page[roster.Association]
	var companies, partners httpapi.Page[roster.Company]
	for path, into := range map[string]any{
		"/v1/associations": &associations, "/v1/companies?q=Alder": &companies, "/v1/companies?q=brueckenwerk.example": &partners,
	} {
		if _, err := api.do(t.Context(), call{method: "GET", path: path, into: into}); err != nil {
			t.Fatal(err)
		}
	}
	for _, a := range associations.Items {
		if a.Disclosure == roster.DisclosureOpen {
			w.Open, w.Year = a.ID.String(), calendar.DateOf(time.Now(), a.Location()).Time().Year()
		} else {
			w.Guarded = a.ID.String()
		}
	}
	w.Company, w.Partner = companies.Items[0].ID.String(), partners.Items[0].ID.String()
	demo := demoWorld{api: api}
	for name, scope := range map[string]map[string]any{
		"board":     {"role": roster.RoleBoard, "association_id": w.Open},
		"leaver":    {"role": roster.RoleBoard, "association_id": w.Open},
		"registrar": {"role": roster.RoleRegistrar, "association_id": w.Open},
		"guarded":   {"role": roster.RoleBoard, "association_id": w.Guarded},
		"company":   {"role": roster.RoleMember, "company_id": companies.Items[0].ID},
		"partner":   {"role": roster.RoleMember, "company_id": partners.Items[0].ID},
		"admin":     {"role": roster.RoleCompanyAdmin, "company_id": companies.Items[0].ID},
	} {
		key, err := demo.key(t.Context(), scope)
		if err != nil {
			t.Fatal(err)
		}
		w.Keys[name] = key
	}
	return w
}

// chromium finds Debian's browser, and installs it where root may.
func chromium(t *testing.T) string {
	t.Helper()
	path, err := exec.LookPath("chromium")
	if err == nil {
		return path
	}
	if os.Geteuid() != 0 {
		t.Fatal("the pages are tested in chromium: install it, on Debian with apt-get install chromium")
	}
	for _, args := range [][]string{{"update"}, {"install", "-y", "--no-install-recommends", "chromium"}} {
		if out, err := exec.CommandContext(t.Context(), "apt-get", args...).CombinedOutput(); err != nil {
			t.Fatalf("the pages are tested in chromium, which apt-get %s did not install: %v\n%s", args[0], err, out)
		}
	}
	path, err = exec.LookPath("chromium")
	if err != nil {
		t.Fatal(err)
	}
	return path
}
