package durus

import (
	"fmt"
	"reflect"
)

// Merge settles conflicts of a class: when an object that a transaction has
// edited was changed by another one meanwhile, fn gets the state that both began
// with, the other's and the transaction's own, and returns the state to store. It
// may change and return mine; base and theirs are shared and must not be
// written. Where fn returns an error or nil, or panics, or base is not in the
// file any more, the conflict stands.
//
// The class is not serializable then: what the transaction has read in the
// object, and acted on, may be out of date when it commits. Counters and
// containers (durus.Counter, durus.BTree) need no Merge and stay serializable.
//
// fn must depend on nothing but its arguments: it may be called several times,
// on any goroutine.
func Merge[T any](fn func(base, theirs, mine *T) (*T, error)) TypeOption {
	return func(i *typeInfo) {
		switch {
		case fn == nil:
			i.fault("Merge: the function is nil: give it one that makes one state of three")
		case i.merge != nil:
			i.fault("Merge twice: remove one of them")
		default:
			i.merge = &merger{reflect.TypeFor[T](), func(base, theirs, mine any) (any, error) {
				v, err := fn(base.(*T), theirs.(*T), mine.(*T))
				if err == nil && v == nil {
					err = fmt.Errorf("Merge of %s returned nil", reflect.TypeFor[T]())
				}
				if err != nil {
					return nil, err
				}
				return v, nil
			}}
		}
	}
}

// merger is a Merge.
type merger struct {
	typ reflect.Type
	fn  func(base, theirs, mine any) (any, error) // *T all of them; the result is not nil without an error
}

// call is fn with panics as errors.
func (m *merger) call(base, theirs, mine any) (v any, err error) {
	defer func() {
		if p := recover(); p != nil {
			v, err = nil, panicked(p)
		}
	}()
	return m.fn(base, theirs, mine)
}
