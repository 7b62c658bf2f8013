//go:build linux && (amd64 || arm64)

package fusedisk

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

// each runs a test for every kind of file system that this machine can make.
func each(t *testing.T, run func(t *testing.T, kind FileSystem)) {
	for _, kind := range FileSystems {
		t.Run(kind.Name, func(t *testing.T) {
			if why := kind.Missing(); why != "" {
				fmt.Printf("SKIP: %s: %s\n", t.Name(), why)
				t.Skip("SKIP: " + why)
			}
			run(t, kind)
		})
	}
}

var made struct {
	sync.Mutex // guards images
	images     map[string]Image
}

// newDisk returns a disk that holds a new file system. mkfs runs once for each kind.
func newDisk(t *testing.T, kind FileSystem) *Disk {
	t.Helper()
	made.Lock()
	defer made.Unlock()
	im, ok := made.images[kind.Name]
	if !ok {
		var err error
		if im, err = kind.Make(t.TempDir()); err != nil {
			t.Fatal(err)
		}
		if made.images == nil {
			made.images = map[string]Image{}
		}
		made.images[kind.Name] = im
	}
	return NewDisk(im)
}

// mounted mounts the disk until the test ends.
func mounted(t *testing.T, kind FileSystem, d *Disk) *Mount {
	t.Helper()
	m, err := d.Mount(kind, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Abort(); err != nil {
			t.Error(err)
		}
	})
	return m
}

// What fsync says is durable is on the disk before a flush that came before
// fsync returned: the flushes of the file system arrive, and nothing is cached
// in between.
func TestFlushesArrive(t *testing.T) {
	each(t, func(t *testing.T, kind FileSystem) {
		d := newDisk(t, kind)
		m := mounted(t, kind, d)
		f, err := os.Create(filepath.Join(m.Dir, "file"))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		for i := range 20 {
			want := fmt.Appendf(nil, "the %dth piece that nobody else has written", i)
			before := d.Moment()
			if _, err := f.Write(bytes.Repeat(want, 200)); err != nil {
				t.Fatal(err)
			}
			if err := unix.Fdatasync(int(f.Fd())); err != nil {
				t.Fatal(err)
			}
			l := d.Log()
			written, durable := false, false
			for _, op := range l.Ops[before:] {
				written = written || op.Kind == Write && bytes.Contains(op.Data, want)
				durable = durable || op.Kind == Flush && written
			}
			if !written || !durable {
				t.Fatalf("after fdatasync %d: written %v, flushed behind that %v, of %d operations", i, written, durable, len(l.Ops)-before)
			}
		}
		t.Logf("%d operations, %d flushes", d.Moment(), len(d.Log().Flushes()))
	})
}

// An image of the last flush mounts, and holds what was synced.
func TestImagesMount(t *testing.T) {
	each(t, func(t *testing.T, kind FileSystem) {
		d := newDisk(t, kind)
		m := mounted(t, kind, d)
		name := filepath.Join(m.Dir, "file")
		f, err := os.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.WriteString("synced"); err != nil {
			t.Fatal(err)
		}
		dir, err := os.Open(m.Dir)
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(f.Sync(), dir.Sync(), f.Close(), dir.Close()); err != nil {
			t.Fatal(err)
		}
		l := d.Log()
		p := l.Play()
		p.Advance(len(l.Ops))
		if err := m.Unmount(); err != nil {
			t.Fatal(err)
		}
		again := mounted(t, kind, NewDisk(p.Cut(0, func() bool { return false })))
		if b, err := os.ReadFile(filepath.Join(again.Dir, "file")); err != nil || string(b) != "synced" {
			t.Errorf("after the power cut: %q, %v", b, err)
		}
		if err := again.Unmount(); err != nil {
			t.Error(err)
		}
	})
}

// What hangs or is in use is taken down all the same.
func TestAbort(t *testing.T) {
	each(t, func(t *testing.T, kind FileSystem) {
		m := mounted(t, kind, newDisk(t, kind))
		f, err := os.Create(filepath.Join(m.Dir, "file"))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if _, err := f.WriteString("never synced"); err != nil {
			t.Fatal(err)
		}
		if err := m.Abort(); err != nil {
			t.Fatal(err)
		}
		if err := f.Sync(); err == nil {
			t.Error("a file was synced on a disk that is gone")
		}
		if err := m.Abort(); err != nil {
			t.Error("aborted again:", err)
		}
	})
}
