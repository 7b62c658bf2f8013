package async

import (
	"bytes"
	"io"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/durusdb/durus/vfs"
)

const latency = 50 * time.Millisecond

// scan reads a file from the beginning to the end, as a blocking caller does.
func scan(t *testing.T, l *lower, opts Options, piece int, settled int64) ([]byte, time.Duration) {
	t.Helper()
	f := vfs.Blocking(New(l, opts)).Open("/f", vfs.ReadOnly)
	vfs.Advise(f, vfs.Settled, 0, settled)
	start := time.Now()
	var got []byte
	for {
		p := make([]byte, piece)
		n, err := f.ReadAt(p, int64(len(got)))
		got = append(got, p[:n]...)
		if err == io.EOF {
			break
		}
		check(t, err)
	}
	d := time.Since(start)
	check(t, f.Close())
	return got, d
}

// A17: reading in order is much faster, and the bytes are the same, however the
// pieces lie to those that are read ahead.
func TestReadAhead(t *testing.T) {
	for _, piece := range []int{4096, 1000, 100_000, 700_000} {
		bubble(t, func(t *testing.T) {
			l := newLower()
			want := l.put(t, "/f", 1_500_000)
			l.sleep(latency)
			with, fast := scan(t, l, Options{}, piece, int64(len(want)))
			without, slow := scan(t, l, Options{ReadAhead: -1}, piece, int64(len(want)))
			if !bytes.Equal(with, want) || !bytes.Equal(without, want) {
				t.Error("wrong bytes")
			}
			t.Logf("pieces of %d: %v with, %v without", piece, fast, slow)
			if piece <= 4096 && slow < 5*fast || fast > slow {
				t.Errorf("pieces of %d: %v with, %v without", piece, fast, slow)
			}
		})
	}
}

// A17: several readers in one file do not disturb one another.
func TestReadAheadOfMany(t *testing.T) {
	bubble(t, func(t *testing.T) {
		const readers, each, piece = maxStreams, 500_000, 1000
		l := newLower()
		l.put(t, "/f", readers*each)
		l.sleep(latency)
		f := vfs.Blocking(New(l, Options{})).Open("/f", vfs.ReadOnly)
		vfs.Advise(f, vfs.Settled, 0, readers*each)
		start := time.Now()
		var group sync.WaitGroup
		for i := range int64(readers) {
			group.Go(func() {
				for off := range int64(each / piece) {
					_, err := f.ReadAt(make([]byte, piece), i*each+off*piece)
					check(t, err)
				}
			})
		}
		group.Wait()
		if d := time.Since(start); d > 20*latency {
			t.Errorf("it took %v, as long as %d reads", d, d/latency)
		}
		check(t, f.Close())
	})
}

// Who has many reads under way, and collects them in any order, causes few bytes
// to be read twice: what he asks for again is not taken for another reader.
func TestReadAheadOfImpatient(t *testing.T) {
	bubble(t, func(t *testing.T) {
		const size, piece, most = 2_000_000, 1000, 100
		l := newLower()
		l.put(t, "/f", size)
		var total atomic.Int64
		l.on(func(_ string, _ int64, n int) error {
			total.Add(int64(n))
			time.Sleep(rand.N(latency))
			return nil
		})
		f := New(l, Options{}).Open("/f", vfs.ReadOnly)
		vfs.Advise(f, vfs.Settled, 0, size)
		c := newClient(t, f.(vfs.Ready))
		asked := map[int64]bool{}
		for pos := int64(0); pos < size || len(asked) > 0; {
			for ; len(asked) < most && pos < size; pos += piece {
				asked[pos] = true
			}
			before := len(asked)
			for off := range asked { // in random order
				if _, err := f.ReadAt(make([]byte, piece), off); err == nil {
					delete(asked, off)
				}
			}
			if len(asked) == before {
				<-c.ready
			}
		}
		if n := total.Load(); n > size+size/4 {
			t.Errorf("%d bytes of %d were read below", n, size)
		}
		check(t, f.Close())
	})
}

