package collection

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/durusdb/durus/internal/codec"
	"github.com/durusdb/durus/storage"
)

// memory is a database of payloads; a state of it is a copy.
type memory struct {
	state map[uint64]int64
	log   *[][]byte // position p is log[p-1]
	last  *uint64
}

func newMemory() memory { return memory{map[uint64]int64{}, new([][]byte), new(uint64)} }

func (m memory) clone() memory {
	c := memory{make(map[uint64]int64, len(m.state)), m.log, m.last}
	for k, v := range m.state {
		c.state[k] = v
	}
	return c
}

func (m memory) newOID() (uint64, error) { *m.last++; return *m.last, nil }

func (m memory) put(changes []Change) {
	for _, c := range changes {
		*m.log = append(*m.log, c.Payload)
		m.state[c.OID] = int64(len(*m.log))
	}
}

func (m memory) Lineage() uint64 { return 1 }

func (m memory) Find(oid uint64) (int64, error) {
	if p := m.state[oid]; p != 0 {
		return p, nil
	}
	return 0, storage.ErrNotFound
}

func (m memory) Node(oid uint64, pos int64) (*Node, error) {
	n, err := Parse((*m.log)[pos-1])
	if err == nil {
		n.OID, n.Pos = oid, pos
	}
	return n, err
}

func (m memory) Leaf(oid uint64, pos int64) (*Leaf, error) {
	l, _, err := Open((*m.log)[pos-1])
	if l != nil {
		l.OID, l.Pos = oid, pos
	}
	return l, err
}

func (m memory) Count(_ uint64, pos int64) (int64, error) { return ParseCounter((*m.log)[pos-1]) }

var tiny = Limits{Leaf: 4, LeafBytes: 64, Fanout: 4, Counters: 2}

func (m memory) builder() *Builder {
	return &Builder{Store: m, Limits: tiny, NewOID: m.newOID, Writer: new(codec.Writer), Stripe: int(*m.last)}
}

func key(i int) []byte { return codec.AppendInt(nil, int64(i)) }

// A tree is what a sorted map is, whatever is done to it, and each of its
// states can be told from the others.
func TestTreeModel(t *testing.T) {
	for _, class := range []string{ClassBTree, ClassSet, ClassDict} {
		t.Run(class, func(t *testing.T) { rapid.Check(t, func(t *rapid.T) { treeModel(t, class) }) })
	}
}

func treeModel(t *rapid.T, class string) {
	m := newMemory()
	oid, _ := m.newOID()
	tree := &Tree{OID: oid, Class: class, Key: "integer", Fresh: true}
	model := map[int]int{}
	span := rapid.SampledFrom([]int{10, 100, 1000}).Draw(t, "span")
	for round := range rapid.IntRange(1, 12).Draw(t, "rounds") {
		before, was := m.clone(), clone(model)
		changes := map[int]int{} // -1: delete
		for range rapid.IntRange(0, 60).Draw(t, "ops") {
			v := rapid.IntRange(0, 50).Draw(t, "value")
			if rapid.Bool().Draw(t, "delete") {
				v = -1
			}
			if class == ClassSet {
				v = min(v, 0)
			}
			changes[rapid.IntRange(-span, span).Draw(t, "key")] = v
		}
		var ops []Op
		for k, v := range changes {
			op := Op{Key: key(k), Delete: v < 0}
			if v >= 0 && class != ClassSet {
				op.Value = codec.AppendString(nil, fmt.Sprint("value ", v))
			}
			ops = append(ops, op)
			if v < 0 {
				delete(model, k)
			} else {
				model[k] = v
			}
		}
		slices.SortFunc(ops, func(a, b Op) int { return tree.Compare(a.Key, b.Key) })
		b := m.builder()
		added, err := tree.Apply(b, ops)
		if err != nil {
			t.Fatal(err)
		}
		if added != len(model)-len(was) {
			t.Fatalf("round %d: added %d, want %d", round, added, len(model)-len(was))
		}
		for i := range b.Changes {
			if b.Changes[i].Leaf != nil {
				sameLeaf(t, &b.Changes[i])
			}
		}
		m.put(b.Changes)
		tree.Fresh = false
		shape, err := Check(m, oid, class)
		if err != nil {
			t.Fatal(err)
		}
		if shape.Length != len(model) {
			t.Fatalf("%d entries, want %d", shape.Length, len(model))
		}
		now := View{tree, m}
		if err := now.Each(func(k, v []byte) bool {
			c := codec.NewCursor(k)
			i := int(c.Int())
			want, ok := model[i]
			if !ok || class != ClassSet && !bytes.Equal(v, codec.AppendString(nil, fmt.Sprint("value ", want))) {
				t.Fatalf("%d: %q", i, v)
			}
			return true
		}); err != nil {
			t.Fatal(err)
		}
		if round > 0 {
			differences(t, View{tree, before}, now, was, model, span)
		}
		diffTree(t, View{tree, before}, now, written(b), was, model, round > 0)
	}
}

