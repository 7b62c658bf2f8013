package durus

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/durusdb/durus/internal/collection"
	"github.com/durusdb/durus/storage"
)

// footprint is what a transaction wrote, by what it takes to undo it.
type footprint struct {
	objects    []OID
	roots      bool // the root directory
	containers []*touchedContainer
	counters   []OID // not those that are parts of trees
}

// touchedContainer is a tree or a list of which nodes were written.
type touchedContainer struct {
	oid    OID
	class  string   // that of the head
	key    string   // of a tree: what its keys are
	nodes  []uint64 // that were written
	isGone bool     // the head is not in the state that the transaction left
}

func (t *touchedContainer) tree() *collection.Tree {
	return &collection.Tree{OID: uint64(t.oid), Class: t.class, Key: t.key}
}

// footprint sorts what the transaction wrote.
func (u *undoing) footprint() (*footprint, error) {
	f := &footprint{}
	byHead := map[OID]*touchedContainer{}
	var counters []OID
	for _, oid := range u.info.OIDs {
		class, err := u.classIn(u.after, oid)
		if err != nil {
			return nil, err
		}
		switch {
		case oid == directoryOID:
			f.roots = true
		case class == collection.ClassCounter:
			counters = append(counters, oid)
		case class == collection.ClassNode || collection.IsHead(class):
			head := oid
			if class == collection.ClassNode {
				if head, err = u.headOf(oid); err != nil {
					return nil, err
				}
			}
			t := byHead[head]
			if t == nil {
				t = &touchedContainer{oid: head}
				byHead[head] = t
				f.containers = append(f.containers, t)
			}
			t.nodes = append(t.nodes, uint64(oid))
		default:
			f.objects = append(f.objects, oid)
		}
	}
	slices.SortFunc(f.containers, func(a, b *touchedContainer) int { return cmp.Compare(a.oid, b.oid) })
	parts := map[OID]bool{} // counters of lengths
	for _, t := range f.containers {
		if err := u.look(t, parts); err != nil {
			return nil, err
		}
	}
	for _, oid := range counters {
		if !parts[oid] {
			f.counters = append(f.counters, oid)
		}
	}
	return f, nil
}

// classIn returns the name of an object's class in a snapshot, "" if it does not
// exist there.
func (u *undoing) classIn(snap storage.Snapshot, oid OID) (string, error) {
	pos, err := snap.Find(oid)
	if isNotFound(err) {
		return "", nil
	}
	var id storage.ClassID
	if err == nil {
		id, err = snap.Class(oid, pos)
	}
	if err != nil {
		return "", u.c.readError(err)
	}
	spelling, _ := snap.ClassName(id)
	name, _ := storage.SplitClass(spelling)
	return name, nil
}

// nodeIn returns a node in a snapshot; the error is ErrNotFound if it does not
// exist there.
func (u *undoing) nodeIn(snap storage.Snapshot, oid OID) (*collection.Node, error) {
	st := u.c.store(snap, nil)
	pos, err := st.Find(uint64(oid))
	if err != nil {
		return nil, err
	}
	return st.Node(uint64(oid), pos)
}

// headOf returns the container that a node belongs to.
func (u *undoing) headOf(oid OID) (OID, error) {
	n, err := u.nodeIn(u.after, oid)
	if err != nil {
		return 0, u.c.readError(err)
	}
	if n.Head || OID(n.Of) > storage.MaxOID {
		return 0, u.c.nodeError(oid, fmt.Errorf("it belongs to no container"))
	}
	return OID(n.Of), nil
}

// look finds out what a container is, and which counters are parts of it.
func (u *undoing) look(t *touchedContainer, parts map[OID]bool) (err error) {
	if t.class, err = u.classIn(u.after, t.oid); err != nil {
		return err
	}
	if !collection.IsHead(t.class) {
		if t.class == "" { // nothing leads to it: only its node was kept
			t.isGone = true
			return nil
		}
		return u.c.nodeError(t.oid, fmt.Errorf("it is a %s, and has nodes of a container", t.class))
	}
	for _, snap := range []storage.Snapshot{u.before, u.after} {
		n, err := u.nodeIn(snap, t.oid)
		if isNotFound(err) {
			continue // it was not made yet
		}
		if err != nil {
			return u.c.readError(err)
		}
		t.key = n.Key
		for _, oid := range n.Lengths {
			parts[OID(oid)] = true
		}
	}
	return nil
}
