package durus

// sorted keeps entries in order: blocks of some hundred entries, found by
// binary search. It is the memory of what a transaction has changed in a
// container: entries come in any order, mostly few of them, now and then a
// million that are sorted already.
type sorted[E any] struct {
	blocks [][]E // none is empty
	n      int
}

const blockSize = 256

// at is the place of an entry; the end is {len(blocks), 0}.
type at struct{ block, i int }

// search returns where the first entry is for which less is false; less must be
// true for all entries before some place, and false from there on.
func (s *sorted[E]) search(less func(*E) bool) at {
	lo, hi := 0, len(s.blocks)
	for lo < hi {
		mid := int(uint(lo+hi) / 2)
		if b := s.blocks[mid]; less(&b[len(b)-1]) {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	if lo == len(s.blocks) {
		return at{lo, 0}
	}
	b := s.blocks[lo]
	i, j := 0, len(b)
	for i < j {
		mid := int(uint(i+j) / 2)
		if less(&b[mid]) {
			i = mid + 1
		} else {
			j = mid
		}
	}
	return at{lo, i}
}

// get returns the entry at a place, nil at the end.
func (s *sorted[E]) get(p at) *E {
	if p.block >= len(s.blocks) {
		return nil
	}
	return &s.blocks[p.block][p.i]
}

// before returns the place before; ok is false at the beginning.
func (s *sorted[E]) before(p at) (_ at, ok bool) {
	switch {
	case p.i > 0:
		return at{p.block, p.i - 1}, true
	case p.block > 0:
		return at{p.block - 1, len(s.blocks[p.block-1]) - 1}, true
	}
	return at{}, false
}

// insert puts an entry at a place that search returned. Pointers into the
// entries are void afterwards.
func (s *sorted[E]) insert(p at, e E) {
	s.n++
	if p.block == len(s.blocks) {
		// Behind all others: a block is filled before the next one begins.
		if p.block > 0 && len(s.blocks[p.block-1]) < blockSize {
			s.blocks[p.block-1] = append(s.blocks[p.block-1], e)
			return
		}
		s.blocks = append(s.blocks, append(make([]E, 0, 4), e))
		return
	}
	b := s.blocks[p.block]
	if len(b) >= blockSize {
		half := append(make([]E, 0, blockSize), b[blockSize/2:]...)
		clear(b[blockSize/2:])
		s.blocks[p.block] = b[:blockSize/2]
		s.blocks = append(s.blocks, nil)
		copy(s.blocks[p.block+2:], s.blocks[p.block+1:])
		s.blocks[p.block+1] = half
		if p.i > blockSize/2 {
			p.block, p.i = p.block+1, p.i-blockSize/2
		}
		b = s.blocks[p.block]
	}
	var zero E
	b = append(b, zero)
	copy(b[p.i+1:], b[p.i:])
	b[p.i] = e
	s.blocks[p.block] = b
}

// remove takes the entry at a place out.
func (s *sorted[E]) remove(p at) {
	s.n--
	b := s.blocks[p.block]
	copy(b[p.i:], b[p.i+1:])
	var zero E
	b[len(b)-1] = zero
	if b = b[:len(b)-1]; len(b) > 0 {
		s.blocks[p.block] = b
		return
	}
	copy(s.blocks[p.block:], s.blocks[p.block+1:])
	s.blocks[len(s.blocks)-1] = nil
	s.blocks = s.blocks[:len(s.blocks)-1]
}

// each calls f for all entries in order.
func (s *sorted[E]) each(f func(*E) error) error {
	for _, b := range s.blocks {
		for i := range b {
			if err := f(&b[i]); err != nil {
				return err
			}
		}
	}
	return nil
}
