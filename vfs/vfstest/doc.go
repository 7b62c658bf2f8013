// Package vfstest holds a storage to the contract of package vfs. A back end or
// a stack of wrappers is tested by one function:
//
//	func TestConformance(t *testing.T) {
//		vfstest.Run(t, func(t testing.TB) vfstest.Env {
//			d := mem.NewDisk()
//			return vfstest.Env{FS: d.Process("a"), Other: func() vfs.FS { return d.Process("b") }, Dir: "/db"}
//		})
//	}
//
// Each rule of the contract, or requirement, is a subtest of that name with a
// storage of its own. The suite goes through vfs.Blocking, so a storage may be
// asynchronous; if its files implement vfs.Async, the asynchronous protocol is
// tested in addition, on the files themselves.
//
// # What a storage need not be able to do
//
// The suite reads Props once and holds the storage to what it claims. What it
// does not claim must fail in an orderly way, or is skipped, visibly:
//
//   - Locks: TryLock and Lock answer vfs.ErrNotSupported. UpdateMark works or
//     does so too; a mark that cannot be kept reads as none.
//   - Append: so do Append, Rewrite and Truncate of a file opened with
//     vfs.Append, which can be read like any other.
//   - AtomicReplace: replacing is tested, but not under readers.
//   - ConditionalPut: FailIfExists refuses a name that was taken long ago;
//     simultaneous creators are not tried.
//   - StableSize: the growth of a file is looked at through the handle that
//     made it, and not through others.
//   - Mapping: files are not mapped. LiveMapping: nothing is appended to one
//     that is.
//   - ReliableListing: what List shows must be in order, under the prefix and
//     no unfinished file; what it leaves out, or shows too long, is not looked
//     at.
//
// Directories need not exist as such. Where they do, and have to be made first,
// those who run the suite make an empty one called "sub" in Env.Dir; otherwise
// the rules about directories are skipped.
//
// # What is tested with the power off
//
// With Env.Crash the suite also looks at what a power cut leaves: rules 6 and
// 7 of the contract. That is worth most for wrappers over mem: a Sync that does
// not reach the disk shows nowhere else.
//
// The package imports vfs and nothing else of this module, and no test of it
// compares times.
package vfstest
