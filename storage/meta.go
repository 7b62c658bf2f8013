package storage

import (
	"maps"
	"strconv"
)

// Meta is what a transaction says of itself, kept in the file. Keys of Ext that
// begin with "durus." belong to durus.
type Meta struct {
	User        string
	Description string
	Ext         map[string]string
}

// ExtConflicts is the key in Meta.Ext for how many conflicts a transaction met,
// a decimal number, before the attempt that was committed. No key, no conflicts.
const ExtConflicts = "durus.conflicts"

// WithConflicts returns m with this number of conflicts, unless it has one, or
// no room for it within MaxMeta. The Ext of m itself stays as it is.
func (m Meta) WithConflicts(n int) Meta {
	if _, ok := m.Ext[ExtConflicts]; ok || n <= 0 {
		return m
	}
	had := m.Ext
	m.Ext = make(map[string]string, len(had)+1)
	maps.Copy(m.Ext, had)
	m.Ext[ExtConflicts] = strconv.Itoa(n)
	if m.Size() > MaxMeta {
		m.Ext = had
	}
	return m
}

// Conflicts is how many conflicts the transaction met before it was committed,
// as far as it tells.
func (m Meta) Conflicts() uint64 {
	n, err := strconv.ParseUint(m.Ext[ExtConflicts], 10, 32)
	if err != nil {
		return 0
	}
	return n
}

// Empty reports whether m says nothing.
func (m Meta) Empty() bool { return m.User == "" && m.Description == "" && len(m.Ext) == 0 }

// Size is that of m in the file, in bytes; see MaxMeta.
func (m Meta) Size() int {
	if m.Empty() {
		return 0
	}
	n := 4 + 4 + len(m.User) + 4 + len(m.Description)
	for k, v := range m.Ext {
		n += 8 + len(k) + len(v)
	}
	return n
}
