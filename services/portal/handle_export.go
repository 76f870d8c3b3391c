package portal

import (
	"io"
	"net/http"
	"strconv"
)

const typeXLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"

// export hands on the spreadsheet of a release as the API makes it.
func (v *visit) export(at yearAddress) error {
	mediaType, extension := "text/csv", ".csv"
	if at.view == exportXLSX {
		mediaType, extension = typeXLSX, ".xlsx"
	}
	file, err := v.api.Spreadsheet(v.ctx, at.association, at.year, at.release, mediaType)
	if err != nil {
		return err
	}
	defer file.Body.Close()
	h := v.w.Header()
	h.Set("Content-Type", file.Header.Get("Content-Type"))
	if named := file.Header.Get("Content-Disposition"); named != "" {
		h.Set("Content-Disposition", named)
	} else {
		name := "dealreg-" + strconv.Itoa(at.year)
		if at.release > 0 {
			name += "-r" + strconv.Itoa(at.release)
		}
		h.Set("Content-Disposition", `attachment; filename="`+name+extension+`"`)
	}
	v.w.WriteHeader(http.StatusOK)
	_, err = io.Copy(v.w, file.Body)
	if err != nil {
		panic(http.ErrAbortHandler) // the browser must not take half a file for a whole one
	}
	return nil
}
