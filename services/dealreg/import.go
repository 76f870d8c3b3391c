package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/schollz/progressbar/v3"

	"github.com/dealreg/dealreg/services/directory"
	"github.com/dealreg/dealreg/services/registry/imports"
)

type importCommand struct {
	Deals     importDeals     `cmd:"" help:"Bring in deals that were won, the registrar's history or a company's own."`
	Companies importCompanies `cmd:"" help:"Bring in companies, and fill in what known ones lack."`
	Members   importMembers   `cmd:"" help:"Bring in the members of an association."`
	Rates     importRates     `cmd:"" help:"Bring in reference rates in the layout of the ECB's CSV."`
}

type importDeals struct {
	remote      `embed:""`
	File        string `arg:"" type:"existingfile" help:"The CSV file."`
	Association string `placeholder:"ID" help:"Into which association; a company's own key leaves it out."`
	Map         string `type:"existingfile" placeholder:"FILE" help:"JSON file that renames columns and sets constants."`
	DryRun      bool   `help:"Check every row and write nothing."`
	Rejects     string `placeholder:"FILE" help:"Where rejected rows go; beside the file with .rejects.csv if left out."`
	Reference   string `help:"The documents on which the registrar attests; the file's name if left out."`
}

// Run uploads the file, follows the import, and fetches the rejected rows.
func (c *importDeals) Run(ctx context.Context) error {
	api, err := c.client()
	if err != nil {
		return err
	}
	state, err := c.upload(ctx, api)
	if err != nil {
		return err
	}
	state, err = follow(ctx, api, state)
	if err != nil {
		return err
	}
	if state.State == imports.Failed {
		return fmt.Errorf("import failed: %s", state.Error)
	}
	verb := "registered"
	if state.DryRun {
		verb = "would be registered"
	}
	fmt.Printf("%d rows: %d %s, %d unchanged, %d rejected\n", state.Rows, state.Registered, verb, state.Unchanged, state.Rejected)
	if n := state.Companies + state.Chapters + state.Members; n > 0 {
		fmt.Printf("created: %d companies, %d chapters, %d members\n", state.Companies, state.Chapters, state.Members)
	}
	if state.Rejected > 0 {
		if err := c.fetchRejects(ctx, api, state); err != nil {
			return err
		}
	}
	if c.Association == "" || state.DryRun {
		return nil
	}
	return printVolume(ctx, api, c.Association, state.LastSequence, 0)
}

func (c *importDeals) upload(ctx context.Context, api *client) (imports.Import, error) {
	file, err := os.Open(c.File)
	if err != nil {
		return imports.Import{}, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return imports.Import{}, err
	}
	query := url.Values{"reference": {c.Reference}}
	if c.Reference == "" {
		query.Set("reference", filepath.Base(c.File))
	}
	if c.Association != "" {
		query.Set("association_id", c.Association)
	}
	if c.DryRun {
		query.Set("dry_run", "true")
	}
	if c.Map != "" {
		text, err := os.ReadFile(c.Map)
		if err != nil {
			return imports.Import{}, err
		}
		query.Set("map", string(text))
	}
	bar := newBytesBar(os.Stderr, "upload", info.Size())
	defer finish(bar)
	body := progressbar.NewReader(file, bar)
	var state imports.Import
	_, err = api.do(ctx, call{
		method: http.MethodPost, path: "/v1/imports/deals", query: query, body: io.Reader(&body), into: &state,
		header: map[string]string{"Content-Type": "text/csv"},
	})
	return state, err
}

// follow draws the progress until the import ended.
func follow(ctx context.Context, api *client, state imports.Import) (imports.Import, error) {
	bar := newBytesBar(os.Stderr, "import", int64(state.BytesTotal)) // #nosec G115 -- a file's size fits
	defer finish(bar)
	for state.State == imports.Waiting || state.State == imports.Running {
		if err := pause(ctx, 50*time.Millisecond); err != nil {
			return state, err
		}
		if _, err := api.do(ctx, call{method: http.MethodGet, path: "/v1/imports/" + state.ID.String(), into: &state}); err != nil {
			return state, err
		}
		_ = bar.Set64(int64(state.BytesRead)) // #nosec G115 -- a file's size fits
	}
	return state, nil
}

func (c *importDeals) fetchRejects(ctx context.Context, api *client, state imports.Import) error {
	response, err := api.send(ctx, call{method: http.MethodGet, path: "/v1/imports/" + state.ID.String() + "/rejects"})
	if err != nil {
		return err
	}
	defer response.Body.Close()
	return writeRejects(c.File, c.Rejects, func(w io.Writer) error {
		_, err := io.Copy(w, response.Body)
		return err
	})
}

type importRates struct {
	remote `embed:""`
	File   string `arg:"" type:"existingfile" help:"The CSV file."`
	Source string `default:"ECB" help:"Who published the rates; every conversion names it."`
}

// Run uploads the rates.
func (c *importRates) Run(ctx context.Context) error {
	api, err := c.client()
	if err != nil {
		return err
	}
	text, err := os.ReadFile(c.File)
	if err != nil {
		return err
	}
	return putRates(ctx, api, c.Source, string(text))
}

func putRates(ctx context.Context, api *client, source, csv string) error {
	var stored directory.RatesStored
	_, err := api.do(ctx, call{
		method: http.MethodPut, path: "/v1/rates", query: url.Values{"source": {source}}, body: io.Reader(strings.NewReader(csv)),
		header: map[string]string{"Content-Type": "text/csv"}, into: &stored,
	})
	if err != nil {
		return err
	}
	fmt.Printf("rates of %d days, %d of them new or changed\n", stored.Days, stored.Stored)
	for _, column := range stored.Ignored {
		fmt.Printf("column %s is no active currency and was passed over\n", column)
	}
	return nil
}