// Who waits for what was advised comes before all for which nobody waits, and
// has his turn among those who wait.
func TestWantedComesFirst(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := newLower()
		l.put(t, "/f", 100_000)
		l.put(t, "/busy", 100_000)
		l.sleep(time.Second)
		a := New(l, Options{Workers: 1})
		f, busy := a.Open("/f", vfs.ReadOnly), a.Open("/busy", vfs.ReadOnly)
		for i := range int64(100) {
			_, err := busy.ReadAt(make([]byte, 1), i)
			again(t, err)
			vfs.Advise(f, vfs.WillNeed, i*1000, 1000)
		}
		c := newClient(t, f.(vfs.Ready))
		start := time.Now()
		check(t, c.until(func() error { _, err := f.ReadAt(make([]byte, 1000), 99_000); return err }))
		if d := time.Since(start); d > 6*time.Second {
			t.Errorf("it took %v", d)
		}
		check(t, f.Close())
		check(t, busy.Close())
	})
}

// A17: what is read ahead is bounded, lies below the settled limit, and is not
// read for who jumps about; when the file is closed nothing is left.
func TestReadAheadIsBounded(t *testing.T) {
	bubble(t, func(t *testing.T) {
		const size, ahead = 1 << 20, 256 << 10
		r := seed(t)
		l := newLower()
		l.put(t, "/f", size)
		settled, pos := int64(0), int64(0)
		asked := map[extent]bool{}
		l.on(func(op string, off int64, n int) error {
			if x := (extent{off, n}); op == "read" && !asked[x] && (x.end() > settled || x.end() > pos+ahead || x.off < pos) {
				t.Errorf("%d bytes at %d are read ahead: %d are settled, the reader is at %d", n, off, settled, pos)
			}
			time.Sleep(time.Millisecond)
			return nil
		})
		a := New(l, Options{ReadAhead: ahead})
		f := vfs.Blocking(a).Open("/f", vfs.ReadOnly)
		read := func(x extent) {
			asked[x] = true
			pos = x.end()
			_, err := f.ReadAt(make([]byte, x.n), x.off)
			check(t, err)
			synctest.Wait()
		}
		for settled = 0; settled < size-100_000; settled += 100_000 {
			vfs.Advise(f, vfs.Settled, 0, settled)
			vfs.Advise(f, vfs.Settled, settled+1, 1000) // there is a hole before it
			for off := pos; off < settled+50_000; off += 1000 {
				read(extent{off, 1000})
			}
			if n := a.used(); n > 2*ahead {
				t.Errorf("%d bytes are kept", n)
			}
		}
		clear(asked)
		settled = size
		vfs.Advise(f, vfs.Settled, 0, size)
		reads := l.count("read")
		for range 100 {
			read(extent{r.Int64N(size/1000-1) * 1000, 900})
		}
		if n := l.count("read") - reads; n > 100 {
			t.Errorf("%d reads for 100", n)
		}
		check(t, f.Close())
		if n := a.used(); n != 0 {
			t.Errorf("%d bytes kept", n)
		}
	})
}

