// Package vfs is the storage-file layer: every byte that a database reads or
// writes goes through an FS. A back end knows nothing of databases; it maps
// names to byte streams, after the filesystem API that Dovecot's author
// proposed in 2009 and 2010.
//
// # The contract
//
//  1. Open and Create do no I/O and cannot fail. An error shows at the first
//     operation that needs the file, and stays.
//  2. What a Writer was given becomes visible at Commit, whole, or not at all.
//  3. ReadAt is like pread(2): no cursor, safe for concurrent use, short only
//     at the end of the file (then with io.EOF).
//  4. Append puts bytes at the end of a file. It is contiguous but not atomic:
//     a reader or a crash may find any prefix, and after a power cut any
//     mixture of old and new sectors beyond the last Sync. It says how far it
//     came.
//  5. Sync returns when the file's bytes and size are on the disk. After a
//     failed Sync nothing is known of any byte written since the last good
//     one, and a second Sync may succeed without having written them: bytes
//     are safe only after they were written again (Rewrite) and synced.
//  6. A name is on the disk after SyncDir, not before.
//  7. A Locker excludes all other holders, in this and in other processes. A
//     back end without locks says so in its Props; then only a single writer
//     may be admitted.
//  8. All methods of FS, File and Locker may be called from many goroutines,
//     unless they say otherwise.
//
// Errors wrap those of io/fs (fs.ErrNotExist, fs.ErrExist, fs.ErrPermission)
// and of package syscall (syscall.ENOSPC), and the sentinels of this package.
//
// Package vfs imports nothing of this module. The back ends are packages
// below it: posix for real files, mem for a simulated disk.
package vfs
