package durus

import (
	"errors"
	"fmt"
	"slices"
	"testing"
)

// shelved changes the shelf in a transaction.
func shelved(t *testing.T, db *DB, f func(tx *Tx, s *shelf) error) {
	t.Helper()
	update(t, db, func(tx *Tx) error { return f(tx, Must(theShelf.Load(tx))) })
}

func fillShelf(t *testing.T, db *DB, n int) {
	t.Helper()
	shelved(t, db, func(tx *Tx, s *shelf) error {
		for i := range n {
			_ = s.Numbers.Put(tx, i, "base")
			_ = s.Log.Append(tx, "base")
			_ = s.Dict.Put(tx, fmt.Sprint(i), 0)
		}
		return nil
	})
}

// A loop over a container may commit its connection: what comes after is read
// anew, and is part of the next commit's read set.
func TestLiveLoopThatCommits(t *testing.T) {
	onBeds(t, func(t *testing.T, b *bed) {
		db, other := b.db(), b.db()
		fillShelf(t, other, 10)
		c := connect(t, db)
		s := Must(theShelf.Load(c))
		var got []string
		for k, v := range s.Numbers.All(c) {
			got = append(got, fmt.Sprint(k, v))
			switch k {
			case 1:
				_ = s.Numbers.Put(c, 4, "mine")
			case 2:
				if err := c.Commit(); err != nil {
					t.Fatal(err)
				}
				shelved(t, other, func(tx *Tx, s *shelf) error { return s.Numbers.Put(tx, 4, "theirs") })
			}
		}
		if want := "4theirs"; got[4] != want {
			t.Errorf("key 4 is %q, want %q: the write was committed, and somebody else has changed it since", got[4], want)
		}
		_ = s.Hits.Add(c, 1)
		shelved(t, other, func(tx *Tx, s *shelf) error { return s.Numbers.Put(tx, 7, "again") })
		wantErr(t, c.Commit(), ErrConflict) // 7 was read since the last commit
		if err := c.Abort(); err != nil {
			t.Fatal(err)
		}
		// And not what was read before it.
		for k := range s.Numbers.All(c) {
			if k == 5 {
				if err := c.Commit(); err != nil {
					t.Fatal(err)
				}
			}
		}
		_ = s.Hits.Add(c, 1)
		shelved(t, other, func(tx *Tx, s *shelf) error { return s.Numbers.Put(tx, 3, "again") })
		if err := c.Commit(); err != nil {
			t.Errorf("key 3 was read before the last commit: %v", err)
		}
	})
}

// The same for the other direction, for lists, and for an Abort, which takes the
// writes away that the loop has not come to.
func TestLiveLoopThatAborts(t *testing.T) {
	onBeds(t, func(t *testing.T, b *bed) {
		db, other := b.db(), b.db()
		fillShelf(t, other, 6)
		c := connect(t, db)
		s := Must(theShelf.Load(c))
		for k, v := range s.Numbers.Backward(c) {
			if k == 4 {
				_ = s.Numbers.Put(c, 1, "mine")
				_ = s.Numbers.Put(c, 100, "mine")
				if err := c.Abort(); err != nil {
					t.Fatal(err)
				}
			}
			if v != "base" {
				t.Errorf("key %d is %q after Abort", k, v)
			}
		}
		for i, v := range s.Log.All(c) {
			switch i {
			case 2:
				_ = s.Log.Set(c, 3, "mine")
				_ = s.Log.Insert(c, 5, "mine")
				if err := c.Abort(); err != nil {
					t.Fatal(err)
				}
			}
			if v != "base" || i > 5 {
				t.Errorf("index %d is %q after Abort", i, v)
			}
		}
		_ = s.Hits.Add(c, 1)
		shelved(t, other, func(tx *Tx, s *shelf) error { return s.Log.Set(tx, 4, "theirs") })
		wantErr(t, c.Commit(), ErrConflict) // index 4 was read after the Abort
		if err := c.Abort(); err != nil {
			t.Fatal(err)
		}
	})
}

type pair struct{ A, B Set[int] }

var (
	_       = Register[pair]("test.Pair")
	thePair = NewRoot[pair]("pair")
)

