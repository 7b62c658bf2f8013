package storage

import "context"

// Feed is implemented by storages that hand out transactions as they become
// visible, whichever process commits them.
type Feed interface {
	// Follow returns a Cursor that stands behind the transaction after: one that
	// was seen before, by whichever process, or 0, which is before the first.
	// What is wrong with it is told by Next.
	Follow(after TID) Cursor
}

// Cursor hands out transactions in the order of their commits, each once, none
// left out. It belongs to one goroutine at a time. Between two calls it holds
// neither a state nor anything else that grows while others commit.
type Cursor interface {
	// Next returns the first visible transaction behind the one before, and waits
	// for it if need be. A pack does not disturb it.
	//
	// Errors: ErrPacked when a transaction that would come next was packed away,
	// ErrRewound when the file does not hold the transaction that the cursor
	// stands behind, or was rewound or replaced since; ErrClosed, also when the
	// storage is closed meanwhile; ctx.Err(); those of Storage.Begin. After an
	// error the cursor is where it was.
	Next(ctx context.Context) (*Written, error)

	// Close ends the cursor. It may be called again.
	Close()
}

// Written is a transaction and what it has left.
type Written struct {
	Transaction
	Positions []Position // of the records that it wrote, in the order of OIDs
	State     Snapshot   // behind it; the receiver must Release it
}
