package filestorage

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"

	"github.com/durusdb/durus/storage"
)

// bindMount shows a file under another name, as a container does, or skips.
func bindMount(t *testing.T, file, name string) {
	t.Helper()
	must(t, os.WriteFile(name, nil, 0o600))
	if err := syscall.Mount(file, name, "", syscall.MS_BIND, ""); err != nil {
		t.Skipf("SKIP: no bind mounts here: %v", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(name, syscall.MNT_DETACH) })
}

// A file that is reached by its name and by a bind mount, each with a lock file
// of its own, has one writer at a time all the same: the lock on the data file
// holds. When the file is replaced outside, the mount still shows the old one;
// nothing is appended there. F13 F14 F25 H3
func TestBindMountedFile(t *testing.T) {
	dir := t.TempDir()
	path, inside := filepath.Join(dir, "a.durus"), filepath.Join(dir, "inside.durus")
	a, rec := thing(t, path, Options{})
	defer a.Close()
	put(t, a, beginTest(t, a), rec)
	old, err := os.ReadFile(path)
	must(t, err)
	bindMount(t, path, inside)
	b := openTest(t, inside, Options{Logger: quiet})
	defer b.Close()

	const each = 50
	increment := func(s *Storage) error {
		for {
			snap, err := s.Begin(context.Background(), true)
			if err != nil {
				return err
			}
			pos, err := snap.Find(rec.OID)
			if err != nil {
				return err
			}
			now, err := snap.Read(rec.OID, pos)
			if err != nil {
				return err
			}
			next := rec
			next.Payload = append(now.Payload, 'x')
			_, err = s.Commit(context.Background(), &storage.Commit{Base: snap, Records: []storage.Record{next}})
			snap.Release()
			if !errors.Is(err, storage.ErrConflict) {
				return err
			}
		}
	}
	var group sync.WaitGroup
	for _, s := range []*Storage{a, b} {
		group.Go(func() {
			for range each {
				if err := increment(s); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	group.Wait()
	snap := beginTest(t, a)
	pos, err := snap.Find(rec.OID)
	must(t, err)
	r, err := snap.Read(rec.OID, pos)
	must(t, err)
	if n := len(r.Payload) - len(rec.Payload); n != 2*each {
		t.Errorf("%d of %d updates are there", n, 2*each)
	}

	must(t, os.WriteFile(path+".old", old, 0o600))
	must(t, os.Rename(path+".old", path))
	before, err := os.ReadFile(inside)
	must(t, err)
	if err := increment(b); !errors.Is(err, storage.ErrRewound) {
		t.Errorf("a commit to a file that only a mount still shows: %v", err)
	}
	if after, err := os.ReadFile(inside); err != nil || len(after) != len(before) {
		t.Errorf("it has %d bytes, had %d, %v", len(after), len(before), err)
	}
}

// A file that is bind-mounted somewhere else while a pack runs: when the pack is
// over, the mount shows the old file, for ever. Who has it open there reads on and
// cannot commit; nothing is appended. F14 F15, SCENARIO 69
func TestBindMountedFileIsPacked(t *testing.T) {
	dir := t.TempDir()
	path, inside := filepath.Join(dir, "a.durus"), filepath.Join(dir, "inside.durus")
	a, rec := thing(t, path, Options{})
	defer a.Close()
	put(t, a, beginTest(t, a), rec)
	bindMount(t, path, inside)
	b := openTest(t, inside, Options{Logger: quiet})
	defer b.Close()
	put(t, b, beginTest(t, b), rec) // both may write as long as they are one file
	must(t, packAll(a))
	before, err := os.ReadFile(inside)
	must(t, err)
	snap := beginTest(t, b)
	defer snap.Release()
	if _, err := snap.Find(rec.OID); err != nil {
		t.Errorf("a reader behind the mount: %v", err)
	}
	for range 2 {
		if _, err := b.Commit(context.Background(), &storage.Commit{Base: beginTest(t, b), Records: []storage.Record{rec}}); !errors.Is(err, storage.ErrRewound) {
			t.Errorf("a commit behind the mount: %v", err)
		}
	}
	late := openTest(t, inside, Options{Logger: quiet})
	defer late.Close()
	if _, err := late.Commit(context.Background(), &storage.Commit{Base: beginTest(t, late), Records: []storage.Record{rec}}); !errors.Is(err, storage.ErrRewound) {
		t.Errorf("a commit of one who came later: %v", err)
	}
	if after, err := os.ReadFile(inside); err != nil || len(after) != len(before) {
		t.Errorf("it has %d bytes, had %d, %v", len(after), len(before), err)
	}
	put(t, a, beginTest(t, a), rec)
}
