package portal_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"mime/multipart"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/dealreg/dealreg/services/portal"
	"github.com/dealreg/dealreg/services/portal/api"
)

// The people of the import's tests, by key.
const (
	keyOfAlder = "drk_alder"
	keyOfBirch = "drk_birch"
	keyOfBoard = "drk_board"
	alder      = "0198c2f4-0000-7000-8000-00000000000a"
	birch      = "0198c2f4-0000-7000-8000-00000000000b"
	theImport  = "0198c2f4-0000-7000-8000-0000000000ff"
)

// importAPI is the far side of HTTP: it reads no file, and keeps what it was asked.
type importAPI struct {
	mu     sync.Mutex
	state  string // of every import
	maps   []string
	files  []string
	refuse bool // every map
}

func (b *importAPI) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b.mu.Lock()
	defer b.mu.Unlock()
	secret, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer drk_")
	text, _ := io.ReadAll(r.Body)
	if r.Method == http.MethodPost && r.URL.Path != "/v1/sessions" {
		b.maps, b.files = append(b.maps, r.URL.Query().Get("map")), append(b.files, string(text))
	}
	switch path := r.URL.Path; {
	case path == "/v1/sessions":
		var proof api.Proof
		_ = json.Unmarshal(text, &proof)
		who := map[string]string{
			keyOfAlder: `"role":"member","company_id":"` + alder + `"`, keyOfBirch: `"role":"company_admin","company_id":"` + birch + `"`,
			keyOfBoard: `"role":"board","association_id":"` + theAssociation + `"`,
		}[proof.Key]
		w.WriteHeader(http.StatusCreated)
		_, _ = fmt.Fprintf(w, `{"secret":%q,"expires_at":"2100-01-01T00:00:00Z",%s}`, proof.Key, who)
	case strings.HasPrefix(path, "/v1/companies/"):
		_, _ = fmt.Fprintf(w, `{"id":%q,"name":"Company %s"}`, strings.TrimPrefix(path, "/v1/companies/"), secret)
	case b.refuse && r.Method == http.MethodPost:
		w.WriteHeader(http.StatusUnprocessableEntity)
		_, _ = io.WriteString(w, `{"status":422,"detail":"correct it","errors":[{"detail":"the map is wrong"}]}`)
	case path == "/v1/imports/deals/preview":
		_, _ = io.WriteString(w, `{"faults":[],"rows":[{"line":2,"title":"Dam","parties":[{"text":"Nobody"}],"faults":[{"column":"amount","message":"no number"}]}]}`)
	case path == "/v1/imports/deals", path == "/v1/imports/"+theImport && secret == "alder":
		_, _ = fmt.Fprintf(w, `{"id":%q,"state":%q,"rows":3,"registered":2,"rejected":1,"bytes_total":100,"bytes_read":50}`, theImport, b.state)
	case path == "/v1/imports/"+theImport+"/rejects" && secret == "alder":
		_, _ = io.WriteString(w, "Nr,Titel,line,reasons\n7,\"'=SUM(A1); x\",2,amount: no number\n")
	default:
		w.WriteHeader(http.StatusNotFound)
	}
}

func newImportSite(t *testing.T) (*site, *importAPI) {
	t.Helper()
	b := &importAPI{state: "done"}
	return newSite(t, func(c *portal.Config) {
		c.API = api.New(&url.URL{Scheme: "http", Host: "api"}, api.InProcess{Handler: b})
	}), b
}

// as is another browser of the same portal, in which somebody signed in.
func (s *site) as(key string) *site {
	s.t.Helper()
	other := *s
	other.browser = newBrowser(s.t)
	if response, text := other.do(http.MethodPost, "/sign-in", url.Values{"key": {key}, "next": {"/import"}}); response.StatusCode != http.StatusSeeOther {
		s.t.Fatal(response.StatusCode, text)
	}
	return &other
}

func (s *site) upload(file []byte) (answer, string) {
	s.t.Helper()
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	part, err := form.CreateFormFile("file", "deals.csv")
	if err != nil {
		s.t.Fatal(err)
	}
	if _, err := part.Write(file); err != nil {
		s.t.Fatal(err)
	}
	if err := form.Close(); err != nil {
		s.t.Fatal(err)
	}
	r, err := http.NewRequestWithContext(s.t.Context(), http.MethodPost, s.url+"/import", &body)
	if err != nil {
		s.t.Fatal(err)
	}
	r.Header.Set("Content-Type", form.FormDataContentType())
	response, err := s.browser.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return answer{response.StatusCode, response.Header, response.Cookies()}, string(text)
}

