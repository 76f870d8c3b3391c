package audit

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math/big"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// StatementReport is the outcome of the audit of one statement.
type StatementReport struct {
	Association  string
	Year         int
	Release      int
	AsOfSequence uint64
	HeldBack     int // events that the statement does not include
	Comparison   Comparison
	Duration     time.Duration
}

// ExitCode is Equal or Different.
func (r StatementReport) ExitCode() int {
	if r.Comparison.DifferenceCount > 0 {
		return Different
	}
	return Equal
}

// Print writes the report as plain text. It ends with "equal", or with "different" and the first differences.
func (r StatementReport) Print(w io.Writer) error {
	var b bytes.Buffer
	fmt.Fprintf(&b, "statement %d r%d of association %s\n", r.Year, r.Release, r.Association)
	fmt.Fprintf(&b, "log       up to sequence %d, without %d events that were held back\n", r.AsOfSequence, r.HeldBack)
	fmt.Fprintf(&b, "compared  %d figures\n", r.Comparison.Figures)
	if r.Duration > 0 {
		fmt.Fprintf(&b, "took      %s\n", r.Duration.Round(time.Millisecond))
	}
	if r.ExitCode() == Equal {
		b.WriteString("equal\n")
	} else {
		fmt.Fprintf(&b, "different: %d figures\n", r.Comparison.DifferenceCount)
		printFirst(&b, r.Comparison.Differences, r.Comparison.DifferenceCount)
	}
	if _, err := w.Write(b.Bytes()); err != nil {
		return fmt.Errorf("print the report: %w", err)
	}
	return nil
}

// The answer of GET /v1/associations/{id}/statements/{year}/{release}.
type (
	statement struct {
		Association         volumeName `json:"association"`
		Year                int        `json:"year"`
		Release             int        `json:"release"`
		Policy              string     `json:"policy"`
		Currency            string     `json:"currency"`
		AsOfSequence        uint64     `json:"as_of_sequence"`
		LogHash             string     `json:"log_hash"`
		Total               cell       `json:"total"`
		AttestedByParties   cell       `json:"attested_by_parties"`
		AttestedByRegistrar cell       `json:"attested_by_registrar"`
		PreviousYear        *struct {
			Year    int         `json:"year"`
			Release int         `json:"release"`
			Total   cell        `json:"total"`
			Months  []monthCell `json:"months"`
		} `json:"previous_year"`
		GrowthPercent string        `json:"growth_percent"`
		Months        []monthCell   `json:"months"`
		Chapters      []chapterCell `json:"chapters"`
		Pairs         []pairCell    `json:"pairs"`
		OtherPairs    cell          `json:"other_pairs"`
		Members       *struct {
			TakingPart int64 `json:"taking_part"`
		} `json:"members"`
		Coverage struct {
			UnconvertedDeals  *int64 `json:"unconverted_deals"`
			QuarantinedEvents int64  `json:"quarantined_events"`
		} `json:"coverage"`
		Changes *struct {
			SinceRelease int `json:"since_release"`
			cell
		} `json:"changes"`
	}
	cell struct {
		Amount string `json:"amount"`
		Deals  int64  `json:"deals"`
		Hidden bool   `json:"hidden"`
	}
	monthCell struct {
		Month string `json:"month"`
		cell
	}
	chapterCell struct {
		Chapter volumeName `json:"chapter"`
		cell
	}
	pairCell struct {
		Companies []volumeName `json:"companies"`
		cell
	}
	heldBack struct {
		AsOfSequence uint64 `json:"as_of_sequence"`
		Events       []struct {
			Sequence uint64 `json:"sequence"`
		} `json:"events"`
		MadeWith struct {
			Groups []struct {
				Company string `json:"company_id"`
				Group   string `json:"group_id"`
			} `json:"groups"`
		} `json:"made_with"`
	}
)

// releaseName is the part of a release's address that an auditor gives.
type releaseName struct {
	association   ID
	year, release string
}

var statementName = regexp.MustCompile(`^(\d{4})(?:/(?:(latest)|r?([1-9]\d{0,8})))?$`)

