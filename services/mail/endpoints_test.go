package mail

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/dealreg/dealreg/pkg/deal"
	"github.com/dealreg/dealreg/pkg/roster"
	"github.com/dealreg/dealreg/pkg/stream"
)

func TestMail_TellsThoseWhoMayEnableAnEndpointThatItWasDisabled(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	association := newID()
	admin := func(p *roster.Person) { p.Role = roster.RoleCompanyAdmin }
	of := func(role roster.Role, association deal.ID) func(*roster.Person) {
		return func(p *roster.Person) { p.Role, p.AssociationID = role, association }
	}
	ada, ben := w.person("Ada", bumblebee, "en", admin), w.person("Ben", bumblebee, "de", admin)
	reg := w.person("Reg", deal.ID{}, "en", of(roster.RoleRegistrar, association))
	w.person("Member", bumblebee, "en")
	w.person("Other", capybara, "en", admin)
	w.person("Board", deal.ID{}, "en", of(roster.RoleBoard, association))
	w.person("Elsewhere", deal.ID{}, "en", of(roster.RoleRegistrar, newID()))
	disable := func(r stream.EndpointRecord) {
		t.Helper()
		r.Endpoint, r.Reason = newID(), "it answered 410 Gone"
		text, err := json.Marshal(r)
		if err == nil {
			_, err = w.js.Publish(t.Context(), stream.EndpointSubject(r.Endpoint), text)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	disable(stream.EndpointRecord{Company: bumblebee, At: w.now().Add(-time.Hour)}) // before anybody mailed
	w.start()
	disable(stream.EndpointRecord{Company: bumblebee, At: w.now()})
	w.inbox.await(2)
	w.stop()
	disable(stream.EndpointRecord{Association: association, At: w.now()})
	w.start()
	w.inbox.await(3)
	if got := ended(w.settled()); got != "[sent:3]" {
		t.Errorf("mails ended as %s", got)
	}
	const subject = "An endpoint of your webhooks was disabled"
	wantSubjects(t, w.inbox.to(ada), subject)
	wantSubjects(t, w.inbox.to(ben), "Ein Endpunkt Ihrer Webhooks wurde abgeschaltet")
	wantSubjects(t, w.inbox.to(reg), subject)
	for _, m := range w.inbox.all() {
		if !strings.Contains(m.text, "\nhttps://deals.registry.example/webhooks/") {
			t.Errorf("no link to the endpoint in\n%s", m.text)
		}
	}
}
