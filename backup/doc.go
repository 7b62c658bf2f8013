// Package backup keeps copies of a database in a directory: a full one, and
// then, each time, what was committed since. A database is restored from them as
// it was at any transaction or time that they reach.
//
// # The directory
//
//	manifest.json   what is in the directory; replaced as a whole
//	000001.chunk    bytes of the database file, a range of whole frames
//	README.txt      what a person who finds the directory should know
//	backup.lock     one backup at a time
//
// A run is a full backup and the increments after it. Its chunks, one behind
// the other, are the first bytes of the database file: "cat" makes a database
// of them. Every chunk ends where a frame ends, and every frame names the
// checksum of the one before, so the manifest's last Point tells whether the
// database still holds all that the run does. It does not after a pack, which
// writes another file, and when the database was restored to an older state, or
// lost what it had not synced. Then the next backup is a full one, and begins a
// new run.
//
// # What holds
//
//   - A chunk is on the disk, under its name, before the manifest names it, and
//     never changes. A backup that is killed leaves at most one chunk that the
//     manifest does not name: the next one removes it.
//   - Large backups are written in several chunks, each entered at once: one that
//     was interrupted goes on behind the last of them. A run counts for Restore
//     once its full backup is complete, since half of a packed file is no state.
//   - Nothing damaged gets into a chunk: filestorage.Copier checks every frame
//     and record. A chunk that is damaged later is found by its SHA-256 (Verify),
//     and by the checksums of its frames (Restore).
//   - The database is never locked nor written to.
//
// It imports storage, filestorage and vfs.
package backup
