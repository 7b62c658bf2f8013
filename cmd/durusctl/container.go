package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/durusdb/durus/internal/codec"
	"github.com/durusdb/durus/internal/collection"
	"github.com/durusdb/durus/storage"
)

// container is a BTree, Dict, Set or List as its user sees it: entries, not nodes.
type container struct {
	oid   storage.OID
	class string // durus.BTree, ...
	keys  string // what its keys are; empty for a List
	store collection.Store
}

// container returns the container whose head a record is; ok is false if it is
// none, or cannot be read.
func (v *view) container(rec *storage.Record) (c container, ok bool) {
	class := v.class(rec.Class)
	if !collection.IsHead(class) || rec.Codec != storage.CodecMsgpack {
		return c, false
	}
	n, err := collection.Parse(rec.Payload)
	if err != nil {
		return c, false
	}
	return container{rec.OID, class, n.Key, collection.In(v.snap)}, true
}

func (c container) tree() collection.View {
	return collection.View{Tree: &collection.Tree{OID: uint64(c.oid), Class: c.class, Key: c.keys}, Store: c.store}
}

func (c container) list() collection.ListView {
	return collection.ListView{List: &collection.List{OID: uint64(c.oid)}, Store: c.store}
}

// length reads a few nodes.
func (c container) length() (n int, err error) {
	if c.class == collection.ClassList {
		n, err = c.list().Len()
	} else {
		n, err = c.tree().Len()
	}
	return n, c.damaged(err)
}

// each calls f for the entries in their order, until it returns false. The key of
// a List is an int, the value of a Set nil.
func (c container) each(f func(key, value any) bool) error {
	var bad error
	readable := func(b []byte) any {
		v, err := codec.Readable(b)
		if err != nil && bad == nil {
			bad = err
		}
		return v
	}
	var err error
	if c.class == collection.ClassList {
		i := -1
		err = c.list().Each(func(value []byte) bool {
			i++
			return f(i, readable(value)) && bad == nil
		})
	} else {
		err = c.tree().Each(func(key, value []byte) bool {
			var v any
			if value != nil {
				v = readable(value)
			}
			return f(readable(key), v) && bad == nil
		})
	}
	return c.damaged(errors.Join(err, bad))
}

// damaged says of a node that is missing what it is: damage.
func (c container) damaged(err error) error {
	if !errors.Is(err, storage.ErrNotFound) {
		return err
	}
	return fmt.Errorf("%w: a node of container %s is missing: durusctl verify tells more", storage.ErrCorrupt, c.oid)
}

// what describes the container without its entries.
func (c container) what() string {
	s := strings.TrimPrefix(c.class, storage.ReservedClasses)
	if c.keys != "" {
		s += ", keys " + c.keys
	}
	return s
}

// summary is what a container is, and how long.
func (c container) summary() string {
	n, err := c.length()
	if err != nil {
		return c.what() + ", damaged"
	}
	return c.what() + ", " + entryCount(n)
}

func entryCount(n int) string {
	if n == 1 {
		return "1 entry"
	}
	return fmt.Sprintf("%d entries", n)
}

// entryField is the field of what a container holds under a key.
func entryField(key any) field { return field{"[" + keyText(key) + "]"} }

// keyField is the field of a reference that is a key, or a part of one.
var keyField = field{"(key)"}

// nodeItself stands for the field of a node's reference to another node.
const nodeItself = "(node)"

// nodeFields lists where a node of a container, or its head, refers to an
// object. It reads one node only: the index in a List is not known.
func nodeFields(n *collection.Node, oid storage.OID) []string {
	var found []string
	note := func(at field, v any) bool {
		if r, ok := v.(codec.RefValue); ok && storage.OID(r.OID) == oid {
			found = append(found, at.String())
		}
		return true
	}
	entry := func(i int) field {
		if i >= len(n.Keys) {
			return field{"[]"}
		}
		key, err := codec.Readable(n.Keys[i])
		if err != nil {
			return field{"[?]"}
		}
		references(keyField, key, note)
		return entryField(key)
	}
	if n.Level > 0 {
		for _, child := range append(n.Children, n.Lengths...) {
			if storage.OID(child) == oid {
				return []string{nodeItself}
			}
		}
	}
	for i := range max(len(n.Keys), len(n.Values)) {
		at := entry(i)
		if i < len(n.Values) {
			if v, err := codec.Readable(n.Values[i]); err == nil {
				references(at, v, note)
			}
		}
	}
	return found
}
