package filestorage

import (
	"context"
	"errors"
	"io/fs"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/durusdb/durus/storage"
	"github.com/durusdb/durus/vfs"
)

// followed is a database of one object, written by one handle and followed by
// others.
type followed struct {
	*ground
	t      testing.TB
	writer *Storage
	oid    storage.OID
	cls    storage.ClassID
}

func newFollowed(t testing.TB, g *ground) *followed {
	t.Helper()
	f := &followed{ground: g, t: t}
	f.writer = f.handle("writer", Options{})
	var err error
	if f.oid, err = f.writer.NewOID(background); err == nil {
		f.cls, err = f.writer.ClassID(background, "x.Thing")
	}
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func (f *followed) handle(name string, opts Options) *Storage {
	f.t.Helper()
	opts.FS = f.open(name)
	s, err := Open(f.path, opts)
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() {
		if err := s.Close(); err != nil && !errors.Is(err, storage.ErrClosed) && !errors.Is(err, storage.ErrRewound) {
			f.t.Error(err)
		}
	})
	return s
}

// commit writes the object, of the root directory's id at the first time, so
// that packs keep it.
func (f *followed) commit() storage.TID {
	f.t.Helper()
	snap, err := f.writer.Begin(background, true)
	if err != nil {
		f.t.Fatal(err)
	}
	defer snap.Release()
	return put(f.t, f.writer, snap, storage.Record{OID: 1, Class: f.cls, Strong: []storage.OID{f.oid}, Payload: []byte{0xc0}},
		storage.Record{OID: f.oid, Class: f.cls, Payload: []byte{0xc0}})
}

// pack keeps the transactions from one on, and the state before it.
func (f *followed) pack(s *Storage, from storage.TID) error {
	p, err := s.NewPacking(background, PackingOptions{KeepFrom: from})
	if err != nil {
		return err
	}
	for _, oid := range []storage.OID{1, f.oid} {
		if _, _, err := p.Keep(Next{OID: oid}, nil); err != nil {
			return errors.Join(err, p.Close())
		}
	}
	link := func(from, to storage.OID) error { return nil } // it leads to what is kept
	n := 0
	c := &Caught{Transactions: &n, Records: func(storage.ClassID, int64, bool) {}}
	if err := p.CatchUp(background, c, link); err != nil {
		return errors.Join(err, p.Close())
	}
	_, err = p.Swap(background, c, link)
	return errors.Join(err, p.Close())
}

func (f *followed) follow(s *Storage, after storage.TID) storage.Cursor {
	c := s.Follow(after)
	f.t.Cleanup(c.Close)
	return c
}

// next asks for a transaction and checks that its records are where it says.
func (f *followed) next(c storage.Cursor) (storage.TID, error) {
	ctx, cancel := context.WithTimeout(background, 10*time.Second)
	defer cancel()
	w, err := c.Next(ctx)
	if err != nil {
		return 0, err
	}
	defer w.State.Release()
	if !slices.Equal(w.OIDs, []storage.OID{1, f.oid}) || w.State.TID() != w.TID {
		f.t.Errorf("transaction %s wrote %v, and left the state of %s", w.TID, w.OIDs, w.State.TID())
	}
	for i, oid := range w.OIDs {
		pos, err := w.State.Find(oid)
		if err != nil || pos != w.Positions[i] {
			f.t.Errorf("transaction %s: object %s is at %d, %v, not at %d", w.TID, oid, pos, err, w.Positions[i])
		}
		by, err := w.State.WrittenBy(oid, w.Positions[i])
		if err != nil || by != w.TID {
			f.t.Errorf("transaction %s: object %s was written by %s, %v", w.TID, oid, by, err)
		}
	}
	return w.TID, nil
}

func eachGround(t *testing.T, test func(t *testing.T, f *followed)) {
	for name, g := range grounds(t) {
		t.Run(name, func(t *testing.T) { test(t, newFollowed(t, g)) })
	}
}

