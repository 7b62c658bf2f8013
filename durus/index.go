package durus

import (
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"

	"github.com/durusdb/durus/internal/collection"
)

var (
	// ErrUnique: a key of a table or of a unique index is taken; see UniqueError.
	ErrUnique = errors.New("durus: the key is taken")

	// ErrIndex: an index of a table that this program cannot read, or cannot
	// keep in step: it is not declared, or not built, or was built by another
	// version of its function. Also a function of an index that fails.
	ErrIndex = errors.New("durus: unusable index")
)

// UniqueError says which key is taken, and by what. Is ErrUnique. Update does
// not run a function again because of it.
type UniqueError struct {
	Table  OID    // the table
	Index  string // the name of the index; empty: the primary key
	Key    string // the key, for people
	OID    OID    // the object that has the key
	Object OID    // the object that should get it; 0: it was not made
}

func (e *UniqueError) Error() string {
	switch {
	case e.Index != "":
		return fmt.Sprintf("durus: index %q of table %s is unique: object %s has the key %s, so object %s cannot: give it another key, or change the other object first",
			e.Index, e.Table, e.OID, e.Key, e.Object)
	case e.OID == e.Object:
		return fmt.Sprintf("durus: object %s is in table %s already, under the key %s: delete that key first", e.OID, e.Table, e.Key)
	}
	return fmt.Sprintf("durus: table %s has an object under the key %s already, %s: edit that one, or delete the key first", e.Table, e.Key, e.OID)
}

// Is makes errors.Is(err, ErrUnique) true.
func (e *UniqueError) Is(target error) bool { return target == ErrUnique }

// Index is an index of the tables of objects of type T: from keys of type IK,
// which a function makes of each object, to the objects. It is declared once, in
// a package variable, and given to Register with Indexes:
//
//	var (
//		byEmail = durus.NewIndex("email", func(c *Customer) string { return c.Email }).Unique()
//		byCity  = durus.NewIndex("city", func(c *Customer) string { return c.City })
//		_       = durus.Register[Customer]("shop.Customer", durus.Indexes(byEmail, byCity))
//	)
//
// Unique, Where and Version do not change an index: each returns another
// declaration. What the last of them returned belongs into the variable, since
// Register and those who look something up must use the same one:
//
//	byEmail.Unique()           // does nothing
//	byEmail = byEmail.Unique() // in a function: too late for Register
//
// Look up by the index, and hand it the table: byEmail.Lookup(tx, t, "ada@x").
// The methods of Table are about the primary key.
//
// Every Table of T has the index; one that was made by a program without it
// gets it by Reindex, and until then neither answers nor refuses anything.
//
// The function must be pure: the key depends on nothing but the fields of its
// argument, which it does not change. It is called at commits, at reads of an
// index in a transaction that has changed something, and by Reindex, and must
// not use the session. When it is to give other keys for the same object, give
// it another Version.
//
// A program that does not declare an index which a table has, or declares it
// with another version, cannot change the table's objects: its commits fail with
// ErrIndex, because the index would go stale.
//
// An Index is a value without state; any number of goroutines may use it. The zero
// value is none: what uses it fails with ErrIndex.
type Index[T any, IK comparable] struct{ def *indexDef[T, IK] }

// NewIndex declares an index with one key for each object.
func NewIndex[T any, IK comparable](name string, key func(*T) IK) Index[T, IK] {
	return Index[T, IK]{&indexDef[T, IK]{name: name, one: key}}
}

// NewMultiIndex declares an index with any number of keys for each object, none
// included. Keys that occur twice count once.
func NewMultiIndex[T any, IK comparable](name string, keys func(*T) []IK) Index[T, IK] {
	return Index[T, IK]{&indexDef[T, IK]{name: name, many: keys}}
}

// Unique returns the declaration of an index in which no two objects of a table
// have the same key; x stays as it is (see Index). A violation is a *UniqueError, at the latest at commit.
// Objects may exchange their keys in one transaction.
func (x Index[T, IK]) Unique() Index[T, IK] {
	def := *x.known()
	def.only = true
	return Index[T, IK]{&def}
}

// Where returns the declaration of an index of those objects for which include
// is true; x stays as it is (see Index). It must be as pure as the function of the index.
func (x Index[T, IK]) Where(include func(*T) bool) Index[T, IK] {
	def := *x.known()
	def.where = include
	return Index[T, IK]{&def}
}

// Version returns the declaration with another version of its function, 0 being
// the first. Tables whose index was built by another version must be given to
// Reindex.
func (x Index[T, IK]) Version(n int) Index[T, IK] {
	def := *x.known()
	def.number = n
	return Index[T, IK]{&def}
}

