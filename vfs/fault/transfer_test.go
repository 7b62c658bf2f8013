package fault_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/durusdb/durus/vfs"
	"github.com/durusdb/durus/vfs/fault"
	"github.com/durusdb/durus/vfs/mem"
	"github.com/durusdb/durus/vfs/wrap"
)

// F1, F6: a short write says how far it came.
func TestShortWrite(t *testing.T) {
	everywhere(t, func(t *testing.T, lower vfs.FS, dir string) {
		name := filepath.Join(dir, "f")
		disk := fault.New(lower, 0)
		f := create(t, disk, name, "")
		short := func(n int) { disk.Add(fault.Rule{Effect: fault.Short(n, syscall.ENOSPC)}) }
		short(3)
		wrote(t, 3, syscall.ENOSPC)(f.Append([]byte("abcdef"), 0))
		holds(t, lower, name, "abc")
		short(0)
		wrote(t, 0, syscall.ENOSPC)(f.Append([]byte("def"), 3))
		short(100)
		wrote(t, 3, syscall.ENOSPC)(f.Append([]byte("def"), 3))
		holds(t, lower, name, "abcdef")
		short(2)
		wrote(t, 2, syscall.ENOSPC)(f.Rewrite([]byte("ABCDEF"), 0))
		holds(t, lower, name, "ABcdef")
		short(-1)
		wrote(t, 0, syscall.ENOSPC)(f.Rewrite([]byte("xyz"), 0))
		wrote(t, 6, nil)(f.Rewrite([]byte("ABCDEF"), 0))
		holds(t, lower, name, "ABCDEF")
		short(1)
		is(t, write(disk, name+"2", "abc"), syscall.ENOSPC)
		left(t, lower, name, "f")
		short(0)
		wrote(t, 0, vfs.ErrMode)(disk.Open(name, vfs.ReadOnly).Append([]byte("x"), 6))
	})
}

// A torn write leaves the chosen sectors and nothing of the others.
func TestTornWrite(t *testing.T) {
	everywhere(t, func(t *testing.T, lower vfs.FS, dir string) {
		name := filepath.Join(dir, "f")
		disk := fault.New(lower, 0)
		old := strings.Repeat("o", 1500)
		fresh := strings.Repeat("n", 2000)
		torn := func(sectors ...int) { disk.Add(fault.Rule{Effect: fault.Torn(nil, sectors...)}) }

		// 100 bytes of sector 0 before it; it touches the sectors 0 to 4.
		f := create(t, disk, name, old)
		torn(1, 3)
		wrote(t, 0, syscall.EIO)(f.Rewrite([]byte(fresh), 100))
		holds(t, lower, name, old[:512]+fresh[:512]+old[1024:]+strings.Repeat("\x00", 36)+fresh[:512])

		f = create(t, disk, name, old)
		torn(0, 2)
		wrote(t, 412, syscall.EIO)(f.Rewrite([]byte(fresh), 100))
		holds(t, lower, name, old[:100]+fresh[:412]+old[512:1024]+fresh[:512])

		f = create(t, disk, name, old)
		torn(0, 1, 2, 3, 4)
		wrote(t, 2000, syscall.EIO)(f.Rewrite([]byte(fresh), 100))
		holds(t, lower, name, old[:100]+fresh)

		f = create(t, disk, name, old[:10])
		torn(0, 2)
		wrote(t, 502, syscall.EIO)(f.Append([]byte(fresh), 10))
		holds(t, lower, name, old[:10]+fresh[:502]+strings.Repeat("\x00", 512)+fresh[:512])

		f = create(t, disk, name, old[:10])
		torn(99, -1)
		wrote(t, 0, syscall.EIO)(f.Append([]byte(fresh), 10))
		holds(t, lower, name, old[:10])
		torn(0)
		wrote(t, 0, syscall.EIO)(f.Append(nil, 0))

		torn(2)
		is(t, write(disk, name, fresh), syscall.EIO)
		holds(t, lower, name, old[:10])
	})
}

