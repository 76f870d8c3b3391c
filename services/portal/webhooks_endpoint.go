package portal

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/dealreg/dealreg/pkg/deal"
	"github.com/dealreg/dealreg/services/portal/api"
)

const mostAttempts = "25" // on one page

// endpointView is one endpoint with its log.
type endpointView struct {
	head
	ID       deal.ID
	Endpoint endpointLine
	Zone     *time.Location
	Test     *api.TestResult // of the button that was just pressed
	Failure  *api.Attempt    // the last one
	LogAway  bool            // the log cannot be read now
	Missed   *time.Time      // it was enabled just now: when it was disabled
	Replay   *api.Replay     // that was started from here, or several as one
	Look     string          // where it is looked at again
	Attempts []api.Attempt
	Filter   url.Values
	Outcomes []string
	Next     string
	Later    bool // this is not the first page
	Base     string

	Tell                   func(words string) reason // what came of an attempt
	Change, Range, Recover *form
	Acts, Asked            []act // done at once, and after a question
}

// Again is the button that sends one event once more.
func (e endpointView) Again(event string) act {
	return actOf("webhooks.again", "again", "event", event)
}

// SendMissed is the button that sends what happened, and what failed, since the endpoint was disabled.
func (e endpointView) SendMissed() act { return actOf("webhooks.missed", "missed") }

// outcomes are what the log may be searched for: the verdicts, then the ways to fail.
var outcomes = []string{
	"delivered", "retrying", "failed", "redirected", "gone", "rate_limited", "client_error", "server_error", "bad_answer", "timed_out",
	"connection_refused", "connection_lost", "unreachable", "certificate_invalid", "tls_failed", "name_not_found", "address_not_allowed", "canceled",
	"not_signed", "not_tried", "endpoint_disabled",
}

// endpoint shows an endpoint and does what its buttons say.
func (s *Service) endpoint(v *visit) error {
	id, err := deal.ParseID(v.r.PathValue("endpoint"))
	if err != nil || !slices.Contains(managesWebhooks, v.person.Role) {
		return errNotFound
	}
	e, tag, err := v.api.Endpoint(v.ctx, id)
	if err != nil {
		return err
	}
	view := &endpointView{ID: id, Base: webhooksPath + "/" + id.String(), Zone: v.zone(), Outcomes: outcomes, Tell: v.refusal}
	types, err := v.api.EventTypes(v.ctx)
	if err != nil {
		return err
	}
	view.Change = v.endpointForm("endpoint.change", "change", types, e, false)
	since, failedSince := "", s.cfg.Now().In(v.zone()).AddDate(0, 0, -7).Format(typedTime)
	if v.r.URL.Query().Has("missed") && e.Enabled && e.DisabledAt != nil {
		view.Missed = e.DisabledAt
		since = e.DisabledAt.In(v.zone()).Format(typedTime)
		failedSince = since
	}
	view.Range = v.form("webhooks.replay", "replay",
		field{Name: "since", Kind: "datetime-local", Required: true, Value: since}, field{Name: "until", Kind: "datetime-local"})
	view.Recover = v.form("webhooks.recover", "recover", field{Name: "failed_since", Kind: "datetime-local", Required: true, Value: failedSince})
	view.Change.Quiet, view.Range.Quiet, view.Recover.Quiet = true, true, true
	if v.r.Method == http.MethodPost {
		if answered, err := v.actOnEndpoint(view, e, tag); answered || err != nil {
			return err
		}
	}
	return v.showEndpoint(view, e)
}

