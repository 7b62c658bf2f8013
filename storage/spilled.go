package storage

// Spilled are records of a transaction that are not in memory: it has put them
// aside (spilled them), because there are too many. A storage appends them
// piece by piece.
//
// The storage asks on another goroutine while Commit runs, and under a lock, so
// nothing may change meanwhile, and an implementation must not call the
// storage.
type Spilled interface {
	// Len is how many records there are.
	Len() int

	// Record returns the nth, 0 <= n < Len, without its payload. They are in
	// the order of their object ids, each object once, and none of them is in
	// Commit.Records. The slices are valid until the next call and are not
	// changed.
	Record(n int) SpilledRecord

	// ReadPayload fills p with the payload of the nth record; len(p) is its
	// Size.
	ReadPayload(n int, p []byte) error
}

// SpilledRecord is a record whose payload lies elsewhere.
type SpilledRecord struct {
	OID    OID
	Class  ClassID
	Codec  Codec
	Size   int    // of the payload, bytes
	Sum    uint32 // CRC-32C of the payload, to find out whether it came back whole
	Strong []OID  // as in Record
	Weak   []OID
}
