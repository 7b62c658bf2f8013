// Package lockfile is the lock file beside a database: the POSIX
// implementation of vfs.Locker. It gives one process at a time the right to
// append, and keeps the 64-byte mark that tells how much of the database is on
// the disk.
//
// # What is held
//
// A Locker that holds its lock holds three things, taken in this order and
// given back in the reverse one:
//
//  1. the turn of its data file in this process: a first come, first served
//     queue for each (device, inode), because flock tells two goroutines that
//     share a descriptor both yes;
//  2. a flock on the lock file, which the path was seen to lead to while the
//     flock was held: a lock on a file that somebody deleted excludes nobody;
//  3. a flock on the data file's own descriptor. It excludes also those who
//     came by another lock file, because theirs was deleted or because the data
//     file has several names.
//
// The kernel gives 2 and 3 back when the process ends, however that happens,
// and no child process inherits them (every descriptor is O_CLOEXEC).
//
// # How it waits
//
// The lock file stays open, since it also holds the mark, so a free lock
// costs one flock(2) with LOCK_NB on the descriptor that is there. Only when
// that has said "busy" for some microseconds the lock is waited for, in github.com/gofrs/flock's
// blocking Lock, which opens the file for itself at every call: flock(2) on
// either descriptor is the same lock. A blocking call cannot be cancelled, so
// it runs in a helper goroutine, at most one for each inode and process. Who
// gives up waiting leaves the helper behind; a lock that it gets later goes to
// the next one who waits, or straight back. On Windows gofrs/flock alone does
// both.
//
// Lock files are never deleted, here or anywhere: deleting one that others
// have open is what makes two holders possible.
//
// # The mark
//
// ReadMark is one pread and takes no lock. UpdateMark runs under a latch of
// its own, the last in the lock order:
//
//   - Linux: an OFD lock on the bytes of the mark;
//   - Windows: a lock on a byte of the lock file. (Locks are mandatory there,
//     so the mark lies 64 bytes further on, outside all of them);
//   - other systems have no byte range lock that survives the close of
//     another descriptor of the file, so the lock itself is the latch: a Locker
//     that holds it is inside already, one that does not takes it for the moment.
//
// The package imports vfs, gofrs/flock and golang.org/x/sys.
// docs/decisions/0002-lock-file.md tells what else was considered.
package lockfile
