package roster

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"

	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"

	"github.com/dealreg/dealreg/pkg/calendar"
	"github.com/dealreg/dealreg/pkg/deal"
	"github.com/dealreg/dealreg/pkg/money"
)

// Health hears whether the directory is loaded. *lifecycle.Health is one.
type Health interface{ Report(part string, err error) }

// part is the directory's name in readiness reports.
const part = "directory"

// Roster is the directory in memory. It is safe for concurrent use; what it returns belongs to the caller, except
// slices and maps, which are shared and must not be changed.
type Roster struct {
	js     jetstream.JetStream
	log    *zap.Logger
	health Health

	mu        sync.RWMutex
	companies map[deal.ID]Company
	byName    map[string][]deal.ID
	byDomain  map[string][]deal.ID
	inGroup   map[deal.ID]int

	searchable map[deal.ID]searchable

	associations map[deal.ID]Association
	chapters     map[deal.ID]Chapter
	chaptersOf   map[deal.ID][]deal.ID
	members      map[deal.ID]map[deal.ID]Membership // association, company
	membershipOf map[deal.ID]map[deal.ID]Membership // company, association
	keys         map[string]Key                     // by prefix
	keyIDs       map[deal.ID]string                 // to prefix
	sessions     map[string]Session                 // by prefix
	sessionIDs   map[deal.ID]string                 // to prefix
	people       map[deal.ID]Person
	byEmail      map[string][]deal.ID
	bySubject    map[Subject][]deal.ID
	byLink       map[string][]deal.ID // by prefix
	waivers      map[string]Waiver    // by slot
	usedAt       map[deal.ID]keyUse
	rates        map[calendar.Date]money.Day
	table        *money.Table // nil: to be made from rates

	progress map[Bucket]*progress
	loaded   chan struct{} // closed when every bucket was read once
	waiting  int           // buckets that were not

	uses *uses
}

// progress is how far one bucket was followed.
type progress struct {
	loaded   bool
	err      error // why it is not followed now
	revision uint64
	moved    chan struct{} // closed at the next step; nil while nobody waits
}

// New makes an empty roster; Run fills it. The logger and health may be nil.
func New(js jetstream.JetStream, log *zap.Logger, health Health) *Roster {
	if log == nil {
		log = zap.NewNop()
	}
	r := &Roster{
		js: js, log: log, health: health,
		associations: map[deal.ID]Association{},
		progress:     map[Bucket]*progress{},
		loaded:       make(chan struct{}),
		waiting:      len(Buckets),
		uses:         newUses(),
	}
	for _, b := range Buckets {
		r.progress[b] = &progress{}
		r.clear(b)
	}
	r.report(ErrNotLoaded)
	return r
}

func (r *Roster) report(err error) {
	if r.health != nil {
		r.health.Report(part, err)
	}
}

// Loaded is closed once the whole directory was read.
func (r *Roster) Loaded() <-chan struct{} { return r.loaded }

// IsLoaded tells whether the whole directory was read.
func (r *Roster) IsLoaded() bool {
	select {
	case <-r.loaded:
		return true
	default:
		return false
	}
}

// WaitFor blocks until the roster has seen the revision of a bucket, so that a reader finds its own write. The
// error is that of ctx.
func (r *Roster) WaitFor(ctx context.Context, b Bucket, revision uint64) error {
	for {
		r.mu.Lock()
		p := r.progress[b]
		if p.loaded && p.revision >= revision {
			r.mu.Unlock()
			return nil
		}
		if p.moved == nil {
			p.moved = make(chan struct{})
		}
		moved := p.moved
		r.mu.Unlock()
		select {
		case <-moved:
		case <-ctx.Done():
			return fmt.Errorf("wait for revision %d of %s: %w", revision, b, ctx.Err())
		}
	}
}

// step notes how far the bucket was followed. The lock is held.
func (r *Roster) step(b Bucket, revision uint64, complete bool) {
	p := r.progress[b]
	p.revision = max(p.revision, revision)
	if complete && !p.loaded {
		p.loaded = true
		r.waiting--
		if r.waiting == 0 {
			close(r.loaded)
			r.log.Info("directory loaded", zap.Int("companies", len(r.companies)), zap.Int("associations", len(r.associations)))
		}
	}
	if p.moved != nil {
		close(p.moved)
		p.moved = nil
	}
}

// clear empties what is known of a bucket. The lock is held.
func (r *Roster) clear(b Bucket) {
	switch b {
	case Companies:
		r.companies, r.byName, r.byDomain = map[deal.ID]Company{}, map[string][]deal.ID{}, map[string][]deal.ID{}
		r.inGroup, r.searchable = map[deal.ID]int{}, map[deal.ID]searchable{}
	case Associations:
		r.associations = map[deal.ID]Association{}
	case Chapters:
		r.chapters, r.chaptersOf = map[deal.ID]Chapter{}, map[deal.ID][]deal.ID{}
	case Members:
		r.members, r.membershipOf = map[deal.ID]map[deal.ID]Membership{}, map[deal.ID]map[deal.ID]Membership{}
	case Keys:
		r.keys, r.keyIDs = map[string]Key{}, map[deal.ID]string{}
	case Rates:
		r.rates, r.table = map[calendar.Date]money.Day{}, nil
	case KeyUse:
		r.usedAt = map[deal.ID]keyUse{}
	case Sessions:
		r.sessions, r.sessionIDs = map[string]Session{}, map[deal.ID]string{}
	case People:
		r.people, r.byEmail = map[deal.ID]Person{}, map[string][]deal.ID{}
		r.bySubject, r.byLink = map[Subject][]deal.ID{}, map[string][]deal.ID{}
	case Waivers:
		r.waivers = map[string]Waiver{}
	}
}

