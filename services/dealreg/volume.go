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
	"github.com/dealreg/dealreg/pkg/roster"
	"github.com/dealreg/dealreg/services/reports"
)

// firstYear is the earliest year that can have a won deal.
const firstYear = 1990

// printVolume prints the association's volume of each year that has any, as of a sequence of the log; 0 is as of now.
func printVolume(ctx context.Context, api *client, association string, sequence uint64, since int) error {
	var a roster.Association
	if _, err := api.do(ctx, call{method: http.MethodGet, path: "/v1/associations/" + association, into: &a}); err != nil {
		return err
	}
	thisYear := a.YearOf(calendar.DateOf(time.Now(), a.Location()))
	first := max(since, firstYear)
	years := make([]reports.VolumeReport, max(0, thisYear-first+1))
	asking, within := errgroup.WithContext(ctx)
	asking.SetLimit(8)
	for n := range years {
		asking.Go(func() (err error) {
			years[n], err = volumeOf(within, api, association, first+n, "total", sequence)
			return err
		})
	}
	if err := asking.Wait(); err != nil {
		return err
	}
	fmt.Printf("\n%s: volume of won deals between members, in %s\n", a.Name, a.ReportingCurrency)
	table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "year\tdeals\tamount\tattested by parties\tunconverted deals\t")
	sum, deals := new(big.Rat), int64(0)
	for _, v := range years {
		if v.Total.Deals == 0 && v.Total.UnconvertedDeals == 0 {
			continue
		}
		amount, sound := new(big.Rat).SetString(v.Total.Amount)
		if !sound {
			return fmt.Errorf("the report of %d holds no amount", v.Year)
		}
		sum.Add(sum, amount)
		deals += v.Total.Deals
		fmt.Fprintf(table, "%d\t%d\t%s\t%s\t%d\t\n", v.Year, v.Total.Deals, grouped(v.Total.Amount), grouped(v.Total.AttestedByParties), v.Total.UnconvertedDeals)
	}
	fmt.Fprintf(table, "all\t%d\t%s\t\t\t\n", deals, grouped(sum.FloatString(a.ReportingCurrency.Exponent())))
	return table.Flush()
}

func volumeOf(ctx context.Context, api *client, association string, year int, by string, sequence uint64) (reports.VolumeReport, error) {
	query := url.Values{"year": {strconv.Itoa(year)}, "by": {by}}
	if sequence != 0 {
		query.Set("as_of_sequence", strconv.FormatUint(sequence, 10))
	}
	var v reports.VolumeReport
	_, err := api.do(ctx, call{method: http.MethodGet, path: "/v1/associations/" + association + "/volume", query: query, into: &v})
	return v, err
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
