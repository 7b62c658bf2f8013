package durus

import (
	"bytes"
	"fmt"
	"reflect"

	"github.com/durusdb/durus/internal/codec"
	"github.com/durusdb/durus/storage"
)

// objectState is the state of an object as it is stored, or would be.
type objectState struct {
	class   string // in the spelling of the file
	codec   storage.Codec
	payload []byte
	strong  []OID
	weak    []OID
}

// equal: what they refer to is in the payload.
func (s *objectState) equal(o *objectState) bool {
	return s.class == o.class && s.codec == o.codec && bytes.Equal(s.payload, o.payload)
}

// name is the class without its version.
func (s *objectState) name() string {
	name, _ := storage.SplitClass(s.class)
	return name
}

// objectAt returns an object's state in a snapshot, nil if it does not exist there.
func (c *core) objectAt(snap storage.Snapshot, oid OID) (*objectState, error) {
	pos, err := snap.Find(oid)
	if isNotFound(err) {
		return nil, nil
	}
	var rec storage.Record
	if err == nil {
		rec, err = snap.Read(oid, pos)
	}
	if err != nil {
		return nil, c.readError(err)
	}
	class, ok := snap.ClassName(rec.Class)
	if !ok {
		return nil, c.stick(&CorruptError{Path: c.db.path, OID: oid, Reason: fmt.Sprintf("its class number %d has no name", rec.Class)})
	}
	return &objectState{class, rec.Codec, rec.Payload, rec.Strong, rec.Weak}, nil
}

// objectNow returns an object's state as the session would store it, nil if it
// does not exist. The session depends on it from now on.
func (c *core) objectNow(oid OID) (*objectState, error) {
	e, err := c.touched(oid)
	if err != nil {
		return nil, err
	}
	c.rely(oid)
	switch {
	case e == nil:
		pos, err := c.find(oid)
		if err != nil && !isNotFound(err) {
			return nil, err
		}
		c.note(oid, pos)
		return c.objectAt(c.snap, oid)
	case e.restored != nil:
		return e.restored.state, nil
	}
	var w codec.Writer
	if err := c.encode(e, &w); err != nil {
		return nil, err
	}
	if !e.fresh && bytes.Equal(w.Buf, e.base) {
		return c.objectAt(c.snap, oid)
	}
	return &objectState{e.stored(), storage.CodecMsgpack, w.Buf, asOIDs(w.Strong), asOIDs(w.Weak)}, nil
}

// restored is a state that Undo has brought back: it is stored as it was then,
// by whatever version of its class, and whether this program knows the class or
// not. It is immutable but for what is decoded from it.
type restored struct {
	state *objectState
	value any       // nil until it is asked for; shared as what Load returns
	info  *typeInfo // of value; nil for an *Opaque
}

// restore makes a state that of an object. With force it is stored although the
// file may have it: others who have read the object conflict.
func (c *core) restore(oid OID, s *objectState, force bool) error {
	old, err := c.touched(oid)
	if err != nil {
		return err
	}
	if old != nil && old.info != nil {
		return c.restoreEdited(old, s, force)
	}
	now, err := c.objectAt(c.snap, oid)
	if err != nil {
		return err
	}
	e := &edited{oid: oid, restored: &restored{state: s}, base: now.payload}
	e.force = force || old != nil && old.force || now.class != s.class || now.codec != s.codec
	name, version := storage.SplitClass(s.class)
	e.value = &Opaque{class: name, version: version, payload: s.payload, strong: s.strong, weak: s.weak, tag: c.tag}
	if old != nil {
		c.replaceEdited(old, e)
		return nil
	}
	pos, err := c.find(oid)
	if err == nil {
		c.takeEdited(e, pos)
	}
	return err
}

// restoreEdited gives an object that the program has edited an older state, in
// place: the pointer that Edit gave shows it.
func (c *core) restoreEdited(e *edited, s *objectState, force bool) error {
	v, info, extra, err := c.decodeState(e.oid, s)
	if err != nil {
		return err
	}
	if info != e.info {
		return fmt.Errorf("%w: object %s in %s was a %s before, and this transaction has edited it as a %s: undo that in a transaction of its own",
			ErrType, e.oid, c.db.path, s.name(), e.info.name)
	}
	e.info.restoreInto(e.value, v)
	e.extra, e.hasItem, e.force = extra, false, e.force || force
	return nil
}

// decodeState makes the Go value of a state. info is nil for an *Opaque.
func (c *core) decodeState(oid OID, s *objectState) (v any, info *typeInfo, extra codec.Extra, err error) {
	class, err := c.db.classID(c.ctx, c.gen, s.class)
	if err != nil {
		return nil, nil, nil, err
	}
	return c.decode(storage.Record{OID: oid, Class: class, Codec: s.codec, Payload: s.payload, Strong: s.strong, Weak: s.weak})
}

// shown returns what Load gives for an object that the session has edited or
// added, or that was restored.
func (c *core) shown(e *edited) (any, error) {
	r := e.restored
	if r == nil {
		return e.value, nil
	}
	if r.value == nil || c.outgrown(r.value) {
		v, info, _, err := c.decodeState(e.oid, r.state)
		if err != nil {
			return nil, err
		}
		r.value, r.info = v, info
	}
	return r.value, nil
}

// editRestored makes an object that was restored one that is edited.
func (c *core) editRestored(old *edited, t reflect.Type) (any, error) {
	v, info, extra, err := c.decodeState(old.oid, old.restored.state)
	if err != nil {
		return nil, err
	}
	if info == nil || info.goType != t {
		return nil, c.typeError(old.oid, v, t)
	}
	e := &edited{oid: old.oid, info: info, value: v, base: old.base, extra: extra, force: old.force}
	c.replaceEdited(old, e)
	if info.handles != nil {
		if err := c.fill(info.handles, reflect.ValueOf(v)); err != nil {
			return nil, c.stick(err)
		}
	}
	return v, nil
}

// replaceEdited makes old, which was restored, what e is. Savepoints have a copy.
func (c *core) replaceEdited(old, e *edited) {
	if c.ptrs != nil {
		delete(c.ptrs, old.value)
		c.ptrs[e.value] = e.oid
	}
	e.round = old.round
	*old = *e
	c.weigh(old)
}
