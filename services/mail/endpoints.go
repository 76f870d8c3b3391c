package mail

import (
	"context"

	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"

	"github.com/dealreg/dealreg/pkg/deal"
	"github.com/dealreg/dealreg/pkg/roster"
	"github.com/dealreg/dealreg/pkg/stream"
)

// followEndpoints mails those who may enable an endpoint of webhooks that was disabled. It keeps no position: a start reads
// the latest record of each endpoint again, and the outbox knows what was mailed.
func (t *turn) followEndpoints(ctx context.Context) error {
	config := jetstream.OrderedConsumerConfig{FilterSubjects: []string{stream.EndpointSubjects}, DeliverPolicy: jetstream.DeliverLastPerSubjectPolicy}
	return t.s.follow(ctx, stream.RecordsStream, config, func(uint64) {}, func(payload []byte, _ *jetstream.MsgMetadata) error {
		r, err := stream.DecodeEndpoint(payload)
		if err != nil {
			t.s.cfg.Log.Error("record of an endpoint not readable, nobody is mailed", zap.Error(err))
			return nil
		}
		return t.tellOwner(ctx, r)
	})
}

// tellOwner puts a mail into the outbox for everybody who may enable the endpoint, unless it is too late for that.
func (t *turn) tellOwner(ctx context.Context, r stream.EndpointRecord) error {
	now := t.s.cfg.Now()
	if r.At.Before(t.lease.Began) || !now.Before(r.At.Add(days(askedFor))) {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, 10*askWithin)
	defer cancel()
	for _, p := range t.s.cfg.Roster.People() {
		if !mayEnable(p, r.Company, r.Association) {
			continue
		}
		c := cause{Kind: kindDisabled, Person: p.ID, Company: r.Company, Association: r.Association, Endpoint: r.Endpoint, Since: r.At}
		if err := t.box.add(ctx, c, now); err != nil {
			return err
		}
	}
	return nil
}

// mayEnable tells whether the person manages endpoints of the owner, a company or an association, and can be reached.
func mayEnable(p roster.Person, company, association deal.ID) bool {
	if p.DisabledAt != nil || p.Email == "" {
		return false
	}
	if !company.IsZero() {
		return p.Role == roster.RoleCompanyAdmin && p.CompanyID == company
	}
	return p.Role == roster.RoleRegistrar && p.AssociationID == association
}
