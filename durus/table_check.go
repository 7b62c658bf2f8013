package durus

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"github.com/durusdb/durus/internal/collection"
)

// maxProblems is how many problems Check tells.
const maxProblems = 20

// Check looks whether the indexes of a table are in step, in the state that the
// session sees: every object is in each index under the keys that the function of
// the index gives today, and nothing else is. It loads all objects. The error is
// nil if there is nothing wrong, and else ErrIndex, with what was found first;
// it does not stick. An index that this program does not declare cannot be
// looked at, which is ErrIndex, too.
//
// Reindex with Again mends indexes. A wrong one means that its function is not
// pure, or has become another one without a new Version.
//
// It is meant for tests and for tools, in a View.
func (t Table[K, T]) Check(s Session) error {
	c := s.core()
	oid, ok, err := c.openContainer(t.raw)
	if err != nil || !ok {
		return err
	}
	k := tableCheck{c: c, oid: oid, counts: map[string]int{}}
	if k.info, err = tableType[T](c); err != nil {
		return err
	}
	if c.writable {
		if err := c.keepIndexes(); err != nil {
			return err
		}
	}
	if k.rec, err = c.tableAt(oid, k.info); err != nil {
		return err
	}
	tree, _, err := c.membersOf(k.info)
	if err != nil {
		return err
	}
	n := 0
	for key, ref := range t.All(s) {
		n++
		packed, _, err := tree.Get(s, uint64(ref.OID()))
		if err != nil {
			return err
		}
		list, err := c.memberships(ref.OID(), packed)
		if err != nil {
			return err
		}
		b, err := encodeKey(c, &key)
		if err != nil {
			return err
		}
		v, err := ref.Load(s)
		if err != nil {
			return err
		}
		if err := k.object(ref.OID(), b, v, list); err != nil {
			return err
		}
	}
	for id, packed := range tree.All(s) {
		list, err := c.memberships(OID(id), packed)
		if err != nil {
			return err
		}
		if within(list, oid) >= 0 {
			n--
		}
	}
	if err := c.err(); err != nil {
		return err
	}
	if n != 0 {
		k.problem("its members are %d fewer than its keys", n)
	}
	if err := k.sizes(); err != nil {
		return err
	}
	return errors.Join(k.problems...)
}

// tableCheck is one Check.
type tableCheck struct {
	c        *core
	oid      OID
	info     *typeInfo
	rec      *tableRecord
	counts   map[string]int // how many entries each index should have
	problems []error
}

func (k *tableCheck) problem(format string, args ...any) {
	if len(k.problems) < maxProblems {
		k.problems = append(k.problems, fmt.Errorf("%w: table %s in %s: %s", ErrIndex, k.oid, k.c.db.path, fmt.Sprintf(format, args...)))
	}
}

// object checks what the indexes have of one object.
func (k *tableCheck) object(oid OID, key []byte, v any, list []membership) error {
	i := within(list, k.oid)
	if i < 0 {
		k.problem("object %s has the key %s and is no member", oid, collection.Spell(key))
		return nil
	}
	if !bytes.Equal(list[i].Key, key) {
		k.problem("object %s has the key %s and is a member as %s", oid, collection.Spell(key), collection.Spell(list[i].Key))
	}
	for _, name := range sortedNames(k.rec.Indexes) {
		at := k.rec.Indexes[name]
		have, known := list[i].In[at.Number]
		def, err := k.info.declared(k.oid, name, at)
		if err != nil {
			return err
		}
		if at.Building && !known {
			continue
		}
		want, err := def.keys(k.c, oid, v)
		if err != nil {
			return err
		}
		k.counts[name] += len(want)
		if !slices.EqualFunc(have, want, bytes.Equal) {
			k.problem("object %s should be in index %q under %s, and is as %s", oid, name, spellAll(want), spellAll(have))
		}
		for _, b := range want {
			found, err := def.has(k.c, at.Tree, b, oid)
			if err != nil {
				return err
			}
			if !found {
				k.problem("index %q has no entry of object %s under %s", name, oid, collection.Spell(b))
			}
		}
	}
	return nil
}

// sizes looks for entries that no object accounts for.
func (k *tableCheck) sizes() error {
	for _, name := range sortedNames(k.rec.Indexes) {
		at := k.rec.Indexes[name]
		def, err := k.info.declared(k.oid, name, at)
		if err != nil {
			return err
		}
		n, err := def.size(k.c, at.Tree)
		if err != nil {
			return err
		}
		if n != k.counts[name] {
			k.problem("index %q has %d entries, the objects account for %d", name, n, k.counts[name])
		}
	}
	return nil
}

func spellAll(keys [][]byte) string {
	if len(keys) == 0 {
		return "no key"
	}
	var b bytes.Buffer
	for i, k := range keys {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(collection.Spell(k))
	}
	return b.String()
}
