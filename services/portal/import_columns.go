package portal

import (
	"bytes"
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/dealreg/dealreg/pkg/deal"
	"github.com/dealreg/dealreg/pkg/dealcsv"
	"github.com/dealreg/dealreg/pkg/roster"
	"github.com/dealreg/dealreg/services/portal/api"
)

const (
	previewRows = 10 // that the columns' page shows
	sampleCells = 3  // that it shows of each column
)

// needed are the columns without which no row is a deal; expected are those that most files have.
var (
	neededColumns  = []string{"external_ref", "title", "customer", "customer_country", "currency", "amount", "won_on"}
	furtherColumns = []string{"customer_domain", "status", "expected_on"}
)

// columnsView is the second step: where each of our columns comes from, and the first rows as they would be read.
type columnsView struct {
	importSteps
	Header  []string // of the file, what can be chosen
	Needed  []columnChoice
	Further []columnChoice
	Parties []partyChoice
	Formats []formatChoice
	Shown   []previewRow
	Unread  []reason // why the file cannot be read
	Sound   bool     // it can
	Faulty  int64    // of the rows that are shown
}

// columnChoice is one of our columns: the file's that it comes from, or the same cell for every row.
type columnChoice struct {
	Column, From, Same string
	Label              string // the message that names it
	Number             int    // of the party
	Required, Fixed    bool   // Fixed: it cannot be the same for every row
	Cells              []string
}

type partyChoice struct {
	Number            int
	Name, Role, Share columnChoice
}

// formatChoice is how the file writes something.
type formatChoice struct {
	Name, Chosen string
	Options      []string
}

// previewRow is a row with its faults at their cells.
type previewRow struct {
	api.ImportPreviewRow
	At   map[string][]reason // by cell of the table
	Rest []reason
}

// lookAt reads what the pages show of a file.
func lookAt(file []byte) (dealcsv.Sample, error) {
	return dealcsv.Look(bytes.NewReader(file), guessFrom, maxFileRows)
}

// waiting finds the draft of the address, and its file.
func (s *Service) waiting(v *visit) (owner deal.ID, f draft, file []byte, err error) {
	if owner, err = v.importOwner(); err != nil {
		return owner, f, nil, err
	}
	if f, err = s.drafts.get(v.ctx, owner, v.r.PathValue("draft")); err != nil {
		return owner, f, nil, err
	}
	file, err = s.drafts.file(v.ctx, owner, f.ID)
	return owner, f, file, err
}

// order says to the API how the file is to be read.
func (v *visit) order(f draft) (api.ImportOrder, error) {
	entries := map[string]any{}
	for key, name := range f.Names {
		entries[key] = name
	}
	o := api.ImportOrder{}
	if v.registrar() {
		o.Association, o.Reference = v.person.AssociationID, f.Reference
		entries["create_companies"] = f.Create
	}
	text, err := json.Marshal(entries)
	o.Map = string(text)
	return o, err
}

func (s *Service) columnsPage(v *visit) error {
	_, f, file, err := s.waiting(v)
	if err != nil {
		return err
	}
	sample, err := lookAt(file)
	if err != nil {
		return err
	}
	c := columnsView{importSteps: importSteps{Registrar: v.registrar(), Step: 2, Draft: f}, Header: choosable(sample.Header)}
	preview, refused, err := v.preview(f, file, sample)
	if err != nil {
		return err
	}
	c.Unread = v.reasons(slices.Concat(refused, preview.Faults)...)
	c.Sound = len(c.Unread) == 0
	for _, row := range preview.Rows {
		c.Shown = append(c.Shown, v.placed(row))
		if len(row.Faults) > 0 {
			c.Faulty++
		}
	}
	c.choices(f.Names, sample)
	v.render(http.StatusOK, "import_columns", v.speech.text("import.columns.title"), v.importNav(), c)
	return nil
}

// preview asks the API how it would read the first rows. What it refuses in the map is for the person to mend.
func (v *visit) preview(f draft, file []byte, sample dealcsv.Sample) (api.ImportPreview, []string, error) {
	o, err := v.order(f)
	if err != nil {
		return api.ImportPreview{}, nil, err
	}
	if len(sample.Rows) > previewRows {
		if sample, err = dealcsv.Look(bytes.NewReader(file), previewRows, maxFileRows); err != nil {
			return api.ImportPreview{}, nil, err
		}
	}
	p, err := v.api.PreviewImport(v.ctx, o, file[:sample.End])
	problem, is := asProblem(err)
	if is && (problem.Status == http.StatusUnprocessableEntity || problem.Status == http.StatusForbidden || problem.Status == http.StatusConflict) {
		reasons := []string{problem.Detail}
		for _, fault := range problem.Faults {
			reasons = append(reasons, fault.Detail)
		}
		return p, reasons, nil
	}
	return p, nil, err
}

