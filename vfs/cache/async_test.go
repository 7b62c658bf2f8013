package cache

import (
	"errors"
	"math"
	"slices"
	"testing"

	"github.com/durusdb/durus/vfs"
)

// A3, A14, A15: opening and misses are the storage's, hits answer at once.
func TestAsync(t *testing.T) {
	data := noise(1000, 1)
	b := newLazyBed(t, data)
	f := b.c.Open("/f", vfs.Append)
	a, ok := f.(vfs.Async)
	if !ok {
		t.Fatalf("%T is not asynchronous", f)
	}
	if _, ok = b.c.Create("/g", vfs.FailIfExists, 0o600).(vfs.Ready); !ok {
		t.Error("the writer is not asynchronous")
	}
	opened, ready := 0, 0
	a.OnOpen(func(err error) { check(t, err); opened++ })
	a.OnReady(func() { ready++ })
	b.begun()
	b.again(f, 0, 10) // looks what is open
	b.again(f, 0, 10)
	b.begun("stat")
	b.l.work()
	b.again(f, 0, 10)
	b.begun("read")
	settle(f, 1000) // too late for that read
	b.again(f, 0, 10)
	b.begun("read")
	b.l.work()
	if opened != 1 || ready != 3 {
		t.Errorf("OnOpen called %d times, OnReady %d times", opened, ready)
	}
	read(t, f, 0, 10, data[:10])
	read(t, f, 5, 59, data[5:64])
	b.begun()
	b.again(f, 60, 500)
	b.l.work()
	read(t, f, 60, 500, data[60:560])
	read(t, f, 0, 576, data[:576])
	b.begun("read")
	if s := b.c.Stats(); s.LowerReads != 2 || s.Misses != 2 || s.Hits != 2 {
		t.Errorf("%+v", s)
	}
}

// The read that was begun is the one that is asked for again, whatever has been
// settled and kept meanwhile.
func TestAsyncSameRead(t *testing.T) {
	data := noise(1000, 1)
	b := newLazyBed(t, data)
	f, _ := b.open()
	settle(f, 480)
	b.again(f, 300, 170) // ends in a page that is settled in part
	b.again(f, 310, 5)
	b.begun("read", "read")
	b.l.work()
	read(t, f, 310, 5, data[310:315]) // the first page of the other one is there now
	settle(f, 490)
	read(t, f, 300, 170, data[300:470])
	b.begun()
	read(t, f, 256, 214, data[256:470])
	b.again(f, 460, 11) // as far as was asked for
	b.l.work()
	read(t, f, 460, 11, data[460:471])
	read(t, f, 256, 215, data[256:471])
	b.begun("read")
}

// Two who want the same page share a read. Who comes second finds the page.
func TestAsyncTwoCallers(t *testing.T) {
	data := noise(1000, 1)
	b := newLazyBed(t, data)
	f, _ := b.open()
	settle(f, 1000)
	b.again(f, 0, 10)
	b.again(f, 20, 10)
	b.begun("read")
	b.l.work()
	read(t, f, 20, 10, data[20:30])
	read(t, f, 0, 10, data[:10])
	b.begun()
}

// An answer that has lain below since before something happened to the file is
// never used, neither for the cache nor for whoever asks now.
func TestAsyncOldAnswers(t *testing.T) {
	for name, event := range map[string]func(f vfs.File, b *lazyBed, data []byte){
		"settled": func(f vfs.File, b *lazyBed, data []byte) {
			b.put(data) // others have written it, and then it was settled
			settle(f, 1000)
		},
		"doubted": func(f vfs.File, b *lazyBed, data []byte) {
			b.put(data)
			vfs.Advise(f, vfs.Doubted, 100, 1)
		},
		"all doubted": func(f vfs.File, b *lazyBed, data []byte) {
			b.put(data)
			vfs.Advise(f, vfs.Doubted, 0, math.MaxInt64)
			settle(f, 1000)
		},
		"rewritten": func(f vfs.File, b *lazyBed, data []byte) {
			for {
				_, err := f.Rewrite(data, 0)
				if err == nil {
					break
				}
				is(b.tb, err, vfs.ErrAgain)
				b.l.work()
			}
			settle(f, 1000)
		},
	} {
		t.Run(name, func(t *testing.T) {
			old, next := noise(1000, 1), noise(1000, 2)
			b := newLazyBed(t, old)
			f, _ := b.open()
			if name != "settled" {
				settle(f, 1000)
			}
			b.again(f, 64, 64)
			b.l.work() // the answer lies there, and nobody asks for it
			event(f, b, next)
			b.l.since()
			b.again(f, 90, 20)
			b.begun("read")
			b.l.work()
			read(t, f, 90, 20, next[90:110])
			read(t, f, 64, 64, next[64:128])
		})
	}
}

