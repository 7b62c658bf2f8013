//go:build linux && (amd64 || arm64)

package fusedisk

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math"
	"os"
	"slices"
	"strconv"

	"github.com/durusdb/durus/durus"
	"github.com/durusdb/durus/filestorage"
	"github.com/durusdb/durus/storage"
	"github.com/durusdb/durus/vfs/posix"
)

// judgeTask is what must hold of a database after a power cut.
type judgeTask struct {
	Path   string
	Acked  [maxWriters]int // the last transaction acknowledged to each writer
	Denied []storage.TID   // transactions that are known not to be there

	// Refused is, for writers that gave up, the transaction that never was.
	Refused map[int]int
}

// runJudge looks at a database that a power cut has left: it opens, or is not
// there if nobody was told that it is; it holds what was acknowledged and
// nothing in part; it verifies before and after its recovery, and takes a new
// commit. What is wrong is its error.
func runJudge(task judgeTask) error {
	_, err := os.Lstat(task.Path)
	switch {
	case err == nil:
		// A handle that may not write shows what the mark covers, and the mark
		// is not synced: it may show less than what was acknowledged.
		before := task
		before.Acked = [maxWriters]int{}
		if err := before.inspect(); err != nil {
			return fmt.Errorf("before recovery: %w", err)
		}
	case !errors.Is(err, fs.ErrNotExist):
		return err
	case task.Acked != [maxWriters]int{}:
		return fmt.Errorf("the database is gone, and these were acknowledged: %v", task.Acked)
	}
	if err := task.commit(); err != nil {
		return fmt.Errorf("a new commit: %w", err)
	}
	if err := task.inspect(); err != nil {
		return fmt.Errorf("after recovery: %w", err)
	}
	return nil
}

// inspect looks without changing anything.
func (task *judgeTask) inspect() error {
	st, err := filestorage.Open(task.Path, filestorage.Options{FS: posix.New(), ReadOnly: true})
	if err != nil {
		return err
	}
	err = task.inspectStorage(st)
	if err = errors.Join(err, st.Close()); err != nil {
		return err
	}
	db, err := durus.Open(task.Path, &durus.Options{ReadOnly: true})
	if err != nil {
		return err
	}
	return errors.Join(db.View(context.Background(), task.check), db.Close())
}

// check compares what a transaction sees with what was acknowledged.
func (task *judgeTask) check(tx *durus.Tx) error {
	done, err := audit(tx)
	if err != nil {
		return err
	}
	for w := range done {
		if done[w] < task.Acked[w] {
			return fmt.Errorf("lost: writer %d was told that %d transactions are durable, %d are there", w, task.Acked[w], done[w])
		}
		if n := task.Refused[w]; n != 0 && done[w] >= n {
			return fmt.Errorf("transaction %d of writer %d is there, and every attempt at it was answered with an error", n, w)
		}
	}
	return nil
}

func (task *judgeTask) inspectStorage(st *filestorage.Storage) error {
	report, err := st.Verify(context.Background(), nil)
	if err != nil {
		return err
	}
	if !report.OK() {
		return fmt.Errorf("verify: %v", report.Problems)
	}
	// The log names each transaction of a writer once, in order.
	var done [maxWriters]int
	for t, err := range st.Transactions(0, math.MaxUint64) {
		if err != nil {
			return err
		}
		w, err1 := strconv.Atoi(t.User)
		n, err2 := strconv.Atoi(t.Description)
		if err := errors.Join(err1, err2); err != nil {
			return err
		}
		if n != done[w]+1 {
			return fmt.Errorf("the log has transaction %d of writer %d after %d", n, w, done[w])
		}
		done[w] = n
		if slices.Contains(task.Denied, t.TID) {
			return fmt.Errorf("transaction %s (%d of writer %d) is there, and its writer was told that it is not", t.TID, n, w)
		}
	}
	return nil
}

// commit adds a transaction of the judge's own, which whoever looks later must
// find.
func (task *judgeTask) commit() error {
	db, err := durus.Open(task.Path, &durus.Options{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}
	var done [maxWriters]int
	err = db.Update(context.Background(), func(tx *durus.Tx) error {
		if err := task.check(tx); err != nil {
			return err
		}
		if done, err = audit(tx); err != nil {
			return err
		}
		return step(tx, judge, done[judge]+1)
	})
	if err == nil {
		task.Acked = done
		task.Acked[judge]++
		err = tell("ack %d %d", judge, task.Acked[judge])
	}
	return errors.Join(err, db.Close())
}
