package main

import (
	"bytes"
	"context"
	"path/filepath"
	"strings"
	"testing"

	"github.com/durusdb/durus/durus"
	"github.com/durusdb/durus/filestorage"
	"github.com/durusdb/durus/internal/codec"
	"github.com/durusdb/durus/internal/collection"
	"github.com/durusdb/durus/storage"
	"github.com/durusdb/durus/vfs/posix"
)

type customer struct{ Name, Email string }

type shop struct {
	Customers durus.Table[string, customer]
}

var (
	byEmail = durus.NewIndex("email", func(c *customer) string { return c.Email }).Unique()
	_       = durus.Register[customer]("shop.Customer", durus.Indexes(byEmail))
	_       = durus.Register[shop]("shop.Shop")
	theShop = durus.NewRoot[shop]("shop")
)

// verify finds an index that has lost an entry, without knowing the types.
func TestVerifyTables(t *testing.T) {
	ctx := context.Background()
	path := filepath.Join(t.TempDir(), "shop.durus")
	db, err := durus.Open(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Update(ctx, func(tx *durus.Tx) error {
		s := durus.Must(theShop.Load(tx))
		durus.Must(s.Customers.Insert(tx, "ada", &customer{"Ada", "ada@x"}))
		durus.Must(s.Customers.Insert(tx, "bob", &customer{"Bob", "bob@x"}))
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	verify := func() (int, string) {
		var out, problems bytes.Buffer
		code := run(ctx, []string{"verify", path}, &out, &problems)
		return code, out.String() + problems.String()
	}
	if code, out := verify(); code != exitOK {
		t.Fatalf("exit code %d: %s", code, out)
	}
	loseEntry(t, path)
	if code, out := verify(); code != exitProblems || !strings.Contains(out, `index "email" has no entry of object`) {
		t.Errorf("exit code %d: %s", code, out)
	}
}

// loseEntry takes the last key out of the index: a leaf of two emails.
func loseEntry(t *testing.T, path string) {
	t.Helper()
	st, err := filestorage.Open(path, filestorage.Options{FS: posix.New(), Foreground: true})
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	snap, err := st.Begin(t.Context(), true)
	if err != nil {
		t.Fatal(err)
	}
	defer snap.Release()
	for oid := storage.OID(1); oid < 50; oid++ {
		pos, err := snap.Find(oid)
		if err != nil {
			continue
		}
		rec, err := snap.Read(oid, pos)
		if err != nil {
			t.Fatal(err)
		}
		if name, _ := snap.ClassName(rec.Class); name != collection.ClassBTree || !bytes.Contains(rec.Payload, []byte("bob@x")) || bytes.Contains(rec.Payload, []byte("\xa3bob")) {
			continue
		}
		n, err := collection.Parse(rec.Payload)
		if err != nil || len(n.Keys) != 2 {
			t.Fatal(n, err)
		}
		b := codec.AppendString(codec.AppendMapHead(nil, 4), "key")
		b = codec.AppendString(codec.AppendString(b, n.Key), "level")
		b = codec.AppendString(codec.AppendUint(b, 0), "keys")
		b = codec.AppendString(append(codec.AppendArrayHead(b, 1), n.Keys[0]...), "values")
		b = append(codec.AppendArrayHead(b, 1), n.Values[0]...)
		rec.Payload, rec.Strong = b, rec.Strong[:1]
		if _, err := st.Commit(t.Context(), &storage.Commit{Base: snap, Records: []storage.Record{rec}}); err != nil {
			t.Fatal(err)
		}
		return
	}
	t.Fatal("there is no index")
}
