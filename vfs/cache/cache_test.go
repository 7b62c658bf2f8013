package cache

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"math"
	"math/rand/v2"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/durusdb/durus/vfs"
	"github.com/durusdb/durus/vfs/mem"
	"github.com/durusdb/durus/vfs/posix"
)

func check(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

func is(tb testing.TB, err, want error) {
	tb.Helper()
	if !errors.Is(err, want) {
		tb.Errorf("got error %v, want %v", err, want)
	}
}

// spy is a storage that counts the reads of another one, and may do something
// before and after each.
type spy struct {
	vfs.FS
	reads  atomic.Int64
	before func(off int64, n int) error
	after  func(off int64, n int)
	stat   func() error
}

func (s *spy) Open(name string, mode vfs.Mode) vfs.File { return &spyFile{s.FS.Open(name, mode), s} }

type spyFile struct {
	vfs.File
	s *spy
}

func (f *spyFile) Unwrap() vfs.File { return f.File }

func (f *spyFile) ReadAt(p []byte, off int64) (int, error) {
	f.s.reads.Add(1)
	if f.s.before != nil {
		if err := f.s.before(off, len(p)); err != nil {
			return 0, err
		}
	}
	n, err := f.File.ReadAt(p, off)
	if f.s.after != nil {
		f.s.after(off, len(p))
	}
	return n, err
}

func (f *spyFile) Stat() (vfs.Info, error) {
	if f.s.stat != nil {
		if err := f.s.stat(); err != nil {
			return vfs.Info{}, err
		}
	}
	return f.File.Stat()
}

// bed is a disk, a process, a spy on its reads, and a cache over it.
type bed struct {
	tb testing.TB
	d  *mem.Disk
	p  *mem.Process
	s  *spy
	c  *FS
}

func newBed(tb testing.TB, opts Options) *bed {
	b := &bed{tb: tb, d: mem.NewDisk()}
	b.p = b.d.Process("p")
	b.s = &spy{FS: b.p}
	b.c = New(b.s, opts)
	return b
}

// put gives the file /f these bytes in place, as cp(1) does.
func (b *bed) put(data []byte) { check(b.tb, b.d.WriteFile("/f", data)) }

// open opens /f, and lets it be known what is open.
func (b *bed) open() vfs.File {
	f := b.c.Open("/f", vfs.Append)
	_, err := f.Size()
	check(b.tb, err)
	return f
}

// costs runs fn and expects it to read so often from the storage.
func (b *bed) costs(reads int64, fn func()) {
	b.tb.Helper()
	was := b.s.reads.Load()
	fn()
	if got := b.s.reads.Load() - was; got != reads {
		b.tb.Errorf("%d reads of the storage, want %d", got, reads)
	}
}

// afterOneRead runs fn between the next read of the storage and its return.
func (b *bed) afterOneRead(fn func()) {
	b.s.after = func(int64, int) {
		b.s.after = nil
		fn()
	}
}

// read expects the bytes want at off, and nothing but the end of the file if
// they are not n.
func read(tb testing.TB, f vfs.File, off int64, n int, want []byte) {
	tb.Helper()
	p := make([]byte, n)
	k, err := f.ReadAt(p, off)
	if !bytes.Equal(p[:k], want) || k < n && !errors.Is(err, io.EOF) || k == n && err != nil {
		tb.Fatalf("%d bytes at %d: %d, %v; right: %v", n, off, k, err, bytes.Equal(p[:k], want))
	}
}

func settle(f vfs.File, end int64) { vfs.Advise(f, vfs.Settled, 0, end) }

// noise returns n bytes that differ with the seed.
func noise(n int, seed uint64) []byte {
	b := make([]byte, n)
	rnd := rand.New(rand.NewPCG(seed, 1))
	for i := range b {
		b[i] = byte(rnd.Uint32())
	}
	return b
}

// B7, B11: what is settled is read once, whoever asks for it through whatever
// handle.
func TestWarmCache(t *testing.T) {
	b := newBed(t, Options{Page: 4096})
	data := noise(100_000, 1)
	b.put(data)
	f, g := b.open(), b.open()
	settle(f, int64(len(data)))
	b.costs(25, func() {
		for off := 0; off < len(data); off += 1000 {
			read(t, f, int64(off), 1000, data[off:off+1000])
		}
	})
	rnd := rand.New(rand.NewPCG(1, 2))
	b.costs(0, func() {
		for range 1000 {
			off := rnd.IntN(len(data))
			n := rnd.IntN(min(9000, len(data)-off)) + 1
			read(t, g, int64(off), n, data[off:off+n])
		}
	})
	if s := b.c.Stats(); s.Misses != 25 || s.LowerReads != 25 || s.Hits != 1000+75 || s.Pages != 25 ||
		s.Bytes != int64(len(data)+25*pageOverhead) || s.Drops+s.Evictions != 0 {
		t.Errorf("%+v", s)
	}
}

// Contract rule 13: nothing is answered from memory that is not settled, and a read beyond
// the limit is one read.
func TestUnsettledIsNotKept(t *testing.T) {
	b := newBed(t, Options{Page: 64})
	data := noise(1000, 1)
	b.put(data)
	early := b.c.Open("/f", vfs.ReadOnly)
	settle(early, 1000) // it knows no file yet
	f := b.open()
	b.costs(3, func() {
		for range 3 {
			read(t, f, 0, 1000, data)
		}
	})
	vfs.Advise(f, vfs.Settled, 1, 500) // a gap
	vfs.Advise(f, vfs.Settled, -5, 500)
	vfs.Advise(f, vfs.Settled, 0, -5)
	b.costs(2, func() { read(t, f, 0, 1, data[:1]); read(t, f, 0, 1, data[:1]) })
	settle(f, 300)
	vfs.Advise(f, vfs.Settled, 200, 200) // overlaps
	b.costs(1, func() { read(t, f, 0, 400, data[:400]); read(t, f, 390, 10, data[390:400]) })
	b.costs(4, func() {
		read(t, f, 300, 101, data[300:401])
		read(t, f, 400, 1, data[400:401])
		read(t, f, 900, 200, data[900:])
		read(t, f, 5000, 1, nil)
	})
	_, err := f.ReadAt(make([]byte, 1), -1)
	is(t, err, syscall.EINVAL)
	read(t, f, 0, 0, nil)
	settle(f, 450)
	b.costs(1, func() { read(t, f, 440, 10, data[440:450]); read(t, f, 384, 66, data[384:450]) })
	b.costs(1, func() { read(t, early, 0, 450, data[:450]); read(t, early, 450, 1, data[450:451]) })
	if s := b.c.Stats(); s.Pages != 8 {
		t.Errorf("%d pages, want 8: the longer last one takes the place of the shorter", s.Pages)
	}
}

// Missing pages that lie together are one read.
func TestOneReadForManyPages(t *testing.T) {
	b := newBed(t, Options{Page: 64})
	data := noise(10_000, 1)
	b.put(data)
	f := b.open()
	settle(f, 10_000)
	b.costs(1, func() { read(t, f, 100, 5000, data[100:5100]) }) // by a buffer
	b.costs(0, func() { read(t, f, 64, 5056, data[64:5120]) })
	b.costs(1, func() { read(t, f, 5000, 1144, data[5000:6144]) }) // straight to the caller
	b.costs(0, func() { read(t, f, 64, 6080, data[64:6144]) })
	b.costs(1, func() { read(t, f, 9999, 1, data[9999:]) })
	b.costs(1, func() { read(t, f, 100, 9900, data[100:]) })
	b.costs(0, func() { read(t, f, 100, 9900, data[100:]) })
	if s := b.c.Stats(); s.Bytes > 10_000+157*pageOverhead {
		t.Errorf("%+v", s)
	}
}

// A read that would take much of the cache is not kept.
func TestGreatReads(t *testing.T) {
	b := newBed(t, Options{Page: 64, Bytes: 20 * (64 + pageOverhead)})
	data := noise(10_000, 1)
	b.put(data)
	f := b.open()
	settle(f, 10_000)
	b.costs(1, func() { read(t, f, 0, 64, data[:64]) })
	b.costs(2, func() { read(t, f, 0, 5000, data[:5000]); read(t, f, 0, 5000, data[:5000]) })
	b.costs(0, func() { read(t, f, 0, 64, data[:64]) })
	if s := b.c.Stats(); s.Pages != 1 {
		t.Errorf("%+v", s)
	}
}

// The bound holds at every moment, and what is used often survives a scan.
func TestEviction(t *testing.T) {
	for _, pages := range []int64{1, 2, 10, 1000} {
		limit := pages * (64 + pageOverhead)
		b := newBed(t, Options{Page: 64, Bytes: limit})
		data := noise(64*200, 1)
		b.put(data)
		b.s.before = func(int64, int) error {
			if s := b.c.Stats(); s.Bytes > limit || s.Pages > int(pages) {
				t.Errorf("%+v, limit %d", s, limit)
			}
			return nil
		}
		f := b.open()
		settle(f, int64(len(data)))
		hot := int(pages) / 3
		for i := range 200 {
			read(t, f, int64(i*64), 64, data[i*64:(i+1)*64])
			for j := range min(hot, i) {
				was := b.s.reads.Load()
				read(t, f, int64(j*64), 64, data[j*64:(j+1)*64])
				if i > j+1 && b.s.reads.Load() != was {
					t.Errorf("%d pages: page %d was evicted by a scan", pages, j)
				}
			}
		}
		s := b.c.Stats()
		if want := max(0, 200-pages); s.Evictions != uint64(want) || s.Bytes > limit {
			t.Errorf("%d pages: %+v", pages, s)
		}
	}
}

// Pages of many files share a bucket, and are found and taken out one by one.
func TestTable(t *testing.T) {
	table := newTable(4, 1<<20)
	table.buckets, table.hash = table.buckets[:64], 58
	var pages []*page
	for i := range uint64(500) {
		pages = append(pages, &page{ino: &inode{salt: i * 0xD6E8FEB86659FD93}, data: []byte{byte(i)}})
		table.put(pages[i])
	}
	rand.Shuffle(len(pages), func(i, j int) { pages[i], pages[j] = pages[j], pages[i] })
	for i, pg := range pages {
		if table.get(pg.ino, 0) != pg || table.get(pg.ino, 1) != nil || len(table.ring) != len(pages)-i {
			t.Fatalf("page %d of %d", i, len(pages))
		}
		table.remove(pg)
		if table.get(pg.ino, 0) != nil {
			t.Fatalf("page %d was taken out", i)
		}
	}
	if table.bytes != 0 {
		t.Errorf("%d bytes are left", table.bytes)
	}
}

// B7: a commit that the storage fails leaves the old content; one that it
// reports as done is in the storage.
func TestWriteThrough(t *testing.T) {
	b := newBed(t, Options{Page: 64})
	old, next := noise(1000, 1), noise(1000, 2)
	commit := func(data []byte) error {
		w := b.c.Create("/f", vfs.ReplaceIfExists, 0o600)
		_, err := w.Write(data)
		check(t, err)
		return w.Commit()
	}
	check(t, commit(old))
	check(t, b.c.SyncDir("/f"))
	f := b.open()
	settle(f, 1000)
	read(t, f, 0, 1000, old)

	broken := errors.New("broken")
	remove := b.d.Inject(mem.Fault{Kinds: []mem.Kind{mem.OpRename, mem.OpAppend}, Times: -1, Action: mem.Fail(broken)})
	is(t, commit(next), broken)
	_, err := f.Append(next, 1000)
	is(t, err, broken)
	if remove() != 2 {
		t.Fatal("not injected")
	}
	b.costs(0, func() { read(t, f, 0, 1000, old) })
	read(t, b.open(), 0, 1001, old)

	n, err := f.Append(next[:10], 1000)
	check(t, errors.Join(err, f.Sync()))
	if n != 10 {
		t.Fatal(n)
	}
	b.p.Kill()
	got, err := b.d.Persisted("/f")
	check(t, err)
	if !bytes.Equal(got, append(old, next[:10]...)) {
		t.Error("a commit that was acknowledged is not in the storage")
	}
}

// Another file gets the name: old handles keep the old bytes, new ones get the
// new bytes, and nothing is mixed.
func TestReplace(t *testing.T) {
	b := newBed(t, Options{Page: 64})
	old, next := noise(1000, 1), noise(1000, 2)
	b.put(old)
	f := b.open()
	settle(f, 1000)
	read(t, f, 0, 1000, old)
	w := b.c.Create("/f", vfs.ReplaceIfExists, 0o600)
	_, err := w.Write(next)
	check(t, errors.Join(err, w.Commit()))
	g := b.open()
	settle(g, 1000)
	read(t, g, 0, 1000, next)
	b.costs(0, func() { read(t, f, 0, 1000, old); read(t, g, 0, 1000, next) })
	if s := b.c.Stats(); s.Pages != 32 {
		t.Errorf("%+v", s)
	}
	check(t, f.Close())
	if s := b.c.Stats(); s.Pages != 16 || s.Drops != 16 {
		t.Errorf("%+v", s)
	}
}

// The number of an inode that is gone is given to another file.
func TestInodeReuse(t *testing.T) {
	b := newBed(t, Options{Page: 64})
	var id vfs.FileID
	for i := range uint64(3) {
		data := noise(1000, i)
		b.put(data)
		f, g := b.open(), b.open()
		info, err := f.Stat()
		check(t, err)
		if i > 0 && info.ID != id {
			t.Fatal("the disk does not give the number again")
		}
		id = info.ID
		settle(f, 1000)
		read(t, f, 0, 1000, data)
		check(t, f.Close())
		b.costs(0, func() { read(t, g, 0, 1000, data) }) // the last handle keeps them
		check(t, errors.Join(g.Close(), g.Close(), b.c.Remove("/f")))
		if s := b.c.Stats(); s.Bytes != 0 || s.Pages != 0 || len(b.c.inodes) != 0 {
			t.Errorf("after the last Close: %+v", s)
		}
		_, err = g.ReadAt(make([]byte, 1), 0)
		is(t, err, vfs.ErrClosed)
		vfs.Advise(g, vfs.Settled, 0, 1000)
		vfs.Advise(g, vfs.Doubted, 0, 1000)
	}
}

// A1, A21: opening does nothing, errors come from the storage, modes are kept.
func TestOpening(t *testing.T) {
	b := newBed(t, Options{})
	f := b.c.Open("/none", vfs.Append)
	check(t, b.c.Open("/none", vfs.Append).Close())
	for _, op := range []func() error{
		func() error { _, err := f.ReadAt(make([]byte, 1), 0); return err },
		func() error { _, err := f.Size(); return err },
		func() error { _, err := f.Stat(); return err },
		func() error { _, err := f.Append([]byte("x"), 0); return err },
		func() error { _, err := f.Rewrite([]byte("x"), 0); return err },
		func() error { return f.Truncate(0) },
		f.Sync,
	} {
		is(t, op(), fs.ErrNotExist)
	}
	ops := 0
	b.d.Hook = func(mem.Op) mem.Action { ops++; return mem.Proceed() }
	b.put([]byte("bytes"))
	r := b.c.Open("/f", vfs.ReadOnly)
	_, errA := r.Append([]byte("x"), 5)
	_, errR := r.Rewrite([]byte("x"), 0)
	for _, err := range []error{errA, errR, r.Truncate(0), r.Sync()} {
		is(t, err, vfs.ErrMode)
	}
	if ops > 1 { // the disk looks for the file first
		t.Errorf("%d operations reached the storage", ops)
	}
	if b.c.Props("/f") != b.p.Props("/f") {
		t.Error("other abilities")
	}
}

// The storage gets its own files back, whatever is between, and only what it
// can do is offered.
func TestLayers(t *testing.T) {
	b := newBed(t, Options{})
	b.put([]byte("bytes"))
	over := New(b.c, Options{})
	f, g := over.Open("/f", vfs.Append), b.c.Open("/f", vfs.Append)
	l, m := over.Locker("/f.lock", f, vfs.Append, 0o600), b.c.Locker("/g.lock", g, vfs.Append, 0o600)
	check(t, l.Lock(context.Background()))
	if ok, err := m.TryLock(); ok || err != nil {
		t.Errorf("two have the lock: %v, %v", ok, err)
	}
	check(t, l.Unlock())
	if ok, err := m.TryLock(); !ok || err != nil {
		t.Errorf("%v, %v", ok, err)
	}
	check(t, errors.Join(l.Close(), m.Close()))
	if _, ok := vfs.Base(f).(*mem.File); !ok {
		t.Errorf("base %T", vfs.Base(f))
	}
	l = b.c.Locker("/h.lock", nil, vfs.Append, 0o600)
	check(t, l.Lock(context.Background()))
	check(t, l.Close())
	if _, ok := f.(vfs.Mapper); ok {
		t.Error("a file that cannot be mapped says it can")
	}
	if _, ok := f.(vfs.Async); ok {
		t.Error("a file that waits says it does not")
	}
}

// What another handle of the system's own files does is seen at once.
func TestPosix(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	s := &spy{FS: posix.New()}
	c := New(s, Options{Page: 64})
	data := noise(1000, 1)
	w := c.Create(path, vfs.FailIfExists, 0o600)
	_, err := w.Write(data)
	check(t, errors.Join(err, w.Commit()))
	f, other := c.Open(path, vfs.Append), posix.New().Open(path, vfs.Append)
	defer f.Close()
	defer other.Close()
	read(t, f, 0, 2000, data)
	settle(f, 1000)
	read(t, f, 0, 1000, data)
	for i := range uint64(10) {
		tail := noise(100, i)
		_, err := other.Append(tail, 1000) // B8
		check(t, err)
		if size, err := f.Size(); size != 1100 || err != nil {
			t.Fatal(size, err)
		}
		read(t, f, 900, 1000, append(data[900:1000:1000], tail...))
		check(t, other.Truncate(1000))
	}
	reads := s.reads.Load()
	read(t, f, 0, 1000, data)
	if s.reads.Load() != reads {
		t.Error("settled bytes were read again")
	}
	direct := New(posix.New(), Options{}).Open(path, vfs.ReadOnly)
	defer direct.Close()
	if props := posix.New().Props(path); props.Mapping {
		b, unmap, err := direct.(vfs.Mapper).Map(0, 1000)
		check(t, err)
		if !bytes.Equal(b, data) {
			t.Error("mapped bytes differ")
		}
		check(t, unmap())
	}
}

// Advice with any numbers neither panics nor changes what is read.
func TestAnyAdvice(t *testing.T) {
	b := newBed(t, Options{Page: 16, Bytes: 1000})
	data := noise(500, 1)
	b.put(data)
	f := b.open()
	numbers := []int64{math.MinInt64, -17, -1, 0, 1, 15, 16, 17, 499, 500, 501, math.MaxInt64 - 1, math.MaxInt64}
	for _, a := range []vfs.Advice{vfs.WillNeed, vfs.Doubted, vfs.Settled, 77} {
		for _, off := range numbers {
			for _, n := range numbers {
				vfs.Advise(f, a, off, n)
				read(t, f, 0, 501, data)
				read(t, f, 490, 10, data[490:])
				read(t, f, 100, 30, data[100:130])
			}
		}
	}
}
