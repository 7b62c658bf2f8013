package durus

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/vmihailenco/msgpack/v5"
)

// Scenario 20: a new object is stored once if something stored refers to it,
// directly or not, and not at all otherwise.
func TestReachability(t *testing.T) {
	onBeds(t, func(t *testing.T, b *bed) {
		db := b.db()
		var kept, chained, lost Ref[account]
		update(t, db, func(tx *Tx) error {
			root := Must(theBank.Edit(tx))
			chained = Must(Add(tx, &account{Owner: "end of the chain"}))
			v := &account{Owner: "kept", Parent: chained}
			kept = Must(Add(tx, v))
			if again := Must(Add(tx, v)); again != kept {
				t.Errorf("the same pointer got %v and %v", kept, again)
			}
			lost = Must(Add(tx, &account{Owner: "lost"}))
			root.Accounts = map[string]Ref[account]{"one": kept, "two": kept}
			root.Others = []AnyRef{kept.Any()}
			if got := Must(kept.Load(tx)); got != v {
				t.Error("Load after Add gives another pointer")
			}
			if got := Must(kept.Edit(tx)); got != v {
				t.Error("Edit after Add gives another pointer")
			}
			return nil
		})
		view(t, db, func(tx *Tx) error {
			root := Must(theBank.Load(tx))
			if root.Accounts["one"] != root.Accounts["two"] || root.Accounts["one"].OID() != kept.OID() {
				t.Errorf("references %v", root.Accounts)
			}
			a := Must(root.Accounts["one"].Load(tx))
			if p := Must(a.Parent.Load(tx)); p.Owner != "end of the chain" {
				t.Errorf("parent %+v", p)
			}
			if _, err := lost.Load(tx); !errors.Is(err, ErrNotFound) {
				t.Errorf("an object that nothing refers to: %v", err)
			}
			return nil
		})
		last, _ := db.LastTID()
		for tx, err := range db.st.Transactions(last, last) {
			slices.Sort(tx.OIDs)
			want := []OID{directoryOID, theRootOID(t, db), kept.OID(), chained.OID()}
			slices.Sort(want)
			if err != nil || !slices.Equal(tx.OIDs, want) {
				t.Errorf("stored %v, want %v (%v)", tx.OIDs, want, err)
			}
		}
	})
}

func theRootOID(t testing.TB, db *DB) (oid OID) {
	t.Helper()
	view(t, db, func(tx *Tx) error {
		ref, err := theBank.ref(tx)
		oid = ref.OID()
		return err
	})
	return oid
}

// Objects without any field are different ones, although Go gives all of them
// the same address.
func TestObjectsWithoutSize(t *testing.T) {
	type marker struct{}
	type board struct {
		Markers []Ref[marker]
		ByName  Table[string, marker]
	}
	ts := NewTypes()
	RegisterIn[marker](ts, "t.Marker")
	RegisterIn[board](ts, "t.Board")
	theBoard := NewRoot[board]("board")
	onBeds(t, func(t *testing.T, b *bed) {
		db := b.db(Options{Types: ts, Check: CheckShared})
		for range 2 {
			update(t, db, func(tx *Tx) error {
				root := Must(theBoard.Edit(tx))
				for _, ref := range root.Markers {
					Must(ref.Load(tx))
				}
				for range 2 {
					root.Markers = append(root.Markers, Must(Add(tx, &marker{})))
					Must(root.ByName.Insert(tx, root.Markers[len(root.Markers)-1].String(), &marker{}))
				}
				return nil
			})
		}
		view(t, db, func(tx *Tx) error {
			root := Must(theBoard.Load(tx))
			oids := map[OID]bool{}
			for _, ref := range root.Markers {
				oids[ref.OID()] = true
				Must(ref.Load(tx))
			}
			for _, ref := range root.ByName.All(tx) {
				oids[ref.OID()] = true
			}
			if len(oids) != 8 {
				t.Errorf("%d objects of 8: %v", len(oids), root.Markers)
			}
			return nil
		})
	})
}