// A17: while others change what is not settled, a reader gets what the storage
// has at this moment, each time, as without reading ahead.
func TestReadAheadNeverStale(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := seed(t)
		l := newLower()
		size := int64(len(l.put(t, "/f", 5000)))
		other := l.Process.Open("/f", vfs.Append)
		f := vfs.Blocking(New(l, Options{ReadAhead: 1 << (8 + r.IntN(10)), ReadBytes: 1 << (10 + r.IntN(10))})).Open("/f", vfs.Append)
		settled, pos := int64(0), int64(0)
		noise := func(n int64) []byte {
			b := make([]byte, n)
			for i := range b {
				b[i] = byte(r.Uint32())
			}
			return b
		}
		for range 20_000 {
			switch r.IntN(20) {
			case 0:
				n, err := other.Append(noise(r.Int64N(500)), size)
				check(t, err)
				size += int64(n)
			case 1:
				size = max(settled, size-r.Int64N(500))
				check(t, other.Truncate(size))
			case 2:
				if size > settled {
					off := settled + r.Int64N(size-settled)
					_, err := other.Rewrite(noise(r.Int64N(size-off)), off)
					check(t, err)
				}
			case 3:
				settled += r.Int64N(size - settled + 1)
				vfs.Advise(f, vfs.Settled, 0, settled)
			case 4:
				vfs.Advise(f, vfs.WillNeed, r.Int64N(settled+1)/2, r.Int64N(settled/2+1))
			case 5:
				if r.IntN(20) == 0 { // the file is replaced by an older one, and he finds that out
					settled = r.Int64N(settled + 1)
					check(t, other.Truncate(0))
					_, err := other.Append(noise(size), 0)
					check(t, err)
				}
				vfs.Advise(f, vfs.Doubted, r.Int64N(size+1), r.Int64N(100))
				vfs.Advise(f, vfs.Settled, 0, settled)
			case 6:
				pos = r.Int64N(size + 1)
			case 7:
				time.Sleep(time.Duration(r.Int64N(int64(patience))))
			case 8: // through the handle itself
				n, err := f.Append(noise(r.Int64N(500)), size)
				check(t, err)
				size += int64(n)
			default:
				n := r.IntN(400)
				got, want := make([]byte, n), make([]byte, n)
				gotN, gotErr := f.ReadAt(got, pos)
				wantN, wantErr := other.ReadAt(want, pos)
				if gotN != wantN || gotErr != wantErr || !bytes.Equal(got, want) {
					t.Fatalf("%d bytes at %d (of %d, %d settled): %d, %v; want %d, %v", n, pos, size, settled, gotN, gotErr, wantN, wantErr)
				}
				pos += int64(gotN)
				if gotErr == io.EOF {
					pos = r.Int64N(size + 1)
				}
			}
		}
		check(t, f.Close())
	})
}

// What is needed is read at once, and then there, for the range as it was
// advised and for what lies in it, also while it is on its way.
func TestWillNeed(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := newLower()
		want := l.put(t, "/f", 10_000)
		f := New(l, Options{}).Open("/f", vfs.ReadOnly)
		c := newClient(t, f.(vfs.Ready))
		read := func(off int64, n int) error {
			p := make([]byte, n)
			got, err := f.ReadAt(p, off)
			if err == nil && (got != n || !bytes.Equal(p, want[off:off+int64(n)])) {
				t.Errorf("%d bytes at %d: wrong", n, off)
			}
			return err
		}
		vfs.Advise(f, vfs.Settled, 0, 9000)
		vfs.Advise(f, vfs.WillNeed, 100, 1000)
		vfs.Advise(f, vfs.WillNeed, 1000, 2000)
		vfs.Advise(f, vfs.WillNeed, 100, 1000)
		vfs.Advise(f, vfs.WillNeed, 9000, 500)
		synctest.Wait()
		for range 2 {
			check(t, read(200, 10))
			check(t, read(200, 2800)) // in two of them
		}
		check(t, read(100, 1000))
		check(t, read(9100, 100))
		check(t, read(9000, 500)) // it may change: what was advised is handed out once
		if l.count("read") != 3 {
			t.Errorf("%d reads below", l.count("read"))
		}
		again(t, read(9000, 500))
		again(t, read(9100, 100))

		l.sleep(time.Second)
		vfs.Advise(f, vfs.WillNeed, 4000, 1000)
		time.Sleep(time.Second / 2)
		reads := l.count("read")
		again(t, read(4100, 100))
		lasts(t, time.Second/2, func() { check(t, c.until(func() error { return read(4100, 100) })) })
		if l.count("read") != reads {
			t.Error("read twice")
		}
		for _, v := range []int64{-1 << 63, -1, 0, 1<<63 - 1} { // nonsense is ignored
			for _, n := range []int64{-1 << 63, -1, 0, 1<<63 - 1} {
				for a := range vfs.Advice(5) {
					vfs.Advise(f, a, v, n)
				}
			}
		}
		check(t, f.Close())
		vfs.Advise(f, vfs.WillNeed, 0, 10)
	})
}

