package durus

import (
	"context"
	"fmt"
	"path/filepath"
	"testing"
)

// What an undo of one Put costs, by the size of the tree, and of one object.
func BenchmarkUndo(b *testing.B) {
	for _, n := range []int{1_000, 1_000_000} {
		b.Run(fmt.Sprintf("key of %d", n), func(b *testing.B) {
			db, err := Open(filepath.Join(b.TempDir(), "undo.durus"), &Options{Sync: SyncNever})
			if err != nil {
				b.Fatal(err)
			}
			defer db.Close()
			ctx := context.Background()
			for from := 0; from < n; from += 100_000 {
				commit(b, db, func(tx *Tx) error {
					root := Must(theUndoRoot.Load(tx))
					for k := from; k < min(n, from+100_000); k++ {
						if err := root.Numbers.Put(tx, k, "value"); err != nil {
							return err
						}
					}
					return nil
				})
			}
			last := commit(b, db, func(tx *Tx) error { return Must(theUndoRoot.Load(tx)).Numbers.Put(tx, n/2, "mistake") })
			for b.Loop() {
				if last, err = db.Undo(ctx, last); err != nil { // and redo
					b.Fatal(err)
				}
			}
		})
	}
	b.Run("object", func(b *testing.B) {
		db, err := Open(filepath.Join(b.TempDir(), "undo.durus"), &Options{Sync: SyncNever})
		if err != nil {
			b.Fatal(err)
		}
		defer db.Close()
		ra, _ := openAccounts(b, db, 1, 2)
		last := commit(b, db, func(tx *Tx) error { Must(ra.Edit(tx)).Balance = 5; return nil })
		for b.Loop() {
			if last, err = db.Undo(context.Background(), last); err != nil {
				b.Fatal(err)
			}
		}
	})
}
