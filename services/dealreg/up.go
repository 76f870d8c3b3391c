package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"time"

	"github.com/google/uuid"
	"go.uber.org/zap"

	"github.com/dealreg/dealreg/pkg/deal"
	"github.com/dealreg/dealreg/pkg/roster"
)

type upCommand struct {
	System system `embed:""`
	Demo   bool   `help:"Fill the system with the demo once it is up, and print the year's volume."`
	// The keys are stored as hashes: a lost one cannot be shown again, only followed by another.
	NewOperatorKey bool `help:"Issue one more operator's key and print it, for when the first one is lost. Then revoke that one."`
}

// Run runs everything in one process until it is told to stop.
func (c *upCommand) Run(ctx context.Context, log *zap.Logger) error {
	a, err := assemble(ctx, c.System, log, announceOperator, allServices)
	if err != nil {
		return err
	}
	return a.serve(ctx, func(ctx context.Context, url string) error {
		if err := waitReady(ctx, url); err != nil {
			return err
		}
		fmt.Printf("dealreg is up at %s (the pages; the API's contract: %s/openapi.json)\n", url, url)
		if c.NewOperatorKey {
			_, token, err := a.issueOperator(ctx, "issued at a start")
			if err != nil {
				return err
			}
			announceOperator(token)
		}
		if !c.Demo {
			return nil
		}
		return a.runDemo(ctx, url)
	})
}

func announceOperator(token string) {
	fmt.Printf("The operator's key, shown this once: %s\n", token)
}

// issueOperator makes an operator's key that is known here by the time it returns.
func (a *assembly) issueOperator(ctx context.Context, label string) (roster.Key, string, error) {
	scope := roster.Scope{Role: roster.RoleOperator, Label: label}
	key, token, err := a.store.Issue(ctx, deal.ID(uuid.Must(uuid.NewV7())), scope, time.Now(), a.pepper)
	if err != nil {
		return roster.Key{}, "", fmt.Errorf("issue an operator's key: %w", err)
	}
	return key, token, a.roster.WaitFor(ctx, roster.Keys, key.Revision)
}

// runDemo runs the demo with a key that lasts as long as it takes.
func (a *assembly) runDemo(ctx context.Context, url string) error {
	key, token, err := a.issueOperator(ctx, "demo")
	if err != nil {
		return err
	}
	defer func() {
		if _, err := a.store.Revoke(context.WithoutCancel(ctx), key, time.Now()); err != nil {
			a.log.Warn("demo key not revoked", zap.Error(err))
		}
	}()
	return demo(ctx, newClient(url, token), time.Now())
}

// aggregatorMemory is where the collector of an aggregator alone does all it can, whatever the backlog. Its batches, which
// are what it needs, are bounded to less; with the program itself it stays below 512 MB.
const aggregatorMemory = 400 << 20 // bytes

type serveCommand struct {
	System  system `embed:""`
	Service string `arg:"" enum:"directory,registry,aggregator,reports,portal,webhooks,mail" help:"One of ${enum}."`
}

// Run runs one service until it is told to stop. It waits for engines that are not there yet.
func (c *serveCommand) Run(ctx context.Context, log *zap.Logger) error {
	if c.System.NATSURL == "" {
		return wrongUse{errors.New("one service alone needs a NATS that the others reach too: give --nats-url, or run everything with `dealreg up`")}
	}
	if c.Service == servicePortal && c.System.APIURL == "" {
		return wrongUse{errors.New("the portal alone shows what an API answers: give --api-url")}
	}
	if c.Service == serviceMail && c.System.SMTPURL == "" {
		return wrongUse{errors.New("mail without a server sends nothing: give --smtp-url and --mail-from")}
	}
	if c.System.ClickhouseDSN == "" && needsWarehouse([]string{c.Service}) {
		return wrongUse{errors.New("one service alone needs a ClickHouse that the others reach too: give --clickhouse-dsn, or run everything with `dealreg up`")}
	}
	if c.Service == serviceAggregator && os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(aggregatorMemory)
	}
	a, err := assemble(ctx, c.System, log, announceOperator, []string{c.Service})
	if err != nil {
		return err
	}
	return a.serve(ctx, nil)
}
