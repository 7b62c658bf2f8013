// Package filestorage keeps records in one append-only file that any number
// of processes read and write at once. Each follows the others by the end of
// the file; a lock file beside it serialises the short moment of appending.
//
// It implements storage.Storage over a vfs.FS and imports nothing else of this
// module.
//
// # The file
//
//	file   = header frame...                     (a packed one begins with base frames)
//	frame  = frame header | metadata | table of records | records | trailer
//	record = record header | references | payload
//
// docs/format.md specifies every byte. One transaction is one frame; class
// frames give class names their numbers, lease frames give out object ids; base,
// moved and origin frames are of packs (base.go, moved.go, origin.go).
// Salvage reads files that are damaged, Builder makes them of states that were
// kept elsewhere.
//
// Committed bytes never change: nothing is patched in place. The size of the
// file is not a commit mark.
//
// # When a frame is valid
//
// A frame at position p is valid when it lies wholly inside the file and
//
//  1. its header lies inside the file,
//  2. begins with the frame magic,
//  3. has a good checksum,
//  4. names p and the salt of this file,
//  5. is understood (header size, reserved bytes, kind); a good header that is
//     not understood is never a tail: ErrTooNew, and nothing is cut,
//  6. its declared end is not beyond the end of the file,
//  7. its link is the checksum of the frame before, or of the file header,
//  8. its transaction id is greater than the one before (a frame that is no
//     transaction repeats it), its time is not smaller,
//  9. metadata and table have a good checksum,
//  10. the table lists objects in ascending order, and records that fill the
//     frame up to its trailer; metadata can be read,
//  11. each record's header and references have a good checksum; object, place
//     and checksum are those that the table tells,
//  12. each payload has a good checksum,
//  13. the trailer repeats length and checksum,
//  14. its objects were given out, and a lease begins where the last one ended,
//  15. a class gets the next number,
//  16. the metadata of a base, moved or origin frame have the right length.
//
// Checksums include the salt and the position, so that bytes which belong
// elsewhere do not pass. Below W (next paragraph) a frame is known to be whole,
// and 11 to 13 are checked when a record is read.
//
// # Tail, window, damage
//
// W is the greatest of the durable mark and of the `durable` fields of all
// valid frames, those behind a bad one included. A bad frame at or after W is an
// ordinary tail: readers stop before it, the next writer cuts it under the
// lock. A bad frame before W is damage: *CorruptError, nothing is cut and
// nothing appended; damage in a record alone (11, 12) is answered by that
// record alone. More behind the last valid frame than interrupted commits can
// leave (maxTail) is damage, too. In search of frames behind a bad one a reader
// may skip holes of the file, which read as zeros; who is about to cut reads all.
//
// # Invariants
//
//   - lineage.cur never moves behind a frame that is not valid.
//   - A published state is in the index before it is published.
//   - The commit lock is held for every append, cut and rewrite, and for
//     nothing else; the lock order is in docs/concurrency.md.
//   - Success is reported after the durable mark covers a commit
//     (durability.go has the rules).
package filestorage
