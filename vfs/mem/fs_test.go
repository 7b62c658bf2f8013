package mem

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/durusdb/durus/vfs"
)

func is(t *testing.T, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("got error %v, want %v", err, want)
	}
}

// Open does nothing; the first operation that needs the file fails, and the
// error stays.
func TestOpenIsLazy(t *testing.T) {
	p := NewDisk().Process("p")
	f := p.Open("/f", vfs.Append)
	g := p.Open("/f", vfs.Append)
	_, err := f.Size()
	is(t, err, fs.ErrNotExist)
	create(t, p, "/f", []byte("x"))
	_, err = f.Size()
	is(t, err, fs.ErrNotExist)
	if n, err := g.Size(); n != 1 || err != nil {
		t.Errorf("size %d, %v", n, err)
	}
	check(t, g.Close())
	check(t, g.Close())
	_, err = g.Size()
	is(t, err, vfs.ErrClosed)
	check(t, p.Open("/nothing", vfs.Append).Close())
	_, err = p.Open("/", vfs.ReadOnly).Size()
	is(t, err, vfs.ErrNotRegular)
	if n, err := p.Open("f", vfs.ReadOnly).Size(); n != 1 || err != nil {
		t.Errorf("a relative name: %d, %v", n, err)
	}
}

func TestReadAndWrite(t *testing.T) {
	p := NewDisk().Process("p")
	f := create(t, p, "/f", []byte("hello"))
	b := make([]byte, 10)
	for _, c := range []struct {
		off  int64
		n    int
		want string
		err  error
	}{{0, 5, "hello", nil}, {1, 3, "ell", nil}, {3, 4, "lo", io.EOF}, {5, 1, "", io.EOF}, {99, 1, "", io.EOF}, {5, 0, "", nil}} {
		n, err := f.ReadAt(b[:c.n], c.off)
		if string(b[:n]) != c.want || err != c.err {
			t.Errorf("%d bytes at %d: %q, %v", c.n, c.off, b[:n], err)
		}
	}
	_, err := f.ReadAt(b, -1)
	is(t, err, syscall.EINVAL)
	_, err = f.Append(b, math.MaxInt64)
	is(t, err, syscall.EFBIG)
	is(t, f.Truncate(math.MaxInt64), syscall.EFBIG)
	is(t, f.Truncate(-1), syscall.EINVAL)

	r := p.Open("/f", vfs.ReadOnly)
	_, err = r.Append(b, 5)
	is(t, err, vfs.ErrMode)
	_, err = r.Rewrite(b, 0)
	is(t, err, vfs.ErrMode)
	is(t, r.Truncate(0), vfs.ErrMode)
	is(t, r.Sync(), vfs.ErrMode)
}

func TestWriter(t *testing.T) {
	d := NewDisk()
	p := d.Process("p")
	w := p.Create("/f", vfs.FailIfExists, 0o640)
	_, err := w.Write([]byte("one"))
	check(t, err)
	_, err = p.Stat("/f")
	is(t, err, fs.ErrNotExist)
	other := p.Create("/f", vfs.FailIfExists, 0o640)
	check(t, w.Commit())
	check(t, w.Abort())
	is(t, w.Commit(), vfs.ErrClosed)
	is(t, other.Commit(), fs.ErrExist)
	info, err := p.Stat("/f")
	check(t, err)
	if info.Perm != 0o640 || info.Size != 3 || info.Links != 1 || info.Type != 0 {
		t.Errorf("info %+v", info)
	}

	old := p.Open("/f", vfs.Append)
	add(t, old, "!")
	w = p.Create("/f", vfs.ReplaceIfExists, 0o640)
	check(t, w.Commit())
	after, err := old.Stat()
	check(t, err)
	if after.Links != 0 || after.Size != 4 || after.ID != info.ID {
		t.Errorf("replaced file: %+v", after)
	}
	cached(t, d, "/f", "")
	w = p.Create("/g", vfs.ReplaceIfExists, 0o640)
	_, err = w.Write([]byte("x"))
	check(t, err)
	check(t, w.Abort())
	_, err = w.Write([]byte("x"))
	is(t, err, vfs.ErrClosed)
	if fmt.Sprint(d.Names()) != "[/f]" {
		t.Errorf("names %v", d.Names())
	}
}

