package embedded

import (
	"syscall"
	"testing"
)

// Between fork and exec a child has a copy of every file of its parent.
func TestOwnDir_IsFreeAtOnceWhileAChildIsBeingStarted(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	lock, err := ownDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	inherited, err := syscall.Dup(int(lock.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = syscall.Close(inherited) }()
	if _, err := ownDir(dir); err == nil {
		t.Error("taken twice")
	}
	unlock(lock)
	again, err := ownDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	unlock(again)
}
