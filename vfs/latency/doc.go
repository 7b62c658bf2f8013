// Package latency makes a storage slow, as a disk or a network does:
//
//	far := latency.New(lower, latency.Profile{
//		Open:      20 * time.Millisecond,
//		Read:      20 * time.Millisecond,
//		Sync:      50 * time.Millisecond,
//		Bandwidth: 10 << 20,
//	})
//
// Each operation waits before it is carried out, and after it for the bytes
// that it has moved. It holds no lock meanwhile, so operations overlap: ten
// reads at once take as long as one. Their bytes do not, if there is a
// Bandwidth: all operations of an FS share it.
//
// The calls of a File, a Writer or a Locker that is closed, and of a Lock whose
// context is done, do not wait to the end. Props, Close, Abort and what a Locker
// does without I/O take no time.
//
// What waits blocks its caller: over an asynchronous storage each call that
// answers vfs.ErrAgain waits too. It belongs below one (async over latency).
//
// Package latency imports the packages vfs and vfs/wrap and nothing else of
// this module.
package latency
