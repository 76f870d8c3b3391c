package audit

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"

	"google.golang.org/protobuf/proto"

	dealregv1 "github.com/dealreg/dealreg/proto/dealreg/v1"
)

// seal stands for all that an event claims of the deal's event before: its revision, the hash of its payload, and what the
// deal counted for. That the claim is true shows in the seal alone; what is wrong with a false one does not.
type seal [16]byte

// sealer makes seals with a key of its own, drawn for one reading of the log: nobody can write two events in advance
// whose seals are the same.
type sealer struct {
	key [32]byte
	buf []byte
}

func newSealer() *sealer {
	s := &sealer{}
	_, _ = rand.Read(s.key[:]) // never fails
	return s
}

// nothing seals what the first event of a deal must claim.
func (s *sealer) nothing() seal { return s.seal(0, nil, nil, nil) }

// said seals what is true of the event.
func (s *sealer) said(event *dealregv1.DealEvent, hash [sha256.Size]byte) seal {
	return s.seal(event.GetRevision(), hash[:], event.GetAttributions(), event.GetUnduplicated())
}

// claimed seals what the event claims of the one before.
func (s *sealer) claimed(event *dealregv1.DealEvent) seal {
	return s.seal(event.GetRevision()-1, event.GetPreviousHash(), event.GetReplaces(), event.GetUnduplicatedReplaces())
}

func (s *sealer) seal(revision uint64, hash []byte, counted []*dealregv1.Attribution, unduplicated *dealregv1.Attribution) seal {
	s.buf = append(s.buf[:0], s.key[:]...)
	s.buf = binary.BigEndian.AppendUint64(s.buf, revision)
	s.buf = binary.BigEndian.AppendUint64(s.buf, uint64(len(hash)))
	s.buf = append(s.buf, hash...)
	s.buf = appendCounts(s.buf, counted, unduplicated)
	sum := sha256.Sum256(s.buf)
	return seal(sum[:len(seal{})])
}

// appendCounts writes what a deal counts for as a DealEvent with nothing else: equal messages as equal bytes.
func appendCounts(to []byte, counted []*dealregv1.Attribution, unduplicated *dealregv1.Attribution) []byte {
	if len(counted) == 0 && unduplicated == nil {
		return to
	}
	b, err := proto.MarshalOptions{Deterministic: true}.MarshalAppend(to, &dealregv1.DealEvent{Attributions: counted, Unduplicated: unduplicated})
	if err != nil { // only text that is no UTF-8 could do this, and what was just decoded has none
		return to
	}
	return b
}
