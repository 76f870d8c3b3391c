package audit

import (
	"bufio"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"hash/fnv"
	"io"
	"strings"

	"google.golang.org/protobuf/encoding/protodelim"
	"google.golang.org/protobuf/proto"

	dealregv1 "github.com/dealreg/dealreg/proto/dealreg/v1"
)

// newestSchema is the newest version of the log's contract that this code can judge.
const newestSchema = 1

const (
	shards   = 64      // of the subjects, by hash of the deal's id
	maxEntry = 8 << 20 // bytes of one message with its position
)

// ErrNewerSchema says that the log has an event of a newer release, which this one cannot judge.
var ErrNewerSchema = errors.New("the log has an event of a newer release: audit with that release")

// Fold reads the log from its first message to its last and checks every event. The log is a sequence of LogEntry
// messages, each behind its length as a varint. What is wrong with an event is a finding in the Ledger; an error (a cut or
// unreadable stream, ErrNewerSchema) means that nothing can be said.
//
// Memory grows by at most 64 bytes with each deal, and with each figure that the reports have; no event is kept. A deal
// whose event contradicts the one before it takes more, and the log is opened a second time to tell how.
func Fold(open func() (io.ReadCloser, error)) (*Ledger, error) {
	f := fold{
		ledger: &Ledger{associations: map[ID]*association{}, all: newAssociation(allCurrency)},
		deals:  newDeals(), sealer: newSealer(), broken: map[ID]int64{}, digest: sha256.New(),
	}
	if err := readThrough(open, f.entry); err != nil {
		return nil, err
	}
	f.ledger.Deals = int64(f.deals.count)
	if len(f.broken) > 0 {
		if err := f.unravel(open); err != nil {
			return nil, err
		}
	}
	return f.ledger, nil
}

func readThrough(open func() (io.ReadCloser, error), do func(*dealregv1.LogEntry) error) error {
	log, err := open()
	if err != nil {
		return fmt.Errorf("read the log: %w", err)
	}
	defer func() { _ = log.Close() }()
	return eachEntry(log, do)
}

// errEnough ends eachEntry before the log does.
var errEnough = errors.New("enough of the log was read")

// eachEntry reads messages of the log until it ends or the function has had enough.
func eachEntry(r io.Reader, do func(*dealregv1.LogEntry) error) error {
	in := bufio.NewReaderSize(r, 1<<16)
	var entry dealregv1.LogEntry
	for last := uint64(0); ; last = entry.GetSequence() {
		err := protodelim.UnmarshalOptions{MaxSize: maxEntry}.UnmarshalFrom(in, &entry)
		if err == io.EOF { //nolint:errorlint // only the bare EOF is the end between two messages
			return nil
		}
		if err != nil {
			return fmt.Errorf("read the log behind event %d: %w", last, err)
		}
		switch err := do(&entry); {
		case errors.Is(err, errEnough):
			return nil
		case err != nil:
			return fmt.Errorf("event %d: %w", entry.GetSequence(), err)
		}
	}
}

type fold struct {
	ledger *Ledger
	deals  *deals
	sealer *sealer
	// broken are the deals whose events contradict each other, and at which of the log's events it began. From there on
	// unravel counts them.
	broken map[ID]int64
	digest hash.Hash // over the hash of each payload
}

// entry folds one message. Its error is ErrNewerSchema.
func (f *fold) entry(entry *dealregv1.LogEntry) error {
	l := f.ledger
	sequence, payload := entry.GetSequence(), entry.GetPayload()
	if sequence != l.LastSequence+1 {
		f.report(sequence, ID{}, faulty(CheckSequence, l.LastSequence+1, sequence))
	}
	l.LastSequence = sequence
	l.Events++
	l.Bytes += int64(len(payload))
	hash := sha256.Sum256(payload)
	f.digest.Write(hash[:])

	var event dealregv1.DealEvent
	err := proto.Unmarshal(payload, &event)
	if err == nil && event.GetSchema() > newestSchema {
		return ErrNewerSchema
	}
	id, ok := toID(event.GetDealId())
	l.lastDeal = id
	if err != nil || !ok || event.GetSchema() == 0 {
		f.skip(entry, err)
		return nil
	}
	if at := event.GetAt(); at.IsValid() {
		l.lastYear = at.AsTime().Year()
	}
	if want := subject(id); entry.GetSubject() != want {
		f.report(sequence, id, faulty(CheckSubject, want, quote(entry.GetSubject())))
	}
	s, known := f.deals.of(id)
	if !known {
		s.seal = f.sealer.nothing()
	}
	if f.sealer.claimed(&event) != s.seal {
		f.breaks(id)
	}
	for _, x := range checkDeal(&event, s.won) {
		f.report(sequence, id, x)
	}
	faults := f.checkAttributions(&event)
	if len(faults) == 0 { // else what is wrong would follow from them
		faults = checkUnduplicated(&event)
	}
	for _, x := range faults {
		f.report(sequence, id, x)
	}
	f.count(s, &event, hash)
	return nil
}

// breaks notes that the event at hand does not follow from the deal's event before.
func (f *fold) breaks(id ID) {
	if _, before := f.broken[id]; !before {
		f.broken[id] = f.ledger.Events
	}
}

// count takes back what the deal counted for before, which is what the event says that it replaces, and adds what it
// counts for now.
func (f *fold) count(s *state, event *dealregv1.DealEvent, hash [sha256.Size]byte) {
	if _, broken := f.broken[s.id]; !broken {
		f.ledger.post(event.GetReplaces(), event.GetUnduplicatedReplaces(), -1)
		f.ledger.post(event.GetAttributions(), event.GetUnduplicated(), 1)
	}
	if s.won {
		f.ledger.Won--
	}
	s.won = event.GetDeal().GetStatus() == dealregv1.Status_STATUS_WON
	if s.won {
		f.ledger.Won++
	}
	s.seal = f.sealer.said(event, hash)
}

// skip passes over a payload that is no event. Its subject still tells in whose chain it is.
func (f *fold) skip(entry *dealregv1.LogEntry, err error) {
	found := "no schema or no deal id of 16 bytes"
	if err != nil {
		found = "bytes that are no event"
	}
	id, ok := dealOf(entry.GetSubject())
	f.report(entry.GetSequence(), id, faulty(CheckPayload, "an event of a deal", found))
	if ok {
		f.deals.of(id)
		f.breaks(id)
	}
}

func (f *fold) report(sequence uint64, id ID, x *fault) {
	f.ledger.FindingCount++
	if len(f.ledger.Findings) < maxFindings {
		f.ledger.Findings = append(f.ledger.Findings,
			Finding{Sequence: sequence, DealID: id, Check: x.check, Expected: x.expected, Found: x.found})
	}
}

// subject is where a deal's events belong: the shard is FNV-1a of the id, modulo 64.
func subject(id ID) string {
	h := fnv.New32a()
	_, _ = h.Write(id[:])
	return fmt.Sprintf("deals.%d.%s", h.Sum32()%shards, id)
}

// dealOf is the deal whose events have the subject.
func dealOf(subject string) (ID, bool) {
	_, name, _ := strings.Cut(strings.TrimPrefix(subject, "deals."), ".")
	return parseID(name)
}

// quote makes text of unknown origin safe and short enough for a line.
func quote(text string) string { return fmt.Sprintf("%.80q", text) }
