//go:build linux && (amd64 || arm64)

package fusedisk

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/durusdb/durus/durus"
)

// writerTask is what a writer process does: each of its writers goes on with
// the transaction after the last that was acknowledged to it.
type writerTask struct {
	Path    string
	Writers map[int]int // the number of the last transaction of each
	Limit   int         // transactions of each writer
	Lie     string      // what it does wrong, see the lies
}

// The lies that a writer can tell, so that it shows whether anybody notices.
const (
	lieEarly   = "early"   // acknowledges what is not synced
	lieUnknown = "unknown" // takes an unknown outcome for success, and ends
)

// maxFailures is how many errors in a row a writer bears: the file system is
// beyond use then.
const maxFailures = 6

// runWriter commits, and tells what it was told, a line at a time:
//
//	ack WRITER NUMBER         the transaction is durable
//	deny TID                  it was not committed and never will be
//	refuse WRITER NUMBER      it was not committed, and the writer gives up
//	trouble TEXT              an error that is no answer
//	broken TEXT               something that must not happen
func runWriter(task writerTask) error {
	o := &durus.Options{MaxRetries: 1000, Logger: slog.New(slog.DiscardHandler)}
	if task.Lie == lieEarly {
		o.Sync = durus.SyncNever
	}
	db, err := durus.Open(task.Path, o)
	if err != nil {
		return tell("trouble open: %v", err)
	}
	ctx := untilEOF(os.Stdin)
	var all sync.WaitGroup
	errs := make(chan error, len(task.Writers))
	for w, done := range task.Writers {
		all.Go(func() { errs <- task.write(ctx, db, w, done+1) })
	}
	all.Wait()
	close(errs)
	for err := range errs {
		if err != nil {
			return err
		}
	}
	if task.Lie != "" {
		os.Exit(0) // Close would make it true
	}
	if err := db.Close(); err != nil {
		return tell("trouble close: %v", err)
	}
	return nil
}

// write is one writer. Its error is one of standard output.
func (task *writerTask) write(ctx context.Context, db *durus.DB, w, n int) error {
	failures := 0
	for end := n + task.Limit; n < end && failures < maxFailures; {
		if ctx.Err() != nil {
			return nil
		}
		err := db.Update(context.Background(), func(tx *durus.Tx) error { return step(tx, w, n) })
		var unknown *durus.UnknownOutcomeError
		var out *stepError
		switch {
		case err == nil:
			failures = 0
			if err := tell("ack %d %d", w, n); err != nil {
				return err
			}
			n++
		case errors.As(err, &out):
			return tell("broken %v", err)
		case errors.As(err, &unknown):
			if err := tell("trouble writer %d, transaction %d: %v", w, n, err); err != nil {
				return err
			}
			if task.Lie == lieUnknown {
				return tell("ack %d %d", w, n)
			}
			there, err := settle(db, unknown.TID)
			failures = 0
			switch {
			case err != nil:
				return tell("trouble writer %d, transaction %d is open: %v", w, n, err)
			case there:
				err = tell("ack %d %d", w, n)
				n++
			default:
				err = tell("deny %d", unknown.TID)
			}
			if err != nil {
				return err
			}
		default:
			failures++
			if err := tell("trouble writer %d, transaction %d: %v", w, n, err); err != nil {
				return err
			}
			time.Sleep(time.Millisecond)
		}
	}
	if failures == maxFailures {
		return tell("refuse %d %d", w, n)
	}
	return nil
}

// settle asks for the outcome of a transaction until there is an answer.
func settle(db *durus.DB, tid durus.TID) (there bool, err error) {
	for range maxFailures {
		if there, err = db.Committed(tid); err == nil {
			return there, nil
		}
		time.Sleep(time.Millisecond)
	}
	return false, err
}

// untilEOF is, in a child, a context that ends with its standard input.
func untilEOF(in io.Reader) context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		_, _ = io.Copy(io.Discard, in) // any end is the end
		cancel()
	}()
	return ctx
}

// tell writes a line to standard output: one write, so that it is heard as a
// whole and at once.
func tell(format string, args ...any) error {
	line := strings.ReplaceAll(fmt.Sprintf(format, args...), "\n", "; ")
	_, err := os.Stdout.WriteString(line + "\n")
	return err
}
