package audit

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"math/big"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/dealreg/dealreg/pkg/money"
	dealregv1 "github.com/dealreg/dealreg/proto/dealreg/v1"
)

// Filter narrows down what is compared. The zero Filter compares everything.
type Filter struct {
	Association string // its id; empty for each one, and all together
	Year        int    // 0 for all
}

// Difference is one figure that the reports give otherwise than the log.
type Difference struct {
	Association string // empty for all together
	Year        int
	By          By     // the way of cutting under which it was asked; empty for what is of no association and no year
	Rows        bool   // it shows only where the rows of all events are summed anew
	What        string // such as "total amount", "previous_year deals", "pair amount"
	Key         string // of the item: a chapter, two companies, a month; empty for a whole year
	Expected    string // by the log
	Found       string // in the reports
}

// String is one line for a person.
func (d Difference) String() string {
	if d.By == "" {
		return fmt.Sprintf("%s: the log says %s, the report %s", d.What, d.Expected, d.Found)
	}
	key, by := "", string(d.By)
	if d.Rows {
		by += " anew from all rows"
	}
	if d.Key != "" {
		key = " of " + d.Key
	}
	who := "all associations, unduplicated"
	if d.Association != "" {
		who = "association " + d.Association
	}
	return fmt.Sprintf("%s, year %d, by %s, %s%s: the log says %s, the report %s",
		who, d.Year, by, d.What, key, d.Expected, d.Found)
}

// maxDifferences is how many differences a Comparison keeps; it counts them all.
const maxDifferences = 100

// Comparison is what Compare found.
type Comparison struct {
	Associations    int
	Years           int  // of each association
	Together        bool // all associations together were compared too
	Figures         int64
	Differences     []Difference // the first 100
	DifferenceCount int64        // all
	Missing         *Beginning   // the first event that the reports lack altogether; nil when they do not say that they lack one
}

// Compare asks a running system for every association's years, cut in every way, as of the ledger's last event, and
// compares each figure. The years go from one before the first to one after the last that the log shows, so that a
// figure which is claimed there is seen too. While the reports lag behind the log it waits. An error means that not
// everything was compared; the Comparison then holds what was.
func Compare(ctx context.Context, client *Client, ledger *Ledger, filter Filter) (Comparison, error) {
	c := comparison{client: client, ledger: ledger}
	if ledger.LastSequence == 0 {
		return c.Comparison, c.compareEnd(ctx)
	}
	ids, err := c.associations(ctx, filter)
	if err != nil {
		return c.Comparison, err
	}
	c.Associations = len(ids)
	if filter.Association == "" {
		ids = append(ids, ID{})
	}
	for _, id := range ids {
		first, last := c.years(id, filter)
		for year := first; year <= last; year++ {
			if id.isAll() {
				c.Together = true
			} else {
				c.Years++
			}
			if err := c.compareYear(ctx, id, year); err != nil {
				return c.Comparison, err
			}
		}
	}
	return c.Comparison, c.compareEnd(ctx)
}

// compareYear compares what is served and, where that is equal, what the rows of the single events add up to: sums that
// were added up before may hide a row that was altered since.
func (c *comparison) compareYear(ctx context.Context, id ID, year int) error {
	before := c.DifferenceCount
	for _, rows := range []bool{false, true} {
		for _, by := range cutsOf(id) {
			if c.DifferenceCount > before && rows || rows && by == ByTotal { // the other cuts have the total too
				continue
			}
			if err := c.compare(ctx, asked{id, year, by, rows}); err != nil {
				return err
			}
		}
	}
	return nil
}

// asked is one report.
type asked struct {
	of   ID
	year int
	by   By
	rows bool // summed anew from the rows of all events
}

type comparison struct {
	client *Client
	ledger *Ledger
	Comparison
}

// associations are those of the log and those of the system, in the order of their ids.
func (c *comparison) associations(ctx context.Context, filter Filter) ([]ID, error) {
	if filter.Association != "" {
		id, err := parseAssociation(filter.Association)
		return []ID{id}, err
	}
	all := map[ID]bool{}
	for _, id := range c.ledger.Associations() {
		all[id] = true
	}
	for cursor := ""; ; {
		var page struct {
			Items []struct {
				ID string `json:"id"`
			} `json:"items"`
			NextCursor string `json:"next_cursor"`
		}
		query := url.Values{"limit": {"200"}}
		if cursor != "" {
			query.Set("cursor", cursor)
		}
		if err := c.client.json(ctx, "/v1/associations", query, &page); err != nil {
			return nil, err
		}
		for _, item := range page.Items {
			id, ok := parseID(strings.ToLower(item.ID))
			if !ok {
				return nil, fmt.Errorf("GET /v1/associations: %s is not an id", quote(item.ID))
			}
			all[id] = true
		}
		if page.NextCursor == "" || page.NextCursor == cursor {
			break
		}
		cursor = page.NextCursor
	}
	return slices.SortedFunc(maps.Keys(all), ID.compare), nil
}

