package roster_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/dealreg/dealreg/pkg/deal"
	"github.com/dealreg/dealreg/pkg/roster"
	"github.com/dealreg/dealreg/pkg/roster/rostertest"
)

func TestIsEmail_TakesPlainAddressesOfASCIIOnly(t *testing.T) {
	t.Parallel()
	for _, good := range []string{"ada@contoso.example", "Ada.King+deals@mail.Contoso.example", "o'neil@contoso.example", "a@xn--bcher-kva.example"} {
		if !roster.IsEmail(good) {
			t.Errorf("refuses %s", good)
		}
	}
	for _, bad := range []string{
		"", "ada", "@contoso.example", "ada@", "ada@contoso", "ada@127.0.0.1", "a b@contoso.example", `"a b"@contoso.example`, "Ada <ada@contoso.example>",
		"ada@contoso.example, bob@contoso.example", "ada@contoso.example\n", "ada@cont\u00f6so.example", "\u212aing@contoso.example", "ada@contoso.example.",
		strings.Repeat("a", 250) + "@contoso.example",
	} {
		if roster.IsEmail(bad) {
			t.Errorf("takes %q", bad)
		}
	}
}

// people stores them and waits until the roster shows them.
func people(t *testing.T, store *roster.Store, r *roster.Roster, all ...roster.Person) {
	t.Helper()
	for _, p := range all {
		revision, err := store.PutPerson(within(t), p)
		if err != nil {
			t.Fatal(err)
		}
		if err := r.WaitFor(within(t), roster.People, revision); err != nil {
			t.Fatal(err)
		}
	}
}

func TestRoster_FindsPeopleByAnAddressThatIsTheirsAlone(t *testing.T) {
	t.Parallel()
	store, r := rostertest.New(t)
	king := roster.Person{ID: newID(), Name: "Ada", Email: "King@contoso.example", Role: roster.RoleOperator}.Clean()
	gone := roster.Person{ID: newID(), Name: "Old", Email: "king@contoso.example", Role: roster.RoleOperator, DisabledAt: &noon}.Clean()
	people(t, store, r, king, gone, roster.Person{ID: newID(), Name: "None", Role: roster.RoleOperator}.Clean())
	if p, ok := r.PersonByEmail("kING@CONTOSO.example"); !ok || p.ID != king.ID {
		t.Errorf("found %v", p.ID)
	}
	for _, other := range []string{"", "\u212aing@contoso.example", "king@contoso.exampl\u0435"} { // the Kelvin sign folds to k
		if p, ok := r.PersonByEmail(other); ok {
			t.Errorf("%q finds %s", other, p.Name)
		}
	}
	people(t, store, r, roster.Person{ID: newID(), Name: "Two", Email: "king@contoso.example", Role: roster.RoleOperator}.Clean())
	if p, ok := r.PersonByEmail("king@contoso.example"); ok {
		t.Errorf("of two people with one address %s is found", p.Name)
	}
}

func TestAddSubject_TakesNobodyOverWhomAProviderKnows(t *testing.T) {
	t.Parallel()
	store, r := rostertest.New(t)
	ada := roster.Person{ID: newID(), Name: "Ada", Email: "ada@contoso.example", Role: roster.RoleOperator}.Clean()
	people(t, store, r, ada)
	first, second := roster.Subject{Issuer: "https://one.example", Subject: "1"}, roster.Subject{Issuer: "https://two.example", Subject: "1"}
	if _, err := store.AddSubject(within(t), ada.ID, "other@contoso.example", first); err == nil {
		t.Error("linked by another address")
	}
	linked, err := store.AddSubject(within(t), ada.ID, "ADA@contoso.example", first)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.WaitFor(within(t), roster.People, linked.Revision); err != nil {
		t.Fatal(err)
	}
	for _, s := range []roster.Subject{second, {Issuer: first.Issuer, Subject: "2"}} {
		if _, err := store.AddSubject(within(t), ada.ID, "ada@contoso.example", s); err == nil {
			t.Errorf("taken over by %v", s)
		}
		if _, known := r.PersonBySubject(s); known {
			t.Errorf("%v is known", s)
		}
	}
	if p, known := r.PersonBySubject(first); !known || p.ID != ada.ID {
		t.Error("the first is not known")
	}
}

func TestSessions_AreDroppedByTheServerAndThenByTheRoster(t *testing.T) {
	t.Parallel()
	js := rostertest.NewServer(t).Connect()
	_, err := js.CreateKeyValue(within(t), jetstream.KeyValueConfig{Bucket: string(roster.Sessions), TTL: 200 * time.Millisecond, LimitMarkerTTL: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	if err := roster.CreateBuckets(within(t), js, 1); err != nil {
		t.Fatal(err)
	}
	store, r := roster.NewStore(js), rostertest.Follow(t, js)
	session, _, err := store.StartSession(within(t), newID(), roster.Session{KeyID: newID()}, noon, pepper)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.WaitFor(within(t), roster.Sessions, session.Revision+1); err != nil { // the server's mark
		t.Fatal(err)
	}
	if _, there := r.Session(session.ID); there || len(r.SessionsOf(session.KeyID)) > 0 {
		t.Error("the roster keeps what the server dropped")
	}
}

func TestCreateBuckets_LetsSessionsLastNoLongerThanTheyOpen(t *testing.T) {
	t.Parallel()
	js := rostertest.NewServer(t).Connect()
	if err := roster.CreateBuckets(within(t), js, 1); err != nil {
		t.Fatal(err)
	}
	kv, err := js.KeyValue(within(t), string(roster.Sessions))
	if err != nil {
		t.Fatal(err)
	}
	status, err := kv.Status(within(t))
	if err != nil {
		t.Fatal(err)
	}
	if status.TTL() != roster.SessionLasts || status.LimitMarkerTTL() == 0 {
		t.Errorf("kept for %s with marks for %s", status.TTL(), status.LimitMarkerTTL())
	}
}

func TestWaivedPairs_AreThoseThatBothWaived(t *testing.T) {
	t.Parallel()
	store, r := rostertest.New(t)
	here, elsewhere := newID(), newID()
	a, b, c := newID(), newID(), newID() // in order
	give := func(association, company, partner deal.ID) {
		t.Helper()
		w, err := store.GiveWaiver(within(t), roster.Waiver{AssociationID: association, CompanyID: company, PartnerID: partner, GivenAt: noon})
		if err != nil {
			t.Fatal(err)
		}
		if err := r.WaitFor(within(t), roster.Waivers, w.Revision); err != nil {
			t.Fatal(err)
		}
	}
	give(here, c, b)
	give(here, b, c)
	give(here, b, a)
	give(here, a, b)
	give(here, a, c)
	give(elsewhere, c, a)
	if diff := cmp.Diff([][2]deal.ID{{a, b}, {b, c}}, r.WaivedPairs(here)); diff != "" {
		t.Error(diff)
	}
	revision, err := store.WithdrawWaiver(within(t), roster.WaiverKey{Association: here, Company: b, Partner: a})
	if err != nil {
		t.Fatal(err)
	}
	if err := r.WaitFor(within(t), roster.Waivers, revision); err != nil {
		t.Fatal(err)
	}
	if pairs := r.WaivedPairs(here); !slices.Equal(pairs, [][2]deal.ID{{b, c}}) {
		t.Errorf("after one withdrew: %v", pairs)
	}
	give(here, b, a)
	if pairs := r.WaivedPairs(here); len(pairs) != 2 {
		t.Errorf("after it waived again: %v", pairs)
	}
}