// parseRelease takes a release as its address has it, 2026/3, and as the pages and the report call it, 2026/r3. A year alone
// means the latest.
func parseRelease(association, statement string) (releaseName, error) {
	id, err := parseAssociation(association)
	if err != nil {
		return releaseName{}, fmt.Errorf("%w: name the one whose statement it is", err)
	}
	parts := statementName.FindStringSubmatch(statement)
	if parts == nil {
		return releaseName{}, fmt.Errorf("%s names no statement: write a year, such as 2026, or a release of it, such as 2026/3", quote(statement))
	}
	return releaseName{association: id, year: parts[1], release: cmp.Or(parts[2], parts[3], "latest")}, nil
}

// auditStatement makes a statement again: it folds the log up to the statement's sequence without the events that were
// held back, and compares every figure that is shown. An error means that nothing can be said.
func auditStatement(ctx context.Context, client *Client, association, statement string) (StatementReport, error) {
	of, err := parseRelease(association, statement)
	if err != nil {
		return StatementReport{}, err
	}
	a := statementAudit{client: client, id: of.association, all: new(views)}
	if err := a.read(ctx, of.year, of.release); err != nil {
		return StatementReport{}, err
	}
	log, err := client.Log(ctx, 1)
	if err != nil {
		return StatementReport{}, fmt.Errorf("read the log: %w", err)
	}
	defer func() { _ = log.Close() }()
	if err := eachEntry(log, a.all.add); err != nil {
		return StatementReport{}, err
	}
	a.compare()
	return StatementReport{
		Association: of.association.String(), Year: a.statement.Year, Release: a.statement.Release, AsOfSequence: a.statement.AsOfSequence,
		HeldBack: len(a.now.held), Comparison: a.differ.Comparison,
	}, nil
}

type statementAudit struct {
	client    *Client
	id        ID
	statement statement
	all       *views
	now       *view // what the statement says
	since     *view // what the release before said; nil when there was none
	last      *view // what the release of the year before says; nil when there is none
	differ    differ
}

// read gets the statement and what it refers to, with what each of them held back.
func (a *statementAudit) read(ctx context.Context, year, release string) error {
	if err := a.client.json(ctx, a.path(year, release), nil, &a.statement); err != nil {
		return err
	}
	st := a.statement
	var err error
	if a.now, err = a.view(ctx, st.Year, st.Release, st.AsOfSequence); err != nil {
		return err
	}
	other := func(year, release int) (*view, error) {
		var s statement
		if err := a.client.json(ctx, a.path(strconv.Itoa(year), strconv.Itoa(release)), nil, &s); err != nil {
			return nil, err
		}
		return a.view(ctx, year, release, s.AsOfSequence)
	}
	if st.Changes != nil {
		if a.since, err = other(st.Year, st.Changes.SinceRelease); err != nil {
			return err
		}
	}
	if p := st.PreviousYear; p != nil {
		a.last, err = other(p.Year, p.Release)
	}
	return err
}

func (a *statementAudit) path(year, release string) string {
	return "/v1/associations/" + a.id.String() + "/statements/" + year + "/" + release
}

func (a *statementAudit) view(ctx context.Context, year, release int, upTo uint64) (*view, error) {
	var list heldBack
	path := a.path(strconv.Itoa(year), strconv.Itoa(release)) + "/held-back"
	if err := a.client.json(ctx, path, nil, &list); err != nil {
		return nil, err
	}
	if list.AsOfSequence != upTo {
		return nil, errors.New("GET " + path + ": it is not of the same sequence as the statement")
	}
	v := newView(a.id, year, upTo)
	for _, e := range list.Events {
		v.held[e.Sequence] = true
	}
	for _, g := range list.MadeWith.Groups {
		company, ok := parseID(strings.ToLower(g.Company))
		group, too := parseID(strings.ToLower(g.Group))
		if !ok || !too {
			return nil, errors.New("GET " + path + ": a group is no pair of ids")
		}
		v.groups[company] = group
	}
	*a.all = append(*a.all, v)
	return v, nil
}

