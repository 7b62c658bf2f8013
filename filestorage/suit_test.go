package filestorage

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/durusdb/durus/storage"
	"github.com/durusdb/durus/vfs"
	"github.com/durusdb/durus/vfs/exclusive"
	"github.com/durusdb/durus/vfs/fault"
	"github.com/durusdb/durus/vfs/mem"
	"github.com/durusdb/durus/vfs/posix"
	"github.com/durusdb/durus/vfs/wrap"
)

func withoutLocks(p vfs.Props) vfs.Props {
	p.Locks = false
	return p
}

// What a storage can do decides, not what it is. F23 H6 A11 A13
func TestStorageMustBeAble(t *testing.T) {
	w := mustWorld(t)
	for _, c := range []struct {
		name string
		mask func(*vfs.Props)
		opts Options
		ok   bool
	}{
		{"everything", func(*vfs.Props) {}, Options{}, true},
		{"remote", func(p *vfs.Props) { p.Remote, p.Kind = true, "nfs" }, Options{}, false},
		{"remote, reading", func(p *vfs.Props) { p.Remote = true }, Options{ReadOnly: true}, true},
		{"remote, allowed", func(p *vfs.Props) { p.Remote, p.StableSize = true, false }, Options{AllowRemote: true}, true},
		{"without appending", func(p *vfs.Props) { p.Append = false }, Options{}, false},
		{"without appending, reading", func(p *vfs.Props) { p.Append = false }, Options{ReadOnly: true}, true},
		{"stale sizes", func(p *vfs.Props) { p.StableSize = false }, Options{}, false},
		{"stale sizes, reading", func(p *vfs.Props) { p.StableSize = false }, Options{ReadOnly: true}, true},
		{"without locks", func(p *vfs.Props) { p.Locks = false }, Options{}, true},
		{"without locks, reading", func(p *vfs.Props) { p.Locks = false }, Options{ReadOnly: true}, true},
		{"without locks or conditional put", func(p *vfs.Props) { p.Locks, p.ConditionalPut = false, false }, Options{}, false},
		{"without locks or conditional put, reading", func(p *vfs.Props) { p.Locks, p.ConditionalPut = false, false }, Options{ReadOnly: true}, true},
	} {
		t.Run(strings.ReplaceAll(c.name, " ", "_"), func(t *testing.T) {
			opts := c.opts
			opts.Logger = quiet
			opts.FS = fault.Mask(w.disk.Process("A"), func(p vfs.Props) vfs.Props { c.mask(&p); return p })
			s, err := Open(worldPath, opts)
			if (err == nil) != c.ok {
				t.Fatalf("Open: %v, want ok %v", err, c.ok)
			}
			if err == nil {
				must(t, s.Close())
				return
			}
			if !errors.Is(err, vfs.ErrNotSupported) || !strings.Contains(err.Error(), worldPath) {
				t.Errorf("%v: want ErrNotSupported with the path", err)
			}
		})
	}
}

// On a storage without locks one handle writes at a time, on any back end:
// others are refused until it closes, readers follow it, and one that was
// killed has to be cleared away by a person. A11 A13
func TestSingleWriter(t *testing.T) {
	disk := mem.NewDisk()
	for name, c := range map[string]struct {
		path string
		fs   func() vfs.FS
	}{
		"mem":   {"/db", func() vfs.FS { return disk.Process("p") }},
		"posix": {filepath.Join(t.TempDir(), "db"), posix.New},
	} {
		t.Run(name, func(t *testing.T) {
			plain := c.fs()
			opts := func(readOnly bool) Options {
				o := simulated(fault.Mask(c.fs(), withoutLocks))
				o.ReadOnly, o.Now = readOnly, nil // several goroutines
				return o
			}
			a := opened(t, c.path, opts(false))
			oid := filled(t, a)
			r := opened(t, c.path, opts(true))
			lease := exclusive.Name(lockName(a.Path()))
			for range 2 { // to be refused changes nothing
				_, err := Open(c.path, opts(false))
				if !errors.Is(err, storage.ErrLocked) || !errors.Is(err, exclusive.ErrTaken) || !strings.Contains(err.Error(), lease) {
					t.Fatalf("a second writer: %v", err)
				}
			}
			var group sync.WaitGroup
			for i := range 4 {
				group.Go(func() {
					for k := range 10 {
						if _, err := edit(a, oid, fmt.Sprint(i, k)); err != nil && !errors.Is(err, storage.ErrConflict) {
							t.Error(err)
						}
					}
				})
			}
			group.Wait()
			want, err := look(a, oid)
			must(t, err)
			if got, err := look(r, oid); err != nil || got != want {
				t.Fatalf("the reader sees %q, %v, want %q", got, err, want)
			}
			must(t, clean(r))
			must(t, a.Close())

			b := opened(t, c.path, opts(false))
			_, err = edit(b, oid, "of b")
			must(t, err)
			// Somebody takes b for dead.
			must(t, plain.Remove(lease))
			d := opened(t, c.path, opts(false))
			_, err = edit(d, oid, "of d")
			must(t, err)
			if _, err := edit(b, oid, "late"); !errors.Is(err, exclusive.ErrLost) {
				t.Fatalf("a writer whose lease was given away: %v", err)
			}
			if got, err := look(r, oid); err != nil || got != "of d" {
				t.Fatalf("the reader sees %q, %v", got, err)
			}
			if err := b.Close(); !errors.Is(err, exclusive.ErrLost) {
				t.Fatalf("closing it: %v", err)
			}
			must(t, d.Close())
			must(t, opened(t, c.path, opts(false)).Close())
		})
	}
}

