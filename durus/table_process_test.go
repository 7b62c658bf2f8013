package durus

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"path/filepath"
	"testing"
	"time"
)

// tableChildEnv makes the test binary a process that works on a table.
const tableChildEnv = "DURUS_TEST_TABLE_CHILD"

// emails are so few that processes want the same ones all the time.
func anEmail() string { return fmt.Sprintf("e%02d", rand.N(60)) }

// tableChild inserts, deletes and edits customers until its standard input
// ends, and prints a line for each transaction. It edits them through what is in
// shop.Others, too, as code does that has never heard of tables.
func tableChild(path string) int {
	return live(path, Options{MaxRetries: 1000, Types: shopTypes(byEmail, byCity, byAge, byTag)}, func(db *DB, _ int) error {
		err := db.Update(context.Background(), func(tx *Tx) error { tableWork(tx); return nil })
		if err != nil && !errors.Is(err, ErrUnique) {
			return err
		}
		fmt.Println("done", errors.Is(err, ErrUnique))
		return nil
	})
}

func tableWork(tx *Tx) {
	s := Must(theShop.Load(tx))
	key := fmt.Sprintf("%03d", rand.N(100))
	switch rand.N(6) {
	case 0, 1:
		if ok := Must(s.Customers.Has(tx, key)); !ok {
			Must(s.Customers.Insert(tx, key, &customer{Name: key, Email: anEmail(), City: anEmail(), Age: rand.N(9), Tags: []string{anEmail(), "all"}}))
		}
	case 2:
		Must(s.Customers.Delete(tx, key))
	case 3:
		c := Must(s.Others[rand.N(len(s.Others))].Edit(tx))
		c.City, c.Email = anEmail(), anEmail()
	case 4:
		c, found := Must2(s.Customers.Edit(tx, key))
		d, both := Must2(s.Customers.Edit(tx, fmt.Sprintf("%03d", rand.N(100))))
		if found && both { // swap
			c.Email, d.Email = d.Email, c.Email
		}
	case 5:
		ref, found, err := byEmail.Lookup(tx, s.Customers, anEmail())
		if err != nil && !errors.Is(err, ErrIndex) { // it may be being built
			Must(0, err)
		}
		if found {
			Must(ref.Edit(tx)).Age++
		}
	}
}

// Processes that insert, edit and delete the same customers, some of which are
// killed, while another one builds two more indexes: no state that anybody sees
// has two customers with one email, or an index that is out of step.
func TestTableProcesses(t *testing.T) {
	if testing.Short() {
		t.Skip("starts processes")
	}
	path := filepath.Join(t.TempDir(), "shop.durus")
	open := func(indexes ...AnyIndex) *DB {
		db, err := Open(path, &Options{MaxRetries: 1000, Types: shopTypes(indexes...)})
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
	old := open(byCity)
	update(t, old, func(tx *Tx) error {
		s := Must(theShop.Edit(tx))
		for i := range 20 {
			ref := Must(s.Customers.Insert(tx, fmt.Sprint("other ", i), &customer{Email: fmt.Sprint("other ", i)}))
			s.Others = append(s.Others, ref)
		}
		for i := range 500 {
			Must(s.Customers.Insert(tx, fmt.Sprintf("idle %03d", i), &customer{Email: fmt.Sprint("idle ", i), Age: i % 7}))
		}
		return nil
	})
	db := open(byEmail, byCity, byAge, byTag)
	built, begun := make(chan error), make(chan bool, 1000)
	go func() {
		table, err := Result(t.Context(), db.View, func(tx *Tx) (Table[string, customer], error) {
			s, err := theShop.Load(tx)
			return s.Customers, err
		})
		if err == nil {
			err = Reindex(t.Context(), db, table, &ReindexOptions{Batch: 5, Progress: func(ReindexProgress) { begun <- true }})
		}
		built <- err
	}()
	<-begun // from now on nobody can take an email twice
	children := []*childProcess{startTableChild(t, path), startTableChild(t, path)}
	children[0].line(t)
	early := len(begun)
	look := func() {
		view(t, db, func(tx *Tx) error { return Must(theShop.Load(tx)).Customers.Check(tx) })
		checkTables(t, db)
	}
	work := func(until time.Time) {
		for time.Now().Before(until) {
			victim := startTableChild(t, path)
			for range 30 {
				victim.line(t)
				children[0].line(t)
				children[1].line(t)
			}
			look()
			_ = victim.cmd.Process.Kill()
			_ = victim.cmd.Wait()
		}
	}
	for done := false; !done; {
		work(time.Now().Add(time.Millisecond))
		select {
		case err := <-built:
			if err != nil {
				t.Fatal(err)
			}
			done = true
		default:
		}
	}
	t.Logf("%d of %d steps before the others wrote", early+1, len(begun)+1)
	work(time.Now().Add(time.Second))
	for _, c := range children {
		if err := c.in.Close(); err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, c.out)
		if err := c.cmd.Wait(); err != nil {
			t.Errorf("a child: %v", err)
		}
	}
	look()
	verify(t, db)
}

func startTableChild(t *testing.T, path string) *childProcess {
	return startChildIn(t, tableChildEnv, path)
}
