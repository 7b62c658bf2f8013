package realdisk

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// filesystem is a kind of file system in an image file.
type filesystem struct {
	name    string
	make    []string // the program that makes one; the image comes last
	size    int64
	options string // of its mount
}

var (
	makeExt4 = []string{"mkfs.ext4", "-q", "-F"}

	ext4 = filesystem{"ext4", makeExt4, 32 << 20, "loop"}
	xfs  = filesystem{"xfs", []string{"mkfs.xfs", "-q", "-f"}, 320 << 20, "loop"} // it takes none that is smaller

	filesystems = []filesystem{
		ext4,
		{"ext4 commit=1", makeExt4, 32 << 20, "loop,data=ordered,commit=1"},
		{"ext4 writeback", makeExt4, 32 << 20, "loop,data=writeback"},
		xfs,
	}
)

// disk is a mounted file system of our own.
type disk struct {
	t       testing.TB
	image   string
	dir     string // where it is mounted
	options []string
	mounted bool
}

// newDisk makes a file system in an image and mounts it. It is unmounted when
// the test ends, and the loop device with it.
func newDisk(t testing.TB, kind *filesystem) *disk {
	t.Helper()
	needMounts(t)
	needProgram(t, kind.make[0])
	needProgram(t, "mount")
	home := t.TempDir()
	d := &disk{t: t, image: filepath.Join(home, "image"), dir: filepath.Join(home, "disk")}
	d.options = []string{"-o", kind.options}
	if err := errors.Join(os.WriteFile(d.image, nil, 0o600), os.Truncate(d.image, kind.size), os.Mkdir(d.dir, 0o700)); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(kind.make[0], append(kind.make[1:len(kind.make):len(kind.make)], d.image)...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", kind.make[0], err, out)
	}
	t.Cleanup(func() {
		if d.mounted {
			_ = unix.Unmount(d.dir, unix.MNT_DETACH) // whoever still has a file open keeps it for himself
		}
	})
	if out, err := d.tryMount(); err != nil {
		if strings.Contains(out, "loop") || strings.Contains(out, "ermission") {
			t.Skipf("SKIP: no loop devices: %v: %s", err, out)
		}
		t.Fatalf("mount: %v\n%s", err, out)
	}
	return d
}

func (d *disk) tryMount() (string, error) {
	out, err := exec.Command("mount", append(d.options, d.image, d.dir)...).CombinedOutput()
	d.mounted = d.mounted || err == nil
	return string(out), err
}

func (d *disk) mount() {
	d.t.Helper()
	if out, err := d.tryMount(); err != nil {
		d.t.Fatalf("mount: %v\n%s", err, out)
	}
}

func (d *disk) unmount() {
	d.t.Helper()
	if err := unix.Unmount(d.dir, 0); err != nil {
		d.t.Fatalf("unmount: %v", err)
	}
	d.mounted = false
}

// sync brings everything to the disk.
func (d *disk) sync() {
	d.t.Helper()
	f, err := os.Open(d.dir)
	if err != nil {
		d.t.Fatal(err)
	}
	if err := errors.Join(unix.Syncfs(int(f.Fd())), f.Close()); err != nil {
		d.t.Fatal(err)
	}
}

// FS_IOC_SHUTDOWN stops a file system where it is.
const (
	shutdown = 0x8004587d // _IOR('X', 125, __u32)

	flushLog = 1 // first what is in its journal in memory goes to the disk
	dropLog  = 2 // nothing does
)

// cut cuts the power: nothing that is in memory reaches the disk any more.
func (d *disk) cut(how int) {
	d.t.Helper()
	f, err := os.Open(d.dir)
	if err != nil {
		d.t.Fatal(err)
	}
	defer f.Close() // it is a directory
	var own, parent unix.Stat_t
	if err := errors.Join(unix.Fstat(int(f.Fd()), &own), unix.Stat(filepath.Dir(d.dir), &parent)); err != nil {
		d.t.Fatal(err)
	}
	if own.Dev == parent.Dev {
		d.t.Fatal("that would stop a file system which is not ours")
	}
	switch err := unix.IoctlSetPointerInt(int(f.Fd()), shutdown, how); err {
	case nil:
	case unix.ENOTTY, unix.EOPNOTSUPP:
		d.t.Skipf("SKIP: this file system cannot be stopped: %v", err)
	default:
		d.t.Fatal(err)
	}
}
