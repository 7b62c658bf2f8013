package durus

import (
	"encoding/json"
	"fmt"
	"testing"
	"unsafe"
)

// page has a weak link back, and weak references as keys.
type page struct {
	Title string
	Back  WeakRef[page]
	Links []Ref[page]
	Seen  map[WeakRef[page]]int
}

var (
	_        = Register[page]("test.Page")
	thePages = NewRoot[page]("pages")
)

// A weak reference leads to its object as long as that is stored, and stores
// nothing itself.
func TestWeakRef(t *testing.T) {
	onBeds(t, func(t *testing.T, b *bed) {
		db := b.db()
		var kept, lost Ref[page]
		update(t, db, func(tx *Tx) error {
			root := Must(thePages.Edit(tx))
			kept = Must(Add(tx, &page{Title: "kept"}))
			lost = Must(Add(tx, &page{Title: "lost"}))
			root.Links = []Ref[page]{kept}
			root.Back = lost.Weak()
			root.Seen = map[WeakRef[page]]int{kept.Weak(): 1, lost.Weak(): 2, {}: 3}
			if p, ok, err := lost.Weak().Load(tx); err != nil || !ok || p.Title != "lost" {
				t.Errorf("in its transaction: %v, %v, %v", p, ok, err)
			}
			return nil
		})
		view(t, db, func(tx *Tx) error {
			root := Must(thePages.Load(tx))
			if root.Back != lost.Weak() || root.Seen[lost.Weak()] != 2 || root.Seen[kept.Weak()] != 1 || root.Seen[WeakRef[page]{}] != 3 {
				t.Errorf("got %+v", root)
			}
			if p, ok, err := root.Back.Load(tx); err != nil || ok || p != nil {
				t.Errorf("reached by nothing strong: %v, %v, %v", p, ok, err)
			}
			if p, ok, err := kept.Weak().Load(tx); err != nil || !ok || p != Must(kept.Load(tx)) {
				t.Errorf("stored: %v, %v, %v", p, ok, err)
			}
			if p, ok, err := (WeakRef[page]{}).Load(tx); err != nil || ok || p != nil {
				t.Errorf("nil: %v, %v, %v", p, ok, err)
			}
			_, ok, err := WeakRef[account](RefTo[account](kept.OID()).Weak()).Load(tx)
			if wantErr(t, err, ErrType); ok {
				t.Error("another type is there")
			}
			return nil
		})
		other := b.db()
		if err := other.View(t.Context(), func(tx *Tx) error {
			_, _, err := kept.Weak().Load(tx)
			return err
		}); b.mem == nil || err != nil {
			wantErr(t, err, ErrForeign)
		}
		tx := begin(t, db, false)
		_ = tx.Rollback()
		_, _, err := WeakRef[page]{}.Load(tx)
		wantErr(t, err, ErrTxDone)
	})
}

// What a weak reference answers is part of the read set: that the object is
// there and what it holds, and that it is gone.
func TestWeakRefConflicts(t *testing.T) {
	onBeds(t, func(t *testing.T, b *bed) {
		db := b.db()
		var kept Ref[page]
		update(t, db, func(tx *Tx) error {
			kept = Must(Add(tx, &page{Title: "kept"}))
			Must(thePages.Edit(tx)).Links = []Ref[page]{kept}
			return nil
		})
		write := func(tx *Tx) { Must(thePages.Edit(tx)).Title += "." }

		reads := begin(t, db, true)
		if _, ok, err := kept.Weak().Load(reads); !ok || err != nil {
			t.Fatal(ok, err)
		}
		_ = Must(Add(reads, &page{}))
		reads.Describe("someone", "writes", nil)
		Must(thePages.Edit(reads)).Title = "read"
		update(t, db, func(tx *Tx) error { Must(kept.Edit(tx)).Title = "changed"; return nil })
		wantErr(t, reads.Commit(), ErrConflict)

		// One who holds a reference to what another transaction is about to store.
		adds := begin(t, db, true)
		late := Must(Add(adds, &page{Title: "late"}))
		absent := begin(t, db, true)
		if _, ok, err := late.Weak().Load(absent); ok || err != nil {
			t.Fatal(ok, err)
		}
		Must(kept.Edit(adds)).Links = []Ref[page]{late}
		if err := adds.Commit(); err != nil {
			t.Fatal(err)
		}
		write(absent)
		wantErr(t, absent.Commit(), ErrConflict)
	})
}

func TestWeakRefSpelling(t *testing.T) {
	w := RefTo[page](12).Weak()
	if w.String() != "12" || w.OID() != 12 || w.IsNil() || fmt.Sprint(WeakRef[page]{}) != "" || !(WeakRef[page]{}).IsNil() {
		t.Errorf("got %q", w)
	}
	if unsafe.Sizeof(w) != 8 {
		t.Errorf("%d bytes", unsafe.Sizeof(w))
	}
	text, err := json.Marshal(map[WeakRef[page]]WeakRef[page]{w: {}})
	if err != nil || string(text) != `{"12":""}` {
		t.Fatalf("got %s, %v", text, err)
	}
	back := map[WeakRef[page]]WeakRef[page]{}
	if err := json.Unmarshal(text, &back); err != nil || len(back) != 1 || back[w] != (WeakRef[page]{}) {
		t.Errorf("got %v, %v", back, err)
	}
	if err := new(WeakRef[page]).UnmarshalText([]byte("x")); err == nil {
		t.Error("x is no id")
	}
}
