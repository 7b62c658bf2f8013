package durus

import (
	"fmt"
	"strings"
	"testing"
	"unsafe"
)

// Types that cannot be stored, each for one reason. The table test below shows
// what is said about them.
type (
	refusedFunc    struct{ Hooks []map[string]func() }
	refusedChan    struct{ C chan int }
	refusedAddress struct{ P unsafe.Pointer }
	refusedComplex struct{ Z complex128 }
	refusedAny     struct{ V any }
	refusedHidden  struct{ n int }
	refusedTag     struct {
		n int `msgpack:"n"`
		N int
	}
	refusedEmbedded struct {
		*embeddedFields
		N int
	}
	embeddedFields   struct{ M int }
	refusedSlice     struct{ P *[]int }
	refusedPointer   struct{ P **int }
	refusedReference struct{ P *Ref[account] }
	refusedKey       struct{ M map[*int]int }
	refusedArray     struct {
		_msgpack struct{} `msgpack:",as_array"`
		N        int
	}
	refusedIntern struct {
		S string `msgpack:",intern"`
	}
	refusedInline struct {
		S struct{ N int } `msgpack:",inline"`
	}
	refusedTwice struct {
		A int `msgpack:"x"`
		B int `msgpack:"x"`
	}
	refusedWriteOnly struct{ T writesText }
	refusedReadOnly  struct{ T readsText }
	refusedMethods   struct{ M bringsMethods }
	bringsMethods    struct {
		Ref[account]
		Lost int
	}
	refusedObject struct{ Next *acceptable }
	refusedValue  struct{ T BTree[string, chan int] }
	refusedTree   struct{ S Set[bool] }
	refusedTable  struct{ T Table[string, int] }
	refusedSelf   struct{ Next *refusedSelf }
	acceptable    struct{ N int }
	acceptable2   struct{ N int }
	writesText    struct{ N int }
	readsText     struct{ N int }
)

func (writesText) MarshalText() ([]byte, error) { return nil, nil }
func (*readsText) UnmarshalText([]byte) error   { return nil }

var _, _, _ = refusedHidden{}.n, refusedTag{}.n, refusedArray{}._msgpack

func refuse[T any](name string, opts ...TypeOption) func(*Types) {
	return func(ts *Types) { RegisterIn[T](ts, name, opts...) }
}

// step returns an Upgrade that does nothing.
func toNext[Old, New any](from int) TypeOption {
	return Upgrade(from, func(*Old, *New) error { return nil })
}

