// Package durus stands for the real one: the names and signatures that matter.
package durus

import (
	"context"
	"iter"
)

type (
	OID     uint64
	Session interface{ Err() error }
	Tx      struct{}
	DB      struct{}
	Opaque  struct{}

	Ref[T any]     struct{ raw uint64 }
	AnyRef         struct{ raw uint64 }
	WeakRef[T any] struct{ raw uint64 }
	Root[T any]    struct{ name string }

	BTree[K comparable, V any] struct{ h uint64 }
	List[V any]                struct{ h uint64 }
	Table[K comparable, T any] struct{ h uint64 }
)

func (*Tx) Err() error                                                  { return nil }
func (*DB) View(ctx context.Context, fn func(*Tx) error) error          { return fn(nil) }
func (*DB) Update(ctx context.Context, fn func(*Tx) error) error        { return fn(nil) }
func Must[T any](v T, err error) T                                      { return v }
func Add[T any](s Session, v *T) (Ref[T], error)                        { return Ref[T]{}, nil }
func NewRoot[T any](name string) Root[T]                                { return Root[T]{name} }
func (r Root[T]) Load(s Session) (*T, error)                            { return nil, nil }
func (r Root[T]) Edit(s Session) (*T, error)                            { return nil, nil }
func (r Ref[T]) Load(s Session) (*T, error)                             { return nil, nil }
func (r Ref[T]) Peek(s Session) (*T, error)                             { return nil, nil }
func (r Ref[T]) Edit(s Session) (*T, error)                             { return nil, nil }
func (r Ref[T]) Any() AnyRef                                            { return AnyRef{} }
func As[T any](r AnyRef) Ref[T]                                         { return Ref[T]{} }
func (r AnyRef) Load(s Session) (any, error)                            { return nil, nil }
func (w WeakRef[T]) Load(s Session) (*T, bool, error)                   { return nil, false, nil }
func (b BTree[K, V]) Get(s Session, k K) (v V, ok bool, err error)      { return v, false, nil }
func (b *BTree[K, V]) Put(s Session, k K, v V) error                    { b.h++; return nil }
func (b BTree[K, V]) All(s Session) iter.Seq2[K, V]                     { return nil }
func (l *List[V]) Append(s Session, v V) error                          { l.h++; return nil }
func (l List[V]) Get(s Session, i int) (v V, err error)                 { return v, nil }
func (t Table[K, T]) Insert(s Session, k K, v *T) (Ref[T], error)       { return Ref[T]{}, nil }
func (b BTree[K, V]) Insert(s Session, k K, v V) (bool, error)          { return false, nil }
func Instances[T any](s Session) iter.Seq2[Ref[T], *T]                  { return nil }
func Each[K, T any](s Session, r iter.Seq2[K, Ref[T]]) iter.Seq2[K, *T] { return nil }

func Result[R any](ctx context.Context, run func(context.Context, func(*Tx) error) error, fn func(*Tx) (R, error)) (r R, err error) {
	return r, nil
}
