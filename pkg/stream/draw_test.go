package stream_test

import (
	"slices"
	"time"

	"pgregory.net/rapid"

	"github.com/dealreg/dealreg/pkg/calendar"
	"github.com/dealreg/dealreg/pkg/deal"
	"github.com/dealreg/dealreg/pkg/money"
	"github.com/dealreg/dealreg/pkg/stream"
	"github.com/dealreg/dealreg/pkg/volume"
)

// events draws events in which any field may be anything that the types allow, in the form that Decode gives: empty
// lists are nil and times are UTC.
func events() *rapid.Generator[stream.Event] { return rapid.Custom(drawEvent) }

func drawEvent(t *rapid.T) stream.Event {
	d := drawDeal(t)
	return stream.Event{
		Event: deal.Event{
			Type: rapid.SampledFrom(eventTypes).Draw(t, "type"), Includes: drawList(t, rapid.SampledFrom(eventTypes)),
			At: d.UpdatedAt, By: drawActor(t), Deal: d,
		},
		Command:      stream.Command{ID: rapid.String().Draw(t, "command"), RequestHash: drawBytes(t)},
		PreviousHash: drawBytes(t),
		Audience:     stream.Audience{Companies: drawList(t, ids()), Associations: drawList(t, ids())},
		Attributions: drawList(t, rapid.Custom(drawAttribution)),
		Replaces:     drawList(t, rapid.Custom(drawAttribution)),
		Unduplicated: rapid.Ptr(rapid.Custom(drawAttribution), true).Draw(t, "unduplicated"),

		UnduplicatedReplaces: rapid.Ptr(rapid.Custom(drawAttribution), true).Draw(t, "unduplicated before"),
	}
}

func drawDeal(t *rapid.T) deal.Deal {
	id := ids().Draw(t, "deal")
	id[0] |= 1 // an event names its deal
	return deal.Deal{
		ID: id, Revision: rapid.Uint64Min(1).Draw(t, "revision"), Status: rapid.SampledFrom(slices.DeleteFunc(slices.Clone(statuses), func(s deal.Status) bool { return s == deal.New })).Draw(t, "status"),
		Details: deal.Details{
			Title: rapid.String().Draw(t, "title"), Description: rapid.String().Draw(t, "description"),
			ExternalRef: rapid.String().Draw(t, "ref"),
			Customer: deal.Customer{
				Name: rapid.String().Draw(t, "customer"), Country: rapid.String().Draw(t, "country"), Domain: rapid.String().Draw(t, "domain"),
			},
			ExpectedOn: rapid.Ptr(dates(), true).Draw(t, "expected_on"), Replaces: ids().Draw(t, "replaces"),
		},
		Terms:        drawTerms(t),
		TermsVersion: rapid.Uint32().Draw(t, "terms version"),
		Standings: drawList(t, rapid.Custom(func(t *rapid.T) deal.Standing {
			return deal.Standing{
				Company: ids().Draw(t, "company"), Member: rapid.Bool().Draw(t, "member"), AcceptedAt: rapid.Ptr(times(), true).Draw(t, "accepted"),
				AttestedTerms: rapid.Uint32().Draw(t, "attested terms"), AttestedAt: rapid.Ptr(times(), true).Draw(t, "attested"),
				Voids: rapid.Bool().Draw(t, "voids"),
			}
		})),
		StatusSince: times().Draw(t, "status since"), UpdatedAt: times().Draw(t, "at"),
		DisputedFrom: rapid.SampledFrom(statuses).Draw(t, "disputed from"),
		RegisteredBy: ids().Draw(t, "registered by"), RegisteredAt: times().Draw(t, "registered at"),
		RegisteredAfterWin: rapid.Bool().Draw(t, "after win"),
		Evidence:           rapid.SampledFrom(evidences).Draw(t, "evidence"), EvidenceReference: rapid.String().Draw(t, "reference"),
		ImportedBy: ids().Draw(t, "imported by"),
		Correction: rapid.Ptr(rapid.Custom(func(t *rapid.T) deal.Correction {
			return deal.Correction{Terms: drawTerms(t), TermsVersion: rapid.Uint32().Draw(t, "version"), ProposedBy: ids().Draw(t, "by")}
		}), true).Draw(t, "correction"),
		Exclusions: drawList(t, rapid.Custom(func(t *rapid.T) deal.Exclusion {
			return deal.Exclusion{Association: ids().Draw(t, "association"), Reason: rapid.String().Draw(t, "reason")}
		})),
		Reason: rapid.String().Draw(t, "reason"),
	}
}

