package stream

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/dealreg/dealreg/pkg/deal"
)

// ConflictState is what was decided about two deals that may be one.
type ConflictState string

// The states of a flag.
const (
	ConflictUndecided ConflictState = "undecided"
	ConflictMerged    ConflictState = "merged"
	ConflictDistinct  ConflictState = "distinct"
)

// ConflictRecord is what everybody reads of the flag that two deals may be one, from a message of ConflictSubjects. The
// registry keeps more beside it.
type ConflictRecord struct {
	Deals [2]deal.ID `json:"deals"` // the lesser first
	// Companies are parties of both deals: they may know of the flag. dealreg.conflict.flagged goes to them.
	Companies []deal.ID     `json:"companies"`
	FlaggedAt time.Time     `json:"flagged_at"`
	State     ConflictState `json:"state"`
}

// DecodeConflict reads the payload of a message of ConflictSubjects.
func DecodeConflict(payload []byte) (ConflictRecord, error) {
	var r ConflictRecord
	if err := json.Unmarshal(payload, &r); err != nil {
		return ConflictRecord{}, fmt.Errorf("read a flag: %w", err)
	}
	return r, nil
}
