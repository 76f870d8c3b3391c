package portal

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/dealreg/dealreg/services/portal/api"
)

const exported = "export" // the file of a release, which holds all its figures

// liveFile is a file of a live year: the view with the same figures, and what the API divides them by.
type liveFile struct{ view, name, by string }

var liveFiles = []liveFile{{viewYear, "months", "month"}, {viewChapters, "chapters", "chapter"}, {viewPairs, "pairs", "pair"}}

// fileKinds are the kinds of files by their extensions, the most wanted first.
var fileKinds = []struct{ extension, mediaType string }{
	{"xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"}, {"csv", "text/csv"},
}

// files are links to the figures that the page shows: of its release, or live up to its event.
func (v *visit) files(y *Year, view string) (links []link) {
	name, query := exported, ""
	switch live := slices.IndexFunc(liveFiles, func(f liveFile) bool { return f.view == view }); {
	case y.Live && live >= 0:
		name, query = liveFiles[live].name, fmt.Sprintf("?as_of_sequence=%d", y.Sequence)
	case y.Live || view != viewYear:
		return nil
	}
	at := yearAddress{association: y.Association.ID, year: y.Year, release: y.Release}
	for _, kind := range fileKinds {
		links = append(links, link{Text: v.speech.text("take." + kind.extension), Address: at.path(name+"."+kind.extension) + query})
	}
	return links
}

// export hands on a file of a year as the API makes it.
func (v *visit) export(at yearAddress) error {
	name, extension, _ := strings.Cut(at.view, ".")
	for _, kind := range fileKinds {
		switch live := slices.IndexFunc(liveFiles, func(f liveFile) bool { return f.name == name }); {
		case kind.extension != extension:
		case name == exported:
			return v.exportRelease(at, kind.mediaType)
		case live >= 0 && at.release == 0:
			return v.exportLive(at, liveFiles[live].by, kind.mediaType)
		}
	}
	return errNotFound
}

func (v *visit) exportRelease(at yearAddress, mediaType string) error {
	file, err := v.api.Spreadsheet(v.ctx, at.association, at.year, at.release, mediaType)
	if err != nil {
		return err
	}
	name := "dealreg-" + strconv.Itoa(at.year)
	if at.release > 0 {
		name += "-r" + strconv.Itoa(at.release)
	}
	return v.handOn(file, name+strings.TrimPrefix(at.view, exported))
}

// exportLive hands on the figures up to the event that the address names, or the latest.
func (v *visit) exportLive(at yearAddress, by, mediaType string) error {
	cut := api.Cut{Year: at.year, By: by}
	if asked := v.r.URL.Query().Get("as_of_sequence"); asked != "" {
		var err error
		if cut.UpTo, err = strconv.ParseUint(asked, 10, 64); err != nil {
			return errNotFound
		}
	}
	file, err := v.api.VolumeSpreadsheet(v.ctx, at.association, cut, mediaType)
	if err != nil {
		return err
	}
	return v.handOn(file, "dealreg-"+strconv.Itoa(at.year)+"-"+at.view)
}

// handOn answers with a file of the API, under its own name if it has one.
func (v *visit) handOn(file *http.Response, name string) error {
	defer file.Body.Close()
	h := v.w.Header()
	h.Set("Content-Type", file.Header.Get("Content-Type"))
	if named := file.Header.Get("Content-Disposition"); named != "" {
		h.Set("Content-Disposition", named)
	} else {
		h.Set("Content-Disposition", `attachment; filename="`+name+`"`)
	}
	v.w.WriteHeader(http.StatusOK)
	if _, err := io.Copy(v.w, file.Body); err != nil {
		panic(http.ErrAbortHandler) // the browser must not take half a file for a whole one
	}
	return nil
}
