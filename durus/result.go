package durus

import (
	"context"
	"fmt"
	"iter"
	"time"
)

// Must returns v. If err is not nil, it ends the function of the View or Update
// around it, which then returns err and rolls back.
//
// It works in that function and in what it calls, on the same goroutine. Anywhere
// else it panics: in a goroutine that the function has started, between Begin and
// Commit, and with a Connection outside of View and Update. In an upgrade, a merge
// or an index function the panic becomes the error of that function.
func Must[T any](v T, err error) T {
	if err != nil {
		panic(&mustError{err})
	}
	return v
}

// Must2 is Must for what tells whether something is there:
//
//	if book, ok := durus.Must2(s.Books.Get(tx, title)); ok {
func Must2[A, B any](a A, b B, err error) (A, B) {
	if err != nil {
		panic(&mustError{err})
	}
	return a, b
}

// mustError is what Must and Must2 panic with. View and Update turn it back into the error.
type mustError struct{ err error }

func (m *mustError) Error() string {
	return fmt.Sprintf("durus: Must outside of View and Update, look at the error there: %v", m.err)
}

func (m *mustError) Unwrap() error { return m.err }

// Result runs a function that returns a value in a transaction, and returns
// the value of the run that was committed:
//
//	sum, err := durus.Result(ctx, db.View, func(tx *durus.Tx) (int64, error) { ... })
//
// With an error the value is zero.
func Result[R any](ctx context.Context, run func(context.Context, func(*Tx) error) error, fn func(*Tx) (R, error)) (R, error) {
	var result R
	err := run(ctx, func(tx *Tx) (err error) {
		result, err = fn(tx)
		return err
	})
	if err != nil {
		var zero R
		return zero, err
	}
	return result, nil
}

// Each loads the objects that a sequence refers to. In a View whose objects come
// from a slow storage it reads ahead, some dozens at a time; the sequence runs
// ahead of the loop then, so it must not do what the loop depends on. An error
// ends the loop and sticks: View, Update and Commit return it, and Session.Err
// tells it before.
func Each[K, T any](s Session, refs iter.Seq2[K, Ref[T]]) iter.Seq2[K, *T] {
	return func(yield func(K, *T) bool) {
		e := each[K, T]{s: s, yield: yield}
		for k, ref := range refs {
			if !e.take(k, ref) {
				return
			}
		}
		e.flush()
	}
}

// each is one loop of Each.
type each[K, T any] struct {
	s     Session
	yield func(K, *T) bool
	slow  bool // a load took so long that reading ahead pays
	keys  []K  // what is to be read together
	refs  []Ref[T]
}

const (
	slowLoad  = time.Millisecond
	eachAhead = 64
)

// take delivers an object, or puts it by to be read with others. It returns
// whether the loop goes on.
func (e *each[K, T]) take(k K, ref Ref[T]) bool {
	if e.slow {
		e.keys, e.refs = append(e.keys, k), append(e.refs, ref)
		return len(e.refs) < eachAhead || e.flush()
	}
	c := e.s.core()
	if c.writable || c.conn != nil { // what it does may depend on what the loop does
		return e.deliver(k, ref)
	}
	misses, began := c.db.counters.misses.Load(), time.Time{}
	if c.hot(uint64(ref.raw)) == nil {
		began = time.Now()
	}
	v, err := ref.Load(e.s)
	if err != nil {
		c.stick(err)
		return false
	}
	e.slow = !began.IsZero() && c.db.counters.misses.Load() > misses && time.Since(began) > slowLoad
	return e.yield(k, v)
}

// flush reads what was put by, and delivers it.
func (e *each[K, T]) flush() bool {
	if len(e.refs) == 0 {
		return true
	}
	any := make([]AnyRef, len(e.refs))
	for i, r := range e.refs {
		any[i] = r.Any()
	}
	c := e.s.core()
	if wanted := c.missing(any); len(wanted) > 1 && c.usable() == nil {
		c.prefetch(wanted)
	}
	keys, refs := e.keys, e.refs
	e.keys, e.refs = nil, nil
	for i, r := range refs {
		if !e.deliver(keys[i], r) {
			return false
		}
	}
	return true
}

func (e *each[K, T]) deliver(k K, ref Ref[T]) bool {
	v, err := ref.Load(e.s)
	if err != nil {
		e.s.core().stick(err)
		return false
	}
	return e.yield(k, v)
}
