package imports

import (
	"context"
	"errors"
	"io"
	"net/http"

	"github.com/dealreg/dealreg/pkg/calendar"
	"github.com/dealreg/dealreg/pkg/deal"
	"github.com/dealreg/dealreg/pkg/dealcsv"
	"github.com/dealreg/dealreg/pkg/httpapi"
	"github.com/dealreg/dealreg/pkg/money"
)

// The bounds of a preview: the rows that it shows, and the bytes in which they must lie.
const (
	mostPreviewed   = 20
	maxPreviewBytes = 1 << 20
)

// ImportPreview is the beginning of a file as an import would read it now.
type ImportPreview struct {
	Faults []string           `json:"faults" doc:"Why the file cannot be read under this map; then there are no rows"`
	Rows   []ImportPreviewRow `json:"rows" maxItems:"20"`
}

// ImportPreviewRow is one row: what the import would make of it, or why it would be rejected.
type ImportPreviewRow struct {
	Line        int                  `json:"line" doc:"On which the row begins, counted from 1"`
	ExternalRef string               `json:"external_ref,omitempty"`
	Title       string               `json:"title,omitempty"`
	Customer    string               `json:"customer,omitempty"`
	Country     string               `json:"customer_country,omitempty"`
	Value       *httpapi.Amount      `json:"value,omitempty"`
	WonOn       *calendar.Date       `json:"won_on,omitempty"`
	Chapter     string               `json:"chapter,omitempty"`
	Parties     []ImportPreviewParty `json:"parties"`
	Faults      []ImportPreviewFault `json:"faults" doc:"Every reason why the row would be rejected; none when it would be a deal"`
}

// ImportPreviewParty is one company of a row.
type ImportPreviewParty struct {
	Text      string          `json:"text" doc:"As the file has it"`
	CompanyID *deal.ID        `json:"company_id,omitempty" doc:"The company that it is"`
	Name      string          `json:"name,omitempty" doc:"The company's name"`
	Role      deal.PartyRole  `json:"role,omitempty"`
	Share     *httpapi.Amount `json:"share,omitempty" doc:"Equal ones where the file has none"`
}

// ImportPreviewFault is one reason.
type ImportPreviewFault struct {
	Column  string `json:"column,omitempty" doc:"Which of our columns it is about; absent when it is about the whole row"`
	Message string `json:"message" doc:"The fault and the remedy"`
}

type previewed struct{ Body ImportPreview }

// preview answers POST /v1/imports/deals/preview: it does what a dry run does, at once and without a trace.
func (i *Importer) preview(ctx context.Context, in *ImportedFile) (*previewed, error) {
	j, mapping, err := i.asked(ctx, in)
	if err != nil {
		return nil, err
	}
	j.DryRun = true
	answer := &previewed{Body: ImportPreview{Faults: []string{}, Rows: []ImportPreviewRow{}}}
	reader, err := dealcsv.NewReader(io.LimitReader(in.body, maxPreviewBytes), mapping)
	if err != nil {
		return answer, answer.Body.unreadable(err)
	}
	var rows []dealcsv.Row
	for len(rows) < mostPreviewed {
		row, err := reader.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return answer, answer.Body.unreadable(err)
		}
		rows = append(rows, row)
	}
	rr := newRowReader(i.cfg, j, mapping.CreateCompanies)
	if err := rr.batch(ctx, &j, rows); err != nil {
		return nil, httpapi.Unavailable("the log did not answer", err)
	}
	for _, row := range rows {
		answer.Body.Rows = append(answer.Body.Rows, rr.previewRow(reader, row))
	}
	return answer, nil
}

// unreadable says why the file cannot be read, where its sender can mend that. The error is a Problem.
func (p *ImportPreview) unreadable(err error) error {
	if faults, is := errors.AsType[dealcsv.Faults](err); is {
		p.Faults, p.Rows = faults, []ImportPreviewRow{}
		return nil
	}
	return httpapi.NewProblem(http.StatusBadRequest, "the file did not arrive whole: send it again")
}

func (rr *rowReader) previewRow(reader *dealcsv.Reader, row dealcsv.Row) ImportPreviewRow {
	view := ImportPreviewRow{
		Line: row.Line, ExternalRef: row.ExternalRef, Title: row.Title, Customer: row.Customer.Name, Country: row.Customer.Country,
		WonOn: row.WonOn, Chapter: row.Chapter, Parties: []ImportPreviewParty{}, Faults: []ImportPreviewFault{},
	}
	if row.Value.Minor > 0 && row.Value.Currency != "" {
		value := httpapi.AmountOf(row.Value)
		view.Value = &value
	}
	var shares []int64
	if row.Sound() {
		shares = row.Shares()
	}
	for n, p := range row.Parties {
		party := ImportPreviewParty{Text: p.Name, Role: p.Role}
		if company, err := rr.company(p.Name); err == nil {
			party.CompanyID, party.Name = &company.ID, company.Name
		}
		if shares != nil {
			share := httpapi.AmountOf(money.Amount{Minor: shares[n], Currency: row.Value.Currency})
			party.Share = &share
		}
		view.Parties = append(view.Parties, party)
	}
	for _, reason := range row.Reasons {
		column, message := reader.Place(reason)
		view.Faults = append(view.Faults, ImportPreviewFault{Column: column, Message: message})
	}
	return view
}
