package main

import (
	"context"
	"fmt"
	"math/big"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"text/tabwriter"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/dealreg/dealreg/pkg/calendar"
	"github.com/dealreg/dealreg/pkg/deal"
	"github.com/dealreg/dealreg/pkg/money"
	"github.com/dealreg/dealreg/pkg/roster"
	"github.com/dealreg/dealreg/services/reports"
)

// printVolume prints the association's volume of each year that has any, as of a sequence of the log; 0 is as of now.
func printVolume(ctx context.Context, api *client, association string, sequence uint64, since int) error {
	var a roster.Association
	if _, err := api.do(ctx, call{method: http.MethodGet, path: "/v1/associations/" + association, into: &a}); err != nil {
		return err
	}
	totals, err := totalsOf(ctx, since, a.YearOf(calendar.DateOf(time.Now(), a.Location())), func(ctx context.Context, year int) (reports.Sums, error) {
		v, err := volumeOf(ctx, api, association, year, sequence)
		return v.Total, err
	})
	if err != nil {
		return err
	}
	fmt.Printf("\n%s: volume of won deals between members, in %s\n", a.Name, a.ReportingCurrency)
	return printTotals(totals, a.ReportingCurrency)
}

// printTogether prints what all associations count together, each share once; it is not the sum of what each one counts.
func printTogether(ctx context.Context, api *client, sequence uint64, since int) error {
	totals, err := totalsOf(ctx, since, time.Now().UTC().Year(), func(ctx context.Context, year int) (reports.Sums, error) {
		var v reports.TogetherReport
		_, err := api.do(ctx, call{method: http.MethodGet, path: "/v1/volume", query: volumeQuery(year, sequence), into: &v})
		return v.Total, err
	})
	if err != nil {
		return err
	}
	fmt.Printf("\nAll associations, each share once, in %s (never the sum of the others)\n", money.EUR)
	return printTotals(totals, money.EUR)
}

// yearTotal is what a year adds up to.
type yearTotal struct {
	year int
	reports.Sums
}

// totalsOf asks for the years in which a deal can have been won, some at a time.
func totalsOf(ctx context.Context, since, thisYear int, ask func(ctx context.Context, year int) (reports.Sums, error)) ([]yearTotal, error) {
	first := max(since, deal.EarliestImport.Time().Year())
	years := make([]yearTotal, max(0, thisYear-first+1))
	asking, within := errgroup.WithContext(ctx)
	asking.SetLimit(8)
	for n := range years {
		asking.Go(func() error {
			sums, err := ask(within, first+n)
			years[n] = yearTotal{first + n, sums}
			return err
		})
	}
	return years, asking.Wait()
}

// printTotals prints the years that have any deal.
func printTotals(years []yearTotal, currency money.Currency) error {
	table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "year\tdeals\tamount\tattested by parties\tunconverted deals\t")
	sum, deals := new(big.Rat), int64(0)
	for _, v := range years {
		if v.Deals == 0 && v.UnconvertedDeals == 0 {
			continue
		}
		amount, sound := new(big.Rat).SetString(v.Amount)
		if !sound {
			return fmt.Errorf("the report of %d holds no amount", v.year)
		}
		sum.Add(sum, amount)
		deals += v.Deals
		fmt.Fprintf(table, "%d\t%d\t%s\t%s\t%d\t\n", v.year, v.Deals, grouped(v.Amount), grouped(v.AttestedByParties), v.UnconvertedDeals)
	}
	fmt.Fprintf(table, "all\t%d\t%s\t\t\t\n", deals, grouped(sum.FloatString(currency.Exponent())))
	return table.Flush()
}

func volumeOf(ctx context.Context, api *client, association string, year int, sequence uint64) (reports.VolumeReport, error) {
	var v reports.VolumeReport
	_, err := api.do(ctx, call{
		method: http.MethodGet, path: "/v1/associations/" + association + "/volume", query: volumeQuery(year, sequence), into: &v,
	})
	return v, err
}

func volumeQuery(year int, sequence uint64) url.Values {
	query := url.Values{"year": {strconv.Itoa(year)}, "by": {"total"}}
	if sequence != 0 {
		query.Set("as_of_sequence", strconv.FormatUint(sequence, 10))
	}
	return query
}

// grouped writes a decimal for people: 1234567.89 becomes 1,234,567.89.
func grouped(decimal string) string {
	whole := len(decimal)
	for i := range decimal {
		if decimal[i] == '.' {
			whole = i
			break
		}
	}
	text := decimal[whole:]
	for end := whole; end > 0; end -= 3 {
		start := max(0, end-3)
		if start > 0 && decimal[start-1] != '-' {
			text = "," + decimal[start:end] + text
		} else {
			text = decimal[start:end] + text
		}
	}
	return text
}
