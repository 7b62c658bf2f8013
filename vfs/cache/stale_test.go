package cache

import (
	"bytes"
	"errors"
	"testing"

	"github.com/durusdb/durus/vfs"
	"github.com/durusdb/durus/vfs/mem"
)

// warm returns a bed with 1000 bytes, all settled and in the cache.
func warm(t *testing.T) (b *bed, f vfs.File, data []byte) {
	b = newBed(t, Options{Page: 64})
	data = noise(1000, 1)
	b.put(data)
	f = b.open()
	settle(f, 1000)
	read(t, f, 0, 1000, data)
	b.costs(0, func() { read(t, f, 0, 1000, data) })
	return b, f, data
}

// B8: what a second process appends behind the cache is there at once.
func TestSecondProcessAppends(t *testing.T) {
	b, f, data := warm(t)
	other := New(b.d.Process("q"), Options{Page: 64}).Open("/f", vfs.Append)
	all := data
	for i := range uint64(20) {
		next := noise(37, i)
		_, err := other.Append(next, int64(len(all)))
		check(t, err)
		all = append(all, next...)
		if size, err := f.Size(); size != int64(len(all)) || err != nil {
			t.Fatal(size, err)
		}
		read(t, f, 950, 1000, all[950:])
		if i%3 == 0 {
			settle(f, int64(len(all)))
		}
		read(t, f, 0, len(all), all)
	}
}

// H8: a tail is cut and written again with the same length.
func TestTailIsRewritten(t *testing.T) {
	b, f, data := warm(t)
	other := b.d.Process("q").Open("/f", vfs.Append)
	for i := range uint64(20) {
		next := noise(100, i)
		_, err := other.Append(next, 1000)
		check(t, err)
		for _, from := range []int64{1000, 990, 0} {
			read(t, f, from, 2000, append(data[from:1000:1000], next...))
		}
		check(t, other.Truncate(1000))
	}
	b.costs(0, func() { read(t, f, 0, 1000, data) })
}

// B8, F26: a backup is copied over the file. The first doubted read that
// differs drops everything.
func TestRestoreInPlace(t *testing.T) {
	b, f, data := warm(t)
	g := b.open()
	next := noise(1000, 2)
	b.put(next)
	b.costs(0, func() { read(t, f, 0, 1000, data) }) // nobody has doubted
	vfs.Advise(g, vfs.Doubted, 500, 16)
	b.costs(0, func() { read(t, f, 0, 500, data[:500]) })
	b.costs(1, func() { read(t, f, 500, 16, next[500:516]) })
	if s := b.c.Stats(); s.Pages != 0 || s.Drops != 16 {
		t.Errorf("%+v", s)
	}
	b.costs(3, func() { read(t, f, 0, 1000, next); read(t, g, 0, 10, next[:10]); read(t, f, 0, 10, next[:10]) }) // nothing is settled
	settle(f, 1000)
	read(t, f, 0, 1000, next)
	b.costs(0, func() { read(t, g, 0, 1000, next) })
}

// A file that turns out to be shorter than what was settled is not what it was.
func TestShorterThanSettled(t *testing.T) {
	for _, doubted := range []bool{true, false} {
		b, f, data := warm(t)
		if doubted {
			b.put(data[:777])
			vfs.Advise(f, vfs.Doubted, 700, 300)
			read(t, f, 700, 300, data[700:777])
		} else {
			settle(f, 2000) // more than there is
			read(t, f, 1000, 300, nil)
		}
		if s := b.c.Stats(); s.Pages != 0 {
			t.Errorf("%+v", s)
		}
		b.costs(2, func() { read(t, f, 0, 64, data[:64]); read(t, f, 0, 64, data[:64]) })
	}
}

