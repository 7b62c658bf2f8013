package storage

import (
	"context"
	"errors"
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
	// Records and nothing Spilled it waits until all that Base holds is durable and returns
	// Base.TID(). ctx counts until the records are appended, not after.
	Commit(ctx context.Context, c *Commit) (TID, error)

	// Hold takes the commit lock of all processes for a transaction that has
	// lost too often. Pass the Hold in Commit.Hold. The lock may be given
	// back at any time before, and is, after limit. Release is idempotent.
	Hold(ctx context.Context, limit time.Duration) (Hold, error)

	// NewOID returns an object id that nobody else has had or will get.
	NewOID(ctx context.Context) (OID, error)

	// ClassID returns the number of a class, in the spelling of ClassName, and
	// gives it one if it has none yet. Snapshot.ClassName is the way back.
	ClassID(ctx context.Context, name string) (ClassID, error)

	// Sync returns when everything that this handle knows to be appended is durable.
	Sync(ctx context.Context) error

	// LastTID is the newest visible transaction, freshly polled.
	LastTID() (TID, error)

	// Committed tells, after an *UnknownOutcomeError, whether the transaction
	// is durably part of the database. It settles the question first.
	Committed(tid TID) (bool, error)

	// Transactions yields the visible transactions from <= TID <= to, oldest
	// first; from 0 is the oldest that there is. An error ends the sequence:
	// ErrPacked when from is one that was packed away.
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

	// WrittenBy returns the transaction that wrote the record at a position that
	// Find returned. Errors are those of Read.
	WrittenBy(oid OID, pos Position) (TID, error)
	// Objects yields the objects of the snapshot from oid from on, in the order
	// of their ids, whether anything refers to them or not. It takes no lock,
	// keeps nothing in memory in proportion to the database, and reads no
	// records as long as nobody has changed them meanwhile. An error ends the
	// sequence; the Place that comes with it names the object that it is
	// about, so that a tool may begin again behind it.
	Objects(from OID) iter.Seq2[Place, error]

	// Class returns the class of the record at a position that Find or Objects
	// returned, without reading its payload. Errors are those of Read.
	Class(oid OID, pos Position) (ClassID, error)

	// Prefetch says that the records at these positions, which Find returned,
	// will be read soon. It does not wait; it may sort the slice.
	Prefetch(positions []Position)

	// ClassName is the class of a record of this snapshot's lineage, in the
	// spelling that SplitClass reads; ok is false for a number that the file
	// does not know.
	ClassName(id ClassID) (spelling string, ok bool)

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
	Reads   ReadSet  // what it depends on, what it writes included; nil: only what it writes. May be a Rebaser
	Records []Record // new states; Prev is ignored
	Spilled Spilled  // more of them, which are not in memory; nil: none
	Meta    Meta
	Hold    Hold // nil, or what Storage.Hold returned; given back once the records are appended

	// Placed, unless it is nil, is told before Commit succeeds where the records
	// are: of an object that the transaction wrote position returns the Position
	// within the lineage, 0 of any other. Both are valid only during the call. A
	// storage need not call it.
	Placed func(lineage uint64, position func(OID) Position)
}

// ReadSet tells what a transaction depends on. It is asked on another
// goroutine while Commit runs, so nothing may change it meanwhile, and under a
// lock of the storage, so it must not call the storage.
type ReadSet interface {
	// Depends reports whether the transaction depends on the state of oid
	// that the record at position newer replaces.
	Depends(oid OID, newer Position) bool
}

// Rebaser is a ReadSet of a transaction that can be carried over to a newer
// state: some of its records were built from others (the nodes of a container),
// and are built again when those have changed, instead of a conflict.
type Rebaser interface {
	ReadSet
	// Stale reports whether Depends was asked, since the last Rebase, about a
	// record that the transaction's own ones were built from.
	Stale() bool
	// Rebase returns the records to commit in place of those before, built for
	// now. It is called when Stale is true and Depends has been asked about
	// every record up to now. With locked the commit lock is held: then it reads
	// from now and calls nothing else, neither this storage nor code of the
	// program; it returns ErrSendBack if it has to, and is called again without
	// the lock. Other errors end the commit: *ConflictError when the transaction
	// cannot be carried over.
	Rebase(now Snapshot, locked bool) ([]Record, error)
}

// ErrSendBack is what Rebaser.Rebase returns under the lock when it needs more
// than it may do there.
var ErrSendBack = errors.New("durus: not under the commit lock")

// OIDSet is a ReadSet of objects that were all read at Commit.Base.
type OIDSet map[OID]struct{}

// Depends implements ReadSet.
func (s OIDSet) Depends(oid OID, _ Position) bool { _, ok := s[oid]; return ok }

// Hold is the commit lock, held as a courtesy.
type Hold interface{ Release() }

// Stats counts what a handle has done since it was opened.
type Stats struct {
	Commits    uint64        // transactions committed by this handle
	Conflicts  uint64        // commits refused because of a conflict
	Followed   uint64        // transactions of others that it has read
	Polls      uint64        // looks at the end of the file that found something
	Syncs      uint64        // calls of fdatasync
	LockWaits  uint64        // times that the commit lock was busy
	LockWaited time.Duration // how long it has waited for the lock then, in all
	Groups     uint64        // lock holds that committed something
	Appended   uint64        // bytes that it has appended
	End        int64         // end of the newest record applied, bytes
	Visible    int64         // end of what a View sees, bytes
	Mark       int64         // end of what is known to be durable, bytes
	Objects    uint64        // objects in the index
	LastTID    TID           // newest transaction applied, durable or not
}
