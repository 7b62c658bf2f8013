package filestorage

import (
	"math/bits"
	"sync"
)

// hashes is a set of states that need not be looked at again. It takes about 13
// bytes for each, and forgets when it has grown to half a gigabyte: what it
// has forgotten is tried once more. Many goroutines may use it.
type hashes struct {
	parts [64]hashPart
}

// hashPart is an open hash table: the hashes are their own hashes.
type hashPart struct {
	mu    sync.Mutex // guards all
	slots []uint64   // 0 is free; the length is a power of two
	used  int
}

const maxHashSlots = 1 << 20 // in one part

// add puts h into the set. It returns false if it was there.
func (s *hashes) add(h uint64) bool {
	h = max(h, 1)
	p := &s.parts[h>>58]
	p.mu.Lock()
	defer p.mu.Unlock()
	if 4*p.used >= 3*len(p.slots) {
		p.grow()
	}
	if !p.put(h) {
		return false
	}
	p.used++
	return true
}

func (p *hashPart) put(h uint64) bool {
	for i := int(h); ; i++ {
		switch slot := &p.slots[i&(len(p.slots)-1)]; *slot {
		case 0:
			*slot = h
			return true
		case h:
			return false
		}
	}
}

func (p *hashPart) grow() {
	old := p.slots
	if len(old) == maxHashSlots {
		clear(old)
		p.used = 0
		return
	}
	p.slots = make([]uint64, max(64, 2*len(old)))
	for _, h := range old {
		if h != 0 {
			p.put(h)
		}
	}
}

// mixed makes one hash of several, whose order counts.
func mixed(hs ...uint64) (h uint64) {
	for _, x := range hs {
		h = bits.RotateLeft64((h^x)*0x9e3779b97f4a7c15, 29) ^ x
	}
	return h
}
