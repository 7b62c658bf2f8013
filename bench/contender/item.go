package contender

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"

	"github.com/vmihailenco/msgpack/v5"
)

// Item is the object that is stored. Everything but Count follows from ID and
// the length of Text, so that a reader can tell whether it got what was written.
type Item struct {
	ID    int64
	Count int64
	Owner string
	Text  string
}

var filler = strings.Repeat("All work and no play makes Jack a dull boy. ", 100)

// NewItem returns an object whose fields take about size bytes.
func NewItem(id int64, size int) Item {
	owner := ownerOf(id)
	start := int(id % 44)
	return Item{ID: id, Owner: owner, Text: filler[start : start+max(size-16-len(owner), 1)]}
}

func ownerOf(id int64) string { return fmt.Sprintf("owner-%06d", id%1_000_000) }

// Check says what is wrong with an object that was read as id. It allocates
// nothing if nothing is.
func (v *Item) Check(id int64) error {
	start := int(id % 44)
	if v.ID == id && len(v.Owner) == 12 && len(v.Text) > 0 && start+len(v.Text) <= len(filler) && v.Text == filler[start:start+len(v.Text)] {
		return nil
	}
	return fmt.Errorf("object %d was read as %+v", id, *v)
}

// key of an object in a key-value store: eight bytes, in the order of the ids.
func key(id int64) []byte { return binary.BigEndian.AppendUint64(make([]byte, 0, 8), uint64(id)) }

// Encode appends the msgpack form of v, an array of its fields, to buf.
func (v *Item) Encode(buf *bytes.Buffer) error {
	enc := msgpack.GetEncoder()
	defer msgpack.PutEncoder(enc)
	enc.Reset(buf)
	enc.UseArrayEncodedStructs(true)
	return enc.Encode(v)
}

// Decode reads what Encode wrote.
func (v *Item) Decode(data []byte) error { return msgpack.Unmarshal(data, v) }

// encoded returns the msgpack form in a buffer of its own, for stores that keep
// what they are given until the commit.
func (v *Item) encoded() ([]byte, error) {
	var buf bytes.Buffer
	buf.Grow(len(v.Text) + 40)
	err := v.Encode(&buf)
	return buf.Bytes(), err
}
