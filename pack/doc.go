// Package pack makes a database file as small as what is in it, while other
// processes read and write it.
//
// # What is kept
//
// A pack chooses a horizon: the last transaction, or an earlier one if history
// is to be kept (Options.Keep, KeepFrom). It keeps
//
//   - every object that can be reached from the root directory over strong
//     references in the state at the horizon, each with the transaction that
//     wrote it and its time;
//   - every transaction after the horizon as it is: id, time, user,
//     description, and what it wrote;
//   - whatever the objects of those transactions refer to.
//
// Everything else is gone: states that were replaced before the horizon, and
// objects that nothing refers to. Weak references keep nothing alive.
//
// # How
//
// Mark and copy are one walk over the references in the records: a bit for each
// object, an explicit stack of bounded size, no Go types and no decoding. Objects
// are copied depth first, in the order in which their referrers name them: so
// what a program loads after an object mostly lies behind it. Then what others have
// committed meanwhile is copied, again and again until little is left, and the
// rest under the commit lock, in which the new file takes the place of the old
// one: see filestorage.Packing and docs/packing.md.
//
// # What may go wrong
//
// A pack that ends in any way before the new file is in place, by an error, its
// context, or a kill, has changed nothing. Damaged records end it, because what
// they refer to is not known. Dangling references do not: they are reported.
//
// It imports storage and filestorage.
package pack
