package durus

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// Three versions of a class of people, and what holds them.
type (
	personV1 struct {
		Name string // "first last"
		Born int
		Note string
	}
	personV2 struct {
		First, Last string
		Born        int
		Note        string
	}
	person struct {
		First, Last string
		Year        int // was Born
		Friends     []Ref[person]
	}
	village struct {
		People map[string]AnyRef
		Best   AnyRef
	}
)

var theVillage = NewRoot[village]("village")

func split(old *personV1, new *personV2) error {
	var ok bool
	new.First, new.Last, ok = strings.Cut(old.Name, " ")
	if !ok {
		return fmt.Errorf("%q has one name: %w", old.Name, errOneName)
	}
	return nil
}

var errOneName = errors.New("one name")

func rename(old *personV2, new *person) error {
	new.Year = old.Born
	return nil
}

// typesWith returns the types of a program that knows people in some way.
func typesWith(register func(*Types)) *Types {
	ts := NewTypes()
	RegisterIn[village](ts, "t.Village")
	if register != nil {
		register(ts)
	}
	return ts
}

// The programs of three times, the first one without a version.
func programV1() *Types { return typesWith(func(ts *Types) { RegisterIn[personV1](ts, "t.Person") }) }
func programV2() *Types {
	return typesWith(func(ts *Types) { RegisterIn[personV2](ts, "t.Person", Version(2), Upgrade(1, split)) })
}
func programV3() *Types {
	return typesWith(func(ts *Types) { RegisterIn[person](ts, "t.Person", Version(3), Upgrade(2, rename), Upgrade(1, split)) })
}

// put stores people under names.
func putPeople[T any](t testing.TB, db *DB, people map[string]*T) {
	t.Helper()
	update(t, db, func(tx *Tx) error {
		c := Must(theVillage.Edit(tx))
		if c.People == nil {
			c.People = map[string]AnyRef{}
		}
		for name, p := range people {
			v := *p
			c.People[name] = Must(Add(tx, &v)).Any()
		}
		return nil
	})
}

// met returns a reference to a person.
func met(t testing.TB, db *DB, name string) (r AnyRef) {
	t.Helper()
	view(t, db, func(tx *Tx) error { r = Must(theVillage.Load(tx)).People[name]; return nil })
	return AnyRefTo(r.OID())
}

// loaded loads a person as a T.
func loaded[T any](t testing.TB, db *DB, name string) (v T, err error) {
	t.Helper()
	ref := As[T](met(t, db, name))
	err = db.View(t.Context(), func(tx *Tx) error {
		p, err := ref.Load(tx)
		if err == nil {
			v = *p
		}
		return err
	})
	return v, err
}

// storedAs is the class of a person as the file spells it.
func storedAs(t testing.TB, db *DB, name string) string {
	t.Helper()
	ref := met(t, db, name)
	tx := begin(t, db, false)
	defer tx.Rollback()
	pos, err := tx.c.snap.Find(ref.OID())
	if err != nil {
		t.Fatal(err)
	}
	id, err := tx.c.snap.Class(ref.OID(), pos)
	if err != nil {
		t.Fatal(err)
	}
	spelling, _ := tx.c.snap.ClassName(id)
	return spelling
}

