// Package codec turns the Go value of an object into one msgpack value, and
// back. It is the walk over structs, slices and maps that DESIGN section 3
// asks for: one Plan per type, compiled when the type is registered, so that
// everything which cannot be stored faithfully is refused then, with the path
// of the field, and not when the first object is committed.
//
// # What is stored how
//
//	bool                      true, false
//	int*, uint*, Duration     the shortest integer that holds the value
//	float32, float64          5 and 9 bytes, the bits as they are: NaNs and -0 are kept
//	string kinds              str; not checked for UTF-8
//	[]byte, [n]byte           bin
//	slices, arrays            array; a nil slice is nil, an empty one an empty array
//	maps                      map; a nil map is nil; string keys in the order of Go strings,
//	                          all other keys in the byte order of their encoding
//	structs                   map from field name to value, in the order of declaration
//	pointers                  nil, or what they point to, stored inline
//	time.Time                 ext -1 (timestamp, nanoseconds): the instant, without zone or
//	                          monotonic clock; it comes back in UTC
//	references                ext 1 (strong), ext 2 (weak): the oid, big-endian in 4 bytes if
//	                          it is below 2^32, else in 8; a nil reference is nil
//	custom                    what CustomEncoder, Marshaler, BinaryMarshaler or TextMarshaler
//	                          write, looked for in this order as msgpack v5 does
//
// For plain types these are the bytes that msgpack v5 writes with compact
// integers and sorted map keys; a test holds that.
//
// Struct tags are those of msgpack v5: a name, "-", omitempty, alias, inline
// and noinline on embedded structs. An embedded struct is inlined; an embedded
// pointer is an ordinary field with the name of its type. Unexported fields are
// not stored. as_array and intern are refused, and so are two fields of one name.
//
// # Invariants
//
//   - Equal objects give equal bytes, whatever the iteration order of maps.
//     (A custom encoder has to keep that promise itself.)
//   - Whatever Encode wrote, Scan accepts, and Decode reads with the same type.
//   - Every reference in the payload is in Writer.Strong or Writer.Weak, also one
//     inside a field which this program does not know.
//   - Decode reads nothing that Scan has not accepted: depth, lengths and
//     the number of elements are bounded by MaxDepth and by the bytes that are
//     there. No input makes it panic, apart from a custom decoder that does.
//   - What Decode builds never shares memory with the payload, and slices have
//     no spare capacity: an append to a shared value copies.
//   - Nothing here is registered with msgpack (RegisterExt is one table for the
//     whole process): references find their Writer through Encoder.Writer and
//     their reader through Decoder.Buffered.
//
// # Unknown fields
//
// A program that was built before a field was added must not lose it. Decode
// returns what it does not know as Extra, and Encode puts it back in the place
// where it was:
//
//   - fields of the object itself,
//   - fields of structs below it, through any number of struct fields, embedded
//     structs and pointers, as long as the pointer is not nil when encoded,
//   - fields of structs that are elements of slices and arrays: by index, as
//     long as the slice still has that index. A program that reorders such a
//     slice leaves the unknown fields with the index, not with the element,
//   - fields of structs that are values of maps: by key, as long as the key
//     is there.
//
// Unknown fields of map keys cannot be kept (two keys might become one): Decode
// refuses them with storage.ErrTooNew. What a custom decoder does not read is
// its own affair. An object that was decoded and not changed encodes to the
// bytes that it was decoded from, unless the type has got new fields since.
//
// # Reading an older or newer type
//
// A missing field stays zero, and nil is the zero value of every type. Integers
// may change their size or sign as long as the stored value fits; integers
// fit floats that hold them exactly; float32 fits float64; strings and bytes
// fit each other; an array may have grown. Anything else is storage.ErrType
// with the path of the field.
//
// A Bridge takes what an older type decoded to the type that came after it; see
// durus.Upgrade.
//
// The package may import storage of this module, and msgpack.
package codec
