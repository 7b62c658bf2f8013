package mem

import (
	"bytes"
	"hash/maphash"
	"math/bits"
	"slices"
	"sync/atomic"
)

// sectorSize is what a disk writes whole or not at all.
const sectorSize = 512

type sector struct {
	b [sectorSize]byte

	// hash is that of b, unhashed until somebody has asked for it. Who may
	// change b sets it back; who shares b stores what all others would.
	hash uint64 // atomic
}

const (
	unhashed = 0
	blankSum = 1 // of a sector of zeros, whether a content holds it or not
)

// zeros stands for the sectors that a content does not hold.
var zeros = sector{hash: blankSum}

// hashSeed makes hashes comparable within one program.
var hashSeed = maphash.MakeSeed()

// sum is a hash of the bytes of the sector, computed once.
func (s *sector) sum() uint64 {
	if h := atomic.LoadUint64(&s.hash); h != unhashed {
		return h
	}
	h := uint64(blankSum)
	if !blank(s.b[:]) {
		h = max(maphash.Bytes(hashSeed, s.b[:]), blankSum+1)
	}
	atomic.StoreUint64(&s.hash, h)
	return h
}

// content is the bytes of a file as a table of sectors. Copies share sectors
// and table until one of them writes, so that thousands of crash images of one
// disk cost little more than the sectors in which they differ.
//
// Invariants: len(tab) is sectors(size); a nil sector is zeros; the bytes of
// the last sector beyond size are zeros.
type content struct {
	size   int64
	tab    []*sector
	own    []bool // of the same length as tab unless shared: this sector is in no other content
	shared bool   // tab may be in another content: nothing of it may change, and own is nil
}

// sectors is how many sectors size bytes need.
func sectors(size int64) int { return int((size + sectorSize - 1) / sectorSize) }

// freeze declares all that c holds shared. A frozen content may be copied by
// assignment, by many goroutines at once.
func (c *content) freeze() {
	if !c.shared {
		c.shared, c.own = true, nil
	}
}

// clone returns a copy that shares everything with c.
func (c *content) clone() content {
	c.freeze()
	return *c
}

// unshare gives c a table of its own; the sectors stay shared.
func (c *content) unshare() {
	if c.shared {
		c.tab = slices.Clone(c.tab)
		c.own = make([]bool, len(c.tab))
		c.shared = false
	}
}

// at returns the sector number i for reading.
func (c *content) at(i int) *sector {
	if i < len(c.tab) && c.tab[i] != nil {
		return c.tab[i]
	}
	return &zeros
}

// readAt copies bytes from off and returns how many there were.
func (c *content) readAt(p []byte, off int64) int {
	if off >= c.size {
		return 0
	}
	p = p[:min(int64(len(p)), c.size-off)]
	for n := 0; n < len(p); {
		at := off + int64(n)
		n += copy(p[n:], c.at(int(at / sectorSize)).b[at%sectorSize:])
	}
	return len(p)
}

// sum returns a hash of size and bytes. It costs little when most sectors were
// hashed before, in this or another content.
func (c *content) sum() uint64 {
	h := uint64(c.size)
	for i := range c.tab {
		h = mix(h, c.at(i).sum())
	}
	return h
}

// mix takes one more number into a hash; their order counts.
func mix(h, x uint64) uint64 {
	return bits.RotateLeft64((h^x)*0x9e3779b97f4a7c15, 29) ^ x
}

// bytes returns a copy of everything.
func (c *content) bytes() []byte {
	b := make([]byte, c.size)
	c.readAt(b, 0)
	return b
}

// writeAt puts p at off, growing the content where it must.
func (c *content) writeAt(p []byte, off int64) {
	if len(p) == 0 {
		return
	}
	end := off + int64(len(p))
	if end > c.size {
		c.resize(end)
	}
	c.unshare()
	first, last := int(off/sectorSize), int((end-1)/sectorSize)
	fresh := 0
	for i := first; i <= last; i++ {
		if !c.own[i] {
			fresh++
		}
	}
	slab := make([]sector, fresh) // one allocation for all: they were written together
	for i := first; i <= last; i++ {
		if !c.own[i] {
			s := &slab[0]
			slab = slab[1:]
			if c.tab[i] != nil {
				s.b = c.tab[i].b
			}
			c.tab[i], c.own[i] = s, true
		}
		s := c.tab[i]
		atomic.StoreUint64(&s.hash, unhashed)
		n := copy(s.b[off%sectorSize:], p)
		p, off = p[n:], off+int64(n)
	}
}

// blank reports whether b is all zeros.
func blank(b []byte) bool { return bytes.Equal(b, zeros.b[:len(b)]) }

// resize cuts the content, or lets it grow by zeros.
func (c *content) resize(size int64) {
	n := sectors(size)
	if n != len(c.tab) {
		c.unshare()
		if n > len(c.tab) {
			more := n - len(c.tab)
			c.tab = append(c.tab, make([]*sector, more)...)
			c.own = append(c.own, make([]bool, more)...)
		} else {
			c.tab = slices.Delete(c.tab, n, len(c.tab))
			c.own = c.own[:n]
		}
	}
	if size < c.size && size%sectorSize != 0 {
		if s := c.tab[n-1]; s != nil && !blank(s.b[size%sectorSize:]) {
			kept := new(sector)
			copy(kept.b[:], s.b[:size%sectorSize])
			c.unshare()
			c.tab[n-1], c.own[n-1] = kept, true
		}
	}
	c.size = size
}