func drawTerms(t *rapid.T) deal.Terms {
	return deal.Terms{
		Value: money.Amount{Minor: rapid.Int64().Draw(t, "value"), Currency: money.Currency(rapid.String().Draw(t, "currency"))},
		Parties: drawList(t, rapid.Custom(func(t *rapid.T) deal.Party {
			return deal.Party{
				Company: ids().Draw(t, "company"), Group: ids().Draw(t, "group"),
				Role: rapid.SampledFrom(partyRoles).Draw(t, "role"), ShareMinor: rapid.Int64().Draw(t, "share"),
			}
		})),
		WonOn: rapid.Ptr(dates(), true).Draw(t, "won_on"),
	}
}

func drawActor(t *rapid.T) deal.Actor {
	a := deal.Actor{Key: ids().Draw(t, "key")}
	switch rapid.IntRange(0, 2).Draw(t, "actor") {
	case 0:
		a.Company, a.LinkOf = ids().Draw(t, "company"), ids().Draw(t, "link of")
	case 1:
		a.Association = ids().Draw(t, "association")
	default:
		a.IsSystem = true
	}
	return a
}

func drawAttribution(t *rapid.T) volume.Attribution {
	return volume.Attribution{
		Association: ids().Draw(t, "association"), Year: rapid.IntRange(1900, 2299).Draw(t, "year"), Month: dates().Draw(t, "month"),
		Currency: money.Currency(rapid.String().Draw(t, "currency")), AmountMinor: rapid.Int64().Draw(t, "amount"),
		Chapters: drawList(t, rapid.Custom(func(t *rapid.T) volume.Chapter {
			return volume.Chapter{Chapter: ids().Draw(t, "chapter"), AmountMinor: rapid.Int64().Draw(t, "amount")}
		})),
		Pairs: drawList(t, rapid.Custom(func(t *rapid.T) volume.Pair {
			return volume.Pair{A: ids().Draw(t, "a"), B: ids().Draw(t, "b"), AmountMinor: rapid.Int64().Draw(t, "amount")}
		})),
		Quote: rapid.Ptr(rapid.Custom(func(t *rapid.T) money.Quote {
			return money.Quote{
				From: money.Currency(rapid.String().Draw(t, "from")), To: money.Currency(rapid.String().Draw(t, "to")),
				FromPerEUR: rapid.String().Draw(t, "from rate"), ToPerEUR: rapid.String().Draw(t, "to rate"),
				Date: dates().Draw(t, "date"), Source: rapid.String().Draw(t, "source"),
			}
		}), true).Draw(t, "quote"),
		Evidence: rapid.SampledFrom(evidences).Draw(t, "evidence"), Withheld: rapid.SampledFrom(withhelds).Draw(t, "withheld"),
	}
}

func ids() *rapid.Generator[deal.ID] {
	return rapid.Custom(func(t *rapid.T) deal.ID {
		return deal.ID(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "id"))
	})
}

func dates() *rapid.Generator[calendar.Date] {
	return rapid.Map(rapid.Int32(), func(n int32) calendar.Date { return calendar.Date(n) })
}

// times gives instants of the years 1 to 9999 to the nanosecond.
func times() *rapid.Generator[time.Time] {
	return rapid.Custom(func(t *rapid.T) time.Time {
		seconds := rapid.Int64Range(-62135596800, 253402300799).Draw(t, "seconds")
		return time.Unix(seconds, rapid.Int64Range(0, 999999999).Draw(t, "nanoseconds")).UTC()
	})
}

func drawBytes(t *rapid.T) []byte { return drawList(t, rapid.Byte()) }

func drawList[T any](t *rapid.T, of *rapid.Generator[T]) []T {
	if list := rapid.SliceOfN(of, 0, 3).Draw(t, "list"); len(list) > 0 {
		return list
	}
	return nil
}
