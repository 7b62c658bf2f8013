package backup

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"time"

	"github.com/durusdb/durus/filestorage"
	"github.com/durusdb/durus/storage"
	"github.com/durusdb/durus/vfs"
)

// manifestFormat is the version of manifest.json. Keys are never renamed.
const manifestFormat = 1

// maxManifest bounds what is read of a manifest, in bytes.
const maxManifest = 256 << 20

// manifest says what is in a directory.
type manifest struct {
	Format   int    `json:"format"`
	Database string `json:"database"` // id, in hex; empty: nothing was backed up yet
	Next     int    `json:"next"`     // number of the next chunk; numbers are never used twice
	Runs     []*run `json:"runs"`     // oldest first
}

// run is a full backup and the increments after it.
type run struct {
	Reason     Reason      `json:"reason"` // why it is a full one
	Generation uint64      `json:"generation"`
	Salt       string      `json:"salt"`      // of the database file, in hex
	Horizon    storage.TID `json:"horizon"`   // it begins with the state at this transaction; 0: with an empty database
	BaseTime   int64       `json:"base_time"` // of the newest object in that state, microseconds since 1970
	Complete   bool        `json:"complete"`  // the full backup was finished
	Chunks     []chunk     `json:"chunks"`
}

// chunk is one file of a run.
type chunk struct {
	Name    string    `json:"name"`
	Begin   int64     `json:"begin"` // position of its first byte in the database file
	SHA256  string    `json:"sha256"`
	Written time.Time `json:"written"`
	End     point     `json:"end"`
}

// size is in bytes.
func (c *chunk) size() int64 { return c.End.End - c.Begin }

// point is a filestorage.Point in JSON.
type point struct {
	Start   int64       `json:"start"`
	End     int64       `json:"end"`
	Sum     uint32      `json:"sum"`
	TID     storage.TID `json:"tid"`
	Time    int64       `json:"time"`
	HighOID storage.OID `json:"high_oid"`
	TopOID  storage.OID `json:"top_oid"`
	Classes int         `json:"classes"`
}

// end is where the run ends.
func (r *run) end() filestorage.Point {
	if len(r.Chunks) == 0 {
		return filestorage.Point{}
	}
	return filestorage.Point(r.Chunks[len(r.Chunks)-1].End)
}

// sealed is how a manifest is stored: with a checksum of its own.
type sealed struct {
	Manifest json.RawMessage `json:"manifest"`
	SHA256   string          `json:"sha256"` // of manifest without white space
}

func (m *manifest) encode() ([]byte, error) {
	raw, err := json.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("durus: backup: %w", err)
	}
	b, err := json.MarshalIndent(sealed{raw, sumOf(raw)}, "", " ")
	if err != nil {
		return nil, fmt.Errorf("durus: backup: %w", err)
	}
	return append(b, '\n'), nil
}

func sumOf(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// decode reads what encode wrote, and nothing else.
func decode(b []byte) (m manifest, reason string) {
	var s sealed
	if err := json.Unmarshal(b, &s); err != nil {
		return m, err.Error()
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, s.Manifest); err != nil {
		return m, err.Error()
	}
	if sumOf(compact.Bytes()) != s.SHA256 {
		return m, "its checksum is wrong"
	}
	if err := json.Unmarshal(s.Manifest, &m); err != nil {
		return m, err.Error()
	}
	return m, m.fault()
}

// fault says why a manifest with a good checksum makes no sense.
func (m *manifest) fault() string {
	if m.Format > manifestFormat { // the rest may mean anything
		return ""
	}
	for _, r := range m.Runs {
		if r == nil || len(r.Chunks) == 0 {
			return "it names a backup without chunks"
		}
		at := int64(0)
		for _, c := range r.Chunks {
			if !isChunk(c.Name) || c.Begin != at || c.End.End <= at {
				return fmt.Sprintf("it says impossible things of chunk %q", c.Name)
			}
			at = c.End.End
		}
	}
	return ""
}

// load reads the manifest of a directory. The error Is fs.ErrNotExist when
// there is none, storage.ErrTooNew, or a *DamageError.
func load(fsys vfs.FS, dir string) (*manifest, error) {
	name := within(dir, manifestName)
	f := fsys.Open(name, vfs.ReadOnly)
	defer f.Close()
	size, err := f.Size()
	if err != nil {
		return nil, fmt.Errorf("durus: %w", err)
	}
	damaged := func(reason string) error {
		return &DamageError{Dir: dir, Name: manifestName, Reason: reason}
	}
	if size > maxManifest {
		return nil, damaged(fmt.Sprintf("it has %d bytes", size))
	}
	b := make([]byte, size)
	if n, err := f.ReadAt(b, 0); n < len(b) {
		if err == nil || errors.Is(err, io.EOF) {
			return nil, damaged("it became shorter while it was read")
		}
		return nil, fmt.Errorf("durus: read %s: %w", name, err)
	}
	m, reason := decode(b)
	if reason != "" {
		return nil, damaged(reason)
	}
	if m.Format != manifestFormat {
		return nil, fmt.Errorf("%w: %s has format %d, this program knows %d: use a newer program", storage.ErrTooNew, name, m.Format, manifestFormat)
	}
	return &m, nil
}

// missing is for a directory that holds no backups.
func missing(dir string, err error) error {
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return fmt.Errorf("durus: %s holds no backups (there is no %s in it): %w", dir, manifestName, fs.ErrNotExist)
}
