package stream_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strconv"
	"testing"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/dealreg/dealreg/pkg/deal"
	"github.com/dealreg/dealreg/pkg/stream"
	"github.com/dealreg/dealreg/pkg/volume"
	dealregv1 "github.com/dealreg/dealreg/proto/dealreg/v1"
)

// The words of the domain, as the tests know them. TestEnums_MapEveryWordAndEveryNumber finds what is missing here.
var (
	eventTypes = []deal.EventType{
		deal.EventRegistered, deal.EventAccepted, deal.EventActivated, deal.EventDeclined, deal.EventExpired, deal.EventWithdrawn,
		deal.EventLost, deal.EventClosing, deal.EventAttested, deal.EventRefused, deal.EventWon, deal.EventCorrected, deal.EventVoided,
		deal.EventDisputed, deal.EventSettled, deal.EventTermsChanged, deal.EventRestated, deal.EventExcluded, deal.EventEdited,
		deal.EventVoidProposed,
	}
	statuses = []deal.Status{
		deal.New, deal.Pending, deal.Active, deal.Closing, deal.Won, deal.Declined, deal.Expired, deal.Withdrawn, deal.Lost,
		deal.Void, deal.Disputed,
	}
	partyRoles = []deal.PartyRole{deal.Lead, deal.Delivery, deal.Reseller, deal.Vendor, deal.Advisor, deal.Other}
	evidences  = []deal.Evidence{"", deal.ByParties, deal.ByRegistrar}
	withhelds  = []volume.Withheld{volume.Nothing, volume.Unconverted, volume.Duplicate}
)

func TestEnums_MapEveryWordAndEveryNumber(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		folder, typeName string
		contract         protoreflect.EnumDescriptor
		field            func(e *stream.Event) *string
	}{
		{"../deal", "EventType", dealregv1.EventType(0).Descriptor(), func(e *stream.Event) *string { return (*string)(&e.Type) }},
		{"../deal", "EventType", dealregv1.EventType(0).Descriptor(), func(e *stream.Event) *string { return (*string)(&e.Includes[0]) }},
		{"../deal", "Status", dealregv1.Status(0).Descriptor(), func(e *stream.Event) *string { return (*string)(&e.Deal.Status) }},
		{"../deal", "Status", dealregv1.Status(0).Descriptor(), func(e *stream.Event) *string { return (*string)(&e.Deal.DisputedFrom) }},
		{"../deal", "PartyRole", dealregv1.PartyRole(0).Descriptor(), func(e *stream.Event) *string { return (*string)(&e.Deal.Parties[0].Role) }},
		{"../deal", "Evidence", dealregv1.Evidence(0).Descriptor(), func(e *stream.Event) *string { return (*string)(&e.Deal.Evidence) }},
		{"../deal", "Evidence", dealregv1.Evidence(0).Descriptor(), func(e *stream.Event) *string { return (*string)(&e.Attributions[0].Evidence) }},
		{"../volume", "Withheld", dealregv1.Withheld(0).Descriptor(), func(e *stream.Event) *string { return (*string)(&e.Attributions[0].Withheld) }},
	} {
		words := slices.DeleteFunc(constants(t, c.folder, c.typeName), func(word string) bool { return word == "" })
		if numbers := c.contract.Values().Len() - 1; len(words) != numbers {
			t.Errorf("%s has %d numbers beside 0 for the words %q", c.contract.Name(), numbers, words)
		}
		for _, word := range words {
			e := example()
			*c.field(&e) = word
			got := decode(t, encode(t, e))
			if read := *c.field(&got); read != word {
				t.Errorf("%s: %q comes back as %q", c.contract.Name(), word, read)
			}
		}
	}
}

// constants reads the values of the constants of a type from the source of a package.
func constants(t *testing.T, folder, typeName string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(folder, "*.go"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no source in %s: %v", folder, err)
	}
	var values []string
	for _, path := range files {
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			spec, ok := n.(*ast.ValueSpec)
			if !ok || len(spec.Values) != 1 {
				return true
			}
			name, ok := spec.Type.(*ast.Ident)
			literal, isLiteral := spec.Values[0].(*ast.BasicLit)
			if !ok || !isLiteral || name.Name != typeName {
				return true
			}
			value, err := strconv.Unquote(literal.Value)
			if err != nil {
				t.Fatal(err)
			}
			values = append(values, value)
			return true
		})
	}
	return values
}
