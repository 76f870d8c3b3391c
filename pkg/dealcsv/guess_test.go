package dealcsv_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/dealreg/dealreg/pkg/dealcsv"
)

func look(t *testing.T, text string) dealcsv.Sample {
	t.Helper()
	s, err := dealcsv.Look(strings.NewReader(text), 100, 1000)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestGuess_FindsOurColumnsUnderTheNamesThatPeopleGiveThem(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		file, own string
		before    map[string]string
		want      map[string]string
	}{
		"our own names": {
			file: plainHeader + "R1,Dam,Office,DE,EUR,10.00,2024-01-02,A,B\n",
			own:  "A GmbH",
			want: map[string]string{
				"external_ref": "external_ref", "title": "title", "customer": "customer", "customer_country": "customer_country", "currency": "currency",
				"amount": "amount", "won_on": "won_on", "party_1": "party_1", "party_2": "party_2",
			},
		},
		"a German export of the company's own deals": {
			file: "Auftrags-Nr.;Projekt;Kunde;Land;Währung;Betrag;Gewonnen am;Partner\n7;Deich;Amt;DE;EUR;1.250.000,00 €;22.11.2025;B\n",
			own:  "A GmbH",
			want: map[string]string{
				"external_ref": "Auftrags-Nr.", "title": "Projekt", "customer": "Kunde", "customer_country": "Land", "currency": "Währung",
				"amount": "Betrag", "won_on": "Gewonnen am", "party_1": "=A GmbH", "party_2": "Partner", "decimal": ",", "dates": "dmy",
			},
		},
		"an English export with roles and shares": {
			file: "Deal ID\tDeal name\tClient\tCountry\tCurrency\tValue\tWon date\tPartner 2\tPartner 1\tShare 1\tPartner 2 share\tRole 2\tNotes\n" +
				"7\tDyke\tOffice\tUS\tUSD\t\"$1,250,000\"\t11/22/2025\tB\tA\t500,000\t750,000\tdelivery\t\n",
			want: map[string]string{
				"external_ref": "Deal ID", "title": "Deal name", "customer": "Client", "customer_country": "Country", "currency": "Currency",
				"amount": "Value", "won_on": "Won date", "party_1": "Partner 1", "party_1_share": "Share 1", "party_2": "Partner 2",
				"party_2_share": "Partner 2 share", "party_2_role": "Role 2", "decimal": ".", "dates": "mdy",
			},
		},
		"what the sender said before": {
			file:   "Nr;Betreff;Firma;Betrag;Datum;Ort\n1;Deich;A;10,5;01/02/2025;Kiel\n",
			before: map[string]string{"customer": "FIRMA", "customer_country": "=DE", "title": "gone", "dates": "mdy"},
			want: map[string]string{
				"external_ref": "Nr", "title": "Betreff", "customer": "Firma", "customer_country": "=DE", "amount": "Betrag", "won_on": "Datum",
				"decimal": ",", "dates": "mdy",
			},
		},
		"nothing that it knows": {
			file: "x,=constant,\n1,2,3\n",
			want: map[string]string{},
		},
	} {
		if diff := cmp.Diff(c.want, dealcsv.Guess(look(t, c.file), c.before, c.own)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestGuess_IsAMapThatReadsTheFile(t *testing.T) {
	t.Parallel()
	file := "Nr;Projekt;Kunde;Land;Währung;Betrag;Gewonnen am;Partner\n7;Deich;Amt;DE;EUR;1.250.000,50 €;2.3.2025;B\n"
	text, err := json.Marshal(dealcsv.Guess(look(t, file), nil, "A GmbH"))
	if err != nil {
		t.Fatal(err)
	}
	rows := readAll(t, open(t, file, parseMap(t, string(text))))
	if len(rows) != 1 || !rows[0].Sound() || rows[0].Value.Decimal() != "1250000.50" || rows[0].WonOn.String() != "2025-03-02" ||
		rows[0].Parties[0].Name != "A GmbH" || rows[0].Parties[1].Name != "B" {
		t.Errorf("%+v", rows)
	}
}

func TestNext_ReadsNumbersAndDaysAsTheMapSays(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ decimal, dates, amount, day, want string }{
		{",", "dmy", "1.250.000,5", "22.11.2025", "1250000.50 2025-11-22"},
		{",", "dmy", "1250000", "2/1/2025 00:00:00", "1250000.00 2025-01-02"},
		{",", "dmy", "EUR 10,00", "2025-11-22", "10.00 2025-11-22"},
		{",", "mdy", "1.250", "11/22/2025", "1250.00 2025-11-22"},
		{".", "mdy", "€1,250.25", "2025/11/22 10:30", "1250.25 2025-11-22"},
		{",", "dmy", "1250.5", "22.11.2025", "not a number"},
		{",", "dmy", "1.25,5", "22.11.2025", "not a number"},
		{".", "dmy", "1,25", "22.11.2025", "not a number"},
		{".", "dmy", "$5", "22.11.2025", "not a number"}, // the row is in EUR
		{".", "dmy", "5", "11/22/2025", "not a day"},
		{".", "dmy", "5", "22.11/2025", "not a day"},
		{".", "dmy", "5", "22.11.25", "not a day"},
	} {
		m := parseMap(t, `{"decimal":"`+c.decimal+`","dates":"`+c.dates+`"}`)
		row := readAll(t, open(t, plainHeader+`R1,Dam,Office,DE,EUR,"`+c.amount+`",`+c.day+",A,B\n", m))[0]
		got := strings.Join(row.Reasons, "; ")
		if row.Sound() {
			got = row.Value.Decimal() + " " + row.WonOn.String()
		}
		if !strings.Contains(got, c.want) {
			t.Errorf("%s %s under %s %s: %s, want %s", c.amount, c.day, c.decimal, c.dates, got, c.want)
		}
	}
	for _, text := range []string{`{"decimal":";"}`, `{"decimal":1}`, `{"dates":"ydm"}`} {
		if _, err := dealcsv.ParseMap([]byte(text)); err == nil {
			t.Errorf("%s was taken", text)
		}
	}
}

func TestLook_KeepsTheFirstRowsAndSaysWhereTheyEnd(t *testing.T) {
	t.Parallel()
	file := "a;b\n1;2\n\n;\n3;\"x\ny\"\n5\n"
	s, err := dealcsv.Look(strings.NewReader(file), 2, 3)
	want := dealcsv.Sample{Header: []string{"a", "b"}, Rows: [][]string{{"1", "2"}, {"3", "x\ny"}}, Count: 3, End: int64(strings.Index(file, "5"))}
	if diff := cmp.Diff(want, s); err != nil || diff != "" {
		t.Errorf("%v %s", err, diff)
	}
	for name, file := range map[string]string{"empty": "", "no rows": "a,b\n,\n", "too many": "a\n1\n2\n3\n4\n", "a quote alone": "a,b\n1\",2\n"} {
		var faults dealcsv.Faults
		if _, err := dealcsv.Look(strings.NewReader(file), 2, 3); !errors.As(err, &faults) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestPlace_SaysWhichColumnAReasonIsAbout(t *testing.T) {
	t.Parallel()
	r := open(t, "Nr,Titel: kurz,customer,customer_country,currency,amount,won_on,party_1,party_2\n",
		parseMap(t, `{"external_ref":"Nr","title":"Titel: kurz"}`))
	for reason, want := range map[string][2]string{
		"Nr: missing: fill it in":                    {"external_ref", "missing: fill it in"},
		"Titel: kurz: missing":                       {"title", "missing"},
		"won_on: lies in the future":                 {"won_on", "lies in the future"},
		"parties/0/share: is wrong":                  {"party_1", "is wrong"},
		"value/amount: is wrong":                     {"amount", "is wrong"},
		"fewer than two different parties: name two": {"", "fewer than two different parties: name two"},
		"partiesx: y":                                {"", "partiesx: y"},
	} {
		if column, message := r.Place(reason); column != want[0] || message != want[1] {
			t.Errorf("%s: %q %q, want %q", reason, column, message, want)
		}
	}
}

func TestUTF8_ReadsWhatSpreadsheetsSave(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ in, want string }{
		"UTF-8":                        {"Währung €", "Währung €"},
		"UTF-8 with a byte order mark": {"\ufeffWährung", "Währung"},
		"Windows-1252":                 {"W\xe4hrung \x80", "Währung €"},
		"UTF-16":                       {"\xff\xfeW\x00\xe4\x00", "Wä"},
		"UTF-16, the big end first":    {"\xfe\xff\x00W\x00\xe4", "Wä"},
	} {
		if got := string(dealcsv.UTF8([]byte(c.in))); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}
