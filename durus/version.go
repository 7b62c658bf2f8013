package durus

import (
	"cmp"
	"fmt"
	"maps"
	"reflect"
	"slices"

	"github.com/durusdb/durus/internal/codec"
	"github.com/durusdb/durus/storage"
)

// Version says which version of its class a type is, from 1 to 2147483647. It
// is for changes that an older program must not meet: a field that has another
// meaning or type, one that was split or moved. What is written carries the
// version, and a program with a lower one, or with none, gets ErrTooNew for
// these objects and goes on with all others. Upgrade reads what older versions
// have written.
//
// A field that is added or dropped needs no version: a missing field is zero,
// and an older program keeps the fields that it does not know.
//
// A class may get its first version at any time: what was written without one
// counts as the lowest version that the type has an Upgrade from; without
// any Upgrade, as the version itself.
func Version(n int) TypeOption {
	return func(i *typeInfo) {
		switch {
		case n < 1 || n > storage.MaxVersion:
			i.fault("Version(%d): versions are numbers from 1 to %d: use one of them, or none", n, storage.MaxVersion)
		case i.version != 0 && i.version != n:
			i.fault("Version(%d) and Version(%d): a type has one version: remove one of them", i.version, n)
		default:
			i.version = n
		}
	}
}

// Upgrade is one step of a type's history: how an object of version from
// becomes one of version from+1. The steps of a type follow each other without a
// gap and end at its Version, with New the registered type itself:
//
//	var _ = durus.Register[Person]("crm.Person",
//		durus.Version(3),
//		durus.Upgrade(1, func(old *personV1, new *personV2) error { ... }),
//		durus.Upgrade(2, func(old *personV2, new *Person) error { ... }))
//
// The older types are Go structs that need not be registered. Fields of equal
// stored name and type are in *new already when fn is called. *old needs to
// declare only what fn looks at: all other fields go where *new has them
// (where it has not, they are kept as unknown fields), so that
// declaring a field in old and not in new drops it. What new has in common
// with old shares its memory; fn may keep and change all of it.
//
// fn is called when an object is loaded, each time that it is read from the
// file. The object is stored in the new version when it is edited: Edit alone
// writes nothing, as long as the bytes are those that the upgrade gives.
// DB.Migrate writes all of them.
//
// fn must depend on nothing but *old, and may be called by many goroutines at
// once, several times for one object. When it returns an error or panics, the
// load fails with an error that names object, class and step and wraps fn's;
// nothing is kept or changed, and other objects are not affected.
func Upgrade[Old, New any](from int, fn func(old *Old, new *New) error) TypeOption {
	s := &step{
		from:  from,
		old:   reflect.TypeFor[Old](),
		new:   reflect.TypeFor[New](),
		fresh: func() any { return new(Old) },
		next:  func() any { return new(New) },
		call:  func(old, new any) error { return fn(old.(*Old), new.(*New)) },
	}
	return func(i *typeInfo) {
		if fn == nil {
			i.fault("Upgrade(%d): the function is nil: give it one that makes the newer object of the older one", from)
			return
		}
		i.steps = append(i.steps, s.copy())
	}
}

// step is an Upgrade.
type step struct {
	from     int
	old, new reflect.Type
	fresh    func() any // a new *Old
	next     func() any // a new *New
	call     func(old, new any) error

	plan   *codec.Plan   // of Old
	bridge *codec.Bridge // from Old to New
}

// copy returns a step to be compiled: an option may be used for several types.
func (s *step) copy() *step {
	c := *s
	return &c
}

// String is for messages: "from version 1 to 2".
func (s *step) String() string { return fmt.Sprintf("from version %d to %d", s.from, s.from+1) }

// fault notes what is wrong with an option.
func (i *typeInfo) fault(format string, args ...any) {
	i.faults = append(i.faults, fmt.Sprintf(format, args...))
}

// lowest is the oldest version that the type can be read from, and what records
// without a version count as.
func (i *typeInfo) lowest() int {
	if len(i.steps) > 0 {
		return i.steps[0].from
	}
	return i.version
}

