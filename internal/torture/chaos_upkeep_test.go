//go:build linux

package torture

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/durusdb/durus/durus"
	"github.com/durusdb/durus/pack"
)

// pack packs, with or without history, dry, or until it is told to stop.
func (w *chaosWorker) pack() {
	db := w.db.Load()
	var o pack.Options
	switch w.rnd.IntN(5) {
	case 0:
		o.Keep = time.Duration(w.rnd.Int64N(int64(2 * time.Second)))
	case 1:
		o.KeepFrom, _ = w.seen()
	case 2:
		o.KeepFrom = 1
	}
	o.DryRun = w.rnd.IntN(6) == 0
	ctx, cancel := context.WithCancel(w.ctx)
	defer cancel()
	stop := w.rnd.IntN(4) == 0
	if stop {
		time.AfterFunc(time.Duration(w.rnd.Int64N(int64(30*time.Millisecond))), cancel)
	}
	for range 1 + w.rnd.IntN(3) {
		r, err := db.Pack(ctx, o)
		expected := []error{durus.ErrPacking}
		if stop {
			expected = append(expected, context.Canceled)
		}
		if w.accept(db, err, expected...) {
			w.expect(r.DanglingTotal == 0, "dangling references: %v", r.Dangling)
			w.counts["packed"]++
		}
	}
}

// readOnly looks with a handle that may not write.
func (w *chaosWorker) readOnly() {
	o := w.task.Options
	o.ReadOnly = true
	db, err := w.open(o)
	if err != nil {
		w.fail("%v", err)
	}
	if db == nil {
		return
	}
	for range 1 + w.rnd.IntN(4) {
		w.look(db, nil)
		err := db.Update(w.ctx, func(*durus.Tx) error { return nil })
		w.expect(errors.Is(err, durus.ErrReadOnly), "an Update of a handle that is read-only: %v", err)
		if w.rnd.IntN(2) == 0 {
			time.Sleep(time.Duration(w.rnd.Int64N(int64(20 * time.Millisecond))))
		}
	}
	if err := w.close(db); err != nil {
		w.fail("%v", err)
	}
}

// backup writes one, and looks into it.
func (w *chaosWorker) backup() {
	db := w.db.Load()
	var b bytes.Buffer
	tid, err := db.Backup(w.ctx, &b)
	if !w.accept(db, err) {
		return
	}
	dir, err := os.MkdirTemp(filepath.Dir(w.task.Path), "backup-")
	if err != nil {
		w.fail("%v", err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "copy.durus")
	if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
		w.fail("%v", err)
	}
	copied, err := durus.Open(path, nil)
	if err != nil {
		w.fail("the backup of transaction %s: %v", tid, err)
	}
	var s scene
	err = copied.View(w.ctx, func(tx *durus.Tx) (err error) {
		s, err = audit(tx, w.task.Workers)
		return err
	})
	if w.accept(db, err) {
		w.expect(s.TID == tid, "a backup of transaction %s holds %s", tid, s.TID)
		w.note(s)
	}
	if report, err := copied.Verify(w.ctx); w.accept(db, err) {
		w.expect(report.OK(), "a backup of transaction %s: %v", tid, report)
	}
	if err := copied.Close(); err != nil {
		w.fail("%v", err)
	}
}

func (w *chaosWorker) verify() {
	db := w.db.Load()
	if report, err := db.Verify(w.ctx); w.accept(db, err) {
		w.expect(report.OK(), "%v", report)
	}
	tables, err := durus.CheckTables(w.ctx, db)
	if w.accept(db, err) {
		for _, t := range tables {
			w.expect(len(t.Problems) == 0, "table %s: %v", t.OID, t.Problems)
		}
	}
}

// drawer returns the table whose indexes come and go.
func (w *chaosWorker) drawer(db *durus.DB) (t durus.Table[int64, Row], ok bool) {
	err := db.View(w.ctx, func(tx *durus.Tx) error {
		v, err := vault.Load(tx)
		if err == nil {
			t = v.Drawer
		}
		return err
	})
	return t, w.accept(db, err) && t.OID() > 0
}

func (w *chaosWorker) reindex() {
	db := w.db.Load()
	if t, ok := w.drawer(db); ok {
		err := durus.Reindex(w.ctx, db, t, &durus.ReindexOptions{Batch: 1 + w.rnd.IntN(10), Again: w.rnd.IntN(2) == 0})
		if w.accept(db, err, durus.ErrIndex, durus.ErrUnique, durus.ErrNotFound) {
			w.counts["indexed"]++
		}
	}
}

func (w *chaosWorker) dropIndex() {
	w.update("drop index", func(tx *durus.Tx, v *Vault) error {
		name := []string{chaosName.Name(), chaosTag.Name()}[w.rnd.IntN(2)]
		_, err := durus.DropIndex(tx, v.Drawer, name)
		return err
	})
}

func (w *chaosWorker) migrate() {
	db := w.db.Load()
	r, err := db.Migrate(w.ctx, nil)
	if w.accept(db, err) {
		w.expect(r.Failed == 0 && r.TooNew == 0 && r.Unknown == 0, "%+v", r)
	}
}

// instances finds all purses, and the relics of both versions.
func (w *chaosWorker) instances() {
	db := w.db.Load()
	err := db.View(w.ctx, func(tx *durus.Tx) error {
		v, err := vault.Load(tx)
		if err != nil {
			return err
		}
		missing := make(map[durus.OID]bool)
		for _, p := range v.Purses {
			missing[p.OID()] = true
		}
		for ref := range durus.Instances[Purse](tx) {
			delete(missing, ref.OID())
		}
		for range durus.Instances[Relic](tx) {
		}
		if err := tx.Err(); err != nil {
			return err
		}
		w.expect(len(missing) == 0, "at transaction %s Instances does not find %v", tx.Snapshot(), missing)
		return nil
	})
	w.accept(db, err)
}

// inspectChaos is what a fresh process says of the database afterwards.
func inspectChaos(task chaosTask) error {
	ctx := context.Background()
	db, err := durus.Open(task.Path, &durus.Options{MustExist: true})
	if err != nil {
		return err
	}
	var s scene
	if err := db.View(ctx, func(tx *durus.Tx) (err error) {
		s, err = audit(tx, task.Workers)
		return err
	}); err != nil {
		return err
	}
	report, err := db.Verify(ctx)
	if err != nil || !report.OK() {
		return errors.Join(err, fmt.Errorf("%v", report))
	}
	for i, n := range s.Pages {
		if err := tell("page %d %d", i, n); err != nil {
			return err
		}
	}
	if _, err := db.Pack(ctx, pack.Options{}); err != nil {
		return err
	}
	return errors.Join(db.Close(), tell("sound"))
}
