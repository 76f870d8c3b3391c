package portal

import (
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// form is a form of the management pages as data. Its name starts the names of its texts: NAME.send is its button,
// NAME.FIELD the label of a field, and NAME.FIELD.hint what stands below it, where there is such a text.
type form struct {
	Name   string
	Suffix string // tells the ids of forms of one page apart
	Action string // where it is sent; empty for the page that shows it
	Fields []field
	Hidden map[string]string
	Faults []reason                 // what is wrong with the whole of it
	File   bool                     // it sends a file
	Quiet  bool                     // its button is not the page's main one
	tell   func(text string) reason // what the API refused, in the reader's language
}

// field is one thing to fill in. Its name is that of the API's field, so that a fault is shown where it belongs.
type field struct {
	Name     string
	Kind     string // text, url, email, number, date, datetime-local, file, select, radio, checks, check, area, list
	Value    string
	Chosen   []string // of checks
	Options  []option // of select, radio, checks and list
	Required bool
	Max      int // characters; 0 for no limit here
	Label    string
	Hint     string
	Faults   []reason
}

// option is one choice.
type option struct{ Value, Text, Hint string }

// act is a button, or a step that asks before: the name starts its texts, the rest is what it sends.
type act struct {
	Name   string
	Hidden map[string]string
}

// actOf takes the act's name, the value that the page tells acts apart by, and pairs of what else it sends.
func actOf(name, does string, pairs ...any) act {
	a := act{Name: name, Hidden: map[string]string{"act": does}}
	for i := 0; i+1 < len(pairs); i += 2 {
		a.Hidden[fmt.Sprint(pairs[i])] = fmt.Sprint(pairs[i+1])
	}
	return a
}

// head is what the pages of management begin with.
type head struct {
	Kicker, Heading string
	Views           []link
}

// ID is the field's in the page.
func (f form) ID(field string) string { return f.Name + f.Suffix + "-" + field }

// State is what a field's element says beside its value.
func (f form) State(one field) template.HTMLAttr {
	var state []string
	if one.Required {
		state = append(state, "required")
	}
	if len(one.Faults) > 0 {
		state = append(state, `aria-invalid="true"`)
	}
	if one.Hint != "" || len(one.Faults) > 0 {
		state = append(state, `aria-describedby="`+f.ID(one.Name)+`-note"`)
	}
	return template.HTMLAttr(strings.Join(state, " ")) // #nosec G203 -- our own names, nothing that was typed
}

// Has tells whether the option is chosen.
func (f field) Has(value string) bool {
	if f.Kind == "checks" {
		return slices.Contains(f.Chosen, value)
	}
	return f.Value == value
}

// form fills in a form's texts. It does what the page tells its acts apart by.
func (v *visit) form(name, does string, fields ...field) *form {
	f := &form{Name: name, Fields: fields, Hidden: map[string]string{"act": does}, tell: v.refusal}
	for i := range f.Fields {
		one := &f.Fields[i]
		key := name + "." + one.Name
		if one.Label == "" {
			one.Label = v.speech.text(key)
		}
		if hint := v.speech.text(key + ".hint"); one.Hint == "" && hint != key+".hint" {
			one.Hint = hint
		}
		f.File = f.File || one.Kind == "file"
	}
	return f
}

// typed puts what this request sent into the fields, as it was typed.
func (f *form) typed(posted url.Values) *form {
	for i := range f.Fields {
		one := &f.Fields[i]
		switch one.Kind {
		case "checks":
			one.Chosen = posted[one.Name]
		case "file":
		default:
			one.Value = strings.TrimSpace(posted.Get(one.Name))
		}
	}
	return f
}

// blame puts what the API refused at the fields, and tells whether the form is to be shown again for it. What is no
// fault of who typed is not for a form.
func (f *form) blame(err error) bool {
	problem, is := asProblem(err)
	if !is {
		return false
	}
	switch problem.Status {
	case http.StatusBadRequest, http.StatusForbidden, http.StatusConflict, http.StatusPreconditionFailed, http.StatusUnprocessableEntity,
		http.StatusRequestEntityTooLarge:
	default:
		return false
	}
	for _, fault := range problem.Faults {
		name, inner, _ := strings.Cut(strings.TrimPrefix(fault.Pointer, "/"), "/")
		if name == "" {
			name = fault.Parameter
		}
		said := f.tell(fault.Detail)
		i := slices.IndexFunc(f.Fields, func(one field) bool { return one.Name == name })
		if i < 0 {
			f.Faults = append(f.Faults, said)
			continue
		}
		if f.Fields[i].Kind == "area" && inner != "" { // the name of one of its lines
			said.Text = unescapePointer.Replace(inner) + ": " + said.Text
		}
		f.Fields[i].Faults = append(f.Fields[i].Faults, said)
	}
	if len(problem.Faults) == 0 {
		f.Faults = append(f.Faults, f.tell(problem.Detail))
	}
	return true
}

var unescapePointer = strings.NewReplacer("~1", "/", "~0", "~")

// fault marks a field.
func (f *form) fault(name, words string) {
	for i := range f.Fields {
		if f.Fields[i].Name == name {
			f.Fields[i].Faults = []reason{{Text: words}}
		}
	}
}

// Faulty tells whether anything is wrong.
func (f *form) Faulty() bool {
	return len(f.Faults) > 0 || slices.ContainsFunc(f.Fields, func(one field) bool { return len(one.Faults) > 0 })
}

// posted is what the request's form holds.
func (v *visit) posted(name string) string { return strings.TrimSpace(v.r.PostFormValue(name)) }

// chosen gives those of the posted values that are there.
func (v *visit) chosen(name string) []string {
	_ = v.r.PostFormValue(name) // reads the form
	return v.r.PostForm[name]
}

// sent is a pointer to a posted value, for an API that takes what is nil for unchanged.
func (v *visit) sent(name string) *string {
	text := v.posted(name)
	return &text
}

// statusOf is that of a page with a form.
func statusOf(f *form) int {
	if f.Faulty() {
		return http.StatusUnprocessableEntity
	}
	return http.StatusOK
}

// What a session holds for the page after the next redirect: a message's key, and what the API said.
const (
	sessionDone    = "done"
	sessionRefused = "refused"
)

// done goes on to a page that says once what was done; the key is that of a message.
func (v *visit) done(key, path string) error {
	v.s.sessions.Put(v.ctx, sessionDone, key)
	v.redirect(path, nil)
	return nil
}

// said is what the request before did, for the page that follows it.
func (v *visit) said() string {
	if key := v.s.sessions.PopString(v.ctx, sessionDone); key != "" {
		return v.speech.text(key)
	}
	return ""
}

// refused says once, on the page that follows, why something that has no fields was not done.
func (v *visit) refused(err error, path string) error {
	problem, is := asProblem(err)
	if !is || problem.Status != http.StatusConflict && problem.Status != http.StatusForbidden && problem.Status != http.StatusPreconditionFailed &&
		problem.Status != http.StatusUnprocessableEntity {
		return err
	}
	text := problem.Detail
	if len(problem.Faults) > 0 {
		text = problem.Faults[0].Detail // it says more
	}
	v.s.sessions.Put(v.ctx, sessionRefused, text)
	v.redirect(path, nil)
	return nil
}