// Only what has changed is written.
func TestUnchangedEditsAreNotWritten(t *testing.T) {
	onBeds(t, func(t *testing.T, b *bed) {
		db := b.db()
		ra, rb := openAccounts(t, db, 1, 2)
		before, _ := db.LastTID()
		update(t, db, func(tx *Tx) error {
			a := Must(ra.Edit(tx))
			a.Balance = 10
			a.Balance = 1
			_ = Must(rb.Edit(tx))
			return nil
		})
		if after, _ := db.LastTID(); after != before {
			t.Error("a transaction without changes was written")
		}
		update(t, db, func(tx *Tx) error {
			_ = Must(ra.Edit(tx))
			Must(rb.Edit(tx)).Balance++
			return nil
		})
		last, _ := db.LastTID()
		for tx := range db.st.Transactions(last, last) {
			if !slices.Equal(tx.OIDs, []OID{rb.OID()}) {
				t.Errorf("written: %v", tx.OIDs)
			}
		}
	})
}

// Ownership: Edit gives a private copy, Load after it the same one, and a
// pointer loaded before stays old. Nobody else sees it before the commit.
func TestEditIsPrivate(t *testing.T) {
	onBeds(t, func(t *testing.T, b *bed) {
		db := b.db()
		ra, _ := openAccounts(t, db, 1, 2)
		update(t, db, func(tx *Tx) error {
			old := Must(ra.Load(tx))
			mine := Must(ra.Edit(tx))
			if mine == old {
				t.Error("Edit gave the shared object")
			}
			mine.Balance, mine.Tags = 5, []string{"x"}
			for name, got := range map[string]*account{
				"Edit": Must(ra.Edit(tx)), "Load": Must(ra.Load(tx)), "Peek": Must(ra.Peek(tx)),
				"AnyRef.Load": Must(ra.Any().Load(tx)).(*account),
			} {
				if got != mine {
					t.Errorf("%s after Edit gives another pointer", name)
				}
			}
			if old.Balance != 1 || old.Tags != nil {
				t.Errorf("the shared object changed: %+v", old)
			}
			if n := balance(t, db, "a"); n != 1 {
				t.Errorf("a View saw %d before the commit", n)
			}
			return nil
		})
		view(t, db, func(tx *Tx) error {
			shared := Must(ra.Load(tx))
			if shared.Balance != 5 || len(shared.Tags) != 1 {
				t.Errorf("stored %+v", shared)
			}
			if again := Must(ra.Load(tx)); again != shared {
				t.Error("two loads, two pointers") // scenario 90
			}
			return nil
		})
	})
}

// D12, scenarios 38, 42: what was added in a transaction that failed can be
// added again and gets another oid; a reference to the first one dangles.
func TestAddAfterRollback(t *testing.T) {
	onBeds(t, func(t *testing.T, b *bed) {
		db := b.db()
		v := &account{Owner: "phoenix"}
		var first, second Ref[account]
		_ = db.Update(t.Context(), func(tx *Tx) error {
			first = Must(Add(tx, v))
			v.Balance = 3
			Must(theBank.Edit(tx)).Accounts = map[string]Ref[account]{"p": first}
			return errors.New("no")
		})
		if v.Owner != "phoenix" || v.Balance != 3 {
			t.Errorf("the copy in memory lost its fields: %+v", v)
		}
		update(t, db, func(tx *Tx) error {
			second = Must(Add(tx, v))
			Must(theBank.Edit(tx)).Accounts = map[string]Ref[account]{"p": second}
			return nil
		})
		if first == second {
			t.Error("an oid was given twice") // scenario 45, H10
		}
		err := db.Update(t.Context(), func(tx *Tx) error {
			Must(theBank.Edit(tx)).Accounts["q"] = first
			return nil
		})
		wantErr(t, err, ErrDangling)
		wantErr(t, err, ErrNotFound)
	})
}

// Scenario 21: a reference of another database is refused, in memory and at commit.
func TestForeign(t *testing.T) {
	onBeds(t, func(t *testing.T, b *bed) {
		one, two := b.db(), b.db()
		ra, _ := openAccounts(t, one, 1, 0)
		view(t, two, func(tx *Tx) error {
			for range 2 { // also when the object is cached
				_, err := ra.Load(tx)
				wantErr(t, err, ErrForeign)
				_, err = ra.Any().Load(tx)
				wantErr(t, err, ErrForeign)
				if a, err := RefTo[account](ra.OID()).Load(tx); err != nil || a.Balance != 1 {
					t.Errorf("RefTo is of any database: %v, %v", a, err)
				}
			}
			return nil
		})
		wantErr(t, two.Update(t.Context(), func(tx *Tx) error {
			Must(theBank.Edit(tx)).Accounts["c"] = ra
			return nil
		}), ErrForeign)
		update(t, two, func(tx *Tx) error {
			Must(theBank.Edit(tx)).Accounts["c"] = RefTo[account](ra.OID())
			return nil
		})
		view(t, two, func(tx *Tx) error {
			if r := Must(theBank.Load(tx)).Accounts["c"]; r.OID() != ra.OID() {
				t.Errorf("got %v", r)
			}
			return nil
		})
	})
}

