package durus

import (
	"context"
	"errors"
	"testing"
)

// Two programs with one class of values: the newer one knows a field more.
type oldPart struct{ Name string }

type newPart struct {
	Name  string
	Price int
}

type oldStock struct {
	Parts BTree[string, oldPart]
	Row   List[oldPart]
}

type newStock struct {
	Parts BTree[string, newPart]
	Row   List[newPart]
}

// What an older program puts keeps the fields that a newer one has stored, as in
// a map or a slice of an object. SCENARIO 91
func TestContainerValuesKeepUnknownFields(t *testing.T) {
	onBeds(t, func(t *testing.T, b *bed) {
		ctx := context.Background()
		oldTypes, newTypes := NewTypes(), NewTypes()
		RegisterIn[oldStock](oldTypes, "test.Stock")
		RegisterIn[newStock](newTypes, "test.Stock")
		older, newer := b.db(Options{Types: oldTypes}), b.db(Options{Types: newTypes})
		oldRoot, newRoot := NewRoot[oldStock]("stock"), NewRoot[newStock]("stock")
		do := func(db *DB, fn func(tx *Tx) error) {
			t.Helper()
			if err := db.Update(ctx, fn); err != nil {
				t.Fatal(err)
			}
		}
		do(newer, func(tx *Tx) error {
			s := Must(newRoot.Load(tx))
			return errors.Join(s.Parts.Put(tx, "a", newPart{"a", 1}), s.Parts.Put(tx, "b", newPart{"b", 2}), s.Row.Append(tx, newPart{"r", 3}))
		})
		do(older, func(tx *Tx) error {
			s := Must(oldRoot.Load(tx))
			v, _ := Must2(s.Parts.Get(tx, "a"))
			v.Name = "changed"
			return errors.Join(s.Parts.Put(tx, "a", v), s.Parts.Put(tx, "c", v), s.Row.Set(tx, 0, oldPart{"changed"}))
		})
		do(newer, func(tx *Tx) error {
			s := Must(newRoot.Load(tx))
			for k, want := range map[string]newPart{"a": {"changed", 1}, "b": {"b", 2}, "c": {"changed", 0}} {
				if v, ok := Must2(s.Parts.Get(tx, k)); !ok || v != want {
					t.Errorf("%s: %+v, want %+v", k, v, want)
				}
			}
			if v := Must(s.Row.Get(tx, 0)); v != (newPart{"changed", 3}) {
				t.Errorf("row: %+v", v)
			}
			return nil
		})
	})
}

type tagged struct {
	Tags BTree[string, []string]
	Row  List[[]string]
}

var (
	_         = Register[tagged]("test.Tagged")
	theTagged = NewRoot[tagged]("tagged")
)

// A write to what Get or an iterator has returned is found. SCENARIO 93
func TestSharedValueWritten(t *testing.T) {
	onBeds(t, func(t *testing.T, b *bed) {
		ctx := context.Background()
		db := b.db(Options{Check: CheckShared})
		if err := db.Update(ctx, func(tx *Tx) error {
			s := Must(theTagged.Load(tx))
			return errors.Join(s.Tags.Put(tx, "k", []string{"a", "b"}), s.Row.Append(tx, []string{"a", "b"}))
		}); err != nil {
			t.Fatal(err)
		}
		for name, write := range map[string]func(tx *Tx, s *tagged){
			"Get": func(tx *Tx, s *tagged) {
				v, _ := Must2(s.Tags.Get(tx, "k"))
				v[0] = "x"
			},
			"All": func(tx *Tx, s *tagged) {
				for _, v := range s.Tags.All(tx) {
					v[0] = "x"
				}
			},
			"List.Get": func(tx *Tx, s *tagged) { Must(s.Row.Get(tx, 0))[1] = "x" },
		} {
			if err := db.View(ctx, func(tx *Tx) error { write(tx, Must(theTagged.Load(tx))); return nil }); !errors.Is(err, ErrSharedWrite) {
				t.Errorf("%s: %v", name, err)
			}
			if err := db.View(ctx, func(tx *Tx) error {
				s := Must(theTagged.Load(tx))
				if v, _ := Must2(s.Tags.Get(tx, "k")); v[0] != "a" || Must(s.Row.Get(tx, 0))[1] != "b" {
					t.Errorf("%s: the next one sees it", name)
				}
				return nil
			}); err != nil {
				t.Error(err)
			}
		}
	})
}
