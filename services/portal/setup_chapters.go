package portal

import (
	"cmp"
	"net/http"
	"slices"
	"strings"

	"github.com/dealreg/dealreg/pkg/deal"
	"github.com/dealreg/dealreg/services/portal/api"
)

// chaptersSetup is the page on which the chapters of an association are made.
type chaptersSetup struct {
	head
	Chapters []chapterLine
	New      *form
}

// chapterLine is a chapter in the tree.
type chapterLine struct {
	api.Chapter
	Depth int // 0 directly below the association
}

// chaptersPage shows the tree and makes a chapter.
func (s *Service) chaptersPage(v *visit) error {
	a, err := v.managed()
	if err != nil {
		return err
	}
	view := &chaptersSetup{head: head{Kicker: a.Name, Heading: v.speech.text("chapters.setup"), Views: v.setupViews(a.ID, pageChapters)}}
	chapters, err := v.api.Chapters(v.ctx, a.ID)
	if err != nil {
		return err
	}
	view.Chapters = tree(chapters)
	view.New = v.chapterForm(view.Chapters)
	if v.r.Method == http.MethodPost {
		err := v.api.CreateChapter(v.ctx, a.ID, api.ChapterInput{Name: v.posted("name"), Country: v.posted("country"), ParentID: v.posted("parent_id")})
		if err == nil {
			return v.done("setup.done.chapter", v.r.URL.Path)
		}
		if !view.New.typed(v.r.PostForm).blame(err) {
			return err
		}
	}
	v.render(statusOf(view.New), "setup_chapters", view.Heading, v.nav(a.ID, "", viewSetup), view)
	return nil
}

func (v *visit) chapterForm(chapters []chapterLine) *form {
	return v.form(
		"chapter", "create",
		field{Name: "name", Kind: "text", Required: true, Max: 200},
		field{Name: "country", Kind: "select", Options: v.countryOptions(true)},
		field{Name: "parent_id", Kind: "select", Options: v.chapterOptions(chapters, "chapter.parent_id.none")},
	)
}

// chapterOptions are the chapters to choose from; the message stands for none.
func (v *visit) chapterOptions(chapters []chapterLine, none string) []option {
	options := []option{{Text: v.speech.text(none)}}
	for _, c := range chapters {
		options = append(options, option{Value: c.ID.String(), Text: strings.Repeat("\u2003", c.Depth) + c.Name})
	}
	return options
}

func (v *visit) countryOptions(none bool) []option {
	var options []option
	if none {
		options = append(options, option{Text: v.speech.text("form.none")})
	}
	for _, c := range v.speech.countries() {
		options = append(options, option{Value: c.Code, Text: c.Name})
	}
	return options
}

// tree puts each chapter behind the one above it, by name.
func tree(chapters []api.Chapter) []chapterLine {
	below := map[deal.ID][]api.Chapter{}
	for _, c := range chapters {
		below[c.ParentID] = append(below[c.ParentID], c)
	}
	var lines []chapterLine
	var walk func(parent deal.ID, depth int)
	walk = func(parent deal.ID, depth int) {
		here := below[parent]
		slices.SortFunc(here, func(a, b api.Chapter) int { return cmp.Compare(a.Name, b.Name) })
		for _, c := range here {
			lines = append(lines, chapterLine{c, depth})
			walk(c.ID, depth+1)
		}
	}
	walk(deal.ID{}, 0)
	return lines
}
