package reports

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"mime"
	"net/http"
	"reflect"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/negotiation"

	"github.com/dealreg/dealreg/pkg/httpapi"
)

// The media types of a report, the usual one first.
const (
	jsonType = "application/json"
	csvType  = "text/csv"
	xlsxType = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
)

var typeOf = map[string]string{"json": jsonType, "csv": csvType, "xlsx": xlsxType}

// Form is the form in which a report is asked for. It is embedded in the input of an operation.
type Form struct {
	Format string `query:"format" enum:"json,csv,xlsx" doc:"For links, in place of the header Accept"`

	accept, known string
}

// Resolve keeps the headers, of which any text is fine: what names none of our types gets JSON.
func (f *Form) Resolve(ctx huma.Context) []error {
	f.accept, f.known = ctx.Header("Accept"), ctx.Header("If-None-Match")
	return nil
}

// mediaType is what is asked for.
func (f *Form) mediaType() string {
	if f.Format != "" {
		return typeOf[f.Format]
	}
	if best := negotiation.SelectQValue(f.accept, []string{jsonType, csvType, xlsxType}); best != "" {
		return best
	}
	return jsonType
}

// answer writes the report, of which the book is the other form, with the policy for caches.
func (f *Form) answer(report any, asBook book, caching string) (*huma.StreamResponse, error) {
	kind := f.mediaType()
	var body []byte
	var err error
	name, placed := asBook.name+".json", "inline"
	switch kind {
	case csvType:
		name, placed = asBook.name+".csv", "attachment"
		body, err = asBook.csv()
	case xlsxType:
		name, placed = asBook.name+".xlsx", "attachment"
		body, err = asBook.xlsx()
	default:
		body, err = plainJSON(report)
	}
	if err != nil {
		return nil, httpapi.Internal(fmt.Errorf("write a report: %w", err))
	}
	sum := sha256.Sum256(body)
	tag := `"` + hex.EncodeToString(sum[:16]) + `"`
	return &huma.StreamResponse{Body: func(out huma.Context) {
		out.SetHeader("ETag", tag)
		out.SetHeader("Cache-Control", caching)
		out.SetHeader("Vary", "Accept, Authorization")
		if strings.Contains(f.known, tag) {
			out.SetStatus(http.StatusNotModified)
			return
		}
		out.SetHeader("Content-Type", withCharset(kind))
		out.SetHeader("Content-Disposition", mime.FormatMediaType(placed, map[string]string{"filename": name}))
		_, _ = out.BodyWriter().Write(body) // the client may be gone, and nobody else could be told
	}}, nil
}

// plainJSON writes JSON as the other answers of the API are written.
func plainJSON(v any) ([]byte, error) {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	err := encoder.Encode(v)
	return out.Bytes(), err
}

func withCharset(kind string) string {
	if kind == csvType {
		return kind + "; charset=utf-8; header=present"
	}
	return kind
}

// forms documents the answers of Form.answer for a report of the type.
func forms[Report any](api huma.API, about string) map[string]*huma.Response {
	schema := api.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[Report](), true, "")
	text := func(description, example string) *huma.Header {
		return &huma.Header{Schema: &huma.Schema{Type: huma.TypeString, Description: description, Examples: []any{example}}}
	}
	binary := &huma.Schema{Type: huma.TypeString, Format: "binary"}
	headers := map[string]*huma.Header{
		"ETag":                text("Of the answer in this form", `"6b86b273ff34fce19d6b804eff5a3f57"`),
		"Cache-Control":       text("How long the answer stays what it is", "private, no-cache"),
		"Content-Disposition": text("Names the file", `attachment; filename=our-partners-2026-r3.csv`),
	}
	return map[string]*huma.Response{
		"200": {Description: about, Headers: headers, Content: map[string]*huma.MediaType{jsonType: {Schema: schema}, csvType: {Schema: binary}, xlsxType: {Schema: binary}}},
		"304": {Description: "It is what If-None-Match names", Headers: map[string]*huma.Header{"ETag": headers["ETag"], "Cache-Control": headers["Cache-Control"]}},
	}
}
