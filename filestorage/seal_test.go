package filestorage

import (
	"encoding/binary"
	"hash/crc32"
	"math/rand/v2"
	"testing"
)

// TestSealContinuesAChecksum: it is what the library computes over the bytes.
func TestSealContinuesAChecksum(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 10_000 {
		sum, salt, pos := r.Uint32(), r.Uint64()>>r.IntN(64), int64(r.Uint64()>>(1+r.IntN(63)))
		b := binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(nil, salt), uint64(pos))
		if got, want := seal(sum, salt, pos), crc32.Update(sum, castagnoli, b); got != want {
			t.Fatalf("seal(%#x, %#x, %#x) = %#x, want %#x", sum, salt, pos, got, want)
		}
	}
}

func BenchmarkSeal(b *testing.B) {
	sum := uint32(1)
	for i := range b.N {
		sum = seal(sum, 0x1234567890abcdef, int64(i)*100)
	}
	sealed = sum
}

var sealed uint32
