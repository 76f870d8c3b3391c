package mail

import (
	"strings"
	"testing"
	"time"

	"github.com/dealreg/dealreg/pkg/calendar"
	"github.com/dealreg/dealreg/pkg/deal"
	"github.com/dealreg/dealreg/pkg/roster"
)

func TestReminders_ComeAtSevenAndTwelveDaysToThoseWhoHaveNotAnswered(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	silenced := func(p *roster.Person) { p.NoDigest = true }
	ben, cid := w.person("Ben", bumblebee, "en", silenced), w.person("Cid", capybara, "de", silenced)
	w.start()
	id := w.register(bumblebee, capybara)
	w.inbox.await(2)
	w.settled()
	const slack = time.Minute
	w.later.Store(int64(days(7) - slack))
	w.move(id, capybara, deal.Accept)
	w.settled()
	wantSubjects(t, w.inbox.to(ben), invitation)

	w.later.Store(int64(days(7) + slack))
	w.inbox.await(3)
	w.stop()
	w.start() // a restart reminds nobody twice
	w.settled()
	w.later.Store(int64(days(12) + slack))
	w.inbox.await(4)
	w.later.Store(int64(days(14) + slack)) // the registry lets it expire
	other := w.register(bumblebee)
	w.inbox.await(5)
	w.move(other, bumblebee, deal.Decline)
	w.later.Store(int64(days(22)))
	w.register(bumblebee)
	w.inbox.await(6)
	w.settled()
	wantSubjects(t, w.inbox.to(ben), invitation, "Reminder: "+lower(invitation), "Reminder: "+lower(invitation), invitation, invitation)
	wantSubjects(t, w.inbox.to(cid), "Ein Geschäft wartet auf die Antwort Ihres Unternehmens")
}

func lower(text string) string { return strings.ToLower(text[:1]) + text[1:] }

func TestReminder_OfWhatIsDueNow(t *testing.T) {
	t.Parallel()
	since := time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		after time.Duration
		began time.Duration // when mails began, from then on
		want  int
	}{
		{after: 0, want: 0},
		{after: days(7) - 1, want: 0},
		{after: days(7), want: 7},
		{after: days(12) - 1, want: 7},
		{after: days(12), want: 12},
		{after: days(14) - 1, want: 12},
		{after: days(14), want: 0},
		{after: days(60), want: 0},
		{after: days(8), began: days(8), want: 0},
		{after: days(12), began: days(8), want: 12},
	} {
		if got := reminderDue(since, since.Add(c.began), since.Add(c.after)); got != c.want {
			t.Errorf("after %s with mails since %s the reminder is %d, want %d", c.after, c.began, got, c.want)
		}
	}
}

func TestDigestHour_IsMondayAtEightInTheZone(t *testing.T) {
	t.Parallel()
	manila, err := time.LoadLocation("Asia/Manila") // UTC+8
	if err != nil {
		t.Fatal(err)
	}
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		now  string
		zone *time.Location
		want string
	}{
		{"2026-11-22T23:00:00Z", time.UTC, "2026-11-16T08:00:00Z"}, // a Sunday
		{"2026-11-23T07:59:59Z", time.UTC, "2026-11-16T08:00:00Z"},
		{"2026-11-23T08:00:00Z", time.UTC, "2026-11-23T08:00:00Z"},
		{"2026-11-29T23:00:00Z", time.UTC, "2026-11-23T08:00:00Z"},
		{"2026-11-23T00:00:00Z", manila, "2026-11-23T00:00:00Z"},
		{"2026-10-26T12:00:00Z", berlin, "2026-10-26T07:00:00Z"}, // the day after summer time
	} {
		now, err := time.Parse(time.RFC3339, c.now)
		if err != nil {
			t.Fatal(err)
		}
		if got := digestHour(now, c.zone).Format(time.RFC3339); got != c.want {
			t.Errorf("at %s in %s it is %s, want %s", c.now, c.zone, got, c.want)
		}
	}
}

// aDayBeforeTheDigest sets the clock to a Sunday, 08:00 in Manila.
func (w *world) aDayBeforeTheDigest() {
	monday := digestHour(w.now().Add(days(9)), time.FixedZone("Manila", 8*3600))
	w.later.Add(int64(monday.Add(-days(1)).Sub(w.now())))
}

func TestDigest_ComesOnMondaysWithACountToThoseWhoWantIt(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ben, bea := w.person("Ben", bumblebee, "en"), w.person("Bea", bumblebee, "de")
	never := w.person("Never", bumblebee, "en", func(p *roster.Person) { p.NoDigest = true })
	idle := w.person("Idle", company(4), "en")
	association := roster.Association{ID: newID(), Name: "A", TimeZone: "Asia/Manila", YearStartsIn: 1, ReportingCurrency: "EUR", Disclosure: roster.DisclosureOpen}
	if _, err := w.store.PutAssociation(t.Context(), association); err != nil {
		t.Fatal(err)
	}
	revision, err := w.store.PutMembership(t.Context(), roster.Membership{
		AssociationID: association.ID, CompanyID: bumblebee, Periods: []roster.Period{{From: calendar.New(2020, time.January, 1)}},
	})
	if err == nil {
		err = w.roster.WaitFor(t.Context(), roster.Members, revision)
	}
	if err != nil {
		t.Fatal(err)
	}
	w.aDayBeforeTheDigest()
	w.start()
	w.settled()
	one := w.register(bumblebee)
	w.register(bumblebee)
	answered := w.register(bumblebee)
	w.inbox.await(9)
	w.move(answered, bumblebee, deal.Accept)
	w.settled()
	before := len(w.inbox.all())

	w.later.Add(int64(days(1)))
	w.inbox.await(before + 2)
	w.stop()
	w.start()
	w.settled()
	wantDigest := func(to, subject, text string) {
		t.Helper()
		for _, m := range w.inbox.all()[before:] {
			if m.to == to && !strings.Contains(m.subject, "eminder") && (m.subject != subject || !strings.Contains(m.text, text) || !strings.Contains(m.text, "\nhttps://deals.registry.example/\n")) {
				t.Errorf("the digest is %q\n%s", m.subject, m.text)
			}
		}
	}
	wantDigest(ben, "What waits for your company this week", "2 deals wait for your company.")
	wantDigest(bea, "Was diese Woche auf Ihr Unternehmen wartet", "2 Geschäfte warten auf Ihr Unternehmen.")
	if got := len(w.inbox.all()); got != before+2 {
		t.Errorf("%d mails on Monday, want 2", got-before)
	}
	if got := append(w.inbox.to(idle), w.inbox.to(never)[3:]...); len(got) > 0 {
		t.Errorf("who wants none, or has nothing to do, gets %q", got)
	}

	w.change(bea, func(p *roster.Person) { p.NoDigest = true })
	w.move(one, bumblebee, deal.Decline)
	before = len(w.inbox.all())
	w.later.Add(int64(days(7)))
	w.until("the reminder and the digest", func() bool { return len(w.inbox.all()) >= before+4 })
	w.settled()
	wantDigest(ben, "What waits for your company this week", "One deal waits for your company.")
}
