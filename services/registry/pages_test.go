package registry

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestLists_OfWhatBelongsToADealComeInPages(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	project := w.project()
	with := []object{
		{"company_id": w.a, "role": "lead", "share": euros("400.00")},
		{"company_id": w.b, "share": euros("300.00")},
		{"company_id": w.outsider, "share": euros("300.00")},
	}
	body := buy(w.a, w.b)
	body["parties"], body["value"] = with, euros("1000.00")
	d := w.register("first", body)
	for n := range 3 {
		w.register(fmt.Sprint("again", n), buy(w.a, w.b))
	}
	w.matched(project)
	w.move(w.b, d, "accept", object{}, http.StatusOK)
	w.link(w.registrar, d.ID, object{"company_id": w.outsider})
	for path, many := range map[string]int{"/events": 2, "/conflicts": 3, "/links": 1} {
		read := func(query string) (items []json.RawMessage, next string) {
			t.Helper()
			var page struct {
				Items []json.RawMessage
				Next  string `json:"next_cursor"`
			}
			r := w.mustSend(http.StatusOK, w.registrar, http.MethodGet, location(d.ID)+path+query, nil)
			if err := json.Unmarshal([]byte(r.text), &page); err != nil {
				t.Fatal(err)
			}
			return page.Items, page.Next
		}
		whole, _ := read("")
		var paged []json.RawMessage
		for next, more := "", true; more; more = next != "" {
			var items []json.RawMessage
			if items, next = read("?limit=1&cursor=" + next); len(items) != 1 {
				t.Fatalf("%s: a page of %d", path, len(items))
			}
			paged = append(paged, items...)
		}
		if diff := cmp.Diff(whole, paged); diff != "" || len(whole) != many {
			t.Errorf("%s: %d in all, want %d; in pages\n%s", path, len(whole), many, diff)
		}
		if r := w.mustSend(http.StatusUnprocessableEntity, w.registrar, http.MethodGet, location(d.ID)+path+"?cursor=!", nil); !strings.Contains(r.text, `"cursor"`) {
			t.Errorf("%s: %s", path, r.text)
		}
	}
}
