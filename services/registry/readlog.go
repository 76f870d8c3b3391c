package registry

import (
	"bufio"
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
	"go.uber.org/zap"
	"google.golang.org/protobuf/encoding/protodelim"

	"github.com/dealreg/dealreg/pkg/deal"
	"github.com/dealreg/dealreg/pkg/httpapi"
	dealregv1 "github.com/dealreg/dealreg/proto/dealreg/v1"
)

// LogType is the media type of GET /v1/log: LogEntry messages of proto/dealreg/v1, each behind its length as a varint.
const LogType = "application/vnd.dealreg.log"

type logInput struct {
	From uint64 `query:"from" minimum:"1" default:"1" doc:"The first sequence"`
}

// readLog answers GET /v1/log, from a sequence to the last that there is. It holds the deals of every association, so
// only the operator and an auditor of all associations read it. An answer that breaks off, instead of ending with the
// last length-delimited message, is one that failed.
func (s *Service) readLog(ctx context.Context, in *logInput) (*huma.StreamResponse, error) {
	caller := httpapi.Caller(ctx)
	if !caller.IsAuditorOf(deal.ID{}) {
		return nil, httpapi.NotFound()
	}
	if err := s.checkOpen(); err != nil {
		return nil, err
	}
	if err := s.lookedAtLog(ctx, in.From); err != nil {
		return nil, err
	}
	s.cfg.Log.Info("auditor reads the log", zap.Stringer("key", caller.KeyID), zap.Uint64("from", in.From))
	return &huma.StreamResponse{Body: func(out huma.Context) {
		out.SetHeader("Content-Type", LogType)
		w := bufio.NewWriterSize(out.BodyWriter(), 1<<16)
		err := s.log.Read(ctx, in.From, func(sequence uint64, subject string, payload []byte) error {
			_, err := protodelim.MarshalTo(w, &dealregv1.LogEntry{Sequence: sequence, Subject: subject, Payload: payload})
			return err
		})
		if err == nil {
			err = w.Flush()
		}
		if err != nil {
			s.cfg.Log.Warn("reading the log broke off", zap.Error(err))
			panic(http.ErrAbortHandler) // the reader must not take half a log for a whole one
		}
	}}, nil
}
