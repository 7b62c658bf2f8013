// Package trace shows what is asked of a storage. It counts operations:
//
//	disk := trace.New(lower)
//	...
//	reads := disk.Counts()[wrap.Read].Calls
//	fmt.Print(disk) // a table
//
// It keeps the newest of them if it is told how many (Record), and hands each
// of them to a function (Sink). Counting costs a few atomic additions; the clock
// is only looked at for events.
//
// Errors are counted as such, but for io.EOF and vfs.ErrAgain: the former is a
// success, the latter a column of its own, since the call comes again.
//
// Package trace imports the packages vfs and vfs/wrap and nothing else of this
// module.
package trace
