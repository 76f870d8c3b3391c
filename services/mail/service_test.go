package mail

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-smtp"

	"github.com/dealreg/dealreg/pkg/deal"
	"github.com/dealreg/dealreg/pkg/roster"
)

const (
	invitation = "A deal waits for your company’s answer"
	figures    = "Final figures wait for your company’s confirmation"
	correction = "A correction waits for your company’s confirmation"
)

func TestMail_OneForEachCauseAcrossRestarts(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ben, bea, cid := w.person("Ben", bumblebee, "en"), w.person("Bea", bumblebee, "de", func(p *roster.Person) { p.Role = roster.RoleCompanyAdmin }), w.person("Cid", capybara, "en")
	ann := w.person("Ann", aardvark, "en")
	w.start()
	id := w.register(bumblebee, capybara)
	w.inbox.await(3)
	w.settled()
	restart := func() {
		w.stop()
		w.start()
	}
	restart()
	w.move(id, capybara, deal.Accept) // the others were asked already
	w.settled()
	w.stop()
	w.move(id, bumblebee, deal.Accept) // nobody mails now
	w.move(id, aardvark, deal.Propose, w.propose(471123))
	w.start()
	w.inbox.await(6)
	w.move(id, capybara, deal.Refuse)
	w.move(id, aardvark, deal.Propose, w.propose(471123)) // the same figures are asked about once more
	w.inbox.await(9)
	restart()
	w.move(id, bumblebee, deal.Attest)
	w.move(id, capybara, deal.Attest)
	w.move(id, bumblebee, deal.Correct, w.propose(471125))
	w.inbox.await(11)
	restart()
	if got := ended(w.settled()); got != "[sent:11]" {
		t.Errorf("mails ended as %s", got)
	}
	german := []string{
		"Ein Geschäft wartet auf die Antwort Ihres Unternehmens", "Endgültige Zahlen warten auf die Bestätigung Ihres Unternehmens",
		"Endgültige Zahlen warten auf die Bestätigung Ihres Unternehmens",
	}
	wantSubjects(t, w.inbox.to(ben), invitation, figures, figures)
	wantSubjects(t, w.inbox.to(bea), german...)
	wantSubjects(t, w.inbox.to(cid), invitation, figures, figures, correction)
	wantSubjects(t, w.inbox.to(ann), correction)
	for _, m := range w.inbox.all() {
		link := "https://deals.registry.example/deals/" + id.String()
		if !strings.Contains(m.text, "\n"+link+"\n") || !strings.Contains(m.html, `href="`+link+`"`) {
			t.Errorf("no link to the deal in\n%s\n%s", m.text, m.html)
		}
	}
}

func TestMail_GoesToNobodyWhoMayNotAnswer(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.person("Nomail", bumblebee, "en", func(p *roster.Person) { p.Email = "" })
	w.person("Gone", bumblebee, "en", func(p *roster.Person) { p.DisabledAt = new(w.now()) })
	w.person("Board", deal.ID{}, "en", func(p *roster.Person) { p.Role, p.AssociationID = roster.RoleBoard, newID() })
	w.person("Other", capybara, "en")
	forgotten := w.person("Forgotten", bumblebee, "en")
	p, _ := w.roster.PersonByEmail(forgotten)
	revision, err := w.store.ForgetPerson(t.Context(), p.ID)
	if err == nil {
		err = w.roster.WaitFor(t.Context(), roster.People, revision)
	}
	if err != nil {
		t.Fatal(err)
	}
	ben := w.person("Ben", bumblebee, "en")
	w.start()
	w.register(bumblebee)
	w.inbox.await(1)
	if got := ended(w.settled()); got != "[sent:1]" {
		t.Errorf("mails ended as %s", got)
	}
	wantSubjects(t, w.inbox.to(ben), invitation)
}

func TestMail_LeavesThePastAlone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ben := w.person("Ben", bumblebee, "en")
	w.register(bumblebee)
	w.won()
	w.later.Store(int64(days(8)))
	w.start()
	w.settled()
	w.register(bumblebee)
	w.inbox.await(1)
	w.settled()
	wantSubjects(t, w.inbox.to(ben), invitation)
	if got := w.inbox.all()[0].text; strings.Contains(got, "Reminder") {
		t.Errorf("the first mail ever is\n%s", got)
	}
}

func TestMail_IsNotSentOnceItIsAnswered(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ben, bea := w.person("Ben", bumblebee, "en"), w.person("Bea", bumblebee, "en")
	cid := w.person("Cid", capybara, "en")
	w.inbox.close()
	w.start()
	id := w.register(bumblebee, capybara)
	w.until("the mails wait", func() bool { return len(w.records()) == 3 })
	w.move(id, bumblebee, deal.Accept)
	w.inbox.open()
	w.inbox.await(1)
	if got := ended(w.settled()); got != "[dropped:2 sent:1]" {
		t.Errorf("mails ended as %s", got)
	}
	wantSubjects(t, append(w.inbox.to(ben), w.inbox.to(bea)...))
	wantSubjects(t, w.inbox.to(cid), invitation)
}

