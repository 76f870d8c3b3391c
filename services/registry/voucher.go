package registry

import (
	"maps"
	"slices"
	"time"

	"github.com/dealreg/dealreg/pkg/calendar"
	"github.com/dealreg/dealreg/pkg/deal"
	"github.com/dealreg/dealreg/pkg/roster"
	"github.com/dealreg/dealreg/pkg/stream"
	"github.com/dealreg/dealreg/pkg/volume"
)

// voucher makes the event that the log will hold: the decision with all that a reader needs later and may not look up.
func voucher(r *roster.Roster, e deal.Event, before *stream.Stored, c stream.Command) stream.Event {
	v := stream.Event{Event: e, Command: c}
	if before != nil {
		v.Replaces, v.UnduplicatedReplaces = before.Attributions, before.Unduplicated
	}
	v.Attributions = attributions(r, e, v.Replaces)
	v.Unduplicated = unduplicated(r, v)
	v.Audience = audience(r, e, before)
	return v
}

// attributions are what the deal counts for after the event. Only an event that settles the figures looks into the
// roster; any other leaves them as they were.
func attributions(r *roster.Roster, e deal.Event, before []volume.Attribution) []volume.Attribution {
	d := e.Deal
	if d.Status != deal.Won {
		return nil
	}
	switch e.Type {
	case deal.EventExcluded: // a registrar's act changes only the figures of its own association
		return slices.DeleteFunc(slices.Clone(before), func(a volume.Attribution) bool { return a.Association == e.By.Association })
	case deal.EventWon, deal.EventCorrected, deal.EventRestated:
	default:
		return before
	}
	chapters := chaptersOn(r, d.Parties, *d.WonOn)
	var result []volume.Attribution
	for _, id := range slices.SortedFunc(maps.Keys(chapters), deal.ID.Compare) {
		association, known := r.Association(id)
		if !known {
			continue
		}
		a, counts := volume.Attribute(d, volume.Association{
			ID: id, Currency: association.ReportingCurrency, YearStartsIn: time.Month(association.YearStartsIn), Chapters: chapters[id],
		}, r.Rates())
		if counts {
			result = append(result, a)
		}
	}
	return result
}

// unduplicated is what the deal counts for in all associations together after the event, which has its attributions. Each
// share counts once whose party counts in some association where the deal gives way to no other one. An event that
// leaves the figures as they were leaves this one too.
func unduplicated(r *roster.Roster, v stream.Event) *volume.Attribution {
	if len(v.Attributions) == 0 {
		return nil
	}
	switch v.Type {
	case deal.EventWon, deal.EventCorrected, deal.EventRestated, deal.EventExcluded:
	default:
		return v.UnduplicatedReplaces
	}
	repeats := true
	associations := make([]volume.Association, len(v.Attributions))
	for i, a := range v.Attributions {
		if a.Withheld == volume.Duplicate {
			continue
		}
		repeats = false
		// The pairs name the members that the association counts, also where the directory has changed since.
		associations[i].Chapters = map[deal.ID]deal.ID{}
		for _, p := range a.Pairs {
			associations[i].Chapters[p.A], associations[i].Chapters[p.B] = deal.ID{}, deal.ID{}
		}
		if a.Withheld == volume.Unconverted {
			associations[i].Chapters = chaptersOn(r, v.Deal.Parties, *v.Deal.WonOn)[a.Association]
		}
	}
	result, _ := volume.Unduplicated(v.Deal, associations, r.Rates())
	if repeats {
		result = volume.WithholdDuplicates([]volume.Attribution{result}, map[deal.ID]bool{result.Association: true})[0]
	}
	return &result
}

// chaptersOn gives, for each association, the chapter of every party that was its member on the day.
func chaptersOn(r *roster.Roster, parties []deal.Party, day calendar.Date) map[deal.ID]map[deal.ID]deal.ID {
	result := map[deal.ID]map[deal.ID]deal.ID{}
	for _, p := range parties {
		for _, m := range r.MembershipsOn(p.Company, day) {
			if result[m.Association] == nil {
				result[m.Association] = map[deal.ID]deal.ID{}
			}
			result[m.Association][p.Company] = m.ChapterID
		}
	}
	return result
}

// audience is who may hear of the event: every company that is or was a party, and the associations that the deal
// belongs to. A deal belongs to the association that imported it, else to those in which at least two of its corporate
// groups are members, else to those of the registering company; no other association learns of it.
func audience(r *roster.Roster, e deal.Event, before *stream.Stored) stream.Audience {
	var companies []deal.ID
	associations := belongsTo(r, e.Deal, calendar.DateOf(e.At, time.UTC))
	for _, s := range e.Deal.Standings {
		companies = append(companies, s.Company)
	}
	if before != nil {
		for _, s := range before.Deal.Standings {
			companies = append(companies, s.Company)
		}
		for _, a := range before.Attributions {
			associations = append(associations, a.Association)
		}
	}
	return stream.Audience{Companies: eachOnce(companies), Associations: eachOnce(associations)}
}

// eachOnce sorts ids in place and gives each once.
func eachOnce(ids []deal.ID) []deal.ID {
	slices.SortFunc(ids, deal.ID.Compare)
	return slices.Compact(ids)
}

// belongsTo may name an association more than once.
func belongsTo(r *roster.Roster, d deal.Deal, today calendar.Date) []deal.ID {
	if !d.ImportedBy.IsZero() {
		return []deal.ID{d.ImportedBy}
	}
	day := today
	if d.WonOn != nil {
		day = *d.WonOn
	}
	var shared, own []deal.ID
	first := map[deal.ID]deal.ID{} // by association, the first of the groups that are in it
	for _, p := range d.Parties {
		for _, m := range r.MembershipsOn(p.Company, day) {
			if group, known := first[m.Association]; !known {
				first[m.Association] = p.Group
			} else if group != p.Group {
				shared = append(shared, m.Association)
			}
			if p.Company == d.RegisteredBy {
				own = append(own, m.Association)
			}
		}
	}
	if len(shared) > 0 {
		return shared
	}
	return own
}
