package warehouse

import (
	"bytes"
	"slices"
)

// logEvent is what rows are made of, out of one event of the log. It is read from the payload without an allocation and
// refers to its bytes. Its messages are those of proto/dealreg/v1, read by the rules of protobuf: the last value of a
// field counts, a message that comes twice is merged, and what is unknown is left out. Every part of the event is
// checked as protobuf does, also those of which no row is made.
type logEvent struct {
	schema               uint32
	dealID               []byte
	revision             uint64
	kind                 int32
	at                   timestamp
	associations         [][]byte // of the audience
	deal                 logDeal
	attributions         []attribution
	replaces             []attribution
	unduplicated         []attribution // one or none, as the next one
	unduplicatedReplaces []attribution
}

type timestamp struct {
	present bool
	seconds int64
	nanos   int32
}

type logDeal struct {
	status                                             int32
	title, externalRef, customer, domain, registeredBy []byte
	terms                                              terms
	termsVersion                                       uint32
	standings                                          []standing
	correction                                         correction
}

type terms struct {
	currency []byte
	parties  []party
	hasWonOn bool
	wonOn    int32
}

type party struct {
	company []byte
	group   []byte // none when the company is its own
	role    int32
}

func (p *party) groupOrItself() []byte {
	if len(p.group) > 0 {
		return p.group
	}
	return p.company
}

type standing struct {
	company       []byte
	accepted      bool // accepted_at is present
	attestedTerms uint32
	voids         bool
}

type correction struct {
	present      bool
	terms        terms
	termsVersion uint32
}

type attribution struct {
	association []byte
	year, month int32
	currency    []byte
	amountMinor int64
	chapters    []share
	pairs       []share
	rate        rate
	evidence    int32
	withheld    int32
}

// share is the amount of a chapter, which is a, or of a pair.
type share struct {
	a, b        []byte
	amountMinor int64
}

type rate struct {
	present bool
	texts   [5][]byte // all that is text, in the order of the fields
	date    int32
}

// same tells whether the two mean the same.
func (a *attribution) same(b *attribution) bool {
	return bytes.Equal(a.association, b.association) && a.year == b.year && a.month == b.month &&
		bytes.Equal(a.currency, b.currency) && a.amountMinor == b.amountMinor && a.evidence == b.evidence && a.withheld == b.withheld &&
		slices.EqualFunc(a.chapters, b.chapters, share.same) && slices.EqualFunc(a.pairs, b.pairs, share.same) && a.rate.same(&b.rate)
}

func (s share) same(t share) bool {
	return bytes.Equal(s.a, t.a) && bytes.Equal(s.b, t.b) && s.amountMinor == t.amountMinor
}

func (r *rate) same(s *rate) bool {
	if r.present != s.present || r.date != s.date {
		return false
	}
	for i := range r.texts {
		if !bytes.Equal(r.texts[i], s.texts[i]) {
			return false
		}
	}
	return true
}

// reset empties the event and keeps its memory.
func (e *logEvent) reset() {
	d := &e.deal
	*e = logEvent{
		associations: e.associations[:0], attributions: e.attributions[:0], replaces: e.replaces[:0],
		unduplicated: e.unduplicated[:0], unduplicatedReplaces: e.unduplicatedReplaces[:0],
		deal: logDeal{
			standings: d.standings[:0], terms: terms{parties: d.terms.parties[:0]},
			correction: correction{terms: terms{parties: d.correction.terms.parties[:0]}},
		},
	}
}

// The functions below read a message over and beside what is there already, and tell whether it is one.

