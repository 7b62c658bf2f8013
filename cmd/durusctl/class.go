package main

import (
	"fmt"

	"github.com/durusdb/durus/storage"
)

// classOf is what to call a class, also one that the file does not name, and
// the version of its type, 0 for none.
func classOf(spelling string, id storage.ClassID) (name string, version int) {
	if spelling == "" {
		return fmt.Sprintf("class %d", id), 0
	}
	return storage.SplitClass(spelling)
}

// versionText is a version in a table.
func versionText(version int) string {
	if version == 0 {
		return "none"
	}
	return fmt.Sprint(version)
}

// classTable remembers what the class numbers of a file mean.
type classTable map[storage.ClassID]classVersion

type classVersion struct {
	name    string
	version int // 0: none
}

// at returns the class of the record at a place.
func (t classTable) at(snap storage.Snapshot, p storage.Place) (classVersion, error) {
	id, err := snap.Class(p.OID, p.Position)
	if err != nil {
		return classVersion{}, err
	}
	c, ok := t[id]
	if !ok {
		spelling, _ := snap.ClassName(id)
		c.name, c.version = classOf(spelling, id)
		t[id] = c
	}
	return c, nil
}
