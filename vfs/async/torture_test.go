package async

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/durusdb/durus/vfs"
)

// Everything at once, from many goroutines, with as little memory and as few
// workers as there can be: nobody waits for ever, the bytes are right, and in the
// end nothing is left.
func TestEverythingAtOnce(t *testing.T) {
	const goroutines, rounds, size = 8, 20, 1 << 16
	s := seed(t)
	for _, opts := range []Options{
		{Workers: 1, ReadBytes: 5000, ReadAhead: 3000, Buffer: 100},
		{Workers: 3, ReadBytes: 40_000, Buffer: 10_000},
		{},
	} {
		l := newLower()
		want := l.put(t, "/f", size)
		a := New(l, opts)
		var group sync.WaitGroup
		for range goroutines {
			r := rand.New(rand.NewPCG(s.Uint64(), 0))
			group.Go(func() {
				for range rounds {
					torture(t, r, a, want)
				}
			})
		}
		group.Wait()
		for deadline := time.Now().Add(time.Minute); l.count("close") < goroutines*rounds || a.used() > 0 || a.hands() > 0; time.Sleep(10 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("%d files closed below, %d bytes used, %d goroutines", l.count("close"), a.used(), a.hands())
			}
		}
	}
}

// torture opens a file, does many things with it, half of them by callbacks, and
// closes it, perhaps in the middle of them, perhaps in a callback.
func torture(t *testing.T, r *rand.Rand, a *FS, want []byte) {
	f := a.Open("/f", vfs.Append)
	var mu sync.Mutex // guards r, open and what follows
	open := true
	asked := map[extent]bool{}
	pos := int64(0)
	closed := make(chan struct{})
	work := func() (last bool) {
		mu.Lock()
		defer mu.Unlock()
		if !open {
			return false
		}
		x := extent{pos, 1 + r.IntN(3000)}
		if pos = x.end(); r.IntN(3) == 0 || pos > int64(len(want))-3000 {
			pos = r.Int64N(int64(len(want)) - 3000)
		}
		if asked[x] = true; r.IntN(2) == 0 {
			vfs.Advise(f, vfs.Advice(r.IntN(3)), r.Int64N(int64(len(want)))/2, r.Int64N(int64(len(want)))/2)
		}
		for x := range asked {
			p := make([]byte, x.n)
			n, err := f.ReadAt(p, x.off)
			if errors.Is(err, vfs.ErrAgain) {
				continue
			}
			if delete(asked, x); err != nil || n != x.n || !bytes.Equal(p, want[x.off:x.end()]) {
				t.Errorf("%d bytes at %d: %d, %v", x.n, x.off, n, err)
			}
		}
		switch r.IntN(8) {
		case 0:
			_, _ = f.Rewrite(want[:100], 0)
		case 1:
			_ = f.Sync()
		case 2:
			_, _ = f.Size()
		}
		open = r.IntN(40) > 0
		return !open
	}
	step := func() {
		if work() { // without mu: Close waits for a callback, which may wait for mu
			if err := f.Close(); err != nil {
				t.Error(err)
			}
			close(closed)
		}
	}
	f.(vfs.Ready).OnReady(step)
	for {
		step()
		select {
		case <-closed:
			return
		case <-time.After(time.Duration(rand.N(100)) * time.Microsecond):
		}
	}
}