// Old objects are upgraded when they are loaded, through all steps, and stored
// when they are edited; older programs get ErrTooNew for these alone.
// Scenario 91.
func TestUpgrade(t *testing.T) {
	onBeds(t, func(t *testing.T, b *bed) {
		v1 := b.db(Options{Types: programV1()})
		v2 := b.db(Options{Types: programV2()})
		v3 := b.db(Options{Types: programV3()})
		putPeople(t, v1, map[string]*personV1{"ada": {Name: "Ada Lovelace", Born: 1815}, "bob": {Name: "Bob Kahn", Born: 1938}})

		want2 := personV2{First: "Ada", Last: "Lovelace", Born: 1815}
		if p, err := loaded[personV2](t, v2, "ada"); err != nil || p != want2 {
			t.Fatalf("got %+v, %v", p, err)
		}
		if p, err := loaded[person](t, v3, "ada"); err != nil || p.Year != 1815 || p.Last != "Lovelace" {
			t.Fatalf("got %+v, %v", p, err)
		}
		if s := storedAs(t, v1, "ada"); s != "t.Person" {
			t.Errorf("a load has written: %s", s)
		}

		// Edit alone writes nothing, a change does.
		before, err := v3.LastTID()
		if err != nil {
			t.Fatal(err)
		}
		edit := func(change string) {
			update(t, v3, func(tx *Tx) error {
				p := Must(As[person](met(t, v3, "ada")).Edit(tx))
				if change != "" {
					p.First = change
				}
				return nil
			})
		}
		edit("")
		if now, err := v3.LastTID(); err != nil || now != before {
			t.Errorf("an Edit without a change was committed: %v, %v", now, err)
		}
		edit("Augusta")
		if s := storedAs(t, v1, "ada"); s != "t.Person@3" {
			t.Errorf("stored as %s", s)
		}

		// Who is too old is told so, and goes on with the others.
		for _, db := range []*DB{v1, v2} {
			ref := met(t, db, "ada")
			for what, use := range map[string]func(tx *Tx) error{
				"load":   func(tx *Tx) error { _, err := As[personV1](ref).Load(tx); return err },
				"peek":   func(tx *Tx) error { _, err := As[personV2](ref).Peek(tx); return err },
				"any":    func(tx *Tx) error { _, err := ref.Load(tx); return err },
				"edit":   func(tx *Tx) error { _, err := As[personV1](ref).Edit(tx); return err },
				"edit 2": func(tx *Tx) error { _, err := As[personV2](ref).Edit(tx); return err },
			} {
				err := db.Update(t.Context(), use)
				wantErr(t, err, ErrTooNew)
				for _, word := range []string{"t.Person", "version 3", ref.OID().String(), "newer program"} {
					if !strings.Contains(err.Error(), word) {
						t.Errorf("%s: %v does not say %q", what, err, word)
					}
				}
			}
			view(t, db, func(tx *Tx) error {
				if class, err := ref.Class(tx); err != nil || class != "t.Person" {
					t.Errorf("class %q, %v", class, err)
				}
				return nil
			})
		}
		if p, err := loaded[personV1](t, v1, "bob"); err != nil || p.Born != 1938 {
			t.Errorf("got %+v, %v", p, err)
		}
		if p, err := loaded[personV2](t, v2, "bob"); err != nil || p.Last != "Kahn" {
			t.Errorf("got %+v, %v", p, err)
		}
	})
}

// What was written without a version counts as the lowest one that there is a
// step from.
func TestUpgradeFromNoVersion(t *testing.T) {
	b := memBed(t)
	putPeople(t, b.db(Options{Types: programV1()}), map[string]*personV1{"ada": {Name: "Ada Lovelace"}})
	for name, ts := range map[string]*Types{
		"1 from 0": typesWith(func(ts *Types) { RegisterIn[personV2](ts, "t.Person", Version(1), Upgrade(0, split)) }),
		"2 from 1": typesWith(func(ts *Types) { RegisterIn[personV2](ts, "t.Person", Version(2), Upgrade(1, split)) }),
		"8 from 7": typesWith(func(ts *Types) { RegisterIn[personV2](ts, "t.Person", Version(8), Upgrade(7, split)) }),
	} {
		if p, err := loaded[personV2](t, b.db(Options{Types: ts}), "ada"); err != nil || p.First != "Ada" {
			t.Errorf("%s: %+v, %v", name, p, err)
		}
	}
	// Without a step it counts as the version itself.
	first := b.db(Options{Types: typesWith(func(ts *Types) { RegisterIn[personV1](ts, "t.Person", Version(1)) })})
	if p, err := loaded[personV1](t, first, "ada"); err != nil || p.Name != "Ada Lovelace" {
		t.Errorf("%+v, %v", p, err)
	}
	// A step that was taken out is missed at the load.
	putPeople(t, first, map[string]*personV1{"bob": {Name: "Bob Kahn"}})
	late := b.db(Options{Types: typesWith(func(ts *Types) { RegisterIn[person](ts, "t.Person", Version(3), Upgrade(2, rename)) })})
	_, err := loaded[person](t, late, "bob")
	wantErr(t, err, ErrType)
	for _, word := range []string{"version 1", "from version 2 on", "Upgrade(1", "Migrate"} {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("%v does not say %q", err, word)
		}
	}
}

