package portal

import (
	_ "embed"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/dealreg/dealreg/pkg/webhook"
)

// apiSources are the folders whose code says what is wrong with what people send in forms.
var apiSources = []string{
	"../registry", "../registry/imports", "../directory", "../reports", "../webhooks",
	"../../pkg/calendar", "../../pkg/deal", "../../pkg/dealcsv", "../../pkg/httpapi", "../../pkg/money", "../../pkg/roster", "../../pkg/webhook",
}

// apiTexts is what the API's sources say. What a sentence is given stands in it as {x}.
type apiTexts struct {
	refusals map[string]bool // what refuses a request
	texts    map[string]bool // every text in the sources
}

func spokenByTheAPI(t *testing.T) apiTexts {
	t.Helper()
	said := apiTexts{map[string]bool{}, map[string]bool{}}
	for _, folder := range apiSources {
		files, err := filepath.Glob(folder + "/*.go")
		if err != nil || len(files) == 0 {
			t.Fatal(folder, err)
		}
		p := sources{constants: map[string]ast.Expr{}, said: said}
		var trees []*ast.File
		for _, name := range files {
			if strings.HasSuffix(name, "_test.go") {
				continue
			}
			text, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			tree, err := parser.ParseFile(token.NewFileSet(), name, text, parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			trees = append(trees, tree)
			ast.Inspect(tree, p.learn)
		}
		for _, tree := range trees {
			ast.Inspect(tree, p.listen)
		}
	}
	return said
}

// sources reads one package.
type sources struct {
	constants map[string]ast.Expr
	said      apiTexts
}

func (p *sources) learn(n ast.Node) bool {
	if v, is := n.(*ast.ValueSpec); is && len(v.Values) == len(v.Names) {
		for i, name := range v.Names {
			p.constants[name.Name] = v.Values[i]
		}
	}
	return true
}

// refusing gives the place of the argument with which a function of the name refuses.
var refusing = map[string]int{"Conflict": 0, "Forbidden": 0, "NotFoundBecause": 0, "Add": 1, "InvalidParameter": 1, "NewProblem": 1}

func (p *sources) listen(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.CallExpr:
		name := ""
		switch f := n.Fun.(type) {
		case *ast.SelectorExpr:
			name = f.Sel.Name
		case *ast.Ident:
			name = f.Name
		}
		if at, is := refusing[name]; is && at < len(n.Args) {
			p.refuses(n.Args[at])
		}
	case *ast.KeyValueExpr:
		if key, is := n.Key.(*ast.Ident); is && (key.Name == "Message" || key.Name == "Detail") {
			p.refuses(n.Value)
		}
	case *ast.AssignStmt:
		for i, left := range n.Lhs {
			if to, is := left.(*ast.SelectorExpr); is && strings.HasPrefix(to.Sel.Name, "MsgExpected") {
				p.refuses(n.Rhs[i])
			}
		}
	case ast.Expr:
		p.said.texts[p.read(n)] = true
	}
	return true
}

func (p *sources) refuses(e ast.Expr) {
	if text := p.read(e); strings.Trim(text, "{x}:; ") != "" {
		p.said.refusals[text] = true
	}
}

var verbs = regexp.MustCompile(`%[a-z]`)

// read gives a text as far as it is known before the program runs.
func (p *sources) read(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.BasicLit:
		if text, err := strconv.Unquote(e.Value); err == nil {
			return verbs.ReplaceAllString(strings.ReplaceAll(text, "%.0s", ""), "{x}")
		}
	case *ast.BinaryExpr:
		return p.read(e.X) + p.read(e.Y)
	case *ast.Ident:
		if constant, is := p.constants[e.Name].(*ast.BasicLit); is {
			return p.read(constant)
		}
	case *ast.CallExpr:
		if f, is := e.Fun.(*ast.SelectorExpr); is && f.Sel.Name == "Sprintf" {
			return p.read(e.Args[0])
		}
	}
	return "{x}"
}

// partsOf cuts a sentence where the API may put it together.
var partsOf = regexp.MustCompile(`\{[a-z]+\}|: |write it as |at least 1 `)

func TestAPIWords_AreWhatTheAPISays(t *testing.T) {
	t.Parallel()
	said := spokenByTheAPI(t)
	all := strings.Join(slices.Collect(maps.Keys(said.texts)), "\n") + "\n" + strings.Join(slices.Collect(maps.Keys(said.refusals)), "\n")
	words, err := readAPIWords()
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range words {
		for _, part := range partsOf.Split(row.said, -1) {
			if !strings.Contains(all, part) {
				t.Errorf("the API does not say %q of %q", part, row.said)
			}
		}
		for _, code := range languages {
			if row.told[code] == "" {
				t.Errorf("%q is not told in %s", row.said, code)
			}
			for _, place := range placesIn.FindAllString(row.told[code], -1) {
				if !strings.Contains(row.said, place) {
					t.Errorf("%s: %q has the place %s, which the API does not fill", code, row.told[code], place)
				}
			}
		}
	}
}

func TestAPIWords_TellEveryRefusalThatAPageCanShow(t *testing.T) {
	t.Parallel()
	v := visitIn(t, "de")
	unmet := map[string]bool{}
	for line := range strings.Lines(unmetOnPages) {
		unmet[strings.TrimSuffix(line, "\n")] = true
	}
	for text := range spokenByTheAPI(t).refusals {
		if told := v.reason(text); told.known == unmet[text] {
			t.Errorf("%q: told %v, said to be met on no page %v", text, told.known, unmet[text])
		}
		delete(unmet, text)
	}
	for text := range unmet {
		t.Errorf("the API does not say %q any more", text)
	}
	for _, kind := range webhook.Types() {
		if v.reason(kind.Description).Foreign {
			t.Errorf("not told in German: %s", kind.Description)
		}
	}
}

// unmetOnPages are the refusals of what no page sends, or that a page says in words of its own.
//
//go:embed testdata/unmet.txt
var unmetOnPages string
