//go:build linux && (amd64 || arm64)

package fusedisk

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"unsafe"

	"golang.org/x/sys/unix"
)

// FileSystem is a kind of file system and how it is made and mounted here.
type FileSystem struct {
	Name    string // as mount(2) knows it
	size    int64  // of the disk, bytes: about the smallest that mkfs accepts
	mkfs    []string
	options string // of mount(2)

	// alone: only one process at a time writes here. Of several descriptors
	// that sync one file at the same time, btrfs (Linux 6.18) now and then
	// answers one before its bytes are durable: TestOverlappingSyncs, with
	// patience.
	alone bool
}

// FileSystems are the kinds that are tried. Each is made so that it does nothing
// in the background, which would only lengthen the log.
var FileSystems = []FileSystem{
	{
		Name: "ext4", size: 64 << 20,
		mkfs: []string{"mkfs.ext4", "-q", "-F", "-b", "4096", "-J", "size=4", "-E", "nodiscard,lazy_itable_init=0,lazy_journal_init=0"},
		// A journal that lost a block aborts whatever is said here; an error
		// elsewhere does not hide behind a read-only file system.
		options: "errors=continue",
	},
	{
		Name: "xfs", size: 304 << 20,
		mkfs:    []string{"mkfs.xfs", "-q", "-f", "-K"},
		options: "nouuid", // images of one file system are mounted one after the other, or at once
	},
	{
		Name: "btrfs", size: 128 << 20,
		mkfs:  []string{"mkfs.btrfs", "-q", "-f", "-K", "-m", "single"},
		alone: true,
	},
}

// Missing says what this machine lacks to try a kind, "" if nothing.
func (k FileSystem) Missing() string {
	if _, err := exec.LookPath(k.mkfs[0]); err != nil {
		return k.mkfs[0] + " is not installed"
	}
	for _, device := range []string{"/dev/fuse", "/dev/loop-control"} {
		fd, err := unix.Open(device, unix.O_RDWR|unix.O_CLOEXEC, 0)
		if err != nil {
			return fmt.Sprintf("%s: %v", device, err)
		}
		_ = unix.Close(fd)
	}
	if os.Geteuid() != 0 {
		return "only root may mount"
	}
	return ""
}

// Make returns the image of a new, empty file system. dir is for a temporary
// file.
func (k FileSystem) Make(dir string) (Image, error) {
	name := filepath.Join(dir, "new."+k.Name)
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return Image{}, err
	}
	defer os.Remove(name)
	err = f.Truncate(k.size)
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return Image{}, err
	}
	args := append(k.mkfs[1:len(k.mkfs):len(k.mkfs)], name)
	if out, err := exec.Command(k.mkfs[0], args...).CombinedOutput(); err != nil {
		return Image{}, fmt.Errorf("fusedisk: %s: %w: %s", k.mkfs[0], err, out)
	}
	return ReadImage(name)
}

// forget makes btrfs forget a device that is unmounted. It remembers the
// devices that it has seen, and refuses an image that is older than one of the
// same file system on another device.
func (k FileSystem) forget(device string) {
	if k.Name != "btrfs" {
		return
	}
	const forgetDevice = 0x50009405 // BTRFS_IOC_FORGET_DEV
	fd, err := unix.Open("/dev/btrfs-control", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return // then it has seen none
	}
	defer unix.Close(fd)
	var args struct {
		_    int64
		name [4088]byte
	}
	copy(args.name[:], device)
	// What it does not forget makes the next mount fail, and that is looked at.
	_, _, _ = unix.Syscall(unix.SYS_IOCTL, uintptr(fd), forgetDevice, uintptr(unsafe.Pointer(&args)))
}