// actOnEndpoint does what a button says; answered tells that the answer is on its way.
func (v *visit) actOnEndpoint(view *endpointView, e api.Endpoint, tag string) (answered bool, err error) {
	switch does := v.posted("act"); does {
	case "test":
		result, err := v.api.TestEndpoint(v.ctx, e.ID)
		view.Test = &result
		return false, err
	case "rotate":
		made, err := v.api.RotateSecret(v.ctx, e.ID)
		if err != nil {
			return true, v.refused(err, view.Base)
		}
		return true, v.showSecret(made, "webhooks.rotated")
	case "enable", "try":
		if err := v.api.EnableEndpoint(v.ctx, e.ID); err != nil {
			return true, v.refused(err, view.Base)
		}
		next := view.Base
		if does == "enable" {
			next += "?missed=true"
		}
		return true, v.done("webhooks.done.enabled", next)
	case "disable":
		if err := v.api.DisableEndpoint(v.ctx, e.ID, tag); err != nil {
			return true, v.refused(err, view.Base)
		}
		return true, v.done("webhooks.done.disabled", view.Base)
	case "delete":
		if err := v.api.DeleteEndpoint(v.ctx, e.ID); err != nil {
			return true, v.refused(err, view.Base)
		}
		return true, v.done("webhooks.done.deleted", webhooksPath)
	case "change":
		in := v.endpointInput(view.Change.typed(v.r.PostForm), e)
		if view.Change.Faulty() {
			return false, nil
		}
		if err := v.api.ChangeEndpoint(v.ctx, e.ID, tag, in); err != nil {
			return v.again(view.Change, err)
		}
		return true, v.done("form.saved", view.Base)
	case "missed":
		return v.replay(view, nil, api.ReplayInput{Since: e.DisabledAt}, api.ReplayInput{FailedSince: e.DisabledAt})
	case "again":
		return v.replay(view, nil, api.ReplayInput{Event: v.posted("event")})
	case "replay":
		in := api.ReplayInput{Since: v.time(view.Range.typed(v.r.PostForm), "since"), Until: v.time(view.Range, "until")}
		return v.replay(view, view.Range, in)
	case "recover":
		return v.replay(view, view.Recover, api.ReplayInput{FailedSince: v.time(view.Recover.typed(v.r.PostForm), "failed_since")})
	}
	return true, errNotFound
}

// again shows a form once more that the API refused.
func (v *visit) again(f *form, err error) (answered bool, _ error) {
	if f.blame(err) {
		return false, nil
	}
	return true, err
}

// replay starts replays and goes on to the page that shows how far they are.
func (v *visit) replay(view *endpointView, f *form, asked ...api.ReplayInput) (answered bool, err error) {
	if f != nil && f.Faulty() {
		return false, nil
	}
	started := url.Values{}
	for _, in := range asked {
		replay, err := v.api.StartReplay(v.ctx, view.ID, in)
		switch {
		case err == nil:
			started.Add("replay", replay.ID.String())
		case f == nil:
			return true, v.refused(err, v.r.URL.RequestURI())
		default:
			return v.again(f, err)
		}
	}
	v.redirect(view.Base, started)
	return true, nil
}

// mostTogether is how many replays one button starts.
const mostTogether = 2

// replays tells of replays that were started together as of one; nil when they were done long ago.
func (v *visit) replays(ctx context.Context, endpoint deal.ID, ids []string) (*api.Replay, error) {
	var all *api.Replay
	for _, text := range ids[:min(len(ids), mostTogether)] {
		id, err := deal.ParseID(text)
		if err != nil {
			continue
		}
		one, err := v.api.Replay(ctx, endpoint, id)
		switch {
		case api.StatusOf(err) == http.StatusNotFound:
			continue
		case err != nil:
			return nil, err
		case all == nil:
			all = &one
			continue
		}
		all.Delivered, all.Failed, all.Progress = all.Delivered+one.Delivered, all.Failed+one.Failed, min(all.Progress, one.Progress)
		if one.State == "running" {
			all.State = one.State
		}
	}
	return all, nil
}

// typedTime is how a browser writes a time that somebody chose, without its zone.
const typedTime = "2006-01-02T15:04"