// Errors and panics of a step name object, class and step, and leave nothing
// behind: the same handle reads the object once it can be upgraded.
func TestUpgradeFails(t *testing.T) {
	b := memBed(t)
	old := b.db(Options{Types: programV1()})
	putPeople(t, old, map[string]*personV1{"ada": {Name: "Ada"}, "bob": {Name: "Bob Kahn"}, "eve": {Name: "Eve Kahn"}})
	mood := ""
	db := b.db(Options{Types: typesWith(func(ts *Types) {
		RegisterIn[personV2](ts, "t.Person", Version(2), Upgrade(1, func(old *personV1, new *personV2) error {
			switch mood {
			case "panic":
				_ = []string{}[len(old.Name)]
			case "must":
				Must(0, errOneName)
			case "error":
				return errOneName
			}
			return split(old, new)
		}))
	})})
	for mood = range map[string]bool{"": true, "panic": true, "must": true, "error": true} {
		ref := met(t, db, "ada")
		for range 2 {
			_, err := loaded[personV2](t, db, "ada")
			if mood == "panic" {
				if err == nil || !strings.Contains(err.Error(), "panic at version_test.go:") {
					t.Errorf("got %v", err)
				}
			} else {
				wantErr(t, err, errOneName)
			}
			for _, word := range []string{"object " + ref.OID().String(), "t.Person", "from version 1 to 2"} {
				if !strings.Contains(fmt.Sprint(err), word) {
					t.Errorf("%v does not say %q", err, word)
				}
			}
			err = db.Update(t.Context(), func(tx *Tx) error { _, err := As[personV2](ref).Edit(tx); return err })
			if err == nil {
				t.Error("edited")
			}
		}
	}
	mood = ""
	for _, name := range []string{"bob", "eve"} {
		if p, err := loaded[personV2](t, db, name); err != nil || p.Last != "Kahn" {
			t.Errorf("%+v, %v", p, err)
		}
	}
	if p, err := loaded[personV1](t, old, "ada"); err != nil || p.Name != "Ada" {
		t.Errorf("%+v, %v", p, err)
	}
	update(t, old, func(tx *Tx) error {
		Must(As[personV1](met(t, old, "ada")).Edit(tx)).Name = "Ada Lovelace"
		return nil
	})
	if p, err := loaded[personV2](t, db, "ada"); err != nil || p.Last != "Lovelace" {
		t.Errorf("%+v, %v", p, err)
	}
}

// Fields that this program does not know survive its Edit, and upgrades; what
// only the newest type declares arrives there although the older ones in
// between do not declare it. Scenario 91.
func TestUpgradeKeepsUnknownFields(t *testing.T) {
	type inner struct{ A, B int }
	type innerOld struct{ A int }
	type full struct { // version 1 as a newer program of that version wrote it
		Name   string
		Born   int
		Mail   string
		Parent AnyRef
		In     inner
		Rest   map[string]int
	}
	type one struct { // version 1 as this program declares it
		Name string
		In   innerOld
	}
	type two struct {
		Name string
		In   innerOld
		N    int
	}
	type three struct {
		Title string
		Mail  string
		In    innerOld
		N     int
	}
	onBeds(t, func(t *testing.T, b *bed) {
		newer := b.db(Options{Types: typesWith(func(ts *Types) { RegisterIn[full](ts, "t.Person", Version(1)) })})
		older := b.db(Options{Types: typesWith(func(ts *Types) { RegisterIn[one](ts, "t.Person", Version(1)) })})
		putPeople(t, newer, map[string]*full{"ada": {Name: "Ada", Born: 1815, Mail: "a@x", In: inner{1, 2}, Rest: map[string]int{"x": 1}}})
		update(t, newer, func(tx *Tx) error {
			Must(As[full](met(t, newer, "ada")).Edit(tx)).Parent = met(t, newer, "ada")
			return nil
		})
		update(t, older, func(tx *Tx) error {
			p := Must(As[one](met(t, older, "ada")).Edit(tx))
			p.Name, p.In.A = "Augusta", 7
			return nil
		})
		got, err := loaded[full](t, newer, "ada")
		if err != nil || got.Name != "Augusta" || got.Born != 1815 || got.Mail != "a@x" || got.In != (inner{7, 2}) || got.Rest["x"] != 1 || got.Parent.OID() == 0 {
			t.Fatalf("an older program's Edit lost something: %+v, %v", got, err)
		}

		db := b.db(Options{Types: typesWith(func(ts *Types) {
			RegisterIn[three](ts, "t.Person", Version(3),
				Upgrade(1, func(old *one, new *two) error { new.N = len(old.Name); return nil }),
				Upgrade(2, func(old *two, new *three) error { new.Title = old.Name + "!"; return nil }))
		})})
		update(t, db, func(tx *Tx) error {
			p := Must(As[three](met(t, db, "ada")).Edit(tx))
			if p.Title != "Augusta!" || p.Mail != "a@x" || p.In.A != 7 || p.N != 7 {
				t.Errorf("got %+v", p)
			}
			p.N++
			return nil
		})
		type all struct {
			Title, Mail string
			N, Born     int
			In          inner
			Rest        map[string]int
			Parent      AnyRef
			Name        string
		}
		last := b.db(Options{Types: typesWith(func(ts *Types) { RegisterIn[all](ts, "t.Person", Version(3)) })})
		a, err := loaded[all](t, last, "ada")
		if err != nil || a.Title != "Augusta!" || a.N != 8 || a.Born != 1815 || a.In != (inner{7, 2}) || a.Rest["x"] != 1 || a.Parent.OID() == 0 || a.Name != "" {
			t.Errorf("the upgrade lost something: %+v, %v", a, err)
		}
	})
}

