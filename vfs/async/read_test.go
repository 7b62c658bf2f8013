package async

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/durusdb/durus/vfs"
)

// seed of a randomised test, printed when it fails.
func seed(t *testing.T) *rand.Rand {
	t.Helper()
	n := rand.Uint64()
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("seed %d", n)
		}
	})
	return rand.New(rand.NewPCG(n, 0))
}

// A14: a call never waits, however slow the storage is, and takes no goroutine.
func TestReadDoesNotWait(t *testing.T) {
	bubble(t, func(t *testing.T) {
		const calls, workers = 100_000, 8
		l := newLower()
		l.put(t, "/f", 1<<17)
		l.sleep(time.Second)
		before := runtime.NumGoroutine()
		f := New(l, Options{Workers: workers}).Open("/f", vfs.ReadOnly)
		var p [1]byte
		lasts(t, 0, func() {
			for i := range calls {
				if n, err := f.ReadAt(p[:], int64(i)); n != 0 || !errors.Is(err, vfs.ErrAgain) {
					t.Fatal(n, err)
				}
			}
		})
		time.Sleep(10 * time.Second)
		if n := runtime.NumGoroutine() - before; n > workers+10 {
			t.Errorf("%d goroutines more", n)
		}
		if n := l.count("read"); n < 9*workers || n > 10*workers {
			t.Errorf("%d reads in nine seconds", n)
		}
		check(t, f.Close())
	})
}

// A14 again, with the clock of this machine: nothing in a call is slow.
func TestReadIsQuick(t *testing.T) {
	l := newLower()
	release := make(chan struct{})
	defer close(release)
	l.on(func(string, int64, int) error { <-release; return nil })
	f := New(l, Options{}).Open("/f", vfs.ReadOnly)
	defer f.Close()
	start := time.Now()
	var p [1]byte
	for i := range 100_000 {
		_, err := f.ReadAt(p[:], int64(i))
		again(t, err)
	}
	if d := time.Since(start); d > 10*time.Second { // 100 microseconds each
		t.Errorf("it took %v", d)
	}
}

// A16: many ranges, which overlap, asked for in one order and collected in
// another, while they arrive in a third.
func TestReadsInAnyOrder(t *testing.T) {
	bubble(t, func(t *testing.T) {
		const size, reads = 10_000, 1000
		r := seed(t)
		l := newLower()
		want := l.put(t, "/f", size)
		delays := make(map[int64]time.Duration)
		for i := range int64(size) {
			delays[i] = time.Duration(r.IntN(1e9))
		}
		l.on(func(op string, off int64, _ int) error {
			time.Sleep(delays[off])
			return nil
		})
		f := New(l, Options{}).Open("/f", vfs.ReadOnly)
		c := newClient(t, f.(vfs.Ready))
		asked := map[extent]bool{}
		for len(asked) < reads {
			x := extent{r.Int64N(size), 1 + r.IntN(1000)}
			_, err := f.ReadAt(make([]byte, x.n), x.off)
			again(t, err)
			asked[x] = true
		}
		for len(asked) > 0 {
			<-c.ready
			for x := range asked { // in random order
				p := make([]byte, x.n)
				n, err := f.ReadAt(p, x.off)
				if errors.Is(err, vfs.ErrAgain) {
					continue
				}
				rest := want[x.off:]
				if n != min(x.n, len(rest)) || (err == io.EOF) != (n < x.n) || err != nil && err != io.EOF {
					t.Fatalf("%d bytes at %d: %d, %v", x.n, x.off, n, err)
				}
				if !bytes.Equal(p[:n], rest[:n]) {
					t.Fatalf("%d bytes at %d: wrong", x.n, x.off)
				}
				delete(asked, x)
			}
		}
		if n := l.count("read"); n != reads {
			t.Errorf("%d reads below", n)
		}
		if used := f.(*file).fs.room.used; used != 0 {
			t.Errorf("%d bytes kept", used)
		}
		check(t, f.Close())
	})
}

// A16: an error is told once, and the next call tries again. A result is
// handed out once, too.
func TestReadAgain(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := newLower()
		want := l.put(t, "/f", 100)
		broken := true
		l.on(func(op string, off int64, _ int) error {
			if op == "read" && broken {
				return errDisk
			}
			return nil
		})
		f := New(l, Options{}).Open("/f", vfs.ReadOnly)
		c := newClient(t, f.(vfs.Ready))
		p := make([]byte, 10)
		read := func() (err error) { _, err = f.ReadAt(p, 20); return err }
		is(t, c.until(read), errDisk)
		is(t, c.until(read), errDisk)
		broken = false
		again(t, read())
		check(t, c.until(read))
		if !bytes.Equal(p, want[20:30]) {
			t.Error("wrong bytes")
		}
		again(t, read())
		check(t, f.Close())
		is(t, read(), vfs.ErrClosed)
		if n := l.count("read"); n > 4 {
			t.Errorf("%d reads below", n)
		}
	})
}

