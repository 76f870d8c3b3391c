package httpapi

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"
)

// describe writes what the document says about the API as a whole.
func describe(c *huma.Config) {
	c.Info.Description = aboutAPI
	c.Info.Contact = &huma.Contact{Name: "dealreg", URL: projectURL}
	c.Info.License = &huma.License{Name: "Apache-2.0", Identifier: "Apache-2.0"}
	c.ExternalDocs = &huma.ExternalDocs{Description: "Source, guides and the contract of the log", URL: projectURL}
	c.Servers = []*huma.Server{{URL: "/", Description: "The server that serves this document"}}
	c.Security = []map[string][]string{{bearer: {}}}
	c.Components.SecuritySchemes = map[string]*huma.SecurityScheme{bearer: {
		Type: "http", Scheme: "bearer", BearerFormat: "drk_<prefix>_<secret>", // #nosec G101 -- the form, no key
		Description: "A key: `drk_<prefix>_<secret>`. `POST /v1/keys` makes one and shows its secret once; " +
			"`POST /v1/sessions` gives people who sign in one that lasts some hours.",
	}}
	c.Components.Responses = map[string]*huma.Response{}
	c.Components.Headers = map[string]*huma.Header{
		headerLimit: {
			Description: "What is left of the key's limit: requests (r) and seconds until it is whole again (t)",
			Schema:      &huma.Schema{Type: huma.TypeString, Examples: []any{`"key";r=199;t=1`}},
		},
		headerPolicy: {
			Description: "The key's limit: requests (q) in a number of seconds (w)",
			Schema:      &huma.Schema{Type: huma.TypeString, Examples: []any{`"key";q=200;w=4`}},
		},
	}
}

const (
	bearer     = "bearer"
	projectURL = "https://github.com/dealreg/dealreg"

	headerKey      = "Idempotency-Key"
	headerReplayed = "Idempotency-Replayed"
	headerIfMatch  = "If-Match"
	headerLimit    = "RateLimit"
	headerPolicy   = "RateLimit-Policy"
	mergePatchType = "application/merge-patch+json"
	jsonType       = "application/json"
)

const aboutAPI = `Partner companies register joint deals, **every party confirms the final figures**, and the yearly volume between
the members of an association is the sum over an append-only log.

- **Keys.** Send ` + "`Authorization: Bearer drk_...`" + `. What a key may not see answers 404, as if it did not exist.
- **Errors** are problem documents (RFC 9457, ` + "`application/problem+json`" + `) that name each fault and its remedy. Unknown fields
  and parameters are refused. Only a request that is not well-formed HTTP is answered in plain text (400, 431).
- **Changes.** ` + "`If-Match`" + ` names the ` + "`ETag`" + ` of the revision that you read: 428 without it, 412 when somebody was faster.
- **Repeats.** A request with an ` + "`Idempotency-Key`" + ` is done once. Sent again it answers as it did at first, with
  ` + "`Idempotency-Replayed: true`" + `. After 503 or a broken connection send the same request with the same key.
- **Limits.** Each key may send so many requests; ` + "`RateLimit`" + ` says what is left. Beyond it, and after many wrong keys,
  429 says in ` + "`Retry-After`" + ` how long to wait. Nothing was begun then.
- **Lists** come in pages: send ` + "`next_cursor`" + ` as ` + "`cursor`" + `. It is absent on the last page.
- **Amounts** are decimals in text, such as ` + "`\"1250000.00\"`" + `; days are ` + "`2026-11-22`" + `, times RFC 3339 in UTC, ids UUIDs.
- Answers may get more fields: ignore those that you do not know.

` + "`/livez`, `/readyz` and `/metrics`" + ` are for operators.`

// tags are the chapters of the document, in the order in which a reader needs them. An operation's tag is one of them.
var tags = []*huma.Tag{
	{Name: "Associations", Description: "An association counts the deals between its members in its own year and currency."},
	{Name: "Chapters", Description: "Chapters divide an association by place. They add up to it exactly."},
	{Name: "Companies", Description: "Companies are the parties of deals, members or not."},
	{Name: "Members", Description: "Who was a member when, in which chapter, and accepted the code of ethics."},
	{Name: "People", Description: "A person signs in with a link or with an OpenID provider. The log knows people by their ids only."},
	{Name: "Sessions", Description: "A session opens the API for some hours, as the key or the person does that it belongs to."},
	{Name: "Waivers", Description: "A pair of companies is shown to a guarded association's board when both waive. What was released stays released."},
	{Name: "Keys", Description: "A key opens the API for one company, association or operator. Only a hash of it is kept."},
	{Name: "Rates", Description: "Reference rates convert won deals into an association's currency. They stay in the deal's record."},
	{Name: "Deals", Description: "A deal counts once every party has attested the same terms. Silence never counts."},
	{Name: "Imports", Description: "Deals that were won before, from a CSV file."},
	{Name: "Reports", Description: "What won deals add up to. Each figure names the sequence of the log up to which it counts."},
	{Name: "Projection", Description: "What reports sum up is made from the log: how to make it anew, and what of the log could not be read."},
	{Name: "Audit", Description: "The log itself, so that anyone with the right may count again."},
}

