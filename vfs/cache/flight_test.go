package cache

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/durusdb/durus/vfs"
	"github.com/durusdb/durus/vfs/mem"
)

// B7: of many who miss the same page at the same time one asks the storage.
func TestConcurrentMisses(t *testing.T) {
	const readers = 16
	for name, answer := range map[string]error{"well": nil, "badly": errors.New("broken")} {
		t.Run(name, func(t *testing.T) {
			b := newBed(t, Options{Page: 64})
			data := noise(1000, 1)
			b.put(data)
			f, g := b.open(), b.open()
			settle(f, 1000)
			arrived, goOn := make(chan struct{}), make(chan struct{})
			var first atomic.Bool
			b.s.before = func(int64, int) error {
				if !first.Swap(true) {
					close(arrived)
					<-goOn
					return answer
				}
				return nil
			}
			var wg sync.WaitGroup
			ask := func(i int) {
				wg.Go(func() {
					p := make([]byte, 10)
					if _, err := []vfs.File{f, g}[i%2].ReadAt(p, int64(i)); err != nil || !bytes.Equal(p, data[i:i+10]) {
						t.Errorf("reader %d: %v", i, err)
					}
				})
			}
			ask(0)
			<-arrived
			for i := 1; i < readers; i++ {
				ask(i)
			}
			time.Sleep(20 * time.Millisecond) // they come to wait; if some do not, they find the page
			close(goOn)
			wg.Wait()
			if n := b.s.reads.Load(); answer == nil && n != 1 || n > readers+1 {
				t.Errorf("%d reads of the storage", n)
			}
			if n := len(f.(*file).ino.Load().flights); n != 0 {
				t.Errorf("%d reads are still under way", n)
			}
		})
	}
}

// A killed process ends its goroutine in the middle of a read. Nobody waits for
// it for ever.
func TestKillDuringRead(t *testing.T) {
	b := newBed(t, Options{Page: 64})
	data := noise(1000, 1)
	b.put(data)
	var c *FS
	err := b.d.Run(mem.Seeded(1), func(p *mem.Process) {
		c = New(p, Options{Page: 64})
		f := c.Open("/f", vfs.ReadOnly)
		read(t, f, 0, 10, data[:10])
		settle(f, 1000)
		b.d.Inject(mem.Fault{Kinds: []mem.Kind{mem.OpRead}, Action: mem.Kill()})
		_, _ = f.ReadAt(make([]byte, 10), 0)
		t.Error("it lives")
	})
	check(t, err)
	for id, ino := range c.inodes {
		if len(ino.flights) != 0 {
			t.Errorf("%v: a read is under way for ever", id)
		}
	}
}

// B7, B8, H12: sixteen goroutines read, while one appends, settles, doubts and
// truncates the tail, and another one comes and goes. The bytes are those of
// their offset, so that everybody knows what is right.
func TestConcurrency(t *testing.T) {
	const pages, rounds = 40, 300
	right := func(p []byte, off int64) bool {
		for i := range p {
			if p[i] != byte((off+int64(i))*7>>2) {
				return false
			}
		}
		return true
	}
	fill := func(n int, off int64) []byte {
		p := make([]byte, n)
		for i := range p {
			p[i] = byte((off + int64(i)) * 7 >> 2)
		}
		return p
	}
	limit := int64(pages * (64 + pageOverhead))
	b := newBed(t, Options{Page: 64, Bytes: limit})
	b.put(fill(3000, 0))
	var end, done atomic.Int64
	end.Store(3000)
	var wg sync.WaitGroup
	for i := range uint64(16) {
		wg.Go(func() {
			f := b.open()
			rnd := rand.New(rand.NewPCG(i, 3))
			p := make([]byte, 700)
			for done.Load() == 0 {
				if rnd.IntN(50) == 0 {
					check(t, f.Close())
					f = b.open()
				}
				settled := end.Load()
				off := rnd.Int64N(settled)
				n := int(min(rnd.Int64N(700)+1, settled-off))
				if k, err := f.ReadAt(p[:n], off); k != n || err != nil || !right(p[:n], off) {
					t.Errorf("%d bytes at %d: %d, %v", n, off, k, err)
					return
				}
				if s := b.c.Stats(); s.Bytes > limit {
					t.Errorf("%+v, limit %d", s, limit)
				}
			}
			check(t, f.Close())
		})
	}
	f := b.open()
	rnd := rand.New(rand.NewPCG(99, 3))
	for range rounds {
		at := end.Load()
		_, err := f.Append([]byte("a torn tail"), at)
		check(t, err)
		check(t, f.Truncate(at))
		n := rnd.IntN(50) + 1
		_, err = f.Append(fill(n, at), at)
		check(t, err)
		end.Store(at + int64(n))
		settle(f, end.Load())
		switch rnd.IntN(4) {
		case 0:
			vfs.Advise(f, vfs.Doubted, rnd.Int64N(at), rnd.Int64N(100)+1)
		case 1:
			off := rnd.Int64N(at)
			_, err = f.Rewrite(fill(30, off), off)
			check(t, err)
		case 2:
			vfs.Advise(f, vfs.WillNeed, rnd.Int64N(at), 100)
		}
	}
	done.Store(1)
	wg.Wait()
	check(t, f.Close())
	if s := b.c.Stats(); s.Bytes != 0 || len(b.c.inodes) != 0 {
		t.Errorf("after the last Close: %+v", s)
	}
}

func BenchmarkHit(b *testing.B) {
	for _, n := range []int{100, 4096, 65536} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			bed := newBed(b, Options{})
			bed.put(noise(1<<20, 1))
			f := bed.open()
			settle(f, 1<<20)
			p := make([]byte, n)
			_, err := f.ReadAt(p, 5000)
			check(b, err)
			b.ReportAllocs()
			b.SetBytes(int64(n))
			for b.Loop() {
				if _, err := f.ReadAt(p, 5000); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkHitParallel(b *testing.B) {
	bed := newBed(b, Options{})
	bed.put(noise(1<<20, 1))
	f := bed.open()
	settle(f, 1<<20)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		p := make([]byte, 100)
		for off := int64(0); pb.Next(); off = (off + 7919) & (1<<20 - 1) {
			if _, err := f.ReadAt(p, off); err != nil && off < 1<<20-100 {
				b.Error(err)
			}
		}
	})
}
