package wrap_test

import (
	"errors"
	"io/fs"
	"path/filepath"
	"slices"
	"syscall"
	"testing"

	"github.com/durusdb/durus/vfs"
	"github.com/durusdb/durus/vfs/wrap"
)

// Contract rule 2: a Writer takes all that it is given, Commit tells what went
// wrong, always the same, and nothing is left. Only a Commit that was done and
// is reported as failed may have left the file, and says so.
func TestWriterFails(t *testing.T) { // A2
	boom := errors.New("boom")
	for _, x := range []struct {
		name    string
		op      wrap.Op
		after   bool
		unknown bool
	}{
		{"create", wrap.Create, false, false},
		{"write", wrap.Write, false, false},
		{"after write", wrap.Write, true, false},
		{"commit", wrap.Commit, false, false},
		{"after commit", wrap.Commit, true, true},
	} {
		t.Run(x.name, func(t *testing.T) {
			everywhere(t, func(t *testing.T, lower vfs.FS, dir string) {
				name := filepath.Join(dir, "f")
				fired := 0
				fsys := wrap.New(lower, func(c *wrap.Call) {
					if c.Op != x.op || x.after {
						c.Next()
					}
					if c.Op == x.op && (fired == 0 || x.op != wrap.Write) {
						fired++
						c.Err = boom
					}
				})
				w := fsys.Create(name, vfs.FailIfExists, 0o600)
				for range 3 {
					if n, err := w.Write([]byte("abc")); n != 3 || err != nil {
						t.Errorf("Write %d, %v", n, err)
					}
				}
				first := w.Commit()
				is(t, first, boom)
				if errors.Is(first, vfs.ErrUnknownOutcome) != x.unknown {
					t.Errorf("Commit: %v", first)
				}
				if err := w.Commit(); !same(err, first) {
					t.Errorf("Commit again: %v", err)
				}
				_, err := w.Write(nil)
				is(t, err, vfs.ErrClosed)
				check(t, w.Abort())
				if fired != 1 {
					t.Errorf("fired %d times", fired)
				}
				var want []string
				if x.unknown {
					want = []string{"f"}
				}
				if got := list(t, lower, filepath.Join(dir, "f")); !slices.Equal(got, want) {
					t.Errorf("left are %q, want %q", got, want)
				}
			})
		})
	}
}

// A failure of the storage below is no unknown outcome.
func TestWriterFailsBelow(t *testing.T) {
	everywhere(t, func(t *testing.T, lower vfs.FS, dir string) {
		name := filepath.Join(dir, "f")
		create(t, lower, name, "old")
		var seen []wrap.Op
		w := wrap.New(lower, opsOf(&seen)).Create(name, vfs.FailIfExists, 0o600)
		first := w.Commit()
		is(t, first, fs.ErrExist)
		if err := w.Commit(); !same(err, first) || errors.Is(err, vfs.ErrUnknownOutcome) {
			t.Errorf("Commit: %v, then %v", first, err)
		}
		if want := []wrap.Op{wrap.Create, wrap.Commit}; !slices.Equal(seen, want) {
			t.Errorf("calls %v, want %v", seen, want)
		}
	})
}

// A Commit that was successful, or pretended to be, and an Abort are the end.
func TestWriterEnds(t *testing.T) {
	everywhere(t, func(t *testing.T, lower vfs.FS, dir string) {
		name := filepath.Join(dir, "f")
		skip := wrap.Op(0)
		fsys := wrap.New(lower, func(c *wrap.Call) {
			if skip.Has(c.Op) {
				if c.Op == wrap.Abort {
					c.Err = syscall.EIO
				}
				return
			}
			c.Next()
		})
		closed := func(w vfs.Writer) {
			t.Helper()
			_, err := w.Write(nil)
			is(t, err, vfs.ErrClosed)
			is(t, w.Commit(), vfs.ErrClosed)
			check(t, w.Abort())
		}
		w := fsys.Create(name, vfs.FailIfExists, 0o600)
		check(t, w.Commit())
		closed(w)
		check(t, fsys.Remove(name))

		w = fsys.Create(name, vfs.FailIfExists, 0o600)
		_, err := w.Write([]byte("x"))
		check(t, errors.Join(err, w.Abort()))
		closed(w)

		skip = wrap.Commit | wrap.Abort
		w = fsys.Create(name, vfs.FailIfExists, 0o600)
		_, err = w.Write([]byte("x"))
		check(t, errors.Join(err, w.Commit()))
		closed(w)
		w = fsys.Create(name, vfs.FailIfExists, 0o600)
		_, err = w.Write([]byte("x"))
		check(t, err)
		is(t, w.Abort(), syscall.EIO)
		closed(w)
		if got := list(t, lower, filepath.Join(dir, "f")); got != nil {
			t.Errorf("left are %q", got)
		}
	})
}
