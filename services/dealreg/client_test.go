package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// TestClient_GeneratedFromTheContractDoesAYear generates a client of another language from the committed document,
// lets its compiler check an example against it, and runs that against a real system. It needs Node.js with npm.
func TestClient_GeneratedFromTheContractDoesAYear(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	for name, from := range map[string]string{
		"package.json": "", "package-lock.json": "", ".npmrc": "", "tsconfig.json": "", "example.ts": "", "openapi.json": goldenDocument,
	} {
		if from == "" {
			from = filepath.Join("testdata", "client", name)
		}
		text, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(folder, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	run := func(environment []string, name string, args ...string) string {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), name, args...)
		cmd.Dir, cmd.Env = folder, append(os.Environ(), environment...)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%s %v: %v (Node.js 20 or later with npm is needed)\n%s", name, args, err, out)
		}
		return string(out)
	}
	p := up(t, t.TempDir())
	run(nil, "npm", "ci", "--prefer-offline")
	run(nil, "node", "node_modules/openapi-typescript/bin/cli.js", "openapi.json", "-o", "api.d.ts")
	run(nil, "node", "node_modules/typescript/bin/tsc", "-p", ".")
	key := p.waitFor(operatorLine)
	url := p.waitFor(`is up at (http://\S+)`)
	out := run([]string{"DEALREG_URL=" + url, "DEALREG_KEY=" + key}, "node", "example.js")
	contains(t, out, "Our Partners 2025: 480000.00 EUR in 1 deal")
	p.stop()
}
