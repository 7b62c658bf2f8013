package durus

import (
	"context"
	"fmt"
	"iter"
)

// Must returns v, or ends the function of the View or Update around it, on the
// same goroutine, which then returns err and rolls back. Anywhere else it
// panics.
func Must[T any](v T, err error) T {
	if err != nil {
		panic(&mustError{err})
	}
	return v
}

// mustError is what Must panics with. View and Update turn it back into the error.
type mustError struct{ err error }

func (m *mustError) Error() string {
	return fmt.Sprintf("durus: Must outside of View and Update: %v", m.err)
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

// Each loads the objects that a sequence refers to. An error ends the loop and
// sticks: View, Update and Commit return it, and Session.Err tells it before.
func Each[K, T any](s Session, refs iter.Seq2[K, Ref[T]]) iter.Seq2[K, *T] {
	return func(yield func(K, *T) bool) {
		for k, ref := range refs {
			v, err := ref.Load(s)
			if err != nil {
				s.core().stick(err)
				return
			}
			if !yield(k, v) {
				return
			}
		}
	}
}