// API.md, Objects: what cannot be stored faithfully, and what does not fit
// together, is refused when it is registered. Each message names the field and
// says what to do; this table shows all of them.
func TestRefusals(t *testing.T) {
	type old1 struct{ A int }
	type old2 struct{ A int }
	for _, c := range []struct {
		register func(*Types)
		want     string
	}{
		{refuse[refusedFunc]("t.X"),
			"durus: Register[durus.refusedFunc](\"t.X\"): durus.refusedFunc.Hooks[][value]: a func cannot be stored: it lives in one process only: make it anew after loading, or tag the field `msgpack:\"-\"`"},
		{refuse[refusedChan]("t.X"),
			"durus: Register[durus.refusedChan](\"t.X\"): durus.refusedChan.C: a chan cannot be stored: it lives in one process only: make it anew after loading, or tag the field `msgpack:\"-\"`"},
		{refuse[refusedAddress]("t.X"),
			"durus: Register[durus.refusedAddress](\"t.X\"): durus.refusedAddress.P: an unsafe.Pointer cannot be stored: an address means nothing to another process: use a Ref, or uint64 for a number, or tag the field `msgpack:\"-\"`"},
		{refuse[refusedComplex]("t.X"),
			"durus: Register[durus.refusedComplex](\"t.X\"): durus.refusedComplex.Z: a complex128 cannot be stored: msgpack has no such number: store the two parts as float64, or tag the field `msgpack:\"-\"`"},
		{refuse[refusedAny]("t.X"),
			`durus: Register[durus.refusedAny]("t.X"): durus.refusedAny.V: a field of type interface {} cannot be stored, since the file does not say which type was in it: use a concrete type, a Ref, or an AnyRef for objects of several types`},
		{refuse[refusedHidden]("t.X"),
			"durus: Register[durus.refusedHidden](\"t.X\"): durus.refusedHidden: durus.refusedHidden has unexported fields only, so nothing of it would be stored: export them, give it EncodeMsgpack and DecodeMsgpack, or tag the field `msgpack:\"-\"`"},
		{refuse[refusedTag]("t.X"),
			`durus: Register[durus.refusedTag]("t.X"): durus.refusedTag.n: it has a tag and is not stored, since it is unexported: export it, or remove the tag`},
		{refuse[refusedEmbedded]("t.X"),
			"durus: Register[durus.refusedEmbedded](\"t.X\"): durus.refusedEmbedded.embeddedFields: the embedded *durus.embeddedFields is unexported, so the fields that it brings would not be stored: embed the struct itself, export its type, or tag it `msgpack:\"-\"`"},
		{refuse[refusedSlice]("t.X"),
			`durus: Register[durus.refusedSlice]("t.X"): durus.refusedSlice.P: a pointer to a slice cannot tell a nil pointer from a pointer to nil: store the slice itself`},
		{refuse[refusedPointer]("t.X"),
			`durus: Register[durus.refusedPointer]("t.X"): durus.refusedPointer.P: a pointer to a pointer cannot tell a nil pointer from a pointer to nil: store the pointer itself`},
		{refuse[refusedReference]("t.X"),
			`durus: Register[durus.refusedReference]("t.X"): durus.refusedReference.P: a pointer to a reference cannot tell a nil pointer from a nil reference: store the reference itself`},
		{refuse[refusedKey]("t.X"),
			`durus: Register[durus.refusedKey]("t.X"): durus.refusedKey.M[key]: a key cannot be or hold a *int: use integers, floats, strings, bools, times, references, or arrays and structs of these`},
		{refuse[refusedArray]("t.X"),
			`durus: Register[durus.refusedArray]("t.X"): durus.refusedArray._msgpack: as_array is not supported, since an array cannot keep the fields that a newer program adds: remove the tag`},
		{refuse[refusedIntern]("t.X"),
			`durus: Register[durus.refusedIntern]("t.X"): durus.refusedIntern.S: intern is not supported: remove it from the tag`},
		{refuse[refusedInline]("t.X"),
			`durus: Register[durus.refusedInline]("t.X"): durus.refusedInline.S: inline is for embedded structs that do not encode themselves: remove it from the tag`},
		{refuse[refusedTwice]("t.X"),
			"durus: Register[durus.refusedTwice](\"t.X\"): durus.refusedTwice.B: another field is stored as \"x\" too: give one of them another name with a tag, or tag an embedded struct `msgpack:\",noinline\"`"},
		{refuse[refusedWriteOnly]("t.X"),
			"durus: Register[durus.refusedWriteOnly](\"t.X\"): durus.refusedWriteOnly.T: durus.writesText has MarshalText but not UnmarshalText, so it could be written and not read: add the method, or tag the field `msgpack:\"-\"`"},
		{refuse[refusedReadOnly]("t.X"),
			"durus: Register[durus.refusedReadOnly](\"t.X\"): durus.refusedReadOnly.T: durus.readsText has UnmarshalText but not MarshalText, so it could not be read as it is written: add the method, or tag the field `msgpack:\"-\"`"},
		{refuse[refusedMethods]("t.X"),
			`durus: Register[durus.refusedMethods]("t.X"): durus.refusedMethods.M: the embedded Ref brings EncodeMsgpack and DecodeMsgpack along, so the other fields of durus.bringsMethods would be lost: give the field a name, or write the methods for durus.bringsMethods`},
		{refuse[refusedObject]("t.X"),
			`durus: Register[durus.refusedObject]("t.X"): durus.refusedObject.Next: a pointer to the registered type durus.acceptable would be stored as a copy: use durus.Ref[acceptable]`},
		{refuse[refusedSelf]("t.X"),
			`durus: Register[durus.refusedSelf]("t.X"): durus.refusedSelf.Next: a pointer to the registered type durus.refusedSelf would be stored as a copy: use durus.Ref[refusedSelf]`},
		{refuse[refusedValue]("t.X"),
			"durus: Register[durus.refusedValue](\"t.X\"): durus.refusedValue.T: chan int: a chan cannot be stored: it lives in one process only: make it anew after loading, or tag the field `msgpack:\"-\"`"},
		{refuse[refusedTree]("t.X"),
			`durus: Register[durus.refusedTree]("t.X"): durus.refusedTree.S: a bool cannot be a key: use an integer, float or string, time.Time, a Ref, or an array or struct of these`},
		{refuse[refusedTable]("t.X"),
			`durus: Register[durus.refusedTable]("t.X"): durus.refusedTable.T: a table holds objects of a registered struct type, int is none: use a BTree`},
		{refuse[acceptable]("t.Taken", Indexes(NewIndex("n", func(v *acceptable) int { return v.N }))),
			`durus: Register[durus.acceptable]("t.Taken"): the type is registered already with other options (other Indexes than before): register it once`},
		{refuse[acceptable2]("t.X", Indexes(NewIndex("", func(v *acceptable2) int { return v.N }))),
			`durus: Register[durus.acceptable2]("t.X"): an index has no name: give NewIndex one, the file knows it by that`},
		{refuse[acceptable2]("t.X", Indexes(NewIndex[acceptable2, int]("n", nil))),
			`durus: Register[durus.acceptable2]("t.X"): index "n": it has no function: give NewIndex one that makes a key of an object`},
		{refuse[acceptable2]("t.X", Indexes(NewIndex("n", func(v *acceptable2) bool { return v.N > 0 }))),
			`durus: Register[durus.acceptable2]("t.X"): index "n": a bool cannot be a key: use an integer, float or string, time.Time, a Ref, or an array or struct of these`},
		{refuse[int]("t.X"),
			`durus: Register[int]("t.X"): not a struct: put the value into a struct`},
		{refuse[*acceptable2]("t.X"),
			`durus: Register[*durus.acceptable2]("t.X"): a pointer: register the struct, durus.acceptable2`},
		{refuse[acceptable2](""),
			`durus: Register[durus.acceptable2](""): a class name is 1 or more bytes of UTF-8: give it one`},
		{refuse[acceptable2]("\xff"),
			`durus: Register[durus.acceptable2]("\xff"): a class name is 1 or more bytes of UTF-8: give it one`},
		{refuse[acceptable2]("a\nb"),
			`durus: Register[durus.acceptable2]("a\nb"): a class name has no control characters, which would not be seen where it is shown: leave them out`},
		{refuse[acceptable2](strings.Repeat("x", 1023), Version(1)),
			`durus: Register[durus.acceptable2]("` + strings.Repeat("x", 1023) + `"): a class name takes at most 1024 bytes, with its version: choose a shorter one`},
		{refuse[acceptable2]("durus.X"),
			`durus: Register[durus.acceptable2]("durus.X"): names that begin with "durus." are taken: choose another`},
		{refuse[acceptable2]("t.X@2"),
			`durus: Register[durus.acceptable2]("t.X@2"): "@" separates name and version of a class in the file: choose a name without it`},
		{refuse[acceptable2]("t.Taken"),
			`durus: Register[durus.acceptable2]("t.Taken"): the name "t.Taken" is used by durus.acceptable: choose another`},
		{refuse[acceptable2]("t.X", Alias("t.Taken")),
			`durus: Register[durus.acceptable2]("t.X"): the name "t.Taken" is used by durus.acceptable: choose another`},
		{refuse[acceptable2]("t.X", Alias("t.Y@2")),
			`durus: Register[durus.acceptable2]("t.Y@2"): "@" separates name and version of a class in the file: choose a name without it`},
		{refuse[acceptable]("t.X"),
			`durus: Register[durus.acceptable]("t.X"): the type is registered as "t.Taken": use one name, and Alias for old ones`},
		{refuse[acceptable]("t.Taken", Version(2)),
			`durus: Register[durus.acceptable]("t.Taken"): the type is registered already with other options (Version(2), and Version(0) before): register it once`},
		{refuse[acceptable]("t.Taken", Alias("t.Old")),
			`durus: Register[durus.acceptable]("t.Taken"): the type is registered already with other options (other Aliases than before): register it once`},
		{refuse[acceptable]("t.Taken", Merge(func(_, _, m *acceptable) (*acceptable, error) { return m, nil })),
			`durus: Register[durus.acceptable]("t.Taken"): the type is registered already with other options (Merge in one of them only): register it once`},
		{refuse[acceptable2]("t.X", Version(0)),
			`durus: Register[durus.acceptable2]("t.X"): Version(0): versions are numbers from 1 to 2147483647: use one of them, or none`},
		{refuse[acceptable2]("t.X", Version(2), Version(3)),
			`durus: Register[durus.acceptable2]("t.X"): Version(2) and Version(3): a type has one version: remove one of them`},
		{refuse[acceptable2]("t.X", toNext[old1, acceptable2](1)),
			`durus: Register[durus.acceptable2]("t.X"): Upgrade(1) without a version: add durus.Version(2)`},
		{refuse[acceptable2]("t.X", Version(2), Upgrade[old1, acceptable2](1, nil)),
			`durus: Register[durus.acceptable2]("t.X"): Upgrade(1): the function is nil: give it one that makes the newer object of the older one`},
		{refuse[acceptable2]("t.X", Version(2), toNext[old1, acceptable2](-1)),
			`durus: Register[durus.acceptable2]("t.X"): Upgrade(-1): say which version the step leads from, 1 or more, or 0 for what has none`},
		{refuse[acceptable2]("t.X", Version(2), toNext[int, acceptable2](1)),
			`durus: Register[durus.acceptable2]("t.X"): Upgrade(1): the older type int is not a struct: use the struct that the class was then`},
		{refuse[acceptable2]("t.X", Version(2), toNext[old1, acceptable2](1), toNext[old2, acceptable2](1)),
			`durus: Register[durus.acceptable2]("t.X"): two steps from version 1 to 2: remove one of them`},
		{refuse[acceptable2]("t.X", Version(4), toNext[old1, old2](1), toNext[old2, acceptable2](3)),
			`durus: Register[durus.acceptable2]("t.X"): no step from version 2: add durus.Upgrade(2, ...), or remove the step from version 1 to 2 if nothing of that age is left`},
		{refuse[acceptable2]("t.X", Version(3), toNext[old1, old2](1), toNext[old1, acceptable2](2)),
			`durus: Register[durus.acceptable2]("t.X"): the step from version 1 to 2 makes a durus.old2 and the step from version 2 to 3 takes a durus.old1: use one type for version 2`},
		{refuse[acceptable2]("t.X", Version(3), toNext[old1, acceptable2](1)),
			`durus: Register[durus.acceptable2]("t.X"): no step from version 2 to 3: add durus.Upgrade(2, ...), or say durus.Version(2)`},
		{refuse[acceptable2]("t.X", Version(1), toNext[old1, acceptable2](1)),
			`durus: Register[durus.acceptable2]("t.X"): the step from version 1 to 2 leads beyond Version(1): say durus.Version(2), or remove the step`},
		{refuse[acceptable2]("t.X", Version(2), toNext[old1, old2](1)),
			`durus: Register[durus.acceptable2]("t.X"): the last step, from version 1 to 2, makes a durus.old2: it must make the registered type, durus.acceptable2`},
		{refuse[acceptable2]("t.X", Version(2), toNext[refusedFunc, acceptable2](1)),
			"durus: Register[durus.acceptable2](\"t.X\"): the older type of the step from version 1 to 2: durus.refusedFunc.Hooks[][value]: a func cannot be stored: it lives in one process only: make it anew after loading, or tag the field `msgpack:\"-\"`"},
		{refuse[acceptable2]("t.X", Merge[acceptable2](nil)),
			`durus: Register[durus.acceptable2]("t.X"): Merge: the function is nil: give it one that makes one state of three`},
		{refuse[acceptable2]("t.X", Merge(func(_, _, m *old1) (*old1, error) { return m, nil })),
			`durus: Register[durus.acceptable2]("t.X"): Merge is for durus.old1: give it a function of *durus.acceptable2`},
		{refuse[acceptable2]("t.X", Merge(func(_, _, m *acceptable2) (*acceptable2, error) { return m, nil }), Merge(func(_, _, m *acceptable2) (*acceptable2, error) { return m, nil })),
			`durus: Register[durus.acceptable2]("t.X"): Merge twice: remove one of them`},
	} {
		t.Run(c.want[:min(len(c.want), 80)], func(t *testing.T) {
			ts := NewTypes()
			RegisterIn[acceptable](ts, "t.Taken")
			defer func() {
				if got := fmt.Sprint(recover()); got != c.want {
					t.Errorf("got  %s\nwant %s", got, c.want)
				}
			}()
			c.register(ts)
		})
	}
}
