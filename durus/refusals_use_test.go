package durus

import (
	"context"
	"errors"
	"strings"
	"testing"
)

// What is refused when a container or a table is used: each message says what
// to do instead, without words of the inner packages.
func TestRefusalsInUse(t *testing.T) {
	type thing struct {
		N    int
		Name string
	}
	type things struct {
		List  List[int]
		Names List[string]
		Tree  BTree[string, int]
		Table Table[string, thing]
		Sum   Counter
	}
	name := NewIndex("name", func(v *thing) string { return v.Name })
	number := NewIndex("number", func(v *thing) int { return v.N }).Unique()
	ts := NewTypes()
	RegisterIn[things](ts, "t.Things")
	RegisterIn[thing](ts, "t.Thing", Indexes(name, number))
	root := NewRoot[things]("things")
	db, err := OpenMemory(&Options{Types: ts})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	for _, c := range []struct {
		what, remedy string
		is           error
		do           func(tx *Tx, v *things) error
	}{
		{"an index outside", "from 0 to the one before Len", ErrNotFound, func(tx *Tx, v *things) error { return v.List.Set(tx, 1, 1) }},
		{"a zero handle", "Edit the owner", ErrType, func(tx *Tx, _ *things) error { return List[int]{}.Append(tx, 1) }},
		{"a zero table", "Edit the owner", ErrType, func(tx *Tx, _ *things) error {
			_, err := Table[string, thing]{}.Insert(tx, "x", &thing{})
			return err
		}},
		{"a value of no use", "make it anew after loading", ErrType, func(tx *Tx, _ *things) error { _, err := NewList[func()](tx); return err }},
		{"a value that points to an object", "use durus.Ref[thing]", ErrType, func(tx *Tx, _ *things) error { _, err := NewList[*thing](tx); return err }},
		{"a key of no use", "use an integer", ErrType, func(tx *Tx, _ *things) error { _, err := NewSet[bool](tx); return err }},
		{"a key that is too long", "use a hash", ErrTooLarge, func(tx *Tx, v *things) error { return v.Tree.Put(tx, strings.Repeat("x", 1<<20), 1) }},
		{"another kind of container", "use a handle of the container's own type", ErrType, func(tx *Tx, v *things) error { return List[int]{raw: v.Tree.raw}.Append(tx, 1) }},
		{"other values", "use one", ErrType, func(tx *Tx, v *things) error {
			return errors.Join(v.List.Append(tx, 1), List[string]{raw: v.List.raw}.Append(tx, ""))
		}},
		{"a counter that is full", "add less", ErrTooLarge, func(tx *Tx, v *things) error {
			return errors.Join(v.Sum.Add(tx, -1<<63), v.Sum.Add(tx, -1))
		}},
		{"a table of strangers", "call durus.Register", ErrType, func(tx *Tx, _ *things) error {
			_, err := NewTable[string, struct{ N int }](tx)
			return err
		}},
		{"an index that is not unique", "use Equal", ErrIndex, func(tx *Tx, v *things) error {
			_, _, err := name.Lookup(tx, v.Table, "x")
			return err
		}},
		{"an index that is not declared", "durus.Indexes", ErrIndex, func(tx *Tx, v *things) error {
			_, _, err := NewIndex("x", func(v *thing) int { return v.N }).Unique().Lookup(tx, v.Table, 1)
			return err
		}},
		{"an index that is declared by another variable", "in the end, and use that", ErrIndex, func(tx *Tx, v *things) error {
			_, _, err := name.Unique().Lookup(tx, v.Table, "x")
			return err
		}},
		{"an index whose Unique was not kept", "in the end, and use that", ErrIndex, func(tx *Tx, v *things) error {
			number := NewIndex("number", func(v *thing) int { return v.N })
			number.Unique()
			_, _, err := number.Lookup(tx, v.Table, 1)
			return err
		}},
		{"a key that is taken", "edit that one", ErrUnique, func(tx *Tx, v *things) error {
			Must(v.Table.Insert(tx, "x", &thing{}))
			_, err := v.Table.Insert(tx, "x", &thing{})
			return err
		}},
		{"a key of an index that is taken", "give it another key", ErrUnique, func(tx *Tx, v *things) error {
			Must(v.Table.Insert(tx, "x", &thing{N: 1}))
			Must(v.Table.Insert(tx, "y", &thing{N: 1}))
			return nil
		}},
		{"no object", "give it a pointer", ErrType, func(tx *Tx, _ *things) error { _, err := Add[thing](tx, nil); return err }},
		{"a nil reference", "IsNil", ErrNotFound, func(tx *Tx, _ *things) error { _, err := Ref[thing]{}.Load(tx); return err }},
	} {
		t.Run(c.what, func(t *testing.T) {
			err := db.Update(context.Background(), func(tx *Tx) error { return c.do(tx, Must(root.Load(tx))) })
			if !errors.Is(err, c.is) || !strings.Contains(err.Error(), c.remedy) || strings.Contains(err.Error(), "codec:") {
				t.Errorf("got %v\nwant %v, and that it says %q", err, c.is, c.remedy)
			}
		})
	}
}
