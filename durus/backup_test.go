package durus

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"github.com/durusdb/durus/pack"
)

// SCENARIO 86: a backup that is made while others write and pack opens to the
// state of its transaction, read-only as well, and goes on from there.
func TestBackupWhileOthersWrite(t *testing.T) {
	dir := t.TempDir()
	db, err := Open(filepath.Join(dir, "bank.durus"), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	openAccounts(t, db, 500, 500)
	stop := make(chan struct{})
	var work sync.WaitGroup
	work.Go(func() {
		for i := int64(0); ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			if err := db.Update(context.Background(), func(tx *Tx) error {
				root := Must(theBank.Load(tx))
				Must(root.Accounts["a"].Edit(tx)).Balance -= i%7 - 3
				Must(root.Accounts["b"].Edit(tx)).Balance += i%7 - 3
				return nil
			}); err != nil {
				t.Error(err)
				return
			}
			if i%50 == 49 {
				packed(t, db, pack.Options{})
			}
		}
	})
	for range 20 {
		before, err := db.LastTID()
		if err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		tid, err := db.Backup(t.Context(), &out)
		if err != nil {
			t.Fatal(err)
		}
		name := filepath.Join(dir, "copy")
		if err := os.WriteFile(name, out.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
		for _, readOnly := range []bool{true, false} {
			c, err := Open(name, &Options{ReadOnly: readOnly, MustExist: true})
			if err != nil {
				t.Fatal(err)
			}
			if last, err := c.LastTID(); err != nil || last != tid || last < before {
				t.Errorf("the copy ends at %s, %v; Backup said %s, it was %s before", last, err, tid, before)
			}
			if sum := balance(t, c, "a") + balance(t, c, "b"); sum != 1000 {
				t.Errorf("the sum is %d", sum)
			}
			if !readOnly {
				update(t, c, func(tx *Tx) error { _, err := Add(tx, &account{}); return err })
			}
			verify(t, c)
			if err := c.Close(); err != nil {
				t.Error(err)
			}
		}
		for _, x := range []string{name, name + ".lock"} {
			if err := os.Remove(x); err != nil {
				t.Fatal(err)
			}
		}
	}
	close(stop)
	work.Wait()
}

// A backup of a read-only handle, of a database in memory, of a closed one.
func TestBackupHandles(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.durus")
	db, err := Open(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	openAccounts(t, db, 1, 2)
	reader, err := Open(path, &Options{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	memory, err := OpenMemory(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer memory.Close()
	openAccounts(t, memory, 1, 2)
	var copies [][]byte
	for _, h := range []*DB{db, reader, memory} {
		var out bytes.Buffer
		tid, err := h.Backup(t.Context(), &out)
		if err != nil {
			t.Fatal(err)
		}
		if last, err := h.LastTID(); err != nil || last != tid {
			t.Errorf("%s, %v; want %s", tid, err, last)
		}
		copies = append(copies, out.Bytes())
	}
	if !slices.Equal(copies[0], copies[1]) {
		t.Error("the read-only handle copies something else")
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := db.Backup(t.Context(), &bytes.Buffer{}); !errors.Is(err, ErrClosed) {
		t.Errorf("closed: %v", err)
	}
}
