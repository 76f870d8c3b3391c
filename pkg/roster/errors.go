package roster

import (
	"errors"
	"fmt"
)

// ErrNotLoaded means that the copy in memory was never complete yet: nobody can be let in, nothing be looked up.
var ErrNotLoaded = errors.New("the directory is not loaded yet")

// ErrUnauthenticated means that a token opens nothing: it is none, or was revoked, ended, used or has expired.
var ErrUnauthenticated = errors.New("not a valid key")

// ErrNotFound means that the bucket has no such entry.
var ErrNotFound = errors.New("no such entry")

// ConflictError means that another writer was first: read again and decide anew.
type ConflictError struct {
	Bucket   Bucket
	Expected uint64 // 0: the entry should not have existed
	Current  uint64 // 0: not known
}

// Error names the revisions.
func (e *ConflictError) Error() string {
	return fmt.Sprintf("%s: revision %d expected, %d found", e.Bucket, e.Expected, e.Current)
}

var errNotZone = errors.New("not the name of a time zone")