// The leaps of a set operation go on after a commit in the loop, too.
func TestLiveSetOperationThatCommits(t *testing.T) {
	onBeds(t, func(t *testing.T, b *bed) {
		db, other := b.db(), b.db()
		update(t, other, func(tx *Tx) error {
			p := Must(thePair.Load(tx))
			for i := range 200 {
				_ = p.A.Add(tx, i)
				if i%50 == 0 {
					_ = p.B.Add(tx, i)
				}
			}
			return nil
		})
		c := connect(t, db)
		p := Must(thePair.Load(c))
		var got []int
		for k := range Intersection(c, p.A, p.B) {
			if got = append(got, k); k == 50 {
				if err := c.Commit(); err != nil {
					t.Fatal(err)
				}
				update(t, other, func(tx *Tx) error { return Must(thePair.Load(tx)).B.Add(tx, 120) })
			}
		}
		if want := []int{0, 50, 100, 120, 150}; !slices.Equal(got, want) {
			t.Errorf("%v, want %v", got, want)
		}
		_ = p.B.Add(c, 1000)
		update(t, other, func(tx *Tx) error { _, err := Must(thePair.Load(tx)).A.Delete(tx, 150); return err })
		wantErr(t, c.Commit(), ErrConflict)
		_ = c.Abort()
		// What was leapt over is not read.
		for range Intersection(c, p.A, p.B) {
		}
		_ = p.B.Add(c, 1000)
		update(t, other, func(tx *Tx) error { _, err := Must(thePair.Load(tx)).A.Delete(tx, 30); return err })
		if err := c.Commit(); err != nil {
			t.Error(err)
		}
	})
}

