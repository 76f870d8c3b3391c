package embedded

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// errLocked says that another process, or another part of this one, holds a lock.
var errLocked = errors.New("locked")

// tryLock takes the lock of the file at path, which it makes when missing, or returns errLocked at once. The lock ends
// when the file and every copy of it that a child inherited are closed, so a killed process leaves none behind.
func tryLock(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600) //nolint:gosec // the folder is the operator's choice
	if err != nil {
		return nil, err
	}
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if err == nil {
		return f, nil
	}
	_ = f.Close()
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return nil, errLocked
	}
	return nil, fmt.Errorf("lock %s: %w", path, err)
}

// unlock ends a lock that no child is meant to keep, also where a child that was forked at this moment has a copy of the
// file until it executes its program.
func unlock(f *os.File) {
	_ = syscall.Flock(int(f.Fd()), syscall.LOCK_UN)
	_ = f.Close()
}

// waitLock is tryLock that tries again until ctx ends; then it returns errLocked.
func waitLock(ctx context.Context, path string) (*os.File, error) {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		f, err := tryLock(path)
		if !errors.Is(err, errLocked) {
			return f, err
		}
		select {
		case <-ctx.Done():
			return nil, errLocked
		case <-tick.C:
		}
	}
}

// ownDir makes dir for this user only and locks it against a second dealreg.
func ownDir(dir string) (*os.File, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	f, err := tryLock(filepath.Join(dir, "lock"))
	if errors.Is(err, errLocked) {
		return nil, fmt.Errorf("another dealreg uses %s: stop it or choose another data folder", dir)
	}
	return f, err
}
