package roster

import (
	"net/mail"
	"slices"
	"strings"
	"time"

	"github.com/dealreg/dealreg/pkg/deal"
)

// Language is what a person reads.
type Language string

// The languages.
const (
	English Language = "en"
	German  Language = "de"
)

// Person is somebody who signs in, with the rights of one role. The log knows people by their ID only.
type Person struct {
	ID            deal.ID    `json:"id"`
	Name          string     `json:"name"`            // 1-120 characters
	Email         string     `json:"email,omitempty"` // ASCII, 3-254 characters
	Language      Language   `json:"language"`
	Role          Role       `json:"role"`
	CompanyID     deal.ID    `json:"company_id,omitzero"`
	AssociationID deal.ID    `json:"association_id,omitzero"`
	DealID        deal.ID    `json:"deal_id,omitzero"`    // of a guest
	ForgetAt      *time.Time `json:"forget_at,omitempty"` // of a guest: when nothing of its link opens anything any more
	Subjects      []Subject  `json:"subjects,omitempty"`  // how OpenID providers know the person
	Link          *Link      `json:"link,omitempty"`      // the one sign-in link that is not used yet
	CreatedAt     time.Time  `json:"created_at"`
	DisabledAt    *time.Time `json:"disabled_at,omitempty"` // nil: may sign in
	NoDigest      bool       `json:"no_digest,omitempty"`   // wants no weekly mail of what waits

	Revision uint64 `json:"-"`
}

// Subject is a person as one OpenID provider knows it.
type Subject struct {
	Issuer  string `json:"issuer"`
	Subject string `json:"subject"` // never given to another person by this issuer
}

// Clean is the person as it is stored; without a language it is English.
func (p Person) Clean() Person {
	p.Name = CleanName(p.Name)
	p.Email = strings.TrimSpace(p.Email)
	if p.Language == "" {
		p.Language = English
	}
	return p
}

// Validate names every fault of a cleaned person with its field and the remedy.
func (p Person) Validate() deal.Invalid {
	faults := p.Scope().Validate()
	checkName(&faults, "/name", p.Name, 120)
	if p.Email != "" && !IsEmail(p.Email) {
		faults.Add("/email", "not an e-mail address: write it without a name and in ASCII, such as ada@contoso.example (international domains as xn--)")
	}
	switch p.Language {
	case English, German:
	default:
		faults.Add("/language", "not a language of the pages: write en or de")
	}
	return faults
}

// Scope is what the person may do.
func (p Person) Scope() Scope {
	return Scope{Role: p.Role, CompanyID: p.CompanyID, AssociationID: p.AssociationID}
}

// Principal is who acts when the person does.
func (p Person) Principal() Principal {
	return Principal{KeyID: p.ID, Role: p.Role, Company: p.CompanyID, Association: p.AssociationID, Deal: p.DealID}
}

// IsEmail tells whether text is one plain address of RFC 5322 at a web domain, in ASCII: letters of other alphabets
// that fold to ASCII must not make two mailboxes one.
func IsEmail(text string) bool {
	if len(text) > 254 || emailKey(text) == "" {
		return false
	}
	parsed, err := mail.ParseAddress(text)
	at := strings.LastIndexByte(text, '@')
	return err == nil && parsed.Address == text && IsDomain(strings.ToLower(text[at+1:]))
}

// emailKey is what two addresses of one mailbox have in common; empty for what is no address of ours.
func emailKey(email string) string {
	if strings.ContainsFunc(email, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return ""
	}
	return strings.ToLower(email)
}

// Person finds a person by its ID, disabled ones and guests too.
func (r *Roster) Person(id deal.ID) (Person, bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	p, ok := r.people[id]
	return p, ok
}

// People lists all of them but the guests by ID, which is the order in which they were invited.
func (r *Roster) People() []Person {
	return r.peopleWho(func(p Person) bool { return p.Role != RoleGuest })
}

func (r *Roster) peopleWho(are func(Person) bool) []Person {
	r.mu.RLock()
	defer r.mu.RUnlock()
	found := make([]Person, 0, len(r.people))
	for _, p := range r.people {
		if are(p) {
			found = append(found, p)
		}
	}
	slices.SortFunc(found, func(a, b Person) int { return a.ID.Compare(b.ID) })
	return found
}

// PersonByEmail finds the one person with the address who may sign in; false when there is none or several.
func (r *Roster) PersonByEmail(email string) (Person, bool) {
	key := emailKey(email)
	return r.onePerson(func() []deal.ID { return r.byEmail[key] })
}

// PersonBySubject finds the one person whom a provider knows so and who may sign in; false when there is none or several.
func (r *Roster) PersonBySubject(s Subject) (Person, bool) {
	return r.onePerson(func() []deal.ID { return r.bySubject[s] })
}

// PersonWithLink finds whom the prefix of a sign-in link's token belongs to. Whether it opens anything, the store
// decides.
func (r *Roster) PersonWithLink(token string) (Person, bool) {
	prefix, ok := prefixOf(kindLink, token)
	if !ok {
		return Person{}, false
	}
	return r.onePerson(func() []deal.ID { return r.byLink[prefix] })
}

// onePerson is the only one of the candidates who may sign in. The lock is held while they are found.
func (r *Roster) onePerson(candidates func() []deal.ID) (Person, bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	var found []Person
	for _, id := range candidates() {
		if p := r.people[id]; p.DisabledAt == nil {
			found = append(found, p)
		}
	}
	if len(found) != 1 {
		return Person{}, false
	}
	return found[0], true
}

func (r *Roster) setPerson(p Person) {
	r.removePerson(p.ID)
	r.people[p.ID] = p
	if key := emailKey(p.Email); key != "" && p.Role != RoleGuest { // its address signs nobody in
		add(r.byEmail, key, p.ID)
	}
	for _, s := range p.Subjects {
		add(r.bySubject, s, p.ID)
	}
	if p.Link != nil {
		add(r.byLink, p.Link.Prefix, p.ID)
	}
}

func (r *Roster) removePerson(id deal.ID) {
	old, ok := r.people[id]
	if !ok {
		return
	}
	delete(r.people, id)
	drop(r.byEmail, emailKey(old.Email), id)
	for _, s := range old.Subjects {
		drop(r.bySubject, s, id)
	}
	if old.Link != nil {
		drop(r.byLink, old.Link.Prefix, id)
	}
}
