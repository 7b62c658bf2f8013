// Package vfs is the storage-file layer: every byte that a database reads or
// writes goes through an FS. A back end knows nothing of databases; it maps
// names to byte streams, after the filesystem API that Dovecot's author
// proposed in 2009 and 2010.
//
// # The contract
//
//  1. Open, Create and Locker do no I/O and cannot fail. An error shows at the
//     first operation that needs the file, and stays.
//  2. A Writer takes all that it is given. Whatever goes wrong is told by
//     Commit, and told again by every later Commit. What was written becomes
//     visible at Commit, whole, or not at all; until then no name leads to it
//     and List does not show it. An error that Is ErrUnknownOutcome is the
//     exception: the name may lead to the new file.
//  3. FailIfExists has one winner, however many try. ReplaceIfExists never
//     leaves a moment without the name; who has the old file open keeps its
//     bytes.
//  4. ReadAt is like pread(2): no cursor, safe for concurrent use, short only
//     at the end of the file (then with io.EOF).
//  5. Append puts bytes at the end of a file. It is contiguous but not atomic:
//     a reader or a crash may find any prefix, and after a power cut any
//     mixture of old and new sectors beyond the last Sync. It says how far it
//     came.
//  6. Sync returns when the file's bytes and size are on the disk, never
//     before. After a failed Sync nothing is known of any byte written since
//     the last good one, and a second Sync may succeed without having written
//     them: bytes are safe only after they were written again (Rewrite) and
//     synced.
//  7. A name is on the disk after SyncDir, not before.
//  8. The mode of a handle is held by the handle: what it was not opened for is
//     ErrMode and does not reach the storage.
//  9. A Locker excludes all other holders, in this and in other processes.
//     TryLock answers at once: locked, busy, ErrNotSupported, or ErrAgain while
//     the file that it guards is being opened.
//  10. Props tells what a storage can do, and callers decide by it, never by the
//     name or the type of a storage. Without locks only a single writer may be
//     admitted.
//  11. Files of an asynchronous storage implement Async. Their operations answer
//     ErrAgain instead of waiting; Blocking makes such a storage wait. Calls on
//     names, and those of a Locker but TryLock and Lock, wait in any case.
//  12. A wrapper hands on what it does not change. Its files have a method
//     Unwrap() File, so that the storage below finds its own (see Base), and
//     advice reaches every layer (see Advise).
//  13. Bytes that were advised to be Settled never change while the file is this
//     one. Nothing else may be answered from memory.
//  14. All methods of FS, File and Locker may be called from many goroutines,
//     unless they say otherwise.
//  15. Rename gives a name to another file without a moment in which it leads
//     nowhere (Props.AtomicReplace). Who has the old file open keeps its bytes
//     and is told by Info.Links that it has lost its name.
//
// Errors wrap those of io/fs (fs.ErrNotExist, fs.ErrExist, fs.ErrPermission)
// and of package syscall (syscall.ENOSPC), and the sentinels of this package.
//
// Package vfs imports nothing of this module. The back ends and wrappers are
// packages below it: posix for real files, mem for a simulated disk; async,
// cache, fault, latency and trace over any of them. vfstest tests them all.
package vfs
