package webhooks_test

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/dealreg/dealreg/pkg/deal"
	"github.com/dealreg/dealreg/pkg/roster"
	"github.com/dealreg/dealreg/pkg/stream"
)

func TestDeliver_TellsOfAFlagThoseWhoArePartiesOfBothDeals(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	records, err := stream.NewRecords(w.js.Conn())
	if err != nil {
		t.Fatal(err)
	}
	first, firstKey := w.companyAdmin()
	second, secondKey := w.companyAdmin()
	_, strangerKey := w.companyAdmin()
	told := map[string]*receiver{"first": newReceiver(t, nil), "second": newReceiver(t, nil)}
	untold := map[string]*receiver{"a stranger": newReceiver(t, nil), "a registrar": newReceiver(t, nil)}
	of := object{"event_types": []string{"dealreg.conflict.flagged"}}
	w.endpoint(firstKey, told["first"].URL, of)
	w.endpoint(secondKey, told["second"].URL, nil)
	w.endpoint(strangerKey, untold["a stranger"].URL, nil)
	w.endpoint(w.caller(roster.RoleRegistrar, newID()), untold["a registrar"].URL, of)
	flag := func(state stream.ConflictState) string {
		t.Helper()
		r := stream.ConflictRecord{Deals: [2]deal.ID{newID(), newID()}, Companies: []deal.ID{first, second}, FlaggedAt: now().UTC(), State: state}
		text, err := json.Marshal(r)
		if err == nil {
			_, err = records.Put(t.Context(), stream.ConflictSubject(r.Deals[0], r.Deals[1]), 0, text)
		}
		if err != nil {
			t.Fatal(err)
		}
		return r.Deals[0].String() + ":conflict:" + r.Deals[1].String()
	}
	flagged := []string{flag(stream.ConflictUndecided)}
	flag(stream.ConflictMerged) // nobody is told of what was decided
	flag(stream.ConflictDistinct)
	flagged = append(flagged, flag(stream.ConflictUndecided))
	for name, rc := range told {
		rc.await(t, flagged...)
		rc.once(t, flagged...)
		var event struct {
			Type string
			Data struct {
				DealID  string `json:"deal_id"`
				OtherID string `json:"other_id"`
			}
		}
		got := rc.all()[0]
		if err := json.Unmarshal(got.body, &event); err != nil || event.Type != "dealreg.conflict.flagged" || event.Data.DealID+":conflict:"+event.Data.OtherID != got.id {
			t.Errorf("%s gets %s: %v", name, got.body, err)
		}
	}
	for name, rc := range untold {
		if n := len(rc.all()); n > 0 {
			t.Errorf("%s is told of %d flags", name, n)
		}
	}
}

// The last attestation is one event: of type won, and it includes attested.
func TestDeliver_TellsThoseWhoAskedForWhatAnEventIncludes(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	company, key := w.companyAdmin()
	receivers := map[string]*receiver{}
	for _, asked := range []string{"dealreg.deal.won", "dealreg.deal.attested", "dealreg.deal.declined"} {
		receivers[asked] = newReceiver(t, nil)
		w.endpoint(key, receivers[asked].URL, object{"event_types": []string{asked}})
	}
	write := func(kind deal.EventType, includes ...deal.EventType) string {
		t.Helper()
		return w.write(stream.Event{Audience: stream.Audience{Companies: []deal.ID{company}}, Event: deal.Event{Type: kind, Includes: includes}})[0]
	}
	won, attested, declined := write(deal.EventWon, deal.EventAttested), write(deal.EventAttested), write(deal.EventDeclined)
	for asked, events := range map[string][]string{
		"dealreg.deal.won": {won}, "dealreg.deal.attested": {won, attested}, "dealreg.deal.declined": {declined},
	} {
		receivers[asked].await(t, events...)
		receivers[asked].once(t, events...)
	}
	for _, got := range receivers["dealreg.deal.attested"].all() {
		var body struct {
			Type string
			Data struct{ Includes []string }
		}
		if err := json.Unmarshal(got.body, &body); err != nil {
			t.Fatal(err)
		}
		if got.id == won && (body.Type != "dealreg.deal.won" || !slices.Equal(body.Data.Includes, []string{"dealreg.deal.attested"})) {
			t.Errorf("it is told as %s", got.body)
		}
	}
}
