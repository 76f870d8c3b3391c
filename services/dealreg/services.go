package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/dealreg/dealreg/pkg/deal"
	"github.com/dealreg/dealreg/pkg/lifecycle"
	"github.com/dealreg/dealreg/pkg/warehouse"
	"github.com/dealreg/dealreg/services/aggregator"
	"github.com/dealreg/dealreg/services/directory"
	"github.com/dealreg/dealreg/services/reports"
)

// The services.
const (
	serviceDirectory  = "directory"
	serviceRegistry   = "registry"
	serviceAggregator = "aggregator"
	serviceReports    = "reports"
	servicePortal     = "portal"
	serviceWebhooks   = "webhooks"
	serviceMail       = "mail"
)

// allServices lists them so that the aggregator comes before the registry, which waits for its check.
var allServices = []string{serviceDirectory, serviceAggregator, serviceRegistry, serviceReports, servicePortal, serviceWebhooks, serviceMail}

// serviceRun is how a service runs until ctx ends.
type serviceRun = func(ctx context.Context) error

// addServices wires the named services.
func (a *assembly) addServices(names []string) error {
	for _, name := range names {
		run, err := a.addService(name)
		if err != nil {
			return err
		}
		if run != nil {
			a.parts = append(a.parts, lifecycle.Part{Name: name, Run: run})
		}
	}
	return nil
}

// addService wires one service; there is nothing to run of mail that has no server.
func (a *assembly) addService(name string) (serviceRun, error) {
	switch name {
	case serviceDirectory:
		return a.addDirectory()
	case serviceAggregator:
		return a.addAggregator()
	case serviceRegistry:
		return a.addRegistry()
	case serviceReports:
		return a.addReports()
	case servicePortal:
		return a.addPortal()
	case serviceWebhooks:
		return a.addWebhooks()
	case serviceMail:
		return a.addMail()
	}
	return nil, fmt.Errorf("%s is no service", name)
}

func (a *assembly) addDirectory() (serviceRun, error) {
	openID, err := a.openID()
	if err != nil {
		return nil, err
	}
	mailer, err := a.newMailer()
	if err != nil {
		return nil, err
	}
	s, err := directory.New(directory.Config{
		JetStream: a.js, Roster: a.roster, Pepper: a.pepper, Replicas: a.Replicas, Announce: a.announce,
		Log: a.log, Health: a.health, HasWonDeals: a.hasWonDeals, OpenID: openID, Mailer: mailer,
	})
	if err != nil {
		return nil, err
	}
	s.Routes(a.server.API)
	return s.Run, nil
}

// addAggregator wires the aggregator, whose check of the log and of the projection a registry beside it waits for.
func (a *assembly) addAggregator() (serviceRun, error) {
	s, err := aggregator.New(aggregator.Config{
		NATS: a.nc, Warehouse: a.house, Health: a.health, Log: a.log, Metrics: a.server.Metrics,
	})
	if err != nil {
		return nil, err
	}
	s.Routes(a.server.API)
	a.gate = until(s.Verified())
	return s.Run, nil
}

// until waits for a channel to close.
func until(closed <-chan struct{}) func(context.Context) error {
	return func(ctx context.Context) error {
		select {
		case <-closed:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (a *assembly) addReports() (serviceRun, error) {
	s, err := reports.New(reports.Config{
		Warehouse: a.house, NATS: a.nc, Roster: a.roster, Now: time.Now, Log: a.log, Health: a.health, Statements: a.Statements,
	})
	if err != nil {
		return nil, err
	}
	s.Routes(a.server.API)
	return s.Run, nil
}

// hasWonDeals tells whether the association has a won deal, as far as the projection is.
func (a *assembly) hasWonDeals(ctx context.Context, association deal.ID) (bool, error) {
	won, _, err := a.house.FindDeals(ctx, warehouse.Filter{Association: association, Status: string(deal.Won)}, 1, warehouse.Cursor{})
	return len(won) > 0, err
}

// needsWarehouse is false for the portal alone, which asks the API for all that it shows, and for mail, which asks the log.
func needsWarehouse(services []string) bool {
	return slices.ContainsFunc(services, func(name string) bool { return name != servicePortal && name != serviceMail })
}