// Followers of all kinds get what was committed, while the file is packed all
// the time: whole, in order, once. One that sleeps through packs goes on, or is
// told that there is a gap.
func TestFollowThroughPacks(t *testing.T) {
	eachGround(t, func(t *testing.T, f *followed) {
		first := f.commit()
		want := []storage.TID{first}
		var mu sync.Mutex
		var done atomic.Bool
		var wg sync.WaitGroup
		type kind struct {
			name string
			opts Options
			nap  time.Duration
		}
		const n = 150
		for _, k := range []kind{{"w", Options{}, 0}, {"r", Options{ReadOnly: true}, 0}, {"slow", Options{}, 5 * time.Millisecond}} {
			s := f.handle(k.name, k.opts)
			c := f.follow(s, first)
			wg.Go(func() {
				got := []storage.TID{first}
				for len(got) < n {
					tid, err := f.next(c)
					if errors.Is(err, storage.ErrPacked) && k.nap > 0 {
						t.Logf("a slow one was told of a gap behind its %d", len(got))
						return
					}
					if err != nil {
						t.Errorf("%s: behind %d transactions: %v", k.name, len(got), err)
						return
					}
					got = append(got, tid)
					time.Sleep(k.nap)
				}
				mu.Lock()
				defer mu.Unlock()
				if !slices.Equal(got, want[:n]) {
					t.Errorf("%s: got %v, want %v", k.name, got, want[:n])
				}
			})
		}
		packer := f.handle("packer", Options{})
		packs := 0
		wg.Go(func() {
			for !done.Load() {
				// What the followers have not seen must stay.
				mu.Lock()
				from := want[max(0, len(want)-40)]
				mu.Unlock()
				if err := f.pack(packer, from); err != nil {
					t.Error(err)
					return
				}
				packs++
				time.Sleep(3 * time.Millisecond)
			}
		})
		for range n - 1 {
			mu.Lock() // so that a follower that is done finds all there was
			want = append(want, f.commit())
			mu.Unlock()
			time.Sleep(time.Millisecond)
		}
		done.Store(true)
		wg.Wait()
		t.Logf("%d packs", packs)
	})
}

// A file that was restored ends a follower, whoever of its handle notices first.
func TestFollowRestored(t *testing.T) {
	ways := map[string]func(f *followed, old []byte) error{
		"in place": func(f *followed, old []byte) error { return f.write(f.path, old) },
		"renamed": func(f *followed, old []byte) error {
			return errors.Join(f.write(f.path+".old", old), f.rename(f.path+".old", f.path))
		},
	}
	for way, restore := range ways {
		for _, asked := range []bool{false, true} {
			t.Run(way, func(t *testing.T) {
				eachGround(t, func(t *testing.T, f *followed) {
					f.commit()
					old, err := f.read(f.path)
					if err != nil {
						t.Fatal(err)
					}
					lost := f.commit()
					s := f.handle("s", Options{})
					c := f.follow(s, lost)
					ended := make(chan error, 1)
					go func() { _, err := f.next(c); ended <- err }()
					time.Sleep(10 * time.Millisecond)
					if err := restore(f, old); err != nil {
						t.Fatal(err)
					}
					if asked {
						for range 100 {
							if snap, err := s.Begin(background, false); err == nil {
								snap.Release()
							} else if errors.Is(err, storage.ErrRewound) {
								break
							}
							time.Sleep(2 * time.Millisecond)
						}
					}
					if err := <-ended; !errors.Is(err, storage.ErrRewound) {
						t.Errorf("it ended with %v", err)
					}
					// A new one from there finds out as well, before and after
					// others have committed.
					if _, err := f.next(f.follow(s, lost)); !errors.Is(err, storage.ErrRewound) {
						t.Errorf("behind what is not there any more: %v", err)
					}
					for range 3 {
						snap, err := f.writer.Begin(background, true)
						if err == nil {
							snap.Release()
							break
						}
					}
					f.commit()
					f.commit()
					if _, err := f.next(f.follow(s, lost)); !errors.Is(err, storage.ErrRewound) {
						t.Errorf("behind what is not there any more, among younger ones: %v", err)
					}
				})
			})
		}
	}
}

