package volume

import "github.com/dealreg/dealreg/pkg/deal"

// WithholdDuplicates empties the attributions in the claimed associations, those in which a deal counts already that
// this one seems to repeat. The others stay: an association's figures do not depend on what counts in another one.
func WithholdDuplicates(attributions []Attribution, claimed map[deal.ID]bool) []Attribution {
	result := make([]Attribution, len(attributions))
	for i, a := range attributions {
		if claimed[a.Association] {
			a.AmountMinor, a.Chapters, a.Pairs, a.Quote, a.Withheld = 0, nil, nil, nil, Duplicate
		}
		result[i] = a
	}
	return result
}
