// Package fusedisk is a disk that notes every write and every flush, to try the
// database on real file systems with power cuts that are exact to the write,
// and with writes and flushes that fail. It is a module of its own: the
// database itself does not depend on FUSE.
//
// # How it works
//
//	durus in child processes
//	ext4, xfs, btrfs              mounted
//	loop device                   direct I/O: nothing is cached here
//	file served by FUSE           in the test process
//	Disk                          content, log of writes and flushes, faults
//
// A flush of the file system comes down as FSYNC (TestFlushesArrive). A Log is
// the life of a disk: a power cut at a moment leaves every write up to the last
// flush, and any part of those behind it, cut at 512 or 4096 bytes or not at
// all. A Player makes such an Image; a new Disk begins with it and copies
// nothing before it is written, so an image costs a mount and a process, 20 to
// 40 ms. What happens to the image is logged again, so the power can be cut a
// second time, in the middle of a recovery.
//
// Writers tell the test process each acknowledgement over a pipe, and it notes
// how long the log is then. An image of that moment or a later one must hold
// the transaction. A line that is heard late asks for less, never for more.
//
// # What is tried
//
//   - TestPowerCuts (RELIABILITY, acceptance test 6): several processes write;
//     each image is judged by a fresh one: it opens (or is not there, if nobody
//     was told that it is), holds what was acknowledged and nothing in part,
//     verifies, takes a new commit and verifies again.
//   - TestFailedSyncs (test 8): the nth write of data, the nth flush, or any
//     write fails once with EIO; the kernel forgets its pages, another process
//     with new descriptors joins, the power is cut. Besides the above: what was
//     answered with an error or denied by Committed is never there.
//   - TestHealing, TestOverlappingSyncs: what file systems do, without durus.
//   - TestEarlyAcknowledgementIsFound, TestIgnoredFailureIsFound: a writer that
//     lies is found out, so the others would be.
//
// A file system that refuses to mount an image, as it may when its own
// superblock is torn, is counted and shown, and is no failure of the database.
//
// # How to run it
//
//	cd internal/fusedisk && go test ./...                    half a minute
//	DURUS_REAL_SECONDS=3600 go test -timeout 2h -v ./...     as long as you like
//	DURUS_SEED=n ...                                         chooses the same cuts again
//
// It needs Linux on amd64 or arm64, root, /dev/fuse, loop devices, and mkfs.ext4, mkfs.xfs or
// mkfs.btrfs; what is missing is skipped with a line that says so (-v shows
// it). A long run looks at every flush boundary and every nth failure. Tests
// run in a mount namespace of their own, with a guard, so that whatever ends
// them, no mount and no loop device is left behind. An image that a judge did not like is kept,
// and the log says where.
//
// The package imports go-fuse and golang.org/x/sys; its tests import the
// database.
package fusedisk
