package durus

import (
	"context"
	"errors"
	"path/filepath"
	"testing"

	"github.com/durusdb/durus/internal/codec"
	"github.com/durusdb/durus/internal/collection"
	"github.com/durusdb/durus/storage"
	"github.com/durusdb/durus/vfs"
	"github.com/durusdb/durus/vfs/async"
	vfscache "github.com/durusdb/durus/vfs/cache"
	"github.com/durusdb/durus/vfs/mem"
)

// The classes of the tests.
type account struct {
	Owner   string
	Balance int64
	Parent  Ref[account]
	Tags    []string
}

type bank struct {
	Name     string
	Accounts map[string]Ref[account]
	Others   []AnyRef
}

var (
	_ = Register[account]("test.Account")
	_ = Register[bank]("test.Bank")

	theBank = NewRoot[bank]("bank")
)

// A bed is a kind of storage that the tests run on: one database, with as many
// handles as a test wants.
type bed struct {
	testing.TB
	open func(Options) (*DB, error)
	mem  *memStore // nil for a bed with a file
}

// beds are the kinds of storage, by name.
var beds = map[string]func(testing.TB) *bed{
	"model":  memBed,
	"memory": func(t testing.TB) *bed { return over(t, mem.NewVolatile().Process("test")) },
	"unchecked": func(t testing.TB) *bed { // the short way to cached objects, which checks do not take
		process := mem.NewVolatile().Process("test")
		return &bed{TB: t, open: func(o Options) (*DB, error) {
			if o.FS = process; o.Check == CheckAuto {
				o.Check = CheckNothing
			}
			return Open("test.durus", &o)
		}}
	},
	"asynchronous": func(t testing.TB) *bed {
		return over(t, async.New(mem.NewVolatile().Process("test"), async.Options{}))
	},
	"cached": func(t testing.TB) *bed {
		return over(t, vfscache.New(mem.NewVolatile().Process("test"), vfscache.Options{}))
	},
	"file": func(t testing.TB) *bed {
		path := filepath.Join(t.TempDir(), "test.durus")
		return &bed{TB: t, open: func(o Options) (*DB, error) { return Open(path, &o) }}
	},
}

// over is a bed on any storage.
func over(t testing.TB, fsys vfs.FS) *bed {
	return &bed{TB: t, open: func(o Options) (*DB, error) { o.FS = fsys; return Open("test.durus", &o) }}
}

func memBed(t testing.TB) *bed {
	m := newMemStore()
	t.Cleanup(func() {
		if n := m.open.Load(); n != 0 {
			t.Errorf("%d snapshots were not released", n)
		}
	})
	return &bed{TB: t, mem: m, open: func(o Options) (*DB, error) { return open(m.handle(), o, "test.durus") }}
}

// onBeds runs a test on every kind of storage.
func onBeds(t *testing.T, test func(t *testing.T, b *bed)) {
	for name, make := range beds {
		t.Run(name, func(t *testing.T) { test(t, make(t)) })
	}
}

// db opens a handle that is closed, after a look at everything that is stored,
// when the test ends.
func (b *bed) db(opts ...Options) *DB {
	b.Helper()
	o := Options{}
	if len(opts) > 0 {
		o = opts[0]
	}
	db, err := b.open(o)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if db.running.open() == nil {
			verify(b, db)
		}
		if err := db.Close(); err != nil {
			b.Errorf("close: %v", err)
		}
	})
	return db
}

// verify reads every object that a root leads to: its payload is well formed,
// refers to what its record says, and that exists.
func verify(t testing.TB, db *DB) {
	t.Helper()
	snap, err := db.st.Begin(context.Background(), false)
	if err != nil {
		t.Errorf("verify: %v", err)
		return
	}
	defer snap.Release()
	todo, seen := []OID{directoryOID}, map[OID]bool{}
	for len(todo) > 0 {
		oid := todo[0]
		todo = todo[1:]
		if seen[oid] {
			continue
		}
		seen[oid] = true
		pos, err := snap.Find(oid)
		if errors.Is(err, storage.ErrNotFound) && oid == directoryOID {
			return // nothing was ever committed
		}
		if err != nil {
			t.Errorf("verify: find %s: %v", oid, err)
			continue
		}
		rec, err := snap.Read(oid, pos)
		if err != nil {
			t.Errorf("verify: read %s: %v", oid, err)
			continue
		}
		refs := map[OID]bool{}
		for _, to := range rec.Strong {
			refs[to] = true
		}
		if err := codec.References(rec.Payload, func(to uint64, weak bool) {
			if !weak && !refs[OID(to)] {
				t.Errorf("verify: object %s refers to %d and its record does not say so", oid, to)
			}
		}); err != nil {
			t.Errorf("verify: object %s: %v", oid, err)
		}
		if name, _ := snap.ClassName(rec.Class); isContainerClass(name) && name != collection.ClassNode && name != collection.ClassCounter {
			c := &core{work: new(work), db: db, snap: snap, gen: db.generation(snap), ctx: context.Background(), tag: db.tag}
			if _, err := collection.Check(c.store(snap, nil), uint64(oid), name); err != nil {
				t.Errorf("verify: %v", err)
			}
		}
		todo = append(todo, rec.Strong...)
	}
}

// update and view fail the test on an error.
func update(t testing.TB, db *DB, fn func(tx *Tx) error) {
	t.Helper()
	if err := db.Update(t.Context(), fn); err != nil {
		t.Fatalf("update: %v", err)
	}
}

func view(t testing.TB, db *DB, fn func(tx *Tx) error) {
	t.Helper()
	if err := db.View(t.Context(), fn); err != nil {
		t.Fatalf("view: %v", err)
	}
}

// viewed is Result with a View that fails the test.
func viewed[R any](t testing.TB, db *DB, fn func(tx *Tx) (R, error)) R {
	t.Helper()
	v, err := Result(t.Context(), db.View, fn)
	if err != nil {
		t.Fatalf("view: %v", err)
	}
	return v
}

// begin is Begin that fails the test.
func begin(t testing.TB, db *DB, writable bool) *Tx {
	t.Helper()
	tx, err := db.Begin(t.Context(), writable)
	if err != nil {
		t.Fatalf("begin: %v", err)
	}
	t.Cleanup(func() { _ = tx.Rollback() })
	return tx
}

// open two accounts, "a" and "b", with these balances.
func openAccounts(t testing.TB, db *DB, a, b int64) (ra, rb Ref[account]) {
	t.Helper()
	update(t, db, func(tx *Tx) error {
		root := Must(theBank.Edit(tx))
		ra = Must(Add(tx, &account{Owner: "a", Balance: a}))
		rb = Must(Add(tx, &account{Owner: "b", Balance: b}))
		root.Accounts = map[string]Ref[account]{"a": ra, "b": rb}
		return nil
	})
	return ra, rb
}

// named finds an account through the root.
func named(s Session, name string) (Ref[account], error) {
	root, err := theBank.Load(s)
	if err != nil {
		return Ref[account]{}, err
	}
	return root.Accounts[name], nil
}

func balance(t testing.TB, db *DB, name string) (n int64) {
	t.Helper()
	view(t, db, func(tx *Tx) error {
		n = Must(Must(named(tx, name)).Load(tx)).Balance
		return nil
	})
	return n
}

// wantErr fails the test unless err Is target.
func wantErr(t testing.TB, err, target error) {
	t.Helper()
	if !errors.Is(err, target) {
		t.Fatalf("got error %v, want one that is %q", err, target)
	}
}