func TestWrongType(t *testing.T) {
	onBeds(t, func(t *testing.T, b *bed) {
		db := b.db()
		ra, _ := openAccounts(t, db, 1, 0)
		type stranger struct{ A int }
		view(t, db, func(tx *Tx) error {
			_, err := As[bank](ra.Any()).Load(tx)
			wantErr(t, err, ErrType)
			for _, word := range []string{"test.Account", "test.Bank", ra.String()} {
				if !strings.Contains(err.Error(), word) {
					t.Errorf("%v does not name %s", err, word)
				}
			}
			_, err = RefTo[stranger](ra.OID()).Load(tx)
			wantErr(t, err, ErrType)
			if !strings.Contains(err.Error(), "Register") {
				t.Errorf("%v does not say what to do", err)
			}
			_, err = RefTo[account](directoryOID).Load(tx)
			wantErr(t, err, ErrType)
			return nil
		})
		update(t, db, func(tx *Tx) error {
			_, err := As[bank](ra.Any()).Edit(tx)
			wantErr(t, err, ErrType)
			_ = Must(ra.Edit(tx))
			_, err = As[bank](ra.Any()).Edit(tx)
			wantErr(t, err, ErrType)
			return nil
		})
	})
}

// Scenario 91, F4: objects of unknown classes load as Opaque, survive, can be
// stored again, and become typed once their type is registered.
func TestUnknownClass(t *testing.T) {
	onBeds(t, func(t *testing.T, b *bed) {
		db := b.db()
		ra, _ := openAccounts(t, db, 1, 0)
		update(t, db, func(tx *Tx) error {
			child := Must(Add(tx, &account{Owner: "child", Balance: 9, Parent: ra}))
			Must(theBank.Edit(tx)).Others = []AnyRef{child.Any()}
			return nil
		})

		types := NewTypes()
		RegisterIn[bank](types, "test.Bank")
		other := b.db(Options{Types: types})
		var copied AnyRef
		update(t, other, func(tx *Tx) error {
			root := Must(theBank.Edit(tx))
			o, ok := Must(root.Others[0].Load(tx)).(*Opaque)
			if !ok || o.Class() != "test.Account" || Must(root.Others[0].Class(tx)) != "test.Account" {
				t.Fatalf("got %T %+v", o, o)
			}
			if refs := o.References(); len(refs) != 1 || refs[0].OID() != ra.OID() {
				t.Errorf("references %v", refs)
			}
			text, err := json.Marshal(Must(o.Readable()))
			if err != nil || !strings.Contains(string(text), "child") {
				t.Errorf("readable as %s, %v", text, err)
			}
			var m map[string]any
			if err := msgpack.Unmarshal(o.Payload()[:1], &m); err == nil {
				t.Error("the payload is one msgpack map")
			}
			_, err = As[account](root.Others[0]).Load(tx)
			wantErr(t, err, ErrType)
			_, err = As[Opaque](root.Others[0]).Edit(tx)
			wantErr(t, err, ErrType)
			copied = Must(Add(tx, o)).Any()
			root.Others = append(root.Others, copied)
			root.Name = "changed by somebody who knows less"
			return nil
		})
		wantErr(t, other.Update(t.Context(), func(tx *Tx) error {
			_, err := Add(tx, &Opaque{})
			return err
		}), ErrType)
		wantErr(t, db.Update(t.Context(), func(tx *Tx) error { // its references are of another handle
			o := viewed(t, other, func(tx *Tx) (*Opaque, error) {
				return As[Opaque](Must(theBank.Load(tx)).Others[0]).Load(tx)
			})
			root := Must(theBank.Edit(tx))
			root.Others = append(root.Others, Must(Add(tx, o)).Any())
			return nil
		}), ErrForeign)
		RegisterIn[account](types, "test.Account")
		view(t, other, func(tx *Tx) error {
			for i, r := range Must(theBank.Load(tx)).Others {
				a, ok := Must(r.Load(tx)).(*account)
				if !ok || a.Owner != "child" || a.Balance != 9 || a.Parent.OID() != ra.OID() {
					t.Errorf("%d: got %T %+v", i, a, a)
				}
			}
			return nil
		})
	})
}

