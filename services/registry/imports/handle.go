package imports

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
	"github.com/google/uuid"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/dealreg/dealreg/pkg/deal"
	"github.com/dealreg/dealreg/pkg/dealcsv"
	"github.com/dealreg/dealreg/pkg/httpapi"
	"github.com/dealreg/dealreg/pkg/roster"
	"github.com/dealreg/dealreg/pkg/stream"
)

// maxUpload bounds an import's file, in bytes.
const maxUpload = 256 << 20

func rejectsName(id deal.ID) string { return id.String() + ".rejects" }

// Routes registers the operations on imports.
func (i *Importer) Routes(api huma.API) {
	tags := []string{"Imports"}
	huma.Register(api, huma.Operation{
		Method: http.MethodPost, Path: "/v1/imports/deals", OperationID: "import-deals", Tags: tags, DefaultStatus: http.StatusAccepted,
		Summary: "Import deals that were won from a CSV file", MaxBodyBytes: maxUpload, BodyReadTimeout: -1, RequestBody: csvBody(),
		Errors: []int{http.StatusNotFound},
	}, i.create)
	huma.Register(api, huma.Operation{
		Method: http.MethodPost, Path: "/v1/imports/deals/preview", OperationID: "preview-import", Tags: tags, RequestBody: csvBody(),
		Summary: "Read the first rows of a CSV file as an import would, and keep nothing",
		Errors:  []int{http.StatusNotFound},
	}, i.preview)
	huma.Register(api, huma.Operation{
		Method: http.MethodGet, Path: "/v1/imports/{id}", OperationID: "get-import", Summary: "Read how far an import is", Tags: tags,
	}, i.get)
	huma.Register(api, huma.Operation{
		Method: http.MethodGet, Path: "/v1/imports/{id}/rejects", OperationID: "get-import-rejects", Tags: tags,
		Summary: "Read the rejected rows as CSV, each with its line and every reason",
		Errors:  []int{http.StatusConflict},
		Responses: httpapi.Streamed(csvType, "The columns line and reasons, then those of the file",
			map[string]string{"Content-Disposition": "Names the file rejects.csv"}),
	}, i.rejects)
}

const csvType = "text/csv"

func csvBody() *huma.RequestBody {
	return &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{
		csvType: {Schema: &huma.Schema{Type: huma.TypeString, Format: "binary"}},
	}}
}

type importPath struct {
	ID deal.ID `path:"id" doc:"The import"`
}

// ImportedFile is a file with what its sender says about it.
type ImportedFile struct {
	Association deal.ID `query:"association_id" doc:"A registrar imports history into this association"`
	Map         string  `query:"map" maxLength:"8192" doc:"JSON object that renames columns and sets constants"`
	Reference   string  `query:"reference" maxLength:"200" doc:"The documents on which the registrar attests; required with association_id"`

	body io.Reader
}

// Resolve keeps the body, which is read as a stream.
func (in *ImportedFile) Resolve(ctx huma.Context) []error {
	in.body = io.LimitReader(ctx.BodyReader(), maxUpload+1)
	return nil
}

type importInput struct {
	ImportedFile
	DryRun bool   `query:"dry_run" doc:"Check every row and write nothing"`
	Key    string `header:"Idempotency-Key" maxLength:"128" doc:"The same key gives the same import"`
}

type accepted struct {
	Location string `header:"Location" doc:"The address of the import" example:"/v1/imports/0198c2f4-5b7e-7cc1-9d0a-4f1e2a3b4c5d"`
	Replayed string `header:"Idempotency-Replayed" doc:"true when an earlier request with this key began the import"`
	Body     Import
}

// asked checks who asks, for whom and how the file is to be read. The error is a Problem.
func (i *Importer) asked(ctx context.Context, in *ImportedFile) (job, dealcsv.Map, error) {
	refused := func(problem error) (job, dealcsv.Map, error) { return job{}, dealcsv.Map{}, problem }
	caller := httpapi.Caller(ctx)
	j := job{Key: caller.KeyID}
	switch {
	case !in.Association.IsZero() && caller.IsRegistrarOf(in.Association):
		if _, known := i.cfg.Roster.Association(in.Association); !known {
			return refused(httpapi.NotFound())
		}
		j.AssociationID = &in.Association
	case !in.Association.IsZero():
		return refused(httpapi.NotFound())
	case caller.ActsFor(caller.Company):
		j.CompanyID = &caller.Company
	default:
		return refused(httpapi.InvalidParameter("association_id", "is missing: name the association into which the deals go"))
	}
	if j.AssociationID != nil && in.Reference == "" {
		return refused(httpapi.InvalidParameter("reference", "is missing: name the documents on which the registrar attests these deals"))
	}
	mapping, err := readMap([]byte(in.Map))
	if err != nil {
		return refused(httpapi.InvalidParameter("map", err.Error()))
	}
	if mapping.CreateCompanies && j.AssociationID == nil {
		return refused(httpapi.InvalidParameter("map", "create_companies is for registrars: leave it out, and ask yours to add the companies"))
	}
	if err := i.cfg.CheckOpen(); err != nil {
		return refused(err)
	}
	if err := i.mayImport(j); err != nil {
		return refused(err)
	}
	j.Reference = in.Reference
	if in.Map != "" {
		j.Map = json.RawMessage(in.Map)
	}
	return j, mapping, nil
}