// time reads a time that somebody chose; nil for none. What is no time is a fault of its field.
func (v *visit) time(f *form, name string) *time.Time {
	text := v.posted(name)
	if text == "" {
		return nil
	}
	for _, layout := range []string{typedTime, "2006-01-02T15:04:05"} {
		if t, err := time.ParseInLocation(layout, text, v.zone()); err == nil {
			t = t.UTC()
			return &t
		}
	}
	f.fault(name, v.speech.text("form.notime"))
	return nil
}

// zone is the one in which times of pages without an association are written.
func (v *visit) zone() *time.Location { return time.UTC }

// showEndpoint reads what the page shows beside its forms.
func (v *visit) showEndpoint(view *endpointView, e api.Endpoint) error {
	asked := v.r.URL.Query()
	view.Filter = attemptsQuery(asked)
	query := url.Values{"limit": {mostAttempts}}
	for from, to := range map[string]string{"outcome": "outcome", "event": "event_id"} {
		if text := view.Filter.Get(from); text != "" {
			query.Set(to, text)
		}
	}
	if since, err := time.ParseInLocation(typedTime, view.Filter.Get("since"), view.Zone); err == nil {
		query.Set("since", since.UTC().Format(time.RFC3339))
	}
	if cursor := asked.Get("cursor"); cursor != "" {
		query.Set("cursor", cursor)
		view.Later = true
	}
	var page api.Page[api.Attempt]
	together, ctx := errgroup.WithContext(v.ctx)
	together.Go(func() (err error) {
		if page, err = v.api.Attempts(ctx, e.ID, query); err != nil {
			return err
		}
		view.Failure, err = v.lastFailure(ctx, e.ID)
		return err
	})
	together.Go(func() (err error) {
		view.Replay, err = v.replays(ctx, e.ID, asked["replay"])
		return err
	})
	view.Look = view.Base + "?" + url.Values{"replay": asked["replay"]}.Encode()
	err := together.Wait()
	view.LogAway = api.StatusOf(err) == http.StatusServiceUnavailable
	if err != nil && !view.LogAway {
		return err
	}
	view.Attempts = page.Items
	if page.NextCursor != "" {
		more := attemptsQuery(asked)
		more.Set("cursor", page.NextCursor)
		view.Next = view.Base + "?" + more.Encode()
	}
	view.Endpoint = v.endpointLine(e)
	view.head = head{Kicker: v.speech.text("webhooks.title"), Heading: shortURL(e.URL), Views: v.ownViews("webhooks")}
	view.Acts = []act{actOf("webhooks.test", "test")}
	if !e.Enabled {
		view.Acts = append(view.Acts, actOf("webhooks.enable", "enable"))
	} else if e.FailingSince != nil {
		view.Acts = append(view.Acts, actOf("webhooks.enable", "try"))
	}
	view.Asked = []act{actOf("webhooks.rotate", "rotate")}
	if e.Enabled {
		view.Asked = append(view.Asked, actOf("webhooks.disable", "disable"))
	}
	view.Asked = append(view.Asked, actOf("webhooks.delete", "delete"))
	status := max(statusOf(view.Change), statusOf(view.Range), statusOf(view.Recover))
	v.render(status, "webhook", view.Heading, v.ownNav(), view)
	return nil
}

// lastFailure is the newest attempt that did not arrive; nil for none.
func (v *visit) lastFailure(ctx context.Context, id deal.ID) (*api.Attempt, error) {
	var last *api.Attempt
	for _, verdict := range []string{"failed", "retrying"} {
		found, err := v.api.Attempts(ctx, id, url.Values{"outcome": {verdict}, "limit": {"1"}})
		if err != nil {
			return nil, err
		}
		if len(found.Items) > 0 && (last == nil || found.Items[0].At.After(last.At)) {
			last = &found.Items[0]
		}
	}
	return last, nil
}

// shortURL is an address without its scheme.
func shortURL(text string) string {
	_, rest, found := strings.Cut(text, "://")
	if !found {
		return text
	}
	return rest
}
