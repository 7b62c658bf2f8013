package filestorage

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math/bits"
	"slices"
	"time"

	"github.com/durusdb/durus/storage"
	"github.com/durusdb/durus/vfs"
)

// Outline is what a database is besides its objects.
type Outline struct {
	ID         [16]byte
	Generation uint64      // counts packs
	TID        storage.TID // the newest transaction
	High       storage.OID // first object id that was not given out
}

// Outline returns what Builder needs to make the database again. The snapshot
// must be of this handle.
func (s *Storage) Outline(snap storage.Snapshot) Outline {
	sn := snap.(*snapshot)
	h := &sn.l.header
	sn.l.mu.Lock()
	defer sn.l.mu.Unlock()
	return Outline{ID: h.ID, Generation: h.Generation, TID: sn.tid, High: sn.l.cur.high}
}

// Writer tells which transaction wrote the record at a position that Find or
// Objects returned, and when; of a state that a pack has kept, too. The snapshot
// must be of this handle.
func (s *Storage) Writer(snap storage.Snapshot, oid storage.OID, pos storage.Position) (storage.TID, time.Time, error) {
	tid, micros, err := snap.(*snapshot).l.writerOf(oid, pos)
	return tid, time.UnixMicro(micros), err
}

// Builder makes a new database of states that somebody has kept, without history,
// as a pack does: each has the transaction that wrote it, and its time. The file
// appears, whole and on the disk, when Commit returns. One goroutine uses a
// Builder.
type Builder struct {
	fs   vfs.FS
	path string
	w    vfs.Writer
	out  generation
	base baseFrame
	tmp  draft
	high storage.OID
	want oidSet // what strong references lead to
	have oidSet
	over bool
}

// NewBuilder begins a database at a path that must not exist. Errors:
// fs.ErrExist, and those of values that no database has.
func NewBuilder(fsys vfs.FS, path string, o Outline) (*Builder, error) {
	b := &Builder{fs: vfs.Blocking(fsys), high: o.High, want: make(oidSet), have: make(oidSet)}
	var err error
	if b.path, err = b.fs.Resolve(path); err != nil {
		return nil, fmt.Errorf("durus: create %s: %w", path, err)
	}
	if o.High < firstOID || o.High > storage.MaxOID {
		return nil, fmt.Errorf("durus: create %s: the first free object id is %d, and must be from %d to %d", path, uint64(o.High), uint64(firstOID), uint64(storage.MaxOID))
	}
	if err := vacant(b.fs, b.path); err != nil {
		return nil, err
	}
	h := newHeader(time.Now())
	h.ID, h.Generation, h.Horizon, h.HighOID = o.ID, o.Generation, o.TID, o.High
	b.w = b.fs.Create(b.path, vfs.FailIfExists, 0o600)
	b.w.Write(h.encode()) // errors come back from Commit
	b.out.begin(h)
	b.out.file = unfinished{w: b.w}
	return b, nil
}

// Class gives the next class number to a name, in the spelling of
// storage.ClassName.
func (b *Builder) Class(name string) (storage.ClassID, error) {
	if len(name) == 0 || len(name) > storage.MaxClassName || b.out.chain.cls == storage.MaxClasses {
		return 0, fmt.Errorf("%w: a class name takes 1 to %d bytes, and there are at most %d", storage.ErrTooLarge, storage.MaxClassName, storage.MaxClasses)
	}
	id := storage.ClassID(b.out.chain.cls + 1)
	return id, b.out.add(newClassDraft(id, name), 0, 0)
}

// Add adds the state of an object, each of which comes once. Nothing of the
// record is kept.
func (b *Builder) Add(rec *storage.Record, tid storage.TID, at time.Time) error {
	switch err := checkRecord(rec); {
	case err != nil:
		return err
	case rec.OID >= b.high:
		return fmt.Errorf("durus: object %s was not given out: the first free id is %s", rec.OID, b.high)
	case b.have.has(rec.OID):
		return fmt.Errorf("durus: object %s comes twice", rec.OID)
	case rec.Class == 0 || int(rec.Class) > b.out.chain.cls:
		return fmt.Errorf("durus: object %s is of the unknown class %d", rec.OID, rec.Class)
	case tid > b.out.header.Horizon:
		return fmt.Errorf("durus: object %s was written by transaction %s, which comes after the newest, %s", rec.OID, tid, b.out.header.Horizon)
	}
	h := recordHeader{oid: rec.OID, codec: rec.Codec, class: rec.Class, payload: len(rec.Payload), strong: len(rec.Strong), weak: len(rec.Weak)}
	raw := make([]byte, recordHeaderSize, h.length())
	h.put(raw)
	for _, oid := range slices.Concat(rec.Strong, rec.Weak) {
		if oid == 0 || oid >= b.high {
			return fmt.Errorf("durus: object %s refers to object %d, which was not given out: the first free id is %s", rec.OID, uint64(oid), b.high)
		}
		raw = binary.LittleEndian.AppendUint64(raw, uint64(oid))
	}
	raw = append(raw, rec.Payload...)
	b.have.add(rec.OID)
	for _, to := range rec.Strong {
		b.want.add(to)
	}
	b.base.time = max(b.base.time, at.UnixMicro())
	b.base.add(&rawRecord{recordHeader: h, raw: raw, sum: crc32.Checksum(rec.Payload, castagnoli), tid: tid, time: at.UnixMicro()})
	if len(b.base.body) < baseFrameTarget {
		return nil
	}
	return b.base.write(&b.out, &b.tmp)
}

// Missing returns the lowest id of an object that strong references lead to and
// that was not added; 0 if there is none.
func (b *Builder) Missing() storage.OID {
	lowest := storage.OID(0)
	for n, word := range b.want {
		if missing := word &^ b.have[n]; missing != 0 {
			oid := storage.OID(n*64 + uint64(bits.TrailingZeros64(missing)))
			if lowest == 0 || oid < lowest {
				lowest = oid
			}
		}
	}
	return lowest
}

// Commit makes the database durable, and visible. The error Is fs.ErrExist when
// somebody has made one there meanwhile; vfs.ErrUnknownOutcome when it may be
// there.
func (b *Builder) Commit() error {
	if len(b.base.records) > 0 {
		if err := b.base.write(&b.out, &b.tmp); err != nil {
			return err
		}
	}
	if err := b.out.flush(); err != nil {
		return err
	}
	b.over = true
	if err := b.w.Commit(); err != nil {
		return fmt.Errorf("durus: create %s: %w", b.path, err)
	}
	if err := b.fs.SyncDir(b.path); err != nil {
		return fmt.Errorf("durus: create %s: it is complete, but its name may not survive a power cut: %w: %w", b.path, vfs.ErrUnknownOutcome, err)
	}
	return nil
}

// Abort drops what was built. It does nothing after Commit.
func (b *Builder) Abort() error {
	if b.over {
		return nil
	}
	b.over = true
	if err := b.w.Abort(); err != nil {
		return fmt.Errorf("durus: create %s: %w", b.path, err)
	}
	return nil
}
