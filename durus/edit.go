package durus

import (
	"fmt"
	"reflect"

	"github.com/durusdb/durus/internal/codec"
)

// Add makes a new object of *v and takes v over: it is yours until the
// transaction ends, and to be read only afterwards. While other goroutines
// write to it, the session must not be used. The object is stored at
// commit if something that is stored refers to it, directly or through other
// new objects; otherwise it is forgotten. Adding a pointer again gives the same
// reference, as does adding what Edit returned, unless T has no size, like
// struct{}: Go gives many of these one address, and each Add makes an object.
// v may be an *Opaque.
//
// What Load and Peek return belongs to everybody and must not be added: to make
// an object like another one add a copy, with slices and maps of its own. A copy
// of a container's handle is the same container: set it to zero for a new one.
//
// An error sticks: nothing of the transaction is committed. Errors: ErrType (T
// is not registered), ErrReadOnly, ErrTxDone, ErrClosed, those of the file, and
// ErrSharedWrite if CheckShared found that v is what Load returned.
func Add[T any](s Session, v *T) (Ref[T], error) {
	c := s.core()
	if v == nil {
		return Ref[T]{}, c.stick(fmt.Errorf("%w: Add of a nil *%s: give it a pointer to the new object", ErrType, reflect.TypeFor[T]()))
	}
	oid, err := c.add(v, reflect.TypeFor[T]())
	if err != nil {
		return Ref[T]{}, c.stick(err)
	}
	return Ref[T]{raw: c.reference(oid)}, nil
}

// reference returns the reference to an object of the session's database.
func (c *core) reference(oid OID) codec.Strong { return codec.Strong(c.tag<<tagShift | uint64(oid)) }

// add takes over a *T.
func (c *core) add(v any, t reflect.Type) (OID, error) {
	if err := c.mayWrite(); err != nil {
		return 0, err
	}
	if oid, ok := c.holder(v); ok {
		return oid, nil
	}
	if err := c.shared.refuse(c, v); err != nil {
		return 0, err
	}
	info := c.db.opts.Types.of(t)
	if info == nil && !isOpaque(v) {
		return 0, fmt.Errorf("%w: %s is not registered: call durus.Register[%s] with a name for its class", ErrType, t, t.Name())
	}
	if o, ok := v.(*Opaque); ok && o.class == "" {
		return 0, fmt.Errorf("%w: an Opaque that no Load gave: only what was loaded can be stored again", ErrType)
	}
	if o, ok := v.(*Opaque); ok && isContainerClass(o.class) {
		return 0, fmt.Errorf("%w: a container cannot be added as an Opaque: copy what is in it into a new one", ErrType)
	}
	oid, err := c.db.st.NewOID(c.ctx)
	if err != nil {
		return 0, err
	}
	if info != nil && info.handles != nil {
		if err := c.fill(info.handles, reflect.ValueOf(v)); err != nil {
			return 0, err
		}
	}
	c.takeEdited(&edited{oid: oid, info: info, value: v, fresh: true}, 0)
	return oid, nil
}

// edit returns the private copy of an object.
func (c *core) edit(raw uint64, t reflect.Type) (any, error) {
	if err := c.mayWrite(); err != nil {
		return nil, err
	}
	oid, err := c.target(raw)
	if err != nil {
		return nil, err
	}
	if e, err := c.touched(oid); e != nil && e.restored != nil {
		return c.editRestored(e, t)
	} else if e != nil {
		return e.value, nil
	} else if err != nil {
		return nil, err
	}
	pos, err := c.find(oid)
	if err != nil {
		return nil, err
	}
	rec, err := c.read(oid, pos)
	if err != nil {
		return nil, err
	}
	v, info, extra, err := c.decode(rec)
	if err != nil {
		return nil, err
	}
	if info == nil || info.goType != t {
		return nil, c.typeError(oid, v, t)
	}
	e := &edited{oid: oid, info: info, value: v, base: rec.Payload, extra: extra}
	c.takeEdited(e, pos)
	c.baseUpgraded(e, rec)
	if info.handles != nil {
		// Containers that the record does not have yet: of fields that are new.
		if err := c.fill(info.handles, reflect.ValueOf(v)); err != nil {
			return nil, c.stick(err)
		}
	}
	return v, nil
}

// editDirectory returns the root directory for changing, and makes it when the
// database has none.
func (c *core) editDirectory() (*directory, error) {
	if u := c.used[directoryOID]; u.edited != nil {
		return u.edited.value.(*directory), nil
	}
	pos, err := c.snap.Find(directoryOID)
	if err == nil {
		v, err := c.edit(uint64(directoryOID), reflect.TypeFor[directory]())
		return asDirectory(v, err)
	}
	if !isNotFound(err) {
		return nil, c.stick(err)
	}
	dir := &directory{}
	c.takeEdited(&edited{
		oid:   directoryOID,
		info:  c.db.opts.Types.byClass(directoryClass),
		value: dir,
		fresh: true,
	}, pos)
	return dir, nil
}
