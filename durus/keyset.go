package durus

import (
	"unsafe"

	"github.com/durusdb/durus/internal/codec"
	"github.com/durusdb/durus/internal/collection"
)

// keyOrder is how the keys of a container are ordered: by a plan, in a Dict by
// the hash of what is stored first.
type keyOrder[K any] struct {
	plan   *keyPlan
	hashed bool
}

// prefix is a number whose order agrees with that of the keys.
func (o *keyOrder[K]) prefix(k *K) uint64 {
	if !o.hashed {
		return o.plan.prefix(unsafe.Pointer(k))
	}
	var buf [64]byte
	b, _ := o.plan.encode(buf[:0], unsafe.Pointer(k), untagged)
	return collection.Hash(b)
}

// untagged is the oid of a reference, whatever database it belongs to.
func untagged(raw uint64) (uint64, error) { return raw & oidMask, nil }

// compare orders two keys whose prefixes are known.
func (o *keyOrder[K]) compare(a *K, ap uint64, b *K, bp uint64) int {
	switch {
	case ap < bp:
		return -1
	case ap > bp:
		return 1
	case o.plan.exact && !o.hashed:
		return 0
	}
	return o.plan.compare(unsafe.Pointer(a), unsafe.Pointer(b))
}

// keySet is the keys of one node, for searching: beside the keys their
// prefixes, which lie together in memory, so that most steps of a search touch
// no key. Strings have theirs taken from behind what all of them begin with. It
// is immutable.
type keySet[K any] struct {
	*keyOrder[K]
	prefixes []uint64
	keys     []K
	common   string // what all keys begin with, if they are strings
}

// newKeySet decodes the n keys of a node.
func newKeySet[K any](order *keyOrder[K], n int, at func(i int) []byte, tag uint64) (*keySet[K], error) {
	s := &keySet[K]{keyOrder: order, keys: make([]K, n), prefixes: make([]uint64, n)}
	var c codec.Cursor // one for all: a plan lets it escape
	for i := range n {
		c = codec.NewCursor(at(i))
		order.plan.decode(&c, unsafe.Pointer(&s.keys[i]), tag)
		if err := c.Err(); err != nil {
			return nil, err
		}
	}
	if order.plan.text && !order.hashed {
		s.text()
		return s, nil
	}
	for i := range s.keys {
		s.prefixes[i] = order.prefix(&s.keys[i])
	}
	return s, nil
}

// str is a key that is a string.
func str[K any](k *K) string { return *(*string)(unsafe.Pointer(k)) }

func (s *keySet[K]) text() {
	n := len(s.keys)
	if n == 0 {
		return
	}
	// They are in order: what the first and the last begin with, all do.
	first, last := str(&s.keys[0]), str(&s.keys[n-1])
	i := 0
	for i < len(first) && i < len(last) && first[i] == last[i] {
		i++
	}
	s.common = first[:i]
	for i := range s.keys {
		if k := str(&s.keys[i]); len(k) >= len(s.common) { // else the node is damaged
			s.prefixes[i] = textPrefix(k[len(s.common):])
		}
	}
}

// search returns where a key is, or belongs.
func (s *keySet[K]) search(k *K) (i int, found bool) {
	var p uint64
	if s.plan.text && !s.hashed {
		t := str(k)
		if n := len(s.common); n > 0 {
			if len(t) < n || t[:n] != s.common {
				if t < s.common {
					return 0, false
				}
				return len(s.keys), false
			}
			t = t[n:]
		}
		p = textPrefix(t)
	} else {
		p = s.prefix(k)
	}
	i = s.lower(p)
	if s.plan.exact && !s.hashed {
		return i, i < len(s.prefixes) && s.prefixes[i] == p
	}
	// Keys of the same prefix: mostly one, if any.
	lo, hi := i, i
	for hi < len(s.prefixes) && s.prefixes[hi] == p {
		hi++
	}
	for lo < hi {
		mid := int(uint(lo+hi) / 2)
		switch o := s.plan.compare(unsafe.Pointer(&s.keys[mid]), unsafe.Pointer(k)); {
		case o == 0:
			return mid, true
		case o < 0:
			lo = mid + 1
		default:
			hi = mid
		}
	}
	return lo, false
}

// lower returns the first index whose prefix is at least p.
func (s *keySet[K]) lower(p uint64) int {
	// Without branches that depend on the data: the halves are taken by
	// arithmetic, which is what a search in random order needs.
	base, n := 0, len(s.prefixes)
	for n > 1 {
		half := n / 2
		if s.prefixes[base+half-1] < p {
			base += half
		}
		n -= half
	}
	if n == 1 && s.prefixes[base] < p {
		base++
	}
	return base
}

// child returns which child of an inner node a key belongs to.
func (s *keySet[K]) child(k *K) int {
	i, found := s.search(k)
	if found {
		i++
	}
	return i
}

// childBefore returns which child holds the greatest key that is smaller than k.
func (s *keySet[K]) childBefore(k *K) int {
	i, _ := s.search(k)
	return i
}

// memory is about what the keys take, in bytes.
func (s *keySet[K]) memory() int64 {
	var k K
	size := int64(len(s.keys)) * int64(unsafe.Sizeof(k)+8)
	if s.plan.text {
		for i := range s.keys {
			size += int64(len(str(&s.keys[i])))
		}
	}
	return size
}
