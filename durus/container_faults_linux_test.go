package durus

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/durusdb/durus/internal/collection"
)

// work makes n steps at the workplace, which change all of its containers alike.
func (p *program) work(s Session, from, n int) error {
	w, err := theWorkplace.Load(s)
	for i := from; i < from+n && err == nil; i++ {
		name := fmt.Sprint("s", i)
		_, inserted := w.Ordered.Insert(s, i, i)
		err = errors.Join(inserted, w.Spread.Put(s, name, i), w.Names.Add(s, name), w.Log.Append(s, name), w.Done.Add(s, 1))
	}
	return err
}

func (p *program) readAll(s Session) error {
	w, err := theWorkplace.Load(s)
	if err != nil {
		return err
	}
	n := 0
	for range w.Ordered.Backward(s) {
		n++
	}
	for range w.Log.All(s) {
		n++
	}
	length, err := w.Spread.Len(s)
	if err == nil && s.Err() == nil && n != 2*length {
		err = fmt.Errorf("%d entries of %d", n, 2*length)
	}
	return errors.Join(err, s.Err())
}

// rival commits to the same nodes through a handle of its own.
func (p *program) rival(from int) error {
	db, err := Open(p.path, &Options{Logger: p.logger})
	if err != nil {
		return err
	}
	err = db.Update(context.Background(), func(tx *Tx) error { return p.work(tx, from, 3) })
	return errors.Join(err, db.Close())
}

var containerTasks = []task{
	{"containers: view", func(p *program) error {
		return p.db.View(context.Background(), func(tx *Tx) error { return p.readAll(tx) })
	}},
	{"containers: update", func(p *program) error {
		return p.db.Update(context.Background(), func(tx *Tx) error { return errors.Join(p.readAll(tx), p.work(tx, 1000, 1)) })
	}},
	{"containers: splits", func(p *program) error {
		return p.db.Update(context.Background(), func(tx *Tx) error { return p.work(tx, 1000, 12) })
	}},
	{"containers: rebase", func(p *program) error {
		tx, err := p.db.Begin(context.Background(), true)
		if err != nil {
			return err
		}
		defer tx.Rollback()
		if err := p.work(tx, 1000, 4); err != nil {
			return err
		}
		if err := p.rival(2000); err != nil {
			return fmt.Errorf("the other handle: %w", err)
		}
		return tx.Commit()
	}},
	{"containers: group", func(p *program) error {
		errs := make([]error, 6)
		var group sync.WaitGroup
		for g := range errs {
			group.Go(func() {
				errs[g] = p.db.Update(context.Background(), func(tx *Tx) error { return p.work(tx, 1000+100*g, 2) })
			})
		}
		group.Wait()
		return errors.Join(errs...)
	}},
	{"containers: live connection", func(p *program) error {
		c, err := p.db.Connect(context.Background())
		if err != nil {
			return err
		}
		err = p.work(c, 1000, 1)
		if err == nil {
			err = p.rival(2000)
		}
		if err == nil {
			err = p.work(c, 1001, 1)
		}
		if err == nil {
			err = c.Commit()
		}
		return errors.Join(err, c.Abort(), c.Close())
	}},
}

// wholeWorkplace opens the file without faults: the containers are whole, and
// each transaction has changed all of them or none.
func wholeWorkplace(t *testing.T, path string) {
	t.Helper()
	db, err := Open(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	verify(t, db)
	view(t, db, func(tx *Tx) error {
		w := Must(theWorkplace.Load(tx))
		n := Must(w.Ordered.Len(tx))
		if a, b, c, d := Must(w.Spread.Len(tx)), Must(w.Names.Len(tx)), Must(w.Log.Len(tx)), Must(w.Done.Value(tx)); a != n || b != n || c != n || d != int64(n) {
			t.Errorf("lengths %d, %d, %d, %d, %d", n, a, b, c, d)
		}
		return nil
	})
}

// Any call of the storage fails while a program uses containers, once or from
// then on, instead of happening or after it has: the transaction fails as a whole,
// with that error, nothing leaks, and the containers stay whole and usable.
// A2 A7 D10 D14
func TestEveryCallFailsWithContainers(t *testing.T) {
	old := collection.Default
	collection.Default = collection.Limits{Leaf: 4, LeafBytes: 200, Fanout: 4, Counters: 2}
	t.Cleanup(func() { collection.Default = old })
	template := filepath.Join(t.TempDir(), "template.durus")
	db, err := Open(template, nil)
	if err != nil {
		t.Fatal(err)
	}
	a, b := openAccounts(t, db, 60, 40)
	update(t, db, func(tx *Tx) error { return (&program{}).work(tx, 0, 30) })
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	image, err := os.ReadFile(template)
	if err != nil {
		t.Fatal(err)
	}
	step := 1
	if os.Getenv("DURUS_KILL_SECONDS") == "" { // make torture tries them all
		step = 13
	}
	bad := &weather{image: image, refs: [2]Ref[account]{RefTo[account](a.OID()), RefTo[account](b.OID())}, step: step, whole: wholeWorkplace}
	if tried := bad.try(t, containerTasks); tried < 400/step {
		t.Errorf("%d faults did not reach what they should", tried)
	}
}
