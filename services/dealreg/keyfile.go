package main

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// keyFile reads a key of 32 bytes from a file of 64 hexadecimal digits, and makes it on the first start. The error names
// what it is for and what is lost without it.
func keyFile(path, what, lost string) ([]byte, error) {
	text, err := os.ReadFile(path) // #nosec G304 -- the operator names the folder
	if errors.Is(err, os.ErrNotExist) {
		if err = newKeyFile(path); err == nil {
			text, err = os.ReadFile(path) // #nosec G304 -- as above
		}
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	key, err := hex.DecodeString(strings.TrimSpace(string(text)))
	if err != nil || len(key) < 32 {
		return nil, fmt.Errorf("%s: %s holds no 64 hexadecimal digits: restore it from the backup, or %s", what, path, lost)
	}
	return key, nil
}

// newKeyFile makes the file with a fresh key, unless another process does at the same time. It is whole and on the disk
// when it returns: what the key protects outlives a cut of power, and so must the key.
func newKeyFile(path string) error {
	fresh := make([]byte, 32)
	_, _ = rand.Read(fresh) // never fails (crypto/rand)
	folder := filepath.Dir(path)
	file, err := os.CreateTemp(folder, filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer os.Remove(file.Name()) // gone already when all went well
	_, err = file.WriteString(hex.EncodeToString(fresh) + "\n")
	if err := errors.Join(err, file.Sync(), file.Close()); err != nil {
		return err
	}
	if err := os.Link(file.Name(), path); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	return errors.Join(syncFolder(folder), syncFolder(filepath.Dir(folder)))
}

// syncFolder brings the names in the folder to the disk.
func syncFolder(path string) error {
	folder, err := os.Open(path) // #nosec G304 -- the operator names it
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}
