package pack

import (
	"cmp"
	"slices"

	"github.com/durusdb/durus/storage"
)

// tally counts for the report.
type tally struct {
	report  *Report
	classes []Class // by number
}

func (t *tally) class(id storage.ClassID) *Class {
	if int(id) >= len(t.classes) {
		if id > storage.MaxClasses { // a damaged number: its objects count without a name
			id = 0
		}
		t.classes = append(t.classes, make([]Class, int(id)+1-min(len(t.classes), int(id)+1))...)
	}
	return &t.classes[id]
}

func (c *Count) add(objects uint64, bytes int64) {
	c.Objects += objects
	c.Bytes += bytes
}

func (t *tally) keep(id storage.ClassID, size int64, isNew bool) {
	n := uint64(0)
	if isNew {
		n = 1
	}
	t.report.Kept.add(n, size)
	t.class(id).Kept.add(n, size)
}

func (t *tally) drop(id storage.ClassID, size int64) {
	t.report.Dropped.add(1, size)
	t.class(id).Dropped.add(1, size)
}

func (t *tally) dangling(from, to storage.OID) {
	if from == 0 && to == rootOID { // an empty database has no root directory
		return
	}
	t.report.DanglingTotal++
	if len(t.report.Dangling) < MaxDangling {
		t.report.Dangling = append(t.report.Dangling, Dangling{from, to})
	}
}

// finish fills in the classes, those with the most bytes first.
func (t *tally) finish(name func(storage.ClassID) string) {
	for id, c := range t.classes {
		if c.Kept == (Count{}) && c.Dropped == (Count{}) {
			continue
		}
		c.Name = name(storage.ClassID(id))
		t.report.Classes = append(t.report.Classes, c)
	}
	slices.SortFunc(t.report.Classes, func(a, b Class) int {
		return cmp.Or(cmp.Compare(b.Kept.Bytes+b.Dropped.Bytes, a.Kept.Bytes+a.Dropped.Bytes), cmp.Compare(a.Name, b.Name))
	})
}
