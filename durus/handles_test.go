package durus

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/durusdb/durus/internal/codec"
	"github.com/durusdb/durus/internal/collection"
)

// drawer has containers in every place where a value may have one.
type drawer struct {
	Plain   Counter
	Nested  struct{ Deep struct{ List List[int] } }
	Slice   []box
	Array   [2]Set[string]
	ByName  map[string]box
	ByFloat map[float64]box
	Pointer *pocket
	Boxes   BTree[string, box] // containers inside of values of containers
	Next    Ref[drawer]
	hidden  Counter //nolint:unused // not stored, so not filled
	Skipped Counter `msgpack:"-"`
}

// pocket is stored inline, and may be in itself.
type pocket struct {
	Coins Counter
	Inner *pocket
}

var (
	_         = Register[drawer]("test.Drawer")
	theDrawer = NewRoot[drawer]("drawer")
)

func newDrawer() *drawer {
	return &drawer{
		Slice:   []box{{Label: "a"}, {Label: "b"}},
		ByName:  map[string]box{"x": {}, "y": {}},
		ByFloat: map[float64]box{1: {}},
		Pointer: &pocket{Inner: &pocket{}},
	}
}

// handles are the oids of all containers of a drawer.
func (d *drawer) handles() map[string]OID {
	h := map[string]OID{
		"plain": d.Plain.OID(), "nested": d.Nested.Deep.List.OID(), "boxes": d.Boxes.OID(),
		"array 0": d.Array[0].OID(), "array 1": d.Array[1].OID(),
	}
	for i := range d.Slice {
		h[fmt.Sprint("slice ", i)] = d.Slice[i].Items.OID()
	}
	for k, v := range d.ByName {
		h["map "+k] = v.Items.OID()
	}
	for k, v := range d.ByFloat {
		h[fmt.Sprint("map ", k)] = v.Items.OID()
	}
	for p, name := d.Pointer, "pointer"; p != nil; p, name = p.Inner, name+"'s inner" {
		h[name] = p.Coins.OID()
	}
	return h
}

func wantHandles(t *testing.T, d *drawer, filled bool) {
	t.Helper()
	seen := map[OID]string{}
	for name, oid := range d.handles() {
		if (oid != 0) != filled {
			t.Errorf("%s is %d, filled should be %v", name, oid, filled)
		}
		if other, ok := seen[oid]; ok && filled {
			t.Errorf("%s and %s are one container", name, other)
		}
		seen[oid] = name
	}
	if d.hidden.OID() != 0 || d.Skipped.OID() != 0 {
		t.Error("a field that is not stored was filled")
	}
}

var errUndo = errors.New("undo")

