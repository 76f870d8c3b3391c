package main

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dealreg/dealreg/pkg/roster"
)

// tables runs `dealreg import` on a running system, with its operator's key.
type tables struct {
	t           *testing.T
	api         *client
	association string
}

func newTables(t *testing.T) (*process, tables) {
	t.Helper()
	p := up(t, t.TempDir())
	key := p.waitFor(operatorLine)
	api := newClient(p.waitFor(`is up at (http://\S+)`), key)
	return p, tables{t, api, newAssociation(t, api)}
}

// runs imports the file, wants the line of counts, and gives the rejects.
func (w tables) runs(counts, what, file string, more ...string) string {
	w.t.Helper()
	rejects := filepath.Join(w.t.TempDir(), "rejects.csv")
	args := append([]string{"import", what, file, "--rejects", rejects, "--url", w.api.url, "--key", w.api.key}, more...)
	if what == "members" {
		args = append(args, "--association", w.association)
	}
	out, code := result(w.t, args...)
	if code != 0 || !strings.Contains(out, counts) {
		w.t.Fatalf("exit %d, want %q: %s", code, counts, out)
	}
	text, err := os.ReadFile(rejects)
	if err != nil && !os.IsNotExist(err) {
		w.t.Fatal(err)
	}
	return string(text)
}

func everything[T any](w tables, path string) []T {
	w.t.Helper()
	items, err := allOf[T](w.t.Context(), w.api, path)
	if err != nil {
		w.t.Fatal(err)
	}
	return items
}

func (w tables) company(name string) roster.Company {
	w.t.Helper()
	for _, c := range everything[roster.Company](w, "/v1/companies") {
		if c.Name == name {
			return c
		}
	}
	w.t.Fatalf("no company %q", name)
	return roster.Company{}
}

func (w tables) members() map[string][]roster.Period {
	w.t.Helper()
	found := map[string][]roster.Period{}
	for _, m := range everything[struct {
		CompanyName string          `json:"company_name"`
		Periods     []roster.Period `json:"periods"`
	}](w, "/v1/associations/"+w.association+"/members") {
		found[m.CompanyName] = m.Periods
	}
	return found
}

func (w tables) patch(c roster.Company, body map[string]any) {
	w.t.Helper()
	path := "/v1/companies/" + c.ID.String()
	header, err := w.api.do(w.t.Context(), call{method: http.MethodGet, path: path})
	if err == nil {
		_, err = w.api.do(w.t.Context(), call{method: http.MethodPatch, path: path, body: body, header: map[string]string{"If-Match": header.Get("ETag")}})
	}
	if err != nil {
		w.t.Fatal(err)
	}
}

func TestImportCompanies_FillsInWhatIsMissingAndNeverChangesWhatIsThere(t *testing.T) {
	t.Parallel()
	p, w := newTables(t)
	first := writeFile(t, "companies.csv", "Name;Country;domain;lei;duns;group\r\n"+
		"Alder Nord GmbH;DE;;;123456789;Alder AG\r\n"+ // its head stands below it
		"Alder AG;DE;alder.example;;;alder.example\r\n"+
		"Birch GmbH;DE;;529900T8BM49AURSDO55;;\r\n"+
		"Cedar KG;de;http://cedar;;12;Nobody\r\n"+
		"alder  ag;DE;;;;\r\n")
	if rejects := w.runs("5 rows: 3 would be created, 0 would be updated, 0 unchanged, 2 rejected", "companies", first, "--dry-run"); !strings.Contains(rejects, "Cedar KG") {
		t.Errorf("rejects of a dry run: %s", rejects)
	}
	if there := everything[roster.Company](w, "/v1/companies"); len(there) != 0 {
		t.Fatalf("a dry run made %v", there)
	}
	rejects := w.runs("5 rows: 3 created, 0 updated, 0 unchanged, 2 rejected", "companies", first)
	contains(t, rejects, "Name,Country,domain,lei,duns,group,line,reasons", ",5,", "country: ", "domain: ", "duns: ", "group: ", ",6,the same company as on line 3")
	head, nord := w.company("Alder AG"), w.company("Alder Nord GmbH")
	if nord.GroupID != head.ID || head.GroupID != head.ID || nord.DUNS != "123456789" {
		t.Errorf("%+v %+v", head, nord)
	}
	w.runs("5 rows: 0 created, 0 updated, 3 unchanged, 2 rejected", "companies", first)

	rejects = w.runs("5 rows: 0 created, 2 updated, 1 unchanged, 2 rejected", "companies", writeFile(t, "more.csv", "name,country,domain,lei,duns\n"+
		"ALDER NORD GMBH,DE,nord.example,,\n"+ // found by name
		"Birch GmbH,DE,birch.example,529900T8BM49AURSDO55,\n"+ // by LEI
		"Alder AG,DE,alder.example,,\n"+
		"Birch Ltd,GB,birch.example,,\n"+ // by domain; a name and a country are never changed
		"Alder Nord GmbH,DE,birch.example,,\n"))
	contains(t, rejects, ",5,", "name: ", `"Birch GmbH"`, "country: ", `,6,"name: company `)
	if c := w.company("Alder Nord GmbH"); c.Domain != "nord.example" || c.DUNS != "123456789" || c.GroupID != head.ID {
		t.Errorf("%+v", c)
	}
	w.patch(nord, map[string]any{"name": "Alder North GmbH", "domain": nil, "duns": nil})
	w.runs("5 rows: 0 created, 0 updated, 3 unchanged, 2 rejected", "companies", first)
	if there := everything[roster.Company](w, "/v1/companies"); len(there) != 3 {
		t.Errorf("a company with another name by now was made again: %v", there)
	}
	p.stop()
}

