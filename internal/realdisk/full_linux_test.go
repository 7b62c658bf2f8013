package realdisk

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/durusdb/durus/durus"
	"golang.org/x/sys/unix"
)

// newTmpfs mounts a file system in memory.
func newTmpfs(t testing.TB, options string) (dir string) {
	t.Helper()
	needMounts(t)
	dir = t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, options); err != nil {
		t.Skipf("SKIP: no tmpfs: %v", err)
	}
	t.Cleanup(func() { _ = unix.Unmount(dir, unix.MNT_DETACH) }) // it ends with the namespace at the latest
	return dir
}

// room is what fill leaves free.
const room = 96 << 10

// fill takes all the space of a file system but a little. The file that it
// returns is to be removed.
func fill(t testing.TB, dir string) (ballast string) {
	t.Helper()
	ballast = filepath.Join(dir, "ballast")
	f, err := os.Create(ballast)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close() // it has no bytes that could be lost
	var size int64
	for chunk := int64(1 << 30); chunk >= 4<<10; {
		if err := unix.Fallocate(int(f.Fd()), 0, size, chunk); err == nil {
			size += chunk
		} else if chunk /= 2; !errors.Is(err, syscall.ENOSPC) {
			t.Fatal(err)
		}
	}
	if err := f.Truncate(size - room); err != nil {
		t.Fatal(err)
	}
	return ballast
}

// A file system becomes full while two processes commit. They are told so,
// nothing of what failed stays in the file, Views of other processes go on, and
// when there is space again the same handles commit. F6, acceptance test 13
func TestFaultFull(t *testing.T) {
	small := filesystem{"ext4", makeExt4, 8 << 20, "loop"}
	for name, mount := range map[string]func(t *testing.T) string{
		"tmpfs": func(t *testing.T) string { return newTmpfs(t, "size=512k") },
		"ext4":  func(t *testing.T) string { return newDisk(t, &small).dir },
		"xfs":   func(t *testing.T) string { return newDisk(t, &xfs).dir },
	} {
		t.Run(name, func(t *testing.T) {
			dir := mount(t)
			path, a := filepath.Join(dir, "db"), newAccount()
			db, err := durus.Open(path, &durus.Options{Check: durus.CheckNothing, Logger: quiet})
			if err != nil {
				t.Fatal(err)
			}
			n := int64(2) // a big one
			if _, err := transact(db, companion, n); err != nil {
				t.Fatal(err)
			}
			watcher := start(t, "watch", watchTask{Path: path, ReadOnly: true}, outfit{})
			watcher.expect("ready")
			ballast := fill(t, dir)
			both := []*child{
				start(t, "commit", commitTask{Path: path, Process: 1, First: 1}, outfit{}),
				start(t, "commit", commitTask{Path: path, Process: 2, First: 1}, outfit{}),
			}
			for i, c := range both {
				c.wait()
				a.add(i+1, c.all())
			}
			if a.count("ok") == 0 || a.count("full") == 0 || a.count("failed") > 0 {
				t.Errorf("%d commits, %d did not fit, %d failed otherwise:\n%s", a.count("ok"), a.count("full"), a.count("failed"), a.complaints())
			}
			if err := clean(path); err != nil { // nobody has cut anything since
				t.Errorf("while it is full: %v", err)
			}

			for range 2 * room / (9 << 10) { // until nothing that is big fits
				n += 3
				_, err = transact(db, companion, n)
				if a.note(companion, n, err); err != nil {
					break
				}
			}
			if !errors.Is(err, syscall.ENOSPC) {
				t.Errorf("a commit that does not fit: %v", err)
			}
			if err := errors.Join(lookErr(db), clean(path)); err != nil {
				t.Errorf("while it is full: %v", err)
			}
			if err := os.Remove(ballast); err != nil {
				t.Fatal(err)
			}
			n += 3
			_, err = transact(db, companion, n)
			if a.note(companion, n, err); err != nil {
				t.Errorf("when there is space again: %v", err)
			}
			watcher.finish()
			if views := a.watched(watcher.all()); views == 0 || slices.ContainsFunc(watcher.all(), func(s string) bool { return strings.HasPrefix(s, "blind") }) {
				t.Errorf("what a reader saw: %q", watcher.all())
			}
			if err := db.Close(); err != nil {
				t.Error(err)
			}
			if _, err := judge(path, a, leniency{}); err != nil {
				t.Errorf("%v\n%s", err, a.complaints())
			}
		})
	}
}

func lookErr(db *durus.DB) error {
	_, _, err := look(db)
	return err
}

