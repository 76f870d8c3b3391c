package webhook_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strconv"
	"testing"

	"github.com/dealreg/dealreg/pkg/deal"
	"github.com/dealreg/dealreg/pkg/webhook"
)

// eventTypesOfDeals reads from the source of pkg/deal every constant of type EventType.
func eventTypesOfDeals(t *testing.T) []deal.EventType {
	t.Helper()
	files, err := filepath.Glob("../deal/*.go")
	if err != nil {
		t.Fatal(err)
	}
	var types []deal.EventType
	for _, name := range files {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			spec, is := n.(*ast.ValueSpec)
			if !is {
				return true
			}
			if of, is := spec.Type.(*ast.Ident); is && of.Name == "EventType" {
				for _, value := range spec.Values {
					text, err := strconv.Unquote(value.(*ast.BasicLit).Value)
					if err != nil {
						t.Fatal(err)
					}
					types = append(types, deal.EventType(text))
				}
			}
			return true
		})
	}
	if len(types) < 20 {
		t.Fatalf("only %d types of event were found in pkg/deal", len(types))
	}
	return types
}

func TestTypes_HoldEveryEventOfADealOnce(t *testing.T) {
	t.Parallel()
	var names []string
	for _, e := range webhook.Types() {
		names = append(names, e.Type)
		if e.Description == "" {
			t.Errorf("%s is not described", e.Type)
		}
	}
	var want []string
	for _, e := range eventTypesOfDeals(t) {
		want = append(want, webhook.DealType(e))
	}
	want = append(want, webhook.ConflictFlagged, webhook.StatementPublished, webhook.EndpointDisabled, webhook.EndpointTest)
	slices.Sort(names)
	slices.Sort(want)
	if !slices.Equal(names, want) {
		t.Errorf("the catalogue has %v, and there are %v", names, want)
	}
}

func TestMatches_TakesTypesGroupsAndAll(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		patterns      []string
		valid         bool
		takes, leaves []string
	}{
		{[]string{"*"}, true, []string{"dealreg.deal.won", "dealreg.statement.published", "dealreg.later.thing"}, nil},
		{[]string{"dealreg.deal.*"}, true, []string{"dealreg.deal.won", "dealreg.deal.later"}, []string{"dealreg.conflict.flagged", "dealreg.deal", "dealreg.dealer.won"}},
		{[]string{"dealreg.deal.won", "dealreg.statement.*"}, true, []string{"dealreg.deal.won", "dealreg.statement.published"}, []string{"dealreg.deal.lost", "dealreg.deal.won.more"}},
		{[]string{"dealreg.*"}, true, []string{"dealreg.deal.won"}, nil},
		{nil, true, nil, []string{"dealreg.deal.won"}},
		{[]string{"dealreg.deal.w*"}, false, nil, []string{"dealreg.deal.won"}},
		{[]string{"*.won"}, false, nil, []string{"dealreg.deal.won"}},
		{[]string{"**"}, false, nil, []string{"dealreg.deal.won"}},
		{[]string{""}, false, nil, []string{"dealreg.deal.won"}},
		{[]string{"dealreg.deal.won", "dealreg.deal.one"}, false, nil, []string{"dealreg.deal.lost"}},
		{[]string{"dealreg.later.*"}, false, nil, []string{"dealreg.deal.won"}},
		{[]string{"DEALREG.deal.won"}, false, nil, []string{"dealreg.deal.won"}},
	} {
		if err := webhook.CheckPatterns(c.patterns); c.valid != (err == nil) {
			t.Errorf("%v: %v", c.patterns, err)
		}
		for _, name := range c.takes {
			if !webhook.Matches(c.patterns, name) {
				t.Errorf("%v does not take %s", c.patterns, name)
			}
		}
		for _, name := range c.leaves {
			if webhook.Matches(c.patterns, name) {
				t.Errorf("%v takes %s", c.patterns, name)
			}
		}
	}
}