func (e *logEvent) parse(b []byte) bool {
	var f field
	var sound bool
	for len(b) > 0 {
		if b, sound = f.next(b); !sound {
			return false
		}
		switch f.tag {
		case 1<<3 | number:
			e.schema = f.uint32()
		case 2<<3 | block:
			e.dealID = f.bytes
		case 3<<3 | number:
			e.revision = f.value
		case 4<<3 | number:
			e.kind = f.int32()
		case 5<<3 | block: // includes
			sound = numbers(f.bytes)
		case 6<<3 | block:
			sound = e.at.parse(f.bytes)
		case 7<<3 | block: // actor
			sound = wellFormed(f.bytes, 0)
		case 8<<3 | block: // command
			sound = wellFormed(f.bytes, 1<<1)
		case 10<<3 | block:
			sound = e.parseAudience(f.bytes)
		case 11<<3 | block:
			sound = e.deal.parse(f.bytes)
		case 12<<3 | block:
			e.attributions, sound = anotherAttribution(e.attributions, f.bytes)
		case 13<<3 | block:
			e.replaces, sound = anotherAttribution(e.replaces, f.bytes)
		case 14<<3 | block:
			e.unduplicated, sound = theAttribution(e.unduplicated, f.bytes)
		case 15<<3 | block:
			e.unduplicatedReplaces, sound = theAttribution(e.unduplicatedReplaces, f.bytes)
		}
		if !sound {
			return false
		}
	}
	return true
}

func anotherAttribution(list []attribution, b []byte) ([]attribution, bool) {
	list, a := another(list)
	*a = attribution{chapters: a.chapters[:0], pairs: a.pairs[:0]}
	return list, a.parse(b)
}

// theAttribution reads what there is once at most.
func theAttribution(list []attribution, b []byte) ([]attribution, bool) {
	if len(list) == 0 {
		return anotherAttribution(list, b)
	}
	return list, list[0].parse(b)
}

func (t *timestamp) parse(b []byte) bool {
	t.present = true
	var f field
	var sound bool
	for len(b) > 0 {
		if b, sound = f.next(b); !sound {
			return false
		}
		switch f.tag {
		case 1<<3 | number:
			t.seconds = f.int64()
		case 2<<3 | number:
			t.nanos = f.int32()
		}
	}
	return true
}

func (e *logEvent) parseAudience(b []byte) bool {
	var f field
	var sound bool
	for len(b) > 0 {
		if b, sound = f.next(b); !sound {
			return false
		}
		if f.tag == 2<<3|block {
			e.associations = append(e.associations, f.bytes)
		}
	}
	return true
}

func (d *logDeal) parse(b []byte) bool {
	var f field
	var unlisted []byte
	var sound bool
	for len(b) > 0 {
		if b, sound = f.next(b); !sound {
			return false
		}
		switch f.tag {
		case 1<<3 | number:
			d.status = f.int32()
		case 4<<3 | block:
			sound = f.text(&d.title)
		case 6<<3 | block:
			sound = f.text(&d.externalRef)
		case 7<<3 | block:
			sound = d.parseCustomer(f.bytes)
		case 8<<3 | block:
			sound = d.terms.parse(f.bytes)
		case 9<<3 | number:
			d.termsVersion = f.uint32()
		case 10<<3 | block:
			var s *standing
			d.standings, s = another(d.standings)
			*s = standing{}
			sound = s.parse(f.bytes)
		case 12<<3 | block:
			d.registeredBy = f.bytes
		case 3<<3 | block, 13<<3 | block: // status_since, registered_at
			sound = wellFormed(f.bytes, 0)
		case 5<<3 | block, 16<<3 | block, 19<<3 | block: // description, evidence_reference, reason
			sound = f.text(&unlisted)
		case 18<<3 | block:
			sound = d.correction.parse(f.bytes)
		case 21<<3 | block: // exclusions
			sound = wellFormed(f.bytes, 1<<2)
		}
		if !sound {
			return false
		}
	}
	return true
}

func (d *logDeal) parseCustomer(b []byte) bool {
	var f field
	var country []byte
	var sound bool
	for len(b) > 0 {
		if b, sound = f.next(b); !sound {
			return false
		}
		switch f.tag {
		case 1<<3 | block:
			sound = f.text(&d.customer)
		case 2<<3 | block:
			sound = f.text(&country)
		case 3<<3 | block:
			sound = f.text(&d.domain)
		}
		if !sound {
			return false
		}
	}
	return true
}

