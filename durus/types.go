package durus

import (
	"fmt"
	"reflect"
	"strings"
	"sync"

	"github.com/durusdb/durus/internal/codec"
	"github.com/durusdb/durus/storage"
)

// Types is a set of registered types: which Go type has which class name in
// the file. Programs normally use the one that Register fills; a separate one
// (NewTypes, Options.Types) is for tests and for programs that open databases
// of different families. It is safe for use by many goroutines. The zero value is
// what NewTypes returns.
type Types struct {
	own    sync.Once    // enters the types of this package
	mu     sync.RWMutex // guards the maps; a typeInfo is immutable
	byName map[string]*typeInfo
	byType map[reflect.Type]*typeInfo
}

// typeInfo is a registered type.
type typeInfo struct {
	name    string
	aliases []string
	goType  reflect.Type          // T, not *T
	size    int64                 // of a T, bytes, what it points to not included
	plan    *codec.Plan           // how to encode and decode it
	fresh   func() any            // a new *T
	assign  func(dst, src any)    // *dst = *src, both *T
	shape   func() *shape         // what a T looks like in memory
	points  map[reflect.Type]bool // what its stored fields have Go pointers to
	handles *handleWalk           // the way to its containers, nil if it has none

	version int      // 0: none
	steps   []*step  // from older versions to version, without a gap; see Upgrade
	stored  string   // name and version in the spelling of the file
	merge   *merger  // nil: none
	faults  []string // what is wrong with the options

	indexes map[string]indexer // of the tables of its objects, by name; nil if it has none
	twice   string             // the name of an index that was declared twice, "" if none was
}

// Type is a registered type. The zero value is none: it has no name.
type Type struct{ info *typeInfo }

// Name is the name of the class in the file.
func (t Type) Name() string { return t.known().name }

// Version is the version that was given with Version, 0 for none.
func (t Type) Version() int { return t.known().version }

// GoType is the registered struct type.
func (t Type) GoType() reflect.Type { return t.known().goType }

// String is the name of the class.
func (t Type) String() string { return t.known().name }

// known is what is known of the type: of the zero Type nothing.
func (t Type) known() *typeInfo {
	if t.info == nil {
		return &typeInfo{}
	}
	return t.info
}

// TypeOption is an option of Register.
type TypeOption func(*typeInfo)

// Alias says that records written under oldName are of this type too: the
// class was renamed. They get the new name when they are written next.
func Alias(oldName string) TypeOption {
	return func(i *typeInfo) { i.aliases = append(i.aliases, oldName) }
}

// registered is what Register fills.
var registered = NewTypes()

// NewTypes returns a set without types of the program's.
func NewTypes() *Types {
	ts := new(Types)
	ts.ready()
	return ts
}

// ready enters the types of this package.
func (ts *Types) ready() { ts.own.Do(ts.addOwn) }

func (ts *Types) addOwn() {
	ts.byName, ts.byType = map[string]*typeInfo{}, map[reflect.Type]*typeInfo{}
	for _, own := range []*typeInfo{newInfo[directory](directoryClass), newInfo[tableRecord](tableClass), newInfo[tablesDirectory](tablesClass)} {
		if _, err := ts.add(own); err != nil {
			panic(err) // our own type
		}
	}
}

// Register gives the struct type T a stable name in database files, normally
// in a package variable:
//
//	var _ = durus.Register[Account]("bank.Account")
//
// The name, not the Go type's, is what files hold: T may be renamed and moved.
// Register panics when T cannot be stored faithfully (the message names the
// field and what to do instead), when T or the name is taken, and when the
// options do not fit each other. The same T and name again is a no-op; options
// that are given again must be the same.
func Register[T any](name string, opts ...TypeOption) Type {
	return RegisterIn[T](registered, name, opts...)
}

// RegisterIn is Register for a set of its own.
func RegisterIn[T any](ts *Types, name string, opts ...TypeOption) Type {
	if ts == nil {
		panic(fmt.Errorf("durus: RegisterIn[%s](%q): the Types are nil: NewTypes makes some", reflect.TypeFor[T](), name))
	}
	ts.ready()
	info := newInfo[T](name)
	for _, o := range opts {
		if o == nil {
			panic(fmt.Errorf("durus: Register[%s](%q): an option is nil: leave it out", info.goType, name))
		}
		o(info)
	}
	err := checkType(info)
	if err == nil {
		info, err = ts.add(info)
	}
	if err != nil {
		panic(err)
	}
	return Type{info}
}

func newInfo[T any](name string) *typeInfo {
	t := reflect.TypeFor[T]()
	return &typeInfo{
		name:   name,
		stored: name,
		goType: t,
		size:   int64(t.Size()),
		fresh:  func() any { return new(T) },
		assign: func(dst, src any) { *dst.(*T) = *src.(*T) },
		shape:  lazyShape(t),
	}
}

