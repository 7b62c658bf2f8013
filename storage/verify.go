package storage

import "fmt"

// Problem is something wrong in a database.
type Problem struct {
	Offset int64  // in the file, bytes; 0 if it is not about a place
	OID    OID    // of the object it concerns, 0 if none
	Reason string // in words
}

func (p Problem) String() string {
	if p.OID != 0 {
		return fmt.Sprintf("byte %d, object %s: %s", p.Offset, p.OID, p.Reason)
	}
	return fmt.Sprintf("byte %d: %s", p.Offset, p.Reason)
}

// VerifyReport is what a verification of a whole database has found.
type VerifyReport struct {
	Size         int64  // of the file, bytes
	End          int64  // of the last valid frame
	Tail         int64  // bytes behind it: an interrupted commit, no problem
	Frames       uint64 // valid ones
	Transactions uint64
	Records      uint64
	Objects      uint64
	Containers   uint64    // trees and lists, where they were checked
	Live         int64     // bytes of the newest records
	Problems     []Problem // at most a thousand
	More         uint64    // problems beyond those
}

const maxProblems = 1000

// OK reports whether nothing is wrong.
func (r *VerifyReport) OK() bool { return len(r.Problems) == 0 }

// Add adds a problem, or counts it if there are too many.
func (r *VerifyReport) Add(p Problem) {
	if len(r.Problems) == maxProblems {
		r.More++
		return
	}
	r.Problems = append(r.Problems, p)
}
