package filestorage

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/durusdb/durus/storage"
	"github.com/durusdb/durus/vfs"
	"github.com/durusdb/durus/vfs/mem"
	"github.com/durusdb/durus/vfs/posix"
)

// ground is where a database is restored under three open handles: on the
// simulated disk, or on a real one.
type ground struct {
	open     func(name string) vfs.FS // of one process
	path     string
	read     func(path string) ([]byte, error)
	write    func(path string, data []byte) error // in place
	truncate func(path string, size int64) error
	rename   func(from, to string) error
	remove   func(path string) error
	link     func(from, to string) error
}

func grounds(t *testing.T) map[string]*ground {
	d := mem.NewVolatile()
	dir := t.TempDir()
	return map[string]*ground{
		"mem": {
			open: func(name string) vfs.FS { return d.Process(name) }, path: "/dir/db",
			read: d.ReadFile, write: d.WriteFile, truncate: d.Truncate, rename: d.Rename, remove: d.Remove, link: d.Link,
		},
		"posix": {
			open: func(string) vfs.FS { return posix.New() }, path: filepath.Join(dir, "db"),
			read:     os.ReadFile,
			write:    func(path string, data []byte) error { return os.WriteFile(path, data, 0o600) },
			truncate: os.Truncate, rename: os.Rename, remove: os.Remove, link: os.Link,
		},
	}
}

// restored is a database with an older copy of it, and three handles that know
// the newer state.
type restored struct {
	*ground
	handles []*Storage
	oid     storage.OID
	old     []byte // copy taken when the object was "old"
	given   map[storage.OID]bool
}

func newRestored(t *testing.T, g *ground) *restored {
	t.Helper()
	r := &restored{ground: g, given: map[storage.OID]bool{}}
	for _, name := range []string{"A", "B", "C"} {
		opts := simulated(g.open(name))
		// Each look compares the path with the file: glanceEvery has passed.
		now := opts.Now()
		opts.Now = func() time.Time { now = now.Add(time.Second); return now }
		s := opened(t, g.path, opts)
		r.handles = append(r.handles, s)
	}
	a := r.handles[0]
	if _, err := a.ClassID(background, "rewind.Thing"); err != nil {
		t.Fatal(err)
	}
	var err error
	if r.oid, err = a.NewOID(background); err != nil {
		t.Fatal(err)
	}
	r.given[r.oid] = true
	if _, err := edit(a, r.oid, "old"); err != nil {
		t.Fatal(err)
	}
	if r.old, err = g.read(g.path); err != nil {
		t.Fatal(err)
	}
	for i, s := range r.handles {
		for range 3 {
			r.newOID(t, s)
		}
		if _, err := edit(s, r.oid, fmt.Sprintf("new of %d", i)); err != nil {
			t.Fatal(err)
		}
	}
	for _, s := range r.handles {
		if got, err := look(s, r.oid); err != nil || got != "new of 2" {
			t.Fatalf("%q, %v", got, err)
		}
	}
	return r
}

// newOID takes an object id, which nobody has had in this history.
func (r *restored) newOID(t *testing.T, s *Storage) {
	t.Helper()
	var oid storage.OID
	err := again(func() (err error) { oid, err = s.NewOID(background); return err })
	if err != nil {
		t.Fatal(err)
	}
	if r.given[oid] {
		t.Fatalf("object id %s was given twice", oid)
	}
	r.given[oid] = true
}

// rewound checks that each handle is told once, and then has the old state and
// works; what it was given of object ids is void with the history that was
// lost, so nothing of it is used: each gets others.
func (r *restored) rewound(t *testing.T) {
	t.Helper()
	r.given = map[storage.OID]bool{r.oid: true}
	for i, s := range r.handles {
		var err error
		if i == 1 {
			_, err = edit(s, r.oid, "never")
		} else {
			_, err = look(s, r.oid)
		}
		if !errors.Is(err, storage.ErrRewound) {
			t.Fatalf("handle %d was told %v", i, err)
		}
		if got, err := look(s, r.oid); err != nil || got != "old" {
			t.Fatalf("handle %d sees %q, %v", i, got, err)
		}
	}
	r.works(t)
}

