// Package cache keeps settled bytes of files in memory, in front of any
// storage. It is a read cache: what is written goes to the storage below, and
// the answer is the storage's.
//
// # What is kept
//
// Only bytes that were advised to be vfs.Settled, and nothing that was read
// before they were: a file has a settled limit, the end of the range from 0
// that all advice together covers, and pages below it are kept. Advice that
// leaves a gap between the limit and its range is not used, so the best is to
// advise from 0. Sizes, what Stat says, names, locks, writers and all bytes
// beyond the limit go through to the storage, each time.
//
// Pages belong to an open file, known by its vfs.FileID. All handles of an FS
// on one file share them. They go with the last of these handles: an inode
// number that was free for a moment may be that of another file.
//
// # What must hold
//
//  1. A page holds bytes that the storage had at some moment after they were
//     settled and after the newest event that made them doubtful.
//  2. Events are: a Rewrite, Append or Truncate that touches them, whatever its
//     outcome; advice that they are vfs.Doubted; and proof that the file is not
//     what it was. Each takes the pages away, or bars them until they have been
//     compared with the storage, and makes reads void that began before it:
//     what they bring is not kept, and no later ReadAt gets it.
//  3. Whatever is read from the storage below the limit is compared with the
//     pages that hold the same bytes. A difference, or an end of the file below
//     the limit, is proof: a backup was copied over the file, or it was cut.
//     Then all its pages are dropped and nothing of it counts as settled.
//  4. A ReadAt is answered from pages of one version of the file, from the
//     storage, or from pages and then the storage if no event came in between.
//  5. The sizes of all pages never add up to more than Options.Bytes.
//
// Doubted bytes are read from the storage once more. If that fails the error
// Is vfs.ErrStale. The cache can compare only what it holds: who has found out
// by himself that a file was overwritten must doubt all of it. Then nothing of
// it counts as settled until it is advised to be.
//
// # Concurrency
//
// A ReadAt that finds its pages takes no lock. Everything that changes is
// guarded by one mutex of the FS, which is never held while the storage works.
// Of several who miss the same page one asks the storage, the others wait for
// him.
//
// # Asynchronous storages
//
// If the files below implement vfs.Async, so do those of the cache: a hit
// answers at once, a miss answers what the storage says, vfs.ErrAgain. Nobody
// waits for another one there. A read that was begun and never asked for again
// is remembered until the handle is closed.
//
// Package cache imports the package vfs and nothing else of this module.
package cache
