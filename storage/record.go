package storage

import "time"

// ClassID is the number that a database gave to a class name. Number 0 is no
// class.
type ClassID uint32

// Codec says how a payload is encoded.
type Codec uint8

// CodecMsgpack is one msgpack value. Numbers are part of the file format.
const CodecMsgpack Codec = 1

// Position is the place of a record in a record file. It identifies one
// revision of one object, within one Lineage (see Snapshot). 0 is none.
type Position int64

// Place tells where the state of an object is: at a Position of a snapshot.
type Place struct {
	OID      OID
	Position Position
}

// Record is one revision of one object. Everything outside the payload can be
// used without knowing the class or decoding anything.
type Record struct {
	OID     OID
	Class   ClassID
	Codec   Codec
	Payload []byte
	Strong  []OID    // objects that the payload refers to, and keeps alive
	Weak    []OID    // objects that the payload refers to weakly
	Prev    Position // the same object's revision before; filled in by the storage
}

// Transaction describes a committed transaction.
type Transaction struct {
	TID  TID
	Time time.Time // of its commit; never earlier than the transaction before it
	Meta
	OIDs []OID // of the objects that it wrote
}