// works checks that all handles follow and extend one history.
func (r *restored) works(t *testing.T) {
	t.Helper()
	for round := range 2 {
		for i, s := range r.handles {
			text := fmt.Sprintf("again %d of %d", round, i)
			if _, err := edit(s, r.oid, text); err != nil {
				t.Fatalf("handle %d: %v", i, err)
			}
			for k, o := range r.handles {
				if got, err := look(o, r.oid); err != nil || got != text {
					t.Fatalf("handle %d sees %q, %v, after %q", k, got, err, text)
				}
			}
			for range 12 {
				r.newOID(t, s)
			}
		}
	}
	for _, s := range r.handles {
		if err := clean(s); err != nil {
			t.Fatal(err)
		}
	}
}

// TestRewind restores, cuts, replaces, removes and links the file under three
// open handles. D15 H7 H16 F14 F25 F26 F27 S43 S44 S45
func TestRewind(t *testing.T) {
	scenes := []struct {
		name string
		do   func(t *testing.T, r *restored)
	}{
		{"copied over in place", func(t *testing.T, r *restored) {
			demand(t, r.write(r.path, r.old))
			r.rewound(t)
		}},
		{"truncated", func(t *testing.T, r *restored) {
			demand(t, r.truncate(r.path, int64(len(r.old))))
			r.rewound(t)
		}},
		{"truncated within a frame", func(t *testing.T, r *restored) {
			demand(t, r.truncate(r.path, int64(len(r.old))+50))
			r.rewound(t)
		}},
		{"an older copy, renamed over", func(t *testing.T, r *restored) {
			demand(t, r.write(r.path+".backup", r.old))
			demand(t, r.rename(r.path+".backup", r.path))
			r.rewound(t)
		}},
		{"an older copy, and the lock file gone", func(t *testing.T, r *restored) {
			demand(t, r.remove(lockName(r.path)))
			demand(t, r.write(r.path, r.old))
			r.rewound(t)
		}},
		{"other bytes of the same length", func(t *testing.T, r *restored) {
			// Another handle's history of exactly the same size, as a restore
			// followed by other commits makes it.
			now, err := r.read(r.path)
			demand(t, err)
			demand(t, r.write(r.path, r.old))
			s := opened(t, r.path, simulated(r.open("D")))
			for size := int64(0); size < int64(len(now)); {
				left := int64(len(now)) - s.current().end() - frameHeaderSize - tableEntrySize - recordHeaderSize - trailerSize
				if left < 0 {
					t.Fatalf("%d bytes too many", -left)
				}
				if _, err := edit(s, r.oid, strings.Repeat("d", int(left))); err != nil {
					t.Fatal(err)
				}
				size = s.current().end()
			}
			if size := s.current().end(); size != int64(len(now)) {
				t.Fatalf("%d bytes instead of %d", size, len(now))
			}
			for i, s := range r.handles {
				_, err := edit(s, r.oid, "never")
				if i == 0 && !errors.Is(err, storage.ErrRewound) {
					t.Fatalf("handle %d was told %v", i, err)
				}
			}
			for _, s := range r.handles {
				if _, err := look(s, r.oid); err != nil && !errors.Is(err, storage.ErrRewound) {
					t.Fatal(err)
				}
			}
			r.given = map[storage.OID]bool{}
			r.works(t)
		}},
		{"another database, renamed over", func(t *testing.T, r *restored) {
			o := opened(t, r.path+".other", simulated(r.open("O")))
			if _, err := o.ClassID(background, "rewind.Other"); err != nil {
				t.Fatal(err)
			}
			demand(t, o.Close())
			demand(t, r.rename(r.path+".other", r.path))
			before, err := r.read(r.path)
			demand(t, err)
			for i, s := range r.handles {
				for range 3 { // it stays so
					if _, err := edit(s, r.oid, "never"); !errors.Is(err, storage.ErrRewound) || !strings.Contains(err.Error(), r.path) {
						t.Fatalf("handle %d was told %v", i, err)
					}
					if _, err := look(s, r.oid); !errors.Is(err, storage.ErrRewound) {
						t.Fatalf("a View of handle %d was told %v", i, err)
					}
					if _, err := s.NewOID(background); i == 0 && err != nil && !errors.Is(err, storage.ErrRewound) {
						t.Fatal(err)
					}
				}
				_ = s.Close() // may say that the file is another one
			}
			after, err := r.read(r.path)
			demand(t, err)
			if string(before) != string(after) {
				t.Fatal("the other database was changed")
			}
		}},
		{"removed", func(t *testing.T, r *restored) {
			demand(t, r.link(r.path, r.path+".kept"))
			demand(t, r.remove(r.path))
			before, err := r.read(r.path + ".kept")
			demand(t, err)
			for i, s := range r.handles {
				if got, err := look(s, r.oid); err != nil || got != "new of 2" {
					t.Fatalf("a View of handle %d: %q, %v", i, got, err)
				}
				if _, err := edit(s, r.oid, "never"); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "removed") {
					t.Fatalf("handle %d was told %v", i, err)
				}
			}
			if _, err := r.read(r.path); !errors.Is(err, fs.ErrNotExist) {
				t.Fatal("the file came back")
			}
			after, err := r.read(r.path + ".kept")
			demand(t, err)
			if string(before) != string(after) {
				t.Fatal("the removed file was written to")
			}
			demand(t, r.rename(r.path+".kept", r.path))
			r.works(t) // as if nothing had been
		}},
		{"removed and created anew", func(t *testing.T, r *restored) {
			demand(t, r.remove(r.path))
			n := opened(t, r.path, simulated(r.open("N")))
			if _, err := n.ClassID(background, "rewind.New"); err != nil {
				t.Fatal(err)
			}
			for i, s := range r.handles {
				if _, err := edit(s, r.oid, "never"); !errors.Is(err, storage.ErrRewound) {
					t.Fatalf("handle %d was told %v", i, err)
				}
			}
			demand(t, clean(n))
		}},
		{"linked to a second name", func(t *testing.T, r *restored) {
			demand(t, r.link(r.path, r.path+".second"))
			s := opened(t, r.path+".second", simulated(r.open("S")))
			r.handles = append(r.handles, s)
			for i, h := range r.handles {
				if _, err := edit(h, r.oid, fmt.Sprint("linked ", i)); err != nil {
					t.Fatal(err)
				}
				// Each name has a lock file and a mark of its own: Views by the
				// other name may lag, writers see everything.
				for k, o := range r.handles {
					snap, err := o.Begin(background, true)
					demand(t, err)
					if got, err := state1(snap, r.oid); err != nil || got != fmt.Sprint("linked ", i) {
						t.Fatalf("handle %d sees %q, %v", k, got, err)
					}
					snap.Release()
				}
				demand(t, clean(h))
			}
		}},
		{"a snapshot of before", func(t *testing.T, r *restored) {
			snap, err := r.handles[0].Begin(background, true)
			demand(t, err)
			defer snap.Release()
			demand(t, r.write(r.path, r.old))
			if got, err := state1(snap, r.oid); err == nil && got != "new of 2" || err != nil && !errors.Is(err, storage.ErrRewound) {
				t.Fatalf("the snapshot reads %q, %v", got, err)
			}
			_, err = r.handles[0].Commit(background, &storage.Commit{Base: snap, Records: []storage.Record{{OID: r.oid, Class: 1, Payload: []byte("never")}}})
			if !errors.Is(err, storage.ErrRewound) {
				t.Fatalf("the commit said %v", err)
			}
			// And once more, on the new history.
			_, err = r.handles[0].Commit(background, &storage.Commit{Base: snap, Records: []storage.Record{{OID: r.oid, Class: 1, Payload: []byte("never")}}})
			if !errors.Is(err, storage.ErrRewound) {
				t.Fatalf("the second commit said %v", err)
			}
			r.handles = r.handles[:1]
			r.given = map[storage.OID]bool{}
			r.works(t)
		}},
	}
	for _, scene := range scenes {
		for name := range grounds(t) {
			t.Run(scene.name+"/"+name, func(t *testing.T) { scene.do(t, newRestored(t, grounds(t)[name])) })
		}
	}
}

func demand(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
