package storage

import (
	"context"
	"iter"
	"time"
)

// Historian is implemented by storages that keep what was replaced, so that
// states of the past can be read. How far back they go is theirs to decide: what
// a pack has removed is ErrPacked.
type Historian interface {
	// BeginAt returns the state as of the newest visible transaction whose id
	// is tid or less; Snapshot.TID tells which that is. With 0 it is the state
	// before the first transaction. The caller must Release it.
	//
	// Errors: ErrPacked when that state was packed away, ErrNotFound when tid
	// is beyond the newest visible transaction, and those of Storage.Begin.
	BeginAt(ctx context.Context, tid TID) (Snapshot, error)

	// TIDAt returns the newest visible transaction that was committed at t or
	// before, to the microsecond; 0 if all are younger. What is committed at
	// the moment of the call may still get a time before it.
	//
	// Errors: ErrPacked when the state of that moment was packed away,
	// ErrNotFound when t lies in the future, and those of Storage.Begin.
	TIDAt(ctx context.Context, t time.Time) (TID, error)

	// Revisions yields the states of an object that the snapshot holds, the
	// newest first, as far back as the storage goes. The error that ends the
	// sequence is ErrNotFound when there is no such object. The snapshot must
	// be of this handle.
	Revisions(snap Snapshot, oid OID) iter.Seq2[Revision, error]
}

// Revision is one state that an object has had.
type Revision struct {
	Transaction // that wrote it; OIDs are left out, and Meta where a pack has removed it

	Position Position // where Snapshot.Read finds it
	Class    ClassID
	Size     int64 // as stored, bytes, references and administration included
}
