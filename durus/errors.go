package durus

import (
	"errors"

	"github.com/durusdb/durus/storage"
)

// Identifiers. Both have one spelling for people, a decimal number; see
// ParseOID and ParseTID.
type (
	// OID identifies an object for as long as its database lives. 0 is nil.
	OID = storage.OID
	// TID identifies a transaction; later commits have greater ones, with gaps.
	TID = storage.TID
)

// ParseOID reads what OID.String wrote; "" is nil.
func ParseOID(s string) (OID, error) { return storage.ParseOID(s) }

// ParseTID reads what TID.String wrote; "" is 0.
func ParseTID(s string) (TID, error) { return storage.ParseTID(s) }

// Sentinels, for errors.Is. Errors that wrap them say which object, path and
// position they are about, and what to do.
var (
	ErrConflict       = storage.ErrConflict       // somebody else changed what this transaction used: run it again
	ErrNotFound       = storage.ErrNotFound       // nil reference, or the object is not in the snapshot
	ErrReadOnly       = storage.ErrReadOnly       // a write in a View or on a read-only handle
	ErrType           = storage.ErrType           // the object is of another type than asked for, or its type is not registered
	ErrLocked         = storage.ErrLocked         // the commit lock was not free within LockTimeout
	ErrCorrupt        = storage.ErrCorrupt        // damaged bytes
	ErrNotDurus       = storage.ErrNotDurus       // not a database file
	ErrTooNew         = storage.ErrTooNew         // written by a newer version of this package, or of the program (see Version)
	ErrTooLarge       = storage.ErrTooLarge       // beyond a limit of the file format
	ErrClosed         = storage.ErrClosed         // the database or the connection is closed
	ErrTxDone         = storage.ErrTxDone         // the transaction is over
	ErrDangling       = storage.ErrDangling       // a stored reference would lead to no object; Is ErrNotFound
	ErrForeign        = storage.ErrForeign        // a reference of another database handle
	ErrRewound        = storage.ErrRewound        // the file was restored or replaced under the transaction
	ErrPacked         = storage.ErrPacked         // older than what the last pack kept
	ErrPacking        = storage.ErrPacking        // another pack is running
	ErrUnknownOutcome = storage.ErrUnknownOutcome // appended, but not known to be on the disk: ask DB.Committed
	ErrNestedUpdate   = storage.ErrNestedUpdate   // Update inside an Update of the same database
	ErrSharedWrite    = storage.ErrSharedWrite    // a shared object was written without Edit
)

// Rich errors, for errors.As.
type (
	// ConflictError names the objects that another transaction changed. Is ErrConflict.
	ConflictError = storage.ConflictError
	// ConflictObject is one of them.
	ConflictObject = storage.ConflictObject
	// WriteConflictError is the name in the original proposal.
	WriteConflictError = storage.WriteConflictError
	// CorruptError says where a file is damaged. Is ErrCorrupt.
	CorruptError = storage.CorruptError
	// DanglingError says which reference leads to no object. Is ErrDangling.
	DanglingError = storage.DanglingError
	// LockError says who holds the commit lock. Is ErrLocked.
	LockError = storage.LockError
	// UnknownOutcomeError holds the TID to ask Committed about. Is ErrUnknownOutcome.
	UnknownOutcomeError = storage.UnknownOutcomeError
)

// join puts the error of a function and the sticky error of its transaction
// together, and leaves the function's unchanged where it tells of both.
func join(err, sticky error) error {
	switch {
	case sticky == nil || err != nil && errors.Is(err, sticky):
		return err
	case err == nil:
		return sticky
	}
	return errors.Join(err, sticky)
}
