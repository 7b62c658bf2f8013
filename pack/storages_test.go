package pack_test

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/durusdb/durus/filestorage"
	"github.com/durusdb/durus/pack"
	"github.com/durusdb/durus/storage"
	"github.com/durusdb/durus/vfs"
	"github.com/durusdb/durus/vfs/async"
	"github.com/durusdb/durus/vfs/cache"
	"github.com/durusdb/durus/vfs/fault"
	"github.com/durusdb/durus/vfs/mem"
	"github.com/durusdb/durus/vfs/posix"
	"github.com/durusdb/durus/vfs/wrap"
)

// tight is a storage that tells how much room it has.
type tight struct {
	vfs.FS
	free func() int64
}

func (t tight) Free(string) (int64, error) { return t.free(), nil }

// SCENARIO 71: where there is no room a pack ends before it fills the disk.
func TestFreeSpace(t *testing.T) {
	b, s := newBed(t)
	b.link(s, 1, b.add(s, node{}))
	for _, free := range []int64{0, 16 << 20, 1 << 40} {
		s, err := filestorage.Open(path, filestorage.Options{FS: tight{b.disk.Process("t"), func() int64 { return free }}, Foreground: true})
		b.must(err)
		_, err = pack.Pack(ctx, s, pack.Options{})
		if want := free > 16<<20; (err == nil) != want || !want && !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("%d bytes are free: %v", free, err)
		}
		b.check(s, true)
		b.must(s.Close())
	}
	if got := b.names(); slices.Contains(got, path+".pack") {
		t.Errorf("it leaves %q", got)
	}
}