// A16: an error is told once, then the read begins anew.
func TestAsyncErrors(t *testing.T) {
	data := noise(1000, 1)
	b := newLazyBed(t, data)
	f, _ := b.open()
	settle(f, 1000)
	broken := errors.New("broken")
	b.s.before = func(int64, int) error { return broken }
	for _, r := range []struct{ off, n, waits int }{{64, 64, 1}, {70, 10, 3}, {900, 200, 1}} {
		for range 2 {
			for range r.waits { // a page that cannot be read, and then just what was asked for
				b.again(f, int64(r.off), r.n)
				b.l.work()
			}
			_, err := f.ReadAt(make([]byte, r.n), int64(r.off))
			is(t, err, broken)
		}
	}
	vfs.Advise(f, vfs.Doubted, 64, 64)
	b.again(f, 64, 64)
	b.l.work()
	_, err := f.ReadAt(make([]byte, 64), 64)
	is(t, err, broken)
	is(t, err, vfs.ErrStale)
	b.s.before = nil
	b.again(f, 64, 64)
	b.l.work()
	read(t, f, 64, 64, data[64:128])
}

// A15, A16: Close forgets what nobody asked for again.
func TestAsyncClose(t *testing.T) {
	b := newLazyBed(t, noise(1000, 1))
	f, _ := b.open()
	g, _ := b.open()
	settle(f, 1000)
	for off := range int64(100) {
		b.again(f, off, 10)
		b.again(f, 990+off, 20)
	}
	ino := f.ino.Load()
	if len(ino.flights) != 103 {
		t.Errorf("%d reads under way, want 103", len(ino.flights))
	}
	check(t, f.Close())
	if len(ino.flights) != 0 || len(f.asked) != 0 {
		t.Errorf("%d reads are still known", len(ino.flights))
	}
	_, err := f.ReadAt(make([]byte, 10), 0)
	if err == nil {
		t.Error("a closed handle reads")
	}
	check(t, g.Close())
}

// When callers are in the storage together, one may collect the answer and
// another one begin a new read behind him: then the read stays known.
func TestAsyncTogether(t *testing.T) {
	b := newLazyBed(t, noise(1000, 1))
	f, _ := b.open()
	ino := f.ino.Load()
	first, _ := f.take(ino, 0, 10, false, false)
	second, _ := f.take(ino, 0, 10, false, false)
	if first != second {
		t.Fatal("two reads of one range")
	}
	f.leave(ino, second, true)
	f.leave(ino, first, false)
	if f.asked[call{0, 10}] != first {
		t.Error("a read that may be under way is forgotten")
	}
	third, _ := f.take(ino, 0, 10, false, false)
	f.leave(ino, third, false)
	if len(f.asked) != 0 {
		t.Error("a read that has ended is remembered")
	}
}

// The storage is told to read ahead what the cache will ask for, and to forget
// what it may have read ahead before it was settled.
func TestWillNeed(t *testing.T) {
	data := noise(1000, 1)
	b := newLazyBed(t, data)
	f, lower := b.open()
	expect := func(advice []vfs.Advice, ranges ...extent) {
		t.Helper()
		if !slices.Equal(lower.advice, advice) || !slices.Equal(lower.ranges, ranges) {
			t.Fatalf("the storage heard %v of %v, want %v of %v", lower.advice, lower.ranges, advice, ranges)
		}
		lower.advice, lower.ranges = nil, nil
	}
	settle(f, 500)
	expect([]vfs.Advice{vfs.Settled}, extent{0, 500})
	vfs.Advise(f, vfs.WillNeed, 10, 60)
	expect([]vfs.Advice{vfs.WillNeed, vfs.WillNeed}, extent{0, 128}, extent{10, 70})
	vfs.Advise(f, vfs.WillNeed, 64, 64)
	expect([]vfs.Advice{vfs.WillNeed}, extent{64, 128})

	vfs.Advise(f, vfs.WillNeed, 400, 200)
	expect([]vfs.Advice{vfs.WillNeed}, extent{400, 600})
	b.again(f, 0, 100)
	expect(nil)
	settle(f, 1000)
	expect([]vfs.Advice{vfs.Settled}, extent{0, 1000})
	b.again(f, 520, 10)
	expect([]vfs.Advice{vfs.Doubted}, extent{500, 600})
	b.again(f, 520, 10)
	b.again(f, 540, 100)
	expect(nil)
	b.l.work()
	read(t, f, 0, 100, data[:100])
	read(t, f, 540, 100, data[540:640])
	vfs.Advise(f, vfs.WillNeed, 0, 30) // it is here
	expect([]vfs.Advice{vfs.WillNeed}, extent{0, 30})
}