// years is the range to compare. An association of which the log knows nothing is asked for the years of the others.
func (c *comparison) years(id ID, filter Filter) (first, last int) {
	if filter.Year != 0 {
		return filter.Year, filter.Year
	}
	first, last, ok := c.ledger.Years(id)
	if !ok {
		first, last = c.ledger.lastYear, c.ledger.lastYear
		for _, other := range c.ledger.Associations() {
			if from, to, ok := c.ledger.Years(other); ok {
				first, last = min(first, from), max(last, to)
			}
		}
	}
	return first - 1, last + 1
}

// The answer of GET /v1/associations/{id}/volume.
type (
	volume struct {
		AssociationID string       `json:"association_id"`
		Year          int          `json:"year"`
		Currency      string       `json:"currency"`
		AsOfSequence  uint64       `json:"as_of_sequence"`
		Total         volumeSums   `json:"total"`
		PreviousYear  volumeSums   `json:"previous_year"`
		Items         []volumeItem `json:"items"`
		Events        uint64       `json:"events"`        // of all together, summed anew
		FirstMissing  uint64       `json:"first_missing"` // of them; 0 when none is
	}
	volumeSums struct {
		Amount            string `json:"amount"`
		Deals             int64  `json:"deals"`
		AttestedByParties string `json:"attested_by_parties"`
		UnconvertedDeals  int64  `json:"unconverted_deals"`
	}
	volumeItem struct {
		Companies []volumeName `json:"companies"`
		Chapter   volumeName   `json:"chapter"`
		Month     string       `json:"month"`
		// These two every item has; the others are compared where a report gives them.
		Amount            string  `json:"amount"`
		Deals             int64   `json:"deals"`
		AttestedByParties *string `json:"attested_by_parties"`
		UnconvertedDeals  *int64  `json:"unconverted_deals"`
	}
	volumeName struct {
		ID string `json:"id"`
	}
)

// key writes the item as Item.key does.
func (v volumeItem) key(by By) string {
	switch by {
	case ByChapter:
		return strings.ToLower(v.Chapter.ID)
	case ByPair:
		var ids []string
		for _, c := range v.Companies {
			ids = append(ids, strings.ToLower(c.ID))
		}
		slices.Sort(ids)
		return strings.Join(ids, " and ")
	case ByMonth:
		return v.Month
	default:
		return ""
	}
}

func (i Item) key(by By) string {
	switch by {
	case ByChapter:
		return i.Chapter.String()
	case ByPair:
		return i.A.String() + " and " + i.B.String()
	case ByMonth:
		return time.Unix(int64(i.Month)*24*60*60, 0).UTC().Format("2006-01")
	default:
		return ""
	}
}

func (c *comparison) compare(ctx context.Context, r asked) error {
	id, year, by := r.of, r.year, r.by
	d := differ{comparison: c, id: id, year: year, by: by, rows: r.rows, currency: c.ledger.Currency(id)}
	var found volume
	path, name := "/v1/volume", ""
	if !id.isAll() {
		path, name = "/v1/associations/"+id.String()+"/volume", id.String()
	}
	query := url.Values{
		"year": {strconv.Itoa(year)}, "by": {string(by)}, "as_of_sequence": {strconv.FormatUint(c.ledger.LastSequence, 10)},
	}
	if r.rows {
		query.Set("rows", "true")
	}
	err := c.client.json(ctx, path, query, &found)
	if errors.Is(err, ErrNotThere) {
		d.text("report", "", "a report", "404: no such association, or the key may not see it")
		return nil
	}
	if err != nil {
		return err
	}
	d.text("association_id", "", name, strings.ToLower(found.AssociationID))
	d.text("year", "", strconv.Itoa(year), strconv.Itoa(found.Year))
	d.text("as_of_sequence", "", strconv.FormatUint(c.ledger.LastSequence, 10), strconv.FormatUint(found.AsOfSequence, 10))
	total, previous := c.ledger.Total(id, year), c.ledger.Total(id, year-1)
	if !total.isZero() || !previous.isZero() {
		d.text("currency", "", d.currency, found.Currency)
	}
	d.whole("total", total, found.Total)
	d.whole("previous_year", previous, found.PreviousYear)
	if by != ByTotal {
		d.items(c.ledger.Items(id, year, by), found.Items)
	}
	return nil
}

