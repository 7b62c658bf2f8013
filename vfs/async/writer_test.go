package async

import (
	"bytes"
	"errors"
	"io/fs"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/durusdb/durus/vfs"
)

// content is what a file below holds.
func (l *lower) content(t testing.TB, name string) []byte {
	t.Helper()
	info, err := l.Stat(name)
	check(t, err)
	b := make([]byte, info.Size)
	_, err = l.Process.Open(name, vfs.ReadOnly).ReadAt(b, 0)
	check(t, err)
	return b
}

// A Write takes a copy, until as much waits as there is memory for; then it
// takes nothing and a callback says when it will.
func TestWriterBuffer(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := seed(t)
		l := newLower()
		l.sleep(time.Millisecond)
		const buffer = 1000
		w := New(l, Options{Buffer: buffer}).Create("/f", vfs.FailIfExists, 0o600)
		c := newClient(t, w.(vfs.Ready))
		var want []byte
		refused := 0
		for range 500 {
			n := 1 + r.IntN(400)
			if r.IntN(20) == 0 {
				n = buffer + r.IntN(5000) // more than ever waits, but alone
			}
			p := bytes.Repeat([]byte{byte(r.Uint32())}, n)
			want = append(want, p...)
			check(t, c.until(func() error {
				got, err := w.Write(p)
				switch {
				case errors.Is(err, vfs.ErrAgain):
					refused++
					if got != 0 {
						t.Errorf("%d bytes taken, and ErrAgain", got)
					}
				case got != n:
					t.Errorf("%d bytes taken of %d", got, n)
				}
				return err
			}))
			clear(p)
			w.(*writer).fs.mu.Lock()
			if waiting := w.(*writer).waiting; waiting > buffer && waiting != n {
				t.Errorf("%d bytes wait", waiting)
			}
			w.(*writer).fs.mu.Unlock()
		}
		if refused == 0 {
			t.Error("no Write was told to wait")
		}
		check(t, c.until(w.Commit))
		if !bytes.Equal(l.content(t, "/f"), want) {
			t.Error("wrong bytes")
		}
		if n := l.count("write"); n > 500-refused/2 {
			t.Errorf("%d writes below", n)
		}
	})
}

// A19: Commit says nothing before the one below has returned. Then it says the
// same for ever.
func TestCommit(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := newLower()
		l.sleep(time.Second)
		a := New(l, Options{})
		w := a.Create("/f", vfs.FailIfExists, 0o600)
		calls := 0
		w.(vfs.Ready).OnReady(func() { calls++ })
		for range 3 {
			_, err := w.Write([]byte("x"))
			check(t, err)
		}
		lasts(t, 0, func() { again(t, w.Commit()) })
		_, err := w.Write([]byte("x"))
		is(t, err, vfs.ErrClosed)
		for range 5 {
			again(t, w.Commit())
			if _, err := a.Stat("/f"); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("it is there already: %v", err)
			}
			time.Sleep(399 * time.Millisecond)
		}
		rest(3 * time.Second)
		if calls != 1 {
			t.Errorf("%d calls", calls)
		}
		for range 3 {
			check(t, w.Commit())
			check(t, w.Abort())
		}
		if string(l.content(t, "/f")) != "xxx" {
			t.Error("wrong bytes")
		}
		if l.count("commit") != 1 || l.count("abort") != 0 {
			t.Errorf("%d commits, %d aborts below", l.count("commit"), l.count("abort"))
		}
	})
}

// A2: whatever goes wrong is told by Commit, each time; nothing is left.
func TestCommitFails(t *testing.T) {
	for _, op := range []string{"write", "commit"} {
		bubble(t, func(t *testing.T) {
			l := newLower()
			l.on(func(o string, _ int64, _ int) error {
				if o == op {
					return errDisk
				}
				return nil
			})
			w := vfs.Blocking(New(l, Options{Buffer: 10})).Create("/f", vfs.FailIfExists, 0o600)
			for range 1000 {
				n, err := w.Write([]byte("hello"))
				if n != 5 || err != nil {
					t.Fatal(n, err)
				}
			}
			for range 3 {
				is(t, w.Commit(), errDisk)
			}
			check(t, w.Abort())
			if _, err := l.Stat("/f"); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("it is there: %v", err)
			}
		})
	}
}

