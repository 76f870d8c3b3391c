package audit

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"errors"
	"io"
	"slices"

	"google.golang.org/protobuf/proto"

	dealregv1 "github.com/dealreg/dealreg/proto/dealreg/v1"
)

// errOtherLog says that the second reading of the log did not give what the first one did.
var errOtherLog = errors.New("the log changed while it was read: audit again")

// before is what tells how an event contradicts the one before it.
type before struct {
	revision uint64
	hash     [sha256.Size]byte
	counts   []byte // its attributions and unduplicated, as a DealEvent with nothing else; empty when there are none
}

// counted is an event with nothing but the attributions and the unduplicated.
func (b before) counted() *dealregv1.DealEvent {
	var m dealregv1.DealEvent
	if len(b.counts) == 0 || proto.Unmarshal(b.counts, &m) != nil {
		return nil
	}
	return &m
}

// unravel reads the log once more for the deals that broke their chain: it finds out what is wrong with each of their
// events and counts what they count for, whatever they say that they replace.
func (f *fold) unravel(open func() (io.ReadCloser, error)) error {
	l, first := f.ledger, f.ledger.Findings
	l.Findings = nil
	last, digest, events := map[ID]before{}, sha256.New(), int64(0)
	err := readThrough(open, func(entry *dealregv1.LogEntry) error {
		if events == l.Events {
			return errEnough
		}
		events++
		hash := sha256.Sum256(entry.GetPayload())
		digest.Write(hash[:])
		f.follow(entry, events, hash, last)
		return nil
	})
	if err != nil {
		return err
	}
	if !bytes.Equal(digest.Sum(nil), f.digest.Sum(nil)) {
		return errOtherLog
	}
	l.Findings = append(l.Findings, first...)
	slices.SortStableFunc(l.Findings, func(a, b Finding) int { return cmp.Compare(a.Sequence, b.Sequence) })
	l.Findings = l.Findings[:min(len(l.Findings), maxFindings)]
	return nil
}

// follow checks and counts one message of a broken deal, the nth of the log, from the one on that broke it.
func (f *fold) follow(entry *dealregv1.LogEntry, nth int64, hash [sha256.Size]byte, deals map[ID]before) {
	var event dealregv1.DealEvent
	err := proto.Unmarshal(entry.GetPayload(), &event)
	id, ok := toID(event.GetDealId())
	readable := err == nil && ok && event.GetSchema() != 0
	if !readable {
		if id, ok = dealOf(entry.GetSubject()); !ok {
			return
		}
	}
	from, broken := f.broken[id]
	if !broken {
		return
	}
	last := deals[id]
	if !readable { // what the deal counted for stays, and its next event is not blamed
		deals[id] = before{last.revision + 1, hash, last.counts}
		return
	}
	if nth >= from {
		for _, x := range checkChain(&event, last) {
			f.report(entry.GetSequence(), id, x)
		}
		was := last.counted()
		f.ledger.post(was.GetAttributions(), was.GetUnduplicated(), -1)
		f.ledger.post(event.GetAttributions(), event.GetUnduplicated(), 1)
	}
	deals[id] = before{event.GetRevision(), hash, appendCounts(nil, event.GetAttributions(), event.GetUnduplicated())}
}