// checkType says why a type of the program's cannot be registered.
func checkType(i *typeInfo) error {
	if t := i.goType; t.Kind() == reflect.Pointer && t.Elem().Kind() == reflect.Struct {
		return fmt.Errorf("durus: Register[%s](%q): a pointer: register the struct, %s", t, i.name, t.Elem())
	} else if t.Kind() != reflect.Struct {
		return fmt.Errorf("durus: Register[%s](%q): not a struct: put the value into a struct", i.goType, i.name)
	}
	if fault := i.checkOptions(); fault != "" {
		return fmt.Errorf("durus: Register[%s](%q): %s", i.goType, i.name, fault)
	}
	for _, name := range append([]string{i.name}, i.aliases...) {
		if fault := storage.ClassFault(name, i.version); fault != "" {
			return fmt.Errorf("durus: Register[%s](%q): %s", i.goType, name, fault)
		}
	}
	return checkIndexes(i)
}

// add compiles and enters a type, and returns it, or the same one that is
// registered already.
func (ts *Types) add(i *typeInfo) (*typeInfo, error) {
	i.points = map[reflect.Type]bool{}
	plan, err := codec.CompileWith(i.goType, codec.Options{Forbidden: forbidding(func(t reflect.Type) string {
		if t.Kind() == reflect.Pointer {
			i.points[t.Elem()] = true
		}
		return ""
	})})
	if err != nil {
		return nil, fmt.Errorf("durus: Register[%s](%q): %s", i.goType, i.name, fieldFault(err))
	}
	i.plan, i.handles = plan, handlesIn(i.goType)
	if fault := i.compileSteps(); fault != "" {
		return nil, fmt.Errorf("durus: Register[%s](%q): %s", i.goType, i.name, fault)
	}

	ts.mu.Lock()
	defer ts.mu.Unlock()
	if known := ts.byType[i.goType]; known != nil && known.name == i.name {
		if what := i.differs(known); what != "" {
			return nil, fmt.Errorf("durus: Register[%s](%q): the type is registered already with other options (%s): register it once", i.goType, i.name, what)
		}
		return known, nil
	} else if known != nil {
		return nil, fmt.Errorf("durus: Register[%s](%q): the type is registered as %q: use one name, and Alias for old ones", i.goType, i.name, known.name)
	}
	for _, name := range append([]string{i.name}, i.aliases...) {
		if known := ts.byName[name]; known != nil {
			return nil, fmt.Errorf("durus: Register[%s](%q): the name %q is used by %s: choose another", i.goType, i.name, name, known.goType)
		}
	}
	if err := ts.checkPointers(i); err != nil {
		return nil, err
	}
	ts.byType[i.goType] = i
	for _, name := range append([]string{i.name}, i.aliases...) {
		ts.byName[name] = i
	}
	return i, nil
}

// checkPointers refuses Go pointers between registered types, whichever was
// registered first: stored inline, the object behind the pointer would become
// a copy. The caller holds mu.
func (ts *Types) checkPointers(i *typeInfo) error {
	if i.points[i.goType] {
		return refusePointer(i, i.goType)
	}
	for t, known := range ts.byType {
		if i.points[t] {
			return refusePointer(i, t)
		}
		if known.points[i.goType] {
			return refusePointer(known, i.goType)
		}
	}
	return nil
}

// refusePointer returns the error that names the field of a type which points
// to a registered one.
func refusePointer(from *typeInfo, to reflect.Type) error {
	_, err := codec.CompileWith(from.goType, codec.Options{Forbidden: forbidding(func(t reflect.Type) string {
		if t.Kind() != reflect.Pointer || t.Elem() != to {
			return ""
		}
		return pointerProblem(to)
	})})
	return fmt.Errorf("durus: Register[%s](%q): %s", from.goType, from.name, fieldFault(err))
}

// fieldFault is what package codec, or a container, has against a type: the path
// of the field, what is wrong, and what to do.
func fieldFault(err error) string {
	return strings.TrimPrefix(strings.TrimPrefix(err.Error(), "codec: "), ErrType.Error()+": ")
}

func pointerProblem(to reflect.Type) string {
	return fmt.Sprintf("a pointer to the registered type %s would be stored as a copy: use durus.Ref[%s]", to, to.Name())
}

// byClass returns the type of a class name, or nil.
func (ts *Types) byClass(name string) *typeInfo {
	ts.mu.RLock()
	defer ts.mu.RUnlock()
	return ts.byName[name]
}

// of returns the registration of a Go type, or nil.
func (ts *Types) of(t reflect.Type) *typeInfo {
	ts.mu.RLock()
	defer ts.mu.RUnlock()
	return ts.byType[t]
}
