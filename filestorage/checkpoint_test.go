package filestorage

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/durusdb/durus/storage"
	"github.com/durusdb/durus/vfs"
	"github.com/durusdb/durus/vfs/mem"
	"github.com/durusdb/durus/vfs/posix"
)

// answers is all that a handle says of a database.
func answers(s *Storage) (string, error) {
	var b strings.Builder
	snap, err := s.Begin(background, false)
	if err != nil {
		return "", err
	}
	defer snap.Release()
	sn := snap.(*snapshot)
	fmt.Fprintln(&b, sn.tid, sn.end, s.current().cur.high, s.current().cur.top, s.Stats().Objects, s.current().classes.names, s.current().origins, s.current().originEnd)
	for oid := range sn.l.cur.high + 600 {
		pos, err := snap.Find(oid)
		if errors.Is(err, storage.ErrNotFound) {
			continue
		}
		if err != nil {
			return "", err
		}
		r, err := snap.Read(oid, pos)
		if err != nil {
			return "", err
		}
		fmt.Fprintln(&b, oid, pos, r)
	}
	n := 0
	s.current().index.each(func(storage.OID, storage.Position) bool { n++; return true })
	fmt.Fprintln(&b, "each", n)
	for at, err := range snap.Objects(0) {
		if err != nil {
			return "", err
		}
		fmt.Fprintln(&b, "object", at.OID, at.Position)
	}
	for t, err := range s.Transactions(0, 1<<62) {
		if err != nil {
			return "", err
		}
		fmt.Fprintln(&b, t)
	}
	return b.String(), nil
}

// indexed makes a database of some objects, whose ids have holes, and closes it:
// so it has a checkpoint. More transactions follow, which that does not cover.
func indexed(t *testing.T, fsys vfs.FS, path string, seed uint64, objects int, packed bool) {
	t.Helper()
	rnd := rand.New(rand.NewPCG(seed, 5))
	ctx := context.Background()
	open := func(tail int64) *Storage {
		s, err := Open(path, Options{FS: fsys, Logger: quiet, Foreground: true, indexTail: tail})
		must(t, err)
		return s
	}
	s := open(1)
	var oids []storage.OID
	commit := func(n int) {
		class, err := s.ClassID(ctx, fmt.Sprint("class", rnd.IntN(4)))
		must(t, err)
		snap := beginTest(t, s)
		defer snap.Release()
		var recs []storage.Record
		for i := range n {
			oid, err := s.NewOID(ctx)
			must(t, err)
			if i%3 == 0 && len(oids) > 0 {
				oid = oids[rnd.IntN(len(oids))]
			}
			if slices.ContainsFunc(recs, func(r storage.Record) bool { return r.OID == oid }) {
				continue
			}
			oids = append(oids, oid)
			recs = append(recs, storage.Record{OID: oid, Class: class, Codec: storage.CodecMsgpack, Payload: []byte{byte(rnd.Int())}})
		}
		_, err = s.Commit(ctx, &storage.Commit{Base: snap, Records: recs})
		must(t, err)
	}
	for range 5 {
		commit(objects / 5)
	}
	if packed {
		must(t, packAll(s))
	}
	must(t, s.Close())
	s = open(1 << 40)
	commit(7)
	must(t, s.Close())
}

// usesIndex reports whether a handle has begun at a checkpoint.
func usesIndex(s *Storage) bool { return s.current().index.floor != nil }