// Name is the name of the index.
func (x Index[T, IK]) Name() string { return x.known().name }

// known is the declaration, of the zero Index an empty one, which nothing has.
func (x Index[T, IK]) known() *indexDef[T, IK] {
	if x.def == nil {
		return &indexDef[T, IK]{}
	}
	return x.def
}

func (x Index[T, IK]) index() indexer { return x.known() }

// AnyIndex is an Index of any types.
type AnyIndex interface {
	Name() string
	index() indexer
}

// Indexes declares the indexes of all tables of a type. Register panics if one
// is of another type, has no name or that of another one, or keys that cannot be
// stored.
func Indexes(indexes ...AnyIndex) TypeOption {
	return func(i *typeInfo) {
		for _, x := range indexes {
			if x == nil {
				i.faults = append(i.faults, "Indexes: an index is nil: NewIndex makes one")
				continue
			}
			i.declare(x.index())
		}
	}
}

// declare enters an index. What is wrong with it is said by checkIndexes.
func (i *typeInfo) declare(def indexer) {
	if i.indexes == nil {
		i.indexes = make(map[string]indexer)
	}
	if i.indexes[def.Name()] != nil {
		i.twice = def.Name()
	}
	i.indexes[def.Name()] = def
}

// checkIndexes says why the declared indexes cannot be used.
func checkIndexes(i *typeInfo) error {
	if i.twice != "" {
		return fmt.Errorf("durus: Register[%s](%q): two indexes are called %q: rename one", i.goType, i.name, i.twice)
	}
	if i.merge != nil && len(i.indexes) > 0 {
		return fmt.Errorf("durus: Register[%s](%q): it has a Merge and indexes, which would not follow what is merged: give up one of them", i.goType, i.name)
	}
	for name, def := range i.indexes {
		if name == "" {
			return fmt.Errorf("durus: Register[%s](%q): an index has no name: give NewIndex one, the file knows it by that", i.goType, i.name)
		}
		if t := def.goType(); t != i.goType {
			return fmt.Errorf("durus: Register[%s](%q): index %q is one of %s: give it to the Register of that type", i.goType, i.name, name, t)
		}
		if err := def.problem(); err != nil {
			return fmt.Errorf("durus: Register[%s](%q): index %q: %s", i.goType, i.name, name, fieldFault(err))
		}
	}
	return nil
}

// declared returns the function of an index that a table has.
func (i *typeInfo) declared(table OID, name string, at indexRecord) (indexer, error) {
	def := i.indexes[name]
	switch {
	case def == nil:
		return nil, fmt.Errorf("%w: table %s has an index %q, which this program does not declare, so it cannot keep it in step: declare it in durus.Register[%s] with durus.Indexes, use a newer program, or give it up with durus.DropIndex",
			ErrIndex, table, name, i.goType.Name())
	case def.version() != at.Version || def.unique() != at.Unique:
		return nil, fmt.Errorf("%w: index %q of table %s was built by version %d of its function%s, this program has version %d%s: run durus.Reindex, or use the program that did",
			ErrIndex, name, table, at.Version, kind(at.Unique), def.version(), kind(def.unique()))
	}
	return def, nil
}

func kind(unique bool) string {
	if unique {
		return " (unique)"
	}
	return " (not unique)"
}

