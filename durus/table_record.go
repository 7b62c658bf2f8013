package durus

import (
	"context"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"unsafe"

	"github.com/durusdb/durus/internal/codec"
	"github.com/durusdb/durus/storage"
)

// How tables are stored. All of this is part of the file format.
//
// A table is an object of class "durus.Table": its primary tree, and a tree for
// each index, by the index's name. It changes only when an index is built or
// dropped, so that whoever has used a table depends on the indexes that it had.
//
// The way from an object to its tables is not in the object, and not in the
// tables: a commit that has changed an object must find them with one lookup,
// and without knowing them. It is in a tree for each class of objects, its
// members: from the object's id to the tables that it is in, and in each to its
// primary key and to the keys that it has in each index. So what has to go from
// an index when the object changes is known without the object's old state, and
// even if the function of the index has become another one.
//
// The trees of members are found through the root "durus.tables". They hold ids
// as numbers, which keep nothing alive: entries of a table that was packed away
// go when their object is changed next.
//
// # Invariants, in every committed state
//
//   - For each entry k -> object of a table's primary tree, the members have an
//     entry of that object for that table with the key k; and no other.
//   - For each built index, and one that is being built and knows the object,
//     the keys in that entry are those of the index's function.
//   - An index tree has an entry for each of these keys, and no other.

const (
	tableClass  = "durus.Table"
	tablesClass = "durus.Tables"
	tablesName  = "durus.tables" // the root; NewRoot refuses it
)

// tableRecord is the object of a table.
type tableRecord struct {
	Class   string                 `msgpack:"class"` // of its objects
	Primary AnyRef                 `msgpack:"primary"`
	Indexes map[string]indexRecord `msgpack:"indexes"`
	Next    uint32                 `msgpack:"next"` // number of the next index
}

// indexRecord is one index of a table. An index that is built again gets a new
// number and a new tree.
type indexRecord struct {
	Number   uint32 `msgpack:"number"`
	Tree     AnyRef `msgpack:"tree"`
	Version  int    `msgpack:"version"`
	Unique   bool   `msgpack:"unique"`
	Building bool   `msgpack:"building"` // kept in step, but not complete
}

// tablesDirectory is the object of the root "durus.tables".
type tablesDirectory struct {
	Members map[string]memberTree `msgpack:"members"` // by class; a renamed one has several names for one tree
}

// memberTree leads from the id of an object to its memberships, encoded: a leaf
// has those of many objects, of which a commit wants one.
type memberTree = BTree[uint64, []byte]

// membership is that an object is in a table.
type membership struct {
	Table uint64              `msgpack:"t"`
	Key   []byte              `msgpack:"k"`           // the primary key
	In    map[uint32][][]byte `msgpack:"i,omitempty"` // the keys in each index, by its number, in order
}

// within returns the place of a table in the memberships of an object, or -1.
func within(list []membership, table OID) int {
	return slices.IndexFunc(list, func(m membership) bool { return m.Table == uint64(table) })
}

var membershipPlan = func() *codec.Plan {
	p, err := codec.Compile(reflect.TypeFor[[]membership]())
	if err != nil {
		panic(err) // our own type
	}
	return p
}()

func encodeMemberships(list []membership) ([]byte, error) {
	var w codec.Writer
	err := membershipPlan.Encode(&w, &list, nil)
	return w.Buf, err
}

// memberships decodes the memberships of an object; b is nil if it has none.
func (c *core) memberships(oid OID, b []byte) (list []membership, err error) {
	if b == nil {
		return nil, nil
	}
	if _, err := membershipPlan.Decode(b, 0, &list); err != nil {
		return nil, c.stick(&CorruptError{Path: c.db.path, OID: oid, Reason: "the tables that it is in: " + err.Error()})
	}
	return list, nil
}

// coreSession is a core as the Session that containers ask for.
type coreSession struct{ c *core }

func (s coreSession) Context() context.Context { return s.c.ctx }
func (s coreSession) Err() error               { return s.c.err() }
func (s coreSession) Snapshot() TID            { return s.c.snap.TID() }
func (s coreSession) core() *core              { return s.c }

