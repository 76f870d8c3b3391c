package portal

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"

	"github.com/dealreg/dealreg/pkg/deal"
	"github.com/dealreg/dealreg/services/portal/api"
)

const (
	viewDesk    = "desk"
	mostOnDesk  = 10 // deals of each list
	mostInQueue = 50 // of a list on its own page
)

// queues are the registrar's lists: what each asks the API for.
var queues = []struct {
	name  string
	query url.Values
}{
	{"disputed", url.Values{"status": {"disputed"}}},
	{"flagged", url.Values{"flagged": {"true"}}},
	{"unconverted", url.Values{"unconverted": {"true"}}},
	{"closing", url.Values{"status": {"closing"}}},
	{"pending", url.Values{"status": {"pending"}}},
}

// deskView is a registrar's page.
type deskView struct {
	Association api.Association
	Queues      []queue
	Only        string // the one list that is shown; empty for all
	Unread      int64
	AsOf        uint64
}

type queue struct {
	Name  string
	Deals []dealLine
	More  string // the address of what does not fit
}

func (s *Service) desk(v *visit) error {
	id, err := deal.ParseID(v.r.PathValue("association"))
	if err != nil || v.person.Role != roleRegistrar && v.person.Role != roleOperator {
		return errNotFound
	}
	d := &deskView{Only: v.r.URL.Query().Get("list")}
	if d.Association, err = v.api.Association(v.ctx, id); err != nil {
		return err
	}
	total, err := v.api.Volume(v.ctx, id, api.Cut{Year: v.currentYear(d.Association), By: "total"})
	if err != nil {
		return err
	}
	d.Unread, d.AsOf = int64(total.QuarantinedEvents), total.AsOfSequence // #nosec G115 -- a count
	known := map[deal.ID]string{}
	for _, q := range queues {
		if d.Only != "" && d.Only != q.name {
			continue
		}
		listed, err := v.queue(id, q.name, q.query, d.Only != "", known)
		if err != nil {
			return err
		}
		d.Queues = append(d.Queues, listed)
	}
	if len(d.Queues) == 0 {
		return errNotFound
	}
	title := v.speech.text("desk.title") + " \u2013 " + d.Association.Name
	v.render(http.StatusOK, "desk", title, v.nav(id, "", viewDesk), d)
	return nil
}

// queue reads one list: its beginning, or a page of it.
func (v *visit) queue(association deal.ID, name string, asked url.Values, whole bool, known map[deal.ID]string) (queue, error) {
	query := url.Values{"association": {association.String()}, "limit": {strconv.Itoa(mostOnDesk)}}
	for key, values := range asked {
		query[key] = slices.Clone(values)
	}
	if whole {
		query.Set("limit", strconv.Itoa(mostInQueue))
		if cursor := v.r.URL.Query().Get("cursor"); cursor != "" {
			query.Set("cursor", cursor)
		}
	}
	page, err := v.api.Deals(v.ctx, query)
	if err != nil {
		return queue{}, err
	}
	if err := v.nameCompanies(known, page.Items); err != nil {
		return queue{}, err
	}
	q := queue{Name: name, Deals: lines(page.Items, known, deal.ID{})}
	if page.NextCursor != "" {
		more := url.Values{"list": {name}}
		if whole {
			more.Set("cursor", page.NextCursor)
		}
		q.More = v.r.URL.Path + "?" + more.Encode()
	}
	return q, nil
}
