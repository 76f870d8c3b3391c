package audit

import (
	"context"
	"fmt"
	"io"
	"slices"

	"google.golang.org/protobuf/proto"

	dealregv1 "github.com/dealreg/dealreg/proto/dealreg/v1"
)

// probes is in how many parts one reading of the log cuts the range in which the reports begin to differ.
const probes = 16

// Beginning is the event from which on the reports differ from the log: up to the one before they agree.
type Beginning struct {
	Sequence   uint64
	DealID     ID
	Difference Difference // as of the event
}

// String is one line for a person.
func (b Beginning) String() string {
	return fmt.Sprintf("begins at event %d, deal %s: %s", b.Sequence, b.DealID, b.Difference)
}

// Locate finds where the differences of the comparison begin: it reads the log again, some log16 of its length times, and
// asks for the reports as of events in between, up to the first one that they lack. When differences cancel each other in
// between it may be a later beginning. It gives nil when there is no difference, or none that has a sequence.
func Locate(
	ctx context.Context, client *Client, open func() (io.ReadCloser, error), ledger *Ledger, found Comparison,
) (*Beginning, error) {
	l := locator{ctx: ctx, client: client, ledger: ledger, high: ledger.LastSequence}
	for _, d := range found.Differences {
		l.addReport(d)
	}
	if len(l.reports) == 0 {
		return found.Missing, nil
	}
	l.first = Beginning{Sequence: l.high, DealID: ledger.lastDeal, Difference: found.Differences[0]}
	if found.Missing != nil {
		l.high, l.first = found.Missing.Sequence, *found.Missing
	}
	for l.high-l.low > 1 {
		l.prefix = ledger.empty()
		if err := readThrough(open, l.entry); err != nil {
			return nil, err
		}
		if l.prefix.LastSequence < l.low {
			return nil, errOtherLog
		}
	}
	return &l.first, nil
}

// locator narrows down the range between an event as of which the reports agree and one as of which they differ.
type locator struct {
	ctx       context.Context //nolint:containedctx // of the one call of Locate
	client    *Client
	ledger    *Ledger
	reports   []asked
	low, high uint64
	first     Beginning // at high
	prefix    *Ledger   // of what this reading has seen
}

func (l *locator) addReport(d Difference) {
	id, named := parseID(d.Association)
	if d.By == "" || !named && d.Association != "" {
		return
	}
	r := asked{id, d.Year, d.By, d.Rows}
	if !slices.Contains(l.reports, r) {
		l.reports = append(l.reports, r)
	}
}

// entry adds a message to the prefix and, at the next place to look, compares the reports with it.
func (l *locator) entry(entry *dealregv1.LogEntry) error {
	var event dealregv1.DealEvent
	if proto.Unmarshal(entry.GetPayload(), &event) == nil {
		l.prefix.post(event.GetReplaces(), event.GetUnduplicatedReplaces(), -1)
		l.prefix.post(event.GetAttributions(), event.GetUnduplicated(), 1)
	}
	l.prefix.LastSequence = entry.GetSequence()
	step := max((l.high-l.low)/probes, 1)
	if l.prefix.LastSequence < l.low+step {
		return nil
	}
	c := comparison{client: l.client, ledger: l.prefix}
	for _, r := range l.reports {
		if err := c.compare(l.ctx, r); err != nil {
			return err
		}
	}
	if c.DifferenceCount == 0 {
		l.low = l.prefix.LastSequence
		if l.high-l.low <= 1 {
			return errEnough
		}
		return nil
	}
	id, _ := toID(event.GetDealId())
	l.high = l.prefix.LastSequence
	l.first = Beginning{Sequence: l.high, DealID: id, Difference: c.Differences[0]}
	return errEnough
}
