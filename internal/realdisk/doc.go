// Package realdisk holds tests of the whole engine against the real kernel:
// system calls that fail, are killed or stopped at, power cuts of ext4 and xfs,
// full and read-only file systems, missing descriptors, overlayfs. It has no
// code of its own but tests, and may import everything.
//
// # How an experiment works
//
// The test binary runs itself again, in a role, as a child process. Each child
// writes down on a pipe, outside of the file system under test, what it is
// about to commit and what it was told of it. Whatever then befalls it, a
// handle that is opened afterwards judges the file:
//
//   - it opens at once, its check is clean, nobody holds the lock, and a new
//     commit succeeds;
//   - every acknowledged transaction is in its log, none that was reported as
//     failed, none twice, and what any View showed is there;
//   - no transaction is there in part: each changes two objects that must
//     agree, and a third that must be the sum over all processes;
//   - no byte that was durable before has changed.
//
// # The laboratory
//
// The tests run in a mount namespace of their own: what they mount is seen by
// nobody else, and the kernel takes it down, loop devices included, when the
// last process of a killed run is gone. Signals go to own children only.
// strace injects into system calls; FS_IOC_SHUTDOWN stops a file system that
// lies in an image file as a power cut would, with what it has in memory lost.
//
// After a power cut the file that is found is held against the memory disk of
// package vfs/mem, on which the log of a recording vfs.FS is replayed: what the
// real file systems can leave behind, the simulation must be able to produce.
//
// What a test needs and the system does not have (Linux, root, strace, mkfs,
// loop devices) makes it skip and say so. Randomised tests print their seed;
// DURUS_SEED makes them choose the same again. By default they take a sample;
// DURUS_TORTURE makes them try every system call, and DURUS_REAL_SECONDS tells
// how long power is cut on each kind of file system, and does so too.
package realdisk
