package portal

import (
	"errors"
	"net/http"
	"unicode/utf8"

	"github.com/dealreg/dealreg/pkg/deal"
	"github.com/dealreg/dealreg/pkg/dealcsv"
)

const (
	importPath    = "/import"
	guessFrom     = 200 // rows of a file that show how it writes numbers and days
	longestSource = 200 // characters that name a registrar's documents
)

// importRoutes are the steps of an import, an address each: the file, its columns, a dry run, the import itself.
func (s *Service) importRoutes() map[string]page {
	return map[string]page{
		"POST " + importPath:                      s.upload,
		"GET " + importPath:                       s.importPage,
		"GET " + importPath + "/{draft}/columns":  s.columnsPage,
		"POST " + importPath + "/{draft}/columns": s.sayColumns,
		"GET " + importPath + "/{draft}/check":    s.checkPage,
		"POST " + importPath + "/{draft}/start":   s.startImport,
		"GET /imports/{import}":                   s.runPage,
		"GET /imports/{import}/rejects":           s.rejectedRows,
	}
}

// importOwner is for whom the person imports: the company, or the association whose register the person keeps.
func (v *visit) importOwner() (deal.ID, error) {
	switch v.person.Role {
	case roleMember, roleCompanyAdmin:
		return v.person.CompanyID, nil
	case roleRegistrar:
		return v.person.AssociationID, nil
	}
	return deal.ID{}, errNotFound
}

func (v *visit) registrar() bool { return v.person.Role == roleRegistrar }

func (v *visit) importNav() []link {
	if v.registrar() {
		return v.nav(v.person.AssociationID, "", viewImport)
	}
	return v.companyNav(viewImport)
}

const viewImport = "import"

// importSteps shows where in the import a page is.
type importSteps struct {
	Registrar bool
	Step      int // from 1
	Draft     draft
}

// Steps are their names, in order.
func (importSteps) Steps() []string { return []string{"file", "columns", "check", "result"} }

// uploadForm is the first step.
type uploadForm struct {
	importSteps
	Fault     string // the message that says why the last file was not taken
	Reasons   []reason
	Reference string
	Columns   []string // that a file of our own has
	MaxMB     int
	MaxRows   int64
}

func (s *Service) importPage(v *visit) error {
	if _, err := v.importOwner(); err != nil {
		return err
	}
	v.uploadForm(http.StatusOK, uploadForm{})
	return nil
}

func (v *visit) uploadForm(status int, form uploadForm) {
	form.importSteps = importSteps{Registrar: v.registrar(), Step: 1}
	form.Columns, form.MaxMB, form.MaxRows = dealcsv.Columns()[:importedPlain], maxFile>>20, maxFileRows
	v.render(status, "import", v.speech.text("import.title"), v.importNav(), form)
}

// importedPlain is how many of our columns come before those of the third party.
const importedPlain = 16

// upload takes a file, guesses its columns and goes on to them.
func (s *Service) upload(v *visit) error {
	owner, err := v.importOwner()
	if err != nil {
		return err
	}
	u, err := s.readUpload(v.r.WithContext(v.ctx))
	form := uploadForm{Reference: u.reference}
	if v.registrar() && err == nil && (u.reference == "" || utf8.RuneCountInString(u.reference) > longestSource) {
		err = badFile("import.reference.missing")
	}
	var sample dealcsv.Sample
	if err == nil {
		sample, err = lookAt(u.text)
	}
	if bad, is := errors.AsType[badFile](err); is {
		form.Fault = string(bad)
	} else if faults, is := errors.AsType[dealcsv.Faults](err); is {
		form.Fault, form.Reasons = "import.file.refused", v.reasons(faults...)
	} else if err != nil {
		return err
	}
	if form.Fault != "" {
		v.uploadForm(http.StatusUnprocessableEntity, form)
		return nil
	}
	before, err := s.drafts.remembered(v.ctx, owner)
	if err != nil {
		return err
	}
	own := ""
	if !v.registrar() {
		company, err := v.api.Company(v.ctx, owner)
		if err != nil {
			return err
		}
		own = company.Name
	}
	f := draft{File: u.name, Rows: sample.Count, Reference: u.reference, Names: dealcsv.Guess(sample, before, own)}
	if err := s.drafts.put(v.ctx, owner, &f, u.text); err != nil {
		return err
	}
	v.redirect(f.address("columns"), nil)
	return nil
}

func (f draft) address(step string) string { return importPath + "/" + f.ID + "/" + step }