// H11: with a checkpoint, and whatever becomes of it, a handle says the same as
// without: each byte of it is another one, it ends anywhere, it is of another
// file, of an older state, of a newer program.
func TestCheckpointSameAnswers(t *testing.T) {
	for _, packed := range []bool{false, true} {
		for _, objects := range []int{20, 700} {
			disk := mem.NewDisk()
			p := disk.Process("a")
			indexed(t, p, "/db", 1, objects, packed)
			b, err := disk.ReadFile("/db.index")
			must(t, err)
			look := func(what string, uses, maybe bool) string {
				t.Helper()
				s, err := Open("/db", Options{FS: disk.Process("r"), ReadOnly: true, Logger: quiet})
				must(t, err)
				defer s.Close()
				if got := usesIndex(s); got != uses && !maybe {
					t.Fatalf("%s: it uses the checkpoint: %v", what, got)
				}
				got, err := answers(s)
				if err != nil {
					t.Fatalf("%s: %v", what, err)
				}
				return got
			}
			write := func(b []byte) {
				t.Helper()
				w := p.Create("/db.index", vfs.ReplaceIfExists, 0o600)
				w.Write(b)
				must(t, w.Commit())
			}
			with := look("as it is", true, false)
			must(t, p.Remove("/db.index"))
			want := look("without", false, false)
			if with != want {
				t.Fatalf("with the checkpoint:\n%s\nwithout:\n%s", with, want)
			}
			step := 1
			if objects > 100 {
				step = 37
			}
			if testing.Short() {
				step *= 11
			}
			for i := 0; i < len(b); i += step {
				bad := slices.Clone(b)
				bad[i] ^= 1 << (i % 8)
				write(bad)
				if got := look(fmt.Sprint("byte ", i), false, true); got != want {
					t.Fatalf("byte %d:\n%s\nwant:\n%s", i, got, want)
				}
				write(b[:i])
				if got := look(fmt.Sprint("cut at ", i), false, false); got != want {
					t.Fatalf("cut at %d", i)
				}
			}
			write(append(slices.Clone(b), 0))
			if look("longer", false, false) != want {
				t.Fatal("longer")
			}
			newer := slices.Clone(b)
			tr := newer[len(newer)-checkpointTrailer:]
			binary.LittleEndian.PutUint32(tr[8:], formatNumber+1)
			binary.LittleEndian.PutUint32(tr[checkpointTrailer-4:], crc32.Checksum(tr[:checkpointTrailer-4], castagnoli))
			write(newer)
			if look("newer", false, false) != want {
				t.Fatal("newer")
			}
			other := mem.NewDisk()
			indexed(t, other.Process("a"), "/db", 1, objects, packed)
			foreign, err := other.ReadFile("/db.index")
			must(t, err)
			write(foreign)
			if look("of another file", false, false) != want {
				t.Fatal("of another file")
			}
			// The file without its mark, and cut behind the frame before the
			// checkpoint's end: then it says more than the file.
			write(b)
			must(t, p.Remove("/db.lock"))
			if look("without the mark", false, false) != want {
				t.Fatal("without the mark")
			}
		}
	}
}

// A checkpoint of a file that was packed, restored or cut since is not used.
func TestCheckpointOfAnOlderFile(t *testing.T) {
	disk := mem.NewDisk()
	p := disk.Process("a")
	indexed(t, p, "/db", 1, 50, false)
	before, err := disk.ReadFile("/db.index")
	must(t, err)
	s, err := Open("/db", Options{FS: p, Logger: quiet, Foreground: true, indexTail: 1 << 40})
	must(t, err)
	must(t, packAll(s))
	want, err := answers(s)
	must(t, err)
	must(t, s.Close())
	if now, err := disk.ReadFile("/db.index"); err != nil || string(now) != string(before) {
		t.Fatalf("the pack has written one although it was not to: %v", err)
	}
	r, err := Open("/db", Options{FS: p, ReadOnly: true, Logger: quiet})
	must(t, err)
	defer r.Close()
	if got, err := answers(r); err != nil || got != want || usesIndex(r) {
		t.Errorf("%v, uses it: %v", err, usesIndex(r))
	}
}

// What the checkpoint says and the file cannot confirm is an error, never
// another answer; and when the file can be read again all is well.
func TestCheckpointUnreadable(t *testing.T) {
	disk := mem.NewDisk()
	p := disk.Process("a")
	indexed(t, p, "/db", 1, 50, false)
	s, err := Open("/db", Options{FS: p, Logger: quiet, Foreground: true})
	must(t, err)
	must(t, s.WriteIndex(background)) // so that nothing of it is looked at when the file is opened
	want, err := answers(s)
	must(t, err)
	must(t, s.Close())
	b, err := disk.ReadFile("/db.index")
	must(t, err)
	b[8*3]++
	w := p.Create("/db.index", vfs.ReplaceIfExists, 0o600)
	w.Write(b)
	must(t, w.Commit())
	if s, err = Open("/db", Options{FS: p, Logger: quiet, Foreground: true, indexTail: 1 << 40}); err != nil || !usesIndex(s) {
		t.Fatalf("%v", err)
	}
	snap := beginTest(t, s)
	disk.Hook = func(op mem.Op) mem.Action {
		if op.Kind == mem.OpRead && op.Name == "/db" {
			return mem.Fail(os.ErrDeadlineExceeded)
		}
		return mem.Proceed()
	}
	if _, err := snap.Find(3); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("Find: %v", err)
	}
	rec := storage.Record{OID: 3, Class: 1, Codec: storage.CodecMsgpack, Payload: []byte{1}}
	if _, err := s.Commit(background, &storage.Commit{Base: snap, Records: []storage.Record{rec}}); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("Commit: %v", err)
	}
	disk.Hook = nil
	snap.Release()
	if got, err := answers(s); err != nil || got != want {
		t.Errorf("when it can be read again: %v\n%s\nwant\n%s", err, got, want)
	}
	must(t, s.Close())
	now, err := disk.ReadFile("/db.index")
	must(t, err)
	if s, err = Open("/db", Options{FS: p, Logger: quiet, Foreground: true}); err != nil {
		t.Fatal(err)
	}
	if got, err := answers(s); err != nil || got != want || string(now) == string(b) {
		t.Errorf("Close has not replaced what was damaged: %v", err)
	}
	must(t, s.Close())
}

