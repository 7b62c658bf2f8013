package pack

import (
	"time"

	"github.com/durusdb/durus/storage"
)

// Options of a pack. The zero value keeps the newest state and no history.
type Options struct {
	// Keep retains the transactions younger than this, and the state before
	// the oldest of them. 0: see KeepFrom.
	Keep time.Duration

	// KeepFrom retains this transaction and those after it, and the state
	// before them. It goes before Keep. 0: no history. What an earlier pack has
	// removed does not come back.
	KeepFrom storage.TID

	// DryRun writes nothing and tells in the Report what a pack would have done.
	DryRun bool

	// BytesPerSecond bounds how fast the new file is written; 0 is no bound.
	BytesPerSecond int64

	// Progress, if not nil, is called now and then, on the goroutine of the
	// pack. It must not call the database.
	Progress func(Progress)
}

// Phase is what a pack is at.
type Phase string

// The phases, in order.
const (
	Copying    Phase = "copy"     // objects that can be reached are copied
	CatchingUp Phase = "catch up" // and what others commit meanwhile
	Swapping   Phase = "swap"     // the new file takes the old one's place
	Counting   Phase = "count"    // what was dropped is counted for the report
)

// Progress tells how far a pack is.
type Progress struct {
	Phase   Phase
	Objects uint64 // copied so far
	Written int64  // size of the new file so far, bytes
	Before  int64  // size of the old one, bytes: the new one will not be greater by much
}

// Report says what a pack has done, or, after a dry run, would have done.
type Report struct {
	DryRun  bool
	Nothing bool        // there was nothing to do: the file is packed already
	Horizon storage.TID // history before it is gone

	Kept    Count // objects in the new file; bytes of all records copied, revisions included
	Dropped Count // objects that nothing refers to; bytes of their newest records
	Classes []Class

	Transactions int   // after the horizon, kept whole
	Before       int64 // size of the file, bytes
	After        int64

	// Dangling references were found in the file: they lead to no object. They
	// are kept as they are. At most MaxDangling are listed.
	Dangling      []Dangling
	DanglingTotal uint64

	Took time.Duration // all of it
	Lock time.Duration // longest time for which commits of others had to wait
}

// Count is a number of objects and their size.
type Count struct {
	Objects uint64
	Bytes   int64
}

// Class is the part of a class.
type Class struct {
	Name          string
	Kept, Dropped Count
}

// Dangling is a reference that leads nowhere.
type Dangling struct{ From, To storage.OID }

// MaxDangling bounds Report.Dangling.
const MaxDangling = 100