// uploaded is the address of the columns of a file that was taken.
func (s *site) uploaded(file string) string {
	s.t.Helper()
	response, text := s.upload([]byte(file))
	if response.StatusCode != http.StatusSeeOther {
		s.t.Fatal(response.StatusCode, text)
	}
	return response.Header.Get("Location")
}

const germanFile = "Nr;Titel;status;Sache;Betrag\n7;Deich;offen;Amt;10,5\n"

func entries(t *testing.T, text string) map[string]any {
	t.Helper()
	var m map[string]any
	if err := json.Unmarshal([]byte(text), &m); err != nil {
		t.Fatal(err, text)
	}
	return m
}

func TestImport_AsksTheAPIAsTheFormSaysAndRemembersItForTheCompany(t *testing.T) {
	t.Parallel()
	s, b := newImportSite(t)
	a := s.as(keyOfAlder)
	columns := a.uploaded(germanFile)
	response, text := a.do(http.MethodGet, columns, nil)
	if response.StatusCode != http.StatusOK || !strings.Contains(text, "no number") || !strings.Contains(text, "<s>Nobody</s>") {
		t.Fatal(response.StatusCode, text)
	}
	want := map[string]any{"external_ref": "Nr", "title": "Titel", "status": "status", "amount": "Betrag", "decimal": ",", "party_1": "=Company alder"}
	if got := entries(t, b.maps[0]); !maps.Equal(got, want) {
		t.Errorf("guessed %v", got)
	}
	form := url.Values{
		"from.external_ref": {"Nr"}, "from.title": {"Titel"}, "from.customer": {"Sache"}, "from.amount": {"no column"}, "same.amount": {"5"},
		"same.external_ref": {"constant"}, "from.currency": {"gone"}, "decimal": {","}, "create": {"true"}, "go": {"check"},
	}
	if response, text = a.do(http.MethodPost, columns, form); response.StatusCode != http.StatusSeeOther {
		t.Fatal(response.StatusCode, text)
	}
	check := strings.Replace(columns, "columns", "check", 1)
	if to := response.Header.Get("Location"); to != check {
		t.Errorf("goes to %s", to)
	}
	want = map[string]any{"external_ref": "Nr", "title": "Titel", "customer": "Sache", "amount": "=5", "status": "=", "decimal": ","}
	if got := entries(t, b.maps[1]); !maps.Equal(got, want) {
		t.Errorf("said %v", got)
	}
	if response, text = a.do(http.MethodGet, check, nil); !strings.Contains(text, "Import 2 deals") || response.Header.Get("Refresh") != "" {
		t.Error(response.StatusCode, text)
	}
	response, _ = a.do(http.MethodPost, strings.Replace(columns, "columns", "start", 1), url.Values{"once": {"1"}})
	if to := response.Header.Get("Location"); to != "/imports/"+theImport || b.files[2] != germanFile {
		t.Errorf("%s %q", to, b.files)
	}
	for key, want := range map[string]bool{keyOfAlder: true, keyOfBirch: false} {
		other := s.as(key)
		if _, text := other.do(http.MethodGet, other.uploaded(germanFile), nil); strings.Contains(text, `value="5"`) != want {
			t.Errorf("%s: remembered is not %v", key, want)
		}
	}
}

func TestImport_IsThereForItsOwnerOnly(t *testing.T) {
	t.Parallel()
	s, _ := newImportSite(t)
	columns := s.as(keyOfAlder).uploaded(germanFile)
	for _, key := range []string{keyOfBirch, keyOfBoard} {
		other := s.as(key)
		for _, to := range []struct{ method, path string }{
			{http.MethodGet, columns},
			{http.MethodPost, columns},
			{http.MethodGet, strings.Replace(columns, "columns", "check", 1)},
			{http.MethodPost, strings.Replace(columns, "columns", "start", 1)},
			{http.MethodGet, "/imports/" + theImport},
			{http.MethodGet, "/imports/" + theImport + "/rejects"},
		} {
			if response, _ := other.do(to.method, to.path, nil); response.StatusCode != http.StatusNotFound {
				t.Errorf("%s: %s %s: %d", key, to.method, to.path, response.StatusCode)
			}
		}
	}
	if response, _ := s.as(keyOfBoard).upload([]byte(germanFile)); response.StatusCode != http.StatusNotFound {
		t.Errorf("a board uploads: %d", response.StatusCode)
	}
	store, err := s.js.Stream(t.Context(), "OBJ_portal_uploads")
	if err != nil {
		t.Fatal(err)
	}
	if ends := store.CachedInfo().Config.MaxAge; ends.Hours() != 24 {
		t.Errorf("a file ends after %s", ends)
	}
}

