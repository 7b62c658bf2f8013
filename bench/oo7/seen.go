package oo7

// Seen is the set of what one visit of a composite part has met, of small
// numbers. Its zero value is empty.
type Seen struct {
	marks []uint32 // by number: the visit that met it last
	visit uint32
}

// Clear begins a visit.
func (s *Seen) Clear() { s.visit++ }

// Add tells whether n is new.
func (s *Seen) Add(n int) bool {
	if n >= len(s.marks) {
		s.marks = append(s.marks, make([]uint32, n+1-len(s.marks)+len(s.marks)/2)...)
	}
	if s.marks[n] == s.visit {
		return false
	}
	s.marks[n] = s.visit
	return true
}
