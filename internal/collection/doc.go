// Package collection holds the containers of durus without their Go types: how
// the nodes of sorted trees and lists are laid out, and what is done to them.
// Everything here works on encoded keys and values, so that it runs where no
// code of the program's may (under the commit lock), and for tools that know no
// types (verify). Package durus puts typed views and transactions on top.
//
// # Nodes
//
// A container is a tree of objects. Its head is the object that the handle
// refers to; it never moves, and a small container is the head alone. A node is
// one msgpack map, of these fields in this order, those in brackets where they
// apply:
//
//	"key"       [head of a tree] what its keys are: "string", "integer", ... (durus.KeyOf)
//	"lengths"   [head of a tree with level > 0] references to counters: their sum is the length
//	"of"        [not a head] the oid of the head, as a number
//	"level"     0 for a leaf
//	"keys"      [trees] of a leaf its keys in order; of an inner node what separates its children
//	"values"    [leaves of BTree, Dict, List] the values, parallel to the keys
//	"counts"    [inner nodes of List] how many values are below each child but the last
//	"children"  [inner nodes] references
//
// Child i of an inner node of a tree holds the keys k with keys[i-1] <= k <
// keys[i]. The order is codec.Compare; in a Dict it is first that of Hash.
//
// A length is not stored in inner nodes, and not in one place: writers of
// different keys would meet there. A tree of more than one node has a few
// counters, of which a transaction changes one.
//
// # Invariants
//
//   - All leaves have the same level, 0, and inner nodes one more than their
//     children.
//   - A node that is not a head is not empty, and has one parent.
//   - Each key is found by looking for it from the head.
//   - Nodes are split when they outgrow Limits, and go when they are empty.
//     Otherwise they are not joined.
//   - Applying the same operations to the same tree gives the same nodes, but
//     for the oids of new ones.
package collection