// Doubted bytes that have not changed are read once.
func TestUnfoundedDoubt(t *testing.T) {
	b, f, data := warm(t)
	vfs.Advise(f, vfs.Doubted, 100, 200)
	b.costs(0, func() { read(t, f, 0, 100, data[:100]); read(t, f, 300, 700, data[300:]) })
	b.costs(1, func() { read(t, f, 150, 10, data[150:160]) }) // a whole page
	b.costs(0, func() { read(t, f, 128, 64, data[128:192]) })
	b.costs(2, func() { read(t, f, 100, 1, data[100:101]); read(t, f, 299, 1, data[299:300]) })
	b.costs(1, func() { read(t, f, 0, 900, data[:900]) })
	b.costs(0, func() { read(t, f, 0, 1000, data) })
	if s := b.c.Stats(); s.Drops != 0 {
		t.Errorf("%+v", s)
	}
	// too many to be remembered: nothing is kept
	for i := range int64(maxDoubts + 1) {
		vfs.Advise(f, vfs.Doubted, i*50, 1)
	}
	if s := b.c.Stats(); s.Drops != 16 {
		t.Errorf("%+v", s)
	}
	read(t, f, 0, 1000, data)
	settle(f, 1000)
	read(t, f, 0, 1000, data)
	// a handle that is not open remembers its doubts
	g := b.c.Open("/f", vfs.ReadOnly)
	vfs.Advise(g, vfs.Doubted, 5, 1)
	vfs.Advise(g, vfs.Doubted, 70, 1)
	b.costs(0, func() { read(t, f, 5, 1, data[5:6]) })
	b.costs(1, func() { read(t, g, 0, 128, data[:128]); read(t, f, 0, 128, data[:128]) })
}

// A read that began before a doubt does not settle it.
func TestDoubtDuringRead(t *testing.T) {
	b, f, data := warm(t)
	next := noise(1000, 2)
	vfs.Advise(f, vfs.Doubted, 0, 10)
	b.afterOneRead(func() {
		b.put(next)
		vfs.Advise(f, vfs.Doubted, 0, 10)
	})
	read(t, f, 0, 10, data[:10])
	read(t, f, 0, 10, next[:10])
	read(t, f, 0, 1000, next)
}

// Nor is kept what a read brings that began before.
func TestDoubtDuringMiss(t *testing.T) {
	b := newBed(t, Options{Page: 64})
	data, next := noise(1000, 1), noise(1000, 2)
	b.put(data)
	f := b.open()
	settle(f, 1000)
	b.afterOneRead(func() {
		b.put(next)
		vfs.Advise(f, vfs.Doubted, 0, 10)
		read(t, f, 0, 10, next[:10]) // settles the doubt: there is nothing to compare with
	})
	read(t, f, 0, 10, data[:10])
	read(t, f, 0, 10, next[:10])
}

// B8: doubted bytes that cannot be read are an error, never the old bytes.
func TestStale(t *testing.T) {
	b, f, data := warm(t)
	broken := errors.New("broken")
	b.s.before = func(int64, int) error { return broken }
	b.costs(0, func() { read(t, f, 0, 1000, data) })
	vfs.Advise(f, vfs.Doubted, 64, 64)
	for range 2 {
		for _, r := range [][2]int{{64, 64}, {70, 3}, {0, 1000}, {100, 1000}} {
			n, err := f.ReadAt(make([]byte, r[1]), int64(r[0]))
			is(t, err, vfs.ErrStale)
			is(t, err, broken)
			if n != 0 {
				t.Errorf("%d bytes with the error", n)
			}
		}
	}
	_, err := f.ReadAt(make([]byte, 1), 1000)
	if is(t, err, broken); errors.Is(err, vfs.ErrStale) {
		t.Error("these bytes were not in doubt")
	}
	b.s.before = nil
	b.costs(1, func() { read(t, f, 64, 64, data[64:128]); read(t, f, 0, 1000, data) })
}

// B8: a handle whose file cannot be told is not answered.
func TestIdentityUnknown(t *testing.T) {
	b, _, data := warm(t)
	broken := errors.New("broken")
	b.s.stat = func() error { return broken }
	g := b.c.Open("/f", vfs.Append)
	for range 2 {
		_, err := g.ReadAt(make([]byte, 10), 0)
		is(t, err, broken)
		_, err = g.Size()
		is(t, err, broken)
	}
	b.s.stat = nil
	b.costs(0, func() { read(t, g, 0, 10, data[:10]) })
}

// The rest of a page that cannot be read is not the caller's business, and an
// error is not remembered.
func TestErrors(t *testing.T) {
	b := newBed(t, Options{Page: 64})
	data := noise(1000, 1)
	b.put(data)
	f := b.open()
	settle(f, 1000)
	broken := errors.New("broken")
	b.s.before = func(off int64, n int) error {
		if off <= 100 && 100 < off+int64(n) {
			return broken
		}
		return nil
	}
	read(t, f, 64, 30, data[64:94])
	read(t, f, 101, 60, data[101:161])
	for _, r := range [][2]int{{64, 64}, {100, 1}, {0, 1000}} {
		n, err := f.ReadAt(make([]byte, r[1]), int64(r[0]))
		if is(t, err, broken); n != 0 {
			t.Errorf("%d bytes with the error", n)
		}
	}
	b.s.before = nil
	read(t, f, 0, 1000, data)
	b.costs(0, func() { read(t, f, 0, 1000, data) })
}

