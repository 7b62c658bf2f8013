// Package wrap puts a function between a storage and those who use it. Each
// operation of a vfs.FS, of its files, writers and lockers becomes a Call, and
// Call.Next carries it out on the storage below:
//
//	slow := wrap.New(lower, func(c *wrap.Call) {
//		if c.Op == wrap.Sync {
//			time.Sleep(time.Second)
//		}
//		c.Next()
//	})
//
// The function may leave Next out, call it again, change before it what is
// asked for and after it what is answered. Packages fault, latency and trace
// are such functions.
//
// What the package sees to, whatever the function does:
//
//   - Opening a file, or creating one, comes before the first operation that
//     needs it, as a Call of its own (Open, Create), once for each handle. Its
//     error stays. Next does nothing there: the storage below opens by itself in
//     the operation that follows, which tells what goes wrong there.
//   - A Writer takes all that it is given; what the function says went wrong
//     comes back from Commit, always the same, and nothing is left behind. If it
//     fails a Commit that was carried out, the error Is vfs.ErrUnknownOutcome.
//   - Closing and aborting reach the storage below.
//   - What the mode of a handle forbids, or comes after its Close, does not
//     reach the function.
//   - Files and writers are asynchronous (vfs.Async, vfs.Ready) if those below
//     are, and can be mapped (vfs.Mapper) if those below can. vfs.ErrAgain is a
//     result like others: the function sees each call again until it is done.
//   - Of a file that this FS has handed out a Locker below gets the lower one,
//     however many wrappers lie over it.
//
// A Call costs no allocation. Locker.Incarnation is passed on without one: it
// does no I/O.
//
// Package wrap imports the package vfs and nothing else of this module.
package wrap