// Bytes that may change are good for a short time, also when they are settled
// after they were read; a change through the handle itself is seen at once.
func TestUnsettledIsShortLived(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := newLower()
		l.put(t, "/f", 100)
		other := l.Process.Open("/f", vfs.Append)
		f := vfs.Blocking(New(l, Options{})).Open("/f", vfs.Append)
		set := func(w vfs.File, text string) {
			_, err := w.Rewrite([]byte(text), 10)
			check(t, err)
		}
		get := func(want string) {
			t.Helper()
			p := make([]byte, 3)
			_, err := f.ReadAt(p, 10)
			check(t, err)
			if string(p) != want {
				t.Errorf("read %q, want %q", p, want)
			}
		}
		set(other, "one")
		vfs.Advise(f, vfs.WillNeed, 0, 50)
		synctest.Wait()
		set(other, "two")
		get("one") // as old as the advice
		vfs.Advise(f, vfs.Settled, 0, 100)
		time.Sleep(patience)
		get("two")

		vfs.Advise(f, vfs.Doubted, 0, 1)
		vfs.Advise(f, vfs.WillNeed, 0, 50)
		synctest.Wait()
		set(f, "six")
		get("six")
		vfs.Advise(f, vfs.WillNeed, 0, 50)
		synctest.Wait()
		vfs.Advise(f, vfs.Settled, 0, 100)
		check(t, f.Truncate(12))
		if n, err := f.ReadAt(make([]byte, 3), 10); n != 2 || err != io.EOF {
			t.Errorf("%d, %v", n, err)
		}
		_, err := f.Append([]byte("34567"), 12)
		check(t, err)
		if n := find(f).ahead.settled; n > 12 {
			t.Errorf("%d bytes are settled of a file that was cut to 12", n)
		}

		l.on(func(op string, _ int64, _ int) error {
			if op == "rewrite" {
				time.Sleep(time.Second)
			}
			return nil
		})
		go func() {
			time.Sleep(900 * time.Millisecond)
			vfs.Advise(f, vfs.WillNeed, 0, 15) // is done before the change
		}()
		set(f, "ten")
		get("ten")
		check(t, f.Close())
	})
}

// Doubt: a read that began before is not what is handed out, and who waits for
// it is not left waiting.
func TestDoubted(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := newLower()
		l.put(t, "/f", 100)
		other := l.Process.Open("/f", vfs.Append)
		f := New(l, Options{}).Open("/f", vfs.ReadOnly)
		c := newClient(t, f.(vfs.Ready))
		p := make([]byte, 3)
		read := func() error { _, err := f.ReadAt(p, 10); return err }
		want := func(text string) {
			t.Helper()
			if string(p) != text {
				t.Errorf("read %q, want %q", p, text)
			}
		}
		_, err := other.Rewrite([]byte("one"), 10)
		check(t, err)
		again(t, read())
		synctest.Wait() // it is done
		_, err = other.Rewrite([]byte("two"), 10)
		check(t, err)
		vfs.Advise(f, vfs.Doubted, 12, 10)
		again(t, read())
		check(t, c.until(read))
		want("two")

		l.on(func(string, int64, int) error { // the answer is old when it comes
			l.hook = nil
			time.Sleep(time.Second)
			return nil
		})
		vfs.Advise(f, vfs.Settled, 0, 100)
		vfs.Advise(f, vfs.WillNeed, 0, 50)
		synctest.Wait()
		again(t, read())
		vfs.Advise(f, vfs.Doubted, 60, 1)
		lasts(t, 0, func() { <-c.ready })
		again(t, read())
		lasts(t, 0, func() { check(t, c.until(read)) })
		if f.(*file).ahead.settled != 0 {
			t.Error("still settled")
		}
		check(t, f.Close())
	})
}
