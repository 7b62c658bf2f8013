package oo7

import "math/bits"

// Census describes the whole content of a database, so that databases can be
// compared with each other, and both ends of each reference within one.
type Census struct {
	Complex, Bases, Comps, Documents, Parts int
	Conns, ConnsBack                        Pairs // (from, to) as the parts' to and from lists have them
	Private, PrivateBack                    Pairs // (base assembly, composite part) from both sides
	Shared, SharedBack                      Pairs
	Values                                  Pairs // ids, build dates, x and y of the parts
	DateIndex, DateValues                   Pairs // (date, part), in the index and in the parts
	Text                                    Pairs // (id, length) of the documents
}

// Pairs is a bag of pairs of numbers: how many, and a sum over their hashes.
type Pairs struct {
	N   int
	Sum uint64
}

// Add adds a pair.
func (p *Pairs) Add(a, b int) {
	hi, lo := bits.Mul64(uint64(a)*0x9E3779B97F4A7C15+1, uint64(b)*0xC2B2AE3D27D4EB4F+7)
	p.N++
	p.Sum += bits.RotateLeft64(hi^lo, 23) * 0x165667B19E3779F9
}

// Part adds the values of an atomic part.
func (c *Census) Part(id, x, y, date int) {
	c.Parts++
	c.Values.Add(id, x)
	c.Values.Add(-id, y)
	c.Values.Add(date, id)
	c.DateValues.Add(date, id)
}

// Consistent tells whether the two ends of all references, and the indexes and
// what they index, agree.
func (c *Census) Consistent() bool {
	return c.Conns == c.ConnsBack && c.Private == c.PrivateBack && c.Shared == c.SharedBack &&
		c.DateIndex == c.DateValues && c.Documents == c.Comps
}
