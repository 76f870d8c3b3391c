package main

import (
	"fmt"
	"html"
	"net/http"
	"net/http/cookiejar"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/dealreg/dealreg/pkg/roster"
	"github.com/dealreg/dealreg/services/portal/api"
)

var (
	tableRow = regexp.MustCompile(`(?s)<tr[^>]*>(.*?)</tr>`)
	anyTag   = regexp.MustCompile(`<[^>]*>`)
	spaces   = regexp.MustCompile(`\s+`)
)

// rows gives the text of each row of the page's tables.
func (p shown) rows() (rows []string) {
	for _, row := range tableRow.FindAllStringSubmatch(p.text, -1) {
		text := html.UnescapeString(anyTag.ReplaceAllString(row[1], " "))
		rows = append(rows, " "+strings.TrimSpace(spaces.ReplaceAllString(text, " "))+" ")
	}
	return rows
}

// inGroups is a decimal as English pages show it: in groups of three digits.
func inGroups(decimal string) string {
	whole, rest, _ := strings.Cut(decimal, ".")
	for i := len(whole) - 3; i > 0; i -= 3 {
		whole = whole[:i] + "," + whole[i:]
	}
	if rest != "" {
		whole += "." + rest
	}
	return whole
}

func TestPages_ShowTheFiguresOfTheRelease(t *testing.T) {
	t.Parallel()
	p := up(t, t.TempDir(), "--demo")
	t.Cleanup(p.stop)
	key := p.waitFor(operatorLine)
	p.waitFor(`(drl_\S+)`) // the demo's last lines
	operator := newClient(p.url, key)
	var associations api.Page[api.Association]
	if _, err := operator.do(t.Context(), call{method: http.MethodGet, path: "/v1/associations", into: &associations}); err != nil {
		t.Fatal(err)
	}
	year := strconv.Itoa(time.Now().UTC().Year() - 1)
	compared, hidden := 0, 0
	for _, a := range associations.Items {
		of := "/v1/associations/" + a.ID.String()
		_, err := operator.do(t.Context(), call{
			method: http.MethodPost, path: of + "/statements", body: map[string]any{"year": time.Now().UTC().Year() - 1, "reason": "the figures of the pages"},
			header: map[string]string{"Idempotency-Key": "figures"},
		})
		if err != nil {
			t.Fatal(err)
		}
		var issued struct {
			Secret string `json:"secret"`
		}
		_, err = operator.do(t.Context(), call{
			method: http.MethodPost, path: "/v1/keys", body: map[string]any{"role": roster.RoleBoard, "association_id": a.ID}, into: &issued,
		})
		if err != nil {
			t.Fatal(err)
		}
		var st api.Statement
		if _, err := newClient(p.url, issued.Secret).do(t.Context(), call{method: http.MethodGet, path: of + "/statements/" + year + "/latest", into: &st}); err != nil {
			t.Fatal(err)
		}
		jar, err := cookiejar.New(nil)
		if err != nil {
			t.Fatal(err)
		}
		board := &visitor{t: t, url: p.url, http: &http.Client{Jar: jar}}
		board.signIn(issued.Secret)
		address := fmt.Sprintf("/a/%s/%s/r%d", a.ID, year, st.Release)
		holds := func(view string, cell api.Cell, names ...string) {
			t.Helper()
			figures := append(names, inGroups(cell.Amount)+" ", fmt.Sprintf(" %d ", cell.Deals))
			if cell.Hidden {
				figures = append(names, "hidden")
				hidden++
			}
			for _, row := range board.get(address + view).rows() {
				if !slices.ContainsFunc(figures, func(text string) bool { return !strings.Contains(row, text) }) {
					compared++
					return
				}
			}
			t.Errorf("%s %s: no row has %q", a.Name, view, figures)
		}
		if text := board.get(address).text; !strings.Contains(text, inGroups(st.Total.Amount)) {
			t.Errorf("%s: the year's page lacks the total %s", a.Name, st.Total.Amount)
		}
		for _, c := range st.Chapters {
			holds("/chapters", c.Cell, c.Chapter.Name)
		}
		for i, pair := range st.Pairs {
			if i < 100 { // of the table's first page
				holds("/pairs?view=table", pair.Cell, pair.Companies[0].Name, pair.Companies[1].Name)
			}
		}
		for _, m := range st.Months {
			month, err := time.Parse("2006-01", m.Month)
			if err != nil {
				t.Fatal(err)
			}
			holds("", m.Cell, month.Format("January"))
		}
	}
	if compared < 20 {
		t.Error("hardly anything was compared")
	}
	t.Logf("compared %d figures, %d of them hidden", compared, hidden)
}
