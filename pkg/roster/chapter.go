package roster

import (
	"time"

	"github.com/dealreg/dealreg/pkg/deal"
)

// Chapter is a part of one association: a country, or a city below it.
type Chapter struct {
	ID            deal.ID   `json:"id"`
	AssociationID deal.ID   `json:"association_id"`
	Name          string    `json:"name"`               // 1-200 characters
	Country       string    `json:"country,omitempty"`  // ISO 3166-1 alpha-2
	ParentID      deal.ID   `json:"parent_id,omitzero"` // zero: directly below the association
	CreatedAt     time.Time `json:"created_at"`

	Revision uint64 `json:"-"`
}

// Clean is the chapter as it is stored.
func (c Chapter) Clean() Chapter {
	c.Name = CleanName(c.Name)
	return c
}

// Validate names every fault of a cleaned chapter. It asks find for the chapters above it, which must belong to the
// same association and must not lead back to it.
func (c Chapter) Validate(find func(deal.ID) (Chapter, bool)) deal.Invalid {
	var faults deal.Invalid
	checkName(&faults, "/name", c.Name, 200)
	if fault := CountryFault(c.Country); c.Country != "" && fault != "" {
		faults.Add("/country", fault)
	}
	seen := map[deal.ID]bool{c.ID: true}
	for parent := c.ParentID; !parent.IsZero(); {
		if seen[parent] {
			faults.Add("/parent_id", "the chapters would form a circle: name a chapter that is not below this one")
			break
		}
		seen[parent] = true
		above, ok := find(parent)
		if !ok || above.AssociationID != c.AssociationID {
			faults.Add("/parent_id", "no chapter of this association: name one that GET .../chapters lists, or leave it out")
			break
		}
		parent = above.ParentID
	}
	return faults
}
