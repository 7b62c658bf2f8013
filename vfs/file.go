package vfs

// File is an open file of records.
type File interface {
	// ReadAt reads as io.ReaderAt does.
	ReadAt(p []byte, off int64) (int, error)

	// Size is the end of the file, found by seeking to it: one system call.
	Size() (int64, error)

	// Stat describes the open file, whatever its name leads to by now.
	Stat() (Info, error)

	// Append writes p at end, which must be the end of the file (the caller
	// holds the lock that makes this so). It returns how many bytes were
	// written; fewer than len(p) with an error.
	Append(p []byte, end int64) (int, error)

	// Rewrite writes bytes again that were just read and validated at off, so
	// that the next Sync covers them whoever wrote them first. The caller
	// holds the lock.
	Rewrite(p []byte, off int64) (int, error)

	// Truncate cuts the file. The caller holds the lock.
	Truncate(size int64) error

	// Sync is fdatasync: on success all bytes written through any handle
	// before the call are on the disk, as far as the promise of contract rule
	// 6 goes.
	Sync() error

	// Close ends the handle. A second Close does nothing.
	Close() error
}

// Writer writes a new file. One goroutine may use it.
type Writer interface {
	// Write adds bytes. It takes them all and returns no error, but after
	// Commit or Abort (ErrClosed), and, on an asynchronous storage, ErrAgain
	// when it has taken none of them because too many wait already. What goes
	// wrong comes back from Commit.
	Write(p []byte) (int, error)

	// Commit makes the file durable and then visible under its name. The name
	// itself is durable after FS.SyncDir. After an error nothing is visible and
	// nothing is left behind, unless it Is ErrUnknownOutcome; another Commit
	// returns the same error.
	Commit() error

	// Abort drops what was written. It is a no-op after Commit.
	Abort() error
}

// Mapper is implemented by files that can be mapped to memory (Props.Mapping).
// A wrapper need not implement it: callers look for it along Unwrap.
type Mapper interface {
	// Map returns n bytes of the file at off, which must be a multiple of the
	// page size, for reading. Touching a page that is not in the file, or not any
	// more, ends the process, but for debug.SetPanicOnFault. With Props.LiveMapping
	// a mapping may reach behind the end of the file, and be touched there when
	// the file has grown. unmap ends it.
	Map(off int64, n int) (b []byte, unmap func() error, err error)
}

// Sparse is implemented by files that know where they have holes. A wrapper need
// not implement it: callers look for it along Unwrap.
type Sparse interface {
	// Hole returns how many bytes from off on are a hole, which takes no room and
	// reads as zeros; 0 when there is none, or the system cannot tell. It is a
	// hint: file systems were seen to miss what had just been written. Nothing
	// may be cut or overwritten because of it.
	Hole(off int64) int64
}

// Hole asks a stack of wrappers; 0 when none of them knows of holes.
func Hole(f File, off int64) int64 {
	if s, ok := Base(f).(Sparse); ok {
		return s.Hole(off)
	}
	return 0
}

// Base returns the file at the bottom of a stack of wrappers.
func Base(f File) File {
	for {
		w, ok := f.(interface{ Unwrap() File })
		if !ok {
			return f
		}
		f = w.Unwrap()
	}
}

// Advice is what a caller knows of a range of a file.
type Advice uint8

const (
	// WillNeed: the range will be read soon. What ReadAt then returns may be as
	// old as the advice.
	WillNeed Advice = iota
	// Settled: the bytes will not change any more as long as the file is this
	// one, so they may be kept in memory and read ahead.
	Settled
	// Doubted: the bytes must be fetched from the storage itself when they are
	// read next. If they turn out to have changed, nothing that is kept of the
	// file is worth anything.
	Doubted
)

// Adviser is implemented by files that can use advice.
type Adviser interface {
	// Advise must not block. It is a hint: it cannot fail.
	Advise(a Advice, off, n int64)
}

// Advise tells every layer of a stack of wrappers.
func Advise(f File, a Advice, off, n int64) {
	for {
		if x, ok := f.(Adviser); ok {
			x.Advise(a, off, n)
		}
		w, ok := f.(interface{ Unwrap() File })
		if !ok {
			return
		}
		f = w.Unwrap()
	}
}
