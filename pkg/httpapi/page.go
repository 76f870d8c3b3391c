package httpapi

import (
	"encoding/base64"
	"strconv"
)

// Page is one page of a list.
type Page[T any] struct {
	Items      []T    `json:"items"`
	NextCursor string `json:"next_cursor,omitempty" doc:"For the cursor parameter of the next page; absent on the last one"`
}

// List is the answer of a list operation.
type List[T any] struct{ Body Page[T] }

// NewList makes the answer. The cursor is the position behind the last item, empty on the last page.
func NewList[T any](items []T, next string) *List[T] {
	if items == nil {
		items = []T{}
	}
	return &List[T]{Body: Page[T]{Items: items, NextCursor: EncodeCursor(next)}}
}

// Paging is embedded in the input of a list operation.
type Paging struct {
	Limit  int    `query:"limit" minimum:"1" maximum:"200" default:"50" doc:"The most items to answer"`
	Cursor string `query:"cursor" maxLength:"1024" doc:"next_cursor of the page before"`
}

// Position is the position behind which the page begins, empty for the first page. The error is a Problem.
func (p Paging) Position() (string, error) { return DecodeCursor(p.Cursor) }

// Number is the Position in a list whose positions are numbers from 1, 0 for the first page. The error is a Problem.
func (p Paging) Number() (uint64, error) {
	position, err := p.Position()
	if err != nil || position == "" {
		return 0, err
	}
	number, err := strconv.ParseUint(position, 10, 63)
	if err != nil {
		return 0, InvalidCursor()
	}
	return number, nil
}

// InvalidCursor answers 422 to a cursor that no page of the list gave.
func InvalidCursor() *Problem {
	return InvalidParameter("cursor", "not one of our cursors: write the next_cursor of the page before, or leave it out")
}

// EncodeCursor makes an opaque cursor of a position; none of the empty position.
func EncodeCursor(position string) string {
	return base64.RawURLEncoding.EncodeToString([]byte(position))
}

// DecodeCursor gives the position back. The error is a Problem that names the cursor.
func DecodeCursor(cursor string) (string, error) {
	position, err := base64.RawURLEncoding.DecodeString(cursor)
	if err != nil {
		return "", InvalidCursor()
	}
	return string(position), nil
}

// CutPage gives the first limit items and the position of the last of them when there are more.
func CutPage[T any](items []T, limit int, position func(T) string) (page []T, next string) {
	if len(items) <= limit {
		return items, ""
	}
	return items[:limit], position(items[limit-1])
}

// SelectPage gives the page of all items that was asked for, and the position of its last item when there are more. The
// positions of the items rise. The error is a Problem.
func SelectPage[T any](items []T, p Paging, position func(T) string) (page []T, next string, err error) {
	after, err := p.Position()
	if err != nil {
		return nil, "", err
	}
	first := 0
	for first < len(items) && after != "" && position(items[first]) <= after {
		first++
	}
	page, next = CutPage(items[first:], p.Limit, position)
	return page, next, nil
}
