package filestorage

import "github.com/durusdb/durus/storage"

// RecordSize is how many bytes a record takes in the file, header and references
// included: what Overview counts as live.
func RecordSize(r *storage.Record) int64 {
	return recordHeaderSize + 8*int64(len(r.Strong)+len(r.Weak)) + int64(len(r.Payload))
}