// Add, Edit, Put, the first use of a root and Commit fill the zero handles of a
// value, wherever they are; what does not come to a commit empties them again,
// and then the value is as good as new. Scenario 42
func TestHandlesAreFilledAndEmptied(t *testing.T) {
	onBeds(t, func(t *testing.T, b *bed) {
		db, other := b.db(), b.db()
		update(t, db, func(tx *Tx) error { // the first use of a root
			if Must(theDrawer.Load(tx)).Plain.OID() == 0 {
				t.Error("a new root has no counter")
			}
			return nil
		})
		d := newDrawer()
		add := func(tx *Tx) error {
			root := Must(theDrawer.Edit(tx))
			root.Next = Must(Add(tx, d))
			wantHandles(t, d, true)
			d.Slice[1].Items.Append(tx, 7)
			return nil
		}
		wantErr(t, db.Update(t.Context(), func(tx *Tx) error { return errors.Join(add(tx), errUndo) }), errUndo)
		wantHandles(t, d, false)

		tx := begin(t, db, true)
		if err := add(tx); err != nil {
			t.Fatal(err)
		}
		update(t, other, func(tx *Tx) error { Must(theDrawer.Edit(tx)).Slice = []box{{Label: "theirs"}}; return nil })
		wantErr(t, tx.Commit(), ErrConflict)
		wantHandles(t, d, false)

		if b.mem != nil {
			b.mem.fail = func(op string) error {
				if op == "commit" {
					return errInjectedInModel
				}
				return nil
			}
			wantErr(t, db.Update(t.Context(), add), errInjectedInModel)
			b.mem.fail = nil
			wantHandles(t, d, false)
		}

		// Forgotten at a commit, because nothing leads there.
		update(t, db, func(tx *Tx) error { Must(Add(tx, d)); return nil })
		wantHandles(t, d, false)

		update(t, db, add)
		wantHandles(t, d, true)
		update(t, db, func(tx *Tx) error {
			root := Must(theDrawer.Load(tx))
			e := Must(root.Next.Edit(tx))
			wantHandles(t, e, true)
			if n := Must(e.Slice[1].Items.Len(tx)); n != 1 {
				t.Errorf("a list of %d", n)
			}
			// Commit fills what is new.
			e.Slice = append(e.Slice, box{Label: "c"})
			e.ByName["z"] = box{}
			return nil
		})
		view(t, db, func(tx *Tx) error {
			d := Must(Must(theDrawer.Load(tx)).Next.Load(tx))
			if len(d.Slice) != 3 || len(d.ByName) != 3 {
				t.Errorf("%d elements, %d entries", len(d.Slice), len(d.ByName))
			}
			wantHandles(t, d, true)
			return nil
		})

		// Values of containers, and what is in them.
		put := func(tx *Tx) error {
			root := Must(theDrawer.Load(tx))
			if err := root.Boxes.Put(tx, "k", box{Label: "k"}); err != nil {
				return err
			}
			v, _ := Must2(root.Boxes.Get(tx, "k"))
			return v.Items.Append(tx, 11)
		}
		wantErr(t, db.Update(t.Context(), func(tx *Tx) error { return errors.Join(put(tx), errUndo) }), errUndo)
		update(t, db, put)
		view(t, other, func(tx *Tx) error {
			v, _ := Must2(Must(theDrawer.Load(tx)).Boxes.Get(tx, "k"))
			if n := Must(v.Items.Get(tx, 0)); n != 11 {
				t.Errorf("the list in the box in the tree has %d", n)
			}
			return nil
		})
	})
}

var errInjectedInModel = errors.New("injected")

