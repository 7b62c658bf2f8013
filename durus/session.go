package durus

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"sync/atomic"

	"github.com/durusdb/durus/internal/codec"
	"github.com/durusdb/durus/storage"
)

// Session is what objects are loaded, edited and added through: a *Tx or a
// *Connection.
type Session interface {
	// Context is the session's. Pass it on: an Update with a context that
	// comes from a transaction of the same database is ErrNestedUpdate.
	Context() context.Context

	// Err is the first error of the session that sticks, or nil. While there is
	// one, nothing is committed. These stick, whoever has looked at them:
	//
	//   - a write that failed, for whatever reason: Add, and what changes a
	//     container, a table or a counter;
	//   - what ended a loop: over a container, an index, Each, Instances;
	//   - an error of the disk, and damage, whatever call met it.
	//
	// What Load, Edit, Peek, Get, Has or Lookup answered (ErrNotFound, ErrType,
	// ErrTooNew, ErrForeign, ErrReadOnly) does not: the session goes on.
	Err() error

	// Snapshot is the newest transaction that the session sees.
	Snapshot() TID

	core() *core
}

// core is what transactions and connections have in common: a snapshot, and in
// a writable session the objects that it used.
//
// In a View's Tx, which goroutines may share, everything but over, stuck and
// shared is constant. Any other session belongs to one goroutine at a time.
type core struct {
	*work // of a session that writes; noWork of one that does not

	db   *DB
	snap storage.Snapshot
	gen  *generation // of snap
	ctx  context.Context
	tag  uint64 // of db, in the lower 16 bits
	conn *Connection

	writable bool
	quick    bool // a View's Tx without checks: hot may answer
	over     atomic.Bool

	// stuck is the first error that sticks. It is set once.
	stuck atomic.Pointer[error]
	// hard is the first of them that going back to a savepoint does not undo.
	hard atomic.Pointer[error]

	shared *sharedCheck // what was handed out, when CheckShared is on
}

// work is what a session that writes has used and done.
type work struct {
	used  map[OID]use // read set and write set; nil until the first use
	dirty []*edited   // objects of used that were edited or added, in that order
	ptrs  map[any]OID // pointers of dirty; nil until the first Add
	round int         // of encoding, see edited.round

	containers map[OID]pending               // that were used; nil until the first
	order      []pending                     // the same, in the order of their first use
	encoded    map[OID]pending               // those without types that ones of containers have succeeded
	nodes      map[OID]*container            // nodes that were used, and of which container
	filled     []func(stored func(OID) bool) // take back containers that were made for zero handles
	bounded    bool                          // Rebase runs under the commit lock,
	finds      int                           // and may look for so many nodes

	reached []*edited // new objects to store; see written
	found   []pending // new containers to store; see written
	spilled *spilled  // objects that were put aside, and states of savepoints; nil until the first
	relief  relief

	extents   map[*typeInfo]struct{} // classes whose instances were walked through; see checkExtents
	extentsAt storage.Snapshot       // when the first of them was

	relied   map[OID]struct{} // objects that it depends on whatever the isolation; see rely
	indexing bool             // the function of an index runs, which must not use a session that writes
}

// noWork is all that sessions have done which only read: it stays empty. With a
// work of its own a View would be twice as large.
var noWork work

// use is one object that a writable session used: 24 bytes with its key.
type use struct {
	// pos is the revision that was read first; 0: the object was not there,
	// or is new.
	pos storage.Position
	// edited is nil for an object that was only read.
	edited *edited
}

// edited is an object that the session may change.
type edited struct {
	oid   OID
	info  *typeInfo // nil for an *Opaque
	value any       // *T, private to the session
	base  []byte    // what it was decoded from; nil for a new object
	extra codec.Extra
	fresh bool // new: stored only if something stored refers to it
	force bool // stored although it may not have changed, for others to conflict

	restored *restored // a state that Undo has brought back; then info is nil and value an *Opaque

	hasItem bool   // item is set
	item    uint32 // the state as it was put aside last; see spilled

	round int // the last round of encoding that reached it
}

// class is the name of the object's class, for messages.
func (e *edited) class() string {
	if e.info != nil {
		return e.info.name
	}
	return e.value.(*Opaque).class
}

