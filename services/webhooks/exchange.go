package webhooks

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"

	"github.com/dealreg/dealreg/pkg/stream"
	"github.com/dealreg/dealreg/pkg/warehouse"
	"github.com/dealreg/dealreg/pkg/webhook"
)

// Verdict is what an attempt means for its delivery.
type Verdict string

// The verdicts.
const (
	Delivered Verdict = "delivered" // it arrived
	Retrying  Verdict = "retrying"  // it is tried again later
	Failed    Verdict = "failed"    // it is not tried again, unless somebody asks for it
)

func verdictOf(r webhook.Result) Verdict {
	if r.Outcome == webhook.Delivered {
		return Delivered
	}
	return Failed
}

// exchanged is a result with its time, for the record of attempts.
type exchanged struct {
	webhook.Result
	at   time.Time
	took time.Duration
}

// exchange makes one attempt: it signs the event's body as it is and sends it. It ends within the deadline.
func (s *Service) exchange(ctx context.Context, e endpoint, l *letter) exchanged {
	at := s.cfg.Now()
	r := s.post(ctx, e, l, at)
	if r.Outcome == webhook.NotTried { // which nobody concludes
		s.metrics.attempts.WithLabelValues(string(r.Outcome)).Inc()
		s.cfg.Log.Error("no connection left for webhooks: raise the limit of open files", zap.Int("connections", s.client.Open()))
	}
	return exchanged{Result: r, at: at, took: s.cfg.Now().Sub(at)}
}

func (s *Service) post(ctx context.Context, e endpoint, l *letter, at time.Time) webhook.Result {
	signer, err := s.gate(e.ID).signerOf(e, s.cfg.Key, at)
	if err != nil {
		s.cfg.Log.Error("endpoint not readable", zap.Stringer("endpoint_id", e.ID), zap.Error(err))
		return webhook.Result{Outcome: webhook.NotSigned, Words: err.Error()}
	}
	header, err := signer.sign(l.event.ID, at, l.body)
	if err != nil {
		s.cfg.Log.Error("webhook not signed", zap.Stringer("endpoint_id", e.ID), zap.Error(err))
		return webhook.Result{Outcome: webhook.NotSigned, Words: "the webhook could not be signed: rotate the endpoint's secret"}
	}
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Deadline)
	defer cancel()
	return s.client.Post(ctx, e.URL, header, l.body)
}

// conclude notes what came of an attempt, which was the number-th with its event: for the gate, for the record, and for
// the endpoint, which is disabled when it is gone or has failed for too long.
func (s *Service) conclude(g *gate, e endpoint, l *letter, number int, r exchanged, v Verdict) {
	g.note(e.Life, r.Result, r.at.Add(r.took)) // its waits begin with the answer
	s.metrics.attempts.WithLabelValues(string(r.Outcome)).Inc()
	attempt, key := attemptOf(e, l, number, r, v), e.ID.String()
	if v != Failed || s.recorder.keep(s.working, attempt) != nil { // what failed is found again by its record
		s.recorder.add(attempt)
	}
	_, failing := s.failureOf(e)
	switch {
	case r.Outcome == webhook.Delivered:
		if s.failing.has(key) {
			s.healed(key)
		}
	case r.Outcome == webhook.Gone:
		s.disable(e, "it answered 410 Gone: nothing more is wanted there", r.at)
	case number > 1 || failing:
		if since := s.failed(e, r.at); r.at.Sub(since) >= s.cfg.DisableAfter {
			s.disable(e, fmt.Sprintf("every delivery has failed since %s, the last one so: %s", since.UTC().Format(time.RFC3339), r.Words), r.at)
		}
	}
}

// failingBucket holds, by endpoint, since when nothing has arrived there. A first failure is not written: most are over
// with the next attempt.
const failingBucket = "webhook_failing"

type failure struct {
	Since time.Time `json:"since"`
	Life  uint64    `json:"life,omitempty"` // of the endpoint
}

// failureOf tells since when nothing has arrived in the endpoint's life, as far as is known here.
func (s *Service) failureOf(e endpoint) (failure, bool) {
	f, known := s.failing.find(e.ID.String())
	return f, known && f.Life == e.Life
}

// failed gives since when the endpoint has failed, of which the failure at the time may be the first. Any process may have
// seen a success in between, so what would disable the endpoint is asked for anew.
func (s *Service) failed(e endpoint, at time.Time) time.Time {
	ctx, cancel := context.WithTimeout(s.working, askTimeout)
	defer cancel()
	key := e.ID.String()
	known, is := s.failureOf(e)
	if is && at.Sub(known.Since) >= s.cfg.DisableAfter {
		if err := s.failing.refresh(ctx, key); err != nil {
			return at // the next failure asks again
		}
		known, is = s.failureOf(e)
	}
	if is {
		return known.Since
	}
	_, revision := s.failing.get(key)
	if _, err := s.failing.put(ctx, key, failure{Since: at.UTC(), Life: e.Life}, revision); err != nil && !errors.Is(err, errChanged) {
		s.cfg.Log.Warn("failure of an endpoint not kept", zap.String("endpoint_id", key), zap.Error(err))
	}
	return at
}

