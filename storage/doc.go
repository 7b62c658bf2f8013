// Package storage holds the words that all layers of durus share: object and
// transaction identifiers, records, transactions, errors, limits, and the
// Storage interface that stands between the object layer (package durus) and
// whatever keeps the records (package filestorage).
//
// It imports nothing of this module, so every other package may import it.
package storage
