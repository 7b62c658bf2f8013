package filestorage_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"testing"
	"time"

	"github.com/durusdb/durus/backup"
	"github.com/durusdb/durus/filestorage"
	"github.com/durusdb/durus/storage"
	"github.com/durusdb/durus/vfs"
	"github.com/durusdb/durus/vfs/mem"
)

const (
	oldDB   = "/old/db"
	newDB   = "/new/db"
	objects = 40
)

// makers make a new database of another one: what durusctl salvage, load,
// restore and backup do. Each gets a name that is not taken.
var makers = map[string]func(fsys vfs.FS) error{
	"salvage": func(fsys vfs.FS) error {
		_, err := filestorage.Salvage(context.Background(), filestorage.SalvageOptions{FS: fsys, In: oldDB, Out: newDB})
		return err
	},
	"load": load,
	"restore": func(fsys vfs.FS) error {
		_, err := backup.Restore(context.Background(), fsys, oldDB, newDB, backup.RestoreOptions{})
		return err
	},
	"backup": func(fsys vfs.FS) error {
		s, err := filestorage.Open(oldDB, filestorage.Options{FS: fsys, Logger: slog.New(slog.DiscardHandler), ReadOnly: true})
		if err != nil {
			return err
		}
		w := fsys.Create(newDB, vfs.FailIfExists, 0o600)
		if _, err := s.Backup(context.Background(), w, nil); err != nil {
			return errors.Join(err, w.Abort(), s.Close())
		}
		return errors.Join(w.Commit(), fsys.SyncDir(newDB), s.Close())
	},
}

// load builds a database of so many objects as the old one has.
func load(fsys vfs.FS) error {
	b, err := filestorage.NewBuilder(fsys, newDB, filestorage.Outline{TID: 1000, High: 10 + objects})
	if err != nil {
		return err
	}
	class, err := b.Class("new.Thing")
	for oid := storage.OID(2); err == nil && oid < 2+objects; oid++ {
		err = b.Add(&storage.Record{OID: oid, Class: class, Codec: storage.CodecMsgpack, Payload: thing(oid)}, 7, time.UnixMicro(7))
	}
	if err != nil {
		return errors.Join(err, b.Abort())
	}
	return b.Commit()
}

// thing is the state of an object, of up to two kilobytes.
func thing(oid storage.OID) []byte {
	return append(binary.LittleEndian.AppendUint64(nil, uint64(oid)), make([]byte, 50*oid)...)
}

// oldDatabase is a disk with the database that others are made of.
func oldDatabase(t *testing.T) *mem.Image {
	t.Helper()
	d := mem.NewDisk()
	p := d.Process("old")
	s, err := filestorage.Open(oldDB, filestorage.Options{FS: p, Logger: slog.New(slog.DiscardHandler), Foreground: true})
	if err != nil {
		t.Fatal(err)
	}
	class, err := s.ClassID(t.Context(), "old.Thing")
	for n := 0; err == nil && n < objects; n++ {
		var snap storage.Snapshot
		if snap, err = s.Begin(t.Context(), true); err != nil {
			break
		}
		var oid storage.OID
		if oid, err = s.NewOID(t.Context()); err == nil {
			_, err = s.Commit(t.Context(), &storage.Commit{Base: snap, Records: []storage.Record{{OID: oid, Class: class, Codec: storage.CodecMsgpack, Payload: thing(oid)}}})
		}
		snap.Release()
	}
	if err := errors.Join(err, s.Close()); err != nil {
		t.Fatal(err)
	}
	d.SyncAll()
	for im := range d.Images(mem.Options{Models: mem.M2}) {
		return im
	}
	return nil
}

// TestCrashNewFile kills what makes a new database before each of its
// operations, and cuts the power at each of these moments, and when it has said
// that it is done. A file that was not finished never has the name: nothing is
// there, or the whole database, and after it was reported it is there. What was
// killed can be done again.
func TestCrashNewFile(t *testing.T) {
	old := oldDatabase(t)
	for name, run := range makers {
		t.Run(name, func(t *testing.T) {
			states, k := 0, 0
			for over := false; !over; k++ {
				d := old.Disk()
				kill := d.Inject(mem.Fault{Process: "M", Nth: k + 1, Action: mem.Kill()})
				err := run(d.Process("M"))
				over = kill() == 0
				if err != nil && !errors.Is(err, mem.ErrKilled) {
					t.Fatalf("killed at operation %d: %v", k, err)
				}
				for im := range d.Images(mem.Options{Samples: 64, Sectors: 6}) {
					states++
					if there, bad := whole(im.Disk()); bad != nil || !there && err == nil {
						t.Fatalf("killed at operation %d (%v), power cut, %v: there: %v, %v", k, err, im, there, bad)
					}
				}
				if there, err := whole(d); err != nil {
					t.Fatalf("killed at operation %d: %v", k, err)
				} else if !there {
					if err := run(d.Process("again")); err != nil {
						t.Fatalf("killed at operation %d, once more: %v", k, err)
					}
				} else if err := run(d.Process("again")); !errors.Is(err, fs.ErrExist) {
					t.Fatalf("killed at operation %d, once more: %v", k, err)
				}
			}
			t.Logf("%d operations, %d states", k, states)
		})
	}
}

// whole reports whether the new database is there, and an error if it is there in
// part. Nobody needs a mark for it: a process that only reads sees all.
func whole(d *mem.Disk) (there bool, err error) {
	s, err := filestorage.Open(newDB, filestorage.Options{FS: d.Process("look"), Logger: slog.New(slog.DiscardHandler), ReadOnly: true})
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return true, err
	}
	defer s.Close()
	r, err := s.Verify(context.Background(), nil)
	if err != nil || !r.OK() || r.Tail != 0 {
		return true, fmt.Errorf("verify: %+v, %w", r, err)
	}
	snap, err := s.Begin(context.Background(), false)
	if err != nil {
		return true, err
	}
	defer snap.Release()
	n := 0
	for place, err := range snap.Objects(2) {
		if err != nil {
			return true, err
		}
		rec, err := snap.Read(place.OID, place.Position)
		if err != nil || string(rec.Payload) != string(thing(place.OID)) {
			return true, fmt.Errorf("object %s has another state, %w", place.OID, err)
		}
		n++
	}
	if n != objects {
		return true, fmt.Errorf("it has %d objects, and should have %d", n, objects)
	}
	return true, nil
}
