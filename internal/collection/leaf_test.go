package collection

import (
	"bytes"
	"math/rand/v2"
	"reflect"
	"testing"

	"github.com/durusdb/durus/internal/codec"
)

// fataler is a testing.T or a rapid.T.
type fataler interface {
	Helper()
	Fatalf(format string, args ...any)
}

// sameLeaf compares what a builder has made of a leaf with what its payload says,
// and with the node that the payload is.
func sameLeaf(t fataler, c *Change) {
	t.Helper()
	l, _, err := Open(c.Payload)
	if err != nil || l == nil {
		t.Fatalf("object %d: no leaf, %v", c.OID, err)
	}
	l.OID, l.Pos = c.Leaf.OID, c.Leaf.Pos
	if !reflect.DeepEqual(l, c.Leaf) {
		t.Fatalf("object %d: built\n%+v, stored\n%+v", c.OID, c.Leaf, l)
	}
	n, err := Parse(c.Payload)
	if err != nil || !bytes.Equal(n.Append(nil), c.Payload) || !bytes.Equal(l.Node().Append(nil), c.Payload) {
		t.Fatalf("object %d is not what its node is stored as: %v", c.OID, err)
	}
	w := &codec.Writer{Buf: bytes.Clone(c.Payload)}
	if err := w.NoteAll(); err != nil || !sameOIDs(w.Strong, c.Strong) || !sameOIDs(w.Weak, c.Weak) {
		t.Fatalf("object %d refers to %v and %v, it says %v and %v, %v", c.OID, w.Strong, w.Weak, c.Strong, c.Weak, err)
	}
}

func sameOIDs(a, b []uint64) bool { return len(a) == 0 && len(b) == 0 || reflect.DeepEqual(a, b) }

// Keys and values that refer to objects: the leaf that is changed in place tells
// the same references, in the same order, as its payload.
func TestReferencesOfLeaf(t *testing.T) {
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 7))
		m := newMemory()
		oid, _ := m.newOID()
		tree := &Tree{OID: oid, Class: []string{ClassBTree, ClassSet}[seed%2], Key: "reference", Fresh: true}
		for range 8 {
			var ops []Op
			for oid := uint64(1); oid < 12; oid++ {
				if r.IntN(3) > 0 {
					continue
				}
				op := Op{Key: codec.AppendReference(nil, oid<<(r.IntN(2)*33), false), Delete: r.IntN(4) == 0}
				if tree.Class == ClassBTree && !op.Delete {
					op.Value = codec.AppendReference(codec.AppendArrayHead(nil, 1), 1+r.Uint64N(5), r.IntN(2) == 0)
				}
				if n := len(ops); n == 0 || tree.Compare(ops[n-1].Key, op.Key) < 0 {
					ops = append(ops, op)
				}
			}
			b := m.builder()
			b.Limits = Default
			if _, err := tree.Apply(b, ops); err != nil {
				t.Fatal(err)
			}
			for i := range b.Changes {
				sameLeaf(t, &b.Changes[i])
			}
			m.put(b.Changes)
			tree.Fresh = false
			if _, err := Check(m, oid, tree.Class); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// What nobody could read is not stored: a value that lies too deep in its leaf.
func TestLeafRefusesDeepValue(t *testing.T) {
	m := newMemory()
	oid, _ := m.newOID()
	tree := &Tree{OID: oid, Class: ClassBTree, Key: "integer", Fresh: true}
	nested := func(depth int) (b []byte) {
		for range depth {
			b = codec.AppendArrayHead(b, 1)
		}
		return codec.AppendInt(b, 1)
	}
	if _, err := tree.Apply(m.builder(), []Op{{Key: key(1), Value: nested(codec.MaxDepth - inLeaf)}}); err != nil {
		t.Fatal(err)
	}
	if _, err := tree.Apply(m.builder(), []Op{{Key: key(1), Value: nested(codec.MaxDepth - inLeaf + 1)}}); !isTyped(err) || err == nil {
		t.Fatalf("a value that is nested too deep: %v", err)
	}
}