// F16: a killed Writer leaves its temporary file, and a later one does not
// stumble over it.
func TestKilledWriter(t *testing.T) {
	d := NewDisk()
	p := d.Process("p")
	w := p.Create("/f", vfs.FailIfExists, 0o600)
	_, err := w.Write([]byte("x"))
	check(t, err)
	p.Kill()
	is(t, w.Commit(), ErrKilled)
	if fmt.Sprint(d.Names()) != "[/f.new.0000000000000001]" {
		t.Errorf("names %v", d.Names())
	}
	for im := range d.Images(Options{Models: M2}) {
		e := im.Disk()
		check(t, e.Process("q").Create("/f", vfs.FailIfExists, 0o600).Commit())
		if len(e.Names()) != 2 {
			t.Errorf("names %v", e.Names())
		}
	}
}

// Fact 8: the number of an inode is given again as soon as nothing leads to it.
func TestInodeNumbers(t *testing.T) {
	for _, fresh := range []bool{false, true} {
		d := NewDisk()
		d.FreshInodes = fresh
		p := d.Process("p")
		id := func(name string) vfs.FileID {
			info, err := p.Stat(name)
			check(t, err)
			return info.ID
		}
		f := create(t, p, "/a", nil)
		_, err := f.Size()
		check(t, err)
		a := id("/a")
		check(t, p.Remove("/a"))
		create(t, p, "/b", nil)
		if id("/b") == a {
			t.Error("the number of an open file was given again")
		}
		check(t, f.Close())
		create(t, p, "/c", nil)
		if (id("/c") == a) == fresh {
			t.Errorf("FreshInodes %v: number %v again: %v", fresh, a, !fresh)
		}
		c := id("/c")
		check(t, p.Remove("/c")) // never opened
		create(t, p, "/d", nil)
		if (id("/d") == c) == fresh {
			t.Errorf("FreshInodes %v: number %v again: %v", fresh, c, !fresh)
		}
	}
}

func TestNames(t *testing.T) {
	d := NewDisk()
	p := d.Process("p")
	create(t, p, "/dir/a", []byte("a"))
	check(t, p.Link("/dir/a", "/dir/b"))
	info, err := p.Stat("dir/../dir/b")
	check(t, err)
	if info.Links != 2 {
		t.Errorf("links %d", info.Links)
	}
	is(t, p.Link("/dir/a", "/dir/b"), fs.ErrExist)
	is(t, p.Link("/none", "/x"), fs.ErrNotExist)
	check(t, p.Rename("/dir/a", "/dir/b")) // one file: nothing happens
	check(t, p.Rename("/dir/a", "/c"))
	is(t, p.Rename("/dir/a", "/c"), fs.ErrNotExist)
	is(t, p.Rename("/c", "/dir"), fs.ErrExist)
	is(t, p.Remove("/dir"), vfs.ErrNotRegular)
	if info, err = p.Stat("/dir"); err != nil || info.Type != fs.ModeDir {
		t.Errorf("directory: %+v, %v", info, err)
	}
	check(t, p.Remove("/dir/b"))
	_, err = p.Stat("/dir")
	is(t, err, fs.ErrNotExist)
	if name, err := p.Resolve("x/../c"); name != "/c" || err != nil {
		t.Errorf("resolved %q, %v", name, err)
	}
	if !p.Props("").Locks || p.PID() == 0 || p.Disk() != d {
		t.Error("what a process says of itself is wrong")
	}
}