func (t *terms) parse(b []byte) bool {
	var f field
	var sound bool
	for len(b) > 0 {
		if b, sound = f.next(b); !sound {
			return false
		}
		switch f.tag {
		case 2<<3 | block:
			sound = f.text(&t.currency)
		case 3<<3 | block:
			var p *party
			t.parties, p = another(t.parties)
			*p = party{}
			sound = p.parse(f.bytes)
		case 4<<3 | number:
			t.hasWonOn, t.wonOn = true, f.int32()
		}
		if !sound {
			return false
		}
	}
	return true
}

func (p *party) parse(b []byte) bool {
	var f field
	var sound bool
	for len(b) > 0 {
		if b, sound = f.next(b); !sound {
			return false
		}
		switch f.tag {
		case 1<<3 | block:
			p.company = f.bytes
		case 2<<3 | block:
			p.group = f.bytes
		case 3<<3 | number:
			p.role = f.int32()
		}
	}
	return true
}

func (s *standing) parse(b []byte) bool {
	var f field
	var sound bool
	for len(b) > 0 {
		if b, sound = f.next(b); !sound {
			return false
		}
		switch f.tag {
		case 1<<3 | block:
			s.company = f.bytes
		case 3<<3 | block:
			s.accepted = true
			sound = wellFormed(f.bytes, 0)
		case 4<<3 | number:
			s.attestedTerms = f.uint32()
		case 5<<3 | block: // attested_at
			sound = wellFormed(f.bytes, 0)
		case 6<<3 | number:
			s.voids = f.bool()
		}
		if !sound {
			return false
		}
	}
	return true
}

func (c *correction) parse(b []byte) bool {
	c.present = true
	var f field
	var sound bool
	for len(b) > 0 {
		if b, sound = f.next(b); !sound {
			return false
		}
		switch f.tag {
		case 1<<3 | block:
			sound = c.terms.parse(f.bytes)
		case 2<<3 | number:
			c.termsVersion = f.uint32()
		}
		if !sound {
			return false
		}
	}
	return true
}

func (a *attribution) parse(b []byte) bool {
	var f field
	var sound bool
	for len(b) > 0 {
		if b, sound = f.next(b); !sound {
			return false
		}
		switch f.tag {
		case 1<<3 | block:
			a.association = f.bytes
		case 2<<3 | number:
			a.year = f.int32()
		case 3<<3 | number:
			a.month = f.int32()
		case 4<<3 | block:
			sound = f.text(&a.currency)
		case 5<<3 | number:
			a.amountMinor = f.int64()
		case 6<<3 | block:
			a.chapters, sound = anotherShare(a.chapters, f.bytes, 1)
		case 7<<3 | block:
			a.pairs, sound = anotherShare(a.pairs, f.bytes, 2)
		case 8<<3 | block:
			sound = a.rate.parse(f.bytes)
		case 9<<3 | number:
			a.evidence = f.int32()
		case 10<<3 | number:
			a.withheld = f.int32()
		}
		if !sound {
			return false
		}
	}
	return true
}

// anotherShare reads an amount behind so many ids.
func anotherShare(list []share, b []byte, ids uint64) ([]share, bool) {
	list, s := another(list)
	*s = share{}
	var f field
	var sound bool
	for len(b) > 0 {
		if b, sound = f.next(b); !sound {
			return list, false
		}
		switch {
		case f.tag == 1<<3|block:
			s.a = f.bytes
		case f.tag == 2<<3|block && ids == 2:
			s.b = f.bytes
		case f.tag == (ids+1)<<3|number:
			s.amountMinor = f.int64()
		}
	}
	return list, true
}

func (r *rate) parse(b []byte) bool {
	r.present = true
	var f field
	var sound bool
	for len(b) > 0 {
		if b, sound = f.next(b); !sound {
			return false
		}
		switch f.tag {
		case 1<<3 | block, 2<<3 | block, 3<<3 | block, 4<<3 | block:
			sound = f.text(&r.texts[f.tag>>3-1])
		case 5<<3 | number:
			r.date = f.int32()
		case 6<<3 | block:
			sound = f.text(&r.texts[4])
		}
		if !sound {
			return false
		}
	}
	return true
}
