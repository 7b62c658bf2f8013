package storage

import (
	"context"
	"iter"
	"time"
)

// SyncPolicy says when a commit is reported.
type SyncPolicy uint8

const (
	// SyncAlways: a commit is on the disk before it is reported.
	SyncAlways SyncPolicy = iota
	// SyncInterval: a commit is reported at once and on the disk within SyncEvery.
	SyncInterval
	// SyncNever: a commit is reported at once; the disk gets it at Close, at
	// Sync, every 64 MiB, or when another handle syncs.
	SyncNever
)

// Storage keeps the records of one database and tells what other processes
// have committed. It is safe for use by many goroutines.
type Storage interface {
	// Begin looks for new records once and returns the newest state: for a
	// writable transaction everything that has been appended, otherwise
	// everything that is visible, that is, durable. The caller must Release it.
	Begin(ctx context.Context, writable bool) (Snapshot, error)

	// Commit validates c against everything committed since c.Base and
	// appends it. It returns when the commit is as durable as the policy
	// wants. Errors: *ConflictError, ErrDangling, ErrTooLarge, ErrReadOnly,
	// *LockError, *UnknownOutcomeError, ErrRewound, *CorruptError. With no
	// Records it waits until all that Base holds is durable and returns
	// Base.TID(). ctx counts until the records are appended, not after.
	Commit(ctx context.Context, c *Commit) (TID, error)

	// Hold takes the commit lock of all processes for a transaction that has
	// lost too often. Pass the Hold in Commit.Hold. The lock may be given
	// back at any time before, and is, after limit. Release is idempotent.
	Hold(ctx context.Context, limit time.Duration) (Hold, error)

	// NewOID returns an object id that nobody else has had or will get.
	NewOID(ctx context.Context) (OID, error)

	// ClassID returns the number of a class, and gives it one if it has none
	// yet. Snapshot.ClassName is the way back.
	ClassID(ctx context.Context, name string) (ClassID, error)

	// Sync returns when everything that this handle knows to be appended is durable.
	Sync(ctx context.Context) error

	// LastTID is the newest visible transaction, freshly polled.
	LastTID() (TID, error)

	// Committed tells, after an *UnknownOutcomeError, whether the transaction
	// is durably part of the database. It settles the question first.
	Committed(tid TID) (bool, error)

	// Transactions yields the visible transactions from <= TID <= to, oldest
	// first. An error ends the sequence.
	Transactions(from, to TID) iter.Seq2[Transaction, error]

	Stats() Stats

	// Close waits for running commits, makes everything durable and returns
	// what is left of the oid lease. Later use answers with ErrClosed.
	Close() error
}

// Snapshot is one consistent state of a database. It is safe for use by many
// goroutines until it is released.
type Snapshot interface {
	// TID is the newest transaction that the snapshot holds.
	TID() TID

	// Lineage changes when the file was rewound or replaced: positions of two
	// lineages have nothing to do with each other.
	Lineage() uint64

	// Find returns where the state of the object begins that is valid in this
	// snapshot. The error is ErrNotFound itself when there is none.
	Find(oid OID) (Position, error)

	// Read returns the record at a position that Find returned. Its slices
	// belong to the caller. The error is a *CorruptError when the record is
	// damaged, ErrRewound when the file is no longer the one that was read.
	Read(oid OID, pos Position) (Record, error)

	// Prefetch says that the records at these positions, which Find returned,
	// will be read soon. It does not wait; it may sort the slice.
	Prefetch(positions []Position)

	// ClassName is the class of a record of this snapshot's lineage; ok is
	// false for a number that the file does not know.
	ClassName(id ClassID) (name string, ok bool)

	// Release ends the snapshot. It is idempotent.
	Release()
}

// Successor is implemented by snapshots of storages whose file can be packed.
type Successor interface {
	// Carry translates the position of a revision of oid in old to one in this
	// snapshot's file, which was packed from that of old. pos is 0, which is no
	// revision, when this snapshot holds another revision of the object, or none.
	// known is false when the one file was not packed from the other.
	Carry(old Snapshot, oid OID, at Position) (pos Position, known bool, err error)
}

// Commit is a transaction to be committed.
type Commit struct {
	Base    Snapshot // the state that the transaction saw
	Reads   ReadSet  // what it depends on, what it writes included; nil: only what it writes
	Records []Record // new states; Prev is ignored
	Meta    Meta
	Hold    Hold // nil, or what Storage.Hold returned; given back once the records are appended
}

// ReadSet tells what a transaction depends on. It is asked on another
// goroutine while Commit runs, so nothing may change it meanwhile, and under a
// lock of the storage, so it must not call the storage.
type ReadSet interface {
	// Depends reports whether the transaction depends on the state of oid
	// that the record at position newer replaces.
	Depends(oid OID, newer Position) bool
}

// OIDSet is a ReadSet of objects that were all read at Commit.Base.
type OIDSet map[OID]struct{}

// Depends implements ReadSet.
func (s OIDSet) Depends(oid OID, _ Position) bool { _, ok := s[oid]; return ok }

// Hold is the commit lock, held as a courtesy.
type Hold interface{ Release() }

// Stats counts what a handle has done since it was opened.
type Stats struct {
	Commits   uint64 // transactions committed by this handle
	Conflicts uint64 // commits refused because of a conflict
	Followed  uint64 // transactions of others that it has read
	Polls     uint64 // looks at the end of the file that found something
	Syncs     uint64 // calls of fdatasync
	LockWaits uint64 // times that the commit lock was busy
	Groups    uint64 // lock holds that committed something
	End       int64  // end of the newest record applied, bytes
	Visible   int64  // end of what a View sees, bytes
	Mark      int64  // end of what is known to be durable, bytes
	Objects   uint64 // objects in the index
	LastTID   TID    // newest transaction applied, durable or not
}
