// Package check knows what the objects of a file have to look like, beyond their
// checksums. It is for those who verify a whole database: package durus and
// durusctl. It imports storage, internal/codec and internal/collection.
package check