// Unknown fields of a newer program survive an older one.
func TestUnknownFieldsSurvive(t *testing.T) {
	onBeds(t, func(t *testing.T, b *bed) {
		type newer struct {
			Owner string
			Email string
			Boss  Ref[newer]
		}
		type older struct{ Owner string }
		newTypes, oldTypes := NewTypes(), NewTypes()
		RegisterIn[newer](newTypes, "test.Person")
		RegisterIn[older](oldTypes, "test.Person")
		newRoot, oldRoot := NewRoot[newer]("p"), NewRoot[older]("p")
		db, old := b.db(Options{Types: newTypes}), b.db(Options{Types: oldTypes})
		update(t, db, func(tx *Tx) error {
			p := Must(newRoot.Edit(tx))
			p.Owner, p.Email, p.Boss = "ada", "ada@example.org", Must(Add(tx, &newer{Owner: "boss"}))
			return nil
		})
		update(t, old, func(tx *Tx) error { Must(oldRoot.Edit(tx)).Owner = "bea"; return nil })
		view(t, db, func(tx *Tx) error {
			p := Must(newRoot.Load(tx))
			if p.Owner != "bea" || p.Email != "ada@example.org" || Must(p.Boss.Load(tx)).Owner != "boss" {
				t.Errorf("got %+v", p)
			}
			return nil
		})
	})
}

func TestAlias(t *testing.T) {
	onBeds(t, func(t *testing.T, b *bed) {
		db := b.db()
		ra, _ := openAccounts(t, db, 1, 0)
		types := NewTypes()
		RegisterIn[account](types, "bank.Konto", Alias("test.Account"))
		RegisterIn[bank](types, "test.Bank")
		renamed := b.db(Options{Types: types})
		update(t, renamed, func(tx *Tx) error {
			Must(Must(named(tx, "a")).Edit(tx)).Balance = 2
			return nil
		})
		view(t, renamed, func(tx *Tx) error {
			r := RefTo[account](ra.OID())
			if a := Must(r.Load(tx)); a.Balance != 2 || Must(r.Any().Class(tx)) != "bank.Konto" {
				t.Errorf("got %+v of class %s", a, Must(r.Any().Class(tx)))
			}
			return nil
		})
		err := db.View(t.Context(), func(tx *Tx) error { _, err := ra.Load(tx); return err })
		wantErr(t, err, ErrType) // the old program does not know the new name
	})
}

// Root: absent ones read as zero, and are made by the first writable use; two
// that make the same root at once do not both succeed.
func TestRoots(t *testing.T) {
	onBeds(t, func(t *testing.T, b *bed) {
		db, other := b.db(), b.db()
		view(t, db, func(tx *Tx) error {
			if r := Must(theBank.Load(tx)); r.Name != "" || r.Accounts != nil {
				t.Errorf("a root that is not there is %+v", r)
			}
			_, err := theBank.Edit(tx)
			wantErr(t, err, ErrReadOnly)
			return nil
		})
		one, two := begin(t, db, true), begin(t, other, true)
		Must(theBank.Edit(one)).Name = "one"
		Must(theBank.Edit(two)).Name = "two"
		if err := one.Commit(); err != nil {
			t.Fatal(err)
		}
		wantErr(t, two.Commit(), ErrConflict)

		// Another root does not disturb those that know this one.
		tx := begin(t, db, true)
		Must(theBank.Edit(tx)).Name = "three"
		update(t, other, func(tx *Tx) error {
			_, err := NewRoot[account]("another").Load(tx)
			return err
		})
		if err := tx.Commit(); err != nil {
			t.Fatal(err)
		}
		view(t, other, func(tx *Tx) error {
			if n := Must(theBank.Load(tx)).Name; n != "three" {
				t.Errorf("name %q", n)
			}
			if _, err := NewRoot[account]("bank").Load(tx); !errors.Is(err, ErrType) {
				t.Errorf("a root of another type: %v", err)
			}
			dir := Must(AnyRefTo(directoryOID).Load(tx)).(*directory)
			if names := slices.Sorted(maps.Keys(*dir)); !slices.Equal(names, []string{"another", "bank"}) {
				t.Errorf("roots %v", names)
			}
			return nil
		})
		for _, name := range []string{"", tablesName} {
			func() {
				defer func() {
					if recover() == nil {
						t.Errorf("a root named %q", name)
					}
				}()
				NewRoot[account](name)
			}()
		}
	})
}

