package warehouse

import (
	"github.com/ClickHouse/ch-go/proto"
	"github.com/google/uuid"
)

// words is a column LowCardinality(String): each different word once, and for each row its place among them. The zero
// value is an empty column.
type words struct {
	index  proto.ColStr
	rows   proto.ColUInt32 // places in index
	places map[string]uint32
}

// add does not keep the word.
func (w *words) add(word []byte) {
	place, known := w.places[string(word)]
	if !known {
		place = w.learn(string(word))
	}
	w.rows = append(w.rows, place)
}

func (w *words) addName(name string) {
	place, known := w.places[name]
	if !known {
		place = w.learn(name)
	}
	w.rows = append(w.rows, place)
}

func (w *words) learn(word string) uint32 {
	if w.places == nil {
		w.places = map[string]uint32{}
	}
	place := uint32(len(w.places)) // #nosec G115 -- far fewer than 2^32 rows are in a batch
	w.places[word] = place
	w.index.Append(word)
	return place
}

func (w *words) reset() {
	w.index.Reset()
	w.rows = w.rows[:0]
	clear(w.places)
}

func (w *words) column() *proto.ColLowCardinalityRaw {
	return &proto.ColLowCardinalityRaw{Index: &w.index, Key: proto.KeyUInt32, Keys32: w.rows}
}

// array is a column of arrays: the values of all rows lie one behind the other; ends holds where those of each row end.
type array struct {
	ends   *proto.ColUInt64
	values proto.ColInput
}

func (a array) Type() proto.ColumnType { return proto.ColumnTypeArray.Sub(a.values.Type()) }
func (a array) Rows() int              { return a.ends.Rows() }

func (a array) EncodeState(b *proto.Buffer) {
	if state, has := a.values.(proto.StateEncoder); has {
		state.EncodeState(b)
	}
}

func (a array) EncodeColumn(b *proto.Buffer) {
	a.ends.EncodeColumn(b)
	a.values.EncodeColumn(b)
}

func (a array) WriteColumn(w *proto.Writer) {
	a.ends.WriteColumn(w)
	a.values.WriteColumn(w)
}

// nullable is a column whose rows may have no value.
type nullable struct {
	nulls  *proto.ColUInt8 // 1 for none
	values proto.ColInput
}

func (n nullable) Type() proto.ColumnType { return proto.ColumnTypeNullable.Sub(n.values.Type()) }
func (n nullable) Rows() int              { return n.nulls.Rows() }

func (n nullable) EncodeColumn(b *proto.Buffer) {
	n.nulls.EncodeColumn(b)
	n.values.EncodeColumn(b)
}

func (n nullable) WriteColumn(w *proto.Writer) {
	n.nulls.WriteColumn(w)
	n.values.WriteColumn(w)
}

// ids is a column Array(UUID).
type ids struct {
	ends   proto.ColUInt64
	values proto.ColUUID
}

// end ends the row: what was appended to values since the one before belongs to it.
func (c *ids) end() { c.ends = append(c.ends, uint64(len(c.values))) }

func (c *ids) reset() { c.ends, c.values = c.ends[:0], c.values[:0] }

func (c *ids) column() array { return array{&c.ends, &c.values} }

// orZero gives the id, or the zero one for no bytes. The bytes are 16 or none.
func orZero(id []byte) (result uuid.UUID) {
	copy(result[:], id)
	return result
}