// A class that was renamed as well: alias and version together.
func TestUpgradeOfAlias(t *testing.T) {
	onBeds(t, func(t *testing.T, b *bed) {
		v1, v2 := b.db(Options{Types: programV1()}), b.db(Options{Types: programV2()})
		putPeople(t, v1, map[string]*personV1{"ada": {Name: "Ada Lovelace"}})
		putPeople(t, v2, map[string]*personV2{"bob": {First: "Bob", Last: "Kahn"}})
		db := b.db(Options{Types: typesWith(func(ts *Types) {
			RegisterIn[person](ts, "t.Human", Alias("t.Person"), Version(3), Upgrade(1, split), Upgrade(2, rename))
		})})
		for name, first := range map[string]string{"ada": "Ada", "bob": "Bob"} {
			if p, err := loaded[person](t, db, name); err != nil || p.First != first {
				t.Errorf("%+v, %v", p, err)
			}
			view(t, db, func(tx *Tx) error {
				if class := Must(met(t, db, name).Class(tx)); class != "t.Human" {
					t.Errorf("class %q", class)
				}
				return nil
			})
			update(t, db, func(tx *Tx) error {
				Must(As[person](met(t, db, name)).Edit(tx)).Year = 1900
				return nil
			})
			if s := storedAs(t, db, name); s != "t.Human@3" {
				t.Errorf("stored as %s", s)
			}
		}
	})
}

// Scenario 91: an object of a class that nobody registered survives a change
// of what refers to it, is stored again byte for byte, version and all, and
// is typed once its class is registered.
func TestOpaqueVersion(t *testing.T) {
	onBeds(t, func(t *testing.T, b *bed) {
		putPeople(t, b.db(Options{Types: programV2()}), map[string]*personV2{"ada": {First: "Ada", Last: "Lovelace", Born: 1815}})
		ts := typesWith(nil)
		blind := b.db(Options{Types: ts})
		var payload []byte
		update(t, blind, func(tx *Tx) error {
			c := Must(theVillage.Edit(tx))
			o := Must(c.People["ada"].Load(tx)).(*Opaque)
			if o.Class() != "t.Person" || o.Version() != 2 {
				t.Errorf("class %q version %d", o.Class(), o.Version())
			}
			payload = o.Payload()
			c.People["copy"] = Must(Add(tx, o)).Any()
			c.Best = c.People["ada"]
			return nil
		})
		if s := storedAs(t, blind, "copy"); s != "t.Person@2" {
			t.Errorf("the copy is stored as %s", s)
		}
		view(t, blind, func(tx *Tx) error {
			if o := Must(met(t, blind, "copy").Load(tx)).(*Opaque); !slices.Equal(o.Payload(), payload) {
				t.Errorf("%x became %x", payload, o.Payload())
			}
			return nil
		})
		RegisterIn[person](ts, "t.Person", Version(3), Upgrade(2, rename))
		for _, name := range []string{"ada", "copy"} {
			if p, err := loaded[person](t, blind, name); err != nil || p.Year != 1815 {
				t.Errorf("%s: %+v, %v", name, p, err)
			}
		}
	})
}