// A random choice is never all, and what is reported as written is written.
func TestTornAtRandom(t *testing.T) {
	seed := randomSeed(t)
	everywhere(t, func(t *testing.T, lower vfs.FS, dir string) {
		name := filepath.Join(dir, "f")
		disk := fault.New(lower, seed, fault.Rule{Ops: wrap.Rewrite, Times: -1, Effect: fault.Torn(nil)})
		old, fresh := bytes.Repeat([]byte("o"), 3000), bytes.Repeat([]byte("n"), 2000)
		outcomes := map[string]bool{}
		for range 100 {
			f := create(t, disk, name, string(old))
			n, err := f.Rewrite(fresh, 700)
			is(t, err, syscall.EIO)
			got := read(t, lower, name)
			if len(got) != 3000 || got[:700] != string(old[:700]) || got[2700:] != string(old[2700:]) {
				t.Fatalf("bytes around were changed:\n%v", disk)
			}
			for from := 700; from < 2700; {
				to := min(from/512*512+512, 2700)
				if s := got[from:to]; s != string(fresh[:to-from]) && (s != string(old[:to-from]) || n > from-700) {
					t.Fatalf("sector at %d holds %.20q, %d were written:\n%v", from, s, n, disk)
				}
				from = to
			}
			if got[700:2700] == string(fresh) {
				t.Fatalf("all was written:\n%v", disk)
			}
			outcomes[got] = true
			check(t, f.Close())
		}
		if len(outcomes) < 5 {
			t.Errorf("%d outcomes:\n%v", len(outcomes), disk)
		}
	})
}

// A read of the old bytes that fails is told.
func TestTornUnreadable(t *testing.T) {
	p := mem.NewDisk().Process("p")
	disk := fault.New(p, 0, fault.Rule{Ops: wrap.Rewrite, Effect: fault.Torn(nil, 1)})
	f := create(t, disk, "f", strings.Repeat("o", 1024))
	remove := p.Disk().Inject(mem.Fault{Kinds: []mem.Kind{mem.OpRead}, Action: mem.Fail(io.ErrNoProgress)})
	wrote(t, 0, io.ErrNoProgress)(f.Rewrite(make([]byte, 1024), 0))
	equal(t, "hits", remove(), 1)
	holds(t, p, "f", strings.Repeat("o", 1024))
}

// F8: a flipped bit, on its way in or out.
func TestFlipBit(t *testing.T) {
	seed := randomSeed(t)
	everywhere(t, func(t *testing.T, lower vfs.FS, dir string) {
		name := filepath.Join(dir, "f")
		disk := fault.New(lower, seed)
		f := create(t, disk, name, "aaaa")
		p := make([]byte, 4)
		flip := func(ops wrap.Op, bit int64) { disk.Add(fault.Rule{Ops: ops, Effect: fault.FlipBit(bit)}) }
		flip(wrap.Read, 9)
		_, err := f.ReadAt(p, 0)
		check(t, err)
		equal(t, "read", string(p), "acaa")
		flip(wrap.Read, 32+9) // and again from the beginning
		_, err = f.ReadAt(p, 0)
		check(t, err)
		equal(t, "read", string(p), "acaa")
		flip(wrap.Read, 0)
		n, err := f.ReadAt(make([]byte, 4), 4)
		equal(t, "read at the end", n, 0)
		is(t, err, io.EOF)
		flip(wrap.Read, -1)
		_, err = f.ReadAt(p, 0)
		check(t, err)
		if string(p) == "aaaa" {
			t.Error("no bit was flipped")
		}
		_, err = f.ReadAt(p, 0)
		check(t, err)
		equal(t, "read", string(p), "aaaa")

		mine := []byte("bbbb")
		flip(wrap.Append, 0)
		wrote(t, 4, nil)(f.Append(mine, 4))
		flip(wrap.Rewrite, 1)
		wrote(t, 4, nil)(f.Rewrite(mine, 0))
		equal(t, "the caller's bytes", string(mine), "bbbb")
		holds(t, lower, name, "`bbbcbbb")
		flip(wrap.Write, 0)
		check(t, write(disk, name, "bbbb"))
		holds(t, lower, name, "cbbb")
	})
}