// What is written into the settled range is seen, whatever comes of it.
func TestWritesIntoTheCache(t *testing.T) {
	b, f, data := warm(t)
	g := b.open()
	n, err := f.Rewrite([]byte("xyz"), 126)
	copy(data[126:], "xyz")
	if check(t, err); n != 3 {
		t.Fatal(n)
	}
	if s := b.c.Stats(); s.Drops != 2 {
		t.Errorf("%d pages dropped, want 2", s.Drops)
	}
	b.costs(0, func() { read(t, g, 0, 64, data[:64]); read(t, g, 192, 800, data[192:992]) })
	b.costs(1, func() { read(t, g, 0, 1000, data); read(t, g, 0, 1000, data) })

	remove := b.d.Inject(mem.Fault{Kinds: []mem.Kind{mem.OpRewrite}, Action: mem.ShortWrite(1, nil)})
	if n, err = f.Rewrite([]byte("123"), 10); n != 1 || err == nil || remove() != 1 {
		t.Fatal(n, err)
	}
	data[10] = '1'
	read(t, g, 0, 1000, data)

	n, err = f.Append([]byte("appended where no end is"), 990)
	check(t, err)
	data = append(data[:990], "appended where no end is"...)
	if n != 24 {
		t.Fatal(n)
	}
	read(t, g, 0, 1000, data[:1000])

	check(t, f.Truncate(100))
	n, err = f.Append(data[:900], 100)
	check(t, err)
	if n != 900 {
		t.Fatal(n)
	}
	data = append(data[:100:100], data[:900]...)
	for range 2 {
		read(t, g, 0, 1000, data)
	}
	check(t, b.d.Patch("/f", 500, []byte("not settled any more")))
	copy(data[500:], "not settled any more")
	read(t, g, 0, 1000, data)
	settle(f, 1000)
	read(t, g, 0, 1000, data)
	b.costs(0, func() { read(t, g, 0, 1000, data) })
}

// A read that began before the bytes were settled, rewritten or cut is not
// kept, although it ends after.
func TestReadsThatCrossEvents(t *testing.T) {
	for name, event := range map[string]func(f vfs.File, data []byte) []byte{
		"rewrite": func(f vfs.File, data []byte) []byte {
			_, err := f.Rewrite([]byte("rewritten"), 100)
			check(t, err)
			copy(data[100:], "rewritten")
			return data
		},
		"truncate": func(f vfs.File, data []byte) []byte {
			check(t, f.Truncate(110))
			data = append(data[:110:110], noise(890, 5)...)
			_, err := f.Append(data[110:], 110)
			check(t, err)
			settle(f, 1000)
			return data
		},
		"close": func(f vfs.File, data []byte) []byte {
			check(t, f.Close())
			return data
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBed(t, Options{Page: 64})
			data := noise(1000, 1)
			b.put(data)
			f, g := b.open(), b.open()
			settle(f, 1000)
			if name == "close" {
				check(t, g.Close())
				g = f
			}
			now := append([]byte(nil), data...)
			b.afterOneRead(func() { now = event(f, now) })
			read(t, g, 0, 192, data[:192])
			if name == "close" {
				if s := b.c.Stats(); s.Pages != 0 {
					t.Errorf("%+v", s)
				}
				return
			}
			for range 2 {
				read(t, g, 0, 1000, now)
			}
		})
	}
	t.Run("settle", func(t *testing.T) {
		b := newBed(t, Options{Page: 64})
		b.put(make([]byte, 128)) // being written
		f := b.open()
		data := noise(128, 1)
		b.afterOneRead(func() { b.put(data); settle(f, 128) })
		read(t, f, 0, 128, make([]byte, 128))
		read(t, f, 0, 128, data)
	})
}

