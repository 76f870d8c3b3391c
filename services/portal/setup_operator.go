package portal

import (
	"errors"
	"io"
	"net/http"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/dealreg/dealreg/services/portal/api"
)

const (
	associationPath = "/setup/association"
	ratesPath       = "/setup/rates"
	maxRatesFile    = 16 << 20 // bytes; the API takes no more
	mostChecked     = 10       // associations whose state the operator's first page tells
)

// operatorHome is the operator's first page: the associations, and what is still to be done until people can work.
type operatorHome struct {
	Associations []checkedAssociation
	Steps        []step
	Done         bool // all of them
}

// checkedAssociation is an association with what it still lacks.
type checkedAssociation struct {
	api.Association
	Lacks []link
}

// step is one line of the operator's list.
type step struct {
	Name    string // of its texts
	Done    bool
	Open    bool // the next one to do
	Address string
	For     string // the association that it is for; empty for none
	Form    *form
}

// operatorHome shows what an operator does in the first five minutes, and where the work is afterwards.
func (s *Service) operatorHome(v *visit) error {
	associations, err := v.api.Associations(v.ctx)
	if err != nil {
		return err
	}
	people, err := v.api.People(v.ctx)
	if err != nil {
		return err
	}
	hasRates, err := v.api.HasRates(v.ctx)
	if err != nil {
		return err
	}
	chapters := make([][]api.Chapter, min(len(associations), mostChecked))
	together, ctx := errgroup.WithContext(v.ctx)
	together.SetLimit(namesAtOnce)
	for i := range chapters {
		together.Go(func() (err error) {
			chapters[i], err = v.api.Chapters(ctx, associations[i].ID)
			return err
		})
	}
	if err := together.Wait(); err != nil {
		return err
	}
	home := &operatorHome{}
	steps := map[string]*step{
		"association": {Done: len(associations) > 0, Address: associationPath},
		"chapters":    {Done: len(associations) > 0},
		"registrar":   {Done: len(associations) > 0},
		"rates":       {Done: hasRates, Address: ratesPath},
	}
	for i, a := range associations {
		checked, base := checkedAssociation{Association: a}, "/a/"+a.ID.String()
		lacks := func(name, address string) {
			checked.Lacks = append(checked.Lacks, link{Text: v.speech.text("setup.lacks." + name), Address: address})
			if steps[name].Done {
				steps[name].Done, steps[name].Address, steps[name].For = false, address, a.Name
			}
		}
		if i < len(chapters) && len(chapters[i]) == 0 {
			lacks("chapters", base+"/setup/chapters")
		}
		registrar := false
		for _, p := range people {
			registrar = registrar || p.Role == roleRegistrar && p.AssociationID == a.ID
		}
		if i < len(chapters) && !registrar {
			lacks("registrar", base+"/people")
		}
		home.Associations = append(home.Associations, checked)
	}
	home.Done = true
	for _, name := range []string{"association", "chapters", "registrar", "rates"} {
		one := *steps[name]
		one.Name, one.Open = name, home.Done && !one.Done
		home.Done = home.Done && one.Done
		if one.Open {
			one.Form = v.stepForm(name, one.Address)
		}
		home.Steps = append(home.Steps, one)
	}
	v.render(http.StatusOK, "setup_home", v.speech.text("home.title"), nil, home)
	return nil
}

// stepForm is the form of the step that comes next, where it fits into the list.
func (v *visit) stepForm(name, address string) *form {
	var f *form
	switch name {
	case "association":
		f = v.associationForm("association", "create", newAssociation)
	case "chapters":
		f = v.chapterForm(nil)
	case "registrar":
		f = v.inviteForm([]string{roleRegistrar})
	case "rates":
		f = v.ratesForm()
	}
	f.Action = address
	return f
}

// ratesView is the page on which the operator brings reference rates.
type ratesView struct {
	head
	Form   *form
	Stored *api.RatesStored // of the file that was just sent
}

func (v *visit) ratesForm() *form {
	return v.form(
		"rates", "upload",
		field{Name: "file", Kind: "file", Required: true},
		field{Name: "source", Kind: "text", Value: "ECB", Required: true, Max: 100},
	)
}

// rates stores a file of rates.
func (s *Service) rates(v *visit) error {
	if v.person.Role != roleOperator {
		return errNotFound
	}
	view := &ratesView{head: head{Kicker: v.speech.text("setup.title"), Heading: v.speech.text("rates.title")}, Form: v.ratesForm()}
	if v.r.Method == http.MethodPost {
		file, err := v.file("file")
		if _, large := errors.AsType[*http.MaxBytesError](err); large {
			view.Form.fault("file", v.speech.text("rates.toolarge"))
		} else if err != nil || len(file) == 0 {
			view.Form.fault("file", v.speech.text("rates.nofile"))
		} else {
			view.Form.typed(v.r.PostForm)
			stored, err := v.api.PutRates(v.ctx, v.posted("source"), file)
			if err == nil {
				view.Stored = &stored
			} else if !view.Form.blame(err) {
				return err
			}
		}
	}
	v.render(statusOf(view.Form), "setup_rates", view.Heading, nil, view)
	return nil
}

// file reads a file that the form sent, without the mark that some programs put before UTF-8.
func (v *visit) file(name string) ([]byte, error) {
	file, _, err := v.r.FormFile(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	text, err := io.ReadAll(file)
	return []byte(strings.TrimPrefix(string(text), "\ufeff")), err
}
