package docs

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/durusdb/durus/durus"
)

// The program in docs/evolving-types.md, and the one before it.

type personV1 struct { // as it was; not registered
	Name string // "Ada Lovelace"
}

type Person struct {
	First, Last string
	Mail        string
}

var _ = durus.Register[Person]("crm.Person",
	durus.Version(2),
	durus.Upgrade(1, func(old *personV1, new *Person) error {
		var ok bool
		if new.First, new.Last, ok = strings.Cut(old.Name, " "); !ok {
			return fmt.Errorf("%q is not a first and a last name", old.Name)
		}
		return nil
	}))

// Contacts is the root of both programs.
type Contacts struct{ First durus.AnyRef }

var contacts = durus.NewRoot[Contacts]("contacts")

var _ = durus.Register[Contacts]("crm.Contacts")

func TestEvolvingTypes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "crm.durus")
	type person struct{ Name, Mail string }
	before := durus.NewTypes()
	durus.RegisterIn[person](before, "crm.Person")
	durus.RegisterIn[Contacts](before, "crm.Contacts")

	old := open(t, path, &durus.Options{Types: before})
	err := old.Update(t.Context(), func(tx *durus.Tx) error {
		ada := durus.Must(durus.Add(tx, &person{"Ada Lovelace", "ada@example.org"}))
		durus.Must(contacts.Edit(tx)).First = ada.Any()
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	got, err := durus.Result(context.Background(), open(t, path, nil).View, func(tx *durus.Tx) (Person, error) {
		p, err := durus.As[Person](durus.Must(contacts.Load(tx)).First).Load(tx)
		return *p, err
	})
	if want := (Person{"Ada", "Lovelace", "ada@example.org"}); err != nil || got != want {
		t.Errorf("the new program reads %v, %v, want %v", got, err, want)
	}
}

func open(t *testing.T, path string, opts *durus.Options) *durus.DB {
	t.Helper()
	db, err := durus.Open(path, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}