// A20: a hundred reads take about as long as one, as far as there are workers.
func TestReadsOverlap(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := newLower()
		l.put(t, "/f", 1<<20)
		l.sleep(20 * time.Millisecond)
		f := vfs.Blocking(New(l, Options{})).Open("/f", vfs.ReadOnly)
		lasts(t, (1+4)*20*time.Millisecond, func() { // opening, and 100 reads by 32 workers
			var group sync.WaitGroup
			for i := range 100 {
				group.Go(func() {
					_, err := f.ReadAt(make([]byte, 100), int64(i)*10_000)
					if err != nil {
						t.Error(err)
					}
				})
			}
			group.Wait()
		})
		check(t, f.Close())
	})
}

// A8: many goroutines read one handle.
func TestManyReaders(t *testing.T) {
	const size = 1 << 16
	s := seed(t)
	l := newLower()
	want := l.put(t, "/f", size)
	f := vfs.Blocking(New(l, Options{Workers: 4, ReadBytes: 1 << 17})).Open("/f", vfs.ReadOnly)
	var group sync.WaitGroup
	for range 64 {
		r := rand.New(rand.NewPCG(s.Uint64(), 0))
		group.Go(func() {
			p := make([]byte, 2000)
			for range 200 {
				off, n := r.Int64N(size+100), r.IntN(len(p))
				if r.IntN(10) == 0 {
					vfs.Advise(f, vfs.Advice(r.IntN(3)), r.Int64N(size), r.Int64N(size))
				}
				got, err := f.ReadAt(p[:n], off)
				rest := want[min(off, size):]
				if got != min(n, len(rest)) || got < n && err != io.EOF || got == n && err != nil && err != io.EOF {
					t.Errorf("%d bytes at %d: %d, %v", n, off, got, err)
				}
				if !bytes.Equal(p[:got], rest[:got]) {
					t.Errorf("%d bytes at %d: wrong", n, off)
				}
			}
		})
	}
	group.Wait()
	check(t, f.Close())
}

// Files have their turns, and so have reads and other operations: a thousand
// reads do not keep anybody else waiting for long.
func TestTurns(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := newLower()
		l.put(t, "/busy", 10_000)
		l.put(t, "/f", 100)
		a := New(l, Options{Workers: 1})
		busy := a.Open("/busy", vfs.Append)
		c := newClient(t, busy.(vfs.Ready))
		_, err := busy.Size()
		again(t, err)
		check(t, c.until(func() error { _, err := busy.Size(); return err })) // open
		l.sleep(time.Millisecond)
		for i := range 1000 {
			_, err := busy.ReadAt(make([]byte, 10), int64(i))
			again(t, err)
		}
		f := vfs.Blocking(a).Open("/f", vfs.Append)
		start := time.Now()
		_, err = f.ReadAt(make([]byte, 1), 0)
		check(t, err)
		_, err = f.Append([]byte("x"), 100)
		check(t, err)
		check(t, f.Sync())
		check(t, c.until(func() error { _, err := busy.Append([]byte("x"), 10_000); return err }))
		check(t, f.Close())
		if d := time.Since(start); d > 20*time.Millisecond {
			t.Errorf("six operations took %v", d)
		}
		check(t, busy.Close())
		synctest.Wait()
	})
}

// What the storage below says about a negative offset and an empty read is what
// is answered.
func TestReadAtTheEdge(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := newLower()
		l.put(t, "/f", 5)
		b := vfs.Blocking(New(l, Options{}))
		f, plain := b.Open("/f", vfs.ReadOnly), l.Open("/f", vfs.ReadOnly)
		vfs.Advise(f, vfs.Settled, 0, 5)
		vfs.Advise(f, vfs.WillNeed, 0, 5)
		for off := int64(-2); off < 8; off++ {
			for n := range 8 {
				got, err := f.ReadAt(make([]byte, n), off)
				want, wantErr := plain.ReadAt(make([]byte, n), off)
				if got != want || (err == nil) != (wantErr == nil) || (err == io.EOF) != (wantErr == io.EOF) {
					t.Errorf("%d bytes at %d: %d, %v; want %d, %v", n, off, got, err, want, wantErr)
				}
			}
		}
		check(t, f.Close())
	})
}
