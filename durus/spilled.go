package durus

import (
	"bytes"
	"cmp"
	"context"
	"hash/crc32"
	"slices"

	"github.com/durusdb/durus/internal/codec"
	"github.com/durusdb/durus/storage"
)

// spilled are the encoded states of a transaction's objects that were put
// aside: those that memory is too small for, and those of savepoints. About 50
// bytes of each, and 8 for each reference, stay in memory.
//
// An item never changes. current tells of which object it is the state now: an
// object is there or has its *edited in core.used, never both.
type spilled struct {
	file    *spill
	items   [][]item // pieces of itemPiece
	count   int
	refs    [][]OID // pieces that items' references are in
	current map[OID]uint32
	types   []*typeInfo // classes of items
	classOf map[*typeInfo]uint16

	// journal is what current was before each of its changes, as long as
	// there are savepoints that may want it back.
	journal []spilledChange
	keeping bool

	reached []uint32 // items to store; see core.records
}

// item is the state of an object.
type item struct {
	oid    OID
	off    int64  // of the payload in the file
	refs   uint32 // piece of spilled.refs
	refsAt uint32 // in it
	size   uint32 // of the payload, bytes
	strong uint32
	weak   uint32
	sum    uint32 // CRC-32C of the payload
	round  uint32 // the last round of encoding that reached it
	class  uint16
	fresh  bool // the object is new
	same   bool // as the file has it: nothing to store
}

type spilledChange struct {
	oid OID
	was uint32
	had bool
}

