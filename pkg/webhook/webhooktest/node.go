// Package webhooktest helps tests that hold dealreg's webhooks against software that others wrote.
package webhooktest

import (
	"fmt"
	"hash/fnv"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
)

// NodeModules installs what the folder's package-lock.json names, unless that was done since it changed. Tests of several
// packages and processes may call it at once. Without npm the test fails.
func NodeModules(tb testing.TB, folder string) {
	tb.Helper()
	absolute, err := filepath.Abs(folder)
	if err != nil {
		tb.Fatal(err)
	}
	hash := fnv.New64a()
	_, _ = hash.Write([]byte(absolute))
	lock, err := os.OpenFile(filepath.Join(os.TempDir(), fmt.Sprintf("dealreg-npm-%d-%x", os.Getuid(), hash.Sum64())), os.O_RDWR|os.O_CREATE, 0o600) // #nosec G304 -- no name of a stranger
	if err != nil {
		tb.Fatal(err)
	}
	defer lock.Close()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil { // #nosec G115 -- a descriptor is small
		tb.Fatal(err)
	}
	wanted, err := os.Stat(filepath.Join(absolute, "package-lock.json"))
	if err != nil {
		tb.Fatal(err)
	}
	there, err := os.Stat(filepath.Join(absolute, "node_modules", ".package-lock.json"))
	if err == nil && !there.ModTime().Before(wanted.ModTime()) {
		return
	}
	install := exec.CommandContext(tb.Context(), "npm", "ci", "--prefer-offline")
	install.Dir = absolute
	if out, err := install.CombinedOutput(); err != nil {
		tb.Fatalf("npm ci in %s: %v (Node.js 20 or later with npm is needed)\n%s", folder, err, out)
	}
}