// Two roots in one transaction, the absence of a name in the read set.
func TestRootAbsenceConflicts(t *testing.T) {
	onBeds(t, func(t *testing.T, b *bed) {
		db := b.db()
		openAccounts(t, db, 0, 0)
		x, y := NewRoot[account]("x"), NewRoot[account]("y")
		tx := begin(t, db, true)
		Must(x.Edit(tx)).Owner = "x"
		Must(y.Edit(tx)).Owner = "y"
		update(t, db, func(tx *Tx) error { Must(y.Edit(tx)).Owner = "first"; return nil })
		wantErr(t, tx.Commit(), ErrConflict)
		view(t, db, func(tx *Tx) error {
			if Must(x.Load(tx)).Owner != "" || Must(y.Load(tx)).Owner != "first" {
				t.Error("half a transaction")
			}
			return nil
		})
	})
}

func TestEach(t *testing.T) {
	onBeds(t, func(t *testing.T, b *bed) {
		db := b.db()
		openAccounts(t, db, 3, 4)
		view(t, db, func(tx *Tx) error {
			sum := int64(0)
			for name, a := range Each(tx, maps.All(Must(theBank.Load(tx)).Accounts)) {
				if a.Owner != name {
					t.Errorf("%s is %+v", name, a)
				}
				sum += a.Balance
			}
			if sum != 7 {
				t.Errorf("sum %d", sum)
			}
			for range Each(tx, maps.All(Must(theBank.Load(tx)).Accounts)) {
				break
			}
			return nil
		})
		err := db.View(t.Context(), func(tx *Tx) error {
			refs := []Ref[account]{RefTo[account](1 << 40)}
			for range Each(tx, slices.All(refs)) {
				t.Error("loaded what is not there")
			}
			return nil
		})
		wantErr(t, err, ErrNotFound)
	})
}

func TestRefText(t *testing.T) {
	r := RefTo[account](42)
	if r.String() != "42" || r.Any().String() != "42" || (Ref[account]{}).String() != "" {
		t.Errorf("spelled %q, %q", r, r.Any())
	}
	type both struct {
		R    Ref[account]
		A    AnyRef
		M    map[Ref[account]]int
		None Ref[account]
	}
	in := both{R: r, A: AnyRefTo(7), M: map[Ref[account]]int{r: 1}}
	text, err := json.Marshal(in)
	if err != nil || string(text) != `{"R":"42","A":"7","M":{"42":1},"None":""}` {
		t.Fatalf("%s, %v", text, err)
	}
	var out both
	if err := json.Unmarshal(text, &out); err != nil || fmt.Sprint(out) != fmt.Sprint(in) {
		t.Errorf("%+v, %v", out, err)
	}
	for _, bad := range []string{"x", "-1", "01", "281474976710656"} {
		if err := new(Ref[account]).UnmarshalText([]byte(bad)); err == nil {
			t.Errorf("%q is a reference", bad)
		}
		if err := new(AnyRef).UnmarshalText([]byte(bad)); err == nil {
			t.Errorf("%q is a reference", bad)
		}
	}
	defer func() {
		if recover() == nil {
			t.Error("RefTo beyond the greatest oid")
		}
	}()
	RefTo[account](1 << 48)
}

// hooked adds an object while it is encoded.
type hooked struct {
	Log  Ref[account]
	hook func() Ref[account]
}

func (h *hooked) EncodeMsgpack(e *msgpack.Encoder) error {
	if h.hook != nil {
		h.Log = h.hook()
	}
	return e.Encode(h.Log)
}

func (h *hooked) DecodeMsgpack(d *msgpack.Decoder) error { return d.Decode(&h.Log) }

