//go:build linux && (amd64 || arm64)

package fusedisk

import (
	"fmt"
	"io"
	"log"
	"syscall"
	"time"

	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"
)

// server shows a Disk as a regular file: the file system that it serves has a
// file for its root, and lies over the file at path.
type server struct {
	fuse.RawFileSystem // refuses what is not below
	disk               *Disk
	path               string
	done               chan struct{} // closed when the kernel asks no more
}

// maxTransfer is the longest read or write that the kernel asks for, in bytes.
const maxTransfer = 1 << 20

// serve begins to show the disk at path, which must be a file.
func serve(d *Disk, path string) (*server, error) {
	s := &server{fuse.NewDefaultRawFileSystem(), d, path, make(chan struct{})}
	// A child that is started before the descriptor is close-on-exec would
	// keep the kernel waiting for answers after we are gone.
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	f, err := fuse.NewServer(s, path, &fuse.MountOptions{
		DirectMountStrict: true,
		FsName:            "fusedisk",
		Name:              "fusedisk",
		MaxWrite:          maxTransfer,
		DisableXAttrs:     true,
		Logger:            log.New(io.Discard, "", 0), // an aborted connection is no news
	})
	if err != nil {
		return nil, fmt.Errorf("fusedisk: mount %s: %w", path, err)
	}
	go func() {
		f.Serve()
		close(s.done)
	}()
	return s, nil
}

// stop ends the service. What the kernel still waits for fails.
func (s *server) stop() error {
	// MNT_FORCE aborts the connection, MNT_DETACH does not mind a loop device
	// that is about to be released.
	if err := unix.Unmount(s.path, unix.MNT_FORCE|unix.MNT_DETACH); err != nil {
		return fmt.Errorf("fusedisk: unmount %s: %w", s.path, err)
	}
	select {
	case <-s.done:
		return nil
	case <-time.After(patience):
		return fmt.Errorf("fusedisk: %s is still in use after %v", s.path, patience)
	}
}

// GetAttr implements fuse.RawFileSystem.
func (s *server) GetAttr(_ <-chan struct{}, _ *fuse.GetAttrIn, out *fuse.AttrOut) fuse.Status {
	out.Attr = fuse.Attr{
		Ino:     fuse.FUSE_ROOT_ID,
		Mode:    fuse.S_IFREG | 0o600,
		Nlink:   1,
		Size:    uint64(s.disk.Size()),
		Blksize: blockSize,
	}
	out.SetTimeout(time.Hour)
	return fuse.OK
}

// SetAttr implements fuse.RawFileSystem. Nothing of a disk can be set.
func (s *server) SetAttr(cancel <-chan struct{}, in *fuse.SetAttrIn, out *fuse.AttrOut) fuse.Status {
	return s.GetAttr(cancel, nil, out)
}

// Open implements fuse.RawFileSystem. The kernel caches nothing of the file.
func (s *server) Open(_ <-chan struct{}, _ *fuse.OpenIn, out *fuse.OpenOut) fuse.Status {
	out.OpenFlags = fuse.FOPEN_DIRECT_IO
	return fuse.OK
}

// Read implements fuse.RawFileSystem.
func (s *server) Read(_ <-chan struct{}, in *fuse.ReadIn, buf []byte) (fuse.ReadResult, fuse.Status) {
	n, err := s.disk.ReadAt(buf[:min(len(buf), int(in.Size))], int64(in.Offset))
	if err != nil && err != io.EOF {
		return nil, fuse.ToStatus(err)
	}
	return fuse.ReadResultData(buf[:n]), fuse.OK
}

// Write implements fuse.RawFileSystem.
func (s *server) Write(_ <-chan struct{}, in *fuse.WriteIn, data []byte) (uint32, fuse.Status) {
	n, err := s.disk.WriteAt(data, int64(in.Offset))
	return uint32(n), fuse.ToStatus(err)
}

// Fsync implements fuse.RawFileSystem. The loop device asks for it where the
// file system sends a flush.
func (s *server) Fsync(_ <-chan struct{}, _ *fuse.FsyncIn) fuse.Status {
	return fuse.ToStatus(s.disk.Flush())
}

// Flush implements fuse.RawFileSystem: somebody has closed a descriptor, which
// makes nothing durable.
func (s *server) Flush(<-chan struct{}, *fuse.FlushIn) fuse.Status { return fuse.OK }
