package filestorage

import (
	"encoding/binary"
	"hash/crc32"
	"testing"

	"pgregory.net/rapid"
)

// seal is what package crc32 says of the same bytes.
func TestSeal(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		data := rapid.SliceOf(rapid.Byte()).Draw(t, "data")
		salt, pos := rapid.Uint64().Draw(t, "salt"), rapid.Int64().Draw(t, "pos")
		b := binary.LittleEndian.AppendUint64(nil, salt)
		b = binary.LittleEndian.AppendUint64(b, uint64(pos))
		sum := crc32.Checksum(data, castagnoli)
		if got, want := seal(sum, salt, pos), crc32.Update(sum, castagnoli, b); got != want {
			t.Fatalf("%08x, want %08x", got, want)
		}
	})
}
