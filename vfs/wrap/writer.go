package wrap

import (
	"errors"
	"fmt"

	"github.com/durusdb/durus/vfs"
)

// writer is a vfs.Writer.
type writer struct {
	fs      *FS
	name    string
	lower   vfs.Writer
	off     int64 // bytes taken
	created bool  // the Create call was made
	err     error // the first that the function reported; Commit returns it
	ended   bool  // committed, well or not, or aborted
	result  error // what Commit returns from then on
}

var _ vfs.Writer = (*writer)(nil)

// do runs a call, after that of the creation. It leaves what went wrong to
// Commit.
func (w *writer) do(c *Call) {
	c.Writer = w.lower
	if !w.created {
		w.created = true
		first := newCall(Create, w.name)
		first.Writer = w.lower
		w.fs.do(first)
		w.err = first.Err
		first.free()
	}
	if w.err == nil {
		w.fs.do(c)
	}
}

func (w *writer) closed(op Op) error {
	return fmt.Errorf("wrap: %s %s: %w", op, w.name, vfs.ErrClosed)
}

func (w *writer) Write(p []byte) (int, error) {
	if w.ended {
		return 0, w.closed(Write)
	}
	c := newCall(Write, w.name)
	c.Data, c.Off = p, w.off
	w.do(c)
	again, err := c.Again(), c.Err
	c.free()
	switch {
	case again:
		return 0, err
	case w.err == nil && err != nil:
		w.err = err
	}
	w.off += int64(len(p))
	return len(p), nil
}

// end ends the use of the writer.
func (w *writer) end(result error) { w.ended, w.result = true, result }

func (w *writer) Commit() error {
	if w.ended {
		return w.result
	}
	c := newCall(Commit, w.name)
	w.do(c)
	again, err, ran, done := c.Again(), c.Err, c.ran, c.succeeded
	c.free()
	switch {
	case w.err != nil: // from Create or Write, or from Commit before
	case again:
		return err
	case err == nil:
		w.end(w.closed(Commit))
		if !ran { // a lie: the storage below must not keep what nobody will ask for
			_ = w.lower.Abort()
		}
		return nil
	case done:
		w.end(errors.Join(vfs.ErrUnknownOutcome, err))
		return w.result
	case ran: // the storage below has dropped it
		w.end(err)
		return err
	default:
		w.err = err
	}
	if lower := w.lower.Abort(); errors.Is(lower, vfs.ErrAgain) {
		return lower // and then the error that counts
	}
	w.end(w.err)
	return w.err
}

// Abort always reaches the writer below.
func (w *writer) Abort() error {
	if w.ended {
		return nil
	}
	c := newCall(Abort, w.name)
	c.Writer = w.lower
	w.fs.do(c)
	again, err, ran := c.Again(), c.Err, c.ran
	c.free()
	if !ran {
		lower := w.lower.Abort()
		if again = errors.Is(lower, vfs.ErrAgain); again || err == nil {
			err = lower
		}
	}
	if !again {
		w.end(w.closed(Commit))
	}
	return err
}

// asyncWriter is a writer of an asynchronous storage.
type asyncWriter struct {
	*writer
	ready vfs.Ready
}

var _ vfs.Ready = (*asyncWriter)(nil)

func (w *asyncWriter) OnReady(fn func()) { w.ready.OnReady(fn) }
