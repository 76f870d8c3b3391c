// Package imports brings deals that were won from CSV files into the log, each row as the first event of a deal. It decides
// nothing about deals: the registry that it is part of does.
package imports

import (
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"

	"github.com/dealreg/dealreg/pkg/calendar"
	"github.com/dealreg/dealreg/pkg/deal"
	"github.com/dealreg/dealreg/pkg/roster"
	"github.com/dealreg/dealreg/pkg/stream"
)

// Config is what imports need, and what they ask of the registry. All fields are required.
type Config struct {
	Log    *zap.Logger
	JS     jetstream.JetStream
	Deals  *stream.Log
	Roster *roster.Roster
	Store  *roster.Store // for the companies, chapters and members that an import creates
	Now    func() time.Time

	// CheckOpen is nil while changes may be written, else the Problem that says why not.
	CheckOpen func() error
	// Today is the day at the actor's place.
	Today func(deal.Actor) calendar.Date
	// MayRegister refuses a company that may not register deals on the day. The error is a Problem.
	MayRegister func(company deal.ID, today calendar.Date) error
	// Draft is the first event of the deal of an import's command, which leaves out the deal's ID and who is a member. The
	// owner is whose external references the file uses.
	Draft func(owner deal.ID, c deal.Command) (stream.Draft, error)
}
