package portal

import (
	"embed"
	"html/template"
	"io/fs"
	"path"
	"strings"
)

//go:embed templates/*.html
var templateFiles embed.FS

// parsePages reads each page with what they share: the files whose names begin with an underscore.
func parsePages(s *speech) (map[string]*template.Template, error) {
	shared, err := template.New("").Funcs(s.funcs()).Funcs(pageFuncs()).ParseFS(templateFiles, "templates/_*.html")
	if err != nil {
		return nil, err
	}
	files, err := fs.Glob(templateFiles, "templates/[a-z]*.html")
	if err != nil {
		return nil, err
	}
	pages := map[string]*template.Template{}
	for _, file := range files {
		p, err := shared.Clone()
		if err != nil {
			return nil, err
		}
		if _, err := p.ParseFS(templateFiles, file); err != nil {
			return nil, err
		}
		pages[strings.TrimSuffix(path.Base(file), ".html")] = p
	}
	return pages, nil
}
