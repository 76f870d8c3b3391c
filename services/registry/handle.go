package registry

import (
	"net/http"
	"slices"

	"github.com/danielgtaylor/huma/v2"

	"github.com/dealreg/dealreg/pkg/deal"
	"github.com/dealreg/dealreg/pkg/httpapi"
)

// dealRoute is the route of one deal.
const dealRoute = "/v1/deals/{id}"

// Routes registers the operations on deals.
func (s *Service) Routes(api huma.API) {
	huma.Register(api, operation(http.MethodPost, "/v1/deals", "register-deal", "Register a joint deal", http.StatusCreated,
		http.StatusForbidden, http.StatusConflict), s.register)
	list := operation(http.MethodGet, "/v1/deals", "list-deals", "List deals, the newest change first", 0, http.StatusNotFound)
	list.Description = aboutList
	huma.Register(api, list, s.list)
	huma.Register(api, operation(http.MethodGet, "/v1/deals/counts", "count-deals", "Count a company's or an association's deals by where they stand", 0),
		s.counts)
	huma.Register(api, withGuests(operation(http.MethodGet, dealRoute, "get-deal", "Read a deal", 0)), s.get)
	huma.Register(api, withGuests(operation(http.MethodGet, dealRoute+"/events", "list-deal-events", "Read a deal's history", 0)), s.events)
	huma.Register(api, operation(http.MethodPatch, dealRoute, "edit-deal", "Change a deal's description, or its terms while it is pending or active", 0,
		http.StatusConflict), s.patch)

	onMove[Bare](api, s, deal.Accept, "Accept to be a party")
	onMove[Why](api, s, deal.Decline, "Decline to be a party")
	onMove[MaybeWhy](api, s, deal.Withdraw, "Withdraw a deal that your company registered")
	onMove[Why](api, s, deal.Lose, "Say that the customer was not won")
	onMove[Figures](api, s, deal.Propose, "Propose the final figures; this attests them for your company")
	onMove[Bare](api, s, deal.Attest, "Attest the proposed figures")
	onMove[Why](api, s, deal.Refuse, "Refuse the proposed figures")
	onMove[Figures](api, s, deal.Correct, "Propose other figures for a won deal; this attests them for your company")
	onMove[Why](api, s, deal.Annul, "Agree that a won deal be void")
	onMove[Why](api, s, deal.Dispute, "Stop a deal until a question is settled (registrar)")
	onMove[Bare](api, s, deal.Settle, "Let a disputed deal go on (registrar)")
	onMove[Exclusion](api, s, deal.Exclude, "Take a won deal out of your association's figures (registrar)")

	s.linkRoutes(api)
	s.imports.Routes(api)
	s.conflicts.routes(api)
	readLog := operation(http.MethodGet, "/v1/log", "read-log", "Read the log of deals as it is stored, to audit it", 0, http.StatusNotFound)
	readLog.Tags = []string{"Audit"}
	readLog.Responses = httpapi.Streamed(LogType, "Messages of the type LogEntry of proto/dealreg/v1, each behind its length as a varint. "+
		"An answer that breaks off is no answer.", nil)
	huma.Register(api, readLog, s.readLog)
	s.lookRoutes(api)
}

func onMove[B any, P interface {
	*B
	moveBody
}](api huma.API, s *Service, m deal.Move, summary string) {
	path := dealRoute + "/" + string(m)
	o := operation(http.MethodPost, path, string(m)+"-deal", summary, http.StatusOK, http.StatusConflict)
	if slices.Contains(guestMoves, m) {
		o = withGuests(o)
	}
	huma.Register(api, o, move[B, P](s, m))
}

// withGuests opens the operation to guests, on their one deal.
func withGuests(o huma.Operation) huma.Operation {
	o.Metadata = httpapi.ForGuests
	return o
}

// operation describes one; problems are the statuses of those that do not follow from what it is.
func operation(method, path, id, summary string, status int, problems ...int) huma.Operation {
	return huma.Operation{
		Method: method, Path: path, OperationID: id, Summary: summary, DefaultStatus: status, Tags: []string{"Deals"}, Errors: problems,
	}
}
