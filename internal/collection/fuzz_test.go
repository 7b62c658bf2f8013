package collection

import (
	"bytes"
	"errors"
	"slices"
	"testing"

	"github.com/durusdb/durus/internal/codec"
	"github.com/durusdb/durus/storage"
)

// isTyped tells whether an error about bytes of a file is one that it may be.
func isTyped(err error) bool {
	return err == nil || errors.Is(err, storage.ErrCorrupt) || errors.Is(err, storage.ErrTooNew) || errors.Is(err, storage.ErrType) || errors.Is(err, storage.ErrTooLarge) || errors.Is(err, storage.ErrNotFound)
}

// pristine is a database with a container of each class but the counter's, each
// of three levels.
func pristine(t testing.TB) (m memory, oids map[string]uint64) {
	m, oids = newMemory(), map[string]uint64{}
	for _, class := range []string{ClassBTree, ClassDict, ClassSet, ClassList} {
		oid, _ := m.newOID()
		oids[class] = oid
		b := m.builder()
		b.NewOID = m.newOID
		if class == ClassList {
			list := &List{OID: oid, Fresh: true}
			var values [][]byte
			for i := range 60 {
				values = append(values, key(i))
			}
			if err := list.Apply(b, nil, values); err != nil {
				t.Fatal(err)
			}
		} else {
			tree := &Tree{OID: oid, Class: class, Key: "integer", Fresh: true}
			var ops []Op
			for i := range 60 {
				op := Op{Key: key(i)}
				if class != ClassSet {
					op.Value = key(i)
				}
				ops = append(ops, op)
			}
			slices.SortFunc(ops, func(a, b Op) int { return tree.Compare(a.Key, b.Key) })
			if _, err := tree.Apply(b, ops); err != nil {
				t.Fatal(err)
			}
		}
		m.put(b.Changes)
	}
	return m, oids
}

// useEverything calls all that reads nodes, and tells whether the container is whole.
func useEverything(t testing.TB, before, m memory, class string, oid uint64) {
	t.Helper()
	check := func(what string, err error) {
		t.Helper()
		if !isTyped(err) {
			t.Fatalf("%s of a %s: %v", what, class, err)
		}
	}
	shape, whole := Check(m, oid, class)
	check("Check", whole)
	n := 0
	count := func() bool { n++; return n < 10_000 }
	var nodes []uint64
	for n := range m.state {
		nodes = append(nodes, n)
	}
	slices.Sort(nodes)
	nodes = slices.DeleteFunc(nodes, func(n uint64) bool { // as a tool sorts them
		node, err := before.Node(n, before.state[n])
		return err != nil || node.OID != oid && node.Of != oid
	})
	if class == ClassList {
		list := &List{OID: oid}
		v := ListView{list, m}
		_, _, err := DiffList(ListView{list, before}, v, nodes)
		check("DiffList", err)
		_, _, err = DiffList(v, ListView{list, before}, nodes[:len(nodes)/2])
		check("DiffList", err)
		_, _, err = v.Get(7)
		check("Get", err)
		v.Leaf(7)
		length, err := v.Len()
		check("Len", err)
		if whole == nil && (err != nil || length != shape.Length) {
			t.Fatalf("length %d, %v, Check says %d", length, err, shape.Length)
		}
		check("Each", v.Each(func([]byte) bool { return count() }))
		if whole == nil && n != shape.Length {
			t.Fatalf("%d values, Check says %d", n, shape.Length)
		}
		_, _, err = DifferList(v, ListView{list, before}, 0, -1)
		check("DifferList", err)
		_, _, err = DifferList(ListView{list, before}, v, 3, 40)
		check("DifferList", err)
		_, err = SameOrEqual(ListView{list, before}, v, Splice{At: 7, Delete: 1, Insert: [][]byte{key(1)}})
		check("SameOrEqual", err)
		b := m.clone().builder()
		check("Apply", list.Apply(b, []Splice{{At: 0, Insert: [][]byte{key(1)}}, {At: 5, Delete: 20}}, [][]byte{key(2)}))
		check("Apply", list.Apply(m.clone().builder(), []Splice{{At: 30, Delete: 1, Insert: [][]byte{key(9)}}}, nil))
		return
	}
	tree := &Tree{OID: oid, Class: class, Key: "integer"}
	if head, err := node(m, oid); err == nil {
		tree.Key = head.Key // Check knows no Go type
	}
	v := View{tree, m}
	length, err := v.Len()
	check("Len", err)
	if whole == nil && (err != nil || length != shape.Length) {
		t.Fatalf("length %d, %v, Check says %d", length, err, shape.Length)
	}
	var keys [][]byte
	check("Each", v.Each(func(k, _ []byte) bool { keys = append(keys, k); return count() }))
	if whole == nil {
		if len(keys) != shape.Length {
			t.Fatalf("%d keys, Check says %d", len(keys), shape.Length)
		}
		for _, k := range keys {
			if _, found, err := v.Get(k); err != nil || !found {
				t.Fatalf("key %s is listed and not found, %v", Spell(k), err)
			}
		}
	}
	_, _, err = v.Get(key(7))
	check("Get", err)
	_, _, err = DiffTree(View{tree, before}, v, nodes)
	check("DiffTree", err)
	_, _, err = DiffTree(v, View{tree, before}, nodes[:len(nodes)/2])
	check("DiffTree", err)
	old := View{tree, before}
	_, err = Differ(v, old, Range{})
	check("Differ", err)
	_, err = Differ(old, v, Range{From: key(5), To: key(40), FromOpen: true})
	check("Differ", err)
	_, err = SameKey(old, v, key(9))
	check("SameKey", err)
	v.Leaf(key(9))
	var ops []Op
	for i := range 80 {
		op := Op{Key: key(i - 10), Delete: i%3 == 0}
		if class != ClassSet && !op.Delete {
			op.Value = key(-i)
		}
		ops = append(ops, op)
	}
	slices.SortFunc(ops, func(a, b Op) int { return tree.Compare(a.Key, b.Key) })
	_, err = tree.Apply(m.clone().builder(), ops)
	check("Apply", err)
	_, err = tree.Apply(m.clone().builder(), ops[20:22])
	check("Apply", err)
}