// What is done from outside is on the disk at once.
func TestOutside(t *testing.T) {
	d := NewDisk()
	p := d.Process("p")
	f := create(t, p, "/f", []byte("12345"))
	add(t, f, "6")
	check(t, d.Patch("/f", 1, []byte("xx")))
	check(t, d.Truncate("/f", 5))
	check(t, d.Copy("/f", "/g"))
	check(t, d.Link("/f", "/h"))
	check(t, d.Rename("/g", "/i"))
	check(t, d.WriteFile("/gone", nil))
	check(t, d.Remove("/gone"))
	for _, m := range []Model{M1, M2} {
		equal(t, m.String(), images(t, d, Options{Models: m}), []string{"/f=1xx45 /h=1xx45 /i=1xx45"})
	}
	equal(t, "M3 to M7", images(t, d, Options{Models: M3 | M4 | M5 | M6 | M7}), nil)
	for _, err := range []error{d.Patch("/none", 0, nil), d.Truncate("/none", 0), d.Copy("/none", "/x"), d.Link("/none", "/x"),
		d.Rename("/none", "/x"), d.Remove("/none"), d.Evict("/none", 0, -1), d.FailWriteback("/none", nil, nil)} {
		is(t, err, fs.ErrNotExist)
	}
	add(t, f, "7")
	check(t, p.Remove("/h"))
	d.SyncAll()
	equal(t, "M1", images(t, d, Options{Models: M1}), []string{"/f=1xx457 /i=1xx45"})
}

// Without a scheduler the disk is used by many goroutines at once.
func TestConcurrentUse(t *testing.T) {
	for name, d := range map[string]*Disk{"disk": NewDisk(), "volatile": NewVolatile()} {
		check(t, d.WriteFile("/db", nil))
		var wg sync.WaitGroup
		for i := range 4 {
			p := d.Process(string(rune('a' + i)))
			f := p.Open("/db", vfs.Append)
			l := p.Locker("/db.lock", f, vfs.Append, 0o600)
			for range 2 {
				wg.Go(func() {
					for range 50 {
						check(t, l.Lock(background))
						add(t, f, p.Name())
						check(t, l.Unlock())
						check(t, f.Sync())
						_, err := f.ReadAt(make([]byte, 1), 0)
						check(t, err)
					}
				})
			}
		}
		wg.Go(func() {
			for range 20 {
				for im := range d.Images(Options{Models: M1 | M2 | M3, Samples: 20}) {
					b, err := im.ReadFile("/db")
					check(t, err)
					if trimmed := bytes.TrimLeft(b, "abcd"); len(trimmed) > 0 {
						t.Errorf("%v: %q", im, trimmed)
					}
				}
			}
		})
		wg.Wait()
		b, err := d.Persisted("/db")
		check(t, err)
		for c := range "abcd" {
			if n := bytes.Count(b, []byte{"abcd"[c]}); n != 100 {
				t.Errorf("%s: %d of %c", name, n, "abcd"[c])
			}
		}
	}
}

// A volatile disk has one image, of everything.
func TestVolatile(t *testing.T) {
	d := NewVolatile()
	p := d.Process("p")
	f := create(t, p, "/f", []byte("1"))
	add(t, f, "2")
	check(t, d.Evict("/f", 0, -1))
	for _, m := range []Model{M1, M2} {
		equal(t, m.String(), images(t, d, Options{Models: m}), []string{"/f=12"})
	}
	persisted(t, d, "/f", "12")
	add(t, f, "3")
	equal(t, "all", images(t, d, Options{Seen: map[uint64]struct{}{}}), []string{"/f=123"})
}

// A stopped process waits for Continue, or for its end.
func TestStopWithoutScheduler(t *testing.T) {
	d := NewDisk()
	check(t, d.WriteFile("/f", nil))
	for _, kill := range []bool{false, true} {
		p := d.Process("p")
		p.Stop()
		done := make(chan error)
		go func() { done <- p.Yield() }()
		select {
		case <-done:
			t.Error("a stopped process went on")
		case <-time.After(5 * time.Millisecond):
		}
		if kill {
			p.Kill()
			is(t, <-done, ErrKilled)
		} else {
			p.Continue()
			check(t, <-done)
		}
	}
}
