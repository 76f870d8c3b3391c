package audit

import (
	"encoding/hex"
	"fmt"
	"strings"

	dealregv1 "github.com/dealreg/dealreg/proto/dealreg/v1"
)

// ID is the 16 bytes of a UUID.
type ID [16]byte

// String writes the UUID in its 36 characters, in lower case.
func (id ID) String() string {
	return fmt.Sprintf("%x-%x-%x-%x-%x", id[0:4], id[4:6], id[6:8], id[8:10], id[10:16])
}

// toID is false unless there are 16 bytes.
func toID(b []byte) (ID, bool) {
	if len(b) != 16 {
		return ID{}, false
	}
	return ID(b), true
}

// chapterID is the zero ID for the members without a chapter.
func chapterID(c *dealregv1.ChapterAmount) (ID, bool) {
	if len(c.GetChapterId()) == 0 {
		return ID{}, true
	}
	return toID(c.GetChapterId())
}

// parseAssociation reads the id that an auditor gives, in either case.
func parseAssociation(text string) (ID, error) {
	id, ok := parseID(strings.ToLower(text))
	if !ok {
		return ID{}, fmt.Errorf("%s is not the id of an association", quote(text))
	}
	return id, nil
}

// parseID reads what String writes and nothing else.
func parseID(text string) (ID, bool) {
	b, err := hex.DecodeString(strings.ReplaceAll(text, "-", ""))
	id, ok := toID(b)
	return id, ok && err == nil && id.String() == text
}
