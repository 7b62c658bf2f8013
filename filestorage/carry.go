package filestorage

import (
	"errors"

	"github.com/durusdb/durus/storage"
)

var _ storage.Successor = (*snapshot)(nil)

// Carry implements storage.Successor. A revision is known by its transaction,
// whose id survives packs.
func (sn *snapshot) Carry(old storage.Snapshot, oid storage.OID, at storage.Position) (pos storage.Position, known bool, err error) {
	from, ok := old.(*snapshot)
	if !ok || !from.l.leadsTo(sn.l) {
		return 0, false, nil
	}
	was, _, err := from.l.writerOf(oid, at)
	if err != nil {
		return 0, false, err
	}
	if pos, err = sn.Find(oid); err != nil {
		if errors.Is(err, storage.ErrNotFound) {
			return 0, true, nil
		}
		return 0, false, err
	}
	is, _, err := sn.l.writerOf(oid, pos)
	if err != nil {
		return 0, false, err
	}
	if is != was {
		return 0, true, nil
	}
	return pos, true, nil
}

// leadsTo reports whether packs have led from this lineage to another one.
func (l *lineage) leadsTo(to *lineage) bool {
	for ; l != to; l = l.next.Load().to {
		if l.next.Load() == nil {
			return false
		}
	}
	return true
}
