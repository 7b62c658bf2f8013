package vfs

import (
	"io/fs"
	"iter"
)

// FS is a place where files live.
type FS interface {
	// Props tells what this storage can do where name lies, or would lie: a
	// POSIX tree may hold mounts of other machines.
	Props(name string) Props

	// Open returns a handle on an existing file. It does no I/O and cannot
	// fail. A last element that is a symbolic link is not followed.
	Open(name string, mode Mode) File

	// Create returns a writer of a new file. It does no I/O and cannot fail.
	// perm is what the committed file gets, narrowed as the system narrows it.
	Create(name string, mode CreateMode, perm fs.FileMode) Writer

	// Stat tells what the name leads to at this moment, without following a
	// symbolic link in its last element. A missing name is fs.ErrNotExist.
	Stat(name string) (Info, error)

	// List yields the names of files that begin with prefix, in order, as far
	// as no further directory lies between. Unfinished files of Writers are
	// none. An error ends the sequence; a missing directory is an empty one.
	List(prefix string) iter.Seq2[string, error]

	// Remove removes a name.
	Remove(name string) error

	// Rename gives the file called old another name in the same directory, in
	// the place of the file that has that name, if there is one: its owner,
	// group and permissions go over to the new one, as far as the caller may.
	// Who has the replaced file open keeps its bytes. It syncs neither bytes
	// nor names. A missing old is fs.ErrNotExist. After an error both names are
	// what they were, unless it Is ErrUnknownOutcome.
	Rename(old, name string) error

	// SyncDir returns when the directory that holds name is on the disk: the
	// names in it are those that a power cut leaves.
	SyncDir(name string) error

	// Resolve returns the one absolute name of a file, symbolic links
	// resolved, so that two spellings meet in one lock file. A file that does
	// not exist yet is resolved as far as its directory. A dangling symbolic
	// link is an error that Is fs.ErrNotExist.
	Resolve(name string) (string, error)

	// Locker returns the lock file called name that guards data. It does no
	// I/O and cannot fail. With mode ReadOnly it creates nothing and can only
	// read the mark. perm is that of a lock file to be created.
	Locker(name string, data File, mode Mode, perm fs.FileMode) Locker
}

// Space is implemented by storages that can tell how much room is left.
type Space interface {
	// Free is how many bytes can still be written where name lies, or would
	// lie. Others write, too: it is a hint.
	Free(name string) (int64, error)
}

// Props are the abilities of a storage; callers decide by them, not by names.
type Props struct {
	Locks           bool // Locker works between all processes that can reach the storage
	Append          bool // files opened with Append can grow
	AtomicReplace   bool // a name that is being replaced leads to the old file or to the new one; Rename works
	ConditionalPut  bool // FailIfExists has one winner among all who can reach the storage
	StableSize      bool // Size and Stat are never stale
	Mapping         bool // files implement Mapper
	LiveMapping     bool // what is appended shows in mappings at once, also behind the end that the file had
	ReliableListing bool // List shows every file whose Commit has returned, and none that was removed

	Remote bool   // other machines may write behind this one's cache (NFS and the like)
	Kind   string // what it is, for messages ("nfs"); may be empty
}

// Mode says what a handle may do.
type Mode uint8

const (
	ReadOnly Mode = iota // ReadAt, Size, Stat
	Append               // also Append, Rewrite, Truncate, Sync
)

// CreateMode says what Commit does with a name that is taken.
type CreateMode uint8

const (
	FailIfExists    CreateMode = iota // Commit fails with fs.ErrExist; one of several creators wins
	ReplaceIfExists                   // Commit replaces the file; who has the old one open keeps its bytes
)

// FileID tells files apart while both are open: the system may give the number
// of a file that is gone to a new one. The zero FileID is no file.
type FileID struct{ Dev, Ino uint64 }

// Info is what is known of a file.
type Info struct {
	ID    FileID
	Size  int64
	Links uint64      // names that lead to it; 0 when it was removed or replaced
	Perm  fs.FileMode // permission bits
	Type  fs.FileMode // type bits, 0 for a regular file
}