// Abort stops what has not begun. A commit that has begun is carried out.
func TestAbort(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := newLower()
		l.sleep(time.Second)
		a := New(l, Options{})
		write := func(name string) (vfs.Writer, *client) {
			w := a.Create(name, vfs.FailIfExists, 0o600)
			_, err := w.Write([]byte("x"))
			check(t, err)
			return w, newClient(t, w.(vfs.Ready))
		}
		w, c := write("/1")
		synctest.Wait()
		lasts(t, 2*time.Second, func() { check(t, c.until(w.Abort)) }) // behind the write
		is(t, w.Commit(), vfs.ErrClosed)
		_, err := w.Write([]byte("x"))
		is(t, err, vfs.ErrClosed)
		check(t, w.Abort())

		w, c = write("/2")
		again(t, w.Commit())
		synctest.Wait()
		lasts(t, 2*time.Second, func() { check(t, c.until(w.Abort)) })
		is(t, w.Commit(), vfs.ErrClosed)

		w, c = write("/3")
		again(t, w.Commit())
		time.Sleep(1500 * time.Millisecond)
		again(t, w.Abort())
		again(t, w.Commit())
		lasts(t, time.Second/2, func() { check(t, c.until(w.Abort)) })
		check(t, w.Commit())

		if l.count("abort") != 2 || l.count("commit") != 1 {
			t.Errorf("%d aborts, %d commits below", l.count("abort"), l.count("commit"))
		}
		if string(l.content(t, "/3")) != "x" {
			t.Error("wrong bytes")
		}
	})
}

// A15: no callback of a writer is running when Commit has told the end.
func TestNoCallAfterCommit(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := newLower()
		w := New(l, Options{}).Create("/f", vfs.FailIfExists, 0o600)
		var running atomic.Bool
		w.(vfs.Ready).OnReady(func() {
			running.Store(true)
			time.Sleep(time.Second)
			running.Store(false)
		})
		again(t, w.Commit())
		synctest.Wait()
		if !running.Load() {
			t.Fatal("no callback")
		}
		lasts(t, time.Second, func() { check(t, w.Commit()) })
		if running.Load() {
			t.Error("a callback is running")
		}
		w.(vfs.Ready).OnReady(func() { t.Error("called after Commit") })

		w = w.(*writer).fs.Create("/g", vfs.FailIfExists, 0o600)
		var err error
		w.(vfs.Ready).OnReady(func() { err = w.Commit() }) // does not wait for itself
		again(t, w.Commit())
		synctest.Wait()
		check(t, err)
	})
}

// A5: one of many creators wins; they work side by side.
func TestManyWriters(t *testing.T) {
	l := newLower()
	b := vfs.Blocking(New(l, Options{Workers: 3, Buffer: 100}))
	var group sync.WaitGroup
	errs := make([]error, 16)
	for i := range errs {
		group.Go(func() {
			w := b.Create("/f", vfs.FailIfExists, 0o600)
			for range 100 {
				_, err := w.Write(bytes.Repeat([]byte{byte('a' + i)}, 30))
				if err != nil {
					t.Error(err)
				}
			}
			errs[i] = w.Commit()
		})
	}
	group.Wait()
	winners := 0
	for i, err := range errs {
		switch {
		case err == nil:
			winners++
			if !bytes.Equal(l.content(t, "/f"), bytes.Repeat([]byte{byte('a' + i)}, 3000)) {
				t.Error("wrong bytes")
			}
		case !errors.Is(err, fs.ErrExist):
			t.Error(err)
		}
	}
	if winners != 1 {
		t.Errorf("%d winners", winners)
	}
}