var _ = Register[hooked]("test.Hooked")

// Scenario 19: what an encoder adds is stored; a custom encoder's references count.
func TestEncoderAddsObjects(t *testing.T) {
	onBeds(t, func(t *testing.T, b *bed) {
		db := b.db()
		update(t, db, func(tx *Tx) error {
			h := &hooked{hook: func() Ref[account] { return Must(Add(tx, &account{Owner: "late"})) }}
			Must(theBank.Edit(tx)).Others = []AnyRef{Must(Add(tx, h)).Any()}
			return nil
		})
		view(t, db, func(tx *Tx) error {
			h := Must(Must(theBank.Load(tx)).Others[0].Load(tx)).(*hooked)
			if a := Must(h.Log.Load(tx)); a.Owner != "late" {
				t.Errorf("got %+v", a)
			}
			return nil
		})
	})
}

// stubborn cannot always be encoded.
type stubborn struct{ No bool }

func (s stubborn) EncodeMsgpack(e *msgpack.Encoder) error {
	if s.No {
		return errors.New("I will not")
	}
	return e.EncodeBool(false)
}

func (s *stubborn) DecodeMsgpack(d *msgpack.Decoder) error { _, err := d.DecodeBool(); return err }

var _ = Register[stubborn]("test.Stubborn")

// Scenario 17: the encoder fails on the third of five objects.
func TestEncoderFails(t *testing.T) {
	onBeds(t, func(t *testing.T, b *bed) {
		db := b.db()
		fill := func(tx *Tx, bad int) error {
			root := Must(theBank.Edit(tx))
			root.Others = nil
			for i := range 5 {
				root.Others = append(root.Others, Must(Add(tx, &stubborn{No: i == bad})).Any())
			}
			return nil
		}
		err := db.Update(t.Context(), func(tx *Tx) error { return fill(tx, 2) })
		if err == nil || !strings.Contains(err.Error(), "test.Stubborn") || !strings.Contains(err.Error(), "I will not") {
			t.Errorf("got %v", err)
		}
		if last, err := db.LastTID(); err != nil || last != 0 {
			t.Errorf("something was stored: %s, %v", last, err)
		}
		update(t, db, func(tx *Tx) error { return fill(tx, -1) })
	})
}

// everywhere has references in every place that can hold one.
type everywhere struct {
	Slice  []Ref[account]
	Array  [2]AnyRef
	Key    map[Ref[account]]string
	Value  map[string]AnyRef
	Inline struct{ R Ref[account] }
	Ptr    *struct{ R Ref[account] }
	Nil    Ref[account]
}

var _ = Register[everywhere]("test.Everywhere")

// Every reference keeps its object alive, wherever it is stored, and comes back
// as one of this handle.
func TestReferencesEverywhere(t *testing.T) {
	onBeds(t, func(t *testing.T, b *bed) {
		db := b.db()
		root := NewRoot[everywhere]("everywhere")
		update(t, db, func(tx *Tx) error {
			e := Must(root.Edit(tx))
			n := int64(0)
			next := func() Ref[account] {
				n++
				return Must(Add(tx, &account{Balance: n}))
			}
			e.Slice = []Ref[account]{next(), {}, next()}
			e.Array[1] = next().Any()
			e.Key = map[Ref[account]]string{next(): "key"}
			e.Value = map[string]AnyRef{"value": next().Any()}
			e.Inline.R = next()
			e.Ptr = &struct{ R Ref[account] }{next()}
			return nil
		})
		view(t, db, func(tx *Tx) error {
			e := Must(root.Load(tx))
			refs := append(e.Slice, As[account](e.Array[1]), As[account](e.Value["value"]), e.Inline.R, e.Ptr.R)
			for r := range e.Key {
				refs = append(refs, r)
			}
			sum := int64(0)
			for _, r := range refs {
				if r.IsNil() {
					continue
				}
				sum += Must(r.Load(tx)).Balance
				if tag := uint64(r.raw) >> tagShift; tag != db.tag {
					t.Errorf("reference %s has tag %d, want %d", r, tag, db.tag)
				}
			}
			if sum != 1+2+3+4+5+6+7 || !e.Nil.IsNil() || !e.Array[0].IsNil() {
				t.Errorf("sum %d of %+v", sum, e)
			}
			return nil
		})
	})
}