// A file system is remounted read-only under a reader, who notices nothing. A
// writer is told what is the matter. Remounted again, all goes on. F24,
// acceptance test 31
func TestReadOnlyRemount(t *testing.T) {
	d := newDisk(t, &ext4)
	path := filepath.Join(d.dir, "db")
	commitAll(t, path, nil, 1, 3)
	reader, err := durus.Open(path, &durus.Options{ReadOnly: true, Check: durus.CheckNothing})
	if err != nil {
		t.Fatal(err)
	}
	sees := func(db *durus.DB, want int64) {
		t.Helper()
		if at, _, err := look(db); err != nil || at[2] != want {
			t.Errorf("a View shows %v, %v, want transaction %d", at, err, want)
		}
	}
	remount := func(flags uintptr) {
		t.Helper()
		if err := unix.Mount("", d.dir, "", unix.MS_REMOUNT|flags, ""); err != nil {
			t.Fatal(err)
		}
	}
	sees(reader, 3)
	remount(unix.MS_RDONLY)
	sees(reader, 3)
	before, err := readFiles(d.dir)
	if err != nil {
		t.Fatal(err)
	}
	if db, err := durus.Open(path, &durus.Options{Check: durus.CheckNothing}); !errors.Is(err, syscall.EROFS) {
		t.Errorf("a writable Open: %v", err)
		if err == nil {
			_ = db.Close() // it should not be
		}
	}
	second, err := durus.Open(path, &durus.Options{ReadOnly: true, Check: durus.CheckNothing})
	if err != nil {
		t.Fatal(err)
	}
	sees(second, 3)
	if after, err := readFiles(d.dir); err != nil || after.names() != before.names() {
		t.Errorf("there are %q, there were %q, %v", after.names(), before.names(), err)
	}
	remount(0)
	commitAll(t, path, nil, 4, 6)
	sees(reader, 6)
	sees(second, 6)
	if err := errors.Join(reader.Close(), second.Close()); err != nil {
		t.Error(err)
	}
	if _, err := judge(path, newAccount(), leniency{}); err != nil {
		t.Error(err)
	}
}

// descriptorTask is what a child does that has hardly any descriptors.
type descriptorTask struct {
	Path string
	New  bool // the database is to be created
}

// runDescriptors opens, commits and closes with no free descriptor, with one,
// with two, until it succeeds. It says what it was told each time.
func runDescriptors(task descriptorTask) error {
	commitWith := func(n int64) error {
		db, err := durus.Open(task.Path, &durus.Options{MustExist: !task.New, Check: durus.CheckNothing})
		if err != nil {
			return err
		}
		_, err = transact(db, 1, n)
		return errors.Join(err, db.Close())
	}
	time.Sleep(time.Millisecond) // the runtime takes some for its first timer, and cannot live without
	used, err := packDescriptors()
	if err != nil {
		return err
	}
	var all unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &all); err != nil {
		return err
	}
	for free := range 20 {
		few := unix.Rlimit{Cur: uint64(used + free), Max: all.Max}
		if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &few); err != nil {
			return err
		}
		got := commitWith(int64(free + 1))
		if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &all); err != nil {
			return err
		}
		if n, err := descriptors(); err != nil || n != used {
			return fmt.Errorf("with %d free descriptors: %d are in use, %d were; %w", free, n, used, err)
		}
		switch {
		case got == nil:
			return tell("ok %d %d: well", free+1, monotonic())
		case !errors.Is(got, syscall.EMFILE) || !strings.Contains(got.Error(), "ulimit"):
			return fmt.Errorf("with %d free descriptors: it does not say what is missing: %w", free, got)
		}
		if err := tell("%s %d %d: %s", verdict(got), free+1, monotonic(), oneLine(got)); err != nil {
			return err
		}
	}
	return errors.New("twenty descriptors are not enough")
}

// descriptors counts those in use, less the one that looks.
func descriptors() (int, error) {
	entries, err := os.ReadDir("/proc/self/fd")
	return len(entries) - 1, err
}

// packDescriptors fills the gaps between those in use, so that a limit is the
// number of those that are left, and returns how many are in use.
func packDescriptors() (int, error) {
	for {
		fd, err := unix.Dup(0)
		if err != nil {
			return 0, err
		}
		n, err := descriptors()
		if err != nil {
			return 0, err
		}
		if fd == n-1 { // the last of them
			return n - 1, unix.Close(fd)
		}
	}
}

// A process that is out of descriptors is told so, loses none, leaves nothing
// locked and nothing half done, and goes on when it has some. F34
func TestFaultDescriptors(t *testing.T) {
	for _, create := range []bool{false, true} {
		t.Run(fmt.Sprintf("new=%v", create), func(t *testing.T) {
			path, a := filepath.Join(t.TempDir(), "db"), newAccount()
			if !create {
				commitAll(t, path, nil, 1, 3)
			}
			c := start(t, "descriptors", descriptorTask{path, create}, outfit{})
			c.finish()
			a.add(1, c.all())
			if a.count("ok") != 1 || len(c.all()) < 3 {
				t.Errorf("it was told %q", c.all())
			}
			if _, err := judge(path, a, leniency{}); err != nil {
				t.Errorf("%v\n%s", err, a.complaints())
			}
			if names := litter(t, path); len(names) > 0 {
				t.Errorf("left behind: %q", names)
			}
		})
	}
}