func (s *Service) healed(key string) {
	_, revision := s.failing.get(key)
	ctx, cancel := context.WithTimeout(s.working, askTimeout)
	defer cancel()
	if err := s.failing.remove(ctx, key, revision); err != nil && !errors.Is(err, errChanged) {
		s.cfg.Log.Warn("recovery of an endpoint not kept", zap.String("endpoint_id", key), zap.Error(err))
	}
}

// disable ends deliveries to the endpoint and tells the owner's other endpoints. Of many who find out at once one does.
func (s *Service) disable(e endpoint, reason string, at time.Time) {
	ctx, cancel := context.WithTimeout(s.working, askTimeout)
	defer cancel()
	key, err := e.ID.String(), errChanged
	for errors.Is(err, errChanged) {
		now, revision := s.endpoints.get(key)
		if !now.Enabled || now.Life != e.Life { // also when it was deleted
			return
		}
		e = now
		e.Enabled, e.DisabledAt, e.DisabledWords = false, new(at.UTC()), shorten(reason, maxReason)
		_, err = s.endpoints.put(ctx, key, e, revision)
	}
	if err != nil {
		s.cfg.Log.Warn("endpoint not disabled, the next failure does", zap.Stringer("endpoint_id", e.ID), zap.Error(err))
		return
	}
	s.metrics.disabled.Inc()
	s.cfg.Log.Info("endpoint disabled", zap.Stringer("endpoint_id", e.ID), zap.String("reason", e.DisabledWords))
	s.tell(ctx, e)
}

// tell records that the endpoint was disabled, for the owner's other endpoints. What dies before it has told is made up
// for by tend, so it may be told twice, under the same id.
func (s *Service) tell(ctx context.Context, e endpoint) {
	record := stream.EndpointRecord{Endpoint: e.ID, Company: e.Company, Association: e.Association, Deals: e.Deals, Reason: e.DisabledWords, At: *e.DisabledAt}
	text, err := json.Marshal(record)
	if err == nil {
		_, err = s.js.Publish(ctx, stream.EndpointSubject(e.ID), text, jetstream.WithExpectStream(stream.RecordsStream),
			jetstream.WithMsgID(webhook.Disabled(e.ID, "", record.At).ID))
	}
	if err != nil {
		s.cfg.Log.Warn("owner not told yet that an endpoint was disabled", zap.Stringer("endpoint_id", e.ID), zap.Error(err))
		return
	}
	s.gate(e.ID).told(record.At)
}

// isTold tells whether it is recorded that the endpoint was disabled, or nobody needs to be told. The endpoint itself does not
// say so: it would change, unseen, behind an owner who has read it.
func (s *Service) isTold(ctx context.Context, e endpoint) (bool, error) {
	if e.Enabled || e.DisabledAt == nil || e.DisabledWords == byItsOwner || s.gate(e.ID).isTold(*e.DisabledAt) {
		return true, nil
	}
	last, err := stream.LastMessage(ctx, s.cfg.NATS, stream.RecordsStream, stream.EndpointSubject(e.ID))
	if errors.Is(err, stream.ErrNoRecord) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	record, err := stream.DecodeEndpoint(last.Data)
	if err != nil || !record.At.Equal(*e.DisabledAt) {
		return false, nil //nolint:nilerr // one that is not readable told nobody
	}
	s.gate(e.ID).told(record.At)
	return true, nil
}

const maxReason = 500 // characters, of webhook.DisabledData

func shorten(text string, most int) string {
	if r := []rune(text); len(r) > most {
		return string(r[:most-1]) + "…"
	}
	return text
}

func attemptOf(e endpoint, l *letter, number int, r exchanged, v Verdict) warehouse.Attempt {
	return warehouse.Attempt{
		EndpointID: e.ID, EventID: l.event.ID, EventType: l.event.Type, Source: l.source, Sequence: l.sequence,
		Attempt: uint16(min(number, math.MaxUint16)), // #nosec G115 -- bounded
		At:      r.at.UTC(), Took: r.took, Outcome: string(r.Outcome), Verdict: string(v), Words: r.Words,
		Status: uint16(max(0, min(r.Status, 999))), Excerpt: r.Excerpt, // #nosec G115 -- bounded
	}
}