// F19: on real files the checkpoint is mapped. Who cuts it under a handle that
// reads from it does not kill the process.
func TestCheckpointCutUnderAHandle(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.durus")
	indexed(t, posix.New(), path, 1, 3000, false)
	r, err := Open(path, Options{FS: posix.New(), ReadOnly: true, Logger: quiet})
	must(t, err)
	defer r.Close()
	if !usesIndex(r) {
		t.Fatal("the checkpoint is not used")
	}
	plain, err := Open(path, Options{FS: posix.New(), Logger: quiet})
	must(t, err)
	want, err := answers(plain)
	must(t, err)
	must(t, plain.Close())
	must(t, os.Truncate(path+".index", 0))
	for range 2 {
		runtime.GC()
		if got, err := answers(r); err != nil || got != want {
			t.Fatalf("%v\n%s\nwant\n%s", err, got, want)
		}
	}
}

// Pages that were asked for are kept, so many and no more: they are not looked at
// again.
func TestCheckpointPagesAreKept(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.durus")
	indexed(t, posix.New(), path, 1, 3000, false)
	for _, room := range []int32{0, 2, keptPages} {
		r, err := Open(path, Options{FS: posix.New(), ReadOnly: true, Logger: quiet})
		must(t, err)
		x := &r.current().index
		clear(x.floor.kept)
		x.floor.room.Store(room)
		for range 2 {
			for i := range x.floor.slots {
				want := storage.Position(binary.LittleEndian.Uint64(x.floor.pages[8*i:]))
				if got := x.floor.get(storage.OID(i)); got != want {
					t.Fatalf("object %d: %d and %d", i, got, want)
				}
			}
		}
		kept := int32(0)
		for i := range x.floor.kept {
			if x.floor.kept[i].Load() != nil {
				kept++
			}
		}
		if want := min(room, int32(len(x.floor.kept))); kept != want || want == 0 && room > 0 {
			t.Errorf("%d pages of %d are kept, there is room for %d", kept, len(x.floor.kept), room)
		}
		must(t, r.Close())
	}
}

// A read-only handle uses a checkpoint and writes none; a writing one writes it
// when the file has grown.
func TestCheckpointWhen(t *testing.T) {
	disk := mem.NewDisk()
	p := disk.Process("a")
	indexed(t, p, "/db", 1, 50, false)
	must(t, p.Remove("/db.index"))
	for i, c := range []struct {
		o     Options
		wants bool
	}{
		{Options{ReadOnly: true, indexTail: 1}, false},
		{Options{indexTail: 1 << 40}, false},
		{Options{}, false},
		{Options{indexTail: 1}, true},
	} {
		c.o.FS, c.o.Logger, c.o.Foreground = p, quiet, true
		s, err := Open("/db", c.o)
		must(t, err)
		if _, err := s.LastTID(); err != nil {
			t.Fatal(err)
		}
		must(t, s.Close())
		if _, err := p.Stat("/db.index"); (err == nil) != c.wants {
			t.Errorf("case %d: %v", i, err)
		}
	}
	must(t, p.Remove("/db.index"))
	s, err := Open("/db", Options{FS: p, Logger: quiet, Foreground: true})
	must(t, err)
	must(t, s.WriteIndex(background))
	must(t, s.Close())
	if _, err := p.Stat("/db.index"); err != nil {
		t.Error(err)
	}
}

// WriteIndex does not give up because others commit all the time.
func TestWriteIndexBesideWriter(t *testing.T) {
	disk := mem.NewVolatile()
	open := func(who string) *Storage {
		return opened(t, "db", Options{FS: disk.Process(who), Logger: quiet})
	}
	writer := open("writer")
	_, err := writer.ClassID(background, "index.Thing")
	demand(t, err)
	oid, err := writer.NewOID(background)
	demand(t, err)
	_, err = edit(writer, oid, "first")
	demand(t, err)
	done := make(chan error)
	var stop atomic.Bool
	go func() {
		var err error
		for i := 0; err == nil && !stop.Load(); i++ {
			_, err = edit(writer, oid, fmt.Sprint(i))
		}
		done <- err
	}()
	other := open("other")
	for range 50 {
		if err := other.WriteIndex(background); err != nil {
			t.Error(err)
			break
		}
	}
	stop.Store(true)
	demand(t, <-done)
}
