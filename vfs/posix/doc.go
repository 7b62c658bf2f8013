// Package posix is the vfs back end for files of the operating system.
//
// It keeps no state: every FS that New returns is the same. What holds here
// beyond the contract of package vfs:
//
//   - Every descriptor is O_CLOEXEC, and a last element that is a symbolic
//     link is never followed. What is not a regular file is refused with
//     vfs.ErrNotRegular before anything is read from it, and a FIFO does not
//     block.
//   - ReadAt, Size and Append are one system call each and allocate nothing;
//     short transfers and EINTR are taken up again.
//   - A new file is written under the name <name>.new.<16 hex digits> in the
//     same directory, and locked (flock) as long as its writer lives. Creating
//     a file sweeps those that a killed process left behind.
//   - Errors tell the path and Is fs.ErrNotExist, fs.ErrExist,
//     fs.ErrPermission, syscall.EROFS and so on. A full quota and a file size
//     limit are syscall.ENOSPC too.
//   - A process that runs with RLIMIT_FSIZE gets SIGXFSZ, which Go ignores
//     unless the program asked for it.
//
// Platforms: on macOS a Sync is F_FULLFSYNC. On Windows names are replaced
// only if nobody has the old file open, and SyncDir does nothing, since NTFS
// journals its directories.
//
// The package imports vfs, lockfile and golang.org/x/sys.
package posix
