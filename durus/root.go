package durus

import (
	"errors"
	"fmt"
	"reflect"
)

// Root is a named, typed entry point of databases: where a program begins to
// look. It is a value without state and may be a package variable. NewRoot makes
// it; the zero value leads nowhere (ErrNotFound).
//
// The names of all roots of a database are in its root directory, the object
// with OID 1. A name that it holds never leads anywhere else, so finding a
// root does not enter the directory into the read set; creating one does.
type Root[T any] struct{ name string }

// directory is the root directory: names to objects.
type directory map[string]AnyRef

const (
	directoryOID   OID = 1 // reserved: no storage gives it out
	directoryClass     = "durus.Roots"
)

// NewRoot returns the entry point with this name. T must be registered before
// its first use. It panics when the name is empty, or "durus.tables".
func NewRoot[T any](name string) Root[T] {
	if name == "" {
		panic(fmt.Sprintf("durus: NewRoot[%s]: a root without a name: give it one, the file knows it by that", reflect.TypeFor[T]()))
	}
	if name == tablesName {
		panic(fmt.Sprintf("durus: NewRoot[%s](%q): the name is taken by the package: choose another", reflect.TypeFor[T](), name))
	}
	return Root[T]{name}
}

// Name is the root's name.
func (r Root[T]) Name() string { return r.name }

// Load returns the root's object, shared as that of Ref.Load. Where the root
// does not exist yet, a writable session creates it, to be stored at commit,
// and any other gets a zero T.
func (r Root[T]) Load(s Session) (*T, error) {
	ref, err := r.ref(s)
	switch {
	case err != nil:
		return nil, err
	case ref.IsNil():
		return new(T), nil
	}
	return ref.Load(s)
}

// Edit returns a private copy of the root's object, to assign to T's own
// fields; see Ref.Edit.
func (r Root[T]) Edit(s Session) (*T, error) {
	if err := s.core().mayWrite(); err != nil {
		return nil, err
	}
	ref, err := r.ref(s)
	if err != nil {
		return nil, err
	}
	return ref.Edit(s)
}

// ref returns the reference to the root's object. nil means that the root does
// not exist and that the session cannot create it.
func (r Root[T]) ref(s Session) (Ref[T], error) {
	c := s.core()
	if r.name == "" {
		return Ref[T]{}, fmt.Errorf("%w: a Root without a name: NewRoot gives it one", ErrNotFound)
	}
	found, err := c.binding(r.name)
	if err != nil || !found.IsNil() || !c.writable {
		return As[T](found), err
	}
	dir, err := c.editDirectory()
	if err != nil {
		return Ref[T]{}, err
	}
	// What a live connection edits may be newer than what it has just read.
	if found, ok := (*dir)[r.name]; ok {
		return As[T](found), nil
	}
	ref, err := Add(s, new(T))
	if err != nil {
		return Ref[T]{}, err
	}
	(*dir)[r.name] = ref.Any()
	return ref, nil
}

// binding returns what the directory says about a name, nil for nothing. It
// does not enter the directory into the read set: who acts on the absence of a
// name does so by editing the directory.
func (c *core) binding(name string) (AnyRef, error) {
	dir, err := asDirectory(c.load(uint64(directoryOID), false))
	if isNotFound(err) {
		return AnyRef{}, nil
	}
	if err != nil {
		return AnyRef{}, err
	}
	return (*dir)[name], nil
}

func asDirectory(v any, err error) (*directory, error) {
	if err != nil {
		return nil, err
	}
	dir, ok := v.(*directory)
	if !ok {
		return nil, fmt.Errorf("%w: object %s is not a root directory", ErrCorrupt, directoryOID)
	}
	return dir, nil
}

func isNotFound(err error) bool { return errors.Is(err, ErrNotFound) }
