package filestorage

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/durusdb/durus/storage"
	"github.com/durusdb/durus/vfs"
	"github.com/durusdb/durus/vfs/posix"
	"golang.org/x/sys/unix"
)

func init() { children["nobody"] = childNobody }

func real1() Options { return Options{FS: posix.New(), Logger: quiet} }

// TestNoRegularFile opens what is no file, in place of the database and of the
// lock file: an error at once that names it, and nothing is touched.
// F11 F13 S50
func TestNoRegularFile(t *testing.T) {
	makers := map[string]struct {
		make func(path string) error
		is   error
	}{
		"directory":        {func(path string) error { return os.Mkdir(path, 0o700) }, vfs.ErrNotRegular},
		"FIFO":             {func(path string) error { return unix.Mkfifo(path, 0o600) }, vfs.ErrNotRegular},
		"dangling symlink": {func(path string) error { return os.Symlink(path+".nowhere", path) }, fs.ErrNotExist},
		"a link to itself": {func(path string) error { return os.Symlink(path, path) }, nil},
		"below a file": {func(path string) error {
			return os.WriteFile(filepath.Dir(path), nil, 0o600)
		}, syscall.ENOTDIR},
		"in a missing directory": {func(string) error { return nil }, fs.ErrNotExist},
	}
	for name, m := range makers {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "db")
			if name == "below a file" || name == "in a missing directory" {
				path = filepath.Join(path, "x")
			}
			demand(t, m.make(path))
			for _, readOnly := range []bool{true, false} {
				opts := real1()
				opts.ReadOnly = readOnly
				start := time.Now()
				s, err := Open(path, opts)
				if err == nil {
					err = errors.Join(errors.New("it opened"), s.Close())
				}
				if m.is != nil && !errors.Is(err, m.is) || !strings.Contains(err.Error(), path) || time.Since(start) > time.Second {
					t.Fatalf("read-only %v: %v", readOnly, err)
				}
			}
			if _, err := os.Lstat(path + ".nowhere"); err == nil {
				t.Fatal("the file behind the link was created")
			}
		})
		if name == "below a file" || name == "in a missing directory" {
			continue
		}
		t.Run(name+" as the lock file", func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "db")
			s, err := Open(path, real1())
			demand(t, err)
			demand(t, s.Close())
			demand(t, os.Remove(lockName(path)))
			demand(t, m.make(lockName(path)))
			before, err := os.ReadFile(path)
			demand(t, err)
			s, err = Open(path, real1())
			if err == nil {
				_, err = s.NewOID(background)
				s.Close()
			}
			if err == nil || !strings.Contains(err.Error(), lockName(path)) {
				t.Fatalf("it said %v", err)
			}
			if after, err := os.ReadFile(path); err != nil || !bytes.Equal(before, after) {
				t.Fatalf("the database was changed; %v", err)
			}
		})
	}
}

// TestOtherPaths opens one database by its name, by a symbolic link, by a path
// with dots and relative to the directory: all meet in one lock file. F13 S52
func TestOtherPaths(t *testing.T) {
	dir := t.TempDir()
	demand(t, os.Mkdir(filepath.Join(dir, "sub"), 0o700))
	demand(t, os.Symlink(dir, filepath.Join(dir, "sub", "up")))
	demand(t, os.Symlink("db", filepath.Join(dir, "link")))
	t.Chdir(dir)
	var handles []*Storage
	for _, path := range []string{filepath.Join(dir, "db"), filepath.Join(dir, "link"), filepath.Join(dir, "sub", "..", "db"), filepath.Join(dir, "sub", "up", "link"), "db", "./sub/../link"} {
		handles = append(handles, opened(t, path, real1()))
	}
	if _, err := handles[0].ClassID(background, "paths.Thing"); err != nil {
		t.Fatal(err)
	}
	oid, err := handles[0].NewOID(background)
	demand(t, err)
	for i, s := range handles {
		_, err := edit(s, oid, fmt.Sprint(i))
		demand(t, err)
		for _, o := range handles {
			if got, err := look(o, oid); err != nil || got != fmt.Sprint(i) {
				t.Fatalf("%s sees %q, %v", o.Path(), got, err)
			}
		}
	}
	locks, err := filepath.Glob(filepath.Join(dir, "*.lock"))
	if err != nil || len(locks) != 1 {
		t.Fatalf("lock files: %q, %v", locks, err)
	}
}