// A read that is answered from pages and then from the storage is not a mixture
// of before and after.
func TestNoMixture(t *testing.T) {
	b := newBed(t, Options{Page: 64})
	b.put(make([]byte, 128))
	f, g := b.open(), b.open()
	settle(f, 128)
	read(t, f, 0, 64, make([]byte, 64))
	ones := bytes.Repeat([]byte{1}, 128)
	b.s.before = func(int64, int) error {
		b.s.before = nil
		_, err := g.Rewrite(ones, 0)
		return err
	}
	read(t, f, 0, 128, ones)
}

// What a reader does who has looked at the state of a file before an event, and
// goes on after it.
func TestLateReader(t *testing.T) {
	for name, event := range map[string]func(b *bed, f vfs.File){
		"rewritten": func(_ *bed, f vfs.File) {
			_, err := f.Rewrite(noise(1000, 2), 0)
			check(t, err)
		},
		"cut": func(_ *bed, f vfs.File) {
			check(t, f.Truncate(0))
			_, err := f.Append(noise(1000, 2), 0)
			check(t, err)
		},
		"all doubted": func(b *bed, f vfs.File) {
			b.put(noise(1000, 2))
			vfs.Advise(f, vfs.Doubted, 0, 1000)
		},
		"found changed": func(b *bed, f vfs.File) {
			b.put(noise(1000, 2))
			vfs.Advise(f, vfs.Doubted, 0, 1)
			read(b.tb, f, 0, 1000, noise(1000, 2))
		},
	} {
		t.Run(name, func(t *testing.T) {
			b, h, old := warm(t)
			f, next := h.(*file), noise(1000, 2)
			ino := f.ino.Load()
			before := ino.state.Load()
			event(b, f)
			if ino.same(before) {
				t.Fatal("the version is the same")
			}
			// nothing is settled, and he reads what is there, but does not keep it
			p := make([]byte, 64)
			settled := ino.state.Load().limit > 0
			n, err := f.fill(ino, before, p, 0, true)
			if n != 64 || err != nil || !bytes.Equal(p, next[:64]) {
				t.Errorf("%d, %v", n, err)
			}
			if s := b.c.Stats(); (s.Pages > 0) != settled {
				t.Errorf("settled %v, but %d pages", settled, s.Pages)
			}
			settle(f, 1000)
			read(t, f, 0, 1000, next)
			// all is there again, but not what he looks for
			if _, err = f.fill(ino, before, p, 0, true); !errors.Is(err, errOutdated) {
				t.Errorf("pages of another version: %v", err)
			}
			// what he has read before proves nothing
			b.c.check(ino, before, old, 0, false)
			b.costs(0, func() { read(t, f, 0, 1000, next) })
		})
	}
}

// A handle that is closed while somebody is on the way to the storage.
func TestLateClose(t *testing.T) {
	b, g, data := warm(t)
	f := b.open().(*file)
	_, err := g.Rewrite(data[:64], 0) // so that it is not kept any more
	check(t, err)
	ino := f.ino.Load()
	if !f.detach() || f.detach() {
		t.Fatal("a handle is closed once")
	}
	b.afterOneRead(func() {
		_, err := g.Rewrite([]byte("new"), 0)
		check(t, err)
	})
	p := make([]byte, 64)
	if _, err := f.fill(ino, ino.state.Load(), p, 0, true); err != nil || !bytes.Equal(p, data[:64]) {
		t.Error(err)
	}
	copy(data, "new")
	read(t, g, 0, 64, data[:64])
	if _, err := b.c.attach(f, ino.id); !errors.Is(err, vfs.ErrClosed) || ino.refs != 1 {
		t.Errorf("a closed handle has the file open: %v, %d handles", err, ino.refs)
	}
	check(t, f.lower.Close())
}

// The pages of one file go, those of another one stay.
func TestTwoFiles(t *testing.T) {
	b, f, data := warm(t)
	check(t, b.d.WriteFile("/g", data))
	g := b.c.Open("/g", vfs.Append)
	read(t, g, 0, 10, data[:10])
	settle(g, 1000)
	for off := int64(0); off < 1000; off += 300 {
		read(t, g, off, 10, data[off:off+10])
	}
	check(t, f.Truncate(100)) // few pages are left, and g has many
	check(t, g.Truncate(990))
	b.costs(0, func() { read(t, f, 0, 64, data[:64]); read(t, g, 600, 10, data[600:610]) })
	check(t, g.Close())
	b.costs(0, func() { read(t, f, 0, 64, data[:64]) })
	if s := b.c.Stats(); s.Pages != 1 {
		t.Errorf("%+v", s)
	}
}
