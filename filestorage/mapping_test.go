package filestorage

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/durusdb/durus/storage"
	"github.com/durusdb/durus/vfs"
	"github.com/durusdb/durus/vfs/posix"
	"github.com/durusdb/durus/vfs/wrap"
)

// mapped is a database of some records that were all read often enough for their
// file to be mapped.
type mappedFile struct {
	*Storage
	t     testing.TB
	path  string
	oids  []storage.OID
	bytes map[storage.OID][]byte
}

func newMappedFile(t testing.TB, fsys vfs.FS) *mappedFile {
	t.Helper()
	if p := fsys.Props(t.TempDir()); !p.Mapping || !p.LiveMapping {
		t.Skip("mappings do not show what is appended here (Props.LiveMapping)")
	}
	if fewAddresses {
		t.Skip("files are not mapped on 32 bits")
	}
	f := &mappedFile{t: t, path: filepath.Join(t.TempDir(), "x.durus"), bytes: make(map[storage.OID][]byte)}
	var err error
	f.Storage, err = Open(f.path, Options{FS: fsys, Sync: storage.SyncNever, Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	f.add(100, 1000)
	f.readAll(2)
	return f
}

// add commits n records of up to size bytes.
func (f *mappedFile) add(n, size int) {
	f.t.Helper()
	recs := make([]storage.Record, n)
	for i := range recs {
		oid, err := f.NewOID(background)
		if err != nil {
			f.t.Fatal(err)
		}
		payload := bytes.Repeat([]byte{byte(oid)}, 1+rand.IntN(size))
		recs[i] = storage.Record{OID: oid, Codec: storage.CodecMsgpack, Payload: payload, Strong: f.oids[:min(len(f.oids), i%4)]}
		f.oids, f.bytes[oid] = append(f.oids, oid), payload
	}
	if err := f.CommitUnchecked(recs); err != nil {
		f.t.Fatal(err)
	}
}

// read reads one record in a snapshot of its own.
func (f *mappedFile) read(oid storage.OID) error {
	snap, err := f.Begin(background, false)
	if err != nil {
		return err
	}
	defer snap.Release()
	return f.readIn(snap, oid)
}

func (f *mappedFile) readIn(snap storage.Snapshot, oid storage.OID) error {
	pos, err := snap.Find(oid)
	if err != nil {
		return err
	}
	r, err := snap.Read(oid, pos)
	if err == nil && (r.OID != oid || !bytes.Equal(r.Payload, f.bytes[oid])) {
		err = fmt.Errorf("object %s has %d bytes, not %d of another kind", oid, len(r.Payload), len(f.bytes[oid]))
	}
	return err
}

func (f *mappedFile) readAll(times int) {
	f.t.Helper()
	for range times {
		for _, oid := range f.oids {
			if err := f.read(oid); err != nil {
				f.t.Fatal(err)
			}
		}
	}
}

// newest is the mapping that reads go to.
func (f *mappedFile) newest() *mapping { return f.current().mapped.newest.Load() }

// taken is how many of the records come from memory.
func (f *mappedFile) taken() (n int) {
	m := f.newest()
	if m == nil {
		return 0
	}
	for _, oid := range f.oids {
		if _, b := m.take(oid, int64(f.current().index.get(oid)), f.current().end(), make([]byte, readGuess)); b != nil {
			n++
		}
	}
	return n
}

func TestRecordsComeFromMemory(t *testing.T) {
	f := newMappedFile(t, posix.New())
	if n := f.taken(); n != len(f.oids) {
		t.Errorf("%d of %d records come from memory", n, len(f.oids))
	}
	// A page that nobody has read comes by a system call.
	m := f.newest()
	for i := range m.read {
		m.read[i].Store(0)
	}
	if n := f.taken(); n != 0 {
		t.Errorf("%d records come from pages that were not read", n)
	}
	f.readAll(1)
	if n := f.taken(); n != len(f.oids) {
		t.Errorf("%d of %d records come from memory", n, len(f.oids))
	}
}

// A file that grows is mapped again when it has outgrown its room, and not before;
// what was read stays known.
func TestMappingGrows(t *testing.T) {
	f := newMappedFile(t, posix.New())
	first := f.newest()
	f.add(100, 1000) // fits; who has written them need not read them
	if f.newest() != first || f.taken() != len(f.oids) {
		t.Errorf("%d of %d records, the same mapping: %v", f.taken(), len(f.oids), f.newest() == first)
	}
	f.add(3, 2*mapLeast)
	f.add(100, 1000)
	f.add(3, 2*mapLeast)
	f.readAll(1)
	if f.newest() == first || f.taken() != len(f.oids) {
		t.Errorf("%d of %d records, the same mapping: %v", f.taken(), len(f.oids), f.newest() == first)
	}
	if n := len(f.current().mapped.all); n > 3 {
		t.Errorf("mapped %d times", n)
	}
}

// Bytes that changed under a mapping are met with the same error as without one.
func TestMappingShowsDamage(t *testing.T) {
	f := newMappedFile(t, posix.New())
	oid := f.oids[7]
	pos := int64(f.current().index.get(oid))
	file, err := os.OpenFile(f.path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	whole, err := os.ReadFile(f.path)
	if err != nil {
		t.Fatal(err)
	}
	for off := pos; off < pos+recordHeaderSize+1; off++ {
		for bit := range 8 {
			if _, err := file.WriteAt([]byte{whole[off] ^ 1<<bit}, off); err != nil {
				t.Fatal(err)
			}
			var damage *storage.CorruptError
			if err := f.read(oid); !errors.As(err, &damage) || damage.OID != oid {
				t.Errorf("byte %d, bit %d: %v", off-pos, bit, err)
			}
			if _, err := file.WriteAt(whole[off:off+1], off); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := f.read(oid); err != nil {
		t.Error(err)
	}
}

// Somebody cuts the file: touching what is gone does not end the process.
func TestMappingSurvivesACut(t *testing.T) {
	f := newMappedFile(t, posix.New())
	f.add(100, 4*mappedPage)
	f.readAll(1)
	snap, err := f.Begin(background, false)
	if err != nil {
		t.Fatal(err)
	}
	defer snap.Release()
	if err := os.Truncate(f.path, mappedPage); err != nil {
		t.Fatal(err)
	}
	failed := 0
	for _, oid := range f.oids {
		err := f.readIn(snap, oid)
		var damage *storage.CorruptError
		switch {
		case err == nil:
		case errors.Is(err, storage.ErrRewound), errors.As(err, &damage):
			failed++
		default:
			t.Error(err)
		}
	}
	if failed < 100 {
		t.Errorf("%d reads of a file that was cut have failed", failed)
	}
}

// A read that comes too late, when the mapping has ended with its descriptor, is
// an error and nothing else.
func TestMappingEndsUnderReaders(t *testing.T) {
	for range 20 {
		f := newMappedFile(t, posix.New())
		snap, err := f.Begin(background, false)
		if err != nil {
			t.Fatal(err)
		}
		var readers sync.WaitGroup
		for range 4 {
			readers.Go(func() {
				for n := 0; ; n++ {
					if err := f.readIn(snap, f.oids[n%len(f.oids)]); err != nil {
						if !errors.Is(err, vfs.ErrClosed) && !errors.Is(err, os.ErrClosed) {
							t.Error(err)
						}
						return
					}
				}
			})
		}
		snap.Release() // too early: that is the point
		if err := f.Close(); err != nil {
			t.Error(err)
		}
		readers.Wait()
	}
}

// What stands before a file has a say in all its reads.
func TestWrappedFilesAreNotMapped(t *testing.T) {
	reads := 0
	f := newMappedFile(t, wrap.New(posix.New(), func(c *wrap.Call) {
		if c.Op == wrap.Read {
			reads++
		}
		c.Next()
	}))
	if f.newest() != nil {
		t.Error("it is mapped")
	}
	before := reads
	f.readAll(1)
	if reads < before+len(f.oids) {
		t.Errorf("%d reads of %d records", reads-before, len(f.oids))
	}
}