// choosable are the columns of the file that have a name, once each. A name that a map reads as a constant is none.
func choosable(header []string) []string {
	var names []string
	for _, name := range header {
		name = roster.CleanName(name)
		if name != "" && !strings.HasPrefix(name, "=") && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// ShownCount is how many rows are shown.
func (c columnsView) ShownCount() int64 { return int64(len(c.Shown)) }

// Address is that of the page itself.
func (c columnsView) Address() string { return c.Draft.address("columns") }

// FurtherUsed tells whether something comes from where most files have nothing.
func (c columnsView) FurtherUsed() bool {
	used := func(one columnChoice) bool { return one.From+one.Same != "" }
	return slices.ContainsFunc(c.Further, used) ||
		slices.ContainsFunc(c.Parties, func(p partyChoice) bool { return used(p.Role) || used(p.Share) })
}

// choices shows where each of our columns comes from.
func (c *columnsView) choices(names map[string]string, sample dealcsv.Sample) {
	choice := func(column string) columnChoice { return chosenFor(column, names, sample) }
	for _, column := range neededColumns {
		one := choice(column)
		one.Required = true
		c.Needed = append(c.Needed, one)
	}
	further := furtherColumns
	if c.Registrar {
		further = append(slices.Clone(further), "chapter")
	}
	for _, column := range further {
		c.Further = append(c.Further, choice(column))
	}
	used := 2
	for n := 1; n <= deal.MaxParties; n++ {
		if names["party_"+strconv.Itoa(n)] != "" {
			used = n
		}
	}
	for n := 1; n <= min(used+1, deal.MaxParties); n++ { // one more than is used, so that there is always a place
		column := "party_" + strconv.Itoa(n)
		p := partyChoice{Number: n, Name: choice(column), Role: choice(column + "_role"), Share: choice(column + "_share")}
		p.Name.Required = n <= deal.MinParties
		c.Parties = append(c.Parties, p)
	}
	c.Formats = []formatChoice{
		{dealcsv.Decimal, names[dealcsv.Decimal], []string{"", dealcsv.DecimalComma, dealcsv.DecimalPoint}},
		{dealcsv.Dates, names[dealcsv.Dates], []string{"", dealcsv.DayFirst, dealcsv.MonthFirst}},
	}
}

// named is for one of our columns.
func (c *columnChoice) named(column string) {
	c.Column, c.Label = column, "import.ours."+column
	if rest, is := strings.CutPrefix(column, "party_"); is {
		number, part, _ := strings.Cut(rest, "_")
		c.Number, _ = strconv.Atoi(number) // our own names
		c.Label = strings.TrimSuffix("import.ours.party."+part, ".")
	}
}

func chosenFor(column string, names map[string]string, sample dealcsv.Sample) columnChoice {
	c := columnChoice{Fixed: column == "external_ref"}
	c.named(column)
	name := names[column]
	if same, is := strings.CutPrefix(name, "="); is {
		c.Same = same
		return c
	}
	at := slices.IndexFunc(sample.Header, func(other string) bool { return name != "" && roster.NameKey(other) == roster.NameKey(name) })
	if at < 0 {
		return c
	}
	c.From = roster.CleanName(sample.Header[at])
	for row := range sample.Rows {
		if cell := roster.CleanName(sample.Cell(row, at)); cell != "" && len(c.Cells) < sampleCells && !slices.Contains(c.Cells, cell) {
			c.Cells = append(c.Cells, cell)
		}
	}
	return c
}

// cells of the preview's table, by the column that a fault is about.
var previewCell = map[string]string{
	"external_ref": "ref", "title": "deal", "customer": "deal", "customer_country": "deal", "customer_domain": "deal", "currency": "value",
	"amount": "value", "won_on": "won", "status": "won", "expected_on": "won", "chapter": "parties",
}

func (v *visit) placed(row api.ImportPreviewRow) previewRow {
	p := previewRow{ImportPreviewRow: row, At: map[string][]reason{}}
	for _, fault := range row.Faults {
		cell, known := previewCell[fault.Column]
		if strings.HasPrefix(fault.Column, "party_") {
			cell, known = "parties", true
		}
		if known {
			p.At[cell] = append(p.At[cell], v.reason(fault.Message))
		} else {
			p.Rest = append(p.Rest, v.reason(fault.Message))
		}
	}
	return p
}

// sayColumns keeps what the form says, and looks again or goes on to the dry run.
func (s *Service) sayColumns(v *visit) error {
	owner, f, file, err := s.waiting(v)
	if err != nil {
		return err
	}
	sample, err := lookAt(file)
	if err != nil {
		return err
	}
	f.Names, f.Create = entriesOf(v.r.PostFormValue, sample.Header), v.registrar() && v.r.PostFormValue("create") != ""
	if v.r.PostFormValue("go") != "check" {
		if err := s.drafts.say(v.ctx, owner, f); err != nil {
			return err
		}
		v.redirect(f.address("columns"), nil)
		return nil
	}
	return s.beginCheck(v, owner, f, file)
}

// entriesOf reads the form: a constant comes before a column. What the form leaves open is open, even where the file has a
// column of our own name.
func entriesOf(value func(string) string, header []string) map[string]string {
	names := map[string]string{}
	own := map[string]bool{}
	for _, name := range header {
		own[roster.NameKey(name)] = true
	}
	for _, column := range dealcsv.Columns() {
		same, from := roster.CleanName(value("same."+column)), value("from."+column)
		switch {
		case same != "" && column != "external_ref":
			names[column] = "=" + same
		case slices.Contains(choosable(header), from):
			names[column] = from
		case own[column]:
			names[column] = "="
		}
	}
	for _, format := range []string{dealcsv.Decimal, dealcsv.Dates} {
		if chosen := value(format); chosen != "" {
			names[format] = chosen
		}
	}
	if names["external_ref"] == "=" {
		delete(names, "external_ref") // it cannot be left open, and says so itself
	}
	return maps.Clone(names)
}
