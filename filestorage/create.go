package filestorage

import (
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"io/fs"
	"time"

	"github.com/durusdb/durus/vfs"
)

// create makes a new, empty database file. The header is written to a
// temporary file, synced, and becomes visible whole; of several creators one
// wins, the others get fs.ErrExist. The name is on the disk before the first
// commit is acknowledged (R9), not before.
func create(fsys vfs.FS, path string, perm fs.FileMode, now time.Time) error {
	h := newHeader(now)
	return createWith(fsys, path, perm, &h)
}

// newHeader is the header of a database that nobody has had before.
func newHeader(now time.Time) Header {
	h := Header{Format: formatNumber, HighOID: firstOID, Synced: headerSize, Created: now.UnixMicro()}
	var r [24]byte
	rand.Read(r[:])
	copy(h.ID[:], r[:])
	h.Salt = binary.LittleEndian.Uint64(r[16:])
	return h
}

// createWith is create with a header that the caller has chosen, so that tests
// can make the same file twice.
func createWith(fsys vfs.FS, path string, perm fs.FileMode, h *Header) error {
	w := fsys.Create(path, vfs.FailIfExists, perm)
	w.Write(h.encode()) // errors come back from Commit
	if err := w.Commit(); err != nil {
		return fmt.Errorf("durus: create %s: %w", path, err)
	}
	return nil
}
