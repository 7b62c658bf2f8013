// Package mem is a simulated disk in memory, with any number of simulated
// processes on it. It is the back end of databases in memory, and the
// laboratory in which power cuts, kills, failing syncs and interleavings of
// processes are tried out, all of them repeatable.
//
// # The disk
//
// A file has two states: what readers see (the cache) and what is on the disk.
// Between the two lies a log of changes: writes with their bytes, and sizes. So
// it is with names: creation, renaming and removal are logged, a renaming as
// one step. Sync brings to the disk the bytes and the size that a file had when
// Sync began, SyncDir the names that a directory had when it began; both take
// what is on the way out of the log. Nothing else gets to the disk by itself,
// but anything in the log may, when the power is cut.
//
// The cache is sequentially consistent: one operation after the other.
//
// # Processes
//
// Disk.Process makes a process, which is a vfs.FS. Used plainly, from any
// goroutine, its operations take a mutex and that is all. When it is killed its
// handles are closed, its locks are free, and nothing that its code still does
// has any effect (ErrKilled).
//
// Disk.Run runs one goroutine per process, exactly one at a time. Every
// operation is a point where another may go on; a Chooser decides, by a seed or
// a script, and the same choices give the same run. There a kill ends the
// goroutine with runtime.Goexit: deferred calls run, nothing can recover it.
//
// Before every operation Disk.Hook, and then the rules of Disk.Inject, may let
// it fail, happen in part, happen and be reported as failed, or kill or stop
// its process there. A hook may also look at crash images.
//
// # Power cuts
//
// Disk.Images makes the states in which a power cut at this moment may leave
// the disk. An Image gives new disks in that state, as many as wanted.
//
//	M1  Everything that was not synced is gone.
//	M2  Everything has reached the disk.
//	M3  A prefix of the changes has: each file, and the names, a prefix of
//	    their own, in all combinations if these are few, otherwise each prefix
//	    of the common order, and of each with all and with none of the others.
//	M4  The last write of a file has reached the disk up to some byte, with
//	    everything before it; the other files with all changes, or none.
//	M5  Of every sector of 512 bytes that the changes touch, some version has:
//	    the old one, the new one or any between. The size is the new one, or
//	    as much as the sectors need, or the old one if that was greater.
//	M6  A size has and bytes have not: from where some prefix of the changes
//	    ends to the size after any later one the file holds zeros, or garbage.
//	M7  Any subset of the changes of names has, each whole, whatever has become
//	    of the bytes: all of them or none.
//
// Where names are pending, M4, M5 and M6 are made with all and with none of
// their changes. Lock files are files like others: a mark may be of any age.
// Three more models are not images:
//
//	M8  A sync fails (FailSync, Fault, FailWriteback): chosen writes become
//	    clean without being on the disk. They are seen until Evict, no later
//	    sync writes them, and no image holds them; the size to which they grew
//	    the file stays pending. Every handle open at that moment is told at
//	    one Sync, a later one never. Writing the bytes again heals.
//	M9  A sync reports success and does nothing (DropSync).
//	M10 Power is cut again while a program recovers: Images of an Image's Disk.
//
// # Limits
//
// There are no symbolic links, owners or permission checks. Directories exist
// as soon as a name lies in them. A file has at most 16 GiB.
//
// Package mem imports the package vfs and nothing else of this module.
package mem
