package wrap

import (
	"math/bits"
	"strings"
)

// Op is an operation, or a set of them: Append|Sync.
type Op uint32

// The operations.
const (
	Props   Op = 1 << iota // FS.Props; it cannot fail
	Stat                   // FS.Stat
	List                   // FS.List, as one operation when it is ranged over
	Remove                 // FS.Remove
	SyncDir                // FS.SyncDir
	Resolve                // FS.Resolve
	Rename                 // FS.Rename

	Open     // before the first operation of a File
	Read     // File.ReadAt
	Size     // File.Size
	FileStat // File.Stat
	Append   // File.Append
	Rewrite  // File.Rewrite
	Truncate // File.Truncate
	Sync     // File.Sync
	Close    // File.Close, the first
	Map      // Mapper.Map

	Create // before the first operation of a Writer
	Write  // Writer.Write
	Commit // Writer.Commit
	Abort  // Writer.Abort

	TryLock    // Locker.TryLock
	Lock       // Locker.Lock
	Unlock     // Locker.Unlock
	Holder     // Locker.Holder; it cannot fail
	Reopen     // Locker.Reopen
	Deleted    // Locker.Deleted
	ReadMark   // Locker.ReadMark
	UpdateMark // Locker.UpdateMark
	LockClose  // Locker.Close, the first

	end
	Ops = iota - 1 // how many there are
)

// All is the set of all operations.
const All = end - 1

var names = [Ops]string{
	"props", "stat", "list", "remove", "syncdir", "resolve", "rename",
	"open", "read", "size", "filestat", "append", "rewrite", "truncate", "sync", "close", "map",
	"create", "write", "commit", "abort",
	"trylock", "lock", "unlock", "holder", "reopen", "deleted", "readmark", "updatemark", "lockclose",
}

// Has reports whether o and x have an operation in common.
func (o Op) Has(x Op) bool { return o&x != 0 }

// Index is the number of an operation, from 0 to Ops-1; of a set, that of its
// first one.
func (o Op) Index() int { return bits.TrailingZeros32(uint32(o)) }

// String names the operations, with a | between them.
func (o Op) String() string {
	switch o &= All; o {
	case 0:
		return "none"
	case All:
		return "any"
	}
	var s []string
	for ; o != 0; o &= o - 1 {
		s = append(s, names[o.Index()])
	}
	return strings.Join(s, "|")
}
