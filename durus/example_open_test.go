package durus_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/durusdb/durus/durus"
	"github.com/durusdb/durus/pack"
)

// Two handles of one file, as two processes would have them.
func ExampleDB() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "durus")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "bank.durus")
	writer, err := durus.Open(path, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer writer.Close()
	reader, err := durus.Open(path, &durus.Options{ReadOnly: true})
	if err != nil {
		log.Fatal(err)
	}
	defer reader.Close()

	err = writer.Update(ctx, func(tx *durus.Tx) error {
		ada := durus.Must(durus.Add(tx, &Account{Owner: "ada"}))
		durus.Must(bank.Edit(tx)).Accounts = map[string]durus.Ref[Account]{"ada": ada}
		return nil
	})
	if err != nil {
		log.Fatal(err)
	}
	n, err := durus.Result(ctx, reader.View, func(tx *durus.Tx) (int, error) {
		b, err := bank.Load(tx)
		return len(b.Accounts), err
	})
	fmt.Println(n, err)
	err = reader.Update(ctx, func(*durus.Tx) error { return nil })
	fmt.Println(errors.Is(err, durus.ErrReadOnly))
	// Output:
	// 1 <nil>
	// true
}

// Tools say MustExist, so that a mistyped name does not become a new database.
func ExampleOptions() {
	_, err := durus.Open("no-such-file.durus", &durus.Options{
		MustExist: true,
		Logger:    slog.New(slog.NewJSONHandler(os.Stderr, nil)),
	})
	fmt.Println(errors.Is(err, fs.ErrNotExist))
	// Output: true
}

// A bulk load that can be done again need not wait for the disk each time.
func ExampleSyncPolicy() {
	ctx := context.Background()
	db, err := durus.OpenMemory(&durus.Options{Sync: durus.SyncNever})
	if err != nil {
		log.Fatal(err)
	}
	defer db.Close()

	for i := range 100 {
		err := db.Update(ctx, func(tx *durus.Tx) error {
			return durus.Must(fair.Load(tx)).Stands.Put(tx, i, "free")
		})
		if err != nil {
			log.Fatal(err)
		}
	}
	fmt.Println(db.Sync(ctx)) // now all of it is on the disk
	// Output: <nil>
}

// In tests a write to what Load gave is found when the transaction ends; Check
// turns that on elsewhere.
func ExampleChecks() {
	ctx := context.Background()
	db, err := durus.OpenMemory(&durus.Options{Check: durus.CheckShared})
	if err != nil {
		log.Fatal(err)
	}
	defer db.Close()

	if err := db.Update(ctx, func(tx *durus.Tx) error {
		_, err := bank.Edit(tx)
		return err
	}); err != nil {
		log.Fatal(err)
	}
	err = db.View(ctx, func(tx *durus.Tx) error {
		b, err := bank.Load(tx)
		if err != nil {
			return err
		}
		b.Accounts = map[string]durus.Ref[Account]{} // wrong: Edit gives a copy for that
		return nil
	})
	fmt.Println(errors.Is(err, durus.ErrSharedWrite))
	// Output: true
}

// Pack removes what nothing refers to, while others read and write.
func ExampleDB_Pack() {
	ctx := context.Background()
	db := open(ctx)
	defer db.Close()

	err := db.Update(ctx, func(tx *durus.Tx) error {
		delete(durus.Must(bank.Edit(tx)).Accounts, "bob") // now nothing leads to bob
		return nil
	})
	if err != nil {
		log.Fatal(err)
	}
	report, err := db.Pack(ctx, pack.Options{})
	fmt.Println(report.Dropped.Objects, "dropped", report.After < report.Before, err)
	// Output: 1 dropped true <nil>
}
