package httpapi_test

import (
	"errors"
	"net/http"
	"testing"

	"github.com/dealreg/dealreg/pkg/httpapi"
)

func TestPaging_NumberIsOnlyOneThatAPageGave(t *testing.T) {
	t.Parallel()
	for position, want := range map[string]uint64{"": 0, "7": 7, "9223372036854775807": 1<<63 - 1} {
		if got, err := (httpapi.Paging{Cursor: httpapi.EncodeCursor(position)}).Number(); got != want || err != nil {
			t.Errorf("%q: %d, %v", position, got, err)
		}
	}
	for _, position := range []string{"-1", "x", "1.5", " 7", "9223372036854775808"} {
		_, err := httpapi.Paging{Cursor: httpapi.EncodeCursor(position)}.Number()
		p, is := errors.AsType[*httpapi.Problem](err)
		if !is || p.Status != http.StatusUnprocessableEntity || len(p.Errors) != 1 || p.Errors[0].Parameter != "cursor" {
			t.Errorf("%q: %v", position, err)
		}
	}
}