// checkOptions says what is wrong with the options of a type.
func (i *typeInfo) checkOptions() string {
	slices.SortStableFunc(i.steps, func(a, b *step) int { return cmp.Compare(a.from, b.from) })
	i.stored = storage.ClassName(i.name, i.version)
	if len(i.faults) > 0 {
		return i.faults[0]
	}
	if i.merge != nil && i.merge.typ != i.goType {
		return fmt.Sprintf("Merge is for %s: give it a function of *%s", i.merge.typ, i.goType)
	}
	return i.checkSteps()
}

// checkSteps says why the steps do not lead to the type's version.
func (i *typeInfo) checkSteps() string {
	n := len(i.steps)
	if n == 0 {
		return ""
	}
	last := i.steps[n-1]
	if i.version == 0 {
		return fmt.Sprintf("Upgrade(%d) without a version: add durus.Version(%d)", last.from, last.from+1)
	}
	for k, s := range i.steps {
		switch {
		case s.from < 0 || s.from >= storage.MaxVersion:
			return fmt.Sprintf("Upgrade(%d): say which version the step leads from, 1 or more, or 0 for what has none", s.from)
		case s.old.Kind() != reflect.Struct:
			return fmt.Sprintf("Upgrade(%d): the older type %s is not a struct: use the struct that the class was then", s.from, s.old)
		case k == 0:
			continue
		}
		switch before := i.steps[k-1]; {
		case before.from == s.from:
			return fmt.Sprintf("two steps %s: remove one of them", s)
		case before.from+1 != s.from:
			return fmt.Sprintf("no step from version %d: add durus.Upgrade(%d, ...), or remove the step %s if nothing of that age is left", before.from+1, before.from+1, before)
		case before.new != s.old:
			return fmt.Sprintf("the step %s makes a %s and the step %s takes a %s: use one type for version %d", before, before.new, s, s.old, s.from)
		}
	}
	switch {
	case last.from+1 < i.version:
		return fmt.Sprintf("no step from version %d to %d: add durus.Upgrade(%d, ...), or say durus.Version(%d)", last.from+1, last.from+2, last.from+1, last.from+1)
	case last.from+1 > i.version:
		return fmt.Sprintf("the step %s leads beyond Version(%d): say durus.Version(%d), or remove the step", last, i.version, last.from+1)
	case last.new != i.goType:
		return fmt.Sprintf("the last step, %s, makes a %s: it must make the registered type, %s", last, last.new, i.goType)
	}
	return ""
}

// compileSteps makes the plans of older types, or says what is wrong with one.
// The type's own plan exists.
func (i *typeInfo) compileSteps() string {
	next := i.plan
	for k := len(i.steps) - 1; k >= 0; k-- {
		s := i.steps[k]
		plan, err := codec.Compile(s.old)
		if err != nil {
			return fmt.Sprintf("the older type of the step %s: %s", s, fieldFault(err))
		}
		s.plan, s.bridge = plan, codec.NewBridge(plan, next)
		next = plan
	}
	return ""
}

// differs says what of a registration is not as in an earlier one of the same
// type and name; "" if nothing is, or if i has no options. Functions cannot be
// compared.
func (i *typeInfo) differs(known *typeInfo) string {
	same := func(a, b *step) bool { return a.from == b.from && a.old == b.old && a.new == b.new }
	switch {
	case i.version == 0 && i.steps == nil && i.aliases == nil && i.merge == nil && i.indexes == nil:
		return ""
	case i.version != known.version:
		return fmt.Sprintf("Version(%d), and Version(%d) before", i.version, known.version)
	case !slices.EqualFunc(i.steps, known.steps, same):
		return "other Upgrades than before"
	case !slices.Equal(i.aliases, known.aliases):
		return "other Aliases than before"
	case (i.merge == nil) != (known.merge == nil):
		return "Merge in one of them only"
	case !maps.Equal(i.indexes, known.indexes):
		return "other Indexes than before"
	}
	return ""
}