const (
	itemPiece = 4096
	refPiece  = 4096
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func newSpilled(db *DB) *spilled {
	return &spilled{file: newSpill(db), current: map[OID]uint32{}, classOf: map[*typeInfo]uint16{}}
}

func (s *spilled) at(n uint32) *item { return &s.items[n/itemPiece][n%itemPiece] }

// add puts a state aside and returns its number.
func (s *spilled) add(e *edited, payload []byte, strong, weak []uint64) uint32 {
	class, ok := s.classOf[e.info]
	if !ok {
		class = uint16(len(s.types))
		s.types = append(s.types, e.info)
		s.classOf[e.info] = class
	}
	it := item{
		oid: e.oid, off: s.file.put(payload), size: uint32(len(payload)), strong: uint32(len(strong)), weak: uint32(len(weak)),
		sum: crc32.Checksum(payload, castagnoli), class: class, fresh: e.fresh, same: !e.fresh && bytes.Equal(payload, e.base),
	}
	if n := len(strong) + len(weak); n > 0 {
		last := len(s.refs) - 1
		if last < 0 || cap(s.refs[last])-len(s.refs[last]) < n {
			s.refs = append(s.refs, make([]OID, 0, max(n, refPiece)))
			last++
		}
		it.refs, it.refsAt = uint32(last), uint32(len(s.refs[last]))
		for _, oid := range strong {
			s.refs[last] = append(s.refs[last], OID(oid))
		}
		for _, oid := range weak {
			s.refs[last] = append(s.refs[last], OID(oid))
		}
	}
	if s.count%itemPiece == 0 {
		s.items = append(s.items, make([]item, 0, itemPiece))
	}
	last := len(s.items) - 1
	s.items[last] = append(s.items[last], it)
	s.count++
	return uint32(s.count - 1)
}

// holds tells whether item n is this state already.
func (s *spilled) holds(n uint32, payload []byte) bool {
	it := s.at(n)
	if int(it.size) != len(payload) || it.sum != crc32.Checksum(payload, castagnoli) {
		return false
	}
	old, err := s.payload(n)
	return err == nil && bytes.Equal(old, payload)
}

func (s *spilled) payload(n uint32) ([]byte, error) {
	it := s.at(n)
	p := make([]byte, it.size)
	return p, s.file.read(p, it.off)
}

// references of an item, not to be changed.
func (s *spilled) references(it *item) (strong, weak []OID) {
	if it.strong+it.weak == 0 {
		return nil, nil
	}
	all := s.refs[it.refs][it.refsAt:][:it.strong+it.weak]
	return all[:it.strong:it.strong], all[it.strong:]
}

// lookup returns the state of an object that was put aside.
func (s *spilled) lookup(oid OID) (n uint32, ok bool) {
	if s == nil {
		return 0, false
	}
	n, ok = s.current[oid]
	return n, ok
}

// set makes item n the state of its object.
func (s *spilled) set(oid OID, n uint32) {
	s.note(oid)
	s.current[oid] = n
}

// remove takes an object out: it is in memory again.
func (s *spilled) remove(oid OID) {
	s.note(oid)
	delete(s.current, oid)
}

func (s *spilled) note(oid OID) {
	if s.keeping {
		was, had := s.current[oid]
		s.journal = append(s.journal, spilledChange{oid, was, had})
	}
}

// spilledMark is a moment to go back to.
type spilledMark struct {
	items      int
	file       int64
	refs, last int // pieces of references, and the length of the last one
	journal    int
}

func (s *spilled) mark() spilledMark {
	m := spilledMark{items: s.count, file: s.file.end(), refs: len(s.refs), journal: len(s.journal)}
	if m.refs > 0 {
		m.last = len(s.refs[m.refs-1])
	}
	return m
}

// back makes current what it was.
func (s *spilled) back(m spilledMark) {
	for i := len(s.journal) - 1; i >= m.journal; i-- {
		if c := s.journal[i]; c.had {
			s.current[c.oid] = c.was
		} else {
			delete(s.current, c.oid)
		}
	}
	s.journal = s.journal[:m.journal]
}

// cut forgets the items that came since, to which nothing leads any more.
func (s *spilled) cut(m spilledMark) {
	s.count = m.items
	s.items = s.items[:(m.items+itemPiece-1)/itemPiece]
	if n := m.items % itemPiece; n > 0 {
		s.items[len(s.items)-1] = s.items[len(s.items)-1][:n]
	}
	s.refs = s.refs[:m.refs]
	if m.refs > 0 {
		s.refs[m.refs-1] = s.refs[m.refs-1][:m.last]
	}
	s.file.cut(m.file)
}

// begin makes ready for collecting what is to be stored: the objects that were
// there before, as far as they have changed.
func (s *spilled) begin(round int) {
	if s == nil {
		return
	}
	s.reached = s.reached[:0]
	for _, n := range s.current {
		if it := s.at(n); !it.fresh && !it.same {
			it.round = uint32(round)
			s.reached = append(s.reached, n)
		}
	}
}

// reach notes that something that is stored refers to an object.
func (s *spilled) reach(oid OID, round int) {
	n, ok := s.lookup(oid)
	if !ok {
		return
	}
	if it := s.at(n); it.fresh && it.round != uint32(round) {
		it.round = uint32(round)
		s.reached = append(s.reached, n)
	}
}

// strongOf returns the references of the nth item that was reached, if there
// are so many.
func (s *spilled) strongOf(n int) (strong []OID, ok bool) {
	if s == nil || n >= len(s.reached) {
		return nil, false
	}
	strong, _ = s.references(s.at(s.reached[n]))
	return strong, true
}

// toStore returns what was reached for the storage; nil for nothing.
func (s *spilled) toStore(ctx context.Context, c *core) (storage.Spilled, error) {
	if s == nil || len(s.reached) == 0 {
		return nil, nil
	}
	// What an encoder of the program's has fetched back is among the others.
	s.reached = slices.DeleteFunc(s.reached, func(n uint32) bool {
		now, ok := s.current[s.at(n).oid]
		return !ok || now != n
	})
	slices.SortFunc(s.reached, func(a, b uint32) int { return cmp.Compare(s.at(a).oid, s.at(b).oid) })
	out := &spilledRecords{s: s, classes: make([]storage.ClassID, len(s.types))}
	for _, n := range s.reached {
		class := s.at(n).class
		if out.classes[class] != 0 {
			continue
		}
		var err error
		if out.classes[class], err = c.storedClass(ctx, &edited{info: s.types[class]}); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// spilledRecords are the items that were reached, as a storage.Spilled.
type spilledRecords struct {
	s       *spilled
	classes []storage.ClassID
	ahead   []byte // what was read of the file in one go
	from    int64  // where that is
	next    int64  // where the item after the last one begins
}

// Len implements storage.Spilled.
func (r *spilledRecords) Len() int { return len(r.s.reached) }

// Record implements storage.Spilled.
func (r *spilledRecords) Record(n int) storage.SpilledRecord {
	it := r.s.at(r.s.reached[n])
	strong, weak := r.s.references(it)
	return storage.SpilledRecord{
		OID: it.oid, Class: r.classes[it.class], Codec: storage.CodecMsgpack, Size: int(it.size), Sum: it.sum, Strong: strong, Weak: weak,
	}
}

// readAhead is how much is read at once when objects are read in the order in
// which they were put aside, which is the usual one.
const readAhead = 256 << 10

// ReadPayload implements storage.Spilled.
func (r *spilledRecords) ReadPayload(n int, p []byte) error {
	it := r.s.at(r.s.reached[n])
	file := r.s.file
	at := it.off - r.from
	if at >= 0 && at+int64(len(p)) <= int64(len(r.ahead)) {
		r.next = it.off + int64(len(p))
		copy(p, r.ahead[at:])
		return nil
	}
	inOrder := it.off == r.next
	r.next = it.off + int64(len(p))
	if !inOrder || it.off >= file.inFile || len(p) >= readAhead {
		return file.read(p, it.off)
	}
	size := min(readAhead, file.inFile-it.off)
	if int64(cap(r.ahead)) < size {
		r.ahead = make([]byte, readAhead)
	}
	r.ahead, r.from = r.ahead[:size], it.off
	if err := file.read(r.ahead, r.from); err != nil {
		r.ahead = r.ahead[:0]
		return err
	}
	copy(p, r.ahead)
	return nil
}

// encode writes an object as it would be stored.
func (c *core) encode(e *edited, w *codec.Writer) error {
	w.Reset()
	w.Out = c.own
	if o, ok := e.value.(*Opaque); ok {
		return o.encode(w, c.own)
	}
	return e.info.plan.Encode(w, e.value, e.extra)
}
