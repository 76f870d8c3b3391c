package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

// configFile is the --config flag: a JSON object whose keys are the names of flags, such as {"nats-url": "..."}. A flag
// on the command line or in the environment goes before it. A key that is no flag is an error.
type configFile string

// BeforeResolve reads the file before the other flags get their values.
func (f configFile) BeforeResolve(k *kong.Kong, ctx *kong.Context, trace *kong.Path) error {
	path := string(ctx.FlagValue(trace.Flag).(configFile)) //nolint:forcetypeassert // kong calls it for this flag only
	values, err := readConfig(k, path)
	if err != nil {
		return err
	}
	ctx.AddResolver(kong.ResolverFunc(func(_ *kong.Context, _ *kong.Path, flag *kong.Flag) (any, error) {
		if number, is := values[flag.Name].(json.Number); is {
			return number.String(), nil // as on the command line
		}
		return values[flag.Name], nil
	}))
	return nil
}

func readConfig(k *kong.Kong, path string) (map[string]any, error) {
	text, err := os.ReadFile(path) // #nosec G304 -- the operator names the file
	if err != nil {
		return nil, fmt.Errorf("config file: %w", err)
	}
	values := map[string]any{}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	if err := decoder.Decode(&values); err != nil {
		return nil, fmt.Errorf("config file %s: not a JSON object: %w", path, err)
	}
	known := flagNames(k.Model.Node)
	for name := range values {
		if !slices.Contains(known, name) {
			return nil, fmt.Errorf("config file %s: %q is no flag; there are %s", path, name, strings.Join(known, ", "))
		}
	}
	return values, nil
}

// flagNames lists the flags of all commands, sorted.
func flagNames(n *kong.Node) []string {
	var names []string
	for _, f := range n.Flags {
		if f.Name != "help" && f.Name != "config" {
			names = append(names, f.Name)
		}
	}
	for _, child := range n.Children {
		names = append(names, flagNames(child)...)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

type configCommand struct {
	Print configPrint `cmd:"" help:"Print what 'up' and 'serve' would run with, as a configuration file."`
	Check configCheck `cmd:"" help:"Check a configuration file."`
}

type configPrint struct {
	System system `embed:""`
}

func (c configPrint) Run() error {
	text, err := json.MarshalIndent(c.System, "", "  ")
	if err != nil {
		return err
	}
	fmt.Println(secretInURL.ReplaceAllString(string(text), "$1$3[secret]$2"))
	return nil
}

// secretInURL finds what a URL holds to sign in with: all that stands before its host, since a user alone may be a token,
// and a password among its parameters.
var secretInURL = regexp.MustCompile(`(//|,)[^/@",\s]+(@)|(password=)[^&"\\]*`)

type configCheck struct {
	File string `arg:"" help:"The file."`
}

// Run finds keys that are no flags, and values with which 'up' and 'serve' would not start.
func (c configCheck) Run() error {
	if _, err := newParser(&cli{}).Parse([]string{"--config", c.File, "config", "print"}); err != nil {
		return err
	}
	fmt.Println("ok")
	return nil
}

var errNoKey = wrongUse{errors.New("no key: give --key or set DEALREG_KEY; `dealreg up` printed the operator's key when it first started")}