// A conflict names the class without its version.
func TestConflictNamesBareClass(t *testing.T) {
	onBeds(t, func(t *testing.T, b *bed) {
		db := b.db(Options{Types: programV2(), MaxRetries: 1})
		putPeople(t, db, map[string]*personV2{"ada": {First: "Ada"}})
		ref := As[personV2](met(t, db, "ada"))
		tx := begin(t, db, true)
		Must(ref.Edit(tx)).Born = 1
		k, err := db.Connect(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		Must(ref.Edit(k)).Born = 3
		update(t, db, func(tx *Tx) error { Must(ref.Edit(tx)).Born = 2; return nil })
		for _, err := range []error{tx.Commit(), k.Commit()} {
			var c *ConflictError
			if !errors.As(err, &c) || c.Objects[0].Class != "t.Person" {
				t.Errorf("got %v", err)
			}
		}
		if err := errors.Join(k.Abort(), k.Close()); err != nil {
			t.Error(err)
		}
	})
}

// Shared objects that were upgraded are still found out when they are written.
func TestUpgradeAndCheckShared(t *testing.T) {
	b := memBed(t)
	putPeople(t, b.db(Options{Types: programV1()}), map[string]*personV1{"ada": {Name: "Ada Lovelace"}})
	db := b.db(Options{Types: programV3(), Check: CheckShared})
	if _, err := loaded[person](t, db, "ada"); err != nil {
		t.Fatal(err)
	}
	ref := As[person](met(t, db, "ada"))
	err := db.View(t.Context(), func(tx *Tx) error { Must(ref.Load(tx)).Year = 7; return nil })
	wantErr(t, err, ErrSharedWrite)
}

// What Merge was given is kept as it is, with panics as errors.
func TestMergeOption(t *testing.T) {
	ts := NewTypes()
	bad := errors.New("bad")
	if typ := RegisterIn[personV2](ts, "t.Other", Version(2), Upgrade(1, split)); typ.Version() != 2 {
		t.Errorf("version %d", typ.Version())
	}
	info := RegisterIn[personV1](ts, "t.Person", Merge(func(base, theirs, mine *personV1) (*personV1, error) {
		switch mine.Born {
		case 1:
			return nil, bad
		case 2:
			return nil, nil
		case 3:
			panic("boom")
		}
		mine.Born += theirs.Born - base.Born
		return mine, nil
	})).info
	v, err := info.merge.call(&personV1{Born: 5}, &personV1{Born: 7}, &personV1{Born: 10})
	if err != nil || v.(*personV1).Born != 12 {
		t.Errorf("%v, %v", v, err)
	}
	for born, word := range []string{1: "bad", 2: "returned nil", 3: "boom", 4: "conversion"} {
		if born == 0 {
			continue
		}
		base := any(&personV1{})
		if born == 4 {
			base = &personV2{}
		}
		if v, err := info.merge.call(base, &personV1{}, &personV1{Born: born}); err == nil || v != nil || !strings.Contains(err.Error(), word) {
			t.Errorf("%d: %v, %v", born, v, err)
		}
	}
}

// A program that has dropped its oldest step does not take what was written
// without a version for younger than it is: the file remembers.
func TestUnversionedIsNotTakenForYounger(t *testing.T) {
	onBeds(t, func(t *testing.T, b *bed) {
		v1, v2 := b.db(Options{Types: programV1()}), b.db(Options{Types: programV2()})
		putPeople(t, v1, map[string]*personV1{"ada": {Name: "Ada Lovelace"}, "bob": {Name: "Bob Kahn"}})
		late := b.db(Options{Types: typesWith(func(ts *Types) { RegisterIn[person](ts, "t.Person", Version(3), Upgrade(2, rename)) })})
		update(t, v2, func(tx *Tx) error {
			Must(As[personV2](met(t, v2, "ada")).Edit(tx)).Born = 1815
			return nil
		})
		if p, err := loaded[person](t, late, "ada"); err != nil || p.Year != 1815 {
			t.Errorf("%+v, %v", p, err)
		}
		renamed := b.db(Options{Types: typesWith(func(ts *Types) {
			RegisterIn[person](ts, "t.Human", Alias("t.Person"), Version(3), Upgrade(2, rename))
		})})
		for _, db := range []*DB{late, renamed} {
			_, err := loaded[person](t, db, "bob")
			wantErr(t, err, ErrType)
			if !strings.Contains(err.Error(), "of version 1") || !strings.Contains(err.Error(), "Upgrade(1") {
				t.Errorf("got %v", err)
			}
			r, err := db.Migrate(t.Context(), nil)
			wantErr(t, err, ErrType)
			if r.Failed != 1 {
				t.Errorf("got %+v", r)
			}
		}
		// Who has the step reads it, whatever the others have said.
		if p, err := loaded[person](t, b.db(Options{Types: programV3()}), "bob"); err != nil || p.First != "Bob" {
			t.Errorf("%+v, %v", p, err)
		}
	})
}
