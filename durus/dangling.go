package durus

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/durusdb/durus/storage"
)

// wayLimit is how many objects are looked at to explain an error.
const wayLimit = 20_000

// showWay completes an error about a reference to nothing with how the program
// gets to the object that would hold it: by the objects of the commit, and by
// those of the state that it was to be made on.
func (c *core) showWay(err error, base storage.Snapshot, records []storage.Record) {
	if err == nil { // what As is given is allocated
		return
	}
	var d *DanglingError
	if !errors.As(err, &d) {
		return
	}
	w := way{c: c, base: base, records: make(map[OID]*storage.Record, len(records))}
	for i := range records {
		w.records[records[i].OID] = &records[i]
	}
	d.Way = w.to(d.From)
}

// way looks for the shortest chain of references.
type way struct {
	c       *core
	base    storage.Snapshot
	records map[OID]*storage.Record // of the commit
	from    map[OID]OID             // what was found, and who refers to it
}

// to returns the chain from a root to an object; without one, only what the
// object is.
func (w *way) to(oid OID) string {
	w.from = map[OID]OID{directoryOID: 0}
	for queue := []OID{directoryOID}; len(queue) > 0 && len(w.from) < wayLimit; queue = queue[1:] {
		if queue[0] == oid {
			return w.describe(oid)
		}
		for _, to := range w.record(queue[0]).Strong {
			if _, found := w.from[to]; !found {
				w.from[to] = queue[0]
				queue = append(queue, to)
			}
		}
	}
	return w.class(oid)
}

// record is an object as it would have been after the commit; an empty one if it
// cannot be read.
func (w *way) record(oid OID) *storage.Record {
	if r := w.records[oid]; r != nil {
		return r
	}
	pos, err := w.base.Find(oid)
	if err == nil {
		if r, err := w.base.Read(oid, pos); err == nil {
			return &r
		}
	}
	return new(storage.Record)
}

func (w *way) class(oid OID) string {
	spelling, _ := w.base.ClassName(w.record(oid).Class)
	name, _ := storage.SplitClass(spelling)
	return name
}

// describe spells a chain that was found.
func (w *way) describe(oid OID) string {
	var steps []string
	for ; oid != directoryOID; oid = w.from[oid] {
		steps = append(steps, fmt.Sprintf("%s@%s", w.class(oid), oid))
		if w.from[oid] == directoryOID {
			steps = append(steps, w.root(oid))
		}
	}
	slices.Reverse(steps)
	return strings.Join(steps, " > ")
}

// root is the name of the root that is an object.
func (w *way) root(oid OID) string {
	dir, err := asDirectory(w.c.load(uint64(directoryOID), false))
	if err == nil {
		for name, ref := range *dir {
			if ref.OID() == oid {
				return fmt.Sprintf("root %q", name)
			}
		}
	}
	return "the root directory"
}