// The lock file may be deleted at any time, and a reader creates none.
func TestFollowWithoutLockFile(t *testing.T) {
	eachGround(t, func(t *testing.T, f *followed) {
		first := f.commit()
		if err := f.remove(f.path + ".lock"); err != nil {
			t.Fatal(err)
		}
		s := f.handle("reader", Options{ReadOnly: true})
		c := f.follow(s, first)
		ended := make(chan storage.TID, 10)
		go func() {
			for range 4 {
				tid, err := f.next(c)
				if err != nil {
					t.Error(err)
				}
				ended <- tid
			}
		}()
		time.Sleep(20 * time.Millisecond)
		if _, err := f.read(f.path + ".lock"); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("a reader has made a lock file: %v", err)
		}
		for range 4 {
			want := f.commit()
			if got := <-ended; got != want {
				t.Errorf("transaction %s, want %s", got, want)
			}
			if err := f.remove(f.path + ".lock"); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// silent is a storage that promises notices and gives none, as a file system
// may do; dead refuses them.
type silent struct{ vfs.FS }

func (silent) Notify([]string, func()) (func(), error) { return func() {}, nil }

type dead struct{ vfs.FS }

func (dead) Notify([]string, func()) (func(), error) { return nil, errors.New("no more of them") }

// Where nobody tells, a follower finds out by himself, and soon stops to rely
// on those who have not told.
func TestFollowWithoutNotices(t *testing.T) {
	g := grounds(t)["posix"]
	f := newFollowed(t, g)
	first := f.commit()
	for name, layer := range map[string]vfs.FS{"silent": silent{g.open("")}, "dead": dead{g.open("")}} {
		s, err := Open(f.path, Options{FS: layer})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		c := f.follow(s, first)
		for n := range 12 {
			want := f.commit()
			began := time.Now()
			if got, err := f.next(c); err != nil || got != want {
				t.Fatalf("%s: %s, %v, want %s", name, got, err, want)
			}
			if took := time.Since(began); n > 3 && took > 500*time.Millisecond {
				t.Errorf("%s: number %d took %v", name, n, took)
			}
			committed := make(chan storage.TID, 1)
			go func() { time.Sleep(3 * time.Millisecond); committed <- f.commit() }()
			got, err := f.next(c)
			if first = <-committed; err != nil || got != first {
				t.Fatalf("%s: %s, %v, want %s", name, got, err, first)
			}
		}
		if !s.news.deaf.Load() {
			t.Errorf("%s: it relies on notices", name)
		}
	}
}

// A writer that has died between its append and the mark holds up what is
// visible until somebody raises the mark: the follower does.
func TestFollowAfterDeath(t *testing.T) {
	g := grounds(t)["posix"]
	f := newFollowed(t, g)
	first := f.commit()
	want := f.commit()
	// As if the second commit had not been synced: its mark is gone.
	if err := f.writer.Close(); err != nil {
		t.Fatal(err)
	}
	if err := g.write(f.path+".lock", nil); err != nil {
		t.Fatal(err)
	}
	s := f.handle("s", Options{})
	c := f.follow(s, first)
	if got, err := f.next(c); err != nil || got != want {
		t.Errorf("%s, %v, want %s", got, err, want)
	}
}

// Close ends a follower that waits, and ctx does.
func TestFollowEnds(t *testing.T) {
	eachGround(t, func(t *testing.T, f *followed) {
		first := f.commit()
		s := f.handle("s", Options{})
		c := f.follow(s, first)
		ctx, cancel := context.WithCancel(background)
		time.AfterFunc(10*time.Millisecond, cancel)
		if _, err := c.Next(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("ctx: %v", err)
		}
		time.AfterFunc(10*time.Millisecond, func() { _ = s.Close() })
		if _, err := c.Next(background); !errors.Is(err, storage.ErrClosed) {
			t.Errorf("Close: %v", err)
		}
		c.Close()
		c.Close()
		if _, err := c.Next(background); !errors.Is(err, storage.ErrClosed) {
			t.Errorf("a closed cursor: %v", err)
		}
		if _, err := f.next(f.follow(s, first)); !errors.Is(err, storage.ErrClosed) {
			t.Errorf("of a closed handle: %v", err)
		}
	})
}

// A cursor that waits, or whose owner does something else, holds nothing: its
// file closes when it was replaced, and nothing is remembered for it.
func TestFollowHoldsNothing(t *testing.T) {
	eachGround(t, func(t *testing.T, f *followed) {
		first := f.commit()
		s := f.handle("s", Options{})
		c := f.follow(s, first)
		f.commit()
		if _, err := f.next(c); err != nil {
			t.Fatal(err)
		}
		old := s.current()
		if n := old.state.Load().refs.Load(); n != 0 {
			t.Errorf("%d states are held", n)
		}
		for range 3 {
			want := f.commit()
			if err := f.pack(f.writer, want); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := s.LastTID(); err != nil {
			t.Fatal(err)
		}
		old.mu.Lock()
		defer old.mu.Unlock()
		if !old.closed {
			t.Error("the file that was replaced is still open")
		}
	})
}
