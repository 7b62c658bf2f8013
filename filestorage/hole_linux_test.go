package filestorage

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/durusdb/durus/storage"
	"github.com/durusdb/durus/vfs"
	"github.com/durusdb/durus/vfs/trace"
	"github.com/durusdb/durus/vfs/wrap"
)

// mostRead is what may be read of a small database, whatever holes it has.
const mostRead = 4 << 20

// holed opens a file to read, and counts what is read.
func holed(t *testing.T, path string) (*Storage, *trace.FS) {
	t.Helper()
	opts := real1()
	opts.ReadOnly = true
	counted := trace.New(opts.FS)
	opts.FS = counted
	return opened(t, path, opts), counted
}

// A reader does not read the hole behind the last frame, and takes it for the tail
// that it is.
func TestHoleBehind(t *testing.T) {
	const size = 5 << 30
	path := sparse(t, size)
	s, counted := holed(t, path)
	if vfs.Hole(s.current().file, size-1) == 0 {
		t.Skip("SKIP: the file system knows no holes")
	}
	if got, err := look(s, firstOID); err != nil || got != "small" {
		t.Fatalf("a View shows %q, %v", got, err)
	}
	r, err := s.Verify(background, nil)
	if err != nil || !r.OK() || r.Tail != size-r.End {
		t.Fatalf("Verify says %+v, %v", r, err)
	}
	o, err := s.Overview(background, nil)
	if err != nil || o.Tail != r.Tail || o.Damage != nil {
		t.Fatalf("Overview says %+v, %v", o, err)
	}
	if n := counted.Counts()[wrap.Read].Bytes; n > mostRead {
		t.Errorf("%d bytes were read", n)
	}
}

// A frame that has become a hole is damage, since valid frames behind it say that it
// was durable: they are found, and what was zeros between is not read.
func TestHoleBetween(t *testing.T) {
	path := filepath.Join(t.TempDir(), "db")
	s, err := Open(path, real1())
	demand(t, err)
	_, err = s.ClassID(background, "hole.Thing")
	demand(t, err)
	oid, err := s.NewOID(background)
	demand(t, err)
	_, err = edit(s, oid, "small")
	demand(t, err)
	from := s.current().end()
	_, err = edit(s, oid, strings.Repeat("large", 8<<20))
	demand(t, err)
	to := s.current().end()
	for range 2 { // the second says that the first is durable, and so what came before
		_, err = edit(s, oid, "small again")
		demand(t, err)
	}
	demand(t, s.Close())

	whole, err := os.ReadFile(path)
	demand(t, err)
	path = filepath.Join(t.TempDir(), "db")
	demand(t, os.WriteFile(path, whole[:from], 0o600))
	demand(t, os.Truncate(path, to))
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	demand(t, err)
	_, err = f.Write(whole[to:])
	demand(t, errors.Join(err, f.Close()))

	r, counted := holed(t, path)
	if vfs.Hole(r.current().file, (from+to)/2) == 0 {
		t.Skip("SKIP: the file system knows no holes")
	}
	var corrupt *storage.CorruptError
	if _, err := look(r, oid); !errors.As(err, &corrupt) || corrupt.Offset != from {
		t.Fatalf("a View says %v, want damage at byte %d", err, from)
	}
	report, err := r.Verify(background, nil)
	if err != nil || len(report.Problems) == 0 || report.Problems[0].Offset != from {
		t.Fatalf("Verify says %+v, %v", report, err)
	}
	if n := counted.Counts()[wrap.Read].Bytes; n > mostRead {
		t.Errorf("%d bytes were read", n)
	}
}
