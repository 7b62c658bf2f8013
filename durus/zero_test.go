package durus

import (
	"context"
	"errors"
	"io"
	"math"
	"strings"
	"testing"

	"github.com/durusdb/durus/pack"
)

// What nobody made is refused by an error that says who makes it: no method of a
// zero value panics.
func TestZeroDB(t *testing.T) {
	ctx, db := t.Context(), new(DB)
	nothing := func(*Tx) error { return nil }
	for what, do := range map[string]func() error{
		"Backup":       func() error { _, err := db.Backup(ctx, io.Discard); return err },
		"Begin":        func() error { _, err := db.Begin(ctx, true); return err },
		"CheckTables":  func() error { _, err := CheckTables(ctx, db); return err },
		"Close":        db.Close,
		"Committed":    func() error { _, err := db.Committed(1); return err },
		"Connect":      func() error { _, err := db.Connect(ctx); return err },
		"History":      func() error { return ending(db.History(2)) },
		"LastTID":      func() error { _, err := db.LastTID(); return err },
		"Migrate":      func() error { _, err := db.Migrate(ctx, nil); return err },
		"Pack":         func() error { _, err := db.Pack(ctx, pack.Options{}); return err },
		"PlanUndo":     func() error { _, err := db.PlanUndo(ctx, 1); return err },
		"Reindex":      func() error { return Reindex(ctx, db, Table[string, account]{}, nil) },
		"Sync":         func() error { return db.Sync(ctx) },
		"Transactions": func() error { return ending(db.Transactions(0, math.MaxUint64)) },
		"Undo":         func() error { _, err := db.Undo(ctx, 1); return err },
		"Update":       func() error { return db.Update(ctx, nothing) },
		"Verify":       func() error { _, err := db.Verify(ctx); return err },
		"View":         func() error { return db.View(ctx, nothing) },
		"ViewAt":       func() error { return db.ViewAt(ctx, AtTID(1), nothing) },
		"Watch":        func() error { return ending(db.Watch(ctx, 0)) },
	} {
		if err := do(); !errors.Is(err, ErrClosed) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if s := db.Stats(); s.CacheObjects != 0 || db.Path() != "" {
		t.Errorf("%+v, path %q", s, db.Path())
	}
}

// ending returns the error of the last pair of a sequence.
func ending[T any](seq func(func(T, error) bool)) (err error) {
	for _, err = range seq {
	}
	return err
}

func TestZeroSessions(t *testing.T) {
	k := new(Connection)
	for what, err := range map[string]error{
		"Tx.Commit": new(Tx).Commit(), "Tx.Rollback": new(Tx).Rollback(), "Tx.Undo": new(Tx).Undo(1), "Tx.Prefetch": new(Tx).Prefetch(),
		"Savepoint.Rollback": new(Savepoint).Rollback(),
		"Connection.Abort":   k.Abort(), "Connection.Close": k.Close(), "Connection.Commit": k.Commit(),
		"Connection.Continue": k.Continue(), "Connection.Pause": k.Pause(), "Connection.Sync": k.Sync(),
	} {
		if !errors.Is(err, ErrTxDone) {
			t.Errorf("%s: %v", what, err)
		}
	}
	for _, s := range []Session{new(Tx), new(Connection)} {
		if s.Snapshot() != 0 || s.Err() != nil {
			t.Errorf("%T: %v, %v", s, s.Snapshot(), s.Err())
		}
		for what, do := range map[string]func() error{
			"Add":       func() error { _, err := Add(s, &account{}); return err },
			"Load":      func() error { _, err := RefTo[account](2).Load(s); return err },
			"Edit":      func() error { _, err := RefTo[account](2).Edit(s); return err },
			"Peek":      func() error { _, err := RefTo[account](2).Peek(s); return err },
			"weak Load": func() error { _, _, err := RefTo[account](2).Weak().Load(s); return err },
			"any Load":  func() error { _, err := AnyRefTo(2).Load(s); return err },
			"Class":     func() error { _, err := AnyRefTo(2).Class(s); return err },
			"Root.Load": func() error { _, err := theBank.Load(s); return err },
			"Root.Edit": func() error { _, err := theBank.Edit(s); return err },
			"Get":       func() error { _, _, err := BTree[string, int]{}.Get(s, "x"); return err },
			"Put":       func() error { return BTree[string, int]{}.Put(s, "x", 1) },
			"Append":    func() error { return List[int]{}.Append(s, 1) },
			"Count":     func() error { return Counter{}.Add(s, 1) },
			"NewTable":  func() error { _, err := NewTable[string, account](s); return err },
		} {
			if err := do(); !errors.Is(err, ErrTxDone) {
				t.Errorf("%s of %T: %v", what, s, err)
			}
		}
		for range Instances[account](s) {
			t.Error("an instance")
		}
		for range (Dict[string, int]{}).All(s) {
			t.Error("a key")
		}
		if !errors.Is(s.Err(), ErrTxDone) {
			t.Errorf("%T: a loop: %v", s, s.Err())
		}
	}
}

func TestZeroDeclarations(t *testing.T) {
	if none := (Type{}); none.Name() != "" || none.String() != "" || none.Version() != 0 || none.GoType() != nil {
		t.Errorf("the zero Type is %q, version %d, %v", none, none.Version(), none.GoType())
	}
	type things struct{ Table Table[string, account] }
	ts := new(Types)
	db, err := OpenMemory(&Options{Types: ts}) // its types may come later
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	RegisterIn[account](ts, "t.Account")
	RegisterIn[things](ts, "t.Things")
	none := Index[account, string]{}.Unique().Where(nil).Version(1)
	update(t, db, func(tx *Tx) error {
		root := Must(NewRoot[things]("things").Edit(tx))
		_, _, err := Index[account, string]{}.Lookup(tx, root.Table, "x")
		wantErr(t, err, ErrIndex)
		_, _, err = none.Lookup(tx, root.Table, "x")
		wantErr(t, err, ErrIndex)
		_, err = Root[things]{}.Load(tx)
		wantErr(t, err, ErrNotFound)
		_, err = Root[things]{}.Edit(tx)
		wantErr(t, err, ErrNotFound)
		return nil
	})
	err = db.View(context.Background(), func(tx *Tx) error {
		_, err := Root[things]{}.Load(tx)
		wantErr(t, err, ErrNotFound)
		for range (Index[account, string]{}).All(tx, Must(NewRoot[things]("things").Load(tx)).Table) {
			t.Error("an object")
		}
		return nil
	})
	wantErr(t, err, ErrIndex)
}

func TestOnCommitOfNil(t *testing.T) {
	db := memBed(t).db()
	defer func() {
		if recover() == nil {
			t.Error("a nil function was taken")
		}
		if tid, err := db.LastTID(); err != nil || tid != 0 {
			t.Errorf("something was committed: %v, %v", tid, err)
		}
	}()
	_ = db.Update(t.Context(), func(tx *Tx) error {
		Must(theBank.Edit(tx)).Name = "x"
		tx.OnCommit(nil)
		return nil
	})
}

// The id of nothing is 0 in a message, and not nothing.
func TestZeroIDsAreTold(t *testing.T) {
	db := beds["memory"](t).db()
	err := ending(db.History(0))
	if !errors.Is(err, ErrNotFound) || !strings.Contains(err.Error(), "object 0 ") {
		t.Errorf("history of object 0: %v", err)
	}
	view(t, db, func(tx *Tx) error {
		if _, err := (List[int]{}).Get(tx, 0); !errors.Is(err, ErrNotFound) || !strings.Contains(err.Error(), "list 0 ") {
			t.Errorf("an index of a zero handle: %v", err)
		}
		return nil
	})
}
