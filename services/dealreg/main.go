// Command dealreg registers the deals that partner companies win together and shows an association its yearly volume.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	_ "time/tzdata" // the zones of associations, also where the machine has none

	"github.com/alecthomas/kong"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/dealreg/dealreg/pkg/embedded"
	"github.com/dealreg/dealreg/pkg/lifecycle"
)

// version is set by the release build.
var version = "dev"

// The exit codes of every command; audit has its own 3 for "could not tell".
const (
	exitFailed   = 1
	exitWrongUse = 2
)

type cli struct {
	ConfigFile configFile `name:"config" placeholder:"FILE" help:"JSON file with a key for each flag."`
	LogLevel   string     `default:"info" enum:"debug,info,warn,error" help:"The least level to log: ${enum}."`

	Up      upCommand      `cmd:"" help:"Run everything in one process."`
	Serve   serveCommand   `cmd:"" help:"Run one service."`
	Demo    demoCommand    `cmd:"" help:"Fill a running system with two associations and three years of deals."`
	Import  importCommand  `cmd:"" help:"Bring deals, companies, members or rates in from a CSV file."`
	Audit   auditCommand   `cmd:"" help:"Fold the log independently and compare every total that the reports give."`
	Rebuild rebuildCommand `cmd:"" help:"Replay the log into a new projection; the old totals are served until it is there."`
	Bench   benchCommand   `cmd:"" help:"Measure a part against what this machine allows: one JSON object."`
	Webhook webhookCommand `cmd:"" help:"For receivers of webhooks: print what arrives, check a signature."`
	Config  configCommand  `cmd:"" name:"config" help:"Print or check the configuration."`
	Version versionCommand `cmd:"" help:"Print the version."`
}

func main() {
	embedded.RunEngineIfAsked()
	os.Exit(run(os.Args[1:]))
}

// spareMemory is for how much garbage a process has room: a register under load has less processor time than memory.
const spareMemory = 192 << 20 // bytes

// exitCode is an error that ends the process with a code of its own; it was told to the user already.
type exitCode int

func (c exitCode) Error() string { return fmt.Sprintf("exit %d", int(c)) }

// wrongUse is an error that only other flags mend; it ends the process with exitWrongUse.
type wrongUse struct{ error }

func (w wrongUse) Unwrap() error { return w.error }

func newParser(c *cli) *kong.Kong {
	return kong.Must(c, kong.Name("dealreg"), kong.DefaultEnvars("DEALREG"), kong.UsageOnError(),
		kong.Description("Register deals between partners; see what they add up to."))
}

func run(args []string) int {
	lifecycle.LetGarbageWait(spareMemory)
	var c cli
	parser := newParser(&c)
	parsed, err := parser.Parse(args)
	if err != nil {
		parser.Errorf("%s", err)
		return exitWrongUse
	}
	log, err := newLog(c.LogLevel)
	if err != nil {
		parser.Errorf("%s", err)
		return exitWrongUse
	}
	defer log.Sync() //nolint:errcheck // stderr cannot be synced on every system
	ctx, stop := lifecycle.Signals(context.Background())
	defer stop()
	parsed.BindTo(ctx, (*context.Context)(nil))
	err = parsed.Run(log, parser)
	if err == nil {
		return 0
	}
	if code, is := errors.AsType[exitCode](err); is {
		return int(code)
	}
	fmt.Fprintln(os.Stderr, "dealreg:", err)
	if _, is := errors.AsType[wrongUse](err); is {
		return exitWrongUse
	}
	return exitFailed
}

func newLog(level string) (*zap.Logger, error) {
	parsed, err := zapcore.ParseLevel(level)
	if err != nil {
		return nil, err
	}
	cfg := zap.NewProductionConfig()
	cfg.Level = zap.NewAtomicLevelAt(parsed)
	cfg.EncoderConfig.EncodeTime = zapcore.RFC3339NanoTimeEncoder
	cfg.Sampling = nil
	cfg.DisableStacktrace = true
	return cfg.Build()
}

type versionCommand struct{}

func (versionCommand) Run() error {
	fmt.Println("dealreg", version)
	return nil
}
