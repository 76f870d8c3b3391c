package deal

import (
	"bytes"
	"encoding/hex"
	"fmt"
)

// ID names a deal, a company, an association or a chapter: 16 bytes, written as a UUID in lower case (RFC 9562).
// The zero ID names nothing.
type ID [16]byte

// ParseID reads a UUID in its 36-character form, in either case.
func ParseID(text string) (ID, error) {
	var id ID
	if len(text) != 36 || text[8] != '-' || text[13] != '-' || text[18] != '-' || text[23] != '-' {
		return ID{}, errNotUUID
	}
	digits := text[0:8] + text[9:13] + text[14:18] + text[19:23] + text[24:36]
	if _, err := hex.Decode(id[:], []byte(digits)); err != nil {
		return ID{}, errNotUUID
	}
	return id, nil
}

var errNotUUID = fmt.Errorf("not a UUID: write it as 0198c2f4-5b7e-7cc1-9d0a-4f1e2a3b4c5d")

// String gives the 36-character form of the UUID.
func (id ID) String() string {
	text, _ := id.MarshalText()
	return string(text)
}

// IsZero tells whether the ID names nothing.
func (id ID) IsZero() bool { return id == ID{} }

// Compare orders IDs by their bytes, which is the order of their text too.
func (id ID) Compare(other ID) int { return bytes.Compare(id[:], other[:]) }

// MarshalText gives the 36-character form of the UUID. It never fails.
func (id ID) MarshalText() ([]byte, error) {
	text := make([]byte, 36)
	hex.Encode(text[0:8], id[0:4])
	text[8] = '-'
	hex.Encode(text[9:13], id[4:6])
	text[13] = '-'
	hex.Encode(text[14:18], id[6:8])
	text[18] = '-'
	hex.Encode(text[19:23], id[8:10])
	text[23] = '-'
	hex.Encode(text[24:36], id[10:16])
	return text, nil
}

// UnmarshalText reads what ParseID reads.
func (id *ID) UnmarshalText(text []byte) error {
	parsed, err := ParseID(string(text))
	if err != nil {
		return err
	}
	*id = parsed
	return nil
}
