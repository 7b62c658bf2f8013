package pack

import (
	"math/bits"

	"github.com/durusdb/durus/storage"
)

// bitmap holds a bit for each object id, in pages that come into being when the
// first bit of them is set: ids are dense where there are many of them, and a
// hostile file may name id 2^47.
type bitmap struct {
	pages map[uint64]*bitPage
	last  uint64 // page that was used last
	page  *bitPage
}

const bitPageBits = 15 // 4 KiB

type bitPage [1 << (bitPageBits - 6)]uint64

func (b *bitmap) find(oid storage.OID, add bool) *bitPage {
	n := uint64(oid) >> bitPageBits
	if b.page != nil && b.last == n {
		return b.page
	}
	p := b.pages[n]
	if p == nil {
		if !add {
			return nil
		}
		if b.pages == nil {
			b.pages = make(map[uint64]*bitPage)
		}
		p = new(bitPage)
		b.pages[n] = p
	}
	b.last, b.page = n, p
	return p
}

// set sets a bit and reports whether it was set before.
func (b *bitmap) set(oid storage.OID) (was bool) {
	p := b.find(oid, true)
	i := uint64(oid) & (1<<bitPageBits - 1)
	was = p[i/64]>>(i%64)&1 != 0
	p[i/64] |= 1 << (i % 64)
	return was
}

// any returns some bit that is set, and clears it.
func (b *bitmap) any() (storage.OID, bool) {
	for n, p := range b.pages {
		for i, word := range p {
			if word != 0 {
				oid := storage.OID(n<<bitPageBits | uint64(i*64+bits.TrailingZeros64(word)))
				p[i] &^= word & -word
				return oid, true
			}
		}
		delete(b.pages, n)
		if b.page == p {
			b.page = nil
		}
	}
	return 0, false
}