// Goroutines of one handle register classes, take ids and commit while another
// one packs, and another process does so, too. F12 D5
func TestSameHandle(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "x.durus")
	s := openReal(t, name, storage.SyncNever)
	other := openReal(t, name, storage.SyncNever)
	class, err := s.ClassID(ctx, "root")
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	given := map[storage.OID]bool{}
	classes := map[storage.ClassID]string{}
	commit := func(s *filestorage.Storage, recs ...storage.Record) error {
		for {
			snap, err := s.Begin(ctx, true)
			if err != nil {
				return err
			}
			_, err = s.Commit(ctx, &storage.Commit{Base: snap, Records: recs})
			snap.Release()
			if !errors.Is(err, storage.ErrConflict) {
				return err
			}
		}
	}
	if err := commit(s, storage.Record{OID: 1, Class: class, Codec: storage.CodecMsgpack, Payload: []byte{0xc0}}); err != nil {
		t.Fatal(err)
	}
	stop := time.Now().Add(time.Second)
	var group sync.WaitGroup
	for g := range 4 {
		s := []*filestorage.Storage{s, other}[g%2]
		group.Go(func() {
			for i := 0; time.Now().Before(stop); i++ {
				what := fmt.Sprintf("class %d of %d", i, g)
				id, err := s.ClassID(ctx, what)
				if err != nil {
					t.Error(err)
					return
				}
				oid, err := s.NewOID(ctx)
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				if given[oid] || classes[id] != "" {
					t.Errorf("object %s or class %d was given out twice", oid, id)
				}
				given[oid], classes[id] = true, what
				mu.Unlock()
				if err := commit(s, storage.Record{OID: oid, Class: id, Codec: storage.CodecMsgpack, Payload: []byte{0xc0}},
					storage.Record{OID: 1, Class: class, Codec: storage.CodecMsgpack, Payload: []byte{0xc0}, Strong: []storage.OID{oid}}); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	packs := 0
	for ; time.Now().Before(stop); packs++ {
		if _, err := pack.Pack(ctx, s, pack.Options{Keep: time.Duration(packs%2) * time.Hour}); err != nil {
			t.Error(err)
			break
		}
	}
	group.Wait()
	t.Logf("%d packs, %d classes", packs, len(classes))
	snap, err := other.Begin(ctx, false)
	if err != nil {
		t.Fatal(err)
	}
	for id, want := range classes {
		if got, _ := snap.ClassName(id); got != want {
			t.Errorf("class %d is %q, and was %q", id, got, want)
		}
	}
	snap.Release()
	if r, err := s.Verify(ctx, nil); err != nil || !r.OK() {
		t.Errorf("%v, %v", r, err)
	}
	if err := errors.Join(s.Close(), other.Close()); err != nil {
		t.Error(err)
	}
}

// A storage without locks, whose one writer packs; asynchronous ones, and those
// with a cache in front. D5
func TestStorages(t *testing.T) {
	for name, over := range map[string]func(vfs.FS) vfs.FS{
		"no locks":         func(f vfs.FS) vfs.FS { return fault.Mask(f, func(p vfs.Props) vfs.Props { p.Locks = false; return p }) },
		"async":            func(f vfs.FS) vfs.FS { return async.New(f, async.Options{}) },
		"cache":            func(f vfs.FS) vfs.FS { return cache.New(f, cache.Options{Bytes: 1 << 14}) },
		"cache over async": func(f vfs.FS) vfs.FS { return cache.New(async.New(f, async.Options{Workers: 2}), cache.Options{}) },
	} {
		t.Run(strings.ReplaceAll(name, " ", "_"), func(t *testing.T) {
			b := &bed{TB: t, disk: mem.NewDisk(), state: map[storage.OID]node{}}
			s, err := filestorage.Open(path, filestorage.Options{FS: over(b.disk.Process("a")), Logger: slog.New(slog.DiscardHandler)})
			b.must(err)
			b.must(b.put(s, 1, node{}))
			for range 3 {
				x := b.add(s, node{})
				b.link(s, 1, x)
				b.add(s, node{})
				b.pack(s, pack.Options{})
				b.check(s, true)
			}
			if g := s.Header().Generation; g != 3 {
				t.Errorf("generation %d", g)
			}
			if r, err := s.Verify(ctx, nil); err != nil || !r.OK() {
				t.Errorf("%v, %v", r, err)
			}
			b.must(s.Close())
		})
	}
	b := &bed{TB: t, disk: mem.NewDisk(), state: map[storage.OID]node{}}
	s, err := filestorage.Open(path, filestorage.Options{FS: fault.Mask(b.disk.Process("a"), func(p vfs.Props) vfs.Props { p.AtomicReplace = false; return p })})
	b.must(err)
	b.must(b.put(s, 1, node{}))
	if _, err := pack.Pack(ctx, s, pack.Options{}); !errors.Is(err, vfs.ErrNotSupported) {
		t.Errorf("where files cannot be replaced: %v", err)
	}
	b.must(s.Close())
}

// SCENARIO 71: the disk fails while frames are collected and written at the same
// time, at any write or sync of the new file.
func TestFailuresWhileWriting(t *testing.T) {
	base := filepath.Join(t.TempDir(), "base.durus")
	forest(t, base, 30_000, 300) // some forty frames
	for _, op := range []wrap.Op{wrap.Append, wrap.Sync} {
		for n := 1; ; n *= 2 {
			path := filepath.Join(t.TempDir(), "x.durus")
			copyFile(t, base, path)
			f := fault.New(posix.New(), 1, fault.Rule{Ops: op, Path: "x.durus.pack", Nth: n, Times: -1, Effect: fault.Fail(syscall.ENOSPC)})
			s, err := filestorage.Open(path, filestorage.Options{FS: f, Logger: slog.New(slog.DiscardHandler)})
			if err != nil {
				t.Fatal(err)
			}
			r, err := pack.Pack(ctx, s, pack.Options{})
			if err == nil && r.Kept.Objects != 30_000 || err != nil && !errors.Is(err, syscall.ENOSPC) {
				t.Fatalf("%v %d: %+v, %v", op, n, r, err)
			}
			if _, gone := os.Stat(path + ".pack"); !errors.Is(gone, fs.ErrNotExist) {
				t.Fatalf("%v %d: the new file is left: %v", op, n, gone)
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			if err == nil {
				break
			}
		}
	}
}
