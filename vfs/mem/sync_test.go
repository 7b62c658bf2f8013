package mem

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"syscall"
	"testing"

	"github.com/durusdb/durus/vfs"
)

func persisted(t *testing.T, d *Disk, name, want string) {
	t.Helper()
	b, err := d.Persisted(name)
	check(t, err)
	if string(b) != want {
		t.Errorf("on the disk is %q, want %q", b, want)
	}
}

func cached(t *testing.T, d *Disk, name, want string) {
	t.Helper()
	b, err := d.ReadFile(name)
	check(t, err)
	if string(b) != want {
		t.Errorf("in the cache is %q, want %q", b, want)
	}
}

// A sync covers what was written before its start, not before its end.
func TestSyncPersistsAsOfItsStart(t *testing.T) {
	d := NewDisk()
	f := create(t, d.Process("p"), "/f", []byte("before "))
	betweenStartAndEnd := func(ready []Ready) int {
		if ready[0].Op.Kind == OpSyncEnd {
			return 1
		}
		return 0
	}
	check(t, d.Run(betweenStartAndEnd,
		func(p *Process) {
			f := p.Open("/f", vfs.Append)
			add(t, f, "and ")
			check(t, f.Sync())
			persisted(t, d, "/f", "before and ")
			cached(t, d, "/f", "before and meanwhile")
			equal(t, "M2", images(t, d, Options{Models: M2}), []string{"/f=before and meanwhile"})
		},
		func(p *Process) { add(t, p.Open("/f", vfs.Append), "meanwhile") }))
	check(t, f.Sync())
	persisted(t, d, "/f", "before and meanwhile")
}

// So do names.
func TestSyncDirPersistsAsOfItsStart(t *testing.T) {
	d := NewDisk()
	check(t, d.Run(func(ready []Ready) int {
		if ready[0].Op.Kind == OpSyncDirEnd {
			return 1
		}
		return 0
	}, func(p *Process) {
		check(t, p.Create("/a", vfs.FailIfExists, 0o600).Commit())
		check(t, p.SyncDir("/a"))
		equal(t, "M1", images(t, d, Options{Models: M1}), []string{"/a="})
		equal(t, "M2", images(t, d, Options{Models: M2}), []string{"/a= /b="})
	}, func(p *Process) {
		check(t, p.Create("/b", vfs.FailIfExists, 0o600).Commit())
	}))
}

// F5, fact 1: the error comes once to each handle that was open, later syncs
// succeed without writing, the cache shows the bytes until it is evicted, and
// writing them again heals.
func TestFailedSync(t *testing.T) { // M8
	d := NewDisk()
	p, q := d.Process("p"), d.Process("q")
	f := create(t, p, "/f", []byte("old!"))
	g, idle := q.Open("/f", vfs.Append), q.Open("/f", vfs.Append)
	for _, h := range []vfs.File{f, g, idle} {
		_, err := h.Size() // opens it
		check(t, err)
	}
	_, err := f.Rewrite([]byte("new"), 0)
	check(t, err)
	add(t, f, "er")
	remove := d.Inject(Fault{Kinds: []Kind{OpSync}, Action: Fail(syscall.EIO)})
	if err := f.Sync(); !errors.Is(err, syscall.EIO) {
		t.Fatalf("the failing sync said %v", err)
	}
	if remove() != 1 {
		t.Error("the rule was not applied once")
	}
	check(t, f.Sync()) // told once
	late := d.Process("late").Open("/f", vfs.Append)
	check(t, late.Sync()) // not open then
	if err := g.Sync(); !errors.Is(err, syscall.EIO) {
		t.Errorf("another handle was told %v", err)
	}
	check(t, g.Sync())

	cached(t, d, "/f", "new!er")
	persisted(t, d, "/f", "old!\x00\x00") // the size is metadata: a later sync wrote it
	check(t, d.Evict("/f", 0, 4))
	cached(t, d, "/f", "old!er")
	check(t, d.Evict("/f", 0, -1))
	cached(t, d, "/f", "old!\x00\x00")

	_, err = f.Rewrite([]byte("new!er"), 0)
	check(t, err)
	check(t, f.Sync())
	persisted(t, d, "/f", "new!er")
	if err := idle.Sync(); !errors.Is(err, syscall.EIO) {
		t.Errorf("a handle that had not asked was told %v", err)
	}
}

// Some of the writes are lost, the others stay to be written.
func TestFailedSyncOfSomeWrites(t *testing.T) { // M8
	d := NewDisk()
	f := create(t, d.Process("p"), "/f", nil)
	add(t, f, "aa")
	add(t, f, "bb")
	add(t, f, "cc")
	d.Inject(Fault{Kinds: []Kind{OpSyncEnd}, Action: FailSync(nil, func(i int, off int64, n int) bool {
		if off != int64(2*i) || n != 2 {
			t.Errorf("write %d is said to be %d bytes at %d", i, n, off)
		}
		return i == 1
	})})
	if err := f.Sync(); !errors.Is(err, syscall.EIO) {
		t.Fatal(err)
	}
	persisted(t, d, "/f", "")
	equal(t, "M2", images(t, d, Options{Models: M2}), []string{"/f=aa..cc"})
	check(t, f.Sync())
	persisted(t, d, "/f", "aa\x00\x00cc")
	cached(t, d, "/f", "aabbcc")
}