// Any bytes in place of any node: typed errors, no panic, no endless loop, and
// what Check calls whole works.
func FuzzNode(f *testing.F) {
	m, oids := pristine(f)
	for oid, pos := range m.state {
		f.Add(uint16(oid), (*m.log)[pos-1])
	}
	leaf := &Node{Of: oids[ClassBTree], Keys: [][]byte{key(1)}}
	noValues, _ := m.Node(oids[ClassBTree], m.state[oids[ClassBTree]])
	noValues = &Node{Head: true, Key: "integer", Keys: noValues.Keys}
	for oid := range m.state {
		f.Add(uint16(oid), leaf.Append(nil))                                                                                                           // a leaf without values
		f.Add(uint16(oid), (&Node{Of: oids[ClassList], Keys: [][]byte{key(1)}, Values: [][]byte{key(1)}}).Append(nil))                                 // a leaf of a tree in a list
		f.Add(uint16(oid), (&Node{Of: oids[ClassList], Level: 1, Keys: [][]byte{key(1)}, Children: []uint64{oid, oid}}).Append(nil))                   // an inner node of a tree in a list
		f.Add(uint16(oid), (&Node{Of: oids[ClassBTree], Level: 1, Counts: []int{1 << 29}, Children: []uint64{oid, oid}}).Append(nil))                  // and the other way round
		f.Add(uint16(oid), (&Node{Of: oids[ClassList], Level: 1, Counts: []int{1 << 29, 1 << 29}, Children: []uint64{oid, oid, oid + 1}}).Append(nil)) // counts that are not true
		f.Add(uint16(oid), codec.AppendInt(nil, -1<<63))
	}
	f.Add(uint16(oids[ClassBTree]), noValues.Append(nil))
	f.Fuzz(func(t *testing.T, victim uint16, payload []byte) {
		n, err := Parse(payload)
		if !isTyped(err) {
			t.Fatal(err)
		}
		if err == nil {
			again, err := Parse(n.Append(nil))
			if err != nil || !bytes.Equal(again.Append(nil), n.Append(nil)) {
				t.Fatalf("%+v does not come back: %v", n, err)
			}
		}
		l, again, openErr := Open(payload)
		switch {
		case (openErr == nil) != (err == nil) || err != nil && openErr.Error() != err.Error():
			t.Fatalf("Open says %v, Parse %v", openErr, err)
		case l != nil:
			again = l.Node()
		}
		if err == nil && !bytes.Equal(again.Append(nil), n.Append(nil)) {
			t.Fatalf("opened %+v, parsed %+v", again, n)
		}
		_, _ = ParseCounter(payload)
		before, oids := pristine(t)
		m := before.clone()
		m.put([]Change{{OID: uint64(victim)%(*m.last) + 1, Payload: payload}})
		for class, oid := range oids {
			useEverything(t, before, m, class, oid)
		}
	})
}
