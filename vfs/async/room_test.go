package async

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/durusdb/durus/vfs"
)

// used is the memory of reads.
func (s *FS) used() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.room.used
}

// A16: reads that are under way and results have bounded memory; the others
// wait for it, and nobody has to read twice.
func TestRoomIsBounded(t *testing.T) {
	bubble(t, func(t *testing.T) {
		const size, limit = 1 << 16, 1 << 18
		l := newLower()
		l.put(t, "/f", 200*size)
		a := New(l, Options{ReadBytes: limit})
		l.on(func(string, int64, int) error {
			time.Sleep(time.Millisecond)
			if n := a.used(); n > limit {
				t.Errorf("%d bytes", n)
			}
			return nil
		})
		f := vfs.Blocking(a).Open("/f", vfs.ReadOnly)
		var group sync.WaitGroup
		for i := range 200 {
			group.Go(func() {
				_, err := f.ReadAt(make([]byte, size), int64(i)*size)
				if err != nil {
					t.Error(err)
				}
			})
		}
		group.Wait()
		if n := l.count("read"); n != 200 {
			t.Errorf("%d reads below", n)
		}
		if n := l.mostAtATime(); n < 3 {
			t.Errorf("%d reads at a time", n)
		}
		if n := a.used(); n != 0 {
			t.Errorf("%d bytes kept", n)
		}
		check(t, f.Close())
	})
}

// Results that nobody comes for give way, but not before their owner had time to
// come; then they are read again.
func TestForgottenResults(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := newLower()
		l.put(t, "/f", 1<<20)
		a := New(l, Options{ReadBytes: 10 * (1000 + overhead)})
		f := a.Open("/f", vfs.ReadOnly)
		f.(vfs.Ready).OnReady(func() { time.Sleep(time.Second) }) // it must not wait; but it loses nothing
		p := make([]byte, 1000)
		for i := range 10 {
			_, err := f.ReadAt(p, int64(i)*1000)
			again(t, err)
		}
		g := vfs.Blocking(a).Open("/f", vfs.ReadOnly)
		synctest.Wait()
		start := time.Now()
		go func() {
			time.Sleep(1200 * time.Millisecond) // the callback has returned
			for i := range 5 {
				_, err := f.ReadAt(make([]byte, 1000), int64(i)*1000)
				check(t, err)
			}
		}()
		_, err := g.ReadAt(p, 0)
		check(t, err)
		if d := time.Since(start); d < 1200*time.Millisecond {
			t.Errorf("there was room after %v", d)
		}
		for i := range 20 { // more than there is room for; all that is forgotten is dropped
			_, err := g.ReadAt(p, int64(i)*1000)
			check(t, err)
		}
		time.Sleep(10 * time.Second)
		_, err = g.ReadAt(make([]byte, 1<<20), 0) // by itself greater than the room
		check(t, err)
		reads := l.count("read")
		_, err = f.ReadAt(p, 9000)
		again(t, err)
		synctest.Wait()
		if l.count("read") != reads+1 {
			t.Error("a result was not dropped")
		}
		check(t, f.Close())
		check(t, g.Close())
		if n := a.used(); n != 0 {
			t.Errorf("%d bytes kept", n)
		}
	})
}

// A read that waits for room goes on as soon as a result was collected, and when
// nobody comes for one, as soon as it may be dropped.
func TestWaitForRoom(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := newLower()
		l.put(t, "/f", 100_000)
		a := New(l, Options{ReadBytes: 4 * (1000 + overhead)})
		f := a.Open("/f", vfs.ReadOnly)
		read := func(i int) error { _, err := f.ReadAt(make([]byte, 1000), int64(i)*1000); return err }
		for i := range 4 {
			again(t, read(i))
		}
		synctest.Wait()
		g := vfs.Blocking(a).Open("/f", vfs.ReadOnly)
		go func() {
			time.Sleep(patience / 2)
			check(t, read(0))
		}()
		lasts(t, patience/2, func() {
			_, err := g.ReadAt(make([]byte, 1000), 0)
			check(t, err)
		})
		lasts(t, patience/2+time.Millisecond, func() {
			_, err := g.ReadAt(make([]byte, 2000), 0)
			check(t, err)
		})
		check(t, f.Close())
		check(t, g.Close())
	})
}

// No livelock: all readers wait for one range each, and there is room for a few.
// Each comes within the time that a result is kept.
func TestEveryReaderGetsOn(t *testing.T) {
	bubble(t, func(t *testing.T) {
		const readers = 300
		l := newLower()
		l.put(t, "/f", readers*1000)
		l.sleep(10 * time.Millisecond)
		a := New(l, Options{ReadBytes: 3 * (1000 + overhead)})
		var group sync.WaitGroup
		for i := range readers {
			group.Go(func() {
				f := a.Open("/f", vfs.ReadOnly)
				c := newClient(t, f.(vfs.Ready))
				check(t, c.until(func() error {
					_, err := f.ReadAt(make([]byte, 1000), int64(i)*1000)
					if err != nil && len(c.ready) == 0 {
						time.Sleep(patience / 2) // slow to come
					}
					return err
				}))
				check(t, f.Close())
			})
		}
		group.Wait()
		if n := l.count("read"); n != readers {
			t.Errorf("%d reads below", n)
		}
	})
}

// What was advised to be needed never keeps away what is asked for.
func TestAdviceGivesWay(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := newLower()
		l.put(t, "/f", 1<<20)
		a := New(l, Options{ReadBytes: 8 * (1000 + overhead)})
		hang := make(chan struct{})
		l.on(func(op string, off int64, _ int) error {
			if op == "read" && off >= 1<<19 {
				<-hang
			}
			return nil
		})
		f := a.Open("/f", vfs.ReadOnly)
		for i := range 100 {
			vfs.Advise(f, vfs.WillNeed, int64(i)*1000, 1000)
			vfs.Advise(f, vfs.WillNeed, 1<<19+int64(i)*1000, 1000)
		}
		synctest.Wait()
		if n := a.used(); n > 4*(1000+overhead) {
			t.Errorf("%d bytes for what nobody asked for", n)
		}
		g := vfs.Blocking(a).Open("/f", vfs.ReadOnly)
		for i := range 100 {
			_, err := g.ReadAt(make([]byte, 1000), int64(i)*1000)
			check(t, err)
		}
		_, err := g.ReadAt(make([]byte, 1<<19), 0)
		check(t, err)
		close(hang)
		synctest.Wait()
		check(t, f.Close())
		check(t, g.Close())
		if n := a.used(); n != 0 {
			t.Errorf("%d bytes kept", n)
		}
	})
}
