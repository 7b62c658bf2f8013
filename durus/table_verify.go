package durus

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/durusdb/durus/internal/codec"
	"github.com/durusdb/durus/internal/collection"
)

// TableReport is what CheckTables found out about a table.
type TableReport struct {
	OID      OID
	Class    string // of its objects
	Objects  int
	Indexes  []IndexReport // by name
	Problems []string      // what is wrong, at most a few; none: it is in order
}

// IndexReport is an index of a table.
type IndexReport struct {
	Name     string
	Version  int
	Unique   bool
	Building bool // Reindex has not finished
	Entries  int
}

// CheckTables checks all tables of a database that have objects, in its newest
// durable state, without knowing their Go types: every object is in the tree of
// the primary keys and in those of the indexes under the keys that are recorded
// with it, and nothing else is. Whether these are the keys that the functions of
// the indexes give, only a program knows that has them: see Table.Check. Tables
// that nothing leads to any more are checked until they are packed away.
//
// It reads the trees, not the objects. What is wrong with a table is in its
// report; an error means that the check could not be done.
func CheckTables(ctx context.Context, db *DB) ([]TableReport, error) {
	return Result(ctx, db.View, func(tx *Tx) ([]TableReport, error) {
		dir, _, err := tx.c.tablesOf()
		if err != nil || dir == nil {
			return nil, err
		}
		v := tablesCheck{c: &tx.c, tables: map[uint64]*tableSums{}}
		seen := map[OID]bool{} // a renamed class has two names for one tree
		for _, class := range sortedNames(dir.Members) {
			tree := dir.Members[class]
			if seen[tree.OID()] {
				continue
			}
			seen[tree.OID()] = true
			for oid, packed := range tree.All(tx) {
				list, err := tx.c.memberships(OID(oid), packed)
				if err != nil {
					return nil, err
				}
				for i := range list {
					if err := v.member(OID(oid), &list[i]); err != nil {
						return nil, err
					}
				}
			}
		}
		if err := tx.Err(); err != nil {
			return nil, err
		}
		return v.reports()
	})
}

// tablesCheck is one CheckTables.
type tablesCheck struct {
	c      *core
	tables map[uint64]*tableSums // nil: it was packed away
	order  []*tableSums
}

// tableSums is what the members account for in a table.
type tableSums struct {
	TableReport
	rec     *tableRecord
	primary collection.View
	trees   []collection.View // of the indexes
}

func (s *tableSums) problem(format string, args ...any) {
	if len(s.Problems) < maxProblems {
		s.Problems = append(s.Problems, fmt.Sprintf(format, args...))
	}
}

// table opens the trees of a table; nil if there is none any more.
func (v *tablesCheck) table(oid uint64) (*tableSums, error) {
	if s, ok := v.tables[oid]; ok {
		return s, nil
	}
	rec, err := v.c.tableRecord(OID(oid))
	if isNotFound(err) {
		v.tables[oid] = nil
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	s := &tableSums{TableReport: TableReport{OID: OID(oid), Class: rec.Class}, rec: rec}
	if s.primary, err = v.tree(rec.Primary, collection.ClassBTree); err != nil {
		return nil, err
	}
	for _, name := range sortedNames(rec.Indexes) {
		at := rec.Indexes[name]
		class := collection.ClassSet
		if at.Unique {
			class = collection.ClassBTree
		}
		tree, err := v.tree(at.Tree, class)
		if err != nil {
			return nil, err
		}
		s.trees = append(s.trees, tree)
		s.Indexes = append(s.Indexes, IndexReport{Name: name, Version: at.Version, Unique: at.Unique, Building: at.Building})
	}
	v.tables[oid] = s
	v.order = append(v.order, s)
	return s, nil
}

// tree is a tree without its types.
func (v *tablesCheck) tree(ref AnyRef, class string) (collection.View, error) {
	store := v.c.store(v.c.snap, nil)
	oid := uint64(ref.OID())
	pos, err := store.Find(oid)
	if err != nil {
		return collection.View{}, err
	}
	head, err := store.Node(oid, pos)
	if err != nil {
		return collection.View{}, err
	}
	return collection.View{Tree: &collection.Tree{OID: oid, Class: class, Key: head.Key}, Store: store}, nil
}

// member checks what the trees of a table have of one object.
func (v *tablesCheck) member(oid OID, m *membership) error {
	s, err := v.table(m.Table)
	if err != nil || s == nil {
		return err
	}
	s.Objects++
	if _, err := v.c.snap.Find(oid); isNotFound(err) {
		s.problem("object %s, under the key %s, does not exist", oid, collection.Spell(m.Key))
	} else if err != nil {
		return err
	}
	ref := codec.AppendReference(nil, uint64(oid), false)
	value, found, err := s.primary.Get(m.Key)
	if err != nil {
		return err
	}
	if !found || !bytes.Equal(value, ref) {
		s.problem("object %s is a member under the key %s, which leads elsewhere", oid, collection.Spell(m.Key))
	}
	for i := range s.Indexes {
		x := &s.Indexes[i]
		keys, known := m.In[s.rec.Indexes[x.Name].Number]
		if !known && !x.Building {
			s.problem("index %q does not know object %s", x.Name, oid)
		}
		x.Entries += len(keys)
		for _, key := range keys {
			entry := key
			if !x.Unique {
				entry = slices.Concat(codec.AppendArrayHead(nil, 2), key, ref)
			}
			value, found, err := s.trees[i].Get(entry)
			if err != nil {
				return err
			}
			if !found || x.Unique && !bytes.Equal(value, ref) {
				s.problem("index %q has no entry of object %s under %s", x.Name, oid, collection.Spell(key))
			}
		}
	}
	return nil
}

// reports looks for entries that no member accounts for.
func (v *tablesCheck) reports() (out []TableReport, err error) {
	for _, s := range v.order {
		n, err := s.primary.Len()
		if err != nil {
			return nil, err
		}
		if n != s.Objects {
			s.problem("it has %d keys and %d members", n, s.Objects)
		}
		for i := range s.Indexes {
			x := &s.Indexes[i]
			if n, err = s.trees[i].Len(); err != nil {
				return nil, err
			}
			if n != x.Entries {
				s.problem("index %q has %d entries, its objects account for %d", x.Name, n, x.Entries)
			}
			x.Entries = n
		}
		out = append(out, s.TableReport)
	}
	slices.SortFunc(out, func(a, b TableReport) int { return cmp.Compare(a.OID, b.OID) })
	return out, nil
}
