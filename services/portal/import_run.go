package portal

import (
	"bufio"
	"crypto/rand"
	"encoding/csv"
	"errors"
	"io"
	"net/http"
	"strconv"

	"github.com/dealreg/dealreg/pkg/deal"
	"github.com/dealreg/dealreg/services/portal/api"
)

const (
	lookAgain   = 1  // seconds until a page of an import under way asks again
	firstFaults = 20 // that the pages show; the file of rejected rows has them all
)

// runView is a dry run or an import, under way or at its end.
type runView struct {
	importSteps
	Run     api.Import
	Percent int
	Faults  []rejectedRow
	Failure reason
	Back    string // address of the columns; empty where there is no draft
	Once    string // makes two clicks one import
	Home    string // where the deals are
}

type rejectedRow struct {
	Line    string
	Reasons []reason
}

// The counts as templates write them.
func (r runView) RowsRead() int64   { return int64(r.Run.Rows) }
func (r runView) Registered() int64 { return int64(r.Run.Registered) }
func (r runView) Unchanged() int64  { return int64(r.Run.Unchanged) }
func (r runView) Rejects() int64    { return int64(r.Run.Rejected) }
func (r runView) Created() int64    { return int64(r.Run.Companies + r.Run.Chapters + r.Run.Members) }

// Hidden is how many rejected rows the page does not show.
func (r runView) Hidden() int64 { return r.Rejects() - int64(len(r.Faults)) }

// beginCheck has the whole file read without a trace.
func (s *Service) beginCheck(v *visit, owner deal.ID, f draft, file []byte) error {
	o, err := v.order(f)
	if err != nil {
		return err
	}
	run, err := v.api.Import(v.ctx, o, file, true, "")
	if problem, is := asProblem(err); is && problem.Status == http.StatusUnprocessableEntity { // the columns' page says why
		if err := s.drafts.say(v.ctx, owner, f); err != nil {
			return err
		}
		v.redirect(f.address("columns"), nil)
		return nil
	}
	if err != nil {
		return err
	}
	f.Check = run.ID
	if err := s.drafts.say(v.ctx, owner, f); err != nil {
		return err
	}
	v.redirect(f.address("check"), nil)
	return nil
}

func (s *Service) checkPage(v *visit) error {
	owner, err := v.importOwner()
	if err != nil {
		return err
	}
	f, err := s.drafts.get(v.ctx, owner, v.r.PathValue("draft"))
	if err != nil {
		return err
	}
	if f.Check.IsZero() {
		v.redirect(f.address("columns"), nil)
		return nil
	}
	r := runView{importSteps: importSteps{Registrar: v.registrar(), Step: 3, Draft: f}, Back: f.address("columns"), Once: rand.Text()}
	return v.showRun(r, f.Check, "import_check", "import.check.title")
}

func (s *Service) runPage(v *visit) error {
	id, err := v.importOf()
	if err != nil {
		return err
	}
	r := runView{importSteps: importSteps{Registrar: v.registrar(), Step: 4}, Home: "/"}
	return v.showRun(r, id, "import_result", "import.result.title")
}

func (v *visit) importOf() (deal.ID, error) {
	if _, err := v.importOwner(); err != nil {
		return deal.ID{}, err
	}
	id, err := deal.ParseID(v.r.PathValue("import"))
	if err != nil {
		return deal.ID{}, errNotFound
	}
	return id, nil
}

// showRun shows how far a run is. While it is under way the page asks again by itself, without a script.
func (v *visit) showRun(r runView, id deal.ID, page, title string) error {
	var err error
	if r.Run, err = v.api.ImportState(v.ctx, id); err != nil {
		return err
	}
	r.Failure = v.reason(r.Run.Error)
	if !r.Run.Ended() {
		v.w.Header().Set("Refresh", strconv.Itoa(lookAgain))
	}
	if r.Run.BytesTotal > 0 {
		r.Percent = int(min(r.Run.BytesRead*100/r.Run.BytesTotal, 100)) // #nosec G115 -- at most 100
	}
	if r.Run.State == "done" && r.Run.Rejected > 0 {
		if r.Faults, err = v.firstFaults(id); err != nil {
			return err
		}
	}
	v.render(http.StatusOK, page, v.speech.text(title), v.importNav(), r)
	return nil
}

// firstFaults reads the beginning of the rejected rows: the last two columns are the line and the reasons.
func (v *visit) firstFaults(id deal.ID) ([]rejectedRow, error) {
	body, err := v.api.ImportRejects(v.ctx, id)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	rows := csv.NewReader(body)
	if _, err := rows.Read(); err != nil {
		return nil, err
	}
	var faults []rejectedRow
	for len(faults) < firstFaults {
		record, err := rows.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		faults = append(faults, rejectedRow{
			Line: record[len(record)-2], Reasons: v.joinedReasons(record[len(record)-1]),
		})
	}
	return faults, nil
}

// startImport begins the import that the dry run announced, and keeps how the file was read for the next one.
func (s *Service) startImport(v *visit) error {
	owner, f, file, err := s.waiting(v)
	if err != nil {
		return err
	}
	o, err := v.order(f)
	if err != nil {
		return err
	}
	run, err := v.api.Import(v.ctx, o, file, false, f.ID+v.r.PostFormValue("once"))
	if problem, is := asProblem(err); is && problem.Status == http.StatusUnprocessableEntity { // the columns' page says why
		v.redirect(f.address("columns"), nil)
		return nil
	}
	if err != nil {
		return err
	}
	if err := s.drafts.remember(v.ctx, owner, f.Names); err != nil {
		return err
	}
	v.redirect("/imports/"+run.ID.String(), nil)
	return nil
}

// rejectedRows hands on the rejected rows as spreadsheets of the reader's language open them: in UTF-8 with its mark and,
// in German, with semicolons. The API has disarmed what a spreadsheet would compute.
func (s *Service) rejectedRows(v *visit) error {
	id, err := v.importOf()
	if err != nil {
		return err
	}
	body, err := v.api.ImportRejects(v.ctx, id)
	if err != nil {
		return err
	}
	defer body.Close()
	v.w.Header().Set("Content-Type", "text/csv; charset=utf-8")
	v.w.Header().Set("Content-Disposition", `attachment; filename="`+v.speech.text("import.rejects.file")+`.csv"`)
	out := bufio.NewWriter(v.w)
	if err := respell(out, body, v.speech.Code); err != nil || out.Flush() != nil {
		panic(http.ErrAbortHandler) // the browser must not take half a file for a whole one
	}
	return nil
}

func respell(out io.Writer, in io.Reader, language string) error {
	if _, err := io.WriteString(out, "\ufeff"); err != nil {
		return err
	}
	rows, w := csv.NewReader(in), csv.NewWriter(out)
	w.UseCRLF = true
	if language == "de" {
		w.Comma = ';'
	}
	for {
		record, err := rows.Read()
		if errors.Is(err, io.EOF) {
			w.Flush()
			return w.Error()
		}
		if err != nil {
			return err
		}
		if err := w.Write(record); err != nil {
			return err
		}
	}
}
