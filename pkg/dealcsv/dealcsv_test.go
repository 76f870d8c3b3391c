package dealcsv_test

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/dealreg/dealreg/pkg/calendar"
	"github.com/dealreg/dealreg/pkg/dealcsv"
	"github.com/dealreg/dealreg/pkg/money"
)

const (
	plainHeader = "external_ref,title,customer,customer_country,currency,amount,won_on,party_1,party_2\n"
	contracts   = `{"external_ref":"line_ref","won_on":"start_date","party_*":"partner_*","chapter":"region","customer_country":"=PH","status":"=won","create_companies":true}`
)

// quirks is a made-up file as people send them: a byte order mark, CRLF, columns of its own, and every fault at once.
var quirks = "\ufeff" + strings.ReplaceAll(`Line_Ref,title,customer,region,currency,amount,start_date,status,partner_1,partner_1_id,partner_2,partner_2_id,partner_3,notes
R1,"Dike,
north  bank",Harbour Office,North,PHP,1000.01,2024-02-15,Completed,"Reyes, Cruz & Co.",7,PEÑA BUILDERS,8,,
R2,Sluice,Harbour Office,North,PHP,2000.00,2024-02-16,Completed,  PEÑA   BUILDERS ,8,"Reyes, Cruz & Co.",7,,

R3,Wall,Harbour Office,North,PHP,n/a,2024-02-17,Completed,Alon Works,1,PENA BUILDERS,9,,
R4,Wall,Harbour Office,North,PHP,3000,2024-02-18,Completed,Alon Works,1,alon`+"\u00a0"+`WORKS,1,,
R1,Again,Harbour Office,North,PHP,3000,2024-02-18,Completed,Alon Works,1,Bay Works,2,,
R3,Wall,Harbour Office,South,PHP,400.00,2024-02-17,Completed,Alon Works,1,Alon works,1,Bay Works,
,,Harbour Office,,pesos,"1,000.00",17.02.2024,Completed,,,Bay Works,2,,
,,,,,,,,,,,,,
R9,Wall,Harbour Office
`, "\n", "\r\n")

