package storage

import (
	"errors"
	"fmt"
	"strings"
)

// Sentinels, for errors.Is. The errors that callers meet wrap them and carry
// path, position and what to do.
var (
	ErrConflict       = errors.New("durus: conflict with another transaction")
	ErrNotFound       = errors.New("durus: not found")
	ErrReadOnly       = errors.New("durus: read-only")
	ErrType           = errors.New("durus: wrong type")
	ErrLocked         = errors.New("durus: the commit lock is held by another process")
	ErrCorrupt        = errors.New("durus: damaged file")
	ErrNotDurus       = errors.New("durus: not a durus file")
	ErrTooNew         = errors.New("durus: written by a newer version")
	ErrTooLarge       = errors.New("durus: too large")
	ErrClosed         = errors.New("durus: closed")
	ErrTxDone         = errors.New("durus: the transaction is over")
	ErrDangling       = fmt.Errorf("durus: reference to an object that does not exist: %w", ErrNotFound)
	ErrForeign        = errors.New("durus: reference of another database")
	ErrRewound        = errors.New("durus: the file was restored or replaced")
	ErrPacked         = errors.New("durus: removed by pack")
	ErrPacking        = errors.New("durus: a pack is running")
	ErrUnknownOutcome = errors.New("durus: the outcome of the commit is unknown")
	ErrNestedUpdate   = errors.New("durus: Update inside a transaction")
	ErrSharedWrite    = errors.New("durus: a shared object was written")
)

// ConflictError tells which objects another transaction changed. It Is
// ErrConflict. The transaction that met it has changed nothing; run it again
// on a new snapshot (DB.Update does).
type ConflictError struct {
	Objects []ConflictObject
}

// WriteConflictError is the name in the original proposal.
type WriteConflictError = ConflictError

// ConflictObject is one object of a ConflictError.
type ConflictObject struct {
	OID       OID
	Class     string // its name, without version
	Base      TID    // the transaction that wrote what was read; 0 if it is not known any more
	Committed TID    // the transaction that replaced it
	Reason    string
}

func (e *ConflictError) Error() string {
	var b strings.Builder
	b.WriteString(ErrConflict.Error())
	for i, o := range e.Objects {
		if i == 3 {
			fmt.Fprintf(&b, " and %d more", len(e.Objects)-i)
			break
		}
		sep := ":"
		if i > 0 {
			sep = ";"
		}
		fmt.Fprintf(&b, "%s object %s (%s), read at %s, was changed by transaction %s", sep, o.OID, o.Class, o.Base, o.Committed)
		if o.Reason != "" {
			fmt.Fprintf(&b, " (%s)", o.Reason)
		}
	}
	b.WriteString("; run the transaction again")
	return b.String()
}

// Is makes the error match ErrConflict.
func (e *ConflictError) Is(target error) bool { return target == ErrConflict }

// CorruptError says where a file is damaged. It Is ErrCorrupt.
type CorruptError struct {
	Path   string
	Offset int64
	OID    OID // of the damaged object, 0 if the damage is not in one
	Reason string
}

func (e *CorruptError) Error() string {
	what := ""
	if e.OID != 0 {
		what = fmt.Sprintf(" (object %s)", e.OID)
	}
	return fmt.Sprintf("durus: %s is damaged at byte %d%s: %s; nothing was changed: look at it with 'durusctl verify', keep a copy, and restore a backup",
		e.Path, e.Offset, what, e.Reason)
}

// Is makes the error match ErrCorrupt.
func (e *CorruptError) Is(target error) bool { return target == ErrCorrupt }

// LockError says that the commit lock could not be had in time. It Is ErrLocked.
type LockError struct {
	Path   string // of the lock file
	Holder int    // pid of the process that holds it, 0 if the system cannot tell
}

func (e *LockError) Error() string {
	who := "another process"
	if e.Holder != 0 {
		who = fmt.Sprintf("process %d", e.Holder)
	}
	return fmt.Sprintf("durus: %s is locked by %s for longer than LockTimeout: nothing was committed; look at that process (it may be stopped), then try again", e.Path, who)
}

// Is makes the error match ErrLocked.
func (e *LockError) Is(target error) bool { return target == ErrLocked }

// UnknownOutcomeError says that the transaction was appended but that it is
// not known to be on the disk, because a sync failed. It may be seen later or
// not. Ask DB.Committed(TID), then decide; do not just run it again. It Is
// ErrUnknownOutcome.
type UnknownOutcomeError struct {
	TID TID
	Err error // why
}

func (e *UnknownOutcomeError) Error() string {
	return fmt.Sprintf("durus: transaction %s was appended but not confirmed on the disk (%v): ask Committed(%s) before running it again", e.TID, e.Err, e.TID)
}

// Is makes the error match ErrUnknownOutcome.
func (e *UnknownOutcomeError) Is(target error) bool { return target == ErrUnknownOutcome }

func (e *UnknownOutcomeError) Unwrap() error { return e.Err }

// DanglingError says which object would have referred to one that does not
// exist, perhaps because a pack has removed it. It Is ErrDangling and
// ErrNotFound. Nothing was committed.
type DanglingError struct {
	Path string // of the database
	From OID    // the object that would hold the reference
	To   OID    // what it leads to
	Way  string // how From is reached from a root, for people; empty if that is not known
}

func (e *DanglingError) Error() string {
	way := ""
	if e.Way != "" {
		way = " (" + e.Way + ")"
	}
	return fmt.Sprintf("%v: object %s%s would refer to object %s in %s: store that object in the same transaction, or drop the reference", ErrDangling, e.From, way, e.To, e.Path)
}

// Unwrap makes the error match ErrDangling, and what that matches.
func (e *DanglingError) Unwrap() error { return ErrDangling }