// Learn takes over what was read elsewhere, into a roster that nobody runs.
func (r *Roster) Learn(companies []Company, chapters []Chapter, members []Membership) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range companies {
		r.setCompany(c)
	}
	for _, c := range chapters {
		r.setChapter(c)
	}
	for _, m := range members {
		r.setMembership(m)
	}
}

// apply takes one entry over. The lock is held. An entry that cannot be read keeps the one before.
func (r *Roster) apply(b Bucket, slot string, data []byte, revision uint64) error {
	switch b {
	case Companies:
		return take(data, func(c Company) { c.Revision = revision; r.setCompany(c) })
	case Associations:
		return take(data, func(a Association) {
			a.Revision = revision
			a.zone = a.Location()
			r.associations[a.ID] = a
		})
	case Chapters:
		return take(data, func(c Chapter) { c.Revision = revision; r.setChapter(c) })
	case Members:
		return take(data, func(m Membership) { m.Revision = revision; r.setMembership(m) })
	case Keys:
		return take(data, func(k Key) {
			k.Revision, k.slot = revision, slot
			r.keys[k.Prefix] = k
			r.keyIDs[k.ID] = k.Prefix
		})
	case Rates:
		return r.setRates(slot, data)
	case KeyUse:
		return take(data, func(u keyUse) {
			if id, err := deal.ParseID(slot); err == nil {
				u.revision = revision
				r.usedAt[id] = u
			}
		})
	case Sessions:
		return take(data, func(s Session) { s.Revision = revision; r.setSession(s) })
	case People:
		return take(data, func(p Person) { p.Revision = revision; r.setPerson(p) })
	case Waivers:
		return take(data, func(w Waiver) { w.Revision = revision; r.waivers[w.Key().slot()] = w })
	}
	return nil
}

func take[T any](data []byte, set func(T)) error {
	var v T
	if err := json.Unmarshal(data, &v); err != nil {
		return err
	}
	set(v)
	return nil
}

func (r *Roster) setCompany(c Company) {
	if old, ok := r.companies[c.ID]; ok {
		drop(r.byName, NameKey(old.Name), c.ID)
		drop(r.byDomain, old.Domain, c.ID)
		r.inGroup[old.GroupID]--
	}
	r.companies[c.ID] = c
	r.searchable[c.ID] = searchableOf(c)
	r.inGroup[c.GroupID]++
	add(r.byName, NameKey(c.Name), c.ID)
	if c.Domain != "" {
		add(r.byDomain, c.Domain, c.ID)
	}
}

func (r *Roster) setChapter(c Chapter) {
	if _, known := r.chapters[c.ID]; !known {
		add(r.chaptersOf, c.AssociationID, c.ID)
	}
	r.chapters[c.ID] = c
}

func (r *Roster) setMembership(m Membership) {
	put(r.members, m.AssociationID, m.CompanyID, m)
	put(r.membershipOf, m.CompanyID, m.AssociationID, m)
}

func (r *Roster) setRates(slot string, data []byte) error {
	return take(data, func(entry ratesOfDay) {
		if day, err := dayOf(slot, entry); err == nil {
			r.rates[day.Date] = day
			r.table = nil
		}
	})
}

// remove forgets an entry that was taken out of a bucket. The lock is held.
func (r *Roster) remove(b Bucket, slot string) {
	id, _ := deal.ParseID(slot)
	switch b {
	case Companies:
		if old, ok := r.companies[id]; ok {
			drop(r.byName, NameKey(old.Name), id)
			drop(r.byDomain, old.Domain, id)
			r.inGroup[old.GroupID]--
			delete(r.companies, id)
			delete(r.searchable, id)
		}
	case Associations:
		delete(r.associations, id)
	case Chapters:
		if old, ok := r.chapters[id]; ok {
			drop(r.chaptersOf, old.AssociationID, id)
			delete(r.chapters, id)
		}
	case Members:
		for association, members := range r.members {
			for company := range members {
				if memberSlot(association, company) == slot {
					delete(members, company)
					delete(r.membershipOf[company], association)
				}
			}
		}
	case Keys:
		for prefix, k := range r.keys {
			if k.slot == slot {
				delete(r.keys, prefix)
				delete(r.keyIDs, k.ID)
			}
		}
	case Rates:
		if on, err := calendar.ParseDate(slot); err == nil {
			delete(r.rates, on)
			r.table = nil
		}
	case KeyUse:
		delete(r.usedAt, id)
	case Sessions:
		r.removeSession(slot)
	case People:
		r.removePerson(id)
	case Waivers:
		delete(r.waivers, slot)
	}
}

func put[V any](m map[deal.ID]map[deal.ID]V, outer, inner deal.ID, v V) {
	if m[outer] == nil {
		m[outer] = map[deal.ID]V{}
	}
	m[outer][inner] = v
}

func add[K comparable](m map[K][]deal.ID, key K, id deal.ID) { m[key] = append(m[key], id) }

// drop makes a new slice, because the old one may be in a reader's hands.
func drop[K comparable](m map[K][]deal.ID, key K, id deal.ID) {
	var rest []deal.ID
	for _, other := range m[key] {
		if other != id {
			rest = append(rest, other)
		}
	}
	if rest == nil {
		delete(m, key)
		return
	}
	m[key] = rest
}