// A write-back that fails in the background is told to who was open.
func TestFailWriteback(t *testing.T) {
	d := NewDisk()
	f := create(t, d.Process("p"), "/f", nil)
	add(t, f, "x")
	check(t, d.FailWriteback("/f", nil, nil))
	check(t, d.Process("q").Open("/f", vfs.Append).Sync())
	if err := f.Sync(); !errors.Is(err, syscall.EIO) {
		t.Errorf("got %v", err)
	}
	persisted(t, d, "/f", "\x00")
}

// F40: a sync that lies.
func TestDroppedSync(t *testing.T) { // M9
	d := NewDisk()
	f := create(t, d.Process("p"), "/f", nil)
	add(t, f, "x")
	d.Inject(Fault{Kinds: []Kind{OpSync}, Action: DropSync()})
	check(t, f.Sync())
	persisted(t, d, "/f", "")
	check(t, f.Sync())
	persisted(t, d, "/f", "x")
}

// The failed sync of a Writer leaves nothing.
func TestFailedCommitOfWriter(t *testing.T) {
	for _, kind := range []Kind{OpCreate, OpWrite, OpSync, OpSyncEnd, OpRename} {
		d := NewDisk()
		p := d.Process("p")
		d.Inject(Fault{Kinds: []Kind{kind}, Action: Fail(syscall.EIO)})
		w := p.Create("/f", vfs.FailIfExists, 0o600)
		w.Write([]byte("x")) // its error is kept
		if err := w.Commit(); !errors.Is(err, syscall.EIO) {
			t.Errorf("%v: commit said %v", kind, err)
		}
		if names := d.Names(); len(names) != 0 {
			t.Errorf("%v: left are %v", kind, names)
		}
	}
}

// Random operations against two plain slices: what readers see, and what is on
// the disk.
func TestWritebackAgainstModel(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 1))
	for range 200 {
		d := NewDisk()
		f := create(t, d.Process("p"), "/f", nil)
		_, err := f.Size() // opens it
		check(t, err)
		type step func(b []byte) []byte
		var disk, cache []byte
		var dirty, sizes []step // what is to be written; what of it a failure leaves
		for range 60 {
			switch n := rnd.IntN(2000); rnd.IntN(8) {
			case 0, 1, 2:
				off := rnd.IntN(len(cache) + 1)
				p := bytes.Repeat([]byte{byte('a' + rnd.IntN(26))}, n)
				_, err := f.Rewrite(p, int64(off))
				check(t, err)
				do := func(b []byte) []byte {
					if len(p) > 0 && off+len(p) > len(b) {
						b = append(b, make([]byte, off+len(p)-len(b))...)
					}
					copy(b[min(off, len(b)):], p)
					return b
				}
				grow := func(b []byte) []byte {
					if len(p) == 0 {
						return b
					}
					return append(b, make([]byte, max(0, off+len(p)-len(b)))...)
				}
				cache, dirty, sizes = do(cache), append(dirty, do), append(sizes, grow)
			case 3:
				size := rnd.IntN(len(cache) + 600)
				check(t, f.Truncate(int64(size)))
				do := func(b []byte) []byte {
					return append(bytes.Clone(b), make([]byte, max(0, size-len(b)))...)[:size]
				}
				cache, dirty, sizes = do(cache), append(dirty, do), append(sizes, do)
			case 4:
				check(t, f.Sync())
				for _, do := range dirty {
					disk = do(disk)
				}
				dirty, sizes = nil, nil
			case 5: // all of it is lost, but not the sizes
				check(t, d.FailWriteback("/f", nil, nil))
				if err := f.Sync(); err == nil {
					t.Fatal("nobody was told")
				}
				for _, do := range sizes {
					disk = do(disk)
				}
				dirty, sizes = nil, nil
			case 6:
				check(t, d.Evict("/f", 0, -1))
				fresh := bytes.Clone(disk)
				for _, do := range dirty {
					fresh = do(fresh)
				}
				cache = append(fresh, make([]byte, max(0, len(cache)-len(fresh)))...)[:len(cache)]
			case 7:
				for im := range d.Images(Options{Models: M2}) {
					all := bytes.Clone(disk)
					for _, do := range dirty {
						all = do(all)
					}
					if b, _ := im.ReadFile("/f"); !bytes.Equal(b, all) {
						t.Fatalf("M2 has %d bytes, want %d", len(b), len(all))
					}
				}
			}
			a, err := d.ReadFile("/f")
			check(t, err)
			b, err := d.Persisted("/f")
			check(t, err)
			if !bytes.Equal(a, cache) || !bytes.Equal(b, disk) {
				t.Fatalf("cache %d bytes, want %d; disk %d bytes, want %d", len(a), len(cache), len(b), len(disk))
			}
		}
	}
}