// written are the nodes that a builder has changed.
func written(b *Builder) (oids []uint64) {
	for i := range b.Changes {
		if b.Changes[i].Class != ClassCounter {
			oids = append(oids, b.Changes[i].OID)
		}
	}
	return oids
}

// The nodes that were written tell all that was changed, and nothing else.
func diffTree(t *rapid.T, before, now View, nodes []uint64, was, is map[int]int, existed bool) {
	changes, found, err := DiffTree(before, now, nodes)
	if err != nil || found != existed {
		t.Fatalf("existed %v, %v", found, err)
	}
	back := clone(is)
	for i, c := range changes {
		if i > 0 && now.Compare(changes[i-1].Key, c.Key) >= 0 {
			t.Fatalf("%x does not come before %x", changes[i-1].Key, c.Key)
		}
		cur := codec.NewCursor(c.Key)
		k := int(cur.Int())
		value := func(b []byte) (v int) {
			if b != nil {
				cur := codec.NewCursor(b)
				if _, err := fmt.Sscanf(string(cur.String()), "value %d", &v); err != nil {
					t.Fatal(err)
				}
			}
			return v
		}
		if v, ok := back[k]; ok != c.Is || v != value(c.Now) {
			t.Fatalf("%d: %+v, but there is %d, %v", k, c, v, ok)
		}
		if delete(back, k); c.Was {
			back[k] = value(c.Before)
		}
		if v, ok := is[k]; c.Was && ok && v == back[k] {
			t.Fatalf("%d has not changed", k)
		}
	}
	if !maps.Equal(back, was) {
		t.Fatalf("without %d changes it is %v, want %v", len(changes), back, was)
	}
}

func differences(t *rapid.T, before, now View, was, is map[int]int, span int) {
	equal := func(k int) bool {
		a, oka := was[k]
		b, okb := is[k]
		return a == b && oka == okb
	}
	k := rapid.IntRange(-span, span).Draw(t, "looked up")
	if got, err := SameKey(before, now, key(k)); err != nil || got != equal(k) {
		t.Fatalf("key %d: same %v, %v", k, got, err)
	}
	if before.Class == ClassDict {
		return // its ranges are the whole
	}
	from, to := k, rapid.IntRange(k, span).Draw(t, "to")
	r := Range{From: key(from), To: key(to), FromOpen: rapid.Bool().Draw(t, "open"), ToOpen: rapid.Bool().Draw(t, "open")}
	var want []byte
	for i := from; i <= to && want == nil; i++ {
		if !equal(i) && (i > from || !r.FromOpen) && (i < to || !r.ToOpen) {
			want = key(i)
		}
	}
	if got, err := Differ(before, now, r); err != nil || !bytes.Equal(got, want) {
		t.Fatalf("%d to %d: differ at %x, want %x, %v", from, to, got, want, err)
	}
	n := 0
	for i := range max(len(was), 2*span+1) {
		if !equal(i - span) {
			n++
		}
	}
	if got, err := Differ(before, now, Range{}); err != nil || (got == nil) != (n == 0) {
		t.Fatalf("differ at %x, but %d keys do, %v", got, n, err)
	}
}

func clone(m map[int]int) map[int]int {
	c := make(map[int]int, len(m))
	for k, v := range m {
		c[k] = v
	}
	return c
}

// A list is what a slice is.
func TestListModel(t *testing.T) { rapid.Check(t, listModel) }