func sortedNames[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// open returns the tree of the index in a table, which is nil for a zero handle.
func (x Index[T, IK]) open(s Session, t TableOf[T]) (tree AnyRef, err error) {
	c := s.core()
	oid, ok, err := c.openContainer(t.handle(nil))
	if err != nil || !ok {
		return tree, err
	}
	info, err := tableType[T](c)
	if err != nil {
		return tree, err
	}
	if def := info.indexes[x.Name()]; def != nil && def != x.index() {
		return tree, fmt.Errorf("%w: index %q of %s was declared by another variable than the one that is used: give durus.Indexes what NewIndex, Unique, Where and Version have made in the end, and use that",
			ErrIndex, x.Name(), info.goType)
	} else if def == nil {
		return tree, fmt.Errorf("%w: index %q is not declared for %s: give it to durus.Register[%s] with durus.Indexes", ErrIndex, x.Name(), info.goType, info.goType.Name())
	}
	if c.writable {
		if err := c.keepIndexes(); err != nil {
			return tree, err
		}
	}
	rec, err := c.tableAt(oid, info)
	if err != nil {
		return tree, err
	}
	at, ok := rec.Indexes[x.Name()]
	switch {
	case !ok:
		return tree, fmt.Errorf("%w: table %s in %s has no index %q yet: run durus.Reindex", ErrIndex, oid, c.db.path, x.Name())
	case at.Building:
		return tree, fmt.Errorf("%w: index %q of table %s in %s is being built: wait for durus.Reindex, or run it again", ErrIndex, x.Name(), oid, c.db.path)
	}
	_, err = info.declared(oid, x.Name(), at)
	return at.Tree, err
}

// Lookup returns the object that has a key in a unique index; the bool is false
// if there is none. In a transaction it tells of what the transaction has
// changed so far, for which the functions of the indexes run for each object
// that it has edited: where that are many, look up first and edit afterwards. A
// key that two objects have at this moment is a *UniqueError, which does not
// stick.
//
// Errors: ErrIndex (see there; also if the index is not unique: use Equal),
// ErrType, and those of Load.
func (x Index[T, IK]) Lookup(s Session, t TableOf[T], k IK) (ref Ref[T], found bool, err error) {
	tree, err := x.open(s, t) // also tells a variable that Unique was called on, and not kept
	if err != nil {
		return ref, false, err
	}
	if !x.known().only {
		return ref, false, fmt.Errorf("%w: Lookup by index %q, which is not unique: use Equal, or declare it with Unique", ErrIndex, x.Name())
	}
	return BTree[IK, Ref[T]]{raw: tree.raw}.Get(s, k)
}

// Equal yields the objects with one key, by oid. See All.
func (x Index[T, IK]) Equal(s Session, t TableOf[T], k IK) iter.Seq2[IK, Ref[T]] {
	return x.seq(s, t, bounds[IK]{start: &k, end: &k})
}

// All yields all keys and objects of the index, in the order of the keys, and
// objects with the same key by oid. In a transaction it tells of what the
// transaction has changed before the loop began; see Lookup. An error ends the
// loop and sticks.
func (x Index[T, IK]) All(s Session, t TableOf[T]) iter.Seq2[IK, Ref[T]] {
	return x.seq(s, t, bounds[IK]{})
}

// Backward is All in the opposite order.
func (x Index[T, IK]) Backward(s Session, t TableOf[T]) iter.Seq2[IK, Ref[T]] {
	return x.seq(s, t, bounds[IK]{back: true})
}

// Range yields the keys from <= k < to, in order. See All.
func (x Index[T, IK]) Range(s Session, t TableOf[T], from, to IK) iter.Seq2[IK, Ref[T]] {
	return x.seq(s, t, bounds[IK]{start: &from, end: &to, endOpen: true})
}

// From yields the keys from <= k, in order. See All.
func (x Index[T, IK]) From(s Session, t TableOf[T], from IK) iter.Seq2[IK, Ref[T]] {
	return x.seq(s, t, bounds[IK]{start: &from})
}

// Before yields the keys k < to, the greatest first. See All.
func (x Index[T, IK]) Before(s Session, t TableOf[T], to IK) iter.Seq2[IK, Ref[T]] {
	return x.seq(s, t, bounds[IK]{start: &to, startOpen: true, back: true})
}

func (x Index[T, IK]) seq(s Session, t TableOf[T], b bounds[IK]) iter.Seq2[IK, Ref[T]] {
	return func(yield func(IK, Ref[T]) bool) {
		tree, err := x.open(s, t)
		if err != nil {
			_ = s.core().stick(err)
			return
		}
		if x.known().only {
			treeSeq[IK, Ref[T]](s, tree.raw, collection.ClassBTree, b)(yield)
			return
		}
		treeSeq[indexEntry[IK, T], struct{}](s, tree.raw, collection.ClassSet, entryBounds[IK, T](b))(
			func(e indexEntry[IK, T], _ struct{}) bool { return yield(e.Key, e.Ref) })
	}
}

// indexEntry is what the tree of an index that is not unique holds.
type indexEntry[IK comparable, T any] struct {
	Key IK
	Ref Ref[T]
}

// entryBounds turns bounds of keys into those of entries: an object is greater
// than none, and less than the last one.
func entryBounds[IK comparable, T any](b bounds[IK]) bounds[indexEntry[IK, T]] {
	out := bounds[indexEntry[IK, T]]{startOpen: b.startOpen, endOpen: b.endOpen, back: b.back}
	if b.start != nil {
		out.start = &indexEntry[IK, T]{Key: *b.start}
	}
	if b.end != nil {
		out.end = &indexEntry[IK, T]{Key: *b.end}
		if !b.endOpen {
			out.end.Ref.raw = oidMask
		}
	}
	return out
}
