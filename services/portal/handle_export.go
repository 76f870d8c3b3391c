package portal

import (
	"io"
	"net/http"
	"path"
	"strconv"

	"github.com/dealreg/dealreg/services/portal/api"
)

const typeXLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"

// export hands on the spreadsheet of a release as the API makes it.
func (v *visit) export(at yearAddress) error {
	mediaType, extension := mediaTypeOf(at.view)
	file, err := v.api.Spreadsheet(v.ctx, at.association, at.year, at.release, mediaType)
	if err != nil {
		return err
	}
	name := "dealreg-" + strconv.Itoa(at.year)
	if at.release > 0 {
		name += "-r" + strconv.Itoa(at.release)
	}
	return v.handOn(file, name+extension)
}

// exportPairs hands on the spreadsheet of all live pairs.
func (v *visit) exportPairs(at yearAddress) error {
	if at.release > 0 {
		return errNotFound // the spreadsheet of a release has its pairs
	}
	mediaType, extension := mediaTypeOf(at.view)
	file, err := v.api.VolumeSpreadsheet(v.ctx, at.association, api.Cut{Year: at.year, By: "pair"}, mediaType)
	if err != nil {
		return err
	}
	return v.handOn(file, "dealreg-"+strconv.Itoa(at.year)+"-pairs"+extension)
}

func mediaTypeOf(view string) (mediaType, extension string) {
	if path.Ext(view) == ".xlsx" {
		return typeXLSX, ".xlsx"
	}
	return "text/csv", ".csv"
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
