package durus

import (
	"fmt"
	"runtime"

	"github.com/durusdb/durus/internal/codec"
)

// A transaction may be larger than memory. When its edited and added objects
// take more than Options.CacheBytes (and 1 MiB), those that the program does not hold any
// more are put aside in a temporary file (see spill); they come back when they
// are used again.
//
// Whether the program still holds an object, or a slice, map or pointer inside
// of it, only the garbage collector knows. A weak pointer alone would not do:
// what the program writes between the encoding and the moment in which it lets
// go would be lost. So objects are encoded, let go, collected and looked for
// within one call of the program's: nothing of it runs on this goroutine in between, and a
// session, with what Edit and Add gave, belongs to one goroutine at a time.
// What is gone after the collection nobody could have changed since it was
// encoded, and nobody ever will. What is still there stays in memory, as if
// nothing had been.
//
// The price is one collection for each CacheBytes of objects. Only objects
// whose memory can be seen through take part (see shape): those with slices of
// slices, or with fields that are not stored, stay in memory.

// relief is the account of a session's objects in memory.
type relief struct {
	bytes int64 // of dirty, by estimate
	next  int64 // when to look again; 0: at the bound
	off   int   // > 0: objects are being walked through, encoders of the program's may run
}

// minBound is the least bound for objects in memory before some are put aside,
// bytes: a collection for a few objects would cost more than they do. A
// savepoint takes Options.CacheBytes as it is.
const minBound = 1 << 20

// editedOverhead is what an object in a session takes beside its value.
const editedOverhead = 160

// weigh accounts for an object that becomes edited or added.
func (c *core) weigh(e *edited) {
	c.relief.bytes += c.weight(e)
}

func (c *core) weight(e *edited) int64 {
	if e.info == nil {
		return editedOverhead + int64(len(e.value.(*Opaque).payload))
	}
	return editedOverhead + int64(len(e.base)) + e.info.size + e.info.shape().size(e.value)
}

// relieve puts objects aside if they take more than bound bytes.
func (c *core) relieve(bound int64) {
	if c.relief.bytes <= max(bound, c.relief.next) || c.relief.off > 0 || c.conn != nil {
		return
	}
	c.putAside()
	c.relief.bytes = 0
	for _, e := range c.dirty {
		c.weigh(e)
	}
	// What stays is not looked at again before as much more has come.
	c.relief.next = c.relief.bytes + max(bound, c.relief.bytes/2)
}

// parked is an object that was let go until it is known who holds it.
type parked struct {
	e          *edited
	grip       grip
	from, to   int // of the payload
	refs       int // where its references begin
	strong, of int // how many are strong, and how many there are
}

// parking is all of them.
type parking struct {
	objects []parked
	buf     []byte
	refs    []uint64
}

func (p *parking) payload(o *parked) []byte { return p.buf[o.from:o.to] }

func (p *parking) references(o *parked) (strong, weak []uint64) {
	all := p.refs[o.refs:][:o.of]
	return all[:o.strong], all[o.strong:]
}

// putAside puts the objects aside that nobody holds.
func (c *core) putAside() {
	c.relief.off++
	defer func() { c.relief.off-- }()
	p := c.park()
	if len(p.objects) == 0 {
		return
	}
	runtime.GC()
	if c.spilled == nil {
		c.spilled = newSpilled(c.db)
	}
	for i := range p.objects {
		o := &p.objects[i]
		if c.takeBack(p, o) {
			continue
		}
		c.finish(p, o)
	}
	kept := c.dirty[:0]
	for _, e := range c.dirty {
		if e.value != nil {
			kept = append(kept, e)
		}
	}
	clear(c.dirty[len(kept):])
	c.dirty = kept
}

// inTables tells whether objects of the class are, or may be, in tables.
// Tables themselves count as such: the commit asks which of them are new.
func (c *core) inTables(info *typeInfo) bool {
	if info.indexes != nil || info.name == tableClass || info.name == tablesClass {
		return true
	}
	_, ok, err := c.membersOf(info)
	return ok || err != nil
}