func TestImportMembers_PutsPeriodsAndTheSameFileAgainChangesNothing(t *testing.T) {
	t.Parallel()
	p, w := newTables(t)
	w.runs("2 rows: 2 created", "companies", writeFile(t, "companies.csv", "name,country,domain\nAlder AG,DE,alder.example\nBirch GmbH,DE,\n"))
	for _, name := range []string{"North", "South"} {
		_, err := w.api.do(t.Context(), call{method: http.MethodPost, path: "/v1/associations/" + w.association + "/chapters", body: map[string]any{"name": name}})
		if err != nil {
			t.Fatal(err)
		}
	}
	file := writeFile(t, "members.csv", "company,chapter,from,to,ethics_accepted_on\n"+
		"alder.example,south,2022-01-01,,\n"+ // the later period stands first
		"alder.example,North,2019-01-01,,2019-01-01\n"+
		w.company("Birch GmbH").ID.String()+",,2020-01-01,,\n"+
		"Birch  GmbH,,2020-01-01,2021-01-01,\n"+
		"Cedar KG,West,2019-1-1,2019-02-30,2999-01-01\n")
	w.runs("5 rows: 2 would be created, 1 would be updated, 0 unchanged, 2 rejected", "members", file, "--dry-run")
	if there := w.members(); len(there) != 0 {
		t.Fatalf("a dry run made %v", there)
	}
	rejects := w.runs("5 rows: 2 created, 1 updated, 0 unchanged, 2 rejected", "members", file)
	contains(t, rejects, ",5,from: the same company and day as on line 4", ",6,", "company: ", "chapter: ", "from: ", "to: ", "ethics_accepted_on: ")
	alder := w.members()["Alder AG"]
	if len(alder) != 2 || alder[0].To == nil || alder[0].To.String() != "2021-12-31" || alder[0].EthicsAcceptedOn == nil ||
		alder[1].To != nil || alder[0].ChapterID == alder[1].ChapterID {
		t.Fatalf("%+v", alder)
	}
	w.runs("5 rows: 0 created, 0 updated, 3 unchanged, 2 rejected", "members", file)

	w.runs("1 rows: 0 created, 1 updated, 0 unchanged, 0 rejected", "members",
		writeFile(t, "more.csv", "company,from,to,ethics_accepted_on\nBirch GmbH,2020-01-01,2024-06-30,2020-02-01\n"))
	w.runs("5 rows: 0 created, 0 updated, 3 unchanged, 2 rejected", "members", file) // it does not open again what has ended
	if birch := w.members()["Birch GmbH"]; len(birch) != 1 || birch[0].To == nil || birch[0].EthicsAcceptedOn == nil {
		t.Errorf("%+v", birch)
	}
	p.stop()
}

func TestImportMembers_ReadsListsOfManyPages(t *testing.T) {
	t.Parallel()
	const many = 450
	p, w := newTables(t)
	companies, members := "name,country\n", "company,from\n"
	for n := range many {
		companies += fmt.Sprintf("Company %d,DE\n", n)
		members += fmt.Sprintf("Company %d,2020-01-01\n", n)
	}
	file := writeFile(t, "companies.csv", companies)
	w.runs(fmt.Sprintf("%d created", many), "companies", file)
	w.runs(fmt.Sprintf("%d unchanged", many), "companies", file)
	file = writeFile(t, "members.csv", members)
	w.runs(fmt.Sprintf("%d created", many), "members", file)
	w.runs(fmt.Sprintf("%d unchanged", many), "members", file)
	p.stop()
}

func TestImportTables_NameAColumnThatTheyDoNotKnow(t *testing.T) {
	t.Parallel()
	p, w := newTables(t)
	for _, c := range []struct{ what, text, want string }{
		{"companies", "name,land\nAlder AG,DE\n", `column country is missing: add it; unknown columns "land": remove or rename them; our columns are name, country,`},
		{"members", "company,from,ethics\nAlder AG,2020-01-01,\n", `unknown columns "ethics": remove or rename them; our columns are company, from,`},
	} {
		args := []string{"import", c.what, writeFile(t, "table.csv", c.text), "--url", w.api.url, "--key", w.api.key}
		if c.what == "members" {
			args = append(args, "--association", w.association)
		}
		out, code := result(t, args...)
		if code != exitFailed {
			t.Errorf("%s: exit %d", c.what, code)
		}
		contains(t, out, c.want)
	}
	p.stop()
}
