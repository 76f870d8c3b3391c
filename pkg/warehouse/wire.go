package warehouse

import (
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
)

// The wire types of the fields that are read, as they stand in a field's tag.
const (
	number = uint64(protowire.VarintType)
	block  = uint64(protowire.BytesType)
)

// field is one field of a message as it stands on the wire.
type field struct {
	tag   uint64 // the field's number times 8, plus its wire type
	value uint64 // of a number
	bytes []byte // of a block: a part of the message
}

// next cuts the first field off the message, which is not empty. Of a field of another wire type it gives the tag alone.
func (f *field) next(b []byte) (rest []byte, sound bool) {
	var n int
	if b[0] < 0x80 {
		f.tag, n = uint64(b[0]), 1
	} else if f.tag, n = protowire.ConsumeVarint(b); n < 0 {
		return nil, false
	}
	b = b[n:]
	if f.tag>>3 < uint64(protowire.MinValidNumber) || f.tag>>3 > uint64(protowire.MaxValidNumber) {
		return nil, false
	}
	switch f.tag & 7 {
	case number:
		f.value, n = protowire.ConsumeVarint(b)
	case block:
		f.bytes, n = protowire.ConsumeBytes(b)
	default:
		n = protowire.ConsumeFieldValue(protowire.Number(f.tag>>3), protowire.Type(f.tag&7), b) // #nosec G115 -- checked above
	}
	if n < 0 {
		return nil, false
	}
	return b[n:], true
}

// The numbers of protobuf drop the bits that are too many.

func (f *field) int32() int32   { return int32(f.value) }  // #nosec G115 -- see above
func (f *field) uint32() uint32 { return uint32(f.value) } // #nosec G115 -- see above
func (f *field) int64() int64   { return int64(f.value) }  // #nosec G115 -- see above
func (f *field) bool() bool     { return protowire.DecodeBool(f.value) }

// text takes a string, which is UTF-8 or not sound.
func (f *field) text(to *[]byte) bool {
	*to = f.bytes
	return utf8.Valid(f.bytes)
}

// wellFormed checks a message of which nothing is kept: its form, and the strings at the field numbers in the set.
func wellFormed(b []byte, texts uint64) bool {
	var f field
	var sound bool
	for len(b) > 0 {
		if b, sound = f.next(b); !sound {
			return false
		}
		if f.tag&7 == block && f.tag>>3 < 64 && texts&(1<<(f.tag>>3)) != 0 && !utf8.Valid(f.bytes) {
			return false
		}
	}
	return true
}

// numbers checks a packed list of numbers of which nothing is kept.
func numbers(b []byte) bool {
	for len(b) > 0 {
		_, n := protowire.ConsumeVarint(b)
		if n < 0 {
			return false
		}
		b = b[n:]
	}
	return true
}

// another appends an element and gives it as it was left there before, with the memory that it holds.
func another[T any](s []T) ([]T, *T) {
	if len(s) < cap(s) {
		s = s[:len(s)+1]
	} else {
		var zero T
		s = append(s, zero)
	}
	return s, &s[len(s)-1]
}