func TestImport_FileThatWasDeletedIsNotThere(t *testing.T) {
	t.Parallel()
	s, _ := newImportSite(t)
	a := s.as(keyOfAlder)
	columns := a.uploaded(germanFile)
	store, err := s.js.ObjectStore(t.Context(), "portal_uploads")
	if err != nil {
		t.Fatal(err)
	}
	all, err := store.List(t.Context())
	if err != nil || len(all) != 1 {
		t.Fatal(all, err)
	}
	if err := store.Delete(t.Context(), all[0].Name); err != nil {
		t.Fatal(err)
	}
	if response, _ := a.do(http.MethodGet, columns, nil); response.StatusCode != http.StatusNotFound {
		t.Errorf("%d", response.StatusCode)
	}
}

func TestImport_SaysWhatIsWrongWithAFile(t *testing.T) {
	t.Parallel()
	s, b := newImportSite(t)
	a := s.as(keyOfAlder)
	for name, c := range map[string]struct {
		file []byte
		want string
	}{
		"nothing":    {nil, "No file came"},
		"no rows":    {[]byte("a,b\n"), "no rows below its header"},
		"a quote":    {[]byte("a,b\n1\",2\n"), "a quote stands alone"},
		"too large":  {bytes.Repeat([]byte("a\n"), 8<<20+1), "at most 16 MB"},
		"a picture":  {[]byte("\x89PNG\x00"), "neither CSV nor"},
		"too long":   {[]byte("a\n" + strings.Repeat("1\n", 50_001)), "more than 50000 rows"},
		"old format": {[]byte("\xd0\xcf\x11\xe0"), "old Excel"},
	} {
		if response, text := a.upload(c.file); response.StatusCode != http.StatusUnprocessableEntity || !strings.Contains(text, c.want) {
			t.Errorf("%s: %d %s", name, response.StatusCode, text)
		}
	}
	columns := a.uploaded(germanFile)
	b.mu.Lock()
	b.refuse = true
	b.mu.Unlock()
	if response, text := a.do(http.MethodGet, columns, nil); response.StatusCode != http.StatusOK || !strings.Contains(text, "the map is wrong") {
		t.Errorf("%d %s", response.StatusCode, text)
	}
	response, _ := a.do(http.MethodPost, columns, url.Values{"go": {"check"}})
	if to := response.Header.Get("Location"); to != columns {
		t.Errorf("a map that is refused goes on to %q", to)
	}
}

func TestImport_PageLooksAgainUntilItsEnd(t *testing.T) {
	t.Parallel()
	s, b := newImportSite(t)
	a := s.as(keyOfAlder)
	b.state = "running"
	response, text := a.do(http.MethodGet, "/imports/"+theImport, nil)
	if response.Header.Get("Refresh") == "" || !strings.Contains(text, `value="50"`) || !strings.Contains(text, "3 rows have been read") {
		t.Errorf("%v %s", response.Header, text)
	}
	b.mu.Lock()
	b.state = "done"
	b.mu.Unlock()
	response, text = a.do(http.MethodGet, "/imports/"+theImport, nil)
	if response.Header.Get("Refresh") != "" || !strings.Contains(text, "2 deals were registered") || !strings.Contains(text, "no number") {
		t.Errorf("%v %s", response.Header, text)
	}
}

func TestImport_RejectedRowsOpenInTheReadersSpreadsheet(t *testing.T) {
	t.Parallel()
	s, _ := newImportSite(t)
	a := s.as(keyOfAlder)
	for language, want := range map[string]string{
		"en": "\ufeffNr,Titel,line,reasons\r\n7,'=SUM(A1); x,2,amount: no number\r\n",
		"de": "\ufeffNr;Titel;line;reasons\r\n7;\"'=SUM(A1); x\";2;amount: no number\r\n",
	} {
		response, text := a.do(http.MethodGet, "/imports/"+theImport+"/rejects?lang="+language, nil)
		if text != want || !strings.HasPrefix(response.Header.Get("Content-Disposition"), "attachment") {
			t.Errorf("%s: %q %v", language, text, response.Header)
		}
	}
}