// stored is the class to store the object under, in the spelling of the file.
func (e *edited) stored() string {
	if e.info != nil {
		return e.info.stored
	}
	o := e.value.(*Opaque)
	return storage.ClassName(o.class, o.version)
}

// usable tells whether the session may still be used.
func (c *core) usable() error {
	if c.work == nil {
		return errNever
	}
	if c.indexing {
		return c.stick(errIndexing)
	}
	if c.conn != nil {
		return c.conn.usable()
	}
	if c.over.Load() {
		return ErrTxDone
	}
	return nil
}

// errNever is the error of the zero Tx, Connection and Savepoint.
var errNever = fmt.Errorf("%w: it never began: View, Update, Begin and Connect begin one", ErrTxDone)

// mayWrite is usable for writes.
func (c *core) mayWrite() error {
	if err := c.usable(); err != nil {
		return err
	}
	if c.writable {
		return nil
	}
	if c.db.opts.ReadOnly {
		return fmt.Errorf("%w: %s was opened with Options.ReadOnly", ErrReadOnly, c.db.path)
	}
	return fmt.Errorf("%w: this transaction only reads: use Update", ErrReadOnly)
}

// snapshot is the newest transaction that the session sees.
func (c *core) snapshot() TID {
	if c.snap == nil { // it never began
		return 0
	}
	return c.snap.TID()
}

// err returns the error that sticks.
func (c *core) err() error {
	if p := c.stuck.Load(); p != nil {
		return *p
	}
	return nil
}

// stick keeps the first error that nothing may be committed after, and returns err.
func (c *core) stick(err error) error {
	if err != nil {
		c.stuck.CompareAndSwap(nil, &err)
		if !forgivable(err) {
			c.hard.CompareAndSwap(nil, &err)
		}
	}
	return err
}

// note enters an object into the read set. The first position stays: it is
// what the session depends on.
func (c *core) note(oid OID, pos storage.Position) {
	if !c.writable {
		return
	}
	if _, ok := c.used[oid]; ok {
		return
	}
	c.use(oid, use{pos: pos})
}

func (c *core) use(oid OID, u use) {
	if c.used == nil {
		c.used = make(map[OID]use)
	}
	c.used[oid] = u
}

// takeEdited enters an edited or added object.
func (c *core) takeEdited(e *edited, pos storage.Position) {
	c.relieve(c.db.bound)
	c.weigh(e)
	if u, ok := c.used[e.oid]; ok {
		pos = u.pos
	}
	c.use(e.oid, use{pos: pos, edited: e})
	c.dirty = append(c.dirty, e)
	if c.ptrs != nil {
		c.ptrs[e.value] = e.oid
	}
}

// holder returns the object that a pointer given to Add is of already.
func (c *core) holder(v any) (OID, bool) {
	if !hasIdentity(v) {
		return 0, false
	}
	if c.ptrs == nil {
		c.ptrs = make(map[any]OID, len(c.dirty)+1)
		for _, e := range c.dirty {
			c.ptrs[e.value] = e.oid
		}
	}
	oid, ok := c.ptrs[v]
	return oid, ok
}

// hasIdentity tells whether the pointer v leads to no other variable of its
// type: all those without a size may lie at one address.
func hasIdentity(v any) bool { return reflect.TypeOf(v).Elem().Size() > 0 }

// observe returns the session's snapshot, for something that depends on it until
// the session ends or forgets what it has read.
func (c *core) observe() storage.Snapshot {
	if c.conn != nil {
		c.conn.pinned = true
	}
	return c.snap
}

// find returns where the object's state begins. The error is sticky unless it
// is ErrNotFound.
func (c *core) find(oid OID) (storage.Position, error) {
	pos, err := c.snap.Find(oid)
	if err == nil {
		return pos, nil
	}
	if errors.Is(err, storage.ErrNotFound) {
		return 0, c.notFound(oid)
	}
	return 0, c.stick(err)
}

func (c *core) notFound(oid OID) error {
	return fmt.Errorf("%w: object %d is not in %s at transaction %s", ErrNotFound, oid, c.db.path, c.snap.TID())
}
