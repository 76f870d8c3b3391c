package directory

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/dealreg/dealreg/pkg/deal"
	"github.com/dealreg/dealreg/pkg/httpapi"
	"github.com/dealreg/dealreg/pkg/roster"
)

// Chapter is a chapter as the API shows it.
type Chapter struct {
	ID            deal.ID   `json:"id"`
	AssociationID deal.ID   `json:"association_id"`
	Name          string    `json:"name"`
	Country       string    `json:"country,omitempty"`
	ParentID      *deal.ID  `json:"parent_id,omitempty" doc:"Absent directly below the association"`
	CreatedAt     time.Time `json:"created_at"`
}

func showChapter(c roster.Chapter) Chapter {
	return Chapter{c.ID, c.AssociationID, c.Name, c.Country, some(c.ParentID), c.CreatedAt}
}

// some is nil for the zero ID.
func some(id deal.ID) *deal.ID {
	if id.IsZero() {
		return nil
	}
	return &id
}

type newChapter struct {
	Name     string  `json:"name" doc:"1-200 characters"`
	Country  string  `json:"country,omitempty" doc:"ISO 3166-1 alpha-2" example:"DE"`
	ParentID deal.ID `json:"parent_id,omitempty" doc:"The chapter above; left out directly below the association"`
}

type chapterPatch struct {
	Name     httpapi.Optional[string]  `json:"name,omitempty"`
	Country  httpapi.Optional[string]  `json:"country,omitempty"`
	ParentID httpapi.Optional[deal.ID] `json:"parent_id,omitempty" doc:"null moves it directly below the association"`
}

// ChapterPath is embedded in the input of operations on one chapter.
type ChapterPath struct {
	AssociationID deal.ID `path:"id" doc:"The association"`
	ChapterID     deal.ID `path:"chapter_id" doc:"The chapter"`
}

func (s *Service) chapterRoutes(api huma.API) {
	tags := []string{"Chapters"}
	huma.Register(api, huma.Operation{
		OperationID: "create-chapter", Method: http.MethodPost, Path: "/v1/associations/{id}/chapters", Tags: tags,
		Summary: "Create a chapter", DefaultStatus: http.StatusCreated, Errors: []int{http.StatusForbidden},
	}, s.createChapter)
	huma.Register(api, huma.Operation{
		OperationID: "list-chapters", Method: http.MethodGet, Path: "/v1/associations/{id}/chapters", Tags: tags,
		Summary: "List the chapters of an association",
	}, s.listChapters)
	huma.Register(api, huma.Operation{
		OperationID: "get-chapter", Method: http.MethodGet, Path: "/v1/associations/{id}/chapters/{chapter_id}", Tags: tags,
		Summary: "Get a chapter",
	}, s.getChapter)
	huma.Register(api, huma.Operation{
		OperationID: "patch-chapter", Method: http.MethodPatch, Path: "/v1/associations/{id}/chapters/{chapter_id}", Tags: tags,
		Summary: "Change a chapter", Errors: []int{http.StatusForbidden},
	}, s.patchChapter)
}

func (s *Service) createChapter(ctx context.Context, in *struct {
	AssociationID deal.ID `path:"id" doc:"The association"`
	Body          newChapter
},
) (*httpapi.Created[Chapter], error) {
	if _, err := s.ownAssociation(ctx, in.AssociationID); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	c, err := s.putChapter(ctx, roster.Chapter{
		ID: newID(), AssociationID: in.AssociationID, Name: in.Body.Name, Country: in.Body.Country,
		ParentID: in.Body.ParentID, CreatedAt: s.cfg.Now().UTC(),
	})
	if err != nil {
		return nil, answer(err)
	}
	location := "/v1/associations/" + c.AssociationID.String() + "/chapters/" + c.ID.String()
	return httpapi.NewCreated(location, c.Revision, showChapter(c)), nil
}

// putChapter checks and stores a chapter, one at a time, so that no two moves close a circle together.
func (s *Service) putChapter(ctx context.Context, c roster.Chapter) (roster.Chapter, error) {
	done, err := s.takeTurn(ctx)
	if err != nil {
		return c, err
	}
	defer done()
	c = c.Clean()
	if err := c.Validate(s.cfg.Roster.Chapter).Err(); err != nil {
		return c, err
	}
	c.Revision, err = s.store.PutChapter(ctx, c)
	if err == nil {
		s.wrote(ctx, roster.Chapters, c.Revision)
	}
	return c, err
}

func (s *Service) listChapters(ctx context.Context, in *struct {
	AssociationID deal.ID `path:"id" doc:"The association"`
	httpapi.Paging
},
) (*httpapi.List[Chapter], error) {
	if _, err := s.association(ctx, in.AssociationID); err != nil {
		return nil, err
	}
	items, next, err := httpapi.SelectPage(s.cfg.Roster.Chapters(in.AssociationID), in.Paging, func(c roster.Chapter) string { return c.ID.String() })
	if err != nil {
		return nil, err
	}
	return httpapi.NewList(mapAll(items, showChapter), next), nil
}

func (s *Service) getChapter(ctx context.Context, in *ChapterPath) (*httpapi.Tagged[Chapter], error) {
	if _, err := s.association(ctx, in.AssociationID); err != nil {
		return nil, err
	}
	c, ok := s.cfg.Roster.Chapter(in.ChapterID)
	if !ok || c.AssociationID != in.AssociationID {
		return nil, httpapi.NotFound()
	}
	return httpapi.WithTag(c.Revision, showChapter(c)), nil
}

func (s *Service) patchChapter(ctx context.Context, in *struct {
	ChapterPath
	httpapi.IfMatch
	Body chapterPatch
},
) (*httpapi.Tagged[Chapter], error) {
	if _, err := s.ownAssociation(ctx, in.AssociationID); err != nil {
		return nil, err
	}
	revision, err := in.Revision()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	c, err := s.store.Chapter(ctx, in.ChapterID)
	switch {
	case err != nil:
		return nil, answer(err)
	case c.AssociationID != in.AssociationID:
		return nil, httpapi.NotFound()
	case c.Revision != revision:
		return nil, httpapi.PreconditionFailed(c.Revision)
	}
	in.Body.Name.Apply(&c.Name)
	in.Body.Country.Apply(&c.Country)
	in.Body.ParentID.Apply(&c.ParentID)
	if c, err = s.putChapter(ctx, c); err != nil {
		return nil, answer(err)
	}
	return httpapi.WithTag(c.Revision, showChapter(c)), nil
}