// names are those under which objects of a type may be stored.
func (i *typeInfo) names() []string { return append([]string{i.name}, i.aliases...) }

// tableAt returns a table's record. Who has used it depends on it, whatever the
// isolation: on which indexes there are.
func (c *core) tableAt(oid OID, info *typeInfo) (*tableRecord, error) {
	rec, err := c.tableRecord(oid)
	if err != nil || rec.Class == info.name {
		return rec, err
	}
	if dir, _, err := c.tablesOf(); err != nil {
		return nil, err
	} else if dir != nil { // the class may have been renamed: both names have the same members then
		if tree, ok := dir.members(info); ok && tree == dir.Members[rec.Class] {
			return rec, nil
		}
	}
	if slices.Contains(info.aliases, rec.Class) {
		return rec, nil
	}
	return nil, fmt.Errorf("%w: table %s in %s is of objects of class %s, not %s (%s): use a handle of that type, or register the other name with Alias",
		ErrType, oid, c.db.path, rec.Class, info.name, info.goType)
}

func (c *core) tableRecord(oid OID) (*tableRecord, error) {
	var v any
	if e := c.hot(uint64(oid)); e != nil {
		v = e.value
	} else {
		var err error
		if v, err = c.load(uint64(oid), true); err != nil {
			return nil, err
		}
	}
	rec, ok := v.(*tableRecord)
	if !ok {
		return nil, fmt.Errorf("%w: object %s in %s is a %s, not a table: use a handle of its own type", ErrType, oid, c.db.path, c.className(v))
	}
	c.rely(oid)
	return rec, nil
}

// rely makes the session depend on an object also under SnapshotIsolation.
func (c *core) rely(oid OID) {
	if !c.writable || c.db.opts.Isolation != SnapshotIsolation {
		return
	}
	if c.relied == nil {
		c.relied = make(map[OID]struct{})
	}
	c.relied[oid] = struct{}{}
}

// createTable makes the record of a new table.
func (c *core) createTable(info *typeInfo, primary OID) (OID, error) {
	rec := &tableRecord{Class: info.name, Primary: AnyRef{c.reference(primary)}, Indexes: map[string]indexRecord{}}
	for _, name := range slices.Sorted(maps.Keys(info.indexes)) {
		if err := rec.add(c, info.indexes[name], false); err != nil {
			return 0, err
		}
	}
	oid, err := c.db.st.NewOID(c.ctx)
	if err != nil {
		return 0, err
	}
	c.takeEdited(&edited{oid: oid, info: c.db.opts.Types.byClass(tableClass), value: rec, fresh: true}, 0)
	return oid, nil
}

// add gives a table a new, empty index.
func (r *tableRecord) add(c *core, def indexer, building bool) error {
	tree, err := def.create(c)
	if err != nil {
		return err
	}
	r.Next++
	r.Indexes[def.Name()] = indexRecord{
		Number:   r.Next,
		Tree:     AnyRef{c.reference(tree)},
		Version:  def.version(),
		Unique:   def.unique(),
		Building: building,
	}
	return nil
}

// tablesOf returns the directory of the database's tables, nil if there is none.
// It does not enter the read set: an object that joins a table is written by
// who does that, so whoever edits it meanwhile conflicts.
func (c *core) tablesOf() (*tablesDirectory, OID, error) {
	found, err := c.binding(tablesName)
	if err != nil || found.IsNil() {
		return nil, 0, err
	}
	v, err := c.load(uint64(found.raw), false)
	if err != nil {
		return nil, 0, err
	}
	dir, ok := v.(*tablesDirectory)
	if !ok {
		return nil, 0, c.stick(&CorruptError{Path: c.db.path, OID: found.OID(), Reason: "it is not the directory of tables"})
	}
	return dir, found.OID(), nil
}

// membersOf returns the members of a class; ok is false if there are none.
func (c *core) membersOf(info *typeInfo) (tree memberTree, ok bool, err error) {
	dir, _, err := c.tablesOf()
	if err != nil || dir == nil {
		return tree, false, err
	}
	tree, ok = dir.members(info)
	return tree, ok, nil
}

