package collection

import (
	"fmt"

	"github.com/durusdb/durus/storage"
)

// snapshotStore reads nodes from a snapshot, without a cache: for tools.
type snapshotStore struct{ snap storage.Snapshot }

// In returns the nodes of a snapshot.
func In(snap storage.Snapshot) Store { return snapshotStore{snap} }

func (s snapshotStore) Lineage() uint64 { return s.snap.Lineage() }

func (s snapshotStore) Find(oid uint64) (int64, error) {
	pos, err := s.snap.Find(storage.OID(oid))
	return int64(pos), err
}

func (s snapshotStore) Node(oid uint64, pos int64) (*Node, error) {
	payload, err := s.payload(oid, pos)
	if err != nil {
		return nil, err
	}
	n, err := Parse(payload)
	if err == nil {
		n.OID, n.Pos = oid, pos
	}
	return n, err
}

func (s snapshotStore) Leaf(oid uint64, pos int64) (*Leaf, error) {
	payload, err := s.payload(oid, pos)
	if err != nil {
		return nil, err
	}
	l, _, err := Open(payload)
	if l != nil {
		l.OID, l.Pos = oid, pos
	}
	return l, err
}

// payload reads a node.
func (s snapshotStore) payload(oid uint64, pos int64) ([]byte, error) {
	rec, err := s.snap.Read(storage.OID(oid), storage.Position(pos))
	if err != nil {
		return nil, err
	}
	return rec.Payload, expect(s.snap, rec, ClassNode, ClassBTree, ClassDict, ClassSet, ClassList)
}

func (s snapshotStore) Count(oid uint64, pos int64) (int64, error) {
	rec, err := s.snap.Read(storage.OID(oid), storage.Position(pos))
	if err != nil {
		return 0, err
	}
	if err := expect(s.snap, rec, ClassCounter); err != nil {
		return 0, err
	}
	return ParseCounter(rec.Payload)
}

// expect tells whether a record is of one of the classes.
func expect(snap storage.Snapshot, rec storage.Record, classes ...string) error {
	name, _ := snap.ClassName(rec.Class)
	for _, c := range classes {
		if name == c {
			return nil
		}
	}
	return fmt.Errorf("%w: object %s is a %s, not a %s", storage.ErrCorrupt, rec.OID, name, classes[0])
}

// IsHead tells whether objects of a class are the heads of containers that
// Check can check.
func IsHead(class string) bool {
	switch class {
	case ClassBTree, ClassDict, ClassSet, ClassList:
		return true
	}
	return false
}
