package embedded

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha512"
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"go.uber.org/zap"
)

// fakeNPM puts an npm first on PATH that "packs" tarball and counts its calls in the returned file.
func fakeNPM(t *testing.T, tarball []byte) (calls string) {
	t.Helper()
	dir := t.TempDir()
	calls = filepath.Join(dir, "calls")
	packed := filepath.Join(dir, "packed")
	script := fmt.Sprintf("#!/bin/sh\necho \"$*\" >>'%s'\nexec cp '%s' chdb.tgz\n", calls, packed)
	for name, text := range map[string]string{"npm": script, "packed": string(tarball)} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", dir+string(os.PathListSeparator)+os.Getenv("PATH"))
	return calls
}

func tarball(t *testing.T, files map[string]string) (content []byte, integrity string) {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	w := tar.NewWriter(z)
	for name, text := range files {
		if err := w.WriteHeader(&tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o644, Size: int64(len(text))}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	sum := sha512.Sum512(b.Bytes())
	return b.Bytes(), "sha512-" + base64.StdEncoding.EncodeToString(sum[:])
}

func silent(string, int64, int64) {}

func TestFetchLibrary_FetchesOnceForAllWhoAsk(t *testing.T) { //nolint:paralleltest // sets PATH
	content, integrity := tarball(t, map[string]string{"package/libchdb.so": "engine", "package/LICENSE": "terms", "package/other.node": "x", "package/../../evil": "x"})
	calls := fakeNPM(t, content)
	cache := t.TempDir()
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			library, err := fetchLibrary(t.Context(), npmPackage{name: "p", integrity: integrity}, cache, silent, zap.NewNop())
			if err != nil {
				t.Error(err)
				return
			}
			if text, err := os.ReadFile(library); err != nil || string(text) != "engine" {
				t.Errorf("library = %q, %v", text, err)
			}
		})
	}
	wg.Wait()
	text, err := os.ReadFile(calls)
	if err != nil || strings.Count(string(text), "\n") != 1 || !strings.Contains(string(text), "pack p@"+engineVersion) {
		t.Errorf("npm calls:\n%s(%v)", text, err)
	}
	kept, err := filepath.Glob(filepath.Join(cache, "*", "*"))
	if want := []string{"LICENSE", libraryFile}; err != nil || len(kept) != 2 || filepath.Base(kept[0]) != want[0] || filepath.Base(kept[1]) != want[1] {
		t.Errorf("kept %v, %v, want %v", kept, err, want)
	}
}

func TestFetchLibrary_RefusesAndRemovesWhatIsNotPinned(t *testing.T) { //nolint:paralleltest // sets PATH
	content, _ := tarball(t, map[string]string{"package/libchdb.so": "something else"})
	fakeNPM(t, content)
	cache := t.TempDir()
	_, err := fetchLibrary(t.Context(), npmPackages["linux/amd64"], cache, silent, zap.NewNop())
	if err == nil || !strings.Contains(err.Error(), "not the pinned one") {
		t.Errorf("fetchLibrary = %v, want it refused", err)
	}
	left, err := os.ReadDir(cache)
	if err != nil || len(left) != 1 || left[0].Name() != "fetch.lock" {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestFetchLibrary_SaysWhatToInstall(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	_, err := findEngine(t.Context(), ClickHouseConfig{CacheDir: t.TempDir(), Log: zap.NewNop(), Progress: silent})
	if err == nil || !strings.Contains(err.Error(), "install Node.js with npm") {
		t.Errorf("findEngine = %v", err)
	}
}

func TestFetchLibrary_RefusesACacheOpenToOthers(t *testing.T) {
	t.Parallel()
	cache := t.TempDir()
	if err := os.Chmod(cache, 0o777); err != nil {
		t.Fatal(err)
	}
	if _, err := fetchLibrary(t.Context(), npmPackage{}, cache, silent, zap.NewNop()); err == nil || !strings.Contains(err.Error(), "nobody else") {
		t.Errorf("fetchLibrary = %v", err)
	}
}

func TestCacheDir_FallsBackWithoutAHome(t *testing.T) {
	t.Setenv("HOME", "")
	t.Setenv("XDG_CACHE_HOME", "")
	want := t.TempDir()
	if got, err := cacheDir(ClickHouseConfig{CacheFallback: want}); err != nil || got != want {
		t.Errorf("cacheDir = %q, %v, want %q", got, err, want)
	}
}

func TestFindEngine_PrefersTheBinaryOnPath(t *testing.T) {
	dir := t.TempDir()
	binary := filepath.Join(dir, "clickhouse")
	if err := os.WriteFile(binary, []byte("#!/bin/sh\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir)
	got, err := findEngine(t.Context(), ClickHouseConfig{CacheDir: t.TempDir()})
	if err != nil || got != (engine{server: binary}) {
		t.Errorf("findEngine = %v, %v, want %s", got, err, binary)
	}
}

func TestFreePort_IsBelowTheRangeOfOutgoingConnections(t *testing.T) {
	t.Parallel()
	for range 50 {
		port, err := FreePort()
		if err != nil || port < 20000 || port >= 32000 {
			t.Fatalf("FreePort = %d, %v", port, err)
		}
	}
}