// A live connection empties the handles when it is aborted.
func TestHandlesOfAConnection(t *testing.T) {
	onBeds(t, func(t *testing.T, b *bed) {
		db, other := b.db(), b.db()
		update(t, db, func(tx *Tx) error { Must(theDrawer.Load(tx)); return nil })
		c, err := db.Connect(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		d := newDrawer()
		add := func() {
			root := Must(theDrawer.Edit(c))
			root.Next = Must(Add(c, d))
			wantHandles(t, d, true)
		}
		add()
		if err := c.Abort(); err != nil {
			t.Fatal(err)
		}
		wantHandles(t, d, false)
		add()
		update(t, other, func(tx *Tx) error { Must(theDrawer.Edit(tx)).Slice = []box{{}}; return nil })
		wantErr(t, c.Commit(), ErrConflict)
		if err := c.Abort(); err != nil {
			t.Fatal(err)
		}
		wantHandles(t, d, false)
		add()
		if err := errors.Join(c.Commit(), c.Close()); err != nil {
			t.Fatal(err)
		}
		wantHandles(t, d, true)
	})
}

// Pointers in a circle and keys that are not equal to themselves cannot be
// stored: an error, not an end of the stack or of time.
func TestHandlesThatCannotBeReached(t *testing.T) {
	db := memBed(t).db()
	ring := &pocket{}
	ring.Inner = ring
	err := db.Update(t.Context(), func(tx *Tx) error {
		Must(theDrawer.Edit(tx)).Pointer = ring
		return nil
	})
	wantErr(t, err, ErrTooLarge)
	err = db.Update(t.Context(), func(tx *Tx) error {
		_, err := Add(tx, &drawer{Pointer: ring}) // nothing leads there: it is not stored
		return err
	})
	if err != nil {
		t.Error(err)
	}
	if ring.Coins.OID() != 0 {
		t.Error("the handle is not empty")
	}
	m := map[float64]box{math.NaN(): {}, 1: {}}
	err = db.Update(t.Context(), func(tx *Tx) error {
		Must(theDrawer.Edit(tx)).ByFloat = m
		return nil
	})
	if err == nil || len(m) != 2 {
		t.Errorf("NaN as the key of a container: %v, %d entries", err, len(m))
	}
}

// A zero handle reads as an empty container; a write says what to do.
func TestZeroHandles(t *testing.T) {
	db := memBed(t).db()
	update(t, db, func(tx *Tx) error { Must(theShelf.Load(tx)); return nil })
	empty := func(s Session) {
		var z shelf
		if n := Must(z.Numbers.Len(s)) + Must(z.Dict.Len(s)) + Must(z.Tags.Len(s)) + Must(z.Log.Len(s)) + int(Must(z.Hits.Value(s))); n != 0 {
			t.Errorf("%d in nothing", n)
		}
		_, ok := Must2(z.Numbers.Get(s, 1))
		_, ok2 := Must2(z.Dict.Get(s, "x"))
		if ok || ok2 || Must(z.Tags.Has(s, "x")) {
			t.Error("there is something in nothing")
		}
		if _, err := z.Log.Get(s, 0); !errors.Is(err, ErrNotFound) {
			t.Errorf("index 0 of nothing: %v", err)
		}
		_, _, found, err := z.Numbers.Min(s)
		_, _, found2, err2 := z.Numbers.Max(s)
		if found || found2 || err != nil || err2 != nil {
			t.Errorf("an edge of nothing: %v, %v, %v, %v", found, found2, err, err2)
		}
		for range z.Numbers.All(s) {
			t.Error("an entry of nothing")
		}
		for range z.Numbers.Before(s, 3) {
			t.Error("an entry of nothing")
		}
		for range z.Tags.Backward(s) {
			t.Error("an entry of nothing")
		}
		for range z.Log.Backward(s) {
			t.Error("an entry of nothing")
		}
		for range Union(s, z.Tags, z.Tags) {
			t.Error("an entry of nothing")
		}
		for range Difference(s, z.Tags, z.Tags) {
			t.Error("an entry of nothing")
		}
	}
	view(t, db, func(tx *Tx) error { empty(tx); return nil })
	update(t, db, func(tx *Tx) error { empty(tx); return nil })
	c, err := db.Connect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	empty(c)
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	for name, write := range map[string]func(tx *Tx, z *shelf) error{
		"BTree.Put":    func(tx *Tx, z *shelf) error { return z.Numbers.Put(tx, 1, "") },
		"BTree.Insert": func(tx *Tx, z *shelf) error { _, err := z.Numbers.Insert(tx, 1, ""); return err },
		"BTree.Delete": func(tx *Tx, z *shelf) error { _, err := z.Numbers.Delete(tx, 1); return err },
		"Dict.Put":     func(tx *Tx, z *shelf) error { return z.Dict.Put(tx, "", 1) },
		"Set.Add":      func(tx *Tx, z *shelf) error { return z.Tags.Add(tx, "") },
		"List.Append":  func(tx *Tx, z *shelf) error { return z.Log.Append(tx, "") },
		"List.Insert":  func(tx *Tx, z *shelf) error { return z.Log.Insert(tx, 0, "") },
		"Counter.Add":  func(tx *Tx, z *shelf) error { return z.Hits.Add(tx, 1) },
	} {
		err := db.Update(t.Context(), func(tx *Tx) error { _ = write(tx, new(shelf)); return nil }) // it sticks
		if kind, _, _ := strings.Cut(name, "."); !errors.Is(err, ErrType) || !strings.Contains(err.Error(), "Edit the owner") || !strings.Contains(err.Error(), kind) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A handle of another database is refused, as a container and in a value.
func TestForeignHandles(t *testing.T) {
	db, strange := memBed(t).db(), memBed(t).db()
	var foreign shelf
	var key Ref[account]
	update(t, strange, func(tx *Tx) error {
		root := Must(theBank.Edit(tx))
		key = Must(Add(tx, &account{}))
		root.Others = append(root.Others, key.Any())
		return nil
	})
	update(t, strange, func(tx *Tx) error { foreign = *Must(theShelf.Load(tx)); return foreign.Hits.Add(tx, 1) })
	// The oids are in use here, too.
	update(t, db, func(tx *Tx) error {
		root := Must(theShelf.Edit(tx))
		root.Inner = []box{{}, {}, {}}
		return nil
	})
	type keyed struct{ byRef BTree[Ref[account], int] }
	var here keyed
	update(t, db, func(tx *Tx) (err error) {
		here.byRef, err = NewBTree[Ref[account], int](tx)
		if err != nil {
			return err
		}
		if err := here.byRef.Put(tx, RefTo[account](key.OID()), 1); err != nil {
			return err
		}
		_, found, err := here.byRef.Get(tx, key)
		if found || !errors.Is(err, ErrForeign) {
			t.Errorf("a key of another database: found %v, %v", found, err)
		}
		return nil
	})
	for name, f := range map[string]func(tx *Tx) error{
		"Get":    func(tx *Tx) error { _, _, err := foreign.Numbers.Get(tx, 1); return err },
		"Len":    func(tx *Tx) error { _, err := foreign.Tags.Len(tx); return err },
		"Value":  func(tx *Tx) error { _, err := foreign.Hits.Value(tx); return err },
		"Put":    func(tx *Tx) error { return foreign.Numbers.Put(tx, 1, "") },
		"Append": func(tx *Tx) error { return foreign.Log.Append(tx, "") },
		"All": func(tx *Tx) error {
			for range foreign.Dict.All(tx) {
			}
			return tx.Err()
		},
		"in a value": func(tx *Tx) error {
			Must(theShelf.Edit(tx)).Inner[0].Items = foreign.Inner0()
			return nil
		},
	} {
		if err := db.Update(t.Context(), f); !errors.Is(err, ErrForeign) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Inner0 is a handle of the other database with the type of a list of numbers.
func (s *shelf) Inner0() List[int] { return List[int]{raw: s.Log.raw} }

// as makes the handle of one container one of another type, as a program does
// whose struct has changed.
func as[H any, P interface {
	*H
	containerHandle
}](raw codec.Strong) (h H) {
	*P(&h).at() = raw
	return h
}

// A container that was made with other types is ErrType, whether its nodes are
// in the cache or not, for a small one and for one of many nodes; both types
// are named.
func TestHandlesOfAnotherType(t *testing.T) {
	onBeds(t, func(t *testing.T, b *bed) {
		for _, n := range []int{3, 500} {
			db := b.db()
			update(t, db, func(tx *Tx) error {
				s := Must(theShelf.Load(tx))
				for i := range n {
					_ = s.Numbers.Put(tx, i, fmt.Sprint(i))
					_ = s.Log.Append(tx, fmt.Sprint("x", i))
					_ = s.Dict.Put(tx, fmt.Sprint(i), int64(i))
					_ = s.Tags.Add(tx, fmt.Sprint(i))
				}
				return nil
			})
			for _, warm := range []bool{false, true} {
				db := b.db()
				var s shelf
				view(t, db, func(tx *Tx) error {
					s = *Must(theShelf.Load(tx))
					for range s.Numbers.All(tx) {
						if !warm {
							break
						}
					}
					for range s.Dict.All(tx) {
						if !warm {
							break
						}
					}
					return nil
				})
				type user struct {
					name  string
					names []string // that the error mentions
					read  func(s Session) error
					write func(s Session) error
				}
				tree := s.Numbers.raw
				wrong := []user{
					{"key", []string{"string", "integer"},
						func(x Session) error { _, _, err := as[BTree[string, string]](tree).Get(x, "1"); return err },
						func(x Session) error { return as[BTree[string, string]](tree).Put(x, "1", "") }},
					{"key in a dict", []string{"int", "string"},
						func(x Session) error { _, _, err := as[Dict[int, int64]](s.Dict.raw).Get(x, 1); return err },
						func(x Session) error { return as[Dict[int, int64]](s.Dict.raw).Put(x, 1, 1) }},
					{"value", []string{"int", "string"},
						func(x Session) error { _, _, err := as[BTree[int, []int]](tree).Get(x, 1); return err },
						nil},
					{"dict of a tree", []string{collection.ClassDict, collection.ClassBTree},
						func(x Session) error { _, _, err := as[Dict[int, string]](tree).Get(x, 1); return err },
						func(x Session) error { return as[Dict[int, string]](tree).Put(x, 1, "") }},
					{"set of a tree", []string{collection.ClassSet, collection.ClassBTree},
						func(x Session) error { _, err := as[Set[int]](tree).Has(x, 1); return err },
						func(x Session) error { return as[Set[int]](tree).Add(x, 1) }},
					{"tree of a dict", []string{collection.ClassDict, collection.ClassBTree},
						func(x Session) error { _, _, err := as[BTree[string, int64]](s.Dict.raw).Get(x, "1"); return err },
						func(x Session) error { return as[BTree[string, int64]](s.Dict.raw).Put(x, "1", 1) }},
					{"list of a tree", []string{collection.ClassList, collection.ClassBTree},
						func(x Session) error { _, err := as[List[string]](tree).Get(x, 1); return err },
						func(x Session) error { return as[List[string]](tree).Append(x, "") }},
					{"tree of a list", []string{collection.ClassList, collection.ClassBTree},
						func(x Session) error { _, _, err := as[BTree[int, string]](s.Log.raw).Get(x, 1); return err },
						func(x Session) error { return as[BTree[int, string]](s.Log.raw).Put(x, 1, "") }},
					{"counter of a tree", []string{collection.ClassCounter, collection.ClassBTree},
						func(x Session) error { _, err := as[Counter](tree).Value(x); return err },
						func(x Session) error { return as[Counter](tree).Add(x, 1) }},
					{"list of a counter", []string{collection.ClassList, collection.ClassCounter},
						func(x Session) error { _, err := as[List[string]](s.Hits.raw).Len(x); return err },
						func(x Session) error { return as[List[string]](s.Hits.raw).Append(x, "") }},
					{"value of a list", []string{"int", "string"},
						func(x Session) error { _, err := as[List[int]](s.Log.raw).Get(x, 1); return err },
						nil},
				}
				for _, u := range wrong {
					check := func(how string, err error) {
						t.Helper()
						if !errors.Is(err, ErrType) {
							t.Errorf("%d entries, warm %v: %s, %s: %v", n, warm, u.name, how, err)
							return
						}
						for _, name := range u.names {
							if !strings.Contains(err.Error(), name) {
								t.Errorf("%s, %s: %v does not name %s", u.name, how, err, name)
							}
						}
					}
					check("View", db.View(t.Context(), func(tx *Tx) error { return u.read(tx) }))
					check("Update", db.Update(t.Context(), func(tx *Tx) error { return u.read(tx) }))
					if u.write != nil {
						check("write", db.Update(t.Context(), func(tx *Tx) error { return u.write(tx) }))
					}
				}
				if n := viewed(t, db, func(tx *Tx) (int, error) { return s.Numbers.Len(tx) }); n == 0 {
					t.Error("nothing is left")
				}
			}
		}
	})
}

// A container in a field that is new: old records have none, which reads as
// empty, and Edit makes one. Scenario 91
func TestContainerInANewField(t *testing.T) {
	type before struct{ Name string }
	type after struct {
		Name  string
		Items BTree[int, string]
	}
	onBeds(t, func(t *testing.T, b *bed) {
		old, young := NewTypes(), NewTypes()
		RegisterIn[before](old, "test.Grown")
		RegisterIn[after](young, "test.Grown")
		update(t, b.db(Options{Types: old}), func(tx *Tx) error {
			Must(NewRoot[before]("grown").Edit(tx)).Name = "old"
			return nil
		})
		db := b.db(Options{Types: young})
		root := NewRoot[after]("grown")
		view(t, db, func(tx *Tx) error {
			v := Must(root.Load(tx))
			if n := Must(v.Items.Len(tx)); n != 0 || v.Name != "old" {
				t.Errorf("%q with %d items", v.Name, n)
			}
			return nil
		})
		wantErr(t, db.Update(t.Context(), func(tx *Tx) error { return Must(root.Load(tx)).Items.Put(tx, 1, "x") }), ErrType)
		update(t, db, func(tx *Tx) error { return Must(root.Edit(tx)).Items.Put(tx, 1, "x") })
		// The old program changes its fields, and the new container stays.
		update(t, b.db(Options{Types: old}), func(tx *Tx) error {
			Must(NewRoot[before]("grown").Edit(tx)).Name = "changed"
			return nil
		})
		view(t, db, func(tx *Tx) error {
			v := Must(root.Load(tx))
			if got, ok := Must2(v.Items.Get(tx, 1)); !ok || got != "x" || v.Name != "changed" {
				t.Errorf("%q, %q, %v", v.Name, got, ok)
			}
			return nil
		})
	})
}

type (
	embeddingKey struct {
		Ref[account]
		N int
	}
	embeddingContainer struct {
		Counter
		Other List[int]
	}
	badMap   struct{ Tree BTree[int, map[chan int]int] }
	badKey   struct{ Tree BTree[chan int, int] }
	badBool  struct{ Tree Set[bool] }
	badField struct {
		Tree Dict[struct{ A struct{ b int } }, int]
	}
	badAny      struct{ Tree BTree[any, int] }
	badPointer  struct{ Tree BTree[*int, int] }
	badElement  struct{ Deep []map[string]List[func()] }
	badInner    struct{ Tree BTree[int, List[chan int]] }
	badInnerKey struct {
		Tree BTree[int, struct{ In Set[complex128] }]
	}
	badObject struct{ Tree BTree[int, *account] }
	badArray  struct {
		Tree BTree[[3]struct{ F bool }, int]
	}
	badEmpty struct{ Tree BTree[struct{}, int] }
)

// Register refuses what cannot be in a container, names the field and says what to do.
func TestContainersAreRefused(t *testing.T) {
	cases := []struct {
		register func(ts *Types)
		parts    []string
	}{
		{func(ts *Types) { RegisterIn[badMap](ts, "test.Bad") }, []string{"Tree", "chan int"}},
		{func(ts *Types) { RegisterIn[badKey](ts, "test.Bad") }, []string{"Tree", "chan int cannot be a key", "use an integer"}},
		{func(ts *Types) { RegisterIn[badBool](ts, "test.Bad") }, []string{"Tree", "bool cannot be a key", "use an integer"}},
		{func(ts *Types) { RegisterIn[badField](ts, "test.Bad") }, []string{"Tree", "A.b is not exported", "export all fields"}},
		{func(ts *Types) { RegisterIn[badAny](ts, "test.Bad") }, []string{"Tree", "interface {} cannot be a key"}},
		{func(ts *Types) { RegisterIn[badPointer](ts, "test.Bad") }, []string{"Tree", "*int cannot be a key"}},
		{func(ts *Types) { RegisterIn[badElement](ts, "test.Bad") }, []string{"Deep", "func()"}},
		{func(ts *Types) { RegisterIn[badInner](ts, "test.Bad") }, []string{"Tree", "chan int"}},
		{func(ts *Types) { RegisterIn[badInnerKey](ts, "test.Bad") }, []string{"Tree", "In", "complex128 cannot be a key"}},
		{func(ts *Types) { RegisterIn[badArray](ts, "test.Bad") }, []string{"Tree", "[].F", "bool "}},
		{func(ts *Types) { RegisterIn[badEmpty](ts, "test.Bad") }, []string{"Tree", "no fields"}},
		{func(ts *Types) { RegisterIn[embeddingContainer](ts, "test.Bad") }, []string{"Counter"}},
		{func(ts *Types) {
			RegisterIn[account](ts, "test.Account")
			RegisterIn[badObject](ts, "test.Bad")
		}, []string{"Tree", "durus.Ref[account]"}},
	}
	for i, c := range cases {
		func() {
			defer func() {
				text := fmt.Sprint(recover())
				for _, part := range c.parts {
					if !strings.Contains(text, part) {
						t.Errorf("case %d: %s: it does not say %q", i, text, part)
					}
				}
			}()
			c.register(NewTypes())
		}()
	}
}

// A struct with a Ref inside is a key of all its fields.
func TestKeyThatEmbedsARef(t *testing.T) {
	db := memBed(t).db()
	update(t, db, func(tx *Tx) error {
		tree, err := NewBTree[embeddingKey, int](tx)
		if err != nil {
			return err
		}
		for i := range 3 {
			_ = tree.Put(tx, embeddingKey{N: i}, i)
		}
		if n := Must(tree.Len(tx)); n != 3 {
			t.Errorf("three keys are %d", n)
		}
		return nil
	})
}
