package durus

import (
	"errors"
	"fmt"
	"reflect"

	"github.com/durusdb/durus/internal/codec"
	"github.com/durusdb/durus/storage"
)

// hot is the short way to a cached object, for transactions that keep no read
// set: an index lookup and a probe of the cache, no lock, no allocation. nil
// means: go the long way, which knows the reasons.
//
// A goroutine that outlives its View may get here while the snapshot is being
// released. So over is looked at last: as long as it is false the snapshot was
// valid during the lookup, because it is set before the release.
func (c *core) hot(raw uint64) *entry {
	if tag := raw >> tagShift; !c.quick || tag != c.tag && tag != 0 {
		return nil
	}
	pos, err := c.snap.Find(OID(raw & oidMask))
	if err != nil {
		return nil
	}
	e := c.gen.cache.get(pos)
	if c.over.Load() {
		return nil
	}
	return e
}

// load returns the object behind a reference: a *T, or *Opaque. With depend it
// enters the read set of a writable session.
func (c *core) load(raw uint64, depend bool) (any, error) {
	oid, err := c.target(raw)
	if err != nil {
		return nil, err
	}
	if e, err := c.touched(oid); e != nil {
		return c.shown(e)
	} else if err != nil {
		return nil, err
	}
	pos, err := c.find(oid)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return nil, err
	}
	if depend {
		c.note(oid, pos)
	}
	if err != nil {
		return nil, err
	}
	return c.object(oid, pos)
}

// target checks the session and a reference, and returns the reference's oid.
// A live connection looks for new records here.
func (c *core) target(raw uint64) (OID, error) {
	if err := c.usable(); err != nil {
		return 0, err
	}
	oid, err := c.own(raw)
	if err != nil {
		return 0, err
	}
	if oid == 0 {
		return 0, fmt.Errorf("%w: the reference is nil: ask IsNil first", ErrNotFound)
	}
	if c.conn != nil {
		if err := c.conn.look(); err != nil {
			return 0, err
		}
	}
	return OID(oid), nil
}

// own returns the oid of a reference of this database. It is also what
// codec.Writer.Out calls for the references that are stored.
func (c *core) own(raw uint64) (uint64, error) {
	if tag := raw >> tagShift; tag != 0 && tag != c.tag {
		return 0, fmt.Errorf("%w: the reference to object %s was not loaded through this handle of %s: load it here, or copy the object",
			ErrForeign, OID(raw&oidMask), c.db.path)
	}
	return raw & oidMask, nil
}

// object returns the shared object whose record is at pos.
func (c *core) object(oid OID, pos storage.Position) (any, error) {
	var v any
	if e := c.gen.cache.get(pos); e != nil && !c.outgrown(e.value) && !isNode(e.value) {
		v = e.value
	} else {
		var err error
		if v, err = c.fetch(oid, pos); err != nil {
			return nil, err
		}
	}
	if c.over.Load() { // see hot
		return nil, ErrTxDone
	}
	c.shared.handedOut(oid, pos, c.gen, v)
	return v, nil
}

// outgrown tells whether the class of a cached *Opaque was registered since.
func (c *core) outgrown(v any) bool {
	o, ok := v.(*Opaque)
	return ok && c.db.opts.Types.byClass(o.class) != nil
}

// fetch reads and decodes an object and caches it.
func (c *core) fetch(oid OID, pos storage.Position) (any, error) {
	c.db.counters.misses.Add(1)
	rec, err := c.read(oid, pos)
	if err != nil {
		return nil, err
	}
	size := int64(len(rec.Payload))
	v, info, _, err := c.decode(rec)
	if err != nil {
		return nil, err
	}
	if info != nil {
		size += info.size
	} else if o, ok := v.(*Opaque); ok && isContainerClass(o.class) {
		return v, nil // the cache has its nodes in another form
	}
	return c.gen.cache.put(pos, v, size), nil
}

// read reads a record.
func (c *core) read(oid OID, pos storage.Position) (storage.Record, error) {
	if err := c.ctx.Err(); err != nil {
		return storage.Record{}, err
	}
	rec, err := c.snap.Read(oid, pos)
	if err != nil {
		return storage.Record{}, c.readError(err)
	}
	return rec, nil
}

// decode makes the Go value of a record. info is nil for an *Opaque.
func (c *core) decode(rec storage.Record) (v any, info *typeInfo, extra codec.Extra, err error) {
	if rec.Codec != storage.CodecMsgpack {
		return nil, nil, nil, fmt.Errorf("%w: object %s is stored with codec %d, which this program does not know: use a newer version", ErrTooNew, rec.OID, rec.Codec)
	}
	class, err := c.classNumber(rec.OID, rec.Class)
	if err != nil {
		return nil, nil, nil, err
	}
	info = class.info()
	if info == nil {
		return newOpaque(c.tag, class, rec), nil, nil, nil
	}
	if class.version != info.version {
		v, extra, err = c.upgrade(rec, class, info)
	} else {
		v = info.fresh()
		extra, err = info.plan.Decode(rec.Payload, c.tag, v)
		err = c.decodeError(rec, class, info.goType, err)
	}
	if err != nil {
		return nil, nil, nil, err
	}
	return v, info, extra, nil
}

// decodeError says which object could not be decoded: damaged bytes, or bytes
// that do not fit the Go type of this program.
func (c *core) decodeError(rec storage.Record, class *class, t reflect.Type, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, ErrCorrupt):
		return c.stick(&CorruptError{Path: c.db.path, OID: rec.OID, Reason: err.Error()})
	}
	return fmt.Errorf("durus: object %s of class %s in %s cannot be read as a %s: %w", rec.OID, class, c.db.path, t, err)
}

// typeError says that an object is not of the type that was asked for.
func (c *core) typeError(oid OID, v any, want reflect.Type) error {
	info := c.db.opts.Types.of(want)
	switch o, opaque := v.(*Opaque); {
	case info == nil:
		return fmt.Errorf("%w: %s is not registered, object %s in %s is a %s: call durus.Register[%s] with that name",
			ErrType, want, oid, c.db.path, c.className(v), want.Name())
	case opaque:
		return fmt.Errorf("%w: object %s in %s is of class %s, which nobody registered, not a %s (%s): register its type, or load it as AnyRef",
			ErrType, oid, c.db.path, o.class, info.name, want)
	default:
		return fmt.Errorf("%w: object %s in %s is a %s (%s), not a %s (%s): use a reference of its type, or load it as AnyRef",
			ErrType, oid, c.db.path, c.className(v), reflect.TypeOf(v).Elem(), info.name, want)
	}
}

// className is the class of a loaded value.
func (c *core) className(v any) string {
	if o, ok := v.(*Opaque); ok {
		return o.class
	}
	if info := c.db.opts.Types.of(reflect.TypeOf(v).Elem()); info != nil {
		return info.name
	}
	return reflect.TypeOf(v).Elem().String()
}
