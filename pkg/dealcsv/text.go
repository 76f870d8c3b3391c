package dealcsv

import (
	"bytes"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/unicode"
)

// UTF8 gives the text of a file as spreadsheets save it, in UTF-8 without a byte order mark: it reads UTF-8, UTF-16 with
// its mark, and takes everything else for Windows-1252, in which every byte is some character.
func UTF8(file []byte) []byte {
	from := encoding.Encoding(charmap.Windows1252)
	switch {
	case bytes.HasPrefix(file, []byte("\xff\xfe")), bytes.HasPrefix(file, []byte("\xfe\xff")):
		from = unicode.UTF16(unicode.LittleEndian, unicode.ExpectBOM)
	case utf8.Valid(file):
		return bytes.TrimPrefix(file, []byte(byteOrderMark))
	}
	text, err := from.NewDecoder().Bytes(file)
	if err != nil {
		return bytes.ToValidUTF8(file, []byte("\ufffd")) // the rows that hold it are refused
	}
	return text
}
