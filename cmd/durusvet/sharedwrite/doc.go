// Package sharedwrite finds writes to objects that were loaded, not edited.
//
// What durus's Load, Peek, Each and the reads of containers return is shared
// with the object cache and with every other reader, for ever: a program reads
// it, and writes to what Edit and Add return. Writing to a shared object is a
// data race, shows a change that was never committed, and loses it. At run
// time CheckShared finds it in tests; this analyzer finds it without running.
//
// # What is found
//
// In a function, and in the function literals inside of it: an assignment to a
// field, element or map entry of a shared object, ++ and the like, delete,
// clear, copy, the functions of slices, maps and sort that change their
// argument, Add and Table.Insert, which take it over, and a call of a function or
// method, also of another package, that does one of these to what it is given. A struct that was copied may be written;
// the slices, maps and pointers in the copy are shared still.
//
//	a := durus.Must(ref.Load(tx))
//	a.Balance++           // found
//	a.Tags[0] = "x"       // found
//	a.SetOwner("ada")     // found, if SetOwner writes to its receiver
//	b := *a
//	b.Balance++           // a copy
//	b.Tags[0] = "x"       // found
//	b.Tags = slices.Clone(b.Tags)
//	b.Tags[0] = "x"       // a copy
//
// # What is not
//
// Nothing is reported that may be right: a variable that holds a loaded object
// on one way through the function and an edited one on another is left alone,
// as is an object whose reference is edited or was added in the same function
// (Load gives the edited copy then). Values that pass through interfaces
// of the program's, through channels, or through structures on the heap are not
// followed.
//
// # How
//
// It works on SSA form (golang.org/x/tools/go/ssa). shared.go tells whether a
// value leads to shared memory, whichever way the function was gone through;
// writes.go finds the instructions that write; summary.go tells the same of
// functions, as facts that go from package to package.
package sharedwrite