// A loop whose session ends ends with an error, and holds nothing.
func TestLoopWhoseSessionEnds(t *testing.T) {
	onBeds(t, func(t *testing.T, b *bed) {
		db, other := b.db(), b.db()
		fillShelf(t, other, 200)
		loops := map[string]func(s Session, end func()){
			"tree": func(s Session, end func()) {
				for range Must(theShelf.Load(s)).Numbers.All(s) {
					end()
				}
			},
			"dict": func(s Session, end func()) {
				for range Must(theShelf.Load(s)).Dict.All(s) {
					end()
				}
			},
			"list": func(s Session, end func()) {
				for range Must(theShelf.Load(s)).Log.All(s) {
					end()
				}
			},
			"list backwards": func(s Session, end func()) {
				for range Must(theShelf.Load(s)).Log.Backward(s) {
					end()
				}
			},
		}
		for name, loop := range loops {
			for _, writable := range []bool{false, true} {
				tx := begin(t, db, writable)
				n := 0
				loop(tx, func() {
					if n++; n == 1 {
						_ = tx.Rollback()
						fillShelf(t, other, 1)
					}
				})
				if n > 70 { // a leaf may be finished
					t.Errorf("%s, writable %v: %d steps after the end", name, writable, n)
				}
				if n < 70 {
					wantErr(t, tx.Err(), ErrTxDone)
				}
			}
			c, err := db.Connect(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			n := 0
			loop(c, func() {
				if n++; n == 1 {
					if err := errors.Join(c.Abort(), c.Close()); err != nil {
						t.Fatal(err)
					}
					fillShelf(t, other, 1)
				}
			})
			if n != 1 {
				t.Errorf("%s: %d steps after Close", name, n)
			}
		}
	})
}

// What a live connection has read twice, and was different in between, has been
// at no moment what it saw: a conflict, even if it is now again what it was first.
func TestLiveReadsThatChangedInBetween(t *testing.T) {
	for name, c := range map[string]struct {
		read     func(c *Connection, s *shelf)
		to, back func(tx *Tx, s *shelf) error
	}{
		"a key": {
			func(c *Connection, s *shelf) { Must2(s.Numbers.Get(c, 3)) },
			func(tx *Tx, s *shelf) error { return s.Numbers.Put(tx, 3, "other") },
			func(tx *Tx, s *shelf) error { return s.Numbers.Put(tx, 3, "base") }},
		"an absence": {
			func(c *Connection, s *shelf) { Must(s.Numbers.Has(c, 33)) },
			func(tx *Tx, s *shelf) error { return s.Numbers.Put(tx, 33, "other") },
			func(tx *Tx, s *shelf) error { _, err := s.Numbers.Delete(tx, 33); return err }},
		"a range": {
			func(c *Connection, s *shelf) {
				for range s.Numbers.Range(c, 2, 5) {
				}
			},
			func(tx *Tx, s *shelf) error { return s.Numbers.Put(tx, 3, "other") },
			func(tx *Tx, s *shelf) error { return s.Numbers.Put(tx, 3, "base") }},
		"a length": {
			func(c *Connection, s *shelf) { Must(s.Numbers.Len(c)) },
			func(tx *Tx, s *shelf) error { return s.Numbers.Put(tx, 33, "other") },
			func(tx *Tx, s *shelf) error { _, err := s.Numbers.Delete(tx, 33); return err }},
		"an index": {
			func(c *Connection, s *shelf) { Must(s.Log.Get(c, 3)) },
			func(tx *Tx, s *shelf) error { return s.Log.Set(tx, 3, "other") },
			func(tx *Tx, s *shelf) error { return s.Log.Set(tx, 3, "base") }},
		"a value": {
			func(c *Connection, s *shelf) { Must(s.Hits.Value(c)) },
			func(tx *Tx, s *shelf) error { return s.Hits.Add(tx, 1) },
			func(tx *Tx, s *shelf) error { return s.Hits.Add(tx, -1) }},
	} {
		t.Run(name, func(t *testing.T) {
			onBeds(t, func(t *testing.T, b *bed) {
				db, other := b.db(), b.db()
				fillShelf(t, other, 10)
				live := connect(t, db)
				s := Must(theShelf.Load(live))
				c.read(live, s)
				shelved(t, other, c.to)
				c.read(live, s)
				shelved(t, other, c.back)
				_ = s.Tags.Add(live, "mine")
				wantErr(t, live.Commit(), ErrConflict)
				if err := live.Abort(); err != nil {
					t.Fatal(err)
				}
				// Read at one moment only, it is no conflict.
				c.read(live, s)
				shelved(t, other, c.to)
				shelved(t, other, c.back)
				_ = s.Tags.Add(live, "mine")
				if err := live.Commit(); err != nil {
					t.Errorf("changed and changed back between two reads: %v", err)
				}
			})
		})
	}
}

// A connection that has moved values of a list knows its length as of then.
func TestLiveListThatGrowsElsewhere(t *testing.T) {
	onBeds(t, func(t *testing.T, b *bed) {
		db, other := b.db(), b.db()
		fillShelf(t, other, 4)
		c := connect(t, db)
		s := Must(theShelf.Load(c))
		_ = s.Log.Insert(c, 0, "mine")
		shelved(t, other, func(tx *Tx, s *shelf) error { return s.Log.Append(tx, "theirs") })
		n := Must(s.Log.Len(c))
		err := c.Commit()
		if length := viewed(t, other, func(tx *Tx) (int, error) { return Must(theShelf.Load(tx)).Log.Len(tx) }); err == nil && n != length {
			t.Errorf("the length was %d when the connection asked, and is %d", n, length)
		}
		if err != nil {
			wantErr(t, err, ErrConflict)
		}
		_ = c.Abort()

		// A value that was set, in a list that becomes shorter before others are moved.
		_ = s.Log.Set(c, 3, "set")
		shelved(t, other, func(tx *Tx, s *shelf) error {
			for Must(s.Log.Len(tx)) > 2 {
				_ = s.Log.Delete(tx, 0)
			}
			return nil
		})
		before := state(t, other)
		_ = s.Log.Insert(c, 0, "first")
		if err := c.Commit(); !errors.Is(err, ErrConflict) {
			t.Errorf("index 3 was set and is gone: %v", err)
		}
		if after := state(t, other); !slices.Equal(before, after) {
			t.Errorf("%q\nbecame %q", before, after)
		}
		_ = c.Abort()
	})
}

// A connection sees what others commit between two calls, unless it is paused.
func TestLiveContainers(t *testing.T) {
	onBeds(t, func(t *testing.T, b *bed) {
		db, other := b.db(), b.db()
		fillShelf(t, other, 3)
		c := connect(t, db)
		s := Must(theShelf.Load(c))
		saw := func(want int) {
			t.Helper()
			n := 0
			for range s.Numbers.All(c) {
				n++
			}
			if l := Must(s.Numbers.Len(c)); n != want || l != want || Must(s.Log.Len(c)) != want {
				t.Errorf("%d keys, length %d, want %d", n, l, want)
			}
		}
		grow := func(i int) {
			t.Helper()
			shelved(t, other, func(tx *Tx, s *shelf) error {
				return errors.Join(s.Numbers.Put(tx, i, "theirs"), s.Log.Append(tx, "theirs"))
			})
		}
		saw(3)
		grow(10)
		saw(4)
		if err := c.Pause(); err != nil {
			t.Fatal(err)
		}
		grow(11)
		saw(4)
		if err := c.Continue(); err != nil {
			t.Fatal(err)
		}
		saw(5)
		var keys []int
		for k := range s.Numbers.All(c) { // ahead of a loop, too
			if k == 2 {
				grow(5)
				grow(-1)
			}
			keys = append(keys, k)
		}
		if want := []int{0, 1, 2, 5, 10, 11}; !slices.Equal(keys, want) {
			t.Errorf("the loop saw %v, want %v", keys, want)
		}
		_ = c.Abort()
	})
}
