package durus_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/durusdb/durus/durus"
	"github.com/durusdb/durus/vfs"
	"github.com/durusdb/durus/vfs/fault"
	"github.com/durusdb/durus/vfs/mem"
	"github.com/durusdb/durus/vfs/wrap"
)

// A conflict names the objects that somebody else has changed. Update deals with
// it; Begin and connections leave it to the program.
func ExampleConflictError() {
	ctx := context.Background()
	db := open(ctx)
	defer db.Close()

	late := durus.Must(db.Begin(ctx, true))
	defer late.Rollback()
	ada := durus.Must(bank.Load(late)).Accounts["ada"]
	durus.Must(ada.Edit(late)).Balance++
	err := db.Update(ctx, func(tx *durus.Tx) error {
		durus.Must(ada.Edit(tx)).Balance++
		return nil
	})
	if err != nil {
		log.Fatal(err)
	}

	var conflict *durus.ConflictError // also named WriteConflictError
	if errors.As(late.Commit(), &conflict) {
		for _, object := range conflict.Objects {
			fmt.Println(object.OID == ada.OID(), object.Class, object.Committed > object.Base)
		}
	}
	// Output: true example.Account true
}

// Nothing that would lead nowhere can be stored.
func ExampleDanglingError() {
	ctx := context.Background()
	db := open(ctx)
	defer db.Close()

	err := db.Update(ctx, func(tx *durus.Tx) error {
		bob := durus.Must(durus.Must(bank.Load(tx)).Accounts["bob"].Edit(tx))
		bob.Parent = durus.RefTo[Account](12345)
		return nil
	})
	var dangling *durus.DanglingError
	fmt.Println(errors.As(err, &dangling), errors.Is(err, durus.ErrDangling))
	fmt.Println("to", dangling.To, "from something in the root bank:", strings.Contains(dangling.Way, `root "bank"`))
	// Output:
	// true true
	// to 12345 from something in the root bank: true
}

// A commit that cannot get the lock has changed nothing.
func ExampleLockError() {
	ctx := context.Background()
	machine := mem.NewVolatile()
	db, err := durus.Open("/bank.durus", &durus.Options{FS: machine.Process("a"), LockTimeout: 20 * time.Millisecond})
	if err != nil {
		log.Fatal(err)
	}
	defer db.Close()

	// Another process has the lock, and was stopped, say.
	other := machine.Process("b")
	lock := other.Locker("/bank.durus.lock", other.Open("/bank.durus", vfs.Append), vfs.Append, 0o600)
	if held, err := lock.TryLock(); err != nil || !held {
		log.Fatal(held, err)
	}

	create := func(tx *durus.Tx) error {
		_, err := bank.Edit(tx)
		return err
	}
	err = db.Update(ctx, create)
	var locked *durus.LockError
	fmt.Println(errors.As(err, &locked), errors.Is(err, durus.ErrLocked))
	if err := lock.Unlock(); err != nil {
		log.Fatal(err)
	}
	fmt.Println(db.Update(ctx, create))
	// Output:
	// true true
	// <nil>
}

// When the disk fails in the moment of confirming a commit, nobody can know
// whether it is there. Committed finds out; running the function again without
// asking could do the work twice.
func ExampleUnknownOutcomeError() {
	ctx := context.Background()
	disk := fault.New(mem.NewDisk().Process("a"), 1)
	db, err := durus.Open("bank.durus", &durus.Options{FS: disk})
	if err != nil {
		log.Fatal(err)
	}
	defer db.Close()
	create := func(tx *durus.Tx) error {
		_, err := bank.Edit(tx)
		return err
	}
	if err := db.Update(ctx, create); err != nil {
		log.Fatal(err)
	}

	disk.Add(fault.Rule{Ops: wrap.Sync, Effect: fault.Fail(syscall.EIO)}) // once
	err = db.Update(ctx, func(tx *durus.Tx) error {
		b := durus.Must(bank.Edit(tx))
		b.Accounts = map[string]durus.Ref[Account]{"ada": durus.Must(durus.Add(tx, &Account{Owner: "ada"}))}
		return nil
	})
	var unknown *durus.UnknownOutcomeError
	if errors.As(err, &unknown) {
		fmt.Println("unknown")
		committed, err := db.Committed(unknown.TID) // settles it
		fmt.Println("committed:", committed, err)
	}
	// Output:
	// unknown
	// committed: true <nil>
}

// Damage is an error that says where, of the object that is damaged and no other.
func ExampleCorruptError() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "durus")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "bank.durus")
	db, err := durus.Open(path, nil)
	if err != nil {
		log.Fatal(err)
	}
	err = db.Update(ctx, func(tx *durus.Tx) error {
		ada := durus.Must(durus.Add(tx, &Account{Owner: "a name to be found"}))
		durus.Must(bank.Edit(tx)).Accounts = map[string]durus.Ref[Account]{"ada": ada}
		return nil
	})
	if err := errors.Join(err, db.Close(), damage(path, "a name to be found")); err != nil {
		log.Fatal(err)
	}

	db, err = durus.Open(path, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer db.Close()
	err = db.View(ctx, func(tx *durus.Tx) error {
		b := durus.Must(bank.Load(tx))
		fmt.Println("the bank is whole:", len(b.Accounts), "account")
		_, err := b.Accounts["ada"].Load(tx)
		return err
	})
	var damaged *durus.CorruptError
	if errors.As(err, &damaged) {
		fmt.Println("damaged:", damaged.Path == path, damaged.Offset > 0, damaged.OID > 0)
	}
	// Output:
	// the bank is whole: 1 account
	// damaged: true true true
}

// damage changes a byte of a file where some text stands.
func damage(path, text string) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	for i := range b {
		if string(b[i:min(len(b), i+len(text))]) == text {
			b[i] ^= 1
			return os.WriteFile(path, b, 0o600)
		}
	}
	return fmt.Errorf("%s does not have %q", path, text)
}