func TestMail_WaitsForAServerThatIsAwayAndIsReadyAllTheWhile(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.person("Ben", bumblebee, "en")
	w.inbox.close()
	w.start()
	w.register(bumblebee)
	w.until("it was tried", func() bool { return !w.service.sender.quietUntil().IsZero() })
	if failing := w.health.Failing(); len(failing) > 0 {
		t.Errorf("not ready without an SMTP server: %v", failing)
	}
	w.inbox.open()
	w.inbox.await(1)
	if records := w.settled(); records[0].State != stateSent || records[0].Tries != 1 {
		t.Errorf("the mail ended as %+v", records[0])
	}
}

func TestMail_TriesAgainWhatIsRefusedForNowAndNeverWhatIsRefusedForGood(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	grey, gone, fine := w.person("Grey", bumblebee, "en"), w.person("Gone", bumblebee, "en"), w.person("Fine", bumblebee, "en")
	tries := map[string]int{}
	rejected := false
	w.inbox.answers(func(stage, to string, _ received) error {
		switch {
		case stage == "from" && !rejected: // our sender, not a mail of ours
			rejected = true
			return &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 7, 1}, Message: "not you, Aardvark"}
		case stage != "to":
			return nil
		}
		tries[to]++
		if to == gone {
			return &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1}, Message: "nobody is called " + to}
		}
		if to == grey && tries[to] < 4 {
			return &smtp.SMTPError{Code: 451, EnhancedCode: smtp.EnhancedCode{4, 7, 1}, Message: "later"}
		}
		return nil
	})
	w.start()
	w.register(bumblebee)
	w.inbox.await(2)
	records := w.settled()
	if got := ended(records); got != "[refused:1 sent:2]" {
		t.Errorf("mails ended as %s", got)
	}
	for _, r := range records {
		if r.State == stateRefused && (r.Why != "sending SMTP RCPT TO command: 550 5.1.1") {
			t.Errorf("refused because %q", r.Why)
		}
	}
	if tries[grey] != 4 || tries[gone] != 1 || tries[fine] != 1 {
		t.Errorf("tries %v", tries)
	}
}

// TestMail_OfASlowServerComesTwiceAtMost has a server that takes each mail and never says so.
func TestMail_OfASlowServerComesTwiceAtMost(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ben := w.person("Ben", bumblebee, "en")
	w.person("Cid", capybara, "en")
	w.cfg.Postman = w.postman(func(c *PostmanConfig) { c.Deadline = 5 * time.Second }) // in which others' mails are taken
	release := make(chan struct{})
	t.Cleanup(func() { close(release) })
	w.inbox.answers(func(stage, to string, _ received) error {
		if stage == "data" && to == ben {
			<-release
		}
		return nil
	})
	w.start()
	w.register(bumblebee)
	w.inbox.await(1)
	w.register(capybara) // the log is followed, and others are mailed, while the server is slow
	w.inbox.await(2)
	if got := ended(w.settled()); got != "[sent:1 unclear:1]" {
		t.Errorf("mails ended as %s", got)
	}
	wantSubjects(t, w.inbox.to(ben), invitation, invitation)
	ids := map[string]int{}
	for _, m := range w.inbox.all() {
		ids[m.header.Get("Message-ID")]++
	}
	if len(ids) != 2 {
		t.Errorf("a repeat has another Message-ID: %v", ids)
	}
}

func TestMail_ComesFromOneOfSeveralProcesses(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.cfg.Lease = 10 * time.Second // longer than a busy machine leaves a process alone
	ben := w.person("Ben", bumblebee, "en")
	w.start()
	first := w.stop
	w.start()
	for range 5 {
		w.register(bumblebee)
	}
	w.inbox.await(5)
	first() // the other one goes on
	for range 5 {
		w.register(bumblebee)
	}
	w.inbox.await(10)
	if got := ended(w.settled()); got != "[sent:10]" || len(w.inbox.to(ben)) != 10 {
		t.Errorf("mails ended as %s, %d came", got, len(w.inbox.to(ben)))
	}
}

func TestMail_GoesOnAfterTheBrokerWasAway(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.person("Ben", bumblebee, "en")
	w.start()
	w.register(bumblebee)
	w.inbox.await(1)
	w.settled()
	w.nats.Stop()
	w.until("it says so", func() bool { return len(w.health.Failing()) > 0 })
	w.nats.Start()
	w.until("ready", func() bool { return len(w.health.Failing()) == 0 })
	w.register(bumblebee)
	w.inbox.await(2)
	if got := ended(w.settled()); got != "[sent:2]" {
		t.Errorf("mails ended as %s", got)
	}
}

func TestNew_NamesWhatIsMissing(t *testing.T) {
	t.Parallel()
	if _, err := New(Config{}); err == nil || errors.Unwrap(err) != nil {
		t.Errorf("the empty configuration gives %v", err)
	}
}