// compareEnd makes sure that the log has not lost its end: the last event that the reports hold must be in the log, which
// may have grown since it was folded. And the reports must have kept every event up to it: where sums were added up before,
// or the event counts for nothing, no figure shows that its row is gone.
func (c *comparison) compareEnd(ctx context.Context) error {
	year := cmp.Or(c.ledger.lastYear, 2000) // any
	var held volume
	if err := c.client.json(ctx, "/v1/volume", url.Values{"year": {strconv.Itoa(year)}, "by": {string(ByTotal)}, "rows": {"true"}}, &held); err != nil {
		return err
	}
	last := c.ledger.LastSequence
	if held.AsOfSequence > last {
		entry, err := c.entryAt(ctx, held.AsOfSequence)
		if err != nil {
			return err
		}
		last = max(last, entry.GetSequence())
	}
	d := differ{comparison: c}
	if last < held.AsOfSequence {
		d.differs("last event", "", strconv.FormatUint(last, 10), strconv.FormatUint(held.AsOfSequence, 10))
	}
	if held.Events == held.AsOfSequence {
		return nil
	}
	missing := d.differs("stored events", "", strconv.FormatUint(held.AsOfSequence, 10), strconv.FormatUint(held.Events, 10))
	if held.FirstMissing == 0 {
		return nil
	}
	entry, err := c.entryAt(ctx, held.FirstMissing)
	if err != nil {
		return err
	}
	id, _ := dealOf(entry.GetSubject())
	c.Missing = &Beginning{Sequence: held.FirstMissing, DealID: id, Difference: missing}
	return nil
}

// entryAt is the first message of the log from the sequence on; nil when there is none.
func (c *comparison) entryAt(ctx context.Context, sequence uint64) (first *dealregv1.LogEntry, err error) {
	log, err := c.client.Log(ctx, sequence)
	if err != nil {
		return nil, err
	}
	defer func() { _ = log.Close() }()
	err = eachEntry(log, func(entry *dealregv1.LogEntry) error {
		first = entry
		return errEnough
	})
	return first, err
}

// differ compares the figures of one answer.
type differ struct {
	*comparison
	id       ID
	year     int
	by       By
	rows     bool
	currency string
}

func (d *differ) whole(what string, want Sums, got volumeSums) {
	d.amount(what+" amount", "", want.Amount, got.Amount)
	d.count(what+" deals", "", want.Deals, got.Deals)
	d.amount(what+" attested_by_parties", "", want.AttestedByParties, got.AttestedByParties)
	d.count(what+" unconverted_deals", "", want.Unconverted, got.UnconvertedDeals)
}

// items compares every item of either side. A report may leave out an item that adds up to nothing.
func (d *differ) items(want map[Item]Sums, got []volumeItem) {
	found := map[string]volumeItem{}
	for _, item := range got {
		key := item.key(d.by)
		if _, twice := found[key]; twice {
			d.text(string(d.by), key, "once", "twice")
		}
		found[key] = item
	}
	expected := map[string]Sums{}
	for item, sums := range want {
		expected[item.key(d.by)] = sums
	}
	keys := slices.Collect(maps.Keys(expected))
	for key := range found {
		if _, there := expected[key]; !there {
			expected[key] = noSums()
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	for _, key := range keys {
		sums, item := expected[key], found[key]
		d.amount(string(d.by)+" amount", key, sums.Amount, cmp.Or(item.Amount, "0"))
		d.count(string(d.by)+" deals", key, sums.Deals, item.Deals)
		if item.AttestedByParties != nil {
			d.amount(string(d.by)+" attested_by_parties", key, sums.AttestedByParties, *item.AttestedByParties)
		}
		if item.UnconvertedDeals != nil {
			d.count(string(d.by)+" unconverted_deals", key, sums.Unconverted, *item.UnconvertedDeals)
		}
	}
}

// amount compares numbers, not their form: 0 is 0.00.
func (d *differ) amount(what, key string, minor *big.Int, found string) {
	want := new(big.Rat).SetInt(minor)
	decimals := 0
	if money.Currency(d.currency).Known() {
		want.Quo(want, unit(d.currency))
		decimals = money.Currency(d.currency).Exponent()
	}
	d.Figures++
	if got, ok := parseDecimal(found, 64); !ok || got.Cmp(want) != 0 {
		d.differs(what, key, want.FloatString(decimals), quote(found))
	}
}

func (d *differ) count(what, key string, want, found int64) {
	d.Figures++
	if want != found {
		d.differs(what, key, strconv.FormatInt(want, 10), strconv.FormatInt(found, 10))
	}
}

// text compares what names the answer; that is no figure.
func (d *differ) text(what, key, want, found string) {
	if want != found {
		d.differs(what, key, want, quote(found))
	}
}

func (d *differ) differs(what, key, want, found string) Difference {
	difference := Difference{Year: d.year, By: d.by, Rows: d.rows, What: what, Key: key, Expected: want, Found: found}
	if !d.id.isAll() {
		difference.Association = d.id.String()
	}
	d.DifferenceCount++
	if len(d.Differences) < maxDifferences {
		d.Differences = append(d.Differences, difference)
	}
	return difference
}

func (id ID) compare(other ID) int { return bytes.Compare(id[:], other[:]) }