// TestPermissions lets an unprivileged process meet databases of root: it reads
// what it may read and follows it, writes what it may write, and is told which
// file refuses it; a handle that only reads creates nothing.
// F24 F38 S48
func TestPermissions(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("SKIP: needs root to become somebody else")
	}
	dir := t.TempDir()
	for d := dir; d != filepath.Dir(d) && d != os.TempDir(); d = filepath.Dir(d) {
		demand(t, os.Chmod(d, 0o755))
	}
	for name, perm := range map[string]fs.FileMode{"secret": 0o600, "readable": 0o644, "writable": 0o666, "nolock": 0o666} {
		demand(t, os.Mkdir(filepath.Join(dir, name), 0o755))
		path := filepath.Join(dir, name, "db")
		s, err := Open(path, real1())
		demand(t, err)
		_, err = s.ClassID(background, "permissions.Thing")
		demand(t, err)
		oid, err := s.NewOID(background)
		demand(t, err)
		_, err = edit(s, oid, "of root")
		demand(t, err)
		demand(t, s.Close())
		demand(t, os.Chmod(path, perm))
		demand(t, os.Chmod(lockName(path), perm))
	}
	demand(t, os.Remove(filepath.Join(dir, "nolock", "db.lock")))
	demand(t, childCommand("nobody", dir).Run())
	for name, want := range map[string]string{"secret": "db db.lock", "readable": "db db.lock", "writable": "db db.lock", "nolock": "db"} {
		entries, err := os.ReadDir(filepath.Join(dir, name))
		demand(t, err)
		var names []string
		for _, e := range entries {
			names = append(names, e.Name())
		}
		if got := strings.Join(names, " "); got != want {
			t.Fatalf("in %s there are %s, want %s", name, got, want)
		}
	}
}

func childNobody(args []string) error {
	const nobody = 65534
	if err := errors.Join(syscall.Setgroups(nil), syscall.Setgid(nobody), syscall.Setuid(nobody)); err != nil {
		return err
	}
	oid := firstOID
	path := func(name string) string { return filepath.Join(args[0], name, "db") }
	readOnly := real1()
	readOnly.ReadOnly = true
	refused := func(name, file string, opts Options) error {
		s, err := Open(path(name), opts)
		if err == nil {
			_, err = edit(s, oid, "of nobody")
		}
		if !errors.Is(err, fs.ErrPermission) || !strings.Contains(err.Error(), file) {
			return fmt.Errorf("%s, read-only %v: %w", name, opts.ReadOnly, err)
		}
		return nil
	}
	reads := func(name string, opts Options) error {
		s, err := Open(path(name), opts)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if got, err := look(s, oid); err != nil || got != "of root" {
			return fmt.Errorf("%s: a View shows %q, %w", name, got, err)
		}
		if _, err := s.Begin(background, true); !errors.Is(err, storage.ErrReadOnly) {
			return fmt.Errorf("%s: a writer is told %w", name, err)
		}
		if _, err := s.NewOID(background); !errors.Is(err, storage.ErrReadOnly) {
			return fmt.Errorf("%s: a new id: %w", name, err)
		}
		return errors.Join(clean(s), s.Close())
	}
	err := errors.Join(
		refused("secret", path("secret"), real1()),
		refused("secret", path("secret"), readOnly),
		refused("readable", path("readable"), real1()),
		reads("readable", readOnly),
		refused("nolock", path("nolock")+".lock", real1()),
		reads("nolock", readOnly),
		reads("writable", readOnly),
	)
	if err != nil {
		return err
	}
	if _, err := Open(filepath.Join(args[0], "readable", "new"), real1()); !errors.Is(err, fs.ErrPermission) || !strings.Contains(err.Error(), "new") {
		return fmt.Errorf("creating in the directory of another: %w", err)
	}
	s, err := Open(path("writable"), real1())
	if err != nil {
		return err
	}
	if _, err := edit(s, oid, "of nobody"); err != nil {
		return err
	}
	return errors.Join(clean(s), s.Close())
}

// sparse makes a database whose file is size bytes long, all zeros behind the
// last frame.
func sparse(t *testing.T, size int64) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "db")
	s, err := Open(path, real1())
	demand(t, err)
	_, err = s.ClassID(background, "sparse.Thing")
	demand(t, err)
	oid, err := s.NewOID(background)
	demand(t, err)
	_, err = edit(s, oid, "small")
	demand(t, err)
	demand(t, s.Close())
	if err := os.Truncate(path, size); err != nil {
		t.Skipf("SKIP: the file system does not take a file of %d bytes: %v", size, err)
	}
	return path
}

// TestSparse opens a database to whose end 8 TiB of zeros were added: an answer
// within a second, in bounded memory. F28 F30
func TestSparse(t *testing.T) {
	path := sparse(t, 8<<40)
	for _, readOnly := range []bool{true, false} {
		opts := real1()
		opts.ReadOnly = readOnly
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		answer := make(chan error, 1)
		go func() {
			s, err := Open(path, opts)
			if err == nil {
				var got string
				if got, err = look(s, firstOID); err == nil && got != "small" {
					err = fmt.Errorf("a View shows %q", got)
				}
				if !readOnly && err == nil {
					_, err = s.NewOID(context.Background())
				}
				if r, verr := s.Verify(context.Background(), nil); verr != nil || r.OK() {
					err = fmt.Errorf("Verify says %v, %v", r, verr)
				}
				if cerr := s.Close(); !answered(cerr) {
					err = cerr
				}
			}
			answer <- err
		}()
		select {
		case err := <-answer:
			if !errors.Is(err, storage.ErrCorrupt) {
				t.Fatalf("the answer is %v", err)
			}
		case <-time.After(time.Second):
			t.Fatal("no answer within a second")
		}
		runtime.ReadMemStats(&after)
		if n := after.TotalAlloc - before.TotalAlloc; n > 16<<20 {
			t.Fatalf("%d bytes were allocated", n)
		}
	}
}
