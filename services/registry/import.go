package registry

import (
	"github.com/dealreg/dealreg/pkg/deal"
	"github.com/dealreg/dealreg/pkg/stream"
	"github.com/dealreg/dealreg/services/registry/imports"
)

func newImporter(s *Service) *imports.Importer {
	return imports.New(imports.Config{
		Log: s.cfg.Log, JS: s.js, Deals: s.log, Roster: s.cfg.Roster, Store: s.cfg.Store, Now: s.cfg.Now,
		CheckOpen: s.checkOpen, Today: s.today, MayRegister: s.mayRegister, Draft: s.draftImported,
	})
}

// draftImported is the first event of a deal that a file brings. Its external reference names it among its owner's.
func (s *Service) draftImported(owner deal.ID, c deal.Command) (stream.Draft, error) {
	hash, err := requestHash(deal.Import, struct {
		Details deal.Details
		Terms   deal.Terms
	}{*c.Details, *c.Terms})
	if err != nil {
		return stream.Draft{}, err
	}
	c.Deal = dealID(owner, c.Details.ExternalRef, "")
	event, err := s.eventOf(deal.Deal{}, c)
	if err != nil {
		return stream.Draft{}, err
	}
	return stream.NewDraft(voucher(s.cfg.Roster, event, nil, stream.Command{ID: "import:" + c.Details.ExternalRef, RequestHash: hash}), nil)
}