func parseMap(t *testing.T, text string) dealcsv.Map {
	t.Helper()
	m, err := dealcsv.ParseMap([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func open(t *testing.T, text string, m dealcsv.Map) *dealcsv.Reader {
	t.Helper()
	r, err := dealcsv.NewReader(strings.NewReader(text), m)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func readAll(t *testing.T, r *dealcsv.Reader) []dealcsv.Row {
	t.Helper()
	var rows []dealcsv.Row
	for {
		row, err := r.Next()
		if errors.Is(err, io.EOF) {
			return rows
		}
		if err != nil {
			t.Fatal(err)
		}
		rows = append(rows, row)
	}
}

// only reads a file of one row under our own column names.
func only(t *testing.T, text string) dealcsv.Row {
	t.Helper()
	rows := readAll(t, open(t, text, dealcsv.Map{}))
	if len(rows) != 1 {
		t.Fatalf("%d rows; want 1", len(rows))
	}
	return rows[0]
}

func TestNext_ReadsFilesAsPeopleSendThem(t *testing.T) {
	t.Parallel()
	type summary struct {
		Line    int
		Ref     string
		Reasons []string
	}
	rows := readAll(t, open(t, quirks, parseMap(t, contracts)))
	var got []summary
	for _, row := range rows {
		got = append(got, summary{row.Line, row.ExternalRef, row.Reasons})
	}
	want := []summary{
		{2, "R1", nil},
		{4, "R2", nil},
		{6, "R3", []string{"amount: not a number: write it as 1250000.00, digits and a point, without separators of thousands"}},
		{7, "R4", []string{"partner_2: same company as partner_1", "fewer than two different parties: name at least two"}},
		{8, "R1", []string{"Line_Ref: the same as on line 2: give each deal a reference of its own, or remove the copy"}},
		{9, "R3", nil}, // the row that had it before was rejected, and the company named twice counts once
		{10, "", []string{
			"Line_Ref: missing: fill it in",
			"title: missing: fill it in",
			`currency: "pesos" is not the code of an active currency: write its ISO 4217 code, such as EUR`,
			"amount: not a number: write it as 1250000.00, digits and a point, without separators of thousands",
			"start_date: not a day from 1900-01-01 to 2299-12-31: write it as 2026-11-22 (year-month-day)",
			"fewer than two different parties: name at least two",
		}},
		{12, "", []string{"the row has 3 cells and the header 14: put cells that hold the separator in quotes, and leave none out"}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	day := calendar.New(2024, 2, 15)
	first := dealcsv.Row{
		Line: 2, Record: rows[0].Record, ExternalRef: "R1", Title: "Dike, north bank",
		Value: money.Amount{Minor: 100001, Currency: "PHP"}, Status: "won", WonOn: &day, Chapter: "North",
		Parties: []dealcsv.Party{
			{Column: "partner_1", Name: "Reyes, Cruz & Co.", Role: "lead"},
			{Column: "partner_2", Name: "PEÑA BUILDERS", Role: "other"},
		},
	}
	first.Customer.Name, first.Customer.Country = "Harbour Office", "PH"
	if diff := cmp.Diff(first, rows[0]); diff != "" {
		t.Error(diff)
	}
	if got := rows[0].Shares(); !slices.Equal(got, []int64{50001, 50000}) {
		t.Errorf("shares %v; want equal ones, the remainder with the first", got)
	}
	if got := rows[1].Parties[0].Name; got != rows[0].Parties[1].Name {
		t.Errorf("%q and %q are the same company", got, rows[0].Parties[1].Name)
	}
	if got := rows[5].Parties; len(got) != 2 || got[1].Column != "partner_3" {
		t.Errorf("parties %v; want Alon Works once, and Bay Works", got)
	}
}

func TestNext_ReadsOurOwnColumnsWithRolesAndShares(t *testing.T) {
	t.Parallel()
	row := only(t, strings.Join(dealcsv.Columns(), ",")+"\n"+
		`CRM-1,Payroll,Contoso AG,DE,Contoso.Example,EUR,100.00,,2026-12-15,2026-11-22,`+
		`b.example,vendor,40,,,,0198c2f4-5b7e-7cc1-9d0a-4f1e2a3b4c5d,LEAD,59.99,C,,0.01`+strings.Repeat(",", 6*3)+",Munich\n")
	if !row.Sound() {
		t.Fatal(row.Reasons)
	}
	want := []dealcsv.Party{
		{Column: "party_1", Name: "b.example", Role: "vendor", ShareMinor: 4000, HasShare: true},
		{Column: "party_3", Name: "0198c2f4-5b7e-7cc1-9d0a-4f1e2a3b4c5d", Role: "lead", ShareMinor: 5999, HasShare: true},
		{Column: "party_4", Name: "C", Role: "other", ShareMinor: 1, HasShare: true},
	}
	if diff := cmp.Diff(want, row.Parties); diff != "" {
		t.Error(diff)
	}
	if got := row.Shares(); !slices.Equal(got, []int64{4000, 5999, 1}) {
		t.Errorf("shares %v", got)
	}
	if d := row.Details(); d.Customer.Domain != "contoso.example" || d.ExpectedOn.String() != "2026-12-15" || d.ExternalRef != "CRM-1" {
		t.Errorf("%+v", d)
	}
}

func TestNext_SaysEveryReason(t *testing.T) {
	t.Parallel()
	const header = "external_ref,title,customer,customer_country,customer_domain,currency,amount,status,won_on," +
		"party_1,party_1_role,party_1_share,party_2,party_2_role,party_2_share,party_3,party_3_role,party_3_share\n"
	for name, c := range map[string]struct {
		row  string
		want []string
	}{
		"texts": {
			strings.Repeat("r", 65) + "," + strings.Repeat("t", 501) + ",\x01,UK,https://x,EUR,1,,2026-01-01,A\u202eB,,,B,,,,,",
			[]string{
				"external_ref: has 65 characters, at most 64 are allowed: shorten it",
				"title: has 501 characters, at most 500 are allowed: shorten it",
				"customer: holds a control character: remove it",
				"customer_country: UK is not the code of a country: write GB for the United Kingdom",
				"customer_domain: not a web domain: write it without https:// and path, such as contoso.example (international ones as xn--)",
				"party_1: holds an invisible mark that turns text around: type the name anew",
			},
		},
		"not UTF-8": {"r,Caf\xe9,C,DE,,EUR,1,,2026-01-01,A,,,B,,,,,", []string{"title: not in UTF-8: save the file as CSV UTF-8"}},
		"no value":  {"r,T,C,DE,,EUR,0.00,,2026-01-01,A,,,B,,,,,", []string{"amount: must be more than 0: write the value of the deal"}},
		"decimals":  {"r,T,C,DE,,JPY,1.5,,2026-01-01,A,,,B,,,,,", []string{"amount: write 1250000: digits only, JPY has no decimals"}},
		"huge":      {"r,T,C,DE,,JPY,1000000000000001,,2026-01-01,A,,,B,,,,,", []string{"amount: too large: write at most 1000000000000000 JPY"}},
		"status":    {"r,T,C,DE,,EUR,1,Completed,2026-01-01,A,,,B,,,,,", []string{"status: not a status that can be imported: write won, closing or pending"}},
		"no day":    {"r,T,C,DE,,EUR,1,won,,A,,,B,,,,,", []string{"won_on: missing: write the day on which the deal was won, as in 2026-11-22"}},
		"pending":   {"r,T,C,DE,,EUR,1,pending,,A,,,B,,,,,", nil},
		"no lead":   {"r,T,C,DE,,EUR,1,,2026-01-01,A,vendor,,B,,,,,", []string{"party_1_role: no party is the lead: give exactly one the role lead"}},
		"two leads": {"r,T,C,DE,,EUR,1,,2026-01-01,A,lead,,B,lead,,,,", []string{"party_1_role: 2 parties are the lead: give exactly one the role lead"}},
		"no role":   {"r,T,C,DE,,EUR,1,,2026-01-01,A,,,B,boss,,,,", []string{"party_2_role: not a role: write lead, delivery, reseller, vendor, advisor or other"}},
		"nobody's":  {"r,T,C,DE,,EUR,1,,2026-01-01,A,,,B,,,,vendor,", []string{"party_3: missing, but it has a role or a share: name the company or clear them"}},
		"some shares": {
			"r,T,C,DE,,EUR,1,,2026-01-01,A,,0.50,B,,0.50,C,,",
			[]string{"party_3_share: missing: give every party its share, or none for equal ones"},
		},
		"wrong shares": {
			"r,T,C,DE,,EUR,1,,2026-01-01,A,,0.50,B,,0.49,,,",
			[]string{"party_1_share: the shares sum to 0.99 and the amount is 1.00: make them equal"},
		},
		"no share": {
			"r,T,C,DE,,EUR,1,,2026-01-01,A,,half,B,,0.50,,,",
			[]string{"party_1_share: not a number: write it as 1250000.00, digits and a point, without separators of thousands"},
		},
		"share of a copy": {
			"r,T,C,DE,,EUR,1,,2026-01-01,A,,0.50,B,,0.50,a,,0.50",
			[]string{"party_3: same company as party_1: name it once, with its whole share"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(c.want, only(t, header+c.row+"\n").Reasons); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestNext_ReadsSemicolons(t *testing.T) {
	t.Parallel()
	row := only(t, strings.ReplaceAll(plainHeader, ",", ";")+`r;"T; or, so";C;DE;EUR;5.5;2026-01-01;A;B, Inc.`+"\n")
	if !row.Sound() || row.Title != "T; or, so" || row.Parties[1].Name != "B, Inc." || row.Value.Minor != 550 {
		t.Errorf("%+v", row)
	}
}

func TestNext_EndsWhereQuotesHideTheRows(t *testing.T) {
	t.Parallel()
	for name, bad := range map[string]string{"bare": "r,12\" pipe,C,DE", "open": `r,"T,C,DE`, "more": `r,"T"x,C,DE`} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := open(t, plainHeader+"q,T,C,DE,EUR,1,2026-01-01,A,B\n"+bad+"\nr,T,C,DE,EUR,1,2026-01-01,A,B\n", dealcsv.Map{})
			if row, err := r.Next(); err != nil || !row.Sound() {
				t.Fatalf("%v, %v; want the row before", row, err)
			}
			for range 2 {
				_, err := r.Next()
				if faults, is := errors.AsType[dealcsv.Faults](err); !is || !strings.HasPrefix(faults[0], "line 3: a quote stands alone") {
					t.Errorf("%v; want the line and the remedy", err)
				}
			}
		})
	}
}

func TestNewReader_NamesEveryFaultOfTheHeader(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		file, fields string
		want         []string
	}{
		"empty":  {"", "", []string{"the file is empty"}},
		"UTF-16": {"\xff\xfet\x00", "", []string{"not in UTF-8"}},
		"nothing": {"a,b\n", "", []string{
			"external_ref is missing: add it or map", "title is missing", "customer is missing", `"customer_country":"=DE"`,
			"currency is missing", "amount is missing", "party_1 is missing", "party_2 is missing", "won_on is missing",
			`unknown columns "a", "b": remove them, or send a map`,
		}},
		"twice":         {"Title," + plainHeader, "", []string{`column "title" is there twice`}},
		"eleven":        {"party_11," + plainHeader, "", []string{`"party_11" is one party too many`}},
		"mapped eleven": {"p 1,p 2,p 11," + plainHeader, `{"party_*":"p *"}`, []string{`"p 11" is one party too many`}},
		"not there":     {plainHeader, `{"title":"Titel"}`, []string{`takes title from column "Titel"`, "title is missing"}},
		"pattern": {plainHeader, `{"party_*_share":"share *"}`, []string{
			`takes party_*_share from columns like "share *", and the file has none`,
		}},
		"empty constant":       {plainHeader, `{"customer_country":"="}`, []string{"customer_country is missing"}},
		"pending needs no day": {strings.Replace(plainHeader, ",won_on", "", 1), `{"status":"=pending"}`, nil},
		"won needs a day":      {strings.Replace(plainHeader, ",won_on", "", 1), `{"status":"=won"}`, []string{"won_on is missing"}},
		"extra with a map":     {"more,more,," + plainHeader, `{}`, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var m dealcsv.Map
			if c.fields != "" {
				m = parseMap(t, c.fields)
			}
			_, err := dealcsv.NewReader(strings.NewReader(c.file), m)
			wantFaults(t, err, c.want)
		})
	}
}

func TestParseMap_NamesEveryFault(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		text string
		want []string
	}{
		"example":  {contracts, nil},
		"nothing":  {"", []string{"no JSON object"}},
		"list":     {"[]", []string{"no JSON object"}},
		"torn":     {`{"title":"a"`, []string{"no JSON object"}},
		"two":      {`{} {}`, []string{"no JSON object"}},
		"unknown":  {`{"tittle":"a","party_11":"b"}`, []string{`names "tittle", which is no column of ours: use external_ref, title`, `names "party_11"`}},
		"twice":    {`{"title":"a","title":"b"}`, []string{`names "title" twice`}},
		"no text":  {`{"title":1,"customer":""}`, []string{"title of the map is no text", "customer of the map is no text"}},
		"no bool":  {`{"create_companies":"yes"}`, []string{"neither true nor false"}},
		"patterns": {`{"party_*":"p","party_*_role":"=other"}`, []string{"party_* of the map is no pattern", "party_*_role of the map is no pattern"}},
		"ref":      {`{"external_ref":"=1"}`, []string{"external_ref of the map is a constant"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m, err := dealcsv.ParseMap([]byte(c.text))
			wantFaults(t, err, c.want)
			if m.CreateCompanies != (name == "example") {
				t.Errorf("create_companies %v", m.CreateCompanies)
			}
		})
	}
}

func wantFaults(t *testing.T, err error, want []string) {
	t.Helper()
	faults, is := errors.AsType[dealcsv.Faults](err)
	if err != nil && !is || len(faults) != len(want) {
		t.Fatalf("%d faults: %v; want %d", len(faults), err, len(want))
	}
	for i := range want {
		if !strings.Contains(faults[i], want[i]) {
			t.Errorf("%q; want %q", faults[i], want[i])
		}
	}
}

func TestParseMap_AColumnOfItsOwnComesBeforeThePattern(t *testing.T) {
	t.Parallel()
	m := parseMap(t, `{"party_1":"=Contoso AG","party_*":"partner_*","party_*_share":"share of *","party_1_share":"own share"}`)
	r := open(t, "external_ref,title,customer,customer_country,currency,amount,won_on,partner_2,own share,Share of 2\n"+
		"r,T,C,DE,EUR,10,2026-01-01,B,4,6\n", m)
	row := readAll(t, r)[0]
	want := []dealcsv.Party{
		{Column: "party_1 (constant of the map)", Name: "Contoso AG", Role: "lead", ShareMinor: 400, HasShare: true},
		{Column: "partner_2", Name: "B", Role: "other", ShareMinor: 600, HasShare: true},
	}
	if diff := cmp.Diff(want, row.Parties); diff != "" || !row.Sound() {
		t.Error(diff, row.Reasons)
	}
	if got := r.Label("party_2_share"); got != "Share of 2" {
		t.Errorf("label %q; want the header's", got)
	}
}

func TestReader_PassesReadErrorsOn(t *testing.T) {
	t.Parallel()
	torn := errors.New("torn")
	if _, err := dealcsv.NewReader(iotest.ErrReader(torn), dealcsv.Map{}); !errors.Is(err, torn) {
		t.Error(err)
	}
	long := plainHeader + strings.Repeat("r,T,C,DE,EUR,1,2026-01-01,A,B\n", 4000)
	r, err := dealcsv.NewReader(io.MultiReader(strings.NewReader(long), iotest.ErrReader(torn)), dealcsv.Map{})
	for err == nil {
		_, err = r.Next()
	}
	if !errors.Is(err, torn) {
		t.Error(err)
	}
}

func rejectsOf(t *testing.T, header []string, rows []dealcsv.Row) string {
	t.Helper()
	var file bytes.Buffer
	w := dealcsv.NewRejectWriter(&file, header)
	for _, row := range rows {
		if row.Sound() {
			continue
		}
		if err := w.Write(row); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	return file.String()
}

func TestRejectWriter_WritesWhatTheReaderTakesBack(t *testing.T) {
	t.Parallel()
	m := parseMap(t, contracts)
	r := open(t, quirks, m)
	first := rejectsOf(t, r.Header(), readAll(t, r))
	if want := "R4,Wall,Harbour Office,North,PHP,3000,2024-02-18,Completed,Alon Works,1,alon\u00a0WORKS,1,,,7," +
		"partner_2: same company as partner_1; fewer than two different parties: name at least two\n"; !strings.Contains(first, want) {
		t.Errorf("%s; want %s", first, want)
	}
	again := open(t, first, m)
	if diff := cmp.Diff(r.Header(), again.Header()); diff != "" {
		t.Error(diff)
	}
	corrected := strings.NewReplacer("n/a", "55", "alon\u00a0WORKS", "Bay Works").Replace(first)
	sound := 0
	for _, row := range readAll(t, open(t, corrected, m)) {
		if row.Sound() {
			sound++
		}
	}
	if sound != 3 { // the two corrected ones, and the copy of R1, which is alone in this file
		t.Errorf("%d sound rows in the corrected file; want 3:\n%s", sound, corrected)
	}
}

func TestRejectWriter_WritesNoFormulaAndLosesNothing(t *testing.T) {
	t.Parallel()
	cell := rapid.StringOf(rapid.SampledFrom([]rune("'=+-@\ta,\"; ñ\n")))
	rapid.Check(t, func(r *rapid.T) {
		record := rapid.SliceOfN(cell, 9, 9).Draw(r, "record")
		record[0] = "r" // a row without any cell filled is passed over
		header := strings.Split(strings.TrimSpace(plainHeader), ",")
		file := rejectsOf(t, header, []dealcsv.Row{{Line: 7, Record: record, Reasons: []string{"why"}}})
		if row := only(t, file); !slices.Equal(row.Record, record) {
			r.Fatalf("%q came back as %q", record, row.Record)
		}
		plain, err := dealcsv.NewReader(strings.NewReader(strings.Replace(file, ",line,reasons", ",a,b", 1)), parseMap(t, "{}"))
		if err != nil {
			r.Fatal(err)
		}
		raw, err := plain.Next()
		if err != nil {
			r.Fatal(err)
		}
		for _, text := range raw.Record {
			if strings.HasPrefix(text, "=") || strings.HasPrefix(text, "+") || strings.HasPrefix(text, "-") ||
				strings.HasPrefix(text, "@") || strings.HasPrefix(text, "\t") {
				r.Fatalf("%q is a formula", text)
			}
		}
	})
}

func TestRejectWriter_KeepsEveryCellOfARowOfAnyLength(t *testing.T) {
	t.Parallel()
	rows := []dealcsv.Row{
		{Line: 2, Record: []string{"a"}, Reasons: []string{"short"}},
		{Line: 3, Record: []string{"a", "b", "c", "d"}, Reasons: []string{"long", "wide"}},
	}
	want := "x,y,line,reasons\na,,2,short\na,\"b,c,d\",3,long; wide\n"
	if got := rejectsOf(t, []string{"x", "y"}, rows); got != want {
		t.Errorf("%q; want %q", got, want)
	}
}

type brokenWriter struct{}

func (brokenWriter) Write([]byte) (int, error) { return 0, errors.New("full") }

func TestRejectWriter_TellsThatTheDiskIsFull(t *testing.T) {
	t.Parallel()
	if err := dealcsv.NewRejectWriter(brokenWriter{}, []string{"x"}).Flush(); err == nil {
		t.Error("no error")
	}
}