// complete adds to an operation what follows from what it is: its problems, the 200 of a replay, the headers. An
// operation names in Errors only what does not follow: 403 and 409.
func complete(api *huma.OpenAPI, op *huma.Operation) {
	if op.MaxBodyBytes == 0 {
		op.MaxBodyBytes = MaxBodyBytes // huma has no limit of its own for raw bodies
	}
	delete(op.Responses, "default")
	useTags(api, op)
	completeParameters(op)
	if op.Method == http.MethodPatch && op.RequestBody != nil {
		if media := op.RequestBody.Content[jsonType]; media != nil {
			op.RequestBody.Content[mergePatchType] = media
		}
	}
	completeSuccess(op)
	if signed(op) {
		for status := range op.Responses {
			addLimits(op.Responses[status])
		}
	}
	for _, status := range problemsOf(op) {
		op.Responses[strconv.Itoa(status)] = sharedProblem(api, status)
	}
}

// signed tells whether the operation needs a key.
func signed(op *huma.Operation) bool { return op.Security == nil || len(op.Security) > 0 }

// addLimits describes the headers that every answer to a signed request has.
func addLimits(r *huma.Response) {
	if r.Headers == nil {
		r.Headers = map[string]*huma.Header{}
	}
	for _, name := range []string{headerLimit, headerPolicy} {
		r.Headers[name] = &huma.Header{Ref: "#/components/headers/" + name}
	}
}

func useTags(api *huma.OpenAPI, op *huma.Operation) {
	for _, name := range op.Tags {
		if !slices.ContainsFunc(api.Tags, func(t *huma.Tag) bool { return t.Name == name }) {
			api.Tags = append(api.Tags, &huma.Tag{Name: name})
		}
	}
	place := func(t *huma.Tag) int {
		i := slices.IndexFunc(tags, func(known *huma.Tag) bool { return known.Name == t.Name })
		if i >= 0 {
			t.Description = tags[i].Description
			return i
		}
		return len(tags)
	}
	slices.SortStableFunc(api.Tags, func(a, b *huma.Tag) int { return place(a) - place(b) })
}

func completeParameters(op *huma.Operation) {
	for _, p := range op.Parameters {
		if p.In == "header" && p.Name == headerIfMatch {
			p.Required = true // its absence has a status of its own, so the edge does not check it
		}
		if p.In == "header" && p.Name == headerKey {
			p.Schema.Pattern, p.Schema.PatternDescription = "^[ -~]+$", "printable ASCII characters"
			p.Schema.PrecomputeMessages()
		}
	}
}

func hasParameter(op *huma.Operation, in, name string) bool {
	return slices.ContainsFunc(op.Parameters, func(p *huma.Param) bool { return p.In == in && (name == "" || p.Name == name) })
}

// completeSuccess describes the headers of the good answer, and the 200 that a repeated creation gives instead of 201.
func completeSuccess(op *huma.Operation) {
	repeatable := hasParameter(op, "header", headerKey)
	good := op.Responses[strconv.Itoa(op.DefaultStatus)]
	for name, header := range good.Headers {
		header.Description, header.Required = header.Schema.Description, name != headerReplayed
		if name == headerReplayed {
			header.Schema.Enum = []any{"true"}
		}
	}
	replayed := good.Headers[headerReplayed]
	if op.DefaultStatus != http.StatusCreated || replayed == nil {
		if !repeatable {
			delete(good.Headers, headerReplayed)
		}
		return
	}
	delete(good.Headers, headerReplayed)
	if !repeatable {
		return
	}
	again := &huma.Response{
		Description: "The same request came before: this is what it made", Content: good.Content, Headers: map[string]*huma.Header{},
	}
	maps.Copy(again.Headers, good.Headers)
	always := *replayed
	always.Required = true
	again.Headers[headerReplayed] = &always
	op.Responses[strconv.Itoa(http.StatusOK)] = again
}

// problemsOf are the statuses with which the operation may refuse a request.
func problemsOf(op *huma.Operation) []int {
	statuses := []int{http.StatusBadRequest, http.StatusUnprocessableEntity, http.StatusInternalServerError}
	if signed(op) {
		statuses = append(statuses, http.StatusUnauthorized, http.StatusTooManyRequests, http.StatusServiceUnavailable)
	}
	if hasParameter(op, "path", "") || signed(op) && !forGuests(op) {
		statuses = append(statuses, http.StatusNotFound)
	}
	if op.RequestBody != nil {
		statuses = append(statuses, http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType)
		if op.BodyReadTimeout >= 0 {
			statuses = append(statuses, http.StatusRequestTimeout)
		}
	}
	if hasParameter(op, "header", headerIfMatch) {
		statuses = append(statuses, http.StatusPreconditionFailed, http.StatusPreconditionRequired)
	}
	statuses = append(statuses, op.Errors...)
	slices.Sort(statuses)
	return slices.Compact(statuses)
}