// tablesAt tells whether objects of a class are in tables in another state than
// that of the session. It is asked rarely, and caches nothing.
func (c *core) tablesAt(snap storage.Snapshot, info *typeInfo) (bool, error) {
	state := func(oid OID) (any, error) {
		pos, err := snap.Find(oid)
		if err != nil {
			return nil, err
		}
		return c.stateAt(snap, oid, pos)
	}
	v, err := state(directoryOID)
	roots, err := asDirectory(v, err)
	if err != nil {
		return false, err
	}
	found, ok := (*roots)[tablesName]
	if !ok {
		return false, nil
	}
	if v, err = state(found.OID()); err != nil {
		return false, err
	}
	dir, ok := v.(*tablesDirectory)
	if !ok {
		return false, &CorruptError{Path: c.db.path, OID: found.OID(), Reason: "it is not the directory of tables"}
	}
	_, ok = dir.members(info)
	return ok, nil
}

func (d *tablesDirectory) members(info *typeInfo) (tree memberTree, ok bool) {
	for _, name := range info.names() {
		if tree, ok = d.Members[name]; ok {
			return tree, true
		}
	}
	return tree, false
}

// makeMembers returns the members of a class, under every name that a program
// may know the class by, and makes them if there are none.
func (c *core) makeMembers(info *typeInfo) (memberTree, error) {
	dir, oid, err := c.tablesOf()
	if err != nil {
		return memberTree{}, err
	}
	if dir != nil && !slices.ContainsFunc(info.names(), func(n string) bool { _, ok := dir.Members[n]; return !ok }) {
		return dir.Members[info.name], nil
	}
	if dir == nil {
		if dir, err = c.makeTables(); err != nil {
			return memberTree{}, err
		}
	} else {
		v, err := c.edit(uint64(oid), reflect.TypeFor[tablesDirectory]())
		if err != nil {
			return memberTree{}, err
		}
		dir = v.(*tablesDirectory)
	}
	tree, ok := dir.members(info)
	if !ok {
		if tree, err = NewBTree[uint64, []byte](coreSession{c}); err != nil {
			return tree, err
		}
	}
	if dir.Members == nil {
		dir.Members = map[string]memberTree{}
	}
	for _, name := range info.names() {
		dir.Members[name] = tree
	}
	return tree, nil
}

// makeTables makes the directory of tables.
func (c *core) makeTables() (*tablesDirectory, error) {
	roots, err := c.editDirectory()
	if err != nil {
		return nil, err
	}
	if found, ok := (*roots)[tablesName]; ok { // newer than what was read: of a live connection
		v, err := c.edit(uint64(found.raw), reflect.TypeFor[tablesDirectory]())
		if err != nil {
			return nil, err
		}
		return v.(*tablesDirectory), nil
	}
	dir := new(tablesDirectory)
	oid, err := c.add(dir, reflect.TypeFor[tablesDirectory]())
	if err == nil {
		(*roots)[tablesName] = AnyRef{c.reference(oid)}
	}
	return dir, err
}

// encodeKey encodes a key as its tree does.
func encodeKey[K comparable](c *core, k *K) ([]byte, error) {
	plan, err := keyPlanOf(reflect.TypeFor[K]())
	if err != nil {
		return nil, err
	}
	return plan.encode(nil, unsafe.Pointer(k), c.own)
}

// decodeKey is the opposite of encodeKey.
func decodeKey[K comparable](c *core, b []byte) (k K, err error) {
	plan, err := keyPlanOf(reflect.TypeFor[K]())
	if err != nil {
		return k, err
	}
	cursor := codec.NewCursor(b)
	plan.decode(&cursor, unsafe.Pointer(&k), c.tag)
	if err := cursor.Err(); err != nil {
		return k, fmt.Errorf("durus: a key in the members of a table in %s cannot be read: %w", c.db.path, err)
	}
	return k, nil
}