// The record of a lock file goes wrong as bytes of files do.
func TestMark(t *testing.T) {
	everywhere(t, func(t *testing.T, lower vfs.FS, dir string) {
		disk := fault.New(lower, 0)
		f := create(t, disk, filepath.Join(dir, "f"), "")
		l := disk.Locker(filepath.Join(dir, "l"), f, vfs.Append, 0o600)
		defer l.Close()
		update := func(b byte) error {
			return l.UpdateMark(context.Background(), func(p *[vfs.MarkSize]byte, _ bool) bool {
				*p = [vfs.MarkSize]byte(bytes.Repeat([]byte{b}, vfs.MarkSize))
				return true
			})
		}
		shows := func(want string) {
			t.Helper()
			var p [vfs.MarkSize]byte
			n, err := l.ReadMark(&p)
			check(t, err)
			equal(t, "mark", string(p[:n]), want)
		}
		if err := update('a'); errors.Is(err, vfs.ErrNotSupported) {
			t.Skip("no latch on this system")
		} else {
			check(t, err)
		}
		add := func(ops wrap.Op, e fault.Effect) { disk.Add(fault.Rule{Ops: ops, Effect: e}) }
		add(wrap.UpdateMark, fault.Short(10, nil))
		is(t, update('b'), syscall.EIO)
		shows(strings.Repeat("b", 10) + strings.Repeat("a", 54))
		add(wrap.UpdateMark, fault.Short(0, nil))
		is(t, update('c'), syscall.EIO)
		shows(strings.Repeat("b", 10) + strings.Repeat("a", 54))
		add(wrap.UpdateMark, fault.Pretend())
		check(t, update('c'))
		shows(strings.Repeat("b", 10) + strings.Repeat("a", 54))
		add(wrap.UpdateMark, fault.FlipBit(0))
		check(t, update('d'))
		shows("e" + strings.Repeat("d", 63))
		add(wrap.ReadMark, fault.FlipBit(0))
		shows(strings.Repeat("d", 64))
		shows("e" + strings.Repeat("d", 63))
	})
}

// A19, F40: a drive that lies about its cache loses what it has promised, and
// nothing tells before the power is cut.
func TestLyingSync(t *testing.T) {
	d := mem.NewDisk()
	disk := fault.New(d.Process("p"), 0)
	f := create(t, disk, "/f", "old ")
	check(t, disk.SyncDir("/f"))
	remove := disk.Add(fault.Rule{Ops: wrap.Sync | wrap.SyncDir, Times: -1, Effect: fault.Pretend()})
	wrote(t, 4, nil)(f.Append([]byte("new "), 4))
	check(t, f.Sync())
	check(t, write(disk, "/g", ""))
	check(t, disk.SyncDir("/g"))
	holds(t, disk, "/f", "old new ")
	equal(t, "hits", remove(), 2)

	cut := func() *mem.Image {
		for im := range d.Images(mem.Options{Models: mem.M1}) {
			return im
		}
		t.Fatal("no image")
		return nil
	}
	im := cut()
	b, err := im.ReadFile("/f")
	check(t, err)
	equal(t, "after a power cut", string(b), "old ")
	equal(t, "names after a power cut", strings.Join(im.Names(), " "), "/f")

	check(t, f.Sync())
	check(t, disk.SyncDir("/f"))
	im = cut()
	b, err = im.ReadFile("/f")
	check(t, err)
	equal(t, "after an honest sync", string(b), "old new ")
	equal(t, "names after an honest sync", strings.Join(im.Names(), " "), "/f /g")
}

// F9: writes and other changes that get lost.
func TestLostChanges(t *testing.T) {
	everywhere(t, func(t *testing.T, lower vfs.FS, dir string) {
		name := filepath.Join(dir, "f")
		disk := fault.New(lower, 0)
		f := create(t, disk, name, "abc")
		remove := disk.Add(fault.Rule{Times: -1, Effect: fault.Pretend()})
		wrote(t, 2, nil)(f.Append([]byte("de"), 3))
		wrote(t, 1, nil)(f.Rewrite([]byte("A"), 0))
		check(t, f.Truncate(0))
		check(t, f.Sync())
		check(t, disk.Remove(name))
		check(t, disk.SyncDir(name))
		check(t, write(disk, name+"2", "abc")) // a lost Write; Commit does not lie
		equal(t, "hits", remove(), 7)
		holds(t, lower, name, "abc")
		holds(t, lower, name+"2", "")
	})
}
