//go:build linux && (amd64 || arm64)

package fusedisk

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// patience is how long the kernel may take to let something go before its I/O
// is made to fail.
const patience = 10 * time.Second

// Mount is a file system on a Disk, mounted: a FUSE file that shows the disk,
// a loop device on that file, a mount of that device.
type Mount struct {
	// Dir is the root of the file system.
	Dir string

	server *server
	device string
	kind   FileSystem
}

// Mount mounts the file system of a kind that d holds. It makes two entries in
// the directory under, "disk" and "root". Errors that are the file system's own
// refusal are *RefusedError.
func (d *Disk) Mount(kind FileSystem, under string) (_ *Mount, err error) {
	disk, root := filepath.Join(under, "disk"), filepath.Join(under, "root")
	if err := errors.Join(os.WriteFile(disk, nil, 0o600), os.Mkdir(root, 0o700)); err != nil {
		return nil, err
	}
	s, err := serve(d, disk)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.stop())
		}
	}()
	device, release, err := attach(disk)
	if err != nil {
		return nil, err
	}
	defer release() // the mount holds the device, and its end frees it
	m := &Mount{Dir: root, server: s, device: device, kind: kind}
	if err := unix.Mount(device, root, kind.Name, unix.MS_NOATIME, kind.options); err != nil {
		kind.forget(device)
		return nil, &RefusedError{kind.Name, err}
	}
	return m, nil
}

// RefusedError says that a file system did not want to mount an image.
type RefusedError struct {
	FileSystem string
	Err        error
}

func (e *RefusedError) Error() string {
	return fmt.Sprintf("fusedisk: %s does not mount: %v", e.FileSystem, e.Err)
}

// Unwrap returns the answer of mount(2).
func (e *RefusedError) Unwrap() error { return e.Err }

// Unmount writes back what the file system holds and takes everything down.
// Nobody may have a file open. When it takes too long, I/O is made to fail, so
// that it ends; that is an error.
func (m *Mount) Unmount() error {
	ended := make(chan error, 1)
	go func() { ended <- unix.Unmount(m.Dir, 0) }()
	select {
	case err := <-ended:
		if err != nil {
			err = fmt.Errorf("fusedisk: unmount %s: %w", m.Dir, err)
		}
		return errors.Join(err, m.Abort())
	case <-time.After(patience):
		return errors.Join(fmt.Errorf("fusedisk: unmount %s: no answer within %v", m.Dir, patience), m.Abort())
	}
}

// Abort takes everything down at once. From then on the disk is not asked any
// more, and what the file system waits for or still tries fails. It works on a
// file system that hangs or is in use, and after Unmount does nothing.
func (m *Mount) Abort() error {
	if m.server == nil {
		return nil
	}
	err := m.server.stop()
	m.server = nil
	// EINVAL: it is unmounted already.
	if e := unix.Unmount(m.Dir, unix.MNT_DETACH); e != nil && !errors.Is(e, unix.EINVAL) {
		err = errors.Join(err, fmt.Errorf("fusedisk: unmount %s: %w", m.Dir, e))
	}
	m.kind.forget(m.device)
	return err
}

// attach puts a loop device on a file, with direct I/O: nothing is cached
// between the file system and the file. The device is free again when its last
// user, of whom the caller is the first until release, has closed it.
func attach(file string) (device string, release func(), err error) {
	backing, err := unix.Open(file, unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return "", nil, fmt.Errorf("fusedisk: open %s: %w", file, err)
	}
	defer unix.Close(backing)
	control, err := unix.Open("/dev/loop-control", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return "", nil, fmt.Errorf("fusedisk: open /dev/loop-control: %w", err)
	}
	defer unix.Close(control)
	for range 64 {
		number, err := unix.IoctlRetInt(control, unix.LOOP_CTL_GET_FREE)
		if err != nil {
			return "", nil, fmt.Errorf("fusedisk: find a free loop device: %w", err)
		}
		device = "/dev/loop" + strconv.Itoa(number)
		fd, err := unix.Open(device, unix.O_RDWR|unix.O_CLOEXEC, 0)
		if err != nil {
			return "", nil, fmt.Errorf("fusedisk: open %s: %w", device, err)
		}
		err = unix.IoctlLoopConfigure(fd, &unix.LoopConfig{
			Fd:   uint32(backing),
			Size: Sector,
			Info: unix.LoopInfo64{Flags: unix.LO_FLAGS_DIRECT_IO | unix.LO_FLAGS_AUTOCLEAR},
		})
		if err == nil {
			return device, func() { _ = unix.Close(fd) }, nil // nothing was written through it
		}
		_ = unix.Close(fd)
		if !errors.Is(err, unix.EBUSY) { // somebody else was faster
			return "", nil, fmt.Errorf("fusedisk: put %s on %s: %w", device, file, err)
		}
	}
	return "", nil, errors.New("fusedisk: every free loop device is taken by somebody else")
}