// compare holds every figure that the statement shows against what the log says.
func (a *statementAudit) compare() {
	st, now := a.statement, a.now.figures(a.listed())
	a.differ = differ{
		comparison: &comparison{}, id: a.id, year: st.Year, by: By(fmt.Sprintf("statement r%d", st.Release)), currency: st.Currency,
	}
	d := &a.differ
	d.text("association", "", a.id.String(), strings.ToLower(st.Association.ID))
	d.text("log_hash", "", a.now.logHash(), st.LogHash)
	d.cell("total", "", now.total, st.Total)
	d.cell("attested_by_parties", "", now.byParties, st.AttestedByParties)
	d.cell("attested_by_registrar", "", now.byRegistrar, st.AttestedByRegistrar)
	d.cell("other_pairs", "", now.otherPairs, st.OtherPairs)
	if n := st.Coverage.UnconvertedDeals; n != nil {
		d.count("unconverted_deals", "", now.unconverted, *n)
	}
	if m := st.Members; m != nil {
		d.count("members taking_part", "", now.companies, m.TakingPart)
	}
	d.count("quarantined_events", "", a.now.unreadable, st.Coverage.QuarantinedEvents)
	months := map[string]cell{}
	for _, c := range st.Months {
		months[c.Month] = c.cell
	}
	d.cells("month", now.months, months)
	chapters := map[string]cell{}
	for _, c := range st.Chapters {
		chapters[strings.ToLower(c.Chapter.ID)] = c.cell
	}
	d.cells("chapter", now.chapters, chapters)
	pairs := map[string]cell{}
	for _, c := range st.Pairs {
		pairs[volumeItem{Companies: c.Companies}.key(ByPair)] = c.cell
	}
	d.cells("pair", now.pairs, pairs)
	if st.Policy != "open" {
		a.keepsSecrets(now, months, chapters)
	}
	if c := st.Changes; c != nil {
		d.cell("changes", "", a.now.changeSince(a.since), c.cell)
	}
	if p := st.PreviousYear; p != nil {
		last := a.last.figures(nil)
		d.cell("previous_year", "", last.total, p.Total)
		if st.GrowthPercent != "" {
			d.text("growth_percent", "", growth(last.total, now.total), st.GrowthPercent)
		}
		months := map[string]cell{}
		for _, c := range p.Months {
			months[c.Month] = c.cell
		}
		d.cells("previous_year month", last.months, months)
	}
}

// growth is by how many percent of the one total the other is more, with one decimal.
func growth(from, to figure) string {
	if from.amount.Sign() == 0 {
		return "none"
	}
	return new(big.Rat).SetFrac(new(big.Int).Mul(new(big.Int).Sub(to.amount, from.amount), big.NewInt(100)), from.amount).FloatString(1)
}

// keepsSecrets looks at the groups that stand behind the figures that are shown: unless the board sees everything, these are
// three, and so are the deals. A total in which nothing changed tells nothing, whatever became of the groups.
func (a *statementAudit) keepsSecrets(now figures, months, chapters map[string]cell) {
	const fewest = 3
	check := func(what, key string, f figure, shown cell) {
		if !shown.Hidden && f.deals > 0 && (f.deals < fewest || len(f.groups) < fewest) {
			a.differ.text(what+" shown", key, "hidden", fmt.Sprintf("%d deals of %d groups", f.deals, len(f.groups)))
		}
	}
	if a.since == nil || a.now.changeSince(a.since).deals > 0 {
		check("total", "", now.total, a.statement.Total)
	}
	check("attested_by_parties", "", now.byParties, a.statement.AttestedByParties)
	check("attested_by_registrar", "", now.byRegistrar, a.statement.AttestedByRegistrar)
	for key, c := range months {
		check("month", key, now.months[key], c)
	}
	for key, c := range chapters {
		check("chapter", key, now.chapters[key], c)
	}
}

// listed are the pairs that the statement names, hidden ones too.
func (a *statementAudit) listed() map[string]bool {
	pairs := map[string]bool{}
	for _, c := range a.statement.Pairs {
		pairs[volumeItem{Companies: c.Companies}.key(ByPair)] = true
	}
	return pairs
}

// cell compares a figure unless it is hidden.
func (d *differ) cell(what, key string, want figure, got cell) {
	if got.Hidden {
		return
	}
	d.amount(what+" amount", key, want.amount, got.Amount)
	d.count(what+" deals", key, want.deals, got.Deals)
}

// cells compares the parts of a division, of which a statement names all or none.
func (d *differ) cells(what string, want map[string]figure, got map[string]cell) {
	if len(got) == 0 {
		return
	}
	for _, key := range keysOfBoth(want, got) {
		expected, there := want[key]
		if !there {
			expected = figure{amount: new(big.Int)}
		}
		if found, named := got[key]; named {
			d.cell(what, key, expected, found)
		} else {
			d.text(what, key, "a figure", "none")
		}
	}
}