func listModel(t *rapid.T) {
	m := newMemory()
	oid, _ := m.newOID()
	list := &List{OID: oid, Fresh: true}
	var model []int
	for round := range rapid.IntRange(1, 12).Draw(t, "rounds") {
		before, was := m.clone(), slices.Clone(model)
		var splices []Splice
		var next []int
		at := 0
		draw := func() (out [][]byte, plain []int) {
			for range rapid.IntRange(0, 6).Draw(t, "values") {
				v := rapid.IntRange(0, 9).Draw(t, "value")
				out, plain = append(out, key(v)), append(plain, v)
			}
			return out, plain
		}
		for range rapid.IntRange(0, 5).Draw(t, "splices") {
			if at > len(model) {
				break
			}
			i := rapid.IntRange(at, len(model)).Draw(t, "at")
			del := rapid.IntRange(0, min(20, len(model)-i)).Draw(t, "delete")
			ins, plain := draw()
			splices = append(splices, Splice{i, del, ins})
			next = append(append(next, model[at:i]...), plain...)
			at = i + del
			if at == i {
				break // nothing else may happen at this index
			}
		}
		next = append(next, model[min(at, len(model)):]...)
		appended, plain := draw()
		model = append(next, plain...)
		b := m.builder()
		if err := list.Apply(b, splices, appended); err != nil {
			t.Fatal(err)
		}
		m.put(b.Changes)
		list.Fresh = false
		if _, err := Check(m, oid, ClassList); err != nil {
			t.Fatal(err)
		}
		now := ListView{list, m}
		var got []int
		if err := now.Each(func(v []byte) bool {
			c := codec.NewCursor(v)
			got = append(got, int(c.Int()))
			return true
		}); err != nil || !slices.Equal(got, model) {
			t.Fatalf("%v, want %v, %v", got, model, err)
		}
		if n, err := now.Len(); err != nil || n != len(model) {
			t.Fatalf("length %d, %v", n, err)
		}
		diffList(t, ListView{list, before}, now, written(b), was, model, round > 0)
		if round > 0 {
			from := rapid.IntRange(0, len(was)+2).Draw(t, "from")
			to := rapid.IntRange(-1, len(was)+5).Draw(t, "to")
			part := func(s []int) []int {
				end := len(s)
				if to >= 0 {
					end = min(to, end)
				}
				return s[min(from, end):end]
			}
			_, differ, err := DifferList(ListView{list, before}, now, from, to)
			if err != nil || differ == slices.Equal(part(was), part(model)) {
				t.Fatalf("[%d, %d): differ %v, %v and %v, %v", from, to, differ, part(was), part(model), err)
			}
		}
	}
}

func diffList(t *rapid.T, before, now ListView, nodes []uint64, was, is []int, existed bool) {
	changes, found, err := DiffList(before, now, nodes)
	if err != nil || found != existed {
		t.Fatalf("existed %v, %v", found, err)
	}
	plain := func(values [][]byte) (out []int) {
		for _, v := range values {
			c := codec.NewCursor(v)
			out = append(out, int(c.Int()))
		}
		return out
	}
	back := slices.Clone(is)
	for i := len(changes) - 1; i >= 0; i-- {
		c := &changes[i]
		if i > 0 && c.At < changes[i-1].At+len(changes[i-1].Now) {
			t.Fatalf("change %d is within the one before", i)
		}
		if n := plain(c.Now); !slices.Equal(n, back[c.At:c.At+len(n)]) {
			t.Fatalf("at %d: %v, but there is %v", c.At, n, back)
		}
		back = slices.Replace(back, c.At, c.At+len(c.Now), plain(c.Before)...)
	}
	if !slices.Equal(back, was) {
		t.Fatalf("without %d changes it is %v, want %v", len(changes), back, was)
	}
}

// Check finds what is wrong, and nothing panics on nodes that are.
func TestHostileNodes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := newMemory()
		oid, _ := m.newOID()
		tree := &Tree{OID: oid, Class: ClassBTree, Key: "integer", Fresh: true}
		var ops []Op
		for i := range 60 {
			ops = append(ops, Op{Key: key(i), Value: key(i)})
		}
		b := m.builder()
		if _, err := tree.Apply(b, ops); err != nil {
			t.Fatal(err)
		}
		m.put(b.Changes)
		victim := rapid.IntRange(0, len(b.Changes)-1).Draw(t, "node")
		p := slices.Clone(b.Changes[victim].Payload)
		for range rapid.IntRange(1, 3).Draw(t, "flips") {
			p[rapid.IntRange(0, len(p)-1).Draw(t, "at")] = rapid.Byte().Draw(t, "byte")
		}
		m.put([]Change{{OID: b.Changes[victim].OID, Payload: p}})
		tree.Fresh = false
		_, err := Check(m, oid, ClassBTree)
		if err != nil && !errors.Is(err, storage.ErrCorrupt) && !errors.Is(err, storage.ErrTooNew) && !errors.Is(err, storage.ErrType) {
			t.Fatal(err)
		}
		_, _ = tree.Apply(m.builder(), ops[20:40])
		_, _ = Differ(View{tree, m}, View{tree, m.clone()}, Range{})
		_, _, _ = View{tree, m}.Get(key(7))
	})
}