// sharedProblem is a reference to the one description of a status, which it adds when it is not there.
func sharedProblem(api *huma.OpenAPI, status int) *huma.Response {
	name := problemName(status)
	if api.Components.Responses[name] == nil {
		api.Components.Responses[name] = problemResponse(status)
	}
	return &huma.Response{Ref: "#/components/responses/" + name}
}

// problemName writes the kind of a problem as the name of a component: precondition-failed is PreconditionFailed.
func problemName(status int) string {
	var name strings.Builder
	for word := range strings.SplitSeq(kinds[status][0], "-") {
		name.WriteString(capital(word))
	}
	return name.String()
}

func problemResponse(status int) *huma.Response {
	example := exampleProblem(status)
	r := &huma.Response{
		Description: example.Title,
		Headers:     map[string]*huma.Header{},
		Content: map[string]*huma.MediaType{problemType: {
			Schema: &huma.Schema{Ref: "#/components/schemas/Problem"}, Example: plain(example),
		}},
	}
	if status != http.StatusUnauthorized {
		addLimits(r)
	}
	text := func(description, example string) *huma.Header {
		return &huma.Header{Description: description, Schema: &huma.Schema{Type: huma.TypeString, Examples: []any{example}}}
	}
	switch status {
	case http.StatusUnauthorized:
		r.Headers["WWW-Authenticate"] = text("How to sign a request", `Bearer realm="dealreg"`)
		r.Headers["WWW-Authenticate"].Required = true
	case http.StatusConflict:
		r.Headers["Location"] = text("The address of your own deal that is in the way, when there is one", "/v1/deals/0198c2f4-5b7e-7cc1-9d0a-4f1e2a3b4c5d")
	case http.StatusPreconditionFailed:
		r.Headers["ETag"] = text("The current revision, when it is known", ETag(8))
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		least := 1.0
		r.Headers["Retry-After"] = &huma.Header{
			Description: "Seconds to wait before the request is sent again", Required: true,
			Schema: &huma.Schema{Type: huma.TypeInteger, Minimum: &least, Examples: []any{1}},
		}
	}
	return r
}

// exampleProblem is a problem as it may be answered with the status.
func exampleProblem(status int) *Problem {
	switch status {
	case http.StatusUnauthorized:
		return Unauthorized()
	case http.StatusNotFound:
		return NotFound()
	case http.StatusConflict:
		return Conflict("a won deal cannot be declined: ask its parties for a correction")
	case http.StatusForbidden:
		return Forbidden("only the association's registrar and the operator may change it")
	case http.StatusPreconditionFailed:
		return PreconditionFailed(0)
	case http.StatusPreconditionRequired:
		return PreconditionRequired()
	case http.StatusTooManyRequests:
		return TooMany(1)
	case http.StatusInternalServerError:
		return Internal(nil)
	case http.StatusServiceUnavailable:
		return Unavailable("the log did not answer", nil)
	case http.StatusUnprocessableEntity:
		return NewProblem(status, "correct what errors lists and send it again",
			Fault{Pointer: "/parties/0/share/amount", Detail: "write 1250000.00: digits, a point, at most 2 decimals for EUR"},
			Fault{Parameter: "limit", Detail: "too large: write at most 200"})
	case http.StatusBadRequest:
		return NewProblem(status, "the body is not JSON at byte 10: correct the quotes, commas and brackets there")
	default:
		return fromHuma(status, "", nil)
	}
}

// plain is v as JSON has it.
func plain(v any) any {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err) // a problem always encodes
	}
	var result any
	if err := json.Unmarshal(text, &result); err != nil {
		panic(err)
	}
	return result
}

// openAnswers lets answers have fields that the document does not know yet, so that adding one breaks no client. What
// is only ever answered is opened; what a request may hold stays closed, because there unknown fields are refused.
func openAnswers(api *huma.OpenAPI) {
	sent := map[string]bool{}
	var walk func(s *huma.Schema)
	walk = func(s *huma.Schema) {
		if s == nil {
			return
		}
		if name := strings.TrimPrefix(s.Ref, schemasAt); s.Ref != "" && !sent[name] {
			sent[name] = true
			walk(api.Components.Schemas.SchemaFromRef(s.Ref))
		}
		walk(s.Items)
		for _, property := range s.Properties {
			walk(property)
		}
	}
	for op := range operations(api) {
		if op.RequestBody != nil {
			for _, media := range op.RequestBody.Content {
				walk(media.Schema)
			}
		}
	}
	for name, s := range api.Components.Schemas.Map() {
		if !sent[name] && s.AdditionalProperties == false {
			s.AdditionalProperties = nil
		}
	}
}

const schemasAt = "#/components/schemas/"

func operations(api *huma.OpenAPI) func(yield func(*huma.Operation) bool) {
	return func(yield func(*huma.Operation) bool) {
		for _, item := range api.Paths {
			for _, op := range []*huma.Operation{item.Get, item.Put, item.Post, item.Delete, item.Patch} {
				if op != nil && !yield(op) {
					return
				}
			}
		}
	}
}