// create answers POST /v1/imports/deals: it keeps the file, checks its header, and leaves the rows to run.
func (i *Importer) create(ctx context.Context, in *importInput) (*accepted, error) {
	j, mapping, err := i.asked(ctx, &in.ImportedFile)
	if err != nil {
		return nil, err
	}
	fresh := uuid.Must(uuid.NewV7())
	j.ID, j.Upload = deal.ID(fresh), fresh.String()
	if in.Key != "" {
		j.ID = deal.ID(uuid.NewSHA1(uuid.UUID(j.owner()), []byte("import:"+in.Key)))
	}
	j.State, j.DryRun, j.CreatedAt = Waiting, in.DryRun, i.cfg.Now().UTC()
	if err := i.keep(ctx, &j, mapping, in.body); err != nil {
		return nil, err
	}
	return i.begin(ctx, j)
}

// begin records the import, unless the same request did before; then the file that just came is not needed.
func (i *Importer) begin(ctx context.Context, j job) (*accepted, error) {
	answer := &accepted{Location: importLocation(j.ID), Body: j.Import}
	err := i.save(ctx, j, jetstream.WithExpectLastSequencePerSubject(0))
	if err == nil {
		i.enqueue(j.ID)
		return answer, nil
	}
	before, loadErr := i.load(ctx, j.ID)
	switch {
	case loadErr != nil:
		return nil, httpapi.Unavailable("the log did not take the import", errors.Join(err, loadErr))
	case before.Upload == j.Upload: // it was taken although the answer got lost
		i.enqueue(j.ID)
		return answer, nil
	}
	i.drop(ctx, j.Upload)
	if !bytes.Equal(before.Hash, j.Hash) {
		return nil, httpapi.KeyUsed()
	}
	answer.Replayed, answer.Body = "true", before.Import
	return answer, nil
}

// mayImport refuses a company that may not register deals today. The error is a Problem.
func (i *Importer) mayImport(j job) error {
	if j.CompanyID == nil {
		return nil
	}
	return i.cfg.MayRegister(*j.CompanyID, i.cfg.Today(j.actor()))
}

// readMap reads a map file's text; without one the columns have our own names.
func readMap(text []byte) (dealcsv.Map, error) {
	if len(text) == 0 {
		return dealcsv.Map{}, nil
	}
	return dealcsv.ParseMap(text)
}

// keep stores the job's file and refuses one whose header cannot be read. It fills in the size and the hash.
func (i *Importer) keep(ctx context.Context, j *job, m dealcsv.Map, body io.Reader) error {
	ctx, cancel := context.WithTimeout(ctx, transferWithin)
	defer cancel()
	uploads, err := i.cfg.JS.ObjectStore(ctx, stream.UploadsBucket)
	if err != nil {
		return httpapi.Unavailable("the store for uploads did not answer", err)
	}
	hash, err := j.hash()
	if err != nil {
		return err
	}
	info, err := uploads.Put(ctx, jetstream.ObjectMeta{Name: j.Upload}, io.TeeReader(body, hash))
	if err != nil {
		return httpapi.Unavailable("the store did not take the file", err)
	}
	j.BytesTotal, j.Hash = info.Size, hash.Sum(nil)
	drop := func(problem error) error {
		i.drop(ctx, j.Upload)
		return problem
	}
	if info.Size > maxUpload {
		return drop(httpapi.NewProblem(http.StatusRequestEntityTooLarge, fmt.Sprintf("the file has more than %d MiB: split it", maxUpload>>20)))
	}
	file, err := uploads.Get(ctx, j.Upload)
	if err != nil {
		return drop(httpapi.Unavailable("the store for uploads did not answer", err))
	}
	defer file.Close()
	if _, err := dealcsv.NewReader(file, m); err != nil {
		return drop(httpapi.NewProblem(http.StatusUnprocessableEntity, "the file cannot be read: "+err.Error()))
	}
	return nil
}

func importLocation(id deal.ID) string { return "/v1/imports/" + id.String() }

type oneImport struct{ Body Import }

func (i *Importer) get(ctx context.Context, in *importPath) (*oneImport, error) {
	j, err := i.visible(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	return &oneImport{Body: j.Import}, nil
}

// visible loads the import for those who may see it.
func (i *Importer) visible(ctx context.Context, id deal.ID) (job, error) {
	caller := httpapi.Caller(ctx)
	j, err := i.load(ctx, id)
	switch {
	case errors.Is(err, jetstream.ErrMsgNotFound):
		return job{}, httpapi.NotFound()
	case err != nil:
		return job{}, httpapi.Unavailable("the log did not answer", err)
	case j.AssociationID != nil && caller.IsRegistrarOf(*j.AssociationID),
		j.CompanyID != nil && (caller.ActsFor(*j.CompanyID) || caller.Role == roster.RoleOperator):
		return j, nil
	}
	return job{}, httpapi.NotFound()
}

// rejects answers GET /v1/imports/{id}/rejects.
func (i *Importer) rejects(ctx context.Context, in *importPath) (*huma.StreamResponse, error) {
	j, err := i.visible(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	if j.State != Done {
		return nil, httpapi.Conflict("the import is " + string(j.State) + ": the rejected rows are there when it is done")
	}
	uploads, err := i.cfg.JS.ObjectStore(ctx, stream.UploadsBucket)
	if err != nil {
		return nil, httpapi.Unavailable("the store for uploads did not answer", err)
	}
	file, err := spool(ctx, uploads, rejectsName(in.ID))
	if err != nil {
		return nil, httpapi.Unavailable("the store for uploads did not answer", err)
	}
	return &huma.StreamResponse{Body: func(out huma.Context) {
		defer file.Close()
		out.SetHeader("Content-Type", csvType+"; charset=utf-8")
		out.SetHeader("Content-Disposition", `attachment; filename="rejects.csv"`)
		if _, err := io.Copy(out.BodyWriter(), file); err != nil {
			panic(http.ErrAbortHandler) // the reader must not take half a file for a whole one
		}
	}}, nil
}
