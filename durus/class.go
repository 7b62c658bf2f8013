package durus

import (
	"context"
	"fmt"

	"github.com/durusdb/durus/storage"
)

// class is a class of the file at one version, and the Go type that it has in
// this program.
type class struct {
	name    string
	version int // 0: the program that wrote it gave none
	types   *Types
}

// info returns the type of the class, or nil as long as nobody registered it.
func (c *class) info() *typeInfo { return c.types.byClass(c.name) }

// current tells whether what has this class is stored as info's type would
// be stored today.
func (c *class) current(info *typeInfo) bool {
	return c.name == info.name && c.version == info.version
}

// String is for messages.
func (c *class) String() string {
	if c.version == 0 {
		return c.name
	}
	return fmt.Sprintf("%s version %d", c.name, c.version)
}

// class returns the class with this number; ok is false when the file does not
// know the number either.
func (db *DB) class(g *generation, snap storage.Snapshot, id storage.ClassID) (c *class, ok bool) {
	if v, ok := g.classes.Load(id); ok {
		return v.(*class), true
	}
	spelling, ok := snap.ClassName(id)
	if !ok {
		return nil, false
	}
	name, version := storage.SplitClass(spelling)
	v, _ := g.classes.LoadOrStore(id, &class{name: name, version: version, types: db.opts.Types})
	return v.(*class), true
}

// classID returns the number of a class in the spelling of the file, which the
// storage gives out on first use.
func (db *DB) classID(ctx context.Context, g *generation, spelling string) (storage.ClassID, error) {
	if v, ok := g.ids.Load(spelling); ok {
		return v.(storage.ClassID), nil
	}
	id, err := db.st.ClassID(ctx, spelling)
	if err != nil {
		return 0, err
	}
	g.ids.Store(spelling, id)
	return id, nil
}

// classOf returns the class of the object behind a reference, whether this
// program can read the object or not. It does not enter the read set.
func (c *core) classOf(raw uint64) (string, error) {
	oid, err := c.target(raw)
	if err != nil {
		return "", err
	}
	if e := c.used[oid].edited; e != nil {
		if e.restored != nil {
			if info := c.db.opts.Types.byClass(e.class()); info != nil {
				return info.name, nil
			}
		}
		return e.class(), nil
	}
	pos, err := c.find(oid)
	if err != nil {
		return "", err
	}
	class, err := c.classAt(storage.Place{OID: oid, Position: pos})
	if err != nil {
		return "", err
	}
	if info := class.info(); info != nil {
		return info.name, nil // an alias is known under the new name
	}
	return class.name, nil
}

// classAt returns the class of the record at a place.
func (c *core) classAt(p storage.Place) (*class, error) {
	id, err := c.snap.Class(p.OID, p.Position)
	if err != nil {
		return nil, c.readError(err)
	}
	return c.classNumber(p.OID, id)
}

// classNumber returns the class with a number that stands in a record.
func (c *core) classNumber(oid OID, id storage.ClassID) (*class, error) {
	class, ok := c.db.class(c.gen, c.snap, id)
	if !ok {
		return nil, c.stick(&CorruptError{Path: c.db.path, OID: oid, Reason: fmt.Sprintf("its class number %d has no name", id)})
	}
	return class, nil
}

// readError is what a failed read of the snapshot is to the session.
func (c *core) readError(err error) error {
	if c.conn == nil && c.over.Load() { // the View ended meanwhile
		return ErrTxDone
	}
	return c.stick(err)
}
