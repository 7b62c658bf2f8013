package filestorage

import "hash/crc32"

// seal continues a checksum over what ties bytes to their place: the salt of
// the file and a position, 8 bytes each, little-endian. So a block that was
// copied, misdirected or left over from another file does not pass. It comes
// last, not first, because the position is known only under the lock and the
// rest is summed before.
//
// The 16 bytes are looked up in 16 tables at once (slicing: Kounavis and Berry,
// A Systematic Approach to Building High Performance Software-Based CRC
// Generators, 2005), not one behind the other: it is called four times an object.
func seal(sum uint32, salt uint64, pos int64) uint32 {
	a, b := salt^uint64(^sum), uint64(pos)
	t := &sealTables
	c := t[15][byte(a)] ^ t[14][byte(a>>8)] ^ t[13][byte(a>>16)] ^ t[12][byte(a>>24)] ^
		t[11][byte(a>>32)] ^ t[10][byte(a>>40)] ^ t[9][byte(a>>48)] ^ t[8][byte(a>>56)] ^
		t[7][byte(b)] ^ t[6][byte(b>>8)] ^ t[5][byte(b>>16)] ^ t[4][byte(b>>24)] ^
		t[3][byte(b>>32)] ^ t[2][byte(b>>40)] ^ t[1][byte(b>>48)] ^ t[0][byte(b>>56)]
	return ^c
}

// sealTables[n] is what a byte does to the checksum when n zero bytes follow it.
var sealTables = func() (t [16]crc32.Table) {
	t[0] = *castagnoli
	for n := 1; n < len(t); n++ {
		for i, c := range t[n-1] {
			t[n][i] = castagnoli[byte(c)] ^ c>>8
		}
	}
	return t
}()
