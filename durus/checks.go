package durus

import (
	"bytes"
	"fmt"
	"reflect"
	"sync"

	"github.com/durusdb/durus/internal/codec"
	"github.com/durusdb/durus/internal/collection"
	"github.com/durusdb/durus/storage"
)

// sharedCheck remembers the shared objects that a session handed out, to find
// those that were written without Edit (CheckShared). nil checks nothing.
type sharedCheck struct {
	mu     sync.Mutex // guards the rest: goroutines may share a View
	seen   map[storage.Position]handedOut
	values map[any]OID // those of seen, by their pointers
}

type handedOut struct {
	oid   OID
	value any
	gen   *generation
}

// maxChecked bounds how many objects a session remembers. Beyond it, each one
// more takes the place of an arbitrary one.
const maxChecked = 1024

func newSharedCheck() *sharedCheck { return &sharedCheck{} }

// handedOut remembers a shared object.
func (s *sharedCheck) handedOut(oid OID, pos storage.Position, gen *generation, v any) {
	if s == nil || isOpaque(v) {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.seen[pos]; ok {
		return
	}
	if s.seen == nil {
		s.seen, s.values = make(map[storage.Position]handedOut), make(map[any]OID)
	}
	if len(s.seen) >= maxChecked {
		for victim, h := range s.seen {
			delete(s.seen, victim)
			delete(s.values, h.value)
			break
		}
	}
	s.seen[pos], s.values[v] = handedOut{oid, v, gen}, oid
}

// refuse returns ErrSharedWrite when Add is given a shared object: it would be
// written by the next Edit of the new one.
func (s *sharedCheck) refuse(c *core, v any) error {
	if s == nil || !hasIdentity(v) {
		return nil
	}
	s.mu.Lock()
	oid, shared := s.values[v]
	s.mu.Unlock()
	if !shared {
		return nil
	}
	return fmt.Errorf("%w: Add of object %s of class %s in %s, which is what Load gave and belongs to everybody: add a copy, with slices and maps of its own, or use the reference",
		ErrSharedWrite, oid, c.className(v), c.db.path)
}

// leaf is a node whose values a program is given.
type leaf interface {
	node
	// values are how they are stored, and a pointer to a slice of them.
	values() (*valuePlan, any)
}

// handedOutNode remembers a node whose values are shared.
func (s *sharedCheck) handedOutNode(oid OID, pos storage.Position, gen *generation, l leaf) {
	if s == nil {
		return
	}
	if plan, _ := l.values(); plan != nil && plan.mutable && plan.many != nil {
		s.handedOut(oid, pos, gen, l)
	}
}

// take returns what was handed out since the last time.
func (s *sharedCheck) take() map[storage.Position]handedOut {
	if s == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	seen := s.seen
	s.seen, s.values = nil, nil
	return seen
}

// verify returns ErrSharedWrite if one of the objects is not what the file
// holds any more. The object is dropped from the cache then: others get it
// from the file. Encoders and decoders of the program's run here, and may use
// the session, so s.mu is not held.
func (s *sharedCheck) verify(c *core) error {
	for pos, h := range s.take() {
		if h.gen != c.gen || c.unchanged(pos, h) {
			continue
		}
		c.gen.cache.drop(pos)
		if isNode(h.value) {
			return fmt.Errorf("%w: a value in node %s of a container in %s was changed: what Get and iterators return belongs to everybody; change a copy, slices and maps inside included, and Put it",
				ErrSharedWrite, h.oid, c.db.path)
		}
		return fmt.Errorf("%w: object %s of class %s in %s was changed without Edit: what Load returns belongs to everybody; change what Edit returns",
			ErrSharedWrite, h.oid, c.className(h.value), c.db.path)
	}
	return nil
}

// unchanged compares an object with what its record decodes to, both encoded
// as they would be stored today: the record itself may have been written by a
// program with other fields. What cannot be read is not judged.
func (c *core) unchanged(pos storage.Position, h handedOut) bool {
	rec, err := c.snap.Read(h.oid, pos)
	if err != nil {
		return true
	}
	if l, ok := h.value.(leaf); ok {
		return c.unchangedValues(rec, l)
	}
	v, info, extra, err := c.decode(rec)
	if err != nil || info == nil {
		return true
	}
	var stored, shared codec.Writer
	if err := info.plan.Encode(&stored, v, extra); err != nil {
		return true
	}
	return info.plan.Encode(&shared, h.value, extra) == nil && bytes.Equal(stored.Buf, shared.Buf)
}

// unchangedValues is unchanged for the values of a node.
func (c *core) unchangedValues(rec storage.Record, l leaf) bool {
	n, err := collection.Parse(rec.Payload)
	if err != nil {
		return true
	}
	plan, values := l.values()
	again := reflect.New(reflect.TypeOf(values).Elem()).Interface()
	extra, err := plan.many.Decode(collection.Array(n.Values), c.tag, again)
	if err != nil {
		return true
	}
	var stored, shared codec.Writer
	if err := plan.many.Encode(&stored, again, extra); err != nil {
		return true
	}
	return plan.many.Encode(&shared, values, extra) == nil && bytes.Equal(stored.Buf, shared.Buf)
}