// filled gives a new database a class and an object.
func filled(t *testing.T, s *Storage) storage.OID {
	t.Helper()
	_, err := s.ClassID(background, "suit.Thing")
	must(t, err)
	oid, err := s.NewOID(background)
	must(t, err)
	_, err = edit(s, oid, "first")
	must(t, err)
	return oid
}

// A writer without locks is killed: all that it acknowledged is there, nobody
// else writes until its lease is removed, then somebody does. A11 H18
func TestSingleWriterKilled(t *testing.T) {
	disk := mem.NewDisk()
	p := disk.Process("A")
	a, err := Open(worldPath, simulated(fault.Mask(p, withoutLocks)))
	must(t, err)
	oid := filled(t, a)
	p.Kill()
	opts := simulated(fault.Mask(disk.Process("B"), withoutLocks))
	if _, err := Open(worldPath, opts); !errors.Is(err, storage.ErrLocked) {
		t.Fatalf("beside the lease of a dead writer: %v", err)
	}
	must(t, disk.Remove(exclusive.Name(lockName(worldPath))))
	b := opened(t, worldPath, opts)
	if got, err := look(b, oid); err != nil || got != "first" {
		t.Fatalf("%q, %v", got, err)
	}
	_, err = edit(b, oid, "second")
	must(t, err)
	must(t, clean(b))
}

// Another file is renamed over the database of a single writer: it notices and
// goes on with that one, and its lease is one and the same. A11 F25
func TestSingleWriterRewound(t *testing.T) {
	disk := mem.NewDisk()
	p := disk.Process("A")
	a := opened(t, worldPath, simulated(fault.Mask(p, withoutLocks)))
	oid := filled(t, a)
	must(t, disk.Copy(worldPath, "/backup"))
	_, err := edit(a, oid, "second")
	must(t, err)
	must(t, disk.Rename("/backup", worldPath))
	if _, err := edit(a, oid, "third"); !errors.Is(err, storage.ErrRewound) {
		t.Fatalf("a commit to a file that was replaced: %v", err)
	}
	if got, err := look(a, oid); err != nil || got != "first" {
		t.Fatalf("%q, %v", got, err)
	}
	_, err = edit(a, oid, "third")
	must(t, err)
	must(t, clean(a))
}

// A reader on a storage that tells old sizes, as a network file system does,
// lags behind; what it shows is some state that was, whole, never an older one
// than before, and what cannot be read yet is ErrStale, not damage. B10 H6
func TestStaleSizes(t *testing.T) {
	disk := mem.NewDisk()
	a := opened(t, worldPath, simulated(disk.Process("A")))
	oid := filled(t, a)
	behind := fault.New(disk.Process("R"), 1, fault.Rule{Ops: wrap.Size | wrap.FileStat | wrap.Read, Path: "db", Times: -1, Effect: fault.StaleSize(30 * time.Millisecond)})
	opts := simulated(behind)
	opts.ReadOnly = true
	if opts.FS.Props(worldPath).StableSize {
		t.Fatal("the storage says that its sizes are true")
	}
	r := opened(t, worldPath, opts)
	last, seen, lagged, stale := 0, 0, 0, 0
	for i := 1; i < 300; i++ {
		_, err := edit(a, oid, fmt.Sprintf("%04d", i))
		must(t, err)
		got, err := look(r, oid)
		switch {
		case errors.Is(err, vfs.ErrStale):
			stale++
		case err != nil:
			t.Fatal(err)
		case got != "first":
			var n int
			if _, err := fmt.Sscanf(got, "%04d", &n); err != nil || n < last || n > i {
				t.Fatalf("the reader sees %q after %d, the newest is %d", got, last, i)
			}
			if n > last {
				seen++
			}
			if n < i {
				lagged++
			}
			last = n
		}
		time.Sleep(time.Millisecond)
	}
	if seen == 0 || lagged == 0 {
		t.Errorf("%d states seen, %d times late, %d times stale: nothing was tried", seen, lagged, stale)
	}
	time.Sleep(40 * time.Millisecond)
	if got, err := look(r, oid); err != nil || got <= "0001" {
		t.Errorf("in the end: %q, %v", got, err)
	}
}