// park encodes objects and lets go of them. What cannot be encoded now stays:
// the program may not be done with it, and Commit will tell.
func (c *core) park() *parking {
	p := &parking{}
	heap := newHeapProbe()
	defer heap.release()
	w := writers.Get().(*codec.Writer)
	defer func() {
		w.Out = nil
		writers.Put(w)
	}()
	for _, e := range c.dirty {
		// Containers that are still missing in an object are made by the commit,
		// which also brings the indexes of tables in step with it.
		if e.info == nil || e.info.handles != nil || c.inTables(e.info) || e.oid == directoryOID || !e.info.shape().spillable || c.encode(e, w) != nil {
			continue
		}
		o := parked{e: e, from: len(p.buf), to: len(p.buf) + len(w.Buf), refs: len(p.refs), strong: len(w.Strong), of: len(w.Strong) + len(w.Weak)}
		var ok bool
		if o.grip, ok = e.info.shape().letGo(e.value, heap); !ok {
			continue
		}
		p.buf = append(p.buf, w.Buf...)
		p.refs = append(append(p.refs, w.Strong...), w.Weak...)
		p.objects = append(p.objects, o)
	}
	for i := range p.objects {
		e := p.objects[i].e
		if c.ptrs != nil {
			delete(c.ptrs, e.value)
		}
		e.value = nil
	}
	return p
}

// takeBack gives an object its value back if somebody holds any of it.
func (c *core) takeBack(p *parking, o *parked) bool {
	e := o.e
	if e.value = o.grip.regain(e.info.goType); e.value == nil && o.grip.held() {
		v := e.info.fresh()
		if _, err := e.info.plan.Decode(p.payload(o), c.tag, v); err != nil {
			c.stick(fmt.Errorf("durus: object %s of class %s cannot be read back as it was encoded: %w", e.oid, e.class(), err))
		}
		o.grip.graft(v)
		e.value = v
	}
	if e.value == nil {
		return false
	}
	if c.ptrs != nil {
		c.ptrs[e.value] = e.oid
	}
	return true
}

// finish puts an object aside that nobody can change any more.
func (c *core) finish(p *parking, o *parked) {
	e, s := o.e, c.spilled
	n, have := e.item, e.hasItem
	if !have || !s.holds(n, p.payload(o)) {
		strong, weak := p.references(o)
		n = s.add(e, p.payload(o), strong, weak)
	}
	// Also one that was not changed: it is the session's own, and after a Rollback
	// the pointers that Edit gives for it later must still be to it.
	s.set(e.oid, n)
	if e.fresh {
		delete(c.used, e.oid) // nobody else knows it
	} else {
		c.used[e.oid] = use{pos: c.used[e.oid].pos}
	}
}

// touched returns the object if the session has edited or added it, nil if not.
// One that was put aside comes back.
func (c *core) touched(oid OID) (*edited, error) {
	if u := c.used[oid]; u.edited != nil {
		return u.edited, nil
	}
	n, ok := c.spilled.lookup(oid)
	if !ok {
		return nil, nil
	}
	return c.fetchBack(oid, n)
}

// fetchBack makes an object that was put aside an edited one again.
func (c *core) fetchBack(oid OID, n uint32) (*edited, error) {
	s := c.spilled
	it := s.at(n)
	payload, err := s.payload(n)
	if err != nil {
		return nil, c.stick(err)
	}
	e := &edited{oid: oid, info: s.types[it.class], fresh: it.fresh, item: n, hasItem: true}
	e.value = e.info.fresh()
	if e.extra, err = e.info.plan.Decode(payload, c.tag, e.value); err != nil {
		return nil, c.stick(err)
	}
	pos := c.used[oid].pos
	if !e.fresh {
		rec, err := c.read(oid, pos)
		if err != nil {
			return nil, err
		}
		e.base = rec.Payload
		c.baseUpgraded(e, rec)
	}
	s.remove(oid)
	if e.fresh && c.round > 0 && it.round == uint32(c.round) { // an encoder of the program's did this during records
		e.round = c.round
		c.reached = append(c.reached, e)
	}
	c.takeEdited(e, pos)
	return e, nil
}

// forgetSpilled gives back what was put aside.
func (c *core) forgetSpilled() {
	if c.spilled != nil {
		c.spilled.file.close()
		c.spilled = nil
	}
}
